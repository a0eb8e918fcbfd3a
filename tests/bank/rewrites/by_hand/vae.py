"""Questions 8 and 9: variational autoencoders (arXiv:1312.6114), also conditioned on a class."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .autoencoders import _Affine, _Convolution, _Swish, _evaluating, _like_model, _side_of, bce_loss
from .gaussians import kl_divergence, kl_univariate


def reparameterize(
    mu: Tensor, logvar: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """mu + sigma eps."""
    if eps is None:
        eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + torch.exp(logvar / 2) * eps


class _GaussianHead(nn.Module):
    """Mean and log-variance, from one matrix; the variances start near 1/e^2."""

    def __init__(self, inputs: int, latent_dim: int) -> None:
        super().__init__()
        self.both = _Affine(inputs, 2 * latent_dim, gain=0.7)
        with torch.no_grad():
            self.both.offset[latent_dim:] = -2.0

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.both(h).chunk(2, dim=1)
        return mu, logvar


class VAE(nn.Module):
    """Variational autoencoder of perceptrons."""

    latent_dim: int

    def __init__(self, input_dim: int = 784, hidden_dim: int = 400, latent_dim: int = 20) -> None:
        super().__init__()
        self.side = _side_of(input_dim)
        self.latent_dim = latent_dim
        self.look = nn.Sequential(_Affine(input_dim, hidden_dim), nn.LayerNorm(hidden_dim), nn.ELU())
        self.posterior = _GaussianHead(hidden_dim, latent_dim)
        self.dream = nn.Sequential(
            _Affine(latent_dim, hidden_dim), nn.ELU(), nn.LayerNorm(hidden_dim), _Affine(hidden_dim, input_dim)
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(mu, logvar)`."""
        return self.posterior(self.look(x.flatten(1)))

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities."""
        return torch.sigmoid(self.dream(z)).reshape(z.shape[0], 1, self.side, self.side)

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`(x_recon, mu, logvar)`."""
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)), mu, logvar


class _Transposed(nn.Module):
    """Twice the height and width, by a transposed convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.randn(inputs, outputs, 4, 4) / math.sqrt(4 * inputs))
        self.offset = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.taps, self.offset, stride=2, padding=1)


class ConvVAE(nn.Module):
    """Variational autoencoder with convolutions."""

    latent_dim: int

    def __init__(self, latent_dim: int = 20) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.look = nn.Sequential(
            _Convolution(1, 12, 5, stride=2, padding=2),
            nn.GroupNorm(2, 12),
            _Swish(),
            _Convolution(12, 20, 3, stride=2, padding=1),
            nn.GroupNorm(2, 20),
            _Swish(),
            nn.Flatten(),
        )
        self.posterior = _GaussianHead(20 * 49, latent_dim)
        self.grow = _Affine(latent_dim, 20 * 49)
        self.dream = nn.Sequential(_Swish(), _Transposed(20, 12), _Swish(), _Transposed(12, 1))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(mu, logvar)`."""
        return self.posterior(self.look(x))

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities."""
        return torch.sigmoid(self.dream(self.grow(z).reshape(z.shape[0], 20, 7, 7)))

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`(x_recon, mu, logvar)`."""
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)), mu, logvar


def elbo_terms(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """`(recon, kl)`."""
    return bce_loss(x_recon, x), kl_divergence(mu, logvar).mean()


def vae_loss(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Tensor:
    """recon + beta kl."""
    if not beta >= 0:
        raise ValueError(f"beta must not be negative, got {beta}")
    recon, kl = elbo_terms(x_recon, x, mu, logvar)
    return recon + beta * kl


def kl_annealing(step: int, warmup_steps: int, beta_max: float = 1.0) -> float:
    """Linear, then constant."""
    for name, value in (("step", step), ("warmup_steps", warmup_steps), ("beta_max", beta_max)):
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value}")
    return float(beta_max) if step >= warmup_steps else float(beta_max * (step / warmup_steps))


def free_bits_kl(mu: Tensor, logvar: Tensor, free_bits: float, group_size: int = 1) -> Tensor:
    """Sum over groups of max(lambda, mean KL)."""
    if not free_bits >= 0:
        raise ValueError(f"free_bits must not be negative, got {free_bits}")
    dims = mu.shape[1]
    if group_size < 1 or dims % group_size:
        raise ValueError(f"group_size must divide the {dims} latent dimensions, got {group_size}")
    m, v = mu.double(), logvar.double()
    nothing = torch.zeros_like(m)
    each = kl_univariate(m, v, nothing, nothing).mean(dim=0)
    groups = each.reshape(dims // group_size, group_size).sum(dim=1)
    floored = torch.where(groups > free_bits, groups, torch.full_like(groups, free_bits))
    return floored.sum().to(torch.promote_types(mu.dtype, logvar.dtype))


def _prior_draws(model: nn.Module, count: int, generator: torch.Generator | None) -> Tensor:
    like = _like_model(model, None if generator is None else generator.device)
    return torch.randn(count, model.latent_dim, generator=generator, dtype=like.dtype, device=like.device)


def generate(model: VAE | ConvVAE, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
    """Decoded draws from the prior."""
    with _evaluating(model):
        return model.decode(_prior_draws(model, num_samples, generator))


def interpolate(model: VAE | ConvVAE, x1: Tensor, x2: Tensor, steps: int = 10) -> Tensor:
    """Decoded points between two posterior means."""
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}")
    with _evaluating(model):
        start, end = model.encode(x1)[0], model.encode(x2)[0]
        points = [start * (1 - i / (steps - 1)) + end * (i / (steps - 1)) for i in range(steps)]
        return model.decode(torch.cat(points))


def _require_classes(name: str, y: Tensor, num_classes: int) -> None:
    bad = (y < 0) | (y >= num_classes)
    if bool(bad.any()):
        raise ValueError(f"{name} must be in 0...{num_classes - 1}, got {int(y[bad][0])}")


class _ClassShift(nn.Module):
    """Scales and shifts a hidden layer by what belongs to the class."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.scales = nn.Parameter(1.0 + 0.3 * torch.randn(num_classes, width))
        self.shifts = nn.Parameter(0.7 * torch.randn(num_classes, width))

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        return h * self.scales.index_select(0, y) + self.shifts.index_select(0, y)


class CVAE(nn.Module):
    """Conditional variational autoencoder."""

    latent_dim: int
    num_classes: int

    def __init__(
        self, input_dim: int = 784, hidden_dim: int = 400, latent_dim: int = 20, num_classes: int = 10
    ) -> None:
        super().__init__()
        self.side = _side_of(input_dim)
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.look = nn.Sequential(_Affine(input_dim, hidden_dim), nn.LayerNorm(hidden_dim, elementwise_affine=False))
        self.look_class = _ClassShift(num_classes, hidden_dim)
        self.posterior = _GaussianHead(hidden_dim, latent_dim)
        self.grow = _Affine(latent_dim, hidden_dim)
        self.grow_class = _ClassShift(num_classes, hidden_dim)
        self.paint = _Affine(hidden_dim, input_dim)

    def encode(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """`(mu, logvar)`."""
        _require_classes("y", y, self.num_classes)
        return self.posterior(torch.tanh(self.look_class(self.look(x.flatten(1)), y)))

    def decode(self, z: Tensor, y: Tensor) -> Tensor:
        """Probabilities."""
        _require_classes("y", y, self.num_classes)
        pixels = self.paint(F.elu(self.grow_class(self.grow(z), y)))
        return torch.sigmoid(pixels).reshape(z.shape[0], 1, self.side, self.side)

    def forward(
        self, x: Tensor, y: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`(x_recon, mu, logvar)`."""
        mu, logvar = self.encode(x, y)
        return self.decode(reparameterize(mu, logvar, eps, generator), y), mu, logvar


def generate_class(model: CVAE, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One image for each label."""
    _require_classes("labels", labels, model.num_classes)
    with _evaluating(model):
        z = _prior_draws(model, len(labels), generator)
        return model.decode(z, labels.to(z.device))
