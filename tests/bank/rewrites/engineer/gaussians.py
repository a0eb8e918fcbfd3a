"""Questions 1 and 2: discrete and Gaussian densities, and the KL divergence between Gaussians.

Everything is in nats. `logvar` is log sigma^2 everywhere: never sigma, never log sigma.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor


LOG_2_PI = math.log(2 * math.pi)
PMF_TOLERANCE = 5e-3
"""A sum of probabilities may be off by so much: rounding is no error, one percent is."""


def _check_pmf(name: str, probs: Tensor, total: Tensor) -> None:
    """Friendly errors for what is no probability mass function; `total` are the sums that should be 1."""
    if not (probs >= 0).all():
        bad = probs[~(probs >= 0)][0].item()
        raise ValueError(f"{name} must not be negative, got an entry {bad}")
    off = ~((total - 1).abs() <= PMF_TOLERANCE)
    if off.any():
        raise ValueError(f"{name} must sum to 1, got a sum of {total[off].flatten()[0].item()}")


def _checked_cholesky(cov: Tensor) -> Tensor:
    """The lower factor L with L L^T = `cov`, or a ValueError.

    Both tolerances are relative to the variances, so that the units of the dimensions do not matter: asymmetry is
    compared with sigma_i sigma_j, and what is left of a variance given the dimensions before it with that variance.
    """
    message = f"cov must be symmetric positive definite, got {cov.detach()}"
    if cov.ndim != 2 or cov.shape[0] != cov.shape[1]:
        raise ValueError(message)
    epsilon = torch.finfo(cov.dtype).eps
    with torch.no_grad():
        variances = cov.diagonal()
        if not ((variances > 0) & variances.isfinite()).all():
            raise ValueError(message)
        sigma = variances.sqrt()
        asymmetry = (cov - cov.mT).abs() / sigma / sigma.unsqueeze(-1)
        if not (asymmetry <= math.sqrt(epsilon)).all():
            raise ValueError(message)
    factor, info = torch.linalg.cholesky_ex(cov)
    with torch.no_grad():
        if info.item() != 0 or not (factor.diagonal().square() > 10 * epsilon * variances).all():
            raise ValueError(message)
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
    _check_pmf("probs", probs, probs.sum(dim=-1))
    return (values * probs).sum(dim=-1)


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
    return ((values - mean.unsqueeze(-1)).square() * probs).sum(dim=-1)


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
    return -0.5 * (LOG_2_PI + logvar + standardised.square())


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
    return univariate_log_prob(x, mu, logvar).sum(dim=-1)


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
    factor = _checked_cholesky(cov)
    # Columns of L^-1 (x - mu): their squared lengths are the Mahalanobis distances.
    whitened = torch.linalg.solve_triangular(factor, (x - mu).mT, upper=False)
    log_det = 2 * factor.diagonal().log().sum()
    return -0.5 * (mu.shape[-1] * LOG_2_PI + log_det + whitened.square().sum(dim=0))


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
    num_classes = len(mu_table)
    outside = (y < 0) | (y >= num_classes)
    if outside.any():
        raise ValueError(f"y must be in 0...{num_classes - 1}, got {y[outside][0].item()}")
    result = torch.zeros(x.shape[:1], dtype=x.dtype, device=x.device)
    for label, (mu, logvar) in enumerate(zip(mu_table, logvar_table, strict=True)):
        (rows,) = torch.nonzero(y == label, as_tuple=True)
        result = result.index_put((rows,), diagonal_log_prob(x[rows], mu, logvar))
    return result


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
    _check_pmf("joint", joint, joint.sum())
    marginals = [joint]
    while marginals[0].ndim > 1:
        marginals.insert(0, marginals[0].sum(dim=-1))
    factors = marginals[:1]
    for condition, both in pairwise(marginals):
        condition = condition.unsqueeze(-1)
        possible = condition > 0
        factors.append(torch.where(possible, both / torch.where(possible, condition, 1.0), 0.0))
    return [factor.clone() for factor in factors]


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
    factor = _checked_cholesky(cov)
    eps = torch.randn(num_samples, len(mu), generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + eps @ factor.mT


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
    # expm1 keeps the digits of sigma^2 - 1 where sigma is near 1
    return 0.5 * (mu.square() + torch.expm1(logvar) - logvar).sum(dim=-1)


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
    return 0.5 * (torch.expm1(log_ratio) - log_ratio + shift.square())


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
    return kl_univariate(mu_p, logvar_p, mu_q, logvar_q).sum(dim=-1)


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
    factor = _checked_cholesky(cov)
    log_det = 2 * factor.diagonal().log().sum()
    return 0.5 * (cov.diagonal().sum() + mu.square().sum() - len(mu) - log_det)
