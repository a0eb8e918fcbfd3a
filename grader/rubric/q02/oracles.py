"""What the divergences should be, by `torch.distributions`; what known misconceptions make of them; what stands in."""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from ...check.cases import sizes_apart, tensor_of
from ...check.parts import Part
from ...check.patterns import Reading
from ..shared.gaussians import full_kl_to_standard

STANDARD, UNIVARIATE = "gaussians.kl_divergence", "gaussians.kl_univariate"
DIAGONAL, FULL = "gaussians.kl_diagonal", "gaussians.kl_full_covariance"

# the grader's versions: what has lost its own points costs none in the checks of what may be built on it
UNIVARIATE_PART = Part(UNIVARIATE, "kl_univariate", ("q2.univariate.value",))
DIAGONAL_PART = Part(DIAGONAL, "kl_diagonal", ("q2.diagonal.value",))
STANDARD_PART = Part(STANDARD, "kl_divergence", ("q2.standard.value",))
FULL_PART = Part(FULL, "kl_full_covariance", ("q2.full.value",))
ALL_PARTS = (UNIVARIATE_PART, DIAGONAL_PART, STANDARD_PART, FULL_PART)

BATCH = "Should the examples of a batch be combined? How many numbers belong to a batch of five?"
BATCH_SUM = "Your result is one number for the batch, and grows with its size. Is that asked for?"
AVERAGED = "Your values are off by the number of dimensions. What should adding a dimension do to the divergence?"
LEFT_OVER = "An example with three dimensions: how many numbers should come out for it, and how many do?"
WRONG_AXIS = "Which axis holds the examples, and along which of the two do you sum?"
MULTIPLIED = (
    "Two independent dimensions, in one of which p equals q: what do you get, and what should the other one count?"
)
WHICH_TERM = (
    "Take the definition apart, first for equal means, then for equal widths: which term is left, and is it yours?"
)
ONE_EXAMPLE = "What does your code do to an axis that has one entry only?"
PRECISION = "In which precision do the arguments come, and what turns yours into another?"
NO_SLOPE = "Which step of yours has no slope at exactly 0, though the divergence itself is smooth there?"
CONSTANT = "Which of the terms take part in the gradient, and which does autograd take for a constant?"


def pairwise_kl(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> Tensor:
    """KL(p || q) by torch.distributions, element by element."""
    return kl_divergence(Normal(mu_p, torch.exp(logvar_p / 2)), Normal(mu_q, torch.exp(logvar_q / 2)))


def summed_kl(mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor) -> Tensor:
    """KL(p || q) of diagonal Gaussians, `(B,)`."""
    return pairwise_kl(mu_p, logvar_p, mu_q, logvar_q).sum(1)


def to_standard(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, I)) by torch.distributions, `(B,)`."""
    return summed_kl(mu, logvar, torch.zeros_like(mu), torch.zeros_like(mu))


def full_to_standard(mu: Tensor, cov: Tensor) -> Tensor:
    """KL(N(mu, cov) || N(0, I)) `()`."""
    return full_kl_to_standard(mu, cov)


def log_prob(p: Normal, x: Tensor) -> Tensor:
    """log p(x) by torch.distributions."""
    found: Tensor = p.log_prob(x)  # type: ignore[no-untyped-call]
    return found


def of_pair(
    mu_p: Tensor, logvar_p: Tensor, mu_q: Tensor, logvar_q: Tensor, p: str = "p", q: str = "q"
) -> dict[Reading, Tensor]:
    """What known misconceptions make of KL(p || q), element by element; `p` and `q` are what the two are called."""
    right = pairwise_kl(mu_p, logvar_p, mu_q, logvar_q)
    back = pairwise_kl(mu_q, logvar_q, mu_p, logvar_p)
    log_ratio, squared = (logvar_q - logvar_p) / 2, (mu_p - mu_q).square()
    variances = torch.exp(logvar_p - logvar_q) / 2
    away = squared * torch.exp(-logvar_q) / 2
    return {
        Reading("exactly twice the divergence",
                "Your values are exactly twice too large. Check against an integral in one dimension: which factor is "
                "missing?"): 2 * right,
        Reading("minus the divergence", "Can one distribution be closer to another than it is to itself?"): -right,
        Reading("the divergence of Gaussians whose standard deviations are the exponentials of what you were given",
                "Make sigma twice as large: by how much does logvar change, and does your code agree with that?"):
            pairwise_kl(mu_p, 2 * logvar_p, mu_q, 2 * logvar_q),
        Reading(f"KL({q} || {p}), the divergence the other way round",
                "Under which of the two distributions is the expectation taken? It is not the same the other way "
                "round."): back,
        Reading(f"the mean of KL({p} || {q}) and KL({q} || {p})",
                "Is the divergence the same both ways, and is yours?"): (right + back) / 2,
        Reading("the divergence without the logarithm of the ratio of the widths",
                "Try p = q, then scale one sigma. Which term notices that the two widths differ?"): right - log_ratio,
        Reading("the divergence with the logarithm of the ratio of the widths counted twice",
                "Is it the ratio of the standard deviations whose logarithm stands in the definition, or that of the "
                "variances?"): right + log_ratio,
        Reading("the divergence with the logarithm of the ratio of the widths added where it is subtracted, or the "
                "other way round",
                f"Let {p} become very narrow: which term grows then, and which sign has it in your code?"):
            right - 2 * log_ratio,
        Reading("the divergence with the term of the means left out",
                "Shift one mean far away. Does your divergence notice?"): pairwise_kl(mu_p, logvar_p, mu_p, logvar_q),
        Reading("the divergence plus 1/2",
                "Put p = q into your formula by hand, term by term: what is left, and what takes it away?"):
            right + 0.5,
        Reading("the divergence minus 1/2", "Put p = q into your formula by hand: which constant is there twice?"):
            right - 0.5,
        Reading(f"the divergence with the distance of the means divided by the variance of {p} in place of that of {q}",
                f"A shift of the mean: by whose width is it large or small, that of {p} or that of {q}?"):
            right - away + squared * torch.exp(-logvar_p) / 2,
        Reading("the divergence with the distance of the means as it is in place of its square",
                "How does the mean enter: does its distance count as it should for 2 and for -2?"):
            right - away + squared.sqrt() * torch.exp(-logvar_q) / 2,
        Reading("the divergence with the distance of the means divided by nothing",
                "A shift of the means by 1: does it matter as much for wide distributions as for narrow ones?"):
            right - away + squared / 2,
        Reading("the divergence with the distance of the means divided by a standard deviation, not by a variance",
                "In which unit is the squared distance of the means, and in which is what you divide it by?"):
            right - away + squared * torch.exp(-logvar_q / 2) / 2,
        Reading("the divergence with a ratio of standard deviations in place of the ratio of variances",
                "The definition has sigma squared in one term: what is the unit of yours, in metres?"):
            right - variances + torch.exp((logvar_p - logvar_q) / 2) / 2,
        Reading("the divergence with the ratio of variances left out",
                f"Let {p} become ever wider: should the divergence not grow with its variance?"): right - variances,
        Reading("the divergence in bits", "Which logarithm do nats come from, and which do you use?"):
            right / math.log(2),
    }  # fmt: skip


def of_batch(per_dimension: Tensor, readings: dict[Reading, Tensor]) -> dict[Reading, Tensor]:
    """What known misconceptions make of the divergence of each example, from what they make of each dimension."""
    return {
        **{reading: wrong.sum(1) for reading, wrong in readings.items()},
        Reading("the mean over the dimensions where their sum belongs", AVERAGED): per_dimension.mean(1),
        Reading("the product over the dimensions where their sum belongs", MULTIPLIED): per_dimension.prod(1),
        Reading("the mean of all examples of the batch", BATCH): per_dimension.sum(1).mean(),
        Reading("the sum of all examples of the batch", BATCH_SUM): per_dimension.sum(),
        Reading("the mean of all numbers", BATCH): per_dimension.mean(),
        Reading("a sum over the examples for each dimension", WRONG_AXIS): per_dimension.sum(0),
        Reading("a mean over the examples for each dimension", WRONG_AXIS): per_dimension.mean(0),
        Reading("one number for each dimension of each example", LEFT_OVER): per_dimension,
    }


@st.composite
def gaussians(draw: st.DrawFn, count: int, *ranges: tuple[int, int], widest: float = 3.0) -> tuple[Tensor, ...]:
    """`count` tensors of one shape whose sizes differ from each other: means and log-variances in turn."""
    shape = sizes_apart(draw, *ranges)
    return tuple(tensor_of(draw, shape, -3.0, 3.0 if at % 2 == 0 else widest) for at in range(count))
