"""Question 10: the reference with one bug: which code, straight-through and losses."""

from __future__ import annotations

from .. import Mistake
from .writing import NEAREST, mistake

PARAMETER = "self.codebook = nn.Parameter(initial_codebook(num_embeddings, embedding_dim))"
VQ_RETURN = "return straight_through(z_e, codes), codebook_loss + self.commitment_cost * commitment_loss, indices"

MISTAKES: tuple[Mistake, ...] = (
    # ---- which code
    mistake(
        "vectors-by-view",
        "flattens (B, D, H, W) to rows of D by reshape alone: channels and pixels are mixed",
        "vq.nearest",
        "ema.codes",
        "ema.update",
        "restart.replaces",
        edits=(("return z_e.permute(0, 2, 3, 1).reshape(-1, embedding_dim)", "return z_e.reshape(-1, embedding_dim)"),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "codes-by-view",
        "puts the rows of codes back by view instead of permute: the channels end up in the wrong place",
        "vq.codes",
        "vq.lookup",
        "vq.codebook-loss",
        "ema.codes",
        edits=(
            (
                "return F.embedding(indices, codebook).permute(0, 3, 1, 2)",
                "rows = F.embedding(indices, codebook)\n"
                "    return rows.reshape(rows.shape[0], rows.shape[3], rows.shape[1], rows.shape[2])",
            ),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "farthest-code",
        "argmax of the distance instead of argmin",
        "vq.nearest",
        "ema.codes",
        "ema.steady",
        "ema.converges",
        edits=((NEAREST, NEAREST.replace("argmin", "argmax")),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "largest-product",
        "takes the code with the largest inner product: norms are left out of the distance",
        "vq.nearest",
        "ema.codes",
        edits=((NEAREST, "return (vectors @ codebook.T).argmax(dim=1)"),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "half-distance",
        "expands the distance without the factor 2",
        "vq.nearest",
        "ema.codes",
        edits=((NEAREST, NEAREST.replace("- 2 * (", "- (")),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "norms-cached-in-eval",
        "remembers the squared norms of the codes in evaluation mode: other codes are searched with the old ones",
        "vq.nearest",
        "devices",
        edits=(
            (PARAMETER, PARAMETER + "\n        self.norms = None"),
            (
                "indices = nearest_codes(vectors.detach(), self.codebook.detach()).view(-1, *z_e.shape[2:])",
                "if self.norms is None or self.training:\n"
                "            self.norms = self.codebook.detach().square().sum(dim=1)\n"
                "        scores = self.norms - 2 * vectors.detach() @ self.codebook.detach().T\n"
                "        indices = scores.argmin(dim=1).view(-1, *z_e.shape[2:])",
            ),
        ),
        may_fail=(),
    ),
    mistake(
        "ema-codes-cached-in-eval",
        "compares with a copy of the codes that the first call in evaluation mode has made",
        "ema.codes",
        "devices",
        edits=(
            (
                "indices = nearest_codes(vectors, self.codebook)\n        grid",
                "if self.training or not hasattr(self, 'known'):\n            self.known = self.codebook.clone()\n"
                "        indices = nearest_codes(vectors, self.known)\n        grid",
            ),
        ),
        may_fail=(),
    ),
    mistake(
        "indices-flat",
        "returns indices of shape (B·H·W,), as the study guide does",
        "vq.nearest",
        edits=((VQ_RETURN, VQ_RETURN.replace(", indices", ", indices.flatten()")),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "indices-transposed",
        "gives indices with rows and columns exchanged",
        "vq.nearest",
        edits=((VQ_RETURN, VQ_RETURN.replace(", indices", ", indices.transpose(1, 2)")),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "channels-not-checked",
        "takes any number of channels whose product fits",
        "vq.contract",
        edits=(("if z_e.dim() != 4 or z_e.shape[1] != embedding_dim:", "if z_e.dim() != 4:"),),
    ),
    mistake(
        "input-normalised-in-place",
        "centres z_e in place before quantising",
        "vq.nearest",
        "vq.contract",
        "restart.replaces",
        "restart.random",
        edits=(("    if z_e.dim() != 4 or", "    z_e.detach().clamp_(-2, 2)\n    if z_e.dim() != 4 or"),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    # ---- straight-through and losses
    mistake(
        "no-straight-through",
        "returns the codes themselves: the encoder gets no gradient from the reconstruction",
        "vq.straight-through",
        "vq.reconstruction",
        "ema.forward",
        edits=(("return z_e + (codes - z_e).detach()", "return codes"),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "forward-is-input",
        "z_q + (z_e - z_q) without detach: the value is z_e",
        "vq.codes",
        "ema.codes",
        edits=(("return z_e + (codes - z_e).detach()", "return codes + (z_e - codes)"),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "straight-through-to-both",
        "the straight-through gradient goes to the codes as well",
        "vq.reconstruction",
        edits=(("return z_e + (codes - z_e).detach()", "return codes + z_e - z_e.detach()"),),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "straight-through-scaled",
        "the straight-through gradient is weighted by the commitment cost",
        "vq.straight-through",
        edits=(
            (
                VQ_RETURN,
                VQ_RETURN.replace(
                    "straight_through(z_e, codes)",
                    "self.commitment_cost * z_e + (codes - self.commitment_cost * z_e).detach()",
                ),
            ),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "straight-through-first",
        "takes the losses after the straight-through step: no gradient for the codebook",
        "vq.codebook-loss",
        "vq.commitment",
        edits=(
            (
                "        codebook_loss = F.mse_loss(codes, z_e.detach())",
                "        codes = straight_through(z_e, codes)\n        codebook_loss = F.mse_loss(codes, z_e.detach())",
            ),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "losses-exchanged",
        "the study guide's names: what it calls the codebook loss moves the encoder",
        "vq.codebook-loss",
        edits=(
            ("codebook_loss = F.mse_loss(codes, z_e.detach())", "codebook_loss = F.mse_loss(codes.detach(), z_e)"),
            ("commitment_loss = F.mse_loss(z_e, codes.detach())", "commitment_loss = F.mse_loss(codes, z_e.detach())"),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "no-stop-gradient",
        "neither loss stops a gradient",
        "vq.codebook-loss",
        "vq.commitment",
        edits=(
            ("codebook_loss = F.mse_loss(codes, z_e.detach())", "codebook_loss = F.mse_loss(codes, z_e)"),
            ("commitment_loss = F.mse_loss(z_e, codes.detach())", "commitment_loss = F.mse_loss(z_e, codes)"),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "beta-on-codebook",
        "the commitment cost weights the codebook term",
        "vq.codebook-loss",
        edits=(
            (
                VQ_RETURN,
                VQ_RETURN.replace(
                    "codebook_loss + self.commitment_cost * commitment_loss",
                    "self.commitment_cost * codebook_loss + commitment_loss",
                ),
            ),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "no-commitment",
        "the commitment term is left out",
        "vq.loss",
        "vq.commitment",
        edits=(
            (VQ_RETURN, VQ_RETURN.replace("codebook_loss + self.commitment_cost * commitment_loss", "codebook_loss")),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "loss-summed",
        "squared norms are summed over channels and pixels, averaged over the batch",
        "vq.loss",
        edits=(
            (
                VQ_RETURN,
                VQ_RETURN.replace(
                    "codebook_loss + self.commitment_cost * commitment_loss",
                    "(codebook_loss + self.commitment_cost * commitment_loss) * z_e[0].numel()",
                ),
            ),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "norm-per-vector",
        "squared norms of the vectors are averaged over pixels, but summed over their D dimensions",
        "vq.loss",
        edits=(
            (
                VQ_RETURN,
                VQ_RETURN.replace(
                    "codebook_loss + self.commitment_cost * commitment_loss",
                    "(codebook_loss + self.commitment_cost * commitment_loss) * self.embedding_dim",
                ),
            ),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    mistake(
        "commitment-default",
        "the default commitment cost is 1",
        "vq.loss",
        edits=(
            (
                "    def __init__(self, num_embeddings: int, embedding_dim: int, commitment_cost: float = 0.25) -> None:\n"
                '        """Make a codebook.\n\n        The initial',
                "    def __init__(self, num_embeddings: int, embedding_dim: int, commitment_cost: float = 1.0) -> None:\n"
                '        """Make a codebook.\n\n        The initial',
            ),
        ),
    ),
)
