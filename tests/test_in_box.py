"""A box changes no verdict: a few of the banks; ``python -m tests.in_box`` compares more."""

from __future__ import annotations

import pytest

from grader.boundary.box import choose
from grader.rubric import QUESTIONS

from .bank.whole import ALTERNATIVES
from .in_box import compared, differences, sample
from .test_bank import QUICK_MISTAKES
from .test_self_test import box_of


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bubblewrap", "uid", "landlock"])
def test_verdicts_in_a_box_are_those_without(name: str) -> None:
    variants = [*sample(QUICK_MISTAKES, 4, seed=3), *sample(ALTERNATIVES, 2, seed=3)]
    lost = 0
    for _, different, said in differences(variants, box_of(name)):
        assert not different, [str(one) for one in different]
        lost += any(one["status"] != "passed" for one in said.values())
    assert lost >= 4  # the mistakes; what is compared is something


def test_the_sample_takes_from_every_question() -> None:
    drawn = sample(QUICK_MISTAKES, len(QUESTIONS), seed=1)
    assert {one.question for one in drawn} == {question.number for question in QUESTIONS}
    assert drawn == sample(QUICK_MISTAKES, len(QUESTIONS), seed=1)
    assert len({one.id for one in sample(QUICK_MISTAKES, 50, seed=1)}) == 50


def test_a_difference_is_seen() -> None:
    [found] = compared("a", ({"x": {"status": "passed"}, "y": {"status": "failed"}},
                             {"x": {"status": "passed"}, "y": {"status": "timeout"}}))  # fmt: skip
    assert str(found) == "a, y: status: 'failed' in the box, 'timeout' without"
    assert not list(differences([], choose("none")))
