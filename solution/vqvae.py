"""Question 10: vector-quantised variational autoencoders (VQ-VAE, arXiv:1711.00937).

Axes: B images, D dimensions of a code, H and W positions, K codes in the codebook.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# begin private
# isort: split
from .autoencoders import _check_same_shape

# Initial spread of the codes: about that of the outputs of an encoder with PyTorch's initial weights (on MNIST: rms
# 0.1, of which 0.025 around the mean). Codes much wider apart lose to the one nearest to the data, codes squeezed
# together move as a group. In use after 1 500 steps (K = 128, Adam 2e-3, one seed) with a spread of 1, 0.3, 0.1, 0.05,
# 0.0045: 4, 39, 37, 76, 43 codes.
CODEBOOK_STD = 0.05


def initial_codebook(num_embeddings: int, embedding_dim: int) -> Tensor:
    """(K, D) draws of N(0, CODEBOOK_STD^2 I)."""
    return torch.randn(num_embeddings, embedding_dim) * CODEBOOK_STD


def pixel_vectors(z_e: Tensor, embedding_dim: int) -> Tensor:
    """(B, D, H, W) -> (B·H·W, D): one row for each position, in raster order."""
    if z_e.dim() != 4 or z_e.shape[1] != embedding_dim:
        raise ValueError(f"z_e must have the shape (B, {embedding_dim}, H, W), got {tuple(z_e.shape)}")
    return z_e.permute(0, 2, 3, 1).reshape(-1, embedding_dim)


def nearest_codes(vectors: Tensor, codebook: Tensor) -> Tensor:
    """(N, D), (K, D) -> (N,): argmin_k ‖v - e_k‖^2 = argmin_k ‖e_k‖^2 - 2 v·e_k."""
    # Distances stay the same when both sides move; around the origin rounding cancels least.
    centre = codebook.mean(dim=0)
    codes = codebook - centre
    return (codes.square().sum(dim=1) - 2 * (vectors - centre) @ codes.T).argmin(dim=1)


def lookup(codebook: Tensor, indices: Tensor) -> Tensor:
    """(K, D), (B, H, W) -> (B, D, H, W)."""
    return F.embedding(indices, codebook).permute(0, 3, 1, 2)


def straight_through(z_e: Tensor, codes: Tensor) -> Tensor:
    """Value of `codes`, gradient of `z_e` (arXiv:1308.3432)."""
    return z_e + (codes - z_e).detach()


# end private


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
        # begin solution Q10
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.commitment_cost = commitment_cost
        self.codebook = nn.Parameter(initial_codebook(num_embeddings, embedding_dim))
        # end solution

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
        # begin solution Q10
        vectors = pixel_vectors(z_e, self.embedding_dim)
        indices = nearest_codes(vectors.detach(), self.codebook.detach()).view(-1, *z_e.shape[2:])
        codes = self.lookup(indices)
        codebook_loss = F.mse_loss(codes, z_e.detach())
        commitment_loss = F.mse_loss(z_e, codes.detach())
        return straight_through(z_e, codes), codebook_loss + self.commitment_cost * commitment_loss, indices
        # end solution

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W) of `indices` (B, H, W) int64."""
        # begin solution Q10
        return lookup(self.codebook, indices)
        # end solution


class EMAVectorQuantizer(nn.Module):
    """The same with a codebook that follows running means instead of a gradient (arXiv:1711.00937, appendix A.1).

    Attributes:
        codebook: (K, D), a buffer: it is in `state_dict` and has no gradient.
    """

    codebook: Tensor
    # begin private
    counts: Tensor
    sums: Tensor
    # end private

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
        # begin solution Q10
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.commitment_cost = commitment_cost
        self.decay = decay
        self.epsilon = epsilon
        self.register_buffer("codebook", initial_codebook(num_embeddings, embedding_dim))
        self.register_buffer("counts", torch.ones(num_embeddings))
        self.register_buffer("sums", self.codebook.clone())
        # end solution

    # begin private
    @torch.no_grad()
    def _update(self, vectors: Tensor, indices: Tensor) -> None:
        """Move the running values towards the batch: `vectors` (N, D) of the codes `indices` (N,)."""
        members = F.one_hot(indices, self.num_embeddings).to(vectors)  # (N, K)
        self.counts.lerp_(members.sum(dim=0), 1 - self.decay)
        self.sums.lerp_(members.T @ vectors, 1 - self.decay)
        # Smoothing that keeps the total, as if every code had `epsilon` members more.
        total = self.counts.sum()
        smoothed = (self.counts + self.epsilon) * total / (total + self.num_embeddings * self.epsilon)
        self.codebook.copy_(self.sums / smoothed.unsqueeze(1))

    # end private

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
        # begin solution Q10
        vectors = pixel_vectors(z_e, self.embedding_dim).detach()
        indices = nearest_codes(vectors, self.codebook)
        grid = indices.view(-1, *z_e.shape[2:])
        codes = self.lookup(grid)
        if self.training:
            self._update(vectors, indices)
        return straight_through(z_e, codes), self.commitment_cost * F.mse_loss(z_e, codes), grid
        # end solution

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W) of `indices` (B, H, W) int64."""
        # begin solution Q10
        return lookup(self.codebook, indices)
        # end solution


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
    # begin solution Q10
    outside = indices[(indices < 0) | (indices >= num_embeddings)]
    if len(outside):
        raise ValueError(f"indices must be in 0...{num_embeddings - 1}, got {outside.tolist()}")
    return torch.bincount(indices.flatten(), minlength=num_embeddings)
    # end solution


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
    # begin solution Q10
    if indices.numel() == 0:
        raise ValueError(f"indices must not be empty, got the shape {tuple(indices.shape)}")
    share = code_usage(indices, num_embeddings).double() / indices.numel()
    entropy = torch.special.entr(share).sum()  # entr(0) = 0
    effective: Tensor = entropy.exp().to(torch.get_default_dtype())
    return effective
    # end solution


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
    # begin solution Q10
    num_embeddings, embedding_dim = quantizer.codebook.shape
    if usage.shape != (num_embeddings,):
        raise ValueError(f"usage must have the shape ({num_embeddings},), got {tuple(usage.shape)}")
    # Blank corners give many equal vectors; two equal codes would leave one of them dead.
    candidates = torch.unique(pixel_vectors(z_e.detach(), embedding_dim), dim=0)
    dead = (usage < min_usage).nonzero().flatten().to(z_e.device)
    drawn_on = z_e.device if generator is None else generator.device
    order = torch.randperm(len(candidates), generator=generator, device=drawn_on).to(z_e.device)
    # Only where there are fewer candidates than dead codes do the draws repeat.
    chosen = candidates[order[torch.arange(len(dead), device=z_e.device) % len(candidates)]]
    with torch.no_grad():
        quantizer.codebook[dead] = chosen
        if isinstance(quantizer, EMAVectorQuantizer):
            quantizer.counts[dead] = 1.0
            quantizer.sums[dead] = chosen
    return len(dead)
    # end solution


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
        # begin solution Q10
        # A kernel of 4 with stride 2 and padding 1 halves the sides, its transpose doubles them exactly.
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, embedding_dim, kernel_size=1),
        )
        self.quantizer = (EMAVectorQuantizer if ema else VectorQuantizer)(
            num_embeddings, embedding_dim, commitment_cost
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(embedding_dim, 32, kernel_size=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 16, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, kernel_size=4, stride=2, padding=1),
            nn.Sigmoid(),
        )
        # end solution

    def encode(self, x: Tensor) -> Tensor:
        """z_e (B, D, 7, 7), before quantisation, of images (B, 1, 28, 28)."""
        # begin solution Q10
        z_e: Tensor = self.encoder(x)
        return z_e
        # end solution

    def decode(self, z_q: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [0, 1] of codes (B, D, 7, 7)."""
        # begin solution Q10
        x_recon: Tensor = self.decoder(z_q)
        return x_recon
        # end solution

    def decode_indices(self, indices: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [0, 1] of code numbers (B, 7, 7) int64."""
        # begin solution Q10
        return self.decode(self.quantizer.lookup(indices))
        # end solution

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, vq_loss, indices): encode, quantise, decode."""
        # begin solution Q10
        z_q, vq_loss, indices = self.quantizer(self.encode(x))
        return self.decode(z_q), vq_loss, indices
        # end solution


def vqvae_loss(x_recon: Tensor, x: Tensor, vq_loss: Tensor) -> Tensor:
    """Mean of (x_recon - x)^2 over all elements, plus `vq_loss`.

    Means, not sums: the weights of the terms then do not depend on the sizes of image and code.

    Returns:
        Scalar tensor ().

    Raises:
        ValueError: `x_recon` and `x` differ in shape.
    """
    # begin solution Q10
    _check_same_shape("x_recon", x_recon, x)
    return F.mse_loss(x_recon, x) + vq_loss
    # end solution
