"""Bonus: how good is a generative model, how good are its codes?"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .autoencoders import _bernoulli_nats, _evaluating, mse_loss
from .gaussians import diagonal_log_prob
from .vae import VAE, reparameterize


def log_importance_weights(log_px_given_z: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log p(x given z) + log p(z) - log q(z given x)."""
    wide, m, v = z.double(), mu.double(), logvar.double()
    origin = torch.zeros_like(m)
    ratio = diagonal_log_prob(wide, origin, origin) - diagonal_log_prob(wide, m, v)
    return (log_px_given_z.double() + ratio).to(log_px_given_z.dtype)


def iwae_bound(log_weights: Tensor) -> Tensor:
    """log of the mean weight."""
    wide = log_weights.double()
    return (torch.logsumexp(wide, dim=0) - math.log(wide.shape[0])).to(log_weights.dtype)


def iwae(model: VAE, x: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
    """The bound for images; one sample of all images at a time."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    with _evaluating(model):
        mu, logvar = model.encode(x)
        mu, logvar = mu.detach(), logvar.detach()
        draws = [reparameterize(mu, logvar, generator=generator) for _ in range(k)]
        fits = [-_bernoulli_nats(model.decode(z), x).flatten(1).sum(dim=1) for z in draws]
        weights = log_importance_weights(torch.stack(fits), torch.stack(draws), mu, logvar)
        return iwae_bound(weights).to(x.dtype)


def ppca_log_likelihood(x: Tensor, weight: Tensor, mean: Tensor, noise_var: float | Tensor) -> Tensor:
    """Through the L x L matrix M = W^T W + s I = R^T R, with R of a QR factorisation, never a D x D one.

    det(W W^T + s I) = s^(D - L) det M, and the Mahalanobis term is min_z |r - W z|^2 / s + |z|^2.
    """
    s = torch.as_tensor(noise_var, dtype=torch.float64, device=x.device)
    if not bool((s > 0).all()):
        raise ValueError(f"noise_var must be positive, got {noise_var}")
    w, r = weight.double(), x.double() - mean.double()
    dims, latents = w.shape
    stacked = torch.cat((w, s.sqrt() * torch.eye(latents, dtype=w.dtype, device=w.device)))
    q, root = torch.linalg.qr(stacked)
    z = torch.linalg.solve_triangular(root, (r @ q[:dims]).T, upper=True).T
    distance = ((r - z @ w.T) ** 2).sum(dim=1) / s + (z**2).sum(dim=1)
    log_det = (dims - latents) * s.log() + 2.0 * root.diagonal().abs().log().sum()
    return (-0.5 * (dims * math.log(2.0 * math.pi) + log_det + distance)).to(x.dtype)


def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    """Dimensions whose mean varies with the data."""
    wide = mu.detach().double()
    variance = ((wide - wide.mean(dim=0)) ** 2).mean(dim=0)
    return int((variance > threshold).sum())


def perceptual_loss(feature_net: nn.Module, x_recon: Tensor, x: Tensor) -> Tensor:
    """Squared error between features; the network is called with detached copies of what it is made of."""
    if x_recon.shape != x.shape:
        raise ValueError(f"x_recon {tuple(x_recon.shape)} and x {tuple(x.shape)} differ in shape")

    def features(images: Tensor) -> Tensor:
        state = {name: p.detach() for name, p in feature_net.named_parameters()}
        state.update({name: b.detach().clone() for name, b in feature_net.named_buffers()})
        return functional_call(feature_net, state, (images,))

    with torch.no_grad():
        target = features(x.detach())
    return mse_loss(features(x_recon), target)


def feature_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """`(mean, cov)`."""
    count = features.shape[0]
    if count < 2:
        raise ValueError(f"features must have at least 2 rows, got {count}")
    wide = features.double()
    mean = wide.mean(dim=0)
    gaps = wide - mean
    return mean.to(features.dtype), (torch.einsum("ni,nj->ij", gaps, gaps) / (count - 1)).to(features.dtype)


def _root(cov: Tensor) -> Tensor:
    """Symmetric square root; what rounding made negative counts as 0."""
    values, vectors = torch.linalg.eigh((cov + cov.T) / 2)
    return (vectors * values.clamp(min=0.0).sqrt()) @ vectors.T


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """tr (cov1 cov2)^(1/2) is the sum of the singular values of cov1^(1/2) cov2^(1/2)."""
    s1, s2 = cov1.double(), cov2.double()
    gap = mean1.double() - mean2.double()
    shared = torch.linalg.svdvals(_root(s1) @ _root(s2)).sum()
    distance = (gap * gap).sum() + s1.diagonal().sum() + s2.diagonal().sum() - 2.0 * shared
    return distance.clamp(min=0.0).to(mean1.dtype)


def linear_probe(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:
    """Multinomial logistic regression on standardised codes, by L-BFGS from zero with gradients by hand."""
    train, test = train_codes.detach().double(), test_codes.detach().double()
    names, targets = torch.unique(train_labels, return_inverse=True)
    centre = train.mean(dim=0)
    spread = ((train - centre) ** 2).mean(dim=0).sqrt()
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))

    def design(codes: Tensor) -> Tensor:
        scaled = (codes - centre) / spread
        return torch.cat((scaled, torch.ones_like(scaled[:, :1])), dim=1)

    a = design(train)
    truth = (targets[:, None] == torch.arange(len(names), device=targets.device)).to(a)
    w = torch.zeros(a.shape[1], len(names), dtype=a.dtype, device=a.device)
    ridge = 1e-5
    optimizer = torch.optim.LBFGS([w.requires_grad_()], max_iter=300, history_size=20, line_search_fn="strong_wolfe")

    @torch.no_grad()
    def closure() -> Tensor:
        logits = a @ w
        log_p = logits - torch.logsumexp(logits, dim=1, keepdim=True)
        w.grad = a.T @ (log_p.exp() - truth) / len(a) + ridge * w
        return -(truth * log_p).sum() / len(a) + 0.5 * ridge * (w * w).sum()

    optimizer.step(closure)
    with torch.no_grad():
        return names[(design(test) @ w).argmax(dim=1)].long()


def knn_predict(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor, k: int = 5) -> Tensor:
    """Majority label, the smaller one on a tie; the distances of one test code at a time."""
    if not 1 <= k <= len(train_codes):
        raise ValueError(f"k must be in 1...{len(train_codes)}, got {k}")
    train, test = train_codes.detach().double(), test_codes.detach().double()
    names, targets = torch.unique(train_labels, return_inverse=True)

    def vote(code: Tensor) -> Tensor:
        distances = ((train - code) ** 2).sum(dim=1)
        near = torch.argsort(distances, stable=True)[:k]
        return torch.bincount(targets[near], minlength=len(names)).argmax()

    votes = [vote(code) for code in test]
    return names[torch.stack(votes)].long() if votes else names[:0].long()
