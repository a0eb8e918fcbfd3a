"""Question 4, and the linear autoencoder of Question 3: architectures, reconstruction losses, sparsity penalties."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


# Helpers, also for the other files.


@lru_cache(maxsize=None)
def _side_of(input_dim: int) -> int:
    """s of a square number s^2."""
    side = math.isqrt(input_dim) if input_dim > 0 else 0
    if side < 1 or side * side != input_dim:
        raise ValueError(f"input_dim must be a square number, got {input_dim}")
    return side


def _modes(module: nn.Module) -> list[tuple[nn.Module, bool]]:
    """The mode of a module and of everything inside it."""
    return [(module, module.training), *(pair for child in module.children() for pair in _modes(child))]


@contextmanager
def _mode_kept(model: nn.Module) -> Iterator[None]:
    """Whatever happens inside, every module has its former mode afterwards."""
    before = _modes(model)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside, the former modes afterwards."""
    with _mode_kept(model), torch.no_grad():
        model.eval()
        yield


def _like_model(model: nn.Module, device: Any = None) -> Tensor:
    """An empty tensor with the device and the floating type of a model."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            return tensor.detach().new_empty(0)
    return torch.empty(0, device=device)


class _Affine(nn.Module):
    """x A + b, with A `(inputs, outputs)`."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(inputs, outputs) * (gain / math.sqrt(inputs)))
        self.offset = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix + self.offset


class _Convolution(nn.Module):
    """Convolution with explicit weights."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.randn(outputs, inputs, size, size) / math.sqrt(inputs * size * size))
        self.offset = nn.Parameter(torch.zeros(outputs))
        self.stride = stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.taps, self.offset, stride=self.stride, padding=self.padding)


class _Swish(nn.Module):
    """x / (1 + exp(-x))."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class _Doubling(nn.Module):
    """Twice the height and width: a convolution to four times the channels, which then become 2x2 blocks."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.expand = _Convolution(inputs, 4 * outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.expand(x)
        b, c, height, width = h.shape
        blocks = h.reshape(b, c // 4, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3)
        return blocks.reshape(b, c // 4, 2 * height, 2 * width)


def _perceptron(*sizes: int) -> nn.Sequential:
    """Affine layers, with a normalised swish between each two."""
    layers: list[nn.Module] = []
    for i in range(len(sizes) - 1):
        if i:
            layers += [nn.LayerNorm(sizes[i]), _Swish()]
        layers.append(_Affine(sizes[i], sizes[i + 1]))
    return nn.Sequential(*layers)


class LinearAutoencoder(nn.Module):
    """One affine encoder and one affine decoder."""

    def __init__(self, input_dim: int = 784, latent_dim: int = 32) -> None:
        super().__init__()
        self.side = _side_of(input_dim)
        self.w_e = nn.Parameter(torch.randn(latent_dim, input_dim) / math.sqrt(input_dim))
        self.b_e = nn.Parameter(torch.zeros(latent_dim))
        self.w_d = nn.Parameter(torch.randn(input_dim, latent_dim) / math.sqrt(input_dim))
        self.b_d = nn.Parameter(torch.zeros(input_dim))

    def encode(self, x: Tensor) -> Tensor:
        """Codes."""
        return x.flatten(1) @ self.w_e.T + self.b_e

    def decode(self, z: Tensor) -> Tensor:
        """Images, unbounded."""
        return (z @ self.w_d.T + self.b_d).reshape(z.shape[0], 1, self.side, self.side)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(x_recon, z)`."""
        z = self.encode(x)
        return self.decode(z), z


class VanillaAutoencoder(nn.Module):
    """A perceptron and its mirror image."""

    def __init__(self, input_dim: int = 784, latent_dim: int = 32) -> None:
        super().__init__()
        self.side = _side_of(input_dim)
        sizes = (input_dim, 200, 90, latent_dim)
        self.down = _perceptron(*sizes)
        self.up = _perceptron(*reversed(sizes))

    def encode(self, x: Tensor) -> Tensor:
        """Codes."""
        return self.down(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Images in [0, 1]."""
        return torch.sigmoid(self.up(z)).reshape(z.shape[0], 1, self.side, self.side)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(x_recon, z)`."""
        z = self.encode(x)
        return self.decode(z), z


class ConvAutoencoder(nn.Module):
    """28 -> 14 -> 7 -> 1 by convolutions with strides, and back by blocks of pixels."""

    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.analysis = nn.Sequential(
            _Convolution(1, 12, 4, stride=2, padding=1),
            nn.GroupNorm(3, 12),
            _Swish(),
            _Convolution(12, 24, 4, stride=2, padding=1),
            nn.GroupNorm(4, 24),
            _Swish(),
            _Convolution(24, latent_dim, 7),
        )
        self.seed = nn.Parameter(torch.randn(latent_dim, 24, 7, 7) / math.sqrt(latent_dim))
        self.synthesis = nn.Sequential(
            nn.GroupNorm(4, 24),
            _Swish(),
            _Doubling(24, 12),
            nn.GroupNorm(3, 12),
            _Swish(),
            _Doubling(12, 6),
            _Swish(),
            _Convolution(6, 1, 3, padding=1),
        )

    def encode(self, x: Tensor) -> Tensor:
        """Codes."""
        return self.analysis(x).flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        """Images in [0, 1]."""
        seeds = F.conv_transpose2d(z[:, :, None, None], self.seed)
        return torch.sigmoid(self.synthesis(seeds))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(x_recon, z)`."""
        z = self.encode(x)
        return self.decode(z), z


class UNetAutoencoder(nn.Module):
    """Two poolings, a code, two joints."""

    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.stages_down = nn.ModuleList(
            nn.Sequential(_Convolution(i, o, 3, padding=1), nn.GroupNorm(2, o), _Swish()) for i, o in ((1, 8), (8, 16))
        )
        self.to_code = _Affine(16 * 49, latent_dim)
        self.from_code = _Affine(latent_dim, 20 * 49)
        self.widen = nn.ModuleList([_Doubling(20, 14), _Doubling(12, 10)])
        self.mix = nn.ModuleList(
            [
                nn.Sequential(_Convolution(14 + 16, 12, 3, padding=1), _Swish()),
                nn.Sequential(_Convolution(10 + 8, 9, 3, padding=1), _Swish()),
            ]
        )
        self.paint = _Convolution(9, 1, 1)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """`(z, skips)`."""

        def descend(h: Tensor, level: int) -> tuple[Tensor, list[Tensor]]:
            if level == len(self.stages_down):
                return h, []
            skip = self.stages_down[level](h)
            # mean of 2x2 blocks
            pooled = skip.reshape(*skip.shape[:2], skip.shape[2] // 2, 2, skip.shape[3] // 2, 2).mean(dim=(3, 5))
            bottom, rest = descend(pooled, level + 1)
            return bottom, [skip, *rest]

        bottom, skips = descend(x, 0)
        return self.to_code(bottom.flatten(1)), skips

    def decode(self, z: Tensor, skips: list[Tensor]) -> Tensor:
        """Images in [0, 1]."""
        h = self.from_code(z).reshape(z.shape[0], 20, 7, 7)
        for widen, mix, skip in zip(self.widen, self.mix, reversed(list(skips)), strict=True):
            h = mix(concat_skip(widen(h), skip))
        return torch.sigmoid(self.paint(h))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(x_recon, z)`."""
        z, skips = self.encode(x)
        return self.decode(z, skips), z


def concat_skip(upsampled: Tensor, skip: Tensor) -> Tensor:
    """Along the channels, `upsampled` first."""
    a, b = tuple(upsampled.shape), tuple(skip.shape)
    if len(a) != 4 or len(b) != 4 or (a[0], *a[2:]) != (b[0], *b[2:]):
        raise ValueError(f"upsampled {a} and skip {b} may differ in their channels only")
    return torch.cat((upsampled, skip), dim=1)


def _check_sizes(at_least_one: dict[str, int], at_least_zero: dict[str, int]) -> None:
    for floor, arguments in ((1, at_least_one), (0, at_least_zero)):
        for name, value in arguments.items():
            if value < floor:
                raise ValueError(f"{name} must be at least {floor}, got {value}")


def _positive_size(result: int, **arguments: int) -> int:
    if result < 1:
        listed = ", ".join(f"{name}={value}" for name, value in arguments.items())
        raise ValueError(f"the output would have size {result} for {listed}")
    return result


def conv_output_size(size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Size of the output of a convolution."""
    _check_sizes(
        {"size": size, "kernel_size": kernel_size, "stride": stride, "dilation": dilation}, {"padding": padding}
    )
    room = size + 2 * padding - (dilation * (kernel_size - 1) + 1)
    return _positive_size(
        room // stride + 1, size=size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
    )


def conv_transpose_output_size(
    size: int, kernel_size: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Size of the output of a transposed convolution."""
    _check_sizes(
        {"size": size, "kernel_size": kernel_size, "stride": stride, "dilation": dilation},
        {"padding": padding, "output_padding": output_padding},
    )
    return _positive_size(
        stride * (size - 1) - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1,
        size=size,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
    )


def _same_shapes(a_name: str, a: Tensor, b_name: str, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ValueError(f"{a_name} {tuple(a.shape)} and {b_name} {tuple(b.shape)} differ in shape")


def _per_image(terms: Tensor, dtype: torch.dtype) -> Tensor:
    """Summed over everything but the batch, averaged over the batch."""
    return (terms.sum() / terms.shape[0]).to(dtype)


def mse_loss(x_recon: Tensor, x: Tensor) -> Tensor:
    """Squared error per image."""
    _same_shapes("x_recon", x_recon, "x", x)
    gap = x_recon.double() - x.double()
    return _per_image(gap * gap, torch.result_type(x_recon, x))


class _BoundedLog(torch.autograd.Function):
    """max(log p, -100), with the derivative 1 / max(p, 1e-12)."""

    @staticmethod
    def forward(ctx: Any, p: Tensor) -> Tensor:
        ctx.save_for_backward(p)
        return torch.clamp(torch.log(p), min=-100.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (p,) = ctx.saved_tensors
        return gradient / torch.clamp(p, min=1e-12)


def _bounded_log(p: Tensor) -> Tensor:
    return _BoundedLog.apply(p)


def _bernoulli_nats(p: Tensor, x: Tensor) -> Tensor:
    """-log of the Bernoulli probability of each pixel, in double precision."""
    p, x = p.double(), x.double()
    return -(x * _bounded_log(p) + (1.0 - x) * _bounded_log(1.0 - p))


def bce_loss(x_recon: Tensor, x: Tensor) -> Tensor:
    """Binary cross-entropy of probabilities, nats per image."""
    _same_shapes("x_recon", x_recon, "x", x)
    return _per_image(_bernoulli_nats(x_recon, x), torch.result_type(x_recon, x))


def bce_with_logits_loss(logits: Tensor, x: Tensor) -> Tensor:
    """Binary cross-entropy of logits: log(1 + e^-l) where the pixel is 1, log(1 + e^l) where it is 0."""
    _same_shapes("logits", logits, "x", x)
    wide, target = logits.double(), x.double()
    zero = torch.zeros_like(wide)
    terms = target * torch.logaddexp(zero, -wide) + (1.0 - target) * torch.logaddexp(zero, wide)
    return _per_image(terms, torch.result_type(logits, x))


def l1_sparsity(z: Tensor) -> Tensor:
    """Sum of absolute values, averaged over the batch."""
    return _per_image(z.double().abs(), z.dtype)


def kl_sparsity(activations: Tensor, rho: float = 0.05) -> Tensor:
    """KL of Bernoulli(rho) from the mean activations, summed over units."""
    if not 0 < rho < 1:
        raise ValueError(f"rho must be between 0 and 1, got {rho}")
    r = activations.double().mean(dim=0)
    on = rho * (math.log(rho) - _bounded_log(r))
    off = (1.0 - rho) * (math.log1p(-rho) - _bounded_log(1.0 - r))
    return (on + off).sum().to(activations.dtype)
