"""Gradescope's autograder: what is in it, and that it grades in a container's place, as root and as somebody else."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.author.autograder import EXECUTABLE, autograder, main
from grader.check.outcome import Outcome
from grader.cli import autograder as there
from grader.cli.arguments import UsageError
from grader.cli.autograder import Conditions, left_by_container
from grader.report.packing import packed
from grader.rubric import CHECKS

from .conftest import ROOT

QUESTION = 2
OWN = [check for check in CHECKS if check.question == QUESTION and check.kind != "trained"]
METADATA = {
    "id": 123456, "created_at": "2026-12-02T23:59:59.365935-07:00",
    "assignment": {"due_date": "2026-12-01T00:00:00.000000-07:00", "title": "A7", "total_points": "100.0"},
    "users": [{"email": "ann@example.org", "id": 7, "name": "Ann Doe"}], "previous_submissions": [],
}  # fmt: skip
COURSE = """
[deadline]
due = 2026-12-01T23:59:00
timezone = "America/Edmonton"
[late]
per_day = 10
of = "maximum"
extensions = "extensions.csv"
[visibility]
"q2.standard.value" = "hidden"
"""
PLAIN_USER = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all,+dac_read_search",
              "--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search"]  # fmt: skip


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return autograder()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What the platform lays out, with nothing but its metadata and somebody's work."""
    (tmp_path / "submission").mkdir()
    (tmp_path / "source").mkdir()
    shutil.copy(ROOT / "solution" / "gaussians.py", tmp_path / "submission")
    (tmp_path / "submission_metadata.json").write_text(json.dumps(METADATA))
    return tmp_path


def results(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "results" / "results.json").read_text())
    return found


# ---- the zip --------------------------------------------------------------------------------------------------------


def test_the_zip_has_what_the_platform_starts_and_what_grading_needs(files: dict[str, bytes], tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path / "autograder.zip")]) == 0
    assert (tmp_path / "autograder.zip").read_bytes() == packed(files, EXECUTABLE)
    with zipfile.ZipFile(tmp_path / "autograder.zip") as archive:
        for name in ("setup.sh", "run_autograder"):
            entry = archive.getinfo(name)
            assert entry.external_attr >> 16 & 0o111 == 0o111
            assert archive.read(name).startswith(b"#!/usr/bin/env bash\n")
    assert {"grader/rubric/q02/full.py", "grader/boundary/lent/parts.py", "solution/vae.py", "data/checksums.json",
            "requirements.txt", "constraints.txt", "settings.env", "grader/worker/__main__.py"} <= files.keys()  # fmt: skip
    assert not [path for path in files if path.startswith(("tests/", "grader/author/")) or "__pycache__" in path]
    assert b"torch>=" in files["requirements.txt"]
    assert b"dask" not in files["requirements.txt"]


@pytest.mark.parametrize("name", sorted(EXECUTABLE))
def test_the_scripts_are_bash(files: dict[str, bytes], name: str) -> None:
    assert subprocess.run(["bash", "-n"], input=files[name]).returncode == 0


def test_the_environment_is_built_without_what_only_a_gpu_needs(files: dict[str, bytes], tmp_path: Path) -> None:
    """With programs in the place of the real ones, which note how they are called; those of CUDA are the last resort."""
    fake = tmp_path / "fake"
    (root := tmp_path / "autograder").mkdir()
    fake.mkdir()
    for name in ("apt-get", "python3"):
        (fake / name).write_text(f'#!/bin/bash\necho "{name} $*" >> "{tmp_path}/calls"\n')
    for place, name in ((root / "tools/bin", "python"), (root / "tools/bin", "uv"), (root / "venv/bin", "python")):
        place.mkdir(parents=True, exist_ok=True)
        fails = '[[ "$*" != *torch-backend* ]]' if name == "uv" else "true"
        (place / name).write_text(f'#!/bin/bash\necho "{name} $*" >> "{tmp_path}/calls"\n{fails}\n')
    for path in (*fake.iterdir(), *root.rglob("*")):
        path.chmod(0o755)
    (tmp_path / "setup.sh").write_bytes(files["setup.sh"])
    environment = {**os.environ, "PATH": f"{fake}:{os.environ['PATH']}", "A7_AUTOGRADER": str(root)}
    done = subprocess.run(["bash", str(tmp_path / "setup.sh")], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    installs = [call for call in calls if call.startswith("uv pip install")]
    assert ["--torch-backend cpu" in call for call in installs] == [True, False]
    assert all(f"-r {root}/source/requirements.txt" in call for call in installs)
    assert any(call.startswith("apt-get install") and "bubblewrap" in call for call in calls)


def test_a_configuration_goes_along_and_a_wrong_one_is_said_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "course.toml").write_text(COURSE)
    (tmp_path / "extensions.csv").write_text("student,days\nann@example.org,1\n")
    made = autograder(tmp_path / "course.toml")
    assert made["course.toml"].decode() == COURSE
    assert made["extensions.csv"] == (tmp_path / "extensions.csv").read_bytes()
    (tmp_path / "course.toml").write_text("[weights]\n1 = -5\n")
    assert main(["--config", str(tmp_path / "course.toml"), "--out", str(tmp_path / "x.zip")]) == 2
    assert "course.toml:2" in capsys.readouterr().err
    assert not (tmp_path / "x.zip").exists()


# ---- conditions -------------------------------------------------------------------------------------------------------


def test_the_variables_say_how_much_is_run() -> None:
    said = Conditions.of({"A7_SECONDS": "30.5", "A7_MEMORY_MB": "300", "A7_QUESTIONS": "2 bonus", "A7_TRAINED": "0",
                          "A7_SEED": "", "A7_AUTOGRADER": "/x"})  # fmt: skip
    assert (said.seconds, said.memory, said.questions, said.trained, said.seed) == (
        30.5,
        300 << 20,
        (2, 0),
        False,
        None,
    )
    assert said.root == Path("/x")
    assert there.planned(said).memory == 300 << 20


@pytest.mark.parametrize(("name", "value"), [
    ("A7_SECONDS", "soon"), ("A7_SECONDS", "0"), ("A7_QUESTIONS", "11"), ("A7_TRAINED", "yes"), ("A7_BOX", "paper"),
    ("A7_SEED", "-1"), ("A7_DATASET", "cats"), ("A7_MEMORY_MB", "-3"),
])  # fmt: skip
def test_a_variable_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        Conditions.of({name: value})


def test_a_submission_has_what_the_container_leaves(tmp_path: Path) -> None:
    for name, text in (
        ("none", "max\n"),
        ("small", f"{768 << 20}\n"),
        ("tiny", f"{100 << 20}\n"),
        ("v1", f"{1 << 62}\n"),
    ):
        (tmp_path / name).write_text(text)
    assert left_by_container([str(tmp_path / "none")]) is None
    assert left_by_container([str(tmp_path / "absent"), str(tmp_path / "small")]) == (768 << 20) - there.RESERVED
    assert left_by_container([str(tmp_path / "tiny")]) == there.LEAST
    assert left_by_container([str(tmp_path / "v1")]) is None


# ---- results.json -------------------------------------------------------------------------------------------------------


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[dict[str, Any]]:
    """Verdicts of a made-up grader: all right but the last one; what the platform would have seen after each."""
    seen: list[dict[str, Any]] = []

    def grade_course(course: Any, note: Any) -> Iterator[Any]:
        for check in [check for check in OWN if course.plan.wants(check)]:
            lost = check is OWN[-1]
            note(0, [Outcome(check, "failed" if lost else "passed", 0.0 if lost else check.points)])
            seen.append(results(root))
        yield from ()

    monkeypatch.setattr(there, "grade_course", grade_course)
    monkeypatch.setenv("A7_AUTOGRADER", str(root))
    monkeypatch.setenv("A7_QUESTIONS", str(QUESTION))
    monkeypatch.setenv("A7_TRAINED", "0")
    monkeypatch.setenv("A7_BOX", "none")
    monkeypatch.setenv("A7_UNSAFE_NO_BOX", "1")
    return seen


def test_results_are_there_after_every_check_and_whole_at_the_end(root: Path, made_up: list[dict[str, Any]]) -> None:
    assert there.main() == 0
    assert [len(one["tests"]) for one in made_up] == [*range(1, len(OWN) + 1)]
    assert made_up[2]["output"].startswith(f"Results so far: 3 of {len(OWN)} checks are judged")
    assert made_up[2]["score"] == sum(check.points for check in OWN[:3])
    last = results(root)
    assert "Results so far" not in last["output"]
    assert last["score"] == sum(check.points for check in OWN[:-1])
    assert {test["number"].partition(".")[0] for test in last["tests"]} == {"2"}, "nothing that was not asked for"
    assert [test["status"] for test in last["tests"]].count("failed") == 1
    hidden = {check.id for check in OWN if check.visibility == "hidden"}
    assert {t["extra_data"]["id"] for t in last["tests"] if t["visibility"] == "after_published"} == hidden
    assert last["stdout_visibility"] == "hidden"


def test_points_beyond_the_maximum_are_in_the_score_as_extra_credit(
    root: Path, made_up: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A7_QUESTIONS", "")

    def grade_course(course: Any, note: Any) -> Iterator[Any]:
        note(0, [Outcome(check, "passed", check.points) for check in CHECKS])
        yield from ()

    monkeypatch.setattr(there, "grade_course", grade_course)
    assert there.main() == 0
    assert results(root)["score"] == 110
    assert sum(test["max_score"] for test in results(root)["tests"]) == 110


def test_when_the_time_is_up_what_is_judged_counts_and_the_rest_is_no_zero(
    root: Path, made_up: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def grade_course(course: Any, note: Any) -> Iterator[Any]:
        note(0, [Outcome(OWN[0], "passed", OWN[0].points)])
        yield from ()
        while True:
            try:
                signal.raise_signal(signal.SIGALRM)  # the alarm, whatever the clock says
            except Exception:  # noqa: BLE001  what a check does with exceptions must not keep the time from being up
                continue

    monkeypatch.setattr(there, "grade_course", grade_course)
    monkeypatch.setenv("A7_SECONDS", "500")
    assert there.main() == there.FAILED
    last = results(root)
    assert last["score"] == OWN[0].points
    late = [test for test in last["tests"] if "GRADER ERROR" in test["output"]]
    assert len(late) == len(OWN) - 1
    told = [test for test in late if test["visibility"] == "visible"]
    assert told
    assert all("time for one submission was up" in test["output"] for test in told)
    assert "not your fault" in last["output"]
    assert "the time was up" in capsys.readouterr().out


def test_lateness_and_visibility_are_those_of_the_course(root: Path, made_up: list[dict[str, Any]]) -> None:
    (root / "source" / "course.toml").write_text(COURSE)
    (root / "source" / "extensions.csv").write_text("student,days\nnobody@example.org,3\n")
    assert there.main() == 0
    last = results(root)
    whole = sum(check.points for check in OWN[:-1])
    assert last["score"] == max(0.0, whole - 20), "two days have begun when it came, 10 percent of 100 points each"
    assert "Late:" in last["output"]
    told = {test["extra_data"]["id"]: test["visibility"] for test in last["tests"]}
    assert told["q2.standard.value"] == "after_published"
    (root / "source" / "extensions.csv").write_text("student,days\nann@example.org,3\n")
    assert there.main() == 0
    assert results(root)["score"] == whole, "an extension goes by the platform's own address"


@pytest.mark.parametrize("metadata", ["", "[]", '{"users": 3, "created_at": 5}', '{"users": [null, {}]}', "{" * 2000])
def test_metadata_that_cannot_be_read_costs_nothing(root: Path, made_up: list[dict[str, Any]], metadata: str) -> None:
    (root / "submission_metadata.json").write_text(metadata)
    assert there.main() == 0
    assert results(root)["score"] > 0


def test_a_submission_of_which_nothing_can_be_read_says_why(root: Path, made_up: list[dict[str, Any]]) -> None:
    shutil.rmtree(root / "submission")
    (root / "submission").mkdir()
    (root / "submission" / "work.ipynb").write_text("{}")
    assert there.main() == 0
    last = results(root)
    assert last["score"] == 0
    assert [test["status"] for test in last["tests"]] == ["failed"]
    assert "none of the expected files" in last["output"]


def test_without_a_box_nothing_runs_and_nothing_is_claimed(
    root: Path, made_up: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A7_UNSAFE_NO_BOX", "0")
    assert there.main() == there.NO_BOX
    assert not (root / "results" / "results.json").exists()
    assert "no box" in capsys.readouterr().err


# ---- in a container's place ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("somebody", ["root", "nobody"])
def test_it_grades_in_a_fresh_root(files: dict[str, bytes], somebody: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be both")
    root = Path(tempfile.mkdtemp(prefix="a7-autograder-"))
    try:
        root.chmod(0o755)
        (root / "submission").mkdir()
        with zipfile.ZipFile(io.BytesIO(packed(files, EXECUTABLE))) as archive:
            for entry in archive.infolist():
                archive.extract(entry, root / "source")
                (root / "source" / entry.filename).chmod(entry.external_attr >> 16 & 0o777)
        shutil.copy(ROOT / "solution" / "gaussians.py", root / "submission")
        (root / "submission_metadata.json").write_text(json.dumps(METADATA))
        if somebody != "root":
            for path in (root, *root.rglob("*")):
                os.chown(path, 65534, 65534)
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(root), "A7_AUTOGRADER": str(root), "A7_PYTHON": sys.executable,
            "A7_TRAINED": "0", "A7_QUESTIONS": str(QUESTION), "A7_SECONDS": "400",
        }  # fmt: skip
        command = [str(root / "source" / "run_autograder")]
        done = subprocess.run(command if somebody == "root" else [*PLAIN_USER, *command], cwd="/", env=environment,
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        last = results(root)
        assert last["score"] == sum(check.points for check in OWN)
        assert len(last["tests"]) == len(OWN)
        assert last["extra_data"]["seed"] == 328, "settings.env says so"
        assert last["extra_data"]["sandbox"]["backend"] != "none"
        assert last["extra_data"]["sandbox"]["self_test"], "the box was tried"
        if somebody == "root":
            assert (root / "results").stat().st_mode & 0o077 == 0, "a submission's user cannot look in"
            assert (root / "source" / "solution").stat().st_mode & 0o077 == 0
            assert (root / "source" / "grader" / "worker").stat().st_mode & 0o005 == 0o005
    finally:
        shutil.rmtree(root, ignore_errors=True)
