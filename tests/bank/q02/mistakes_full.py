"""Question 2, full covariances: the reference with one bug."""

from __future__ import annotations

from .. import Mistake

Q, M = 2, "gaussians"


OF_FULL = ("q2.properties", "q2.montecarlo", "q2.full.large")


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q2-full-no-trace",
        Q,
        M,
        "D in place of the trace",
        fails=("q2.full.value",),
        may_fail=OF_FULL,
        edits=(("0.5 * (cov.trace() + mu @ mu - len(mu) - ", "0.5 * (mu @ mu - "),),
    ),
    Mistake(
        "q2-full-one-for-dimensions",
        Q,
        M,
        "1 in place of D",
        fails=("q2.full.value",),
        may_fail=OF_FULL,
        edits=(("mu @ mu - len(mu) - _log_det", "mu @ mu - 1 - _log_det"),),
    ),
    Mistake(
        "q2-full-log-det-sign",
        Q,
        M,
        "adds the log-determinant",
        fails=("q2.full.value",),
        may_fail=OF_FULL,
        edits=(("mu @ mu - len(mu) - _log_det", "mu @ mu - len(mu) + _log_det"),),
    ),
    Mistake(
        "q2-full-factor-determinant",
        Q,
        M,
        "the determinant of the factor, not of cov",
        fails=("q2.full.value",),
        may_fail=OF_FULL,
        edits=(("mu @ mu - len(mu) - _log_det(_cholesky(cov))", "mu @ mu - len(mu) - _log_det(_cholesky(cov)) / 2"),),
    ),
    Mistake(
        "q2-full-diagonal-only",
        Q,
        M,
        "ignores the correlations",
        fails=("q2.full.value",),
        may_fail=OF_FULL,
        edits=(
            (
                "mu @ mu - len(mu) - _log_det(_cholesky(cov))",
                "mu @ mu - len(mu) - cov.diagonal().log().sum() + 0 * _log_det(_cholesky(cov))",
            ),
        ),
    ),
    Mistake(
        "q2-full-det-underflow",
        Q,
        M,
        "the logarithm of the determinant",
        fails=("q2.full.large",),
        edits=(
            (
                "mu @ mu - len(mu) - _log_det(_cholesky(cov))",
                "mu @ mu - len(mu) - torch.linalg.det(_cholesky(cov) @ _cholesky(cov).mT).log()",
            ),
        ),
    ),
    Mistake(
        "q2-full-unchecked",
        Q,
        M,
        "slogdet takes any matrix",
        fails=("q2.full.errors",),
        edits=(("mu @ mu - len(mu) - _log_det(_cholesky(cov))", "mu @ mu - len(mu) - torch.linalg.slogdet(cov)[1]"),),
    ),
    Mistake(
        "q2-full-error-type",
        Q,
        M,
        "lets the library's LinAlgError through, and reads one triangle",
        fails=("q2.full.errors",),
        edits=(
            (
                "mu @ mu - len(mu) - _log_det(_cholesky(cov))",
                "mu @ mu - len(mu) - _log_det(torch.linalg.cholesky(cov))",
            ),
        ),
    ),
    Mistake(
        "q2-full-item",
        Q,
        M,
        "a Python float in between: cov gets half of its gradient",
        fails=("q2.gradient.general",),
        edits=(
            ("mu @ mu - len(mu) - _log_det(_cholesky(cov))", "mu @ mu - len(mu) - _log_det(_cholesky(cov)).item()"),
        ),
    ),
    Mistake(
        "q2-full-diagonal-and-determinant",
        Q,
        M,
        "takes a positive diagonal and determinant for positive definite, as in two dimensions",
        fails=("q2.full.errors",),
        append="""def kl_full_covariance(mu, cov):
    sign, log_det = torch.linalg.slogdet(cov)
    if not torch.allclose(cov, cov.mT) or sign <= 0 or (cov.diagonal() <= 0).any():
        raise ValueError(f"cov must be symmetric positive definite, got {cov}")
    return 0.5 * (cov.trace() + mu @ mu - len(mu) - log_det)
""",
    ),
    Mistake(
        "q2-full-norm-squared-again",
        Q,
        M,
        "the length of mu is taken and squared: the gradient is NaN for a mean of 0",
        fails=("q2.gradient.general",),
        edits=(("mu @ mu - len(mu) - _log_det", "(mu * mu).sum().sqrt() ** 2 - len(mu) - _log_det"),),
    ),
    Mistake(
        "q2-full-sum-of-entries",
        Q,
        M,
        "the sum of all entries for the trace",
        fails=("q2.full.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.full.large"),
        edits=(("cov.trace() + mu @ mu", "cov.sum() + mu @ mu"),),
    ),
    Mistake(
        "q2-full-length-of-mean",
        Q,
        M,
        "the length of the mean, not squared",
        fails=("q2.full.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.full.large", "q2.gradient.general"),
        edits=(("mu @ mu - len(mu) - _log_det(_cholesky(cov))", "mu.norm() - len(mu) - _log_det(_cholesky(cov))"),),
    ),
    Mistake(
        "q2-full-mean-by-cov",
        Q,
        M,
        "the mean is measured by cov",
        fails=("q2.full.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.full.errors", "q2.full.large"),
        edits=(
            (
                "mu @ mu - len(mu) - _log_det(_cholesky(cov))",
                "mu @ torch.linalg.solve(cov, mu) - len(mu) - _log_det(_cholesky(cov))",
            ),
        ),
    ),
    Mistake(
        "q2-full-no-mean",
        Q,
        M,
        "the mean is forgotten",
        fails=("q2.full.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.full.large"),
        edits=(("mu @ mu - len(mu) - _log_det(_cholesky(cov))", "0 * mu.sum() - len(mu) - _log_det(_cholesky(cov))"),),
    ),
    Mistake(
        "q2-full-twice",
        Q,
        M,
        "no factor one half",
        fails=("q2.full.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.full.large"),
        edits=(("    return 0.5 * (cov.trace()", "    return (cov.trace()"),),
    ),
    Mistake(
        "q2-full-vector",
        Q,
        M,
        "a vector of one number",
        fails=("q2.full.value",),
        may_fail=("q2.properties", "q2.montecarlo", "q2.full.large"),
        edits=(("- len(mu) - _log_det(_cholesky(cov)))", "- len(mu) - _log_det(_cholesky(cov))).reshape(1)"),),
    ),
    Mistake(
        "q2-full-eye-on-cpu",
        Q,
        M,
        "the identity of N(0, I) lies on the CPU",
        fails=("q2.inputs",),
        edits=(
            ("    return 0.5 * (cov.trace()", "    return 0.5 * ((cov * torch.eye(len(mu), dtype=cov.dtype)).sum()"),
        ),
    ),
)
