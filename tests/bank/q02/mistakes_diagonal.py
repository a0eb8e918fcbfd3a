"""Question 2, univariate and diagonal Gaussians: the reference with one bug."""

from __future__ import annotations

from .. import Mistake

Q, M = 2, "gaussians"


# A wrong value breaks the properties of a divergence, and differs from samples.
FOLLOWS = ("q2.properties", "q2.montecarlo")


OF_STANDARD = (*FOLLOWS, "q2.standard.extremes")


# the reference's divergences build on the univariate one
OF_UNIVARIATE = (*OF_STANDARD, "q2.standard.value", "q2.diagonal.value")


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q2-standard-twice",
        Q,
        M,
        "no factor one half",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="def kl_divergence(mu, logvar):\n    return (mu**2 + logvar.exp() - logvar - 1).sum(1)\n",
    ),
    Mistake(
        "q2-standard-sign",
        Q,
        M,
        "the sign is flipped: minus the divergence",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="def kl_divergence(mu, logvar):\n    return 0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(1)\n",
    ),
    Mistake(
        "q2-standard-mean-over-latents",
        Q,
        M,
        "mean over the latent dimensions",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="def kl_divergence(mu, logvar):\n    return -0.5 * torch.mean(1 + logvar - mu**2 - logvar.exp(), dim=1)\n",
    ),
    Mistake(
        "q2-standard-batch-mean",
        Q,
        M,
        "averages over the batch: one number",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="""def kl_divergence(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp(), dim=1).mean()
""",
    ),
    Mistake(
        "q2-standard-batch-sum",
        Q,
        M,
        "sums over the batch as well",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="def kl_divergence(mu, logvar):\n    return -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp())\n",
    ),
    Mistake(
        "q2-standard-wrong-axis",
        Q,
        M,
        "sums over the batch, not over the latents",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="def kl_divergence(mu, logvar):\n    return -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp(), dim=0)\n",
    ),
    Mistake(
        "q2-standard-log-sigma",
        Q,
        M,
        "reads logvar as log sigma",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="""def kl_divergence(mu, logvar):
    return -0.5 * torch.sum(1 + 2 * logvar - mu**2 - (2 * logvar).exp(), dim=1)
""",
    ),
    Mistake(
        "q2-standard-sigma",
        Q,
        M,
        "sigma in place of sigma^2 in one term",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="""def kl_divergence(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu**2 - (logvar / 2).exp(), dim=1)
""",
    ),
    Mistake(
        "q2-standard-plus-logvar",
        Q,
        M,
        "the log-variance with the wrong sign: right at logvar = 0",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="def kl_divergence(mu, logvar):\n    return 0.5 * torch.sum(mu**2 + logvar.exp() + logvar - 1, dim=1)\n",
    ),
    Mistake(
        "q2-standard-absolute-mean",
        Q,
        M,
        "abs(mu) for mu^2: right at mu = 1",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="def kl_divergence(mu, logvar):\n    return 0.5 * torch.sum(mu.abs() + logvar.exp() - logvar - 1, dim=1)\n",
    ),
    Mistake(
        "q2-standard-no-mean",
        Q,
        M,
        "the mean is forgotten",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="def kl_divergence(mu, logvar):\n    return 0.5 * torch.sum(0 * mu + logvar.exp() - logvar - 1, dim=1)\n",
    ),
    Mistake(
        "q2-standard-reversed",
        Q,
        M,
        "KL(N(0, I) || N(mu, sigma^2))",
        fails=("q2.standard.value",),
        may_fail=OF_STANDARD,
        append="""def kl_divergence(mu, logvar):
    return kl_diagonal(torch.zeros_like(mu), torch.zeros_like(logvar), mu, logvar)
""",
    ),
    Mistake(
        "q2-standard-epsilon",
        Q,
        M,
        "log(variance + 1e-8) in place of the logvar that is given",
        fails=("q2.standard.extremes",),
        may_fail=("q2.standard.value", "q2.properties"),  # at logvar = -4 the epsilon is already 3e-7 of the variance
        append="""def kl_divergence(mu, logvar):
    variance = logvar.exp()
    return 0.5 * torch.sum(mu**2 + variance - torch.log(variance + 1e-8) - 1, dim=1)
""",
    ),
    Mistake(
        "q2-standard-clamped-logvar",
        Q,
        M,
        "clamps logvar to [-10, 10]",
        fails=("q2.standard.extremes",),
        may_fail=("q2.gradient.standard",),
        append="""def kl_divergence(mu, logvar):
    logvar = logvar.clamp(-10, 10)
    return 0.5 * torch.sum(mu**2 + logvar.exp() - logvar - 1, dim=1)
""",
    ),
    Mistake(
        "q2-standard-detached",
        Q,
        M,
        "numbers without a gradient",
        fails=("q2.gradient.standard",),
        edits=(
            ("    return kl_diagonal(mu, logvar, torch", "    return kl_diagonal(mu.detach(), logvar.detach(), torch"),
        ),
    ),
    Mistake(
        "q2-standard-variance-detached",
        Q,
        M,
        "the variance is a constant to autograd",
        fails=("q2.gradient.standard",),
        append="""def kl_divergence(mu, logvar):
    return 0.5 * torch.sum(mu**2 + logvar.exp().detach() - logvar - 1, dim=1)
""",
    ),
    Mistake(
        "q2-standard-in-place",
        Q,
        M,
        "squares mu in place",
        fails=("q2.inputs",),
        may_fail=("q2.gradient.standard", "q2.standard.value", "q2.montecarlo", "q2.properties"),
        append="""def kl_divergence(mu, logvar):
    zero = torch.zeros_like(mu)
    result = kl_diagonal(mu, logvar, zero, zero)
    mu.data.pow_(2)
    return result
""",
    ),
    Mistake(
        "q2-standard-float64",
        Q,
        M,
        "computes in float64 and leaves it there",
        fails=("q2.standard.value",),
        may_fail=("q2.standard.extremes",),
        append="""def kl_divergence(mu, logvar):
    mu, logvar = mu.double(), logvar.double()
    return 0.5 * torch.sum(mu**2 + logvar.exp() - logvar - 1, dim=1)
""",
    ),
    Mistake(
        "q2-univariate-reversed",
        Q,
        M,
        "KL(q || p)",
        fails=("q2.univariate.value",),
        may_fail=OF_UNIVARIATE,
        edits=(
            (
                "    log_ratio = logvar_p - logvar_q\n",
                "    mu_p, logvar_p, mu_q, logvar_q = mu_q, logvar_q, mu_p, logvar_p\n    log_ratio = logvar_p - logvar_q\n",
            ),
        ),
    ),
    Mistake(
        "q2-univariate-no-log-ratio",
        Q,
        M,
        "without the ratio of the widths",
        fails=("q2.univariate.value",),
        may_fail=OF_UNIVARIATE,
        edits=(("torch.expm1(log_ratio) - log_ratio + st", "torch.expm1(log_ratio) + st"),),
    ),
    Mistake(
        "q2-univariate-log-ratio-twice",
        Q,
        M,
        "log of sigma^2 where log of sigma belongs",
        fails=("q2.univariate.value",),
        may_fail=OF_UNIVARIATE,
        edits=(("torch.expm1(log_ratio) - log_ratio + st", "torch.expm1(log_ratio) - 2 * log_ratio + st"),),
    ),
    Mistake(
        "q2-univariate-own-variance",
        Q,
        M,
        "the distance of the means is measured by sigma_p",
        fails=("q2.univariate.value",),
        may_fail=OF_UNIVARIATE,
        edits=(
            (
                "    standardized = (mu_p - mu_q) * torch.exp(-logvar_q / 2)",
                "    standardized = (mu_p - mu_q) * torch.exp(-logvar_p / 2)",
            ),
        ),
    ),
    Mistake(
        "q2-univariate-no-half",
        Q,
        M,
        "without the - 1/2: not 0 for p = q",
        fails=("q2.univariate.value",),
        may_fail=OF_UNIVARIATE,
        edits=(("torch.expm1(log_ratio) - log_ratio + st", "torch.exp(log_ratio) - log_ratio + st"),),
    ),
    Mistake(
        "q2-univariate-summed",
        Q,
        M,
        "one number for the batch",
        fails=("q2.univariate.value",),
        may_fail=("q2.properties", "q2.montecarlo"),
        append="""_one = kl_univariate
def kl_diagonal(mu_p, logvar_p, mu_q, logvar_q):
    return _one(mu_p, logvar_p, mu_q, logvar_q).sum(-1)
def kl_univariate(mu_p, logvar_p, mu_q, logvar_q):
    return _one(mu_p, logvar_p, mu_q, logvar_q).sum()
""",
    ),
    Mistake(
        "q2-univariate-symmetrised",
        Q,
        M,
        "the mean of both directions",
        fails=("q2.univariate.value",),
        may_fail=("q2.montecarlo",),
        append="""_one = kl_univariate
def kl_diagonal(mu_p, logvar_p, mu_q, logvar_q):
    return _one(mu_p, logvar_p, mu_q, logvar_q).sum(-1)
def kl_univariate(mu_p, logvar_p, mu_q, logvar_q):
    return (_one(mu_p, logvar_p, mu_q, logvar_q) + _one(mu_q, logvar_q, mu_p, logvar_p)) / 2
""",
    ),
    Mistake(
        "q2-diagonal-mean",
        Q,
        M,
        "mean over the dimensions",
        fails=("q2.diagonal.value",),
        may_fail=(*OF_STANDARD, "q2.standard.value"),
        edits=(("(mu_p, logvar_p, mu_q, logvar_q).sum(-1)", "(mu_p, logvar_p, mu_q, logvar_q).mean(-1)"),),
    ),
    Mistake(
        "q2-diagonal-not-summed",
        Q,
        M,
        "one number per dimension",
        fails=("q2.diagonal.value",),
        may_fail=(*OF_STANDARD, "q2.standard.value", "q2.standard.extremes"),
        edits=(("(mu_p, logvar_p, mu_q, logvar_q).sum(-1)", "(mu_p, logvar_p, mu_q, logvar_q)"),),
    ),
    Mistake(
        "q2-diagonal-product",
        Q,
        M,
        "the product over the dimensions",
        fails=("q2.diagonal.value",),
        may_fail=(*OF_STANDARD, "q2.standard.value"),
        edits=(("(mu_p, logvar_p, mu_q, logvar_q).sum(-1)", "(mu_p, logvar_p, mu_q, logvar_q).prod(-1)"),),
    ),
    Mistake(
        "q2-diagonal-prior-detached",
        Q,
        M,
        "no gradient to q",
        fails=("q2.gradient.general",),
        edits=(
            (
                "    return kl_univariate(mu_p, logvar_p, mu_q, logvar_q).sum(-1)",
                "    return kl_univariate(mu_p, logvar_p, mu_q.detach(), logvar_q.detach()).sum(-1)",
            ),
        ),
    ),
    Mistake(
        "q2-standard-squeezed",
        Q,
        M,
        "one example gives a number without an axis",
        fails=("q2.standard.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.standard.extremes"),
        append="""def kl_divergence(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - logvar - 1).sum(1).squeeze()
""",
    ),
    Mistake(
        "q2-standard-bits",
        Q,
        M,
        "bits",
        fails=("q2.standard.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.standard.extremes"),
        append="""def kl_divergence(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - logvar - 1).sum(1) / math.log(2)
""",
    ),
    Mistake(
        "q2-standard-no-one",
        Q,
        M,
        "without the - 1",
        fails=("q2.standard.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.standard.extremes"),
        append="""def kl_divergence(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - logvar).sum(1)
""",
    ),
    Mistake(
        "q2-standard-zeros-on-cpu",
        Q,
        M,
        "the standard normal lies on the CPU",
        fails=("q2.inputs",),
        edits=(
            (
                "torch.zeros_like(mu), torch.zeros_like(logvar))",
                "torch.zeros(mu.shape, dtype=mu.dtype), torch.zeros(mu.shape, dtype=mu.dtype))",
            ),
        ),
    ),
    Mistake(
        "q2-univariate-guarded",
        Q,
        M,
        "adds 1e-6 to the variance that it divides by",
        fails=("q2.standard.extremes",),
        may_fail=("q2.univariate.value", "q2.properties", "q2.gradient.general"),
        append="""def kl_univariate(mu_p, logvar_p, mu_q, logvar_q):
    var_p, var_q = logvar_p.exp(), logvar_q.exp() + 1e-6
    return 0.5 * (var_q.log() - logvar_p + (var_p + (mu_p - mu_q) ** 2) / var_q - 1)
""",
    ),
    Mistake(
        "q2-univariate-widths",
        Q,
        M,
        "a ratio of standard deviations",
        fails=("q2.univariate.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.standard.extremes"),
        edits=(("0.5 * (torch.expm1(log_ratio) - log", "0.5 * (torch.expm1(log_ratio / 2) - log"),),
    ),
    Mistake(
        "q2-univariate-mean-unscaled",
        Q,
        M,
        "the distance of the means is not measured by sigma_q",
        fails=("q2.univariate.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.standard.extremes"),
        edits=(("    standardized = (mu_p - mu_q) * torch.exp(-logvar_q / 2)", "    standardized = mu_p - mu_q"),),
    ),
    Mistake(
        "q2-univariate-mean-ignored",
        Q,
        M,
        "the means are never compared",
        fails=("q2.univariate.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.standard.extremes"),
        edits=(("    standardized = (mu_p - mu_q) * torch.exp(-logvar_q / 2)", "    standardized = 0 * mu_p"),),
    ),
    Mistake(
        "q2-univariate-ratio-detached",
        Q,
        M,
        "the ratio of the variances is a constant to autograd",
        fails=("q2.gradient.general",),
        may_fail=("q2.gradient.standard",),
        edits=(("0.5 * (torch.expm1(log_ratio) - log", "0.5 * (torch.expm1(log_ratio.detach()) - log"),),
    ),
    Mistake(
        "q2-diagonal-batch-sum",
        Q,
        M,
        "sums over the batch as well",
        fails=("q2.diagonal.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.standard.extremes", "q2.standard.value"),
        edits=(("(mu_p, logvar_p, mu_q, logvar_q).sum(-1)", "(mu_p, logvar_p, mu_q, logvar_q).sum()"),),
    ),
    Mistake(
        "q2-diagonal-wrong-axis",
        Q,
        M,
        "sums over the examples",
        fails=("q2.diagonal.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.standard.extremes", "q2.standard.value"),
        edits=(("(mu_p, logvar_p, mu_q, logvar_q).sum(-1)", "(mu_p, logvar_p, mu_q, logvar_q).sum(0)"),),
    ),
    Mistake(
        "q2-diagonal-in-place",
        Q,
        M,
        "mu_p -= mu_q changes the caller's tensor",
        fails=("q2.inputs",),
        may_fail=("q2.properties", "q2.gradient.general"),
        append="""_diagonal = kl_diagonal
def kl_divergence(mu, logvar):
    return _diagonal(mu, logvar, torch.zeros_like(mu), torch.zeros_like(mu))
def kl_diagonal(mu_p, logvar_p, mu_q, logvar_q):
    mu_p -= mu_q
    return _diagonal(mu_p, logvar_p, torch.zeros_like(mu_q), logvar_q)
""",
    ),
)
