"""Bounds for statistical checks: how far a statistic of a correct sample may stray with a stated false-alarm chance."""

from __future__ import annotations

import math

from scipy import stats
from torch import Tensor

FALSE_ALARM = 1e-7  # per two-sided comparison; a check makes at most ten, so that it stays at or below 1e-6


def mean_bound(sd: float, n: int, alpha: float = FALSE_ALARM) -> float:
    """Largest |sample mean - mean| of n independent draws with standard deviation `sd` (normal approximation)."""
    return float(stats.norm.isf(alpha / 2)) * sd / math.sqrt(n)


def variance_bounds(n: int, alpha: float = FALSE_ALARM) -> tuple[float, float]:
    """Smallest and largest ratio of the unbiased sample variance to the variance of n normal draws (chi-square)."""
    return (float(stats.chi2.ppf(alpha / 2, n - 1)) / (n - 1), float(stats.chi2.isf(alpha / 2, n - 1)) / (n - 1))


def correlation_bound(n: int, alpha: float = FALSE_ALARM) -> float:
    """Largest |sample correlation| of n pairs of independent normal draws (Fisher's z)."""
    return math.tanh(float(stats.norm.isf(alpha / 2)) / math.sqrt(n - 3))


def count_bounds(n: int, p: float, alpha: float = FALSE_ALARM) -> tuple[int, int]:
    """Smallest and largest count among n independent events of probability p (exact binomial quantiles)."""
    return int(stats.binom.ppf(alpha / 2, n, p)), int(stats.binom.isf(alpha / 2, n, p))


def widened(
    bounds: tuple[float, float], per_call: Tensor, mean: float, alpha: float = FALSE_ALARM
) -> tuple[float, float]:
    """`bounds` of the mean of `per_call`, or Student's t for their own spread around `mean` where that is wider.

    What the draws of one call share makes the calls' values spread, but moves their expectation not at all: with these
    bounds only a wrong expectation counts, and whether draws are independent is left to the check that asks for it.
    Calls that agree much better than chance allows share their draws: they say no more than one call.
    """
    count, own = len(per_call), float(per_call.std())
    chance = (bounds[1] - bounds[0]) / 2 / float(stats.norm.isf(alpha / 2)) * math.sqrt(count)  # of one call
    slack = float(stats.t.isf(alpha / 2, count - 1)) * own / math.sqrt(count)
    if own < 0.1 * chance:
        slack = float(stats.norm.isf(alpha / 2)) * chance
    return min(bounds[0], mean - slack), max(bounds[1], mean + slack)
