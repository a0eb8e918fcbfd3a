"""Question 10: vector-quantised variational autoencoders (VQ-VAE, arXiv:1711.00937).

Axes: B images, D dimensions of a code, H and W positions, K codes in the codebook.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CODE_SPREAD = 0.5
"""Standard deviation of the initial codes; `VQVAE` gives its encoder's outputs unit variance about 0."""


def _vectors(z_e: Tensor, codebook: Tensor) -> Tensor:
    """Pixel vectors (B·H·W, D) of `z_e` (B, D, H, W), in the dtype of the codes."""
    if z_e.ndim != 4 or z_e.shape[1] != codebook.shape[1]:
        raise ValueError(f"z_e must be (B, {codebook.shape[1]}, H, W), got {tuple(z_e.shape)}")
    return z_e.movedim(1, -1).flatten(0, 2).to(codebook.dtype)


def _nearest(z_e: Tensor, codebook: Tensor) -> Tensor:
    """Number (B, H, W) of the code next to each pixel's vector."""
    vectors = _vectors(z_e, codebook)
    with torch.no_grad():
        # Differences, not |z|^2 - 2 z·e + |e|^2, whose terms cancel.
        distances = torch.cdist(vectors, codebook, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.argmin(1).unflatten(0, (z_e.shape[0], *z_e.shape[2:]))


def _lookup(indices: Tensor, codebook: Tensor) -> Tensor:
    """Codes (B, D, H, W) of `indices` (B, H, W)."""
    return F.embedding(indices, codebook).movedim(-1, 1).contiguous()


def _straight_through(z_q: Tensor, z_e: Tensor) -> Tensor:
    """The values of `z_q`, exactly, with the gradient of `z_e`."""
    return z_q.detach() + (z_e - z_e.detach())


class VectorQuantizer(nn.Module):
    """Replaces each pixel's vector by the nearest of K codes (arXiv:1711.00937, sections 3.1 and 3.2).

    Attributes:
        codebook: (K, D), a parameter.
    """

    codebook: Tensor

    def __init__(self, num_embeddings: int, embedding_dim: int, commitment_cost: float = 0.25) -> None:
        """Make a codebook.

        The initial codes decide how many survive: compare their spread with that of the encoder's outputs.

        Args:
            num_embeddings: K.
            embedding_dim: D.
            commitment_cost: beta, the weight of the commitment loss.
        """
        super().__init__()
        self.codebook = nn.Parameter(CODE_SPREAD * torch.randn(num_embeddings, embedding_dim))
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
        indices = _nearest(z_e, self.codebook)
        z_q = self.lookup(indices)
        vq_loss = F.mse_loss(z_q, z_e.detach()) + self.commitment_cost * F.mse_loss(z_e, z_q.detach())
        return _straight_through(z_q, z_e), vq_loss, indices

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W) of `indices` (B, H, W) int64."""
        return _lookup(indices, self.codebook)


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
        self.commitment_cost = commitment_cost
        self.decay = decay
        self.epsilon = epsilon
        codebook = CODE_SPREAD * torch.randn(num_embeddings, embedding_dim)
        self.register_buffer("codebook", codebook)
        self.register_buffer("counts", torch.ones(num_embeddings))
        self.register_buffer("sums", codebook.clone())

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
        indices = _nearest(z_e, self.codebook)
        z_q = self.lookup(indices)
        vq_loss = self.commitment_cost * F.mse_loss(z_e, z_q.detach())
        if self.training:
            self._update(z_e.detach(), indices)
        return _straight_through(z_q, z_e), vq_loss, indices

    @torch.no_grad()
    def _update(self, z_e: Tensor, indices: Tensor) -> None:
        """One step of the running counts and sums, and the codebook that follows from them."""
        vectors = _vectors(z_e, self.codebook)
        sizes = torch.bincount(indices.flatten(), minlength=len(self.codebook)).to(vectors.dtype)
        self.counts.lerp_(sizes, 1 - self.decay)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, indices.flatten(), vectors), 1 - self.decay)
        total = self.counts.sum()
        smoothed = (self.counts + self.epsilon) / (total + len(self.counts) * self.epsilon) * total
        self.codebook.copy_(self.sums / smoothed.unsqueeze(1))

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W) of `indices` (B, H, W) int64."""
        return _lookup(indices, self.codebook)


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
        raise ValueError(f"indices must lie in 0 ... {num_embeddings - 1}, got {indices[outside].unique().tolist()}")
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
    shares = code_usage(indices, num_embeddings).double() / indices.numel()
    effective = torch.special.entr(shares).sum().exp().clamp(1, num_embeddings)
    return effective.to(torch.get_default_dtype())


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
    if usage.shape != codebook.shape[:1]:
        raise ValueError(f"usage must have shape {tuple(codebook.shape[:1])}, got {tuple(usage.shape)}")
    vectors = _vectors(z_e, codebook).detach()
    dead = (usage < min_usage).nonzero().flatten().to(codebook.device)
    if len(dead) == 0:
        return 0
    device = vectors.device if generator is None else generator.device
    shuffled = vectors[torch.randperm(len(vectors), generator=generator, device=device).to(vectors.device)]
    # Many pixels may hold one vector, as those of an empty background do: take the first of each in random order.
    distinct, group = shuffled.unique(dim=0, return_inverse=True)
    places = torch.arange(len(shuffled), device=shuffled.device)
    first = torch.full((len(distinct),), len(shuffled), device=shuffled.device).scatter_reduce(0, group, places, "amin")
    chosen = first.sort().values[: len(dead)]
    missing = len(dead) - len(chosen)
    again = torch.randint(len(shuffled), (missing,), generator=generator, device=device).to(chosen.device)
    drawn = shuffled[torch.cat((chosen, again))]
    with torch.no_grad():
        codebook[dead] = drawn
        if isinstance(quantizer, EMAVectorQuantizer):
            quantizer.counts[dead] = 1.0
            quantizer.sums[dead] = drawn
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
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),  # 28 -> 14
            nn.SiLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),  # 14 -> 7
            nn.SiLU(),
            nn.Conv2d(64, embedding_dim, 1),
            nn.GroupNorm(
                embedding_dim, embedding_dim
            ),  # each channel over the positions: no direction is common to all
        )
        kind = EMAVectorQuantizer if ema else VectorQuantizer
        self.quantizer = kind(num_embeddings, embedding_dim, commitment_cost)
        self.decoder = nn.Sequential(
            nn.Conv2d(embedding_dim, 64, 3, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),  # 7 -> 14
            nn.SiLU(),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),  # 14 -> 28
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
        raise ValueError(f"x_recon and x must have the same shape, got {tuple(x_recon.shape)} and {tuple(x.shape)}")
    return F.mse_loss(x_recon, x) + vq_loss
