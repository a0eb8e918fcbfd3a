"""Consoles that every terminal can show, and one line said on them."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import Any, TextIO, cast

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


class Tolerant:
    """A stream that a run outlives: a reader who has gone, or a full disk under a log, costs nobody marks."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Writes, unless that has failed before."""
        if self.failure is None:
            try:
                return self.stream.write(text)
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flushes, unless that has failed before."""
        if self.failure is None:
            try:
                self.stream.flush()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.failure = error
        with contextlib.suppress(OSError, ValueError):  # what is left in the buffer goes nowhere when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    @property
    def lost(self) -> str:
        """Why something was not shown; nothing where the reader has chosen to go (`| head`)."""
        if self.failure is None or isinstance(self.failure, BrokenPipeError):
            return ""
        return (self.failure.strerror or str(self.failure)).lower()


def consoles() -> tuple[Console, Console]:
    """For results (standard output), and for everything said on the way (standard error)."""
    make_encodable(sys.stdout, sys.stderr)
    out, err = (cast(TextIO, Tolerant(stream)) if stream is not None else None for stream in (sys.stdout, sys.stderr))
    return Console(file=out, highlight=False), Console(file=err, stderr=True, highlight=False)


def lost(console: Console) -> str:
    """Why something that was printed is not there; empty if all is."""
    return console.file.lost if isinstance(console.file, Tolerant) else ""


def say(console: Console, label: str, text: str, style: str) -> None:
    """A sentence after a coloured word; nothing in it is taken for markup."""
    console.print(Text.assemble((f"{label}:", style), " ", printable(text)), soft_wrap=True)
