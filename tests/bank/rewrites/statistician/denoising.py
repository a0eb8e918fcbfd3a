"""Question 5: corruptions and the denoising autoencoder.

Source: Vincent et al., Stacked denoising autoencoders, JMLR 11, 2010.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .autoencoders import VanillaAutoencoder, mse_loss

KINDS = ("gaussian", "masking", "salt_and_pepper")


def _check_kind(name: str, kind: str) -> None:
    """Raise ValueError unless `kind` is one of `KINDS`."""
    if kind not in KINDS:
        raise ValueError(f"{name} must be one of {', '.join(KINDS)}, got {kind!r}")


def _check_probability(name: str, value: float) -> None:
    """Raise ValueError outside [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value}")


def _events(x: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Independent Bernoulli draws, one for each pixel of `x`; uniform draws lie below 1, so 1 is certain."""
    return torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device) < probability


def gaussian_noise(x: Tensor, std: float, generator: torch.Generator | None = None) -> Tensor:
    """Add independent noise of N(0, std^2) to each pixel, then clamp to [0, 1].

    Args:
        x: images in [0, 1], any shape; not modified.
        std: standard deviation of the noise, in the unit of the pixels.
        generator: source of randomness, on the device of `x`; PyTorch's global one if None.

    Returns:
        Fresh noise on each call, the shape of `x`.

    Raises:
        ValueError: `std` is negative.
    """
    if not std >= 0:
        raise ValueError(f"std must not be negative, got {std}")
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return (x + std * noise).clamp(0, 1)


def masking_noise(x: Tensor, drop_prob: float, generator: torch.Generator | None = None) -> Tensor:
    """Set each pixel to 0 with probability `drop_prob`, independently of the others; keep the rest unscaled.

    Args:
        x: images in [0, 1], any shape; not modified.
        drop_prob: probability that a pixel is dropped.
        generator: source of randomness, on the device of `x`; PyTorch's global one if None.

    Returns:
        A fresh mask on each call, the shape of `x`.

    Raises:
        ValueError: `drop_prob` is outside [0, 1].
    """
    _check_probability("drop_prob", drop_prob)
    return torch.where(_events(x, drop_prob, generator), torch.zeros_like(x), x)


def salt_and_pepper_noise(x: Tensor, prob: float, generator: torch.Generator | None = None) -> Tensor:
    """Replace each pixel with probability `prob`, independently of the others, by 0 or 1 with equal chance.

    Args:
        x: images in [0, 1], any shape; not modified.
        prob: probability that a pixel is replaced.
        generator: source of randomness, on the device of `x`; PyTorch's global one if None.

    Returns:
        Fresh noise on each call, the shape of `x`.

    Raises:
        ValueError: `prob` is outside [0, 1].
    """
    _check_probability("prob", prob)
    replaced = _events(x, prob, generator)
    salt = _events(x, 0.5, generator)
    return torch.where(replaced, salt.to(x.dtype), x)


def corrupt(x: Tensor, kind: str, level: float, generator: torch.Generator | None = None) -> Tensor:
    """One of the three corruptions by name.

    Args:
        x: images in [0, 1], any shape; not modified.
        kind: `"gaussian"`, `"masking"` or `"salt_and_pepper"`.
        level: the standard deviation or the probability of that corruption.
        generator: source of randomness, on the device of `x`; PyTorch's global one if None.

    Returns:
        The corrupted images, the shape of `x`.

    Raises:
        ValueError: `kind` is none of the three, or `level` is out of its range.
    """
    corruptions = {"gaussian": gaussian_noise, "masking": masking_noise, "salt_and_pepper": salt_and_pepper_noise}
    _check_kind("kind", kind)
    return corruptions[kind](x, level, generator=generator)


class DenoisingAutoencoder(nn.Module):
    """An autoencoder that sees corrupted images and restores the clean ones.

    Encoder and decoder are those of a `VanillaAutoencoder`: unbounded code, reconstruction in [0, 1].

    Args:
        input_dim: number of pixels, a square number s^2.
        latent_dim: size of the code.
        noise: the corruption, a `kind` of `corrupt`.
        noise_level: its `level`.

    Raises:
        ValueError: `noise` is no kind of corruption, or `input_dim` is not a square number.
    """

    def __init__(
        self, input_dim: int = 784, latent_dim: int = 32, noise: str = "gaussian", noise_level: float = 0.3
    ) -> None:
        super().__init__()
        _check_kind("noise", noise)
        self.autoencoder = VanillaAutoencoder(input_dim, latent_dim)
        self.noise = noise
        self.noise_level = noise_level

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, s, s)` -> codes `(B, latent_dim)`; never corrupts."""
        return self.autoencoder.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, s, s)` in [0, 1]; never corrupts."""
        return self.autoencoder.decode(z)

    def forward(
        self, x: Tensor, add_noise: bool | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Corrupt, encode, decode.

        Args:
            x: `(B, 1, s, s)`, clean images in [0, 1]; not modified.
            add_noise: None corrupts in training mode only, True always, False never.
            generator: source of the corruption's randomness; PyTorch's global one if None.

        Returns:
            `(x_recon, z)`; `x_recon` has the shape of `x`.
        """
        noisy = self.training if add_noise is None else add_noise
        z = self.encode(corrupt(x, self.noise, self.noise_level, generator=generator) if noisy else x)
        return self.decode(z).reshape(x.shape), z


def denoising_loss(model: nn.Module, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Squared error between the reconstruction from corrupted images and the **clean** images.

    It calls `model(x, add_noise=True, generator=generator)`, which corrupts in either mode, and returns the `mse_loss`
    of the reconstruction against `x`.

    Args:
        model: a `DenoisingAutoencoder`, or any module that is called and answers like one.
        x: `(B, 1, s, s)`, clean images in [0, 1].
        generator: source of the corruption's randomness; PyTorch's global one if None.

    Returns:
        `()`.
    """
    x_recon = model(x, add_noise=True, generator=generator)[0]
    return mse_loss(x_recon, x)
