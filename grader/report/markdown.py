"""report.md: what a student reads."""

from __future__ import annotations

import re

from ..rubric import QUESTIONS
from .model import Report, question_label
from .printable import name_of, one_line, problems_of
from .words import STATUS_WORDS, boxed, explanation, hands, marks, points, summary

# what CommonMark or GitHub's own additions could take for markup
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!@$])")
OURS = ("asked", "think")  # prose of the rubric; all other lines hold what a submission did


def code(text: str) -> str:
    """Text of a submission as inline code: nothing in it can become markup, whatever backticks it holds."""
    line = one_line(text) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if line.startswith("`") or line.endswith("`") else f"{fence}{line}{fence}"


def prose(text: str) -> str:
    """A sentence of ours as plain text: names with underscores, say, are no emphasis."""
    return SPECIAL.sub(r"\\\1", one_line(text))


def render(report: Report) -> str:
    """The whole report."""
    circumstances = report.circumstances
    lines = [
        f"# {code(name_of(report.submission))}: {summary(report)}",
        "",
        f"Dataset {circumstances.dataset} ({prose(circumstances.dataset_reason)}), device"
        f" {circumstances.device}, seed {circumstances.seed}, {boxed(circumstances.sandbox)}.",
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
    if given := hands(report):
        lines += [f"**{given}.**", ""]
    problems = problems_of(report.problems)
    lines += [f"- {code(problem)}" for problem in problems] + ([""] if problems else [])
    lines += ["| question | points |", "|---|---|"]
    for question in QUESTIONS:
        label = question_label(question.number)
        lines.append(f"| {label} · {prose(question.title)} | {marks(report.of(question))} |")
    if report.unread:
        lines += ["", "Nothing of it could be read, so that no check could begin."]
    for question in QUESTIONS if not report.unread or report.overridden else ():
        lines += ["", f"## {question_label(question.number)} · {prose(question.title)}", ""]
        for outcome in report.outcomes:
            if outcome.check.question != question.number or (report.unread and outcome.override is None):
                continue
            mark = "x" if outcome.full else " "
            earned = f"{points(outcome.earned)} / {points(outcome.check.points)}, {STATUS_WORDS[outcome.status]}"
            if outcome.left_out or outcome.fault:  # nothing was earned or lost
                earned = f"{points(outcome.check.points)}, {STATUS_WORDS[outcome.status]}"
            lines.append(f"- [{mark}] **{prose(outcome.check.title)}** ({earned})")
            for label_text, text in explanation(outcome, for_student=True):
                shown = prose(text) if label_text in OURS else code(text)
                lines.append(f"  - {prose(label_text)}: {shown}")
    return "\n".join(lines) + "\n"
