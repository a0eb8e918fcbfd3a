"""The bonus: the reference with one bug: masked convolution and prior."""

from __future__ import annotations

from .. import Mistake

BONUS = 0


def prior_mistake(
    id: str,
    story: str,
    *fails: str,
    edits: tuple[tuple[str, str], ...] = (),
    append: str = "",
    may_fail: tuple[str, ...] = (),
) -> Mistake:
    """A bug in prior.py."""
    names = tuple(f"bonus.{name}" for name in fails)
    also = tuple(f"bonus.{name}" for name in may_fail)
    return Mistake(f"bonus.{id}", BONUS, "prior", story, names, edits, append, also)


TRAINED = ("trained.source", "trained.images")


VISIBLE = 'visible = centre if mask_type == "A" else centre + 1'


CONVOLUTION = "return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)"


FIRST = 'first = MaskedConv2d("A", hidden_channels, hidden_channels, kernel_size=7)'


LATER = 'MaskedConv2d("B", hidden_channels, hidden_channels, kernel_size=3)'


LOGITS = "logits: Tensor = self.layers(self.embedding(indices).permute(0, 3, 1, 2))"


DRAW = "codes[:, row, column] = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)"


MISTAKES: tuple[Mistake, ...] = (
    # ---- masked convolution and prior
    prior_mistake(
        "mask-b-for-a",
        "type A shows the centre: the first layer sees what it predicts",
        "masked.reach",
        edits=((VISIBLE, "visible = centre + 1"),),
        may_fail=("masked.trained", *TRAINED),
    ),
    prior_mistake(
        "mask-a-for-b",
        "type B hides the centre as well",
        "masked.reach",
        edits=((VISIBLE, "visible = centre"),),
        may_fail=("masked.trained", "prior.causal", *TRAINED),
    ),
    prior_mistake(
        "mask-rows-only",
        "shows the rest of the current row too",
        "masked.reach",
        edits=((VISIBLE, "visible = (kernel_size // 2 + 1) * kernel_size"),),
        may_fail=("masked.trained", *TRAINED),
    ),
    prior_mistake(
        "mask-flipped",
        "shows what comes after instead of before",
        "masked.reach",
        edits=(
            (
                "mask = (torch.arange(kernel_size**2) < visible)",
                "mask = (torch.arange(kernel_size**2).flip(0) < visible)",
            ),
        ),
        may_fail=("masked.trained", *TRAINED),
    ),
    prior_mistake(
        "mask-columns-first",
        "orders positions column by column",
        "masked.reach",
        edits=((".view(kernel_size, kernel_size)\n", ".view(kernel_size, kernel_size).T\n"),),
        may_fail=("masked.trained", *TRAINED),
    ),
    prior_mistake(
        "mask-hides-row-above",
        "hides the right half of the rows above too",
        "masked.reach",
        edits=(
            (
                ".view(kernel_size, kernel_size)\n",
                ".view(kernel_size, kernel_size)\n        mask[:, kernel_size // 2 + 1 :] = False\n",
            ),
        ),
        may_fail=("masked.trained", "prior.causal", *TRAINED),
    ),
    prior_mistake(
        "mask-once",
        "sets the hidden weights to 0 at the start only: training brings them back",
        "masked.trained",
        edits=(
            (CONVOLUTION, "return F.conv2d(x, self.weight, self.bias, padding=self.padding)"),
            (
                'self.register_buffer("mask", mask, persistent=False)',
                'self.register_buffer("mask", mask, persistent=False)\n        self.weight.data.mul_(mask)',
            ),
        ),
        may_fail=TRAINED,
    ),
    prior_mistake(
        "mask-by-gradient-hook",
        "sets the hidden weights to 0 at the start and their gradients ever after: weights that are loaded are not hidden",
        "masked.trained",
        edits=(
            (CONVOLUTION, "return F.conv2d(x, self.weight, self.bias, padding=self.padding)"),
            (
                'self.register_buffer("mask", mask, persistent=False)',
                'self.register_buffer("mask", mask, persistent=False)\n        self.weight.data.mul_(mask)\n'
                "        self.weight.register_hook(lambda grad: grad * mask)",
            ),
        ),
        may_fail=("prior.causal",),
    ),
    prior_mistake(
        "mask-output",
        "the mask is applied to the input's neighbourhood mean: no padding",
        "masked.reach",
        "prior.shapes",
        edits=((CONVOLUTION, "return F.conv2d(x, self.weight * self.mask, self.bias)"),),
        may_fail=("masked.trained", "prior.causal", *TRAINED),
    ),
    prior_mistake(
        "mask-any-type",
        "an unknown type counts as B",
        "errors",
        edits=(('if mask_type not in ("A", "B"):', "if False:"),),
    ),
    prior_mistake(
        "mask-even-kernel",
        "even kernels are accepted",
        "errors",
        edits=(("if kernel_size % 2 == 0:", "if False:"),),
    ),
    prior_mistake(
        "prior-first-layer-b",
        "the first layer of the prior is of type B",
        "prior.causal",
        edits=((FIRST, FIRST.replace('"A"', '"B"')),),
        may_fail=TRAINED,
    ),
    prior_mistake(
        "prior-all-a-plain",
        "one of the later layers is a convolution without a mask",
        "prior.causal",
        edits=((LATER, "nn.Conv2d(hidden_channels, hidden_channels, kernel_size=3, padding=1)"),),
        may_fail=TRAINED,
    ),
    prior_mistake(
        "prior-residual-from-input",
        "a skip from the embedding to the output goes round the first mask",
        "prior.causal",
        edits=(
            (
                LOGITS,
                "h = self.embedding(indices).permute(0, 3, 1, 2)\n"
                "        logits: Tensor = self.layers[-1](self.layers[:-1](h) + h)",
            ),
        ),
        may_fail=TRAINED,
    ),
    prior_mistake(
        "prior-normalised-over-grid",
        "normalises over channels and positions: later codes leak into the statistics",
        "prior.causal",
        edits=(
            ("rest = [", "norm = nn.GroupNorm(1, hidden_channels)\n        rest = ["),
            ("self.layers = nn.Sequential(first, *rest,", "self.layers = nn.Sequential(first, norm, *rest,"),
        ),
        may_fail=TRAINED,
    ),
    prior_mistake(
        "prior-logits-last",
        "logits of shape (B, H, W, K)",
        "prior.shapes",
        edits=(("        return logits\n", "        return logits.permute(0, 2, 3, 1)\n"),),
        may_fail=("prior.causal", *TRAINED),
    ),
    prior_mistake(
        "prior-unconditional",
        "always predicts from a blank grid",
        "prior.causal",
        edits=((LOGITS, LOGITS.replace("self.embedding(indices)", "self.embedding(torch.zeros_like(indices))")),),
        may_fail=TRAINED,
    ),
    prior_mistake(
        "bits-in-nats",
        "natural logarithm",
        "bits",
        edits=(("return F.cross_entropy(logits, indices) / math.log(2)", "return F.cross_entropy(logits, indices)"),),
    ),
    prior_mistake(
        "bits-summed",
        "the sum over positions, averaged over images",
        "bits",
        edits=(
            (
                "return F.cross_entropy(logits, indices) / math.log(2)",
                "return F.cross_entropy(logits, indices, reduction='sum') / len(logits) / math.log(2)",
            ),
        ),
    ),
    prior_mistake(
        "bits-underflow",
        "logarithm of a softmax: infinite where a probability underflows",
        "bits",
        edits=(
            (
                "return F.cross_entropy(logits, indices) / math.log(2)",
                "return F.nll_loss(logits.softmax(dim=1).log2(), indices)",
            ),
        ),
    ),
    prior_mistake(
        "sample-uniform",
        "draws all codes uniformly",
        "sample.law",
        edits=(
            (
                DRAW,
                "codes[:, row, column] = torch.randint(probabilities.shape[1], (num_samples,), generator=generator)",
            ),
        ),
    ),
    prior_mistake(
        "sample-argmax",
        "takes the most probable code at each step",
        "sample.law",
        "sample.modes",
        edits=((DRAW, "codes[:, row, column] = probabilities.argmax(dim=1)"),),
    ),
    prior_mistake(
        "sample-at-once",
        "draws all positions from the logits of an empty grid",
        "sample.law",
        edits=(
            (
                "probabilities = model(codes)[:, :, row, column].softmax(dim=1)",
                "probabilities = model(torch.zeros_like(codes))[:, :, row, column].softmax(dim=1)",
            ),
        ),
    ),
    prior_mistake(
        "sample-columns-first",
        "fills the grid column by column",
        "sample.law",
        edits=(
            (
                "        for row in range(height):\n            for column in range(width):",
                "        for column in range(width):\n            for row in range(height):",
            ),
        ),
    ),
    prior_mistake(
        "sample-sharpened",
        "uses the squares of the probabilities",
        "sample.law",
        edits=(("[:, :, row, column].softmax(dim=1)", "[:, :, row, column].mul(2).softmax(dim=1)"),),
    ),
    prior_mistake(
        "sample-unnormalised",
        "draws from exp(logits), which multinomial would normalise: it over- or underflows where all are large or small",
        "sample.law",
        edits=(("[:, :, row, column].softmax(dim=1)", "[:, :, row, column].exp()"),),
    ),
    prior_mistake(
        "sample-gradients-stay-off",
        "switches gradients off, and nobody switches them on again",
        "sample.modes",
        edits=(
            (
                "    codes = torch.zeros(num_samples,",
                "    torch.set_grad_enabled(False)\n    codes = torch.zeros(num_samples,",
            ),
        ),
    ),
    prior_mistake(
        "sample-turns-gradients-on",
        "switches gradients on at the end, also for callers who had them off",
        "sample.modes",
        edits=(("    return codes\n", "    torch.set_grad_enabled(True)\n    return codes\n"),),
    ),
    prior_mistake(
        "sample-training-mode",
        "leaves the model in the mode it is in",
        "sample.modes",
        edits=(("with evaluation_mode(model):\n        for row", "with torch.no_grad():\n        for row"),),
    ),
    prior_mistake(
        "sample-mode-lost",
        "leaves the model in evaluation mode",
        "sample.modes",
        edits=(
            (
                "with evaluation_mode(model):\n        for row",
                "model.eval()\n    with torch.no_grad():\n        for row",
            ),
        ),
    ),
    prior_mistake(
        "sample-with-gradients",
        "keeps the graph of every step",
        "sample.modes",
        edits=(
            (
                "with evaluation_mode(model):\n        for row",
                "with evaluation_mode(model), torch.enable_grad():\n        for row",
            ),
        ),
    ),
    prior_mistake(
        "sample-ignores-generator",
        "draws from the global stream",
        "sample.modes",
        edits=((DRAW, DRAW.replace(", generator=generator", "")),),
    ),
    prior_mistake(
        "sample-fixed-seed",
        "seeds its own generator",
        "sample.modes",
        edits=(
            (
                "    codes = torch.zeros(num_samples,",
                "    generator = torch.Generator().manual_seed(0)\n    codes = torch.zeros(num_samples,",
            ),
        ),
    ),
    prior_mistake(
        "mask-no-buffer",
        "the mask is a plain tensor: it stays on the CPU when the layer moves",
        "devices",
        edits=(('self.register_buffer("mask", mask, persistent=False)', "self.mask = mask"),),
    ),
    prior_mistake(
        "sample-codes-on-the-cpu",
        "the grid of codes is made on the CPU, wherever the model is",
        "devices",
        edits=(("dtype=torch.int64, device=device)", "dtype=torch.int64)"),),
    ),
    prior_mistake(
        "prior-ignores-width",
        "the network is 64 channels wide whatever is asked for",
        "prior.shapes",
        edits=(
            (
                "        self.embedding = nn.Embedding(num_embeddings, hidden_channels)",
                "        hidden_channels = 64\n        self.embedding = nn.Embedding(num_embeddings, hidden_channels)",
            ),
        ),
    ),
    prior_mistake(
        "prior-ignores-depth",
        "the network has four layers whatever is asked for",
        "prior.shapes",
        edits=(("for _ in range(num_layers - 1)", "for _ in range(3)"),),
    ),
    prior_mistake(
        "bits-of-the-mean-probability",
        "the logarithm of the mean probability instead of the mean of the logarithms",
        "bits",
        edits=(
            (
                "return F.cross_entropy(logits, indices) / math.log(2)",
                "return -logits.softmax(dim=1).gather(1, indices.unsqueeze(1)).mean().log2()",
            ),
        ),
    ),
    prior_mistake(
        "sample-from-the-end",
        "fills the grid from the last position to the first",
        "sample.law",
        edits=(
            ("for row in range(height):", "for row in reversed(range(height)):"),
            ("for column in range(width):", "for column in reversed(range(width)):"),
        ),
    ),
)
