"""What the rubric has besides the author's contract (test_contract): kinds of checks, and words for wrong values."""

from __future__ import annotations

from dataclasses import MISSING, fields

from grader.check.declaration import Check
from grader.check.gradients import NOTHING_BACK
from grader.check.patterns import CURVES, FACTORS
from grader.rubric import CHECKS, QUESTIONS

from .contract.words import code_in


def test_a_check_has_no_defaults() -> None:
    assert all(field.default is MISSING and field.default_factory is MISSING for field in fields(Check))


def test_what_wrong_values_look_like_is_told_without_code() -> None:
    words = [*FACTORS.values(), *CURVES, NOTHING_BACK]
    assert [text for text in words if code_in(text)] == []


def test_every_kind_of_row_is_there() -> None:
    kinds = {question.number: {check.kind for check in question.checks} for question in QUESTIONS}
    assert all("property" in found for found in kinds.values())
    for number in (3, 4, 5, 6, 7, 8, 9, 10, 0):
        assert "trained" in kinds[number], f"question {number} has no trained check"
    for number in (1, 2, 4, 7, 8, 10):
        assert "gradient" in kinds[number], f"question {number} has no gradient check"
    for number in (1, 2, 5, 8, 10, 0):
        assert "statistical" in kinds[number], f"question {number} has no statistical check"
    public = sum(check.points for check in CHECKS if check.visibility == "public")
    assert 0.6 < public / sum(check.points for check in CHECKS) < 0.95
