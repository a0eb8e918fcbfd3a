"""The rubric's own oracles against libraries that are too slow to load in every run of the grader."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from sklearn.decomposition import PCA
from torch.distributions import MultivariateNormal, kl_divergence

from grader.check import statistics as own
from grader.check.cases import covariance, random
from grader.rubric.q03.pca import Reference, cloud
from grader.rubric.shared.gaussians import full_kl_to_standard, full_log_prob


@pytest.mark.parametrize("tail", [0.3, 1e-3, 5e-8])
def test_quantiles_are_scipys(tail: float) -> None:
    assert own.normal_quantile(tail) == pytest.approx(stats.norm.isf(tail), rel=1e-12)
    for n in (3, 40, 5000):
        low, high = own.variance_bounds(n, 2 * tail)
        assert low == pytest.approx(stats.chi2.ppf(tail, n - 1) / (n - 1), rel=1e-9)
        assert high == pytest.approx(stats.chi2.isf(tail, n - 1) / (n - 1), rel=1e-9)
        for p in (0.02, 0.5, 0.9):
            assert own.count_bounds(n, p, 2 * tail) == (stats.binom.ppf(tail, n, p), stats.binom.isf(tail, n, p))


def test_a_bell_curve_is_told_from_others_as_scipy_does() -> None:
    for sample in (random(1, 3000), 1.1 * random(2, 3000), 3 * random(3, 3000, low=-0.6, high=0.6)):
        assert own.normal_p_value(sample) == pytest.approx(stats.kstest(sample.numpy(), "norm").pvalue, rel=0.05)
    squares = random(4, 50, 7).square().sum(1)
    scores = stats.norm.ppf(stats.chi2.cdf(squares.numpy(), 7))
    torch.testing.assert_close(own.as_normal_scores(squares, 7), torch.from_numpy(scores))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_gaussians_with_a_full_covariance_are_those_of_torch(size: int) -> None:
    mu, cov, x = random(5, size), covariance(6, size), random(7, 4, size)
    dense = MultivariateNormal(mu, cov)
    torch.testing.assert_close(full_log_prob(x, mu, cov), dense.log_prob(x))  # type: ignore[no-untyped-call]
    standard = MultivariateNormal(torch.zeros_like(mu), torch.eye(size).to(cov))
    torch.testing.assert_close(full_kl_to_standard(mu, cov), kl_divergence(dense, standard))


def test_pca_is_scikit_learns() -> None:
    x = cloud(8, 40, 6)
    found, fitted = Reference(x, 3), PCA(3).fit(x.numpy())  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found.mean, torch.from_numpy(fitted.mean_))
    torch.testing.assert_close(found.variance, torch.from_numpy(fitted.explained_variance_))
    torch.testing.assert_close(found.ratio, torch.from_numpy(fitted.explained_variance_ratio_))
    again = torch.from_numpy(fitted.inverse_transform(fitted.transform(x.numpy())))
    torch.testing.assert_close(found.reconstruct(x), again)
