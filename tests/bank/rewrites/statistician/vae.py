"""Questions 8 and 9: variational autoencoders (arXiv:1312.6114), also conditioned on a class."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .autoencoders import bce_loss
from .gaussians import kl_divergence


def _side(input_dim: int) -> int:
    """s of images with `input_dim` = s^2 pixels."""
    side = math.isqrt(max(input_dim, 0))
    if side < 1 or side * side != input_dim:
        raise ValueError(f"input_dim must be a square number, got {input_dim}")
    return side


def _check_labels(name: str, labels: Tensor, num_classes: int) -> None:
    """Raise ValueError for a label outside 0 ... num_classes - 1."""
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        raise ValueError(f"{name} must lie in 0 ... {num_classes - 1}, got {labels[outside].tolist()}")


def _prior_draws(model: VAE | ConvVAE | CVAE, num_samples: int, generator: torch.Generator | None) -> Tensor:
    """Draws of N(0, I) with the dtype and device of the model."""
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    return torch.randn(num_samples, model.latent_dim, generator=generator, dtype=like.dtype, device=like.device)


class _PosteriorHead(nn.Module):
    """Features -> (mu, logvar); the posterior starts with unit variance."""

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.mu = nn.Linear(features, latent_dim)
        self.logvar = nn.Linear(features, latent_dim)
        nn.init.zeros_(self.logvar.weight)
        nn.init.zeros_(self.logvar.bias)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        return self.mu(h), self.logvar(h)


def _encoder_body(features: int, hidden_dim: int) -> nn.Sequential:
    """Hidden layers of an encoder; not normalised, so that mean and log-variance stay unbounded."""
    return nn.Sequential(nn.Linear(features, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, hidden_dim), nn.SiLU())


def _decoder(features: int, hidden_dim: int, side: int) -> nn.Sequential:
    """Latents -> probabilities (1, side, side)."""
    return nn.Sequential(
        nn.Linear(features, hidden_dim),
        nn.LayerNorm(hidden_dim),
        nn.SiLU(),
        nn.Linear(hidden_dim, hidden_dim),
        nn.LayerNorm(hidden_dim),
        nn.SiLU(),
        nn.Linear(hidden_dim, side * side),
        nn.Sigmoid(),
        nn.Unflatten(1, (1, side, side)),
    )


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
        eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + torch.exp(0.5 * logvar) * eps


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
        self.body = _encoder_body(input_dim, hidden_dim)
        self.posterior = _PosteriorHead(hidden_dim, latent_dim)
        self.decoder = _decoder(latent_dim, hidden_dim, side)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim) and unbounded, of images (B, 1, s, s)."""
        return self.posterior(self.body(x.flatten(1)))

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities (B, 1, s, s) in [0, 1] of latents (B, latent_dim)."""
        return self.decoder(z)

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar): encode, `reparameterize`, decode; a fresh sample each time, in both modes."""
        mu, logvar = self.encode(x)
        z = reparameterize(mu, logvar, eps=eps, generator=generator)
        return self.decode(z).reshape(x.shape), mu, logvar


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
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),  # 28 -> 14
            nn.SiLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),  # 14 -> 7
            nn.SiLU(),
            nn.Flatten(),
        )
        self.posterior = _PosteriorHead(64 * 7 * 7, latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 64 * 7 * 7),
            nn.Unflatten(1, (64, 7, 7)),
            nn.GroupNorm(8, 64),
            nn.SiLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),  # 7 -> 14
            nn.GroupNorm(8, 32),
            nn.SiLU(),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),  # 14 -> 28
            nn.Sigmoid(),
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim) and unbounded, of images (B, 1, 28, 28)."""
        return self.posterior(self.body(x))

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities (B, 1, 28, 28) in [0, 1] of latents (B, latent_dim)."""
        return self.decoder(z)

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar), as in `VAE`."""
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps=eps, generator=generator)), mu, logvar


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
    for name, value in {"step": step, "warmup_steps": warmup_steps, "beta_max": beta_max}.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value}")
    if step >= warmup_steps:
        return float(beta_max)
    return beta_max * step / warmup_steps


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
    if not free_bits >= 0:
        raise ValueError(f"free_bits must not be negative, got {free_bits}")
    if group_size < 1 or mu.shape[1] % group_size:
        raise ValueError(f"group_size must divide the {mu.shape[1]} latent dimensions, got {group_size}")
    groups = (-1, group_size)
    per_group = kl_divergence(mu.unflatten(1, groups), logvar.unflatten(1, groups)).mean(0)
    return per_group.clamp(min=free_bits).sum()


def generate(model: VAE | ConvVAE, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
    """New images: decode draws z ~ N(0, I) of `model.latent_dim` dimensions.

    Eval mode, no gradients; afterwards the model has the mode it had before.

    Returns:
        (num_samples, 1, s, s), with the device and dtype of the model.
    """
    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        return twin.decode(_prior_draws(twin, num_samples, generator))


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
    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        start, end = twin.encode(x1)[0], twin.encode(x2)[0]
        weights = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device).unsqueeze(1)
        return twin.decode(torch.lerp(start, end, weights))


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
        side = _side(input_dim)
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.body = _encoder_body(input_dim + num_classes, hidden_dim)
        self.posterior = _PosteriorHead(hidden_dim, latent_dim)
        self.decoder = _decoder(latent_dim + num_classes, hidden_dim, side)

    def _given(self, features: Tensor, y: Tensor) -> Tensor:
        """`features` with the class `y` beside them, one-hot."""
        _check_labels("y", y, self.num_classes)
        return torch.cat((features, F.one_hot(y, self.num_classes).to(features.dtype)), dim=1)

    def encode(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim), of images (B, 1, s, s) with classes `y` (B,) int64.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        return self.posterior(self.body(self._given(x.flatten(1), y)))

    def decode(self, z: Tensor, y: Tensor) -> Tensor:
        """Probabilities (B, 1, s, s) in [0, 1] of latents (B, latent_dim) with classes `y` (B,) int64.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        return self.decoder(self._given(z, y))

    def forward(
        self, x: Tensor, y: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar), as in `VAE`, everything given the class `y`.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        mu, logvar = self.encode(x, y)
        z = reparameterize(mu, logvar, eps=eps, generator=generator)
        return self.decode(z, y).reshape(x.shape), mu, logvar


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
    _check_labels("labels", labels, model.num_classes)
    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        z = _prior_draws(twin, len(labels), generator)
        return twin.decode(z, labels.to(z.device))
