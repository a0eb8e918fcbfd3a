"""Question 1: discrete and Gaussian densities, against `torch.distributions`, integrals, brute force and samples."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from ..boundary import Gen
from ..cases import covariance, covariances, sizes, symmetric, tensor_of
from ..checks import FLOAT32, FLOAT64, Check, Failure, Question, Tolerance, declare
from ..context import Context, misread
from ..statistics import FALSE_ALARM, correlation_bound, mean_bound, variance_bounds

EXPECTATION, VARIANCE = "gaussians.pmf_expectation", "gaussians.pmf_variance"
UNIVARIATE, DIAGONAL = "gaussians.univariate_log_prob", "gaussians.diagonal_log_prob"
FULL, CONDITIONAL = "gaussians.full_covariance_log_prob", "gaussians.conditional_log_prob"
CHAIN, SAMPLE = "gaussians.chain_rule", "gaussians.sample_gaussian"

INTEGRAL = Tolerance(
    1e-6, 0.0, "trapezoid rule over 12 sigma in steps of sigma / 10: its error for a Gaussian is below 1e-15"
)
LARGE_SUM = Tolerance(1e-4, 1e-3, "float32 sums of 784 terms of one sign, up to 1e3 each")
SAMPLES = 40_000
# far from diagonal, so that a factor on the wrong side or a missing root shows whatever the variances are
CORRELATIONS = torch.tensor([[1.0, 0.8, 0.3], [0.8, 1.0, -0.2], [0.3, -0.2, 1.0]], dtype=torch.float64)


def normal(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(x; mu, exp(logvar)) by torch.distributions, element by element."""
    log_prob: Tensor = Normal(mu, torch.exp(logvar / 2)).log_prob(x)  # type: ignore[no-untyped-call]
    return log_prob


def multivariate(x: Tensor, mu: Tensor, cov: Tensor) -> Tensor:
    """log N(x; mu, cov) by torch.distributions, one number per row of x."""
    log_prob: Tensor = MultivariateNormal(mu, cov).log_prob(x)  # type: ignore[no-untyped-call]
    return log_prob


@st.composite
def variables(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Values `(K,)` and pmfs `(..., K)` with zero, one or two leading axes."""
    count = draw(sizes(1, 5))
    lead = draw(st.lists(sizes(1, 3), max_size=2))
    weights = whole_numbers(draw, (*lead, count))
    weights[..., 0] += weights.sum(-1) == 0
    return tensor_of(draw, (count,)), weights / weights.sum(-1, keepdim=True)


@st.composite
def joints(draw: st.DrawFn, zeros: bool = False) -> Tensor:
    """A joint pmf of one to four variables; with `zeros`, one value of one variable is impossible."""
    shape = (
        draw(st.lists(sizes(2, 3), min_size=2, max_size=4))
        if zeros
        else draw(st.lists(sizes(1, 4), min_size=1, max_size=4))
    )
    weights = whole_numbers(draw, shape) + 1
    if zeros:
        axis = draw(st.integers(0, len(shape) - 1))
        weights.select(axis, draw(st.integers(0, shape[axis] - 1))).zero_()
    return weights / weights.sum()


def whole_numbers(draw: st.DrawFn, shape: Sequence[int]) -> Tensor:
    """Weights 0 … 9 of this shape."""
    count = math.prod(shape)
    return (
        torch.tensor(draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))).double().reshape(tuple(shape))
    )


def conditionals(joint: Tensor) -> list[Tensor]:
    """p(x_i | x_1 ... x_i-1) entry by entry, by summing the joint over all that is not fixed."""
    tables = []
    for axis in range(joint.ndim):
        table = torch.zeros(joint.shape[: axis + 1], dtype=joint.dtype)
        for index in itertools.product(*map(range, table.shape)):
            condition = float(joint[index[:-1]].sum())
            table[index] = float(joint[index].sum()) / condition if condition > 0 else 0.0
        tables.append(table)
    return tables


# ---- discrete variables ---------------------------------------------------------------------------------------------


@declare(
    id="q1.pmf.expectation", question=1, kind="property", points=0.25, visibility="public",
    title="Expectation of a discrete variable",
    asks="pmf_expectation(values, probs) is the probability-weighted mean, one number per pmf, for any leading axes",
    hint="Roll a loaded die by hand: does your result use the probabilities, and along which axis do they sum to 1?",
    needs=(),
)  # fmt: skip
def pmf_expectation(ctx: Context) -> None:
    def body(values_and_probs: tuple[Tensor, Tensor]) -> None:
        values, probs = values_and_probs
        expected = torch.einsum("...k,k->...", probs, values)
        ctx.matches(ctx.call(EXPECTATION, values, probs), expected, FLOAT64, "pmf_expectation(values, probs)")

    ctx.forall(body, values_and_probs=variables())
    values, probs = ctx.randn(6, dtype=torch.float32), torch.softmax(ctx.randn(4, 6, dtype=torch.float32), 1)
    ctx.matches(ctx.call(EXPECTATION, values, probs), probs @ values, FLOAT32, "pmf_expectation in float32")


@declare(
    id="q1.pmf.variance", question=1, kind="property", points=0.5, visibility="public",
    title="Variance of a discrete variable",
    asks="pmf_variance(values, probs) is the expected squared distance from the expectation, and never negative",
    hint="What is the variance of a variable that takes the same value with certainty, and what does rounding make of "
    "your way to compute it?",
    needs=(),
)  # fmt: skip
def pmf_variance(ctx: Context) -> None:
    def exact(values: Tensor, probs: Tensor) -> Tensor:
        mean = torch.einsum("...k,k->...", probs, values)
        return torch.einsum("...k,...k->...", probs, (values - mean.unsqueeze(-1)).square())

    values, probs = ctx.randn(5) + 2, torch.softmax(ctx.randn(3, 5), 1)
    variance = exact(values, probs)
    hint = misread(ctx.call(VARIANCE, values, probs), {
        "In which unit should the result be if the values are in metres?": variance.sqrt(),
        "Your distances are all weighted alike. Are all values equally likely?":
            exact(values, torch.full_like(probs, 0.2)),
        "From which point are your distances measured?": torch.einsum("...k,k->...", probs, values.square()),
        "You know the distribution itself here, not a sample of it: does anything need a correction?": variance * 5 / 4,
    })  # fmt: skip

    def body(values_and_probs: tuple[Tensor, Tensor]) -> None:
        values, probs = values_and_probs
        ctx.matches(
            ctx.call(VARIANCE, values, probs), exact(values, probs), FLOAT64, "pmf_variance(values, probs)", hint=hint
        )

    ctx.forall(body, values_and_probs=variables())
    values, probs = ctx.randn(6, dtype=torch.float32), torch.softmax(ctx.randn(4, 6, dtype=torch.float32), 1)
    ctx.matches(ctx.call(VARIANCE, values, probs), exact(values, probs), FLOAT32, "pmf_variance in float32")
    # Values almost alike, far from 0: a difference of two large numbers comes out below 0 for about half of the pmfs.
    values, probs = ctx.rand(1) * 1000 + ctx.rand(5) * 1e-9, torch.softmax(ctx.randn(200, 5), 1)
    got = ctx.tensor(ctx.call(VARIANCE, values, probs), (200,), "pmf_variance of values almost alike")
    ctx.expect(bool((got >= 0).all()), "a variance is negative", "0 or more", float(got.min()),
               case={"values": values})  # fmt: skip


@declare(
    id="q1.pmf.errors", question=1, kind="property", points=0.25, visibility="public",
    title="What is no pmf is refused",
    asks="pmf_expectation and pmf_variance raise ValueError if probs is negative or does not sum to 1, and only then",
    hint="Two things make numbers a distribution. Which rows of a whole batch do you look at? And is a sum of a "
    "thousand rounded numbers exactly 1?",
    needs=(),
)  # fmt: skip
def pmf_errors(ctx: Context) -> None:
    bad = {
        "a sum above 1": [[0.5, 0.3, 0.2], [0.5, 0.3, 0.3]],
        "a sum below 1": [[0.5, 0.3, 0.2], [0.4, 0.3, 0.2]],
        "a negative entry": [[0.5, 0.3, 0.2], [-0.2, 0.5, 0.7]],
        "rows whose sums are wrong but average to 1": [[0.5, 0.3, 0.1], [0.5, 0.3, 0.3]],
    }
    values = ctx.randn(3)
    large, fine = ctx.randn(1000, dtype=torch.float32), torch.softmax(ctx.randn(7, 1000, dtype=torch.float32), 1)
    for target in (EXPECTATION, VARIANCE):
        for what, rows in bad.items():
            probs = torch.tensor(rows, dtype=torch.float64)
            ctx.raises("ValueError", target, values, probs, names="probs", case=f"{target} with {what}")
        ctx.raises("ValueError", target, values, torch.tensor([0.9, 0.3, -0.2]).double(), names="probs")
        ctx.tensor(ctx.call(target, large, fine), (7,), f"{target} of a float32 softmax over 1000 values")


@declare(
    id="q1.chain.value", question=1, kind="property", points=0.5, visibility="public",
    title="Chain rule of a joint distribution",
    asks="chain_rule(joint) lists p(x1), p(x2 given x1), …: entry i depends on the first i+1 variables only, and the "
    "product of all entries is the joint",
    hint="Which variables does entry i still know, and which are summed out? Over which axis must each entry sum to 1?",
    needs=(),
)  # fmt: skip
def chain_value(ctx: Context) -> None:
    def body(joint: Tensor) -> None:
        tables = ctx.sequence(ctx.call(CHAIN, joint), joint.ndim, "chain_rule(joint)")
        product = torch.ones((), dtype=joint.dtype)
        for index, (table, expected) in enumerate(zip(tables, conditionals(joint), strict=True)):
            found = ctx.matches(table, expected, FLOAT64, f"entry {index} of chain_rule(joint)")
            product = product.unsqueeze(-1) * found
        ctx.matches(product, joint, FLOAT64, "the product of all entries")

    # every weight is positive here: conditions of probability 0 are another check's business
    ctx.forall(body, joint=joints())
    joint = torch.softmax(ctx.randn(24, dtype=torch.float32), 0).reshape(2, 4, 3)
    tables = ctx.sequence(ctx.call(CHAIN, joint), 3, "chain_rule in float32")
    for index, (table, expected) in enumerate(zip(tables, conditionals(joint), strict=True)):
        ctx.matches(table, expected, FLOAT32, f"entry {index} of chain_rule in float32")


@declare(
    id="q1.chain.rare", question=1, kind="property", points=0.25, visibility="hidden",
    title="Chain rule: impossible and rare conditions",
    asks="a conditional probability is 0 where its condition has probability 0, and right where the condition is rare; "
    "ValueError if joint is no pmf",
    hint="What do you divide by where a condition cannot happen? And does your remedy change conditions that can "
    "happen, but almost never do?",
    needs=("q1.chain.value",),
)  # fmt: skip
def chain_rare(ctx: Context) -> None:
    def body(joint: Tensor) -> None:
        tables = ctx.sequence(ctx.call(CHAIN, joint), joint.ndim, "chain_rule(joint)")
        for index, (table, expected) in enumerate(zip(tables, conditionals(joint), strict=True)):
            ctx.matches(table, expected, FLOAT64, f"entry {index} of chain_rule(joint)")

    ctx.forall(body, joint=joints(zeros=True))
    # the first variable is 0 with probability 1e-12: an epsilon in a denominator shows
    rare = torch.cat([1e-12 * conditionals(ctx.rand(1, 3, 2))[0], torch.ones(1)]).double()
    inner = torch.softmax(ctx.randn(2, 6), 1).reshape(2, 3, 2)
    ctx.guard(lambda: body(rare[:, None, None] / rare.sum() * inner), {"joint": rare[:, None, None] * inner})
    good = torch.softmax(ctx.randn(6), 0).reshape(3, 2)
    moved = good.clone()
    moved[0, 0], moved[1, 1] = -0.1, good[1, 1] + good[0, 0] + 0.1
    ctx.raises("ValueError", CHAIN, moved, names="joint", case="chain_rule of a joint with a negative entry")
    ctx.raises("ValueError", CHAIN, 1.1 * good, names="joint", case="chain_rule of a joint with the sum 1.1")
    ctx.raises("ValueError", CHAIN, good / good.sum(1, keepdim=True), names="joint",
               case="chain_rule of a table whose rows sum to 1, not all of it")  # fmt: skip


# ---- Gaussian densities ---------------------------------------------------------------------------------------------


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
    log_prob = ctx.tensor(value, (241,), "univariate_log_prob on a grid")
    integral = float(log_prob.exp().sum() * spread / 10)
    ctx.matches(integral, 1.0, INTEGRAL, "the integral of the density", hint=hint)

    @st.composite
    def arguments(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
        rows, columns = draw(sizes(1, 4)), draw(sizes(1, 4))
        shapes = st.sampled_from([(columns,), (), (rows, columns), (rows, 1)])
        return (tensor_of(draw, draw(shapes), -5, 5), tensor_of(draw, draw(shapes), -3, 3),
                tensor_of(draw, draw(shapes), -4, 4))  # fmt: skip

    def body(x_mu_logvar: tuple[Tensor, Tensor, Tensor]) -> None:
        value = ctx.call(UNIVARIATE, *x_mu_logvar)
        expected = normal(*x_mu_logvar)
        ctx.matches(value, expected, FLOAT64, "univariate_log_prob(x, mu, logvar)", hint=hint)

    ctx.forall(body, x_mu_logvar=arguments())
    x, mu, logvar = x.float(), mu.float(), logvar.float()
    ctx.matches(ctx.call(UNIVARIATE, x, mu, logvar), normal(x, mu, logvar), FLOAT32, "univariate_log_prob in float32")


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
        ctx.matches(ctx.call(DIAGONAL, *x_mu_logvar), expected, FLOAT64, "diagonal_log_prob(x, mu, logvar)", hint=hint)

    ctx.forall(body, x_mu_logvar=arguments())
    x, mu, logvar = x.float(), mu.float(), logvar.float()
    expected = normal(x, mu, logvar).sum(1)
    ctx.matches(ctx.call(DIAGONAL, x, mu, logvar), expected, FLOAT32, "diagonal_log_prob in float32", hint=hint)


@declare(
    id="q1.diagonal.underflow", question=1, kind="property", points=0.5, visibility="public",
    title="784 dimensions and far points do not underflow",
    asks="the univariate and diagonal log-densities stay finite and right for D = 784, for points 60 sigma away, and "
    "for variances from e^-40 to e^40, in float32 and float64",
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
        ctx.matches(value, normal(x, mu, logvar).sum(1), tol, f"diagonal_log_prob of 784 dimensions in {kind}")
        logvar = torch.tensor([-40, -25, -9, 0.5, 9, 25, 40], dtype=dtype)
        distance = 60 * ctx.rand(7, low=-1, dtype=dtype)
        x, mu = distance * torch.exp(logvar / 2), torch.zeros(7, dtype=dtype)
        case = {"x": x, "mu": mu, "logvar": logvar}
        value = ctx.guard(lambda x=x, mu=mu, logvar=logvar: ctx.call(UNIVARIATE, x, mu, logvar), case)  # type: ignore[misc]
        expected = normal(x.double(), mu.double(), logvar.double())
        ctx.guard(lambda v=value, e=expected, t=tol, d=dtype, k=kind:  # type: ignore[misc]
                  ctx.matches(v, e.to(d), t, f"univariate_log_prob far out in {k}"), case)  # fmt: skip


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
        ctx.matches(ctx.call(FULL, x, mu, cov), expected, FLOAT64, "full_covariance_log_prob(x, mu, cov)", hint=hint)

    ctx.forall(body, x_mu_cov=arguments())
    # a grid of whitened points, 8 sigma each way in steps of 0.2: the area of a step is that times sqrt(det cov)
    cov, mu = covariance(ctx.seed + 1, 2), ctx.randn(2)
    axis = torch.arange(-40, 41).double() / 5
    grid = torch.cartesian_prod(axis, axis) @ torch.linalg.cholesky(cov).mT + mu
    log_prob = ctx.tensor(ctx.call(FULL, grid, mu, cov), (len(grid),), "full_covariance_log_prob on a grid")
    integral = float(log_prob.exp().sum() * 0.04 * torch.linalg.det(cov).sqrt())
    ctx.matches(integral, 1.0, INTEGRAL, "the integral of the density", hint=hint)
    x, mu, cov = (
        ctx.randn(5, 3, dtype=torch.float32),
        ctx.randn(3, dtype=torch.float32),
        covariance(ctx.seed, 3).float(),
    )
    expected = multivariate(x.double(), mu.double(), cov.double()).float()
    ctx.matches(ctx.call(FULL, x, mu, cov), expected, FLOAT32, "full_covariance_log_prob in float32", hint=hint)


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
        ctx.matches(value, expected, FLOAT64, f"full_covariance_log_prob with D = 200 and variances near {scale:g}")
        value = ctx.call(FULL, x.float(), mu.float(), cov.float())
        what = f"full_covariance_log_prob with D = 200 and variances near {scale:g} in float32"
        ctx.matches(value, expected.float(), LARGE_SUM, what)


def not_positive_definite() -> dict[str, Tensor]:
    """Matrices that are no covariance of a density, by what is wrong with them."""
    matrices = {
        "is not symmetric (upper triangle)": [[2.0, 0.8, 0.0], [0.1, 1.0, 0.2], [0.0, 0.2, 1.5]],
        "is not symmetric (lower triangle)": [[2.0, 0.1, 0.0], [0.8, 1.0, 0.2], [0.0, 0.2, 1.5]],
        "has one negative eigenvalue": [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        # the determinant is positive all the same
        "has two negative eigenvalues": [[-1.0, 0.2, 0.0], [0.2, -2.0, 0.0], [0.0, 0.0, 1.0]],
        "has an eigenvalue 0": [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]],
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
        ctx.raises("ValueError", FULL, x, mu, cov, names="cov", case=f"full_covariance_log_prob with {case}")
        ctx.raises("ValueError", SAMPLE, mu, cov, 4, names="cov", case=f"sample_gaussian with {case}")


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
        ctx.matches(ctx.call(CONDITIONAL, *x_y_mu_logvar), expected, FLOAT64, "conditional_log_prob(x, y, mu, logvar)")

    ctx.forall(body, x_y_mu_logvar=arguments())
    x, y = ctx.randn(8, 3, dtype=torch.float32), ctx.randint(0, 5, 8)
    mu, logvar = ctx.randn(5, 3, dtype=torch.float32), ctx.randn(5, 3, dtype=torch.float32)
    expected = normal(x, mu[y], logvar[y]).sum(1)
    ctx.matches(ctx.call(CONDITIONAL, x, y, mu, logvar), expected, FLOAT32, "conditional_log_prob in float32")


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
        ctx.raises(
            "ValueError",
            CONDITIONAL,
            x,
            y,
            mu,
            logvar,
            names="y",
            case=f"conditional_log_prob with C = 3 and y = {bad}",
        )
    ctx.tensor(
        ctx.call(CONDITIONAL, x, torch.tensor([0, 2, 2, 1]), mu, logvar), (4,), "conditional_log_prob with y in 0…2"
    )


# ---- sampling -------------------------------------------------------------------------------------------------------


@declare(
    id="q1.sample.moments", question=1, kind="statistical", points=0.5, visibility="public",
    title="Samples have the mean, variances and correlations asked for",
    asks="sample_gaussian(mu, cov, n) draws n independent vectors of N(mu, cov)",
    hint="If every coordinate of a vector has variance 1 and you multiply by a matrix, what is the covariance of the "
    "product?",
    needs=(),
)  # fmt: skip
def sample_moments(ctx: Context) -> None:
    # 40 000 draws, whitened with the true mean and covariance: then 3 means, 3 variances, 3 correlations and the shape
    # of the distribution (Kolmogorov-Smirnov) are those of N(0, I). Ten comparisons at 1e-7: false alarms 1e-6 in all.
    spread = torch.diag(ctx.rand(3, low=0.5, high=2.0))
    mu, cov = 3 * ctx.randn(3), spread @ CORRELATIONS @ spread
    draws = ctx.tensor(ctx.call(SAMPLE, mu, cov, SAMPLES), (SAMPLES, 3), "sample_gaussian(mu, cov, 40000)",
                       dtype=torch.float64)  # fmt: skip
    factor = torch.linalg.cholesky(cov)
    white = torch.linalg.solve_triangular(factor, (draws - mu).mT, upper=False).mT
    found = torch.cov(draws.mT)
    wrong = {
        "Is the matrix that you multiply with the covariance, or a root of it?": cov @ cov,
        "Do the coordinates of your samples correlate at all?": torch.diag(cov.diagonal()),
        "Your factor times its transpose gives cov. Which side of the noise does it belong on?": factor.mT @ factor,
        "Does every coordinate get noise of its own?": torch.outer(factor.sum(1), factor.sum(1)),
        "Is your noise standard normal?": cov / 12,
    }
    # only chooses among hints: 5 % is many standard errors at this sample size
    close = [hint for hint, matrix in wrong.items() if (found - matrix).abs().max() < 0.05 * matrix.abs().max()]
    hint = close[0] if len(close) == 1 else ""

    off = float(white.mean(0).abs().max())
    ctx.expect(off <= mean_bound(1.0, SAMPLES), "the mean of the samples is not mu", mu, draws.mean(0))
    low, high = variance_bounds(SAMPLES)
    variances = white.var(0)
    right = bool((variances >= low).all() and (variances <= high).all())
    correlations = torch.corrcoef(white.mT)[[0, 0, 1], [1, 2, 2]]
    right = right and bool((correlations.abs() <= correlation_bound(SAMPLES)).all())
    ctx.expect(right, "the covariance of the samples is not cov", cov, found, hint=hint)
    p = float(stats.kstest(white.flatten().numpy(), "norm").pvalue)
    ctx.expect(p >= FALSE_ALARM, "the samples are not Gaussian", "a bell curve around mu",
               f"Kolmogorov-Smirnov p = {p:.2g}", hint="Which distribution is your noise drawn from?")  # fmt: skip


@declare(
    id="q1.sample.generator", question=1, kind="property", points=0.25, visibility="hidden",
    title="Samples come from the generator",
    asks="sample_gaussian draws from `generator`: another state, other samples; num_samples rows, in the "
    "dtype of mu",
    hint="Does the generator you are handed reach the function that draws? Is it still the same one afterwards?",
    needs=(),
)  # fmt: skip
def sample_generator(ctx: Context) -> None:
    mu, cov = ctx.randn(3), covariance(ctx.seed, 3)
    seed = ctx.seed
    first, _, kept = ctx.session.effects(SAMPLE, mu, cov, 5, generator=Gen(seed))
    first = ctx.tensor(first, (5, 3), "sample_gaussian", dtype=torch.float64)
    same = ctx.tensor(ctx.call(SAMPLE, mu, cov, 5, generator=Gen(seed)), (5, 3), "sample_gaussian")
    ctx.expect(torch.allclose(first, same), "two generators in the same state give different samples", first, same,
               hint="Which stream do your numbers come from when a generator is given?")  # fmt: skip
    for what, generator in (("another seed", Gen(seed + 1)), ("the same generator, used again", kept["generator"])):
        other = ctx.tensor(ctx.call(SAMPLE, mu, cov, 5, generator=generator), (5, 3), "sample_gaussian")
        ctx.expect(not torch.allclose(first, other), f"{what} gives the same samples", "other samples", other)
    one, two = (ctx.tensor(ctx.call(SAMPLE, mu, cov, 1), (1, 3), "sample_gaussian(mu, cov, 1)") for _ in range(2))
    ctx.expect(not torch.allclose(one, two), "two calls without a generator give the same sample", "other samples", two)
    ctx.tensor(ctx.call(SAMPLE, mu.float(), cov.float(), 4), (4, 3), "sample_gaussian in float32", dtype=torch.float32)


# ---- all of them ----------------------------------------------------------------------------------------------------


def balanced(along: Tensor) -> Tensor:
    """Directions that leave the sum of every row as it is."""
    return along - along.mean(-1, keepdim=True)


@declare(
    id="q1.gradients", question=1, kind="gradient", points=0.25, visibility="public",
    title="Gradients",
    asks="gradients of all log-densities reach the points, the means, and the variances or the covariance; those of "
    "expectation and variance reach values and probabilities",
    hint="Is everything between the arguments and the result a tensor operation, or does a plain number get in?",
    needs=(),
)  # fmt: skip
def gradients(ctx: Context) -> None:
    x, mu, logvar = ctx.randn(3, 2), ctx.randn(3, 2), ctx.randn(3, 2)
    ctx.gradient(UNIVARIATE, x[:, 0], mu[:, 0], logvar[:, 0], wrt=(0, 1, 2), what="the gradient of univariate_log_prob")
    ctx.gradient(DIAGONAL, x, mu, logvar, wrt=(0, 1, 2), what="the gradient of diagonal_log_prob")
    tables, y = (ctx.randn(4, 2), ctx.randn(4, 2)), ctx.randint(0, 4, 3)
    ctx.gradient(CONDITIONAL, x, y, *tables, wrt=(0, 2, 3), what="the gradient of conditional_log_prob")
    centre, cov = ctx.randn(2), covariance(ctx.seed, 2)
    ctx.gradient(FULL, x, centre, cov, wrt=(0, 1), what="the gradient of full_covariance_log_prob")
    # steps away from symmetry are errors, and a gradient may put both halves of it into one triangle
    ctx.gradient(
        FULL, x, centre, cov, wrt=(2,), within=symmetric, what="the gradient of full_covariance_log_prob to cov"
    )
    # probs must go on summing to 1
    values, probs = ctx.randn(4), torch.softmax(ctx.randn(3, 4), 1)
    for target in (EXPECTATION, VARIANCE):
        ctx.gradient(target, values, probs, wrt=(0,), what=f"the gradient of {target}")
        ctx.gradient(target, values, probs, wrt=(1,), within=balanced, what=f"the gradient of {target}")


@declare(
    id="q1.inputs", question=1, kind="property", points=0.25, visibility="hidden",
    title="Arguments stay as they were",
    asks="no function of this half changes a tensor that it is given",
    hint="Which of your operations end in an underscore, or assign to a slice or with +=?",
    needs=(),
)  # fmt: skip
def inputs(ctx: Context) -> None:
    x, mu, logvar, cov = ctx.randn(4, 3), ctx.randn(3), ctx.randn(4, 3), covariance(ctx.seed, 3)
    probs, y = torch.softmax(ctx.randn(2, 3), 1), ctx.randint(0, 4, 4)
    joint = torch.zeros(3, 2, 2, dtype=torch.float64)
    joint[1:] = torch.softmax(ctx.randn(8), 0).reshape(2, 2, 2)
    calls: dict[str, tuple[object, ...]] = {
        EXPECTATION: (mu, probs), VARIANCE: (mu, probs), UNIVARIATE: (x[0], mu, logvar[0]), DIAGONAL: (x, mu, logvar),
        FULL: (x, mu, cov), CONDITIONAL: (x, y, ctx.randn(4, 3), logvar), CHAIN: (joint,), SAMPLE: (mu, cov, 5),
    }  # fmt: skip
    for target, arguments in calls.items():
        try:
            ctx.preserves(target, *arguments)
        except Failure as failure:
            failure.message = f"{target}: {failure.message}"
            raise


CHECKS: tuple[Check, ...] = (
    pmf_expectation, pmf_variance, pmf_errors, chain_value, chain_rare, univariate_value, diagonal_value,
    diagonal_underflow, full_value, full_large, full_errors, conditional_value, conditional_errors, sample_moments,
    sample_generator, gradients, inputs,
)  # fmt: skip

QUESTION = Question(number=1, title="Densities", points=6.0, modules=("gaussians",), checks=CHECKS)
