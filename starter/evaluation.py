"""Bonus: how good is a generative model, how good are its codes?

Axes: k importance samples, B images, L latent dimensions, N examples, F features, M test examples, C classes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from .autoencoders import mse_loss
from .gaussians import diagonal_log_prob, full_covariance_log_prob
from .vae import VAE, reparameterize


def log_importance_weights(log_px_given_z: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Logarithms of w = p(x given z) p(z) / q(z given x), with p(z) = N(0, I), q = N(mu, diag sigma^2).

    Args:
        log_px_given_z: (k, B), nats.
        z: (k, B, L), draws of q.
        mu, logvar: (B, L).

    Returns:
        (k, B), nats.
    """
    raise NotImplementedError("Bonus: log_importance_weights")


def iwae_bound(log_weights: Tensor) -> Tensor:
    """log (1/k · sum_i w_i), the importance-weighted bound on log p(x) (arXiv:1509.00519, equation 8).

    Stable: the weights themselves may underflow.

    Args:
        log_weights: (k, B).

    Returns:
        (B,), nats.
    """
    raise NotImplementedError("Bonus: iwae_bound")


def iwae(model: VAE, x: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
    """The bound of `iwae_bound` for images, with k draws of z for each and a Bernoulli likelihood.

    Eval mode, no gradients; afterwards the model has the mode it had before.

    Args:
        x: images (B, 1, s, s) in [0, 1].
        k: importance samples.
        generator: source of the draws.

    Returns:
        (B,), nats.

    Raises:
        ValueError: k < 1.
    """
    raise NotImplementedError("Bonus: iwae")


def ppca_log_likelihood(x: Tensor, weight: Tensor, mean: Tensor, noise_var: float | Tensor) -> Tensor:
    """Exact log-likelihood of probabilistic PCA, a linear-Gaussian VAE (Tipping and Bishop 1999).

    z ~ N(0, I), x given z ~ N(W z + mean, noise_var · I), hence x ~ N(mean, W W^T + noise_var · I): no bound of
    such a model may exceed it.

    Args:
        x: (B, D).
        weight: W, (D, L).
        mean: (D,).
        noise_var: the variance of the noise, positive.

    Returns:
        (B,), nats.

    Raises:
        ValueError: noise_var <= 0.
    """
    raise NotImplementedError("Bonus: ppca_log_likelihood")


def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    """Number of latent dimensions that depend on the data (arXiv:1509.00519, section 5.2).

    Dimension i is active if the variance over the data of its posterior mean is above `threshold`.

    Args:
        mu: (N, L), posterior means of N images.
    """
    raise NotImplementedError("Bonus: active_units")


def perceptual_loss(feature_net: nn.Module, x_recon: Tensor, x: Tensor) -> Tensor:
    """Squared error between features (arXiv:1603.08155): summed over features, averaged over the batch.

    Gradients reach `x_recon`, but neither the target `x` nor the parameters of `feature_net`.

    Args:
        feature_net: maps (B, 1, s, s) to features (B, ...).
        x_recon, x: (B, 1, s, s).

    Returns:
        Scalar tensor ().

    Raises:
        ValueError: `x_recon` and `x` differ in shape.
    """
    raise NotImplementedError("Bonus: perceptual_loss")


def feature_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F), divided by N - 1, of `features` (N, F).

    Raises:
        ValueError: N < 2.
    """
    raise NotImplementedError("Bonus: feature_statistics")


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Squared Frechet distance between two Gaussians (Dowson and Landau 1982; arXiv:1706.08500).

    ‖mean1 - mean2‖^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)); never NaN, also for singular covariances.

    Args:
        mean1, mean2: (F,).
        cov1, cov2: (F, F), symmetric positive semi-definite.

    Returns:
        Scalar tensor ().
    """
    raise NotImplementedError("Bonus: frechet_distance")


def linear_probe(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:
    """Predictions of a linear classifier trained on codes; tells how linearly separable the classes are.

    Args:
        train_codes: (N, L).
        train_labels: (N,) int64.
        test_codes: (M, L).

    Returns:
        (M,) int64, values out of `train_labels`.
    """
    raise NotImplementedError("Bonus: linear_probe")


def knn_predict(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor, k: int = 5) -> Tensor:
    """The majority label among the k nearest training codes in Euclidean distance; the smaller label on a tie.

    Args:
        train_codes: (N, L).
        train_labels: (N,) int64.
        test_codes: (M, L).
        k: neighbours, 1 ... N.

    Returns:
        (M,) int64.

    Raises:
        ValueError: `k` outside 1 ... N.
    """
    raise NotImplementedError("Bonus: knn_predict")
