"""Whose marks move between two runs, by how much and through which check."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from grader.check.outcome import Outcome, Override, Status
from grader.cli.diff import print_changes
from grader.report import moves
from grader.report.changes import Changes, Entry, compare
from grader.report.write import to_json
from grader.rubric import CHECKS

from .test_report import full, report_of

BY_ID = {check.id: check for check in CHECKS}
FIRST, SECOND = (c for c in CHECKS if c.id in ("q2.standard.value", "q2.full.value"))
BONUS = next(c for c in CHECKS if c.bonus)
Found = Mapping[str, tuple[Status, float]]


def graded(name: str, found: Found | None = None, seed: int = 7) -> Entry:
    """A submission with full marks but for some checks."""
    given = {**(found or {})}
    outcomes = [Outcome(BY_ID[name], *given[name]) if name in given else o for o in full() for name in [o.check.id]]
    report = report_of(*outcomes, name=name)
    return Entry(replace(report, circumstances=replace(report.circumstances, seed=seed)), {"pca": name})


def lost(*names: str) -> Found:
    return dict.fromkeys(names, ("failed", 0.0))


def shown(changes: Changes, *, verbose: bool = False) -> str:
    file = io.StringIO()
    print_changes(Console(file=file, width=80, highlight=False), changes, verbose=verbose)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def class_of(*entries: Entry) -> dict[str, Entry]:
    return {f"name:{entry.report.submission}": entry for entry in entries}


@pytest.fixture(scope="module")
def changes() -> Changes:
    """Ann gains, Bob and Cy lose, Dan's marks change places, Eve stays, Fay is gone, Gil is new."""
    old = class_of(graded("ann", lost(FIRST.id)), graded("bob"), graded("cy"), graded("dan", lost(FIRST.id)),
                   graded("eve", {SECOND.id: ("failed", 0.0)}), graded("fay"))  # fmt: skip
    worth = FIRST.points - SECOND.points
    dan: Found = {SECOND.id: ("failed", 0.0)} if worth == 0 else {
        SECOND.id: ("partial", SECOND.points - min(FIRST.points, SECOND.points)),
        FIRST.id: ("partial", min(FIRST.points, SECOND.points)),
    }  # fmt: skip
    new = class_of(graded("ann"), graded("bob", lost(FIRST.id)), graded("cy", lost(FIRST.id, SECOND.id, BONUS.id)),
                   graded("dan", dan), graded("eve", {SECOND.id: ("timeout", 0.0)}), graded("gil"))  # fmt: skip
    return compare(old, new)


def test_everybody_is_counted_once_and_those_who_lose_most_come_first(changes: Changes) -> None:
    assert [(p.new.submission, p.direction) for p in changes.people] == [
        ("cy", "down"), ("bob", "down"), ("ann", "up"), ("dan", "aside"), ("eve", "same"),
    ]  # fmt: skip
    cy, bob, ann, dan, eve = changes.people
    assert cy.by == pytest.approx(-FIRST.points - SECOND.points - BONUS.points)
    assert (bob.by, ann.by, dan.by, eve.by) == (-FIRST.points, FIRST.points, 0, 0)
    assert [move.check.id for move in cy.moves] == [c.id for c in CHECKS if c in (FIRST, SECOND, BONUS)]
    assert (eve.moves, [move.check for move in eve.quiet]) == ((), [SECOND])
    assert ([one.report.submission for one in changes.new], [one.report.submission for one in changes.gone]) == (
        ["gil"], ["fay"],
    )  # fmt: skip
    assert moves.counts(changes) == "2 down, 1 up, 1 moved at the same sum, 1 same, 1 new, 1 gone"
    assert changes.any


def test_what_a_check_does_to_the_class_is_added_up(changes: Changes) -> None:
    found = {one.check.id: one for one in changes.through}
    assert (found[FIRST.id].down, found[FIRST.id].lost) == (2, 2 * FIRST.points)
    assert found[FIRST.id].up == 2
    assert (found[BONUS.id].down, found[BONUS.id].up, found[BONUS.id].gained) == (1, 0, 0)
    sums = [one.lost + one.gained for one in changes.through]
    assert sums == sorted(sums, reverse=True)


def test_the_terminal_says_who_moves_through_what_and_closes_with_the_counts(changes: Changes) -> None:
    text = shown(changes)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1] == moves.counts(changes)
    [bob] = [k for k, line in enumerate(lines) if line.startswith("bob: ")]
    assert lines[bob] == f"bob: 100 → {100 - FIRST.points:g}  -{FIRST.points:g}"
    assert f"{FIRST.id}  passed {FIRST.points:g} → failed 0" in lines[bob + 1]
    assert "eve" not in text
    assert "1 submission with other statuses that move no marks" in text
    assert "new: gil: 100 / 100" in text
    assert "gone: fay: 100 / 100" in text
    assert f"{SECOND.id}  failed 0 → timed out 0" in shown(changes, verbose=True)


def test_nothing_moves_between_a_run_and_itself() -> None:
    everybody = class_of(graded("ann", lost(FIRST.id)), graded("bob"))
    same = compare(everybody, everybody)
    assert not same.any
    assert (same.circumstances, same.through, shown(same)) == ((), (), "0 down, 0 up, 2 same")


def test_another_seed_is_said_on_top_and_moves_nothing_by_itself() -> None:
    both = compare(class_of(graded("ann", seed=3)), class_of(graded("ann", seed=4)))
    assert not both.any
    assert shown(both).splitlines()[0] == "not the same in both: seed 3 → 4"
    mixed = compare(class_of(graded("ann", seed=3)), class_of(graded("ann", seed=3), graded("bob", seed=4)))
    assert "seed 3 → 3, 4" in shown(mixed)


@pytest.mark.parametrize("status", ["not_run", "error"])
def test_a_mark_that_is_missing_in_one_of_the_runs_is_a_move(status: Status) -> None:
    """At the same points as well: an empty cell of the gradebook is no zero."""
    before, now = class_of(graded("ann", lost(FIRST.id))), class_of(graded("ann", {FIRST.id: (status, 0.0)}))
    both = compare(before, now)
    assert both.any
    assert both.count("aside") == 1
    assert f"judged 100 → {100 - FIRST.points:g}" in shown(both)
    assert both.through[0].other == 1


def test_checks_that_only_one_run_asked_for_are_said_on_top() -> None:
    third = {check.id: ("not_run", 0.0) for check in CHECKS if check.question == 3}
    both = compare(class_of(graded("ann", third)), class_of(graded("ann")))  # type: ignore[arg-type]
    first = shown(both).splitlines()[0]
    assert first == f"not the same in both: checks asked for {len(CHECKS) - len(third)} → {len(CHECKS)}"


def test_what_the_rubric_no_longer_holds_has_moved_marks() -> None:
    gone = Outcome(replace(FIRST, id="q2.gone", points=0.0), "passed", 1.5)
    entry = graded("ann")
    old = entry._replace(report=replace(entry.report, outcomes=(*entry.report.outcomes, gone)))
    both = compare(class_of(old), class_of(entry))
    assert [person.by for person in both.people] == [-1.5]
    assert "q2.gone  passed 1.5 → not run" in shown(both)
    assert both.through[0].check.id == "q2.gone"


def test_points_given_by_hand_are_told_as_such() -> None:
    override = Override(FIRST.points, "=the\nappeal", "tina", datetime(2026, 11, 30, tzinfo=UTC))
    entry = graded("ann", lost(FIRST.id))
    outcomes = tuple(o.overridden(override) if o.check is FIRST else o for o in entry.report.outcomes)
    both = compare(class_of(entry), class_of(entry._replace(report=replace(entry.report, outcomes=outcomes))))
    text = " ".join(shown(both).split())
    assert f"failed 0 → failed {FIRST.points:g} by hand tina: =the appeal" in text
    assert "NEW lacks" not in text
    back = compare(class_of(entry._replace(report=replace(entry.report, outcomes=outcomes))), class_of(entry))
    assert "points given by hand in OLD that NEW lacks: 1 check" in shown(back)
    [row] = csv.DictReader(io.StringIO(moves.as_csv(both)))
    assert (row["by_hand"], row["old_status"], row["new_status"]) == ("yes", "failed", "failed")


def test_many_checks_that_go_the_same_way_are_one_line() -> None:
    third = [check for check in CHECKS if check.question == 3]
    both = compare(class_of(graded("ann")), class_of(graded("ann", lost(FIRST.id, *(check.id for check in third)))))
    text = shown(both)
    assert f"question 3, {len(third)} checks  passed 8 → failed 0" in text
    assert f"{FIRST.id}  passed {FIRST.points:g} → failed 0" in text
    assert text.splitlines().index("through which check") == 4, "a name, two lines, and an empty one"
    listed = shown(both, verbose=True)
    assert all(f"{check.id}  passed" in listed for check in third)


def test_another_text_and_another_name_are_told() -> None:
    old, new = graded("ann", lost(FIRST.id)), graded("ann")
    moved = Entry(replace(new.report, submission="Ann B."), {"pca": "other"})
    text = shown(compare({"moodle:person:1": old}, {"moodle:person:1": moved}))
    assert "Ann B. (was ann)" in text
    assert "another text was handed in" in text


def test_two_classes_without_anybody_in_common_are_asked_about() -> None:
    text = shown(compare({"name:ann": graded("ann")}, {"moodle:person:1": graded("ann")}))
    assert "nobody is in both runs" in text


def test_json_and_csv_hold_all_of_it(changes: Changes) -> None:
    content = json.loads(to_json(moves.as_dict(changes)))
    assert content["counts"] == {"down": 2, "up": 1, "aside": 1, "same": 1, "new": 1, "gone": 1}
    assert content["moved"] is True
    assert [one["submission"] for one in content["submissions"]] == ["cy", "bob", "ann", "dan", "eve"]
    assert content["submissions"][1]["checks"][0]["old"] == {
        "status": "passed",
        "points": FIRST.points,
        "override": None,
    }
    rows = list(csv.DictReader(io.StringIO(moves.as_csv(changes))))
    assert sum(float(row["by"] or 0) for row in rows) == pytest.approx(sum(p.by for p in changes.people))
    assert [row["submission"] for row in rows if row["change"] in ("new", "gone")] == ["gil", "fay"]


def test_no_cell_of_the_table_is_a_formula() -> None:
    old = {"name:=1": graded("ann")}
    hostile = Entry(replace(graded("ann", lost(FIRST.id)).report, submission="=HYPERLINK(1)"), None)
    [row] = csv.DictReader(io.StringIO(moves.as_csv(compare(old, {"name:=1": hostile}))))
    assert row["submission"] == "'=HYPERLINK(1)"
    assert compare(old, {"name:=1": hostile}).people[0].same_text is None
