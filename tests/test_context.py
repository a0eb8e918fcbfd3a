"""What a check's view of a submission promises: what counts as changed, as named, as left behind."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import Phase
from hypothesis import strategies as st

from grader.boundary.ends import StudentRaised
from grader.boundary.launch import Worker
from grader.boundary.lent.probes import Recorder
from grader.boundary.session import Limits
from grader.boundary.values import Foreign, Gen
from grader.check.cases import drawn_cases
from grader.check.context import Context
from grader.check.declaration import Check
from grader.check.expectations import leaves_gradients_on, preserves, raises
from grader.check.failure import Failure
from grader.check.shown import mentions, unchanged
from grader.rubric import CHECKS

LIMITS = Limits(request_s=3.0, check_s=20.0, memory=1200 << 20, threads=1)
ANY: Check = CHECKS[0]


@pytest.mark.parametrize(
    ("names", "message", "named"),
    [
        ("steps", "steps must be at least 2, got 1", True),
        ("steps", "at least 2 frames are needed", False),
        ("3, 4", "shapes (3, 4) and (3, 5) do not match", True),
        ("3, 4", "shapes 3x4 and 3x5 do not match", True),
        ("3, 4", "torch.Size([3, 4]) is not torch.Size([4, 3])", True),
        ("3, 4", "4 is not 3", False),
        ("3, 4", "13, 4", False),
        ("0.5x", "got 0.5", False),
    ],
)
def test_an_error_names_what_is_bad_in_its_own_words(names: str, message: str, named: bool) -> None:
    assert mentions(message, names) is named


def test_what_counts_as_modified() -> None:
    one, two = torch.zeros(2), torch.ones(2)
    assert unchanged(one, torch.zeros(2))
    assert not unchanged(one, two)
    assert not unchanged(one, None)
    assert unchanged([one, (two, 3)], [torch.zeros(2), (torch.ones(2), 3)])
    assert not unchanged([one, two], [two, one])
    assert not unchanged([one, two], [one])
    assert not unchanged([one], one)
    assert unchanged("text", "text")
    assert unchanged(Gen(3), Foreign("a Generator"))


def test_probes_and_their_copies_note_in_one_place() -> None:
    probe = Recorder(torch.nn.Linear(2, 2))
    other = copy.deepcopy(probe).eval()
    probe(torch.zeros(3, 2))
    other(torch.zeros(4, 2))
    assert [(call["rows"], call["training"]) for call in probe.calls] == [(3, True), (4, False)]
    assert other.inner is not probe.inner


@pytest.fixture
def context_on(worker: Worker) -> Callable[[str], Context]:
    """A context on a submission of one module, "a"."""

    def make(source: str) -> Context:
        worker.submit({"a": source}, [])
        return Context(ANY.id, worker, 1, LIMITS)

    return make


def failure(action: Callable[[], Any]) -> str:
    with pytest.raises(Failure) as caught:
        action()
    return str(caught.value)


def test_lists_and_the_objects_in_them_are_arguments_too(context_on: Callable[[str], Context]) -> None:
    ctx = context_on("""
import torch
def make(): return torch.nn.Linear(1, 1)
def pops(parts): return len(parts) and parts.pop()
def turns(parts): parts.reverse()
def reads(parts): return len(parts)
""")
    tensors, modules = [torch.zeros(1), torch.ones(1)], [ctx.new("a.make") for _ in range(2)]
    assert preserves(ctx, "a.reads", tensors) == 2
    assert preserves(ctx, "a.reads", modules) == 2
    for function in ("a.pops", "a.turns"):
        for given in (tensors, modules):
            assert "modified in place" in failure(lambda f=function, g=given: preserves(ctx, f, g))  # type: ignore[misc]
    ctx.close()


def test_gradients_that_stay_switched_off_are_seen(context_on: Callable[[str], Context]) -> None:
    ctx = context_on("""
import torch
def for_good(): torch.set_grad_enabled(False)
@torch.no_grad()
def for_itself(): pass
""")
    ctx.call("a.for_itself")
    leaves_gradients_on(ctx, "for_itself")
    ctx.call("a.for_good")
    assert "nothing has gradients" in failure(lambda: leaves_gradients_on(ctx, "for_good"))
    ctx.close()


def test_a_missing_function_is_no_refusal(context_on: Callable[[str], Context]) -> None:
    ctx = context_on("def bad(x): raise ValueError('x is 3')")
    raises(ctx, "ValueError", "a.bad", 3, names="x")
    with pytest.raises(StudentRaised):
        raises(ctx, "ValueError", "a.absent", 3, names="x")
    ctx.close()


def test_what_is_drawn_depends_on_the_seed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis would also draw numbers that it finds in modules of ours, whichever are loaded."""

    def draws() -> list[float]:
        found: list[float] = []
        for seed in range(20):
            drawn_cases(lambda x: found.append(x), seed, 25, {"x": st.floats(-3, 3)}, (Phase.generate,))
        return found

    before = draws()
    (tmp_path / "a7_constants.py").write_text(f"VALUES = {[0.5 + k / 7 for k in range(15)]}")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("a7_constants")
    assert draws() == before
