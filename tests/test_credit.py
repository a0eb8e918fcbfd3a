"""Credit of trained checks: linear between the cuts, trained again before anything is lost, and with the grader's part
in the place of a failed one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from grader.boundary.ends import TimedOut
from grader.check.context import Context
from grader.check.datasets import Dataset
from grader.check.declaration import Check, declare
from grader.check.expectations import as_tensor
from grader.check.failure import Unimplemented
from grader.check.parts import FOLLOW_THROUGH, Part
from grader.check.thresholds import Cut, Thresholds, load_thresholds
from grader.check.trained import at_most, expect_of_training
from grader.classes.ingest import Submission
from grader.grading.judge import PATIENCE, Bench, Setting, judge, judge_all
from grader.rubric import CHECKS

from . import bank
from .bank.whole import MISTAKES
from .strange import strange

BY_ID = {check.id: check for check in CHECKS}
METRIC = {"good": "below", "full": 0.1, "zero": 0.3}
CUTS = Thresholds("digits", {"q4.trained.test": {"digits": {"mse": METRIC}}})


@pytest.fixture(scope="module")
def bench(reference: Submission) -> Iterator[Bench]:
    with Bench(reference) as running:
        yield running


@pytest.mark.parametrize(
    ("value", "credit"),
    [(0.05, 1), (0.1, 1), (0.2, 0.5), (0.25, 0.25), (0.3, 0), (9.0, 0), (math.nan, 0), (math.inf, 0), (-math.inf, 0)],
)
def test_credit_is_linear_between_the_cuts(value: float, credit: float) -> None:
    assert Cut(0.1, 0.3).credit(value) == pytest.approx(credit)
    assert Cut(-0.1, -0.3).credit(-value) == pytest.approx(credit)  # larger is better


def check_with(values: list[float]) -> Check:
    """A trained check that finds these values, one after the other."""

    @declare(
        id="q4.trained.test", question=4, kind="trained", points=2.0, visibility="public", title="t", asks="a", hint="h",
        needs=(),
    )  # fmt: skip
    def check(ctx: Context) -> None:
        at_most(ctx, "mse", values.pop(0), "the error", trivial=0.3)

    return check


@pytest.mark.parametrize(
    ("values", "earned", "status"),
    [
        ([0.05], 2.0, "passed"),  # all points: once
        ([0.099], 2.0, "passed"),
        ([0.2, 0.2], 1.0, "partial"),  # two agree: a third would decide nothing
        ([0.35, 0.4], 0.0, "failed"),
        ([math.nan, math.nan], 0.0, "failed"),
        ([0.105, 0.05, 0.06], 2.0, "passed"),  # the median of three
        ([0.35, 0.05, 0.06], 2.0, "passed"),  # however far the first one was
        ([math.nan, 0.05, 0.06], 2.0, "passed"),
        ([0.105, 0.3, 0.05], 1.95, "partial"),
        ([0.35, 0.05, 0.2], 1.0, "partial"),
    ],
)
def test_what_falls_short_is_trained_again(
    values: list[float], earned: float, status: str, bench: Bench, digits: Dataset
) -> None:
    left = list(values)
    outcome = judge(check_with(left), bench, Setting(1, "cpu", digits, CUTS))
    assert not left
    assert outcome.earned == pytest.approx(earned)
    assert outcome.status == status
    assert ("trained again" in outcome.message) == (len(values) > 1)


@pytest.mark.parametrize("kept", [True, False])
def test_what_training_was_to_show_is_trained_again(kept: bool, bench: Bench, digits: Dataset) -> None:
    patience: list[int] = []

    def check(ctx: Context) -> None:
        patience.append(ctx.patience)
        expect_of_training(ctx, len(patience) > 1 and kept, "it does not help", "less", "more")

    outcome = judge(replace(check_with([]), run=check), bench, Setting(1, "cpu", digits, CUTS))
    assert patience == [1, PATIENCE, PATIENCE][: 3 if kept else 2]
    assert outcome.earned == (2.0 if kept else 0.0)


@pytest.mark.parametrize("shape", [(3,), None])
def test_what_no_training_decides_is_not_repeated(shape: tuple[int] | None, bench: Bench, digits: Dataset) -> None:
    runs: list[int] = []

    def check(ctx: Context) -> None:
        runs.append(ctx.seed)
        at_most(ctx, "mse", 0.05, "the error", trivial=0.3)
        if shape is None:
            raise Unimplemented("decode")
        as_tensor(torch.zeros(2), shape, "the code")

    outcome = judge(replace(check_with([]), run=check), bench, Setting(1, "cpu", digits, CUTS))
    assert len(runs) == 1
    assert outcome.status == ("unimplemented" if shape is None else "failed")


def test_a_longer_training_that_ends_early_takes_nothing(bench: Bench, digits: Dataset) -> None:
    def check(ctx: Context) -> None:
        if ctx.patience > 1:
            raise TimedOut("no answer")
        at_most(ctx, "mse", 0.2, "the error", trivial=0.3)

    outcome = judge(replace(check_with([]), run=check), bench, Setting(1, "cpu", digits, CUTS))
    assert (outcome.status, outcome.earned) == ("partial", 1.0)


@pytest.mark.parametrize(("lost", "trained"), [({}, 3), ({"q8.reparam.value": "failed"}, 4)])
def test_trainings_are_repeated_once_only(lost: dict[str, str], trained: int, bench: Bench, digits: Dataset) -> None:
    runs: list[int] = []

    def check(ctx: Context) -> None:
        runs.append(len(ctx.stand_ins))
        at_most(ctx, "mse", 0.4 + 0.01 * len(runs) if len(runs) != trained - 1 else 0.05, "the error", trivial=0.3)

    follow({"q8.vae.shapes": "passed", "q8.reparam.value": "passed"} | lost, check, bench, digits)
    assert len(runs) == trained


@pytest.mark.parametrize(("hint", "asked"), [("Are they all alike?", "Are they all alike?"), ("", "h")])
@pytest.mark.parametrize("value", [0.2, 0.4])
def test_a_metric_asks_its_own_question(value: float, hint: str, asked: str, bench: Bench, digits: Dataset) -> None:
    def check(ctx: Context) -> None:
        at_most(ctx, "mse", value, "the error", trivial=0.3, hint=hint)

    assert judge(replace(check_with([]), run=check), bench, Setting(1, "cpu", digits, CUTS)).hint == asked


def test_cuts_that_contradict_each_other_are_a_fault_of_the_grader(bench: Bench, digits: Dataset) -> None:
    cuts = Thresholds("digits", {"q4.trained.test": {"digits": {"mse": METRIC | {"full": 0.4}}}})
    assert judge(check_with([0.05]), bench, Setting(1, "cpu", digits, cuts)).status == "error"


@pytest.mark.parametrize(("change", "status"), [("truth values", "failed"), ("complex", "failed"), ("empty", "failed"),
                                                ("infinity", "error")])  # fmt: skip
def test_a_check_that_breaks_on_a_strange_value_is_the_submissions_loss(
    change: str, status: str, bench: Bench, reference: Submission
) -> None:
    def breaks(ctx: Context) -> None:
        ctx.call("gaussians.kl_divergence", ctx.randn(3, 2), ctx.randn(3, 2))
        raise RuntimeError("not what the check can work with")

    check = replace(check_with([]), run=breaks, kind="property")
    sources = strange(reference.sources, "gaussians.kl_divergence", change)
    bench.worker.submit(sources, ["starter", "solution"])
    assert judge(check, bench, Setting(1)).status == status


def test_seeds_of_repetitions_differ(bench: Bench, digits: Dataset) -> None:
    seen: list[int] = []

    def check(ctx: Context) -> None:
        seen.append(ctx.seed)
        at_most(ctx, "mse", 0.1 + 0.01 * len(seen), "the error", trivial=0.3)

    judge(replace(check_with([]), run=check), bench, Setting(1, "cpu", digits, CUTS))
    assert len(set(seen)) == 3


def follow(found: dict[str, str], run: Callable[[Context], None], bench: Bench, digits: Dataset) -> tuple[float, str]:
    part = Part("vae.reparameterize", "reparameterize", ("q8.reparam.value",))
    check = replace(check_with([]), parts=(part,), needs=("q8.vae.shapes",), run=run)
    setting = Setting(1, "cpu", digits, CUTS)
    [outcome] = judge_all([check], bench, setting, lambda _: True, found)  # type: ignore[arg-type]
    return outcome.earned, outcome.status


def with_own_part_only(ctx: Context) -> None:
    ctx.call("gaussians.kl_divergence", ctx.randn(3, 2), ctx.randn(3, 2))  # something of the submission's own
    at_most(ctx, "mse", 0.05 if ctx.stand_ins else 0.4, "the error", trivial=0.3)


def test_follow_through_is_for_parts_that_failed_only(bench: Bench, digits: Dataset) -> None:
    share = 2.0 * FOLLOW_THROUGH
    for status, expected in [("passed", (0.0, "failed")), ("failed", (share, "partial")), ("error", (0.0, "failed")),
                             ("unimplemented", (share, "partial")), ("not_run", (0.0, "failed"))]:  # fmt: skip
        found = {"q8.reparam.value": status, "q8.vae.shapes": "passed"}
        assert follow(found, with_own_part_only, bench, digits) == expected
    blocked = {"q8.reparam.value": "failed", "q8.vae.shapes": "failed"}
    assert follow(blocked, with_own_part_only, bench, digits) == (share, "partial")
    blocked["q8.reparam.value"] = "passed"
    assert follow(blocked, with_own_part_only, bench, digits) == (0.0, "skipped")


def test_follow_through_never_takes_points(bench: Bench, digits: Dataset) -> None:
    def fine(ctx: Context) -> None:
        at_most(ctx, "mse", 0.05, "the error", trivial=0.3)

    found = {"q8.reparam.value": "failed", "q8.vae.shapes": "passed"}
    assert follow(found, fine, bench, digits) == (2.0, "passed")


PARTS = [(check, part) for check in CHECKS for part in check.parts]


def test_parts_name_checks_and_there_is_a_stand_in() -> None:
    from grader.boundary.lending import definitions

    for check, part in PARTS:
        assert set(part.checks) <= BY_ID.keys(), check.id
        assert {BY_ID[name].question for name in part.checks} == {check.question}
        assert part.probe in definitions()


STAND_INS = sorted({part.name: (check, part) for check, part in PARTS}.items())


@pytest.mark.slow
@pytest.mark.parametrize(("check", "part"), [pair for _, pair in STAND_INS], ids=[name for name, _ in STAND_INS])
def test_the_reference_reaches_full_credit_with_each_part_of_the_graders(
    check: Check, part: Part, bench: Bench, reference: Submission, digits: Dataset
) -> None:
    bench.worker.submit(dict(reference.sources), ["starter", "solution"])
    setting = Setting(5, "cpu", digits, load_thresholds("digits"))
    outcome = judge(check, bench, setting, (part,))
    assert outcome.status == "passed", outcome


@pytest.mark.slow
def test_a_wrong_reparameterization_leaves_half_of_the_trained_points(
    bench: Bench, reference: Submission, digits: Dataset
) -> None:
    [mistake] = [m for m in MISTAKES if m.id == "q08-always-mu"]
    sources = bank.apply(reference.sources, mistake)
    bench.worker.submit(sources, ["starter", "solution"])
    setting = Setting(5, "cpu", digits, load_thresholds("digits"))
    check = BY_ID["q8.trained.elbo"]
    known = {"q8.vae.shapes": "passed", "q8.reparam.value": "failed"}
    [outcome] = judge_all([check], bench, setting, lambda _: True, known)  # type: ignore[arg-type]
    assert (outcome.status, outcome.earned) == ("partial", FOLLOW_THROUGH * check.points)
    assert "vae.reparameterize in place of yours" in outcome.message
