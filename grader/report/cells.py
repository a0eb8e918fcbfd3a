"""Cells of tables that no spreadsheet takes for a formula."""

from __future__ import annotations

import re
import unicodedata

from .printable import LONGEST_NAME, printable

FORMULA = frozenset("=+-@")
BLANK = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
# a table is often opened with another separator than it was written with: each part is a cell of its own then, and
# where a cell does not begin with its quote any longer, each line of it is a row of its own
SEPARATORS = frozenset(",;|\n")
PARTS = re.compile(r"(?<=[,;|\n])(?P<blank>[\s\"'\ufeff]*)(?P<rest>[^,;|\n]*)")


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
        if not blank(character):
            return character in FORMULA
    return False


def html_cell(html: str) -> str:
    """HTML on one line in which a formula's sign stands as its number wherever a part could begin with it. The numbers
    end with a separator themselves, so that a sign behind one is such a sign, too."""
    shown: list[str] = []
    begins = True
    for character in html:
        formula = begins and starts_formula(character)
        shown.append(f"&#{ord(character)};" if formula else character)
        begins = formula or character in SEPARATORS or (begins and (blank(character) or character in "\"'"))
    return "".join(shown)


def blank(character: str) -> bool:
    """Whether a spreadsheet could pass over a character at the beginning of a cell."""
    return character.isspace() or unicodedata.category(character) in BLANK
