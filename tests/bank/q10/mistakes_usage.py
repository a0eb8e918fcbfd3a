"""Question 10: the reference with one bug: usage, perplexity, restart."""

from __future__ import annotations

from .. import Mistake
from .writing import mistake

CHOSEN = "chosen = candidates[order[torch.arange(len(dead), device=z_e.device) % len(candidates)]]"


MISTAKES: tuple[Mistake, ...] = (
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
        may_fail=(),
    ),
    mistake(
        "usage-is-set",
        "marks which codes occur instead of counting them",
        "usage",
        "perplexity",
        edits=(
            (
                "return torch.bincount(indices.flatten(), minlength=num_embeddings)",
                "return torch.bincount(indices.flatten(), minlength=num_embeddings).clamp(max=1)",
            ),
        ),
        may_fail=(),
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
        may_fail=(),
    ),
    mistake(
        "restart-ignores-min-usage",
        "only codes with usage 0 are restarted, whatever min_usage is",
        "restart.replaces",
        edits=(("dead = (usage < min_usage)", "dead = (usage < 1)"),),
        may_fail=(),
    ),
    mistake(
        "restart-noise",
        "dead codes become random numbers instead of vectors of z_e",
        "restart.replaces",
        "restart.random",
        edits=((CHOSEN, CHOSEN + "\n    chosen = torch.randn_like(chosen)"),),
        may_fail=(),
    ),
    mistake(
        "restart-with-repeats",
        "draws with replacement: two dead codes can become the same",
        "restart.replaces",
        edits=((CHOSEN, "chosen = candidates[torch.randint(len(candidates), (len(dead),), generator=generator)]"),),
        may_fail=(),
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
        may_fail=(),
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
        may_fail=(),
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
        may_fail=(),
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
        may_fail=(),
    ),
    mistake(
        "restart-ignores-usage",
        "restarts the codes that no pixel of z_e chooses, whatever usage says",
        "restart.replaces",
        "restart.random",
        edits=(
            (
                "dead = (usage < min_usage)",
                "chosen_now = nearest_codes(pixel_vectors(z_e.detach(), embedding_dim), quantizer.codebook.detach())\n"
                "    dead = (torch.bincount(chosen_now, minlength=num_embeddings) < min_usage)",
            ),
        ),
    ),
    mistake(
        "restart-one-vector-for-all",
        "draws one pixel and gives its vector to all dead codes",
        "restart.replaces",
        "restart.random",
        edits=((CHOSEN, "chosen = candidates[order[:1].expand(len(dead))]"),),
    ),
    mistake(
        "restart-noise-added",
        "adds a little noise to the vectors that it draws",
        "restart.replaces",
        edits=((CHOSEN, CHOSEN + "\n    chosen = chosen + 0.01 * torch.randn_like(chosen)"),),
    ),
    mistake(
        "restart-noise-on-the-cpu",
        "the order is drawn on the CPU and gathered from there",
        "devices",
        edits=(
            (
                CHOSEN,
                "order = torch.randperm(len(candidates), generator=generator)[torch.arange(len(dead)) % len(candidates)]\n"
                "    chosen = candidates.gather(0, order.unsqueeze(1).expand(-1, embedding_dim))",
            ),
        ),
    ),
    mistake(
        "restart-first-image",
        "draws from the pixels of the first image only",
        "restart.random",
        edits=(
            (
                "candidates = torch.unique(pixel_vectors(z_e.detach(), embedding_dim), dim=0)",
                "candidates = torch.unique(pixel_vectors(z_e.detach()[:1], embedding_dim), dim=0)",
            ),
        ),
    ),
    mistake(
        "perplexity-of-squares",
        "one over the sum of squared shares, another number of effective codes",
        "perplexity",
        edits=(("entropy = torch.special.entr(share).sum()", "entropy = -share.square().sum().log()"),),
    ),
)
