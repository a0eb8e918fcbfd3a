"""The folder of a class: what it holds is written down, so that only our own files are removed.

A run goes on with what an earlier one has put into the folder's store (`grading.store`); reports without a store are
those of another program, or of an older version, and are left alone.

`RECORD` lists every file before it is written, a line each; what a killed run has left can be cleared up, too. Nothing
heavy is imported: a folder that cannot be used is refused at once.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .printable import one_line

RECORD = ".a7-reports"
HEAD = "# Written by 'python -m grader grade': the files listed here are its own, and --fresh removes them."
TABLE = "gradebook.csv"
REPORT_NAMES = ("report.json", "report.md", "junit.xml", "results.json")
STORE = "run.sqlite"  # and what SQLite puts beside it
STORE_FILES = (STORE, f"{STORE}-wal", f"{STORE}-shm", f"{STORE}-journal")
BESIDE, INSIDE = ("|".join(map(re.escape, names)) for names in ((TABLE, *STORE_FILES), REPORT_NAMES))
OWN = re.compile(rf"{BESIDE}|[^/\\\x00-\x1f]+/({INSIDE})")
SUBMITTED = (".py", ".ipynb", ".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
PROBE = ".a7-probe"


class FolderError(Exception):
    """Reports cannot go where they were asked to go: says why and what to do."""


class RunFolder:
    """Where the reports of one run go. Before `begin` nothing is written, except to see whether that is possible."""

    def __init__(self, out: Path, fresh: bool, inputs: Sequence[Path] = ()) -> None:
        """Looks whether reports can be written to `out`. Raises FolderError."""
        self.out = out
        self.record = out / RECORD
        try:
            refuse_inputs(out, inputs)
            probe(out)
            self.earlier = list(self._recorded())
            there = any(os.path.lexists(out / name) for name in self.earlier)
            self.goes_on = not fresh and there and (out / STORE).is_file()
            if not there:
                refuse_foreign(out)
        except OSError as error:
            raise FolderError(f"{asked(out)}: {reason(error)}; give a folder in which you may write") from error
        if there and not fresh and not self.goes_on:
            raise FolderError(
                f"{asked(out)} holds the reports of an earlier run without its {STORE}, and two runs must not mix: "
                "give another folder, or --fresh to remove those reports first"
            )

    def begin(self) -> None:
        """Goes on, or removes what an earlier run wrote, and nothing else; from here on the folder is this run's."""
        try:
            for name in () if self.goes_on else self.earlier:
                remove(self.out, name)
            self.out.mkdir(parents=True, exist_ok=True)
            if not self.goes_on:
                self.record.write_text(HEAD, encoding="utf-8")
            self.expect(STORE_FILES)
        except OSError as error:
            raise FolderError(f"{asked(self.out)}: {reason(error)}; nothing has been graded") from error

    def expect(self, names: Iterable[str]) -> None:
        """Writes down files that are about to be written, as paths in the folder. Raises OSError."""
        with self.record.open("a", encoding="utf-8") as file:
            file.write("".join(f"\n{name}" for name in names))  # a line cut off by a full disk spoils no other

    def _recorded(self) -> Iterator[str]:
        """Names in the record that a run could have written: an edited record cannot make us remove anything else."""
        with contextlib.suppress(FileNotFoundError):
            for line in self.record.read_text(encoding="utf-8", errors="replace").splitlines():
                if OWN.fullmatch(line) and not line.startswith("../"):
                    yield line


def asked(out: Path) -> str:
    """The folder as it was asked for."""
    return f"--out {one_line(str(out), 300)}"


def reason(error: OSError) -> str:
    """Why the system refused, in its own words."""
    return (error.strerror or type(error).__name__).lower()


def probe(out: Path) -> None:
    """Makes the folder and a file in it, which is removed again. Raises OSError or FolderError."""
    if out.exists() and not out.is_dir():
        raise FolderError(f"{asked(out)} is a file: give the name of a folder")
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{PROBE}.{os.getpid()}"
    try:
        path.write_bytes(b"\0" * 4096)
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def refuse_inputs(out: Path, inputs: Sequence[Path]) -> None:
    """Reports among the files that they are about would be handed in by the next run. Raises FolderError."""
    where = out.resolve()
    for path in inputs:
        given = path.resolve()
        if where in (given, given.parent):
            raise FolderError(
                f"{asked(out)} is the folder of the submissions themselves: give another one (one inside it will do)"
            )


def refuse_foreign(out: Path) -> None:
    """A folder without a record must hold neither submissions nor other reports. Raises FolderError."""
    for item in sorted(out.iterdir()):
        inside = sorted(item.iterdir()) if item.is_dir() and not item.is_symlink() else []
        for path in (item, *inside):
            name = path.name.casefold()
            if name in (TABLE, *REPORT_NAMES) and path.is_file():
                raise FolderError(
                    f"{asked(out)} holds {one_line(path.name, 80)}, which this tool has no record of writing there: "
                    "give another folder, or remove the file yourself"
                )
            if name.endswith(SUBMITTED):
                raise FolderError(
                    f"{asked(out)} holds {one_line(path.name, 80)}, which looks like somebody's work: give a folder of "
                    "its own for the reports"
                )


def remove(out: Path, name: str) -> None:
    """One of our files, what an interrupted run left beside it, and its folder once that is empty."""
    path = out / name
    if path.is_dir() or (path.parent != out and path.parent.is_symlink()):
        return  # not as we left it
    path.unlink(missing_ok=True)
    for left in sorted(path.parent.glob(f".{path.name}.*")):
        if left.suffix[1:].isdigit():
            left.unlink()
    if path.parent != out:
        with contextlib.suppress(OSError):  # somebody else's files are in it
            path.parent.rmdir()
