"""Question 4, and the linear autoencoder of Question 3: architectures, reconstruction losses, sparsity penalties."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1
"""Of the leaky rectifiers."""
DROPOUT = 0.05
MOMENTUM = 0.2
"""Share of the newest batch in the running statistics."""


# Helpers that check arguments.


def image_side(input_dim: int) -> int:
    """s of images with s^2 = `input_dim` pixels."""
    side = math.isqrt(max(input_dim, 0))
    if side < 1 or side * side != input_dim:
        raise ValueError(f"input_dim must be a square number, got {input_dim}")
    return side


def check_same_shape(**tensors: Tensor) -> None:
    """Two named tensors must have the same shape: nothing broadcasts."""
    (name, tensor), (other_name, other) = tensors.items()
    if tensor.shape != other.shape:
        raise ValueError(f"{name} and {other_name} differ in shape: {tuple(tensor.shape)} and {tuple(other.shape)}")


def _at_least(lowest: int, **arguments: int) -> None:
    for name, value in arguments.items():
        if value < lowest:
            raise ValueError(f"{name} must be at least {lowest}, got {value}")


# Building blocks.


class SafeBatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation that takes its running statistics where a training batch of one row has none of its own."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) < 2:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)


def dense_layer(inputs: int, outputs: int) -> list[nn.Module]:
    """Affine map, normalisation, non-linearity."""
    return [nn.Linear(inputs, outputs), SafeBatchNorm1d(outputs, momentum=MOMENTUM), nn.LeakyReLU(SLOPE)]


def conv_layer(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """The same with a 3x3 convolution; a stride of 2 halves an even height and rounds up an odd one."""
    convolution = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1)
    return [convolution, nn.BatchNorm2d(outputs, momentum=MOMENTUM), nn.LeakyReLU(SLOPE)]


class Residual(nn.Module):
    """x + body(x)."""

    body: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class DenseResidual(Residual):
    """Residual block of perceptrons."""

    def __init__(self, width: int, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.body = nn.Sequential(*dense_layer(width, width), nn.Dropout(dropout), nn.Linear(width, width))


class ConvResidual(Residual):
    """Residual block of convolutions."""

    def __init__(self, channels: int, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_layer(channels, channels),
            nn.Dropout2d(dropout),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        )


def initialise(model: nn.Module, gain: float | None = None) -> None:
    """Xavier weights for every affine layer and convolution, and no biases."""
    if gain is None:
        gain = nn.init.calculate_gain("leaky_relu", SLOPE)
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight, gain=gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


# The models.


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
        self.side = image_side(input_dim)
        self.encoder = nn.Linear(input_dim, latent_dim)
        self.decoder = nn.Linear(latent_dim, input_dim)
        initialise(self, gain=1.0)

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, s, s)` -> codes `(B, latent_dim)`."""
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, s, s)`, unbounded."""
        return self.decoder(z).unflatten(1, (1, self.side, self.side))

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
        self.side = image_side(input_dim)
        self.encoder = nn.Sequential(
            *dense_layer(input_dim, 256),
            DenseResidual(256),
            *dense_layer(256, 128),
            nn.Linear(128, latent_dim),
        )
        self.decoder = nn.Sequential(
            *dense_layer(latent_dim, 128),
            *dense_layer(128, 256),
            DenseResidual(256),
            nn.Linear(256, input_dim),
            nn.Sigmoid(),
        )
        initialise(self)

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, s, s)` -> codes `(B, latent_dim)`, of either sign and any size."""
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, s, s)` in [0, 1]."""
        return self.decoder(z).unflatten(1, (1, self.side, self.side))

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
            *conv_layer(1, 16, stride=2),  # 28 -> 14
            ConvResidual(16),
            *conv_layer(16, 32, stride=2),  # 14 -> 7
            nn.Conv2d(32, latent_dim, kernel_size=7),  # 7 -> 1
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(latent_dim, 32, kernel_size=7),  # 1 -> 7
            nn.BatchNorm2d(32, momentum=MOMENTUM),
            nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(32, 16, kernel_size=4, stride=2, padding=1),  # 7 -> 14
            nn.BatchNorm2d(16, momentum=MOMENTUM),
            nn.LeakyReLU(SLOPE),
            ConvResidual(16),
            nn.ConvTranspose2d(16, 1, kernel_size=4, stride=2, padding=1),  # 14 -> 28
            nn.Sigmoid(),
        )
        initialise(self)

    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, 1, 28, 28)` -> codes `(B, latent_dim)`."""
        return self.encoder(x).flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        """Codes `(B, latent_dim)` -> images `(B, 1, 28, 28)` in [0, 1]."""
        return self.decoder(z[:, :, None, None])

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
        self.down = nn.ModuleList(
            [
                nn.Sequential(*conv_layer(1, 16), ConvResidual(16)),  # at 28
                nn.Sequential(*conv_layer(16, 32), ConvResidual(32)),  # at 14
            ]
        )
        self.pool = nn.MaxPool2d(2)
        self.to_code = nn.Sequential(*conv_layer(32, 32), nn.Flatten(), nn.Linear(32 * 7 * 7, latent_dim))
        self.from_code = nn.Sequential(nn.Linear(latent_dim, 32 * 7 * 7), nn.Unflatten(1, (32, 7, 7)), *conv_layer(32, 32))
        self.up = nn.ModuleList(
            [
                nn.ConvTranspose2d(32, 32, kernel_size=2, stride=2),  # 7 -> 14
                nn.ConvTranspose2d(32, 16, kernel_size=2, stride=2),  # 14 -> 28
            ]
        )
        self.join = nn.ModuleList(
            [
                nn.Sequential(*conv_layer(32 + 32, 32), ConvResidual(32)),
                nn.Sequential(*conv_layer(16 + 16, 16), ConvResidual(16)),
            ]
        )
        self.to_image = nn.Sequential(nn.Conv2d(16, 1, kernel_size=1), nn.Sigmoid())
        initialise(self)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Images `(B, 1, 28, 28)` -> `(z, skips)`.

        `z` has shape `(B, latent_dim)`; `skips` lists the feature maps `(B, C, 28, 28)`, `(B, C', 14, 14)` as they were
        before each pooling, largest first.
        """
        skips = []
        maps = x
        for block in self.down:
            maps = block(maps)
            skips.append(maps)
            maps = self.pool(maps)
        return self.to_code(maps), skips

    def decode(self, z: Tensor, skips: list[Tensor]) -> Tensor:
        """Codes `(B, latent_dim)` and the skips of `encode` -> images `(B, 1, 28, 28)` in [0, 1]."""
        maps = self.from_code(z)
        for up, join, skip in zip(self.up, self.join, reversed(skips), strict=True):
            maps = join(concat_skip(up(maps), skip))
        return self.to_image(maps)

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
    shapes = tuple(upsampled.shape), tuple(skip.shape)
    first, second = ((shape[0], *shape[2:]) if len(shape) == 4 else None for shape in shapes)
    if first is None or first != second:
        raise ValueError(f"upsampled and skip must agree in B, H and W, got shapes {shapes[0]} and {shapes[1]}")
    return torch.cat([upsampled, skip], dim=1)


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
    _at_least(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _at_least(0, padding=padding)
    result = (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    if result < 1:
        raise ValueError(
            f"a kernel of kernel_size={kernel_size}, dilation={dilation} does not fit into size={size} with "
            f"padding={padding}: the output size would be {result}"
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
    _at_least(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _at_least(0, padding=padding, output_padding=output_padding)
    result = (size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1
    if result < 1:
        raise ValueError(
            f"padding={padding} leaves nothing of size={size}, kernel_size={kernel_size}, stride={stride}, "
            f"dilation={dilation}, output_padding={output_padding}: the output size would be {result}"
        )
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
    check_same_shape(x_recon=x_recon, x=x)
    return (x_recon - x).square().sum() / len(x)


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
    check_same_shape(x_recon=x_recon, x=x)
    # PyTorch's own cuts each logarithm off at -100
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
    check_same_shape(logits=logits, x=x)
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
        raise ValueError(f"rho must lie between 0 and 1, got {rho}")
    limits = torch.finfo(activations.dtype)
    on = activations.mean(dim=0)
    log_on = on.clamp(min=limits.tiny).log()
    log_off = (1 - on).clamp(min=limits.eps).log()
    per_unit = rho * (math.log(rho) - log_on) + (1 - rho) * (math.log1p(-rho) - log_off)
    return per_unit.sum()
