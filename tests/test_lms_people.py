"""Whose mark it is: nobody gets another's, whatever a table says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grader.classes.people import Owner
from grader.report.lms import moodle
from grader.report.lms.matching import same_name, unlike

from .marked import BOB, HEAD, JANE, mark, person, read, row_of, sheet_of, why

# --- who gets what


def test_a_number_decides_before_a_name_and_two_of_one_name_stay_two() -> None:
    template = sheet_of(row_of(101, "Jane Doe"), row_of(102, "Jane Doe"))
    done = moodle.fill([mark(JANE, 10), mark(person("Jane Doe", "102"), 20)], template)
    assert [row[4] for row in read(done.content)[1:]] == ["10.00", "20.00"]
    done = moodle.fill([mark(person("Jane Doe"), 10)], template)
    assert done.content == template
    assert "lines 2, 3 have this name" in why(done)["Jane Doe"]


def test_a_name_counts_only_where_no_number_differs() -> None:
    template = sheet_of(row_of(101, "Jane Doe", email="jane@x.org"))
    assert moodle.fill([mark(person("Jane Doe"))], template).filled == 1
    assert moodle.fill([mark(person("JANE  DOE", email="Jane@X.org"))], template).filled == 1
    for owner in (person("Jane Doe", "999"), person("Jane Doe", email="other@x.org")):
        done = moodle.fill([mark(owner)], template)
        assert done.content == template
        assert "another" in done.left[0].why
    two = moodle.fill([mark(person("Jane Doe")), mark(replace(person("Jane Doe"), also={"section": "B"}))], template)
    assert two.content == template
    assert len(two.left) == 2


def test_a_number_of_another_system_neither_finds_nor_contradicts() -> None:
    template = sheet_of(row_of(101, "Jane Doe"), row_of(77, "Bob Roe"))
    done = moodle.fill([mark(person("Jane Doe", "77", "canvas"))], template)
    assert [row[4] for row in read(done.content)[1:]] == ["85.50", ""]


def test_the_worksheet_of_another_assignment_gives_nobody_anothers_mark() -> None:
    template = sheet_of(row_of(101, "Somebody Else"), row_of(102, "Bob Roe"))
    done = moodle.fill([mark(JANE), mark(BOB)], template)
    assert [row[4] for row in read(done.content)[1:]] == ["", "85.50"]
    assert "is it the table of this assignment" in why(done)["Jane Doe (101)"]


def test_numbers_that_disagree_with_each_other_are_said() -> None:
    template = sheet_of(row_of(101, "Jane Doe", email="jane@x.org"))
    done = moodle.fill([mark(person("Jane Doe", "101", email="other@x.org"))], template)
    assert "another e-mail address" in done.left[0].why
    assert done.content == template


def test_one_row_is_never_two_submissions() -> None:
    template = sheet_of(row_of(101, "Jane Doe", email="jane@x.org"))
    marks = [mark(JANE, 10), mark(person("Jane Doe", "5", "gradescope", email="jane@x.org"), 20)]
    done = moodle.fill(marks, template)
    assert done.content == template
    assert len(done.left) == 2
    assert all("several submissions" in left.why for left in done.left)
    again = moodle.fill([marks[0], replace(marks[0], points=20)], template)
    assert again.content == template
    assert len(again.left) == 2


def test_what_must_not_be_published_still_keeps_its_row_from_others() -> None:
    template = sheet_of(row_of(101, "Jane Doe"))
    open_case = mark(replace(person("Jane Doe"), also={"section": "1"}), unsettled="the grader failed on 3 checks")
    done = moodle.fill([open_case, mark(person("Jane Doe"))], template)
    assert done.content == template
    assert {left.why for left in done.left} >= {"the grader failed on 3 checks"}
    assert len(done.left) == 2


def test_a_group_goes_to_its_members_or_to_the_rows_that_name_it() -> None:
    head = HEAD.replace("Status", "Status,Group")
    rows = [row_of(n, name).replace("grading", f"grading,{group}")
            for n, name, group in ((101, "Jane Doe", "Team A"), (102, "Bob Roe", "Team A"), (103, "Al Poe", '"Team A, Team B"'),
                                   (104, "Eve Moe", "Team C"))]  # fmt: skip
    members = Owner("Team C", "9", "moodle", "group", members=(person("Eve Moe", "104"), person("Nobody", "105")))
    done = moodle.fill([mark(members)], sheet_of(*rows, head=head))
    assert [row[5] for row in read(done.content)[1:]] == ["", "", "", "85.50"]
    assert [left.who for left in done.left] == ["Nobody (105) of Team C (9)"]
    team = Owner("Team A", "101", "moodle", "group")
    done = moodle.fill([mark(team)], sheet_of(*rows[:2], rows[3], head=head))
    assert [row[5] for row in read(done.content)[1:]] == ["85.50", "85.50", ""]
    done = moodle.fill([mark(team)], sheet_of(*rows, head=head))
    assert done.content == sheet_of(*rows, head=head), "of somebody in two groups it is not known whose mark counts"
    assert len(done.left) == 1


def test_blind_marking_has_numbers_and_no_names() -> None:
    head = HEAD.replace("Full name,Email address,", "")
    row = "Participant 101,Submitted,,100.00,Yes,-,-,"
    done = moodle.fill([mark(Owner("Participant", "101", "moodle", "anonymous"))], sheet_of(row, head=head))
    assert done.filled == 1


@pytest.mark.parametrize(
    ("one", "other", "same", "strangers"),
    [
        ("Jane Doe", "jane  doe", True, False),
        ("Doe, Jane", "Jane Doe", True, False),
        ("doejane", "Doe, Jane", True, False),
        ("Doe Jane", "Jane Doe", False, False),
        ("O’Brien, Pat", "Pat O'Brien", True, False),
        ("José Núñez", "Jose\u0301 Nu\u0301n\u0303ez", True, False),
        ("José Núñez", "Jose Nunez", False, False),
        ("कि", "कु", False, True),
        ("张伟", "张伟", True, False),
        ("Jane Doe", "Bob Roe", False, True),
        ("", "", False, False),
        ("Participant", "", False, False),
    ],
)
def test_names(one: str, other: str, same: bool, strangers: bool) -> None:
    assert same_name(one, other) is same_name(other, one) is same
    assert unlike(one, other) is unlike(other, one) is strangers
