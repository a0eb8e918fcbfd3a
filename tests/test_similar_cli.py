"""``similar``: a class is read as `grade` reads it, the page is the instructor's, and nothing of theirs is run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from grader.classes.tokens import tokens_of
from grader.cli.main import main
from grader.cli.similar import cores, spread
from grader.grading.plan import cores as cores_of_a_run
from grader.report.folder import RECORD

from .disguised import MEDIUM, disguised

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = {"training": (ROOT / "solution" / "training.py").read_text()}
OTHER = {"training": (ROOT / "tests" / "bank" / "rewrites" / "plain" / "training.py").read_text()}


@pytest.fixture
def class_folder(tmp_path: Path) -> Path:
    """Three students in Moodle's folders: two of them have the same training.py, one in disguise."""
    copy = disguised(REFERENCE, MEDIUM, 1)
    for name, texts in (("Ann One_11", REFERENCE), ("Bob <b>Two_22", OTHER), ("Eve Three_33", copy)):
        folder = tmp_path / "class" / f"{name}_assignsubmission_file"
        folder.mkdir(parents=True)
        for module, text in texts.items():
            (folder / f"{module}.py").write_text(text)
    return tmp_path / "class"


def test_a_copy_is_shown_side_by_side(class_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pages" / "similar.html"
    assert main(["similar", str(class_folder), "--file", str(file)]) == 0
    said = capsys.readouterr().out
    assert "Ann One" in said
    assert "Eve Three" in said
    assert "Bob" not in said
    assert "1 pair to read side by side" in said
    assert all(len(line) <= 80 for line in said.splitlines()[:-1])
    page = file.read_text()
    assert "training.py, lines" in page
    assert "<mark>" in page
    assert "<b>Two" not in page
    assert file.stat().st_mode & 0o077 == 0, "for nobody else's eyes"
    assert main(["similar", str(class_folder), "--file", str(file)]) == 0
    assert file.read_text() == page, "the same class gives the same page"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_nothing_is_run_and_torch_is_not_imported(class_folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    evil = class_folder / "Mallory_44_assignsubmission_file"
    evil.mkdir()
    (evil / "training.py").write_text(f"open({str(mark)!r}, 'w')\n")
    code = f"""
import sys
from grader.cli.main import main
code = main(["similar", {str(class_folder)!r}, "--file", {str(tmp_path / "a.html")!r}, "--jobs", "1"])
sys.exit(code or 9 * ("torch" in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0
    assert not mark.exists()


@pytest.mark.parametrize(
    ("where", "said"),
    [("reports/similar.html", "holds reports for students"), ("reports/Ann/similar.html", "holds reports for students"),
     ("class/similar.html", "among the submissions"), ("class/Ann One_11_assignsubmission_file/s.html", "among the"),
     ("page.txt", "give the name of a page"), ("folder.html", "give the name of a page")],
)  # fmt: skip
def test_the_page_lies_neither_with_reports_nor_with_submissions(
    where: str, said: str, class_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reports" / "Ann").mkdir(parents=True)
    (tmp_path / "reports" / RECORD).write_text("")
    (tmp_path / "folder.html").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert main(["similar", str(class_folder), "--file", str(tmp_path / where)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_page_that_cannot_be_written_is_said(
    class_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["similar", str(class_folder), "--file", str(tmp_path / "file" / "similar.html")]) == 3
    shown = capsys.readouterr()
    assert "error" in shown.err
    assert "Eve Three" in shown.out


def test_a_class_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["similar", str(tmp_path / "none"), "--file", str(tmp_path / "a.html")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_several_processes_give_what_one_gives() -> None:
    texts = [f"x_{n} = {n} + f(torch.exp({n}))\n" * n for n in range(1, 26)]
    made = [one.symbols.tolist() for one in spread(2)(tokens_of, texts)]
    assert made == [tokens_of(text).symbols.tolist() for text in texts]
    assert cores() == cores_of_a_run()
