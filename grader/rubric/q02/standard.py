"""The divergence to the standard normal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ...check.cases import two_digits
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import matches
from ...check.failure import FLOAT32, FLOAT64, GUARDED, INHERIT, Tolerance
from ...check.forall import forall
from ...check.patterns import Reading, recognised
from ...check.shown import alike
from .oracles import (
    DIAGONAL,
    DIAGONAL_PART,
    ONE_EXAMPLE,
    PRECISION,
    STANDARD,
    UNIVARIATE,
    UNIVARIATE_PART,
    WHICH_TERM,
    gaussians,
    of_batch,
    of_pair,
    pairwise_kl,
    to_standard,
)

GUARD = "You are given the logarithm of the variance. Is there a need to take a logarithm again, or to protect one?"
LEVELS = (-12.0, 12.0, -18.0, 18.0, -30.0, 30.0, -60.0, 60.0)


def misread(mu: Tensor, logvar: Tensor) -> dict[Reading, Tensor]:
    """What known misconceptions make of the divergence of each example."""
    zero = torch.zeros_like(mu)
    each = pairwise_kl(mu, logvar, zero, zero)
    return of_batch(each, of_pair(mu, logvar, zero, zero, "N(mu, sigma^2)", "N(0, 1)"))


@declare(
    id="q2.standard.value", question=2, kind="property", points=1.5, visibility="public",
    title="KL to the standard normal: value",
    asks="kl_divergence(mu, logvar) is KL(N(mu, diag sigma^2) || N(0, I)), one number per example",
    hint="Set mu to 0 and change only the variance: what should a variance of 4 cost? What does adding a latent "
    "dimension do to the sum?",
    needs=(), parts=(UNIVARIATE_PART, DIAGONAL_PART),
)  # fmt: skip
def standard_value(ctx: Context) -> None:
    # away from mu = 1, logvar = 0 and B = 1, where most misconceptions give the right number
    mu, logvar = two_digits(ctx.randn(5, 3)), two_digits(ctx.rand(5, 3, low=-2, high=2))
    reading = recognised(ctx.call(STANDARD, mu, logvar), to_standard(mu, logvar), misread(mu, logvar))

    def body(
        mu_and_logvar: tuple[Tensor, Tensor], what: str = "kl_divergence(mu, logvar)", hint: str = WHICH_TERM
    ) -> None:
        expected = to_standard(*mu_and_logvar)
        matches(ctx, ctx.call(STANDARD, *mu_and_logvar), expected, GUARDED, what, hint=hint, reading=reading)

    forall(ctx, body, mu_and_logvar=gaussians(2, (2, 5), (3, 6)))
    for shape, which in (((1, 3), "for one example"), ((4, 1), "in one latent dimension"), ((1, 1), "of one number")):
        mu, logvar = two_digits(ctx.randn(*shape)), two_digits(ctx.randn(*shape))
        body((mu, logvar), f"kl_divergence(mu, logvar) {which}", ONE_EXAMPLE)
    mu, logvar = ctx.randn(64, 20, dtype=torch.float32), ctx.randn(64, 20, dtype=torch.float32)
    value = ctx.call(STANDARD, mu, logvar)
    matches(ctx, value, to_standard(mu, logvar), FLOAT32, "kl_divergence of float32 arguments", hint=PRECISION)


@declare(
    id="q2.standard.extremes", question=2, kind="property", points=0.5, visibility="hidden",
    title="KL of collapsed and exploded latents",
    asks="kl_divergence is finite and right for variances from e^-60 to e^60, in float32 and float64, and so are "
    "kl_univariate and kl_diagonal for two narrow or two wide Gaussians",
    hint=GUARD, needs=(), parts=(UNIVARIATE_PART, DIAGONAL_PART),
)  # fmt: skip
def standard_extremes(ctx: Context) -> None:
    mu, logvar = two_digits(ctx.randn(5, 3)), two_digits(ctx.rand(5, 3, low=-2, high=2))
    value = ctx.call(STANDARD, mu, logvar)
    # a known misconception has lost its points for the value: here it is asked for the extremes of what it computes
    held = [] if alike(value, to_standard(mu, logvar)) else [
        reading for reading, wrong in misread(mu, logvar).items() if alike(value, wrong, rtol=1e-6, atol=1e-9)
    ]  # fmt: skip
    # exp turns the rounding of a float32 logvar into an error of 60 * 6e-8: the oracle sees the same rounded logvar
    for dtype, tol in ((torch.float64, FLOAT64), (torch.float32, FLOAT32)):
        kind = str(dtype).removeprefix("torch.")
        narrow_or_wide(ctx, dtype, tol)
        for level in LEVELS:
            mu, logvar = torch.tensor([[0.0, 0, 0], [0.5, -2, 1]], dtype=dtype), torch.full((2, 3), level, dtype=dtype)
            extreme(ctx, mu, logvar, tol, held, f"kl_divergence(mu, logvar) where logvar is {level:g}, in {kind}")
        logvar = torch.tensor([[-60.0, -30.0], [-18.0, 0.0], [12.0, -12.0], [60.0, -60.0]], dtype=dtype)
        logvar, mu = logvar + ctx.rand(4, 2, low=-1, dtype=dtype), 100 * ctx.randn(4, 2, dtype=dtype)
        extreme(ctx, mu, logvar, tol, held, f"kl_divergence(mu, logvar) of latents far out, in {kind}")


def narrow_or_wide(ctx: Context, dtype: torch.dtype, tol: Tolerance) -> None:
    """Two Gaussians whose variances are both near e^-12 or both near e^12: what is added to them shows."""
    for level in LEVELS[:2]:
        logvar_p = torch.tensor([[0.0, 0.5, 1.0], [1.0, 0.0, -0.5]], dtype=dtype) + level
        logvar_q = torch.full((2, 3), level, dtype=dtype)
        mu_p, mu_q = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]], dtype=dtype), torch.zeros(2, 3, dtype=dtype)
        mu_p = mu_p * math.exp(level / 2)
        p_and_q = (mu_p, logvar_p, mu_q, logvar_q)
        right = pairwise_kl(*(part.double() for part in p_and_q)).to(dtype)
        what = f"where both logvars are near {level:g}, in {str(dtype).removeprefix('torch.')}"
        value = ctx.call(UNIVARIATE, *(part[0].clone() for part in p_and_q))
        matches(ctx, value, right[0], tol, f"kl_univariate {what}", hint=GUARD)
        matches(ctx, ctx.call(DIAGONAL, *p_and_q), right.sum(1), tol, f"kl_diagonal {what}", hint=GUARD)


def extreme(
    ctx: Context, mu: Tensor, logvar: Tensor, tol: Tolerance, held: Sequence[Reading], what: str
) -> None:  # fmt: skip
    """The divergence, or what a misconception in `held` makes of it, where a variance is hardly there, or enormous."""
    expected, value = to_standard(mu.double(), logvar.double()).to(mu.dtype), ctx.call(STANDARD, mu, logvar)
    wrong = misread(mu.double(), logvar.double()) if held else {}
    if any(alike(value, wrong[reading].to(mu.dtype), tol.rtol, tol.atol) for reading in held):
        return
    matches(ctx, value, expected, tol, what, hint=INHERIT)
