"""Bonus: an autoregressive prior over the codes of a VQ-VAE (PixelCNN, arXiv:1601.06759 and arXiv:1711.00937).

Axes: B images, C channels, H and W positions, K codes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        raise NotImplementedError("Bonus: MaskedConv2d.__init__")

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W), with the hidden weights taken as 0."""
        raise NotImplementedError("Bonus: MaskedConv2d.forward")


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
        raise NotImplementedError("Bonus: CodePrior.__init__")

    def forward(self, indices: Tensor) -> Tensor:
        """Logits (B, K, H, W) of codes (B, H, W) int64; those at a position depend on earlier codes only."""
        raise NotImplementedError("Bonus: CodePrior.forward")


def bits_per_code(logits: Tensor, indices: Tensor) -> Tensor:
    """Mean over all positions and images of -log2 p(code).

    Args:
        logits: (B, K, H, W).
        indices: (B, H, W) int64.

    Returns:
        Scalar tensor (), in bits.
    """
    raise NotImplementedError("Bonus: bits_per_code")


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
    raise NotImplementedError("Bonus: sample_codes")
