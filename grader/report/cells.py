"""Cells of tables that no spreadsheet takes for a formula."""

from __future__ import annotations

import re
import unicodedata

from .printable import LONGEST_NAME, printable

FORMULA = frozenset("=+-@")
BLANK = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
# a table is often opened with another separator than it was written with: each part is a cell of its own then
PARTS = re.compile(r"(?<=[,;|])(?P<blank>[\s\"'\ufeff]*)(?P<rest>[^,;|]*)")


def cell(text: str, limit: int = LONGEST_NAME) -> str:
    """Text that no spreadsheet takes for a formula, whatever stands before the sign, however wide it is and wherever
    the spreadsheet divides it."""
    shown = PARTS.sub(without_formula, printable(text, limit))
    return f"'{shown}" if text[:1] in ("\t", "\r", "\n") or starts_formula(text) else shown


def without_formula(part: re.Match[str]) -> str:
    """A part behind a separator."""
    return f"{part['blank']}'{part['rest']}" if starts_formula(part["rest"]) else part[0]


def starts_formula(text: str) -> bool:
    """Whether the first character that shows is a formula's: spreadsheets trim cells and fold full-width signs."""
    for character in unicodedata.normalize("NFKC", text[:1000]):
        if not character.isspace() and unicodedata.category(character) not in BLANK:
            return character in FORMULA
    return False
