"""What holds for all functions of the question."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.cases import covariance, symmetric
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_tensor, expect, preserves
from ...check.failure import Failure
from ...check.gradients import gradient_matches
from ...check.shown import alike
from ...check.values import StudentRaised
from .densities import CONDITIONAL, DIAGONAL, FULL, SAMPLE, UNIVARIATE
from .discrete import CHAIN, EXPECTATION, VARIANCE, dyadic
from .samples import NO_SLOPE


def balanced(along: Tensor) -> Tensor:
    """Directions that leave the sum of every row as it is, to the last bit."""
    steps = (along[..., :-1] * 2**10).round() / 2**10
    return torch.cat([steps, -steps.sum(-1, keepdim=True)], dim=-1)


@declare(
    id="q1.gradients", question=1, kind="gradient", points=0.25, visibility="public",
    title="Gradients",
    asks="gradients of all log-densities reach the points, the means, and the variances or the covariance, and are 0 "
    "for points at the mean; those of expectation and variance reach values and probabilities",
    hint="Is everything between the arguments and the result a tensor operation, or does a plain number get in?",
    needs=(),
)  # fmt: skip
def gradients(ctx: Context) -> None:
    x, mu, logvar = ctx.randn(3, 2), ctx.randn(3, 2), ctx.randn(3, 2)
    gradient_matches(
        ctx, UNIVARIATE, x[:, 0], mu[:, 0], logvar[:, 0], wrt=(0, 1, 2), what="the gradient of univariate_log_prob"
    )
    gradient_matches(ctx, DIAGONAL, x, mu, logvar, wrt=(0, 1, 2), what="the gradient of diagonal_log_prob")
    tables, y = (ctx.randn(4, 2), ctx.randn(4, 2)), ctx.randint(0, 4, 3)
    gradient_matches(ctx, CONDITIONAL, x, y, *tables, wrt=(0, 2, 3), what="the gradient of conditional_log_prob")
    centre, cov = ctx.randn(2), covariance(ctx.seed, 2)
    gradient_matches(ctx, FULL, x, centre, cov, wrt=(0, 1), what="the gradient of full_covariance_log_prob")
    # steps away from symmetry are errors, and a gradient may put both halves of it into one triangle
    gradient_matches(
        ctx, FULL, x, centre, cov, wrt=(2,), within=symmetric, what="the gradient of full_covariance_log_prob to cov"
    )
    found = ctx.session.vjp(FULL, centre.repeat(3, 1), centre, cov, wrt=(0, 1)).args
    for position, (name, like) in enumerate((("x", x), ("mu", centre))):
        what = f"the gradient of full_covariance_log_prob to {name} where all points are at the mean"
        slope = as_tensor(found[position], like.shape, what, finite=False)
        expect(alike(slope, torch.zeros_like(like)), f"{what} is wrong", "0 everywhere", slope, hint=NO_SLOPE)
    # probs must go on summing to 1
    values, probs = ctx.randn(4), dyadic(torch.softmax(ctx.randn(30, 4), 1))
    for target in (EXPECTATION, VARIANCE):
        gradient_matches(ctx, target, values, probs, wrt=(0,), what=f"the gradient of {target}")
        gradient_matches(
            ctx, target, values, probs, wrt=(1,), within=balanced, step=2.0**-17, what=f"the gradient of {target}"
        )


def unharmed(ctx: Context, target: str, *arguments: object) -> None:
    """A call leaves its arguments as they are; a failure says which function's."""
    try:
        preserves(ctx, target, *arguments)
    except Failure as failure:
        failure.message = f"{target}: {failure.message}"
        raise


@declare(
    id="q1.inputs", question=1, kind="property", points=0.25, visibility="hidden",
    title="Arguments stay as they were",
    asks="no function of this half changes a tensor that it is given",
    hint="Which of your operations end in an underscore, or assign to a slice or with +=?",
    needs=(),
)  # fmt: skip
def inputs(ctx: Context) -> None:
    x, mu, logvar, cov = ctx.randn(4, 3), ctx.randn(3), ctx.randn(4, 3), covariance(ctx.seed, 3)
    # probabilities whose sum is exactly 1 in binary: whether rounding is forgiven has its own check
    probs, y = torch.tensor([[0.25, 0.5, 0.25], [0.125, 0.375, 0.5]], dtype=torch.float64), ctx.randint(0, 4, 4)
    joint = torch.zeros(3, 2, 2, dtype=torch.float64)
    joint[1:] = torch.tensor([1, 1, 2, 2, 3, 3, 2, 2], dtype=torch.float64).reshape(2, 2, 2) / 16
    # one pmf, one point: where shapes agree, nothing needs a copy
    calls: tuple[tuple[str, tuple[object, ...]], ...] = (
        (EXPECTATION, (mu, probs)), (EXPECTATION, (mu, probs[0])), (VARIANCE, (mu, probs)), (VARIANCE, (mu, probs[0])),
        (UNIVARIATE, (x[0], mu, logvar[0])), (DIAGONAL, (x, mu, logvar)), (DIAGONAL, (x, x + 1, logvar)),
        (FULL, (x, mu, cov)), (CONDITIONAL, (x, y, ctx.randn(4, 3), logvar)), (CHAIN, (joint,)), (SAMPLE, (mu, cov, 5)),
    )  # fmt: skip
    for target, arguments in calls:
        unharmed(ctx, target, *arguments)
    # three roundings above 1, which are forgiven, and not by correcting them in what the caller has
    above = 1 + 3 * torch.finfo(torch.float32).eps
    rounded, values = [(part * above).float() for part in (probs, joint)], mu.float()
    for target, arguments in ((EXPECTATION, (values, rounded[0])), (VARIANCE, (values, rounded[0])),
                              (CHAIN, (rounded[1],))):  # fmt: skip
        try:
            unharmed(ctx, target, *arguments)
        except StudentRaised as raised:  # whether rounding is forgiven has its own check
            if "ValueError" not in raised.kinds:
                raise
