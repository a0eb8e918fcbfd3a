"""Checks that no mistake of the bank needs, and why they stay: another check catches the same, later or less clearly."""

STAYS: dict[str, str] = {}
