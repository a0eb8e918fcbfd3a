"""Questions 8 and 9: variational autoencoders (arXiv:1312.6114), also conditioned on a class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .autoencoders import (
    SLOPE,
    ConvResidual,
    DenseResidual,
    bce_loss,
    conv_layer,
    dense_layer,
    image_side,
    initialise,
)
from .gaussians import kl_divergence
from .training import device_of, evaluating


# Building blocks and helpers.


class PosteriorHead(nn.Module):
    """Features -> (mu, logvar); starts near N(0, I) so that the first steps are calm."""

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.mu = nn.Linear(features, latent_dim)
        self.logvar = nn.Linear(features, latent_dim)
        nn.init.xavier_uniform_(self.mu.weight)
        nn.init.xavier_uniform_(self.logvar.weight, gain=0.1)
        nn.init.zeros_(self.mu.bias)
        nn.init.zeros_(self.logvar.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.mu(features), self.logvar(features)


def dense_decoder(inputs: int, hidden_dim: int, outputs: int) -> nn.Sequential:
    """Latents, perhaps with a class, -> probabilities."""
    return nn.Sequential(
        *dense_layer(inputs, hidden_dim),
        DenseResidual(hidden_dim),
        nn.LeakyReLU(SLOPE),
        nn.Linear(hidden_dim, outputs),
        nn.Sigmoid(),
    )


def _not_negative(**arguments: float) -> None:
    for name, value in arguments.items():
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0, got {value}")


def _check_classes(name: str, labels: Tensor, num_classes: int) -> None:
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        raise ValueError(f"{name} must be in 0...{num_classes - 1}, got {labels[outside][0].item()}")


def _prior_draws(model: nn.Module, num_samples: int, generator: torch.Generator | None) -> Tensor:
    """Draws of N(0, I) with the device and dtype of the model."""
    tensors = (tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point())
    like = next(tensors, torch.empty(0, device=generator.device if generator else None))
    shape = (num_samples, model.latent_dim)
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)


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
        self.side = image_side(input_dim)
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential(*dense_layer(input_dim, hidden_dim), DenseResidual(hidden_dim), nn.LeakyReLU(SLOPE))
        self.posterior = PosteriorHead(hidden_dim, latent_dim)
        self.decoder = dense_decoder(latent_dim, hidden_dim, input_dim)
        initialise(self.encoder)
        initialise(self.decoder)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim) and unbounded, of images (B, 1, s, s)."""
        return self.posterior(self.encoder(x.flatten(1)))

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities (B, 1, s, s) in [0, 1] of latents (B, latent_dim)."""
        return self.decoder(z).unflatten(1, (1, self.side, self.side))

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar): encode, `reparameterize`, decode; a fresh sample each time, in both modes."""
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)).reshape(x.shape), mu, logvar


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
            *conv_layer(1, 16, stride=2),  # 28 -> 14
            ConvResidual(16),
            *conv_layer(16, 32, stride=2),  # 14 -> 7
            nn.Flatten(),
            *dense_layer(32 * 7 * 7, 128),
        )
        self.posterior = PosteriorHead(128, latent_dim)
        self.decoder = nn.Sequential(
            *dense_layer(latent_dim, 128),
            nn.Linear(128, 32 * 7 * 7),
            nn.Unflatten(1, (32, 7, 7)),
            nn.LeakyReLU(SLOPE),
            nn.Upsample(scale_factor=2),  # 7 -> 14
            *conv_layer(32, 16),
            ConvResidual(16),
            nn.Upsample(scale_factor=2),  # 14 -> 28
            *conv_layer(16, 16),
            nn.Conv2d(16, 1, kernel_size=3, padding=1),
            nn.Sigmoid(),
        )
        initialise(self.encoder)
        initialise(self.decoder)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim) and unbounded, of images (B, 1, 28, 28)."""
        return self.posterior(self.encoder(x))

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
    _not_negative(beta=beta)
    recon, kl = elbo_terms(x_recon, x, mu, logvar)
    return recon + beta * kl


def kl_annealing(step: int, warmup_steps: int, beta_max: float = 1.0) -> float:
    """Weight of the KL term at `step`, against posterior collapse early in training (arXiv:1511.06349).

    Rises linearly from 0 at step 0 to `beta_max` at step `warmup_steps` and stays there; always `beta_max` if
    `warmup_steps` is 0.

    Raises:
        ValueError: a negative argument.
    """
    _not_negative(step=step, warmup_steps=warmup_steps, beta_max=beta_max)
    return float(beta_max if step >= warmup_steps else beta_max * step / warmup_steps)


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
    _not_negative(free_bits=free_bits)
    dimensions = mu.shape[1]
    if group_size < 1 or dimensions % group_size:
        raise ValueError(f"group_size must divide the {dimensions} latent dimensions, got {group_size}")
    groups = zip(mu.split(group_size, dim=1), logvar.split(group_size, dim=1), strict=True)
    kls = torch.stack([kl_divergence(*group).mean() for group in groups])
    floor = torch.full_like(kls, free_bits)
    return torch.where(kls > floor, kls, floor).sum()


def generate(model: VAE | ConvVAE, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
    """New images: decode draws z ~ N(0, I) of `model.latent_dim` dimensions.

    Eval mode, no gradients; afterwards the model has the mode it had before.

    Returns:
        (num_samples, 1, s, s), with the device and dtype of the model.
    """
    with evaluating(model):
        return model.decode(_prior_draws(model, num_samples, generator))


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
    with evaluating(model):
        start, end = (model.encode(x.to(device_of(model, x)))[0] for x in (x1, x2))
        share = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device).unsqueeze(1)
        return model.decode((1 - share) * start + share * end)


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
        self.side = image_side(input_dim)
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.encoder = nn.Sequential(
            *dense_layer(input_dim + num_classes, hidden_dim), DenseResidual(hidden_dim), nn.LeakyReLU(SLOPE)
        )
        self.posterior = PosteriorHead(hidden_dim, latent_dim)
        self.decoder = dense_decoder(latent_dim + num_classes, hidden_dim, input_dim)
        initialise(self.encoder)
        initialise(self.decoder)

    def _with_class(self, rows: Tensor, y: Tensor) -> Tensor:
        """`rows` (B, F) and the classes as indicators: (B, F + num_classes)."""
        _check_classes("y", y, self.num_classes)
        return torch.cat([rows, F.one_hot(y, self.num_classes).to(rows.dtype)], dim=1)

    def encode(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim), of images (B, 1, s, s) with classes `y` (B,) int64.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        return self.posterior(self.encoder(self._with_class(x.flatten(1), y)))

    def decode(self, z: Tensor, y: Tensor) -> Tensor:
        """Probabilities (B, 1, s, s) in [0, 1] of latents (B, latent_dim) with classes `y` (B,) int64.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        return self.decoder(self._with_class(z, y)).unflatten(1, (1, self.side, self.side))

    def forward(
        self, x: Tensor, y: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar), as in `VAE`, everything given the class `y`.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        mu, logvar = self.encode(x, y)
        return self.decode(reparameterize(mu, logvar, eps, generator), y).reshape(x.shape), mu, logvar


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
    _check_classes("labels", labels, model.num_classes)
    with evaluating(model):
        z = _prior_draws(model, len(labels), generator)
        return model.decode(z, labels.to(z.device))
