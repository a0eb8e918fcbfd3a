"""``python -m grader check``: a student's own run."""

from __future__ import annotations

import argparse
from dataclasses import replace

from rich.console import Console

from ..classes.ingest import read_submission
from ..grading.run import grade
from ..report.model import as_dict
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
    terminal.print_check(out, report, verbose=options.verbose)
    if options.json:
        try:
            put(options.json, to_json(as_dict(report)))
        except OSError as error:
            raise UsageError(f"--json {options.json}: {error.strerror or error}; the report is above") from error
    if report.faults:
        return 3
    return 0 if all(o.status in ("passed", "not_run") for o in report.outcomes) else 1
