"""The command line: ``python -m grader check PATH`` for students, ``grade PATH... --out DIR`` and ``box`` for TAs.

Exit codes: `grade` 0 when grading completed whatever the marks, 2 for wrong arguments, 3 when the grader itself failed,
4 when there is no box for the code of others; `check` 0 when everything that ran passed, 1 when not, 2 to 4 as above;
`box` 0 when nothing got through, 1 when something did, 2 when no box can be had; 130 after Ctrl-C.

What can be refused without PyTorch is refused before it is imported.
"""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Sequence

from rich.console import Console

from ..report.folder import FolderError, RunFolder
from .arguments import UsageError, parse

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    options = parse(argv)
    from .consoles import consoles, say

    out, err = consoles()
    try:
        if options.command == "grade" and options.dry_run:
            from .reading import run_dry

            return finished(run_dry(options, out), out, err)
        folder = prepared(options)
        gc.disable()  # what imports make is to stay: looking for what is not takes a tenth of their time
        from .commands import run

        gc.enable()
        code = run(options, folder, out, err)
        return finished(code, out, err)
    except (UsageError, FolderError) as error:
        say(err, "error", str(error), "red")
        return 2
    except KeyboardInterrupt:
        say(err, "interrupted", "the run was not finished", "yellow")
        return INTERRUPTED


def finished(code: int, out: Console, err: Console) -> int:
    """The exit code, or that of a result that could not be shown."""
    from .consoles import lost, say

    if why := lost(out):
        say(err, "error", f"standard output could not be written ({why}): make room and run it again", "red")
        return 3
    return code


def prepared(options: argparse.Namespace) -> RunFolder | None:
    """Looks at paths, before anything else happens. Raises UsageError and FolderError."""
    if options.command == "box":
        return None
    paths = options.paths if options.command == "grade" else [options.path]
    missing = [str(path) for path in paths if not os.path.lexists(path)]
    if len(missing) == len(paths):
        raise UsageError(
            f"{', '.join(missing)} {'do' if len(missing) > 1 else 'does'} not exist: give a folder, a .zip or a .tar "
            "file"
        )
    if options.command == "grade":
        return RunFolder(options.out, options.fresh, paths)
    if options.json is not None:
        refuse_unwritable(options)
    return None


def refuse_unwritable(options: argparse.Namespace) -> None:
    """Looks whether the file of ``--json`` can be written. Raises UsageError."""
    path = options.json
    if path.is_dir():
        raise UsageError(f"--json {path} is a folder: give the name of a file")
    probe = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"--json {path}: {(error.strerror or 'it cannot be written').lower()}; give another file"
        ) from error
