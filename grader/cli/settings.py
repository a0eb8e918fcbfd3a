"""The configuration: one TOML file with weights, visibility, deadline, late policy and what goes into an export.

Everything that is wrong in it is said at once, each with its line and what to do, before anything else happens; nothing
heavy is imported for it. `check_ids` therefore reads the rubric's text; a test compares.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from ..classes.late import Extension, Policy, read_extensions
from ..report.lms.columns import Role
from ..report.printable import one_line
from .arguments import QUESTION_NAMES, UsageError
from .toml_lines import lines_of

MAX_BYTES = 256 << 10
TOTAL = 100.0  # what the weights of the regular questions add up to, as their points do
BONUS = "bonus"
YEARS = (1990, 2200)

Points = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
Shown = Literal["public", "hidden"]
Wrong = list[tuple[tuple[str, ...], str]]  # where something is wrong, as keys of the file, and what


class Table(BaseModel):
    """A table of the file: a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Late(Table):
    """[late]"""

    per_day: Points
    unit: Literal["percent", "points"] = "percent"
    of: Literal["maximum", "earned"] = "maximum"
    cap: Points | None = None
    grace_minutes: Annotated[float, Field(ge=0, le=60 * 24 * 30, allow_inf_nan=False)] = 0.0
    extensions: str | None = None


class Deadline(Table):
    """[deadline]"""

    due: datetime
    timezone: str | None = None


class Columns(Table):
    """[export.columns]"""

    identifier: str | None = None
    name: str | None = None
    email: str | None = None
    number: str | None = None
    group: str | None = None
    grade: str | None = None
    maximum: str | None = None
    changeable: str | None = None
    scale: str | None = None
    feedback: str | None = None


class Exporting(Table):
    """[export]"""

    feedback: Literal["full", "short", "none"] = "full"
    bonus: Literal["add", "none"] = "add"
    scale: bool = False
    replace: bool = False
    assignment: Any = ""  # Canvas writes a number behind the title: either will do
    columns: Columns = Columns()


class File(Table):
    """The whole file."""

    deadline: Deadline | None = None
    late: Late | None = None
    weights: dict[str, Points] = {}
    visibility: dict[str, Shown] = {}
    export: Exporting = Exporting()


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


def told(found: ErrorDetails, content: Mapping[str, Any]) -> str:
    """What is wrong and what to do, in our words."""
    place = ".".join(str(key) for key in found["loc"] if key not in ("str", "int"))
    value, context = one_line(repr(found["input"]), 80), found.get("ctx", {})
    kind = found["type"]
    if kind == "extra_forbidden":
        known = keys_at(found["loc"][:-1])
        return f"there is no {place}{near(str(found['loc'][-1]), known)}"
    if kind == "missing":
        return f"{place} is missing: add it"
    if kind == "literal_error":
        choices = str(context.get("expected", "")).replace("'", '"')
        return f"{place} is {value}: use {choices}"
    if kind in ("greater_than_equal", "less_than_equal", "finite_number"):
        low, high = context.get("ge", 0), context.get("le")
        return f"{place} is {value}: give a number from {low:g}" + (f" to {high:g}" if high else " on")
    wanted = {
        "float_type": "a number, without quotes and percent signs", "bool_type": "true or false, without quotes",
        "string_type": "a text in quotes", "int_type": "a whole number",
        "datetime_type": "a time without quotes, like 2026-11-30T23:59:00-07:00",
        "dict_type": "a table, with [brackets] around its name",
        "model_type": "a table, with [brackets] around its name",
    }.get(kind, found["msg"])  # fmt: skip
    return f"{place} is {value}: give {wanted}"


def keys_at(place: tuple[str | int, ...]) -> list[str]:
    """The keys that a table may have."""
    model: type[BaseModel] = File
    for key in place:
        kinds = [model.model_fields[str(key)].annotation, *get_args(model.model_fields[str(key)].annotation)]
        model = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return [*model.model_fields]


def near(name: str, known: Sequence[str]) -> str:
    """What was probably meant, and otherwise what there is."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; use {', '.join(known)}" if len(known) <= 12 else ""


def meanings(content: Mapping[str, Any]) -> Wrong:
    """Mistakes that no type shows: places and words."""
    weights, visibility = content.get("weights", {}), content.get("visibility", {})
    wrong = weights_wrong(weights) if isinstance(weights, dict) else []
    wrong += visibility_wrong(visibility) if isinstance(visibility, dict) else []
    deadline, late, export = (content.get(key) for key in ("deadline", "late", "export"))
    if isinstance(deadline, dict):
        wrong += deadline_wrong(deadline)
    if isinstance(late, dict):
        if deadline is None:
            wrong.append((("late",), "[late] needs a deadline: add [deadline] with due = 2026-11-30T23:59:00-07:00"))
        per_day, cap = late.get("per_day"), late.get("cap")
        if number(per_day) and late.get("unit", "percent") == "percent" and per_day > 100:
            wrong.append((("late", "per_day"), f"late.per_day is {per_day:g} percent: give at most 100"))
        if number(cap) and late.get("unit", "percent") == "percent" and cap > 100:
            wrong.append((("late", "cap"), f"late.cap is {cap:g} percent: give at most 100"))
        if number(per_day) and number(cap) and cap < per_day:
            wrong.append(
                (
                    ("late", "cap"),
                    f"late.cap is {cap:g} and less than one day's {per_day:g}: it has to be at least that",
                )
            )
    if isinstance(export, dict) and not names_assignment(export.get("assignment", "")):
        wrong.append((("export", "assignment"), "export.assignment is neither a number nor a title: give one"))
    return wrong


def names_assignment(value: Any) -> bool:
    """Whether a value can name an assignment."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def number(value: Any) -> TypeGuard[float]:
    """Whether a value is a number that can be compared."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def weights_wrong(weights: Mapping[str, Any]) -> Wrong:
    """Weights are given for all regular questions, and add up."""
    names = [name for name in QUESTION_NAMES if name != BONUS]
    wrong: Wrong = [(("weights", key), f"there is no question {key!r}{near(key, QUESTION_NAMES)}")
             for key in weights if question_name(key) not in QUESTION_NAMES]  # fmt: skip
    given: dict[str, list[str]] = {}
    for key in weights:
        given.setdefault(question_name(key), []).append(key)
    wrong += [
        (("weights", keys[1]), f"weights has question {name} twice: keep one")
        for name, keys in given.items()
        if len(keys) > 1
    ]
    if weights and not wrong:
        missing = [name for name in names if name not in given]
        regular = [weights[given[name][0]] for name in names if name in given]
        if missing:
            wrong.append(
                (("weights",), f"weights has none for {', '.join(missing)}: give one for every question, 0 too")
            )
        elif all(map(number, regular)) and abs(sum(regular) - TOTAL) > 1e-6:
            wrong.append((("weights",), f"weights of the questions 1 to 10 add up to {sum(regular):g}: they have to "
                                        f"add up to {TOTAL:g} (bonus stands apart)"))  # fmt: skip
    return wrong


def visibility_wrong(visibility: Mapping[str, Any]) -> Wrong:
    """Keys are checks or questions."""
    ids = check_ids()
    wrong: Wrong = []
    for key in visibility:
        if question_name(key) not in QUESTION_NAMES and key not in ids:
            wrong.append(
                (("visibility", key), f"there is no check or question {key!r}{near(key, [*ids, *QUESTION_NAMES])}")
            )
    return wrong


def deadline_wrong(deadline: Mapping[str, Any]) -> Wrong:
    """The time zone is one, and the deadline is in it or says its own."""
    wrong: Wrong = []
    zone, due = deadline.get("timezone"), deadline.get("due")
    if isinstance(zone, str) and zone_of(zone) is None:
        from zoneinfo import available_timezones

        wrong.append(
            (("deadline", "timezone"), f"there is no time zone {zone!r}{near(zone, sorted(available_timezones()))}")
        )
    if isinstance(due, datetime):
        if not YEARS[0] <= due.year <= YEARS[1]:
            wrong.append(
                (("deadline", "due"), f"deadline.due is in the year {due.year}: is it written as year-month-day?")
            )
        if due.tzinfo is None and not isinstance(zone, str):
            wrong.append((("deadline", "due"), "deadline.due does not say its time zone: write 23:59:00-07:00, "
                                               'or add timezone = "America/Edmonton"'))  # fmt: skip
    elif isinstance(due, date):
        wrong.append((("deadline", "due"), f"deadline.due is {due} without a time of the day: write {due}T23:59:00"))
    return wrong


def due_of(deadline: Mapping[str, Any]) -> tuple[datetime | None, tzinfo | None]:
    """The deadline with its zone, and the zone of times that name none; None where that cannot be known."""
    named, due = deadline.get("timezone"), deadline.get("due")
    zone: tzinfo | None = zone_of(named) if isinstance(named, str) else None
    if not isinstance(due, datetime) or not YEARS[0] <= due.year <= YEARS[1]:
        return None, zone
    if due.tzinfo is None:
        return (due.replace(tzinfo=zone) if zone else None), zone
    return due, zone or due.tzinfo


def zone_of(name: str) -> tzinfo | None:
    """A time zone by its name; None if there is none."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, a path, a folder of zones
        return None


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


def question_name(key: str) -> str:
    """A question as it is typed: "q3" is "3"; anything else as it is."""
    bare = key.removeprefix("q")
    return bare if bare in QUESTION_NAMES else key


@cache
def check_ids() -> tuple[str, ...]:
    """The names of all checks, from the text of the rubric: importing it takes seconds."""
    rubric = Path(__file__).resolve().parents[1] / "rubric"
    texts = (path.read_text(encoding="utf-8") for path in sorted(rubric.rglob("*.py")))
    return tuple(match[1] for text in texts for match in re.finditer(r'^    id="([^"]+)"', text, re.MULTILINE))


def columns_of(export: Exporting) -> tuple[tuple[Role, str], ...]:
    """Names of columns that were given, by role."""
    named = export.columns.model_dump(exclude_none=True)
    return tuple((role, named[role]) for role in get_args(Role) if role in named)
