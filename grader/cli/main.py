"""The command line: ``python -m grader check PATH`` and ``watch PATH`` for students, ``grade PATH... --out DIR``,
``similar PATH...`` and ``box`` for TAs, and ``diff``, ``show``, ``override``, ``rerun`` and ``export`` for what a run
has left.

Exit codes: `grade` 0 when grading completed whatever the marks (with --to, 1 when some are not in the upload), 2 for
wrong arguments, 3 when the grader itself failed, 4 when there is no box for the code of others; `check` 0 when
everything that ran passed, 1 when not, 2 to 4 as above; `box` 0 when nothing got through, 1 when something did, 2
when no box can be had; `similar` 0 whatever was found; `diff` 0 when no marks move, 1 when some do; `rerun` 0 when
status and points are as before, 1 when not; `export` 0 when every mark is in the file, 1 when some are not, 2 as
above (then nothing was written), 3 when it cannot be written; 130 after Ctrl-C, which is how `watch` ends.

What can be refused without PyTorch is refused before it is imported.
"""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ..grading.store import StoreError
from ..report.folder import STORE, FolderError, RunFolder
from ..report.printable import one_line
from .afterwards import COMMANDS, refuse_half_an_upload, refuse_nonsense
from .arguments import UsageError, parse, refuse_engine
from .resume import opened, read_before, refuse_losing_points

if TYPE_CHECKING:
    from .export import Request

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    options = parse(argv)
    from .consoles import consoles, say

    out, err = consoles()
    folder: RunFolder | None = None
    try:
        if options.command == "grade" and options.dry_run:
            from .reading import run_dry

            return finished(run_dry(options, out), out, err)
        if options.command == "similar":
            from .similar import run_similar

            return finished(run_similar(options, out, err), out, err)
        if options.command == "export":
            refuse_without_run(options.out)
            from . import export

            request = export.prepared(options)
            from .exporting import run_export

            return finished(run_export(request, out, err), out, err)
        upload = upload_of(options)
        folder = prepared(options)
        gc.disable()  # what imports make is to stay: looking for what is not takes a tenth of their time
        from .commands import run

        gc.enable()
        code = run(options, folder, out, err)
        if upload is not None and code == 0:
            from .exporting import run_export

            code = run_export(upload, out, err)
        elif upload is not None:
            say(err, "note", f"{upload.file} was not written: export does that for what is graded", "yellow")
        return finished(code, out, err)
    except (UsageError, FolderError, StoreError) as error:
        say(err, "error", str(error), "red")
        return 2
    except KeyboardInterrupt:
        say(err, "interrupted", "the run was not finished", "yellow")
        return INTERRUPTED
    finally:
        if folder is not None:
            folder.close()


def finished(code: int, out: Console, err: Console) -> int:
    """The exit code, or that of a result that could not be shown."""
    from .consoles import lost, say

    if why := lost(out):
        say(err, "error", f"standard output could not be written ({why}): make room and run it again", "red")
        return 3
    return code


def upload_of(options: argparse.Namespace) -> Request | None:
    """What `grade` is to export at its end, so that a wrong template is said before anything is graded. Raises
    UsageError."""
    if options.command != "grade":
        return None
    refuse_half_an_upload(options)
    if options.to is None:
        return None
    from . import export

    return export.prepared(options)


def prepared(options: argparse.Namespace) -> RunFolder | None:
    """Looks at paths, before anything else happens. Raises UsageError and FolderError."""
    if options.command == "box":
        return None
    if options.command in COMMANDS:
        prepare_afterwards(options)
        return None
    paths = options.paths if options.command == "grade" else [options.path]
    missing = [str(path) for path in paths if not os.path.lexists(path)]
    known = read_before(options) if missing and options.command == "grade" else frozenset()
    if len(missing) == len(paths) and not known.issuperset(missing):
        raise UsageError(
            f"{', '.join(missing)} {'do' if len(missing) > 1 else 'does'} not exist: give a folder, a .zip or a .tar "
            "file"
        )
    if options.command == "grade":
        refuse_engine(options)
        options.gone = [path for path in paths if str(path) in missing and str(path) in known]
        options.paths = [path for path in paths if path not in options.gone]
        folder = RunFolder(options.out, options.fresh, paths)
        folder.lock()
        try:
            refuse_losing_points(options)
            if folder.goes_on:
                opened(folder.out, make=True).close()  # what was killed in the first moment has left no tables
        except UsageError:
            folder.close()
            raise
        return folder
    if options.json is not None:
        refuse_unwritable("--json", options.json)
    return None


def prepare_afterwards(options: argparse.Namespace) -> None:
    """Looks at what a command on run folders was given. Raises UsageError."""
    refuse_nonsense(options)
    for out in (options.old, options.new) if options.command == "diff" else (options.out,):
        refuse_without_run(out)
    if options.command == "diff":
        for option, path in (("--json", options.json), ("--csv", options.csv)):
            if path is not None:
                refuse_unwritable(option, path)


def refuse_without_run(out: Path) -> None:
    """Looks whether a folder holds a run. Raises UsageError."""
    try:
        if (out / STORE).is_file():
            return
    except OSError as error:  # no right to look, or no name that a file could have
        raise UsageError(f"{one_line(str(out), 300)}: {(error.strerror or str(error)).lower()}") from error
    if not os.path.lexists(out):
        raise UsageError(f"{out} does not exist: give the folder that was --out when the class was graded")
    raise UsageError(
        f"{out} holds no run ({STORE} is missing): give the folder that was --out when the class was graded"
    )


def refuse_unwritable(option: str, path: Path) -> None:
    """Looks whether the file of an option can be written. Raises UsageError."""
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder: give the name of a file")
    probe = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"{option} {path}: {(error.strerror or 'it cannot be written').lower()}; give another file"
        ) from error
