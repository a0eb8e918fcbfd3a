"""What is known of one text that was handed in, by one student or by several: its verdicts, new and reused.

A verdict is reused where everything that decided it is as it was: the text, or that part of it which the check can see
(`sight`); the code, the seed and the rest of `decides`; and what other checks found, where that has a say (`under_of`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..check.declaration import Check
from ..check.outcome import HARMLESS, Outcome, Status
from ..classes.ingest import Submission
from ..rubric import CHECKS
from ..rubric.shared.borrowed import BORROWED
from .store import Kept
from .verdicts import content_of, outcome_of

BY_ID = {check.id: check for check in CHECKS}
QUESTION = {check.id: check.question for check in CHECKS}


class Verdict(NamedTuple):
    """An outcome, what the check looked up in the submission, and the statuses of others that had a say in it."""

    outcome: Outcome
    seen: frozenset[str]
    under: Mapping[str, str]

    def packed(self) -> dict[str, Any]:
        """As it travels between processes: a check's function cannot."""
        return {"check": self.outcome.check.id, "outcome": content_of(self.outcome), "seen": sorted(self.seen),
                "under": dict(self.under)}  # fmt: skip


def unpacked(content: Mapping[str, Any]) -> Verdict:
    """The verdict that was packed."""
    outcome = outcome_of(BY_ID[content["check"]], content["outcome"])
    return Verdict(outcome, frozenset(content["seen"]), content["under"])


def influences(check: Check) -> Iterator[str]:
    """Checks whose statuses have a say in what becomes of this one (`judge.judge_all`)."""
    yield from check.needs
    for part in check.parts:
        yield from part.checks
    if check.kind == "trained":
        yield from (name for owner in BORROWED.get(check.question, {}) for name in BY_ID if QUESTION[name] == owner)


def under_of(check: Check, status: Mapping[str, str]) -> dict[str, str]:
    """What had a say in a verdict: statuses of its own question, and which of the questions it borrows from lost
    something."""
    own = [*check.needs, *(name for part in check.parts for name in part.checks)]
    found = {name: status[name] for name in own if name in status}
    if check.kind == "trained":
        lost = {QUESTION[name] for name, one in status.items() if one not in HARMLESS and name in QUESTION}
        found |= {f"question {owner}": "lost" for owner in BORROWED.get(check.question, {}) if owner in lost}
    return found


def still_holds(kept: Kept, check: Check, status: Mapping[str, str]) -> bool:
    """Whether what other checks have found is what it was when this verdict was made."""
    now = under_of(check, status)
    extra = {name: status.get(name, "") for name in kept.under if name not in now and name in BY_ID}
    return {**now, **{name: one for name, one in extra.items() if one}} == dict(kept.under)


@dataclass
class Work:
    """One text, the places in the class at which it was handed in, and what is known of it.

    `candidates` may be reused, `rest` are verdicts of checks that this run is not about, which stay in the report.
    """

    text: str
    submission: Submission
    places: list[int]
    wanted: frozenset[str]
    candidates: Mapping[str, Kept] = field(default_factory=dict)
    rest: Mapping[str, Kept] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)  # numbers of the verdicts in the store
    reused: set[str] = field(default_factory=set)
    open: list[str] = field(default_factory=list)  # to be judged
    pending: dict[str, Kept] = field(default_factory=dict)  # to be judged if what has a say in them changes
    older: int = 0  # of `rest`, made by other code or in another box
    dropped: int = 0  # earlier verdicts of checks that this run is not about, which do not hold for this text

    @property
    def status(self) -> dict[str, Status]:
        """What is known so far."""
        return {name: outcome.status for name, outcome in self.outcomes.items()}

    def settle(self, visible: Mapping[str, bool] | None = None) -> list[Kept]:
        """Reuses what can be by now, and sorts the rest into `open` and `pending`; returns what it has reused.

        `visible` says of which checks a trained one is told (`run.grade_course`: an earlier phase's), None: all.
        """
        self.open, self.pending = [], {}
        found: list[Kept] = []
        status = self.status
        for check in CHECKS:
            if check.id in self.outcomes:
                continue
            kept = self.candidates.get(check.id) if check.id in self.wanted else self.rest.get(check.id)
            if kept is None and check.id not in self.wanted:
                self.outcomes[check.id] = Outcome(check, "not_run", 0.0)
                status[check.id] = "not_run"
                continue
            if kept is None:
                self.open.append(check.id)
                continue
            known = status
            if visible is not None and check.kind == "trained":
                known = {name: one for name, one in status.items() if visible[name]}
            if check.id not in self.wanted:
                found.append(self.reuse(kept))
            elif {*self.open, *self.pending} & {*influences(check), *kept.under}:
                self.pending[check.id] = kept
            elif still_holds(kept, check, known):
                found.append(self.reuse(kept))
            else:
                self.open.append(check.id)
            if check.id in self.outcomes:
                status[check.id] = self.outcomes[check.id].status
        return found

    def reuse(self, kept: Kept) -> Kept:
        """A stored verdict is this run's as well."""
        self.outcomes[kept.check] = outcome_of(BY_ID[kept.check], kept.outcome)
        self.reused.add(kept.check)
        return kept

    def lose(self, names: Sequence[str]) -> None:
        """The process that judged these has died, whatever was tried: what it has not told is a fault of ours."""
        for name in self.left(names):
            if name not in self.outcomes:
                why = "the grader failed, not the submission: no result came back"
                self.outcomes[name] = Outcome(BY_ID[name], "error", 0.0, why)

    def forget(self) -> None:
        """Its reports are made: what they hold is not needed any more."""
        self.candidates, self.rest, self.outcomes, self.marks = {}, {}, {}, {}

    def left(self, names: Sequence[str]) -> list[str]:
        """Of these checks, those that a lane has to look at, in the rubric's order."""
        return [name for name in names if name in self.pending or name in self.open]
