"""How values are written: two that should agree and do not never look the same."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from grader.check.shown import show, show_both

ALMOST = -1.4189385332046727


def numbers(*values: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype)


@pytest.mark.parametrize(
    ("wanted", "actual"),
    [
        (numbers(ALMOST), numbers(ALMOST + 4e-8)),
        (torch.tensor(ALMOST), torch.tensor(ALMOST + 4e-7)),
        (numbers(ALMOST), numbers(math.nextafter(ALMOST, 0))),
        (numbers(1, 2, 3), numbers(1, 2, 3 + 1e-12)),
        (numbers(1, dtype=torch.float32), numbers(1 + 2**-23, dtype=torch.float32)),
        (numbers(1e-30, 1), numbers(2e-30, 1)),
        (numbers(0.0, 1.0), numbers(math.nan, 1.0)),
        (numbers(math.inf, 1.0), numbers(-math.inf, 1.0)),
        (torch.tensor([1, 2]), torch.tensor([1, 3])),
        (torch.arange(40), torch.arange(40).flip(0)),
        (torch.arange(40.0), torch.arange(40.0).index_add(0, torch.tensor([17]), torch.tensor([1e-4]))),
        (torch.zeros(5, 6), torch.zeros(5, 6).index_fill(0, torch.tensor([2]), math.nan)),
        (torch.ones(30, dtype=torch.bool), torch.arange(30) != 4),
        (ALMOST, ALMOST + 1e-9),
        (1.0, math.nextafter(1.0, 2)),
        (0.5, 0.25),
        (3, 4),
        (True, False),
        ("a bell curve", "p = 0"),
        (numbers(1), numbers(1, 1)),
    ],
)
def test_what_differs_never_looks_the_same(wanted: Any, actual: Any) -> None:
    one, other = show_both(wanted, actual)
    assert one != other


def test_no_more_digits_than_it_takes() -> None:
    assert show_both(numbers(1 / 3), numbers(2 / 3)) == ("[0.3333]", "[0.6667]")
    assert show_both(numbers(ALMOST), numbers(ALMOST + 4e-8)) == ("[-1.418939]", "[-1.418938]")
    assert show_both(1 / 3, 0.5) == ("0.3333", "0.5")
    wanted, actual = numbers(1 / 3, 7), numbers(1 / 3 + 1e-9, 8)
    wrong = torch.tensor([False, True])  # the first is off by rounding only
    assert show_both(wanted, actual, wrong) == ("[0.3333, 7.0] float64(2,)", "[0.3333, 8.0] float64(2,)")


def test_what_rounding_leaves_of_a_zero_is_a_zero() -> None:
    assert show_both(numbers(1), numbers(8.7e-18)) == ("[1.0]", "[0.0]")
    gram = torch.tensor([[1.0, 1e-17], [1e-17, 1.7]], dtype=torch.float64)
    wrong = torch.tensor([[False, False], [False, True]])
    texts = show_both(torch.eye(2, dtype=torch.float64), gram, wrong)
    assert texts == ("[[1.0, 0.0], [0.0, 1.0]] float64(2, 2)", "[[1.0, 0.0], [0.0, 1.7]] float64(2, 2)")
    assert show_both(numbers(0, 1), numbers(3e-12, 1))[1] == "[3e-12, 1.0] float64(2,)"  # this one is what is wrong


def test_a_large_tensor_shows_the_number_that_is_furthest_off() -> None:
    wanted = torch.linspace(0, 1, 30, dtype=torch.float64).reshape(5, 6)
    actual = wanted.clone()
    actual[2, 3], actual[4, 4] = 0.5, -0.0345
    one, other = show_both(wanted, actual)
    assert one.endswith("mean 0.5; 0.9655 at [4, 4]")
    assert other.endswith("; -0.0345 at [4, 4]; 2 of 30 numbers differ")


def test_one_value_is_shown_to_six_digits() -> None:
    assert show(1 / 3) == "0.333333"
    assert show(numbers(1 / 3, 2)) == "[0.333333, 2.0] float64(2,)"
