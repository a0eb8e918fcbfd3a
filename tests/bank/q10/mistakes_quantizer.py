"""Question 10: the reference with one bug: which code, straight-through and losses, the codebook."""

from __future__ import annotations

from .. import Mistake

MODULE = "vqvae"


def mistake(
    id: str,
    story: str,
    *fails: str,
    edits: tuple[tuple[str, str], ...] = (),
    append: str = "",
    may_fail: tuple[str, ...] = (),
) -> Mistake:
    """A bug in vqvae.py."""
    names = tuple(f"q10.{name}" for name in fails)
    also = tuple(f"q10.{name}" for name in may_fail)
    return Mistake(f"q10.{id}", 10, MODULE, story, names, edits, append, also)


TRAINED = ("trained.vq", "trained.ema")


EMA_UPDATES = ("ema.update", "ema.steady", "ema.converges")


VQ_RETURN = "return straight_through(z_e, codes), codebook_loss + self.commitment_cost * commitment_loss, indices"


PARAMETER = "self.codebook = nn.Parameter(initial_codebook(num_embeddings, embedding_dim))"


NEAREST = "return (codes.square().sum(dim=1) - 2 * (vectors - centre) @ codes.T).argmin(dim=1)"


MISTAKES: tuple[Mistake, ...] = (
    # ---- which code
    mistake(
        "vectors-by-view",
        "flattens (B, D, H, W) to rows of D by reshape alone: channels and pixels are mixed",
        "vq.nearest",
        "ema.codes",
        "ema.update",
        "ema.steady",
        "ema.converges",
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
        "vq.loss",
        "vq.codebook-loss",
        "vq.commitment",
        "ema.codes",
        "ema.forward",
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
        "vq.commitment",
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
        "vq.commitment",
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
