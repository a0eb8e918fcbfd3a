"""A run folder from one command to the next: what is reused, what is judged again, and what ends a run without harm.

A class of small submissions; only Question 2 runs, without training.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from grader.check.outcome import Outcome
from grader.cli import main as cli
from grader.cli.progress import Told
from grader.grading.store import Store
from grader.report.lock import NAME, FolderLock, Locked

from .conftest import ROOT
from .killed import REFERENCE, WRONG, left_by, verdicts_of
from .test_afterwards import table
from .test_folder import full_disk

COMMON = ["--no-trained", "--jobs", "1", "--box", "none", "--unsafe-no-box"]
FAST = ["--question", "2", "--seed", "3", *COMMON]


class Ran(NamedTuple):
    """What a command came to: `judged` are the checks that were not reused, by the submission's place."""

    code: int
    out: str
    err: str
    judged: list[tuple[int, str]]

    @property
    def reused(self) -> tuple[int, int]:
        """How many verdicts, of how many."""
        [found] = re.findall(r"^reused (\d+) of (\d+) verdicts?$", self.out, re.MULTILINE)
        return int(found[0]), int(found[1])


Grade = Callable[..., Ran]


@pytest.fixture
def grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Grade:
    """Types ``grade class --out out`` with more words."""
    monkeypatch.setenv("COLUMNS", "80")
    note = Told.note

    def run(*words: str, paths: tuple[str, ...] = ("class",), out: str = "out") -> Ran:
        judged: list[tuple[int, str]] = []

        def noted(self: Told, index: int, found: list[Outcome]) -> None:
            judged.extend((index, one.check.id) for one in found if self.plan.wants(one.check))
            note(self, index, found)

        monkeypatch.setattr(Told, "note", noted)
        given = [str(tmp_path / path) for path in paths]
        code = cli.main(["grade", *given, "--out", str(tmp_path / out), *(words or FAST)])
        shown = capsys.readouterr()
        return Ran(code, shown.out, shown.err, judged)

    return run


@pytest.fixture
def everyone(tmp_path: Path) -> Path:
    """Ann is right, and so is Bob, word for word; Cy is wrong."""
    for name, text in {"ann": REFERENCE, "bob": REFERENCE, "cy": WRONG}.items():
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "gaussians.py").write_text(text)
    return tmp_path / "class"


def scores(out: Path) -> dict[str, float]:
    return {path.parent.name: json.loads(path.read_text())["score"] for path in out.glob("*/report.json")}


def test_the_same_command_judges_nothing_again_and_says_so(everyone: Path, tmp_path: Path, grade: Grade) -> None:
    first = grade()
    assert first.code == 0
    assert first.reused[0] == 0
    assert first.reused[1] == len({one for place, one in first.judged if place == 0}) * 2  # of two texts
    assert "3 in all: 3 graded, 0 empty, 0 unreadable, 2 duplicates, 0 grader errors" in first.out
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*") if path.suffix != ".sqlite"}
    second = grade()
    assert second.judged == []
    assert second.reused == (first.reused[1], first.reused[1])
    assert "[3/3] reused: nothing of 3 had to be judged again" in second.err.splitlines()
    assert {path: path.read_bytes() for path in before} == before


def test_a_change_is_judged_by_the_checks_that_can_see_it_and_all_of_it_by_all(everyone: Path, grade: Grade) -> None:
    first = grade()
    wanted = {one for place, one in first.judged if place == 0}
    ann = everyone / "ann" / "gaussians.py"
    ann.write_text("# a new head\n" + REFERENCE + "\n\ndef unused():\n    pass\n")
    changed = grade()
    assert changed.code == 0
    assert changed.judged == []  # nobody enters what is new, and the other one is the same
    ann.write_text(WRONG)
    wrong = {one for place, one in grade().judged if place == 0}
    assert wrong == set()  # Cy has handed that in already
    another = REFERENCE + "\n\ndef kl_divergence(mu, logvar):\n    return (mu - logvar).sum(-1)\n"
    ann.write_text(another)
    grade()
    ann.write_text(another.replace("mu - logvar", "mu + logvar"))
    again = {one for place, one in grade().judged if place == 0}
    assert "q2.standard.value" in again
    assert again < wanted
    everything = grade(*FAST, "--all")
    assert {one for place, one in everything.judged if place == 0} == wanted
    assert everything.reused[0] == 0


def test_one_question_is_graded_for_everybody_and_the_rest_stays(everyone: Path, tmp_path: Path, grade: Grade) -> None:
    grade()
    one = grade("--question", "1", *COMMON)  # with the seed that the folder has
    assert {name.partition(".")[0] for _, name in one.judged} == {"q1"}
    report = json.loads((tmp_path / "out" / "ann" / "report.json").read_text())
    assert {check["question"] for check in report["checks"] if check["status"] == "passed"} == {1, 2}
    assert report["seed"] == 3
    other = grade("--question", "1", "--seed", "4", *COMMON)
    assert other.code == 2
    assert "seed 3" in " ".join(other.err.split())
    assert grade("--question", "1", "--question", "2", *COMMON).judged == []


def test_the_source_may_go_and_nobodys_marks_do(everyone: Path, tmp_path: Path, grade: Grade) -> None:
    grade()
    before = scores(tmp_path / "out")
    shutil.rmtree(everyone / "cy")
    (everyone / "dan").mkdir()
    (everyone / "dan" / "gaussians.py").write_text(REFERENCE)
    part = grade()
    assert part.code == 0
    assert part.judged == []
    assert "graded as handed in before: cy" in " ".join(part.err.split())
    assert scores(tmp_path / "out") == before | {"dan": before["ann"]}
    shutil.rmtree(everyone)
    nothing = grade()
    assert nothing.code == 0
    assert "is not there any more" in " ".join(nothing.err.split())
    assert nothing.reused[0] == nothing.reused[1] > 0
    assert grade(out="elsewhere").code == 2


def test_a_mistyped_path_is_nobody_in_the_next_run_but_who_cannot_be_read_is(
    everyone: Path, grade: Grade, tmp_path: Path
) -> None:
    (everyone / "dan.zip").write_bytes(b"PK no zip")
    assert "clas does not exist" in " ".join(grade(paths=("class", "clas")).err.split())
    assert scores(tmp_path / "out").keys() == {"ann", "bob", "cy", "dan", "clas"}
    (everyone / "dan.zip").unlink()
    assert grade().code == 0
    assert table(tmp_path / "out").keys() == {"ann", "bob", "cy", "dan"}
    with Store(tmp_path / "out") as store:
        assert [row.content["name"] for row in store.submissions()] == ["ann", "bob", "cy", "dan"]


def test_the_second_grader_says_so_and_stops(everyone: Path, tmp_path: Path, grade: Grade) -> None:
    (tmp_path / "out").mkdir()
    held = FolderLock(tmp_path / "out")
    second = grade()
    assert second.code == 2
    assert re.search(rf"another grader is at work in .* \(process {os.getpid()} on ", " ".join(second.err.split()))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [NAME]
    held.release()
    assert grade().code == 0
    assert not (tmp_path / "out" / NAME).exists()


def test_the_lock_of_a_grader_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    code = (f"import os, signal, pathlib\nfrom grader.report.lock import FolderLock\n"
            f"lock = FolderLock(pathlib.Path({str(tmp_path)!r}))\nos.kill(os.getpid(), signal.SIGKILL)\n")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode < 0
    assert (tmp_path / NAME).exists()
    lock = FolderLock(tmp_path)
    with pytest.raises(Locked, match=str(os.getpid())):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()


@pytest.mark.parametrize("room", [60_000, 150_000])
def test_a_full_disk_ends_a_run_that_goes_on_once_there_is_room(
    room: int, everyone: Path, tmp_path: Path, grade: Grade
) -> None:
    calm = grade(out="calm")
    with full_disk(room):
        full = grade()
    assert full.code == 3
    said = " ".join(full.err.split())
    assert "make room, then type the same command again" in said
    assert "Traceback" not in said
    committed = verdicts_of(tmp_path / "out")
    after = grade()
    assert after.code == 0
    assert after.reused == (committed, calm.reused[1])
    assert left_by(tmp_path / "out") == left_by(tmp_path / "calm")


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="root may write to every folder that is mounted for writing")
def test_a_folder_that_is_mounted_for_reading_only(everyone: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    command = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", str(tmp_path / "out"), str(tmp_path / "out"),
               sys.executable, "-m", "grader", "grade", str(everyone), "--out", str(tmp_path / "out"), *FAST]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.stderr.startswith("bwrap:"):
        pytest.skip(done.stderr)
    assert done.returncode == 2
    assert "read-only file system; give a folder in which you may write" in " ".join(done.stderr.split())
    assert list((tmp_path / "out").iterdir()) == []


def test_a_store_that_cannot_be_read_is_said_to_be_and_left(everyone: Path, tmp_path: Path, grade: Grade) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.sqlite").write_bytes(b"no database" * 999)
    damaged = grade()
    assert damaged.code == 2
    assert "is damaged" in " ".join(damaged.err.split())
    assert (tmp_path / "out" / "run.sqlite").read_bytes() == b"no database" * 999
    (tmp_path / "out" / "run.sqlite").unlink()
    with closing(sqlite3.connect(tmp_path / "out" / "run.sqlite")) as base:
        base.execute("CREATE TABLE recipes (name TEXT)")
    assert "another program" in " ".join(grade().err.split())
    (tmp_path / "out" / "run.sqlite").write_bytes(b"")  # as one leaves it that was killed in its first moment
    assert grade().code == 0


def dying(folder: Path, seconds: float) -> subprocess.Popen[str]:
    """A grader that has the folder and is killed while something that it has forked still shares its lock."""
    text = (
        "import os, sys, time\nfrom pathlib import Path\nfrom grader.report.lock import FolderLock\n"
        f"FolderLock(Path({str(folder)!r}))\n"
        f"if os.fork():\n    print('held', flush=True)\n    os.kill(os.getpid(), 9)\ntime.sleep({seconds})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.wait()
    process.stdout.close()
    return process


def test_what_a_killed_grader_has_just_forked_keeps_nobody_out(tmp_path: Path) -> None:
    dying(tmp_path, 0.5)
    lock = FolderLock(tmp_path)  # waits for it
    with pytest.raises(Locked, match=f"process {os.getpid()} on"):
        FolderLock(tmp_path)  # and for nobody who lives
    lock.release()


def test_a_lock_of_who_has_not_said_who_it_is_is_respected_at_once(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    for said in ("", "process 7 on another machine", f"process {2**31} on", "process x on y"):
        lock.path.write_text(said)
        with pytest.raises(Locked):
            FolderLock(tmp_path)
    lock.release()
