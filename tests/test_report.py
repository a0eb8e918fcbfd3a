"""Reports: valid, complete, and honest about what was not judged. No worker is needed to test them."""

from __future__ import annotations

import csv
import io
import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from grader.boundary.box import choose
from grader.check.credit import Measurement
from grader.check.outcome import Outcome, Override, Status
from grader.report import gradebook, gradescope, junit, markdown
from grader.report.cells import cell
from grader.report.model import Circumstances, Report, as_dict, complete
from grader.report.names import folder_name, unique_names
from grader.report.words import explanation
from grader.report.write import report_files, to_json, write_gradebook, write_report
from grader.rubric import CHECKS, QUESTIONS

SCHEMA = json.loads((Path(markdown.__file__).parent / "schema.json").read_text())
SANDBOX = choose("none").sandbox
STATUSES: tuple[Status, ...] = ("passed", "failed", "timeout", "memory", "crashed", "limit", "violation", "unimplemented", "skipped",
                                "not_run", "error")  # fmt: skip
HOSTILE = "a`b|c <script>alert(1)</script> [bold]x[/] \x00\x1b[31m ￾ \ud800"


def report_of(*outcomes: Outcome, name: str = "ann") -> Report:
    found = {outcome.check.id: outcome for outcome in outcomes}
    return Report(name, (), complete(found, QUESTIONS), Circumstances(7, "digits", "asked for", "cpu", 1, SANDBOX), 1.5)


def full() -> list[Outcome]:
    return [Outcome(check, "passed", check.points) for check in CHECKS]


def mixed() -> Report:
    outcomes = [
        Outcome(check, status, check.points if status == "passed" else 0.0, f"message {HOSTILE}", "what about it?", HOSTILE,
                HOSTILE, {"x": HOSTILE}, HOSTILE, {"mse": Measurement(math.nan, True, 0.1, 1.0)}, 0.25, HOSTILE)
        for check, status in zip(CHECKS, STATUSES * len(CHECKS), strict=False)
    ]  # fmt: skip
    return report_of(*outcomes, name=HOSTILE)


@pytest.mark.parametrize("report", [report_of(*full()), report_of(), mixed()], ids=["full", "empty", "mixed"])
def test_report_json_follows_its_schema(report: Report) -> None:
    content: dict[str, Any] = json.loads(to_json(as_dict(report)).encode())
    jsonschema.validate(content, SCHEMA)
    assert [check["id"] for check in content["checks"]] == [check.id for check in CHECKS]
    assert sum(c["max_points"] for c in content["checks"] if not c["bonus"]) == content["max_score"] == 100
    assert sum(c["points"] for c in content["checks"] if not c["bonus"]) == pytest.approx(content["score"])


def quick_only() -> Report:
    """A perfect submission graded with --no-trained."""
    return report_of(
        *(Outcome(c, "not_run", 0.0) if c.kind == "trained" else Outcome(c, "passed", c.points) for c in CHECKS)
    )


def test_what_was_not_run_is_no_zero() -> None:
    report = quick_only()
    trained = sum(c.points for c in CHECKS if c.kind == "trained" and not c.bonus)
    content = as_dict(report)
    assert content["judged_points"] == content["score"] == 100 - trained
    assert content["judged_bonus_points"] == content["bonus"] < 10
    words = f"{100 - trained:g} of {100 - trained:g} judged; {trained:g} not run"
    assert words in markdown.render(report)
    sheet = gradescope.render(report)
    assert words in sheet["output"]
    assert {test["status"] for test in sheet["tests"]} == {"passed"}
    assert sum(test["max_score"] for test in sheet["tests"]) == pytest.approx(sheet["score"])
    assert sheet["extra_data"]["not_run_points"] == content["not_run_points"]


def test_a_question_that_was_not_run_is_an_empty_cell() -> None:
    outcomes = [
        Outcome(c, "passed", c.points) if c.question == 2 and c.kind != "trained" else Outcome(c, "not_run", 0.0)
        for c in CHECKS
    ]
    [row] = csv.DictReader(io.StringIO(gradebook.render([report_of(*outcomes)])))
    assert (row["q2"], row["q2_judged"]) == ("8.0", "8.0")
    assert {row[f"q{n}"] for n in (1, 3, 4, 5, 6, 7, 8, 9, 10)} | {row["q_bonus"]} == {""}
    assert row["judged_points"] == row["score"] == "8.0"
    assert float(row["not_run_points"]) == 102


def test_a_check_has_its_number_within_its_question_whatever_is_run() -> None:
    numbers = {t["extra_data"]["id"]: t["number"] for t in gradescope.render(report_of(*full()))["tests"]}
    for question in QUESTIONS:
        label = question.number or "bonus"
        assert [numbers[c.id] for c in question.checks] == [f"{label}.{k}" for k in range(1, len(question.checks) + 1)]
    some = {t["extra_data"]["id"]: t["number"] for t in gradescope.render(quick_only())["tests"]}
    assert some.items() <= numbers.items()


def test_times_are_those_of_the_submission() -> None:
    outcomes = [Outcome(check, "passed", check.points, duration_s=0.5) for check in CHECKS]
    root = ET.fromstring(junit.render(report_of(*outcomes)))
    assert float(root.attrib["time"]) == pytest.approx(0.5 * len(CHECKS))
    assert sum(float(s.attrib["time"]) for s in root.findall("testsuite")) == pytest.approx(float(root.attrib["time"]))


def test_full_marks_and_nothing() -> None:
    best = report_of(*full())
    assert (best.score, best.bonus) == (100, 10)
    assert report_of().score == 0


def test_a_missing_outcome_is_a_grader_error_and_never_a_pass() -> None:
    report = report_of(*full()[1:])
    assert report.outcomes[0].status == "error"
    assert report.score == 100 - CHECKS[0].points
    assert report.points("error") == CHECKS[0].points
    assert "The grader failed" in markdown.render(report)
    assert "not your fault" in gradescope.render(report)["output"]


def test_junit_counts_and_parses_whatever_a_submission_says() -> None:
    report = mixed()
    root = ET.fromstring(junit.render(report).encode())
    cases = root.findall(".//testcase")
    assert len(cases) == len(CHECKS) == int(root.attrib["tests"])
    assert len(root.findall(".//error")) == int(root.attrib["errors"]) > 0
    assert len(root.findall(".//failure")) == int(root.attrib["failures"]) > 0
    points = sum(float(p.attrib["value"]) for p in root.findall(".//property[@name='points']"))
    assert points == pytest.approx(report.score + report.bonus)


def test_hidden_checks_keep_their_details_from_the_student() -> None:
    outcomes = [Outcome(c, "failed", 0.0, "SECRET", "hint?", "SECRET", "SECRET", {"x": "SECRET"}, "SECRET", looks="SECRET")
                for c in CHECKS if c.visibility == "hidden"]  # fmt: skip
    report = report_of(*[o for o in full() if o.check.visibility == "public"], *outcomes)
    assert "SECRET" not in markdown.render(report)
    rendered = gradescope.render(report)
    assert "SECRET" not in json.dumps(rendered)
    hidden = [test for test in rendered["tests"] if test["visibility"] != "visible"]
    assert len(hidden) == len(outcomes)
    assert "SECRET" in json.dumps(as_dict(report))


def test_a_failure_is_told_in_the_order_in_which_it_is_understood() -> None:
    [check] = [check for check in CHECKS if check.id == "q2.standard.value"]
    outcome = Outcome(
        check,
        "failed",
        0.0,
        "it is wrong",
        "why?",
        "1",
        "2",
        {"mu": "[0]"},
        "x",
        looks="twice the expected",
        call="f(mu)",
    )
    lines = explanation(outcome, for_student=True)
    assert [label for label, _ in lines] == [
        "asked", "found", "call", "input mu", "expected", "actual", "looks like", "think", "your code printed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("printed", "told"),
    [("x\n" * 30, "x  (printed 30 times)"), ("a\nb\n", "a\nb"), ("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "2\n3\n4\n5\n6\n7\n8\n9"),
     ("", ""), (" \n", ""), ("y" * 10**6, "y" * 600)],
)  # fmt: skip
def test_what_was_printed_is_told_in_short(printed: str, told: str) -> None:
    outcome = Outcome(CHECKS[0], "failed", 0.0, "wrong", printed=printed)
    assert dict(explanation(outcome, for_student=True)).get("your code printed", "") == told


def test_gradescope_always_says_the_status_and_adds_up() -> None:
    rendered = gradescope.render(mixed())
    assert {test["status"] for test in rendered["tests"]} == {"passed", "failed"}
    assert sum(test["score"] for test in rendered["tests"]) == pytest.approx(rendered["score"])
    assert all(test["score"] == 0 for test in rendered["tests"] if test["status"] == "failed")


def test_gradebook_is_a_table_without_formulas() -> None:
    reports = [report_of(*full(), name="=HYPERLINK(1)"), report_of(name="+bob, jr\n")]
    rows = list(csv.DictReader(io.StringIO(gradebook.render(reports))))
    assert [row["score"] for row in rows] == ["100.0", "0.0"]
    assert rows[0]["submission"] == "'=HYPERLINK(1)"
    assert rows[1]["submission"] == "'+bob, jr\n"
    for text in ("\n=1", "  =1", "\t=1", "\r=1", "＝1", "\u3000＋1", "\ufeff@x", "-1"):
        assert cell(text).startswith("'"), text
    for text in ("ann", "a=1", "ann-bob", "3.5", ""):
        assert cell(text) == text
    assert cell("read: a.py, =1+1, ＠b|-c;+d, e=f") == "read: a.py, '=1+1, '＠b|'-c;'+d, e=f"
    assert float(rows[0]["q8"]) == 16
    assert float(rows[0]["q_bonus"]) == 10


def test_files_on_disk(tmp_path: Path) -> None:
    report = report_of(*full(), name="../../ann b")
    folder = write_report(report, tmp_path)
    assert folder.parent == tmp_path
    assert sorted(path.name for path in folder.iterdir()) == [
        "junit.xml",
        "report.html",
        "report.json",
        "report.md",
        "results.json",
    ]
    assert write_gradebook([report], tmp_path).read_text().count("\n") == 2


def test_names_for_folders() -> None:
    assert folder_name("a/b\\c:d") == "a_b_c_d"
    assert folder_name("..") == "submission"
    assert unique_names(["ann", "Ann", "ann", "bob"]) == ["ann", "Ann-2", "ann-3", "bob"]
    assert folder_name("gradebook.csv") != "gradebook.csv"
    assert folder_name("CON") != "CON"
    assert folder_name("Jos\u00e9") == folder_name("Jose\u0301")


@pytest.mark.parametrize("letter", ["x", "é", "語", "𝒳", "/", "."])
def test_long_names_become_folders_of_their_own(letter: str) -> None:
    """The digest of a name takes part in its folder's, so that numbering always ends."""
    names = [letter * 101, letter * 101 + "a", letter * 101, letter * 5000, letter * 5000, "b" + letter * 5000]
    unique = unique_names(names)
    folders = [folder_name(name) for name in unique]
    assert unique == unique_names(names)
    assert len({folder.casefold() for folder in folders}) == len(names)
    assert all(0 < len(folder.encode()) <= 100 and folder == folder.strip(" .") for folder in folders)


def test_reports_of_what_could_not_be_read_are_valid_and_short() -> None:
    """The reason is said once, and not with every check: three hundred of them took 98 MB."""
    why = "a7.zip is damaged: " + "give another one " * 20
    outcomes = [Outcome(check, "failed", 0.0) for check in CHECKS]
    report = replace(report_of(*outcomes), problems=(why,), unread=True)
    files = report_files(report)
    content = json.loads(files["report.json"])
    jsonschema.validate(content, SCHEMA)
    assert [check["id"] for check in content["checks"]] == [check.id for check in CHECKS]
    assert sum(check["max_points"] for check in content["checks"] if not check["bonus"]) == 100
    assert sum(len(text.encode()) for text in files.values()) < 60_000
    for text in files.values():
        assert "a7.zip is damaged" in text
    tests = json.loads(files["results.json"])["tests"]
    assert sum(test["max_score"] for test in tests) == pytest.approx(110)
    assert {test["status"] for test in tests} == {"failed"}
    cases = ET.fromstring(files["junit.xml"]).findall(".//testcase")
    assert len(cases) == len(QUESTIONS)


def test_points_given_by_hand_for_what_could_not_be_read_are_shown() -> None:
    outcomes = [Outcome(check, "failed", 0.0) for check in CHECKS]
    outcomes[3] = outcomes[3].overridden(
        Override(0.5, "shown in office hours", "tina", datetime(2026, 1, 1, tzinfo=UTC))
    )
    report = replace(report_of(*outcomes), problems=("a7.zip is damaged",), unread=True)
    assert report.score == 0.5
    for name, text in report_files(report).items():
        assert "office hours" in text, name
