"""Bonus: how good is a generative model, how good are its codes?

Axes: k importance samples, B images, L latent dimensions, N examples, F features, M test examples, C classes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call

from .autoencoders import check_same_shape, mse_loss
from .gaussians import diagonal_log_prob
from .training import device_of, evaluating
from .vae import VAE, reparameterize

CHUNK = 256
"""Test codes that are compared with all training codes at a time."""
PROBE_DECAY = 1e-4


def log_importance_weights(log_px_given_z: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Logarithms of w = p(x given z) p(z) / q(z given x), with p(z) = N(0, I), q = N(mu, diag sigma^2).

    Args:
        log_px_given_z: (k, B), nats.
        z: (k, B, L), draws of q.
        mu, logvar: (B, L).

    Returns:
        (k, B), nats.
    """
    log_prior = diagonal_log_prob(z, torch.zeros_like(mu), torch.zeros_like(logvar))
    return log_px_given_z + log_prior - diagonal_log_prob(z, mu, logvar)


def iwae_bound(log_weights: Tensor) -> Tensor:
    """log (1/k · sum_i w_i), the importance-weighted bound on log p(x) (arXiv:1509.00519, equation 8).

    Stable: the weights themselves may underflow.

    Args:
        log_weights: (k, B).

    Returns:
        (B,), nats.
    """
    return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))


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
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    with evaluating(model):
        x = x.to(device_of(model, x))
        mu, logvar = model.encode(x)
        log_weights = []
        for _ in range(k):
            z = reparameterize(mu, logvar, generator=generator)
            cross_entropy = F.binary_cross_entropy(model.decode(z), x, reduction="none")
            log_px_given_z = -cross_entropy.flatten(1).sum(dim=1)
            log_weights.append(log_importance_weights(log_px_given_z[None], z[None], mu, logvar))
        return iwae_bound(torch.cat(log_weights))


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
    # Woodbury's identity, in double precision: only an (L, L) matrix is factored, and the Mahalanobis distance is a
    # sum of two squares, |x - mean - W z|^2 / noise_var + |z|^2 at the best z, in which nothing cancels.
    variance = torch.as_tensor(noise_var, dtype=torch.float64, device=x.device)
    if not (variance > 0).all():
        raise ValueError(f"noise_var must be positive, got {noise_var}")
    loadings = weight.double()
    dimensions, latents = loadings.shape
    centred = x.double() - mean.double()
    inner = torch.eye(latents, dtype=torch.float64, device=x.device) + loadings.mT @ loadings / variance
    factor = torch.linalg.cholesky(inner)
    z = torch.cholesky_solve((centred @ loadings / variance).mT, factor).mT
    residual = centred - z @ loadings.mT
    distance = residual.square().sum(dim=1) / variance + z.square().sum(dim=1)
    log_det = dimensions * variance.log() + 2 * factor.diagonal().log().sum()
    return (-0.5 * (dimensions * math.log(2 * math.pi) + log_det + distance)).to(x.dtype)


def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    """Number of latent dimensions that depend on the data (arXiv:1509.00519, section 5.2).

    Dimension i is active if the variance over the data of its posterior mean is above `threshold`.

    Args:
        mu: (N, L), posterior means of N images.
    """
    if len(mu) < 2:
        return 0
    return int((mu.detach().var(dim=0) > threshold).sum())


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
    check_same_shape(x_recon=x_recon, x=x)
    state = {name: weight.detach() for name, weight in feature_net.named_parameters()}
    state |= {name: buffer.clone() for name, buffer in feature_net.named_buffers()}
    features = functional_call(feature_net, state, (x_recon,))
    with torch.no_grad():
        target = functional_call(feature_net, state, (x,))
    return mse_loss(features, target)


def feature_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F), divided by N - 1, of `features` (N, F).

    Raises:
        ValueError: N < 2.
    """
    rows = len(features)
    if rows < 2:
        raise ValueError(f"features must have at least 2 rows, got {rows}")
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.mT @ centred / (rows - 1)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Power of a symmetric positive semi-definite matrix; what has no variance stays so, also if inverted."""
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    floor = values[-1].clamp(min=0) * len(matrix) * torch.finfo(matrix.dtype).eps
    powers = torch.where(values > floor, values.clamp(min=torch.finfo(matrix.dtype).tiny).pow(exponent), 0.0)
    return vectors * powers @ vectors.mT


class _TraceOfRoot(torch.autograd.Function):
    """tr((A B)^(1/2)) of symmetric positive semi-definite matrices, with a gradient also where eigenvalues coincide.

    (A B)^(1/2) has the eigenvalues of (S B S)^(1/2) with S = A^(1/2). The derivative with respect to B is
    1/2 S (S B S)^(-1/2) S, and the other one follows from the symmetry in A and B.
    """

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(first, second)
        # S B S = (S R) (S R)^T with R = B^(1/2): singular values instead of roots of eigenvalues
        return torch.linalg.svdvals(_power(first, 0.5) @ _power(second, 0.5)).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        first, second = ctx.saved_tensors
        root1, root2 = _power(first, 0.5), _power(second, 0.5)
        by_first = root2 @ _power(root2 @ first @ root2, -0.5) @ root2
        by_second = root1 @ _power(root1 @ second @ root1, -0.5) @ root1
        return 0.5 * gradient * by_first, 0.5 * gradient * by_second


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Squared Frechet distance between two Gaussians (Dowson and Landau 1982; arXiv:1706.08500).

    ‖mean1 - mean2‖^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)); never NaN, also for singular covariances.

    Args:
        mean1, mean2: (F,).
        cov1, cov2: (F, F), symmetric positive semi-definite.

    Returns:
        Scalar tensor ().
    """
    first, second = ((cov.double() + cov.double().mT) / 2 for cov in (cov1, cov2))
    between = (mean1.double() - mean2.double()).square().sum()
    within = first.diagonal().sum() + second.diagonal().sum() - 2 * _TraceOfRoot.apply(first, second)
    return (between + within).clamp(min=0).to(mean1.dtype)


def linear_probe(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:
    """Predictions of a linear classifier trained on codes; tells how linearly separable the classes are.

    Args:
        train_codes: (N, L).
        train_labels: (N,) int64.
        test_codes: (M, L).

    Returns:
        (M,) int64, values out of `train_labels`.
    """
    classes, targets = torch.unique(train_labels, return_inverse=True)
    codes = train_codes.detach().double()
    mean, spread = codes.mean(dim=0), codes.std(dim=0, correction=0)
    spread = torch.where(spread > 0, spread, 1.0)
    codes = (codes - mean) / spread
    weight = codes.new_zeros(codes.shape[1], len(classes)).requires_grad_()
    bias = codes.new_zeros(len(classes)).requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(codes @ weight + bias, targets) + 0.5 * PROBE_DECAY * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    with torch.no_grad():
        logits = (test_codes.detach().double() - mean) / spread @ weight + bias
        return classes[logits.argmax(dim=1)]


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
    if not 1 <= k <= len(train_codes):
        raise ValueError(f"k must be in 1...{len(train_codes)}, got {k}")
    classes = torch.unique(train_labels)  # ascending
    known = train_codes.detach().double()
    predictions = [train_labels[:0]]
    for chunk in test_codes.detach().double().split(CHUNK):
        distances = torch.cdist(chunk, known, compute_mode="donot_use_mm_for_euclid_dist")
        neighbours = train_labels[distances.sort(dim=1, stable=True).indices[:, :k]]
        votes = torch.stack([(neighbours == label).sum(dim=1) for label in classes], dim=1)
        predictions.append(classes[votes.argmax(dim=1)])  # the first of equals
    return torch.cat(predictions)
