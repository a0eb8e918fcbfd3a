"""Runs the command that was typed, with everything a run needs imported; what ends it is told apart here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module

from rich.console import Console

from ..boundary.box import NoBox
from ..boundary.launch import GraderFault, WorkerDied
from ..check.datasets import DataError
from ..classes.ingest import IngestError
from ..grading.store import NoRoom, StoreError
from ..report.folder import RunFolder
from .arguments import UsageError
from .boxes import BoxRefused, told
from .consoles import say

NO_BOX = 4


def found(command: str) -> Callable[..., int]:
    """What runs a command: ``run_check`` of the module ``check``. Not every copy of the kit has all of them."""
    act: Callable[..., int] = getattr(import_module(f".{command}", __package__), f"run_{command}")
    return act


def run(options: argparse.Namespace, folder: RunFolder | None, out: Console, err: Console) -> int:
    """The exit code of a command; `grade` has a folder for its reports. Raises UsageError."""
    try:
        act = found(options.command)
        return act(options, out, err) if folder is None else act(options, folder, out, err)
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
