"""The report of one submission: outcomes added up. Everything that is rendered is rendered from here."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from .. import __version__
from ..boundary.box import Sandbox
from ..check.declaration import BONUS, Question
from ..check.outcome import Outcome, Override
from ..classes.people import Arrival, Owner
from ..rubric import QUESTIONS, rubric_hash
from .printable import name_of, one_line, printable, problems_of

SCHEMA_VERSION = 1
PACKAGES = ("torch", "numpy", "scikit-learn", "hypothesis")


def versions() -> dict[str, str]:
    """What decides a result besides the submission."""
    found = {"grader": __version__, "rubric_hash": rubric_hash(), "python": platform.python_version()}
    return found | {name.replace("-", "_"): metadata.version(name) for name in PACKAGES}


@dataclass(frozen=True)
class Circumstances:
    """Under what a submission was graded; `sandbox` says what stood around its code, `versions` what judged it."""

    seed: int
    dataset: str
    dataset_reason: str
    device: str
    threads: int  # of every process that judges or trains, whatever the number of processes and cores
    sandbox: Sandbox
    versions: Mapping[str, str] = field(default_factory=versions)


@dataclass(frozen=True)
class Sum:
    """Points of some checks: all that can be had, those that were not run, those the grader failed on, those earned."""

    most: float
    not_run: float
    unjudged: float
    earned: float

    @property
    def judged(self) -> float:
        """Points that were at stake."""
        return round(self.most - self.not_run - self.unjudged, 6)


def sum_of(outcomes: Iterable[Outcome], withheld: float = 0.0) -> Sum:
    """The points of outcomes, and of checks that are not in this copy of the rubric."""
    found = list(outcomes)

    def worth(some: Iterable[Outcome]) -> float:
        return round(sum(o.check.points for o in some), 6)

    not_run, unjudged = (o for o in found if o.left_out), (o for o in found if o.fault)
    return Sum(round(worth(found) + withheld, 6), round(worth(not_run) + withheld, 6), worth(unjudged),
               round(sum(o.earned for o in found), 6))  # fmt: skip


def withheld(*, bonus: bool) -> float:
    """Points of checks that are not in this copy of the rubric (`Question.withheld`), of the bonus or of the others."""
    return round(sum(question.withheld for question in QUESTIONS if (question.number == BONUS) is bonus), 6)


@dataclass(frozen=True)
class Report:
    """All outcomes of a submission, in the rubric's order: every check of the rubric is there exactly once."""

    submission: str
    problems: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    circumstances: Circumstances
    duration_s: float  # of this submission alone: what its checks took, added up
    owner: Owner | None = None  # None: the name is all that is known
    arrival: Arrival = field(default_factory=Arrival)
    origin: str = ""  # where it lay, from the path that was given
    unread: bool = False  # nothing could be read, for the reason that `problems` begin with: no check says it again

    def earned(self, question: Question) -> float:
        """Points of one question."""
        return sum(o.earned for o in self.outcomes if o.check.question == question.number)

    def of(self, question: Question) -> Sum:
        """Points of one question, judged and not."""
        return sum_of((o for o in self.outcomes if o.check.question == question.number), question.withheld)

    @property
    def regular(self) -> Sum:
        """Points of the regular questions, judged and not."""
        return sum_of((o for o in self.outcomes if not o.check.bonus), withheld(bonus=False))

    @property
    def extra(self) -> Sum:
        """Points of the bonus, judged and not."""
        return sum_of((o for o in self.outcomes if o.check.bonus), withheld(bonus=True))

    @property
    def score(self) -> float:
        """Points of the regular questions."""
        return sum(o.earned for o in self.outcomes if not o.check.bonus)

    @property
    def max_score(self) -> float:
        """Points of the regular questions that can be had."""
        return sum(q.points for q in QUESTIONS if q.number != BONUS)

    @property
    def bonus(self) -> float:
        """Bonus points."""
        return sum(o.earned for o in self.outcomes if o.check.bonus)

    @property
    def max_bonus(self) -> float:
        """Bonus points that can be had."""
        return sum(q.points for q in QUESTIONS if q.number == BONUS)

    def points(self, *statuses: str) -> float:
        """Points of the checks with one of these statuses, but for those that somebody has given points for."""
        elsewhere = withheld(bonus=False) + withheld(bonus=True) if "not_run" in statuses else 0.0
        return elsewhere + sum(o.check.points for o in self.outcomes if o.status in statuses and o.override is None)

    @property
    def faults(self) -> tuple[Outcome, ...]:
        """Checks that the grader itself could not judge."""
        return tuple(o for o in self.outcomes if o.fault)

    @property
    def overridden(self) -> tuple[Outcome, ...]:
        """Checks whose points were given by hand."""
        return tuple(o for o in self.outcomes if o.override is not None)


def question_label(number: int) -> int | str:
    """1 … 10, or "bonus"."""
    return "bonus" if number == BONUS else number


def number(value: float) -> float | None:
    """A finite number, rounded so that 0.1 + 0.2 reads as 0.3; None for NaN and infinity, which JSON lacks."""
    return round(value, 6) if math.isfinite(value) else None


def as_dict(report: Report) -> dict[str, Any]:
    """The content of report.json; ``schema.json`` describes it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "submission": name_of(report.submission),
        "score": number(report.score),
        "max_score": number(report.max_score),
        "bonus": number(report.bonus),
        "max_bonus": number(report.max_bonus),
        "judged_points": number(report.regular.judged),
        "judged_bonus_points": number(report.extra.judged),
        "not_run_points": number(report.points("not_run")),
        "unjudged_points": number(report.points("error")),
        "problems": problems_of(report.problems),
        "seed": report.circumstances.seed,
        "dataset": report.circumstances.dataset,
        "dataset_reason": one_line(report.circumstances.dataset_reason),
        "device": report.circumstances.device,
        "threads": report.circumstances.threads,
        "duration_s": round(report.duration_s, 3),
        "versions": dict(report.circumstances.versions),
        "sandbox": sandbox_dict(report.circumstances.sandbox),
        "checks": [(short_dict if report.unread else outcome_dict)(outcome) for outcome in report.outcomes],
    }


def sandbox_dict(sandbox: Sandbox) -> dict[str, Any]:
    """What stood around the code, and what was seen when that was tried; null if it was not."""
    seen = None
    if sandbox.self_test is not None:
        seen = [{"what": one.what, "held": one.held, "seen": one_line(one.seen)} for one in sandbox.self_test]
    return {"backend": sandbox.backend, "layers": [*sandbox.layers], "missing": [*sandbox.missing], "self_test": seen}


def short_dict(outcome: Outcome) -> dict[str, Any]:
    """The same of a check that could not begin, because nothing was read: which it is, and its points."""
    content = outcome_dict(outcome)
    by_hand = {"override": content["override"]} if outcome.override is not None else {}
    return {name: content[name] for name in ("id", "question", "points", "max_points", "bonus", "status")} | by_hand


def outcome_dict(outcome: Outcome) -> dict[str, Any]:
    """One entry of `checks`."""
    check = outcome.check
    return {
        "id": check.id,
        "question": question_label(check.question),
        "kind": check.kind,
        "title": check.title,
        "asks": check.asks,
        "points": number(outcome.earned),
        "max_points": number(check.points),
        "bonus": check.bonus,
        "visibility": check.visibility,
        "status": outcome.status,
        "message": printable(outcome.message),
        "hint": printable(outcome.hint),
        "expected": printable(outcome.expected),
        "actual": printable(outcome.actual),
        "looks": printable(outcome.looks),
        "call": printable(outcome.call),
        "counterexample": {one_line(name): printable(value) for name, value in outcome.counterexample.items()},
        "measured": {name: number(m.value) for name, m in outcome.measured.items()},
        "duration_s": round(outcome.duration_s, 3),
        "override": override_dict(outcome.override),
    }


def override_dict(override: Override | None) -> dict[str, Any] | None:
    """Points that were given by hand; null where the verdict counts."""
    if override is None:
        return None
    return {
        "points": number(override.points),
        "instead_of": number(override.instead_of),
        "comment": printable(override.comment),
        "author": name_of(override.author),
        "at": override.at.isoformat(timespec="seconds"),
        "of_earlier": override.of_earlier,
    }


def complete(outcomes: Mapping[str, Outcome], questions: Sequence[Question]) -> tuple[Outcome, ...]:
    """Outcomes in the rubric's order. A check without one is a fault of ours, never a pass and never a silent loss."""
    return tuple(
        outcomes.get(check.id)
        or Outcome(check, "error", 0.0, "the grader failed, not the submission: no result came back")
        for question in questions
        for check in question.checks
    )
