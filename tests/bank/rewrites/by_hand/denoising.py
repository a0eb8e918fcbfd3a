"""Question 5: corruptions and the denoising autoencoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .autoencoders import VanillaAutoencoder, mse_loss


def _uniform(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """One number of [0, 1) for each pixel."""
    return torch.rand(x.shape, generator=generator, dtype=torch.float64, device=x.device)


def _require_std(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{name} must not be negative, got {value}")


def _require_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value}")


def gaussian_noise(x: Tensor, std: float, generator: torch.Generator | None = None) -> Tensor:
    """x + N(0, std^2), clamped."""
    _require_std("std", std)
    eps = torch.randn(x.shape, generator=generator, dtype=torch.float64, device=x.device)
    return (x.double() + std * eps).clamp(0.0, 1.0).to(x.dtype)


def masking_noise(x: Tensor, drop_prob: float, generator: torch.Generator | None = None) -> Tensor:
    """Some pixels become 0."""
    _require_probability("drop_prob", drop_prob)
    return torch.where(_uniform(x, generator) < drop_prob, torch.zeros_like(x), x)


def salt_and_pepper_noise(x: Tensor, prob: float, generator: torch.Generator | None = None) -> Tensor:
    """Some pixels become 0, as many become 1."""
    _require_probability("prob", prob)
    u = _uniform(x, generator)
    grain = (u < prob / 2).to(x.dtype)
    return torch.where(u < prob, grain, x)


_Corruption = Callable[[Tensor, float, "torch.Generator | None"], Tensor]


def _kinds() -> dict[str, tuple[_Corruption, Callable[[str, float], None]]]:
    return {
        "gaussian": (gaussian_noise, _require_std),
        "masking": (masking_noise, _require_probability),
        "salt_and_pepper": (salt_and_pepper_noise, _require_probability),
    }


def _find_kind(name: str, kind: str) -> tuple[_Corruption, Callable[[str, float], None]]:
    if kind not in _kinds():
        raise ValueError(f"{name} must be one of {', '.join(_kinds())}, got {kind!r}")
    return _kinds()[kind]


def corrupt(x: Tensor, kind: str, level: float, generator: torch.Generator | None = None) -> Tensor:
    """One of the three by name."""
    function, require = _find_kind("kind", kind)
    require("level", level)
    return function(x, level, generator)


class DenoisingAutoencoder(nn.Module):
    """Sees corrupted images and restores the clean ones."""

    def __init__(
        self, input_dim: int = 784, latent_dim: int = 32, noise: str = "gaussian", noise_level: float = 0.3
    ) -> None:
        super().__init__()
        _find_kind("noise", noise)
        self.restorer = VanillaAutoencoder(input_dim, latent_dim)
        self.noise = noise
        self.noise_level = noise_level

    def encode(self, x: Tensor) -> Tensor:
        """Codes."""
        return self.restorer.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Images in [0, 1]."""
        return self.restorer.decode(z)

    def forward(
        self, x: Tensor, add_noise: bool | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Corrupt, encode, decode."""
        noisy = self.training if add_noise is None else add_noise
        return self.restorer(corrupt(x, self.noise, self.noise_level, generator) if noisy else x)


def denoising_loss(model: nn.Module, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Against the clean images."""
    x_recon = model(x, add_noise=True, generator=generator)[0]
    return mse_loss(x_recon, x)
