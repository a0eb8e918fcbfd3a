"""Questions 1 and 2: discrete and Gaussian densities, and the KL divergence between Gaussians.

Everything is in nats. `logvar` is log sigma^2 everywhere: never sigma, never log sigma.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

# begin private
_LOG_2PI = math.log(2 * math.pi)
_PMF_TOLERANCE = 1e-5  # rounding of a float32 sum over some thousand entries
_SYMMETRY_TOLERANCE = 1e-5  # relative to the largest entry; a float32 estimate of a covariance stays far below it


def _check_pmf(name: str, probs: Tensor, total: Tensor) -> None:
    """Raise unless `probs` is non-negative and sums to 1 (`total`); phrased so that NaN fails as well."""
    if not (probs >= 0).all():
        raise ValueError(f"{name} must be non-negative, got {probs}")
    if not ((total - 1).abs() <= _PMF_TOLERANCE).all():
        raise ValueError(f"{name} must sum to 1, got the sum {total} for {probs}")


def _cholesky(cov: Tensor) -> Tensor:
    """The lower triangular L with L L^T = cov; raises unless `cov` is symmetric positive definite."""
    if cov.ndim != 2 or cov.shape[0] != cov.shape[1]:
        raise ValueError(f"cov must be a square matrix, got shape {tuple(cov.shape)}")
    if not (cov - cov.mT).abs().max() <= _SYMMETRY_TOLERANCE * cov.abs().max():
        raise ValueError(f"cov must be symmetric, got {cov}")
    # Factor the symmetric part: LAPACK reads one triangle only, and gradients should reach both.
    factor: Tensor
    factor, info = torch.linalg.cholesky_ex((cov + cov.mT) / 2)
    if info.item() != 0:
        raise ValueError(f"cov must be positive definite, got {cov}")
    return factor


def _log_det(factor: Tensor) -> Tensor:
    """log det(L L^T) = 2 sum_i log L_ii."""
    return 2 * factor.diagonal().log().sum()


# end private


def pmf_expectation(values: Tensor, probs: Tensor) -> Tensor:
    """Expectation of a discrete random variable, E[X] = sum_k x_k p_k.

    Args:
        values: `(K,)`, the values x_k that X can take.
        probs: `(..., K)`, one probability mass function p along the last axis.

    Returns:
        `(...)`, one expectation per probability mass function.

    Raises:
        ValueError: `probs` has a negative entry or does not sum to 1 along the last axis.
    """
    # begin solution Q1
    _check_pmf("probs", probs, probs.sum(-1))
    return (probs * values).sum(-1)
    # end solution


def pmf_variance(values: Tensor, probs: Tensor) -> Tensor:
    """Variance of a discrete random variable, Var[X] = E[(X - E[X])^2]; never negative, also after rounding.

    Args:
        values: `(K,)`, the values x_k that X can take.
        probs: `(..., K)`, one probability mass function along the last axis.

    Returns:
        `(...)`, in the squared unit of `values`.

    Raises:
        ValueError: `probs` has a negative entry or does not sum to 1 along the last axis.
    """
    # begin solution Q1
    # Not E[X^2] - E[X]^2: that difference cancels, and can come out below zero.
    deviation = values - pmf_expectation(values, probs).unsqueeze(-1)
    return (probs * deviation.square()).sum(-1)
    # end solution


def univariate_log_prob(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Log-density of a univariate Gaussian, element by element, in nats.

    log N(x; mu, sigma^2) = -1/2 (log 2 pi + log sigma^2 + (x - mu)^2 / sigma^2)

    Args:
        x: `(B,)`, the points; `x`, `mu` and `logvar` broadcast against each other.
        mu: `(B,)`, the means.
        logvar: `(B,)`, log sigma^2.

    Returns:
        `(B,)`, the broadcast shape; nothing is summed.
    """
    # begin solution Q1
    standardized = (x - mu) * torch.exp(-logvar / 2)
    return -0.5 * (_LOG_2PI + logvar + standardized.square())
    # end solution


def diagonal_log_prob(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Log-density of a Gaussian with a diagonal covariance, in nats.

    The D dimensions are independent, so that log N(x; mu, diag sigma^2) = sum_i log N(x_i; mu_i, sigma_i^2).
    Stay in logs throughout: the density itself underflows for D = 784.

    Args:
        x: `(B, D)`, the points.
        mu: `(B, D)` or `(D,)`, the means.
        logvar: `(B, D)` or `(D,)`, log sigma^2.

    Returns:
        `(B,)`, summed over the D dimensions.
    """
    # begin solution Q1
    return univariate_log_prob(x, mu, logvar).sum(-1)
    # end solution


def full_covariance_log_prob(x: Tensor, mu: Tensor, cov: Tensor) -> Tensor:
    """Log-density of a Gaussian with a full covariance matrix, in nats.

    log N(x; mu, S) = -1/2 (D log 2 pi + log det S + (x - mu)^T S^-1 (x - mu))

    Args:
        x: `(B, D)`, the points.
        mu: `(D,)`, the mean.
        cov: `(D, D)`, the covariance matrix S.

    Returns:
        `(B,)`.

    Raises:
        ValueError: `cov` is not symmetric positive definite.
    """
    # begin solution Q1
    factor = _cholesky(cov)
    # (x - mu)^T S^-1 (x - mu) = |L^-1 (x - mu)|^2 with S = L L^T; axes: (B, D) -> (D, B)
    whitened: Tensor = torch.linalg.solve_triangular(factor, (x - mu).mT, upper=False)
    return -0.5 * (len(cov) * _LOG_2PI + _log_det(factor) + whitened.square().sum(0))
    # end solution


def conditional_log_prob(x: Tensor, y: Tensor, mu_table: Tensor, logvar_table: Tensor) -> Tensor:
    """Log-density of a Gaussian whose mean and variance depend on a class, log N(x; mu(y), diag sigma^2(y)), in nats.

    Args:
        x: `(B, D)`, the points.
        y: `(B,)`, int64, the class of each point, in 0...C-1.
        mu_table: `(C, D)`, row c holds mu(c).
        logvar_table: `(C, D)`, row c holds log sigma^2(c).

    Returns:
        `(B,)`, summed over the D dimensions.

    Raises:
        ValueError: a `y` is outside 0...C-1 (negative indices do not count from the end).
    """
    # begin solution Q1
    num_classes = len(mu_table)
    outside = y[(y < 0) | (y >= num_classes)]
    if len(outside):
        raise ValueError(f"y must be in 0...{num_classes - 1}, got {outside.tolist()}")
    return diagonal_log_prob(x, mu_table[y], logvar_table[y])
    # end solution


def chain_rule(joint: Tensor) -> list[Tensor]:
    """Factor a discrete joint distribution, p(x_1, ..., x_n) = p(x_1) p(x_2 | x_1) ... p(x_n | x_1, ..., x_n-1).

    Args:
        joint: `(K_1, ..., K_n)`, a probability mass function; axis i belongs to variable i.

    Returns:
        n tensors: entry i (i = 0, ..., n-1) has shape `(K_1, ..., K_i+1)` and holds p(x_i+1 | x_1, ..., x_i),
        which is 0 where the condition x_1, ..., x_i has probability 0.

    Raises:
        ValueError: `joint` has a negative entry or does not sum to 1.
    """
    # begin solution Q1
    _check_pmf("joint", joint, joint.sum())
    marginals = [joint]
    while marginals[0].ndim > 0:
        marginals.insert(0, marginals[0].sum(-1))  # p(x_1, ..., x_i) out of p(x_1, ..., x_i+1)
    # Where a condition has probability 0 the numerator is 0, too: dividing by 1 gives 0, and no NaN in gradients.
    return [
        marginal / torch.where(condition > 0, condition, 1).unsqueeze(-1) for condition, marginal in pairwise(marginals)
    ]
    # end solution


def sample_gaussian(mu: Tensor, cov: Tensor, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
    """Independent draws of N(mu, S).

    If eps ~ N(0, I) and A A^T = S, then mu + A eps ~ N(mu, S).

    Args:
        mu: `(D,)`, the mean.
        cov: `(D, D)`, the covariance matrix S.
        num_samples: how many draws.
        generator: source of randomness, on the device of `mu`; PyTorch's global one if None.

    Returns:
        `(num_samples, D)`, one draw per row.

    Raises:
        ValueError: `cov` is not symmetric positive definite.
    """
    # begin solution Q1
    factor = _cholesky(cov)
    eps = torch.randn(num_samples, len(mu), generator=generator, device=mu.device, dtype=mu.dtype)
    return mu + eps @ factor.mT
    # end solution


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL divergence of a diagonal Gaussian from the standard normal, KL(N(mu, diag sigma^2) || N(0, I)), in nats.

    1/2 sum_i (mu_i^2 + sigma_i^2 - log sigma_i^2 - 1)

    Source: Kingma and Welling, arXiv:1312.6114, appendix B.

    Args:
        mu: `(B, L)`, the means.
        logvar: `(B, L)`, log sigma^2.

    Returns:
        `(B,)`, summed over the L latent dimensions, not averaged over the batch.
    """
    # begin solution Q2
    return kl_diagonal(mu, logvar, torch.zeros_like(mu), torch.zeros_like(logvar))
    # end solution


def kl_univariate(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> Tensor:
    """KL divergence between univariate Gaussians, element by element, in nats.

    KL(p || q) = log(sigma_q / sigma_p) + (sigma_p^2 + (mu_p - mu_q)^2) / (2 sigma_q^2) - 1/2

    Args:
        mu_p: `(B,)`, means of p.
        logvar_p: `(B,)`, log sigma_p^2.
        mu_q: `(B,)`, means of q.
        logvar_q: `(B,)`, log sigma_q^2.

    Returns:
        `(B,)`; nothing is summed. Not symmetric: KL(p || q) differs from KL(q || p).
    """
    # begin solution Q2
    log_ratio = logvar_p - logvar_q
    standardized = (mu_p - mu_q) * torch.exp(-logvar_q / 2)
    # expm1(r) - r, because exp(r) - 1 - r loses its digits, and can fall below 0, where p is close to q
    return 0.5 * (torch.expm1(log_ratio) - log_ratio + standardized.square())
    # end solution


def kl_diagonal(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> Tensor:
    """KL divergence between Gaussians with diagonal covariances, KL(p || q), in nats.

    The dimensions are independent under p and under q, so that their divergences add up.

    Args:
        mu_p: `(B, D)`, means of p.
        logvar_p: `(B, D)`, log sigma_p^2.
        mu_q: `(B, D)`, means of q.
        logvar_q: `(B, D)`, log sigma_q^2.

    Returns:
        `(B,)`, summed over the D dimensions.
    """
    # begin solution Q2
    return kl_univariate(mu_p, logvar_p, mu_q, logvar_q).sum(-1)
    # end solution


def kl_full_covariance(mu: Tensor, cov: Tensor) -> Tensor:
    """KL divergence of a Gaussian with a full covariance matrix from the standard normal, in nats.

    KL(N(mu, S) || N(0, I)) = 1/2 (tr S + mu^T mu - D - log det S)

    Args:
        mu: `(D,)`, the mean.
        cov: `(D, D)`, the covariance matrix S.

    Returns:
        `()`.

    Raises:
        ValueError: `cov` is not symmetric positive definite.
    """
    # begin solution Q2
    return 0.5 * (cov.trace() + mu @ mu - len(mu) - _log_det(_cholesky(cov)))
    # end solution
