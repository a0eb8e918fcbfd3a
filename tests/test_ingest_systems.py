"""Downloads of Moodle, Canvas and Gradescope as they really arrive. Every mark has its owner, and nobody is guessed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grader.classes import canvas, moodle
from grader.classes.ingest import read_class

from .handed_in import MODULES, Files, mapped, owner_in, packed, work, written

SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"
# name, number and how it was handed in
TWELVE = (
    ("Jane Doe", "1234567", "zip"), ("Bob O'Neil", "1234568", "files"), ("Zoë Ng-Müller", "1234569", "nested zip"),
    ("Олена Шевченко", "1234570", "ZIP"), ("李明", "1234571", "files"), ("Jane Doe", "1234572", "files"),
    ("Anna-Maria de la Cruz", "1234573", "7z"), ("R2 D2 3", "1234574", "zip in zip"), ("Jose", "1234575", "tar"),
    ("José", "1234576", "litter"), ("X", "1234577", "empty zip"), ("Ivan Petrov Jr.", "1234578", "subfolder"),
)  # fmt: skip
NOTHING = ("7z", "empty zip")


def handed_in(number: str, how: str) -> dict[str, str | bytes]:
    """The files that a student attaches."""
    litter = {"__MACOSX/a7/._vae.py": "\0", "a7/.DS_Store": "x", "a7/._vae.py": "\0"}
    forms: dict[str, dict[str, str | bytes]] = {
        "zip": {"a7.zip": packed(work(number, "a7/"))},
        "nested zip": {"my work (final)_v2.zip": packed(work(number, "CMPUT 328/a7/src/"))},
        "ZIP": {"A7.ZIP": packed(work(number))},
        "files": work(number),
        "7z": {"a7.7z": SEVEN_ZIP},
        "zip in zip": {"a7.zip": packed({"inner/a7.zip": packed(work(number))})},
        "tar": {"a7.tar.gz": packed(work(number, "a7/"), "tar")},
        "litter": {"a7.zip": packed({**work(number, "a7/"), **litter})},
        "empty zip": {"a7.zip": packed({})},
        "subfolder": work(number, "src/"),
    }
    return forms[how]


def expected(students: tuple[tuple[str, str, str], ...] = TWELVE) -> dict[tuple[str, str], str]:
    return {(name, number): "" if how in NOTHING else number for name, number, how in students}


def moodle_folders(tail: str = "", students: tuple[tuple[str, str, str], ...] = TWELVE) -> dict[str, str | bytes]:
    return {
        f"{name}_{number}_assignsubmission_file{tail}/{file}": content
        for name, number, how in students
        for file, content in handed_in(number, how).items()
    }


def moodle_flat(students: tuple[tuple[str, str, str], ...] = TWELVE) -> dict[str, str | bytes]:
    return {
        f"{name}_{number}_assignsubmission_file_{file.rpartition('/')[2]}": content
        for name, number, how in students
        for file, content in handed_in(number, how).items()
    }


def plain_class() -> dict[str, str | bytes]:
    return {
        f"{name} {number}/{file}": content
        for name, number, how in TWELVE
        for file, content in handed_in(number, how).items()
    }


FORMS: Mapping[str, Callable[[Path, Files], Path]] = {
    "folder": lambda root, files: written(root / "CMPUT328-A7-98765", files),
    "zip": lambda root, files: written(root, {"CMPUT328-A7-98765.zip": packed(files)}) / "CMPUT328-A7-98765.zip",
    "zip in a folder": lambda root, files: written(root / "evening", {"CMPUT328-A7-98765.zip": packed(files)}),
    "zip in a zip": lambda root, files: written(
        root, {"all.zip": packed({"downloads/CMPUT328-A7-98765.zip": packed(files)})}) / "all.zip",
    "folder of its own name": lambda root, files: written(
        root / "CMPUT328-A7-98765", {f"CMPUT328-A7-98765/{name}": content for name, content in files.items()}),
    "packed again on Windows": lambda root, files: written(
        root, {"again.zip": packed({"CMPUT328-A7-98765\\" + name.replace("/", "\\"): content for name, content in files.items()})}
    ) / "again.zip",
    "packed again on a Mac": lambda root, files: written(
        root, {"mac.zip": packed({**{f"class/{name}": content for name, content in files.items()},
                                  **{f"__MACOSX/class/._{name}": "\0" for name in files}, "class/.DS_Store": ""})}) / "mac.zip",
    "tar": lambda root, files: written(root, {"class.tar.gz": packed(files, "tar")}) / "class.tar.gz",
    "beside its zip": lambda root, files: written(
        root / "x", {"CMPUT328-A7-98765.zip": packed(files),
                     **{f"CMPUT328-A7-98765/{name}": content for name, content in files.items()}}),
}  # fmt: skip


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


def canvas_name(name: str) -> str:
    words = name.split(" ")
    return "".join(c for c in (words[-1] + "".join(words[:-1])).lower() if c.isalnum())


def canvas_files(students: tuple[tuple[str, str, str], ...] = TWELVE) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {}
    for index, (name, number, how) in enumerate(students):
        late = "_LATE" if index % 3 == 0 else ""
        for place, (file, content) in enumerate(handed_in(number, how).items()):
            files[f"{canvas_name(name)}{late}_{number}_{60000 + 10 * index + place}_{file.rpartition('/')[2]}"] = (
                content
            )
    return files


def expected_of_canvas() -> dict[tuple[str, str], str]:
    return {(canvas_name(name), number): text for (name, number), text in expected().items()}


@pytest.mark.parametrize("form", FORMS)
def test_canvass_twelve(tmp_path: Path, form: str) -> None:
    reading = read_class([FORMS[form](tmp_path, canvas_files())], MODULES)
    assert mapped(reading) == expected_of_canvas()
    late = [s.arrival.late for s in reading.submissions if s.owner and s.owner.id in {n for _, n, _ in TWELVE[::3]}]
    assert late == [True] * 4
    assert sum(s.arrival.late is False for s in reading.submissions) == 8
    assert reading.passed_over == ()


def test_what_was_handed_in_again_on_canvas(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "leeann_101_5001_gaussians-1.py": "owner = 'new'\n", "leeann_101_5002_vae.py": "owner = 'new'\n", "leeann_101_4001_gaussians.py": "owner = 'old'\n",
        "raycy_102_5003_a7-2.zip": packed(work("cy")), "raycy_102_4002_a7.zip": packed(work("older cy")),
        "li_103_5004_vae-3.py": "owner = 'li'\n", "li_103_5005_gaussians-12.py": "owner = 'li'\n",
        "o_104_5006_part-1.zip": packed({"gaussians.py": "owner = 'o'\n"}), "o_104_5007_part-2.zip": packed(work("o")),
    }  # fmt: skip
    reading = read_class([written(tmp_path, files)], MODULES)
    assert mapped(reading) == {("leeann", "101"): "new", ("raycy", "102"): "cy", ("li", "103"): "li", ("o", "104"): "o"}
    said = {s.name: " ".join(s.problems) for s in reading.submissions}
    assert "gaussians.py was handed in more than once: the last one, gaussians-1.py, counts" in said["leeann_101"]
    assert "a7.zip was handed in more than once: the last one, a7-2.zip, counts" in said["raycy_102"]
    assert said["li_103"] == ""


def test_names_on_canvas_that_mislead(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "12345_201_60001_a7.zip": packed(work("number")), "leeann_202_60002_1234567_a7.zip": packed(work("ann")),
        "group_3_203_60003_a7.zip": packed(work("group 3")), "group_4_LATE_204_60004_2_a7.zip": packed(work("group 4")),
        "de_la_cruz_205_60005_my_final_a7_2.zip": packed(work("cruz")), "шевченко_206_60006_a7.zip": packed(work("cyrillic")),
        "anon_aB3xY_60007_a7.zip": packed(work("hidden")), "anon_LATE_99887_60008_a7.zip": packed(work("hidden too")),
        "LATE_anon_Zz9_60009_a7.zip": packed(work("hidden, late")), "late_207_60010_a7.zip": packed(work("late")),
        "wu_208_text.html": "<p>hello", "wo_209_link.html": "<p>hello", "wo_209_60011_a7.zip": packed(work("wo")),
        "bo_210_60012_a7/vae.py": "owner = 'bo'\n",
    }  # fmt: skip
    reading = read_class([written(tmp_path, files)], MODULES)
    assert mapped(reading) == {
        ("12345", "201"): "number", ("leeann", "202"): "ann", ("group_3", "203"): "group 3", ("group_4", "204"): "group 4",
        ("de_la_cruz", "205"): "cruz", ("шевченко", "206"): "cyrillic", ("anon", "aB3xY"): "hidden", ("anon", "99887"): "hidden too",
        ("anon", "Zz9"): "hidden, late", ("late", "207"): "late", ("wu", "208"): "", ("wo", "209"): "wo", ("bo", "210"): "bo",
    }  # fmt: skip
    late = {s.owner.id for s in reading.submissions if s.owner and s.arrival.late}
    assert late == {"204", "99887", "Zz9"}
    assert {s.owner.id for s in reading.submissions if s.owner and s.owner.kind == "anonymous"} == {
        "aB3xY",
        "99887",
        "Zz9",
    }


def test_groups_alone_on_canvas(tmp_path: Path) -> None:
    files = {f"group_{i}_{500 + i}_{9000 + i}_a7.zip": packed(work(str(i))) for i in range(1, 4)}
    assert mapped(read_class([written(tmp_path, files)], MODULES)) == {
        (f"group_{i}", str(500 + i)): str(i) for i in range(1, 4)
    }


@pytest.mark.parametrize("names", [("smith_2024_11_a7.zip", "jones_2024_11_a7.zip"), ("smith_20261120_1200_a7.zip", "jones_20261121_1100_a7.zip"),
                                   ("smith_2024_11_a7.zip",), ("Smith_1_2_a7.zip", "Jones_3_4_a7.zip"), ("a_1_2_x.zip", "b_1_3_y.zip")])  # fmt: skip
def test_names_that_only_look_like_canvass(tmp_path: Path, names: tuple[str, ...]) -> None:
    root = written(tmp_path / "class", {name: packed(work(name)) for name in names})
    found = read_class([root], MODULES).submissions
    assert {s.name: owner_in(s) for s in found} == {name.removesuffix(".zip"): name for name in names}
    assert all(s.owner is not None and s.owner.system == "" for s in found)


def test_canvass_table_is_read_for_what_it_says(tmp_path: Path) -> None:
    table = ("Student,ID,SIS User ID,SIS Login ID,Section,A7 (4711)\n    Points Possible,,,,,100\n"
             "\"Doe, Jane\",1234567,S1,jdoe,LEC A1,\n\"O'Neil, Bob\",1234568,S2,bob,LEC A2,\n\"Other, Name\",1234569,S3,x,LEC A2,\n"
             "\"Absent, Al\",1,S4,al,LEC A2,\n\"Student, Test\",,,,LEC A2,\n")  # fmt: skip
    reading = read_class([written(tmp_path, {**canvas_files(), "2026-11-30T2100_Grades-CMPUT.csv": table})], MODULES)
    names = {s.owner.id: s.owner for s in reading.submissions if s.owner}
    assert (names["1234567"].name, names["1234568"].name, names["1234569"].name) == (
        "Doe, Jane",
        "O'Neil, Bob",
        "ngmüllerzoë",
    )
    assert names["1234567"].also == {"sid": "S1", "login": "jdoe", "section": "LEC A1"}
    assert reading.consulted == ("2026-11-30T2100_Grades-CMPUT.csv",)
    assert any("1 who handed in nothing: Absent, Al" in note for note in reading.notes)
    assert {s.owner.id: owner_in(s) for s in reading.submissions if s.owner} == {
        n: t for (_, n), t in expected().items()
    }


# Gradescope

HEAD = "---\n"


def gradescope_files(top: str = "", students: tuple[tuple[str, str, str], ...] = TWELVE) -> dict[str, str | bytes]:
    table = HEAD
    files: dict[str, str | bytes] = {}
    for index, (name, number, how) in enumerate(students):
        folder = f"submission_{7000 + index}"
        table += (f"{folder}:\n  :submitters:\n  - :name: {name!r}\n    :sid: '{number}'\n    :email: s{number}@x.ca\n"
                  f"  :created_at: 2026-11-{10 + index} 17:57:36.123456789 Z\n  :score: 0.0\n  :status: processed\n"
                  "  :results:\n    tests:\n    - score: 1\n")  # fmt: skip
        files |= {f"{top}{folder}/{file}": content for file, content in handed_in(number, how).items()}
    table = table.replace('"Bob O\'Neil"', "Bob O'Neil")
    return {**files, f"{top}submission_metadata.yml": table}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("top", ["", "assignment_4711_export/"])
def test_gradescopes_twelve(tmp_path: Path, form: str, top: str) -> None:
    reading = read_class([FORMS[form](tmp_path, gradescope_files(top))], MODULES)
    assert mapped(reading) == expected()
    jane = reading.submissions[0]
    assert jane.owner is not None
    assert jane.owner.also["email"] == "s1234567@x.ca"
    assert jane.owner.also["submission"] == "submission_7000"
    assert jane.arrival.at == datetime(2026, 11, 10, 17, 57, 36, 123456, UTC)
    assert set(reading.consulted) == {"submission_metadata.yml"}
    assert reading.passed_over == ()


def test_gradescopes_groups_and_people_without_numbers(tmp_path: Path) -> None:
    table = """---
submission_1:
  :submitters:
  - :name: Ann Lee
    :sid: '0012'
    :email: ann@x.ca
  - :name: Bo Li
    :sid: ''
    :email: BO@x.ca
  :created_at: !ruby/object:ActiveSupport::TimeWithZone
    utc: 2026-11-10 17:57:36.5 Z
    zone: &1 !ruby/object:ActiveSupport::TimeZone
      name: America/Edmonton
    time: 2026-11-10 10:57:36.5
submission_2:
  :submitters:
  - :name: Cy Ray
    :sid:
    :email: ~
  :created_at: 2026-11-10 10:57:36 -07:00
submission_3:
  :submitters:
  - :name: Cy Ray
    :email: cy2@x.ca
  :created_at: 2026-11-10 10:57:36
submission_4:
  :submitters: []
submission_5:
  :submitters:
  - :name: Gone Girl
    :sid: 5
submission_7:
  :submitters:
  - :name: Ann Lee
    :sid: '0012'
  :created_at: 2026-11-11 10:57:36 Z
submission_8:
  :submitters:
  - :name: Di Fu
    :sid: 8
  :created_at: 2026-11-11 10:57:36 Z
submission_9:
  :submitters:
  - :name: Di Fu
    :sid: 8
  :created_at: 2026-11-11 10:57:35 Z
"""
    files: dict[str, str | bytes] = {"submission_metadata.yml": table}
    for number in (1, 2, 3, 4, 6, 7, 8, 9):
        files |= work(str(number), f"submission_{number}/")
    reading = read_class([written(tmp_path / "assignment_1_export", files)], MODULES)
    assert mapped(reading) == {
        ("Ann Lee, Bo Li", "0012+bo@x.ca"): "1", ("Cy Ray", "submission_2"): "2", ("Cy Ray", "cy2@x.ca"): "3",
        ("submission_4", ""): "4", ("Gone Girl", "5"): "", ("submission_6", ""): "6", ("Ann Lee", "0012"): "7", ("Di Fu", "8"): "8",
    }  # fmt: skip
    rows = {s.owner.name + s.owner.id: s for s in reading.submissions if s.owner}
    group = rows["Ann Lee, Bo Li0012+bo@x.ca"]
    assert group.owner is not None
    assert group.owner.kind == "group"
    assert [(one.name, one.id) for one in group.owner.members] == [("Ann Lee", "0012"), ("Bo Li", "bo@x.ca")]
    assert group.arrival.at == datetime(2026, 11, 10, 17, 57, 36, 500000, UTC)
    assert rows["Cy Raysubmission_2"].arrival.at == datetime(2026, 11, 10, 17, 57, 36, 0, UTC)
    assert rows["Cy Raycy2@x.ca"].arrival.at is None
    assert rows["Gone Girl5"].fault.endswith("no such folder is there: download the submissions again")
    assert "nothing says whose submission_6 is" in rows["submission_6"].problems[-1]
    assert any(
        "Ann Lee is in several submissions of different groups (submission_1, submission_7)" in n for n in reading.notes
    )
    assert [(one.by, one.origin.rpartition("/")[2]) for one in reading.superseded] == [("Di Fu_8", "submission_9")]


@pytest.mark.parametrize("table", ["", "just text", "- 1\n- 2\n", "a: [", "\x00", "x: " + "[" * 20000, "x: !!python/object/apply:os.system [touch pwned]\n",
                                   "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "b\xff"])  # fmt: skip
def test_a_table_of_gradescope_that_cannot_be_read_names_nobody(tmp_path: Path, table: str) -> None:
    root = written(tmp_path, {**work("1", "submission_1/"), **work("2", "submission_2/")})
    (root / "submission_metadata.yml").write_bytes(table.encode("latin-1"))
    reading = read_class([root], MODULES)
    assert mapped(reading) == {("submission_1", ""): "1", ("submission_2", ""): "2"}
    assert all("nothing says whose" in s.problems[-1] for s in reading.submissions)
    assert not Path("pwned").exists()


# plain classes, sections, and what is mixed


@pytest.mark.parametrize("form", FORMS)
def test_a_plain_classs_twelve(tmp_path: Path, form: str) -> None:
    reading = read_class([FORMS[form](tmp_path, plain_class())], MODULES)
    got = {s.name.rpartition("/")[2]: owner_in(s) for s in reading.submissions}
    assert got == {f"{name} {number}": text for (name, number), text in expected().items()}


def test_sections_with_one_name_twice(tmp_path: Path) -> None:
    files = {"sec1/Jane Doe.zip": packed(work("first")), "sec2/Jane Doe.zip": packed(work("second"))}
    root = written(tmp_path / "class", files)
    for paths in (
        [root],
        [root / "sec1", root / "sec2"],
        [root / "sec1" / "Jane Doe.zip", root / "sec2" / "Jane Doe.zip"],
    ):
        reading = read_class(paths, MODULES)
        assert {s.name: owner_in(s) for s in reading.submissions} == {
            "sec1/Jane Doe": "first",
            "sec2/Jane Doe": "second",
        }
        assert [s.owner.name for s in reading.submissions if s.owner] == ["Jane Doe"] * 2
        assert [s.owner.also["section"] for s in reading.submissions if s.owner] == ["sec1", "sec2"]
        assert len({s.owner.key for s in reading.submissions if s.owner}) == 2
        assert [s.origin.endswith(f"sec{i}/Jane Doe.zip") for i, s in enumerate(reading.submissions, 1)] == [True, True]


@pytest.mark.parametrize(
    "sections", [("sec1", "sec2"), ("Lab A", "Lab B"), ("lab1", "lab2"), ("LEC-A1", "LEC-B1"), ("monday", "tuesday")]
)
@pytest.mark.parametrize("form", ["zips", "folders", "moodle", "canvas", "moodle zips"])
def test_sections_of_any_kind(tmp_path: Path, sections: tuple[str, str], form: str) -> None:
    files: dict[str, str | bytes] = {}
    for index, section in enumerate(sections):
        name, number = ("Ann Lee", "Bo Li")[index], str(7001 + index)
        text = work(number)
        if form == "zips":
            files[f"{section}/{name}.zip"] = packed(text)
        elif form == "folders":
            files |= work(number, f"{section}/{name}/")
        elif form == "moodle":
            files |= work(number, f"{section}/{name}_{number}_assignsubmission_file/")
        elif form == "canvas":
            files |= {
                f"{section}/{canvas_name(name)}_{number}_{80000 + i}_{file}": c
                for i, (file, c) in enumerate(text.items())
            }
        else:
            files[f"CMPUT328-A7-{section}-99.zip"] = packed(work(number, f"{name}_{number}_assignsubmission_file/"))
    reading = read_class([written(tmp_path / "class", files)], MODULES)
    assert [owner_in(s) for s in reading.submissions] == ["7001", "7002"]
    names = [s.owner.name for s in reading.submissions if s.owner]
    assert names == (["leeann", "libo"] if form == "canvas" else ["Ann Lee", "Bo Li"])
    for section, submission in zip(sections, reading.submissions, strict=True):
        assert submission.owner is not None
        assert section in submission.owner.also["section"]


def test_one_with_files_and_one_with_a_zip(tmp_path: Path) -> None:
    for index, files in enumerate(({**work("ann", "ann/"), "bob/bob.zip": packed(work("bob"))}, {**work("ann", "ann/"), "bob.zip": packed(work("bob"))},
                                   {**work("ann", "ann/"), "bob/a7.zip": packed(work("bob"))}, {"ann.py": "", **work("ann", "Ann Lee/"), "Bob Li/final.zip": packed(work("bob", "a7/"))})):  # fmt: skip
        for form in ("folder", "zip"):
            reading = read_class([FORMS[form](tmp_path / f"{index}{form}", files)], MODULES)
            got = {s.name.partition(" ")[0].casefold(): owner_in(s) for s in reading.submissions if s.sources}
            assert got == {"ann": "ann", "bob": "bob"}


def test_a_folder_given_three_times_is_read_once(tmp_path: Path) -> None:
    root = written(tmp_path / "class", moodle_folders())
    link = tmp_path / "link"
    link.symlink_to(root)
    spellings = [
        root,
        Path(os.path.relpath(root)),
        root / ".." / "class",
        link,
        Path(str(root) + "/"),
        root / "Jane Doe_1234567_assignsubmission_file",
    ]
    for paths in (spellings, spellings[::-1]):
        reading = read_class(paths, MODULES)
        assert mapped(reading) == expected()
        assert len(reading.notes) == 1
        assert reading.notes[0].startswith("given more than once and read once: ")
    plain = written(tmp_path / "plain", {**work("ann", "ann/"), "bob.zip": packed(work("bob"))})
    reading = read_class([plain, plain / "ann", plain / "bob.zip", plain], MODULES)
    assert {s.name: owner_in(s) for s in reading.submissions} == {"ann": "ann", "bob": "bob"}


def test_the_newest_of_several_counts(tmp_path: Path) -> None:
    """Two downloads of one assignment, of which the later one has what was handed in again."""
    early = written(tmp_path, {"tuesday-1.zip": packed(moodle_folders())}) / "tuesday-1.zip"
    again = {f"Jane Doe_1234567_assignsubmission_file/{name}": text for name, text in work("newer jane").items()}
    files = moodle_folders(students=TWELVE[1:]) | again
    later = written(tmp_path, {"thursday-1.zip": packed(files, when=(2026, 11, 22, 9, 0, 0))}) / "thursday-1.zip"
    for paths in ([early, later], [later, early]):
        reading = read_class(paths, MODULES)
        assert mapped(reading) == expected() | {("Jane Doe", "1234567"): "newer jane"}
        whys = {one.by: one.why for one in reading.superseded}
        assert len(whys) == 12
        assert whys["Jane Doe_1234567"] == "older by the times of its files"
        assert set(whys.values()) == {"the same text", "older by the times of its files"} | {whys["X_1234577"]}


def test_where_nothing_says_which_is_newer_nothing_counts(tmp_path: Path) -> None:
    zips = [
        written(tmp_path, {f"{day}.zip": packed(work(day, "Jane Doe_7_assignsubmission_file/"))}) / f"{day}.zip"
        for day in ("mon", "tue")
    ]
    [row] = read_class(zips, MODULES).submissions
    assert row.sources == {}
    assert row.fault.startswith("handed in 2 times, and nothing says which came last: give one of them (mon.zip/")
    assert row.owner is not None
    assert row.owner.id == "7"


def test_of_two_archives_of_one_student_the_newer_counts(tmp_path: Path) -> None:
    files = {"Ann Lee_1_assignsubmission_file/a7.zip": packed(work("newer"), when=(2026, 11, 30, 9, 0, 0)),
             "Ann Lee_1_assignsubmission_file/a7_v2.zip": packed(work("older"), when=(2026, 11, 29, 9, 0, 0))}  # fmt: skip
    [row] = read_class([written(tmp_path, files)], MODULES).submissions
    assert owner_in(row) == "newer"
    assert row.problems == ("read from a7.zip/, not from a7_v2.zip/",)


def test_one_number_with_two_names_is_two_people(tmp_path: Path) -> None:
    files = {**work("ann", "Ann Lee_7_assignsubmission_file/"), **work("bob", "Bob Li_7_assignsubmission_file/")}
    reading = read_class([written(tmp_path, files)], MODULES)
    assert mapped(reading) == {("Ann Lee", "7"): "ann", ("Bob Li", "7"): "bob"}
    assert all("the number 7 has 2 names" in s.problems[-1] for s in reading.submissions)


def test_names_that_are_one_but_for_accents_stay_two(tmp_path: Path) -> None:
    files = {
        **work("a", "Jose\u0301 Li_7_assignsubmission_file/"),
        **work("b", "Jos\u00e9 Li_8_assignsubmission_file/"),
        **work("c", "jose li_9_assignsubmission_file/"),
    }
    reading = read_class([written(tmp_path, files)], MODULES)
    assert mapped(reading) == {("José Li", "7"): "a", ("José Li", "8"): "b", ("jose li", "9"): "c"}


def test_what_is_not_the_systems_beside_a_download(tmp_path: Path) -> None:
    files = {**moodle_folders(), "notes.txt": "", "Grades.xlsx": "", "Jane Doe_1234567_assignfeedback_file/a.pdf": "", **work("late", "Late Larry/"), "extra.zip": packed(work("extra")),
             "more/": "", "CMPUT328-A7-98765.zip": packed(moodle_folders())}  # fmt: skip
    reading = read_class([written(tmp_path / "class", files)], MODULES)
    assert mapped(reading) == expected() | {("Late Larry", ""): "late", ("extra", ""): "extra", ("more", ""): ""}
    assert set(reading.passed_over) == {"notes.txt", "Grades.xlsx", "Jane Doe_1234567_assignfeedback_file"}
    assert {one.why for one in reading.superseded} == {"the same text", "nothing in it, either"}
    assert len(reading.superseded) == 12


def test_a_student_cannot_bring_others_work_into_a_class(tmp_path: Path) -> None:
    """What looks like a download inside one student's work is that student's, whatever names it has."""
    forged = packed(
        {**work("forged", "Ann Lee_1_assignsubmission_file/"), **work("forged", "Cy Ray_2_assignsubmission_file/")}
    )
    files = {**work("ann", "ann/"), **work("dan", "dan/"), "bob.zip": forged, "eve/downloads.zip": forged}
    root = written(tmp_path / "class", files)
    for paths in ([root], sorted(root.iterdir())):
        for submission in read_class(paths, MODULES).submissions:
            assert submission.owner is not None
            assert submission.owner.system == ""
            assert owner_in(submission) != "forged" or submission.name.startswith(("bob", "eve"))
    called = {"ann-lee-12.zip": forged, "bob-li-13.zip": packed(work("bob")), "cy-ray-14.zip": packed(work("cy"))}
    got = read_class([written(tmp_path / "called", called)], MODULES)
    assert {s.owner.system for s in got.submissions if s.owner} == {""}
    handed = {"Bob Li_5_assignsubmission_file/a7.zip": forged, **work("cy", "Cy Ray_2_assignsubmission_file/")}
    reading = read_class([written(tmp_path / "moodle", handed)], MODULES)
    assert mapped(reading) == {("Bob Li", "5"): "forged", ("Cy Ray", "2"): "cy"}


def test_texts_that_are_the_same_are_named(tmp_path: Path) -> None:
    files = {
        **work("x", "Ann Lee_1_assignsubmission_file/"),
        **work("x", "Bo Li_2_assignsubmission_file/"),
        **work("y", "Cy Ray_3_assignsubmission_file/"),
    }
    files["Bo Li_2_assignsubmission_file/vae.py"] = "owner = 'x'  \r\n\r\n"
    reading = read_class([written(tmp_path, files)], MODULES)
    assert reading.duplicates == (("Ann Lee_1", "Bo Li_2"),)
    assert len(reading.submissions) == 3


def test_a_teams_folder_for_each_member_is_the_members(tmp_path: Path) -> None:
    """Before 4.1: the team's name, a hyphen, then the member's name and number."""
    names = {
        "501": "Group 3-Bo Li",
        "502": "Alpha-Anna-Maria Ray",
        "503": "Group 4-Participant",
        "504": "Group 4-Cy Wu",
    }
    files = {f"{name}_{number}_assignsubmission_file_/{file}": text
             for number, name in names.items() for file, text in work(number).items()}  # fmt: skip
    alone = {
        s.owner.id: s.owner for s in read_class([written(tmp_path / "alone", files)], MODULES).submissions if s.owner
    }
    assert {number: owner.name for number, owner in alone.items()} == names
    assert {number: owner.kind for number, owner in alone.items()} == {
        "501": "person", "502": "person", "503": "anonymous", "504": "person"}  # fmt: skip
    sheet = "Identifier,Full name,Email address\nParticipant 501,Bo Li,bo@x.ca\nParticipant 502,Anna-Maria Ray,am@x.ca\nParticipant 504,Other Wu,o@x.ca\n"
    reading = read_class([written(tmp_path / "sheet", {**files, "Grades.csv": sheet})], MODULES)
    assert mapped(reading) == {
        ("Bo Li", "501"): "501", ("Anna-Maria Ray", "502"): "502", ("Group 4-Participant", "503"): "503", ("Group 4-Cy Wu", "504"): "504",
    }  # fmt: skip
    also = {s.owner.id: s.owner.also for s in reading.submissions if s.owner}
    assert also["501"] == {"group": "Group 3", "email": "bo@x.ca"}
    assert also["502"] == {"group": "Alpha", "email": "am@x.ca"}
    assert also["504"] == {}


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_one_download_of_everything(tmp_path: Path, form: str) -> None:
    """What three systems and two sections have handed out, side by side."""
    first, second, third = TWELVE[:4], TWELVE[4:8], TWELVE[8:]
    files: dict[str, str | bytes] = {
        "CMPUT328-A7-99.zip": packed(moodle_folders(students=first)),
        "canvas/submissions.zip": packed(canvas_files(second)),
        **{f"assignment_5_export/{name}": content for name, content in gradescope_files(students=third).items()},
        "sec1/Jane Doe.zip": packed(work("first")), "sec2/Jane Doe.zip": packed(work("second")), **work("eve", "sec2/Eve/"),
        "Grades.csv": "Identifier,Full name,Email address\nParticipant 1234567,Jane Doe,jane@x.ca\n",
    }  # fmt: skip
    reading = read_class(
        [FORMS[form](tmp_path, {f"evening/{name}": content for name, content in files.items()})], MODULES
    )
    rows = {s.name: (s.owner.also.get("section"), owner_in(s)) for s in reading.submissions if s.owner}
    assert len(reading.submissions) == 15
    assert rows["Jane Doe_1234567"] == ("CMPUT328-A7-99", "1234567")
    assert rows[f"{canvas_name('Jane Doe')}_1234572"] == ("canvas", "1234572")
    assert rows["Jose_1234575"] == ("assignment_5_export", "1234575")
    assert (rows["sec1/Jane Doe"], rows["sec2/Jane Doe"]) == (("sec1", "first"), ("sec2", "second"))
    assert rows["sec2/Eve"] == ("sec2", "eve")
    assert {owner_in(s) for s in reading.submissions} == {"", "first", "second", "eve"} | set(expected().values())
    assert set(reading.consulted) == {"Grades.csv", "submission_metadata.yml"}


def test_a_large_download_may_lie_in_a_zip(tmp_path: Path) -> None:
    weights = os.urandom(1 << 20) * 70  # larger than an archive inside a student's may be
    files = {**moodle_folders(), "Jane Doe_1234567_assignsubmission_file/vae.pt": weights}
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / "one.zip", "CMPUT328-A7-98765.zip")
    assert mapped(read_class([tmp_path / "all.zip"], MODULES)) == expected()


@pytest.mark.parametrize("form", ["folder", "zip", "zip in a folder"])
def test_an_export_without_its_table_names_nobody(tmp_path: Path, form: str) -> None:
    files = {**work("1", "submission_300111/"), **work("2", "submission_300112/")}
    reading = read_class([FORMS[form](tmp_path, files)], MODULES)
    assert mapped(reading) == {("submission_300111", ""): "1", ("submission_300112", ""): "2"}
    assert all("nothing says whose" in s.problems[-1] for s in reading.submissions)
    assert any("submission_metadata.yml is missing" in note for note in reading.notes)


@pytest.mark.parametrize("folders", [("submission_1", "submission_2"), ("submission_20261129", "submission_20261130"), ("submission_300111",)])  # fmt: skip
def test_ones_own_tries_are_no_export(tmp_path: Path, folders: tuple[str, ...]) -> None:
    files = {name: text for folder in folders for name, text in work("ann", f"{folder}/").items()}
    [row] = read_class([written(tmp_path / "Ann Lee", files)], MODULES).submissions
    assert (row.name, owner_in(row)) == ("Ann Lee", "ann")


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


def test_what_canvas_names_say() -> None:
    assert canvas.readings("doejane_LATE_1_22_a_b_c.zip")[0] == canvas.Named("doejane", "1", True, 22, "a_b_c.zip")
    assert canvas.readings("doejane_1.zip") == canvas.readings("vae.py") == canvas.readings("_1_2_x.py") == []
