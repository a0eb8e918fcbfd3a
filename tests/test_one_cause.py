"""One cause, one price: what builds on a wrong part is judged without it, and no edge is drawn by chance."""

from __future__ import annotations

import pytest

from grader.classes.ingest import Submission
from grader.rubric import CHECKS

from . import bank
from .bank.whole import MISTAKES
from .nearby import judged

BY_ID = {mistake.id: mistake for mistake in MISTAKES}
# mistake -> the only checks that it may cost
COSTS: dict[str, set[str]] = {
    "q08-variance-for-sd": {"q8.reparam.value"},
    "q08-always-mu": {"q8.reparam.value", "q8.reparam.draws"},
    "q08-reseeds": {"q8.reparam.draws"},
    "q08-bce-mean": {"q8.elbo.value"},
    "q08-float32-inside": {"q8.vae.shapes"},
    "q08-size-28-hard-coded": {"q8.vae.shapes"},
    "q08-returns-z-too": {"q8.vae.shapes"},
    "q08-one-head": {"q8.vae.heads"},
    "q08-conv-generator-ignored": {"q8.generator"},
    "q08-draws-on-the-cpu": {"q8.device"},
    "q09-labels-from-one": {"q9.errors"},
    "q09-one-hot-from-one": {"q9.errors"},
    "q09-embedding-of-ten": {"q9.shapes"},
    "q09-one-head": {"q9.encoder"},
    "q09-flat-images": {"q9.shapes"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COSTS)
def test_a_cause_costs_once(name: str, reference: Submission) -> None:
    mistake = BY_ID[name]
    checks = [check for check in CHECKS if check.question == mistake.question and check.kind != "trained"]
    outcomes = judged(bank.apply(reference.sources, mistake), checks, seed=31)
    assert {o.check.id for o in outcomes.values() if o.status not in ("passed", "not_run")} == COSTS[name]


@pytest.mark.parametrize("seed", range(8))
def test_whether_an_edge_is_asked_for_does_not_depend_on_the_seed(seed: int, reference: Submission) -> None:
    sources = bank.apply(reference.sources, BY_ID["q08-annealing-refuses-zero"])
    schedule = [check for check in CHECKS if check.id.startswith("q8.annealing")]
    outcomes = judged(sources, schedule, seed)
    assert {name: o.status for name, o in outcomes.items()} == {
        "q8.annealing": "passed", "q8.annealing.edges": "failed",
    }  # fmt: skip
