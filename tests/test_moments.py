"""Times in Moodle's worksheet, in the languages in which it is downloaded."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from grader.classes.late import localised
from grader.classes.moments import MONTHS, moment_in
from grader.classes.people import Arrival, Owner

WHEN = datetime(2026, 11, 30, 16, 30)


@pytest.mark.parametrize(
    "text",
    ["Monday, 30 November 2026, 4:30 PM", "Monday, November 30, 2026, 4:30 PM", "Monday, 30 November 2026, 16:30",
     "Montag, 30. November 2026, 16:30", "lundi 30 novembre 2026, 16:30", "lunes, 30 de noviembre de 2026, 16:30",
     "segunda-feira, 30 de novembro de 2026, 16:30", "lunedì, 30 novembre 2026, 16:30", "maandag, 30 november 2026, 16:30",
     "poniedziałek, 30 listopada 2026, 16:30", "понедельник, 30 ноября 2026, 16:30", "2026年11月30日 16:30",
     "2026-11-30 16:30", "2026-11-30T16:30:00", "30 November 2026, 4:30 p.m."],
)  # fmt: skip
def test_a_time_in_words(text: str) -> None:
    assert moment_in(text) == WHEN


@pytest.mark.parametrize(
    "text",
    ["", "-", "yesterday", "30 November 2026", "4:30 PM", "30 Novemberish 2026, 4:30 PM", "31 November 2026, 4:30 PM",
     "30 November 2026, 16:30 PM", "30 November 2026, 25:30", "30 November 2026, 4:30 PM to 5:30 PM",
     "29 or 30 November 2026, 16:30", "30 October or November 2026, 16:30", "11/30/2026, 16:30"],
)  # fmt: skip
def test_what_is_not_certain_is_no_time(text: str) -> None:
    assert moment_in(text) is None


def test_noon_and_midnight() -> None:
    hours = {text: moment_in(f"1 May 2026, {text}") for text in ("12:05 AM", "12:05 PM", "11:59 PM")}
    assert [at.hour if at else None for at in hours.values()] == [0, 12, 23]


def test_every_language_has_twelve_months() -> None:
    assert all(len(names.split()) == 12 for names in MONTHS)


def test_moodles_time_counts_in_the_zone_of_the_configuration() -> None:
    owner = Owner("Jane Doe", "101", "moodle", also={"submitted": "Monday, 30 November 2026, 4:30 PM"})
    at = localised(owner, Arrival(), ZoneInfo("America/Edmonton")).at
    assert at is not None
    assert at.astimezone(UTC) == datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    assert localised(owner, Arrival(), None).at is None
