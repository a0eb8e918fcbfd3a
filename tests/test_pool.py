"""Boxes of a lane: each serves one submission, the next one gets ready meanwhile, and none is made for nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

import pytest

from grader.boundary.box import Box, Sandbox, Started, choose
from grader.boundary.launch import GraderFault, Worker
from grader.classes.ingest import Submission
from grader.grading import run
from grader.grading.judge import libraries
from grader.grading.pool import Pool
from grader.grading.run import Lane, Part, Plan

from .forked import forked

QUICK = frozenset({"property"}), frozenset({"public", "hidden"})


@dataclass(frozen=True)
class Counted:
    """No box, and a note of every worker that is started in it."""

    started: list[subprocess.Popen[bytes]] = field(default_factory=list, hash=False)

    @property
    def sandbox(self) -> Sandbox:
        return choose("none").sandbox

    def start(self, arguments: Sequence[str], fds: Sequence[int], log: IO[bytes]) -> Started:
        found = choose("none").start(arguments, fds, log)
        self.started.append(found.process)
        return found

    @property
    def running(self) -> int:
        return sum(process.poll() is None for process in self.started)


def submission(name: str, marker: str) -> Submission:
    return Submission(name, {"gaussians": f"import builtins\nbuiltins.{marker} = 1\n"})


def test_the_next_box_gets_ready_while_the_present_one_works() -> None:
    box = Counted()
    with Pool(box) as pool:
        pool.expect(["json"])
        assert not box.started  # nothing works yet that a spare could follow
        first = pool.take([])
        assert len(box.started) == 2
        second = pool.take(["json"])
        assert forked(second).process is box.started[1]
        assert len(box.started) == 3
        for worker in (first, second):
            worker.close()
        assert box.running == 1
    assert box.running == 0


def test_no_spare_is_made_for_nothing() -> None:
    box = Counted()
    with Pool(box) as pool:
        pool.expect(None)
        pool.take([]).close()
        assert len(box.started) == 1
        pool.expect(["json"])  # something follows after all
        pool.expect(["json"])
        assert len(box.started) == 2


def test_a_spare_that_died_is_replaced() -> None:
    box = Counted()
    with Pool(box) as pool:
        pool.expect([])
        pool.take([]).close()
        spare = box.started[1]
        spare.kill()
        spare.wait()
        worker = forked(pool.take([]))
        assert worker.process not in box.started[:2]
        assert worker.ask("preload", modules=[])
        worker.close()
        box.started[-1].kill()
        box.started[-1].wait()
        pool.expect([])
        assert box.running == 1


def test_a_box_in_which_nothing_starts_is_a_fault_of_the_grader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.boundary.box.none.WORKER", "/nowhere")
    with Pool(choose("none")) as pool, pytest.raises(GraderFault, match="could not be started"):
        pool.take([])


def plan(box: Box, jobs: int = 1) -> Plan:
    return Plan(1, "cpu", "none", "test", None, frozenset({2}), *QUICK, jobs=jobs, box=box)


def test_every_submission_has_a_box_of_its_own_and_the_last_one_no_spare() -> None:
    """What one puts where all modules could find it is not there for the next one."""
    box = Counted()
    text = "import builtins\nassert not hasattr(builtins, 'been_here'), 'somebody was here'\nbuiltins.been_here = 1\n"
    found = {}
    for index, report in run.grade(
        [Submission(name, {"gaussians": f"{text}# {name}"}) for name in "abc"], plan(box), lambda *_: None
    ):
        found[index] = [outcome for outcome in report.outcomes if outcome.status != "not_run"]
    assert sorted(found) == [0, 1, 2]
    assert not [outcome for outcomes in found.values() for outcome in outcomes if "somebody" in outcome.message]
    assert len(box.started) == 3
    assert box.running == 0


def test_a_single_submission_gets_a_single_box() -> None:
    box = Counted()
    list(run.grade([Submission("a", {"gaussians": "x = 1\n"})], plan(box), lambda *_: None))
    assert len(box.started) == 1


def test_what_the_next_one_needs_is_imported_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = Submission("b", {"gaussians": "import einops\nfrom sklearn.decomposition import PCA\n"})
    assert run.libraries_ahead([needs, Submission("c", {"gaussians": ""})]) == tuple(sorted(libraries(needs)))
    assert run.libraries_ahead([]) is None
    box = Counted()
    lane = Lane(plan(box))
    lane.run(Part(0, Submission("a", {"gaussians": "x = 1\n"}), ("q2.properties",), {}, run.libraries_ahead([needs])))
    monkeypatch.setattr(Worker, "preload", lambda *_: pytest.fail("somebody waits for an import"))
    lane.pool.take(libraries(needs)).close()
    lane.close()
    assert box.running == 0
