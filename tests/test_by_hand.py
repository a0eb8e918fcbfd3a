"""Points given by hand: they count everywhere, and every page says by whom, when and in place of what."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from grader.check.outcome import Outcome, Override, Status
from grader.cli import terminal
from grader.report import gradebook, gradescope, junit, markdown
from grader.report.model import Report, as_dict
from grader.report.words import hands
from grader.report.write import to_json
from grader.rubric import CHECKS

from .test_report import HOSTILE, SCHEMA, full, report_of

AT = datetime(2026, 11, 30, 21, 40, tzinfo=UTC)
PUBLIC = next(c for c in CHECKS if c.visibility == "public" and c.kind != "trained")
HIDDEN = next(c for c in CHECKS if c.visibility == "hidden" and c.kind != "trained" and c.question)


def given(points: float, comment: str = "seen in office hours") -> Override:
    return Override(points, comment, "tina", AT)


def with_one(outcome: Outcome, name: str = "ann") -> Report:
    """Full marks but for one check."""
    return report_of(*(outcome if o.check is outcome.check else o for o in full()), name=name)


def terminal_text(report: Report) -> str:
    file = io.StringIO()
    console = Console(file=file, width=80, highlight=False)
    terminal.print_grades(console, [report], Path("o"), Path("o/gradebook.csv"))
    return " ".join(file.getvalue().split())


def everything(report: Report) -> dict[str, str]:
    """What every renderer makes of it."""
    return {
        "json": to_json(as_dict(report)),
        "markdown": markdown.render(report),
        "junit": junit.render(report),
        "gradescope": to_json(gradescope.render(report)),
        "gradebook": gradebook.render([report]),
        "terminal": terminal_text(report),
    }


@pytest.mark.parametrize("check", [PUBLIC, HIDDEN], ids=["public", "hidden"])
def test_every_page_shows_points_given_by_hand_and_counts_them(check: Any) -> None:
    report = with_one(Outcome(check, "failed", 0.0, "SECRET").overridden(given(check.points)))
    assert report.score == 100
    for name, text in everything(report).items():
        assert "seen in office hours" in text, name
        assert "tina" in text, name
        assert "2026-11-30" in text, name
    if check is HIDDEN:
        assert "SECRET" not in markdown.render(report)
    [row] = csv.DictReader(io.StringIO(gradebook.render([report])))
    assert row["score"] == row["judged_points"] == "100.0"
    words = f"{check.points:g} instead of 0 points, tina, 2026-11-30 21:40 UTC: seen in office hours"
    assert row["overrides"] == f"{check.id}: {words}"
    content = as_dict(report)
    jsonschema.validate(json.loads(to_json(content)), SCHEMA)
    [entry] = [c for c in content["checks"] if c["id"] == check.id]
    assert (entry["status"], entry["points"]) == ("failed", check.points)
    assert entry["override"] == {
        "points": check.points, "instead_of": 0.0, "comment": "seen in office hours", "author": "tina",
        "at": "2026-11-30T21:40:00+00:00", "of_earlier": False,
    }  # fmt: skip
    [test] = [t for t in gradescope.render(report)["tests"] if t["extra_data"]["id"] == check.id]
    assert (test["status"], test["score"]) == ("passed", check.points)
    assert "by hand" in test["tags"]
    case = ET.fromstring(junit.render(report)).find(f".//testcase[@name='{check.id}']")
    assert case is not None
    properties = {p.attrib["name"]: p.attrib["value"] for p in case.findall(".//property")}
    assert properties["points"] == properties["override_points"] == f"{check.points:g}"
    assert properties["override_instead_of"] in ("0", "0.0")
    assert case.find("failure") is None, "all of the points are there"


def test_points_can_be_taken_by_hand() -> None:
    report = with_one(Outcome(PUBLIC, "passed", PUBLIC.points).overridden(given(0.0, "copied from a neighbour")))
    assert report.score == 100 - PUBLIC.points
    for name, text in everything(report).items():
        assert "copied from a neighbour" in text, name
    [test] = [t for t in gradescope.render(report)["tests"] if t["extra_data"]["id"] == PUBLIC.id]
    assert (test["status"], test["score"]) == ("failed", 0)
    root = ET.fromstring(junit.render(report))
    assert root.find(f".//testcase[@name='{PUBLIC.id}']/failure") is not None
    assert root.attrib["failures"] == "1"
    assert f"- [ ] **{markdown.prose(PUBLIC.title)}** (0 / {PUBLIC.points:g}, passed)" in markdown.render(report)


@pytest.mark.parametrize("status", ["error", "not_run"])
def test_what_had_no_mark_has_one_once_it_is_given(status: Status) -> None:
    before = with_one(Outcome(PUBLIC, status, 0.0))
    assert before.regular.judged == 100 - PUBLIC.points
    after = with_one(Outcome(PUBLIC, status, 0.0).overridden(given(0.5)))
    assert after.regular.judged == 100
    assert after.regular.earned == after.score == 100 - PUBLIC.points + 0.5
    assert (after.faults, after.points("error"), after.points("not_run")) == ((), 0, 0)
    for name, text in everything(after).items():
        assert "seen in office hours" in text, name


def test_the_last_points_given_count_and_can_be_taken_back() -> None:
    verdict = Outcome(PUBLIC, "partial", 0.25)
    twice = verdict.overridden(given(1.0)).overridden(given(0.5, "on second thought"))
    assert (twice.earned, twice.override) == (0.5, Override(0.5, "on second thought", "tina", AT, 0.25))
    assert twice.overridden(None) == verdict
    assert verdict.overridden(None) == verdict


def test_points_given_for_an_earlier_text_say_so() -> None:
    earlier = Override(0.5, "seen in office hours", "tina", AT, of_earlier=True)
    for name, text in everything(with_one(Outcome(PUBLIC, "failed", 0.0).overridden(earlier))).items():
        assert "handed in before" in text or "of_earlier" in text, name


def test_a_comment_is_nothing_but_text() -> None:
    report = with_one(Outcome(HIDDEN, "failed", 0.0).overridden(Override(0.5, HOSTILE + "\n=1+1", HOSTILE, AT)))
    pages = everything(report)
    for name, text in pages.items():
        assert "\x1b" not in text, name
        assert "\x00" not in text, name
        text.encode()
    ET.fromstring(pages["junit"].encode())
    jsonschema.validate(json.loads(pages["json"]), SCHEMA)
    lines = [line for line in pages["markdown"].splitlines() if "alert(1)" in line]
    assert lines
    assert all(line.count("``") >= 2 for line in lines), "as code, with a fence that the backtick in it cannot end"
    assert "[bold]" in pages["terminal"]
    assert len(list(csv.reader(io.StringIO(pages["gradebook"])))) == 2


def test_the_table_of_a_class_marks_rows_with_points_given_by_hand() -> None:
    changed = with_one(Outcome(PUBLIC, "failed", 0.0).overridden(given(0.5)), name="ann")
    file = io.StringIO()
    terminal.print_class(Console(file=file, width=80, highlight=False), [changed, report_of(*full(), name="bob")])
    [ann] = [line for line in file.getvalue().splitlines() if "ann" in line]
    [bob] = [line for line in file.getvalue().splitlines() if "bob" in line]
    assert "/ 100*" in ann
    assert "*" not in bob
    assert "* with points given by hand, for 1 check in all" in " ".join(file.getvalue().split())
    assert (hands(changed), hands(report_of(*full()))) == ("1 check was given 0.5 points by hand", "")
