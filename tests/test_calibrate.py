"""Cuts: one-sided, beyond every result of the reference, apart from trivial models; the file holds all of them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.author.calibrate import LOSE_ANY, SEEDS, Task, chance_to_lose, derived, enter, full_credit
from grader.check.credit import Measurement
from grader.check.thresholds import FILE, load_thresholds
from grader.rubric import CHECKS

CONTENT: dict[str, Any] = json.loads(FILE.read_text())
TRAINED = [check for check in CHECKS if check.kind == "trained"]


@given(st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=8), st.booleans(), st.floats(0, 0.9))
def test_every_result_lies_on_the_good_side_of_its_cut(values: list[float], below: bool, slack: float) -> None:
    full = full_credit(values, below, slack)
    assert all(value <= full if below else value >= full for value in values)
    assert chance_to_lose(values, below, full) < 3e-5


def test_results_add_up() -> None:
    table: dict[str, Any] = {}
    for seed, value in enumerate((0.010, 0.010, 0.012)):
        enter(table, Task("q", "digits", None, seed), {"mse": Measurement(value, True, 200.0, 5.0 + value)})
    metric = table["q"]["digits"]["mse"]
    assert metric["seeds"] == {"0": 0.010, "1": 0.010, "2": 0.012}
    assert metric["full"] == pytest.approx(0.012 * 201, rel=1e-3)
    assert metric["zero"] == 5.01


@pytest.mark.parametrize("dataset", ["digits", "mnist"])
@pytest.mark.parametrize("check", TRAINED, ids=[check.id for check in TRAINED])
def test_the_file_holds_enough_seeds_and_the_cuts_that_follow_from_them(check: Any, dataset: str) -> None:
    metrics = CONTENT["checks"][check.id][dataset]  # empty where a check has conditions of its own and no cut
    for name, metric in metrics.items():
        values, below = list(metric["seeds"].values()), metric["good"] == "below"
        assert len(values) >= SEEDS[dataset]
        assert all(math.isfinite(value) for value in values)
        assert {key: metric[key] for key in derived(metric)} == derived(metric)
        # a model that has learned nothing lies clearly beyond the cut for full credit
        assert metric["full"] < metric["zero"] if below else metric["full"] > metric["zero"]
        cut = load_thresholds(dataset).cut(check.id, name)
        assert cut is not None
        assert (cut.full, cut.zero) == (metric["full"], metric["zero"])


@pytest.mark.parametrize("dataset", SEEDS)
def test_the_reference_hardly_ever_loses_a_trained_point(dataset: str) -> None:
    chances = [metric["lose"] for entry in CONTENT["checks"].values() for metric in entry[dataset].values()]
    assert sum(chances) <= LOSE_ANY


def test_the_file_holds_nothing_else() -> None:
    assert set(CONTENT["checks"]) == {check.id for check in TRAINED}
