"""Question 1, Gaussian densities: against `torch.distributions` and integrals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from ...check.cases import covariance, covariances, sizes, tensor_of
from ...check.context import Context, guard
from ...check.declaration import Check, declare
from ...check.expectations import as_tensor, expect, matches, raises
from ...check.failure import FLOAT32, FLOAT64, Tolerance
from ...check.forall import forall
from ...check.shown import misread

UNIVARIATE, DIAGONAL = "gaussians.univariate_log_prob", "gaussians.diagonal_log_prob"
FULL, CONDITIONAL = "gaussians.full_covariance_log_prob", "gaussians.conditional_log_prob"
SAMPLE = "gaussians.sample_gaussian"

INTEGRAL = Tolerance(
    1e-6, 0.0, "trapezoid rule over 12 sigma in steps of sigma / 10: its error for a Gaussian is below 1e-15"
)
PRODUCT = "What becomes of a product of 784 numbers that are all a little below 1, or all a little above it?"
LARGE_SUM = Tolerance(1e-4, 1e-3, "float32 sums of 784 terms of one sign, up to 1e3 each")


def normal(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(x; mu, exp(logvar)) by torch.distributions, element by element."""
    log_prob: Tensor = Normal(mu, torch.exp(logvar / 2)).log_prob(x)  # type: ignore[no-untyped-call]
    return log_prob


def multivariate(x: Tensor, mu: Tensor, cov: Tensor) -> Tensor:
    """log N(x; mu, cov) by torch.distributions, one number per row of x."""
    log_prob: Tensor = MultivariateNormal(mu, cov).log_prob(x)  # type: ignore[no-untyped-call]
    return log_prob


def readings(x: Tensor, mu: Tensor, logvar: Tensor, dims: Sequence[int] = ()) -> dict[str, Tensor]:
    """What known misconceptions make of a log-density, by the question to ask; `dims` are the axes summed over."""
    squared = (x - mu).square()
    constant = math.log(2 * math.pi)

    def total(terms: Tensor) -> Tensor:
        return terms.sum(tuple(dims)) if dims else terms

    return {
        "Make sigma twice as large: by how much does logvar change, and does your code agree with that?":
            total(normal(x, mu, 2 * logvar)),
        "In which unit is the squared distance, and in which is what you divide it by?":
            total(-0.5 * (constant + logvar + squared * torch.exp(-logvar / 2))),
        "Your values are too large, by the same number per dimension everywhere. Does the density integrate to 1?":
            total(-0.5 * (logvar + squared * torch.exp(-logvar))),
        "Does the density integrate to 1 for a narrow and for a wide Gaussian alike?":
            total(-0.5 * (constant + squared * torch.exp(-logvar))),
        "Compare the weight of the squared distance with that of the other terms: is one twice too heavy?":
            total(-0.5 * (constant + logvar) - squared * torch.exp(-logvar)),
        "Is this the density, or its logarithm?": torch.exp(total(normal(x, mu, logvar))),
        "Should a point far from the mean have a larger or a smaller log-density?": -total(normal(x, mu, logvar)),
    }  # fmt: skip


@declare(
    id="q1.univariate.value", question=1, kind="property", points=0.5, visibility="public",
    title="Log-density of a univariate Gaussian",
    asks="univariate_log_prob(x, mu, logvar) is log N(x; mu, sigma^2) element by element; the three broadcast, and the "
    "density integrates to 1",
    hint="Integrate the exponential of your result over a fine grid: do you get 1 for every sigma?",
    needs=(),
)  # fmt: skip
def univariate_value(ctx: Context) -> None:
    x, mu, logvar = ctx.randn(9), ctx.randn(9), ctx.rand(9, low=-2, high=2)
    hint = misread(ctx.call(UNIVARIATE, x, mu, logvar), readings(x, mu, logvar))
    centre, spread = ctx.randn(1), ctx.rand(1, low=0.5, high=1.5)
    steps = torch.arange(-120, 121).double() / 10
    grid, ones = centre + spread * steps, torch.ones_like(steps)
    value = ctx.call(UNIVARIATE, grid, centre * ones, 2 * spread.log() * ones)
    log_prob = as_tensor(value, (241,), "univariate_log_prob on a grid")
    integral = float(log_prob.exp().sum() * spread / 10)
    matches(ctx, integral, 1.0, INTEGRAL, "the integral of the density", hint=hint)

    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
        rows, columns = draw(sizes(1, 4)), draw(sizes(1, 4))
        shapes = st.sampled_from([(columns,), (), (rows, columns), (rows, 1)])
        # within 22 sigma: what becomes of a density that underflows has its own check
        return (tensor_of(draw, draw(shapes), -5, 5), tensor_of(draw, draw(shapes), -3, 3),
                tensor_of(draw, draw(shapes), -2, 4))  # fmt: skip

    def body(x_mu_logvar: tuple[Tensor, Tensor, Tensor]) -> None:
        value = ctx.call(UNIVARIATE, *x_mu_logvar)
        expected = normal(*x_mu_logvar)
        matches(ctx, value, expected, FLOAT64, "univariate_log_prob(x, mu, logvar)", hint=hint)

    forall(ctx, body, x_mu_logvar=arguments())
    # the smallest variance of all: what is added to it shows here, or nowhere in this check
    peak, narrow = ctx.randn(3), torch.full((3,), -6.0, dtype=torch.float64)
    value = ctx.call(UNIVARIATE, peak, peak, narrow)
    matches(ctx, value, normal(peak, peak, narrow), FLOAT64, "univariate_log_prob at the peak of a narrow Gaussian")
    x, mu, logvar = x.float(), mu.float(), logvar.float()
    matches(ctx, ctx.call(UNIVARIATE, x, mu, logvar), normal(x, mu, logvar), FLOAT32, "univariate_log_prob in float32")


@declare(
    id="q1.diagonal.value", question=1, kind="property", points=0.5, visibility="public",
    title="Log-density of a diagonal Gaussian",
    asks="diagonal_log_prob(x, mu, logvar) is one number per example, summed over the dimensions; mu and logvar may be "
    "shared by the batch",
    hint="If the dimensions are independent, what becomes of their log-densities when a dimension is added?",
    needs=(),
)  # fmt: skip
def diagonal_value(ctx: Context) -> None:
    x, mu, logvar = ctx.randn(5, 3), ctx.randn(5, 3), ctx.rand(5, 3, low=-2, high=2)
    per_dimension = normal(x, mu, logvar)
    hint = misread(ctx.call(DIAGONAL, x, mu, logvar), {
        **readings(x, mu, logvar, dims=(1,)),
        "Your values are off by a factor, the number of dimensions: what does adding a dimension do to the result?":
            per_dimension.mean(1),
        "How many numbers should come out for five examples, and which axis is the batch?": per_dimension.sum(0),
        "Should the examples of a batch be combined?": per_dimension.sum(),
    })  # fmt: skip

    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
        batch, dims = draw(sizes(1, 5)), draw(sizes(1, 4))
        shapes = st.sampled_from([(batch, dims), (dims,)])
        return (tensor_of(draw, (batch, dims)), tensor_of(draw, draw(shapes)), tensor_of(draw, draw(shapes), -4, 4))

    def body(x_mu_logvar: tuple[Tensor, Tensor, Tensor]) -> None:
        expected = normal(*x_mu_logvar).sum(1)
        matches(ctx, ctx.call(DIAGONAL, *x_mu_logvar), expected, FLOAT64, "diagonal_log_prob(x, mu, logvar)", hint=hint)

    forall(ctx, body, x_mu_logvar=arguments())
    x, mu, logvar = x.float(), mu.float(), logvar.float()
    expected = normal(x, mu, logvar).sum(1)
    matches(ctx, ctx.call(DIAGONAL, x, mu, logvar), expected, FLOAT32, "diagonal_log_prob in float32", hint=hint)


@declare(
    id="q1.diagonal.underflow", question=1, kind="property", points=0.5, visibility="public",
    title="784 dimensions and far points do not underflow",
    asks="the univariate and diagonal log-densities stay finite and right for D = 784, also where all variances are "
    "small or all are large, for points 60 sigma away, and for variances from e^-40 to e^40, in float32 and float64",
    hint="How large is the density itself out there, and does your computation ever hold it? How small may a variance "
    "be before anything you add to it shows?",
    needs=(),
)  # fmt: skip
def diagonal_underflow(ctx: Context) -> None:
    for dtype, tol in ((torch.float64, FLOAT64), (torch.float32, LARGE_SUM)):
        kind = str(dtype).removeprefix("torch.")
        x, mu = ctx.rand(3, 784, dtype=dtype), ctx.rand(784, dtype=dtype)
        logvar = ctx.rand(3, 784, low=-2, high=2, dtype=dtype)
        value = ctx.call(DIAGONAL, x, mu, logvar)
        matches(ctx, value, normal(x, mu, logvar).sum(1), tol, f"diagonal_log_prob of 784 dimensions in {kind}")
        for level in (-1, 1):  # the product of all variances is e^-784 or e^784
            same = torch.full((784,), level, dtype=dtype)
            value, expected = ctx.call(DIAGONAL, x, mu, same), normal(x.double(), mu.double(), same.double()).sum(1)
            what = f"diagonal_log_prob of 784 dimensions whose logvar is {level} in {kind}"
            finite = as_tensor(value, (3,), what, finite=False).isfinite()
            expect(bool(finite.all()), f"{what} is not finite", expected, value, hint=PRODUCT)
            matches(ctx, value, expected.to(dtype), tol, what)
        far_out(ctx, dtype, tol)


def far_out(ctx: Context, dtype: torch.dtype, tol: Tolerance) -> None:
    """Points many standard deviations away, where the density itself is 0 to any computer."""
    kind = str(dtype).removeprefix("torch.")
    logvar = torch.tensor([-40, -25, -9, 0.5, 9, 25, 40], dtype=dtype)
    x, mu = 60 * ctx.rand(7, low=-1, dtype=dtype) * torch.exp(logvar / 2), torch.zeros(7, dtype=dtype)
    expected = normal(x.double(), mu.double(), logvar.double())
    case = {"x": x, "mu": mu, "logvar": logvar}

    def agrees(value: Any, wanted: Tensor, what: str) -> None:
        matches(ctx, value, wanted.to(dtype), tol, f"{what} far out in {kind}")

    guard(lambda: agrees(ctx.call(UNIVARIATE, x, mu, logvar), expected, "univariate_log_prob"), case)
    rows = expected.sum().unsqueeze(0)
    guard(lambda: agrees(ctx.call(DIAGONAL, x[None], mu, logvar), rows, "diagonal_log_prob"), case)


@declare(
    id="q1.full.value", question=1, kind="property", points=0.5, visibility="public",
    title="Log-density of a Gaussian with full covariance",
    asks="full_covariance_log_prob(x, mu, cov) is log N(x; mu, cov), one number per example; the density "
    "integrates to 1",
    hint="Try a diagonal cov: does the answer agree with the dimensions taken one by one? What changes when two "
    "dimensions correlate?",
    needs=(),
)  # fmt: skip
def full_value(ctx: Context) -> None:
    x, mu, cov = ctx.randn(5, 3), ctx.randn(3), covariance(ctx.seed, 3)
    right = multivariate(x, mu, cov)
    squared = torch.einsum("bi,ij,bj->b", x - mu, torch.linalg.inv(cov), x - mu)
    log_det = torch.logdet(cov)
    hint = misread(ctx.call(FULL, x, mu, cov), {
        "Do correlated dimensions really count as if they were independent?":
            normal(x, mu, cov.diagonal().log()).sum(1),
        "Your values are off by the same number everywhere: what belongs to each of the dimensions?":
            -0.5 * (log_det + squared),
        "Does the constant grow with the number of dimensions?": -0.5 * (math.log(2 * math.pi) + log_det + squared),
        "Does the density integrate to 1 when the covariance is scaled up?":
            -0.5 * (3 * math.log(2 * math.pi) + squared),
        "Should a wide Gaussian have a higher or a lower peak than a narrow one?":
            -0.5 * (3 * math.log(2 * math.pi) - log_det + squared),
        "A long axis of the covariance: does a step along it cost more or less than a step across it?":
            -0.5 * (3 * math.log(2 * math.pi) + log_det + torch.einsum("bi,ij,bj->b", x - mu, cov, x - mu)),
        "Is the matrix that you factor the covariance, or its root?":
            -0.5 * (3 * math.log(2 * math.pi) + 2 * log_det + ((x - mu) @ torch.linalg.inv(cov)).square().sum(1)),
        "Each term of the sum: which ones carry the factor one half?":
            -0.5 * 3 * math.log(2 * math.pi) - log_det - 0.5 * squared,
        "Should the examples of a batch be combined?": right.sum(),
    })  # fmt: skip

    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
        batch, dims = draw(sizes(1, 5)), draw(sizes(1, 4))
        return tensor_of(draw, (batch, dims)), tensor_of(draw, (dims,)), draw(covariances(dims))

    def body(x_mu_cov: tuple[Tensor, Tensor, Tensor]) -> None:
        x, mu, cov = x_mu_cov
        expected = multivariate(x, mu, cov)
        matches(ctx, ctx.call(FULL, x, mu, cov), expected, FLOAT64, "full_covariance_log_prob(x, mu, cov)", hint=hint)

    forall(ctx, body, x_mu_cov=arguments())
    # a grid of whitened points, 8 sigma each way in steps of 0.2: the area of a step is that times sqrt(det cov)
    cov, mu = covariance(ctx.seed + 1, 2), ctx.randn(2)
    axis = torch.arange(-40, 41).double() / 5
    grid = torch.cartesian_prod(axis, axis) @ torch.linalg.cholesky(cov).mT + mu
    log_prob = as_tensor(ctx.call(FULL, grid, mu, cov), (len(grid),), "full_covariance_log_prob on a grid")
    integral = float(log_prob.exp().sum() * 0.04 * torch.linalg.det(cov).sqrt())
    matches(ctx, integral, 1.0, INTEGRAL, "the integral of the density", hint=hint)
    x, mu, cov = (
        ctx.randn(5, 3, dtype=torch.float32),
        ctx.randn(3, dtype=torch.float32),
        covariance(ctx.seed, 3).float(),
    )
    expected = multivariate(x.double(), mu.double(), cov.double()).float()
    matches(ctx, ctx.call(FULL, x, mu, cov), expected, FLOAT32, "full_covariance_log_prob in float32", hint=hint)


@declare(
    id="q1.full.large", question=1, kind="property", points=0.25, visibility="hidden",
    title="Full covariance in many dimensions",
    asks="full_covariance_log_prob is finite and right for hundreds of dimensions, with small and with large variances",
    hint="How large is the determinant of a 200 x 200 matrix whose diagonal is 0.001, and what is its logarithm?",
    needs=("q1.full.value",),
)  # fmt: skip
def full_large(ctx: Context) -> None:
    for scale in (1e-3, 1e3):
        cov = covariance(ctx.seed, 200) * scale
        x, mu = math.sqrt(scale) * ctx.randn(3, 200), math.sqrt(scale) * ctx.randn(200)
        expected = multivariate(x, mu, cov)
        value = ctx.call(FULL, x, mu, cov)
        matches(ctx, value, expected, FLOAT64, f"full_covariance_log_prob with D = 200 and variances near {scale:g}")
        value = ctx.call(FULL, x.float(), mu.float(), cov.float())
        what = f"full_covariance_log_prob with D = 200 and variances near {scale:g} in float32"
        matches(ctx, value, expected.float(), LARGE_SUM, what)


def not_positive_definite() -> dict[str, Tensor]:
    """Matrices that are no covariance of a density, by what is wrong with them."""
    matrices = {
        "is not symmetric (upper triangle)": [[2.0, 0.8, 0.0], [0.1, 1.0, 0.2], [0.0, 0.2, 1.5]],
        "is not symmetric (lower triangle)": [[2.0, 0.1, 0.0], [0.8, 1.0, 0.2], [0.0, 0.2, 1.5]],
        "has one negative eigenvalue": [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        # the determinant is positive all the same
        "has two negative eigenvalues": [[-1.0, 0.2, 0.0], [0.2, -2.0, 0.0], [0.0, 0.0, 1.0]],
        "has two negative eigenvalues and a positive diagonal": [[1.0, 2.0, 2.0], [2.0, 1.0, 2.0], [2.0, 2.0, 1.0]],
        "has an eigenvalue 0": [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]],
        "is small and not symmetric": [[0.02, 0.008, 0.0], [0.001, 0.01, 0.002], [0.0, 0.002, 0.015]],
    }
    return {what: torch.tensor(rows, dtype=torch.float64) for what, rows in matrices.items()}


@declare(
    id="q1.full.errors", question=1, kind="property", points=0.25, visibility="public",
    title="What is no covariance is refused",
    asks="full_covariance_log_prob and sample_gaussian raise ValueError if cov is not symmetric positive definite",
    hint="Which entries of the matrix does the routine that you rely on read? Which kind of error does it raise?",
    needs=(),
)  # fmt: skip
def full_errors(ctx: Context) -> None:
    x, mu = ctx.randn(4, 3), ctx.randn(3)
    for what, cov in not_positive_definite().items():
        case = f"a cov that {what}"
        raises(ctx, "ValueError", FULL, x, mu, cov, names="cov", case=f"full_covariance_log_prob with {case}")
        raises(ctx, "ValueError", SAMPLE, mu, cov, 4, names="cov", case=f"sample_gaussian with {case}")


@declare(
    id="q1.conditional.value", question=1, kind="property", points=0.25, visibility="public",
    title="Gaussian whose parameters depend on a class",
    asks="conditional_log_prob(x, y, mu_table, logvar_table) takes mean and variance of each example from the row of "
    "its own class, one number per example",
    hint="Shuffle the batch: does every example keep its own class?",
    needs=(),
)  # fmt: skip
def conditional_value(ctx: Context) -> None:
    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        batch, dims, classes = draw(sizes(1, 6)), draw(sizes(1, 3)), draw(sizes(1, 4))
        y = torch.tensor(draw(st.lists(st.integers(0, classes - 1), min_size=batch, max_size=batch)))
        table = (classes, dims)
        return tensor_of(draw, (batch, dims)), y, tensor_of(draw, table), tensor_of(draw, table, -4, 4)

    def body(x_y_mu_logvar: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
        x, y, mu, logvar = x_y_mu_logvar
        expected = torch.stack([normal(x[i], mu[c], logvar[c]).sum() for i, c in enumerate(y.tolist())])
        matches(ctx, ctx.call(CONDITIONAL, *x_y_mu_logvar), expected, FLOAT64, "conditional_log_prob(x, y, mu, logvar)")

    forall(ctx, body, x_y_mu_logvar=arguments())
    x, y = ctx.randn(8, 3, dtype=torch.float32), ctx.randint(0, 5, 8)
    mu, logvar = ctx.randn(5, 3, dtype=torch.float32), ctx.randn(5, 3, dtype=torch.float32)
    expected = normal(x, mu[y], logvar[y]).sum(1)
    matches(ctx, ctx.call(CONDITIONAL, x, y, mu, logvar), expected, FLOAT32, "conditional_log_prob in float32")


@declare(
    id="q1.conditional.errors", question=1, kind="property", points=0.25, visibility="public",
    title="A class outside the table is refused",
    asks="conditional_log_prob raises ValueError if a y is below 0 or above C-1",
    hint="What does Python take an index of -1 for? Is one bad label in a batch enough?",
    needs=(),
)  # fmt: skip
def conditional_errors(ctx: Context) -> None:
    x, mu, logvar = ctx.randn(4, 2), ctx.randn(3, 2), ctx.randn(3, 2)
    for bad in (3, -1, 7):
        y = torch.tensor([0, 2, bad, 1])
        raises(
            ctx,
            "ValueError",
            CONDITIONAL,
            x,
            y,
            mu,
            logvar,
            names="y",
            case=f"conditional_log_prob with C = 3 and y = {bad}",
        )
    as_tensor(
        ctx.call(CONDITIONAL, x, torch.tensor([0, 2, 2, 1]), mu, logvar), (4,), "conditional_log_prob with y in 0…2"
    )


DENSITIES: tuple[Check, ...] = (
    univariate_value, diagonal_value, diagonal_underflow, full_value, full_large, full_errors, conditional_value,
    conditional_errors,
)  # fmt: skip
