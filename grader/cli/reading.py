"""What the paths of ``grade`` stand for, and ``--dry-run``, which says so and stops: neither needs PyTorch."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from ..classes.ingest import Reading, read_class
from ..classes.sources import starter_digests
from ..report.names import unique_names
from .arguments import MODULE_NAMES, UsageError
from .consoles import say
from .mapping import print_mapping

NOTHING = "nothing is left to grade: give a folder, a .zip or a .tar file of somebody's work"


def handed_out() -> frozenset[str]:
    """What tells the starter's modules from a student's, where a starter lies beside the grader."""
    return starter_digests(Path(__file__).resolve().parents[2] / "starter", MODULE_NAMES)


def read_all(paths: Sequence[Path], out: Path | None) -> Reading:
    """Everything the paths stand for, every row under a name of its own. Raises UsageError where that is nothing."""
    reading = read_class(paths, MODULE_NAMES, handed_out(), skip=out)
    if not reading.submissions:
        passed = f" (passed over: {', '.join(reading.passed_over)})" if reading.passed_over else ""
        raise UsageError(NOTHING + passed)
    names = unique_names([submission.name for submission in reading.submissions])
    unique = [replace(found, name=name) for found, name in zip(reading.submissions, names, strict=True)]
    return replace(reading, submissions=tuple(unique))


def is_own(reading: Reading) -> bool:
    """Whether that is one folder of the user's own: nobody else's, and nothing that was packed elsewhere."""
    owners = [submission.owner for submission in reading.submissions]
    return len(owners) == 1 and not reading.archived and (owners[0] is None or not owners[0].system)


def say_unread(reading: Reading, err: Console) -> None:
    """Says what cannot be read, what does not count and what was passed over."""
    for submission in reading.submissions:
        if not submission.sources and submission.problems:
            label, style = ("the grader failed", "magenta") if submission.fault else ("error", "red")
            say(err, label, f"{submission.name}: {submission.problems[0]}", style)
    for one in reading.superseded:
        say(err, "does not count", f"{one.origin} ({one.why}): {one.by} does", "yellow")
    if reading.passed_over:
        say(err, "passed over", ", ".join(reading.passed_over), "yellow")
    for note in reading.notes:
        say(err, "note", note, "yellow")


def run_dry(options: argparse.Namespace, out: Console) -> int:
    """Prints who maps to whom; 2 where nothing can be graded. Raises UsageError where there is nothing at all."""
    refuse_absent(options.paths)
    reading = read_all(options.paths, options.out)
    print_mapping(out, reading, len(MODULE_NAMES))
    return 0 if any(submission.sources for submission in reading.submissions) else 2


def refuse_absent(paths: Sequence[Path]) -> None:
    """Looks whether anything that was given is there. Raises UsageError."""
    missing = [str(path) for path in paths if not os.path.lexists(path)]
    if len(missing) == len(paths):
        raise UsageError(f"{', '.join(missing)} {'do' if len(missing) > 1 else 'does'} not exist: "
                         "give a folder, a .zip or a .tar file")  # fmt: skip
