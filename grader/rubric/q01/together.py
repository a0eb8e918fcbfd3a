"""What holds for all functions of the question."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.cases import covariance, symmetric, two_digits
from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import as_tensor, expect, preserves
from ...check.gradients import gradient_equals, slopes
from ...check.patterns import Reading
from ...check.shown import alike
from ...check.values import StudentRaised
from .discrete import CHAIN, EXPECTATION, EXPECTATION_PART, VARIANCE, VARIANCE_PART, dyadic, exact_variance
from .oracles import (
    CONDITIONAL,
    CONDITIONAL_PART,
    CONSTANT,
    DIAGONAL,
    DIAGONAL_PART,
    FULL,
    FULL_PART,
    SAMPLE,
    UNIVARIATE,
    UNIVARIATE_PART,
    conditional,
    diagonal,
    multivariate,
    normal,
)

NO_SLOPE = "Which step of yours has no slope for a distance of exactly 0, though the density itself is smooth there?"
WEIGHTED = "Each probability and each value has a share in the result: which of them takes part in your gradient?"


def balanced(slope: Tensor) -> Tensor:
    """What a gradient to probabilities says of changes that leave their sum as it is."""
    return slope - slope.mean(-1, keepdim=True)


@declare(
    id="q1.gradients", question=1, kind="gradient", points=0.25, visibility="public",
    title="Gradients",
    asks="gradients of all log-densities reach the points, the means, and the variances or the covariance, and are 0 "
    "for points at the mean; those of expectation and variance reach values and probabilities",
    hint="Is everything between the arguments and the result a tensor operation, or does a plain number get in?",
    needs=(), parts=(UNIVARIATE_PART, DIAGONAL_PART, CONDITIONAL_PART, FULL_PART, EXPECTATION_PART, VARIANCE_PART),
)  # fmt: skip
def gradients(ctx: Context) -> None:
    x, mu, logvar = (two_digits(ctx.randn(3, 2)) for _ in range(3))
    away = (x - mu).square() * torch.exp(-logvar)
    readings = {
        Reading("the gradient that is left if the squared distance is a constant", CONSTANT): torch.full_like(x, -0.5),
        Reading("the gradient that is left if all but the squared distance is a constant", CONSTANT): away / 2,
    }
    first = (x[:, 0].clone(), mu[:, 0].clone(), logvar[:, 0].clone())
    column = {reading: wrong[:, 0] for reading, wrong in readings.items()}
    gradient_equals(ctx, UNIVARIATE, *first, oracle=normal, wrt=(0, 1, 2), hint=CONSTANT, readings={2: column})
    gradient_equals(ctx, DIAGONAL, x, mu, logvar, oracle=diagonal, wrt=(0, 1, 2), hint=CONSTANT, readings={2: readings})
    tables, y = (two_digits(ctx.randn(4, 2)), two_digits(ctx.randn(4, 2))), torch.tensor([2, 0, 2])
    gradient_equals(ctx, CONDITIONAL, x, y, *tables, oracle=conditional, wrt=(0, 2, 3), hint=CONSTANT)
    centre, cov = two_digits(ctx.randn(2)), symmetric(two_digits(covariance(ctx.seed, 2)))
    gradient_equals(ctx, FULL, x, centre, cov, oracle=multivariate, wrt=(0, 1), hint=CONSTANT)
    # a gradient may put both halves of what is symmetric into one triangle
    gradient_equals(ctx, FULL, x, centre, cov, oracle=multivariate, wrt=(2,), within=symmetric, hint=CONSTANT)
    at_the_mean(ctx, centre, cov)
    values, probs = two_digits(ctx.randn(4)), dyadic(torch.softmax(ctx.randn(3, 4), 1))
    oracles = ((EXPECTATION, lambda v, p: torch.einsum("...k,k->...", p, v)), (VARIANCE, exact_variance))
    for target, oracle in oracles:
        gradient_equals(ctx, target, values, probs, oracle=oracle, wrt=(0,), hint=WEIGHTED)
        # probs must go on summing to 1
        gradient_equals(ctx, target, values, probs, oracle=oracle, wrt=(1,), within=balanced, hint=WEIGHTED)


def at_the_mean(ctx: Context, centre: Tensor, cov: Tensor) -> None:
    """The density is flat at its peak."""
    points = centre.repeat(3, 1)
    found = slopes(ctx, FULL, points, centre, cov, wrt=(0, 1))
    if found is None:
        return
    for position, (name, like) in enumerate((("x", points), ("mu", centre))):
        what = f"the gradient of full_covariance_log_prob to {name} where all points are at the mean"
        slope = as_tensor(found[position], like.shape, what, finite=False)
        expect(alike(slope, torch.zeros_like(like)), f"{what} is wrong", "0 everywhere", slope, hint=NO_SLOPE)


@declare(
    id="q1.inputs", question=1, kind="property", points=0.25, visibility="hidden",
    title="Arguments stay as they were, results where they were",
    asks="no function of this half changes a tensor that it is given; results lie on the device of the arguments",
    hint="Which of your operations end in an underscore, or assign to a slice or with +=?",
    needs=(),
)  # fmt: skip
def inputs(ctx: Context) -> None:
    x = torch.tensor([[1.0, 2, 3], [-1, 0, 2], [4, 1, 0], [2, 2, -3]], dtype=torch.float64)
    mu, logvar = torch.tensor([3.0, -2, 2], dtype=torch.float64), x.flip(1) / 2
    cov = symmetric(two_digits(covariance(ctx.seed, 3)))
    # probabilities whose sum is exactly 1 in binary: whether rounding is forgiven has its own check
    probs, y = torch.tensor([[0.25, 0.5, 0.25], [0.125, 0.375, 0.5]], dtype=torch.float64), torch.tensor([2, 0, 3, 3])
    joint = torch.zeros(3, 2, 2, dtype=torch.float64)
    joint[1:] = torch.tensor([1, 1, 2, 2, 3, 3, 2, 2], dtype=torch.float64).reshape(2, 2, 2) / 16
    # one pmf, one point: where shapes agree, nothing needs a copy
    calls: tuple[tuple[str, tuple[object, ...]], ...] = (
        (EXPECTATION, (mu, probs)), (EXPECTATION, (mu, probs[0])), (VARIANCE, (mu, probs)), (VARIANCE, (mu, probs[0])),
        (UNIVARIATE, (x[0], mu, logvar[0])), (DIAGONAL, (x, mu, logvar)), (DIAGONAL, (x, x + 1, logvar)),
        (FULL, (x, mu, cov)), (CONDITIONAL, (x, y, x + 1, logvar)), (CHAIN, (joint,)), (SAMPLE, (mu, cov, 5)),
    )  # fmt: skip
    for target, arguments in calls:
        preserves(ctx, target, *arguments)
    # three roundings above 1, which are forgiven, and not by correcting them in what the caller has
    above = 1 + 3 * torch.finfo(torch.float32).eps
    rounded, values = [(part * above).float() for part in (probs, joint)], mu.float()
    for target, arguments in ((EXPECTATION, (values, rounded[0])), (VARIANCE, (values, rounded[0])),
                              (CHAIN, (rounded[1],))):  # fmt: skip
        try:
            preserves(ctx, target, *arguments)
        except StudentRaised as raised:  # whether rounding is forgiven has its own check
            if "ValueError" not in raised.kinds:
                raise
    for target, arguments in calls[:-1]:  # where samples are drawn is the business of the check of the generator
        expect_on_device(ctx, target.rpartition(".")[2], target, *arguments)
