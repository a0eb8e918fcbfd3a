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
        if mask_type not in ("A", "B"):
            raise ValueError(f"mask_type must be 'A' or 'B', got {mask_type!r}")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        place = torch.arange(kernel_size**2)
        centre = kernel_size**2 // 2
        seen = place < centre if mask_type == "A" else place <= centre
        self.register_buffer("seen", seen.view(kernel_size, kernel_size), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W), with the hidden weights taken as 0."""
        weight = torch.where(self.seen, self.weight, torch.zeros_like(self.weight))
        return F.conv2d(x, weight, self.bias, padding=self.padding)


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
        self.num_embeddings = num_embeddings
        self.embed = nn.Embedding(num_embeddings, hidden_channels)
        widths = [hidden_channels] * num_layers + [num_embeddings]
        self.layers = nn.ModuleList(
            MaskedConv2d("A" if i == 0 else "B", widths[i], widths[i + 1], 7 if i == 0 else 3)
            for i in range(num_layers)
        )

    def forward(self, indices: Tensor) -> Tensor:
        """Logits (B, K, H, W) of codes (B, H, W) int64; those at a position depend on earlier codes only."""
        if bool(((indices < 0) | (indices >= self.num_embeddings)).any()):
            raise ValueError(f"indices must be in 0...{self.num_embeddings - 1}, got {indices.tolist()}")
        first, *rest = self.layers
        h = first(self.embed(indices).movedim(-1, 1))
        for i, layer in enumerate(rest):
            update = layer(F.elu(h))
            h = update if i == len(rest) - 1 else h + update
        return h


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
    for name, value in (("num_samples", num_samples), ("height", height), ("width", width)):
        if value < 0:
            raise ValueError(f"{name} must not be negative, got {value}")
    device = next((t.device for t in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    codes = torch.zeros(num_samples, height, width, dtype=torch.int64, device=device)
    if codes.numel() == 0:
        return codes
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            for row in range(height):
                for column in range(width):
                    p = model(codes)[:, :, row, column].softmax(dim=1)
                    p = p if generator is None else p.to(generator.device)
                    codes[:, row, column] = torch.multinomial(p, 1, generator=generator).squeeze(1).to(device)
    finally:
        for module, training in modes:
            module.training = training
    return codes
