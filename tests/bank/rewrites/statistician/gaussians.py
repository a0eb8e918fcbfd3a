"""Questions 1 and 2: discrete and Gaussian densities, and the KL divergence between Gaussians.

Everything is in nats. `logvar` is log sigma^2 everywhere: never sigma, never log sigma.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

PMF_TOLERANCE = 2e-3
"""How far the sum of a probability mass function may be from 1: rounding, but not a percent."""


def _check_pmf(name: str, probs: Tensor) -> None:
    """Raise ValueError unless `probs` is a probability mass function along its last axis."""
    p = probs.detach().double()
    if (p < 0).any():
        raise ValueError(f"{name} must not be negative, got {p.min().item()}")
    error = (p.sum(-1) - 1).abs()
    if not (error <= PMF_TOLERANCE).all():  # so written, NaN is an error too
        raise ValueError(f"{name} must sum to 1, got {p.sum(-1)}")


def _cholesky(name: str, cov: Tensor) -> Tensor:
    """Lower Cholesky factor of `cov`; ValueError unless it is symmetric positive definite.

    Both tests are relative to the standard deviations, so that the units of the variables do not matter.
    """
    message = f"{name} must be symmetric positive definite, got {cov}"
    if cov.ndim != 2 or cov.shape[0] != cov.shape[1] or not torch.isfinite(cov).all():
        raise ValueError(message)
    eps = torch.finfo(cov.dtype).eps
    variances = cov.detach().diagonal()
    scale = variances.clamp(min=0).sqrt()
    if ((cov - cov.mT).detach().abs() > max(eps**0.5, 1e-5) * torch.outer(scale, scale)).any():
        raise ValueError(message)
    factor, info = torch.linalg.cholesky_ex(cov)
    # The squared pivot is the variance given the variables before it: rounding alone can make it barely positive.
    if info.item() != 0 or (factor.detach().diagonal().square() <= 8 * eps * variances).any():
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
    _check_pmf("probs", probs)
    dtype = torch.result_type(values, probs)
    return torch.einsum("k,...k->...", values.to(dtype), probs.to(dtype))


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
    _check_pmf("probs", probs)
    # The variance does not depend on the origin; a near one saves the digits of values that lie far from 0.
    centred = values - values.detach().to(probs.dtype).mean()
    deviations = centred - pmf_expectation(centred, probs).unsqueeze(-1)
    return (probs * deviations.square()).sum(-1)


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
    # Standardise first: sigma^2 itself may underflow where sigma does not.
    standardised = (x - mu) * torch.exp(-0.5 * logvar)
    standard = Normal(standardised.new_zeros(()), standardised.new_ones(()), validate_args=False)
    return standard.log_prob(standardised) - 0.5 * logvar


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
    return MultivariateNormal(mu, scale_tril=_cholesky("cov", cov), validate_args=False).log_prob(x)


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
        raise ValueError(f"y must lie in 0...{len(mu_table) - 1}, got {y[outside].tolist()}")
    return diagonal_log_prob(x, mu_table[y], logvar_table[y])


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
    _check_pmf("joint", joint.flatten())
    factors = []
    for i in range(joint.ndim):
        # p(x_1, ..., x_i+1), and the same with the last variable summed out
        marginal = joint.flatten(i + 1).sum(-1) if i + 1 < joint.ndim else joint.clone()
        if i == 0:
            factors.append(marginal)
            continue
        condition = marginal.sum(-1, keepdim=True)
        possible = condition > 0
        factors.append(torch.where(possible, marginal / condition.where(possible, torch.ones_like(condition)), 0.0))
    return factors


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
    factor = _cholesky("cov", cov)
    eps = torch.randn(num_samples, len(mu), generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + torch.einsum("de,ne->nd", factor, eps)


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
    # expm1(v) - v is exp(v) - v - 1 without its cancellation near v = 0.
    return 0.5 * (mu.square() + torch.expm1(logvar) - logvar).sum(-1)


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
    p = MultivariateNormal(mu, scale_tril=_cholesky("cov", cov), validate_args=False)
    identity = torch.eye(len(mu), dtype=mu.dtype, device=mu.device)
    standard = MultivariateNormal(torch.zeros_like(mu), scale_tril=identity, validate_args=False)
    return torch.distributions.kl_divergence(p, standard)
