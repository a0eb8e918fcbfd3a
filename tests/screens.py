"""A command in a real pseudo-terminal, and what stands on its screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

import ptyprocess
import pyte

from .conftest import ROOT


class Terminal:
    """``python -m grader …`` in a terminal of this size. `environment` is added to that of the tests."""

    def __init__(
        self, *arguments: str, rows: int = 24, columns: int = 80,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        own = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = ptyprocess.PtyProcess.spawn(
            [sys.executable, "-m", "grader", *arguments], cwd=str(ROOT), dimensions=(rows, columns),
            env={**own, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1", **environment},
        )  # fmt: skip
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.written = b""

    @property
    def lines(self) -> list[str]:
        """What stands there, without empty lines at the end."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().splitlines()

    def until(self, *words: str) -> str:
        """The screen, once all these stand on it, or nothing more comes."""
        while True:
            text = "\n".join(self.lines)
            if words and all(word in text for word in words):
                return text
            try:
                chunk = self.process.read(4096)
            except EOFError:
                return text
            self.written += chunk
            self.stream.feed(chunk)

    def ended(self) -> int:
        """Waits for the end; the exit code."""
        self.until()
        self.process.wait()
        return int(self.process.exitstatus)

    def close(self) -> None:
        """Ends it, whatever it does."""
        self.process.terminate(force=True)
