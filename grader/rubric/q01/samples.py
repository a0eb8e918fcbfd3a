"""Samples of a Gaussian."""

from __future__ import annotations

import torch
from scipy import stats
from torch import Tensor

from ...check.cases import covariance
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_tensor, expect
from ...check.shown import alike
from ...check.statistics import FALSE_ALARM, correlation_bound, mean_bound, variance_bounds
from ...check.values import Gen
from .densities import SAMPLE

SAMPLES = 40_000
CALLS, HANDFUL = 40, 8  # an even number: what comes in pairs then comes in pairs only
ALPHA = FALSE_ALARM / 2  # per comparison of the moments' check
NO_SLOPE = "Which step of yours has no slope for a distance of exactly 0, though the density itself is smooth there?"
AGAIN = "Draw a handful, note its mean, and do that again and again: how much should those means differ?"
# far from diagonal, so that a factor on the wrong side or a missing root shows whatever the variances are
CORRELATIONS = torch.tensor([[1.0, 0.8, 0.3], [0.8, 1.0, -0.2], [0.3, -0.2, 1.0]], dtype=torch.float64)


def independent(ctx: Context, white: Tensor) -> None:
    """Whitened draws `(calls, n, D)`: those of one call know nothing of each other, chance alone sets their mean.

    Times the root of n, the mean of a call is N(0, I); the squared distances from it add up to a chi-square.
    """
    calls, few, dims = white.shape
    centre = white.mean(1, keepdim=True)
    low, high = variance_bounds(calls * dims + 1, ALPHA)  # with all degrees of freedom: the mean is known to be 0
    means = few * float(centre.square().mean())
    expect(low <= means <= high, "the draws of one call are not independent: how their mean varies is not chance",
               f"{low:.2g} to {high:.2g} times the variance of a mean of {few} independent draws", f"{means:.2g} times",
               hint=AGAIN)  # fmt: skip
    squares = (white - centre).square().sum((1, 2)).numpy()
    scores = stats.norm.ppf(stats.chi2.cdf(squares, (few - 1) * dims))  # N(0, 1), too
    low, high = variance_bounds(calls + 1, ALPHA)
    spread = float((scores**2).mean())
    expect(low <= spread <= high, "the draws of one call are not independent: how they spread is not chance",
               f"{low:.2g} to {high:.2g} times what chance makes of it", f"{spread:.2g} times", hint=AGAIN)  # fmt: skip


@declare(
    id="q1.sample.moments", question=1, kind="statistical", points=0.5, visibility="public",
    title="Samples have the mean, variances and correlations asked for",
    asks="sample_gaussian(mu, cov, n) draws n independent vectors of N(mu, cov)",
    hint="If every coordinate of a vector has variance 1 and you multiply by a matrix, what is the covariance of the "
    "product?",
    needs=(),
)  # fmt: skip
def sample_moments(ctx: Context) -> None:
    # 40 000 draws, whitened with the true mean and covariance: then 3 means, 3 variances, 3 correlations and the shape
    # of the distribution (Kolmogorov-Smirnov) are those of N(0, I). With two of `independent` these are twelve
    # comparisons at 5e-8: false alarms 6e-7 in all.
    spread = torch.diag(ctx.rand(3, low=0.5, high=2.0))
    mu, cov = 3 * ctx.randn(3), spread @ CORRELATIONS @ spread
    draws = as_tensor(ctx.call(SAMPLE, mu, cov, SAMPLES), (SAMPLES, 3), "sample_gaussian(mu, cov, 40000)",
                       dtype=torch.float64)  # fmt: skip
    factor = torch.linalg.cholesky(cov)

    def whitened(draws: Tensor) -> Tensor:
        columns: Tensor = torch.linalg.solve_triangular(factor, (draws - mu).mT, upper=False)
        return columns.mT

    white = whitened(draws)
    found = torch.cov(draws.mT)
    wrong = {
        "Is the matrix that you multiply with the covariance, or a root of it?": cov @ cov,
        "Do the coordinates of your samples correlate at all?": torch.diag(cov.diagonal()),
        "Your factor times its transpose gives cov. Which side of the noise does it belong on?": factor.mT @ factor,
        "Does every coordinate get noise of its own?": torch.outer(factor.sum(1), factor.sum(1)),
        "Is your noise standard normal?": cov / 12,
    }
    # only chooses among hints: 5 % is many standard errors at this sample size
    close = [hint for hint, matrix in wrong.items() if (found - matrix).abs().max() < 0.05 * matrix.abs().max()]
    hint = close[0] if len(close) == 1 else ""

    off = float(white.mean(0).abs().max())
    expect(off <= mean_bound(1.0, SAMPLES, ALPHA), "the mean of the samples is not mu", mu, draws.mean(0))
    low, high = variance_bounds(SAMPLES, ALPHA)
    variances = white.var(0)
    right = bool((variances >= low).all() and (variances <= high).all())
    correlations = torch.corrcoef(white.mT)[[0, 0, 1], [1, 2, 2]]
    right = right and bool((correlations.abs() <= correlation_bound(SAMPLES, ALPHA)).all())
    expect(right, "the covariance of the samples is not cov", cov, found, hint=hint)
    p = float(stats.kstest(white.flatten().numpy(), "norm").pvalue)
    expect(p >= ALPHA, "the samples are not Gaussian", "a bell curve around mu",
               f"Kolmogorov-Smirnov p = {p:.2g}", hint="Which distribution is your noise drawn from?")  # fmt: skip
    handfuls = [as_tensor(ctx.call(SAMPLE, mu, cov, HANDFUL), (HANDFUL, 3), f"sample_gaussian(mu, cov, {HANDFUL})",
                           dtype=torch.float64) for _ in range(CALLS)]  # fmt: skip
    # calls that all give the same are the business of the check of the generator
    if not all(alike(handful, handfuls[0]) for handful in handfuls):
        independent(ctx, whitened(torch.stack(handfuls)))


@declare(
    id="q1.sample.generator", question=1, kind="property", points=0.25, visibility="hidden",
    title="Samples come from the generator",
    asks="sample_gaussian draws from `generator`: another state, other samples; num_samples rows, in the "
    "dtype of mu",
    hint="Does the generator you are handed reach the function that draws? Is it still the same one afterwards?",
    needs=(),
)  # fmt: skip
def sample_generator(ctx: Context) -> None:
    mu, cov = ctx.randn(3), covariance(ctx.seed, 3)
    seed = ctx.seed
    first, _, kept = ctx.session.effects(SAMPLE, mu, cov, 5, generator=Gen(seed))
    first = as_tensor(first, (5, 3), "sample_gaussian", dtype=torch.float64)
    same = as_tensor(ctx.call(SAMPLE, mu, cov, 5, generator=Gen(seed)), (5, 3), "sample_gaussian")
    expect(alike(first, same), "two generators in the same state give different samples", first, same,
               hint="Which stream do your numbers come from when a generator is given?")  # fmt: skip
    for what, generator in (("another seed", Gen(seed + 1)), ("the same generator, used again", kept["generator"])):
        other = as_tensor(ctx.call(SAMPLE, mu, cov, 5, generator=generator), (5, 3), "sample_gaussian")
        expect(not alike(first, other), f"{what} gives the same samples", "other samples", other)
    one, two = (as_tensor(ctx.call(SAMPLE, mu, cov, 1), (1, 3), "sample_gaussian(mu, cov, 1)") for _ in range(2))
    expect(not alike(one, two), "two calls without a generator give the same sample", "other samples", two)
    as_tensor(ctx.call(SAMPLE, mu.float(), cov.float(), 4), (4, 3), "sample_gaussian in float32", dtype=torch.float32)
