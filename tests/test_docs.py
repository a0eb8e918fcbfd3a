"""The README is true: its table is the rubric's, its links lead somewhere, and the commands it shows work."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from grader.author.tables import BUDGETS, with_budgets, with_table
from grader.check.failure import LIBRARIES
from grader.cli import main as cli
from grader.cli.afterwards import COMMANDS as COMMAND_NAMES
from grader.grading.judge import PATIENCE
from grader.report.gradebook import columns
from grader.rubric import CHECKS

from .conftest import ROOT
from .made_run import made, made_run

README = (ROOT / "README.md").read_text()
COMMANDS = [line.split("#")[0].strip().removeprefix("$ ").strip()
            for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
            for line in block.splitlines() if line.strip().startswith("$ ")]  # fmt: skip
AFTERWARDS_CHECK = "q2.standard.value"
AFTERWARDS = [line for line in COMMANDS if line.split()[3:4] and line.split()[3] in COMMAND_NAMES]
SELF = ("make grade", "make test", "make test-fast")  # these run this file, or what test_full runs
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def shell(command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, shell=True, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=550)


def test_the_rubric_table_is_the_rubrics() -> None:
    assert with_table(README) == README


def test_the_handout_says_how_long_models_are_trained() -> None:
    handout = (ROOT / "docs" / "handout.md").read_text()
    assert with_budgets(handout) == handout
    assert f"{({6: 'six'})[PATIENCE]} times as long" in handout
    of_the_graders_own = {"q3.trained.pca", "q7.trained.labels"}
    assert BUDGETS.keys() == {check.id for check in CHECKS if check.kind == "trained"} - of_the_graders_own


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "data" / "README.md"]:
        prose = re.sub(r"`[^`]*`", "", page.read_text())  # code may look like a link
        for target in re.findall(r"\]\(([^)#]+)\)", prose):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_commands_shown_are_known() -> None:
    assert set(SELF) <= set(COMMANDS)
    assert set(COMMANDS) - set(SELF) == {
        "make check SUBMISSION=starter Q=8", "python -m grader grade submissions/ --dry-run",
        "python -m grader grade submissions/ --out reports",
        "python -m grader similar submissions/ --file similar.html", "make lint", "make starter",
        *(line for line in COMMANDS if line.startswith("python -m grader export ")),  # test_export runs them
        *AFTERWARDS,
    }  # fmt: skip


def test_what_a_run_has_left_is_asked_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = [made("Jane Doe", {AFTERWARDS_CHECK: ("failed", 0.0)}), made("Bob")]
    made_run(tmp_path / "reports", everybody)
    made_run(tmp_path / "monday", everybody)
    monkeypatch.chdir(tmp_path)
    codes = {words[0]: cli.main(words) for words in (shlex.split(line)[3:] for line in AFTERWARDS)}
    assert codes == {"show": 0, "rerun": 0, "override": 0, "diff": 1, "page": 0}


@pytest.mark.slow
def test_make_check_shows_a_student_what_is_missing() -> None:
    done = shell("make check SUBMISSION=starter Q=8 SEED=1")
    assert done.returncode == 0, "that work is left is no error of make"
    assert "Error" not in done.stdout + done.stderr
    assert "not implemented" in done.stdout
    assert "public 0/" in done.stdout


def test_make_check_passes_on_that_it_could_not_run() -> None:
    done = shell("make check SUBMISSION=no-such-folder Q=8")
    assert done.returncode != 0
    assert "no-such-folder does not exist" in done.stderr


def test_make_grade_goes_on_unless_it_is_told_to_begin_anew(tmp_path: Path) -> None:
    def typed(*variables: str) -> str:
        return shell(" ".join(["make -n grade", f"OUT={tmp_path}", *variables])).stdout

    assert "--fresh" not in typed()
    assert "--fresh" in typed("FRESH=1")


def test_the_libraries_that_exist_are_those_of_the_handout_and_of_the_project() -> None:
    handout = (ROOT / "docs" / "handout.md").read_text()
    [sentence] = re.findall(r"these libraries: (.*?)\. Nothing else", handout, re.DOTALL)
    assert tuple(re.findall(r"`(\w+)`(?! \(installed)|`(\w+)` \(installed", sentence)) == tuple(
        (name, "") if name != "sklearn" else ("", name) for name in LIBRARIES
    )
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    installed = {re.split(r"[<>=!]", requirement)[0] for requirement in needed}
    assert {{"sklearn": "scikit-learn"}.get(name, name) for name in LIBRARIES} <= installed


def test_the_columns_of_the_gradebook_are_explained() -> None:
    [table] = re.findall(r"\| column of `gradebook.csv` .*?\n\n", README, re.DOTALL)
    named = set(re.findall(r"`(\w+)`", table.partition("\n")[2]))
    for column in columns():
        series = re.sub(r"^q(\d+|_bonus)", "q1", column)
        assert column in named or series in named, column
    assert named <= set(columns())


@pytest.mark.slow
def test_make_starter_changes_nothing_and_make_lint_is_clean() -> None:
    before = {path.name: path.read_text() for path in (ROOT / "starter").glob("*.py")}
    assert shell("make starter").returncode == 0
    assert {path.name: path.read_text() for path in (ROOT / "starter").glob("*.py")} == before
    done = shell("make lint")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_grading_a_folder_of_submissions(tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        (tmp_path / "submissions" / name).mkdir(parents=True)
        text = (ROOT / "solution" / "gaussians.py").read_text()
        (tmp_path / "submissions" / name / "gaussians.py").write_text(text)
    done = shell(
        f"{sys.executable} -m grader grade {tmp_path}/submissions/ --out {tmp_path}/reports --question 1 --seed 1"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reports" / "gradebook.csv").read_text().count("\n") == 3


def test_make_alone_lists_the_commands() -> None:
    done = shell("make")
    for target in ("grade", "check", "test", "test-fast", "lint", "starter", "calibrate"):
        assert f"make {target} " in done.stdout


def test_no_file_names_a_machine_or_a_package_host() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    forbidden = re.compile(r"py" + r"pi\.org|python" + r"hosted|/work" + r"/(main|shared)")
    for name in tracked:
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".txt", ".json", "") and path.is_file():
            assert not forbidden.search(path.read_text()), name
