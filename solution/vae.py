"""Questions 8 and 9: variational autoencoders (arXiv:1312.6114), also conditioned on a class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .autoencoders import bce_loss
from .gaussians import kl_divergence

# begin private
# isort: split
from .autoencoders import _image_side
from .training import evaluation_mode

# end private


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
    # begin solution Q8
    if eps is None:
        eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    return mu + torch.exp(0.5 * logvar) * eps
    # end solution


# begin private
def hidden_layers(in_features: int, hidden_dim: int) -> list[nn.Module]:
    """Two rectified affine layers, to be continued by an affine one."""
    return [nn.Linear(in_features, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, hidden_dim), nn.ReLU()]


def image_decoder(in_features: int, hidden_dim: int, input_dim: int) -> nn.Sequential:
    """(B, in_features) -> probabilities (B, 1, s, s), s^2 = input_dim."""
    side = _image_side(input_dim)
    output = [nn.Linear(hidden_dim, input_dim), nn.Sigmoid(), nn.Unflatten(1, (1, side, side))]
    return nn.Sequential(*hidden_layers(in_features, hidden_dim), *output)


# end private


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
        # begin solution Q8
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential(nn.Flatten(), *hidden_layers(input_dim, hidden_dim))
        self.to_mu = nn.Linear(hidden_dim, latent_dim)
        self.to_logvar = nn.Linear(hidden_dim, latent_dim)
        self.decoder = image_decoder(latent_dim, hidden_dim, input_dim)
        # end solution

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim) and unbounded, of images (B, 1, s, s)."""
        # begin solution Q8
        h = self.encoder(x)
        return self.to_mu(h), self.to_logvar(h)
        # end solution

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities (B, 1, s, s) in [0, 1] of latents (B, latent_dim)."""
        # begin solution Q8
        x_recon: Tensor = self.decoder(z)
        return x_recon
        # end solution

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar): encode, `reparameterize`, decode; a fresh sample each time, in both modes."""
        # begin solution Q8
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)), mu, logvar
        # end solution


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
        # begin solution Q8
        self.latent_dim = latent_dim
        # A kernel of 4 with stride 2 and padding 1 halves the sides, its transpose doubles them exactly.
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.to_mu = nn.Linear(32 * 7 * 7, latent_dim)
        self.to_logvar = nn.Linear(32 * 7 * 7, latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 32 * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (32, 7, 7)),
            nn.ConvTranspose2d(32, 16, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, kernel_size=4, stride=2, padding=1),
            nn.Sigmoid(),
        )
        # end solution

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim) and unbounded, of images (B, 1, 28, 28)."""
        # begin solution Q8
        h = self.encoder(x)
        return self.to_mu(h), self.to_logvar(h)
        # end solution

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities (B, 1, 28, 28) in [0, 1] of latents (B, latent_dim)."""
        # begin solution Q8
        x_recon: Tensor = self.decoder(z)
        return x_recon
        # end solution

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar), as in `VAE`."""
        # begin solution Q8
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps, generator)), mu, logvar
        # end solution


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
    # begin solution Q8
    return bce_loss(x_recon, x), kl_divergence(mu, logvar).mean()
    # end solution


def vae_loss(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Tensor:
    """recon + beta · kl with the terms of `elbo_terms` (beta-VAE, Higgins et al. 2017); -ELBO at beta = 1.

    Returns:
        Scalar tensor (), nats per image.

    Raises:
        ValueError: beta < 0.
    """
    # begin solution Q8
    if beta < 0:
        raise ValueError(f"beta must be at least 0, got {beta}")
    recon, kl = elbo_terms(x_recon, x, mu, logvar)
    return recon + beta * kl
    # end solution


def kl_annealing(step: int, warmup_steps: int, beta_max: float = 1.0) -> float:
    """Weight of the KL term at `step`, against posterior collapse early in training (arXiv:1511.06349).

    Rises linearly from 0 at step 0 to `beta_max` at step `warmup_steps` and stays there; always `beta_max` if
    `warmup_steps` is 0.

    Raises:
        ValueError: a negative argument.
    """
    # begin solution Q8
    for name, value in (("step", step), ("warmup_steps", warmup_steps), ("beta_max", beta_max)):
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value}")
    return float(beta_max) if step >= warmup_steps else beta_max * step / warmup_steps
    # end solution


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
    # begin solution Q8
    latent_dim = mu.shape[1]
    if free_bits < 0:
        raise ValueError(f"free_bits must be at least 0, got {free_bits}")
    if group_size < 1 or latent_dim % group_size:
        raise ValueError(f"group_size must divide the {latent_dim} latent dimensions, got {group_size}")
    # (B, L) -> (B·G, g): kl_divergence then sums over the g dimensions of a group.
    kl = kl_divergence(mu.reshape(-1, group_size), logvar.reshape(-1, group_size))
    # (B·G,) -> (B, G); the floor comes after the batch mean.
    return kl.reshape(-1, latent_dim // group_size).mean(dim=0).clamp(min=free_bits).sum()
    # end solution


# begin private
def prior_sample(model: VAE | ConvVAE | CVAE, num_samples: int, generator: torch.Generator | None) -> Tensor:
    """(num_samples, latent_dim) draws of p(z) = N(0, I), with the device and dtype of the model."""
    anchor = next(model.parameters(), torch.empty(0))
    shape = (num_samples, model.latent_dim)
    return torch.randn(shape, generator=generator, device=anchor.device, dtype=anchor.dtype)


# end private


def generate(model: VAE | ConvVAE, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
    """New images: decode draws z ~ N(0, I) of `model.latent_dim` dimensions.

    Eval mode, no gradients; afterwards the model has the mode it had before.

    Returns:
        (num_samples, 1, s, s), with the device and dtype of the model.
    """
    # begin solution Q8
    with evaluation_mode(model):
        return model.decode(prior_sample(model, num_samples, generator))
    # end solution


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
    # begin solution Q8
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}")
    with evaluation_mode(model):
        mu1, _ = model.encode(x1)
        mu2, _ = model.encode(x2)
        weight = torch.linspace(0, 1, steps, device=mu1.device, dtype=mu1.dtype)
        return model.decode(torch.lerp(mu1, mu2, weight.unsqueeze(1)))  # (1, L), (1, L), (steps, 1) -> (steps, L)
    # end solution


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
        # begin solution Q9
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        # As many N(0, 1) inputs as z has: a one-hot vector is drowned by z, and the decoder is slow to obey it.
        self.class_embedding = nn.Embedding(num_classes, latent_dim)
        self.encoder = nn.Sequential(*hidden_layers(input_dim + latent_dim, hidden_dim))
        self.to_mu = nn.Linear(hidden_dim, latent_dim)
        self.to_logvar = nn.Linear(hidden_dim, latent_dim)
        self.decoder = image_decoder(2 * latent_dim, hidden_dim, input_dim)
        # end solution

    # begin private
    def _with_class(self, features: Tensor, y: Tensor) -> Tensor:
        """(B, F) and (B,) -> (B, F + latent_dim): the embedded class joins the features."""
        outside = y[(y < 0) | (y >= self.num_classes)]
        if len(outside):
            raise ValueError(f"y must be in 0...{self.num_classes - 1}, got {outside.tolist()}")
        return torch.cat([features, self.class_embedding(y.to(features.device))], dim=1)

    # end private

    def encode(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim), of images (B, 1, s, s) with classes `y` (B,) int64.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        # begin solution Q9
        h = self.encoder(self._with_class(x.flatten(1), y))
        return self.to_mu(h), self.to_logvar(h)
        # end solution

    def decode(self, z: Tensor, y: Tensor) -> Tensor:
        """Probabilities (B, 1, s, s) in [0, 1] of latents (B, latent_dim) with classes `y` (B,) int64.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        # begin solution Q9
        x_recon: Tensor = self.decoder(self._with_class(z, y))
        return x_recon
        # end solution

    def forward(
        self, x: Tensor, y: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar), as in `VAE`, everything given the class `y`.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        # begin solution Q9
        mu, logvar = self.encode(x, y)
        return self.decode(reparameterize(mu, logvar, eps, generator), y), mu, logvar
        # end solution


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
    # begin solution Q9
    with evaluation_mode(model):
        return model.decode(prior_sample(model, len(labels), generator), labels)
    # end solution
