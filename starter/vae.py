"""Questions 8 and 9: variational autoencoders (arXiv:1312.6114), also conditioned on a class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .autoencoders import bce_loss
from .gaussians import kl_divergence


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
    raise NotImplementedError("Question 8: reparameterize")


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
        raise NotImplementedError("Question 8: VAE.__init__")

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim) and unbounded, of images (B, 1, s, s)."""
        raise NotImplementedError("Question 8: VAE.encode")

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities (B, 1, s, s) in [0, 1] of latents (B, latent_dim)."""
        raise NotImplementedError("Question 8: VAE.decode")

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar): encode, `reparameterize`, decode; a fresh sample each time, in both modes."""
        raise NotImplementedError("Question 8: VAE.forward")


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
        raise NotImplementedError("Question 8: ConvVAE.__init__")

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim) and unbounded, of images (B, 1, 28, 28)."""
        raise NotImplementedError("Question 8: ConvVAE.encode")

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities (B, 1, 28, 28) in [0, 1] of latents (B, latent_dim)."""
        raise NotImplementedError("Question 8: ConvVAE.decode")

    def forward(
        self, x: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar), as in `VAE`."""
        raise NotImplementedError("Question 8: ConvVAE.forward")


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
    raise NotImplementedError("Question 8: elbo_terms")


def vae_loss(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Tensor:
    """recon + beta · kl with the terms of `elbo_terms` (beta-VAE, Higgins et al. 2017); -ELBO at beta = 1.

    Returns:
        Scalar tensor (), nats per image.

    Raises:
        ValueError: beta < 0.
    """
    raise NotImplementedError("Question 8: vae_loss")


def kl_annealing(step: int, warmup_steps: int, beta_max: float = 1.0) -> float:
    """Weight of the KL term at `step`, against posterior collapse early in training (arXiv:1511.06349).

    Rises linearly from 0 at step 0 to `beta_max` at step `warmup_steps` and stays there; always `beta_max` if
    `warmup_steps` is 0.

    Raises:
        ValueError: a negative argument.
    """
    raise NotImplementedError("Question 8: kl_annealing")


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
    raise NotImplementedError("Question 8: free_bits_kl")


def generate(model: VAE | ConvVAE, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
    """New images: decode draws z ~ N(0, I) of `model.latent_dim` dimensions.

    Eval mode, no gradients; afterwards the model has the mode it had before.

    Returns:
        (num_samples, 1, s, s), with the device and dtype of the model.
    """
    raise NotImplementedError("Question 8: generate")


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
    raise NotImplementedError("Question 8: interpolate")


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
        raise NotImplementedError("Question 9: CVAE.__init__")

    def encode(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (mu, logvar), both (B, latent_dim), of images (B, 1, s, s) with classes `y` (B,) int64.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        raise NotImplementedError("Question 9: CVAE.encode")

    def decode(self, z: Tensor, y: Tensor) -> Tensor:
        """Probabilities (B, 1, s, s) in [0, 1] of latents (B, latent_dim) with classes `y` (B,) int64.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        raise NotImplementedError("Question 9: CVAE.decode")

    def forward(
        self, x: Tensor, y: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar), as in `VAE`, everything given the class `y`.

        Raises:
            ValueError: an entry of `y` outside 0 ... num_classes - 1.
        """
        raise NotImplementedError("Question 9: CVAE.forward")


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
    raise NotImplementedError("Question 9: generate_class")
