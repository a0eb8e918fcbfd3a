"""Question 10: the reference with one bug: the codebook; modes, dtypes and devices of the quantizer."""

from __future__ import annotations

from .. import Mistake
from .writing import NEAREST, mistake

PARAMETER = "self.codebook = nn.Parameter(initial_codebook(num_embeddings, embedding_dim))"
VQ_RETURN = "return straight_through(z_e, codes), codebook_loss + self.commitment_cost * commitment_loss, indices"

MISTAKES: tuple[Mistake, ...] = (
    # ---- the codebook
    mistake(
        "codebook-plain-tensor",
        "the codebook is a plain tensor: neither trained nor saved",
        "vq.codebook",
        "vq.codebook-loss",
        edits=((PARAMETER, "self.codebook = initial_codebook(num_embeddings, embedding_dim)"),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "codebook-not-trained",
        "the codebook is a buffer in the plain quantizer too",
        "vq.codebook",
        "vq.codebook-loss",
        edits=((PARAMETER, 'self.register_buffer("codebook", initial_codebook(num_embeddings, embedding_dim))'),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "codebook-of-zeros",
        "all codes start at 0",
        "start",
        edits=(
            (
                "return torch.randn(num_embeddings, embedding_dim) * CODEBOOK_STD",
                "return torch.zeros(num_embeddings, embedding_dim)",
            ),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "codebook-too-wide",
        "the codes start far from what the encoder gives: one or two of them win everything",
        "trained.vq",
        edits=(
            (
                "return torch.randn(num_embeddings, embedding_dim) * CODEBOOK_STD",
                "return torch.randn(num_embeddings, embedding_dim) * 20",
            ),
        ),
        may_fail=("trained.ema",),
    ),
    # ---- modes, dtypes, devices, arguments
    mistake(
        "soft-while-training",
        "in training mode z_q is a mixture of codes, weighted by a softmax of the distances",
        "vq.codes",
        "vq.codebook-loss",
        "vq.commitment",
        edits=(
            (
                "        codes = self.lookup(indices)\n        codebook_loss",
                "        codes = self.lookup(indices)\n        if self.training:\n"
                "            weights = (-torch.cdist(vectors, self.codebook).square()).softmax(dim=1)\n"
                "            soft = (weights @ self.codebook).view(len(z_e), *z_e.shape[2:], -1)\n"
                "            codes = soft.permute(0, 3, 1, 2)\n        codebook_loss",
            ),
        ),
    ),
    mistake(
        "noisy-choice-while-training",
        "in training mode the code is drawn from a softmax of the distances",
        "vq.nearest",
        edits=(
            (
                "indices = nearest_codes(vectors.detach(), self.codebook.detach()).view(-1, *z_e.shape[2:])",
                "indices = nearest_codes(vectors.detach(), self.codebook.detach())\n"
                "        if self.training:\n"
                "            near = -torch.cdist(vectors.detach(), self.codebook.detach()).square()\n"
                "            indices = near.softmax(dim=1).multinomial(1).squeeze(1)\n"
                "        indices = indices.view(-1, *z_e.shape[2:])",
            ),
        ),
    ),
    mistake(
        "loss-while-training-only",
        "vq_loss is 0 in evaluation mode",
        "vq.loss",
        edits=(
            (
                VQ_RETURN,
                VQ_RETURN.replace(
                    "codebook_loss + self.commitment_cost * commitment_loss",
                    "(codebook_loss + self.commitment_cost * commitment_loss) * self.training",
                ),
            ),
        ),
    ),
    mistake(
        "one-hot-in-float32",
        "picks the codes by one-hot rows in float32, whatever the dtype of z_e is",
        "dtypes",
        edits=(
            (
                "        codes = self.lookup(indices)\n        codebook_loss",
                "        hot = F.one_hot(indices, self.num_embeddings).float()\n"
                "        codes = (hot @ self.codebook).permute(0, 3, 1, 2)\n        codebook_loss",
            ),
        ),
    ),
    mistake(
        "loss-in-float32",
        "vq_loss comes out in float32, whatever the dtype of z_e is",
        "dtypes",
        edits=(
            (
                VQ_RETURN,
                VQ_RETURN.replace(
                    "codebook_loss + self.commitment_cost * commitment_loss",
                    "(codebook_loss + self.commitment_cost * commitment_loss).float()",
                ),
            ),
        ),
    ),
    mistake(
        "one-hot-on-the-cpu",
        "the one-hot rows are made on the CPU, whatever the device of z_e is",
        "devices",
        edits=(
            (
                "        codes = self.lookup(indices)\n        codebook_loss",
                "        hot = torch.zeros(indices.numel(), self.num_embeddings, dtype=z_e.dtype)\n"
                "        hot = hot.scatter_(1, indices.reshape(-1, 1), 1.0)\n"
                "        codes = (hot @ self.codebook).view(*indices.shape, -1).permute(0, 3, 1, 2)\n        codebook_loss",
            ),
        ),
    ),
    mistake(
        "cost-fixed",
        "the commitment cost is .25 whatever is asked for",
        "vq.loss",
        "vq.commitment",
        edits=((VQ_RETURN, VQ_RETURN.replace("self.commitment_cost *", "0.25 *")),),
    ),
    mistake(
        "loss-both-weighted",
        "the commitment cost weights both terms",
        "vq.loss",
        "vq.codebook-loss",
        edits=(
            (
                VQ_RETURN,
                VQ_RETURN.replace(
                    "codebook_loss + self.commitment_cost * commitment_loss",
                    "self.commitment_cost * (codebook_loss + commitment_loss)",
                ),
            ),
        ),
    ),
    mistake(
        "distance-of-cosines",
        "normalises vectors and codes before they are compared",
        "vq.nearest",
        "ema.codes",
        edits=((NEAREST, "return (F.normalize(vectors) @ F.normalize(codebook).T).argmax(dim=1)"),),
    ),
    mistake(
        "some-codes-equal",
        "the second half of the codes repeats the first",
        "start",
        edits=(
            (
                "return torch.randn(num_embeddings, embedding_dim) * CODEBOOK_STD",
                "half = torch.randn((num_embeddings + 1) // 2, embedding_dim) * CODEBOOK_STD\n"
                "    return half.repeat(2, 1)[:num_embeddings]",
            ),
        ),
    ),
)
