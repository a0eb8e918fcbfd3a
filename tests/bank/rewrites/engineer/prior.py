"""Bonus: an autoregressive prior over the codes of a VQ-VAE (PixelCNN, arXiv:1601.06759 and arXiv:1711.00937).

Axes: B images, C channels, H and W positions, K codes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .training import device_of, evaluating


class MaskedConv2d(nn.Conv2d):
    """Convolution with "same" padding that looks at no later position (arXiv:1601.06759, section 3.4).

    Raster order: row by row, each row from left to right. Type "A" hides the centre of the kernel and everything
    after it: for the first layer, which must not see what it predicts. Type "B" hides only what comes after the
    centre: for the later ones.
    """

    def __init__(self, mask_type: str, in_channels: int, out_channels: int, kernel_size: int) -> None:
        """Build the layer.

        Args:
            mask_type: "A" or "B".
            in_channels, out_channels: as in `nn.Conv2d`.
            kernel_size: odd.

        Raises:
            ValueError: another `mask_type`, or an even `kernel_size`.
        """
        if mask_type not in ("A", "B"):
            raise ValueError(f"mask_type must be 'A' or 'B', got {mask_type!r}")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}")
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        taps = torch.arange(kernel_size**2).view(kernel_size, kernel_size)
        centre = kernel_size**2 // 2
        self.mask_type = mask_type
        self.register_buffer("visible", taps < centre if mask_type == "A" else taps <= centre)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W), with the hidden weights taken as 0."""
        weight = torch.where(self.visible, self.weight, torch.zeros_like(self.weight))
        return self._conv_forward(x, weight, self.bias)


class MaskedResidual(nn.Module):
    """x + what a type "B" convolution makes of it.

    No batch normalisation here: its means run over all positions, and so over later ones.
    """

    def __init__(self, channels: int, dropout: float = 0.05) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.SiLU(), MaskedConv2d("B", channels, channels, kernel_size=5), nn.SiLU(), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class CodePrior(nn.Module):
    """p(codes) = prod_i p(code_i given code_1 ... code_(i-1)) in raster order, by masked convolutions."""

    def __init__(self, num_embeddings: int, hidden_channels: int = 64, num_layers: int = 4) -> None:
        """Build the network.

        Args:
            num_embeddings: K.
            hidden_channels: width.
            num_layers: masked convolutions; the first of type "A", the others of type "B".

        Raises:
            ValueError: num_layers < 1.
        """
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers must be at least 1, got {num_layers}")
        self.embedding = nn.Embedding(num_embeddings, hidden_channels)
        self.first = MaskedConv2d("A", hidden_channels, hidden_channels, kernel_size=7)
        self.blocks = nn.ModuleList(MaskedResidual(hidden_channels) for _ in range(num_layers - 1))
        self.to_logits = nn.Sequential(nn.SiLU(), nn.Conv2d(hidden_channels, num_embeddings, kernel_size=1))

    def forward(self, indices: Tensor) -> Tensor:
        """Logits (B, K, H, W) of codes (B, H, W) int64; those at a position depend on earlier codes only."""
        maps = self.first(self.embedding(indices).movedim(-1, 1))
        for block in self.blocks:
            maps = block(maps)
        return self.to_logits(maps)


def bits_per_code(logits: Tensor, indices: Tensor) -> Tensor:
    """Mean over all positions and images of -log2 p(code).

    Args:
        logits: (B, K, H, W).
        indices: (B, H, W) int64.

    Returns:
        Scalar tensor (), in bits.
    """
    return F.cross_entropy(logits, indices) / math.log(2)


def sample_codes(
    model: nn.Module, num_samples: int, height: int, width: int, generator: torch.Generator | None = None
) -> Tensor:
    """Ancestral sampling: draw the codes one after the other, each given those before it in raster order.

    Eval mode, no gradients; afterwards the model has the mode it had before.

    Args:
        model: maps codes (N, H, W) to logits (N, K, H, W), as `CodePrior` does.
        generator: source of the draws.

    Returns:
        (num_samples, height, width) int64, on the device of the model.
    """
    codes = torch.zeros(num_samples, height, width, dtype=torch.int64)
    codes = codes.to(device_of(model, codes))
    with evaluating(model):
        for row in range(height):
            for column in range(width):
                probs = model(codes)[:, :, row, column].softmax(dim=1)
                codes[:, row, column] = torch.multinomial(probs, 1, generator=generator).squeeze(1)
    return codes
