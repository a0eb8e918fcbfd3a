"""Bounds for statistical checks: how far a statistic of a correct sample may stray with a stated false-alarm chance."""

from __future__ import annotations

import math

from scipy import stats

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
