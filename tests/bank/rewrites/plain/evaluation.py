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
    return torch.logsumexp(log_weights, dim=0) - math.log(log_weights.shape[0])


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
    modes = [(module, module.training) for module in model.modules()]
    log_weights = []
    try:
        model.eval()
        with torch.no_grad():
            mu, logvar = model.encode(x)
            place = mu.device if generator is None else generator.device
            for _ in range(k):
                eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=place).to(mu.device)
                z = reparameterize(mu, logvar, eps)
                nats = F.binary_cross_entropy(model.decode(z), x, reduction="none").flatten(1).sum(dim=1)
                log_weights.append(log_importance_weights(-nats.unsqueeze(0), z.unsqueeze(0), mu, logvar))
            return iwae_bound(torch.cat(log_weights))
    finally:
        for module, training in modes:
            module.training = training


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
    noise = torch.as_tensor(noise_var, dtype=torch.float64, device=x.device).reshape(())
    if not float(noise) > 0:
        raise ValueError(f"noise_var must be positive, got {float(noise)}")
    # Woodbury: only an L x L matrix is factored
    w, centred = weight.double(), x.double() - mean.double()
    d, size = w.shape
    inner = w.T @ w + noise * torch.eye(size, dtype=w.dtype, device=w.device)
    factor = torch.linalg.cholesky(inner)
    log_det = (d - size) * noise.log() + 2 * factor.diagonal().log().sum()
    code = torch.cholesky_solve((centred @ w).T, factor).T
    square = (centred - code @ w.T).square().sum(dim=1) / noise + code.square().sum(dim=1)
    return (-0.5 * (d * math.log(2 * math.pi) + log_det + square)).to(x.dtype)


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
        raise ValueError(f"x_recon {tuple(x_recon.shape)} and x {tuple(x.shape)} differ in shape")

    def features(images: Tensor) -> Tensor:
        # constants in place of parameters, copies in place of buffers: nothing of the network changes
        constants = {name: p.detach() for name, p in feature_net.named_parameters()}
        constants |= {name: b.clone() for name, b in feature_net.named_buffers()}
        return functional_call(feature_net, constants, (images,))

    with torch.no_grad():
        target = features(x)
    return mse_loss(features(x_recon), target)


def feature_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F), divided by N - 1, of `features` (N, F).

    Raises:
        ValueError: N < 2.
    """
    n = features.shape[0]
    if n < 2:
        raise ValueError(f"features must have at least 2 rows, got {n}")
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred / (n - 1)


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Squared Frechet distance between two Gaussians (Dowson and Landau 1982; arXiv:1706.08500).

    ‖mean1 - mean2‖^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)); never NaN, also for singular covariances.

    Args:
        mean1, mean2: (F,).
        cov1, cov2: (F, F), symmetric positive semi-definite.

    Returns:
        Scalar tensor ().
    """
    def root(cov: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(cov.double())
        return vectors * values.clamp(min=0).sqrt()

    # with cov_i = A_i A_i^T the trace of (cov1 cov2)^(1/2) is the nuclear norm of A_1^T A_2
    overlap = torch.linalg.svdvals(root(cov1).T @ root(cov2)).sum()
    traces = cov1.double().trace() + cov2.double().trace()
    result = (mean1.double() - mean2.double()).square().sum() + traces - 2 * overlap
    return result.clamp(min=0).to(mean1.dtype)


def linear_probe(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:
    """Predictions of a linear classifier trained on codes; tells how linearly separable the classes are.

    Args:
        train_codes: (N, L).
        train_labels: (N,) int64.
        test_codes: (M, L).

    Returns:
        (M,) int64, values out of `train_labels`.
    """
    classes, target = torch.unique(train_labels, return_inverse=True)
    train = train_codes.detach().double()
    mean, spread = train.mean(dim=0), train.std(dim=0, correction=0)
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    train, test = (train - mean) / spread, (test_codes.detach().double() - mean) / spread
    target = target.to(train.device)
    weight = train.new_zeros(train.shape[1], len(classes)).requires_grad_()
    bias = train.new_zeros(len(classes)).requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(train @ weight + bias, target) + 1e-4 * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return classes[(test @ weight.detach() + bias.detach()).argmax(dim=1).to(classes.device)]


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
    classes, member = torch.unique(train_labels, return_inverse=True)
    votes = F.one_hot(member, len(classes)).to(train_codes.device)
    predictions = []
    for queries in test_codes.split(256):
        distance = torch.cdist(queries, train_codes, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = distance.topk(k, dim=1, largest=False).indices
        predictions.append(classes[votes[nearest].sum(dim=1).argmax(dim=1).to(classes.device)])
    return torch.cat(predictions)
