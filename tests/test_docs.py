"""The README is true: its table is the rubric's, its links lead somewhere, and the commands it shows work."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from grader.author import calibrate
from grader.author.tables import BUDGETS
from grader.check.failure import LIBRARIES
from grader.check.thresholds import FILE as THRESHOLDS
from grader.cli import main as cli
from grader.cli.afterwards import COMMANDS as COMMAND_NAMES
from grader.grading.judge import PATIENCE
from grader.report.gradebook import columns
from grader.rubric import CHECKS

from .conftest import ROOT
from .links import broken, links
from .made_run import made, made_run
from .recipe import commands

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


def test_the_handout_says_how_long_models_are_trained() -> None:
    handout = (ROOT / "docs" / "handout.md").read_text()
    assert f"{({6: 'six'})[PATIENCE]} times as long" in handout
    of_the_graders_own = {"q3.trained.pca", "q7.trained.labels"}
    assert BUDGETS.keys() == {check.id for check in CHECKS if check.kind == "trained"} - of_the_graders_own


def test_links_lead_to_files_and_headings_that_are_there() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True
    )
    found = [ROOT / name for name in tracked.stdout.split()]
    assert len(found) > 30
    assert [said for page in found for said in broken(page)] == []
    assert sum(len(links(page.read_text())) for page in found) > 40


def test_a_link_to_nothing_is_seen(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# One thing: `f(x)`, again\n\n## Two\n\n## Two\n\n```\n# no heading\n```\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[ok](b.md#one-thing-fx-again) [ok](b.md#two-1) [ok](#here) [out](https://example.org/b.md) `[code](no.md)`\n"
        "![picture](no.svg) [heading](b.md#three) [code](b.md#no-heading) [ref]\n\n# Here\n\n[ref]: gone.md\n"
    )
    assert list(broken(page)) == [
        "a.md: no.svg: there is no such file", "a.md: b.md#three: there is no such heading",
        "a.md: b.md#no-heading: there is no such heading", "a.md: gone.md: there is no such file",
    ]  # fmt: skip


def test_the_index_has_every_page() -> None:
    index = links((ROOT / "docs" / "README.md").read_text())
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert {page for page in pages if not page.startswith("decisions/") and page != "README.md"} <= set(index)


def test_the_commands_shown_are_known() -> None:
    assert set(SELF) <= set(COMMANDS)
    assert set(COMMANDS) - set(SELF) == {
        "make check SUBMISSION=starter Q=8", "python -m grader grade submissions/ --dry-run",
        "python -m grader grade submissions/ --out reports",
        "python -m grader similar submissions/ --file similar.html", "make lint", "make starter", "make contract",
        "make watch SUBMISSION=starter Q=8",  # typed below, run in test_watch
        "python -m pytest -p grader.cli.editor starter -m q8",  # run below
        *(line for line in COMMANDS if line.startswith("python -m grader export ")),  # test_export runs them
        *AFTERWARDS,
    }  # fmt: skip


APPEAL = commands((ROOT / "docs" / "how-to" / "appeal.md").read_text())


@pytest.mark.parametrize("typed", [["cp -r reports monday", *AFTERWARDS], APPEAL], ids=["README", "appeal"])
def test_what_a_run_has_left_is_asked_as_shown(
    typed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_run(tmp_path / "reports", [made("Jane Doe", {AFTERWARDS_CHECK: ("failed", 0.0)}), made("Bob")])
    monkeypatch.chdir(tmp_path)
    codes = {}
    for line in typed:
        command, *words = shlex.split(line)
        if command == "cp":
            shutil.copytree(words[-2], words[-1])
        else:
            codes[words[2]] = cli.main(words[2:])
    assert codes == {
        "show": 0,
        "rerun": 0,
        "override": 0,
        "diff": 1,
        **({"page": 0} if any("grader page" in line for line in typed) else {}),
    }


def test_the_commands_of_new_thresholds_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    page = commands((ROOT / "docs" / "how-to" / "new-threshold.md").read_text())
    derived = "python -m grader.author.calibrate --dataset digits --only q8.trained --derive"
    assert page == ["make calibrate DATASET=digits", "make calibrate DATASET=mnist", derived, "make results",
                    "python -m grader.author.tables", "make contract"]  # fmt: skip
    made_by_make = {
        line: shell(f"make -n {line.removeprefix('make ')}").stdout for line in page if line.startswith("make ")
    }
    for line, module in (("make calibrate DATASET=mnist", "grader.author.calibrate --dataset mnist"),
                         ("make results", "grader.author.results"), ("make contract", "tests.contract --run")):  # fmt: skip
        assert f"python -m {module}" in made_by_make[line]
    before = THRESHOLDS.read_text()
    assert calibrate.main(shlex.split(derived)[3:]) == 0
    assert THRESHOLDS.read_text() == before, "the cuts follow from the results beside them"


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


def test_make_watch_types_what_its_variables_say() -> None:
    """What that does is shown in test_watch."""
    [command] = [line for line in COMMANDS if line.startswith("make watch")]
    typed = shell(command.replace("make", "make -n", 1)).stdout
    assert '-m grader watch "starter" --question 8' in " ".join(typed.split())


def test_pytest_finds_the_checks_in_this_checkout_too() -> None:
    """With its strict markers, and warnings as errors."""
    [command] = [line for line in COMMANDS if "grader.cli.editor" in line]
    done = shell(command)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED starter/vae.py::q8::q8.reparam.value - reparameterize is not written yet" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "warning" not in done.stdout


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
    for command in ("make lint", "make contract"):
        done = shell(command)
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
