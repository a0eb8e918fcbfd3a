"""Bounds for statistical checks: how far a statistic of a correct sample may stray with a stated false-alarm chance."""

from __future__ import annotations

import math

import torch
from scipy import special  # not scipy.stats: its import takes as long as all statistical checks
from torch import Tensor

FALSE_ALARM = 1e-7  # per two-sided comparison; a check makes at most ten, so that it stays at or below 1e-6


def normal_quantile(tail: float) -> float:
    """What N(0, 1) exceeds with this probability."""
    return -float(special.ndtri(tail))


def count_quantile(probability: float, n: int, p: float) -> int:
    """The smallest count whose binomial distribution function reaches `probability`."""
    found = math.ceil(float(special.bdtrik(probability, n, p)))
    return found - 1 if found > 0 and special.bdtr(found - 1, n, p) >= probability else found


def mean_bound(sd: float, n: int, alpha: float = FALSE_ALARM) -> float:
    """Largest |sample mean - mean| of n independent draws with standard deviation `sd` (normal approximation)."""
    return normal_quantile(alpha / 2) * sd / math.sqrt(n)


def variance_bounds(n: int, alpha: float = FALSE_ALARM) -> tuple[float, float]:
    """Smallest and largest ratio of the unbiased sample variance to the variance of n normal draws (chi-square)."""
    half = (n - 1) / 2
    low, high = special.gammaincinv(half, alpha / 2), special.gammainccinv(half, alpha / 2)
    return float(low) / half, float(high) / half


def correlation_bound(n: int, alpha: float = FALSE_ALARM) -> float:
    """Largest |sample correlation| of n pairs of independent normal draws (Fisher's z)."""
    return math.tanh(normal_quantile(alpha / 2) / math.sqrt(n - 3))


def count_bounds(n: int, p: float, alpha: float = FALSE_ALARM) -> tuple[int, int]:
    """Smallest and largest count among n independent events of probability p (exact binomial quantiles)."""
    return count_quantile(alpha / 2, n, p), count_quantile(1 - alpha / 2, n, p)


def widened(
    bounds: tuple[float, float], per_call: Tensor, mean: float, alpha: float = FALSE_ALARM
) -> tuple[float, float]:
    """`bounds` of the mean of `per_call`, or Student's t for their own spread around `mean` where that is wider.

    What the draws of one call share makes the calls' values spread, but moves their expectation not at all: with these
    bounds only a wrong expectation counts, and whether draws are independent is left to the check that asks for it.
    Calls that agree much better than chance allows share their draws: they say no more than one call.
    """
    count, own = len(per_call), float(per_call.std())
    chance = (bounds[1] - bounds[0]) / 2 / normal_quantile(alpha / 2) * math.sqrt(count)  # of one call
    slack = -float(special.stdtrit(count - 1, alpha / 2)) * own / math.sqrt(count)
    if own < 0.1 * chance:
        slack = normal_quantile(alpha / 2) * chance
    return min(bounds[0], mean - slack), max(bounds[1], mean + slack)


def as_normal_scores(squares: Tensor, degrees: int) -> Tensor:
    """Chi-square numbers of so many degrees of freedom as the N(0, 1) numbers of the same probability."""
    return torch.from_numpy(special.ndtri(special.gammainc(degrees / 2, squares.double().numpy() / 2)))


def normal_p_value(sample: Tensor) -> float:
    """Kolmogorov-Smirnov: how likely independent N(0, 1) draws stray so far (asymptotic: for hundreds of draws)."""
    ordered = sample.double().flatten().sort().values
    count = len(ordered)
    below = torch.special.ndtr(ordered)
    steps = torch.arange(count + 1, dtype=torch.float64) / count
    distance = max(float((steps[1:] - below).max()), float((below - steps[:-1]).max()))
    return float(special.kolmogorov(math.sqrt(count) * distance))
