"""The commands as a person types them: exit codes, files, words. Only questions 1 and 2 run, which takes seconds."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from grader.cli import main as cli
from grader.grading import judge, run
from grader.report import markdown

from .conftest import ROOT

SCHEMA = json.loads((Path(markdown.__file__).parent / "schema.json").read_text())
SOLUTION = str(ROOT / "solution")
FAST = ["--question", "2", "--no-trained", "--jobs", "1", "--seed", "3"]
CHECK = ["--question", "2", "--jobs", "1", "--seed", "3"]


def graded(out: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / name / "report.json").read_text())
    jsonschema.validate(content, SCHEMA)
    return content


def lost(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["id"]: c for c in content["checks"] if c["status"] not in ("passed", "not_run")}


def test_grading_the_solution(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["grade", SOLUTION, "--out", str(tmp_path), *FAST]) == 0
    content = graded(tmp_path, "solution")
    assert lost(content) == {}
    assert content["score"] == 8
    assert content["not_run_points"] == 102
    assert content["seed"] == 3
    assert content["sandbox"]["backend"] == "none"
    assert "8 of 8 judged; 92 not run" in capsys.readouterr().out


def test_two_lanes_give_what_one_gives(tmp_path: Path) -> None:
    for jobs in ("1", "2"):
        arguments = [*FAST[:-4], "--question", "1", "--jobs", jobs, "--seed", "3"]
        assert cli.main(["grade", SOLUTION, "--out", str(tmp_path / jobs), *arguments]) == 0
    one, two = (timeless(graded(tmp_path / jobs, "solution")) for jobs in ("1", "2"))
    assert one == two


def timeless(content: dict[str, Any]) -> dict[str, Any]:
    """A report without durations, which are all that may differ between two runs with one seed."""
    content.pop("duration_s")
    for check in content["checks"]:
        check.pop("duration_s")
    return content


def broken_class(folder: Path) -> Path:
    """A class as it really hands in."""
    everyone = folder / "class"
    everyone.mkdir()
    reference = (ROOT / "solution" / "gaussians.py").read_text()
    students = {
        "ann": reference,
        "exits": "import os\nos._exit(0)\n",
        "hidden-exit": reference + "\nimport atexit, os\ndef kl_divergence(mu, logvar):\n    os._exit(0)\n",
        "syntax": "def kl_divergence(mu, logvar:\n",
        "none": reference + "\ndef kl_divergence(mu, logvar):\n    return None\n",
        "numpy": reference
        + "\n_kl = kl_divergence\ndef kl_divergence(mu, logvar):\n    return _kl(mu, logvar).numpy()\n",
        "signature": reference + "\ndef kl_divergence(mu):\n    return mu.sum(1)\n",
        "nan": reference + "\ndef kl_divergence(mu, logvar):\n    return mu.sum(1) * float('nan')\n",
        "shape": reference
        + "\n_kl = kl_divergence\ndef kl_divergence(mu, logvar):\n    return _kl(mu, logvar).mean()\n",
        "dtype": reference
        + "\n_kl = kl_divergence\ndef kl_divergence(mu, logvar):\n    return _kl(mu, logvar).half()\n",
        "meta": reference
        + "\n_kl = kl_divergence\ndef kl_divergence(mu, logvar):\n    return _kl(mu, logvar).to('meta')\n",
        "flood": reference + "\nprint('x' * 10_000_000)\n",
    }
    for name, text in students.items():
        (everyone / name).mkdir()
        (everyone / name / "gaussians.py").write_text(text)
    (everyone / "no-file").mkdir()
    (everyone / "no-file" / "vae.py").write_text("x = 1\n")
    (everyone / "broken.zip").write_bytes(b"PK not a zip")
    with zipfile.ZipFile(everyone / "empty.zip", "w"):
        pass
    with zipfile.ZipFile(everyone / "mac.zip", "w") as archive:
        archive.writestr("My A7/solution/gaussians.py", reference)
        archive.writestr("__MACOSX/My A7/solution/._gaussians.py", "\0")
    return everyone


@pytest.mark.slow
def test_a_class_with_everything_wrong_is_graded_to_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(broken_class(tmp_path)), str(tmp_path / "nobody")]
    out = tmp_path / "reports"
    assert cli.main(["grade", *paths, "--out", str(out), *FAST]) == 0
    shown = capsys.readouterr()
    assert "nobody does not exist" in " ".join(shown.err.split())
    assert "no sandbox" in shown.err
    with (out / "gradebook.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    assert len(rows) == 17
    full = {name for name, row in rows.items() if float(row["score"]) == 8}
    assert full == {"ann", "flood", "mac"}
    assert all(float(row["unjudged_points"]) == 0 for row in rows.values())
    expected = {  # one exercise is broken: its points are lost, those of the other divergences are not
        "hidden-exit": "ended without an answer", "none": "not a tensor", "numpy": "NumPy", "signature": "TypeError",
        "nan": "not finite", "shape": "shape", "dtype": "dtype", "meta": "meta",
    }  # fmt: skip
    for name, words in expected.items():
        content = graded(out, name)
        assert 0 < content["score"] < 8, name
        assert all(c["max_points"] > c["points"] for c in lost(content).values())
        told = [" ".join((c["message"], c["actual"])) for c in lost(content).values()]
        assert any(words in text for text in told), (name, told)
    for name, words in {"exits": "ended without an answer", "syntax": "gaussians.py", "no-file": "gaussians.py is not in",
                        "broken": "broken.zip", "empty": "submit the folder"}.items():  # fmt: skip
        content = graded(out, name)
        assert content["score"] == 0, name
        assert all(words in c["message"] for c in lost(content).values() if c["status"] != "skipped"), name


def test_a_path_that_does_not_exist_is_a_wrong_argument(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["grade", str(tmp_path / "nothing"), "--out", str(tmp_path / "out")]) == 2
    assert cli.main(["check", str(tmp_path / "nothing")]) == 2
    assert "nothing does not exist" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "arguments",
    [[], ["grade"], ["grade", SOLUTION], ["check", SOLUTION, "--question", "11"], ["check", SOLUTION, "--seed", "-1"],
     ["grade", SOLUTION, "--out", "x", "--jobs", "0"], ["grade", SOLUTION, "--out", "x", "--dataset", "cifar"]],
)  # fmt: skip
def test_wrong_arguments(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert cli.main(["check", SOLUTION, "--trained", "--dataset", "digits", "--device", "cuda"]) == 2
    assert "CUDA" in capsys.readouterr().err


def test_checking_the_solution_and_the_starter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.json"
    assert cli.main(["check", SOLUTION, *CHECK, "--json", str(file)]) == 0
    shown = capsys.readouterr().out
    content = json.loads(file.read_text())
    jsonschema.validate(content, SCHEMA)
    ran = sum(c["max_points"] for c in content["checks"] if c["status"] != "not_run")
    assert f"public {ran:g}/{ran:g} · not run here: {110 - ran:g} points" in shown
    assert "all checks passed" not in shown
    assert cli.main(["check", str(ROOT / "starter"), *CHECK]) == 1
    shown = capsys.readouterr().out
    assert f"public 0/{ran:g}" in shown
    assert "not implemented" in shown
    assert "Question 2" in shown


def test_a_failure_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(SOLUTION, tmp_path / "mine")
    with (tmp_path / "mine" / "gaussians.py").open("a") as file:
        file.write("\n\ndef kl_divergence(mu, logvar):\n    print('debugging')\n"
                   "    return (mu.square() + logvar.exp() - logvar - 1).sum(1)\n")  # fmt: skip
    assert cli.main(["check", str(tmp_path / "mine"), *CHECK]) == 1
    shown = capsys.readouterr().out
    for label in ("asked:", "call:", "expected:", "actual:", "think:", "debugging"):
        assert label in shown


def test_a_fault_of_the_grader_is_called_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bug(check: object, context: object) -> None:
        raise KeyError("a bug of ours")

    monkeypatch.setattr(judge, "attempt", bug)
    assert cli.main(["grade", SOLUTION, "--out", str(tmp_path), *FAST]) == 3
    content = graded(tmp_path, "solution")
    assert content["unjudged_points"] == 8
    assert {c["status"] for c in lost(content).values()} == {"error"}
    assert "grader error" in capsys.readouterr().out
    assert cli.main(["check", SOLUTION, *CHECK]) == 3


def test_a_worker_that_cannot_start_is_a_fault_of_the_grader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.boundary.launch.WORKER", tmp_path / "nowhere")
    assert cli.main(["grade", SOLUTION, "--out", str(tmp_path), *FAST]) == 3


def test_a_lane_that_dies_leaves_errors_not_zeros() -> None:
    assert run.collected(None) == []
