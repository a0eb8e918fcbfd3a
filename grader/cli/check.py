"""``python -m grader check``: a student's own run."""

from __future__ import annotations

import argparse

from rich.console import Console

from ..classes.ingest import read_submission
from ..grading.run import grade
from ..report.model import as_dict
from ..report.write import put, to_json
from ..rubric import MODULES
from . import terminal
from .arguments import ALL_KINDS, QUICK_KINDS, make_plan


def run_check(options: argparse.Namespace, console: Console) -> int:
    """A student's own run."""
    submission = read_submission(options.path, MODULES)
    plan = make_plan(options, ALL_KINDS if options.trained else QUICK_KINDS, frozenset({"public"}))
    with terminal.Progress(console, [submission], plan) as progress:
        [(_, report)] = list(grade([submission], plan, progress.note))
    if options.json:
        put(options.json, to_json(as_dict(report)))
    terminal.print_check(Console(), report)
    if report.faults:
        return 3
    return 0 if all(o.status in ("passed", "not_run") for o in report.outcomes) else 1
