"""``python -m grader grade``: a TA's run over any number of submissions."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from ..classes.ingest import IngestError, Submission, is_archive, read_submission, submission_name
from ..grading.run import grade
from ..report.model import Report
from ..report.write import unique_names, write_gradebook, write_report
from ..rubric import MODULES
from . import terminal
from .arguments import ALL_KINDS, QUICK_KINDS, make_plan


def run_grade(options: argparse.Namespace, console: Console) -> int:
    """A TA's run over any number of submissions."""
    paths = [found for path in options.paths for found in expand(path)]
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        console.print(f"[red]error:[/] {path} does not exist: give a folder, a .zip or a .tar file", highlight=False)
    paths = [path for path in paths if path.exists()]
    if not paths:
        return 2
    names = unique_names([submission_name(path.resolve()) for path in paths])
    submissions = [read_or_empty(path, name) for path, name in zip(paths, names, strict=True)]
    plan = make_plan(options, QUICK_KINDS if options.no_trained else ALL_KINDS, frozenset({"public", "hidden"}))
    terminal.print_setting(console, plan, submissions)
    reports: dict[int, Report] = {}
    with terminal.Progress(console, submissions, plan) as progress:
        for index, report in grade(submissions, plan, progress.note):
            reports[index] = report
            write_report(report, options.out)
    ordered = [reports[index] for index in sorted(reports)]
    book = write_gradebook(ordered, options.out)
    terminal.print_grades(Console(), ordered, options.out, book)
    return 3 if any(report.faults for report in ordered) else 0


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
