"""What the log-densities should be, by `torch.distributions`; what misconceptions make of them; what stands in."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Normal

from ...check.parts import Part
from ...check.patterns import Reading
from ..shared.gaussians import full_log_prob

UNIVARIATE, DIAGONAL = "gaussians.univariate_log_prob", "gaussians.diagonal_log_prob"
FULL, CONDITIONAL = "gaussians.full_covariance_log_prob", "gaussians.conditional_log_prob"
SAMPLE = "gaussians.sample_gaussian"

# the grader's versions: what has lost its own points costs none in the checks of what may be built on it
UNIVARIATE_PART = Part(UNIVARIATE, "univariate_log_prob", ("q1.univariate.value",))
DIAGONAL_PART = Part(DIAGONAL, "diagonal_log_prob", ("q1.diagonal.value",))
CONDITIONAL_PART = Part(CONDITIONAL, "conditional_log_prob", ("q1.conditional.value",))
FULL_PART = Part(FULL, "full_covariance_log_prob", ("q1.full.value",))

TERMS = "Three terms make a log-density: at the peak, and for a variance of 1, which of them are left? Are they yours?"
COMBINED = "Should the examples of a batch be combined?"
HOW_MANY = "How many numbers should come out for five examples, and which axis is the batch?"
ONE_EXAMPLE = "What does your code do to an axis that has one entry only?"
PRECISION = "In which precision do the arguments come, and what turns yours into another?"
CONSTANT = "Which of the terms take part in the gradient, and which does autograd take for a constant?"


def normal(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(x; mu, exp(logvar)) by torch.distributions, element by element."""
    log_prob: Tensor = Normal(mu, torch.exp(logvar / 2)).log_prob(x)  # type: ignore[no-untyped-call]
    return log_prob


def diagonal(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """The same summed over the dimensions, `(B,)`."""
    return normal(x, mu, logvar).sum(1)


def conditional(x: Tensor, y: Tensor, mu_table: Tensor, logvar_table: Tensor) -> Tensor:
    """log N(x; mu(y), diag sigma^2(y)), row by row, `(B,)`."""
    return torch.stack([normal(x[i], mu_table[c], logvar_table[c]).sum() for i, c in enumerate(y.tolist())])


def multivariate(x: Tensor, mu: Tensor, cov: Tensor) -> Tensor:
    """log N(x; mu, cov), one number per row of x."""
    return full_log_prob(x, mu, cov)


def of_density(x: Tensor, mu: Tensor, logvar: Tensor, summed: bool = False) -> dict[Reading, Tensor]:
    """What known misconceptions make of log N(x; mu, exp(logvar)), `summed` over the dimensions or each for itself."""
    squared, constant = (x - mu).square(), math.log(2 * math.pi)
    away = squared * torch.exp(-logvar)

    def total(terms: Tensor) -> Tensor:
        return terms.sum(1) if summed else terms

    return {
        Reading("the log-density of a Gaussian whose standard deviation is the exponential of logvar",
                "Make sigma twice as large: by how much does logvar change, and does your code agree with that?"):
            total(normal(x, mu, 2 * logvar)),
        Reading("the log-density of a Gaussian whose variance is logvar itself",
                "What has to be done to logvar before it is a variance?"): variance_as_is(x, mu, logvar, summed),
        Reading("the log-density with the squared distance divided by a standard deviation",
                "In which unit is the squared distance, and in which is what you divide it by?"):
            total(-0.5 * (constant + logvar + squared * torch.exp(-logvar / 2))),
        Reading("the log-density with the distance divided by the variance and then squared",
                "In which unit is the distance, and in which is what you divide it by before you square?"):
            total(-0.5 * (constant + logvar + squared * torch.exp(-2 * logvar))),
        Reading("the log-density with the squared distance divided by nothing",
                "A point 3 away from the mean: is it as unlikely for a wide Gaussian as for a narrow one?"):
            total(-0.5 * (constant + logvar + squared)),
        Reading("the log-density with the squared distance multiplied by the variance",
                "A point 3 away from the mean: is it more likely under a wide Gaussian or under a narrow one?"):
            total(-0.5 * (constant + logvar + squared * torch.exp(logvar))),
        Reading("the log-density with the distance as it is in place of its square",
                "How does the distance from the mean enter: what should twice the distance cost?"):
            total(-0.5 * (constant + logvar + (away).sqrt())),
        Reading("the log-density plus 1/2 log(2 pi) per dimension",
                "Your values are too large, by the same number per dimension everywhere. Does the density integrate to "
                "1?"): total(-0.5 * (logvar + away)),
        Reading("the log-density minus 1/2 log(2 pi) per dimension",
                "Your values are too small, by the same number per dimension everywhere. Under which root does 2 pi "
                "stand?"): total(-0.5 * (2 * constant + logvar + away)),
        Reading("the log-density plus 1/2 log 2 per dimension, as if pi stood where 2 pi belongs",
                "Your values are too large, by the same number per dimension everywhere. Does the density integrate to "
                "1?"): total(-0.5 * (math.log(math.pi) + logvar + away)),
        Reading("the log-density without the term of the variance alone",
                "Does the density integrate to 1 for a narrow and for a wide Gaussian alike?"):
            total(-0.5 * (constant + away)),
        Reading("the log-density with the term of the variance alone counted twice",
                "Is it the variance or the standard deviation that the density is divided by?"):
            total(-0.5 * (constant + 2 * logvar + away)),
        Reading("the log-density with the term of the variance alone added",
                "Should a wide Gaussian have a higher or a lower peak than a narrow one?"):
            total(-0.5 * (constant - logvar + away)),
        Reading("the log-density with the squared distance counted twice",
                "Compare the weight of the squared distance with that of the other terms: is one twice too heavy?"):
            total(-0.5 * (constant + logvar) - away),
        Reading("the log-density with the squared distance added",
                "Should a point far from the mean have a larger or a smaller log-density?"):
            total(-0.5 * (constant + logvar - away)),
        Reading("the density itself", "Is this the density, or its logarithm?"):
            torch.exp(total(normal(x, mu, logvar))),
        Reading("minus the log-density", "Should a point far from the mean have a larger or a smaller log-density?"):
            -total(normal(x, mu, logvar)),
        Reading("the log-density in bits", "Which logarithm do nats come from, and which do you use?"):
            total(normal(x, mu, logvar)) / math.log(2),
    }  # fmt: skip


def variance_as_is(x: Tensor, mu: Tensor, logvar: Tensor, summed: bool) -> Tensor:
    """The log-density with logvar taken for the variance; NaN where that is none."""
    terms = -0.5 * (math.log(2 * math.pi) + logvar.log() + (x - mu).square() / logvar)
    return terms.sum(1) if summed else terms


def of_rows(per_dimension: Tensor) -> dict[Reading, Tensor]:
    """What may be made of the log-densities of all dimensions in place of one number per example."""
    return {
        Reading("the mean over the dimensions where their sum belongs",
                "Your values are off by a factor, the number of dimensions: what does adding a dimension do to the "
                "result?"): per_dimension.mean(1),
        Reading("the product over the dimensions where their sum belongs",
                "The densities of independent dimensions are multiplied: what becomes of their logarithms?"):
            per_dimension.prod(1),
        Reading("a sum over the examples for each dimension", HOW_MANY): per_dimension.sum(0),
        Reading("the sum of all examples of the batch", COMBINED): per_dimension.sum(),
        Reading("the mean of all examples of the batch", COMBINED): per_dimension.sum(1).mean(),
        Reading("one number for each dimension of each example", HOW_MANY): per_dimension,
    }  # fmt: skip


def of_multivariate(x: Tensor, mu: Tensor, cov: Tensor) -> dict[Reading, Tensor]:
    """What known misconceptions make of log N(x; mu, cov) in D = 3 dimensions."""
    right, log_det, inverse = multivariate(x, mu, cov), torch.logdet(cov), torch.linalg.inv(cov)
    away = x - mu
    squared, constant = torch.einsum("bi,ij,bj->b", away, inverse, away), math.log(2 * math.pi)
    wrong_side = torch.linalg.solve_triangular(torch.linalg.cholesky(cov).mT, away.mT, upper=True).square().sum(0)
    return {
        Reading("the log-density of independent dimensions with the same variances",
                "Do correlated dimensions really count as if they were independent?"):
            normal(x, mu, cov.diagonal().log()).sum(1),
        Reading("the log-density plus D / 2 log(2 pi)",
                "Your values are off by the same number everywhere: what belongs to each of the dimensions?"):
            -0.5 * (log_det + squared),
        Reading("the log-density with log(2 pi) once, not once per dimension",
                "Does the constant grow with the number of dimensions?"): -0.5 * (constant + log_det + squared),
        Reading("the log-density without the log-determinant",
                "Does the density integrate to 1 when the covariance is scaled up?"): -0.5 * (3 * constant + squared),
        Reading("the log-density with the log-determinant added",
                "Should a wide Gaussian have a higher or a lower peak than a narrow one?"):
            -0.5 * (3 * constant - log_det + squared),
        Reading("the log-density with half of the log-determinant",
                "If you use a factor of cov: what is the determinant of the factor, compared with that of cov?"):
            -0.5 * (3 * constant + log_det / 2 + squared),
        Reading("the log-density with the determinant in place of its logarithm",
                "Which of the terms is the logarithm of something, and did you take it?"):
            -0.5 * (3 * constant + torch.exp(log_det) + squared),
        Reading("the log-density with cov where its inverse belongs",
                "A long axis of the covariance: does a step along it cost more or less than a step across it?"):
            -0.5 * (3 * constant + log_det + torch.einsum("bi,ij,bj->b", away, cov, away)),
        Reading("the log-density of cov times cov",
                "Is the matrix that you factor the covariance, or its root?"):
            -0.5 * (3 * constant + 2 * log_det + (away @ inverse).square().sum(1)),
        Reading("the log-density with the distance that a factor of cov on the wrong side gives",
                "Your factor times its transpose gives cov: which of the two has to be undone first?"):
            -0.5 * (3 * constant + log_det + wrong_side),
        Reading("the log-density with the log-determinant counted twice",
                "Each term of the sum: which ones carry the factor one half?"):
            -0.5 * 3 * constant - log_det - 0.5 * squared,
        Reading("the log-density with the distance counted twice",
                "Each term of the sum: which ones carry the factor one half?"):
            -0.5 * (3 * constant + log_det) - squared,
        Reading("the log-density with the distance as it is in place of its square",
                "How does the distance from the mean enter: what should twice the distance cost?"):
            -0.5 * (3 * constant + log_det + squared.sqrt()),
        Reading("the log-density with the products of every example with all examples, added up",
                "Should one example's log-density depend on the others in its batch?"):
            -0.5 * (3 * constant + log_det + (away @ inverse @ away.mT).sum(1)),
        Reading("minus the log-density", "Should a point far from the mean have a larger or a smaller log-density?"):
            -right,
        Reading("the density itself", "Is this the density, or its logarithm?"): right.exp(),
        Reading("the sum of all examples of the batch", COMBINED): right.sum(),
        Reading("the mean of all examples of the batch", COMBINED): right.mean(),
    }  # fmt: skip
