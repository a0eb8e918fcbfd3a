"""What holds for all divergences."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal

from ...check.cases import covariance, symmetric, two_digits
from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import as_tensor, expect, preserves
from ...check.gradients import gradient_equals, slopes
from ...check.patterns import Reading
from ...check.shown import alike
from ...check.statistics import mean_bound
from ..shared.gaussians import full_log_prob
from .oracles import (
    ALL_PARTS,
    CONSTANT,
    DIAGONAL,
    FULL,
    NO_SLOPE,
    STANDARD,
    UNIVARIATE,
    full_to_standard,
    log_prob,
    pairwise_kl,
    summed_kl,
    to_standard,
)
from .pairs import pair

SAMPLES = 200_000
DRAW = "Draw from p yourself and average the difference of the two log-densities. How far is that from your result?"


@declare(
    id="q2.montecarlo", question=2, kind="statistical", points=0.25, visibility="public",
    title="Divergences agree with samples",
    asks="each divergence is the mean of log p(x) - log q(x) over draws x of p",
    hint=DRAW, needs=(), parts=ALL_PARTS,
)  # fmt: skip
def montecarlo(ctx: Context) -> None:
    # 200 000 draws of p, made here; the statistic is the mean of log p - log q, with the sample's own standard
    # deviation. Seven comparisons at 1e-7 each: false alarms below 1e-6. The log-ratio is a quadratic form of normal
    # draws, with skewness of about 2 at most, which at this sample size changes the bound's tail by some 10 %.
    def agrees(value: float, log_ratio: Tensor, what: str) -> None:
        found, margin = float(log_ratio.mean()), mean_bound(float(log_ratio.std()), SAMPLES)
        expect(abs(value - found) <= margin, f"{what} is not what samples say",
                   f"{found:.5g} up to {margin:.2g}", f"{value:.5g}", hint=DRAW)  # fmt: skip

    mu_p, logvar_p, mu_q, logvar_q = ctx.randn(2, 3), ctx.randn(2, 3), ctx.randn(2, 3), ctx.randn(2, 3)
    p, q = Normal(mu_p, torch.exp(logvar_p / 2)), Normal(mu_q, torch.exp(logvar_q / 2))
    draws = mu_p + torch.exp(logvar_p / 2) * ctx.randn(SAMPLES, 2, 3)
    log_p, normal = log_prob(p, draws), Normal(torch.zeros(3).double(), torch.ones(3).double())
    ratio, to_normal = log_p - log_prob(q, draws), (log_p - log_prob(normal, draws)).sum(2)
    standard = as_tensor(ctx.call(STANDARD, mu_p, logvar_p), (2,), "kl_divergence")
    diagonal = as_tensor(ctx.call(DIAGONAL, mu_p, logvar_p, mu_q, logvar_q), (2,), "kl_diagonal")
    first = (part[:, 0] for part in (mu_p, logvar_p, mu_q, logvar_q))
    univariate = as_tensor(ctx.call(UNIVARIATE, *first), (2,), "kl_univariate")
    for row in range(2):
        agrees(float(univariate[row]), ratio[:, row, 0], "kl_univariate")
        agrees(float(diagonal[row]), ratio[:, row].sum(1), "kl_diagonal")
        agrees(float(standard[row]), to_normal[:, row], "kl_divergence")
    mu, cov = ctx.randn(3), covariance(ctx.seed, 3)
    draws = mu + ctx.randn(SAMPLES, 3) @ torch.linalg.cholesky(cov).mT
    log_ratio = full_log_prob(draws, mu, cov) - log_prob(normal, draws).sum(1)
    agrees(float(as_tensor(ctx.call(FULL, mu, cov), (), "kl_full_covariance")), log_ratio, "kl_full_covariance")


@declare(
    id="q2.gradient.standard", question=2, kind="gradient", points=0.5, visibility="public",
    title="KL to the standard normal: gradients",
    asks="gradients of kl_divergence reach mu and logvar: this is what trains a VAE's encoder",
    hint="Is there a step in between that autograd cannot follow?",
    needs=(), parts=ALL_PARTS,
)  # fmt: skip
def gradient_standard(ctx: Context) -> None:
    mu, logvar = two_digits(ctx.randn(2, 3)), two_digits(ctx.randn(2, 3))
    readings = {1: {
        Reading("the gradient that is left if exp(logvar) is a constant", CONSTANT): torch.full_like(mu, -0.5),
        Reading("the gradient that is left if the term -logvar is a constant", CONSTANT): logvar.exp() / 2,
    }}  # fmt: skip
    gradient_equals(ctx, STANDARD, mu, logvar, oracle=to_standard, wrt=(0, 1), hint=CONSTANT, readings=readings)
    # at the minimum, and for a collapsed latent, every gradient is finite as well
    mu, logvar = torch.zeros(2, 3, dtype=torch.float64), torch.tensor([[0.0, 0, 0], [-60, 0, 30]], dtype=torch.float64)
    found = slopes(ctx, STANDARD, mu, logvar, wrt=(0, 1))
    if found is None:
        return
    for position, name in enumerate(("mu", "logvar")):
        what = f"the gradient of kl_divergence to {name} where mu is 0"
        slope = as_tensor(found[position], (2, 3), what, finite=False)
        expect(bool(slope.isfinite().all()), f"{what} is not finite", "finite numbers", slope, hint=NO_SLOPE)


@declare(
    id="q2.gradient.general", question=2, kind="gradient", points=0.5, visibility="public",
    title="Divergences between Gaussians: gradients",
    asks="gradients of the other divergences reach the parameters of p and of q, and the covariance; that to a mean "
    "of 0 is 0",
    hint="Is everything between the arguments and the result a tensor operation, or does a plain number get in?",
    needs=(), parts=ALL_PARTS,
)  # fmt: skip
def gradient_general(ctx: Context) -> None:
    gradient_equals(ctx, UNIVARIATE, *pair(ctx, 3), oracle=pairwise_kl, wrt=(0, 1, 2, 3), hint=CONSTANT)
    gradient_equals(ctx, DIAGONAL, *pair(ctx, 3, 2), oracle=summed_kl, wrt=(0, 1, 2, 3), hint=CONSTANT)
    mu, cov = two_digits(ctx.randn(3)), symmetric(two_digits(covariance(ctx.seed, 3)))
    eye, inverse = torch.eye(3, dtype=torch.float64), torch.linalg.inv(cov)
    readings = {1: {
        Reading("the gradient of the trace alone", CONSTANT): eye / 2,
        Reading("the gradient of the log-determinant alone", CONSTANT): -inverse / 2,
    }}  # fmt: skip
    gradient_equals(ctx, FULL, mu, cov, oracle=full_to_standard, wrt=(0,), hint=CONSTANT)
    # a gradient may put both halves of what is symmetric into one triangle
    gradient_equals(ctx, FULL, mu, cov, oracle=full_to_standard, wrt=(1,), within=symmetric, hint=CONSTANT,
                    readings=readings)  # fmt: skip
    nothing = torch.zeros(3, dtype=torch.float64)  # where a centred Gaussian is
    what = "the gradient of kl_full_covariance to mu where mu is 0"
    slope = slopes(ctx, FULL, nothing, cov, wrt=(0,))
    if slope is not None:
        found = as_tensor(slope[0], (3,), what, finite=False)
        expect(alike(found, nothing), f"{what} is wrong", "0 everywhere", found, hint=NO_SLOPE)


@declare(
    id="q2.inputs", question=2, kind="property", points=0.25, visibility="hidden",
    title="Arguments stay as they were, results where they were",
    asks="no divergence changes a tensor that it is given; results lie on the device of the arguments",
    hint="Which of your operations end in an underscore, or assign to a slice or with +=?",
    needs=(),
)  # fmt: skip
def inputs(ctx: Context) -> None:
    mu_p, logvar_p, mu_q, logvar_q = (torch.tensor(rows, dtype=torch.float64) for rows in (
        [[2.0, -3, 4], [5, 1, -2]], [[1.0, 0, -1], [2, -2, 1]], [[3.0, 3, -1], [2, 4, 0]], [[-1.0, 1, 2], [0, 1, -2]],
    ))  # fmt: skip
    p_and_q = (mu_p, logvar_p, mu_q, logvar_q)
    calls: tuple[tuple[str, tuple[Tensor, ...]], ...] = (
        (STANDARD, (mu_p, logvar_p)), (UNIVARIATE, tuple(part[0].clone() for part in p_and_q)), (DIAGONAL, p_and_q),
        (FULL, (mu_p[0].clone(), symmetric(two_digits(covariance(ctx.seed, 3))))),
    )  # fmt: skip
    for target, arguments in calls:
        preserves(ctx, target, *arguments)
    for target, arguments in calls:
        expect_on_device(ctx, target.rpartition(".")[2], target, *arguments)
