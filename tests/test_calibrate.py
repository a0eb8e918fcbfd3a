"""Cuts: one-sided, beyond every result of the reference, and the committed file holds one for every trained check."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.author.calibrate import Task, cut_of, enter
from grader.context import Measurement
from grader.rubric import CHECKS
from grader.thresholds import FILE, load_thresholds

CONTENT: dict[str, Any] = json.loads(FILE.read_text())
TRAINED = [check for check in CHECKS if check.kind == "trained"]


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=8), st.booleans(), st.floats(0, 0.9))
def test_every_result_lies_on_the_good_side_of_its_cut(values: list[float], below: bool, slack: float) -> None:
    cut = cut_of(values, below, slack)
    assert all(value <= cut if below else value >= cut for value in values)


def test_results_add_up() -> None:
    table: dict[str, Any] = {}
    for seed, value in enumerate((0.010, 0.011, 0.012)):
        enter(table, Task("q", "digits", None, seed, 1), {"mse": Measurement(value, True, 0.5)})
    metric = table["q"]["digits"]["mse"]
    assert metric["seeds"] == {"0": 0.010, "1": 0.011, "2": 0.012}
    assert metric["cut"] == pytest.approx(0.012 * 1.5, rel=1e-3)


@pytest.mark.parametrize("dataset", ["digits", "mnist"])
@pytest.mark.parametrize("check", TRAINED, ids=[check.id for check in TRAINED])
def test_the_file_holds_five_seeds_and_the_cut_that_follows_from_them(check: Any, dataset: str) -> None:
    metrics = CONTENT["checks"][check.id][dataset]  # empty where a check has conditions of its own and no cut
    for name, metric in metrics.items():
        values = list(metric["seeds"].values())
        assert len(values) >= 5
        assert all(math.isfinite(value) for value in values)
        assert metric["cut"] == cut_of(values, metric["good"] == "below", metric["slack"])
        assert load_thresholds(dataset).cut(check.id, name) == metric["cut"]


def test_the_file_holds_nothing_else() -> None:
    assert set(CONTENT["checks"]) == {check.id for check in TRAINED}
