"""Question 10: vector-quantised variational autoencoders (VQ-VAE, arXiv:1711.00937).

Axes: B images, D dimensions of a code, H and W positions, K codes in the codebook.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .autoencoders import MOMENTUM, SLOPE, ConvResidual, check_same_shape, conv_layer, initialise

CODE_SPREAD = 0.05
"""Standard deviation of the initial codes; the encoder starts with twice that."""
CHUNK = 4096
"""Pixels that are compared with all codes at a time."""


# What both quantisers are made of.


def initialise_codes(codebook: Tensor) -> Tensor:
    """Fill a codebook with small random draws, in place.

    Small ones lie at similar distances from every encoder output, so many of them win some; among codes as large as
    the outputs a few short ones win nearly all.
    """
    return nn.init.normal_(codebook, std=CODE_SPREAD)


def _check_channels(z_e: Tensor, codebook: Tensor) -> None:
    dimensions = codebook.shape[1]
    if z_e.ndim != 4 or z_e.shape[1] != dimensions:
        raise ValueError(f"z_e must have shape (B, {dimensions}, H, W), got {tuple(z_e.shape)}")


def pixel_vectors(z_e: Tensor) -> Tensor:
    """The vectors (B·H·W, D) of all pixels of (B, D, H, W), without gradients."""
    return z_e.detach().movedim(1, -1).flatten(0, 2)


@torch.no_grad()
def nearest_codes(z_e: Tensor, codebook: Tensor) -> Tensor:
    """Numbers (B, H, W) of the codes nearest to the pixels of `z_e` (B, D, H, W), chunk by chunk."""
    _check_channels(z_e, codebook)
    vectors = pixel_vectors(z_e).to(codebook.dtype)
    # Differences first, then squares: the expanded square loses the digits of near ties.
    distances = (
        torch.cdist(chunk, codebook, compute_mode="donot_use_mm_for_euclid_dist") for chunk in vectors.split(CHUNK)
    )
    indices = torch.cat([chunk.argmin(dim=1) for chunk in distances])
    return indices.view(z_e.shape[0], *z_e.shape[2:])


def straight_through(z_q: Tensor, z_e: Tensor) -> Tensor:
    """The very values of `z_q` with the gradient of `z_e`: what is added is zero, but not its derivative."""
    return z_q.detach() + (z_e - z_e.detach())


def _fresh_statistics(codes: Tensor) -> Tensor:
    """Rows (N_k, m_k) = (1, code), shape (K, 1 + D)."""
    return torch.cat([torch.ones_like(codes[:, :1]), codes], dim=1)


def _draw_vectors(vectors: Tensor, number: int, generator: torch.Generator | None) -> Tensor:
    """`number` rows drawn at random, different ones as far as there are enough, (number, D)."""
    shuffled = vectors[torch.randperm(len(vectors), generator=generator, device=vectors.device)]
    distinct, which = torch.unique(shuffled, dim=0, return_inverse=True)
    places = torch.arange(len(shuffled), device=vectors.device)
    # Where each distinct vector comes first: in this order they are a draw without repetition.
    first = torch.full((len(distinct),), len(shuffled), device=vectors.device)
    first = first.scatter_reduce(0, which, places, reduce="amin").sort().values
    return shuffled[first[torch.arange(number, device=vectors.device) % len(first)]]


# The quantisers.


class VectorQuantizer(nn.Module):
    """Replaces each pixel's vector by the nearest of K codes (arXiv:1711.00937, sections 3.1 and 3.2).

    Attributes:
        codebook: (K, D), a parameter.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, commitment_cost: float = 0.25) -> None:
        """Make a codebook.

        The initial codes decide how many survive: compare their spread with that of the encoder's outputs.

        Args:
            num_embeddings: K.
            embedding_dim: D.
            commitment_cost: beta, the weight of the commitment loss.
        """
        super().__init__()
        self.commitment_cost = commitment_cost
        self.embedding = nn.Embedding(num_embeddings, embedding_dim)
        initialise_codes(self.embedding.weight)

    @property
    def codebook(self) -> nn.Parameter:
        """The codes (K, D)."""
        return self.embedding.weight

    def forward(self, z_e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise the encoder's output.

        indices[b, h, w] = argmin_k ‖z_e[b, :, h, w] - codebook[k]‖
        vq_loss = mean (z_q - sg(z_e))^2 + beta · mean (sg(z_q) - z_e)^2

        with sg the stop-gradient and means over all elements: the first term moves the codes only, the second
        the encoder only. The returned z_q has the values of the codes, and its gradient passes straight through
        to `z_e`, as if quantisation were the identity.

        Args:
            z_e: (B, D, H, W).

        Returns:
            (z_q, vq_loss, indices): (B, D, H, W), scalar tensor (), (B, H, W) int64.

        Raises:
            ValueError: `z_e` has other than D channels.
        """
        indices = nearest_codes(z_e, self.codebook)
        z_q = self.lookup(indices)
        codebook_loss = (z_q - z_e.detach()).square().mean()
        commitment_loss = (z_q.detach() - z_e).square().mean()
        return straight_through(z_q, z_e), codebook_loss + self.commitment_cost * commitment_loss, indices

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W) of `indices` (B, H, W) int64."""
        return self.embedding(indices).movedim(-1, 1)


class EMAVectorQuantizer(nn.Module):
    """The same with a codebook that follows running means instead of a gradient (arXiv:1711.00937, appendix A.1).

    Attributes:
        codebook: (K, D), a buffer: it is in `state_dict` and has no gradient.
    """

    codebook: Tensor
    running: Tensor

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        commitment_cost: float = 0.25,
        decay: float = 0.99,
        epsilon: float = 1e-5,
    ) -> None:
        """Make a codebook, running counts N_k = 1 and running sums m_k = codebook[k].

        Args:
            num_embeddings: K.
            embedding_dim: D.
            commitment_cost: beta, the weight of the commitment loss.
            decay: gamma, the share of the old running value in the new one.
            epsilon: smoothing of the counts, so that an unused code is not divided by 0.
        """
        super().__init__()
        self.commitment_cost = commitment_cost
        self.decay = decay
        self.epsilon = epsilon
        self.register_buffer("codebook", initialise_codes(torch.empty(num_embeddings, embedding_dim)))
        # One row (N_k, m_k) for each code.
        self.register_buffer("running", _fresh_statistics(self.codebook))

    @property
    def counts(self) -> Tensor:
        """Running counts N_k (K,)."""
        return self.running[:, 0]

    @property
    def sums(self) -> Tensor:
        """Running sums m_k (K, D)."""
        return self.running[:, 1:]

    @torch.no_grad()
    def _update(self, vectors: Tensor, indices: Tensor) -> None:
        """Let the running values and the codebook follow `vectors` (M, D) with codes `indices` (M,)."""
        vectors = vectors.to(self.running.dtype)
        rows = torch.cat([torch.ones_like(vectors[:, :1]), vectors], dim=1)
        seen = torch.zeros_like(self.running).index_add(0, indices, rows)
        self.running.mul_(self.decay).add_(seen, alpha=1 - self.decay)
        total = self.counts.sum()
        smoothed = (self.counts + self.epsilon) / (total + len(self.counts) * self.epsilon) * total
        self.codebook.copy_(self.sums / smoothed.unsqueeze(1))

    def forward(self, z_e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise as `VectorQuantizer` does, with vq_loss = beta · mean (sg(z_q) - z_e)^2 only.

        In training mode each call, after quantising, updates the running values with the n_k vectors of code k:

        N_k <- gamma N_k + (1 - gamma) n_k
        m_k <- gamma m_k + (1 - gamma) · (sum of those vectors)
        codebook[k] = m_k / N_k,   N_k smoothed by epsilon: (N_k + epsilon) / (N + K epsilon) · N,   N = sum_k N_k

        In eval mode nothing changes.

        Args:
            z_e: (B, D, H, W).

        Returns:
            (z_q, vq_loss, indices): (B, D, H, W), scalar tensor (), (B, H, W) int64.

        Raises:
            ValueError: `z_e` has other than D channels.
        """
        indices = nearest_codes(z_e, self.codebook)
        z_q = self.lookup(indices)
        commitment_loss = (z_q - z_e).square().mean()
        if self.training:
            self._update(pixel_vectors(z_e), indices.flatten())
        return straight_through(z_q, z_e), self.commitment_cost * commitment_loss, indices

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W) of `indices` (B, H, W) int64."""
        return F.embedding(indices, self.codebook).movedim(-1, 1)


def code_usage(indices: Tensor, num_embeddings: int) -> Tensor:
    """How often each code occurs.

    Args:
        indices: int64 of any shape.
        num_embeddings: K.

    Returns:
        (K,) int64.

    Raises:
        ValueError: an index outside 0 ... K - 1.
    """
    outside = (indices < 0) | (indices >= num_embeddings)
    if outside.any():
        raise ValueError(f"indices must be in 0...{num_embeddings - 1}, got {indices[outside][0].item()}")
    codes = torch.arange(num_embeddings, device=indices.device)
    usage = torch.zeros_like(codes)
    for chunk in indices.flatten().split(CHUNK):
        usage += (chunk.unsqueeze(1) == codes).sum(dim=0)
    return usage


def perplexity(indices: Tensor, num_embeddings: int) -> Tensor:
    """Effective number of codes in use: exp(-sum_k p_k log p_k), p_k the share of code k among `indices`.

    1 if one code serves all positions, K if all codes are used equally.

    Args:
        indices: int64 of any shape, not empty.
        num_embeddings: K.

    Returns:
        Scalar tensor (), floating point, in 1 ... K.

    Raises:
        ValueError: no index, or one outside 0 ... K - 1.
    """
    if indices.numel() == 0:
        raise ValueError(f"indices must not be empty, got shape {tuple(indices.shape)}")
    share = code_usage(indices, num_embeddings).double() / indices.numel()
    effective = torch.special.entr(share).sum().exp()
    return effective.clamp(1, num_embeddings).to(torch.get_default_dtype())


def restart_dead_codes(
    quantizer: VectorQuantizer | EMAVectorQuantizer,
    z_e: Tensor,
    usage: Tensor,
    min_usage: int = 1,
    generator: torch.Generator | None = None,
) -> int:
    """Give codes that are hardly used a new place among the encoder's outputs (arXiv:2005.00341, section 3.1).

    Each code k with usage[k] < min_usage is replaced, in place, by the vector z_e[b, :, h, w] of a pixel drawn
    at random; the drawn vectors differ from each other as far as `z_e` has enough different ones. All other codes
    stay as they are. In an `EMAVectorQuantizer` a restarted code also starts anew with N_k = 1 and m_k equal to
    the code, else its running mean would draw it back.

    Args:
        quantizer: its `codebook` (K, D) is changed.
        z_e: (B, D, H, W).
        usage: (K,) counts, as from `code_usage`.
        min_usage: codes used less often are dead.
        generator: source of the draw.

    Returns:
        The number of codes replaced.

    Raises:
        ValueError: `z_e` has other than D channels, or `usage` is not (K,).
    """
    codebook = quantizer.codebook
    _check_channels(z_e, codebook)
    if tuple(usage.shape) != (len(codebook),):
        raise ValueError(f"usage must have shape ({len(codebook)},), got {tuple(usage.shape)}")
    (dead,) = torch.nonzero(usage.to(codebook.device) < min_usage, as_tuple=True)
    if len(dead) == 0:
        return 0
    with torch.no_grad():
        chosen = _draw_vectors(pixel_vectors(z_e), len(dead), generator).to(codebook)
        codebook[dead] = chosen
        if isinstance(quantizer, EMAVectorQuantizer):
            quantizer.running[dead] = _fresh_statistics(chosen)
    return len(dead)


class VQVAE(nn.Module):
    """Autoencoder with a grid of 7x7 discrete codes: 28 -> 14 -> 7, quantiser, 7 -> 14 -> 28.

    Attributes:
        quantizer: a `VectorQuantizer`, or an `EMAVectorQuantizer` if `ema`.
    """

    quantizer: VectorQuantizer | EMAVectorQuantizer

    def __init__(
        self, num_embeddings: int = 128, embedding_dim: int = 16, commitment_cost: float = 0.25, ema: bool = False
    ) -> None:
        """Build encoder, quantiser and decoder.

        Args:
            num_embeddings: K.
            embedding_dim: D.
            commitment_cost: beta.
            ema: let the codebook follow running means.
        """
        super().__init__()
        kind = EMAVectorQuantizer if ema else VectorQuantizer
        self.encoder = nn.Sequential(
            *conv_layer(1, 16, stride=2),  # 28 -> 14
            *conv_layer(16, 32, stride=2),  # 14 -> 7
            ConvResidual(32),
            nn.Conv2d(32, embedding_dim, kernel_size=1),
            nn.BatchNorm2d(embedding_dim, momentum=MOMENTUM),
        )
        self.quantizer = kind(num_embeddings, embedding_dim, commitment_cost)
        self.decoder = nn.Sequential(
            *conv_layer(embedding_dim, 32),
            ConvResidual(32),
            nn.ConvTranspose2d(32, 16, kernel_size=4, stride=2, padding=1),  # 7 -> 14
            nn.BatchNorm2d(16, momentum=MOMENTUM),
            nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(16, 1, kernel_size=4, stride=2, padding=1),  # 14 -> 28
            nn.Sigmoid(),
        )
        initialise(self.encoder)
        nn.init.constant_(self.encoder[-1].weight, 2 * CODE_SPREAD)
        initialise(self.decoder)

    def encode(self, x: Tensor) -> Tensor:
        """z_e (B, D, 7, 7), before quantisation, of images (B, 1, 28, 28)."""
        return self.encoder(x)

    def decode(self, z_q: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [0, 1] of codes (B, D, 7, 7)."""
        return self.decoder(z_q)

    def decode_indices(self, indices: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [0, 1] of code numbers (B, 7, 7) int64."""
        return self.decode(self.quantizer.lookup(indices))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, vq_loss, indices): encode, quantise, decode."""
        z_q, vq_loss, indices = self.quantizer(self.encode(x))
        return self.decode(z_q), vq_loss, indices


def vqvae_loss(x_recon: Tensor, x: Tensor, vq_loss: Tensor) -> Tensor:
    """Mean of (x_recon - x)^2 over all elements, plus `vq_loss`.

    Means, not sums: the weights of the terms then do not depend on the sizes of image and code.

    Returns:
        Scalar tensor ().

    Raises:
        ValueError: `x_recon` and `x` differ in shape.
    """
    check_same_shape(x_recon=x_recon, x=x)
    return (x_recon - x).square().mean() + vq_loss
