"""Gradescope's results.json. Hidden checks appear once grades are published: hidden ones would hide the total."""

from __future__ import annotations

from typing import Any

from .model import Report, as_dict, number, question_label
from .words import STATUS_WORDS, explanation


def render(report: Report) -> dict[str, Any]:
    """The document as a JSON object."""
    head = [f"{report.score:g} of {report.max_score:g} points, bonus {report.bonus:g} of {report.max_bonus:g}."]
    if report.faults:
        head.append("The grader failed on some checks; this is not your fault, they will be graded again.")
    return {
        "score": number(report.score + report.bonus),
        "execution_time": round(report.duration_s),
        "output": "\n".join([*head, *report.problems]),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "stdout_visibility": "hidden",
        "extra_data": {key: as_dict(report)[key] for key in ("seed", "dataset", "device", "versions", "sandbox")},
        "tests": [
            {
                "score": number(outcome.earned),
                "max_score": number(outcome.check.points),
                "status": "passed" if outcome.status == "passed" else "failed",
                "name": outcome.check.title,
                "number": f"{question_label(outcome.check.question)}.{index}",
                "output": "\n".join(
                    [STATUS_WORDS[outcome.status]]
                    + [f"{label}: {text}" for label, text in explanation(outcome, for_student=True)]
                ),
                "tags": [outcome.check.kind, outcome.status],
                "visibility": "visible" if outcome.check.visibility == "public" else "after_published",
                "extra_data": {"id": outcome.check.id},
            }
            for index, outcome in enumerate(report.outcomes, 1)
        ],
    }
