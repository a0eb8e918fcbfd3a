"""Classes of any system, and of none: sections, several tries, what is mixed. Every mark has its owner, and nobody is guessed."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from grader.classes.ingest import read_class

from .handed_in import MODULES, mapped, owner_in, packed, work, written
from .twelve import FORMS, TWELVE, canvas_files, canvas_name, expected, gradescope_files, moodle_folders, plain_class


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
