"""Judging in the prover's own process finds what judging in a process for each check finds, and leaves no traces."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from unittest import mock

import pytest
import torch
from hypothesis import Phase
from torch.testing import assert_close

from grader.boundary.ends import StudentRaised, TimedOut
from grader.boundary.launch import Worker
from grader.boundary.session import Limits
from grader.check import forall as properties
from grader.check.cases import drawn_cases
from grader.check.declaration import Question
from grader.rubric import CHECKS, QUESTIONS

from .bank import Mistake
from .bank.whole import MISTAKES
from .drawn import kept_cases
from .inside import Here, Inside
from .nearby import judged
from .prove import Task, perform, variant
from .touched import changes

LIMITS = Limits(request_s=0.5, check_s=5.0, memory=0, threads=1)
SAMPLE = random.Random(13).sample([m for m in MISTAKES if not any("trained" in name for name in m.fails)], 6)


def inside(source: str, seed: int = 1) -> Inside:
    """A session on one module, "a"."""
    return Inside(cast(Worker, Here({"a": source})), seed, LIMITS)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", SAMPLE, ids=lambda m: m.id)
def test_both_ways_give_the_same_report(mistake: Mistake) -> None:
    touched = {
        check.id: sorted(changes(variant(()), variant((mistake.id,))))
        for check in CHECKS
        if check.question == mistake.question
    }
    here = perform(Task("mistake", (mistake.id,), seed=1), touched)
    as_graded = perform(Task("again", (mistake.id,), seed=1, again=1), touched)
    assert here["ran"] > 0
    assert here["lost"]
    assert here["digest"] == as_graded["digest"]


def test_a_session_changes_nothing_of_ours() -> None:
    source = """
import torch
print("imported")
def change():
    torch.manual_seed(5); torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False)
def made(): return torch.rand(3), torch.is_grad_enabled()
"""
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    session = inside(source)
    session.call("a.change")
    values, grad = session.call("a.made")
    assert values.dtype == torch.float64
    assert grad is False
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.rand(2), wanted)
    assert session.printed == b"imported\n"


def test_sessions_start_alike_and_share_nothing() -> None:
    source = """
import torch
seen = []
def draw():
    seen.append(1)
    return torch.rand(3), len(seen)
"""
    (first, one), (second, other) = (inside(source).call("a.draw") for _ in range(2))
    assert torch.equal(first, second)
    assert one == other == 1
    assert not torch.equal(first, inside(source, seed=2).call("a.draw")[0])


def test_arguments_are_copies() -> None:
    given = torch.zeros(3)
    value, after, _ = inside("def add(x): return x.add_(1)").effects("a.add", given)
    assert torch.equal(given, torch.zeros(3))
    assert torch.equal(value, torch.ones(3))
    assert torch.equal(after[0], torch.ones(3))


def test_exceptions_and_endless_loops_come_back() -> None:
    session = inside("def fails(): raise KeyError('k')\ndef loops():\n    while True: pass\ndef fine(): return 1")
    with pytest.raises(StudentRaised, match="k"):
        session.call("a.fails")
    assert session.call("a.fine") == 1
    with pytest.raises(TimedOut):
        session.call("a.loops")


def test_a_new_session_forgets_the_modules_of_the_last() -> None:
    inside("x = 1").request("import", module="a")
    assert "submission.a" in sys.modules
    fresh = inside("def number(): return 2")
    assert fresh.call("a.number") == 2


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"q{q.number}")
def test_kept_cases_are_those_that_hypothesis_draws(question: Question) -> None:
    met = 0

    def both(
        body: Callable[..., None], seed: int, examples: int, strategies: Mapping[str, Any], phases: Sequence[Phase]
    ) -> None:
        nonlocal met
        kept: list[dict[str, Any]] = []
        kept_cases(lambda **drawn: kept.append(drawn), seed, examples, strategies, phases)
        left = iter(kept)

        def compared(**drawn: Any) -> None:
            nonlocal met
            met += 1
            assert_close(next(left), drawn, rtol=0, atol=0, equal_nan=True)
            body(**drawn)

        drawn_cases(compared, seed, examples, strategies, phases)
        assert next(left, None) is None

    with mock.patch.object(properties, "drawn_cases", both):
        outcomes = judged(variant(()), question.checks, seed=2)
    assert met > 5
    assert [
        name for name, found in outcomes.items() if found.status != "passed" and found.check.kind != "trained"
    ] == []
