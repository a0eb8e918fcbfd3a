"""The divergence of a full-covariance Gaussian."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import covariance, covariances, sizes, tensor_of
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import matches, raises
from ...check.failure import FLOAT32, FLOAT64
from ...check.forall import forall
from ...check.shown import misread
from .standard import FULL, LARGE_SUM, NO_LOG_RATIO, NO_MEAN, REVERSED, SIGN, TWICE, full_to_standard, to_standard


@declare(
    id="q2.full.value", question=2, kind="property", points=1.0, visibility="public",
    title="KL of a full covariance to the standard normal: value",
    asks="kl_full_covariance(mu, cov) is KL(N(mu, cov) || N(0, I)), one number",
    hint="For a diagonal cov you know the answer already: does yours agree? And what must correlation add to it?",
    needs=(),
)  # fmt: skip
def full_value(ctx: Context) -> None:
    mu, cov = ctx.randn(3), covariance(ctx.seed, 3)
    right, log_det = full_to_standard(mu, cov), torch.logdet(cov)
    hint = misread(ctx.call(FULL, mu, cov), {
        TWICE: 2 * right,
        SIGN: -right,
        "Does your divergence vanish for N(0, I), in any number of dimensions?": right + 1.5,
        "Does your divergence vanish for N(0, I) in more than one dimension?": right + 1.0,
        "Shrink cov towards 0: should the divergence fall or rise?": right + log_det,
        "Let the dimensions correlate more and more: should the divergence stay the same?":
            to_standard(mu.unsqueeze(0), cov.diagonal().log().unsqueeze(0))[0],
        NO_MEAN: right - mu.square().sum() / 2,
        NO_LOG_RATIO: right + log_det / 2,
        "If you use a factor of cov: what is the determinant of the factor, compared with that of cov?":
            right + log_det / 4,
        REVERSED: 0.5 * (torch.linalg.inv(cov).trace() + mu @ torch.linalg.solve(cov, mu) - 3 + log_det),
    })  # fmt: skip

    @st.composite
    def gaussians(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
        size = draw(sizes(1, 4))
        return tensor_of(draw, (size,)), draw(covariances(size))

    def body(mu_and_cov: tuple[Tensor, Tensor]) -> None:
        expected = full_to_standard(*mu_and_cov)
        matches(ctx, ctx.call(FULL, *mu_and_cov), expected, FLOAT64, "kl_full_covariance(mu, cov)", hint=hint)

    forall(ctx, body, mu_and_cov=gaussians())
    mu, cov = mu.float(), cov.float()
    expected = full_to_standard(mu.double(), cov.double()).float()
    matches(ctx, ctx.call(FULL, mu, cov), expected, FLOAT32, "kl_full_covariance in float32", hint=hint)


@declare(
    id="q2.full.large", question=2, kind="property", points=0.25, visibility="hidden",
    title="KL of a full covariance in many dimensions",
    asks="kl_full_covariance is finite and right for hundreds of dimensions, with small and with large variances",
    hint="How large is the determinant of a 200 x 200 matrix whose diagonal is 0.001, and what is its logarithm?",
    needs=("q2.full.value",),
)  # fmt: skip
def full_large(ctx: Context) -> None:
    mu = ctx.randn(200)
    for scale in (1e-3, 1e3):
        cov = covariance(ctx.seed, 200) * scale
        expected = full_to_standard(mu, cov)
        what = f"kl_full_covariance with D = 200 and variances near {scale:g}"
        matches(ctx, ctx.call(FULL, mu, cov), expected, FLOAT64, what)
        matches(ctx, ctx.call(FULL, mu.float(), cov.float()), expected.float(), LARGE_SUM, f"{what} in float32")


@declare(
    id="q2.full.errors", question=2, kind="property", points=0.5, visibility="public",
    title="What is no covariance is refused",
    asks="kl_full_covariance raises ValueError if cov is not symmetric positive definite",
    hint="Which entries of the matrix does the routine that you rely on read? Which kind of error does it raise?",
    needs=(),
)  # fmt: skip
def full_errors(ctx: Context) -> None:
    matrices = {
        "is not symmetric (upper triangle)": [[2.0, 0.8, 0.0], [0.1, 1.0, 0.2], [0.0, 0.2, 1.5]],
        "is not symmetric (lower triangle)": [[2.0, 0.1, 0.0], [0.8, 1.0, 0.2], [0.0, 0.2, 1.5]],
        "has one negative eigenvalue": [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        # the determinant is positive all the same
        "has two negative eigenvalues": [[-1.0, 0.2, 0.0], [0.2, -2.0, 0.0], [0.0, 0.0, 1.0]],
        "has two negative eigenvalues and a positive diagonal": [[1.0, 2.0, 2.0], [2.0, 1.0, 2.0], [2.0, 2.0, 1.0]],
        "has an eigenvalue 0": [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]],
    }
    mu = ctx.randn(3)
    for what, rows in matrices.items():
        cov = torch.tensor(rows, dtype=torch.float64)
        raises(ctx, "ValueError", FULL, mu, cov, names="cov", case=f"kl_full_covariance with a cov that {what}")
