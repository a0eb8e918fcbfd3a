"""A class of which nothing can be read goes through the command to the end: rows, reasons, exit codes. No worker runs."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import jsonschema
import pytest

from grader.classes import layout, trees
from grader.cli import main as cli
from grader.report.folder import RECORD, TABLE

from .conftest import ROOT
from .test_report import SCHEMA

FAST = ["--question", "2", "--no-trained", "--jobs", "1", "--seed", "3"]


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "gradebook.csv").open(newline="", encoding="utf-8-sig") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


def test_what_cannot_be_read_is_graded_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everyone = tmp_path / "class"
    for name in ("ann" * 50 + "1", "ann" * 50 + "2", "Jos\udce9", "bob"):
        (everyone / name).mkdir(parents=True)
    (everyone / "cy.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    (everyone / "dan.ipynb").write_text("{}")
    (everyone / "eve").symlink_to(everyone / "bob")
    (everyone / "grades.csv").write_text("")
    with zipfile.ZipFile(everyone / "fay.ZIP", "w") as archive:
        archive.writestr("vae (1).py", "")
        archive.writestr("\x1b[2J.py", "")
    data = (everyone / "fay.ZIP").read_bytes()
    (everyone / "gil.zip").write_bytes(data[:-9])
    out = everyone / "reports"
    assert cli.main(["grade", str(everyone), str(tmp_path / "nosuch"), "--out", str(out), *FAST]) == 0
    found = rows(out)
    assert len(found) == 10
    assert {"José", "bob", "cy", "dan", "eve", "fay", "gil", "nosuch"} < set(found)
    for row in found.values():
        assert float(row["score"]) == float(row["unjudged_points"]) == 0
    reports = [json.loads(path.read_text()) for path in out.glob("*/report.json")]
    assert len(reports) == 10
    for report in reports:
        jsonschema.validate(report, SCHEMA)
        assert report["problems"]
        assert not any("message" in check for check in report["checks"])  # it is said once
    shown = capsys.readouterr()
    assert "nosuch does not exist" in " ".join(shown.err.split())
    assert "passed over: grades.csv" in shown.err
    assert "\x1b[2J" not in shown.err + shown.out
    said = {report["submission"]: " ".join(report["problems"]) for report in reports}
    assert "did you mean vae.py?" in said["fay"]
    assert "is damaged" in said["gil"]
    assert cli.main(["grade", str(everyone), "--out", str(out), "--fresh", *FAST]) == 0
    assert set(rows(out)) == set(found) - {"nosuch"}  # the reports have not become a student


def test_what_is_not_the_students_fault_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = tmp_path / "class"
    for name in ("ann", "bob"):
        (everyone / name).mkdir(parents=True)
        (everyone / name / "vae.py").write_text("x = 1\n")

    def failing(path: Path) -> object:
        raise trees.DiskError("it cannot be read here (Input/output error)")

    monkeypatch.setattr(trees, "open_file", failing)
    out = tmp_path / "out"
    assert cli.main(["grade", str(everyone), "--out", str(out), *FAST]) == 3
    for row in rows(out).values():
        assert float(row["unjudged_points"]) == 8
        assert "Input/output error" in row["problems"]


def test_tables_and_reports_are_nobodys_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a shell makes it of class/*."""
    (tmp_path / "grades.csv").write_text("")
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "gradebook.csv").write_text("")
    (tmp_path / "ann").mkdir()
    paths = [str(tmp_path / name) for name in ("grades.csv", "older", "ann")]
    assert cli.main(["grade", *paths, "--out", str(tmp_path / "out"), *FAST]) == 0
    assert set(rows(tmp_path / "out")) == {"ann"}
    assert "passed over: grades.csv, older/ (reports of an earlier run)" in capsys.readouterr().err
    assert cli.main(["grade", *paths[:2], "--out", str(tmp_path / "none"), *FAST]) == 2
    assert "nothing is left to grade" in capsys.readouterr().err
    assert list((tmp_path / "none").iterdir()) == []


def test_checking_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(b"PK\3\4")
    assert cli.main(["check", str(path), "-q", "2", "--jobs", "1"]) == 2
    assert "mine.zip is damaged" in " ".join(capsys.readouterr().err.split())
    assert cli.main(["check", str(tmp_path / "nosuch")]) == 2


def test_the_reports_of_a_run_are_known_by_their_files() -> None:
    """The room that reads submissions imports nothing of the one that writes reports."""
    assert {TABLE, RECORD} == layout.REPORTS


def test_the_starter_lies_beside_the_grader() -> None:
    from grader.cli.plan import handed_out
    from grader.rubric import MODULES

    assert len(handed_out()) == len(MODULES)
    assert (ROOT / "starter").is_dir()
