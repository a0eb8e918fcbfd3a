"""Bank of the bonus: one bug in each mistake, correct submissions of another kind."""

from __future__ import annotations

from . import Alternative, Mistake

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


def mistake(
    id: str,
    story: str,
    *fails: str,
    edits: tuple[tuple[str, str], ...] = (),
    append: str = "",
    may_fail: tuple[str, ...] = (),
) -> Mistake:
    """A bug in evaluation.py."""
    names = tuple(f"bonus.{name}" for name in fails)
    also = tuple(f"bonus.{name}" for name in may_fail)
    return Mistake(f"bonus.{id}", BONUS, "evaluation", story, names, edits, append, also)


def alternative(
    module: str, id: str, story: str, edits: tuple[tuple[str, str], ...] = (), append: str = ""
) -> Alternative:
    """A correct prior.py or evaluation.py."""
    return Alternative(f"bonus.{id}", BONUS, module, story, edits, append)


TRAINED = ("trained.source", "trained.images")
VISIBLE = 'visible = centre if mask_type == "A" else centre + 1'
CONVOLUTION = "return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)"
FIRST = 'first = MaskedConv2d("A", hidden_channels, hidden_channels, kernel_size=7)'
LATER = 'MaskedConv2d("B", hidden_channels, hidden_channels, kernel_size=3)'
LOGITS = "logits: Tensor = self.layers(self.embedding(indices).permute(0, 3, 1, 2))"
DRAW = "codes[:, row, column] = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)"
WEIGHTS = "return log_px_given_z + diagonal_log_prob(z, zero, zero) - diagonal_log_prob(z, mu, logvar)"
BOUND = "return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))"
APPENDED = "log_weights.append(log_importance_weights(log_px_given_z[None], z[None], mu, logvar))"
CROSS = "cross = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()"
TARGET = "return mse_loss(features, functional_call(feature_net, frozen, (x.detach(),)))"
BUILDS_ON_BOUND = ("ppca.oracle", "iwae.law", "iwae.grows")

MISTAKES: tuple[Mistake, ...] = (
    # ---- masked convolution and prior
    prior_mistake(
        "mask-b-for-a",
        "type A shows the centre: the first layer sees what it predicts",
        "masked.reach",
        "prior.causal",
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
        "prior.causal",
        edits=((VISIBLE, "visible = (kernel_size // 2 + 1) * kernel_size"),),
        may_fail=("masked.trained", *TRAINED),
    ),
    prior_mistake(
        "mask-flipped",
        "shows what comes after instead of before",
        "masked.reach",
        "prior.causal",
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
        "prior.causal",
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
        "prior.causal",
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
    # ---- importance-weighted bounds
    mistake(
        "weights-without-prior",
        "log p(z) is left out",
        "weights",
        edits=((WEIGHTS, "return log_px_given_z - diagonal_log_prob(z, mu, logvar)"),),
        may_fail=BUILDS_ON_BOUND,
    ),
    mistake(
        "weights-q-added",
        "log q is added",
        "weights",
        edits=((WEIGHTS, WEIGHTS.replace("- diagonal", "+ diagonal")),),
        may_fail=BUILDS_ON_BOUND,
    ),
    mistake(
        "weights-analytic-kl",
        "the analytic KL takes the place of log p(z) - log q(z given x)",
        "weights",
        edits=((WEIGHTS, "return log_px_given_z - 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(-1)"),),
        may_fail=BUILDS_ON_BOUND,
    ),
    mistake(
        "weights-logvar-as-log-sigma",
        "reads logvar as log sigma",
        "weights",
        edits=((WEIGHTS, WEIGHTS.replace("mu, logvar)", "mu, 2 * logvar)")),),
        may_fail=BUILDS_ON_BOUND,
    ),
    mistake(
        "weights-mean-over-latents",
        "averages over latent dimensions instead of summing",
        "weights",
        edits=(
            (
                WEIGHTS,
                "n = mu.shape[-1]\n    return log_px_given_z + diagonal_log_prob(z, zero, zero) / n"
                " - diagonal_log_prob(z, mu, logvar) / n",
            ),
        ),
        may_fail=BUILDS_ON_BOUND,
    ),
    mistake(
        "bound-mean-of-logs",
        "the mean of the logarithms: the bound does not grow with k",
        "bound",
        edits=((BOUND, "return log_weights.mean(dim=0)"),),
        may_fail=BUILDS_ON_BOUND,
    ),
    mistake(
        "bound-without-k",
        "forgets - log k",
        "bound",
        edits=((BOUND, "return torch.logsumexp(log_weights, dim=0)"),),
        may_fail=BUILDS_ON_BOUND,
    ),
    mistake(
        "bound-over-batch",
        "takes the mean weight over the batch",
        "bound",
        edits=((BOUND, "return torch.logsumexp(log_weights, dim=1) - math.log(log_weights.shape[1])"),),
        may_fail=(*BUILDS_ON_BOUND, "iwae.modes"),
    ),
    mistake(
        "bound-underflows",
        "exponentials of the weights themselves",
        "bound",
        edits=((BOUND, "return log_weights.exp().mean(dim=0).log()"),),
        may_fail=BUILDS_ON_BOUND,
    ),
    mistake(
        "bound-max",
        "the largest weight instead of the mean",
        "bound",
        edits=((BOUND, "return log_weights.max(dim=0).values"),),
        may_fail=BUILDS_ON_BOUND,
    ),
    mistake(
        "iwae-posterior-mean",
        "decodes mu instead of draws",
        "iwae.law",
        "iwae.modes",
        edits=(("z = reparameterize(mu, logvar, generator=generator)", "z = mu"),),
        may_fail=("iwae.grows",),
    ),
    mistake(
        "iwae-from-prior",
        "draws z from the prior, but weights it as a draw of the posterior",
        "iwae.law",
        edits=(
            (
                "z = reparameterize(mu, logvar, generator=generator)",
                "z = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)",
            ),
        ),
        may_fail=("iwae.grows",),
    ),
    mistake(
        "iwae-mean-over-pixels",
        "averages the likelihood over pixels",
        "iwae.law",
        edits=((".flatten(1).sum(dim=1)", ".flatten(1).mean(dim=1)"),),
        may_fail=("iwae.grows",),
    ),
    mistake(
        "iwae-same-draw",
        "uses one draw of z for all k samples: unbiased, but no better for any k",
        "iwae.grows",
        edits=(
            (
                "        log_weights = []\n",
                "        log_weights = []\n        z = reparameterize(mu, logvar, generator=generator)\n",
            ),
            ("            z = reparameterize(mu, logvar, generator=generator)\n", ""),
        ),
        may_fail=("iwae.law",),
    ),
    mistake(
        "iwae-shared-noise",
        "all images share the noise",
        "iwae.law",
        edits=(
            (
                "z = reparameterize(mu, logvar, generator=generator)",
                "eps = torch.randn(mu[:1].shape, generator=generator, dtype=mu.dtype)\n"
                "            z = reparameterize(mu, logvar, eps.expand_as(mu))",
            ),
        ),
        may_fail=("iwae.grows",),
    ),
    mistake(
        "iwae-negative",
        "returns the loss instead of the bound",
        "iwae.law",
        edits=(
            ("    return iwae_bound(torch.cat(log_weights))\n", "    return -iwae_bound(torch.cat(log_weights))\n"),
        ),
        may_fail=("iwae.grows",),
    ),
    mistake(
        "iwae-batch-mean",
        "one number for the whole batch",
        "iwae.law",
        "iwae.modes",
        edits=(
            (
                "    return iwae_bound(torch.cat(log_weights))\n",
                "    return iwae_bound(torch.cat(log_weights)).mean()\n",
            ),
        ),
        may_fail=("iwae.grows",),
    ),
    mistake(
        "iwae-gaussian-likelihood",
        "squared error in place of the Bernoulli likelihood",
        "iwae.law",
        edits=(('-F.binary_cross_entropy(model.decode(z), x, reduction="none")', "-(model.decode(z) - x).square()"),),
        may_fail=("iwae.grows",),
    ),
    mistake(
        "iwae-training-mode",
        "leaves the model in the mode it is in",
        "iwae.modes",
        edits=(("with evaluation_mode(model):\n        mu", "with torch.no_grad():\n        mu"),),
    ),
    mistake(
        "iwae-with-gradients",
        "gradients are on",
        "iwae.modes",
        edits=(
            (
                "with evaluation_mode(model):\n        mu",
                "with evaluation_mode(model), torch.enable_grad():\n        mu",
            ),
        ),
    ),
    mistake(
        "iwae-mode-lost",
        "leaves the model in evaluation mode",
        "iwae.modes",
        edits=(("with evaluation_mode(model):\n        mu", "model.eval()\n    with torch.no_grad():\n        mu"),),
    ),
    mistake(
        "iwae-ignores-generator",
        "draws from the global stream",
        "iwae.modes",
        edits=(("z = reparameterize(mu, logvar, generator=generator)", "z = reparameterize(mu, logvar)"),),
    ),
    mistake(
        "iwae-any-k",
        "k = 0 is an empty bound",
        "errors",
        edits=(('    if k < 1:\n        raise ValueError(f"k must be at least 1, got {k}")\n', "    k = max(k, 1)\n"),),
    ),
    mistake(
        "ppca-std-for-variance",
        "noise_var is used as a standard deviation",
        "ppca.value",
        edits=(("+ noise_var * identity", "+ noise_var**2 * identity"),),
        may_fail=("ppca.oracle",),
    ),
    mistake(
        "ppca-without-mean",
        "the mean is left out",
        "ppca.value",
        edits=(("full_covariance_log_prob(x, mean, ", "full_covariance_log_prob(x, torch.zeros_like(mean), "),),
        may_fail=("ppca.oracle",),
    ),
    mistake(
        "ppca-latent-covariance",
        "squares the weights element by element",
        "ppca.value",
        edits=(("weight @ weight.T + noise_var", "torch.diag(weight.square().sum(1)) + noise_var"),),
        may_fail=("ppca.oracle",),
    ),
    mistake(
        "ppca-summed",
        "sums over the images",
        "ppca.value",
        edits=(
            ("    return full_covariance_log_prob(x, mean,", "    return full_covariance_log_prob(x, mean,"),
            ("noise_var * identity)\n", "noise_var * identity).sum()\n"),
        ),
        may_fail=("ppca.oracle",),
    ),
    # ---- codes and features
    mistake(
        "active-std",
        "compares standard deviations with the threshold",
        "active",
        edits=(("mu.var(dim=0) > threshold", "mu.std(dim=0) > threshold"),),
    ),
    mistake(
        "active-second-moment",
        "mean square instead of variance: a constant counts as active",
        "active",
        edits=(("mu.var(dim=0) > threshold", "mu.square().mean(dim=0) > threshold"),),
    ),
    mistake(
        "active-over-latents",
        "variance over the latent dimensions",
        "active",
        edits=(("mu.var(dim=0) > threshold", "mu.var(dim=1) > threshold"),),
    ),
    mistake(
        "active-ignores-threshold",
        "the threshold is fixed",
        "active",
        edits=(("mu.var(dim=0) > threshold", "mu.var(dim=0) > 0.01"),),
    ),
    mistake(
        "perceptual-on-pixels",
        "compares the pictures, not their features",
        "perceptual.value",
        edits=((TARGET, "return mse_loss(x_recon, x.detach())"),),
        may_fail=("perceptual.gradient",),
    ),
    mistake(
        "perceptual-mean",
        "mean over features",
        "perceptual.value",
        edits=((TARGET, "return F.mse_loss(features, functional_call(feature_net, frozen, (x.detach(),)))"),),
        may_fail=("perceptual.gradient",),
    ),
    mistake(
        "perceptual-no-grad",
        "computes both features without gradients",
        "perceptual.gradient",
        edits=(
            (
                "features: Tensor = functional_call(feature_net, frozen, (x_recon,))",
                "features: Tensor = functional_call(feature_net, frozen, (x_recon.detach(),))",
            ),
        ),
    ),
    mistake(
        "perceptual-trains-network",
        "the feature network's parameters get gradients",
        "perceptual.gradient",
        edits=(("frozen = {name: parameter.detach()", "frozen = {name: parameter"),),
    ),
    mistake(
        "perceptual-target-moves",
        "a gradient reaches the target",
        "perceptual.gradient",
        edits=((TARGET, TARGET.replace("x.detach()", "x")),),
    ),
    mistake(
        "perceptual-absolute",
        "absolute errors between features",
        "perceptual.value",
        edits=(
            (
                TARGET,
                "target = functional_call(feature_net, frozen, (x.detach(),))\n"
                "    return (features - target).abs().sum() / len(x)",
            ),
        ),
        may_fail=("perceptual.gradient",),
    ),
    mistake(
        "features-divided-by-n",
        "covariance divided by N",
        "features",
        edits=(("centred.T @ centred / (len(features) - 1)", "centred.T @ centred / len(features)"),),
        may_fail=("errors",),
    ),
    mistake(
        "features-not-centred",
        "second moments instead of covariances",
        "features",
        edits=(("centred = features - mean", "centred = features"),),
    ),
    mistake(
        "features-transposed",
        "covariance between rows",
        "features",
        edits=(("centred.T @ centred /", "centred @ centred.T /"),),
    ),
    mistake(
        "features-scalar",
        "torch.cov makes one feature's covariance a number without dimensions",
        "features",
        edits=(("return mean, centred.T @ centred / (len(features) - 1)", "return mean, torch.cov(features.T)"),),
    ),
    mistake(
        "frechet-no-root",
        "the trace of the product without its square root",
        "frechet",
        edits=((CROSS, "cross = (cov1 @ cov2).trace()"),),
    ),
    mistake(
        "frechet-root-of-elements",
        "square root element by element",
        "frechet",
        edits=((CROSS, "cross = (cov1 @ cov2).sqrt().trace()"),),
    ),
    mistake(
        "frechet-product-of-roots",
        "multiplies the two roots: right only for matrices that commute",
        "frechet",
        edits=((CROSS, "cross = (root1 @ symmetric_sqrt(cov2)).trace()"),),
    ),
    mistake(
        "frechet-mean-norm",
        "the norm of the difference of the means is not squared",
        "frechet",
        edits=(
            (
                "distance: Tensor = (mean1 - mean2).square().sum() + spread",
                "distance: Tensor = (mean1 - mean2).norm() + spread",
            ),
        ),
    ),
    mistake(
        "frechet-nan",
        "roots of eigenvalues that rounding made negative",
        "frechet",
        edits=((CROSS, "cross = torch.linalg.eigvalsh(root1 @ cov2 @ root1).sqrt().sum()"),),
    ),
    mistake(
        "frechet-single-root",
        "forgets the factor 2",
        "frechet",
        edits=(("- 2 * cross", "- cross"),),
    ),
    mistake(
        "probe-class-numbers",
        "returns the position of the class among the classes instead of its label",
        "probe",
        edits=(
            (
                "predictions: Tensor = classes[(test_x @ weight + bias).argmax(dim=1)]",
                "predictions: Tensor = (test_x @ weight + bias).argmax(dim=1)",
            ),
        ),
    ),
    mistake(
        "probe-not-linear",
        "a nearest neighbour in place of a linear classifier",
        "probe",
        append="def linear_probe(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:\n"
        "    return train_labels[torch.cdist(test_codes, train_codes).argmin(dim=1)]\n",
    ),
    mistake(
        "probe-untrained",
        "predicts with the initial weights",
        "probe",
        edits=(("        optimizer.step(objective)  # type: ignore[no-untyped-call]\n", "        objective()\n"),),
    ),
    mistake(
        "knn-farthest",
        "takes the farthest codes",
        "neighbours",
        edits=((".topk(k, largest=False)", ".topk(k)"),),
    ),
    mistake(
        "knn-cosine",
        "angles instead of Euclidean distances",
        "neighbours",
        edits=(("torch.cdist(codes, train_codes)", "-(F.normalize(codes) @ F.normalize(train_codes).T)"),),
    ),
    mistake(
        "knn-one",
        "always the single nearest",
        "neighbours",
        edits=(
            (
                "nearest = torch.cdist(codes, train_codes).topk(k, largest=False).indices",
                "nearest = torch.cdist(codes, train_codes).topk(1, largest=False).indices",
            ),
        ),
    ),
    mistake(
        "knn-mean-label",
        "averages the labels of the neighbours",
        "neighbours",
        edits=(
            (
                "predictions.append(classes[votes.argmax(dim=1)])",
                "predictions.append(train_labels[nearest].double().mean(dim=1).round().long())",
            ),
        ),
    ),
    mistake(
        "knn-default-k",
        "k is 1 unless given",
        "neighbours",
        edits=(("test_codes: Tensor, k: int = 5)", "test_codes: Tensor, k: int = 1)"),),
    ),
)

ALTERNATIVES: tuple[Alternative, ...] = (
    alternative(
        "prior",
        "mask-in-place",
        "the well-known PixelCNN layer, which zeroes its weights in every forward pass",
        append="""
class MaskedConv2d(nn.Conv2d):
    def __init__(self, mask_type, in_channels, out_channels, kernel_size):
        if mask_type not in {"A", "B"}:
            raise ValueError(f"mask_type {mask_type!r} is neither A nor B")
        if kernel_size % 2 != 1:
            raise ValueError(f"kernel_size {kernel_size} is even")
        super().__init__(in_channels, out_channels, kernel_size, padding="same")
        mask = torch.ones_like(self.weight)
        middle = kernel_size // 2
        mask[:, :, middle, middle + (mask_type == "B"):] = 0
        mask[:, :, middle + 1:] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        self.weight.data *= self.mask
        return super().forward(x)


class CodePrior(nn.Module):
    def __init__(self, num_embeddings, hidden_channels=64, num_layers=4):
        super().__init__()
        self.k = num_embeddings
        layers = [MaskedConv2d("A", num_embeddings, hidden_channels, 5), nn.BatchNorm2d(hidden_channels), nn.GELU()]
        for _ in range(num_layers - 1):
            layers += [MaskedConv2d("B", hidden_channels, hidden_channels, 3), nn.Dropout(0.1), nn.GELU()]
        self.net = nn.Sequential(*layers, MaskedConv2d("B", hidden_channels, num_embeddings, 1))

    def forward(self, indices):
        hot = F.one_hot(indices, self.k).movedim(-1, 1)
        return self.net(hot.to(self.net[0].weight))
""",
    ),
    alternative(
        "prior",
        "transformer",
        "causal attention over the flattened grid, output layer at zero, positions embedded",
        append="""
class CodePrior(nn.Module):
    def __init__(self, num_embeddings, hidden_channels=64, num_layers=4):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(1, 1, hidden_channels))
        self.code = nn.Embedding(num_embeddings, hidden_channels)
        self.place = nn.Embedding(1024, hidden_channels)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(hidden_channels, 4, 2 * hidden_channels, dropout=0.0, batch_first=True)
            for _ in range(num_layers)
        )
        self.out = nn.Linear(hidden_channels, num_embeddings)
        nn.init.zeros_(self.out.weight)

    def forward(self, indices):
        b, h, w = indices.shape
        n = h * w
        tokens = self.code(indices.reshape(b, n))
        hidden = torch.cat([self.start.expand(b, 1, -1), tokens[:, :-1]], 1)
        hidden = hidden + self.place(torch.arange(n, device=indices.device))
        mask = torch.full((n, n), float("-inf"), device=hidden.device, dtype=hidden.dtype).triu(1)
        for block in self.blocks:
            hidden = block(hidden, src_mask=mask)
        return self.out(hidden).transpose(1, 2).reshape(b, -1, h, w)
""",
    ),
    alternative(
        "prior",
        "sample-by-gumbel",
        "bits by log_softmax and gather, sampling by Gumbel noise over flat positions",
        append="""
def bits_per_code(logits, indices):
    log2 = logits.log_softmax(1) / math.log(2.0)
    return -log2.gather(1, indices[:, None]).mean()


def sample_codes(model, num_samples, height, width, generator=None):
    was = model.training
    model.eval()
    try:
        with torch.inference_mode():
            flat = torch.zeros(num_samples, height * width, dtype=torch.long)
            for i in range(height * width):
                logits = model(flat.view(-1, height, width)).flatten(2)[:, :, i].double()
                u = torch.rand(logits.shape, generator=generator, dtype=torch.float64).clamp_(1e-12, 1 - 1e-12)
                flat[:, i] = (logits - torch.log(-torch.log(u))).argmax(1)
            return flat.view(-1, height, width).clone()
    finally:
        model.train(was)
""",
    ),
    alternative(
        "evaluation",
        "batched-iwae",
        "all k draws in one batch, torch.distributions, an own max trick",
        append="""
def log_importance_weights(log_px_given_z, z, mu, logvar):
    from torch.distributions import Independent, Normal

    q = Independent(Normal(mu, logvar.div(2).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return log_px_given_z + p.log_prob(z) - q.log_prob(z)


def iwae_bound(log_weights):
    top = log_weights.amax(0, keepdim=True).detach()
    return (log_weights - top).exp().mean(0).log() + top[0]


def iwae(model, x, k, generator=None):
    if k < 1:
        raise ValueError(f"k={k} is no number of samples")
    before = model.training
    model.eval()
    with torch.no_grad():
        mu, logvar = model.encode(x)
        eps = torch.randn(k, *mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
        z = mu + eps * (0.5 * logvar).exp()
        p = model.decode(z.flatten(0, 1)).reshape(k, *x.shape).clamp(1e-6, 1 - 1e-6)
        log_px = (x * p.log() + (1 - x) * (1 - p).log()).flatten(2).sum(2)
        result = iwae_bound(log_importance_weights(log_px, z, mu, logvar))
    model.train(before)
    return result
""",
    ),
    alternative(
        "evaluation",
        "iwae-by-forward",
        "calls the model itself k times, with eps of its own",
        append="""
def iwae(model, x, k, generator=None):
    if k < 1:
        raise ValueError(f"k must be positive, not {k}")
    with evaluation_mode(model):
        terms = []
        shape = model.encode(x[:1])[0].shape[1:]
        for _ in range(k):
            eps = torch.randn(len(x), *shape, generator=generator, dtype=x.dtype)
            x_recon, mu, logvar = model(x, eps=eps)
            log_px = -F.binary_cross_entropy(x_recon, x, reduction="none").sum(dim=(1, 2, 3))
            z = mu + (logvar / 2).exp() * eps
            terms.append(log_px - 0.5 * z.pow(2).sum(1) + 0.5 * (eps.pow(2) + logvar).sum(1))
        return torch.logsumexp(torch.stack(terms), 0) - math.log(k)
""",
    ),
    alternative(
        "evaluation",
        "woodbury",
        "the likelihood through the small matrix of the latent space",
        append="""
def ppca_log_likelihood(x, weight, mean, noise_var):
    if noise_var <= 0:
        raise ValueError(f"noise_var = {noise_var} is no variance")
    d, l = weight.shape
    centred = x - mean
    small = weight.T @ weight + noise_var * torch.eye(l, dtype=weight.dtype)
    inner = torch.linalg.solve(small, (centred @ weight).T).T
    square = (centred.pow(2).sum(1) - ((centred @ weight) * inner).sum(1)) / noise_var
    logdet = torch.linalg.slogdet(small)[1] + (d - l) * math.log(noise_var)
    return -0.5 * (d * math.log(2 * math.pi) + logdet + square)
""",
    ),
    alternative(
        "evaluation",
        "frozen-network",
        "freezes the network for the call; covariance by torch.cov; scipy's square root",
        append="""
def perceptual_loss(feature_net, x_recon, x):
    if x_recon.shape != x.shape:
        raise ValueError(f"x_recon {tuple(x_recon.shape)} against x {tuple(x.shape)}")
    for p in feature_net.parameters():
        p.requires_grad_(False)
    with torch.no_grad():
        target = feature_net(x)
    return (feature_net(x_recon) - target).pow(2).flatten(1).sum(1).mean()


def feature_statistics(features):
    if features.shape[0] < 2:
        raise ValueError(f"features: {features.shape[0]} row has no covariance")
    return features.mean(0), torch.atleast_2d(torch.cov(features.T))


def frechet_distance(mean1, cov1, mean2, cov2):
    import numpy as np
    from scipy import linalg

    a, b = cov1.double().numpy(), cov2.double().numpy()
    eps = 1e-6 * np.eye(len(a))
    root = np.real(linalg.sqrtm((a + eps) @ (b + eps)))
    value = float((mean1 - mean2).double().pow(2).sum()) + float(np.trace(a) + np.trace(b) - 2 * np.trace(root))
    return torch.tensor(max(value, 0.0), dtype=mean1.dtype)


def active_units(mu, threshold=0.01):
    return int(torch.count_nonzero(((mu - mu.mean(0)) ** 2).mean(0) > threshold).item())
""",
    ),
    alternative(
        "evaluation",
        "frechet-eigenvalues",
        "eigenvalues of the product itself, which is not symmetric",
        append="""
def frechet_distance(mean1, cov1, mean2, cov2):
    roots = torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0).sqrt()
    return torch.dist(mean1, mean2) ** 2 + torch.trace(cov1) + torch.trace(cov2) - 2 * roots.sum()
""",
    ),
    alternative(
        "evaluation",
        "scikit-learn",
        "logistic regression and neighbours of scikit-learn",
        append="""
def linear_probe(train_codes, train_labels, test_codes):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000).fit(train_codes.numpy(), train_labels.numpy())
    return torch.from_numpy(model.predict(test_codes.numpy()))


def knn_predict(train_codes, train_labels, test_codes, k=5):
    from sklearn.neighbors import KNeighborsClassifier

    if k < 1 or k > len(train_codes):
        raise ValueError(f"k={k}, but there are {len(train_codes)} codes")
    model = KNeighborsClassifier(k).fit(train_codes.numpy(), train_labels.numpy())
    return torch.from_numpy(model.predict(test_codes.numpy()))
""",
    ),
    alternative(
        "evaluation",
        "least-squares-probe",
        "ridge regression on one-hot labels; neighbours by sorting and mode",
        append="""
def linear_probe(train_codes, train_labels, test_codes):
    names = sorted(set(train_labels.tolist()))
    targets = torch.stack([(train_labels == n).to(train_codes) for n in names], 1)
    add = lambda c: torch.cat([c, torch.ones_like(c[:, :1])], 1)
    a = add(train_codes)
    w = torch.linalg.solve(a.T @ a + 1e-3 * torch.eye(a.shape[1], dtype=a.dtype), a.T @ targets)
    return torch.tensor(names)[(add(test_codes) @ w).argmax(1)]


def knn_predict(train_codes, train_labels, test_codes, k=5):
    if not 0 < k <= train_codes.shape[0]:
        raise ValueError(f"k = {k}")
    distance = (test_codes[:, None] - train_codes[None]).pow(2).sum(-1)
    return train_labels[distance.argsort(1)[:, :k]].mode(1).values
""",
    ),
)
