"""Question 4, and the linear autoencoder of Question 3: architectures, reconstruction losses, sparsity penalties."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _side(input_dim: int) -> int:
    """s of images with `input_dim` = s^2 pixels."""
    side = math.isqrt(max(input_dim, 0))
    if side < 1 or side * side != input_dim:
        raise ValueError(f"input_dim must be a square number, got {input_dim}")
    return side


def _zero(layer: nn.Module) -> nn.Module:
    """`layer` with all parameters 0: training starts at the constant 1/2 instead of at noise."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    """Convolution that keeps the size, normalisation, non-linearity."""
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.GroupNorm(4, channels_out), nn.SiLU())


def _check_sizes(minimum: int, **sizes: int) -> None:
    """Raise ValueError for a size below `minimum`."""
    for name, value in sizes.items():
        if value < minimum:
            raise ValueError(f"{name} must be at least {minimum}, got {value}")


def _check_shapes(name: str, prediction: Tensor, target: Tensor) -> None:
    """Raise ValueError where broadcasting would hide a mistake."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"{name} and x must have the same shape, got {tuple(prediction.shape)} and {tuple(target.shape)}"
        )


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
        side = _side(input_dim)
        self.encoder = nn.Linear(input_dim, latent_dim)
        self.decoder = nn.Linear(latent_dim, input_dim)
        self.image = (1, side, side)

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, s, s)` -> codes `(B, latent_dim)`."""
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, s, s)`, unbounded."""
        return self.decoder(z).unflatten(1, self.image)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, s, s)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        z = self.encode(x)
        return self.decode(z).reshape(x.shape), z


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
        side = _side(input_dim)
        # No normalisation on the way in: it would bound the code.
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(input_dim, 256),
            nn.GELU(),
            nn.Linear(256, 128),
            nn.GELU(),
            nn.Linear(128, latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 128),
            nn.LayerNorm(128),
            nn.GELU(),
            nn.Linear(128, 256),
            nn.LayerNorm(256),
            nn.GELU(),
            _zero(nn.Linear(256, input_dim)),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, side, side)),
        )

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, s, s)` -> codes `(B, latent_dim)`, of either sign and any size."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, s, s)` in [0, 1]."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, s, s)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        z = self.encode(x)
        return self.decode(z).reshape(x.shape), z


class ConvAutoencoder(nn.Module):
    """Strided convolutions 28 -> 14 -> 7 -> 1 as encoder and the way back as decoder, transposed or upsampled.

    The code is unbounded in both directions; the reconstruction lies in [0, 1]. `conv_output_size` and
    `conv_transpose_output_size` tell which paddings give these sizes.

    Args:
        latent_dim: size of the code, the number of channels of the 1x1 map.
    """

    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),  # 28 -> 14
            nn.SiLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),  # 14 -> 7
            nn.SiLU(),
            nn.Conv2d(32, latent_dim, 7),  # 7 -> 1
            nn.Flatten(),
        )
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (latent_dim, 1, 1)),
            nn.ConvTranspose2d(latent_dim, 32, 7),  # 1 -> 7
            nn.GroupNorm(4, 32),
            nn.SiLU(),
            nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1),  # 7 -> 14
            nn.GroupNorm(4, 16),
            nn.SiLU(),
            _zero(nn.ConvTranspose2d(16, 1, 3, stride=2, padding=1, output_padding=1)),  # 14 -> 28
            nn.Sigmoid(),
        )

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, 28, 28)` -> codes `(B, latent_dim)`."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, 28, 28)` in [0, 1]."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, 28, 28)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        z = self.encode(x)
        return self.decode(z), z


class UNetAutoencoder(nn.Module):
    """A convolutional autoencoder with skip connections around its bottleneck.

    The encoder pools 28 -> 14 -> 7 and maps the 7x7 feature maps to a code; before each pooling it keeps a copy of its
    feature maps, a skip. The decoder goes the way back and joins each skip, through `concat_skip`, to its own maps of
    the same size. Both the code and every skip influence the output. The reconstruction lies in [0, 1].

    Source: Ronneberger et al., arXiv:1505.04597.

    Args:
        latent_dim: size of the code.
    """

    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.down1 = _block(1, 16)
        self.down2 = _block(16, 32)
        self.pool = nn.AvgPool2d(2)
        self.to_code = nn.Sequential(_block(32, 32), nn.Flatten(), nn.Linear(32 * 7 * 7, latent_dim))
        self.from_code = nn.Sequential(nn.Linear(latent_dim, 32 * 7 * 7), nn.Unflatten(1, (32, 7, 7)), _block(32, 32))
        self.up2 = nn.ConvTranspose2d(32, 32, 2, stride=2)  # 7 -> 14
        self.merge2 = _block(32 + 32, 32)
        self.up1 = nn.ConvTranspose2d(32, 16, 2, stride=2)  # 14 -> 28
        self.merge1 = _block(16 + 16, 16)
        self.head = nn.Conv2d(16, 1, 3, padding=1)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Images `(B, 1, 28, 28)` -> `(z, skips)`.

        `z` has shape `(B, latent_dim)`; `skips` lists the feature maps `(B, C, 28, 28)`, `(B, C', 14, 14)` as they were
        before each pooling, largest first.
        """
        first = self.down1(x)
        second = self.down2(self.pool(first))
        return self.to_code(self.pool(second)), [first, second]

    def decode(self, z: Tensor, skips: list[Tensor]) -> Tensor:
        """Codes `(B, latent_dim)` and the skips of `encode` -> images `(B, 1, 28, 28)` in [0, 1]."""
        first, second = skips
        h = self.merge2(concat_skip(self.up2(self.from_code(z)), second))
        h = self.merge1(concat_skip(self.up1(h), first))
        return torch.sigmoid(self.head(h))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(B, 1, 28, 28)` -> `(x_recon, z)`; `x_recon` has the shape of `x`."""
        z, skips = self.encode(x)
        return self.decode(z, skips), z


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

    def but_channels(maps: Tensor) -> tuple[int, ...]:
        return (*maps.shape[:1], *maps.shape[2:])

    if but_channels(upsampled) != but_channels(skip):
        raise ValueError(
            "upsampled and skip must agree in all but their channels, "
            f"got {tuple(upsampled.shape)} and {tuple(skip.shape)}"
        )
    return torch.cat((upsampled, skip), dim=1)


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
    _check_sizes(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_sizes(0, padding=padding)
    result = (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    if result < 1:
        raise ValueError(
            f"kernel_size {kernel_size} with dilation {dilation} does not fit into size {size} with padding {padding}: "
            f"output size {result}"
        )
    return result


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
    _check_sizes(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_sizes(0, padding=padding, output_padding=output_padding)
    result = (size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1
    if result < 1:
        raise ValueError(f"padding {padding} leaves nothing of size {size}: output size {result}")
    return result


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
    _check_shapes("x_recon", x_recon, x)
    return F.mse_loss(x_recon, x, reduction="sum") / len(x)


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
    _check_shapes("x_recon", x_recon, x)
    # The library's logarithms end at -100, its gradients stay finite.
    return F.binary_cross_entropy(x_recon, x, reduction="sum") / len(x)


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
    _check_shapes("logits", logits, x)
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)


def l1_sparsity(z: Tensor) -> Tensor:
    """L1 penalty on a code, sum_j |z_j|, averaged over the batch.

    Args:
        z: `(B, L)`, the codes.

    Returns:
        `()`.
    """
    return z.abs().sum() / len(z)


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
    if not 0 < rho < 1:
        raise ValueError(f"rho must lie strictly between 0 and 1, got {rho}")
    mean = activations.mean(0)
    # Pulled towards 1/2 by a rounding error: finite at 0 and 1, and there still with a gradient that leads away.
    eps = torch.finfo(mean.dtype).eps
    mean = eps + (1 - 2 * eps) * mean
    return (rho * (math.log(rho) - torch.log(mean)) + (1 - rho) * (math.log1p(-rho) - torch.log1p(-mean))).sum()
