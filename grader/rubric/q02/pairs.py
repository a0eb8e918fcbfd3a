"""The divergence between two Gaussians."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.cases import two_digits
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_tensor, expect, matches
from ...check.failure import FLOAT32, FLOAT64, GUARDED, Tolerance
from ...check.forall import forall
from ...check.patterns import Reading, recognised
from ...check.shown import alike
from .oracles import (
    ALL_PARTS,
    AVERAGED,
    BATCH,
    BATCH_SUM,
    DIAGONAL,
    FULL,
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
    summed_kl,
)

NEAR_ZERO = Tolerance(0.0, 1e-4, "a guard of up to 1e-6 on a variance of .05 is correct work; what it does to smaller "
                      "ones has its own check")  # fmt: skip
EQUAL = "Put p = q into your formula by hand: which terms are left, and do they cancel in any number of dimensions?"
PULLED_APART = (
    "Pull p and q apart a little, in one direction and in the other: should the divergence ever fall below 0?"
)
BOTH_WAYS = "Let p be narrow and q wide, then swap them: which of the two divergences is larger, and which is yours?"


@declare(
    id="q2.univariate.value", question=2, kind="property", points=1.25, visibility="public",
    title="KL between univariate Gaussians: value",
    asks="kl_univariate(mu_p, logvar_p, mu_q, logvar_q) is KL(p || q), element by element",
    hint="Let p be narrow and q wide, then swap them: which of the two divergences is larger, and which is yours?",
    needs=(),
)  # fmt: skip
def univariate_value(ctx: Context) -> None:
    p_and_q = pair(ctx, 7)
    right = pairwise_kl(*p_and_q)
    reading = recognised(ctx.call(UNIVARIATE, *p_and_q), right, {
        **of_pair(*p_and_q),
        Reading("the mean of all examples", BATCH): right.mean(),
        Reading("the sum of all examples", BATCH_SUM): right.sum(),
    })  # fmt: skip

    def body(p_and_q: tuple[Tensor, ...], what: str = "kl_univariate(mu_p, logvar_p, mu_q, logvar_q)",
             hint: str = WHICH_TERM) -> None:  # fmt: skip
        expected = pairwise_kl(*p_and_q)
        matches(ctx, ctx.call(UNIVARIATE, *p_and_q), expected, GUARDED, what, hint=hint, reading=reading)

    forall(ctx, body, p_and_q=gaussians(4, (3, 6)))
    body(pair(ctx, 1), "kl_univariate for one example", ONE_EXAMPLE)
    singles = [part.float() for part in pair(ctx, 7)]
    value = ctx.call(UNIVARIATE, *singles)
    matches(ctx, value, pairwise_kl(*singles), FLOAT32, "kl_univariate of float32 arguments", hint=PRECISION)


def pair(ctx: Context, *shape: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means and log-variances of two Gaussians, nothing in them near 0 or 1 on purpose."""
    return (two_digits(ctx.randn(*shape)), two_digits(ctx.rand(*shape, low=-2, high=2)),
            two_digits(ctx.randn(*shape)), two_digits(ctx.rand(*shape, low=-2, high=2)))  # fmt: skip


@declare(
    id="q2.diagonal.value", question=2, kind="property", points=1.0, visibility="public",
    title="KL between diagonal Gaussians: value",
    asks="kl_diagonal(mu_p, logvar_p, mu_q, logvar_q) is KL(p || q), one number per example",
    hint="The dimensions are independent under both distributions. What does the logarithm make of a "
    "product of densities?",
    needs=(), parts=(UNIVARIATE_PART,),
)  # fmt: skip
def diagonal_value(ctx: Context) -> None:
    p_and_q = pair(ctx, 5, 3)
    right = pairwise_kl(*p_and_q)
    reading = recognised(ctx.call(DIAGONAL, *p_and_q), right.sum(1), of_batch(right, of_pair(*p_and_q)))

    def body(p_and_q: tuple[Tensor, ...], what: str = "kl_diagonal(mu_p, logvar_p, mu_q, logvar_q)",
             hint: str = WHICH_TERM) -> None:  # fmt: skip
        expected = summed_kl(*p_and_q)
        matches(ctx, ctx.call(DIAGONAL, *p_and_q), expected, GUARDED, what, hint=hint, reading=reading)

    forall(ctx, body, p_and_q=gaussians(4, (2, 4), (3, 5)))
    for shape, which in (((1, 3), "for one example"), ((4, 1), "in one dimension")):
        body(pair(ctx, *shape), f"kl_diagonal {which}", ONE_EXAMPLE)
    singles = [ctx.randn(9, 6, dtype=torch.float32) for _ in range(4)]
    value = ctx.call(DIAGONAL, *singles)
    matches(ctx, value, summed_kl(*singles), FLOAT32, "kl_diagonal of float32 arguments", hint=PRECISION)


@declare(
    id="q2.properties", question=2, kind="property", points=0.5, visibility="public",
    title="What every divergence obeys",
    asks="all divergences are 0 where p equals q and positive elsewhere; they add up over independent dimensions, and "
    "swapping p and q changes them",
    hint="Put p = q into your formula by hand. Then append a dimension in which p and q agree: what may change?",
    needs=(), parts=ALL_PARTS,
)  # fmt: skip
def properties(ctx: Context) -> None:
    def zero_if_equal(mu_and_logvar: tuple[Tensor, ...]) -> None:
        mu, logvar = mu_and_logvar
        nothing = torch.zeros(len(mu), dtype=mu.dtype)
        value = ctx.call(UNIVARIATE, mu[:, 0], logvar[:, 0], mu[:, 0], logvar[:, 0])
        matches(ctx, value, nothing, NEAR_ZERO, "kl_univariate of p to itself", hint=EQUAL)
        value = ctx.call(DIAGONAL, mu, logvar, mu, logvar)
        matches(ctx, value, nothing, NEAR_ZERO, "kl_diagonal of p to itself", hint=EQUAL)

    forall(ctx, zero_if_equal, examples=15, mu_and_logvar=gaussians(2, (2, 4), (3, 5)))
    nothing = torch.zeros(2, 3, dtype=torch.float64)
    value = ctx.call(STANDARD, nothing, nothing)
    matches(ctx, value, nothing[:, 0], NEAR_ZERO, "kl_divergence of N(0, I) to itself", hint=EQUAL)
    value = ctx.call(FULL, nothing[0], torch.eye(3, dtype=torch.float64))
    origin = torch.zeros((), dtype=torch.float64)
    matches(ctx, value, origin, NEAR_ZERO, "kl_full_covariance of N(0, I) to itself", hint=EQUAL)
    positive_apart(ctx)
    additive(ctx)
    p_and_q = pair(ctx, 4, 5)
    for target, arguments in ((UNIVARIATE, [part[:, 0] for part in p_and_q]), (DIAGONAL, list(p_and_q))):
        name = target.rpartition(".")[2]
        there = as_tensor(ctx.call(target, *arguments), (4,), name)
        back = as_tensor(ctx.call(target, *arguments[2:], *arguments[:2]), (4,), name)
        expect(not alike(there, back), f"{name} is the same both ways", "KL(p || q) other than KL(q || p)", there,
                   hint=BOTH_WAYS)  # fmt: skip


def positive_apart(ctx: Context) -> None:
    """One sigma or one mean differs by a little or a lot: 0 only if equal."""
    change = torch.tensor([-3.0, -0.5, -0.01, 0.01, 0.5, 3.0], dtype=torch.float64)
    mu, logvar = two_digits(ctx.randn(6)), two_digits(ctx.rand(6, low=-2, high=2))
    nothing = torch.zeros(6, 1, dtype=torch.float64)
    apart = {
        "kl_univariate of two widths": (UNIVARIATE, (mu, logvar, mu, logvar + change)),
        "kl_univariate of two means": (UNIVARIATE, (mu, logvar, mu + change, logvar)),
        "kl_divergence of a width other than 1": (STANDARD, (nothing, change.unsqueeze(1))),
        "kl_divergence of a mean other than 0": (STANDARD, (change.unsqueeze(1), nothing)),
    }
    for what, (target, two) in apart.items():
        value = as_tensor(ctx.call(target, *two), (6,), what)
        expect(bool((value > 0).all()), f"{what} is not positive", "more than 0 everywhere", value, hint=PULLED_APART)


def additive(ctx: Context) -> None:
    """Independent dimensions: the divergence of all of them is the sum of those of their parts."""
    p_and_q = pair(ctx, 4, 5)
    parts = [[part[:, :2] for part in p_and_q], [part[:, 2:] for part in p_and_q]]
    for target, count in ((DIAGONAL, 4), (STANDARD, 2)):
        name = target.rpartition(".")[2]
        whole = as_tensor(ctx.call(target, *p_and_q[:count]), (4,), name)
        left, right = (as_tensor(ctx.call(target, *part[:count]), (4,), name) for part in parts)
        what = f"{name} of the first two dimensions plus that of the last three"
        matches(ctx, left + right, whole, FLOAT64, what, hint=AVERAGED)
