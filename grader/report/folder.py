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

from .lock import FolderLock, Locked, NoLocks
from .printable import one_line

RECORD = ".a7-reports"
HEAD = "# Written by 'python -m grader grade': the files listed here are its own, and --fresh removes them."
TABLE = "gradebook.csv"
PAGE = "class.html"
REPORT_NAMES = ("report.json", "report.md", "report.html", "junit.xml", "results.json")
SECRET = ".a7-pseudonyms"  # what names are hidden with on an anonymous page
STORE = "run.sqlite"  # and what SQLite puts beside it
STORE_FILES = (STORE, f"{STORE}-wal", f"{STORE}-shm", f"{STORE}-journal")
BESIDE, INSIDE = ("|".join(map(re.escape, names)) for names in ((TABLE, PAGE, SECRET, *STORE_FILES), REPORT_NAMES))
OWN = re.compile(rf"{BESIDE}|[^/\\\x00-\x1f]+/({INSIDE})")
BEGINNINGS = (STORE, ".a7", TABLE, PAGE)  # of the names of a run's own files
SUBMITTED = (".py", ".ipynb", ".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
PROBE = ".a7-probe"


class FolderError(Exception):
    """Reports cannot go where they were asked to go: says why and what to do."""


class RunFolder:
    """Where the reports of one run go. Before `begin` nothing is written, except to see whether that is possible."""

    def __init__(self, out: Path, fresh: bool, inputs: Sequence[Path] = ()) -> None:
        """Looks whether reports can be written to `out`. Raises FolderError."""
        self.out, self.fresh = out, fresh
        self.record = out / RECORD
        self.locked: FolderLock | None = None
        try:
            refuse_inputs(out, inputs)
            probe(out)
            self._look()
        except OSError as error:
            raise FolderError(f"{asked(out)}: {reason(error)}; give a folder in which you may write") from error

    def _look(self) -> None:
        """What an earlier run has left, and whether this one goes on with it. Raises FolderError and OSError."""
        self.known = set(self._recorded())
        self.goes_on = not self.fresh and (self.out / STORE).is_file()
        there = any(os.path.lexists(self.out / name) for name in self.known)
        if not there:
            refuse_foreign(self.out)
        elif not self.fresh and not self.goes_on:
            raise FolderError(
                f"{asked(self.out)} holds the reports of an earlier run without its {STORE}, and two runs must not "
                "mix: give another folder, or --fresh to remove those reports first"
            )

    def lock(self) -> None:
        """Keeps every other grader out of the folder until `close`, or the end of this process. Raises FolderError."""
        try:
            self.locked = FolderLock(self.out)
        except Locked as other:
            who = one_line(str(other), 100) or "it has not said which"
            raise FolderError(
                f"another grader is at work in {asked(self.out)} ({who}): wait until it is done, or give another folder"
            ) from other
        except NoLocks as error:
            raise FolderError(
                f"{asked(self.out)}: the file system knows no locks ({error}), so that nothing would keep a second "
                "grader out: give a folder on another one, on a disk of this machine say"
            ) from error
        except OSError as error:
            raise FolderError(f"{asked(self.out)}: {reason(error)}; give a folder in which you may write") from error
        try:
            self._look()  # again: until now another one may have been at work
        except FolderError:
            self.close()
            raise

    def close(self) -> None:
        """Others may write to the folder again."""
        if self.locked is not None:
            self.locked.release()
            self.locked = None

    def begin(self) -> None:
        """Goes on, or removes what an earlier run wrote, and nothing else; from here on the folder is this run's."""
        try:
            for name in sorted(self.known):
                clear(self.out, name)
                if not self.goes_on:
                    remove(self.out, name)
            for left in self.out.glob(f"{PROBE}.*"):
                left.unlink(missing_ok=True)
            if not self.goes_on:
                self.out.mkdir(parents=True, exist_ok=True)
                self.record.write_text(HEAD, encoding="utf-8")
                self.known.clear()
            self.expect((*STORE_FILES, SECRET))
        except OSError as error:
            raise FolderError(f"{asked(self.out)}: {reason(error)}; nothing has been graded") from error

    def expect(self, names: Iterable[str]) -> None:
        """Writes down files that are about to be written, as paths in the folder. Raises OSError."""
        new = [name for name in names if name not in self.known]
        if new:
            with self.record.open("a", encoding="utf-8") as file:
                file.write("".join(f"\n{name}" for name in new))  # a line cut off by a full disk spoils no other
            self.known.update(new)

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
            if name in (TABLE, PAGE, *REPORT_NAMES) and path.is_file():
                raise FolderError(
                    f"{asked(out)} holds {one_line(path.name, 80)}, which this tool has no record of writing there: "
                    "give another folder, or remove the file yourself"
                )
            if name.endswith(SUBMITTED):
                raise FolderError(
                    f"{asked(out)} holds {one_line(path.name, 80)}, which looks like somebody's work: give a folder of "
                    "its own for the reports"
                )


def is_ours(out: Path, path: Path) -> bool:
    """Whether a file lies where we have written it: not behind a link that somebody has put there."""
    return not path.is_dir() and (path.parent == out or not path.parent.is_symlink())


def clear(out: Path, name: str) -> None:
    """Removes what a killed run has left beside one of our files."""
    path = out / name
    for left in sorted(path.parent.glob(f".{path.name}.*")) if is_ours(out, path) else ():
        if left.suffix[1:].isdigit():
            left.unlink()


def remove(out: Path, name: str) -> None:
    """Removes one of our files, and its folder once that is empty."""
    path = out / name
    if is_ours(out, path):
        path.unlink(missing_ok=True)
        if path.parent != out:
            with contextlib.suppress(OSError):  # somebody else's files are in it
                path.parent.rmdir()
