"""From a report to a mark: weights, visibility, lateness and the words that go with it. The report stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ...check.declaration import BONUS, Visibility
from ...check.outcome import Outcome
from ...classes.late import Extension, Lateness, Policy, lateness
from ...classes.people import Arrival, Owner
from ...rubric import QUESTIONS
from .. import gradescope, markdown
from ..model import Report, question_label
from ..printable import one_line, problems_of
from ..words import STATUS_WORDS, explanation, overrides, points
from ..words import marks as sum_in_words
from .marks import Mark, written

LONGEST_LINE = 300  # of a comment; the whole of it is in report.md
SHORT = frozenset({"by hand", "found", "think"})
FULL = frozenset({"by hand", "asked", "found", "call", "expected", "actual", "looks like", "think"})
LOST = frozenset(
    {"failed", "partial", "timeout", "memory", "crashed", "limit", "violation", "unimplemented", "skipped"}
)

Detail = Literal["short", "full", "none"]


@dataclass(frozen=True)
class Rules:
    """How reports become marks. `weights` are points by the question's name; `extensions` are by the owner's key."""

    weights: Mapping[str, float] = field(default_factory=dict)
    visibility: Mapping[str, Visibility] = field(default_factory=dict)
    policy: Policy | None = None
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    bonus: bool = True
    detail: Detail = "short"


@dataclass(frozen=True)
class Weighed:
    """Points of some questions by their weights."""

    earned: float = 0.0
    most: float = 0.0
    judged: float = 0.0


def weighed(report: Report, weights: Mapping[str, float], *, bonus: bool) -> Weighed:
    """Points of the regular questions, or of the bonus."""
    total = Weighed()
    for question in QUESTIONS:
        if (question.number == BONUS) is bonus:
            found = report.of(question)
            weight = weights.get(str(question_label(question.number)), question.points)
            factor = weight / question.points
            total = Weighed(
                total.earned + found.earned * factor, total.most + weight, total.judged + found.judged * factor
            )
    return Weighed(round(total.earned, 6), round(total.most, 6), round(total.judged, 6))


def seen_by_students(report: Report, visibility: Mapping[str, Visibility]) -> Report:
    """The report with the visibility that is configured: a check's own before its question's."""

    def shown(outcome: Outcome) -> Outcome:
        check = outcome.check
        wanted = visibility.get(check.id, visibility.get(str(question_label(check.question)), check.visibility))
        return outcome if wanted == check.visibility else replace(outcome, check=replace(check, visibility=wanted))

    return replace(report, outcomes=tuple(map(shown, report.outcomes))) if visibility else report


def mark_of(report: Report, owner: Owner, arrival: Arrival, rules: Rules, read: bool = True) -> Mark:
    """The mark of one report. `read` says whether anything of the submission could be read."""
    regular = weighed(report, rules.weights, bonus=False)
    extra = weighed(report, rules.weights, bonus=True) if rules.bonus else Weighed()
    earned = regular.earned + extra.earned
    late = Lateness()
    if rules.policy is not None:
        late = lateness(rules.policy, arrival, earned, regular.most, rules.extensions.get(owner.key))
    whole = regular.judged == regular.most and extra.judged == extra.most
    head = head_of(regular, extra, late, rules)
    return Mark(
        owner=owner, points=round(earned - late.taken, 6), most=regular.most, bonus=extra.most,
        judged=None if whole else regular.judged + extra.judged, deducted=late.taken, head=head,
        feedback=feedback(seen_by_students(report, rules.visibility), head, rules.detail),
        arrival=arrival, notes=tuple(filter(None, (late.said, late.listed, *overrides(report)))),
        unsettled=unsettled(report, read),
    )  # fmt: skip


def unsettled(report: Report, read: bool) -> str:
    """Why no mark of this report may be published; nothing if one may."""
    if report.faults:
        worth = points(report.points("error"))
        return f"the grader failed on {counted(len(report.faults), 'check')} ({worth} points): grade it again"
    if not read and not report.overridden:
        why = problems_of(report.problems)[:1] or ["the submission is empty"]
        return (
            f"nothing of it could be read ({why[0]}): look at it, and give points with override, or enter them by hand"
        )
    return ""


def counted(number: int, what: str) -> str:
    """ "1 check", "2 checks"."""
    return f"{number} {what}{'s'[: number != 1]}"


def complete(marks: Sequence[Mark]) -> list[Mark]:
    """The marks of one class: whose run was broken off has fewer points judged than the others, and is no mark yet."""
    known = [mark.most + mark.bonus if mark.judged is None else mark.judged for mark in marks]
    most = max(known, default=0.0)
    return [
        mark
        if mark.unsettled or judged >= most - 1e-6
        else replace(mark, unsettled=f"only {written(judged)} points of it are judged, and {written(most)} of others: "
                                     "grade the class again, which goes on where it stopped")
        for mark, judged in zip(marks, known, strict=True)
    ]  # fmt: skip


def feedback(report: Report, head: Sequence[str], detail: Detail) -> str:
    """What a student reads beside the grade."""
    if detail == "none":
        return ""
    lines = [*head]
    if report.points("not_run"):
        lines.append("Not everything was run; what was not run is not counted.")
    lines += problems_of(report.problems)
    for question in QUESTIONS:
        found = report.of(question)
        if found.judged:
            lines.append(f"{question_label(question.number)} · {question.title}: {sum_in_words(found)}")
        for outcome in report.outcomes:
            if outcome.check.question == question.number and (outcome.status in LOST or outcome.override is not None):
                lines += outcome_lines(outcome, detail)
    return "\n".join(lines)


def head_of(regular: Weighed, extra: Weighed, late: Lateness, rules: Rules) -> tuple[str, ...]:
    """How the mark comes about, for the student: the sum, lateness, and weights other than the rubric's points."""
    lines = [total_line(regular, extra, late)]
    lines += [f"Late: {late.said}."] if late.said else []
    counted_in = [question for question in QUESTIONS if rules.bonus or question.number != BONUS]
    own = {str(question_label(question.number)): question.points for question in counted_in}
    weights = {name: rules.weights.get(name, most) for name, most in own.items()}
    if weights != own:
        listed = ", ".join(f"{name}: {written(weight)}" for name, weight in weights.items())
        lines.append(f"Questions count for other points than they show ({listed}).")
    return tuple(lines)


def total_line(regular: Weighed, extra: Weighed, late: Lateness) -> str:
    """The sum, and what it is made of."""
    earned = regular.earned + extra.earned
    parts = [f"{written(regular.earned)} of {written(regular.most)}"]
    parts += [f"bonus {written(extra.earned)} of {written(extra.most)}"] if extra.earned else []
    parts += [f"late -{written(late.taken)}"] if late.taken else []
    return f"Mark: {written(earned - late.taken)} points ({', '.join(parts)})"


def outcome_lines(outcome: Outcome, detail: Detail) -> list[str]:
    """One check that lost points, or was given some by hand."""
    earned, most = points(outcome.earned), points(outcome.check.points)
    lines = [f"- {one_line(outcome.check.title)} ({earned} / {most}, {STATUS_WORDS[outcome.status]})"]
    wanted = FULL if detail == "full" else SHORT
    for label, text in explanation(outcome, for_student=True):
        if label in wanted and not (outcome.status == "unimplemented" and label != "by hand"):
            lines.append(f"  {label}: {one_line(text, LONGEST_LINE)}")
    return lines


def report_file(report: Report, mark: Mark, rules: Rules) -> bytes:
    """report.md to hand back: the mark that was published at its head, then the whole report."""
    first, *more = [markdown.prose(line) for line in mark.head]
    head = "\n\n".join([f"**{first}**", *more])
    return f"{head}\n\n{markdown.render(seen_by_students(report, rules.visibility))}".encode()


def results_of(report: Report, mark: Mark, rules: Rules) -> dict[str, Any]:
    """Gradescope's document with the mark that is published."""
    document = gradescope.render(seen_by_students(report, rules.visibility))
    return {**document, "score": mark.points, "output": "\n".join([*mark.head, document["output"]])}


def unfinished(owner: Owner, arrival: Arrival) -> Mark:
    """Of a submission that has no report yet."""
    why = "it is not graded yet: grade the class again, which goes on where it stopped"
    return Mark(owner, 0.0, 0.0, arrival=arrival, unsettled=why)
