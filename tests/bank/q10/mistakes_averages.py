"""Question 10: the reference with one bug: running averages."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

TRAINED = ("trained.vq", "trained.ema")


SMOOTHED = "self.codebook.copy_(self.sums / smoothed.unsqueeze(1))"


EMA_RETURN = "return straight_through(z_e, codes), self.commitment_cost * F.mse_loss(z_e, codes), grid"


MISTAKES: tuple[Mistake, ...] = (
    # ---- running averages
    mistake(
        "ema-with-gradient",
        "the EMA codebook is a parameter as well: an optimizer moves it too",
        "ema.buffer",
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
            "trained.vq",
            "trained.ema",
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
        "ema.codes",
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
        may_fail=("trained.ema",),
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
        may_fail=("trained.ema",),
    ),
    mistake(
        "ema-decay-exchanged",
        "decay and 1 - decay are exchanged",
        "ema.update",
        "ema.steady",
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
        may_fail=("trained.ema",),
    ),
    mistake(
        "ema-not-decayed",
        "adds to counts and sums without decay: a plain running mean",
        "ema.update",
        edits=(
            ("self.counts.lerp_(members.sum(dim=0), 1 - self.decay)", "self.counts.add_(members.sum(dim=0))"),
            ("self.sums.lerp_(members.T @ vectors, 1 - self.decay)", "self.sums.add_(members.T @ vectors)"),
        ),
        may_fail=("trained.ema",),
    ),
    mistake(
        "ema-sum-is-mean",
        "the mean of a code's vectors takes the place of their sum",
        "ema.update",
        "ema.steady",
        "ema.converges",
        edits=(
            (
                "self.sums.lerp_(members.T @ vectors, 1 - self.decay)",
                "self.sums.lerp_(members.T @ vectors / members.sum(dim=0).clamp(min=1).unsqueeze(1), 1 - self.decay)",
            ),
        ),
        may_fail=("trained.ema",),
    ),
    mistake(
        "ema-not-divided",
        "the codebook is set to the sums, not to sums over counts",
        "ema.update",
        "ema.steady",
        "ema.converges",
        edits=((SMOOTHED, "self.codebook.copy_(self.sums)"),),
        may_fail=("trained.ema",),
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
        "ema.converges",
        edits=(("smoothed = (self.counts + self.epsilon)", "smoothed = (self.counts + 1)"),),
        may_fail=("trained.ema",),
    ),
    mistake(
        "ema-always-updates",
        "evaluation moves the codebook as well",
        "ema.modes",
        edits=(("        if self.training:\n            self._update", "        if True:\n            self._update"),),
        may_fail=("trained.ema",),
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
        may_fail=(),
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
        may_fail=("trained.ema",),
    ),
    mistake(
        "ema-codebook-replaced",
        "the update binds a new plain tensor, which the state_dict does not hold",
        "ema.buffer",
        edits=(
            (
                'self.register_buffer("codebook", initial_codebook(num_embeddings, embedding_dim))',
                "start = initial_codebook(num_embeddings, embedding_dim)\n"
                '        self.register_buffer("saved", start)\n        self.codebook = start.clone()',
            ),
        ),
        may_fail=(
            "trained.vq",
            "trained.ema",
        ),
    ),
    # ---- what each argument is for
    mistake(
        "ema-epsilon-ignored",
        "no smoothing: a code that nothing chooses for long is 0 / 0",
        "ema.smoothing",
        edits=((SMOOTHED, "self.codebook.copy_(self.sums / self.counts.unsqueeze(1))"),),
    ),
    mistake(
        "ema-epsilon-fixed",
        "the smoothing is 1e-5 whatever epsilon is",
        "ema.smoothing",
        edits=(("        self.epsilon = epsilon\n", "        self.epsilon = 1e-5\n"),),
    ),
    mistake(
        "ema-smoothed-counts-kept",
        "the smoothed counts take the place of the running ones, as in several public repositories",
        "ema.smoothing",
        edits=((SMOOTHED, SMOOTHED + "\n        self.counts.copy_(smoothed)"),),
    ),
    mistake(
        "ema-decay-fixed",
        "the decay is .99 whatever is asked for",
        "ema.update",
        "ema.converges",
        edits=(("        self.decay = decay\n", "        self.decay = 0.99\n"),),
    ),
    mistake(
        "ema-cost-fixed",
        "the commitment cost of the EMA quantizer is .25 whatever is asked for",
        "ema.forward",
        edits=((EMA_RETURN, EMA_RETURN.replace("self.commitment_cost *", "0.25 *")),),
    ),
    mistake(
        "ema-moves-twice",
        "two updates in one pass",
        "ema.update",
        edits=(
            (
                "            self._update(vectors, indices)\n",
                "            self._update(vectors, indices)\n            self._update(vectors, indices)\n",
            ),
        ),
    ),
    mistake(
        "ema-batch-without-weight",
        "old values decay, new ones come in with the weight 1",
        "ema.update",
        edits=(
            (
                "self.counts.lerp_(members.sum(dim=0), 1 - self.decay)",
                "self.counts.mul_(self.decay).add_(members.sum(dim=0))",
            ),
            (
                "self.sums.lerp_(members.T @ vectors, 1 - self.decay)",
                "self.sums.mul_(self.decay).add_(members.T @ vectors)",
            ),
        ),
    ),
    mistake(
        "ema-counts-no-buffer",
        "running counts and sums are plain tensors: they stay on the CPU in float32 when the module moves",
        "dtypes",
        "devices",
        edits=(
            ('self.register_buffer("counts", torch.ones(num_embeddings))', "self.counts = torch.ones(num_embeddings)"),
            ('self.register_buffer("sums", self.codebook.clone())', "self.sums = self.codebook.clone()"),
        ),
    ),
    mistake(
        "ema-one-hot-on-the-cpu",
        "the one-hot rows are made on the CPU, whatever the device of z_e is",
        "devices",
        edits=(
            (
                "members = F.one_hot(indices, self.num_embeddings).to(vectors)",
                "members = torch.zeros(len(indices), self.num_embeddings, dtype=vectors.dtype)\n"
                "        members[torch.arange(len(indices)), indices] = 1.0",
            ),
        ),
    ),
    mistake(
        "ema-one-hot-in-float32",
        "one-hot rows in float32 whatever the dtype of z_e is",
        "dtypes",
        edits=(
            (
                "members = F.one_hot(indices, self.num_embeddings).to(vectors)",
                "members = F.one_hot(indices, self.num_embeddings).float()",
            ),
        ),
    ),
    mistake(
        "ema-soft-while-training",
        "in training mode z_q is a mixture of codes, weighted by a softmax of the distances",
        "ema.codes",
        edits=(
            (
                "        codes = self.lookup(grid)\n        if self.training:\n",
                "        codes = self.lookup(grid)\n        if self.training:\n"
                "            weights = (-torch.cdist(vectors, self.codebook).square()).softmax(dim=1)\n"
                "            soft = (weights @ self.codebook).view(len(z_e), *z_e.shape[2:], -1)\n"
                "            codes = soft.permute(0, 3, 1, 2)\n",
            ),
        ),
    ),
)
