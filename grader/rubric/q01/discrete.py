"""Question 1, discrete variables: expectation, variance and the chain rule, against sums over all values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import sizes, tensor_of
from ...check.context import Context, guard
from ...check.declaration import Check, declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, raises
from ...check.failure import FLOAT32, FLOAT64
from ...check.forall import forall
from ...check.shown import misread

EXPECTATION, VARIANCE = "gaussians.pmf_expectation", "gaussians.pmf_variance"
CHAIN = "gaussians.chain_rule"


@st.composite
def variables(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Values `(K,)` and pmfs `(..., K)` with zero, one or two leading axes."""
    count = draw(sizes(1, 5))
    lead = draw(st.lists(sizes(1, 3), max_size=2))
    weights = whole_numbers(draw, (*lead, count))
    weights[..., 0] += weights.sum(-1) == 0
    return tensor_of(draw, (count,)), dyadic(weights / weights.sum(-1, keepdim=True))


@st.composite
def joints(draw: st.DrawFn, zeros: bool = False) -> Tensor:
    """A joint pmf of one to four variables; with `zeros`, one value of one variable is impossible."""
    shape = (
        draw(st.lists(sizes(2, 3), min_size=2, max_size=4))
        if zeros
        else draw(st.lists(sizes(1, 4), min_size=1, max_size=4))
    )
    weights = whole_numbers(draw, shape) + 1
    if zeros:
        axis = draw(st.integers(0, len(shape) - 1))
        weights.select(axis, draw(st.integers(0, shape[axis] - 1))).zero_()
    return dyadic((weights / weights.sum()).flatten()).reshape(weights.shape)


def dyadic(probs: Tensor) -> Tensor:
    """Pmfs in steps of 2^-20: sums of exactly 1, in any order. What rounding may do has a check of its own."""
    steps = (probs * 2**20).round()
    missing = 2**20 - steps.sum(-1, keepdim=True)
    return steps.scatter_add(-1, steps.argmax(-1, keepdim=True), missing) / 2**20


def whole_numbers(draw: st.DrawFn, shape: Sequence[int]) -> Tensor:
    """Weights 0 … 9 of this shape."""
    count = math.prod(shape)
    return (
        torch.tensor(draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))).double().reshape(tuple(shape))
    )


def conditionals(joint: Tensor) -> list[Tensor]:
    """p(x_i | x_1 ... x_i-1) entry by entry, by summing the joint over all that is not fixed."""
    tables = []
    for axis in range(joint.ndim):
        table = torch.zeros(joint.shape[: axis + 1], dtype=joint.dtype)
        for index in itertools.product(*map(range, table.shape)):
            condition = float(joint[index[:-1]].sum())
            table[index] = float(joint[index].sum()) / condition if condition > 0 else 0.0
        tables.append(table)
    return tables


@declare(
    id="q1.pmf.expectation", question=1, kind="property", points=0.25, visibility="public",
    title="Expectation of a discrete variable",
    asks="pmf_expectation(values, probs) is the probability-weighted mean, one number per pmf, for any leading axes",
    hint="Roll a loaded die by hand: does your result use the probabilities, and along which axis do they sum to 1?",
    needs=(),
)  # fmt: skip
def pmf_expectation(ctx: Context) -> None:
    def body(values_and_probs: tuple[Tensor, Tensor]) -> None:
        values, probs = values_and_probs
        expected = torch.einsum("...k,k->...", probs, values)
        matches(ctx, ctx.call(EXPECTATION, values, probs), expected, FLOAT64, "pmf_expectation(values, probs)")

    forall(ctx, body, values_and_probs=variables())
    # of 60 rows of rounded numbers some miss 1 by the last bit
    values, probs = ctx.randn(6, dtype=torch.float32), dyadic(torch.softmax(ctx.randn(60, 6, dtype=torch.float32), 1))
    matches(ctx, ctx.call(EXPECTATION, values, probs), probs @ values, FLOAT32, "pmf_expectation in float32")


@declare(
    id="q1.pmf.variance", question=1, kind="property", points=0.5, visibility="public",
    title="Variance of a discrete variable",
    asks="pmf_variance(values, probs) is the expected squared distance from the expectation, and never negative",
    hint="What is the variance of a variable that takes the same value with certainty, and what does rounding make of "
    "your way to compute it?",
    needs=(),
)  # fmt: skip
def pmf_variance(ctx: Context) -> None:
    def exact(values: Tensor, probs: Tensor) -> Tensor:
        mean = torch.einsum("...k,k->...", probs, values)
        return torch.einsum("...k,...k->...", probs, (values - mean.unsqueeze(-1)).square())

    values, probs = ctx.randn(5) + 2, dyadic(torch.softmax(ctx.randn(3, 5), 1))
    variance = exact(values, probs)
    hint = misread(ctx.call(VARIANCE, values, probs), {
        "In which unit should the result be if the values are in metres?": variance.sqrt(),
        "Your distances are all weighted alike. Are all values equally likely?":
            exact(values, torch.full_like(probs, 0.2)),
        "From which point are your distances measured?": torch.einsum("...k,k->...", probs, values.square()),
        "You know the distribution itself here, not a sample of it: does anything need a correction?": variance * 5 / 4,
    })  # fmt: skip

    def body(values_and_probs: tuple[Tensor, Tensor]) -> None:
        values, probs = values_and_probs
        matches(
            ctx,
            ctx.call(VARIANCE, values, probs),
            exact(values, probs),
            FLOAT64,
            "pmf_variance(values, probs)",
            hint=hint,
        )

    forall(ctx, body, values_and_probs=variables())
    values, probs = ctx.randn(6, dtype=torch.float32), dyadic(torch.softmax(ctx.randn(4, 6, dtype=torch.float32), 1))
    matches(ctx, ctx.call(VARIANCE, values, probs), exact(values, probs), FLOAT32, "pmf_variance in float32")
    # Values almost alike, far from 0: a difference of two large numbers comes out below 0 for about half of the pmfs.
    values, probs = ctx.rand(1) * 1000 + ctx.rand(5) * 1e-9, dyadic(torch.softmax(ctx.randn(200, 5), 1))
    got = as_tensor(ctx.call(VARIANCE, values, probs), (200,), "pmf_variance of values almost alike")
    expect(bool((got >= 0).all()), "a variance is negative", "0 or more", float(got.min()),
               case={"values": values})  # fmt: skip


def rounded_off(ctx: Context, count: int) -> Tensor:
    """Float32 pmfs `(rows, count)` as a plain loop normalises them: those whose sum misses 1 by some three roundings.

    Adding up in another order, or in float64, does not make up for that.
    """
    weights = torch.exp(ctx.randn(200, count, dtype=torch.float32))
    total = weights[:, 0].clone()
    for column in weights.T[1:]:
        total += column
    probs = weights / total.unsqueeze(1)
    off = (probs.double().sum(1) - 1).abs()
    return probs[(off > 3e-7) & (off < 5e-7)]


@declare(
    id="q1.pmf.errors", question=1, kind="property", points=0.25, visibility="public",
    title="What is no pmf is refused",
    asks="pmf_expectation and pmf_variance raise ValueError if probs is negative or does not sum to 1, and only then",
    hint="Two things make numbers a distribution. Which rows of a whole batch do you look at? And is a sum of a "
    "thousand rounded numbers exactly 1?",
    needs=(),
)  # fmt: skip
def pmf_errors(ctx: Context) -> None:
    bad = {
        "a sum above 1": [[0.5, 0.3, 0.2], [0.5, 0.3, 0.3]],
        "a sum below 1": [[0.5, 0.3, 0.2], [0.4, 0.3, 0.2]],
        "a sum of 1.01": [[0.5, 0.3, 0.2], [0.5, 0.3, 0.21]],
        "a negative entry": [[0.5, 0.3, 0.2], [-0.2, 0.5, 0.7]],
        "rows whose sums are wrong but average to 1": [[0.5, 0.3, 0.1], [0.5, 0.3, 0.3]],
        "an entry of -0.005": [[0.5, 0.3, 0.2], [-0.005, 0.5, 0.505]],
    }
    # what may be forgiven grows with rounding: not with the size of the batch, and never to more than one percent
    many = torch.full((50, 200), 1 / 200, dtype=torch.float64)
    many[31] *= 1.015
    values = ctx.randn(3)
    large, fine = ctx.randn(1000, dtype=torch.float32), rounded_off(ctx, 1000)
    for target in (EXPECTATION, VARIANCE):
        for what, rows in bad.items():
            probs = torch.tensor(rows, dtype=torch.float64)
            raises(ctx, "ValueError", target, values, probs, names="probs", case=f"{target} with {what}")
        raises(ctx, "ValueError", target, values, torch.tensor([0.9, 0.3, -0.2]).double(), names="probs")
        raises(ctx, "ValueError", target, large[:200].double(), many, names="probs",
                   case=f"{target} with one sum of 1.015 among fifty")  # fmt: skip
        as_tensor(ctx.call(target, large, fine), (len(fine),), f"{target} of a float32 softmax over 1000 values")


@declare(
    id="q1.chain.value", question=1, kind="property", points=0.5, visibility="public",
    title="Chain rule of a joint distribution",
    asks="chain_rule(joint) lists p(x1), p(x2 given x1), …: entry i depends on the first i+1 variables only, and the "
    "product of all entries is the joint",
    hint="Which variables does entry i still know, and which are summed out? Over which axis must each entry sum to 1?",
    needs=(),
)  # fmt: skip
def chain_value(ctx: Context) -> None:
    def body(joint: Tensor) -> None:
        tables = as_sequence(ctx.call(CHAIN, joint), joint.ndim, "chain_rule(joint)")
        product = torch.ones((), dtype=joint.dtype)
        for index, (table, expected) in enumerate(zip(tables, conditionals(joint), strict=True)):
            found = matches(ctx, table, expected, FLOAT64, f"entry {index} of chain_rule(joint)")
            product = product.unsqueeze(-1) * found
        matches(ctx, product, joint, FLOAT64, "the product of all entries")

    # every weight is positive here: conditions of probability 0 are another check's business
    forall(ctx, body, joint=joints())
    body(torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64))  # adds up to 1 - 1e-16
    joint = dyadic(torch.softmax(ctx.randn(24, dtype=torch.float32), 0)).reshape(2, 4, 3)
    tables = as_sequence(ctx.call(CHAIN, joint), 3, "chain_rule in float32")
    for index, (table, expected) in enumerate(zip(tables, conditionals(joint), strict=True)):
        matches(ctx, table, expected, FLOAT32, f"entry {index} of chain_rule in float32")


@declare(
    id="q1.chain.rare", question=1, kind="property", points=0.25, visibility="hidden",
    title="Chain rule: impossible and rare conditions",
    asks="a conditional probability is 0 where its condition has probability 0, and right where the condition is rare; "
    "ValueError if joint is no pmf",
    hint="What do you divide by where a condition cannot happen? And does your remedy change conditions that can "
    "happen, but almost never do?",
    needs=("q1.chain.value",),
)  # fmt: skip
def chain_rare(ctx: Context) -> None:
    def body(joint: Tensor) -> None:
        tables = as_sequence(ctx.call(CHAIN, joint), joint.ndim, "chain_rule(joint)")
        for index, (table, expected) in enumerate(zip(tables, conditionals(joint), strict=True)):
            matches(ctx, table, expected, FLOAT64, f"entry {index} of chain_rule(joint)")

    forall(ctx, body, joint=joints(zeros=True))
    # the first variable is 0 with probability 1e-12: an epsilon in a denominator shows
    rare, common = dyadic(torch.softmax(ctx.randn(2, 6), 1)) * torch.tensor([[2.0**-40], [1.0]], dtype=torch.float64)
    common[common.argmax()] -= rare.sum()
    joint = torch.stack([rare, common]).reshape(2, 3, 2)
    guard(lambda: body(joint), {"joint": joint})
    good = dyadic(torch.softmax(ctx.randn(6), 0)).reshape(3, 2)
    moved = good.clone()
    moved[0, 0], moved[1, 1] = -0.1, good[1, 1] + good[0, 0] + 0.1
    raises(ctx, "ValueError", CHAIN, moved, names="joint", case="chain_rule of a joint with a negative entry")
    raises(ctx, "ValueError", CHAIN, 1.1 * good, names="joint", case="chain_rule of a joint with the sum 1.1")
    raises(ctx, "ValueError", CHAIN, good / good.sum(1, keepdim=True), names="joint",
               case="chain_rule of a table whose rows sum to 1, not all of it")  # fmt: skip


DISCRETE: tuple[Check, ...] = (pmf_expectation, pmf_variance, pmf_errors, chain_value, chain_rare)
