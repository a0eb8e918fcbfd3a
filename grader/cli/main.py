"""The command line: ``python -m grader check PATH`` for students, ``python -m grader grade PATH... --out DIR`` for TAs.

Exit codes: `grade` 0 when grading completed whatever the marks, 2 for wrong arguments, 3 when the grader itself failed;
`check` 0 when everything that ran passed, 1 when not, 2 and 3 as above.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from ..boundary.launch import GraderFault
from ..check.datasets import DataError
from ..classes.ingest import IngestError
from .arguments import UsageError, arguments
from .check import run_check
from .grade import run_grade


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    options = arguments().parse_args(argv)
    console = Console(stderr=True)
    try:
        return run_check(options, console) if options.command == "check" else run_grade(options, console)
    except (UsageError, IngestError, DataError) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        return 2
    except GraderFault as fault:
        console.print(f"[red]the grader failed:[/] {fault}", highlight=False)
        return 3
