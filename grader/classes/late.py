"""What lateness takes off a mark. Verdicts know nothing of it: it is applied where marks are published.

Days are started days of 24 hours after the deadline, so that no change of clocks makes one longer. A time that is not
known is said, and costs nothing.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

from .moments import moment_in
from .people import Arrival, Owner

DAY = timedelta(days=1)
LONGEST_DAYS = 366
MAX_EXTENSIONS = 1 << 20  # bytes
WHO = ("student", "id", "email", "e-mail", "sid", "login")
UNTIL = ("deadline", "until", "due")
IGNORED = ("name", "note", "reason", "comment")
NUMBER = re.compile(r"\d{1,4}(?:[.,]\d{1,3})?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")

Unit = Literal["percent", "points"]
Base = Literal["maximum", "earned"]


@dataclass(frozen=True)
class Policy:
    """`per_day` and `cap` are percent of `base` or points; who comes within `grace` is in time, and who comes later is
    late from the deadline on."""

    due: datetime  # knows its time zone
    per_day: float
    unit: Unit = "percent"
    base: Base = "maximum"
    cap: float | None = None
    grace: timedelta = timedelta(0)


@dataclass(frozen=True)
class Extension:
    """More time for one student. `until` knows its time zone; `line` is where it stands in the table."""

    student: str
    line: int
    until: datetime


class Lateness(NamedTuple):
    """What lateness takes off. `said` is for the student, `listed` for whoever publishes marks."""

    taken: float = 0.0
    days: int = 0
    said: str = ""
    listed: str = ""


class Problem(NamedTuple):
    """What is wrong in a line of a file."""

    line: int
    what: str


@dataclass(frozen=True)
class Extensions:
    """Extensions by owner; `unused` says which of them belong to nobody, or to more than one."""

    by_owner: Mapping[str, Extension] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def lateness(policy: Policy, arrival: Arrival, points: float, most: float, extension: Extension | None) -> Lateness:
    """What comes off `points` of `most`: never more than there is."""
    due = policy.due if extension is None else max(policy.due, extension.until)
    if arrival.at is None:
        flagged = "the system calls it late, but " if arrival.late else ""
        return Lateness(listed=f"{flagged}when it came is not known: nothing was taken off for lateness")
    over = arrival.at.astimezone(UTC) - due.astimezone(UTC)  # within one zone Python would count by the clock
    if over <= policy.grace:
        odd = arrival.late and extension is None and over <= timedelta(0)
        return Lateness(
            listed="the system calls it late, but it came before the deadline that is configured" if odd else ""
        )
    days = math.ceil(over / DAY)
    share = days * policy.per_day if policy.cap is None else min(days * policy.per_day, policy.cap)
    if policy.unit == "percent":
        share *= (most if policy.base == "maximum" else max(points, 0.0)) / 100
    taken = round(min(share, max(points, 0.0)), 6)
    said = f"{length(over)} late (due {moment(due)}{', extended' if extension else ''}): {taken:g} points off"
    return Lateness(taken, days, said)


def moment(at: datetime) -> str:
    """A time with its zone."""
    return at.isoformat(" ", "minutes")


def length(span: timedelta) -> str:
    """A length of time in the largest units that say something: ``1 day 2 h``, ``35 min``."""
    minutes = math.ceil(span / timedelta(minutes=1))
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    parts = [f"{days} day{'s' if days > 1 else ''}"] if days else []
    parts += [f"{hours} h"] if hours else []
    parts += [f"{rest} min"] if rest and not days else []
    return " ".join(parts)


def localised(owner: Owner, arrival: Arrival, zone: tzinfo | None) -> Arrival:
    """The arrival with a time that the system's table gave without its zone, where the zone is known now. Of an hour
    that comes twice, the first one is taken: it is never the later one."""
    said = owner.also.get("submitted", "")
    if arrival.at is not None or zone is None or not said:
        return arrival
    at = moment_in(said)
    if at is None:
        return arrival
    return Arrival(at if at.tzinfo else at.replace(tzinfo=zone, fold=0), arrival.late)


def ids_of(owner: Owner) -> set[str]:
    """Everything that an extension may call an owner by: numbers and addresses, of members too, and no names."""
    found = {owner.id, *(owner.also.get(kind, "") for kind in ("email", "sid", "login"))}
    for member in owner.members:
        found |= ids_of(member)
    return {folded(text) for text in found if text.strip()}


def folded(text: str) -> str:
    """A number or an address without case and blanks."""
    return text.strip().casefold()


def matched(extensions: Sequence[Extension], owners: Iterable[Owner]) -> Extensions:
    """Extensions by the owner's key. A group has the longest one of its members."""
    known: dict[str, list[str]] = {}
    for owner in owners:
        for text in ids_of(owner):
            known.setdefault(text, []).append(owner.key)
    found: dict[str, Extension] = {}
    unused = []
    for extension in extensions:
        keys = known.get(folded(extension.student), [])
        if len(keys) != 1:
            who = "nobody who handed in" if not keys else f"{len(keys)} submissions"
            unused.append(f"extensions, line {extension.line}: {extension.student} is {who}: it was not used")
            continue
        [key] = keys
        found[key] = max(found.get(key, extension), extension, key=lambda one: one.until)
    return Extensions(found, tuple(unused))


def read_extensions(content: bytes, zone: tzinfo | None, due: datetime) -> tuple[list[Extension], list[Problem]]:
    """The table of extensions, and everything that is wrong in it.

    Columns: ``student`` (or ``id``, ``email``, ``sid``, ``login``), and ``days`` or ``deadline``; ``name``, ``note``,
    ``reason`` and ``comment`` are for people. Times without a zone are in `zone`.
    """
    if len(content) > MAX_EXTENSIONS:
        return [], [Problem(1, "it has more than 1 MB: give a table with a line per student")]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return [], [Problem(content[: error.start].count(b"\n") + 1, "it is not UTF-8: save it as CSV in UTF-8")]
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        return [], [Problem(reader.line_num, f"it is no CSV ({error}): look for a quote that is not closed")]
    if not rows:
        return [], [Problem(1, "it is empty: its first line has to name columns, student,days,deadline")]
    heads = [folded(cell) for cell in rows[0][1]]
    problems = [
        Problem(rows[0][0], f"{head!r} is no column of this table: use student, days, deadline or note")
        for head in heads
        if head not in (*WHO, "days", *UNTIL, *IGNORED)
    ]
    places = {"who": [at for at, head in enumerate(heads) if head in WHO],
              "days": [at for at, head in enumerate(heads) if head == "days"],
              "until": [at for at, head in enumerate(heads) if head in UNTIL]}  # fmt: skip
    if not places["who"]:
        problems.append(Problem(rows[0][0], "no column is student (or id, email, sid): name one so in the first line"))
    if not places["days"] and not places["until"]:
        problems.append(Problem(rows[0][0], "no column is days or deadline: name one so in the first line"))
    if problems:
        return [], problems
    found: list[Extension] = []
    seen: dict[str, int] = {}
    for line, row in rows[1:]:
        extension = read_row(line, row, places, zone, due)
        if isinstance(extension, Problem):
            problems.append(extension)
        elif (earlier := seen.setdefault(folded(extension.student), line)) != line:
            problems.append(Problem(line, f"{extension.student} has an extension in line {earlier} already: keep one"))
        else:
            found.append(extension)
    return found, problems


def read_row(
    line: int, row: Sequence[str], places: Mapping[str, Sequence[int]], zone: tzinfo | None, due: datetime
) -> Extension | Problem:
    """One line."""

    def texts(kind: str) -> list[str]:
        return [row[at].strip() for at in places[kind] if at < len(row) and row[at].strip()]

    who, days, until = texts("who"), texts("days"), texts("until")
    if not who:
        return Problem(line, "no student is named: give a number or an e-mail address")
    if len(days) + len(until) != 1:
        return Problem(line, f"{who[0]} has {'both days and a deadline' if days else 'neither days nor a deadline'}: "
                             "give one of them")  # fmt: skip
    if days:
        value = float(days[0].replace(",", ".")) if NUMBER.fullmatch(days[0]) else -1.0
        if not 0 < value <= LONGEST_DAYS:
            return Problem(line, f"{days[0]!r} is no number of days: give one from 0.1 to {LONGEST_DAYS}")
        return Extension(who[0], line, due + timedelta(days=value))  # by the clock: one day later, the same hour
    at = moment_of(until[0], zone)
    if isinstance(at, str):
        return Problem(line, at)
    if at < due:
        return Problem(
            line, f"{until[0]} is before the deadline of everybody, {moment(due)}: is the year or zone right?"
        )
    return Extension(who[0], line, at)


def moment_of(text: str, zone: tzinfo | None) -> datetime | str:
    """A time that knows its zone; or what is wrong with it."""
    try:
        if not MOMENT.fullmatch(text):
            raise ValueError
        at = datetime.fromisoformat(text)
    except ValueError:
        return f"{text!r} is no time: write one like 2026-12-03 23:59 or 2026-12-03T23:59-07:00"
    if at.tzinfo is not None:
        return at
    if zone is None:
        return f"{text!r} does not say its time zone: write 23:59-07:00, or say timezone in the configuration"
    odd = clocks(at, zone)
    return f"{text!r} {odd}" if odd else at.replace(tzinfo=zone)


def clocks(at: datetime, zone: tzinfo) -> str:
    """What is wrong with a time of the day on which the clocks change; nothing with all others. `at` has no zone."""
    first, second = (at.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return ""
    there = first.astimezone(UTC).astimezone(zone)
    if there.replace(tzinfo=None) == at.replace(fold=0):
        return f"comes twice, as the clocks go back then: say which is meant, {moment(first)} or {moment(second)}"
    return f"does not exist, as the clocks go forward then: write another time, {moment(there)} for one"
