"""What a wrong loss equals is told by name, and a right one, or one that fits nothing, by none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from grader.rubric.q04.losses import bernoulli_readings, cross_entropy, logit_readings, squared_readings
from grader.rubric.q04.sparsity import kl_readings, l1_readings, to_target_rate
from grader.rubric.shared.readings import recognised

P = torch.tensor([[0.6, 0.1, 0.4, 0.9], [0.9, 0.8, 0.3, 0.2], [0.7, 0.3, 0.6, 0.5]], dtype=torch.float64)
X = torch.tensor([[0.5, 0.5, 0.1, 0.2], [0.8, 0.6, 0.9, 0.4], [0.9, 0.7, 0.8, 0.2]], dtype=torch.float64)
SQUARED = (P - X).square()
NATS = cross_entropy(P, X)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (SQUARED.mean(), "averaged over the pixels as well"),
        (SQUARED.sum(), "summed over the images of the batch as well"),
        (SQUARED.sum() / 6, "halved"),
        ((P - X).abs().sum() / 3, "the absolute error"),
        ((P - X).norm(dim=1).mean(), "the length of an image's error"),
        (SQUARED[0].sum(), "of the first image alone"),
    ],
)
def test_a_wrong_squared_error_is_named(value: Tensor, words: str) -> None:
    found = recognised(value, SQUARED.sum() / 3, squared_readings(P, X))
    assert any(words in one for one in found), found
    assert all(found.values()), "each of them raises a question"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (cross_entropy(X, P).sum() / 3, "in each other's place"),
        (NATS.sum() / 3 / torch.log(torch.tensor(2.0)), "in bits"),
        (-(X * P.log()).sum() / 3, "x log x_recon alone"),
        (cross_entropy(P, X.round()).mean(), "rounded to 0 and 1, averaged over the pixels"),
    ],
)
def test_a_wrong_cross_entropy_is_named(value: Tensor, words: str) -> None:
    found = recognised(value.double(), NATS.sum() / 3, bernoulli_readings(P, X))
    assert any(words in one for one in found), found


def test_the_right_value_and_one_that_fits_nothing_have_no_name() -> None:
    logits = torch.logit(P)
    signed = P - 0.5
    for right, readings in (
        (SQUARED.sum() / 3, squared_readings),
        (NATS.sum() / 3, bernoulli_readings),
        (NATS.sum() / 3, lambda _, x: logit_readings(logits, x)),
        (signed.abs().sum() / 3, lambda *_: l1_readings(signed)),
        (to_target_rate(P, 0.25), lambda *_: kl_readings(P, 0.25)),
    ):
        assert recognised(right, right, readings(P, X)) == {}
        assert recognised(right * 1.2345, right, readings(P, X)) == {}
        assert recognised(right * float("nan"), right, readings(P, X)) == {}
        assert recognised(float(right), right, readings(P, X)) == {}
