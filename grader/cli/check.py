"""``python -m grader check``: a student's own run."""

from __future__ import annotations

import argparse
import os
import secrets
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from ..classes.ingest import Submission, read_submission
from ..grading.run import grade
from ..report.annotations import commands, files_of, heard, job_summary, silenced
from ..report.model import Report, as_dict
from ..report.write import put, to_json
from ..rubric import MODULES
from . import terminal
from .arguments import UsageError
from .boxes import find_box
from .plan import ALL_KINDS, QUICK_KINDS, handed_out, make_plan
from .progress import watch


def run_check(options: argparse.Namespace, out: Console, err: Console) -> int:
    """A student's own run."""
    submission = read_submission(options.path, MODULES, handed_out())
    plan = make_plan(options, ALL_KINDS if options.trained else QUICK_KINDS, frozenset({"public"}))
    plan = replace(plan, box=find_box(options.box, plan.device).box)
    with watch(err, [submission], plan) as progress:
        [(_, report)] = list(grade([submission], plan, progress.note))
    if options.annotate:
        annotate(report, submission, options.path, out, verbose=options.verbose)
    else:
        terminal.print_check(out, report, verbose=options.verbose)
    if options.json:
        try:
            put(options.json, to_json(as_dict(report)))
        except OSError as error:
            raise UsageError(f"--json {options.json}: {error.strerror or error}; the report is above") from error
    if report.faults:
        return 3
    return 0 if all(o.status in ("passed", "not_run") for o in report.outcomes) else 1


def annotate(report: Report, submission: Submission, path: Path, out: Console, *, verbose: bool) -> None:
    """The report, and what GitHub shows of it: marks at the lines of the student's functions, and the job's summary."""
    token = secrets.token_hex(16)
    print(silenced(token), file=out.file)  # a line of a student's must not be a command
    terminal.print_check(out, report, verbose=verbose)
    print(heard(token), file=out.file)
    root = Path(os.environ.get("GITHUB_WORKSPACE") or ".")
    for line in commands(report, submission.sources, files_of(path, submission.sources, root)):
        print(line, file=out.file)
    out.file.flush()
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with open(summary, "a", encoding="utf-8") as file:
                file.write(job_summary(report))
        except OSError as error:
            raise UsageError(f"GITHUB_STEP_SUMMARY: {error.strerror or error}; the report is above") from error
