"""Cuts: one-sided, beyond every result of the reference, apart from trivial models; the file holds all of them."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.author.calibrate import CHEAP, MANY, Task, chance_to_lose, derived, enter, full_credit, seeds_of
from grader.check.credit import Measurement
from grader.check.thresholds import FILE, load_thresholds
from grader.rubric import CHECKS

CONTENT: dict[str, Any] = json.loads(FILE.read_text())
TRAINED = [check for check in CHECKS if check.kind == "trained"]


@given(st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=8), st.booleans(), st.floats(0, 0.9), st.floats(0, 0.5))
def test_every_result_lies_on_the_good_side_of_its_cut(
    values: list[float], below: bool, slack: float, way: float
) -> None:
    zero = 2 * max(values) if below else 0.0
    full = full_credit(values, below, slack, way, zero)
    for value in values:
        room = max(slack * value, way * abs(zero - value))
        assert value + room <= full * (1 + 1e-9) if below else value - room >= full * (1 - 1e-9)


@pytest.mark.parametrize("below", [True, False])
def test_the_tail_of_many_results_is_what_they_show(below: bool) -> None:
    values = [1.0] * (MANY - 1) + [1.06 if below else 0.94]
    assert full_credit(values, below, 0.05) == pytest.approx(1.06 * 1.05 if below else 0.94 * 0.95, rel=1e-3)
    few = values[-10:]  # from few, the cut lies further out than the worst and the slack
    assert full_credit(few, below, 0.05) > 1.13 if below else full_credit(few, below, 0.05) < 0.88


def test_chances_are_those_of_ranks() -> None:
    # all orders of five trainings and three more are equally likely
    orders = list(itertools.permutations(range(8)))
    lost = sum(sum(rank > max(order[:5]) for rank in order[5:]) >= 2 for order in orders)
    assert chance_to_lose(5) == pytest.approx(lost / len(orders))
    assert chance_to_lose(MANY) < 1.5e-4


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
        assert len(values) >= seeds_of(check.id, dataset)
        assert all(math.isfinite(value) for value in values)
        assert {key: metric[key] for key in derived(metric)} == derived(metric)
        # a model that has learned nothing lies clearly beyond the cut for full credit
        assert metric["full"] < metric["zero"] if below else metric["full"] > metric["zero"]
        cut = load_thresholds(dataset).cut(check.id, name)
        assert cut is not None
        assert (cut.full, cut.zero) == (metric["full"], metric["zero"])


@pytest.mark.parametrize("check", sorted(CHEAP))
def test_cheap_trainings_are_calibrated_with_many_seeds(check: str) -> None:
    assert check in CONTENT["checks"]
    for metric in CONTENT["checks"][check]["digits"].values():
        assert len(metric["seeds"]) >= MANY
        assert metric["lose"] < 2e-4


def test_the_file_holds_nothing_else() -> None:
    assert set(CONTENT["checks"]) == {check.id for check in TRAINED}
