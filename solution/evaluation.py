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

# begin private
# isort: split
from .autoencoders import _check_same_shape
from .training import evaluation_mode

# end private


def log_importance_weights(log_px_given_z: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Logarithms of w = p(x given z) p(z) / q(z given x), with p(z) = N(0, I), q = N(mu, diag sigma^2).

    Args:
        log_px_given_z: (k, B), nats.
        z: (k, B, L), draws of q.
        mu, logvar: (B, L).

    Returns:
        (k, B), nats.
    """
    # begin solution bonus
    zero = torch.zeros_like(mu)
    return log_px_given_z + diagonal_log_prob(z, zero, zero) - diagonal_log_prob(z, mu, logvar)
    # end solution


def iwae_bound(log_weights: Tensor) -> Tensor:
    """log (1/k · sum_i w_i), the importance-weighted bound on log p(x) (arXiv:1509.00519, equation 8).

    Stable: the weights themselves may underflow.

    Args:
        log_weights: (k, B).

    Returns:
        (B,), nats.
    """
    # begin solution bonus
    return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))
    # end solution


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
    # begin solution bonus
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    with evaluation_mode(model):
        mu, logvar = model.encode(x)
        log_weights = []
        for _ in range(k):  # one draw for each image at a time: memory does not grow with k
            z = reparameterize(mu, logvar, generator=generator)
            log_px_given_z = -F.binary_cross_entropy(model.decode(z), x, reduction="none").flatten(1).sum(dim=1)
            log_weights.append(log_importance_weights(log_px_given_z[None], z[None], mu, logvar))
    return iwae_bound(torch.cat(log_weights))
    # end solution


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
    # begin solution bonus
    if noise_var <= 0:
        raise ValueError(f"noise_var must be positive, got {noise_var}")
    identity = torch.eye(len(mean), device=weight.device, dtype=weight.dtype)
    return full_covariance_log_prob(x, mean, weight @ weight.T + noise_var * identity)
    # end solution


def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    """Number of latent dimensions that depend on the data (arXiv:1509.00519, section 5.2).

    Dimension i is active if the variance over the data of its posterior mean is above `threshold`.

    Args:
        mu: (N, L), posterior means of N images.
    """
    # begin solution bonus
    return int((mu.var(dim=0) > threshold).sum())
    # end solution


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
    # begin solution bonus
    _check_same_shape("x_recon", x_recon, x)
    frozen = {name: parameter.detach() for name, parameter in feature_net.named_parameters()}
    features: Tensor = functional_call(feature_net, frozen, (x_recon,))
    return mse_loss(features, functional_call(feature_net, frozen, (x.detach(),)))
    # end solution


def feature_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F), divided by N - 1, of `features` (N, F).

    Raises:
        ValueError: N < 2.
    """
    # begin solution bonus
    if len(features) < 2:
        raise ValueError(f"features must have at least 2 rows, got {len(features)}")
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)
    # end solution


# begin private
def symmetric_sqrt(matrix: Tensor) -> Tensor:
    """Square root of a positive semi-definite (F, F); eigenvalues that rounding made negative count as 0."""
    eigenvalues, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * eigenvalues.clamp(min=0).sqrt()) @ vectors.T
    return root


# end private


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Squared Frechet distance between two Gaussians (Dowson and Landau 1982; arXiv:1706.08500).

    ‖mean1 - mean2‖^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)); never NaN, also for singular covariances.

    Args:
        mean1, mean2: (F,).
        cov1, cov2: (F, F), symmetric positive semi-definite.

    Returns:
        Scalar tensor ().
    """
    # begin solution bonus
    # cov1 cov2 is not symmetric, but has the eigenvalues of the symmetric cov1^(1/2) cov2 cov1^(1/2). In float64,
    # because the root of an eigenvalue 0 is the root of a rounding error.
    cov1, cov2 = cov1.double(), cov2.double()
    root1 = symmetric_sqrt(cov1)
    cross = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    spread = (cov1.trace() + cov2.trace() - 2 * cross).clamp(min=0)
    distance: Tensor = (mean1 - mean2).square().sum() + spread
    return distance.to(mean1.dtype)
    # end solution


def linear_probe(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:
    """Predictions of a linear classifier trained on codes; tells how linearly separable the classes are.

    Args:
        train_codes: (N, L).
        train_labels: (N,) int64.
        test_codes: (M, L).

    Returns:
        (M,) int64, values out of `train_labels`.
    """
    # begin solution bonus
    classes, targets = torch.unique(train_labels, return_inverse=True)
    train_codes, test_codes = train_codes.detach(), test_codes.detach()
    # Standardised features make the problem well-conditioned; a constant feature stays constant.
    mean, std = train_codes.mean(dim=0), train_codes.std(dim=0, correction=0)
    scale = torch.where(std > 0, std, 1)
    train_x, test_x = (train_codes - mean) / scale, (test_codes - mean) / scale
    weight = train_x.new_zeros(train_x.shape[1], len(classes)).requires_grad_()
    bias = train_x.new_zeros(len(classes)).requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimizer.zero_grad()
        # Mean log-loss; the prior N(0, I) on the weights keeps separable classes finite.
        loss = F.cross_entropy(train_x @ weight + bias, targets) + weight.square().sum() / (2 * len(train_x))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(objective)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        predictions: Tensor = classes[(test_x @ weight + bias).argmax(dim=1)]
    return predictions
    # end solution


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
    # begin solution bonus
    if not 1 <= k <= len(train_codes):
        raise ValueError(f"k must be in 1...{len(train_codes)}, got {k}")
    classes, targets = torch.unique(train_labels, return_inverse=True)
    predictions = []
    for codes in torch.split(test_codes, 1000):  # bounds the matrix of distances
        # not by |a|^2 - 2 a·b + |b|^2, which rounding ruins far from 0
        distances = torch.cdist(codes, train_codes, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = distances.topk(k, largest=False).indices  # (m, k)
        votes = F.one_hot(targets[nearest], len(classes)).sum(dim=1)  # (m, C)
        predictions.append(classes[votes.argmax(dim=1)])
    return torch.cat(predictions)
    # end solution
