"""Drawn cases: sizes that cannot stand for each other, numbers that can be typed."""

from __future__ import annotations

import torch
from hypothesis import Phase
from hypothesis import strategies as st

from grader.check.cases import drawn_cases, sizes_apart, two_digits


def test_no_two_sizes_of_a_case_are_alike_and_none_is_below_its_range() -> None:
    @st.composite
    def sizes(draw: st.DrawFn) -> list[int]:
        return sizes_apart(draw, (2, 4), (3, 5), (2, 4))

    seen: list[list[int]] = []
    drawn_cases(lambda found: seen.append(found), 3, 50, {"found": sizes()}, (Phase.generate,))
    assert all(len(set(found)) == 3 for found in seen)
    assert all(2 <= a <= 4 and 3 <= b <= 5 and 2 <= c <= 4 for a, b, c in seen)
    assert len({tuple(found) for found in seen}) > 5


def test_two_digits_are_two_digits_and_no_zero_has_a_sign() -> None:
    found = two_digits(torch.tensor([1 / 3, -2.345678, -0.001], dtype=torch.float64))
    assert [str(value) for value in found.tolist()] == ["0.33", "-2.35", "0.0"]
