"""Lanes finish all parts; one that dies costs its own part and no other."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path

import pytest

from grader.grading.lanes import Lanes


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
