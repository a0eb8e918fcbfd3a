"""Question 1: the reference with one bug."""

from __future__ import annotations

from .. import Mistake

Q, M = 1, "gaussians"


# the reference's densities build on each other: what a bug in the univariate one may take with it
ON_UNIVARIATE = ("q1.diagonal.value", "q1.diagonal.underflow", "q1.conditional.value", "q1.gradients")


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q1-expectation-alone",
        Q,
        M,
        "the mean of x p where the sum belongs; the variance is written out and right",
        fails=("q1.pmf.expectation",),
        append="""def pmf_expectation(values, probs):
    _check_pmf("probs", probs, probs.sum(-1))
    return (values * probs).mean(-1)
def pmf_variance(values, probs):
    _check_pmf("probs", probs, probs.sum(-1))
    centred = values - (values * probs).sum(-1, keepdim=True)
    return (centred**2 * probs).sum(-1)
""",
    ),
    Mistake(
        "q1-expectation-unweighted",
        Q,
        M,
        "the mean of the values, whatever their probabilities",
        fails=("q1.pmf.expectation",),
        may_fail=("q1.pmf.variance",),
        edits=(("    return (probs * values).sum(-1)\n", "    return values.mean() + 0 * probs.sum(-1)\n"),),
    ),
    Mistake(
        "q1-expectation-summed-over-batch",
        Q,
        M,
        "sums over all axes: one number for a batch of pmfs",
        fails=("q1.pmf.expectation",),
        may_fail=("q1.pmf.variance", "q1.pmf.errors"),
        edits=(("    return (probs * values).sum(-1)\n", "    return (probs * values).sum()\n"),),
    ),
    Mistake(
        "q1-variance-cancels",
        Q,
        M,
        "E[X^2] - E[X]^2 comes out negative by rounding",
        fails=("q1.pmf.variance",),
        append="""def pmf_variance(values, probs):
    mean = pmf_expectation(values, probs)
    return pmf_expectation(values**2, probs) - mean**2
""",
    ),
    Mistake(
        "q1-variance-standard-deviation",
        Q,
        M,
        "returns the square root",
        fails=("q1.pmf.variance",),
        edits=(("(probs * deviation.square()).sum(-1)", "(probs * deviation.square()).sum(-1).sqrt()"),),
    ),
    Mistake(
        "q1-variance-unweighted",
        Q,
        M,
        "averages the squared distances without the probabilities",
        fails=("q1.pmf.variance",),
        edits=(("    return (probs * deviation.square()).sum(-1)", "    return deviation.square().mean(-1)"),),
    ),
    Mistake(
        "q1-pmf-negative-accepted",
        Q,
        M,
        "looks at the sum only",
        fails=("q1.pmf.errors",),
        may_fail=("q1.chain.rare",),
        edits=(("    if not (probs >= 0).all():", "    if False:"),),
    ),
    Mistake(
        "q1-pmf-sum-accepted",
        Q,
        M,
        "looks at the signs only",
        fails=("q1.pmf.errors",),
        may_fail=("q1.chain.rare",),
        edits=(("    if not ((total - 1).abs() <= _PMF_TOLERANCE).all():", "    if False:"),),
    ),
    Mistake(
        "q1-pmf-sum-exact",
        Q,
        M,
        "demands a sum of exactly 1",
        fails=("q1.pmf.errors",),
        may_fail=(
            "q1.pmf.expectation",
            "q1.pmf.variance",
            "q1.chain.value",
            "q1.chain.rare",
            "q1.inputs",
            "q1.gradients",
        ),
        edits=(("_PMF_TOLERANCE = 1e-5 ", "_PMF_TOLERANCE = 0 "),),
    ),
    Mistake(
        "q1-pmf-average-sum",
        Q,
        M,
        "one test for the average sum of all rows",
        fails=("q1.pmf.errors",),
        edits=(("probs, probs.sum(-1))", "probs, probs.sum(-1).mean())"),),
    ),
    Mistake(
        "q1-chain-joint-marginals",
        Q,
        M,
        "marginals without the division",
        fails=("q1.chain.value",),
        may_fail=("q1.chain.rare",),
        append="""def chain_rule(joint):
    _check_pmf("joint", joint, joint.sum())
    return [joint.sum(tuple(range(i + 1, joint.ndim))) if i + 1 < joint.ndim else joint for i in range(joint.ndim)]
""",
    ),
    Mistake(
        "q1-chain-wrong-axis",
        Q,
        M,
        "normalises over the first axis, not over the last",
        fails=("q1.chain.value",),
        may_fail=("q1.chain.rare",),
        append="""def chain_rule(joint):
    _check_pmf("joint", joint, joint.sum())
    marginals = [joint.sum(tuple(range(i + 1, joint.ndim))) if i + 1 < joint.ndim else joint for i in range(joint.ndim)]
    return [m / torch.where(m.sum(0) > 0, m.sum(0), 1) for m in marginals]
""",
    ),
    Mistake(
        "q1-chain-reversed",
        Q,
        M,
        "factorises from the last variable to the first",
        fails=("q1.chain.value",),
        may_fail=("q1.chain.rare",),
        append="""_right_chain_rule = chain_rule
def chain_rule(joint):
    return [t.permute(*reversed(range(t.ndim))) for t in _right_chain_rule(joint.permute(*reversed(range(joint.ndim))))]
""",
    ),
    Mistake(
        "q1-chain-nan",
        Q,
        M,
        "0 / 0 where a condition is impossible",
        fails=("q1.chain.rare",),
        may_fail=("q1.inputs",),
        edits=(("torch.where(condition > 0, condition, 1).unsq", "condition.unsq"),),
    ),
    Mistake(
        "q1-chain-epsilon",
        Q,
        M,
        "an epsilon in the denominator swamps rare conditions",
        fails=("q1.chain.rare",),
        edits=(("torch.where(condition > 0, condition, 1).unsq", "(condition + 1e-12).unsq"),),
    ),
    Mistake(
        "q1-chain-unchecked",
        Q,
        M,
        "a joint that is no pmf passes",
        fails=("q1.pmf.errors",),
        edits=(('    _check_pmf("joint", joint, joint.sum())\n', ""),),
    ),
    Mistake(
        "q1-sigma-for-variance",
        Q,
        M,
        "divides the squared distance by sigma",
        fails=("q1.univariate.value",),
        may_fail=ON_UNIVARIATE,
        edits=(
            (
                "    standardized = (x - mu) * torch.exp(-logvar / 2)\n    return -0.5 * (_LOG",
                "    standardized = (x - mu) * torch.exp(-logvar / 4)\n    return -0.5 * (_LOG",
            ),
        ),
    ),
    Mistake(
        "q1-logvar-is-log-sigma",
        Q,
        M,
        "reads logvar as log sigma",
        fails=("q1.univariate.value",),
        may_fail=ON_UNIVARIATE,
        append="""def univariate_log_prob(x, mu, logvar):
    sigma = logvar.exp()
    return -0.5 * _LOG_2PI - sigma.log() - (x - mu) ** 2 / (2 * sigma**2)
""",
    ),
    Mistake(
        "q1-no-constant",
        Q,
        M,
        "without half log 2 pi",
        fails=("q1.univariate.value",),
        may_fail=ON_UNIVARIATE,
        edits=(("-0.5 * (_LOG_2PI + logvar + st", "-0.5 * (logvar + st"),),
    ),
    Mistake(
        "q1-no-log-variance",
        Q,
        M,
        "without the normalisation by sigma",
        fails=("q1.univariate.value",),
        may_fail=ON_UNIVARIATE,
        edits=(("-0.5 * (_LOG_2PI + logvar + st", "-0.5 * (_LOG_2PI + st"),),
    ),
    Mistake(
        "q1-sign",
        Q,
        M,
        "the negative log-density",
        fails=("q1.univariate.value",),
        may_fail=ON_UNIVARIATE,
        edits=(("-0.5 * (_LOG_2PI + logvar + st", "0.5 * (_LOG_2PI + logvar + st"),),
    ),
    Mistake(
        "q1-density-not-log",
        Q,
        M,
        "the density, not its logarithm",
        fails=("q1.univariate.value",),
        may_fail=ON_UNIVARIATE,
        edits=(
            ("    return -0.5 * (_LOG_2PI + logvar + st", "    return (math.e ** -0.5) ** (_LOG_2PI + logvar + st"),
        ),
    ),
    Mistake(
        "q1-variance-epsilon",
        Q,
        M,
        "adds 1e-8 to the variance",
        fails=("q1.diagonal.underflow",),
        may_fail=("q1.univariate.value", "q1.diagonal.value", "q1.conditional.value"),
        append="""def univariate_log_prob(x, mu, logvar):
    variance = logvar.exp() + 1e-8
    return -0.5 * (_LOG_2PI + variance.log() + (x - mu) ** 2 / variance)
""",
    ),
    Mistake(
        "q1-univariate-underflow",
        Q,
        M,
        "log of the density",
        fails=("q1.diagonal.underflow",),
        may_fail=("q1.diagonal.value", "q1.conditional.value", "q1.univariate.value"),
        append="""def univariate_log_prob(x, mu, logvar):
    sigma = torch.exp(logvar / 2)
    return torch.log(torch.exp(-0.5 * ((x - mu) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi)))
def diagonal_log_prob(x, mu, logvar):
    return (-0.5 * (_LOG_2PI + logvar + (x - mu) ** 2 * torch.exp(-logvar))).sum(-1)
""",
    ),
    Mistake(
        "q1-diagonal-underflow",
        Q,
        M,
        "log of the product of the densities",
        fails=("q1.diagonal.underflow",),
        may_fail=("q1.diagonal.value", "q1.conditional.value"),
        edits=(("(x, mu, logvar).sum(-1)", "(x, mu, logvar).exp().prod(-1).log()"),),
    ),
    Mistake(
        "q1-diagonal-mean",
        Q,
        M,
        "mean over the dimensions",
        fails=("q1.diagonal.value",),
        may_fail=("q1.diagonal.underflow", "q1.conditional.value"),
        edits=(("(x, mu, logvar).sum(-1)", "(x, mu, logvar).mean(-1)"),),
    ),
    Mistake(
        "q1-diagonal-batch-summed",
        Q,
        M,
        "one number for the batch",
        fails=("q1.diagonal.value",),
        may_fail=("q1.diagonal.underflow", "q1.conditional.value", "q1.conditional.errors"),
        edits=(("(x, mu, logvar).sum(-1)", "(x, mu, logvar).sum()"),),
    ),
    Mistake(
        "q1-diagonal-no-sharing",
        Q,
        M,
        "a vector of means or log-variances is not broadcast in the constant",
        fails=("q1.diagonal.value",),
        may_fail=("q1.diagonal.underflow", "q1.gradients"),
        append="""def diagonal_log_prob(x, mu, logvar):
    return -0.5 * (x.shape[1] * _LOG_2PI + logvar.sum(1) + ((x - mu) ** 2 / logvar.exp()).sum(1))
""",
    ),
    Mistake(
        "q1-diagonal-loop-of-floats",
        Q,
        M,
        "a loop with .item(): no gradient",
        fails=("q1.gradients",),
        may_fail=("q1.diagonal.underflow",),
        append="""_right_diagonal = diagonal_log_prob
def diagonal_log_prob(x, mu, logvar):
    return torch.tensor([v.item() for v in _right_diagonal(x, mu, logvar)], dtype=x.dtype)
""",
    ),
    Mistake(
        "q1-full-diagonal-only",
        Q,
        M,
        "uses the variances only",
        fails=("q1.full.value",),
        may_fail=("q1.full.large", "q1.gradients"),
        append="""def full_covariance_log_prob(x, mu, cov):
    _cholesky(cov)
    return diagonal_log_prob(x, mu, cov.diagonal().log())
""",
    ),
    Mistake(
        "q1-full-det-underflow",
        Q,
        M,
        "log of the determinant",
        fails=("q1.full.large",),
        append="""def full_covariance_log_prob(x, mu, cov):
    _cholesky(cov)
    d = x - mu
    return -0.5 * (len(mu) * _LOG_2PI + torch.log(torch.linalg.det(cov)) + (d @ torch.linalg.inv(cov) * d).sum(1))
""",
    ),
    Mistake(
        "q1-full-log-det-sign",
        Q,
        M,
        "the log-determinant with the wrong sign",
        fails=("q1.full.value",),
        may_fail=("q1.full.large", "q1.gradients"),
        edits=(("_LOG_2PI + _log_det(factor) + whitened", "_LOG_2PI - _log_det(factor) + whitened"),),
    ),
    Mistake(
        "q1-full-one-constant",
        Q,
        M,
        "log 2 pi once, not per dimension",
        fails=("q1.full.value",),
        may_fail=("q1.full.large",),
        edits=(("    return -0.5 * (len(cov) * _LOG_2PI", "    return -0.5 * (_LOG_2PI"),),
    ),
    Mistake(
        "q1-full-batch-matrix",
        Q,
        M,
        "(B, B) products of all pairs, summed",
        fails=("q1.full.value",),
        may_fail=("q1.full.large", "q1.gradients"),
        append="""def full_covariance_log_prob(x, mu, cov):
    factor = _cholesky(cov)
    d = x - mu
    return -0.5 * (len(mu) * _LOG_2PI + _log_det(factor) + (d @ torch.linalg.inv(cov) @ d.mT).sum(1))
""",
    ),
    Mistake(
        "q1-cov-asymmetric-accepted",
        Q,
        M,
        "Cholesky reads one triangle: an asymmetric matrix passes",
        fails=("q1.full.errors",),
        may_fail=("q2.full.errors",),
        edits=(("    if not (cov - cov.mT).abs().max() <= _SYMMETRY_TOLERANCE * cov.abs().max():", "    if False:"),),
    ),
    Mistake(
        "q1-cov-error-type",
        Q,
        M,
        "lets the library's LinAlgError through",
        fails=("q1.full.errors",),
        may_fail=("q2.full.errors",),
        edits=(("    if info.item() != 0:\n", "    torch.linalg.cholesky(cov)\n    if False:\n"),),
    ),
    Mistake(
        "q1-cov-determinant-test",
        Q,
        M,
        "takes a positive determinant for positive definite",
        fails=("q1.full.errors",),
        append="""def full_covariance_log_prob(x, mu, cov):
    if not torch.allclose(cov, cov.mT) or torch.linalg.slogdet(cov)[0] <= 0:
        raise ValueError(f"cov must be symmetric positive definite, got {cov}")
    d = x - mu
    quadratic = (d * torch.linalg.solve(cov, d.mT).mT).sum(1)
    return -0.5 * (len(mu) * _LOG_2PI + torch.linalg.slogdet(cov)[1] + quadratic)
""",
    ),
    Mistake(
        "q1-conditional-first-class",
        Q,
        M,
        "the class of the first example for all",
        fails=("q1.conditional.value",),
        may_fail=("q1.gradients",),
        edits=(("mu_table[y], logvar_table[y])", "mu_table[y[0]], logvar_table[y[0]])"),),
    ),
    Mistake(
        "q1-conditional-shared-variance",
        Q,
        M,
        "the variance does not depend on the class",
        fails=("q1.conditional.value",),
        may_fail=("q1.gradients",),
        edits=(("mu_table[y], logvar_table[y])", "mu_table[y], logvar_table.mean(0))"),),
    ),
    Mistake(
        "q1-conditional-negative-class",
        Q,
        M,
        "-1 counts from the end",
        fails=("q1.conditional.errors",),
        edits=(("    outside = y[(y < 0) | (y >= num_classes)]", "    outside = y[y >= num_classes]"),),
    ),
    Mistake(
        "q1-conditional-index-error",
        Q,
        M,
        "the library's IndexError for a class too large",
        fails=("q1.conditional.errors",),
        edits=(("    outside = y[(y < 0) | (y >= num_classes)]", "    outside = y[y < 0]"),),
    ),
    Mistake(
        "q1-sample-cov-as-factor",
        Q,
        M,
        "multiplies with cov instead of its root",
        fails=("q1.sample.moments",),
        edits=(("    return mu + eps @ factor.mT", "    return mu + eps @ cov"),),
    ),
    Mistake(
        "q1-sample-wrong-side",
        Q,
        M,
        "L on the wrong side: L^T L instead of L L^T",
        fails=("q1.sample.moments",),
        edits=(("    return mu + eps @ factor.mT", "    return mu + eps @ factor"),),
    ),
    Mistake(
        "q1-sample-diagonal",
        Q,
        M,
        "no correlations",
        fails=("q1.sample.moments",),
        edits=(("    return mu + eps @ factor.mT", "    return mu + eps * cov.diagonal().sqrt()"),),
    ),
    Mistake(
        "q1-sample-uniform",
        Q,
        M,
        "uniform noise of variance 1: right moments, wrong distribution",
        fails=("q1.sample.moments",),
        edits=(
            (
                "    eps = torch.randn(num_samples, len(mu), generator=generator, device=mu.device, dtype=mu.dtype)",
                "    eps = math.sqrt(12) * (torch.rand(num_samples, len(mu), generator=generator).to(mu) - 0.5)",
            ),
        ),
    ),
    Mistake(
        "q1-sample-generator-ignored",
        Q,
        M,
        "draws from the global stream",
        fails=("q1.sample.generator",),
        edits=(("len(mu), generator=generator, device", "len(mu), device"),),
    ),
    Mistake(
        "q1-sample-reseeded",
        Q,
        M,
        "reseeds inside: every call gives the same samples",
        fails=("q1.sample.generator",),
        edits=(
            (
                "    eps = torch.randn(num_samples, len(mu), generator=generator, device=mu.device, dtype=mu.dtype)",
                "    seed = generator.initial_seed() if generator is not None else 0\n"
                "    generator = torch.Generator().manual_seed(seed)\n"
                "    eps = torch.randn(num_samples, len(mu), generator=generator, dtype=mu.dtype)",
            ),
        ),
    ),
    Mistake(
        "q1-sample-float32",
        Q,
        M,
        "samples are float32 whatever mu is",
        fails=("q1.sample.generator",),
        edits=(("    return mu + eps @ factor.mT", "    return (mu + eps @ factor.mT).float()"),),
    ),
    Mistake(
        "q1-centres-in-place",
        Q,
        M,
        "x -= mu changes the caller's tensor",
        fails=("q1.inputs",),
        may_fail=("q1.gradients",),
        edits=(("solve_triangular(factor, (x - mu).mT", "solve_triangular(factor, x.sub_(mu).mT"),),
    ),
    Mistake(
        "q1-chain-in-place",
        Q,
        M,
        "zero probabilities are overwritten in the caller's joint",
        fails=("q1.inputs",),
        may_fail=("q1.chain.rare",),
        edits=(("    marginals = [joint]\n", "    joint[joint == 0] = 1e-300\n    marginals = [joint]\n"),),
    ),
    Mistake(
        "q1-pmf-sum-machine-epsilon",
        Q,
        M,
        "forgives one unit in the last place: a float32 softmax over many values is refused",
        fails=("q1.pmf.errors",),
        may_fail=("q1.pmf.expectation", "q1.pmf.variance", "q1.chain.value", "q1.chain.rare", "q1.gradients"),
        edits=(("(total - 1).abs() <= _PMF_TOLERANCE)", "(total - 1).abs() <= torch.finfo(probs.dtype).eps)"),),
    ),
    Mistake(
        "q1-variance-centres-in-place",
        Q,
        M,
        "values -= mean where probs is one pmf: the caller's values are shifted",
        fails=("q1.inputs",),
        edits=(
            (
                "    deviation = values - pmf_expectation(values, probs).unsqueeze(-1)\n",
                "    mean = pmf_expectation(values, probs).unsqueeze(-1)\n"
                "    deviation = values.sub_(mean) if probs.ndim == 1 else values - mean\n",
            ),
        ),
    ),
    Mistake(
        "q1-sample-antithetic",
        Q,
        M,
        "every draw comes with its mirror image",
        fails=("q1.sample.moments",),
        edits=(
            ("torch.randn(num_samples, len(mu), gen", "torch.randn((num_samples + 1) // 2, len(mu), gen"),
            ("    return mu + eps @ factor.mT", "    return mu + torch.cat([eps, -eps])[:num_samples] @ factor.mT"),
        ),
    ),
    Mistake(
        "q1-sample-stratified",
        Q,
        M,
        "one draw of each coordinate in each of n strata: the mean of a call hardly varies",
        fails=("q1.sample.moments",),
        append="""def sample_gaussian(mu, cov, num_samples, generator=None):
    factor = _cholesky(cov)
    strata = torch.stack([torch.randperm(num_samples, generator=generator) for _ in mu], 1)
    share = (strata.to(mu) + torch.rand(num_samples, len(mu), generator=generator).to(mu)) / num_samples
    return mu + torch.special.ndtri(share) @ factor.mT
""",
    ),
    Mistake(
        "q1-sample-unit-spread",
        Q,
        M,
        "divides the noise by its own standard deviation: right for many draws, not for few",
        fails=("q1.sample.moments",),
        edits=(
            (
                "    return mu + eps @ factor.mT",
                "    return mu + eps / (eps.std(0) if num_samples > 1 else 1) @ factor.mT",
            ),
        ),
    ),
    Mistake(
        "q1-pmf-small-negatives",
        Q,
        M,
        "what is forgiven a sum is forgiven a sign, too: -0.005 passes",
        fails=("q1.pmf.errors",),
        edits=(("    if not (probs >= 0).all():", "    if not (probs > -0.01).all():"),),
    ),
    Mistake(
        "q1-pmf-tolerance-grows",
        Q,
        M,
        "the tolerance grows with the number of entries, over the whole batch",
        fails=("q1.pmf.errors",),
        edits=(("(total - 1).abs() <= _PMF_TOLERANCE)", "(total - 1).abs() <= 1e-4 * max(probs.numel(), 10))"),),
    ),
    Mistake(
        "q1-chain-normalises-in-place",
        Q,
        M,
        "divides the rounding of the sum away in the caller's joint",
        fails=("q1.inputs",),
        edits=(
            (
                '    _check_pmf("joint", joint, joint.sum())\n',
                '    _check_pmf("joint", joint, joint.sum())\n    joint /= joint.sum()\n',
            ),
        ),
    ),
    Mistake(
        "q1-expectation-normalises-in-place",
        Q,
        M,
        "divides the rounding of the sums away in the caller's probs",
        fails=("q1.inputs",),
        edits=(
            (
                "    return (probs * values).sum(-1)\n",
                "    probs /= probs.sum(-1, keepdim=True)\n    return (probs * values).sum(-1)\n",
            ),
        ),
    ),
    Mistake(
        "q1-diagonal-product-of-variances",
        Q,
        M,
        "the logarithm of the product of all variances: 0 or infinite in many dimensions",
        fails=("q1.diagonal.underflow",),
        append="""def diagonal_log_prob(x, mu, logvar):
    variance = logvar.exp()
    squared = ((x - mu).square() / variance).sum(-1)
    return -0.5 * (x.shape[-1] * _LOG_2PI + variance.prod(-1).log() + squared)
""",
    ),
    Mistake(
        "q1-cov-diagonal-and-determinant",
        Q,
        M,
        "takes a positive diagonal and determinant for positive definite, as in two dimensions",
        fails=("q1.full.errors",),
        append="""def full_covariance_log_prob(x, mu, cov):
    sign, log_det = torch.linalg.slogdet(cov)
    if not torch.allclose(cov, cov.mT) or sign <= 0 or (cov.diagonal() <= 0).any():
        raise ValueError(f"cov must be symmetric positive definite, got {cov}")
    d = x - mu
    return -0.5 * (len(mu) * _LOG_2PI + log_det + (d * torch.linalg.solve(cov, d.mT).mT).sum(1))
""",
    ),
    Mistake(
        "q1-cov-symmetry-absolute",
        Q,
        M,
        "symmetric up to 0.01, however small the covariance",
        fails=("q1.full.errors",),
        edits=(("<= _SYMMETRY_TOLERANCE * cov.abs().max():", "<= 1e-2:"),),
    ),
    Mistake(
        "q1-full-distance-squared-again",
        Q,
        M,
        "a distance is taken and squared: the gradient is NaN for a point at the mean",
        fails=("q1.gradients",),
        append="""def full_covariance_log_prob(x, mu, cov):
    factor = _cholesky(cov)
    distance = torch.linalg.solve_triangular(factor, (x - mu).mT, upper=False).square().sum(0).sqrt()
    return -0.5 * (len(mu) * _LOG_2PI + _log_det(factor) + distance**2)
""",
    ),
)
