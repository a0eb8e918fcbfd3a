"""Bonus: how good is a generative model, how good are its codes?

Axes: k importance samples, B images, L latent dimensions, N examples, F features, M test examples, C classes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import LowRankMultivariateNormal
from torch.func import functional_call

from .autoencoders import mse_loss
from .gaussians import diagonal_log_prob
from .training import evaluating
from .vae import VAE, reparameterize


def _cross_entropy(probs: Tensor, x: Tensor) -> Tensor:
    """(B,), binary cross-entropy summed over pixels."""
    return F.binary_cross_entropy(probs, x, reduction="none").flatten(1).sum(1)


def _factor(cov: Tensor) -> Tensor:
    """A with A A^T = cov, positive semi-definite."""
    values, vectors = torch.linalg.eigh((cov + cov.mT) / 2)
    return vectors * values.clamp_min(0).sqrt()


def log_importance_weights(log_px_given_z: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Logarithms of w = p(x given z) p(z) / q(z given x), with p(z) = N(0, I), q = N(mu, diag sigma^2).

    Args:
        log_px_given_z: (k, B), nats.
        z: (k, B, L), draws of q.
        mu, logvar: (B, L).

    Returns:
        (k, B), nats.
    """
    origin = torch.zeros_like(z[0, 0])
    return log_px_given_z + diagonal_log_prob(z, origin, origin) - diagonal_log_prob(z, mu, logvar)


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
        mu, logvar = model.encode(x)
        z = torch.stack([reparameterize(mu, logvar, generator=generator) for _ in range(k)])
        log_px = torch.stack([-_cross_entropy(model.decode(draw), x) for draw in z])
        return iwae_bound(log_importance_weights(log_px, z, mu, logvar))


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
    noise = torch.as_tensor(noise_var, dtype=torch.float64, device=x.device)
    if not noise > 0:
        raise ValueError(f"noise_var must be positive, got {noise_var}")
    diagonal = noise.expand(len(mean))
    density = LowRankMultivariateNormal(mean.double(), weight.double(), diagonal, validate_args=False)
    return density.log_prob(x.double()).to(x.dtype)


def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    """Number of latent dimensions that depend on the data (arXiv:1509.00519, section 5.2).

    Dimension i is active if the variance over the data of its posterior mean is above `threshold`.

    Args:
        mu: (N, L), posterior means of N images.
    """
    return int((mu.var(dim=0, correction=0) > threshold).sum())


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
        raise ValueError(f"x_recon and x must have one shape, got {tuple(x_recon.shape)} and {tuple(x.shape)}")
    # Constants in place of parameters, copies in place of buffers: the network stays as it is.
    state = {name: p.detach() for name, p in feature_net.named_parameters()}
    state |= {name: b.detach().clone() for name, b in feature_net.named_buffers()}
    with torch.no_grad():
        target = functional_call(feature_net, state, (x,))
    return mse_loss(functional_call(feature_net, state, (x_recon,)), target)


def feature_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F), divided by N - 1, of `features` (N, F).

    Raises:
        ValueError: N < 2.
    """
    if len(features) < 2:
        raise ValueError(f"features must have at least 2 rows, got {len(features)}")
    return features.mean(0), torch.atleast_2d(torch.cov(features.mT))


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Squared Frechet distance between two Gaussians (Dowson and Landau 1982; arXiv:1706.08500).

    ‖mean1 - mean2‖^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)); never NaN, also for singular covariances.

    Args:
        mean1, mean2: (F,).
        cov1, cov2: (F, F), symmetric positive semi-definite.

    Returns:
        Scalar tensor ().
    """
    factor1, factor2 = _factor(cov1.double()), _factor(cov2.double())
    # tr (cov1 cov2)^(1/2) is the nuclear norm of A^T B for any A A^T = cov1 and B B^T = cov2.
    coupling = torch.linalg.svdvals(factor1.mT @ factor2).sum()
    shift = (mean1.double() - mean2.double()).square().sum()
    distance = shift + cov1.double().trace() + cov2.double().trace() - 2 * coupling
    return distance.clamp_min(0).to(mean1.dtype)


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
    train, test = train_codes.detach().double(), test_codes.detach().double()
    mean, scale = train.mean(0), train.std(0, correction=0)
    scale = torch.where(scale > 0, scale, 1)
    train, test = (train - mean) / scale, (test - mean) / scale
    weight = train.new_zeros(len(classes), train.shape[1], requires_grad=True)
    bias = train.new_zeros(len(classes), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(train, weight, bias), targets) + 1e-5 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return classes[F.linear(test, weight.detach(), bias.detach()).argmax(1)]


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
    classes, numbers = torch.unique(train_labels, return_inverse=True)

    def votes(codes: Tensor) -> Tensor:
        distances = torch.cdist(codes, train_codes, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = numbers[distances.topk(k, largest=False).indices]
        counts = nearest.new_zeros(len(codes), len(classes))
        return counts.scatter_add_(1, nearest, torch.ones_like(nearest))

    # argmax takes the first of equal counts, and the classes ascend
    return torch.cat([classes[votes(codes).argmax(1)] for codes in test_codes.split(512)])
