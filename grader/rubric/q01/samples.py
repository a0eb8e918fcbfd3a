"""Samples of a Gaussian."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.cases import covariance, symmetric, two_digits
from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import as_tensor, expect
from ...check.failure import Failure
from ...check.patterns import Reading
from ...check.shown import alike, show
from ...check.statistics import (
    FALSE_ALARM,
    as_normal_scores,
    correlation_bound,
    mean_bound,
    normal_p_value,
    variance_bounds,
)
from ...check.values import Gen
from .oracles import SAMPLE

SAMPLES = 40_000
CALLS, HANDFUL = 40, 8  # an even number: what comes in pairs then comes in pairs only
ALPHA = FALSE_ALARM / 2  # per comparison of the moments' check
AGAIN = "Draw a handful, note its mean, and do that again and again: how much should those means differ?"
FACTOR = "If every coordinate of a vector has variance 1 and you multiply by a matrix, which covariance has that?"
EACH_ITS_OWN = "How many draws of the noise does one call need, and how many does it make?"
SHIFT = "What is added to the noise, and around which point does the noise itself lie?"
BELL = "Which distribution is your noise drawn from?"
STREAM = "Which stream do your numbers come from when a generator is given?"
SEEDED = "What does your function do to the state of the generator before it draws?"
USED_UP = "Is the generator still the same one after your call, or does its next call begin where this one began?"
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
    expect(low <= means <= high, f"the {few} draws of one call are not independent: how their mean varies from call to "
               "call is not chance", f"{low:.2g} to {high:.2g} times the variance of a mean of {few} independent draws",
               f"{means:.2g} times", hint=AGAIN)  # fmt: skip
    scores = as_normal_scores((white - centre).square().sum((1, 2)), (few - 1) * dims)
    low, high = variance_bounds(calls + 1, ALPHA)
    spread = float(scores.square().mean())
    expect(low <= spread <= high, f"the {few} draws of one call are not independent: how far they lie from their own "
               "mean, in all, is not chance", f"{low:.2g} to {high:.2g} times what chance makes of it",
               f"{spread:.2g} times", hint="Draw a handful, note how far it is spread, and do that again and again: "
               "how much should that differ?")  # fmt: skip


def of_covariance(cov: Tensor) -> dict[Reading, Tensor]:
    """The covariances that known misconceptions give to samples of N(mu, cov)."""
    factor = torch.linalg.cholesky(cov)
    return {
        Reading("cov times cov", "Is the matrix that you multiply with the covariance, or a root of it?"): cov @ cov,
        Reading("cov without its correlations", "Do the coordinates of your samples correlate at all?"):
            torch.diag(cov.diagonal()),
        Reading("the squares of the variances, without correlations",
                "Is what you multiply with a variance or a standard deviation, and do your coordinates correlate?"):
            torch.diag(cov.diagonal().square()),
        Reading("the transpose of the factor of cov times the factor",
                "Your factor times its transpose gives cov. Which side of the noise does it belong on?"):
            factor.mT @ factor,
        Reading("that of one noise for all coordinates", "Does every coordinate get noise of its own?"):
            torch.outer(factor.sum(1), factor.sum(1)),
        Reading("cov divided by 12", BELL): cov / 12,
        Reading("cov divided by 3", BELL): cov / 3,
        Reading("the inverse of cov", "Is what you factor the covariance or its inverse?"): torch.linalg.inv(cov),
        Reading("the identity", "Where does cov enter?"): torch.eye(3, dtype=cov.dtype),
    }  # fmt: skip


@declare(
    id="q1.sample.moments", question=1, kind="statistical", points=0.5, visibility="public",
    title="Samples have the mean, variances and correlations asked for",
    asks="sample_gaussian(mu, cov, n) draws n independent vectors of N(mu, cov)",
    hint=FACTOR, needs=(),
)  # fmt: skip
def sample_moments(ctx: Context) -> None:
    # 40 000 draws, whitened with the true mean and covariance: then 3 means, 3 variances, 3 correlations and the shape
    # of the distribution (Kolmogorov-Smirnov) are those of N(0, I). With two of `independent` these are twelve
    # comparisons at 5e-8: false alarms 6e-7 in all.
    spread = torch.diag(ctx.rand(3, low=0.5, high=2.0))
    mu, cov = two_digits(3 * ctx.randn(3)), symmetric(two_digits(spread @ CORRELATIONS @ spread))
    # in which dtype they come back is the business of the check of the generator
    draws = as_tensor(ctx.call(SAMPLE, mu, cov, SAMPLES), (SAMPLES, 3), f"sample_gaussian(mu, cov, {SAMPLES})").double()
    factor = torch.linalg.cholesky(cov)

    def whitened(draws: Tensor) -> Tensor:
        columns: Tensor = torch.linalg.solve_triangular(factor, (draws - mu).mT, upper=False)
        return columns.mT

    differ = float((draws - draws[0]).abs().max()) > 0
    expect(differ, "all samples of one call are the same", f"{SAMPLES} different ones", draws[0], hint=EACH_ITS_OWN)
    white = whitened(draws)
    off = float(white.mean(0).abs().max())
    expect(off <= mean_bound(1.0, SAMPLES, ALPHA), "the mean of the samples is not mu", mu, two_digits(draws.mean(0)),
               hint=SHIFT)  # fmt: skip
    covariance_is(cov, torch.cov(draws.mT), white)
    p = normal_p_value(white)
    furthest, kurtosis = float(white.abs().max()), float(white.pow(4).mean() / white.square().mean() ** 2)
    expect(p >= ALPHA, "mean and covariance of the samples are right, their distribution is not Gaussian",
               "kurtosis 3, and among 120 000 coordinates some beyond 4 standard deviations",
               f"kurtosis {kurtosis:.2f}, none beyond {furthest:.2f} standard deviations", hint=BELL)  # fmt: skip
    handfuls = [as_tensor(ctx.call(SAMPLE, mu, cov, HANDFUL), (HANDFUL, 3), f"sample_gaussian(mu, cov, {HANDFUL})")
                for _ in range(CALLS)]  # fmt: skip
    # calls that all give the same are the business of the check of the generator
    if not all(alike(handful, handfuls[0]) for handful in handfuls):
        independent(ctx, whitened(torch.stack(handfuls).double()))


def covariance_is(cov: Tensor, found: Tensor, white: Tensor) -> None:
    """The covariance of the draws is `cov`: that of the whitened draws is the identity."""
    low, high = variance_bounds(SAMPLES, ALPHA)
    variances = white.var(0)
    right = bool((variances >= low).all() and (variances <= high).all())
    correlations = torch.corrcoef(white.mT)[[0, 0, 1], [1, 2, 2]]
    if right and bool((correlations.abs() <= correlation_bound(SAMPLES, ALPHA)).all()):
        return
    # only chooses among hints: 5 % is many standard errors at this sample size
    wrong = of_covariance(cov)
    close = [reading for reading, matrix in wrong.items() if (found - matrix).abs().max() < 0.05 * matrix.abs().max()]
    words, question = close[0] if len(close) == 1 else Reading("", FACTOR)
    raise Failure("the covariance of the samples is not cov", show(cov), show(two_digits(found)), looks=words,
                  hint=question)  # fmt: skip


@declare(
    id="q1.sample.generator", question=1, kind="property", points=0.25, visibility="hidden",
    title="Samples come from the generator",
    asks="sample_gaussian draws from `generator`: another state, other samples; num_samples rows, in the "
    "dtype of mu and on its device",
    hint="Does the generator you are handed reach the function that draws? Is it still the same one afterwards?",
    needs=(),
)  # fmt: skip
def sample_generator(ctx: Context) -> None:
    mu, cov, seed = two_digits(ctx.randn(3)), symmetric(two_digits(covariance(ctx.seed, 3))), ctx.seed
    first, _, kept = ctx.session.effects(SAMPLE, mu, cov, 2, generator=Gen(seed))
    first = as_tensor(first, (2, 3), "sample_gaussian", dtype=torch.float64)
    same = as_tensor(ctx.call(SAMPLE, mu, cov, 2, generator=Gen(seed)), (2, 3), "sample_gaussian")
    expect(alike(first, same), "two generators in the same state give different samples", first, same, hint=STREAM)
    other = as_tensor(ctx.call(SAMPLE, mu, cov, 2, generator=Gen(seed + 1)), (2, 3), "sample_gaussian")
    expect(not alike(first, other), "a generator with another seed gives the same samples", "other samples", other,
               hint=SEEDED)  # fmt: skip
    other = as_tensor(ctx.call(SAMPLE, mu, cov, 2, generator=kept["generator"]), (2, 3), "sample_gaussian")
    expect(not alike(first, other), "the same generator, used a second time, gives the same samples", "other samples",
               other, hint=USED_UP)  # fmt: skip
    one, two = (as_tensor(ctx.call(SAMPLE, mu, cov, 1), (1, 3), "sample_gaussian(mu, cov, 1)") for _ in range(2))
    expect(not alike(one, two), "two calls without a generator give the same sample", "other samples", two, hint=SEEDED)
    as_tensor(ctx.call(SAMPLE, mu.float(), cov.float(), 4), (4, 3), "sample_gaussian in float32", dtype=torch.float32)
    expect_on_device(ctx, "sample_gaussian", SAMPLE, mu, cov, 2)
