"""What wrong numbers look like: each relation is recognised, and none is claimed where several cases tell them apart."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from grader.check.patterns import Pair, Reading, describe, describe_shape, recognised, sizes_of

Wrong = Callable[[Tensor], Tensor]


def cases(wrong: Wrong, shapes: tuple[tuple[int, ...], ...] = ((3, 4), (5, 2), (2, 6)), seed: int = 0) -> list[Pair]:
    """Expected values of cases with these shapes, and what a wrong function makes of them."""
    rng = torch.Generator().manual_seed(seed)
    drawn = [torch.rand(shape, generator=rng, dtype=torch.float64) + 0.1 for shape in shapes]
    return [Pair(wrong(x), x, sizes_of({"x": x})) for x in drawn]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda x: 2 * x, "exactly twice the expected"),
        (lambda x: -x, "the expected with the opposite sign"),
        (lambda x: x / math.log(2), "in bits"),
        (lambda x: x * len(x), "the expected times the batch size"),
        (lambda x: x / x.numel(), "divided by the number of all elements"),
        (lambda x: x / x.shape[1], "divided by the number of dimensions of an example"),
        (lambda x: 1.7 * x, "always 1.7 times the expected"),
        (lambda x: x + 0.5, "the expected plus 0.5"),
        (lambda x: x - 0.25, "the expected minus 0.25"),
        (torch.sqrt, "the square root of the expected"),
        (torch.sigmoid, "by a sigmoid"),
        (torch.zeros_like, "zero, whatever the input"),
        (lambda x: x.flip(0, 1), "in reverse order"),
        (lambda x: x.roll(1, 0), "the expected numbers in other places"),
        (lambda x: x.mean().expand_as(x), "the same number everywhere"),
        (lambda x: x + 1e-9, "almost the expected"),
    ],
)
def test_a_relation_is_recognised(wrong: Wrong, words: str) -> None:
    assert words in describe(cases(wrong)).words


@pytest.mark.parametrize("wrong", [lambda x: x**3 - x, lambda x: x * torch.rand_like(x), lambda x: x * math.nan])
def test_nothing_is_said_of_numbers_that_fit_nothing(wrong: Wrong) -> None:
    torch.manual_seed(0)
    assert describe(cases(wrong)) == Reading()


def test_nothing_is_said_of_nothing() -> None:
    assert describe([]) == Reading()
    assert describe([Pair(torch.tensor(3.0), torch.tensor(0.0), {})]) == Reading()


@pytest.mark.parametrize(
    ("wrong", "asks"),
    [
        (lambda x: 2 * x, "factor"),
        (lambda x: -x, "subtracted"),
        (lambda x: x * len(x), "larger batch"),
        (lambda x: x / x.shape[1], "one more dimension"),
        (lambda x: x + 0.5, "whatever the input"),
        (torch.sqrt, "applied once too often"),
        (lambda x: x.roll(1, 0), "which axis"),
        (torch.zeros_like, "depend on"),
        (lambda x: x + 1e-9, "for safety"),
    ],
)
def test_a_relation_raises_a_question(wrong: Wrong, asks: str) -> None:
    question = describe(cases(wrong)).question
    assert asks in question
    assert question.endswith("?")


def test_sizes_that_fit_alike_are_all_named() -> None:
    words = describe(cases(lambda x: x / len(x), shapes=((2, 2), (3, 3)))).words
    assert "divided by the batch size" in words
    assert "divided by the number of dimensions of an example" in words


def test_readings_that_raise_different_questions_raise_none() -> None:
    assert describe(cases(lambda x: x / len(x), shapes=((2, 2), (3, 3)))).question == ""


def test_a_case_of_another_size_tells_them_apart() -> None:
    words = describe(cases(lambda x: x / len(x), shapes=((2, 2), (3, 3), (2, 3)))).words
    assert "divided by the batch size" in words
    assert "number of dimensions" not in words


@given(st.integers(0, 10**6))
def test_unrelated_numbers_fit_nothing_by_chance(seed: int) -> None:
    other = torch.Generator().manual_seed(seed + 1)
    assert describe(cases(lambda x: torch.rand(x.shape, generator=other, dtype=x.dtype), seed=seed)) == Reading()


@pytest.mark.parametrize(
    ("actual", "wanted", "words"),
    [
        ((), (5,), "a single number"),
        ((5, 3), (5,), "dimensions too many at the end"),
        ((5,), (5, 3), "the last dimensions are gone"),
        ((3,), (5, 3), "the first dimensions are gone"),
        ((5, 1), (5,), "dimensions of size 1"),
        ((3, 5), (5, 3), "another order"),
        ((5, 784), (5, 1, 28, 28), "another arrangement"),
        ((4, 3), (5, 3), "another number of examples"),
        ((4, 7), (5, 3), ""),
    ],
)
def test_a_wrong_shape_is_described(actual: tuple[int, ...], wanted: tuple[int, ...], words: str) -> None:
    found = describe_shape(actual, wanted)
    assert words in found.words
    assert bool(words) == bool(found.words)
    assert found.question.endswith("?")


def test_a_misconception_is_recognised_by_its_numbers_and_never_in_right_ones() -> None:
    right = torch.tensor([1.5, -2.5, 0.25], dtype=torch.float64)
    readings = {
        Reading("twice", "Which factor?"): 2 * right, Reading("the sum", "Which axis?"): right.sum(),
        Reading("as it should be", "Nothing?"): right, Reading("doubled", "Which factor?"): right + right,
    }  # fmt: skip
    assert recognised(right + 1e-12, right, readings) == Reading()
    assert recognised(2 * right, right, readings) == Reading("twice or doubled", "Which factor?")
    assert recognised(right.sum(), right, readings) == Reading("the sum", "Which axis?")
    assert recognised(3 * right, right, readings) == recognised("no tensor", right, readings) == Reading()
