"""Bank of the bonus: one bug in each mistake."""

from __future__ import annotations

from . import Mistake
from .bonus_alternatives import ALTERNATIVES

__all__ = ["ALTERNATIVES", "MISTAKES"]

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


TRAINED = ("trained.source", "trained.images")
VISIBLE = 'visible = centre if mask_type == "A" else centre + 1'
CONVOLUTION = "return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)"
FIRST = 'first = MaskedConv2d("A", hidden_channels, hidden_channels, kernel_size=7)'
LATER = 'MaskedConv2d("B", hidden_channels, hidden_channels, kernel_size=3)'
LOGITS = "logits: Tensor = self.layers(self.embedding(indices).permute(0, 3, 1, 2))"
DRAW = "codes[:, row, column] = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)"
WEIGHTS = "return log_px_given_z + diagonal_log_prob(z, zero, zero) - diagonal_log_prob(z, mu, logvar)"
BOUND = "return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))"
IWAE_RETURN = "    return iwae_bound(torch.cat(log_weights))\n"
APPENDED = "log_weights.append(log_importance_weights(log_px_given_z[None], z[None], mu, logvar))"
CROSS = "cross = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()"
TARGET = "return mse_loss(features, functional_call(feature_net, frozen, (x.detach(),)))"
DISTANCES = 'torch.cdist(codes, train_codes, compute_mode="donot_use_mm_for_euclid_dist")'
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
        "weights-log-of-density",
        "multiplies the densities of the dimensions and takes the logarithm: hundreds of them underflow",
        "weights",
        edits=(
            (
                WEIGHTS,
                "normal = torch.distributions.Normal\n"
                "    p = normal(zero, torch.ones_like(mu)).log_prob(z).exp().prod(dim=-1)\n"
                "    q = normal(mu, (0.5 * logvar).exp()).log_prob(z).exp().prod(dim=-1)\n"
                "    return log_px_given_z + p.log() - q.log()",
            ),
        ),
        may_fail=("iwae.law", "iwae.grows"),
    ),
    mistake(
        "bound-one-maximum-for-all",
        "shifts all images by the largest weight of the batch: one far below another underflows",
        "bound",
        edits=((BOUND, "top = log_weights.max()\n    return (log_weights - top).exp().mean(dim=0).log() + top"),),
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
        "iwae-gradients-stay-off",
        "switches gradients off, and nobody switches them on again",
        "iwae.modes",
        edits=(
            (
                "    with evaluation_mode(model):\n        mu",
                "    torch.set_grad_enabled(False)\n    with evaluation_mode(model):\n        mu",
            ),
        ),
    ),
    mistake(
        "iwae-turns-gradients-on",
        "switches gradients on at the end, also for callers who had them off",
        "iwae.modes",
        edits=((IWAE_RETURN, "    torch.set_grad_enabled(True)\n" + IWAE_RETURN),),
    ),
    mistake(
        "iwae-mean-of-parts",
        "takes the samples in parts of 16 and averages the bounds of the parts",
        "iwae.law",
        edits=(
            (
                IWAE_RETURN,
                "    parts = torch.cat(log_weights).split(16)\n"
                "    return sum(len(part) * iwae_bound(part) for part in parts) / k\n",
            ),
        ),
        may_fail=("iwae.grows",),
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
        "active-turns-gradients-on",
        "switches gradients off, and on again for callers who had them off",
        "active",
        edits=(
            (
                "    return int((mu.var(dim=0) > threshold).sum())\n",
                "    torch.set_grad_enabled(False)\n    count = int((mu.var(dim=0) > threshold).sum())\n"
                "    torch.set_grad_enabled(True)\n    return count\n",
            ),
        ),
    ),
    mistake(
        "active-by-principal-axes",
        "counts the eigenvalues of the covariance above the threshold: right for dimensions that do not correlate",
        "active",
        edits=(("mu.var(dim=0) > threshold", "torch.linalg.eigvalsh(torch.cov(mu.T)) > threshold"),),
    ),
    mistake(
        "active-gradients-stay-off",
        "switches gradients off, and nobody switches them on again",
        "active",
        edits=(
            (
                "    return int((mu.var(dim=0)",
                "    torch.set_grad_enabled(False)\n    return int((mu.var(dim=0)",
            ),
        ),
    ),
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
        "active-at-the-threshold",
        "counts a variance that equals the threshold: with 0 every dimension is active",
        "active",
        edits=(("mu.var(dim=0) > threshold", "mu.var(dim=0) >= threshold"),),
    ),
    mistake(
        "perceptual-cached-copy",
        "keeps a copy of each network and goes on with it after the network has changed",
        "perceptual.value",
        edits=(
            (
                "frozen = {name: parameter.detach() for name, parameter in feature_net.named_parameters()}",
                "frozen = _FROZEN.setdefault(feature_net, {n: p.detach().clone() for n, p in "
                "feature_net.named_parameters()})",
            ),
        ),
        append="from weakref import WeakKeyDictionary\n\n_FROZEN = WeakKeyDictionary()\n",
        may_fail=("perceptual.gradient",),
    ),
    mistake(
        "perceptual-unfreezes",
        "freezes the network for the call and lets all of it train afterwards, also what was frozen before",
        "perceptual.gradient",
        edits=(
            ("    frozen = {name:", "    feature_net.requires_grad_(False)\n    frozen = {name:"),
            (TARGET, TARGET.replace("return", "loss =") + "\n    feature_net.requires_grad_()\n    return loss"),
        ),
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
        "frechet-root-without-gradient",
        "takes the root of the first covariance without gradients: the value is right, its gradient is not",
        "frechet",
        edits=(
            (
                "    root1 = symmetric_sqrt(cov1)\n",
                "    with torch.no_grad():\n        root1 = symmetric_sqrt(cov1)\n",
            ),
        ),
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
        "probe-regresses-the-label",
        "a linear regression on the number of the class, rounded: right for classes in line",
        "probe",
        append="def linear_probe(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:\n"
        "    classes, targets = torch.unique(train_labels, return_inverse=True)\n"
        "    a, b = (F.pad(codes, (0, 1), value=1.0) for codes in (train_codes, test_codes))\n"
        "    number = (b @ torch.linalg.lstsq(a, targets.to(a)[:, None]).solution).squeeze(1)\n"
        "    return classes[number.round().clamp(0, len(classes) - 1).long()]\n",
    ),
    mistake(
        "probe-single-row",
        "squeezes the predictions: a single test row gives a number without dimensions",
        "probe",
        edits=(("(test_x @ weight + bias).argmax(dim=1)]", "(test_x @ weight + bias).argmax(dim=1).squeeze()]"),),
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
        edits=(("distances.topk(k, largest=False)", "distances.topk(k)"),),
    ),
    mistake(
        "knn-cosine",
        "angles instead of Euclidean distances",
        "neighbours",
        edits=((DISTANCES, "-(F.normalize(codes) @ F.normalize(train_codes).T)"),),
    ),
    mistake(
        "knn-one",
        "always the single nearest",
        "neighbours",
        edits=(("distances.topk(k, largest=False)", "distances.topk(1, largest=False)"),),
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
        "knn-tie-to-the-nearest",
        "on a tie the label of the nearer neighbour wins, which comes first in a counter",
        "neighbours",
        edits=(
            (
                "predictions.append(classes[votes.argmax(dim=1)])",
                "first = [Counter(row).most_common(1)[0][0] for row in train_labels[nearest].tolist()]\n"
                "        predictions.append(train_labels.new_tensor(first))",
            ),
        ),
        append="from collections import Counter\n",
    ),
    mistake(
        "knn-last-part-lost",
        "goes through the test codes in parts of 100 and drops what is left",
        "neighbours",
        edits=(
            (
                "for codes in torch.split(test_codes, 1000):",
                "for codes in torch.split(test_codes, 100)[: max(1, len(test_codes) // 100)]:",
            ),
        ),
    ),
    mistake(
        "knn-single-row",
        "squeezes the predictions: a single test row gives a number without dimensions",
        "neighbours",
        edits=(("return torch.cat(predictions)", "return torch.cat(predictions).squeeze()"),),
    ),
    mistake(
        "knn-turns-gradients-on",
        "switches gradients on at the end, also for callers who had them off",
        "neighbours",
        edits=(
            (
                "    return torch.cat(predictions)\n",
                "    torch.set_grad_enabled(True)\n    return torch.cat(predictions)\n",
            ),
        ),
    ),
    mistake(
        "knn-gradients-stay-off",
        "switches gradients off, and nobody switches them on again",
        "neighbours",
        edits=(
            (
                "    return torch.cat(predictions)\n",
                "    torch.set_grad_enabled(False)\n    return torch.cat(predictions)\n",
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
