"""The divergence of a full-covariance Gaussian."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import covariance, covariances, sizes, symmetric, tensor_of, two_digits
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import expect, matches, raises
from ...check.failure import FLOAT32, FLOAT64, Tolerance
from ...check.forall import forall
from ...check.patterns import Reading, recognised
from ..shared.covariances import not_positive_definite
from .oracles import FULL, ONE_EXAMPLE, PRECISION, full_to_standard, to_standard

LARGE_SUM = Tolerance(1e-4, 1e-3, "float32 sums of 200 terms of opposite signs, up to 1e3 in all")
TERMS = "Four terms make this divergence: for a diagonal cov you know each of them already. Which one is not yours?"
UNDERFLOW = "How large is the determinant of a 200 x 200 matrix whose diagonal is 0.001, and what is its logarithm?"


def of_full(mu: Tensor, cov: Tensor) -> dict[Reading, Tensor]:
    """What known misconceptions make of KL(N(mu, cov) || N(0, I)) in D = 3 dimensions."""
    right, log_det = full_to_standard(mu, cov), torch.logdet(cov)
    diagonal = to_standard(mu.unsqueeze(0), cov.diagonal().log().unsqueeze(0))[0]
    return {
        Reading("exactly twice the divergence",
                "Your values are exactly twice too large. Check against an integral in one dimension: which factor is "
                "missing?"): 2 * right,
        Reading("minus the divergence", "Can one distribution be closer to another than it is to itself?"): -right,
        Reading("the divergence plus D / 2",
                "Does your divergence vanish for N(0, I), in any number of dimensions?"): right + 1.5,
        Reading("the divergence plus (D - 1) / 2",
                "Does your divergence vanish for N(0, I) in more than one dimension?"): right + 1.0,
        Reading("the divergence with the log-determinant added where it is subtracted",
                "Shrink cov towards 0: should the divergence fall or rise?"): right + log_det,
        Reading("the divergence with the log-determinant left out",
                "Shrink cov towards 0: which term should notice?"): right + log_det / 2,
        Reading("the divergence with half of the log-determinant",
                "If you use a factor of cov: what is the determinant of the factor, compared with that of cov?"):
            right + log_det / 4,
        Reading("the divergence with twice the log-determinant",
                "If you use a factor of cov: is its determinant that of cov, and how often do you count it?"):
            right - log_det / 2,
        Reading("the divergence of independent dimensions with the same variances",
                "Let the dimensions correlate more and more: should the divergence stay the same?"): diagonal,
        Reading("the divergence with the term of the mean left out",
                "Shift one mean far away. Does your divergence notice?"): right - mu.square().sum() / 2,
        Reading("the divergence with the length of the mean in place of its square",
                "How does the mean enter: should twice the distance cost twice as much?"):
            right - mu.square().sum() / 2 + mu.norm() / 2,
        Reading("the divergence with the distance of the mean measured by cov",
                "By whose width is the distance of the mean measured, that of your Gaussian or that of N(0, I)?"):
            right - mu.square().sum() / 2 + mu @ torch.linalg.solve(cov, mu) / 2,
        Reading("the divergence with the sum of all entries of cov in place of its trace",
                "Which entries of cov are variances, and do the others belong into the same sum?"):
            right + (cov.sum() - cov.trace()) / 2,
        Reading("the divergence with D in place of the trace of cov",
                "Make every variance twice as large: which terms of your formula notice?"):
            right - (cov.trace() - 3) / 2,
        Reading("KL(N(0, I) || N(mu, cov)), the divergence the other way round",
                "Under which of the two distributions is the expectation taken? It is not the same the other way "
                "round."):
            0.5 * (torch.linalg.inv(cov).trace() + mu @ torch.linalg.solve(cov, mu) - 3 + log_det),
    }  # fmt: skip


@declare(
    id="q2.full.value", question=2, kind="property", points=1.0, visibility="public",
    title="KL of a full covariance to the standard normal: value",
    asks="kl_full_covariance(mu, cov) is KL(N(mu, cov) || N(0, I)), one number",
    hint="For a diagonal cov you know the answer already: does yours agree? And what must correlation add to it?",
    needs=(),
)  # fmt: skip
def full_value(ctx: Context) -> None:
    mu, cov = two_digits(ctx.randn(3)), symmetric(two_digits(covariance(ctx.seed, 3)))
    reading = recognised(ctx.call(FULL, mu, cov), full_to_standard(mu, cov), of_full(mu, cov))

    @st.composite
    def gaussian(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
        size = draw(sizes(2, 4))
        return tensor_of(draw, (size,)), draw(covariances(size))

    def body(mu_and_cov: tuple[Tensor, Tensor], what: str = "kl_full_covariance(mu, cov)", hint: str = TERMS) -> None:
        expected = full_to_standard(*mu_and_cov)
        matches(ctx, ctx.call(FULL, *mu_and_cov), expected, FLOAT64, what, hint=hint, reading=reading)

    forall(ctx, body, mu_and_cov=gaussian())
    one = torch.tensor([0.5], dtype=torch.float64), torch.tensor([[0.25]], dtype=torch.float64)
    body(one, "kl_full_covariance in one dimension", ONE_EXAMPLE)
    mu, cov = mu.float(), cov.float()
    expected = full_to_standard(mu.double(), cov.double()).float()
    matches(ctx, ctx.call(FULL, mu, cov), expected, FLOAT32, "kl_full_covariance of float32 arguments", hint=PRECISION)


@declare(
    id="q2.full.large", question=2, kind="property", points=0.25, visibility="hidden",
    title="KL of a full covariance in many dimensions",
    asks="kl_full_covariance is finite and right for hundreds of dimensions, with small and with large variances",
    hint=UNDERFLOW, needs=("q2.full.value",),
)  # fmt: skip
def full_large(ctx: Context) -> None:
    mu = ctx.randn(200)
    for scale in (1e-3, 1e3):
        cov = covariance(ctx.seed, 200) * scale
        for dtype, tol in ((torch.float64, FLOAT64), (torch.float32, LARGE_SUM)):
            what = f"kl_full_covariance with D = 200 and variances near {scale:g} in {str(dtype)[6:]}"
            expected = full_to_standard(mu, cov).to(dtype)
            value = as_finite(ctx, mu.to(dtype), cov.to(dtype), what)
            matches(ctx, value, expected, tol, what, hint=UNDERFLOW)


def as_finite(ctx: Context, mu: Tensor, cov: Tensor, what: str) -> object:
    """The divergence, if it is a number at all."""
    value = ctx.call(FULL, mu, cov)
    if isinstance(value, Tensor):
        expect(bool(value.isfinite().all()), f"{what} is not finite", "a finite number", value, hint=UNDERFLOW)
    return value


@declare(
    id="q2.full.errors", question=2, kind="property", points=0.5, visibility="public",
    title="What is no covariance is refused",
    asks="kl_full_covariance raises ValueError if cov is not symmetric positive definite",
    hint="Which entries of the matrix does the routine that you rely on read? Which kind of error does it raise?",
    needs=(),
)  # fmt: skip
def full_errors(ctx: Context) -> None:
    mu = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for what, cov, question in not_positive_definite():
        raises(ctx, "ValueError", FULL, mu, cov, names="cov", case=f"kl_full_covariance with a cov that {what}",
                   hint=question)  # fmt: skip
