"""Question 4, sparsity penalties: against torch.distributions, where misconceptions differ, and at extremes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Bernoulli, kl_divergence

from ...check.cases import same_shape, sizes
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT32, FLOAT64, GUARDED, Failure
from ...check.forall import forall
from ...check.shown import alike, show
from ..shared.readings import Cost, Known, reductions, tell, tenths
from .losses import KL, L1, THROUGH_ZERO

DEFAULT_RHO = 0.05
ONE_CODE = "What is special about a batch of one code, or about a code of one unit?"


def l1_readings(z: Tensor) -> Iterator[Known]:
    """What l1_sparsity is taken for."""
    for cost in (
        Cost(z.abs(), "the sum of |z|"),
        Cost(z, "the sum of z with its signs",
             "Can the penalty be negative? What do codes of -2 and of 2 cost together?"),
        Cost(z.square(), "the sum of squares", "What does a code of 1 cost, and what one of 2?"),
        Cost(z.relu(), "the sum of the positive entries", "What does a negative code cost, and what should it?"),
    ):  # fmt: skip
        yield from reductions(cost, "unit", "code")
    cancels = "May a negative entry of one code make up for a positive one of another?"
    yield Known(z.norm(dim=1).mean(), "the Euclidean length of a code, averaged over the batch",
                "Which norm has the name L1?")  # fmt: skip
    yield Known(z.norm(), "the Euclidean length of all entries", "Which norm has the name L1?")
    yield Known(z.mean(0).abs().sum(), "the sum over units of |batch mean of z|", cancels)
    yield Known(z.sum(0).abs().sum(), "the sum over units of |sum of z over the batch|", cancels)
    yield Known(z.sum(1).abs().mean(), "the batch mean of |sum of a code|",
                "May a negative entry of a code make up for a positive one?")  # fmt: skip
    largest = "the largest |z| of a code, averaged over the batch"
    yield Known(z.abs().amax(1).mean(), largest, "Which norm has the name L1?")


@declare(
    id="q4.l1.value", question=4, kind="property", points=0.25, visibility="public",
    title="L1 sparsity: value",
    asks="l1_sparsity(z) is the sum of the absolute values of a code, averaged over the batch",
    hint="Can the penalty be negative? What should it do when the code gets longer, and when the batch gets larger?",
    needs=(),
)  # fmt: skip
def l1_value(ctx: Context) -> None:
    def right(z: Tensor) -> Tensor:
        lengths: Tensor = torch.linalg.vector_norm(z, ord=1, dim=1)
        return lengths.mean()

    signs = torch.tensor([[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]], dtype=torch.float64)
    tell(ctx, L1, lambda: {"z": signs * tenths(ctx, 3, 4)}, right, l1_readings, FLOAT64, l1_value.hint)

    def body(case: tuple[Tensor]) -> None:
        (z,) = case
        matches(ctx, preserves(ctx, L1, z), right(z), FLOAT64, "l1_sparsity(z)", hint=ONE_CODE)

    forall(ctx, body, case=same_shape(1, sizes(1, 5), sizes(1, 6)))
    z = ctx.randn(9, 33, dtype=torch.float32)
    matches(ctx, ctx.call(L1, z), right(z.double()).float(), FLOAT32, "l1_sparsity(z) of z (9, 33) in float32",
            hint="What is new here: the length of the code, or the dtype?")  # fmt: skip


# ---- divergence of rates -------------------------------------------------------------------------------------------


def to_target_rate(activations: Tensor, rho: float) -> Tensor:
    """Σ KL(Bernoulli(ρ) ‖ Bernoulli(ρ̂)) by torch.distributions."""
    return divergences(activations.mean(0), rho).sum()


def divergences(rates: Tensor, rho: float) -> Tensor:
    """KL(Bernoulli(ρ) ‖ Bernoulli(rate)) of each of `rates`."""
    return kl_divergence(Bernoulli(torch.full_like(rates, rho)), Bernoulli(rates))


def kl_readings(activations: Tensor, rho: float) -> Iterator[Known]:
    """What kl_sparsity is taken for. Each unit's share is summed, averaged, or divided by the batch size."""
    rates, batch = activations.mean(0), len(activations)
    reference = "Which of the two distributions is the reference? Is the divergence symmetric?"
    at_the_rate = "What should a unit cost whose mean activation is exactly rho, and what does it cost in yours?"
    over = "Over which dimension is the mean taken before the divergence?"
    first = rho * torch.log(rho / rates)
    second = (1 - rho) * torch.log((1 - rho) / (1 - rates))
    costs = (
        Cost(divergences(rates, rho), "the divergence KL(rho ‖ rho_j)"),
        Cost(kl_divergence(Bernoulli(rates), Bernoulli(torch.full_like(rates, rho))), "the divergence KL(rho_j ‖ rho)",
             reference),
        Cost(-(rho * rates.log() + (1 - rho) * (1 - rates).log()), "the cross-entropy of rho and rho_j", at_the_rate),
        Cost(first, "the term rho log(rho / rho_j) alone", at_the_rate + " And when it is above rho?"),
        Cost(second, "the term of the inactive share alone", at_the_rate + " And when it is below rho?"),
        Cost(divergences(activations.square().mean(0), rho), "the divergence of the mean of activations²",
             "How is a unit's mean activation made of its activations?"),
        Cost(divergences(torch.sigmoid(activations).mean(0), rho), "the divergence of the mean of sigmoid(activations)",
             "In which range are the activations that your function is given?"),
        Cost(divergences(rates, DEFAULT_RHO), "the divergence at rho = 0.05, whatever rho is",
             "Which rate does your function compare with?"),
        Cost((rates - rho).square(), "the squared distance of rho_j from rho",
             "What should a unit cost that never fires at all?"),
        Cost((rates - rho).abs(), "the distance of rho_j from rho", "What should a unit cost that never fires at all?"),
        Cost(divergences(activations.mean(1), rho), "the divergence with the mean over each code for rho_j", over),
        Cost(divergences(activations.mean()[None], rho), "the divergence of the mean over all activations", over),
    )  # fmt: skip
    for cost in costs:
        total, words = cost.each.sum(), cost.words
        if cost.question:
            yield Known(total, f"{words}, summed", cost.question)
        for factor, how, question in (
            (1 / activations.shape[1], "averaged over the units", "Should a longer code cost more?"),
            (1 / batch, "summed and divided by the batch size", "What is left of the batch after the mean activation?"),
            (batch, "summed and multiplied by the batch size", "What is left of the batch after the mean activation?"),
            (-1, "with the opposite sign", "Can a divergence be negative?"),
            (1 / math.log(2), "in bits", "In which unit is the result, and which logarithm goes with it?"),
        ):
            yield Known(total * factor, f"{words}, {how}", f"{cost.question} {question}".strip())
    each = divergences(activations, rho)
    for value, how in ((each.sum(1).mean(), "averaged over the batch"), (each.sum(), "summed"),
                       (each.mean(), "averaged over all")):  # fmt: skip
        yield Known(value, f"the divergence of every single activation, {how}",
                    "What comes first: the mean over the batch or the divergence?")  # fmt: skip


@declare(
    id="q4.kl.value", question=4, kind="property", points=0.5, visibility="public",
    title="KL sparsity: value",
    asks="kl_sparsity is the sum over units of KL(Bernoulli(rho) || Bernoulli(mean activation of the unit))",
    hint="Which rate is compared with rho, and how is it made of a unit's activations? What are the two terms of the "
    "divergence?",
    needs=(),
)  # fmt: skip
def kl_value(ctx: Context) -> None:
    rates = itertools.cycle((0.25, 0.15, 0.35, 0.12, 0.22, 0.45))

    def draw() -> dict[str, Any]:
        return {"activations": tenths(ctx, 3, 2), "rho": next(rates)}

    try:
        tell(ctx, KL, draw, to_target_rate, kl_readings, GUARDED, kl_value.hint)
    except Failure as failure:
        counts_positive(ctx, failure)
        raise

    even = torch.tensor([[0.4, 0.0], [0.0, 0.1], [0.2, 0.5]], dtype=torch.float64)  # means of .2: where it vanishes
    matches(
        ctx, ctx.call(KL, even, 0.2), torch.zeros((), dtype=torch.float64), GUARDED,
        "kl_sparsity(activations, rho=0.2) where each unit's mean activation is exactly 0.2",
        hint="What is the divergence of a distribution from itself, and what do you do to a rate that is right?",
    )  # fmt: skip

    def body(case: tuple[Tensor], rho: float) -> None:
        (activations,) = case
        value = preserves(ctx, KL, activations, rho)
        matches(ctx, value, to_target_rate(activations, rho), GUARDED, "kl_sparsity(activations, rho)", hint=ONE_CODE)

    forall(ctx, body, case=same_shape(1, sizes(2, 5), sizes(1, 6), low=0.05, high=0.95),
               rho=st.floats(0.02, 0.9, allow_subnormal=False))  # fmt: skip
    activations = ctx.rand(9, 7, dtype=torch.float32)
    expected = to_target_rate(activations.double(), DEFAULT_RHO).float()
    matches(ctx, ctx.call(KL, activations), expected, GUARDED, "kl_sparsity(activations) without rho, in float32",
            hint="Which rho does a call without one have? Or does float32 make the difference?")  # fmt: skip


def counts_positive(ctx: Context, failure: Failure) -> None:
    """Adds to the failure that the penalty is the same for other activations, if these are positive too."""
    given = tenths(ctx, 3, 2)
    if not failure.looks and alike(ctx.call(KL, given, 0.25), ctx.call(KL, (1 + given) / 2, 0.25)):
        failure.looks = "the same for (1 + activations) / 2, which are as often above 0"
        failure.hint = "How is a unit's mean activation made: of its values, or of how often they are above 0?"


@declare(
    id="q4.kl.edges", question=4, kind="property", points=0.25, visibility="hidden",
    title="KL sparsity: units that are always 0 or 1",
    asks="kl_sparsity and its gradient are finite, and the value large, when a unit is always 0 or always 1",
    hint="What is inside the logarithms when a unit never fires? Is your guard still there in float32?",
    needs=("q4.kl.value",),
)  # fmt: skip
def kl_edges(ctx: Context) -> None:
    for dtype in (torch.float64, torch.float32):
        usual = ctx.rand(6, 3, low=0.1, high=0.3, dtype=dtype)
        kind = str(dtype).removeprefix("torch.")
        for stuck, rho in ((0.0, 0.05), (0.0, 0.4), (1.0, 0.05), (1.0, 0.6)):
            activations = torch.cat([usual, torch.full((6, 2), stuck, dtype=dtype)], dim=1)
            where = f"kl_sparsity(activations, rho={rho}) in {kind} where two units are {stuck:g} in every code"
            finite = ("What is inside the logarithms when a unit never changes?" if dtype == torch.float64
                      else "In float64 it is finite: what is 1 minus your guard in float32?")  # fmt: skip
            value = as_tensor(preserves(ctx, KL, activations, rho), (), where, dtype=dtype, hint=finite)
            # the penalty grows without bound towards 0 and 1: at least what a rate of 1e-3 would cost
            near = torch.full((1, 2), abs(stuck - 1e-3), dtype=torch.float64)
            least = to_target_rate(usual.double(), rho) + to_target_rate(near, rho)
            expect(float(value) > float(least), f"{where} costs too little", f"more than {least:.4g}", show(value),
                   hint="How close to 0 or 1 does your guard let a mean activation come?")  # fmt: skip
            found = ctx.session.vjp(KL, activations, rho, wrt=[0]).args[0]
            if found is not None:  # that there is none has its own check
                as_tensor(found, activations.shape, f"the gradient of {where}", dtype=dtype, hint=THROUGH_ZERO)


@declare(
    id="q4.kl.errors", question=4, kind="property", points=0.25, visibility="public",
    title="KL sparsity: errors",
    asks="kl_sparsity raises a ValueError that names rho unless 0 < rho < 1",
    hint="Which numbers are rates that a unit can have, neither never nor always?",
    needs=(),
)  # fmt: skip
def kl_errors(ctx: Context) -> None:
    for rho, hint in ((-0.05, "Can a mean activation be negative? Who looks at rho?"),
                      (1.5, "Can a mean activation be above 1? Who looks at rho?"),
                      (0.0, "Is a target rate of exactly 0 possible, by the formula?"),
                      (1.0, "Is a target rate of exactly 1 possible, by the formula?"),
                      (math.nan, "What does a comparison with NaN give, and what does yours ask?")):  # fmt: skip
        raises(ctx, "ValueError", KL, ctx.rand(4, 3), rho, names="rho", case=f"kl_sparsity(activations, rho={rho})",
                hint=hint)  # fmt: skip
    ctx.call(KL, ctx.rand(4, 3), 0.999)  # raises nothing


SPARSITY: tuple[Check, ...] = (l1_value, kl_value, kl_edges, kl_errors)
