"""``grade --dry-run``: who handed in what, on 80 columns; nothing is written, graded or imported that takes long."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from grader.classes.ingest import read_class
from grader.cli import arguments, mapping
from grader.cli.main import main

from .conftest import ROOT
from .handed_in import packed, work, written

LONG = "Maximiliane-Alexandra Konstantinopoulou-Featherstonehaugh de la Vega y Ortiz of the Second Section [bold]X"
CLASS = {
    "Jane Doe_1234567_assignsubmission_file/a7.zip": packed(work("jane")),
    **work("jane", "Bob O'Neil_1234568_assignsubmission_file/"),
    **work("long", f"{LONG}_123456789012345678901234567890_assignsubmission_file/"),
    **work("bad", "\x1b[2J\u202eevil_5_assignsubmission_file/"),
    "[red]李明_6_assignsubmission_file/a7.rar": b"Rar!\x1a\x07\0",
    **work("yes", "Участник_7_assignsubmission_file/"),
    "Grades.csv": "Identifier,Full name,Email address\nParticipant 6,[red]李明,li@x.ca\nParticipant 8,Al,al@x.ca\n",
    "notes.txt": "",
}


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["grade", *arguments, "--dry-run"])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_a_class_is_mapped_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = written(tmp_path / "class", CLASS)
    before = sorted(path for path in tmp_path.rglob("*"))
    code, text = shown(capsys, str(root), str(root) + "/", "--out", str(root / "reports"))
    assert code == 0
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2J\\u202eevil" in text
    assert "[red]李明" in text
    assert "[bold]X" in "".join(text.split())
    for words in (
        "Jane Doe", "1234567", "2 of 10", "files: gaussians, vae", "from: class/Jane Doe_1234567_assignsubmission_file", "a7.rar was not opened",
        "email li@x.ca", "The same text", "Bob O'Neil_1234568, Jane Doe_1234567", "Read for what they say", "Grades.csv", "Passed over", "notes.txt",
        "given more than once and read once", "who handed in nothing: Al", "6 submissions · 5 to grade", "1 with nothing to grade", "this was a dry run",
    ):  # fmt: skip
        assert words in " ".join(text.split()), words


def test_canvas_and_gradescope_say_when_it_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    canvas = {f"doejane_LATE_12345_{90000 + i}_{name}": text for i, (name, text) in enumerate(work("jane").items())}
    table = (
        "submission_1:\n  :submitters:\n  - :name: Ann Lee\n    :sid: '0042'\n  :created_at: 2026-11-30 21:02:03 Z\n"
    )
    gradescope = {"submission_metadata.yml": table, **work("ann", "submission_1/"), **work("who", "submission_2/")}
    root = written(
        tmp_path, {**{f"sec1/{n}": t for n, t in canvas.items()}, **{f"sec2/{n}": t for n, t in gradescope.items()}}
    )
    code, text = shown(capsys, str(root))
    assert code == 0
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "doejane 12345 2 of 10 late" in lines
    assert "Ann Lee 0042 2 of 10 2026-11-30 21:02" in lines
    assert "submission_2 2 of 10 -" in lines
    assert any("nothing says whose submission_2 is" in line for line in lines)
    assert lines[-2].startswith("3 submissions · 3 to grade · 1 whose owner is not known")


def test_of_a_plain_class_the_section_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"sec1/Jane Doe.zip": packed(work("first")), "sec2/Jane Doe.zip": packed(work("second"))}
    code, text = shown(capsys, str(written(tmp_path, files)))
    assert code == 0
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert [line for line in lines if line.startswith("owner")] == ["owner: section sec1", "owner: section sec2"]


def test_nothing_to_grade_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = written(tmp_path / "a", {"Jane Doe_1_assignsubmission_onlinetext/onlinetext.html": ""})
    code, text = shown(capsys, str(empty))
    assert code == 2
    assert "only an online text was handed in" in " ".join(text.split())
    assert shown(capsys, str(tmp_path / "none"))[0] == 2
    code, text = shown(capsys, str(written(tmp_path / "b", {"x.csv": ""}) / "x.csv"))
    assert code == 2
    assert "nothing is left to grade" in text


def test_reports_need_a_folder_unless_it_is_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments.parse(["grade", "x"])
    assert ended.value.code == 2
    assert "--out DIR" in capsys.readouterr().err
    assert arguments.parse(["grade", "x", "--dry-run"]).out is None


@pytest.mark.parametrize("width", [40, 80, 200])
def test_every_width_shows_whole_names(tmp_path: Path, width: int) -> None:
    reading = read_class([written(tmp_path, CLASS)], arguments.MODULE_NAMES)
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        mapping.print_mapping(console, reading, len(arguments.MODULE_NAMES))
    text = captured.get()
    assert max(map(cell_len, text.splitlines())) <= width
    first = [line[: width - 49] for line in text.splitlines()]
    assert "Konstantinopoulou" in "".join("".join(first).split()) or width == 40


def test_pytorch_is_not_imported(tmp_path: Path) -> None:
    root = written(tmp_path / "class", CLASS)
    code = ("import sys\nfrom grader.cli.main import main\n"
            f"code = main(['grade', {str(root)!r}, '--dry-run'])\nsys.exit(code or 'torch' in sys.modules)")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80"}
    )
    assert done.returncode == 0, done.stderr


def test_the_modules_are_the_rubrics() -> None:
    from grader.rubric import MODULES

    assert arguments.MODULE_NAMES == MODULES
