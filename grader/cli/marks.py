"""What the pytest plugin's two halves share: the seed, and the marks that checks carry there."""

from __future__ import annotations

import pytest

SEED = pytest.StashKey[int]()
KINDS = {
    "property": "checks that hold what comes back against a closed form or another property",
    "gradient": "checks of gradients",
    "statistical": "checks of what is drawn",
}


def marker_of(question: str) -> str:
    """ "q8", or "bonus"."""
    return f"q{question}" if question.isdigit() else question


def question_words(question: str) -> str:
    """ "Question 8", or "the bonus"."""
    return f"Question {question}" if question.isdigit() else f"the {question}"
