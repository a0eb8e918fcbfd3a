"""The configuration: one TOML file with weights, visibility, deadline, late policy and what goes into an export.

Everything that is wrong in it is said at once, each with its line and what to do, before anything else happens; nothing
heavy is imported for it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from ..classes.late import Extension, Policy, read_extensions
from ..report.lms.columns import Role
from ..report.printable import one_line
from .options import UsageError
from .settings_form import Exporting, File, Shown, told
from .settings_sense import due_of, meanings, question_name
from .toml_lines import lines_of

MAX_BYTES = 256 << 10


@dataclass(frozen=True)
class Settings:
    """What the configuration says. Without one, nothing is late and every point counts as in the rubric.

    `weights` are points by the question's name ("1" … "10", "bonus"), `visibility` by check or question.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    visibility: Mapping[str, Shown] = field(default_factory=dict)
    policy: Policy | None = None
    zone: tzinfo | None = None
    extensions: Sequence[Extension] = ()
    export: Exporting = field(default_factory=Exporting)


@dataclass(frozen=True, order=True)
class Mistake:
    """What is wrong in a line of a file."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


class SettingsError(UsageError):
    """A configuration with mistakes; the message has one in every line."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = sorted(set(mistakes))
        super().__init__("the configuration cannot be used\n" + "\n".join(map(str, self.mistakes)))


def read_settings(path: Path) -> Settings:
    """The configuration in a file, and the extensions that it names beside it. Raises SettingsError."""
    name = one_line(str(path), 300)
    text = read_text(path, name)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([Mistake(name, *syntax(str(error), text))]) from error
    lines = lines_of(text.replace("\r\n", "\n"))

    def at(*keys: str) -> int:
        if keys not in lines and keys[:1] == ("visibility",):
            keys = ("visibility", *".".join(keys[1:]).split("."))  # without quotes every point opens a table
        while keys and keys not in lines:
            keys = keys[:-1]
        return lines.get(keys, 1)

    flat = {**content, "visibility": flattened(content.get("visibility", {}))}
    try:
        file: File | None = File.model_validate(flat)
        mistakes: list[Mistake] = []
    except ValidationError as error:
        file = None
        mistakes = [Mistake(name, line_of(found["loc"], at), told(found, flat)) for found in error.errors()]
    mistakes += [Mistake(name, at(*keys), what) for keys, what in meanings(flat)]
    due: datetime | None = None
    zone: tzinfo | None = None
    extensions: list[Extension] = []
    deadline = content.get("deadline")
    if isinstance(deadline, dict):
        due, zone = due_of(deadline)
    late = content.get("late")
    if isinstance(late, dict) and isinstance(late.get("extensions"), str) and due is not None:
        extensions, wrong = extensions_of(path, late["extensions"], zone, due)
        mistakes += [Mistake(name, at("late", "extensions"), what) if line is None else Mistake(where, line, what)
                     for where, line, what in wrong]  # fmt: skip
    if mistakes or file is None:
        raise SettingsError(mistakes)
    policy = None
    if file.late is not None and due is not None:
        grace = timedelta(minutes=file.late.grace_minutes)
        policy = Policy(due, file.late.per_day, file.late.unit, file.late.of, file.late.cap, grace)
    weights = {question_name(key): value for key, value in file.weights.items()}
    visibility = {question_name(key): value for key, value in file.visibility.items()}
    return Settings(weights, visibility, policy, zone, tuple(extensions), file.export)


def read_text(path: Path, name: str) -> str:
    """The file's text. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        why = (error.strerror or "it cannot be read").lower()
        raise SettingsError([Mistake(name, 1, f"{why}: give the TOML file of the configuration")]) from error
    if len(raw) > MAX_BYTES:
        raise SettingsError([Mistake(name, 1, "it has more than 256 kB: give the TOML file of the configuration")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SettingsError([Mistake(name, line, "it is not UTF-8: save it in UTF-8")]) from error


def syntax(message: str, text: str) -> tuple[int, str]:
    """Line and words of an error of the parser, which names both at the end of its message."""
    match = re.fullmatch(r"(?s)(.*) \(at (?:line (\d+), column \d+|end of document)\)", message)
    words, line = (match[1], match[2]) if match else (message, None)
    number = int(line) if line else text.rstrip("\n").count("\n") + 1
    return number, f"this is no TOML: {one_line(words, 200)}; texts stand in quotes, one key = value in a line"


def line_of(place: tuple[str | int, ...], at: Any) -> int:
    """The line of what pydantic found wrong. It counts branches of a union as part of the place."""
    return int(at(*(str(key) for key in place)))


def flattened(table: Any, above: str = "") -> Any:
    """A table in which ``q1.normal = "public"`` means the check of that name, as it does with quotes around it."""
    if not isinstance(table, dict):
        return table
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{above}.{key}" if above else str(key)
        found |= flattened(value, name) if isinstance(value, dict) else {name: value}
    return found


def extensions_of(
    path: Path, named: str, zone: tzinfo | None, due: datetime
) -> tuple[list[Extension], list[tuple[str, int | None, str]]]:
    """The table of extensions, which lies beside the configuration; and what is wrong, by file and line."""
    table = path.parent / named
    shown = one_line(str(table), 300)
    try:
        with table.open("rb") as file:
            content = file.read((1 << 20) + 1)
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or "it cannot be read").lower()
        return [], [
            (shown, None, f"late.extensions: {shown}: {why}; the path is taken from the configuration's folder")
        ]
    found, problems = read_extensions(content, zone, due)
    return found, [(shown, problem.line, problem.what) for problem in problems]


def columns_of(export: Exporting) -> tuple[tuple[Role, str], ...]:
    """Names of columns that were given, by role."""
    named = export.columns.model_dump(exclude_none=True)
    return tuple((role, named[role]) for role in get_args(Role) if role in named)
