"""Questions 1 and 2: discrete and Gaussian densities, and the KL divergence between Gaussians.

Everything is in nats. `logvar` is log sigma^2 everywhere: never sigma, never log sigma.
"""

from __future__ import annotations

import math
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import MultivariateNormal

LOG_2PI = math.log(2 * math.pi)


def _check_pmf(p: Tensor, total: Tensor, name: str) -> None:
    """Probabilities `p` with sums `total` form probability mass functions, up to rounding."""
    if (p < 0).any():
        raise ValueError(f"{name} must not be negative, got {p.min().item()}")
    wrong = ~((total - 1).abs() <= 1e-5)  # catches NaN as well
    if wrong.any():
        raise ValueError(f"{name} must sum to 1, got the sum {total[wrong][0].item()}")


def _conditional(joint: Tensor, condition: Tensor) -> Tensor:
    """p(a, b) / p(a), and 0 where p(a) = 0."""
    return joint / torch.where(condition > 0, condition, 1).unsqueeze(-1)


def _cholesky(cov: Tensor) -> Tensor:
    """Lower-triangular factor of a covariance matrix; refuses what is not symmetric positive definite."""
    if cov.ndim != 2 or cov.shape[0] != cov.shape[1]:
        raise ValueError(f"cov must be a square matrix, got the shape {tuple(cov.shape)}")
    # written so that NaN fails too
    if not ((cov - cov.mT).abs() <= 1e-5 * cov.abs().max()).all():
        raise ValueError(f"cov must be symmetric, got {cov}")
    factor, info = torch.linalg.cholesky_ex(cov)
    # A pivot is the variance left of x_i, given those before it: rounding noise if the matrix is singular.
    noise = 4 * torch.finfo(cov.dtype).eps * cov.diagonal()
    if info.item() or not (factor.diagonal().square() > noise).all():
        raise ValueError(f"cov must be positive definite, got {cov}")
    return factor


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
    _check_pmf(probs, probs.sum(-1), "probs")
    dtype = torch.promote_types(values.dtype, probs.dtype)
    return torch.einsum("...k,k->...", probs.to(dtype), values.to(dtype))


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
    mean = pmf_expectation(values, probs)
    deviation = values - mean.unsqueeze(-1)
    return torch.einsum("...k,...k,...k->...", probs.to(mean.dtype), deviation, deviation)


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
    standardised = (x - mu) * torch.exp(-0.5 * logvar)
    return -0.5 * (standardised.square() + logvar + LOG_2PI)


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
    return univariate_log_prob(x, mu, logvar).sum(-1)


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
    return MultivariateNormal(mu, scale_tril=_cholesky(cov), validate_args=False).log_prob(x)


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
    outside = (y < 0) | (y >= len(mu_table))
    if outside.any():
        raise ValueError(f"y must be in 0...{len(mu_table) - 1}, got {y[outside][0].item()}")
    return diagonal_log_prob(x, F.embedding(y, mu_table), F.embedding(y, logvar_table))


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
    _check_pmf(joint, joint.sum(), "joint")
    # p(x_1, ..., x_n), p(x_1, ..., x_n-1), ..., p(x_1), each by summing the last variable out
    marginals = list(accumulate(range(joint.ndim - 1), lambda p, _: p.sum(-1), initial=joint))[::-1]
    return [marginals[0], *(_conditional(whole, part) for part, whole in pairwise(marginals))]


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
    factor = _cholesky(cov)
    eps = torch.randn(num_samples, len(mu), generator=generator, dtype=cov.dtype, device=cov.device)
    return mu + torch.einsum("ij,nj->ni", factor, eps)


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
    return 0.5 * (mu.square() + (torch.expm1(logvar) - logvar)).sum(-1)


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
    log_ratio = logvar_p - logvar_q
    shift = (mu_p - mu_q) * torch.exp(-0.5 * logvar_q)
    return 0.5 * (shift.square() + (torch.expm1(log_ratio) - log_ratio))


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
    return kl_univariate(mu_p, logvar_p, mu_q, logvar_q).sum(-1)


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
    p = MultivariateNormal(mu, scale_tril=_cholesky(cov), validate_args=False)
    identity = torch.eye(len(mu), dtype=cov.dtype, device=cov.device)
    q = MultivariateNormal(torch.zeros_like(mu), scale_tril=identity, validate_args=False)
    return torch.distributions.kl_divergence(p, q)
