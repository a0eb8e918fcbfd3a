"""Questions 1 and 2: discrete and Gaussian densities, and the KL divergence between Gaussians.

Everything is in nats. `logvar` is log sigma^2 everywhere: never sigma, never log sigma.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor


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
    raise NotImplementedError("Question 1: pmf_expectation")


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
    raise NotImplementedError("Question 1: pmf_variance")


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
    raise NotImplementedError("Question 1: univariate_log_prob")


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
    raise NotImplementedError("Question 1: diagonal_log_prob")


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
    raise NotImplementedError("Question 1: full_covariance_log_prob")


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
    raise NotImplementedError("Question 1: conditional_log_prob")


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
    raise NotImplementedError("Question 1: chain_rule")


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
    raise NotImplementedError("Question 1: sample_gaussian")


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
    raise NotImplementedError("Question 2: kl_divergence")


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
    raise NotImplementedError("Question 2: kl_univariate")


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
    raise NotImplementedError("Question 2: kl_diagonal")


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
    raise NotImplementedError("Question 2: kl_full_covariance")
