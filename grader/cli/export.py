"""``python -m grader export``: marks of a run in the file that a learning management system takes back.

What can be refused without PyTorch is refused by `prepared`: the configuration, the template, names of files.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..report.folder import BEGINNINGS
from ..report.lms import canvas, moodle, tables
from ..report.lms.filling import Choices
from ..report.lms.marks import Export, Mark, TemplateError
from ..report.lms.sheet import MAX_BYTES
from ..report.printable import one_line
from .arguments import UsageError
from .settings import Settings, columns_of, read_settings

FILLED = {"moodle": moodle.fill, "canvas": canvas.fill}
ENDINGS = {"moodle": (".csv", ".txt", ".zip"), "canvas": (".csv", ".txt"), "gradescope": (".csv", ".json", ".zip"),
           "csv": (".csv",)}  # fmt: skip
SHOWN = 300  # characters of a path in a message


@dataclass(frozen=True)
class Request:
    """What is to be exported, looked at as far as that is possible without the marks. `template` is None where none is
    filled in."""

    out: Path
    to: str
    file: Path
    feedback: Path | None
    template: bytes | None
    template_path: Path | None
    settings: Settings
    choices: Choices

    @property
    def zipped(self) -> bool:
        """Whether the file itself is a zip."""
        return self.file.suffix.casefold() == ".zip"


def prepared(options: argparse.Namespace) -> Request:
    """Looks at everything that was typed, and at what the files hold. Raises UsageError."""
    settings = read_settings(options.config) if options.config is not None else Settings()
    ending = options.file.suffix.casefold()
    if ending not in ENDINGS[options.to]:
        endings = " or ".join(ENDINGS[options.to])
        raise UsageError(f"--file {shown(options.file)}: for --to {options.to} its name has to end in {endings}")
    fills = options.to in FILLED and ending != ".zip"
    if fills and options.template is None:
        raise UsageError(
            f"--to {options.to} needs --template: the table that {options.to.title()} lets you download is filled in"
        )
    if not fills and options.template is not None:
        raise UsageError(f"--template is of no use for --to {options.to} --file *{ending}: leave it out")
    if options.feedback is not None and (options.to != "moodle" or not fills):
        raise UsageError(
            "--feedback goes with --to moodle --file *.csv: it names the zip of feedback files beside the sheet"
        )
    if options.feedback is not None and options.feedback.suffix.casefold() != ".zip":
        raise UsageError(f"--feedback {shown(options.feedback)}: its name has to end in .zip")
    refuse_clashes(options)
    choices = Choices(
        scale=settings.export.scale, replace=options.replace or settings.export.replace,
        columns=columns_of(settings.export),
        assignment=str(options.assignment if options.assignment is not None else settings.export.assignment),
    )  # fmt: skip
    template = None
    if fills:
        template = read_template(options.template)
        fill(options.to, [], template, choices, options.template)  # whatever is wrong with it shows without marks, too
    return Request(
        options.out, options.to, options.file, options.feedback, template, options.template, settings, choices
    )


def shown(path: Path) -> str:
    """A path in a message."""
    return one_line(str(path), SHOWN)


def refuse_clashes(options: argparse.Namespace) -> None:
    """Files that would write over each other or cannot be written. Raises UsageError."""
    written = [path for path in (options.file, options.feedback) if path is not None]
    if len({os.path.realpath(path) for path in written}) < len(written):
        raise UsageError("--file and --feedback name the same file: give two names")
    for path in written:
        if path.is_dir():
            raise UsageError(f"{shown(path)} is a folder: give the name of a file")
        if options.template is not None and same_file(path, options.template) and not options.in_place:
            raise UsageError(
                f"{shown(path)} is the template itself: give another name, or --in-place to have it written over"
            )
        if any(same_file(path, other) for other in (options.config,) if other is not None):
            raise UsageError(f"{shown(path)} is the configuration: give another name")
        if same_file(path.parent, options.out) and path.name.startswith(BEGINNINGS):
            raise UsageError(f"{shown(path)} is one of the run's own files: give another name")


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file, by whatever links."""
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def read_template(path: Path) -> bytes:
    """The template's bytes. Raises UsageError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        why = (error.strerror or "it cannot be read").lower()
        raise UsageError(f"--template {shown(path)}: {why}; give the table that was downloaded") from error


def fill(to: str, marks: Sequence[Mark], template: bytes, choices: Choices, path: Path | None) -> Export:
    """A template with marks. Raises UsageError."""
    try:
        return FILLED[to](marks, template, choices)
    except TemplateError as error:
        raise UsageError(f"--template {shown(path) if path else ''}: {error}") from error


def exports(
    request: Request,
    marks: Sequence[Mark],
    report_of: Callable[[Mark], Mapping[str, bytes]],
    results_of: Callable[[], Mapping[str, Mapping[str, object]]],
) -> dict[Path, Export]:
    """The files that were asked for. `report_of` gives the files that a student gets back, `results_of` Gradescope's
    documents by the owner's key; each is only asked where it is needed. Raises UsageError."""

    def feedback() -> Export:
        return moodle.feedback_zip(marks, {mark.owner.key: report_of(mark) for mark in marks})

    if request.template is not None:
        done = {request.file: fill(request.to, marks, request.template, request.choices, request.template_path)}
        return done | ({request.feedback: feedback()} if request.feedback is not None else {})
    if request.to == "moodle":
        return {request.file: feedback()}
    if request.to == "csv":
        return {request.file: tables.plain(marks)}
    if request.zipped:
        return {request.file: tables.autograder_zip(marks, results_of())}
    if request.file.suffix.casefold() == ".json":
        return {request.file: tables.results_json(marks, results_of())}
    return {request.file: tables.grades(marks)}
