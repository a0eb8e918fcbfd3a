"""Downloads of Moodle as they really arrive. Every mark has its owner, and nobody is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.classes import moodle
from grader.classes.ingest import read_class

from .handed_in import MODULES, mapped, packed, work, written
from .twelve import FORMS, canvas_files, expected, expected_of_canvas, moodle_flat, moodle_folders


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", ["folders", "folders before 4.1", "flat"])
def test_moodles_twelve(tmp_path: Path, layout: str, form: str) -> None:
    files = {"folders": moodle_folders(), "folders before 4.1": moodle_folders("_"), "flat": moodle_flat()}[layout]
    reading = read_class([FORMS[form](tmp_path, files)], MODULES)
    assert mapped(reading) == expected()
    for submission in reading.submissions:
        assert submission.owner is not None
        assert (submission.owner.system, submission.owner.kind) == ("moodle", "person")
        assert submission.name == f"{submission.owner.name}_{submission.owner.id}"
        assert submission.arrival.at is None
    said = {s.owner.id: " ".join(s.problems) for s in reading.submissions if s.owner}
    assert "a7.7z was not opened: pack the folder as .zip" in said["1234573"]
    assert "none of the expected files" in said["1234577"]
    assert reading.passed_over == ()


@pytest.mark.parametrize(
    "file",
    [
        "vae.py",
        "Bob Li_2_assignsubmission_file_vae.py",
        "1_2_3.zip",
        "_x_.zip",
        "a7 (1).zip",
        "assignsubmission_file_.zip",
        "-1.zip",
        "7.zip",
    ],
)
def test_an_attached_file_may_have_any_name(tmp_path: Path, file: str) -> None:
    content = "owner = 'ann'\n" if file.endswith(".py") else packed(work("ann"))
    files: dict[str, str | bytes] = {f"Ann Lee_11_assignsubmission_file_{file}": content}
    files |= moodle_flat((("Cy Ray", "12", "files"),))
    assert moodle.parsed(f"Ann Lee_11_assignsubmission_file_{file}") == moodle.Named("Ann Lee", "11", "file", file)
    got = mapped(read_class([written(tmp_path / "flat", files)], MODULES))
    assert got == {
        ("Ann Lee", "11"): "ann" if file != "Bob Li_2_assignsubmission_file_vae.py" else "",
        ("Cy Ray", "12"): "12",
    }


def test_blind_marking_groups_and_online_texts(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        **work("p1", "Participant_501_assignsubmission_file/"), **work("p2", "Participant_502_assignsubmission_file/"),
        **work("g1", "Group 1_31_assignsubmission_file/"), **work("g2", "Team Ω_32_assignsubmission_file/"),
        **work("none", "Default group_assignsubmission_file/"), **work("old", "Group 3-Ann Lee_503_assignsubmission_file/"),
        "Participant_501_assignsubmission_onlinetext/onlinetext.html": "<p>hello",
        "Participant_504_assignsubmission_onlinetext_/onlinetext.html": "<p>hello",
        "Participant_505_assignsubmission_onlinetext_onlinetext.html": "<p>hello",
    }  # fmt: skip
    reading = read_class([written(tmp_path, files)], MODULES)
    assert mapped(reading) == {
        ("Participant", "501"): "p1", ("Participant", "502"): "p2", ("Group 1", "31"): "g1", ("Team Ω", "32"): "g2",
        ("Default group", ""): "none", ("Group 3-Ann Lee", "503"): "old", ("Participant", "504"): "", ("Participant", "505"): "",
    }  # fmt: skip
    kinds = {s.owner.id: s.owner.kind for s in reading.submissions if s.owner}
    assert (kinds["501"], kinds["31"], kinds["32"], kinds[""]) == ("anonymous", "group", "group", "group")
    said = {s.owner.id: " ".join(s.problems) for s in reading.submissions if s.owner}
    assert "an online text was handed in too" in said["501"]
    for number in ("504", "505"):
        assert "only an online text was handed in, which is not read" in said[number]


@pytest.mark.parametrize("word", ["Participant", "Teilnehmerin", "参加者", "Πρόσωπο"])
def test_a_hidden_name_in_any_language_is_nobodys(tmp_path: Path, word: str) -> None:
    files = {
        f"{word}_{i}_assignsubmission_file/{name}": text for i in range(1, 5) for name, text in work(str(i)).items()
    }
    reading = read_class([written(tmp_path, files)], MODULES)
    assert mapped(reading) == {(word, str(i)): str(i) for i in range(1, 5)}
    assert {s.owner.kind for s in reading.submissions if s.owner} == {"anonymous"}


def test_the_folders_of_a_download_given_one_by_one(tmp_path: Path) -> None:
    """As a shell makes it of class/*."""
    for layout, files in {"a": moodle_folders(), "b": moodle_flat(), "c": canvas_files()}.items():
        root = written(tmp_path / layout, files)
        reading = read_class(sorted(root.iterdir()), MODULES)
        assert mapped(reading) == (expected_of_canvas() if layout == "c" else expected())
    one = tmp_path / "a" / "Jane Doe_1234567_assignsubmission_file"
    assert mapped(read_class([one], MODULES)) == {("Jane Doe", "1234567"): "1234567"}
    one = tmp_path / "b" / "Jane Doe_1234567_assignsubmission_file_a7.zip"
    assert mapped(read_class([one], MODULES)) == {("Jane Doe", "1234567"): "1234567"}


def test_what_is_given_beside_the_folders_of_a_download_is_not_lost(tmp_path: Path) -> None:
    root = written(tmp_path, {**moodle_folders(), **work("late", "Late Larry/")})
    reading = read_class([*sorted(root.iterdir()), root / "no such folder"], MODULES)
    assert mapped(reading) == expected() | {("Late Larry", ""): "late", ("no such folder", ""): ""}
    assert "does not exist" in reading.submissions[-1].problems[0]


def test_moodles_worksheet_is_read_for_what_it_says(tmp_path: Path) -> None:
    head = (
        "Identifier,Full name,ID number,Email address,Status,Group,Grade,Last modified (submission),Feedback comments"
    )
    lines = [
        'Participant 1234567,Jane Doe,S1,jane@x.ca,Submitted for grading,Lab 1,,"Monday, 30 November 2026, 9:02 PM",',
        "Participant 1234568,Bob O'Neil,S2,bob@x.ca,Submitted for grading - 2 hours late,Lab 2,,-,",
        "Participant 1234569,Somebody Else,S3,else@x.ca,Submitted for grading,Lab 2,,-,",
        "Participant 99,Nora Nothing,S9,nora@x.ca,No submission,Lab 2,,-,",
    ]
    sheet = "\ufeff" + "\r\n".join([head, *lines])
    root = written(
        tmp_path / "class", {**moodle_folders(), "Grades-CMPUT328-A7-98765.csv": sheet, "other.csv": "a,b\n1,2\n"}
    )
    outside = written(tmp_path / "sheet", {"worksheet.csv": sheet.replace(",", ";")}) / "worksheet.csv"
    (root / "again.csv").write_bytes(sheet.encode("utf-16"))
    for paths in ([root], [written(tmp_path / "bare", moodle_folders()), outside]):
        reading = read_class(paths, MODULES)
        assert mapped(reading) == expected()
        rows = {s.owner.id: s for s in reading.submissions if s.owner}
        jane, bob, zoe = (rows[number] for number in ("1234567", "1234568", "1234569"))
        assert jane.owner
        assert {**jane.owner.also, "submitted": ""} | {"section": ""} == {
            "sid": "S1", "email": "jane@x.ca", "group": "Lab 1", "submitted": "", "section": ""}  # fmt: skip
        assert jane.arrival.late is None
        assert bob.arrival.late is True
        assert zoe.owner
        assert "email" not in zoe.owner.also
        assert any("for Somebody Else" in problem for problem in zoe.problems)
        assert any("1 who handed in nothing: Nora Nothing" in note for note in reading.notes)
        assert reading.consulted
    assert read_class([root], MODULES).passed_over == ("other.csv",)


def test_moodles_worksheet_may_be_in_another_language(tmp_path: Path) -> None:
    sheet = ("\ufeffID;Vollständiger Name;E-Mail-Adresse;Status;Bewertung\r\n"
             "Teilnehmer/in 1234567;Jane Doe;jane@x.ca;Zur Bewertung abgegeben - 2 Tage verspätet;\"1,5\"\r\n"
             "Teilnehmer/in 1234568;Bob O'Neil;bob@x.ca;Zur Bewertung abgegeben;-\r\n")  # fmt: skip
    root = written(tmp_path, {"CMPUT328-A7-98765.zip": packed(moodle_folders()), "Bewertungen.csv": sheet})
    reading = read_class([root], MODULES)
    assert mapped(reading) == expected()
    rows = {s.owner.id: (s.owner.also.get("email"), s.arrival.late) for s in reading.submissions if s.owner}
    assert (rows["1234567"], rows["1234568"]) == (("jane@x.ca", True), ("bob@x.ca", None))
    assert reading.consulted == ("Bewertungen.csv",)


# Canvas


@pytest.mark.parametrize(
    "item",
    [
        "Jane Doe_x_assignsubmission_file",
        "_1_assignsubmission_file",
        "Jane_Doe_1_assignsubmission_file",
        "assignsubmission_file",
        "Jane_1_assignfeedback_file",
    ],
)
def test_names_that_are_not_moodles(item: str) -> None:
    assert moodle.parsed(item) is None
