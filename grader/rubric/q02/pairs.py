"""The divergence between two Gaussians."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.cases import same_shape, sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_tensor, expect, matches
from ...check.failure import FLOAT32, FLOAT64
from ...check.forall import forall
from ...check.shown import alike, misread
from .standard import AVERAGED, BATCH, DIAGONAL, FULL, NEAR_ZERO, STANDARD, UNIVARIATE, pairwise_kl, readings


@declare(
    id="q2.univariate.value", question=2, kind="property", points=1.25, visibility="public",
    title="KL between univariate Gaussians: value",
    asks="kl_univariate(mu_p, logvar_p, mu_q, logvar_q) is KL(p || q), element by element",
    hint="Let p be narrow and q wide, then swap them: which of the two divergences is larger, and which is yours?",
    needs=(),
)  # fmt: skip
def univariate_value(ctx: Context) -> None:
    p_and_q = [ctx.randn(7), ctx.rand(7, low=-2, high=2), ctx.randn(7), ctx.rand(7, low=-2, high=2)]
    right = pairwise_kl(*p_and_q)
    hint = misread(ctx.call(UNIVARIATE, *p_and_q), {
        **readings(*p_and_q),
        BATCH: right.mean(),
        "Element by element: how many numbers belong to a batch of seven?": right.sum(),
    })  # fmt: skip

    def body(p_and_q: tuple[Tensor, ...]) -> None:
        value = ctx.call(UNIVARIATE, *p_and_q)
        matches(ctx, value, pairwise_kl(*p_and_q), FLOAT64, "kl_univariate(mu_p, logvar_p, mu_q, logvar_q)", hint=hint)

    forall(ctx, body, p_and_q=same_shape(4, sizes(1, 6), low=(-3.0, -3.0, -3.0, -3.0), high=3.0))
    singles = [part.float() for part in p_and_q]
    matches(ctx, ctx.call(UNIVARIATE, *singles), pairwise_kl(*singles), FLOAT32, "kl_univariate in float32", hint=hint)


@declare(
    id="q2.diagonal.value", question=2, kind="property", points=1.0, visibility="public",
    title="KL between diagonal Gaussians: value",
    asks="kl_diagonal(mu_p, logvar_p, mu_q, logvar_q) is KL(p || q), one number per example",
    hint="The dimensions are independent under both distributions. What does the logarithm make of a "
    "product of densities?",
    needs=(),
)  # fmt: skip
def diagonal_value(ctx: Context) -> None:
    p_and_q = [ctx.randn(5, 3), ctx.rand(5, 3, low=-2, high=2), ctx.randn(5, 3), ctx.rand(5, 3, low=-2, high=2)]
    right = pairwise_kl(*p_and_q)
    hint = misread(ctx.call(DIAGONAL, *p_and_q), {
        **{hint: wrong.sum(1) for hint, wrong in readings(*p_and_q).items()},
        AVERAGED: right.mean(1),
        BATCH: right.sum(1).mean(),
        "Which axis is the batch?": right.sum(0),
        "Your result is one number for the batch, and grows with its size. Is that asked for?": right.sum(),
    })  # fmt: skip

    def body(p_and_q: tuple[Tensor, ...]) -> None:
        expected = pairwise_kl(*p_and_q).sum(1)
        matches(
            ctx,
            ctx.call(DIAGONAL, *p_and_q),
            expected,
            FLOAT64,
            "kl_diagonal(mu_p, logvar_p, mu_q, logvar_q)",
            hint=hint,
        )

    forall(ctx, body, p_and_q=same_shape(4, sizes(1, 4), sizes(1, 4), low=(-3.0, -3.0, -3.0, -3.0), high=3.0))
    p_and_q = [ctx.randn(9, 6, dtype=torch.float32) for _ in range(4)]
    expected = pairwise_kl(*p_and_q).sum(1)
    matches(ctx, ctx.call(DIAGONAL, *p_and_q), expected, FLOAT32, "kl_diagonal in float32", hint=hint)


@declare(
    id="q2.properties", question=2, kind="property", points=0.5, visibility="public",
    title="What every divergence obeys",
    asks="all divergences are 0 where p equals q and positive elsewhere; they add up over independent dimensions, and "
    "swapping p and q changes them",
    hint="Put p = q into your formula by hand. Then append a dimension in which p and q agree: what may change?",
    needs=(),
)  # fmt: skip
def properties(ctx: Context) -> None:
    def zero_if_equal(mu_and_logvar: tuple[Tensor, Tensor]) -> None:
        mu, logvar = mu_and_logvar
        nothing = torch.zeros(len(mu), dtype=mu.dtype)
        matches(ctx, ctx.call(DIAGONAL, mu, logvar, mu, logvar), nothing, NEAR_ZERO, "kl_diagonal of p to itself")
        matches(ctx, ctx.call(UNIVARIATE, mu[:, 0], logvar[:, 0], mu[:, 0], logvar[:, 0]), nothing, NEAR_ZERO,
                    "kl_univariate of p to itself")  # fmt: skip

    forall(ctx, zero_if_equal, examples=15, mu_and_logvar=same_shape(2, sizes(1, 4), sizes(1, 3)))
    nothing = torch.zeros(2, 3, dtype=torch.float64)
    matches(ctx, ctx.call(STANDARD, nothing, nothing), nothing[:, 0], NEAR_ZERO, "kl_divergence of N(0, I)")
    value = ctx.call(FULL, nothing[0], torch.eye(3, dtype=torch.float64))
    matches(ctx, value, torch.zeros((), dtype=torch.float64), NEAR_ZERO, "kl_full_covariance of N(0, I)")

    # one sigma or one mean differs by a little or a lot: 0 only if equal
    change = torch.tensor([-3.0, -0.5, -0.01, 0.01, 0.5, 3.0], dtype=torch.float64)
    mu, logvar = ctx.randn(6), ctx.rand(6, low=-2, high=2)
    apart = {
        "kl_univariate of two widths": (UNIVARIATE, (mu, logvar, mu, logvar + change)),
        "kl_univariate of two means": (UNIVARIATE, (mu, logvar, mu + change, logvar)),
        "kl_divergence of a width other than 1": (STANDARD, (torch.zeros(6, 1).double(), change.unsqueeze(1))),
        "kl_divergence of a mean other than 0": (STANDARD, (change.unsqueeze(1), torch.zeros(6, 1).double())),
    }
    for what, (target, two) in apart.items():
        value = as_tensor(ctx.call(target, *two), (6,), what)
        expect(bool((value > 0).all()), f"{what} is not positive", "more than 0 everywhere", value)

    p_and_q = [ctx.randn(4, 5) for _ in range(4)]
    parts = [[part[:, :2] for part in p_and_q], [part[:, 2:] for part in p_and_q]]
    for target, count in ((DIAGONAL, 4), (STANDARD, 2)):
        whole = as_tensor(ctx.call(target, *p_and_q[:count]), (4,), target)
        left, right = (as_tensor(ctx.call(target, *part[:count]), (4,), target) for part in parts)
        matches(ctx, left + right, whole, FLOAT64, f"{target} of the first two and the last three dimensions, added")
    for target, arguments in ((UNIVARIATE, [part[:, 0] for part in p_and_q]), (DIAGONAL, p_and_q)):
        there = as_tensor(ctx.call(target, *arguments), (4,), target)
        back = as_tensor(ctx.call(target, *arguments[2:], *arguments[:2]), (4,), target)
        expect(
            not alike(there, back),
            f"{target} is the same both ways",
            "KL(p || q) other than KL(q || p)",
            there,
        )
