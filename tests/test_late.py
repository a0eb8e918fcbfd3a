"""What lateness takes off: by the day, up to a cap, with grace and extensions, and never on a guess."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.classes.late import (
    Extension,
    Policy,
    lateness,
    localised,
    matched,
    read_extensions,
)
from grader.classes.people import Arrival, Owner

EDMONTON = ZoneInfo("America/Edmonton")
DUE = datetime(2026, 11, 30, 23, 59, tzinfo=EDMONTON)
POLICY = Policy(DUE, 10.0)


def after(
    policy: Policy = POLICY, points: float = 80.0, extension: Extension | None = None, **span: float
) -> tuple[float, int]:
    found = lateness(policy, Arrival(DUE + timedelta(**span)), points, 100.0, extension)
    return found.taken, found.days


@pytest.mark.parametrize(
    ("span", "expected"),
    [({"days": -1}, (0, 0)), ({"seconds": 0}, (0, 0)), ({"seconds": 1}, (10, 1)), ({"days": 1}, (10, 1)),
     ({"days": 1, "seconds": 1}, (20, 2)), ({"days": 7, "hours": 23}, (80, 8)), ({"days": 30}, (80, 30))],
)  # fmt: skip
def test_every_started_day_counts_and_never_more_than_there_is(
    span: dict[str, float], expected: tuple[float, int]
) -> None:
    found = lateness(POLICY, Arrival(DUE + timedelta(**span)), 80.0, 100.0, None)
    assert (found.taken, found.days) == expected


def test_cap_unit_and_base() -> None:
    assert after(replace(POLICY, cap=30.0), days=9) == (30, 9)
    assert after(replace(POLICY, base="earned"), days=2) == (16, 2)
    assert after(replace(POLICY, unit="points", per_day=2.5, cap=6.0), days=2) == (5, 2)
    assert after(replace(POLICY, unit="points", per_day=2.5, cap=6.0), days=3) == (6, 3)
    assert after(points=0.0, days=3) == (0, 3)


def test_who_comes_after_the_grace_is_late_from_the_deadline_on() -> None:
    graceful = replace(POLICY, grace=timedelta(minutes=30))
    assert after(graceful, minutes=30) == (0, 0)
    assert after(graceful, minutes=31) == (10, 1)
    assert after(graceful, days=1, minutes=20) == (20, 2)


def test_time_zones_are_compared_as_moments() -> None:
    same = DUE.astimezone(timezone(timedelta(hours=9)))
    assert lateness(POLICY, Arrival(same), 80, 100, None).taken == 0
    assert lateness(POLICY, Arrival(same.replace(tzinfo=UTC)), 80, 100, None).taken == 10


def test_a_day_has_24_hours_when_the_clocks_change() -> None:
    spring = Policy(datetime(2026, 3, 7, 12, 0, tzinfo=EDMONTON), 10.0)  # the night after has 23 hours
    noon = datetime(2026, 3, 8, 13, 0, tzinfo=EDMONTON)
    assert lateness(spring, Arrival(noon), 80, 100, None).days == 1
    assert lateness(spring, Arrival(noon + timedelta(minutes=1)), 80, 100, None).days == 2


def test_what_is_not_known_costs_nothing_and_is_listed() -> None:
    unknown = lateness(POLICY, Arrival(), 80, 100, None)
    assert (unknown.taken, unknown.days) == (0, 0)
    assert "not known" in unknown.listed
    flagged = lateness(POLICY, Arrival(late=True), 80, 100, None)
    assert flagged.taken == 0
    assert flagged.listed.startswith("the system calls it late")
    odd = lateness(POLICY, Arrival(DUE, late=True), 80, 100, None)
    assert odd.taken == 0
    assert "calls it late" in odd.listed


def test_the_student_reads_why() -> None:
    assert lateness(POLICY, Arrival(DUE + timedelta(hours=26)), 80, 100, None).said == (
        "1 day 2 h late (due 2026-11-30 23:59-07:00): 20 points off"
    )


def test_extensions_move_the_deadline_of_one() -> None:
    two = Extension("101", 2, DUE + timedelta(days=2))
    assert after(extension=two, days=2) == (0, 0)
    assert after(extension=two, days=2, seconds=1) == (10, 1)
    until = Extension("101", 2, DUE + timedelta(days=5))
    assert after(extension=until, days=5) == (0, 0)
    assert "extended" in lateness(POLICY, Arrival(DUE + timedelta(days=3)), 80, 100, two).said


def test_extensions_find_owners_by_number_or_address_and_never_two() -> None:
    jane = Owner("Jane", "101", "moodle", also={"email": "Jane@x.org"})
    bob = Owner("Bob", "7", "moodle", also={"sid": "102"})
    odd = Owner("Odd", "102", "moodle")
    team = Owner("Team", "9", "moodle", "group", members=(Owner("A", "201", "moodle"), Owner("B", "202", "moodle")))
    next_day = DUE + timedelta(days=1)
    given = [Extension("jane@X.org", 2, next_day), Extension("102", 3, next_day), Extension("Bob", 4, next_day),
             Extension("201", 5, DUE + timedelta(days=3)), Extension("202", 6, next_day)]  # fmt: skip
    found = matched(given, [jane, bob, odd, team])
    assert found.by_owner == {jane.key: given[0], team.key: given[3]}
    assert found.unused == (
        "extensions, line 3: 102 is 2 submissions: it was not used",
        "extensions, line 4: Bob is nobody who handed in: it was not used",
    )


def test_a_table_of_extensions() -> None:
    table = "\ufeffemail;days;deadline;note\r\nj@x.org;1,5;;ill\r\n\r\nb@x.org;;2026-12-03 12:00;\r\n"
    found, problems = read_extensions(table.encode(), EDMONTON, DUE)
    assert problems == []
    assert found == [
        Extension("j@x.org", 2, DUE + timedelta(days=1.5)),
        Extension("b@x.org", 4, datetime(2026, 12, 3, 12, tzinfo=EDMONTON)),
    ]


def test_a_day_more_ends_at_the_same_hour_when_the_clocks_change() -> None:
    due = datetime(2026, 10, 31, 23, 59, tzinfo=EDMONTON)  # the night after has 25 hours
    [extension], problems = read_extensions(b"student,days\n101,1\n", EDMONTON, due)
    assert problems == []
    assert extension.until.isoformat() == "2026-11-01T23:59:00-07:00"
    last = Arrival(datetime(2026, 11, 2, 6, 59, tzinfo=UTC))
    assert lateness(Policy(due, 10.0), last, 80, 100, extension).taken == 0
    assert lateness(Policy(due, 10.0), Arrival(datetime(2026, 11, 2, 7, 0, tzinfo=UTC)), 80, 100, extension).days == 1


@pytest.mark.parametrize(
    ("table", "line", "told"),
    [
        (b"", 1, "empty"),
        (b"student,days\n\xff", 2, "UTF-8"),
        (b"student,days,dayz\n", 1, "'dayz' is no column"),
        (b"name,days\nJane,1\n", 1, "no column is student"),
        (b"student,note\n101,x\n", 1, "no column is days or deadline"),
        (b"student,days\n101,\n", 2, "neither days nor a deadline"),
        (b"student,days,deadline\n101,1,2026-12-03 12:00\n", 2, "both days and a deadline"),
        (b"student,days\n101,-1\n", 2, "'-1' is no number of days"),
        (b"student,days\n101,999\n", 2, "'999' is no number of days"),
        (b"student,days\n,1\n", 2, "no student is named"),
        (b"student,days\n101,1\n101,2\n", 3, "has an extension in line 2 already"),
        (b"student,deadline\n101,3 December\n", 2, "'3 December' is no time"),
        (b"student,deadline\n101,2026-12-03\n", 2, "is no time: write one like 2026-12-03 23:59"),
        (b"student,deadline\n101,2026-13-03 12:00\n", 2, "is no time"),
        (b"student,deadline\n101,2025-12-03 12:00\n", 2, "is before the deadline of everybody"),
        (b"student,deadline\n101,2027-03-14 02:30\n", 2, "does not exist, as the clocks go forward then"),
        (
            b"student,deadline\n101,2027-11-07 01:30\n",
            2,
            "say which is meant, 2027-11-07 01:30-06:00 or 2027-11-07 01:30-07:00",
        ),
        (b'student,days\n"101,1\n', 2, "a quote that is not closed"),
    ],
)
def test_mistakes_in_a_table_of_extensions(table: bytes, line: int, told: str) -> None:
    _, [problem] = read_extensions(table, EDMONTON, DUE)
    assert (problem.line, told in problem.what) == (line, True), problem


def test_a_time_without_a_zone_is_refused_where_none_is_configured() -> None:
    _, [problem] = read_extensions(b"student,deadline\n101,2026-12-03 12:00\n", None, DUE)
    assert "time zone" in problem.what


def test_a_time_of_the_systems_table_is_in_the_zone_that_is_configured() -> None:
    owner = Owner("Jane", "101", "gradescope", also={"submitted": "2026-12-01 00:30:00"})
    assert localised(owner, Arrival(), None) == Arrival()
    assert localised(owner, Arrival(late=True), EDMONTON) == Arrival(
        datetime(2026, 12, 1, 0, 30, tzinfo=EDMONTON), True
    )
    assert localised(replace(owner, also={"submitted": "yesterday"}), Arrival(), EDMONTON) == Arrival()
    assert localised(owner, Arrival(DUE), EDMONTON) == Arrival(DUE)
    twice = replace(owner, also={"submitted": "2026-11-01 01:30:00"})
    earlier = localised(twice, Arrival(), EDMONTON).at
    assert earlier is not None
    assert earlier.astimezone(UTC) == datetime(2026, 11, 1, 7, 30, tzinfo=UTC)


@settings(deadline=None)
@given(st.floats(-100, 2000), st.floats(0, 110), st.floats(0, 100), st.none() | st.floats(0, 100))
def test_later_is_never_better_and_nothing_goes_below_zero(
    hours: float, points: float, per_day: float, cap: float | None
) -> None:
    policy = Policy(DUE, per_day, cap=cap)
    now = lateness(policy, Arrival(DUE + timedelta(hours=hours)), points, 100, None).taken
    then = lateness(policy, Arrival(DUE + timedelta(hours=hours + 1)), points, 100, None).taken
    assert 0 <= now <= then <= points + 1e-6
    assert cap is None or then <= cap + 1e-6
