"""A run folder in the hands of a command: who is meant, and reports that are written anew with what is stored."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from ..grading.graded import Graded, graded_row
from ..grading.store import Store, StoreError
from ..grading.submissions import submission_of
from ..report import gradebook
from ..report.folder import PAGE, TABLE, RunFolder, reason
from ..report.names import folder_name
from ..report.pages import classroom
from ..report.printable import name_of
from ..report.write import report_files, staged
from ..rubric import rubric_hash
from .consoles import say
from .finding import find_student, student
from .options import UsageError


def find(store: Store, wanted: str) -> Graded:
    """The report of the student who is meant. Raises UsageError where that is nobody, several, or not graded yet."""
    rows = store.submissions()
    meant = find_student(wanted, [student(row.key, submission_of(row.content, None)) for row in rows])
    [row] = [row for row in rows if row.key == meant.key]
    if not row.circumstances:
        raise UsageError(
            f"{meant.shown} has no report yet: the run was not finished; the same command of grade goes on with it"
        )
    return graded_row(store, row)


@contextlib.contextmanager
def writing(out: Path) -> Iterator[Store]:
    """The folder's store, with nobody else writing to the folder. Raises FolderError and StoreError."""
    folder = RunFolder(out, fresh=False)
    folder.lock()
    try:
        with Store(out, writing=True) as store:
            yield store
    finally:
        folder.close()


def say_older(one: Graded, err: Console) -> None:
    """Says so where a report was made by another rubric than today's."""
    if one.report.circumstances.versions.get("rubric_hash") != rubric_hash():
        text = (
            f"{name_of(one.report.submission)} was graded by another version of the rubric: what is new in it reads as "
            "not run, and what it no longer holds is left out; the same command of grade makes up for it"
        )
        say(err, "note", text, "yellow")


def rewritten(
    out: Path, everybody: Sequence[Graded], keys: Collection[str], commit: Callable[[], None], err: Console
) -> bool:
    """Writes the reports of some and those of all beside their places, commits to the store, and puts them there.

    Where they or the store cannot be written, nothing is changed. False, and the reason said, if anything failed.
    """
    reports = [one.report for one in everybody]
    contents = {out / TABLE: gradebook.render(reports).encode(gradebook.ENCODING),
                out / PAGE: classroom.render(reports).encode()}  # fmt: skip
    for one in everybody:
        if one.key in keys:
            place = out / folder_name(one.report.submission)
            contents |= {place / name: text.encode() for name, text in report_files(one.report).items()}
    committed = False
    try:
        RunFolder(out, fresh=False).expect(path.relative_to(out).as_posix() for path in contents)
        with staged(contents) as put_in_place:
            commit()
            committed = True
            put_in_place()
    except (OSError, StoreError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        done = "it is stored, but not all reports could be replaced; the same command replaces them" if committed else (
            "nothing was changed"
        )  # fmt: skip
        where = f" {Path(error.filename2 or error.filename or out).name}" if isinstance(error, OSError) else ""
        say(err, "error", f"the reports could not be written ({why}{where}): {done}", "red")
        return False
    return True
