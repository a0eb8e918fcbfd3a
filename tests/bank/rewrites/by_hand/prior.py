"""Bonus: an autoregressive prior over the codes of a VQ-VAE."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .autoencoders import _Affine, _evaluating, _like_model


@lru_cache(maxsize=None)
def _visible(mask_type: str, kernel_size: int) -> tuple[tuple[bool, ...], ...]:
    """Which taps of a kernel come early enough in raster order."""
    centre = kernel_size * kernel_size // 2 + (mask_type == "B")
    return tuple(tuple(kernel_size * i + j < centre for j in range(kernel_size)) for i in range(kernel_size))


class MaskedConv2d(nn.Conv2d):
    """Convolution that looks at no later position."""

    def __init__(self, mask_type: str, in_channels: int, out_channels: int, kernel_size: int) -> None:
        if mask_type not in ("A", "B"):
            raise ValueError(f"mask_type must be 'A' or 'B', got {mask_type!r}")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.register_buffer("shown", torch.tensor(_visible(mask_type, kernel_size)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Hidden weights taken as 0."""
        weight = torch.where(self.shown, self.weight, torch.zeros_like(self.weight))
        return F.conv2d(x, weight, self.bias, padding=self.padding)


class CodePrior(nn.Module):
    """Masked convolutions with shortcuts, normalised at each position by itself."""

    def __init__(self, num_embeddings: int, hidden_channels: int = 64, num_layers: int = 4) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers must be at least 1, got {num_layers}")
        self.words = nn.Parameter(torch.randn(num_embeddings, hidden_channels))
        self.gaze = nn.ModuleList(
            MaskedConv2d("B" if i else "A", hidden_channels, hidden_channels, 3 if i else 5) for i in range(num_layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_channels) for _ in range(num_layers))
        self.read = _Affine(hidden_channels, num_embeddings, gain=0.5)

    def forward(self, indices: Tensor) -> Tensor:
        """Logits (B, K, H, W)."""
        h = self.words[indices].movedim(-1, 1)
        for i, (gaze, norm) in enumerate(zip(self.gaze, self.norms, strict=True)):
            seen = F.silu(norm(gaze(h).movedim(1, -1)).movedim(-1, 1))
            h = h + seen if i else seen
        return self.read(h.movedim(1, -1)).movedim(-1, 1)


def bits_per_code(logits: Tensor, indices: Tensor) -> Tensor:
    """Mean of -log2 p(code)."""
    wide = logits.double()
    picked = torch.gather(wide, 1, indices[:, None])[:, 0]
    nats = torch.logsumexp(wide, dim=1) - picked
    return (nats.mean() / math.log(2.0)).to(logits.dtype)


def sample_codes(
    model: nn.Module, num_samples: int, height: int, width: int, generator: torch.Generator | None = None
) -> Tensor:
    """One code after the other, by inversion of the cumulative distribution."""
    device = _like_model(model, None if generator is None else generator.device).device
    codes = torch.zeros(num_samples, height, width, dtype=torch.int64, device=device)
    with _evaluating(model):
        for i in range(height):
            for j in range(width):
                p = torch.softmax(model(codes)[:, :, i, j].double(), dim=1)
                steps = p.cumsum(dim=1)
                u = torch.rand(num_samples, 1, generator=generator, dtype=torch.float64, device=device)
                chosen = (steps <= u * steps[:, -1:]).sum(dim=1).clamp(max=p.shape[1] - 1)
                codes = codes.clone()
                codes[:, i, j] = chosen
    return codes
