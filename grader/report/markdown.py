"""report.md: what a student reads."""

from __future__ import annotations

from ..rubric import QUESTIONS
from .model import Report, question_label
from .words import STATUS_WORDS, explanation, points


def escape(text: str) -> str:
    """Text of a submission as inline code: nothing in it can become markup."""
    clean = "".join(c if c.isprintable() else " " for c in text.replace("`", "'"))
    return f"`{clean}`"


def render(report: Report) -> str:
    """The whole report."""
    lines = [
        f"# {escape(report.submission)}: {points(report.score)} / {points(report.max_score)}"
        f" · bonus {points(report.bonus)} / {points(report.max_bonus)}",
        "",
        f"Dataset {report.circumstances.dataset} ({report.circumstances.dataset_reason}), device"
        f" {report.circumstances.device}, seed {report.circumstances.seed}.",
        "",
    ]
    if report.points("not_run"):
        lines += [f"**{points(report.points('not_run'))} points were not run.**", ""]
    if report.faults:
        unjudged = points(report.points("error"))
        lines += [
            f"**The grader failed on {len(report.faults)} checks ({unjudged} points): these are not judged and have"
            " to be graded again. This is not the submission's fault.**",
            "",
        ]
    lines += [f"- {problem}" for problem in report.problems] + ([""] if report.problems else [])
    lines += ["| question | points |", "|---|---|"]
    for question in QUESTIONS:
        label = question_label(question.number)
        lines.append(f"| {label} · {question.title} | {points(report.earned(question))} / {points(question.points)} |")
    for question in QUESTIONS:
        lines += ["", f"## {question_label(question.number)} · {question.title}", ""]
        for outcome in report.outcomes:
            if outcome.check.question != question.number:
                continue
            mark = "x" if outcome.status == "passed" else " "
            marks = f"{points(outcome.earned)} / {points(outcome.check.points)}, {STATUS_WORDS[outcome.status]}"
            lines.append(f"- [{mark}] **{outcome.check.title}** ({marks})")
            for label_text, text in explanation(outcome, for_student=True):
                plain = label_text in ("asked", "think")
                lines.append(f"  - {label_text}: {text if plain else escape(text)}")
    return "\n".join(lines) + "\n"
