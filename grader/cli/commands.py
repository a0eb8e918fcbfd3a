"""Runs the command that was typed, with everything a run needs imported; what ends it is told apart here."""

from __future__ import annotations

import argparse

from rich.console import Console

from ..boundary.box import NoBox
from ..boundary.launch import GraderFault, WorkerDied
from ..check.datasets import DataError
from ..classes.ingest import IngestError
from ..grading.store import NoRoom, StoreError
from ..report.folder import RunFolder
from .arguments import UsageError
from .box import run_box
from .boxes import BoxRefused, told
from .check import run_check
from .consoles import say
from .diff import run_diff
from .grade import run_grade
from .override import run_override
from .page import run_page
from .rerun import run_rerun
from .show import run_show
from .watch import run_watch

NO_BOX = 4
AFTERWARDS = {"diff": run_diff, "show": run_show, "override": run_override, "rerun": run_rerun, "page": run_page}


def run(options: argparse.Namespace, folder: RunFolder | None, out: Console, err: Console) -> int:
    """The exit code of a command; `grade` has a folder for its reports. Raises UsageError."""
    try:
        if options.command == "box":
            return run_box(options, out, err)
        if options.command in AFTERWARDS:
            return AFTERWARDS[options.command](options, out, err)
        if options.command == "watch":
            return run_watch(options, out, err)
        return run_check(options, out, err) if folder is None else run_grade(options, folder, out, err)
    except NoRoom as error:
        say(err, "error", str(error), "red")
        return 3
    except (IngestError, DataError, StoreError) as error:
        raise UsageError(str(error)) from error
    except (NoBox, BoxRefused) as refused:
        say(err, "no box", told(refused) if isinstance(refused, NoBox) else str(refused), "red")
        return NO_BOX
    except (GraderFault, WorkerDied) as fault:
        say(err, "the grader failed", str(fault), "red")
        return 3
