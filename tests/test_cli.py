"""The commands as a person types them: exit codes, files, words. Only questions 1 and 2 run, which takes seconds."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from grader.cli import boxes, grade
from grader.cli import main as cli
from grader.cli.arguments import QUESTION_NAMES, question_number
from grader.grading import judge
from grader.grading.course import Course
from grader.report import markdown
from grader.report.model import Report, sandbox_dict
from grader.report.write import write_report
from grader.rubric import QUESTIONS

from .conftest import ROOT
from .test_report import full, report_of

SCHEMA = json.loads((Path(markdown.__file__).parent / "schema.json").read_text())
SOLUTION = str(ROOT / "solution")
FAST = ["--question", "2", "--no-trained", "--jobs", "1", "--seed", "3"]
CHECK = ["--question", "2", "--jobs", "1", "--seed", "3"]


def graded(out: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / name / "report.json").read_text())
    jsonschema.validate(content, SCHEMA)
    return content


def table(out: Path) -> list[dict[str, str]]:
    with (out / "gradebook.csv").open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def lost(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["id"]: c for c in content["checks"] if c["status"] not in ("passed", "not_run")}


def test_grading_the_solution(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["grade", SOLUTION, "--out", str(tmp_path), *FAST]) == 0
    content = graded(tmp_path, "solution")
    assert lost(content) == {}
    assert content["score"] == 8
    assert content["not_run_points"] == 102
    assert content["seed"] == 3
    assert content["sandbox"] == sandbox_dict(boxes.box_of_a_run("auto", "cpu", own=True, unsafe=False).sandbox)
    assert content["sandbox"]["self_test"] is None  # one folder, the user's own
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
    assert "(1 attacks tried, all held)" in shown.err
    rows = {row["submission"]: row for row in table(out)}
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
    for name, words in {"exits": "ended the process when it was imported", "syntax": "gaussians.py", "no-file": "gaussians.py is not in",
                        "broken": "broken.zip", "empty": "submit the folder"}.items():  # fmt: skip
        content = graded(out, name)
        assert content["score"] == 0, name
        told = [c["message"] for c in lost(content).values() if c["status"] != "skipped" and "message" in c]
        if name in ("broken", "empty"):  # nothing was read: said once, and not by every check again
            assert not told
            told = content["problems"][:1]
        assert told
        assert all(words in text for text in told), name


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["check", SOLUTION, "--seed", text], "a seed is a whole number from 0 to 2147483647") for text in
     ("abc", "1.5", "", "-1", "99999999999999999999999", "1_0", "٣")]
    + [(["check", SOLUTION, "--jobs", text], "use 1 or more") for text in ("abc", "0", "-3", "1e3")]
    + [(["check", SOLUTION, "--question", text], "use one of 1, 2, 3") for text in ("0", "11", "one", "bonus ")]
    + [(["grade", "", "--out", "x"], "is a variable"), (["grade", SOLUTION, "--out", " "], "is a variable"),
       (["check", SOLUTION, "\x1b[2J"], "unrecognized arguments: \\x1b[2J")],
)  # fmt: skip
def test_a_wrong_argument_is_answered_with_a_remedy(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(arguments)
    shown = capsys.readouterr().err
    assert words in shown
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2


def test_question_names_are_the_rubrics() -> None:
    assert [question_number(name) for name in QUESTION_NAMES] == [question.number for question in QUESTIONS]


HEAVY = ("torch", "numpy", "scipy", "sklearn", "hypothesis", "grader.rubric", "grader.check", "grader.boundary")


@pytest.mark.parametrize(
    "typed",
    ["--help", "check --help", "grade --help", "", "check", "check x --seed abc", "check x --nonsense", "check nowhere",
     "grade nowhere --out o", "grade {here} --out {file}", "grade {here} --out {here}", "check {here} --json {here}"],
)  # fmt: skip
def test_nothing_heavy_is_imported_before_the_arguments_make_sense(typed: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "here").mkdir()
    arguments = typed.format(here=tmp_path / "here", file=tmp_path / "file").split()
    code = (f"import sys\nfrom grader.cli.main import main\ntry: sys.exit(main({arguments!r}))\n"
            f"finally: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == (0 if "--help" in typed else 2)
    assert done.stderr.splitlines()[-1] == "[]"
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_used_is_noticed_before_anything_is_graded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grade, "grade_course", lambda *_: pytest.fail("something was graded"))
    (tmp_path / "file").write_text("")
    assert cli.main(["grade", SOLUTION, "--out", str(tmp_path / "file" / "x"), *FAST]) == 2
    assert cli.main(["check", SOLUTION, "--json", str(tmp_path / "file" / "x"), *CHECK]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("error: --") for line in lines)


class Broken(io.StringIO):
    """A stream that cannot be written."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(("stream", "number", "code"), [("stdout", errno.ENOSPC, 3), ("stdout", errno.EPIPE, 0),
                                                        ("stderr", errno.ENOSPC, 0), ("stderr", errno.EIO, 0)])  # fmt: skip
def test_a_stream_that_cannot_be_written_costs_no_marks(
    stream: str, number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grade, "grade_course", at_once)
    monkeypatch.setattr(sys, stream, Broken(number))
    assert cli.main(["grade", SOLUTION, "--out", str(tmp_path / "out"), *FAST]) == code
    assert [row["score"] for row in table(tmp_path / "out")] == ["100.0"]


def at_once(course: Course, *_: object) -> Iterator[tuple[int, Report]]:
    """Grades nothing and gives everybody full marks: for tests of what comes after."""
    for index, submission in enumerate(course.submissions):
        course.store.put_marks(course.keys[index], {}, [], course.circumstances)
        yield index, report_of(*full(), name=submission.name)


def test_a_fresh_run_begins_anew_and_reports_without_a_store_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grade, "grade_course", at_once)
    out = tmp_path / "reports"
    assert cli.main(["grade", SOLUTION, "--out", str(out), *FAST]) == 0
    first = (out / "gradebook.csv").read_bytes()
    (out / "run.sqlite").unlink()
    assert cli.main(["grade", SOLUTION, "--out", str(out), *FAST, "--question", "9"]) == 2
    assert "--fresh" in capsys.readouterr().err
    assert (out / "gradebook.csv").read_bytes() == first
    (out / "notes.txt").write_text("mine")
    assert cli.main(["grade", SOLUTION, "--out", str(out), "--fresh", *FAST]) == 0
    assert (out / "notes.txt").read_text() == "mine"


def test_a_report_that_cannot_be_written_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_room(report: Report, out: Path) -> Path:
        if report.submission == "ann":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_report(report, out)

    for name in ("ann", "bob"):
        (tmp_path / "class" / name).mkdir(parents=True)
        shutil.copy(ROOT / "solution" / "gaussians.py", tmp_path / "class" / name)
    monkeypatch.setattr(grade, "grade_course", at_once)
    monkeypatch.setattr(grade, "write_report", no_room)
    out = tmp_path / "reports"
    assert cli.main(["grade", str(tmp_path / "class"), "--out", str(out), *FAST]) == 3
    rows = {row["submission"]: row for row in table(out)}
    assert {name: row["score"] for name, row in rows.items()} == {"ann": "100.0", "bob": "100.0"}
    assert "no space left" in rows["ann"]["problems"]
    assert not rows["bob"]["problems"].startswith("the report")
    assert "ann: the report could not be written (no space left" in " ".join(capsys.readouterr().err.split())
    assert (out / "bob" / "report.md").exists()


def test_ctrl_c_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ann", "bob"):
        (tmp_path / "class" / name).mkdir(parents=True)
        shutil.copy(ROOT / "solution" / "gaussians.py", tmp_path / "class" / name)

    def interrupted(*arguments: Any) -> Iterator[tuple[int, Report]]:
        yield next(at_once(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(grade, "grade_course", interrupted)
    out = tmp_path / "reports"
    assert cli.main(["grade", str(tmp_path / "class"), "--out", str(out), *FAST]) == 130
    what, _, how = " ".join(capsys.readouterr().err.split()).partition("interrupted: ")[2].partition("to go on ")
    assert what == f"1 of 2 graded, reports of those are in {out} "
    assert how.startswith(f"from here: python -m grader grade {tmp_path / 'class'} --out {out} --question 2")
    assert [row["submission"] for row in table(out)] == ["ann"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_with_a_line_and_130(tmp_path: Path, jobs: str) -> None:
    """The signal goes to all processes of the group, as a terminal sends it, in the middle of a check."""
    (tmp_path / "slow").mkdir()
    started = tmp_path / "started"
    (tmp_path / "slow" / "gaussians.py").write_text(
        f"import pathlib, time\ndef kl_divergence(mu, logvar):\n    pathlib.Path({str(started)!r}).touch()\n    time.sleep(8)\n"
    )
    arguments = ["grade", str(tmp_path / "slow"), "--out", str(tmp_path / "out"), *FAST[:-4], "--jobs", jobs]
    arguments += ["--box", "none"]  # it touches a file, for us to see
    running = subprocess.Popen([sys.executable, "-m", "grader", *arguments], cwd=ROOT, start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    while not started.exists() and running.poll() is None:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in out + err
    assert "interrupted: 0 of 1 graded" in err.splitlines()


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"},
                                       {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])  # fmt: skip
def test_a_terminal_without_unicode_shows_everything(variables: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "starter", tmp_path / "José")
    with (tmp_path / "José" / "gaussians.py").open("a", encoding="utf-8") as file:
        file.write("\n\ndef kl_divergence(mu, logvar):\n    print('μ → \\x1b[2J')\n    raise ValueError('σ² ≠ 1')\n")
    done = subprocess.run(
        [sys.executable, "-m", "grader", "check", str(tmp_path / "José"), *CHECK],
        cwd=ROOT, env={**os.environ, **variables}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stdout
    assert re.search(rb"\npublic [\d.]+/[\d.]+ ", done.stdout)
    assert b"Question 2" in done.stdout
    assert not re.search(rb"[^\x00-\x7f]", done.stdout) or variables.get("PYTHONIOENCODING") == "cp1252"


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
    monkeypatch.setattr("grader.boundary.box.none.WORKER", tmp_path / "nowhere")
    assert cli.main(["grade", SOLUTION, "--out", str(tmp_path), *FAST, "--box", "none"]) == 3


def test_a_module_in_the_current_folder_is_not_imported(tmp_path: Path) -> None:
    """Whoever stands in a class folder must not run what lies there under the name of a library."""
    for name in ("torch", "signal", "numpy", "gaussians"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w').close()\n")
    arguments = ["check", str(ROOT / "starter"), "--question", "2", "--seed", "1"]
    done = subprocess.run([sys.executable, "-m", "grader", *arguments], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert not (tmp_path / "ran").exists()
    assert done.returncode == 1, done.stderr
