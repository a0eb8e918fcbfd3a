"""Question 4, and the linear autoencoder of Question 3: architectures, reconstruction losses, sparsity penalties."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LinearAutoencoder(nn.Module):
    """One affine encoder and one affine decoder, z = W_e x + b_e and x_recon = W_d z + b_d, no activation anywhere.

    Trained on squared error it finds the subspace of the principal components, though not the components themselves.
    Source: Baldi and Hornik, Neural Networks 2, 1989; Plaut, arXiv:1804.10253.

    Args:
        input_dim: number of pixels, a square number s^2.
        latent_dim: size of the code.

    Raises:
        ValueError: `input_dim` is not a square number.
    """

    def __init__(self, input_dim: int = 784, latent_dim: int = 32) -> None:
        super().__init__()
        raise NotImplementedError("Question 3: LinearAutoencoder.__init__")

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, s, s)` -> codes `(B, latent_dim)`."""
        raise NotImplementedError("Question 3: LinearAutoencoder.encode")

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, s, s)`, unbounded."""
        raise NotImplementedError("Question 3: LinearAutoencoder.decode")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, s, s)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        raise NotImplementedError("Question 3: LinearAutoencoder.forward")


class VanillaAutoencoder(nn.Module):
    """A multilayer perceptron with non-linearities as encoder, and its mirror image as decoder.

    The code is unbounded in both directions; the reconstruction lies in [0, 1].

    Args:
        input_dim: number of pixels, a square number s^2.
        latent_dim: size of the code.

    Raises:
        ValueError: `input_dim` is not a square number.
    """

    def __init__(self, input_dim: int = 784, latent_dim: int = 32) -> None:
        super().__init__()
        raise NotImplementedError("Question 4: VanillaAutoencoder.__init__")

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, s, s)` -> codes `(B, latent_dim)`, of either sign and any size."""
        raise NotImplementedError("Question 4: VanillaAutoencoder.encode")

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, s, s)` in [0, 1]."""
        raise NotImplementedError("Question 4: VanillaAutoencoder.decode")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, s, s)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        raise NotImplementedError("Question 4: VanillaAutoencoder.forward")


class ConvAutoencoder(nn.Module):
    """Strided convolutions 28 -> 14 -> 7 -> 1 as encoder and the way back as decoder, transposed or upsampled.

    The code is unbounded in both directions; the reconstruction lies in [0, 1]. `conv_output_size` and
    `conv_transpose_output_size` tell which paddings give these sizes.

    Args:
        latent_dim: size of the code, the number of channels of the 1x1 map.
    """

    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        raise NotImplementedError("Question 4: ConvAutoencoder.__init__")

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, 28, 28)` -> codes `(B, latent_dim)`."""
        raise NotImplementedError("Question 4: ConvAutoencoder.encode")

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, 28, 28)` in [0, 1]."""
        raise NotImplementedError("Question 4: ConvAutoencoder.decode")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, 28, 28)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        raise NotImplementedError("Question 4: ConvAutoencoder.forward")


class UNetAutoencoder(nn.Module):
    """A convolutional autoencoder with skip connections around its bottleneck.

    The encoder pools 28 -> 14 -> 7 and maps the 7x7 feature maps to a code; before each pooling it keeps its feature
    maps, a skip. The decoder goes the way back and joins each skip, through `concat_skip`, to its own maps of
    the same size. Both the code and every skip influence the output. The reconstruction lies in [0, 1].

    Source: Ronneberger et al., arXiv:1505.04597.

    Args:
        latent_dim: size of the code.
    """

    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        raise NotImplementedError("Question 4: UNetAutoencoder.__init__")

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Images `(B, 1, 28, 28)` -> `(z, skips)`.

        `z` has shape `(B, latent_dim)`; `skips` lists the feature maps `(B, C, 28, 28)`, `(B, C', 14, 14)` as they were
        before each pooling, largest first.
        """
        raise NotImplementedError("Question 4: UNetAutoencoder.encode")

    def decode(self, z: Tensor, skips: list[Tensor]) -> Tensor:
        """Codes `(B, latent_dim)` and the skips of `encode` -> images `(B, 1, 28, 28)` in [0, 1]."""
        raise NotImplementedError("Question 4: UNetAutoencoder.decode")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, 28, 28)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        raise NotImplementedError("Question 4: UNetAutoencoder.forward")


def concat_skip(upsampled: Tensor, skip: Tensor) -> Tensor:
    """Join a skip connection to the decoder's feature maps: concatenation along the channels, `upsampled` first.

    Args:
        upsampled: `(B, C_1, H, W)`, the decoder's maps.
        skip: `(B, C_2, H, W)`, the encoder's maps.

    Returns:
        `(B, C_1 + C_2, H, W)`.

    Raises:
        ValueError: B, H or W differ; the message names both shapes.
    """
    raise NotImplementedError("Question 4: concat_skip")


def conv_output_size(size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Height or width of the output of a convolution.

    floor((size + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1

    Source: Dumoulin and Visin, arXiv:1603.07285; `torch.nn.Conv2d`.

    Args:
        size: height or width of the input, in pixels.
        kernel_size: size of the kernel.
        stride: step of the kernel.
        padding: pixels added on each of the two sides.
        dilation: distance between neighbouring taps of the kernel.

    Returns:
        The size of the output in pixels, at least 1.

    Raises:
        ValueError: the result is below 1; or `size`, `kernel_size`, `stride` or `dilation` is below 1; or `padding` is
            negative.
    """
    raise NotImplementedError("Question 4: conv_output_size")


def conv_transpose_output_size(
    size: int, kernel_size: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Height or width of the output of a transposed convolution.

    (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1

    Source: Dumoulin and Visin, arXiv:1603.07285; `torch.nn.ConvTranspose2d`.

    Args:
        size: height or width of the input, in pixels.
        kernel_size: size of the kernel.
        stride: step between the places where neighbouring inputs put the kernel.
        padding: pixels cut off on each of the two sides.
        output_padding: pixels added on one side: with a stride, several input sizes of a convolution share an output
            size, and this tells which of them is meant.
        dilation: distance between neighbouring taps of the kernel.

    Returns:
        The size of the output in pixels, at least 1.

    Raises:
        ValueError: the result is below 1; or `size`, `kernel_size`, `stride` or `dilation` is below 1; or `padding` or
            `output_padding` is negative.
    """
    raise NotImplementedError("Question 4: conv_transpose_output_size")


def mse_loss(x_recon: Tensor, x: Tensor) -> Tensor:
    """Squared error per image: summed over the pixels, averaged over the batch.

    1/B sum_b |x_recon_b - x_b|^2

    Args:
        x_recon: `(B, ...)`, the reconstruction.
        x: the target, of the same shape.

    Returns:
        `()`.

    Raises:
        ValueError: the shapes differ (they never broadcast).
    """
    raise NotImplementedError("Question 4: mse_loss")


def bce_loss(x_recon: Tensor, x: Tensor) -> Tensor:
    """Binary cross-entropy of probabilities, in nats per image: summed over the pixels, averaged over the batch.

    -1/B sum_b sum_i [x_bi log p_bi + (1 - x_bi) log(1 - p_bi)] with p = x_recon

    It is finite where a probability is 0 or 1, also where the target says otherwise.

    Args:
        x_recon: `(B, ...)`, probabilities in [0, 1].
        x: the target in [0, 1], of the same shape.

    Returns:
        `()`.

    Raises:
        ValueError: the shapes differ.
    """
    raise NotImplementedError("Question 4: bce_loss")


def bce_with_logits_loss(logits: Tensor, x: Tensor) -> Tensor:
    """Binary cross-entropy from logits, in nats per image: `bce_loss` of p = 1 / (1 + exp(-logits)).

    Values are finite and gradients are correct, (p - x) / B, also for logits of -1000 and 1000.

    Args:
        logits: `(B, ...)`, unbounded.
        x: the target in [0, 1], of the same shape.

    Returns:
        `()`.

    Raises:
        ValueError: the shapes differ.
    """
    raise NotImplementedError("Question 4: bce_with_logits_loss")


def l1_sparsity(z: Tensor) -> Tensor:
    """L1 penalty on a code, sum_j |z_j|, averaged over the batch.

    Args:
        z: `(B, L)`, the codes.

    Returns:
        `()`.
    """
    raise NotImplementedError("Question 4: l1_sparsity")


def kl_sparsity(activations: Tensor, rho: float = 0.05) -> Tensor:
    """Penalty on units whose mean activation is not rho, in nats: sum_j KL(Bernoulli(rho) || Bernoulli(rho_j)).

    rho_j is the mean of unit j over the batch, and
    KL(Bernoulli(rho) || Bernoulli(r)) = rho log(rho / r) + (1 - rho) log((1 - rho) / (1 - r)).
    It is finite when a unit is always 0 or always 1.

    Source: Ng, Sparse autoencoder, Stanford CS294A lecture notes, 2011.

    Args:
        activations: `(B, L)`, in [0, 1].
        rho: the wanted mean activation.

    Returns:
        `()`, summed over the L units.

    Raises:
        ValueError: not 0 < rho < 1.
    """
    raise NotImplementedError("Question 4: kl_sparsity")
