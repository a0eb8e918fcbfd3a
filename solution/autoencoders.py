"""Question 4, and the linear autoencoder of Question 3: architectures, reconstruction losses, sparsity penalties."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# begin private


def _image_side(input_dim: int) -> int:
    """The side s of a square image of s^2 = `input_dim` pixels."""
    side = math.isqrt(max(input_dim, 0))
    if side == 0 or side * side != input_dim:
        raise ValueError(f"input_dim must be a square number, got {input_dim}")
    return side


def _check_same_shape(name: str, prediction: Tensor, x: Tensor) -> None:
    """Raise unless the shapes agree: (B, 784) against (B, 1, 28, 28) might broadcast silently otherwise."""
    if prediction.shape != x.shape:
        raise ValueError(f"{name} and x must have the same shape, got {tuple(prediction.shape)} and {tuple(x.shape)}")


def _check_at_least(least: int, **arguments: int) -> None:
    """Raise unless every argument is `least` or more."""
    for name, value in arguments.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def _transposed_conv(
    in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int = 0
) -> nn.ConvTranspose2d:
    """A transposed convolution whose weights start with variance 1 / fan-in.

    PyTorch's default divides by out_channels * kernel_size^2 instead: for the step 1 -> 7 that is 24 times the fan-in,
    and the decoder then stays at the mean image for a whole epoch on 10 000 images. Here an output pixel lies under
    (kernel_size / stride)^2 placements of the kernel, each with in_channels weights.
    """
    layer = nn.ConvTranspose2d(in_channels, out_channels, kernel_size, stride, padding)
    fan_in = in_channels * (kernel_size // stride) ** 2
    nn.init.normal_(layer.weight, std=fan_in**-0.5)
    return layer


# end private


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
        # begin solution Q3
        self.side = _image_side(input_dim)
        self.encoder = nn.Linear(input_dim, latent_dim)
        self.decoder = nn.Linear(latent_dim, input_dim)
        # end solution

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, s, s)` -> codes `(B, latent_dim)`."""
        # begin solution Q3
        z: Tensor = self.encoder(x.flatten(1))
        return z
        # end solution

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, s, s)`, unbounded."""
        # begin solution Q3
        pixels: Tensor = self.decoder(z)
        return pixels.reshape(-1, 1, self.side, self.side)
        # end solution

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, s, s)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        # begin solution Q3
        z = self.encode(x)
        return self.decode(z).reshape(x.shape), z
        # end solution


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
        # begin solution Q4
        self.side = _image_side(input_dim)
        self.encoder = nn.Sequential(
            nn.Linear(input_dim, 256),
            nn.ReLU(),
            nn.Linear(256, 128),
            nn.ReLU(),
            nn.Linear(128, latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 128),
            nn.ReLU(),
            nn.Linear(128, 256),
            nn.ReLU(),
            nn.Linear(256, input_dim),
            nn.Sigmoid(),
        )
        # end solution

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, s, s)` -> codes `(B, latent_dim)`, of either sign and any size."""
        # begin solution Q4
        z: Tensor = self.encoder(x.flatten(1))
        return z
        # end solution

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, s, s)` in [0, 1]."""
        # begin solution Q4
        pixels: Tensor = self.decoder(z)
        return pixels.reshape(-1, 1, self.side, self.side)
        # end solution

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, s, s)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        # begin solution Q4
        z = self.encode(x)
        return self.decode(z).reshape(x.shape), z
        # end solution


class ConvAutoencoder(nn.Module):
    """Strided convolutions 28 -> 14 -> 7 -> 1 as encoder and the way back as decoder, transposed or upsampled.

    The code is unbounded in both directions; the reconstruction lies in [0, 1]. `conv_output_size` and
    `conv_transpose_output_size` tell which paddings give these sizes.

    Args:
        latent_dim: size of the code, the number of channels of the 1x1 map.
    """

    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        # begin solution Q4
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, stride=2, padding=1),  # 28 -> 14
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, stride=2, padding=1),  # 14 -> 7
            nn.ReLU(),
            nn.Conv2d(32, latent_dim, kernel_size=7),  # 7 -> 1
        )
        self.decoder = nn.Sequential(
            _transposed_conv(latent_dim, 32, kernel_size=7, stride=7),  # 1 -> 7
            nn.ReLU(),
            _transposed_conv(32, 16, kernel_size=4, stride=2, padding=1),  # 7 -> 14
            nn.ReLU(),
            _transposed_conv(16, 1, kernel_size=4, stride=2, padding=1),  # 14 -> 28
            nn.Sigmoid(),
        )
        # end solution

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, 28, 28)` -> codes `(B, latent_dim)`."""
        # begin solution Q4
        maps: Tensor = self.encoder(x)  # (B, latent_dim, 1, 1)
        return maps.flatten(1)
        # end solution

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, 28, 28)` in [0, 1]."""
        # begin solution Q4
        x_recon: Tensor = self.decoder(z[:, :, None, None])
        return x_recon
        # end solution

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, 28, 28)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        # begin solution Q4
        z = self.encode(x)
        return self.decode(z), z
        # end solution


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
        # begin solution Q4
        self.down1 = nn.Conv2d(1, 8, kernel_size=3, padding=1)  # on 28 x 28
        self.down2 = nn.Conv2d(8, 16, kernel_size=3, padding=1)  # on 14 x 14
        self.down3 = nn.Conv2d(16, 32, kernel_size=3, padding=1)  # on 7 x 7
        self.to_code = nn.Linear(32 * 7 * 7, latent_dim)
        self.from_code = nn.Linear(latent_dim, 32 * 7 * 7)
        self.up2 = nn.ConvTranspose2d(32, 16, kernel_size=2, stride=2)  # 7 -> 14
        self.join2 = nn.Conv2d(16 + 16, 16, kernel_size=3, padding=1)
        self.up1 = nn.ConvTranspose2d(16, 8, kernel_size=2, stride=2)  # 14 -> 28
        self.join1 = nn.Conv2d(8 + 8, 1, kernel_size=3, padding=1)
        # end solution

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Images `(B, 1, 28, 28)` -> `(z, skips)`.

        `z` has shape `(B, latent_dim)`; `skips` lists the feature maps `(B, C, 28, 28)`, `(B, C', 14, 14)` as they were
        before each pooling, largest first.
        """
        # begin solution Q4
        full = torch.relu(self.down1(x))
        half = torch.relu(self.down2(nn.functional.max_pool2d(full, 2)))
        quarter = torch.relu(self.down3(nn.functional.max_pool2d(half, 2)))
        z: Tensor = self.to_code(quarter.flatten(1))
        return z, [full, half]
        # end solution

    def decode(self, z: Tensor, skips: list[Tensor]) -> Tensor:
        """Codes `(B, latent_dim)` and the skips of `encode` -> images `(B, 1, 28, 28)` in [0, 1]."""
        # begin solution Q4
        full, half = skips
        quarter = torch.relu(self.from_code(z)).reshape(-1, 32, 7, 7)
        joined = torch.relu(self.join2(concat_skip(torch.relu(self.up2(quarter)), half)))
        return torch.sigmoid(self.join1(concat_skip(torch.relu(self.up1(joined)), full)))
        # end solution

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, 28, 28)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        # begin solution Q4
        z, skips = self.encode(x)
        return self.decode(z, skips), z
        # end solution


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
    # begin solution Q4
    if upsampled.shape[:1] + upsampled.shape[2:] != skip.shape[:1] + skip.shape[2:]:
        raise ValueError(
            "upsampled and skip must agree in B, H and W, "
            f"got upsampled of shape {tuple(upsampled.shape)} and skip of shape {tuple(skip.shape)}"
        )
    return torch.cat([upsampled, skip], dim=1)
    # end solution


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
    # begin solution Q4
    _check_at_least(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_at_least(0, padding=padding)
    extent = dilation * (kernel_size - 1) + 1
    output_size = (size + 2 * padding - extent) // stride + 1
    _check_at_least(1, output_size=output_size)
    return output_size
    # end solution


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
    # begin solution Q4
    _check_at_least(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_at_least(0, padding=padding, output_padding=output_padding)
    extent = dilation * (kernel_size - 1) + 1
    output_size = (size - 1) * stride - 2 * padding + extent + output_padding
    _check_at_least(1, output_size=output_size)
    return output_size
    # end solution


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
    # begin solution Q4
    _check_same_shape("x_recon", x_recon, x)
    return (x_recon - x).square().sum() / len(x)
    # end solution


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
    # begin solution Q4
    _check_same_shape("x_recon", x_recon, x)
    # PyTorch bounds each logarithm below by -100, which keeps log 0 finite.
    return nn.functional.binary_cross_entropy(x_recon, x, reduction="sum") / len(x)
    # end solution


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
    # begin solution Q4
    _check_same_shape("logits", logits, x)
    return nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    # end solution


def l1_sparsity(z: Tensor) -> Tensor:
    """L1 penalty on a code, sum_j |z_j|, averaged over the batch.

    Args:
        z: `(B, L)`, the codes.

    Returns:
        `()`.
    """
    # begin solution Q4
    return z.abs().sum() / len(z)
    # end solution


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
    # begin solution Q4
    if not 0 < rho < 1:
        raise ValueError(f"rho must be between 0 and 1, got {rho}")
    eps = torch.finfo(activations.dtype).eps
    mean = activations.mean(0).clamp(eps, 1 - eps)  # keeps both logarithms finite
    cross_entropy = -(rho * mean.log() + (1 - rho) * torch.log1p(-mean)).sum()
    entropy = -(rho * math.log(rho) + (1 - rho) * math.log1p(-rho))
    return cross_entropy - len(mean) * entropy
    # end solution
