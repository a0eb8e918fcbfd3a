"""Question 1, Gaussian densities: against `torch.distributions` and integrals."""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import covariance, covariances, sizes_apart, symmetric, tensor_of, two_digits
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_tensor, expect, matches, raises
from ...check.failure import FLOAT32, FLOAT64, GUARDED, INHERIT, Tolerance
from ...check.forall import forall
from ...check.patterns import Reading, recognised
from ..shared.covariances import not_positive_definite
from .oracles import (
    COMBINED,
    CONDITIONAL,
    DIAGONAL,
    DIAGONAL_PART,
    FULL,
    ONE_EXAMPLE,
    PRECISION,
    SAMPLE,
    TERMS,
    UNIVARIATE,
    UNIVARIATE_PART,
    conditional,
    diagonal,
    multivariate,
    normal,
    of_density,
    of_multivariate,
    of_rows,
)

INTEGRAL = Tolerance(
    1e-6, 0.0, "trapezoid rule over 12 sigma in steps of sigma / 10: its error for a Gaussian is below 1e-15"
)
LARGE_SUM = Tolerance(1e-4, 1e-3, "float32 sums of 784 terms of one sign, up to 1e3 each")
PRODUCT = "What becomes of a product of 784 numbers that are all a little below 1, or all a little above it?"
FAR = "How large is the density itself out there, and does your computation ever hold it?"
NARROW = "How small, and how large, may a variance be before anything that you add to it or cut off shows?"
UNDERFLOW = "How large is the determinant of a 200 x 200 matrix whose diagonal is 0.001, and what is its logarithm?"
OWN_CLASS = "Shuffle the batch: does every example keep its own class?"
FROM_THE_END = "What does Python take an index of -1 for, and is that a class?"
BEYOND = "How many rows has the table, and which number has the last of them?"
INTEGRATES = "Integrate the exponential of your result over a fine grid: do you get 1 for every sigma?"


@declare(
    id="q1.univariate.value", question=1, kind="property", points=0.5, visibility="public",
    title="Log-density of a univariate Gaussian",
    asks="univariate_log_prob(x, mu, logvar) is log N(x; mu, sigma^2) element by element; the three broadcast, and the "
    "density integrates to 1",
    hint=INTEGRATES, needs=(),
)  # fmt: skip
def univariate_value(ctx: Context) -> None:
    x, mu, logvar = two_digits(ctx.randn(9)), two_digits(ctx.randn(9)), two_digits(ctx.rand(9, low=-2, high=2))
    right = normal(x, mu, logvar)
    reading = recognised(ctx.call(UNIVARIATE, x, mu, logvar), right, {
        **of_density(x, mu, logvar),
        Reading("the sum of all log-densities", "Element by element: how many numbers belong to nine points?"):
            right.sum(),
        Reading("the mean of all log-densities", "Element by element: how many numbers belong to nine points?"):
            right.mean(),
    })  # fmt: skip

    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
        rows, columns = sizes_apart(draw, (2, 4), (3, 5))
        shapes = st.sampled_from([(columns,), (), (rows, columns), (rows, 1)])
        # within 22 sigma: what becomes of a density that underflows has its own check
        return (tensor_of(draw, draw(shapes), -5, 5), tensor_of(draw, draw(shapes), -3, 3),
                tensor_of(draw, draw(shapes), -2, 4))  # fmt: skip

    def body(x_mu_logvar: tuple[Tensor, ...], what: str = "univariate_log_prob(x, mu, logvar)") -> None:
        expected = normal(*x_mu_logvar)
        matches(ctx, ctx.call(UNIVARIATE, *x_mu_logvar), expected, GUARDED, what, hint=TERMS, reading=reading)

    forall(ctx, body, x_mu_logvar=arguments())
    centre, spread = ctx.randn(1), ctx.rand(1, low=0.5, high=1.5)
    steps = torch.arange(-120, 121).double() / 10
    grid, ones = centre + spread * steps, torch.ones_like(steps)
    value = ctx.call(UNIVARIATE, grid, centre * ones, 2 * spread.log() * ones)
    log_prob = as_tensor(value, (241,), "univariate_log_prob on a grid")
    integral = float(log_prob.exp().sum() * spread / 10)
    matches(ctx, integral, 1.0, INTEGRAL, "the integral of the density", hint=INTEGRATES)
    singles = x.float(), mu.float(), logvar.float()
    value = ctx.call(UNIVARIATE, *singles)
    matches(ctx, value, normal(*singles), FLOAT32, "univariate_log_prob of float32 arguments", hint=PRECISION)


@declare(
    id="q1.diagonal.value", question=1, kind="property", points=0.5, visibility="public",
    title="Log-density of a diagonal Gaussian",
    asks="diagonal_log_prob(x, mu, logvar) is one number per example, summed over the dimensions; mu and logvar may be "
    "shared by the batch",
    hint="If the dimensions are independent, what becomes of their log-densities when a dimension is added?",
    needs=(), parts=(UNIVARIATE_PART,),
)  # fmt: skip
def diagonal_value(ctx: Context) -> None:
    x, mu, logvar = (two_digits(ctx.randn(5, 3)), two_digits(ctx.randn(5, 3)),
                     two_digits(ctx.rand(5, 3, low=-2, high=2)))  # fmt: skip
    per_dimension = normal(x, mu, logvar)
    misread = {**of_density(x, mu, logvar, summed=True), **of_rows(per_dimension)}
    reading = recognised(ctx.call(DIAGONAL, x, mu, logvar), per_dimension.sum(1), misread)

    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
        batch, dims = sizes_apart(draw, (3, 5), (2, 4))
        shapes = st.sampled_from([(batch, dims), (dims,)])
        # within 22 sigma, as above
        return (tensor_of(draw, (batch, dims)), tensor_of(draw, draw(shapes)), tensor_of(draw, draw(shapes), -2, 4))

    def body(x_mu_logvar: tuple[Tensor, ...], what: str = "diagonal_log_prob(x, mu, logvar)",
             hint: str = TERMS) -> None:  # fmt: skip
        expected = diagonal(*x_mu_logvar)
        matches(ctx, ctx.call(DIAGONAL, *x_mu_logvar), expected, GUARDED, what, hint=hint, reading=reading)

    forall(ctx, body, x_mu_logvar=arguments())
    for shape, which in (((1, 3), "of one example"), ((4, 1), "in one dimension")):
        one = (two_digits(ctx.randn(*shape)), two_digits(ctx.randn(*shape)), two_digits(ctx.randn(*shape)))
        body(one, f"diagonal_log_prob(x, mu, logvar) {which}", ONE_EXAMPLE)
    singles = x.float(), mu.float(), logvar.float()
    value = ctx.call(DIAGONAL, *singles)
    matches(ctx, value, diagonal(*singles), FLOAT32, "diagonal_log_prob of float32 arguments", hint=PRECISION)


@declare(
    id="q1.diagonal.underflow", question=1, kind="property", points=0.5, visibility="public",
    title="784 dimensions and far points do not underflow",
    asks="the univariate and diagonal log-densities stay finite and right for D = 784, also where all variances are "
    "small or all are large, for points 60 sigma away, and for variances from e^-40 to e^40, in float32 and float64",
    hint=f"{FAR} {NARROW}", needs=(), parts=(UNIVARIATE_PART, DIAGONAL_PART),
)  # fmt: skip
def diagonal_underflow(ctx: Context) -> None:
    for dtype, tol in ((torch.float64, FLOAT64), (torch.float32, LARGE_SUM)):
        kind = str(dtype).removeprefix("torch.")
        far_out(ctx, dtype, tol)
        x, mu = ctx.rand(3, 784, dtype=dtype), ctx.rand(784, dtype=dtype)
        logvar = ctx.rand(3, 784, low=-2, high=2, dtype=dtype)
        finite_and_right(ctx, DIAGONAL, (x, mu, logvar), tol, f"of 784 dimensions, in {kind}", FAR)
        for level in (-1, 1):  # the product of all variances is e^-784 or e^784
            same = torch.full((784,), level, dtype=dtype)
            what = f"of 784 dimensions whose logvar is {level}, in {kind}"
            finite_and_right(ctx, DIAGONAL, (x, mu, same), tol, what, PRODUCT)


def far_out(ctx: Context, dtype: torch.dtype, tol: Tolerance) -> None:
    """Points many standard deviations away, where the density itself is 0 to any computer; tiny and huge variances."""
    kind = str(dtype).removeprefix("torch.")

    def both(x: Tensor, mu: Tensor, logvar: Tensor, what: str, hint: str) -> None:
        finite_and_right(ctx, UNIVARIATE, (x, mu, logvar), tol, what, hint)
        rows = torch.stack([x, mu]), mu, logvar
        finite_and_right(ctx, DIAGONAL, rows, tol, what, hint)

    far, origin = torch.tensor([20.0, -40.0, 60.0], dtype=dtype), torch.zeros(3, dtype=dtype)
    both(far, origin, origin, f"20 to 60 standard deviations away, in {kind}", FAR)
    for level in (-9.0, 9.0, -25.0, 25.0, -40.0, 40.0):
        x = torch.tensor([0.0, 0.5, -2.0], dtype=dtype) * math.exp(level / 2)
        both(x, origin, torch.full((3,), level, dtype=dtype), f"where logvar is {level:g}, in {kind}", NARROW)
    logvar = torch.tensor([-40, -25, -9, 0.5, 9, 25, 40], dtype=dtype)
    x = 60 * ctx.rand(7, low=-1, dtype=dtype) * torch.exp(logvar / 2)
    both(x, torch.zeros(7, dtype=dtype), logvar, f"far out, in {kind}", FAR)


def finite_and_right(
    ctx: Context, target: str, args: tuple[Tensor, ...], tol: Tolerance, where: str, hint: str
) -> None:
    """A log-density is what float64 says, and a number at all."""
    value, what = ctx.call(target, *args), f"{target.rpartition('.')[2]} {where}"
    each = normal(*(arg.double() for arg in args))
    expected = (each.sum(1) if target == DIAGONAL else each).to(args[0].dtype)
    found = as_tensor(value, expected.shape, what, dtype=expected.dtype, finite=False)
    expect(bool(found.isfinite().all()), f"{what}, is not finite", expected, found, hint=hint)
    matches(ctx, found, expected, tol, f"{what},", hint=hint)


@declare(
    id="q1.full.value", question=1, kind="property", points=0.5, visibility="public",
    title="Log-density of a Gaussian with full covariance",
    asks="full_covariance_log_prob(x, mu, cov) is log N(x; mu, cov), one number per example; the density "
    "integrates to 1",
    hint="Try a diagonal cov: does the answer agree with the dimensions taken one by one? What changes when two "
    "dimensions correlate?",
    needs=(), parts=(UNIVARIATE_PART, DIAGONAL_PART),
)  # fmt: skip
def full_value(ctx: Context) -> None:
    x, mu, cov = two_digits(ctx.randn(5, 3)), two_digits(ctx.randn(3)), symmetric(two_digits(covariance(ctx.seed, 3)))
    reading = recognised(ctx.call(FULL, x, mu, cov), multivariate(x, mu, cov), of_multivariate(x, mu, cov))

    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
        batch, dims = sizes_apart(draw, (3, 5), (2, 4))
        return tensor_of(draw, (batch, dims)), tensor_of(draw, (dims,)), draw(covariances(dims))

    def body(x_mu_cov: tuple[Tensor, ...], what: str = "full_covariance_log_prob(x, mu, cov)",
             hint: str = INHERIT) -> None:  # fmt: skip
        expected = multivariate(*x_mu_cov)
        matches(ctx, ctx.call(FULL, *x_mu_cov), expected, FLOAT64, what, hint=hint, reading=reading)

    forall(ctx, body, x_mu_cov=arguments())
    body((x[:1], mu, cov), "full_covariance_log_prob of one example", ONE_EXAMPLE)
    body((x[:, :1], mu[:1], cov[:1, :1]), "full_covariance_log_prob in one dimension", ONE_EXAMPLE)
    # a grid of whitened points, 8 sigma each way in steps of 0.2: the area of a step is that times sqrt(det cov)
    wide, centre = covariance(ctx.seed + 1, 2), ctx.randn(2)
    axis = torch.arange(-40, 41).double() / 5
    grid = torch.cartesian_prod(axis, axis) @ torch.linalg.cholesky(wide).mT + centre
    log_prob = as_tensor(ctx.call(FULL, grid, centre, wide), (len(grid),), "full_covariance_log_prob on a grid")
    integral = float(log_prob.exp().sum() * 0.04 * torch.linalg.det(wide).sqrt())
    matches(ctx, integral, 1.0, INTEGRAL, "the integral of the density", hint=INTEGRATES)
    expected = multivariate(x, mu, cov).float()
    value = ctx.call(FULL, x.float(), mu.float(), cov.float())
    matches(ctx, value, expected, FLOAT32, "full_covariance_log_prob of float32 arguments", hint=PRECISION)


@declare(
    id="q1.full.large", question=1, kind="property", points=0.25, visibility="hidden",
    title="Full covariance in many dimensions",
    asks="full_covariance_log_prob is finite and right for hundreds of dimensions, with small and with large variances",
    hint=UNDERFLOW, needs=("q1.full.value",), parts=(UNIVARIATE_PART, DIAGONAL_PART),
)  # fmt: skip
def full_large(ctx: Context) -> None:
    for scale in (1e-3, 1e3):
        cov = covariance(ctx.seed, 200) * scale
        x, mu = math.sqrt(scale) * ctx.randn(3, 200), math.sqrt(scale) * ctx.randn(200)
        for dtype, tol in ((torch.float64, FLOAT64), (torch.float32, LARGE_SUM)):
            expected = multivariate(x, mu, cov).to(dtype)
            what = f"full_covariance_log_prob with D = 200 and variances near {scale:g} in {str(dtype)[6:]}"
            value = ctx.call(FULL, x.to(dtype), mu.to(dtype), cov.to(dtype))
            found = as_tensor(value, (3,), what, dtype=dtype, finite=False)
            expect(bool(found.isfinite().all()), f"{what} is not finite", expected, found, hint=UNDERFLOW)
            matches(ctx, found, expected, tol, what, hint=UNDERFLOW)


@declare(
    id="q1.full.errors", question=1, kind="property", points=0.25, visibility="public",
    title="What is no covariance is refused",
    asks="full_covariance_log_prob and sample_gaussian raise ValueError if cov is not symmetric positive definite",
    hint="Which entries of the matrix does the routine that you rely on read? Which kind of error does it raise?",
    needs=(),
)  # fmt: skip
def full_errors(ctx: Context) -> None:
    x = torch.tensor([[1.0, 0.0, 2.0], [0.5, -1.0, 1.0]], dtype=torch.float64)
    mu = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for what, cov, question in not_positive_definite():
        case = f"a cov that {what}"
        raises(ctx, "ValueError", FULL, x, mu, cov, names="cov", case=f"full_covariance_log_prob with {case}",
                   hint=question)  # fmt: skip
        raises(ctx, "ValueError", SAMPLE, mu, cov, 2, names="cov", case=f"sample_gaussian with {case}", hint=question)


@declare(
    id="q1.conditional.value", question=1, kind="property", points=0.25, visibility="public",
    title="Gaussian whose parameters depend on a class",
    asks="conditional_log_prob(x, y, mu_table, logvar_table) takes mean and variance of each example from the row of "
    "its own class, one number per example",
    hint=OWN_CLASS, needs=(), parts=(UNIVARIATE_PART, DIAGONAL_PART),
)  # fmt: skip
def conditional_value(ctx: Context) -> None:
    y = torch.tensor([2, 0, 3, 3, 1, 2])
    x, mu, logvar = two_digits(ctx.randn(6, 3)), two_digits(ctx.randn(4, 3)), two_digits(ctx.randn(4, 3))
    misread = of_classes(x, y, mu, logvar)
    reading = recognised(ctx.call(CONDITIONAL, x, y, mu, logvar), conditional(x, y, mu, logvar), misread)

    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        batch, dims, classes = sizes_apart(draw, (4, 6), (2, 3), (3, 5))
        y = torch.tensor(draw(st.lists(st.integers(0, classes - 1), min_size=batch, max_size=batch)))
        table = (classes, dims)
        return tensor_of(draw, (batch, dims)), y, tensor_of(draw, table), tensor_of(draw, table, -2, 4)

    def body(x_y_mu_logvar: tuple[Tensor, ...], what: str = "conditional_log_prob(x, y, mu_table, logvar_table)",
             hint: str = OWN_CLASS) -> None:  # fmt: skip
        expected = conditional(*x_y_mu_logvar)
        matches(ctx, ctx.call(CONDITIONAL, *x_y_mu_logvar), expected, GUARDED, what, hint=hint, reading=reading)

    forall(ctx, body, x_y_mu_logvar=arguments())
    body((x[:1], y[:1], mu, logvar), "conditional_log_prob of one example", ONE_EXAMPLE)
    body((x, torch.zeros_like(y), mu[:1], logvar[:1]), "conditional_log_prob with a table of one class", ONE_EXAMPLE)
    singles = x.float(), y, mu.float(), logvar.float()
    value = ctx.call(CONDITIONAL, *singles)
    matches(ctx, value, conditional(*singles), FLOAT32, "conditional_log_prob of float32 arguments", hint=PRECISION)


def of_classes(x: Tensor, y: Tensor, mu: Tensor, logvar: Tensor) -> dict[Reading, Tensor]:
    """What known misconceptions make of the log-density given a class."""
    right, first, nobody = conditional(x, y, mu, logvar), y[:1].expand(len(y)), torch.zeros_like(y)
    whose = "From which row do mean and variance of the second example come, and from which should they?"
    return {
        Reading("what it would be if all examples had the class of the first", OWN_CLASS):
            conditional(x, first, mu, logvar),
        Reading("what it would be if all examples had class 0", OWN_CLASS): conditional(x, nobody, mu, logvar),
        Reading("what it would be if the examples were sorted by class", OWN_CLASS):
            conditional(x, y.sort().values, mu, logvar),
        Reading("what it would be if every label were one smaller", "Which number has the first class?"):
            conditional(x, (y - 1) % len(mu), mu, logvar),
        Reading("right but for the variance, which is the mean of the table", whose):
            diagonal(x, mu[y], logvar.mean(0).expand_as(x)),
        Reading("right but for the mean, which is the mean of the table", whose):
            diagonal(x, mu.mean(0).expand_as(x), logvar[y]),
        Reading("right but for the variance, which is that of class 0", whose):
            diagonal(x, mu[y], logvar[0].expand_as(x)),
        Reading("right but for the variance, which is that of the first example's class", whose):
            diagonal(x, mu[y], logvar[y[0]].expand_as(x)),
        Reading("right but for the mean, which is that of the first example's class", whose):
            diagonal(x, mu[y[0]].expand_as(x), logvar[y]),
        Reading("right but for the variance, which is 1",
                "What does the second table say, and where does your code use it?"):
            diagonal(x, mu[y], torch.zeros_like(x)),
        Reading("the sum of all examples of the batch", COMBINED): right.sum(),
        Reading("the mean of all examples of the batch", COMBINED): right.mean(),
    }  # fmt: skip


@declare(
    id="q1.conditional.errors", question=1, kind="property", points=0.25, visibility="public",
    title="A class outside the table is refused",
    asks="conditional_log_prob raises ValueError if a y is below 0 or above C-1",
    hint="What does Python take an index of -1 for? Is one bad label in a batch enough?",
    needs=(), parts=(UNIVARIATE_PART, DIAGONAL_PART),
)  # fmt: skip
def conditional_errors(ctx: Context) -> None:
    x, mu, logvar = (two_digits(ctx.randn(rows, 2)) for rows in (4, 3, 3))
    for bad, question in ((3, BEYOND), (-1, FROM_THE_END), (7, BEYOND), (-3, FROM_THE_END)):
        y = torch.tensor([0, 2, bad, 1])
        raises(ctx, "ValueError", CONDITIONAL, x, y, mu, logvar, names="y",
                   case=f"conditional_log_prob with C = 3 and one y = {bad}", hint=question)  # fmt: skip
    ctx.call(CONDITIONAL, x, torch.tensor([0, 2, 2, 1]), mu, logvar)  # nothing is wrong with these


DENSITIES: tuple[Check, ...] = (
    univariate_value, diagonal_value, diagonal_underflow, full_value, full_large, full_errors, conditional_value,
    conditional_errors,
)  # fmt: skip
