"""Runs the command that was typed, with everything a run needs imported; what ends it is told apart here."""

from __future__ import annotations

import argparse

from rich.console import Console

from ..boundary.launch import GraderFault
from ..check.datasets import DataError
from ..classes.ingest import IngestError
from ..report.folder import RunFolder
from .arguments import UsageError
from .check import run_check
from .consoles import say
from .grade import run_grade


def run(options: argparse.Namespace, folder: RunFolder | None, out: Console, err: Console) -> int:
    """The exit code of `check`, or of `grade` if there is a folder for its reports. Raises UsageError."""
    try:
        return run_check(options, out, err) if folder is None else run_grade(options, folder, out, err)
    except (IngestError, DataError) as error:
        raise UsageError(str(error)) from error
    except GraderFault as fault:
        say(err, "the grader failed", str(fault), "red")
        return 3
