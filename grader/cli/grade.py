"""``python -m grader grade``: a TA's run over any number of submissions."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from ..classes.ingest import IngestError, Submission, is_archive, read_submission, submission_name
from ..grading.run import grade
from ..report.folder import REPORT_NAMES, TABLE, RunFolder, reason
from ..report.model import Report
from ..report.write import folder_name, unique_names, write_gradebook, write_report
from ..rubric import MODULES
from . import terminal
from .arguments import UsageError
from .consoles import say
from .plan import ALL_KINDS, QUICK_KINDS, make_plan
from .progress import watch

INTERRUPTED = 130


def run_grade(options: argparse.Namespace, folder: RunFolder, out: Console, err: Console) -> int:
    """A TA's run over any number of submissions."""
    submissions = read_all(options.paths, err)
    plan = make_plan(options, QUICK_KINDS if options.no_trained else ALL_KINDS, frozenset({"public", "hidden"}))
    folder.begin()
    terminal.print_setting(err, plan, submissions)
    reports: dict[int, Report] = {}
    unsaved = 0
    interrupted = False
    try:
        with watch(err, submissions, plan) as progress:
            for index, report in grade(submissions, plan, progress.note):
                reports[index] = saved = save(report, folder)
                unsaved += saved is not report
                progress.finished(saved)
    except KeyboardInterrupt:
        interrupted = True
    ordered = [reports[index] for index in sorted(reports)]
    book = save_table(ordered, folder, err) if ordered else None
    if interrupted:
        where = f", reports of those are in {folder.out}" if ordered else ""
        say(err, "interrupted", f"{len(ordered)} of {len(submissions)} graded{where}", "yellow")
        return INTERRUPTED
    terminal.print_grades(out, ordered, folder.out, book, verbose=options.verbose)
    return 3 if unsaved or book is None or any(report.faults for report in ordered) else 0


def save(report: Report, folder: RunFolder) -> Report:
    """The report, written; if that fails, the report with the reason, which the table then shows."""
    place = folder_name(report.submission)
    try:
        folder.expect(f"{place}/{name}" for name in REPORT_NAMES)
        write_report(report, folder.out)
    except OSError as error:
        why = f"the report could not be written ({reason(error)}): make room in {folder.out}, then grade it again"
    # a renderer that fails on one submission is a fault of ours, which must not end a class
    except Exception as bug:  # noqa: BLE001
        why = f"the grader failed to write the report ({type(bug).__name__}: {bug}); the marks in this row stand"
    else:
        return report
    return replace(report, problems=(why, *report.problems))


def save_table(reports: Sequence[Report], folder: RunFolder, err: Console) -> Path | None:
    """Where the table is; None, and the reason said, if it could not be written."""
    try:
        folder.expect([TABLE])
        return write_gradebook(reports, folder.out)
    except OSError as error:
        say(err, "error", f"{TABLE} could not be written to {folder.out} ({reason(error)}): the table follows", "red")
        return None


def read_all(paths: Sequence[Path], err: Console) -> list[Submission]:
    """Everything the paths stand for. Raises UsageError if nothing of it is there."""
    found = [item for path in paths for item in expand(path)]
    for path in found:
        if not path.exists():
            say(err, "error", f"{path} does not exist: give a folder, a .zip or a .tar file", "red")
    found = [path for path in found if path.exists()]
    if not found:
        raise UsageError("nothing is left to grade")
    names = unique_names([submission_name(path.resolve()) for path in found])
    return [read_or_empty(path, name) for path, name in zip(found, names, strict=True)]


def read_or_empty(path: Path, name: str) -> Submission:
    """A submission; one that cannot be read gets no points and says why, so that a class run goes on."""
    try:
        found = read_submission(path, MODULES)
    except IngestError as error:
        return Submission(name, {}, (str(error),))
    return Submission(name, found.sources, found.problems)


def expand(path: Path) -> list[Path]:
    """The submissions that a path stands for: itself, or what lies in it if it is a folder of submissions."""
    if not path.is_dir() or any((path / f"{module}.py").exists() for module in MODULES):
        return [path]
    inside = sorted(p for p in path.iterdir() if not p.name.startswith((".", "_")) and not p.is_symlink())
    archives = [p for p in inside if p.is_file() and is_archive(p)]
    folders = [p for p in inside if p.is_dir()]
    with_modules = [
        p for p in folders if any(p.rglob(f"{m}.py") for m in MODULES) and read_submission(p, MODULES).sources
    ]
    if archives or len(with_modules) > 1:
        return sorted(archives + folders)
    return [path]
