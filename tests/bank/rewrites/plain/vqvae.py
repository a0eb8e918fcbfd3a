"""Question 10: vector-quantised variational autoencoders (VQ-VAE, arXiv:1711.00937).

Axes: B images, D dimensions of a code, H and W positions, K codes in the codebook.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _pixels(z_e: Tensor, codebook: Tensor) -> Tensor:
    """The vectors of the pixels, (B·H·W, D), without gradient."""
    if z_e.ndim != 4 or z_e.shape[1] != codebook.shape[1]:
        raise ValueError(f"z_e must be (B, {codebook.shape[1]}, H, W), got shape {tuple(z_e.shape)}")
    return z_e.detach().movedim(1, -1).flatten(0, 2).to(codebook.dtype)


def _nearest(pixels: Tensor, codebook: Tensor) -> Tensor:
    distance = torch.cdist(pixels, codebook.detach(), compute_mode="donot_use_mm_for_euclid_dist")
    return distance.argmin(dim=1)


def _straight_through(codes: Tensor, z_e: Tensor) -> Tensor:
    """Exactly the values of `codes`, the gradient of `z_e`."""
    return codes.detach() + (z_e - z_e.detach())


def _check_indices(indices: Tensor, num_embeddings: int) -> None:
    if bool(((indices < 0) | (indices >= num_embeddings)).any()):
        wrong = indices[(indices < 0) | (indices >= num_embeddings)]
        raise ValueError(f"indices must be in 0...{num_embeddings - 1}, got {wrong.tolist()}")


def _check_sizes(num_embeddings: int, embedding_dim: int, commitment_cost: float) -> None:
    if num_embeddings < 1:
        raise ValueError(f"num_embeddings must be at least 1, got {num_embeddings}")
    if embedding_dim < 1:
        raise ValueError(f"embedding_dim must be at least 1, got {embedding_dim}")
    if not commitment_cost >= 0:
        raise ValueError(f"commitment_cost must not be negative, got {commitment_cost}")


class VectorQuantizer(nn.Module):
    """Replaces each pixel's vector by the nearest of K codes (arXiv:1711.00937, sections 3.1 and 3.2).

    Attributes:
        codebook: (K, D), a parameter.
    """

    @property
    def codebook(self) -> Tensor:
        """The parameter that holds the codes."""
        return self.embedding.weight

    def __init__(self, num_embeddings: int, embedding_dim: int, commitment_cost: float = 0.25) -> None:
        """Make a codebook.

        The initial codes decide how many survive: compare their spread with that of the encoder's outputs.

        Args:
            num_embeddings: K.
            embedding_dim: D.
            commitment_cost: beta, the weight of the commitment loss.
        """
        super().__init__()
        _check_sizes(num_embeddings, embedding_dim, commitment_cost)
        self.embedding = nn.Embedding(num_embeddings, embedding_dim)
        self.commitment_cost = commitment_cost

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
        flat = _nearest(_pixels(z_e, self.codebook), self.codebook)
        indices = flat.view(z_e.shape[0], *z_e.shape[2:])
        codes = self.lookup(indices).to(z_e.dtype)
        vq_loss = F.mse_loss(codes, z_e.detach()) + self.commitment_cost * F.mse_loss(z_e, codes.detach())
        return _straight_through(codes, z_e), vq_loss, indices

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W) of `indices` (B, H, W) int64."""
        _check_indices(indices, self.embedding.num_embeddings)
        return self.embedding(indices).movedim(-1, 1)


class EMAVectorQuantizer(nn.Module):
    """The same with a codebook that follows running means instead of a gradient (arXiv:1711.00937, appendix A.1).

    Attributes:
        codebook: (K, D), a buffer: it is in `state_dict` and has no gradient.
    """

    codebook: Tensor

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
        _check_sizes(num_embeddings, embedding_dim, commitment_cost)
        if not 0 <= decay <= 1:
            raise ValueError(f"decay must be in [0, 1], got {decay}")
        if not epsilon >= 0:
            raise ValueError(f"epsilon must not be negative, got {epsilon}")
        self.commitment_cost = commitment_cost
        self.decay = decay
        self.epsilon = epsilon
        codes = torch.randn(num_embeddings, embedding_dim)
        self.register_buffer("codebook", codes)
        self.register_buffer("counts", torch.ones(num_embeddings))
        self.register_buffer("sums", codes.clone())

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
        pixels = _pixels(z_e, self.codebook)
        flat = _nearest(pixels, self.codebook)
        indices = flat.view(z_e.shape[0], *z_e.shape[2:])
        codes = self.lookup(indices).to(z_e.dtype)
        vq_loss = self.commitment_cost * F.mse_loss(z_e, codes)
        if self.training:
            self._follow(pixels, flat)
        return _straight_through(codes, z_e), vq_loss, indices

    @torch.no_grad()
    def _follow(self, pixels: Tensor, flat: Tensor) -> None:
        """Update the running values by the vectors of one batch."""
        member = F.one_hot(flat, len(self.counts)).to(pixels.dtype)
        self.counts.lerp_(member.sum(dim=0), 1 - self.decay)
        self.sums.lerp_(member.T @ pixels, 1 - self.decay)
        total = self.counts.sum()
        smooth = (self.counts + self.epsilon) / (total + len(self.counts) * self.epsilon) * total
        self.codebook.copy_(self.sums / smooth.unsqueeze(1))

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W) of `indices` (B, H, W) int64."""
        _check_indices(indices, len(self.codebook))
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
    _check_indices(indices, num_embeddings)
    return torch.bincount(indices.flatten(), minlength=num_embeddings)


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
    return torch.special.entr(share).sum().exp().to(torch.get_default_dtype()).clamp(1.0, float(num_embeddings))


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
    pixels = _pixels(z_e, codebook).to(codebook.device)
    if usage.shape != codebook.shape[:1]:
        raise ValueError(f"usage must have shape {tuple(codebook.shape[:1])}, got {tuple(usage.shape)}")
    dead = (usage < min_usage).nonzero().squeeze(1).to(codebook.device)
    if len(dead) == 0:
        return 0
    if len(pixels) == 0:
        raise ValueError(f"z_e must have a pixel, got shape {tuple(z_e.shape)}")
    place = pixels.device if generator is None else generator.device
    order = torch.randperm(len(pixels), generator=generator, device=place).to(pixels.device)
    shuffled = pixels[order]
    # of equal vectors keep the one that the shuffle put first
    distinct, member = torch.unique(shuffled, dim=0, return_inverse=True)
    position = torch.arange(len(shuffled), device=pixels.device)
    first = torch.full((len(distinct),), len(shuffled), device=pixels.device).scatter_reduce(0, member, position, "amin")
    chosen = shuffled[first.sort().values]
    new = chosen[torch.arange(len(dead), device=pixels.device) % len(chosen)]
    with torch.no_grad():
        codebook.index_copy_(0, dead, new)
        if isinstance(quantizer, EMAVectorQuantizer):
            quantizer.counts.index_fill_(0, dead, 1.0)
            quantizer.sums.index_copy_(0, dead, new)
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
        self.quantizer = kind(num_embeddings, embedding_dim, commitment_cost)
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(16, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(32, embedding_dim, 1),
            nn.BatchNorm2d(embedding_dim),  # the spread of the initial codes, N(0, I)
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(embedding_dim, 32, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

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
    if x_recon.shape != x.shape:
        raise ValueError(f"x_recon {tuple(x_recon.shape)} and x {tuple(x.shape)} differ in shape")
    return F.mse_loss(x_recon, x) + vq_loss
