"""Mistakes in the configuration that no type shows: questions that do not exist, weights that do not add up, times that
are none.

`check_ids` reads the rubric's text, as importing it takes seconds; a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo, available_timezones

from ..classes.late import clocks, moment
from .options import QUESTION_NAMES
from .settings_form import near

TOTAL = 100.0  # what the weights of the regular questions add up to, as their points do
BONUS = "bonus"
YEARS = (1990, 2200)

Wrong = list[tuple[tuple[str, ...], str]]  # where something is wrong, as keys of the file, and what


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
        elif YEARS[0] <= due.year <= YEARS[1] and isinstance(zone, str) and (there := zone_of(zone)) is not None:
            wrong += [(("deadline", "due"), what) for what in clocks_wrong(due, zone, there)]
    elif isinstance(due, date):
        wrong.append((("deadline", "due"), f"deadline.due is {due} without a time of the day: write {due}T23:59:00"))
    return wrong


def clocks_wrong(due: datetime, name: str, zone: tzinfo) -> list[str]:
    """A deadline that the clocks of its zone do not show, or show twice; or with an offset of another season."""
    if due.tzinfo is None:
        odd = clocks(due, zone)
        return [f"deadline.due {due:%Y-%m-%d %H:%M} {odd}"] if odd else []
    there = due.astimezone(zone)
    if due.utcoffset() in (timedelta(0), there.utcoffset()):  # UTC is what many systems write
        return []
    return [f"deadline.due {moment(due)} is {moment(there)} in {name}: write the one that is meant"]


def due_of(deadline: Mapping[str, Any]) -> tuple[datetime | None, tzinfo | None]:
    """The deadline with its zone, and the zone of times that name none; None where that cannot be known."""
    named, due = deadline.get("timezone"), deadline.get("due")
    zone: tzinfo | None = zone_of(named) if isinstance(named, str) else None
    if not isinstance(due, datetime) or not YEARS[0] <= due.year <= YEARS[1]:
        return None, zone
    if due.tzinfo is None:
        return (due.replace(tzinfo=zone) if zone else None), zone
    return (due.astimezone(zone), zone) if zone else (due, due.tzinfo)


def zone_of(name: str) -> tzinfo | None:
    """A time zone by its name; None if there is none."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, a path, a folder of zones
        return None


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
