"""What a reader should look at first, and what is not written yet: the same on every page and in the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..check.declaration import Question
from ..check.outcome import Outcome
from ..rubric import QUESTIONS

NOTHING_TO_READ = ("not_run", "skipped", "error")  # these say nothing about the submission


def first_steps(outcomes: Sequence[Outcome]) -> list[tuple[Question, Outcome]]:
    """The first check of each question that lost something and says why, in order: the rest often follows from it."""
    found = []
    for question in QUESTIONS:
        own = [o for o in outcomes if o.check.question == question.number]
        first = next((o for o in own if not o.full and o.status not in NOTHING_TO_READ), None)
        if first is not None:
            found.append((question, first))
    return found


def missing_part(outcome: Outcome) -> str:
    """The function or class that is not written yet; the starter's stubs name it after their question."""
    stub = re.search(r"\((?:Question \d+|Bonus): ([\w.]+)\)$", outcome.message)
    return stub[1].removesuffix(".__init__") if stub else outcome.check.id


def unmet(outcome: Outcome, others: Sequence[Outcome]) -> list[str]:
    """The checks that a skipped one waits for."""
    passed = {other.check.id for other in others if other.status == "passed"}
    return [need for need in outcome.check.needs if need not in passed]
