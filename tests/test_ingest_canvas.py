"""Downloads of Canvas as they really arrive. Every mark has its owner, and nobody is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.classes import canvas
from grader.classes.ingest import read_class

from .handed_in import MODULES, mapped, owner_in, packed, work, written
from .twelve import FORMS, TWELVE, canvas_files, expected, expected_of_canvas


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


def test_what_canvas_names_say() -> None:
    assert canvas.readings("doejane_LATE_1_22_a_b_c.zip")[0] == canvas.Named("doejane", "1", True, 22, "a_b_c.zip")
    assert canvas.readings("doejane_1.zip") == canvas.readings("vae.py") == canvas.readings("_1_2_x.py") == []
