"""Question 1, densities: the reference with one bug."""

from __future__ import annotations

from .. import Mistake

Q, M = 1, "gaussians"


# the reference's densities build on each other: what a bug in the univariate one may take with it
ON_UNIVARIATE = ("q1.diagonal.value", "q1.diagonal.underflow", "q1.conditional.value", "q1.gradients")


MISTAKES: tuple[Mistake, ...] = (
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
        may_fail=(
            "q1.inputs",
            "q1.diagonal.underflow",
        ),
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
        "q1-centres-in-place",
        Q,
        M,
        "x -= mu changes the caller's tensor",
        fails=("q1.inputs",),
        may_fail=("q1.gradients",),
        edits=(("solve_triangular(factor, (x - mu).mT", "solve_triangular(factor, x.sub_(mu).mT"),),
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
        may_fail=("q2.full.errors",),  # a helper that the reference shares
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
    Mistake(
        "q1-distance-not-squared",
        Q,
        M,
        "the distance from the mean as it is",
        fails=("q1.univariate.value",),
        may_fail=("q1.diagonal.value", "q1.diagonal.underflow", "q1.conditional.value", "q1.gradients"),
        edits=(("(_LOG_2PI + logvar + standardized.square())", "(_LOG_2PI + logvar + standardized.abs())"),),
    ),
    Mistake(
        "q1-distance-by-nothing",
        Q,
        M,
        "the squared distance is not measured by the width",
        fails=("q1.univariate.value",),
        may_fail=("q1.diagonal.value", "q1.diagonal.underflow", "q1.conditional.value", "q1.gradients"),
        edits=(("    standardized = (x - mu) * torch.exp(-logvar / 2)\n", "    standardized = x - mu\n"),),
    ),
    Mistake(
        "q1-log-of-pi",
        Q,
        M,
        "log pi where log 2 pi belongs",
        fails=("q1.univariate.value",),
        may_fail=("q1.diagonal.value", "q1.diagonal.underflow", "q1.conditional.value", "q1.gradients"),
        edits=(("-0.5 * (_LOG_2PI + logvar + st", "-0.5 * (math.log(math.pi) + logvar + st"),),
    ),
    Mistake(
        "q1-logvar-clamped",
        Q,
        M,
        "clamps logvar to [-20, 20]",
        fails=("q1.diagonal.underflow",),
        may_fail=("q1.gradients",),
        edits=(
            (
                "    standardized = (x - mu) * torch.exp(-logvar / 2)\n",
                "    logvar = logvar.clamp(-20, 20)\n    standardized = (x - mu) * torch.exp(-logvar / 2)\n",
            ),
        ),
    ),
    Mistake(
        "q1-variance-detached",
        Q,
        M,
        "the variance under the squared distance is a constant to autograd",
        fails=("q1.gradients",),
        edits=(
            (
                "    standardized = (x - mu) * torch.exp(-logvar / 2)\n",
                "    standardized = (x - mu) * torch.exp(-logvar.detach() / 2)\n",
            ),
        ),
    ),
    Mistake(
        "q1-diagonal-squeezed",
        Q,
        M,
        "one example gives a number without an axis",
        fails=("q1.diagonal.value",),
        may_fail=("q1.conditional.value", "q1.diagonal.underflow"),
        edits=(("(x, mu, logvar).sum(-1)", "(x, mu, logvar).sum(-1).squeeze()"),),
    ),
    Mistake(
        "q1-diagonal-batch-mean",
        Q,
        M,
        "the mean of the batch",
        fails=("q1.diagonal.value",),
        may_fail=("q1.diagonal.underflow", "q1.conditional.value", "q1.conditional.errors"),
        edits=(("(x, mu, logvar).sum(-1)", "(x, mu, logvar).sum(-1).mean()"),),
    ),
    Mistake(
        "q1-full-half-log-det",
        Q,
        M,
        "the log-determinant of the factor in place of that of cov",
        fails=("q1.full.value",),
        may_fail=("q1.full.large", "q1.gradients"),
        edits=(("_LOG_2PI + _log_det(factor) + whitened", "_LOG_2PI + _log_det(factor) / 2 + whitened"),),
    ),
    Mistake(
        "q1-full-cov-for-inverse",
        Q,
        M,
        "cov where its inverse belongs",
        fails=("q1.full.value",),
        may_fail=("q1.full.large", "q1.gradients"),
        edits=(
            (
                "    whitened: Tensor = torch.linalg.solve_triangular(factor, (x - mu).mT, upper=False)\n",
                "    whitened: Tensor = factor.mT @ (x - mu).mT\n",
            ),
        ),
    ),
    Mistake(
        "q1-full-factor-transposed",
        Q,
        M,
        "undoes the transpose of the factor",
        fails=("q1.full.value",),
        may_fail=("q1.full.large", "q1.gradients"),
        edits=(
            (
                "torch.linalg.solve_triangular(factor, (x - mu).mT, upper=False)",
                "torch.linalg.solve_triangular(factor.mT, (x - mu).mT, upper=True)",
            ),
        ),
    ),
    Mistake(
        "q1-conditional-from-one",
        Q,
        M,
        "classes are counted from one",
        fails=("q1.conditional.value",),
        may_fail=("q1.gradients",),
        edits=(("mu_table[y], logvar_table[y])", "mu_table[y - 1], logvar_table[y - 1])"),),
    ),
    Mistake(
        "q1-conditional-unit-variance",
        Q,
        M,
        "the second table is never used",
        fails=("q1.conditional.value",),
        may_fail=("q1.gradients",),
        edits=(("mu_table[y], logvar_table[y])", "mu_table[y], 0 * logvar_table[y])"),),
    ),
    Mistake(
        "q1-conditional-sorted",
        Q,
        M,
        "the classes are sorted before they are looked up",
        fails=("q1.conditional.value",),
        may_fail=("q1.gradients",),
        edits=(("mu_table[y], logvar_table[y])", "mu_table[y.sort().values], logvar_table[y.sort().values])"),),
    ),
    Mistake(
        "q1-conditional-one-hot-on-cpu",
        Q,
        M,
        "a product with one-hot labels that are made on the CPU",
        fails=("q1.inputs",),
        edits=(
            (
                "    return diagonal_log_prob(x, mu_table[y], logvar_table[y])",
                "    one_hot = (y[:, None] == torch.arange(num_classes)).to(x.dtype)\n    return diagonal_log_prob(x, one_hot @ mu_table, one_hot @ logvar_table)",
            ),
        ),
    ),
)
