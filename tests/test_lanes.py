"""Lanes finish all parts; one that dies costs its own part and no other; their number decides no mark."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from grader.check.threads import THREADS
from grader.grading.engines.local import Lanes
from grader.grading.run import Lane, Plan


def work(folder: Path, part: str, tell: Callable[[str], None]) -> str:
    """Dies on "deadly", and the first time on "unlucky". It tells the part before and after."""
    tell(f"{part} begins")
    known = folder / part
    if part == "deadly" or (part == "unlucky" and not known.exists()):
        known.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    tell(f"{part} ends")
    return part.upper()


@pytest.mark.slow
@pytest.mark.parametrize("bad", [(), ("deadly",), ("unlucky",), ("deadly", "unlucky")])
def test_a_process_that_dies_costs_its_own_part(tmp_path: Path, bad: tuple[str, ...]) -> None:
    heard: dict[str, list[str]] = {}
    lanes = Lanes(2, functools.partial(work, tmp_path), lambda part, item: heard.setdefault(part, []).append(item))
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
    assert all(set(items) <= {f"{part} begins", f"{part} ends"} for part, items in heard.items())


def patient(folder: Path, part: str, tell: Callable[[str], None]) -> str:
    """Does not end before what it tells is heard."""
    tell("news")
    while not (folder / part).exists():
        time.sleep(0.01)
    return part


def test_what_a_lane_tells_is_heard_before_its_part_is_done(tmp_path: Path) -> None:
    lanes = Lanes(2, functools.partial(patient, tmp_path), lambda part, item: (tmp_path / part).touch())
    for part in "abc":
        lanes.submit(part)
    assert sorted(lanes.results()) == [("a", "a"), ("b", "b"), ("c", "c")]


def number(part: str, tell: object) -> int:
    return int(part)


def test_an_exception_of_ours_is_not_hidden() -> None:
    lanes = Lanes(1, number)
    lanes.submit("no number")
    with pytest.raises(ValueError, match="no number"):
        list(lanes.results())


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_threads_do_not_depend_on_the_number_of_processes(jobs: int) -> None:
    everything = frozenset({"property", "trained"}), frozenset({"public", "hidden"})
    lane = Lane(Plan(1, "cpu", "digits", "test", None, frozenset({3}), *everything, jobs=jobs))
    assert torch.get_num_threads() == lane.setting.trained.threads == lane.setting.quick.threads == THREADS
