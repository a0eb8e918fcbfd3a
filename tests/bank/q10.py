"""Bank of question 10: one bug in each mistake."""

from __future__ import annotations

from . import Mistake
from .q10_alternatives import ALTERNATIVES

__all__ = ["ALTERNATIVES", "MISTAKES"]

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
SMOOTHED = "self.codebook.copy_(self.sums / smoothed.unsqueeze(1))"
EMA_RETURN = "return straight_through(z_e, codes), self.commitment_cost * F.mse_loss(z_e, codes), grid"
VQ_RETURN = "return straight_through(z_e, codes), codebook_loss + self.commitment_cost * commitment_loss, indices"
PARAMETER = "self.codebook = nn.Parameter(initial_codebook(num_embeddings, embedding_dim))"
NEAREST = "return (codes.square().sum(dim=1) - 2 * (vectors - centre) @ codes.T).argmin(dim=1)"
CHOSEN = "chosen = candidates[order[torch.arange(len(dead), device=z_e.device) % len(candidates)]]"

MISTAKES: tuple[Mistake, ...] = (
    # ---- which code
    mistake(
        "vectors-by-view",
        "flattens (B, D, H, W) to rows of D by reshape alone: channels and pixels are mixed",
        "vq.nearest",
        "ema.forward",
        edits=(("return z_e.permute(0, 2, 3, 1).reshape(-1, embedding_dim)", "return z_e.reshape(-1, embedding_dim)"),),
        may_fail=(*EMA_UPDATES, "restart.replaces", "restart.random", "ema.modes", *TRAINED),
    ),
    mistake(
        "codes-by-view",
        "puts the rows of codes back by view instead of permute: the channels end up in the wrong place",
        "vq.codes",
        "vq.lookup",
        "vq.loss",
        "vq.codebook-loss",
        "vq.commitment",
        "vq.codebook",
        edits=(
            (
                "return F.embedding(indices, codebook).permute(0, 3, 1, 2)",
                "rows = F.embedding(indices, codebook)\n"
                "    return rows.reshape(rows.shape[0], rows.shape[3], rows.shape[1], rows.shape[2])",
            ),
        ),
        may_fail=(
            "ema.forward",
            "vq.nearest",
            "vq.contract",
            "vq.straight-through",
            "vq.reconstruction",
            "restart.replaces",
            "restart.random",
            *TRAINED,
        ),
    ),
    mistake(
        "farthest-code",
        "argmax of the distance instead of argmin",
        "vq.nearest",
        "ema.forward",
        edits=((NEAREST, NEAREST.replace("argmin", "argmax")),),
        may_fail=(*EMA_UPDATES, "restart.random", *TRAINED),
    ),
    mistake(
        "largest-product",
        "takes the code with the largest inner product: norms are left out of the distance",
        "vq.nearest",
        "ema.forward",
        edits=((NEAREST, "return (vectors @ codebook.T).argmax(dim=1)"),),
        may_fail=(*EMA_UPDATES, "restart.random", *TRAINED),
    ),
    mistake(
        "half-distance",
        "expands the distance without the factor 2",
        "vq.nearest",
        "ema.forward",
        edits=((NEAREST, NEAREST.replace("- 2 * (", "- (")),),
        may_fail=(*EMA_UPDATES, "restart.random", *TRAINED),
    ),
    mistake(
        "norms-cached-in-eval",
        "remembers the squared norms of the codes in evaluation mode: other codes are searched with the old ones",
        "vq.nearest",
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
        may_fail=("model.forward",),
    ),
    mistake(
        "ema-codes-cached-in-eval",
        "compares with a copy of the codes that the first call in evaluation mode has made",
        "ema.forward",
        edits=(
            (
                "indices = nearest_codes(vectors, self.codebook)\n        grid",
                "if self.training or not hasattr(self, 'known'):\n            self.known = self.codebook.clone()\n"
                "        indices = nearest_codes(vectors, self.known)\n        grid",
            ),
        ),
        may_fail=("model.forward",),
    ),
    mistake(
        "indices-flat",
        "returns indices of shape (B·H·W,), as the study guide does",
        "vq.nearest",
        "vq.codes",
        "vq.loss",
        "vq.codebook-loss",
        "vq.commitment",
        "vq.contract",
        "model.shapes",
        edits=((VQ_RETURN, VQ_RETURN.replace(", indices", ", indices.flatten()")),),
        may_fail=("model.forward", "model.gradient", *TRAINED),
    ),
    mistake(
        "indices-transposed",
        "gives indices with rows and columns exchanged",
        "vq.nearest",
        "vq.codes",
        "vq.loss",
        "vq.codebook-loss",
        "vq.commitment",
        edits=((VQ_RETURN, VQ_RETURN.replace(", indices", ", indices.transpose(1, 2)")),),
        may_fail=("model.forward", "vq.contract", *TRAINED),
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
        "vq.contract",
        edits=(("    if z_e.dim() != 4 or", "    z_e.detach().clamp_(-2, 2)\n    if z_e.dim() != 4 or"),),
        may_fail=(
            "vq.nearest",
            "vq.codes",
            "vq.loss",
            "vq.codebook-loss",
            "vq.commitment",
            "ema.forward",
            "ema.update",
            "ema.converges",
            "ema.steady",
            "model.forward",
            "restart.replaces",
            "restart.random",
            *TRAINED,
        ),
    ),
    # ---- straight-through and losses
    mistake(
        "no-straight-through",
        "returns the codes themselves: the encoder gets no gradient from the reconstruction",
        "vq.straight-through",
        "vq.reconstruction",
        "ema.forward",
        "model.gradient",
        edits=(("return z_e + (codes - z_e).detach()", "return codes"),),
        may_fail=TRAINED,
    ),
    mistake(
        "forward-is-input",
        "z_q + (z_e - z_q) without detach: the value is z_e",
        "vq.codes",
        "ema.forward",
        edits=(("return z_e + (codes - z_e).detach()", "return codes + (z_e - codes)"),),
        may_fail=("model.forward", "vq.reconstruction", *TRAINED),
    ),
    mistake(
        "straight-through-to-both",
        "the straight-through gradient goes to the codes as well",
        "vq.reconstruction",
        edits=(("return z_e + (codes - z_e).detach()", "return codes + z_e - z_e.detach()"),),
        may_fail=TRAINED,
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
        may_fail=TRAINED,
    ),
    mistake(
        "straight-through-first",
        "takes the losses after the straight-through step: no gradient for the codebook",
        "vq.codebook-loss",
        edits=(
            (
                "        codebook_loss = F.mse_loss(codes, z_e.detach())",
                "        codes = straight_through(z_e, codes)\n        codebook_loss = F.mse_loss(codes, z_e.detach())",
            ),
        ),
        may_fail=("vq.commitment", *TRAINED),
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
        may_fail=TRAINED,
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
        may_fail=TRAINED,
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
        may_fail=TRAINED,
    ),
    mistake(
        "no-commitment",
        "the commitment term is left out",
        "vq.loss",
        "vq.commitment",
        edits=(
            (VQ_RETURN, VQ_RETURN.replace("codebook_loss + self.commitment_cost * commitment_loss", "codebook_loss")),
        ),
        may_fail=("model.forward", *TRAINED),
    ),
    mistake(
        "loss-summed",
        "squared norms are summed over channels and pixels, averaged over the batch",
        "vq.loss",
        "vq.codebook-loss",
        "vq.commitment",
        edits=(
            (
                VQ_RETURN,
                VQ_RETURN.replace(
                    "codebook_loss + self.commitment_cost * commitment_loss",
                    "(codebook_loss + self.commitment_cost * commitment_loss) * z_e[0].numel()",
                ),
            ),
        ),
        may_fail=TRAINED,
    ),
    mistake(
        "norm-per-vector",
        "squared norms of the vectors are averaged over pixels, but summed over their D dimensions",
        "vq.loss",
        "vq.codebook-loss",
        "vq.commitment",
        edits=(
            (
                VQ_RETURN,
                VQ_RETURN.replace(
                    "codebook_loss + self.commitment_cost * commitment_loss",
                    "(codebook_loss + self.commitment_cost * commitment_loss) * self.embedding_dim",
                ),
            ),
        ),
        may_fail=TRAINED,
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
        edits=((PARAMETER, "self.codebook = initial_codebook(num_embeddings, embedding_dim)"),),
        may_fail=(
            "vq.nearest",
            "vq.codes",
            "vq.lookup",
            "vq.contract",
            "vq.loss",
            "vq.straight-through",
            "vq.reconstruction",
            "vq.codebook-loss",
            "vq.commitment",
            "restart.replaces",
            "restart.random",
            "model.shapes",
            "model.forward",
            "model.gradient",
            *TRAINED,
        ),
    ),
    mistake(
        "codebook-not-trained",
        "the codebook is a buffer in the plain quantizer too",
        "vq.codebook",
        "model.shapes",
        edits=((PARAMETER, 'self.register_buffer("codebook", initial_codebook(num_embeddings, embedding_dim))'),),
        may_fail=(
            "vq.nearest",
            "vq.codes",
            "vq.lookup",
            "vq.contract",
            "vq.loss",
            "vq.straight-through",
            "vq.reconstruction",
            "vq.codebook-loss",
            "vq.commitment",
            "restart.replaces",
            "restart.random",
            "model.forward",
            "model.gradient",
            *TRAINED,
        ),
    ),
    mistake(
        "codebook-of-zeros",
        "all codes start at 0",
        "vq.codebook",
        "ema.buffer",
        edits=(
            (
                "return torch.randn(num_embeddings, embedding_dim) * CODEBOOK_STD",
                "return torch.zeros(num_embeddings, embedding_dim)",
            ),
        ),
        may_fail=(
            "vq.nearest",
            "vq.codes",
            "vq.lookup",
            "vq.contract",
            "vq.loss",
            "vq.straight-through",
            "vq.reconstruction",
            "vq.codebook-loss",
            "vq.commitment",
            "restart.replaces",
            "restart.random",
            "ema.forward",
            "ema.update",
            "ema.steady",
            "ema.converges",
            "ema.modes",
            "model.forward",
            *TRAINED,
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
        may_fail=TRAINED,
    ),
    # ---- running averages
    mistake(
        "ema-with-gradient",
        "the EMA codebook is a parameter as well: an optimizer moves it too",
        "ema.buffer",
        "model.shapes",
        edits=(
            (
                'self.register_buffer("codebook", initial_codebook(num_embeddings, embedding_dim))',
                "self.codebook = nn.Parameter(initial_codebook(num_embeddings, embedding_dim))",
            ),
            (
                'self.register_buffer("sums", self.codebook.clone())',
                'self.register_buffer("sums", self.codebook.detach().clone())',
            ),
            (
                "self.commitment_cost * F.mse_loss(z_e, codes), grid",
                "self.commitment_cost * F.mse_loss(z_e, codes.detach()), grid",
            ),
        ),
        may_fail=(
            "ema.forward",
            "ema.update",
            "ema.steady",
            "ema.converges",
            "ema.modes",
            "model.forward",
            "model.gradient",
            *TRAINED,
        ),
    ),
    mistake(
        "ema-both-losses",
        "the EMA quantizer returns both terms of the loss",
        "ema.forward",
        edits=((EMA_RETURN, EMA_RETURN.replace("self.commitment_cost *", "(1 + self.commitment_cost) *")),),
        may_fail=("trained.ema",),
    ),
    mistake(
        "ema-no-weight",
        "the commitment cost of the EMA quantizer is forgotten",
        "ema.forward",
        edits=((EMA_RETURN, EMA_RETURN.replace("self.commitment_cost * ", "")),),
        may_fail=("trained.ema",),
    ),
    mistake(
        "ema-update-before-lookup",
        "moves the codes between choosing the nearest and reading them: z_q holds codes that were not there to choose",
        "ema.forward",
        edits=(
            (
                "        codes = self.lookup(grid)\n        if self.training:\n"
                "            self._update(vectors, indices)\n",
                "        if self.training:\n            self._update(vectors, indices)\n"
                "        codes = self.lookup(grid)\n",
            ),
        ),
        may_fail=("trained.ema",),
    ),
    mistake(
        "ema-keeps-the-graph",
        "the averages are taken with gradients: the second step goes back through the first, whose graph is gone",
        "ema.forward",
        "model.gradient",
        edits=(
            ("    @torch.no_grad()\n    def _update", "    def _update"),
            (
                "vectors = pixel_vectors(z_e, self.embedding_dim).detach()",
                "vectors = pixel_vectors(z_e, self.embedding_dim)",
            ),
        ),
        may_fail=("trained.ema",),
    ),
    mistake(
        "ema-zero-counts",
        "counts start at 0: the codebook jumps in the first pass",
        "ema.update",
        "ema.steady",
        edits=(
            (
                'self.register_buffer("counts", torch.ones(num_embeddings))',
                'self.register_buffer("counts", torch.zeros(num_embeddings))',
            ),
        ),
        may_fail=("ema.converges", "restart.random", "trained.ema"),
    ),
    mistake(
        "ema-zero-sums",
        "sums start at 0",
        "ema.update",
        "ema.steady",
        edits=(
            (
                'self.register_buffer("sums", self.codebook.clone())',
                'self.register_buffer("sums", torch.zeros_like(self.codebook))',
            ),
        ),
        may_fail=("ema.converges", "restart.random", "trained.ema"),
    ),
    mistake(
        "ema-decay-exchanged",
        "decay and 1 - decay are exchanged",
        "ema.update",
        edits=(
            (
                "self.counts.lerp_(members.sum(dim=0), 1 - self.decay)",
                "self.counts.lerp_(members.sum(dim=0), self.decay)",
            ),
            (
                "self.sums.lerp_(members.T @ vectors, 1 - self.decay)",
                "self.sums.lerp_(members.T @ vectors, self.decay)",
            ),
        ),
        may_fail=("ema.steady", "ema.converges", "restart.random", "trained.ema"),
    ),
    mistake(
        "ema-not-decayed",
        "adds to counts and sums without decay: a plain running mean",
        "ema.update",
        edits=(
            ("self.counts.lerp_(members.sum(dim=0), 1 - self.decay)", "self.counts.add_(members.sum(dim=0))"),
            ("self.sums.lerp_(members.T @ vectors, 1 - self.decay)", "self.sums.add_(members.T @ vectors)"),
        ),
        may_fail=("ema.converges", "trained.ema"),
    ),
    mistake(
        "ema-sum-is-mean",
        "the mean of a code's vectors takes the place of their sum",
        "ema.update",
        "ema.steady",
        edits=(
            (
                "self.sums.lerp_(members.T @ vectors, 1 - self.decay)",
                "self.sums.lerp_(members.T @ vectors / members.sum(dim=0).clamp(min=1).unsqueeze(1), 1 - self.decay)",
            ),
        ),
        may_fail=("ema.converges", "trained.ema"),
    ),
    mistake(
        "ema-not-divided",
        "the codebook is set to the sums, not to sums over counts",
        "ema.update",
        "ema.steady",
        edits=((SMOOTHED, "self.codebook.copy_(self.sums)"),),
        may_fail=("ema.converges", "trained.ema", "restart.random"),
    ),
    mistake(
        "ema-default-decay",
        "the default decay is .9",
        "ema.update",
        edits=(("decay: float = 0.99", "decay: float = 0.9"),),
        may_fail=("trained.ema",),
    ),
    mistake(
        "ema-smoothing-large",
        "adds 1 instead of epsilon to every count",
        "ema.update",
        "ema.steady",
        edits=(("smoothed = (self.counts + self.epsilon)", "smoothed = (self.counts + 1)"),),
        may_fail=("ema.converges", "trained.ema", "restart.random"),
    ),
    mistake(
        "ema-always-updates",
        "evaluation moves the codebook as well",
        "ema.modes",
        edits=(("        if self.training:\n            self._update", "        if True:\n            self._update"),),
        may_fail=("ema.forward", "model.forward", "trained.ema"),
    ),
    mistake(
        "ema-updates-with-gradients",
        "asks whether gradients are on instead of the mode",
        "ema.modes",
        edits=(
            (
                "        if self.training:\n            self._update",
                "        if torch.is_grad_enabled():\n            self._update",
            ),
        ),
        may_fail=("ema.forward", "model.forward"),
    ),
    mistake(
        "ema-never-updates",
        "updates in evaluation mode only",
        "ema.modes",
        "ema.update",
        "ema.converges",
        edits=(
            (
                "        if self.training:\n            self._update",
                "        if not self.training:\n            self._update",
            ),
        ),
        may_fail=("ema.forward", "model.forward", "trained.ema"),
    ),
    mistake(
        "ema-codebook-replaced",
        "the update binds a new plain tensor, which the state_dict does not hold",
        "ema.modes",
        edits=(
            (
                'self.register_buffer("codebook", initial_codebook(num_embeddings, embedding_dim))',
                "start = initial_codebook(num_embeddings, embedding_dim)\n"
                '        self.register_buffer("saved", start)\n        self.codebook = start.clone()',
            ),
        ),
        may_fail=(
            "vq.lookup",
            "vq.contract",
            "ema.buffer",
            "ema.forward",
            "ema.update",
            "ema.steady",
            "ema.converges",
            "restart.replaces",
            "restart.random",
            "model.shapes",
            "model.forward",
            "model.gradient",
            *TRAINED,
        ),
    ),
    # ---- usage, perplexity, restart
    mistake(
        "usage-too-short",
        "counts only up to the largest index that occurs",
        "usage",
        edits=(
            (
                "return torch.bincount(indices.flatten(), minlength=num_embeddings)",
                "return torch.bincount(indices.flatten())",
            ),
        ),
        may_fail=("perplexity",),
    ),
    mistake(
        "usage-is-set",
        "marks which codes occur instead of counting them",
        "usage",
        edits=(
            (
                "return torch.bincount(indices.flatten(), minlength=num_embeddings)",
                "return torch.bincount(indices.flatten(), minlength=num_embeddings).clamp(max=1)",
            ),
        ),
        may_fail=("perplexity",),
    ),
    mistake(
        "usage-negative-index",
        "lets -1 through as the last code",
        "usage",
        edits=(
            (
                "    outside = indices[(indices < 0) | (indices >= num_embeddings)]",
                "    outside = indices[indices >= num_embeddings]\n"
                "    indices = torch.where(indices < 0, indices + num_embeddings, indices)",
            ),
        ),
    ),
    mistake(
        "perplexity-base-2",
        "entropy in bits, exponential to base e",
        "perplexity",
        edits=(
            (
                "entropy = torch.special.entr(share).sum()",
                "entropy = torch.special.entr(share).sum() / 0.6931471805599453",
            ),
        ),
    ),
    mistake(
        "perplexity-is-entropy",
        "returns the entropy",
        "perplexity",
        edits=(("entropy.exp().to(", "entropy.to("),),
    ),
    mistake(
        "perplexity-log-zero",
        "0 log 0 is NaN as soon as a code is unused",
        "perplexity",
        edits=(("torch.special.entr(share).sum()", "-(share * share.log()).sum()"),),
    ),
    mistake(
        "perplexity-counts-codes",
        "returns the number of codes in use, whatever their shares",
        "perplexity",
        edits=(("entropy = torch.special.entr(share).sum()", "entropy = (share > 0).sum().double().log()"),),
    ),
    mistake(
        "restart-off-by-one",
        "restarts codes with usage equal to min_usage too",
        "restart.replaces",
        edits=(("dead = (usage < min_usage)", "dead = (usage <= min_usage)"),),
        may_fail=("restart.random",),
    ),
    mistake(
        "restart-ignores-min-usage",
        "only codes with usage 0 are restarted, whatever min_usage is",
        "restart.replaces",
        edits=(("dead = (usage < min_usage)", "dead = (usage < 1)"),),
        may_fail=("restart.random",),
    ),
    mistake(
        "restart-noise",
        "dead codes become random numbers instead of vectors of z_e",
        "restart.replaces",
        edits=((CHOSEN, CHOSEN + "\n    chosen = torch.randn_like(chosen)"),),
        may_fail=("restart.random",),
    ),
    mistake(
        "restart-with-repeats",
        "draws with replacement: two dead codes can become the same",
        "restart.replaces",
        edits=((CHOSEN, "chosen = candidates[torch.randint(len(candidates), (len(dead),), generator=generator)]"),),
        may_fail=("restart.random",),
    ),
    mistake(
        "restart-first-pixels",
        "always takes the first pixels instead of random ones",
        "restart.random",
        edits=(
            (
                CHOSEN,
                CHOSEN.replace("order[torch.arange", "(torch.arange").replace(
                    "% len(candidates)]]", "% len(candidates))]"
                ),
            ),
        ),
    ),
    mistake(
        "restart-ignores-generator",
        "draws from the global stream",
        "restart.random",
        edits=(
            (
                "order = torch.randperm(len(candidates), generator=generator, device=drawn_on)",
                "order = torch.randperm(len(candidates), device=drawn_on)",
            ),
        ),
    ),
    mistake(
        "restart-generator-stands-still",
        "draws from a copy of the generator, so that each call with it draws the same pixels",
        "restart.random",
        edits=(
            (
                "    order = torch.randperm(len(candidates), generator",
                "    generator = None if generator is None else generator.clone_state()\n"
                "    order = torch.randperm(len(candidates), generator",
            ),
        ),
    ),
    mistake(
        "restart-freezes-the-codebook",
        "switches the codebook's gradient off to write into it, and nobody switches it on again",
        "restart.replaces",
        edits=(
            (
                "    with torch.no_grad():\n        quantizer.codebook[dead] = chosen\n",
                "    quantizer.codebook.requires_grad_(False)\n"
                "    with torch.no_grad():\n        quantizer.codebook[dead] = chosen\n",
            ),
        ),
        may_fail=("restart.random",),
    ),
    mistake(
        "restart-turns-gradients-on",
        "switches gradients off, and on again for callers who had them off",
        "restart.replaces",
        edits=(
            (
                "    with torch.no_grad():\n        quantizer.codebook[dead]",
                "    torch.set_grad_enabled(False)\n    if True:\n        quantizer.codebook[dead]",
            ),
            ("    return len(dead)\n", "    torch.set_grad_enabled(True)\n    return len(dead)\n"),
        ),
        may_fail=("restart.random",),
    ),
    mistake(
        "restart-new-parameter",
        "assigns a new parameter, which the optimizer does not know",
        "restart.replaces",
        edits=(
            (
                "        quantizer.codebook[dead] = chosen\n",
                "        renewed = quantizer.codebook.detach().clone()\n        renewed[dead] = chosen\n"
                "        if isinstance(quantizer, VectorQuantizer):\n            quantizer.codebook = nn.Parameter(renewed)\n"
                "        else:\n            quantizer.codebook.copy_(renewed)\n",
            ),
        ),
        may_fail=("restart.random",),
    ),
    mistake(
        "restart-forgotten-by-averages",
        "running counts and sums keep the old place of a restarted code",
        "restart.random",
        edits=(
            (
                "            quantizer.counts[dead] = 1.0\n            quantizer.sums[dead] = chosen\n",
                "            pass\n",
            ),
        ),
    ),
    mistake(
        "restart-resets-all-averages",
        "counts and sums of all codes start anew, not only those of the restarted ones",
        "restart.random",
        edits=(
            (
                "            quantizer.counts[dead] = 1.0\n            quantizer.sums[dead] = chosen\n",
                "            quantizer.counts.fill_(1.0)\n            quantizer.sums.copy_(quantizer.codebook)\n",
            ),
        ),
    ),
    mistake(
        "restart-counts-live",
        "returns the number of codes that are in use",
        "restart.replaces",
        edits=(("    return len(dead)\n", "    return num_embeddings - len(dead)\n"),),
        may_fail=("restart.random",),
    ),
    # ---- the model and its loss
    mistake(
        "model-ignores-beta",
        "the commitment cost is not handed on to the quantizer",
        "model.forward",
        edits=(
            (
                "            num_embeddings, embedding_dim, commitment_cost\n        )\n        self.decoder",
                "            num_embeddings, embedding_dim\n        )\n        self.decoder",
            ),
        ),
    ),
    mistake(
        "model-ignores-ema",
        "ema=True changes nothing",
        "model.shapes",
        edits=(("(EMAVectorQuantizer if ema else VectorQuantizer)(", "VectorQuantizer("),),
        may_fail=("model.forward", "model.gradient", "trained.ema"),
    ),
    mistake(
        "model-decodes-z-e",
        "decodes the encoder's output instead of the codes",
        "model.forward",
        edits=(("return self.decode(z_q), vq_loss, indices", "return self.decode(self.encode(x)), vq_loss, indices"),),
        may_fail=("model.gradient", *TRAINED),
    ),
    mistake(
        "model-quantises-twice",
        "asks the quantizer once for codes and loss and once for the indices: averages move twice in a pass",
        "model.forward",
        edits=(
            (
                "        z_q, vq_loss, indices = self.quantizer(self.encode(x))\n",
                "        z_e = self.encode(x)\n        z_q, vq_loss = self.quantizer(z_e)[:2]\n"
                "        indices = self.quantizer(z_e)[2]\n",
            ),
        ),
        may_fail=("trained.ema",),
    ),
    mistake(
        "model-detached",
        "detaches the codes before decoding",
        "model.gradient",
        edits=(("return self.decode(z_q), vq_loss, indices", "return self.decode(z_q.detach()), vq_loss, indices"),),
        may_fail=TRAINED,
    ),
    mistake(
        "model-not-squashed",
        "nothing bounds the picture",
        "model.shapes",
        edits=(
            (
                "            nn.ConvTranspose2d(16, 1, kernel_size=4, stride=2, padding=1),\n            nn.Sigmoid(),\n",
                "            nn.ConvTranspose2d(16, 1, kernel_size=4, stride=2, padding=1),\n",
            ),
        ),
        may_fail=("model.forward", "model.gradient", *TRAINED),
    ),
    mistake(
        "model-size",
        "a transposed convolution without output padding: 7 becomes 13",
        "model.shapes",
        edits=(
            (
                "nn.ConvTranspose2d(32, 16, kernel_size=4, stride=2, padding=1)",
                "nn.ConvTranspose2d(32, 16, kernel_size=3, stride=2, padding=1)",
            ),
        ),
        may_fail=("model.forward", "model.gradient", *TRAINED),
    ),
    mistake(
        "loss-per-image",
        "the reconstruction is summed over pixels",
        "loss",
        edits=(
            (
                "return F.mse_loss(x_recon, x) + vq_loss",
                "return F.mse_loss(x_recon, x, reduction='sum') / len(x) + vq_loss",
            ),
        ),
    ),
    mistake(
        "loss-without-vq",
        "vq_loss enters as a number: no gradient reaches it",
        "loss",
        edits=(("return F.mse_loss(x_recon, x) + vq_loss", "return F.mse_loss(x_recon, x) + vq_loss.detach()"),),
    ),
    mistake(
        "loss-broadcasts",
        "pictures of other shapes are broadcast silently",
        "loss",
        edits=(('    _check_same_shape("x_recon", x_recon, x)\n', ""),),
    ),
)
