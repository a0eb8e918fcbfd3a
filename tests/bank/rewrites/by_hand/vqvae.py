"""Question 10: vector-quantised variational autoencoders (VQ-VAE, arXiv:1711.00937)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .autoencoders import _Convolution, _Doubling, _Swish


def _require_channels(z_e: Tensor, dims: int) -> None:
    if z_e.dim() != 4 or z_e.shape[1] != dims:
        raise ValueError(f"z_e must be (B, {dims}, H, W), got {tuple(z_e.shape)}")


def _rows(z: Tensor) -> Tensor:
    """(B, D, H, W) -> (B H W, D)."""
    return z.movedim(1, -1).flatten(0, 2)


@torch.no_grad()
def _nearest(z_e: Tensor, codes: Tensor) -> Tensor:
    """Numbers (B, H, W) of the nearest codes; both are centred first, for the sake of the rounding."""
    table = codes.detach().double()
    centre = table.mean(dim=0)
    table = table - centre
    points = _rows(z_e.detach()).double() - centre
    # |p - c|^2 without the part that is the same for all codes
    gaps = (table * table).sum(dim=1) - 2.0 * (points @ table.T)
    return gaps.argmin(dim=1).reshape(z_e.shape[0], *z_e.shape[2:])


def _fetch(codes: Tensor, indices: Tensor) -> Tensor:
    """Codes (B, D, H, W)."""
    picked = codes.index_select(0, indices.flatten()).reshape(*indices.shape, codes.shape[1])
    return picked.movedim(-1, 1).contiguous()


def _mean_square(a: Tensor, b: Tensor) -> Tensor:
    gap = a.double() - b.double()
    return (gap * gap).mean().to(torch.result_type(a, b))


def _straight_through(z_q: Tensor, z_e: Tensor) -> Tensor:
    """The values of `z_q`, exactly, and the gradient of `z_e`."""
    return z_q.detach() + (z_e - z_e.detach())


class VectorQuantizer(nn.Module):
    """Replaces each pixel's vector by the nearest of K codes."""

    def __init__(self, num_embeddings: int, embedding_dim: int, commitment_cost: float = 0.25) -> None:
        super().__init__()
        self.atoms = nn.Parameter(0.5 * torch.randn(num_embeddings, embedding_dim))
        self.commitment_cost = commitment_cost

    @property
    def codebook(self) -> Tensor:
        """(K, D), the parameter."""
        return self.atoms

    def forward(self, z_e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`(z_q, vq_loss, indices)`."""
        _require_channels(z_e, self.codebook.shape[1])
        indices = _nearest(z_e, self.codebook)
        z_q = _fetch(self.codebook, indices)
        loss = _mean_square(z_q, z_e.detach()) + self.commitment_cost * _mean_square(z_q.detach(), z_e)
        return _straight_through(z_q, z_e), loss, indices

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W)."""
        return _fetch(self.codebook, indices)


class EMAVectorQuantizer(nn.Module):
    """The same with a codebook that follows running means."""

    codebook: Tensor

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        commitment_cost: float = 0.25,
        decay: float = 0.99,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        start = 0.5 * torch.randn(num_embeddings, embedding_dim)
        self.register_buffer("codebook", start)
        self.register_buffer("mass", torch.ones(num_embeddings))
        self.register_buffer("moment", start.clone())
        self.commitment_cost = commitment_cost
        self.decay = decay
        self.epsilon = epsilon

    @torch.no_grad()
    def _follow(self, z_e: Tensor, indices: Tensor) -> None:
        """One step of the running values."""
        which = indices.flatten()
        count = torch.zeros_like(self.mass, dtype=torch.float64)
        count.index_add_(0, which, torch.ones_like(which, dtype=torch.float64))
        total = torch.zeros_like(self.moment, dtype=torch.float64)
        total.index_add_(0, which, _rows(z_e.detach()).double())
        mass = self.decay * self.mass.double() + (1 - self.decay) * count
        moment = self.decay * self.moment.double() + (1 - self.decay) * total
        everything = mass.sum()
        smoothed = (mass + self.epsilon) / (everything + len(mass) * self.epsilon) * everything
        self.mass.copy_(mass)
        self.moment.copy_(moment)
        self.codebook.copy_(moment / smoothed[:, None])

    def forward(self, z_e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`(z_q, vq_loss, indices)`."""
        _require_channels(z_e, self.codebook.shape[1])
        indices = _nearest(z_e, self.codebook)
        z_q = _fetch(self.codebook, indices)
        loss = self.commitment_cost * _mean_square(z_q, z_e)
        if self.training:
            self._follow(z_e, indices)
        return _straight_through(z_q, z_e), loss, indices

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W)."""
        return _fetch(self.codebook, indices)


def code_usage(indices: Tensor, num_embeddings: int) -> Tensor:
    """Counts (K,)."""
    flat = indices.flatten()
    bad = (flat < 0) | (flat >= num_embeddings)
    if bool(bad.any()):
        raise ValueError(f"indices must be in 0...{num_embeddings - 1}, got {int(flat[bad][0])}")
    counts = torch.zeros(num_embeddings, dtype=torch.int64, device=flat.device)
    return counts.scatter_add(0, flat.long(), torch.ones_like(flat, dtype=torch.int64))


def perplexity(indices: Tensor, num_embeddings: int) -> Tensor:
    """Effective number of codes in use."""
    counts = code_usage(indices, num_embeddings).double()
    if indices.numel() == 0:
        raise ValueError(f"indices is empty, its shape is {tuple(indices.shape)}")
    share = counts[counts > 0] / counts.sum()
    effective = torch.exp(-(share * share.log()).sum())
    return effective.clamp(1.0, float(num_embeddings)).to(torch.get_default_dtype())


@torch.no_grad()
def restart_dead_codes(
    quantizer: VectorQuantizer | EMAVectorQuantizer,
    z_e: Tensor,
    usage: Tensor,
    min_usage: int = 1,
    generator: torch.Generator | None = None,
) -> int:
    """Move hardly used codes onto pixel vectors."""
    codes = quantizer.codebook
    _require_channels(z_e, codes.shape[1])
    if tuple(usage.shape) != (codes.shape[0],):
        raise ValueError(f"usage must be ({codes.shape[0]},), got {tuple(usage.shape)}")
    dead = torch.nonzero(usage.to(codes.device) < min_usage).flatten()
    if len(dead) == 0:
        return 0
    different = torch.unique(_rows(z_e.detach()).to(codes.dtype), dim=0)

    def draw(count: int) -> list[Tensor]:
        """Numbers of `count` vectors: none twice before each was drawn once."""
        if count <= 0:
            return []
        order = torch.randperm(len(different), generator=generator, device=different.device)
        return [order[:count], *draw(count - len(order))]

    fresh = different[torch.cat(draw(len(dead)))]
    codes.index_copy_(0, dead, fresh)
    if isinstance(quantizer, EMAVectorQuantizer):
        quantizer.mass.index_fill_(0, dead, 1.0)
        quantizer.moment.index_copy_(0, dead, fresh)
    return len(dead)


class VQVAE(nn.Module):
    """Autoencoder with a grid of 7x7 discrete codes."""

    quantizer: VectorQuantizer | EMAVectorQuantizer

    def __init__(
        self, num_embeddings: int = 128, embedding_dim: int = 16, commitment_cost: float = 0.25, ema: bool = False
    ) -> None:
        super().__init__()
        kind = EMAVectorQuantizer if ema else VectorQuantizer
        self.analysis = nn.Sequential(
            _Convolution(1, 16, 4, stride=2, padding=1),
            nn.GroupNorm(4, 16),
            _Swish(),
            _Convolution(16, 32, 4, stride=2, padding=1),
            nn.GroupNorm(4, 32),
            _Swish(),
            _Convolution(32, embedding_dim, 1),
            nn.GroupNorm(embedding_dim, embedding_dim),  # each channel over its 49 positions
        )
        self.quantizer = kind(num_embeddings, embedding_dim, commitment_cost)
        self.synthesis = nn.Sequential(
            _Convolution(embedding_dim, 32, 3, padding=1),
            _Swish(),
            _Doubling(32, 16),
            _Swish(),
            _Doubling(16, 8),
            _Swish(),
            _Convolution(8, 1, 3, padding=1),
        )

    def encode(self, x: Tensor) -> Tensor:
        """z_e (B, D, 7, 7)."""
        return self.analysis(x)

    def decode(self, z_q: Tensor) -> Tensor:
        """Images in [0, 1]."""
        return torch.sigmoid(self.synthesis(z_q))

    def decode_indices(self, indices: Tensor) -> Tensor:
        """Images in [0, 1]."""
        return self.decode(self.quantizer.lookup(indices))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`(x_recon, vq_loss, indices)`."""
        z_q, vq_loss, indices = self.quantizer(self.encode(x))
        return self.decode(z_q), vq_loss, indices


def vqvae_loss(x_recon: Tensor, x: Tensor, vq_loss: Tensor) -> Tensor:
    """Mean squared error plus `vq_loss`."""
    if x_recon.shape != x.shape:
        raise ValueError(f"x_recon {tuple(x_recon.shape)} and x {tuple(x.shape)} differ in shape")
    return _mean_square(x_recon, x) + vq_loss
