"""Question 1, discrete variables: expectation, variance and the chain rule, against sums over all values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import sizes_apart, tensor_of, two_digits
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, raises
from ...check.failure import FLOAT32, FLOAT64, INHERIT, Failure
from ...check.forall import forall
from ...check.parts import Part
from ...check.patterns import Reading, recognised
from ...check.values import StudentRaised

EXPECTATION, VARIANCE = "gaussians.pmf_expectation", "gaussians.pmf_variance"
CHAIN = "gaussians.chain_rule"


EXPECTATION_PART = Part(EXPECTATION, "pmf_expectation", ("q1.pmf.expectation",))
VARIANCE_PART = Part(VARIANCE, "pmf_variance", ("q1.pmf.variance",))

BY_HAND = "Roll a loaded die by hand: does your result use the probabilities, and along which axis do they sum to 1?"
PER_PMF = "How many distributions did you get, and how many numbers should come out?"
ALONG = "Along which axis does each distribution lie, and along which do you sum?"
WEIGHTS = "Are all values equally likely, and where do their probabilities enter?"
LOST = "Is your function as precise as its arguments, and what makes it less so?"
KNOWN_BEFORE = (
    "Which variables does entry i still know, and which are summed out? Over which axis must each entry sum to 1?"
)
DIVIDED = "Entry i is about one variable, given those before it: by the probability of what is it divided?"
BACKWARDS = "Which variable stands alone in the first factor, and which comes last?"
IMPOSSIBLE = "What do you divide by where a condition cannot happen?"
RARE = "Does what you do about impossible conditions change those that can happen, but almost never do?"
TOTAL = "What do the entries of a distribution add up to, and who notices here that these do not?"
EACH_ROW = "Is one number enough to say whether every row of a batch is a distribution?"
BELOW_ZERO = "Can a probability lie below 0, even by a little, if all of them sum to 1?"
NO_ROUNDING = (
    "From where on is a deviation of the sum no rounding any more, and does that depend on how many rows there are?"
)
ROUNDING = "How far from 1 may a sum of many rounded numbers come out, and how far do you let it?"


@st.composite
def variables(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Values `(K,)` and pmfs `(..., K)` with zero, one or two leading axes; no two sizes are alike."""
    *lead, count = sizes_apart(draw, (2, 4), (2, 3), (3, 5))[draw(st.sampled_from([1, 2, 0])) :]
    weights = whole_numbers(draw, (*lead, count))
    weights[..., 0] += weights.sum(-1) == 0
    return tensor_of(draw, (count,)), exact(weights)


@st.composite
def joints(draw: st.DrawFn, zeros: bool = False) -> Tensor:
    """A joint pmf of one to three variables of different sizes; with `zeros`, one value of one is impossible."""
    shape = sizes_apart(draw, (2, 4), (2, 4), (2, 4))
    shape = shape[: draw(st.sampled_from([2, 3] if zeros else [2, 3, 1]))]
    weights = whole_numbers(draw, shape) + 1
    if zeros:
        axis = draw(st.integers(0, len(shape) - 1))
        weights.select(axis, draw(st.integers(0, shape[axis] - 1))).zero_()
    return exact(weights.flatten()).reshape(shape)


def exact(weights: Tensor) -> Tensor:
    """Pmfs of whole-number weights, the largest of which is raised until they sum to a power of 2: eighths, not sixths.

    Sums are exactly 1, in any order, and a person can read the numbers.
    """
    total = weights.sum(-1, keepdim=True)
    power = torch.exp2(torch.log2(total).ceil())
    return weights.scatter_add(-1, weights.argmax(-1, keepdim=True), power - total) / power


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
    hint=BY_HAND, needs=(),
)  # fmt: skip
def pmf_expectation(ctx: Context) -> None:
    values, probs = two_digits(ctx.randn(5)), dyadic(torch.softmax(ctx.randn(3, 5), 1))
    right = probs @ values
    reading = recognised(ctx.call(EXPECTATION, values, probs), right, {
        Reading("the mean of the values, whatever their probabilities", WEIGHTS): values.mean().expand(3),
        Reading("the expectation divided by the number of values",
                "The probabilities sum to 1 already: what does your result divide by once more?"): right / 5,
        Reading("the most likely value", "Do values that are less likely count for nothing?"): values[probs.argmax(1)],
        Reading("the expectations of all distributions, added", PER_PMF): right.sum(),
        Reading("the mean of the expectations of all distributions", PER_PMF): right.mean(),
        Reading("a sum over the distributions, one number for each value", ALONG): (probs * values).sum(0),
        Reading("the terms of the sum, not added", PER_PMF): probs * values,
    })  # fmt: skip

    def body(values_and_probs: tuple[Tensor, Tensor]) -> None:
        values, probs = values_and_probs
        expected = torch.einsum("...k,k->...", probs, values)
        value = ctx.call(EXPECTATION, values, probs)
        matches(ctx, value, expected, FLOAT64, "pmf_expectation(values, probs)", hint=BY_HAND, reading=reading)

    forall(ctx, body, values_and_probs=variables())
    body((torch.tensor([0.5], dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)))  # one value only
    # of 60 rows of rounded numbers some miss 1 by the last bit
    values, probs = ctx.randn(6, dtype=torch.float32), dyadic(torch.softmax(ctx.randn(60, 6, dtype=torch.float32), 1))
    value = ctx.call(EXPECTATION, values, probs)
    matches(ctx, value, probs @ values, FLOAT32, "pmf_expectation in float32", hint=LOST)


def exact_variance(values: Tensor, probs: Tensor) -> Tensor:
    """Var[X] by its definition, one number per pmf."""
    mean = torch.einsum("...k,k->...", probs, values)
    return torch.einsum("...k,...k->...", probs, (values - mean.unsqueeze(-1)).square())


@declare(
    id="q1.pmf.variance", question=1, kind="property", points=0.5, visibility="public",
    title="Variance of a discrete variable",
    asks="pmf_variance(values, probs) is the expected squared distance from the expectation, and never negative",
    hint="Which distance is squared, and with which weights do the squares enter?",
    needs=(), parts=(EXPECTATION_PART,),
)  # fmt: skip
def pmf_variance(ctx: Context) -> None:
    values, probs = two_digits(ctx.randn(5) + 2), dyadic(torch.softmax(ctx.randn(3, 5), 1))
    right, centred = exact_variance(values, probs), values - (probs @ values).unsqueeze(1)
    reading = recognised(ctx.call(VARIANCE, values, probs), right, {
        Reading("the square root of the variance", "In which unit should the result be if the values are in metres?"):
            right.sqrt(),
        Reading("the mean of the squared distances, without the probabilities", WEIGHTS): centred.square().mean(1),
        Reading("the sum of the squared distances, without the probabilities", WEIGHTS): centred.square().sum(1),
        Reading("the variance of the values, as if all were equally likely", WEIGHTS):
            values.var(correction=0).expand(3),
        Reading("the sample variance of the values, as if all were equally likely", WEIGHTS): values.var().expand(3),
        Reading("the expected squared distance from the plain mean of the values",
                "From which point are your distances measured?"):
            torch.einsum("rk,k->r", probs, (values - values.mean()).square()),
        Reading("the expectation of the squares", "From which point are your distances measured?"):
            probs @ values.square(),
        Reading("the variance times K / (K - 1)",
                "You know the distribution itself here, not a sample of it: does anything need a correction?"):
            right * 5 / 4,
        Reading("the expected distance, not squared", "Is it the distance that is averaged, or its square?"):
            (probs * centred.abs()).sum(1),
        Reading("minus the variance", "Can a squared distance lie below 0 on average?"): -right,
        Reading("the variances of all distributions, added", PER_PMF): right.sum(),
        Reading("the mean of the variances of all distributions", PER_PMF): right.mean(),
    })  # fmt: skip

    def body(values_and_probs: tuple[Tensor, Tensor]) -> None:
        values, probs = values_and_probs
        value, expected = ctx.call(VARIANCE, values, probs), exact_variance(values, probs)
        matches(ctx, value, expected, FLOAT64, "pmf_variance(values, probs)", hint=INHERIT, reading=reading)

    forall(ctx, body, values_and_probs=variables())
    body((torch.tensor([0.5], dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)))  # one value only
    values, probs = ctx.randn(6, dtype=torch.float32), dyadic(torch.softmax(ctx.randn(4, 6, dtype=torch.float32), 1))
    value = ctx.call(VARIANCE, values, probs)
    matches(ctx, value, exact_variance(values, probs), FLOAT32, "pmf_variance in float32", hint=LOST)
    # Values almost alike, far from 0: a difference of two large numbers comes out below 0 for about half of the pmfs.
    values, probs = ctx.rand(1) * 1000 + ctx.rand(5) * 1e-9, dyadic(torch.softmax(ctx.randn(200, 5), 1))
    got = as_tensor(ctx.call(VARIANCE, values, probs), (200,), "pmf_variance of values almost alike")
    expect(bool((got >= 0).all()), "pmf_variance of five values that hardly differ, far from 0, is negative",
               "0 or more", float(got.min()),
               hint="What is the variance of a variable that takes the same value with certainty, and what does "
               "rounding make of your way to compute it?")  # fmt: skip


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


def is_taken(ctx: Context, what: str, target: str, *args: Tensor) -> None:
    """Rounding is forgiven: the call is not refused."""
    try:
        ctx.call(target, *args)
    except StudentRaised as raised:
        if "ValueError" not in raised.kinds:
            raise
        refusal = f"ValueError: {raised.message[:120]}"
        raise Failure(f"{what} is refused, though its sum misses 1 by rounding only", "no exception", refusal,
                      hint=ROUNDING) from None  # fmt: skip


NO_PMF = (
    ("a sum of 1.1", [[0.5, 0.3, 0.2], [0.5, 0.3, 0.3]], TOTAL),
    ("a sum of 0.9", [[0.5, 0.3, 0.2], [0.4, 0.3, 0.2]], TOTAL),
    ("a sum of 1.01", [[0.5, 0.3, 0.2], [0.5, 0.3, 0.21]], NO_ROUNDING),
    ("a negative entry", [[0.5, 0.3, 0.2], [-0.2, 0.5, 0.7]], BELOW_ZERO),
    ("rows whose sums are 0.9 and 1.1", [[0.5, 0.3, 0.1], [0.5, 0.3, 0.3]], EACH_ROW),
    ("an entry of -0.005", [[0.5, 0.3, 0.2], [-0.005, 0.5, 0.505]], BELOW_ZERO),
)  # fmt: skip


@declare(
    id="q1.pmf.errors", question=1, kind="property", points=0.25, visibility="public",
    title="What is no pmf is refused",
    asks="pmf_expectation, pmf_variance and chain_rule raise ValueError if what should be a pmf is negative or does "
    "not sum to 1, and only then",
    hint="Two things make numbers a distribution. Which rows of a whole batch do you look at? And is a sum of a "
    "thousand rounded numbers exactly 1?",
    needs=(),
)  # fmt: skip
def pmf_errors(ctx: Context) -> None:
    # what may be forgiven grows with rounding: not with the size of the batch, and never to more than one percent
    many = torch.full((50, 200), 1 / 200, dtype=torch.float64)
    many[31] *= 1.015
    values = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    large, fine = ctx.randn(1000, dtype=torch.float32), rounded_off(ctx, 1000)
    for target in (EXPECTATION, VARIANCE):
        name = target.rpartition(".")[2]
        for what, rows, question in NO_PMF:
            probs = torch.tensor(rows, dtype=torch.float64)
            raises(ctx, "ValueError", target, values, probs, names="probs", case=f"{name} with {what}", hint=question)
        raises(ctx, "ValueError", target, values, torch.tensor([0.9, 0.3, -0.2]).double(), names="probs",
                   case=f"{name} of one pmf with a negative entry", hint=BELOW_ZERO)  # fmt: skip
        raises(ctx, "ValueError", target, large[:200].double(), many, names="probs",
                   case=f"{name} with one sum of 1.015 among fifty", hint=NO_ROUNDING)  # fmt: skip
        is_taken(ctx, f"{name} of {len(fine)} float32 softmaxes over 1000 values", target, large, fine)
    joint = torch.tensor([[0.125, 0.25], [0.125, 0.25], [0.125, 0.125]], dtype=torch.float64)
    moved = joint + torch.tensor([[-0.25, 0.0], [0.25, 0.0], [0.0, 0.0]])
    no_joints = (("a negative entry", moved, BELOW_ZERO), ("a sum of 1.1", 1.1 * joint, TOTAL),
                 ("rows that sum to 1 each", joint / joint.sum(1, keepdim=True), TOTAL))  # fmt: skip
    for what, bad, question in no_joints:
        raises(ctx, "ValueError", CHAIN, bad, names="joint", case=f"chain_rule of a joint with {what}", hint=question)
    is_taken(ctx, "chain_rule of [0.7, 0.2, 0.1]", CHAIN, torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64))


@declare(
    id="q1.chain.value", question=1, kind="property", points=0.5, visibility="public",
    title="Chain rule of a joint distribution",
    asks="chain_rule(joint) lists p(x1), p(x2 given x1), …: entry i depends on the first i+1 variables only, and the "
    "product of all entries is the joint",
    hint=KNOWN_BEFORE, needs=(),
)  # fmt: skip
def chain_value(ctx: Context) -> None:
    joint = dyadic(torch.softmax(ctx.randn(24), 0)).reshape(2, 3, 4)
    reading = misread_chain(ctx.call(CHAIN, joint), joint)

    def body(joint: Tensor) -> None:
        tables = as_sequence(ctx.call(CHAIN, joint), joint.ndim, "chain_rule(joint)")
        product = torch.ones((), dtype=joint.dtype)
        for index, (table, expected) in enumerate(zip(tables, conditionals(joint), strict=True)):
            what = f"entry {index} of chain_rule(joint)"
            found = matches(ctx, table, expected, FLOAT64, what, hint=KNOWN_BEFORE, reading=reading)
            product = product.unsqueeze(-1) * found
        matches(ctx, product, joint, FLOAT64, "the product of all entries", hint=DIVIDED)

    # every weight is positive here: conditions of probability 0 are another check's business
    forall(ctx, body, joint=joints())
    for shape in ((3, 1), (1, 3), (2, 1, 3), (2, 3, 2, 2)):  # a variable with one value; four variables
        body(dyadic(torch.softmax(ctx.randn(math.prod(shape)), 0)).reshape(shape))
    joint = dyadic(torch.softmax(ctx.randn(24, dtype=torch.float32), 0)).reshape(2, 4, 3)
    tables = as_sequence(ctx.call(CHAIN, joint), 3, "chain_rule in float32")
    for index, (table, expected) in enumerate(zip(tables, conditionals(joint), strict=True)):
        matches(ctx, table, expected, FLOAT32, f"entry {index} of chain_rule in float32", hint=LOST)


def misread_chain(tables: object, joint: Tensor) -> Reading:
    """The misconception behind a wrong factorisation of three variables, if it is known."""
    if not isinstance(tables, list | tuple):
        return Reading()
    right = conditionals(joint)
    for index, table in enumerate(tables[: joint.ndim]):
        later = tuple(range(index + 1, joint.ndim))
        marginal = joint.sum(later) if later else joint
        backwards = conditionals(joint.permute(2, 1, 0))[index]
        found = recognised(table, right[index], {
            Reading("the probability of the first variables together, where one of them is asked for given the others",
                    DIVIDED): marginal,
            Reading("normalised over its first axis", "Over which axis must each entry sum to 1?"):
                marginal / marginal.sum(0),
            Reading("the distribution of its own variable, whatever the others are",
                    "Do the variables before it tell nothing about this one?"):
                joint.sum(tuple(axis for axis in range(joint.ndim) if axis != index)).expand_as(right[index]),
            Reading("the factor of the reversed order: the last variable first", BACKWARDS): backwards,
            Reading("the factor of the reversed order: the last variable first, its axes in the order of the joint",
                    BACKWARDS): backwards.permute(*reversed(range(backwards.ndim))),
        })  # fmt: skip
        if found.question:
            return found
    return Reading()


@declare(
    id="q1.chain.rare", question=1, kind="property", points=0.25, visibility="hidden",
    title="Chain rule: impossible and rare conditions",
    asks="a conditional probability is 0 where its condition has probability 0, and right where the condition is rare",
    hint=IMPOSSIBLE, needs=("q1.chain.value",),
)  # fmt: skip
def chain_rare(ctx: Context) -> None:
    def body(joint: Tensor, hint: str = IMPOSSIBLE) -> None:
        before = joint.clone()
        tables = as_sequence(ctx.call(CHAIN, joint), joint.ndim, "chain_rule(joint)")
        for index, (table, expected) in enumerate(zip(tables, conditionals(before), strict=True)):
            what = f"entry {index} of chain_rule(joint)"
            possible = as_tensor(table, expected.shape, what, finite=False)
            expect(bool(possible.isfinite().all()), f"{what} is not finite", expected, possible, hint=hint)
            matches(ctx, table, expected, FLOAT64, what, hint=hint)

    forall(ctx, body, joint=joints(zeros=True))
    # the first variable is 0 with probability 1e-12: an epsilon in a denominator shows
    rare, common = dyadic(torch.softmax(ctx.randn(2, 6), 1)) * torch.tensor([[2.0**-40], [1.0]], dtype=torch.float64)
    common[common.argmax()] -= rare.sum()
    joint = torch.stack([rare, common]).reshape(2, 3, 2)
    body(joint, RARE)


DISCRETE: tuple[Check, ...] = (pmf_expectation, pmf_variance, pmf_errors, chain_value, chain_rare)
