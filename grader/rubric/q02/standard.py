"""The divergence to the standard normal."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from ...check.cases import same_shape, sizes
from ...check.context import Context, guard
from ...check.declaration import declare
from ...check.expectations import matches
from ...check.failure import FLOAT32, FLOAT64, Tolerance
from ...check.forall import forall
from ...check.shown import misread

STANDARD, UNIVARIATE = "gaussians.kl_divergence", "gaussians.kl_univariate"
DIAGONAL, FULL = "gaussians.kl_diagonal", "gaussians.kl_full_covariance"

NEAR_ZERO = Tolerance(0.0, 1e-12, "float64 rounding of a few terms near 1 that cancel")
LARGE_SUM = Tolerance(1e-4, 1e-3, "float32 sums of 200 terms of opposite signs, up to 1e3 in all")
SAMPLES = 200_000

AS_LOG_SIGMA = "Make sigma twice as large: by how much does logvar change, and does your code agree with that?"
TWICE = "Your values are exactly twice too large. Check against an integral in one dimension: which factor is missing?"
SIGN = "Can one distribution be closer to another than it is to itself?"
AVERAGED = "Your values are off by the number of dimensions. What should adding a dimension do to the divergence?"
BATCH = "Should the examples of a batch be combined? How many numbers belong to a batch of five?"
REVERSED = "Under which of the two distributions is the expectation taken? It is not the same the other way round."
NO_LOG_RATIO = "Try p = q, then scale one sigma. Which term notices that the two widths differ?"
NO_MEAN = "Shift one mean far away. Does your divergence notice?"
NO_SLOPE = "Which step of yours has no slope at exactly 0, though the divergence itself is smooth there?"


def pairwise_kl(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> Tensor:
    """KL(p || q) by torch.distributions, element by element."""
    return kl_divergence(Normal(mu_p, torch.exp(logvar_p / 2)), Normal(mu_q, torch.exp(logvar_q / 2)))


def to_standard(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, I)) by torch.distributions, `(B,)`."""
    return pairwise_kl(mu, logvar, torch.zeros_like(mu), torch.zeros_like(mu)).sum(1)


def multivariate(mu: Tensor, cov: Tensor) -> MultivariateNormal:
    """N(mu, cov); that cov is positive definite needs no test, which takes longer than all the rest."""
    return MultivariateNormal(mu, cov, validate_args=False)


def full_to_standard(mu: Tensor, cov: Tensor) -> Tensor:
    """KL(N(mu, cov) || N(0, I)) by torch.distributions, `()`."""
    return kl_divergence(multivariate(mu, cov), multivariate(torch.zeros_like(mu), torch.eye(len(mu)).to(cov)))


def log_prob(p: Normal | MultivariateNormal, x: Tensor) -> Tensor:
    """log p(x) by torch.distributions."""
    found: Tensor = p.log_prob(x)  # type: ignore[no-untyped-call]
    return found


def readings(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> dict[str, Tensor]:
    """What known misconceptions make of KL(p || q), element by element, by the question to ask."""
    right = pairwise_kl(mu_p, logvar_p, mu_q, logvar_q)
    return {
        TWICE: 2 * right,
        SIGN: -right,
        AS_LOG_SIGMA: pairwise_kl(mu_p, 2 * logvar_p, mu_q, 2 * logvar_q),
        REVERSED: pairwise_kl(mu_q, logvar_q, mu_p, logvar_p),
        NO_LOG_RATIO: right - (logvar_q - logvar_p) / 2,
        NO_MEAN: pairwise_kl(mu_p, logvar_p, mu_p, logvar_q),
    }


@declare(
    id="q2.standard.value", question=2, kind="property", points=1.5, visibility="public",
    title="KL to the standard normal: value",
    asks="kl_divergence(mu, logvar) is KL(N(mu, diag sigma^2) || N(0, I)), one number per example",
    hint="Set mu to 0 and change only the variance: what should a variance of 4 cost? What does adding a latent "
    "dimension do to the sum?",
    needs=(),
)  # fmt: skip
def standard_value(ctx: Context) -> None:
    # away from mu = 1, logvar = 0 and B = 1, where most misconceptions give the right number
    mu, logvar = ctx.randn(5, 3), ctx.rand(5, 3, low=-2, high=2)
    zero = torch.zeros_like(mu)
    right = pairwise_kl(mu, logvar, zero, zero)
    hint = misread(ctx.call(STANDARD, mu, logvar), {
        **{hint: wrong.sum(1) for hint, wrong in readings(mu, logvar, zero, zero).items()},
        AVERAGED: right.mean(1),
        BATCH: right.sum(1).mean(),
        "Which axis is the batch, and which are the latent dimensions?": right.sum(0),
        "Your result is one number for the batch, and grows with its size. Is that asked for?": right.sum(),
        "The sums run over the latent dimensions. Has every example still its own result?": right,
        "How does the mean enter: does its distance from 0 count as it should for 2 and for -2?":
            (right - mu.square() / 2 + mu.abs() / 2).sum(1),
    })  # fmt: skip

    def body(mu_and_logvar: tuple[Tensor, Tensor]) -> None:
        expected = to_standard(*mu_and_logvar)
        matches(ctx, ctx.call(STANDARD, *mu_and_logvar), expected, FLOAT64, "kl_divergence(mu, logvar)", hint=hint)

    forall(ctx, body, mu_and_logvar=same_shape(2, sizes(1, 5), sizes(1, 4), low=(-3.0, -4.0), high=(3.0, 3.0)))
    # the smallest variance of all: what is added to it shows here, or nowhere in this check
    body((torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), -4.0, dtype=torch.float64)))
    mu, logvar = ctx.randn(64, 20, dtype=torch.float32), ctx.randn(64, 20, dtype=torch.float32)
    matches(
        ctx, ctx.call(STANDARD, mu, logvar), to_standard(mu, logvar), FLOAT32, "kl_divergence in float32", hint=hint
    )


@declare(
    id="q2.standard.extremes", question=2, kind="property", points=0.5, visibility="hidden",
    title="KL to the standard normal: collapsed and exploded latents",
    asks="kl_divergence is finite and right for variances from e^-60 to e^60, in float32 and float64",
    hint="You are given the logarithm of the variance. Is there a need to take a logarithm again, or to protect one?",
    needs=("q2.standard.value",),
)  # fmt: skip
def standard_extremes(ctx: Context) -> None:
    for dtype, tol in ((torch.float64, FLOAT64), (torch.float32, FLOAT32)):
        logvar = torch.tensor([[-60.0, -30.0], [-18.0, 0.0], [12.0, -12.0], [60.0, -60.0]], dtype=dtype)
        logvar = logvar + ctx.rand(4, 2, low=-1, dtype=dtype)
        mu = 100 * ctx.randn(4, 2, dtype=dtype)
        # exp turns the rounding of a float32 logvar into an error of 60 * 6e-8: the oracle sees the same rounded logvar
        expected = to_standard(mu.double(), logvar.double()).to(dtype)

        def body(mu: Tensor = mu, logvar: Tensor = logvar, expected: Tensor = expected, tol: Tolerance = tol) -> None:
            matches(ctx, ctx.call(STANDARD, mu, logvar), expected, tol, "kl_divergence of extreme latents")

        guard(body, {"mu": mu, "logvar": logvar})
        mu = torch.zeros(1, 3, dtype=dtype)
        value = ctx.call(STANDARD, mu, logvar.flatten()[:3].unsqueeze(0))
        expected = to_standard(mu.double(), logvar.flatten()[:3].unsqueeze(0).double()).to(dtype)
        matches(ctx, value, expected, tol, "kl_divergence of collapsed latents with mean 0")
