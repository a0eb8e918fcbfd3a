"""Questions 8 and 9: variational autoencoders (arXiv:1312.6114), also conditioned on a class."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .autoencoders import bce_loss
from .gaussians import kl_divergence


@contextmanager
def _inference(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; afterwards every module has its mode back."""
    before = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, training in before:
            module.training = training


def _normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    place = like.device if generator is None else generator.device
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=place).to(like.device)


def _side(input_dim: int) -> int:
    side = math.isqrt(max(input_dim, 0))
    if side < 1 or side**2 != input_dim:
        raise ValueError(f"input_dim must be a square number, got {input_dim}")
    return side


def reparameterize(
    mu: Tensor, logvar: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """A draw z = mu + sigma · eps of N(mu, diag sigma^2) that gradients can pass (arXiv:1312.6114, section 2.4).

    The randomness sits in eps ~ N(0, I), so z is a differentiable function of both `mu` and `logvar`.

    Args:
        mu: (B, L).
        logvar: (B, L), log sigma^2.
        eps: (B, L), used instead of a draw if given.
        generator: source of the draw.

    Returns:
        (B, L).
    """
    if eps is None:
        eps = _normal(tuple(mu.shape), mu, generator)
    return torch.addcmul(mu, torch.exp(logvar / 2), eps.to(mu))


class VAE(nn.Module):
    """Variational autoencoder of perceptrons.

    q(z given x) = N(mu(x), diag sigma^2(x)),   p(z) = N(0, I),   p(x given z) = Bernoulli(decode(z)).

    Attributes:
        latent_dim: dimensions of z.
    """

    latent_dim: int

    def __init__(self, input_dim: int = 784, hidden_dim: int = 400, latent_dim: int = 20) -> None:
        """Build encoder and decoder.

        Args:
            input_dim: pixels s^2 of an image (1, s, s).
            hidden_dim: width of the hidden layers.
            latent_dim: dimensions of z.

        Raises:
            ValueError: `input_dim` is not a square number.
        """
        super().__init__()
        side = _side(input_dim)
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(input_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, 2 * latent_dim)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, input_dim),
            nn.Unflatten(1, (1, side, side)),
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim) and unbounded, of images (B, 1, s, s)."""
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities (B, 1, s, s) in [0, 1] of latents (B, latent_dim)."""
        return torch.sigmoid(self.decoder(z))

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar): encode, `reparameterize`, decode; a fresh sample each time, in both modes."""
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)), mu, logvar


class ConvVAE(nn.Module):
    """Variational autoencoder with convolutions, 28 -> 14 -> 7 and back.

    Attributes:
        latent_dim: dimensions of z.
    """

    latent_dim: int

    def __init__(self, latent_dim: int = 20) -> None:
        """Build encoder and decoder.

        Args:
            latent_dim: dimensions of z.
        """
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1),
            nn.ELU(),
            nn.Conv2d(12, 24, 3, stride=2, padding=1),
            nn.BatchNorm2d(24),
            nn.ELU(),
            nn.Flatten(),
            nn.Linear(24 * 7 * 7, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 24 * 7 * 7),
            nn.ELU(),
            nn.Unflatten(1, (24, 7, 7)),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(24, 12, 3, padding=1),
            nn.ELU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(12, 1, 5, padding=2),
            nn.Sigmoid(),
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim) and unbounded, of images (B, 1, 28, 28)."""
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities (B, 1, 28, 28) in [0, 1] of latents (B, latent_dim)."""
        return self.decoder(z)

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar), as in `VAE`."""
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)), mu, logvar


def elbo_terms(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """The two terms of -ELBO = recon + kl, in nats per image.

    recon = -log p(x given z)           (binary cross-entropy, summed over pixels)
    kl    = KL(q(z given x) ‖ p(z))     (summed over latent dimensions)

    Both are averaged over the batch.

    Args:
        x_recon: probabilities, shaped like `x`.
        x: images (B, 1, s, s).
        mu, logvar: (B, L).

    Returns:
        (recon, kl), each a scalar tensor ().
    """
    return bce_loss(x_recon, x), kl_divergence(mu, logvar).mean()


def vae_loss(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Tensor:
    """recon + beta · kl with the terms of `elbo_terms` (beta-VAE, Higgins et al. 2017); -ELBO at beta = 1.

    Returns:
        Scalar tensor (), nats per image.

    Raises:
        ValueError: beta < 0.
    """
    if not beta >= 0:
        raise ValueError(f"beta must not be negative, got {beta}")
    recon, kl = elbo_terms(x_recon, x, mu, logvar)
    return recon + beta * kl


def kl_annealing(step: int, warmup_steps: int, beta_max: float = 1.0) -> float:
    """Weight of the KL term at `step`, against posterior collapse early in training (arXiv:1511.06349).

    Rises linearly from 0 at step 0 to `beta_max` at step `warmup_steps` and stays there; always `beta_max` if
    `warmup_steps` is 0.

    Raises:
        ValueError: a negative argument.
    """
    for name, value in (("step", step), ("warmup_steps", warmup_steps), ("beta_max", beta_max)):
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value}")
    return float(beta_max) if step >= warmup_steps else float(beta_max) * step / warmup_steps


def free_bits_kl(mu: Tensor, logvar: Tensor, free_bits: float, group_size: int = 1) -> Tensor:
    """KL with a floor of `free_bits` nats for each group of latent dimensions (arXiv:1606.04934, appendix C.8).

    sum over groups of max(lambda, mean over the batch of KL(q(z_group given x) ‖ p(z_group)))

    A group below the floor gets no gradient, so nothing pushes it to collapse further.

    Args:
        mu, logvar: (B, L).
        free_bits: lambda, in nats.
        group_size: a group is so many successive dimensions.

    Returns:
        Scalar tensor ().

    Raises:
        ValueError: free_bits < 0, or `group_size` does not divide L.
    """
    size = mu.shape[1]
    if not free_bits >= 0:
        raise ValueError(f"free_bits must not be negative, got {free_bits}")
    if group_size < 1 or size % group_size:
        raise ValueError(f"group_size must divide the {size} latent dimensions, got {group_size}")
    groups = [
        kl_divergence(m, v).mean()
        for m, v in zip(mu.split(group_size, dim=1), logvar.split(group_size, dim=1), strict=True)
    ]
    kl = torch.stack(groups)
    return torch.where(kl > free_bits, kl, torch.full_like(kl, free_bits)).sum()


def generate(model: VAE | ConvVAE, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
    """New images: decode draws z ~ N(0, I) of `model.latent_dim` dimensions.

    Eval mode, no gradients; afterwards the model has the mode it had before.

    Returns:
        (num_samples, 1, s, s), with the device and dtype of the model.
    """
    if num_samples < 0:
        raise ValueError(f"num_samples must not be negative, got {num_samples}")
    with _inference(model):
        return model.decode(_normal((num_samples, model.latent_dim), next(model.parameters()), generator))


def interpolate(model: VAE | ConvVAE, x1: Tensor, x2: Tensor, steps: int = 10) -> Tensor:
    """Decode `steps` equally spaced points on the line between two posterior means.

    z_i = (1 - a_i) · mu(x1) + a_i · mu(x2),   a_i = i / (steps - 1),   i = 0 ... steps - 1

    Frame 0 belongs to `x1`, the last one to `x2`. Eval mode, no gradients; afterwards the model has the mode
    it had before.

    Args:
        x1, x2: images (1, 1, s, s).

    Returns:
        (steps, 1, s, s).

    Raises:
        ValueError: steps < 2.
    """
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}")
    with _inference(model):
        start, end = model.encode(x1)[0], model.encode(x2)[0]
        a = (torch.arange(steps, dtype=start.dtype, device=start.device) / (steps - 1)).unsqueeze(1)
        return model.decode((1 - a) * start + a * end)


class CVAE(nn.Module):
    """Conditional variational autoencoder (Sohn, Lee and Yan 2015): q(z given x, y) and p(x given z, y).

    The class y conditions both encoder and decoder; the prior N(0, I) does not depend on it.

    Attributes:
        latent_dim: dimensions of z.
        num_classes: y is in 0 ... num_classes - 1.
    """

    latent_dim: int
    num_classes: int

    def __init__(
        self, input_dim: int = 784, hidden_dim: int = 400, latent_dim: int = 20, num_classes: int = 10
    ) -> None:
        """Build encoder and decoder.

        Args:
            input_dim: pixels s^2 of an image (1, s, s).
            hidden_dim: width of the hidden layers.
            latent_dim: dimensions of z.
            num_classes: number of classes.

        Raises:
            ValueError: `input_dim` is not a square number.
        """
        super().__init__()
        self.side = _side(input_dim)
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.encoder = nn.Sequential(
            nn.Linear(input_dim + num_classes, hidden_dim), nn.Tanh(), nn.Linear(hidden_dim, 2 * latent_dim)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim + num_classes, hidden_dim), nn.Tanh(), nn.Linear(hidden_dim, input_dim)
        )

    def _one_hot(self, y: Tensor, like: Tensor) -> Tensor:
        """Classes (B,) as rows (B, num_classes) to be joined to `like`."""
        if y.shape != like.shape[:1]:
            raise ValueError(f"y must have shape {tuple(like.shape[:1])}, got {tuple(y.shape)}")
        if bool(((y < 0) | (y >= self.num_classes)).any()):
            raise ValueError(f"y must be in 0...{self.num_classes - 1}, got {y.tolist()}")
        return nn.functional.one_hot(y.long(), self.num_classes).to(like)

    def encode(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim), of images (B, 1, s, s) with classes `y` (B,) int64.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        flat = x.flatten(1)
        mu, logvar = self.encoder(torch.cat((flat, self._one_hot(y, flat)), dim=1)).chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: Tensor, y: Tensor) -> Tensor:
        """Probabilities (B, 1, s, s) in [0, 1] of latents (B, latent_dim) with classes `y` (B,) int64.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        pixels = self.decoder(torch.cat((z, self._one_hot(y, z)), dim=1))
        return pixels.sigmoid().unflatten(1, (1, self.side, self.side))

    def forward(
        self, x: Tensor, y: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar), as in `VAE`, everything given the class `y`.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        mu, logvar = self.encode(x, y)
        return self.decode(reparameterize(mu, logvar, eps, generator), y), mu, logvar


def generate_class(model: CVAE, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """New images of given classes: decode z ~ N(0, I) with each label.

    Eval mode, no gradients; afterwards the model has the mode it had before.

    Args:
        labels: (N,) int64.

    Returns:
        (N, 1, s, s); image i is of class labels[i].

    Raises:
        ValueError: a label outside 0 ... model.num_classes - 1.
    """
    with _inference(model):
        like = next(model.parameters())
        z = _normal((len(labels), model.latent_dim), like, generator)
        return model.decode(z, labels.to(like.device))
