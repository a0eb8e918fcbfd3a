"""Question 2: KL divergences between Gaussians, against closed forms, `torch.distributions` and Monte Carlo."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from ...check.cases import covariance, covariances, same_shape, sizes, symmetric, tensor_of
from ...check.context import Context
from ...check.declaration import FLOAT32, FLOAT64, Check, Failure, Question, Tolerance, declare
from ...check.shown import alike, misread
from ...check.statistics import mean_bound

STANDARD, UNIVARIATE = "gaussians.kl_divergence", "gaussians.kl_univariate"
DIAGONAL, FULL = "gaussians.kl_diagonal", "gaussians.kl_full_covariance"

NEAR_ZERO = Tolerance(0.0, 1e-12, "float64 rounding of a few terms near 1 that cancel")
LARGE_SUM = Tolerance(1e-4, 1e-3, "float32 sums of 200 terms of opposite signs, up to 1e3 in all")
SAMPLES = 200_000

AS_LOG_SIGMA = "Make sigma twice as large: by how much does logvar change, and does your code agree with that?"
TWICE = "Your values are exactly twice too large. Check against an integral in one dimension: which factor is missing?"
SIGN = "Can one distribution be closer to another than it is to itself?"
AVERAGED = "Your values are off by the number of dimensions. What should adding a dimension do to the divergence?"
BATCH = "Should the examples of a batch be combined? How many numbers belong to a batch of five?"
REVERSED = "Under which of the two distributions is the expectation taken? It is not the same the other way round."
NO_LOG_RATIO = "Try p = q, then scale one sigma. Which term notices that the two widths differ?"
NO_MEAN = "Shift one mean far away. Does your divergence notice?"
NO_SLOPE = "Which step of yours has no slope at exactly 0, though the divergence itself is smooth there?"


def pairwise_kl(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> Tensor:
    """KL(p || q) by torch.distributions, element by element."""
    return kl_divergence(Normal(mu_p, torch.exp(logvar_p / 2)), Normal(mu_q, torch.exp(logvar_q / 2)))


def to_standard(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, I)) by torch.distributions, `(B,)`."""
    return pairwise_kl(mu, logvar, torch.zeros_like(mu), torch.zeros_like(mu)).sum(1)


def multivariate(mu: Tensor, cov: Tensor) -> MultivariateNormal:
    """N(mu, cov); that cov is positive definite needs no test, which takes longer than all the rest."""
    return MultivariateNormal(mu, cov, validate_args=False)


def full_to_standard(mu: Tensor, cov: Tensor) -> Tensor:
    """KL(N(mu, cov) || N(0, I)) by torch.distributions, `()`."""
    return kl_divergence(multivariate(mu, cov), multivariate(torch.zeros_like(mu), torch.eye(len(mu)).to(cov)))


def log_prob(p: Normal | MultivariateNormal, x: Tensor) -> Tensor:
    """log p(x) by torch.distributions."""
    found: Tensor = p.log_prob(x)  # type: ignore[no-untyped-call]
    return found


def readings(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> dict[str, Tensor]:
    """What known misconceptions make of KL(p || q), element by element, by the question to ask."""
    right = pairwise_kl(mu_p, logvar_p, mu_q, logvar_q)
    return {
        TWICE: 2 * right,
        SIGN: -right,
        AS_LOG_SIGMA: pairwise_kl(mu_p, 2 * logvar_p, mu_q, 2 * logvar_q),
        REVERSED: pairwise_kl(mu_q, logvar_q, mu_p, logvar_p),
        NO_LOG_RATIO: right - (logvar_q - logvar_p) / 2,
        NO_MEAN: pairwise_kl(mu_p, logvar_p, mu_p, logvar_q),
    }


# ---- to the standard normal -----------------------------------------------------------------------------------------


@declare(
    id="q2.standard.value", question=2, kind="property", points=1.5, visibility="public",
    title="KL to the standard normal: value",
    asks="kl_divergence(mu, logvar) is KL(N(mu, diag sigma^2) || N(0, I)), one number per example",
    hint="Set mu to 0 and change only the variance: what should a variance of 4 cost? What does adding a latent "
    "dimension do to the sum?",
    needs=(),
)  # fmt: skip
def standard_value(ctx: Context) -> None:
    # away from mu = 1, logvar = 0 and B = 1, where most misconceptions give the right number
    mu, logvar = ctx.randn(5, 3), ctx.rand(5, 3, low=-2, high=2)
    zero = torch.zeros_like(mu)
    right = pairwise_kl(mu, logvar, zero, zero)
    hint = misread(ctx.call(STANDARD, mu, logvar), {
        **{hint: wrong.sum(1) for hint, wrong in readings(mu, logvar, zero, zero).items()},
        AVERAGED: right.mean(1),
        BATCH: right.sum(1).mean(),
        "Which axis is the batch, and which are the latent dimensions?": right.sum(0),
        "Your result is one number for the batch, and grows with its size. Is that asked for?": right.sum(),
        "The sums run over the latent dimensions. Has every example still its own result?": right,
        "How does the mean enter: does its distance from 0 count as it should for 2 and for -2?":
            (right - mu.square() / 2 + mu.abs() / 2).sum(1),
    })  # fmt: skip

    def body(mu_and_logvar: tuple[Tensor, Tensor]) -> None:
        expected = to_standard(*mu_and_logvar)
        ctx.matches(ctx.call(STANDARD, *mu_and_logvar), expected, FLOAT64, "kl_divergence(mu, logvar)", hint=hint)

    ctx.forall(body, mu_and_logvar=same_shape(2, sizes(1, 5), sizes(1, 4), low=(-3.0, -4.0), high=(3.0, 3.0)))
    # the smallest variance of all: what is added to it shows here, or nowhere in this check
    body((torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), -4.0, dtype=torch.float64)))
    mu, logvar = ctx.randn(64, 20, dtype=torch.float32), ctx.randn(64, 20, dtype=torch.float32)
    ctx.matches(ctx.call(STANDARD, mu, logvar), to_standard(mu, logvar), FLOAT32, "kl_divergence in float32", hint=hint)


@declare(
    id="q2.standard.extremes", question=2, kind="property", points=0.5, visibility="hidden",
    title="KL to the standard normal: collapsed and exploded latents",
    asks="kl_divergence is finite and right for variances from e^-60 to e^60, in float32 and float64",
    hint="You are given the logarithm of the variance. Is there a need to take a logarithm again, or to protect one?",
    needs=("q2.standard.value",),
)  # fmt: skip
def standard_extremes(ctx: Context) -> None:
    for dtype, tol in ((torch.float64, FLOAT64), (torch.float32, FLOAT32)):
        logvar = torch.tensor([[-60.0, -30.0], [-18.0, 0.0], [12.0, -12.0], [60.0, -60.0]], dtype=dtype)
        logvar = logvar + ctx.rand(4, 2, low=-1, dtype=dtype)
        mu = 100 * ctx.randn(4, 2, dtype=dtype)
        # exp turns the rounding of a float32 logvar into an error of 60 * 6e-8: the oracle sees the same rounded logvar
        expected = to_standard(mu.double(), logvar.double()).to(dtype)

        def body(mu: Tensor = mu, logvar: Tensor = logvar, expected: Tensor = expected, tol: Tolerance = tol) -> None:
            ctx.matches(ctx.call(STANDARD, mu, logvar), expected, tol, "kl_divergence of extreme latents")

        ctx.guard(body, {"mu": mu, "logvar": logvar})
        mu = torch.zeros(1, 3, dtype=dtype)
        value = ctx.call(STANDARD, mu, logvar.flatten()[:3].unsqueeze(0))
        expected = to_standard(mu.double(), logvar.flatten()[:3].unsqueeze(0).double()).to(dtype)
        ctx.matches(value, expected, tol, "kl_divergence of collapsed latents with mean 0")


# ---- between two Gaussians ------------------------------------------------------------------------------------------


@declare(
    id="q2.univariate.value", question=2, kind="property", points=1.25, visibility="public",
    title="KL between univariate Gaussians: value",
    asks="kl_univariate(mu_p, logvar_p, mu_q, logvar_q) is KL(p || q), element by element",
    hint="Let p be narrow and q wide, then swap them: which of the two divergences is larger, and which is yours?",
    needs=(),
)  # fmt: skip
def univariate_value(ctx: Context) -> None:
    p_and_q = [ctx.randn(7), ctx.rand(7, low=-2, high=2), ctx.randn(7), ctx.rand(7, low=-2, high=2)]
    right = pairwise_kl(*p_and_q)
    hint = misread(ctx.call(UNIVARIATE, *p_and_q), {
        **readings(*p_and_q),
        BATCH: right.mean(),
        "Element by element: how many numbers belong to a batch of seven?": right.sum(),
    })  # fmt: skip

    def body(p_and_q: tuple[Tensor, ...]) -> None:
        value = ctx.call(UNIVARIATE, *p_and_q)
        ctx.matches(value, pairwise_kl(*p_and_q), FLOAT64, "kl_univariate(mu_p, logvar_p, mu_q, logvar_q)", hint=hint)

    ctx.forall(body, p_and_q=same_shape(4, sizes(1, 6), low=(-3.0, -3.0, -3.0, -3.0), high=3.0))
    singles = [part.float() for part in p_and_q]
    ctx.matches(ctx.call(UNIVARIATE, *singles), pairwise_kl(*singles), FLOAT32, "kl_univariate in float32", hint=hint)


@declare(
    id="q2.diagonal.value", question=2, kind="property", points=1.0, visibility="public",
    title="KL between diagonal Gaussians: value",
    asks="kl_diagonal(mu_p, logvar_p, mu_q, logvar_q) is KL(p || q), one number per example",
    hint="The dimensions are independent under both distributions. What does the logarithm make of a "
    "product of densities?",
    needs=(),
)  # fmt: skip
def diagonal_value(ctx: Context) -> None:
    p_and_q = [ctx.randn(5, 3), ctx.rand(5, 3, low=-2, high=2), ctx.randn(5, 3), ctx.rand(5, 3, low=-2, high=2)]
    right = pairwise_kl(*p_and_q)
    hint = misread(ctx.call(DIAGONAL, *p_and_q), {
        **{hint: wrong.sum(1) for hint, wrong in readings(*p_and_q).items()},
        AVERAGED: right.mean(1),
        BATCH: right.sum(1).mean(),
        "Which axis is the batch?": right.sum(0),
        "Your result is one number for the batch, and grows with its size. Is that asked for?": right.sum(),
    })  # fmt: skip

    def body(p_and_q: tuple[Tensor, ...]) -> None:
        expected = pairwise_kl(*p_and_q).sum(1)
        ctx.matches(
            ctx.call(DIAGONAL, *p_and_q), expected, FLOAT64, "kl_diagonal(mu_p, logvar_p, mu_q, logvar_q)", hint=hint
        )

    ctx.forall(body, p_and_q=same_shape(4, sizes(1, 4), sizes(1, 4), low=(-3.0, -3.0, -3.0, -3.0), high=3.0))
    p_and_q = [ctx.randn(9, 6, dtype=torch.float32) for _ in range(4)]
    expected = pairwise_kl(*p_and_q).sum(1)
    ctx.matches(ctx.call(DIAGONAL, *p_and_q), expected, FLOAT32, "kl_diagonal in float32", hint=hint)


@declare(
    id="q2.properties", question=2, kind="property", points=0.5, visibility="public",
    title="What every divergence obeys",
    asks="all divergences are 0 where p equals q and positive elsewhere; they add up over independent dimensions, and "
    "swapping p and q changes them",
    hint="Put p = q into your formula by hand. Then append a dimension in which p and q agree: what may change?",
    needs=(),
)  # fmt: skip
def properties(ctx: Context) -> None:
    def zero_if_equal(mu_and_logvar: tuple[Tensor, Tensor]) -> None:
        mu, logvar = mu_and_logvar
        nothing = torch.zeros(len(mu), dtype=mu.dtype)
        ctx.matches(ctx.call(DIAGONAL, mu, logvar, mu, logvar), nothing, NEAR_ZERO, "kl_diagonal of p to itself")
        ctx.matches(ctx.call(UNIVARIATE, mu[:, 0], logvar[:, 0], mu[:, 0], logvar[:, 0]), nothing, NEAR_ZERO,
                    "kl_univariate of p to itself")  # fmt: skip

    ctx.forall(zero_if_equal, examples=15, mu_and_logvar=same_shape(2, sizes(1, 4), sizes(1, 3)))
    nothing = torch.zeros(2, 3, dtype=torch.float64)
    ctx.matches(ctx.call(STANDARD, nothing, nothing), nothing[:, 0], NEAR_ZERO, "kl_divergence of N(0, I)")
    value = ctx.call(FULL, nothing[0], torch.eye(3, dtype=torch.float64))
    ctx.matches(value, torch.zeros((), dtype=torch.float64), NEAR_ZERO, "kl_full_covariance of N(0, I)")

    # one sigma or one mean differs by a little or a lot: 0 only if equal
    change = torch.tensor([-3.0, -0.5, -0.01, 0.01, 0.5, 3.0], dtype=torch.float64)
    mu, logvar = ctx.randn(6), ctx.rand(6, low=-2, high=2)
    apart = {
        "kl_univariate of two widths": (UNIVARIATE, (mu, logvar, mu, logvar + change)),
        "kl_univariate of two means": (UNIVARIATE, (mu, logvar, mu + change, logvar)),
        "kl_divergence of a width other than 1": (STANDARD, (torch.zeros(6, 1).double(), change.unsqueeze(1))),
        "kl_divergence of a mean other than 0": (STANDARD, (change.unsqueeze(1), torch.zeros(6, 1).double())),
    }
    for what, (target, two) in apart.items():
        value = ctx.tensor(ctx.call(target, *two), (6,), what)
        ctx.expect(bool((value > 0).all()), f"{what} is not positive", "more than 0 everywhere", value)

    p_and_q = [ctx.randn(4, 5) for _ in range(4)]
    parts = [[part[:, :2] for part in p_and_q], [part[:, 2:] for part in p_and_q]]
    for target, count in ((DIAGONAL, 4), (STANDARD, 2)):
        whole = ctx.tensor(ctx.call(target, *p_and_q[:count]), (4,), target)
        left, right = (ctx.tensor(ctx.call(target, *part[:count]), (4,), target) for part in parts)
        ctx.matches(left + right, whole, FLOAT64, f"{target} of the first two and the last three dimensions, added")
    for target, arguments in ((UNIVARIATE, [part[:, 0] for part in p_and_q]), (DIAGONAL, p_and_q)):
        there = ctx.tensor(ctx.call(target, *arguments), (4,), target)
        back = ctx.tensor(ctx.call(target, *arguments[2:], *arguments[:2]), (4,), target)
        ctx.expect(
            not alike(there, back),
            f"{target} is the same both ways",
            "KL(p || q) other than KL(q || p)",
            there,
        )


# ---- full covariance ------------------------------------------------------------------------------------------------


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
        ctx.matches(ctx.call(FULL, *mu_and_cov), expected, FLOAT64, "kl_full_covariance(mu, cov)", hint=hint)

    ctx.forall(body, mu_and_cov=gaussians())
    mu, cov = mu.float(), cov.float()
    expected = full_to_standard(mu.double(), cov.double()).float()
    ctx.matches(ctx.call(FULL, mu, cov), expected, FLOAT32, "kl_full_covariance in float32", hint=hint)


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
        ctx.matches(ctx.call(FULL, mu, cov), expected, FLOAT64, what)
        ctx.matches(ctx.call(FULL, mu.float(), cov.float()), expected.float(), LARGE_SUM, f"{what} in float32")


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
        ctx.raises("ValueError", FULL, mu, cov, names="cov", case=f"kl_full_covariance with a cov that {what}")


# ---- all of them ----------------------------------------------------------------------------------------------------


@declare(
    id="q2.montecarlo", question=2, kind="statistical", points=0.25, visibility="public",
    title="Divergences agree with samples",
    asks="each divergence is the mean of log p(x) - log q(x) over draws x of p",
    hint="Draw from p yourself and average the difference of the two log-densities. How far is that from your result?",
    needs=(),
)  # fmt: skip
def montecarlo(ctx: Context) -> None:
    # 200 000 draws of p, made here; the statistic is the mean of log p - log q, with the sample's own standard
    # deviation. Seven comparisons at 1e-7 each: false alarms below 1e-6. The log-ratio is a quadratic form of normal
    # draws, with skewness of about 2 at most, which at this sample size changes the bound's tail by some 10 %.
    def agrees(value: float, log_ratio: Tensor, what: str) -> None:
        found, margin = float(log_ratio.mean()), mean_bound(float(log_ratio.std()), SAMPLES)
        ctx.expect(abs(value - found) <= margin, f"{what} is not what samples say",
                   f"{found:.5g} up to {margin:.2g}", f"{value:.5g}")  # fmt: skip

    mu_p, logvar_p, mu_q, logvar_q = ctx.randn(2, 3), ctx.randn(2, 3), ctx.randn(2, 3), ctx.randn(2, 3)
    p, q = Normal(mu_p, torch.exp(logvar_p / 2)), Normal(mu_q, torch.exp(logvar_q / 2))
    draws = mu_p + torch.exp(logvar_p / 2) * ctx.randn(SAMPLES, 2, 3)
    log_p, normal = log_prob(p, draws), Normal(torch.zeros(3).double(), torch.ones(3).double())
    ratio, to_normal = log_p - log_prob(q, draws), (log_p - log_prob(normal, draws)).sum(2)
    standard = ctx.tensor(ctx.call(STANDARD, mu_p, logvar_p), (2,), "kl_divergence")
    diagonal = ctx.tensor(ctx.call(DIAGONAL, mu_p, logvar_p, mu_q, logvar_q), (2,), "kl_diagonal")
    first = (part[:, 0] for part in (mu_p, logvar_p, mu_q, logvar_q))
    univariate = ctx.tensor(ctx.call(UNIVARIATE, *first), (2,), "kl_univariate")
    for row in range(2):
        agrees(float(univariate[row]), ratio[:, row, 0], "kl_univariate")
        agrees(float(diagonal[row]), ratio[:, row].sum(1), "kl_diagonal")
        agrees(float(standard[row]), to_normal[:, row], "kl_divergence")
    mu, cov = ctx.randn(3), covariance(ctx.seed, 3)
    draws = mu + ctx.randn(SAMPLES, 3) @ torch.linalg.cholesky(cov).mT
    log_ratio = log_prob(multivariate(mu, cov), draws) - log_prob(normal, draws).sum(1)
    agrees(float(ctx.tensor(ctx.call(FULL, mu, cov), (), "kl_full_covariance")), log_ratio, "kl_full_covariance")


@declare(
    id="q2.gradient.standard", question=2, kind="gradient", points=0.5, visibility="public",
    title="KL to the standard normal: gradients",
    asks="gradients of kl_divergence reach mu and logvar: this is what trains a VAE's encoder",
    hint="Is there a step in between that autograd cannot follow?",
    needs=(),
)  # fmt: skip
def gradient_standard(ctx: Context) -> None:
    ctx.gradient(STANDARD, ctx.randn(3, 2), ctx.randn(3, 2), wrt=(0, 1), what="the gradient of kl_divergence")
    # at the minimum, and for a collapsed latent, every gradient is finite as well
    mu, logvar = torch.zeros(2, 3, dtype=torch.float64), torch.tensor([[0.0, 0, 0], [-60, 0, 30]], dtype=torch.float64)
    found = ctx.session.vjp(STANDARD, mu, logvar, wrt=(0, 1)).args
    for position, name in enumerate(("mu", "logvar")):
        ctx.tensor(found[position], (2, 3), f"the gradient of kl_divergence to {name} where mu is 0")


@declare(
    id="q2.gradient.general", question=2, kind="gradient", points=0.5, visibility="public",
    title="Divergences between Gaussians: gradients",
    asks="gradients of the other divergences reach the parameters of p and of q, and the covariance; that to a mean "
    "of 0 is 0",
    hint="Is everything between the arguments and the result a tensor operation, or does a plain number get in?",
    needs=(),
)  # fmt: skip
def gradient_general(ctx: Context) -> None:
    p_and_q = [ctx.randn(3, 2) for _ in range(4)]
    ctx.gradient(DIAGONAL, *p_and_q, wrt=(0, 1, 2, 3), directions=2, what="the gradient of kl_diagonal")
    first = [part[:, 0].clone() for part in p_and_q]
    ctx.gradient(UNIVARIATE, *first, wrt=(0, 1, 2, 3), directions=2, what="the gradient of kl_univariate")
    mu, cov = ctx.randn(3), covariance(ctx.seed, 3)
    ctx.gradient(FULL, mu, cov, wrt=(0,), what="the gradient of kl_full_covariance")
    # steps away from symmetry are errors, and a gradient may put both halves of it into one triangle
    ctx.gradient(FULL, mu, cov, wrt=(1,), within=symmetric, what="the gradient of kl_full_covariance to cov")
    nothing = torch.zeros(3, dtype=torch.float64)  # where a centred Gaussian is
    what = "the gradient of kl_full_covariance to mu where mu is 0"
    found = ctx.tensor(ctx.session.vjp(FULL, nothing, cov, wrt=(0,)).args[0], (3,), what, finite=False)
    ctx.expect(alike(found, nothing), f"{what} is wrong", "0 everywhere", found, hint=NO_SLOPE)


@declare(
    id="q2.inputs", question=2, kind="property", points=0.25, visibility="hidden",
    title="Arguments stay as they were",
    asks="no divergence changes a tensor that it is given",
    hint="Which of your operations end in an underscore, or assign to a slice or with +=?",
    needs=(),
)  # fmt: skip
def inputs(ctx: Context) -> None:
    p_and_q = [ctx.randn(4, 3) for _ in range(4)]
    calls: dict[str, list[Tensor]] = {
        STANDARD: p_and_q[:2], UNIVARIATE: [part[:, 0].clone() for part in p_and_q], DIAGONAL: p_and_q,
        FULL: [ctx.randn(3), covariance(ctx.seed, 3)],
    }  # fmt: skip
    for target, arguments in calls.items():
        try:
            ctx.preserves(target, *arguments)
        except Failure as failure:
            failure.message = f"{target}: {failure.message}"
            raise


CHECKS: tuple[Check, ...] = (
    standard_value, standard_extremes, univariate_value, diagonal_value, properties, full_value, full_large,
    full_errors, montecarlo, gradient_standard, gradient_general, inputs,
)  # fmt: skip

QUESTION = Question(number=2, title="KL divergence", points=8.0, modules=("gaussians",), checks=CHECKS)
