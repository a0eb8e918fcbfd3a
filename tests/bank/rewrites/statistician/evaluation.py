"""Bonus: how good is a generative model, how good are its codes?

Axes: k importance samples, B images, L latent dimensions, N examples, F features, M test examples, C classes.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.func import functional_call

from .autoencoders import mse_loss
from .gaussians import diagonal_log_prob
from .vae import VAE, reparameterize

DECODED_AT_ONCE = 4096
"""Latents that `iwae` decodes at once."""
KNN_AT_ONCE = 256
"""Test examples whose distances `knn_predict` holds at once."""
PROBE_C = 10.0
"""Inverse strength of the linear probe's regularisation."""


def _array(codes: Tensor) -> Any:
    """NumPy array of codes, in double precision."""
    return codes.detach().double().cpu().numpy()


class _MatrixSqrt(torch.autograd.Function):
    """Symmetric square root of a positive semi-definite matrix.

    The gradient X of S = A^(1/2) solves S X + X S = G. In the eigenbasis it divides by s_i + s_j, never by the
    differences of eigenvalues as a gradient through `eigh` does; where both roots are 0 it is taken as 0.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
        roots = values.clamp(min=0).sqrt()
        ctx.save_for_backward(roots, vectors)
        return (vectors * roots) @ vectors.mT

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        roots, vectors = ctx.saved_tensors
        sums = roots.unsqueeze(0) + roots.unsqueeze(1)
        inside = vectors.mT @ ((gradient + gradient.mT) / 2) @ vectors
        solved = torch.where(sums > 0, inside / torch.where(sums > 0, sums, 1.0), 0.0)
        return vectors @ solved @ vectors.mT


def log_importance_weights(log_px_given_z: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Logarithms of w = p(x given z) p(z) / q(z given x), with p(z) = N(0, I), q = N(mu, diag sigma^2).

    Args:
        log_px_given_z: (k, B), nats.
        z: (k, B, L), draws of q.
        mu, logvar: (B, L).

    Returns:
        (k, B), nats.
    """
    zero = torch.zeros_like(mu)
    return log_px_given_z + diagonal_log_prob(z, zero, zero) - diagonal_log_prob(z, mu, logvar)


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
    twin = copy.deepcopy(model).eval()
    at_once = max(1, DECODED_AT_ONCE // max(1, len(x)))
    log_weights = []
    with torch.no_grad():
        mu, logvar = twin.encode(x)
        for start in range(0, k, at_once):
            n = min(at_once, k - start)
            z = reparameterize(mu.expand(n, -1, -1), logvar.expand(n, -1, -1), generator=generator)
            probs = twin.decode(z.flatten(0, 1)).reshape(n, *x.shape)
            log_px = -F.binary_cross_entropy(probs, x.expand_as(probs), reduction="none").flatten(2).sum(-1)
            log_weights.append(log_importance_weights(log_px, z, mu, logvar))
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
    variance = torch.as_tensor(noise_var, dtype=x.dtype, device=x.device).reshape(())
    if not variance > 0:
        raise ValueError(f"noise_var must be positive, got {noise_var}")
    dims, latents = weight.shape
    # Integrating z out is least squares with rows sigma·I below W (the posterior mode), and with A = (W; sigma·I) = Q R
    #   log det(W W^T + sigma^2 I) = (D - L) log sigma^2 + log det(A^T A)
    #   d^T (W W^T + sigma^2 I)^-1 d = |(d; 0) - Q Q^T (d; 0)|^2 / sigma^2
    # No D x D matrix, nothing that cancels, and no gradient of an eigenvector.
    identity = torch.eye(latents, dtype=weight.dtype, device=weight.device)
    q, r = torch.linalg.qr(torch.cat((weight, variance.sqrt() * identity)))
    deviations = F.pad(x - mean, (0, latents))
    residuals = deviations - torch.einsum("dl,el,be->bd", q, q, deviations)
    log_det = (dims - latents) * variance.log() + 2 * r.diagonal().abs().log().sum()
    return -0.5 * (dims * math.log(2 * math.pi) + log_det + residuals.square().sum(-1) / variance)


def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    """Number of latent dimensions that depend on the data (arXiv:1509.00519, section 5.2).

    Dimension i is active if the variance over the data of its posterior mean is above `threshold`.

    Args:
        mu: (N, L), posterior means of N images.
    """
    return int((mu.var(0, correction=0) > threshold).sum())


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
    if x_recon.shape != x.shape:
        raise ValueError(f"x_recon and x must have the same shape, got {tuple(x_recon.shape)} and {tuple(x.shape)}")
    # Detached weights, and copies of the buffers: looking at features leaves the network as it is.
    constants = {name: parameter.detach() for name, parameter in feature_net.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in feature_net.named_buffers()}
    with torch.no_grad():
        target = functional_call(feature_net, {**constants, **buffers}, (x,))
    return mse_loss(functional_call(feature_net, {**constants, **buffers}, (x_recon,)), target.detach())


def feature_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F), divided by N - 1, of `features` (N, F).

    Raises:
        ValueError: N < 2.
    """
    n, dims = features.shape
    if n < 2:
        raise ValueError(f"features must have at least 2 rows, got {n}")
    return features.mean(0), torch.cov(features.T).reshape(dims, dims)


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Squared Frechet distance between two Gaussians (Dowson and Landau 1982; arXiv:1706.08500).

    ‖mean1 - mean2‖^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)); never NaN, also for singular covariances.

    Args:
        mean1, mean2: (F,).
        cov1, cov2: (F, F), symmetric positive semi-definite.

    Returns:
        Scalar tensor ().
    """
    # With symmetric roots S_i of cov_i, tr (cov1 cov2)^(1/2) is the nuclear norm of S_1 S_2.
    root1, root2 = (_MatrixSqrt.apply(cov.double()) for cov in (cov1, cov2))
    overlap = torch.linalg.svdvals(root1 @ root2).sum()
    traces = cov1.double().trace() + cov2.double().trace()
    distance = (mean1 - mean2).double().square().sum() + traces - 2 * overlap
    return distance.clamp(min=0).to(mean1.dtype)


def linear_probe(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:
    """Predictions of a linear classifier trained on codes; tells how linearly separable the classes are.

    Args:
        train_codes: (N, L).
        train_labels: (N,) int64.
        test_codes: (M, L).

    Returns:
        (M,) int64, values out of `train_labels`.
    """
    x, y = _array(train_codes), train_labels.cpu().numpy()
    if len(np.unique(y)) == 1:
        predictions = np.full(len(test_codes), y[0])
    else:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=PROBE_C, max_iter=2000))
        predictions = probe.fit(x, y).predict(_array(test_codes))
    return torch.as_tensor(predictions, dtype=torch.int64, device=test_codes.device)


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
        raise ValueError(f"k must lie in 1 ... {len(train_codes)}, got {k}")
    classes, numbers = train_labels.unique(return_inverse=True)

    def predict(codes: Tensor) -> Tensor:
        distances = torch.cdist(codes.double(), train_codes.double(), compute_mode="donot_use_mm_for_euclid_dist")
        neighbours = numbers[distances.sort(dim=1, stable=True).indices[:, :k]]
        # argmax takes the first maximum, and `classes` ascend: the smaller label on a tie.
        return classes[F.one_hot(neighbours, len(classes)).sum(1).argmax(1)]

    return torch.cat([predict(codes) for codes in test_codes.split(KNN_AT_ONCE)])
