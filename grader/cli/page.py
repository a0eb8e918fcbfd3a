"""``python -m grader page OUT --file FILE``: the page about a class, written elsewhere or without names."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.text import Text

from ..grading.graded import graded
from ..report.folder import BEGINNINGS, RECORD, SECRET, reason
from ..report.pages import classroom
from ..report.pages.aliases import aliases
from ..report.printable import one_line
from .consoles import say
from .options import UsageError
from .private import SECRET_BYTES, kept_secret, put_private

ENDINGS = (".html", ".htm")
FAILED = 3


def run_page(options: argparse.Namespace, out: Console, err: Console) -> int:
    """0; 3 if the page could not be written. Raises UsageError and StoreError."""
    refuse_place(options.file, options.out)
    everybody = graded(options.out)
    if not everybody:
        raise UsageError(f"{options.out} holds no report yet: type the command of the run again")
    names = aliases([one.key for one in everybody], secret_of(options.out, err)) if options.anonymous else None
    text = classroom.render([one.report for one in everybody], base_of(options.out, options.file), names)
    try:
        put_private(options.file, text)
    except OSError as error:
        say(err, "error", f"--file {one_line(str(options.file), 300)}: {reason(error)}; give another place", "red")
        return FAILED
    kind = "page without names" if options.anonymous else "page"
    out.print(Text(f"{kind} of {len(everybody)} submissions in {one_line(str(options.file), 300)}"), soft_wrap=True)
    return 0


def refuse_place(file: Path, out: Path) -> None:
    """Looks whether the page may lie there: not in place of a run's own files, nor where students find it. Raises
    UsageError."""
    asked = f"--file {one_line(str(file), 300)}"
    if file.suffix.casefold() not in ENDINGS or file.is_dir():
        raise UsageError(f"{asked}: give the name of a page, course.html say")
    place, run = file.resolve(), out.resolve()
    if place.exists() and not place.is_file():
        raise UsageError(f"{asked} is no ordinary file: give another name")
    of_a_run = place.parent == run or os.path.lexists(place.parent / RECORD)
    if of_a_run and place.name.casefold().startswith(BEGINNINGS):
        raise UsageError(f"{asked} is one of the run's own files: give another name")
    if run in place.parents and place.parent != run:
        raise UsageError(f"{asked} lies in a folder of reports, which a student gets: give a place outside it")


def base_of(out: Path, file: Path) -> str:
    """The way from the page to the folder of reports, as a link goes: empty where it lies in it."""
    try:
        way = Path(os.path.relpath(out.resolve(), file.resolve().parent)).as_posix()
    except ValueError:  # on another drive
        return f"{out.resolve().as_uri()}/"
    return "" if way == "." else f"{quote(way)}/"


def secret_of(out: Path, err: Console) -> bytes:
    """What the names are hidden with: kept in the run's folder, so that they are the same the next time."""
    try:
        return kept_secret(out / SECRET)
    except OSError as error:
        say(err, "note", f"{SECRET} cannot be kept ({reason(error)}): the next page will have other names", "yellow")
        return secrets.token_bytes(SECRET_BYTES)
