"""Cells of tables that no spreadsheet takes for a formula."""

from __future__ import annotations

import unicodedata

from .printable import LONGEST_NAME, printable

FORMULA = frozenset("=+-@")
BLANK = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


def cell(text: str, limit: int = LONGEST_NAME) -> str:
    """Text that no spreadsheet takes for a formula, whatever stands before the sign and however wide it is."""
    shown = printable(text, limit)
    return f"'{shown}" if text[:1] in ("\t", "\r", "\n") or starts_formula(text) else shown


def starts_formula(text: str) -> bool:
    """Whether the first character that shows is a formula's: spreadsheets trim cells and fold full-width signs."""
    for character in unicodedata.normalize("NFKC", text[:1000]):
        if not character.isspace() and unicodedata.category(character) not in BLANK:
            return character in FORMULA
    return False
