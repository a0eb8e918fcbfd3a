"""The bonus: the reference with one bug: importance-weighted bounds."""

from __future__ import annotations

from .. import Mistake

BONUS = 0


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


WEIGHTS = "return log_px_given_z + diagonal_log_prob(z, zero, zero) - diagonal_log_prob(z, mu, logvar)"


BOUND = "return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))"


IWAE_RETURN = "    return iwae_bound(torch.cat(log_weights))\n"


BUILDS_ON_BOUND = ("ppca.oracle", "iwae.law", "iwae.grows")


MISTAKES: tuple[Mistake, ...] = (
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
    mistake(
        "weights-inverse",
        "the ratio of the densities is upside down",
        "weights",
        edits=(
            (WEIGHTS, "return log_px_given_z - diagonal_log_prob(z, zero, zero) + diagonal_log_prob(z, mu, logvar)"),
        ),
    ),
    mistake(
        "bound-negative",
        "returns the loss instead of the bound",
        "bound",
        edits=((BOUND, "return math.log(len(log_weights)) - torch.logsumexp(log_weights, dim=0)"),),
    ),
    mistake(
        "iwae-noise-on-the-cpu",
        "the noise is drawn on the CPU, wherever the image is",
        "devices",
        edits=(
            (
                "z = reparameterize(mu, logvar, generator=generator)",
                "eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)\n"
                "            z = mu + torch.exp(0.5 * logvar) * eps",
            ),
        ),
    ),
    mistake(
        "iwae-own-number-of-samples",
        "five samples whatever k is",
        "iwae.law",
        "iwae.grows",
        edits=(("for _ in range(k):", "for _ in range(5):"),),
    ),
    mistake(
        "ppca-identity-on-the-cpu",
        "the identity matrix is made on the CPU, wherever the weights are",
        "devices",
        edits=(
            (
                "torch.eye(len(mean), device=weight.device, dtype=weight.dtype)",
                "torch.eye(len(mean), dtype=weight.dtype)",
            ),
        ),
    ),
    mistake(
        "ppca-noise-alone",
        "the density of the noise around the mean, without the latent variables",
        "ppca.value",
        edits=(("weight @ weight.T + noise_var * identity", "noise_var * identity"),),
    ),
)
