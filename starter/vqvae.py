"""Question 10: vector-quantised variational autoencoders (VQ-VAE, arXiv:1711.00937).

Axes: B images, D dimensions of a code, H and W positions, K codes in the codebook.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        raise NotImplementedError("Question 10: VectorQuantizer.__init__")

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
        raise NotImplementedError("Question 10: VectorQuantizer.forward")

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W) of `indices` (B, H, W) int64."""
        raise NotImplementedError("Question 10: VectorQuantizer.lookup")


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
        raise NotImplementedError("Question 10: EMAVectorQuantizer.__init__")

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
        raise NotImplementedError("Question 10: EMAVectorQuantizer.forward")

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (B, D, H, W) of `indices` (B, H, W) int64."""
        raise NotImplementedError("Question 10: EMAVectorQuantizer.lookup")


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
    raise NotImplementedError("Question 10: code_usage")


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
    raise NotImplementedError("Question 10: perplexity")


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
    raise NotImplementedError("Question 10: restart_dead_codes")


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
        raise NotImplementedError("Question 10: VQVAE.__init__")

    def encode(self, x: Tensor) -> Tensor:
        """z_e (B, D, 7, 7), before quantisation, of images (B, 1, 28, 28)."""
        raise NotImplementedError("Question 10: VQVAE.encode")

    def decode(self, z_q: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [0, 1] of codes (B, D, 7, 7)."""
        raise NotImplementedError("Question 10: VQVAE.decode")

    def decode_indices(self, indices: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [0, 1] of code numbers (B, 7, 7) int64."""
        raise NotImplementedError("Question 10: VQVAE.decode_indices")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, vq_loss, indices): encode, quantise, decode."""
        raise NotImplementedError("Question 10: VQVAE.forward")


def vqvae_loss(x_recon: Tensor, x: Tensor, vq_loss: Tensor) -> Tensor:
    """Mean of (x_recon - x)^2 over all elements, plus `vq_loss`.

    Means, not sums: the weights of the terms then do not depend on the sizes of image and code.

    Returns:
        Scalar tensor ().

    Raises:
        ValueError: `x_recon` and `x` differ in shape.
    """
    raise NotImplementedError("Question 10: vqvae_loss")
