"""Question 10: the reference with one bug: running averages, usage, perplexity, restart."""

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


SMOOTHED = "self.codebook.copy_(self.sums / smoothed.unsqueeze(1))"


EMA_RETURN = "return straight_through(z_e, codes), self.commitment_cost * F.mse_loss(z_e, codes), grid"


CHOSEN = "chosen = candidates[order[torch.arange(len(dead), device=z_e.device) % len(candidates)]]"


MISTAKES: tuple[Mistake, ...] = (
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
)
