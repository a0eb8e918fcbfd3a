"""Consoles that every terminal can show, and one line said on them."""

from __future__ import annotations

import codecs
import io
import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text

from ..report.printable import printable

# what our own sentences and rich's bars use beyond ASCII
PLAIN = {"·": "-", "…": "...", "–": "-", "—": "-", "×": "x", "≥": ">=", "≤": "<=", "μ": "mu", "σ": "sigma", "█": "#",
         "━": "-", "╸": "-", "╺": "-", "•": "*", "−": "-", "“": '"', "”": '"', "’": "'"}  # fmt: skip
NEAREST = "a7-nearest"


def nearest(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding lacks: the nearest it has, else the character's number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in missing), error.end


def make_encodable(*streams: TextIO | None) -> None:
    """From here on, writing text to these streams cannot fail for the characters in it."""
    codecs.register_error(NEAREST, nearest)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors=NEAREST)


def consoles() -> tuple[Console, Console]:
    """For results (standard output), and for everything said on the way (standard error)."""
    make_encodable(sys.stdout, sys.stderr)
    return Console(highlight=False), Console(stderr=True, highlight=False)


def say(console: Console, label: str, text: str, style: str) -> None:
    """A sentence after a coloured word; nothing in it is taken for markup."""
    console.print(Text.assemble((f"{label}:", style), " ", printable(text)), soft_wrap=True)
