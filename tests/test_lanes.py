"""Lanes finish all parts; one that dies costs its own part and no other; their number decides no mark."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path

import pytest
import torch

from grader.check.threads import THREADS
from grader.grading.engines.local import Lanes
from grader.grading.run import Lane, Plan


def work(folder: Path, part: str) -> str:
    """Dies on "deadly", and the first time on "unlucky"."""
    known = folder / part
    if part == "deadly" or (part == "unlucky" and not known.exists()):
        known.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return part.upper()


@pytest.mark.slow
@pytest.mark.parametrize("bad", [(), ("deadly",), ("unlucky",), ("deadly", "unlucky")])
def test_a_process_that_dies_costs_its_own_part(tmp_path: Path, bad: tuple[str, ...]) -> None:
    lanes = Lanes(2, functools.partial(work, tmp_path))
    parts = ["a", "b", *bad, *(f"c{k}" for k in range(6))]
    for part in parts:
        lanes.submit(part)
    found = {}
    for part, result in lanes.results():
        assert part not in found
        found[part] = result
        if part == "a":
            lanes.submit("later")
    assert found == {part: None if part == "deadly" else part.upper() for part in [*parts, "later"]}


def test_an_exception_of_ours_is_not_hidden() -> None:
    lanes = Lanes(1, int)
    lanes.submit("no number")
    with pytest.raises(ValueError, match="no number"):
        list(lanes.results())


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_threads_do_not_depend_on_the_number_of_processes(jobs: int) -> None:
    everything = frozenset({"property", "trained"}), frozenset({"public", "hidden"})
    lane = Lane(Plan(1, "cpu", "digits", "test", None, frozenset({3}), *everything, jobs=jobs))
    assert torch.get_num_threads() == lane.setting.trained.threads == lane.setting.quick.threads == THREADS
