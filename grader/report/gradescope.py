"""Gradescope's results.json. Hidden checks appear once grades are published: hidden ones would hide the total.

What was not run is not there: Gradescope would show it as failed, with no points of some.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..check.outcome import Outcome
from ..rubric import QUESTIONS
from .model import Report, as_dict, number, override_dict, question_label
from .printable import problems_of
from .words import STATUS_WORDS, by_hand, explanation, hands, summary, why_unread


def render(report: Report) -> dict[str, Any]:
    """The document as a JSON object."""
    head = [f"{summary(report)}."]
    if report.faults:
        head.append("The grader failed on some checks; this is not your fault, they will be graded again.")
    if given := hands(report):
        head.append(f"{given}.")
    content = as_dict(report)
    return {
        "score": number(report.score + report.bonus),
        "execution_time": round(report.duration_s),
        "output": "\n".join([*head, *problems_of(report.problems)]),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "stdout_visibility": "hidden",
        "extra_data": {
            key: content[key]
            for key in ("seed", "dataset", "device", "versions", "sandbox", "not_run_points", "unjudged_points")
        },
        "tests": unread_tests(report)
        if report.unread
        else [
            {
                "score": number(outcome.earned),
                "max_score": number(outcome.check.points),
                "status": "passed" if outcome.full else "failed",
                "name": outcome.check.title,
                "number": place,
                "output": "\n".join(
                    [STATUS_WORDS[outcome.status]]
                    + [f"{label}: {text}" for label, text in explanation(outcome, for_student=True)]
                ),
                "tags": [outcome.check.kind, outcome.status, *(["by hand"] if outcome.override is not None else [])],
                "visibility": "visible" if outcome.check.visibility == "public" else "after_published",
                "extra_data": {"id": outcome.check.id, "override": override_dict(outcome.override)},
            }
            for place, outcome in numbered(report)
            if not outcome.left_out
        ],
    }


def unread_tests(report: Report) -> list[dict[str, Any]]:
    """A test for each question of a submission of which nothing could be read."""
    found = []
    for question in QUESTIONS:
        total = report.of(question)
        if total.most == total.not_run:
            continue
        given = [f"{o.check.title}: {by_hand(o.override)}" for o in report.overridden
                 if o.check.question == question.number and o.override is not None]  # fmt: skip
        found.append({
            "score": number(total.earned), "max_score": number(round(total.most - total.not_run, 6)),
            "status": "failed", "name": question.title, "number": str(question_label(question.number)),
            "output": "\n".join([why_unread(report), *given]), "visibility": "visible",
        })  # fmt: skip
    return found


def numbered(report: Report) -> Iterator[tuple[str, Outcome]]:
    """Outcomes with the number of the question and their own in it: a check keeps it, whatever else is run."""
    for question in QUESTIONS:
        own = [outcome for outcome in report.outcomes if outcome.check.question == question.number]
        for index, outcome in enumerate(own, 1):
            yield f"{question_label(question.number)}.{index}", outcome
