"""Text of a submission made safe to show: names, prints, exceptions and values, for every renderer.

Nothing that comes out moves a cursor, hides what follows it, reverses a line or fails to be encoded.
"""

from __future__ import annotations

import unicodedata

LONGEST_NAME = 120
LONGEST_TEXT = 4000
LONGEST_PROBLEM = 600
MOST_PROBLEMS = 30
# marks, controls of direction, surrogates, private use and unassigned: what shows nothing, or shows elsewhere
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
MOST_MARKS = 4  # combining marks on one letter; more of them climb over the lines above and below


def printable(text: str, limit: int = LONGEST_TEXT) -> str:
    """The text in lines of ordinary characters, at most `limit` of them: the rest is written as Python writes it."""
    text = shortened(text, 2 * limit)  # a megabyte is cut before it is looked at
    text = text.replace("\r\n", "\n").expandtabs(4)
    shown: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        unseen = category in UNSEEN and character != "\n"
        shown.append(escaped(character) if unseen or marks > MOST_MARKS else character)
    return shortened("".join(shown), limit)


def one_line(text: str, limit: int = LONGEST_TEXT) -> str:
    """The same on one line."""
    return " ".join(printable(text, limit).split())


def name_of(text: str) -> str:
    """A name on one line, never empty."""
    return one_line(text, LONGEST_NAME) or "(no name)"


def problems_of(texts: tuple[str, ...]) -> list[str]:
    """Sentences on one line each, and how many more there are."""
    shown = [one_line(text, LONGEST_PROBLEM) for text in texts[:MOST_PROBLEMS]]
    more = len(texts) - len(shown)
    return [*shown, f"and {more} more"] if more > 0 else shown


def escaped(character: str) -> str:
    """Its number, as Python writes it."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shortened(text: str, limit: int) -> str:
    """A long text's beginning and end, and that something is missing between them."""
    if len(text) <= limit:
        return text
    missing = " … "
    tail = (limit - len(missing)) // 3
    return text[: limit - len(missing) - tail] + missing + text[len(text) - tail :]
