"""What a run folder holds, as reports: for everybody who reads of a run that is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..check.outcome import Outcome, Status
from ..classes.ingest import Submission
from ..report.model import Circumstances, Report, complete
from ..rubric import CHECKS, QUESTIONS
from .store import Row, Store
from .submissions import submission_of
from .verdicts import circumstances_of, outcome_of, override_of


class Graded(NamedTuple):
    """A submission and its report, with the points that were given by hand. `key` tells its owner from all others."""

    key: str
    submission: Submission
    report: Report


def graded(out: Path) -> Sequence[Graded]:
    """All reports of a folder in the order of its gradebook, those of unfinished submissions left out.

    Raises StoreError where there is no run, or its store cannot be read.
    """
    with Store(out) as store:
        return graded_in(store)


def graded_in(store: Store) -> list[Graded]:
    """The same from an open store."""
    return [graded_row(store, row) for row in store.submissions() if row.circumstances]


def graded_row(store: Store, row: Row) -> Graded:
    """A submission that has a report."""
    submission = submission_of(row.content, None if row.text is None else store.sources(row.text))
    asked = frozenset(row.asked)
    if row.text is None:
        outcomes = unread(submission, asked)
    else:
        kept = store.marks(row.key)
        outcomes = {check.id: outcome_of(check, kept[check.id].outcome) for check in CHECKS if check.id in kept}
        outcomes |= {check.id: Outcome(check, "not_run", 0.0) for check in CHECKS if check.id not in asked}
    return Graded(row.key, submission, report_of(store, row.key, submission, outcomes,
                                                 circumstances_of(store.circumstances(row.circumstances))))  # fmt: skip


def report_of(
    store: Store, key: str, submission: Submission, outcomes: Mapping[str, Outcome], circumstances: Circumstances
) -> Report:
    """The report, with points that were given by hand in place of verdicts'.

    This is the only place where reports of a class are made.
    """
    by_hand = store.overrides(key)
    finished = tuple(
        outcome.overridden(override_of(by_hand[outcome.check.id])) if outcome.check.id in by_hand else outcome
        for outcome in complete(outcomes, QUESTIONS)
    )
    duration = sum(outcome.duration_s for outcome in finished)
    return Report(submission.name, tuple(submission.problems), finished, circumstances, duration,
                  submission.owner, submission.arrival, submission.origin, not submission.sources)  # fmt: skip


def unread(submission: Submission, asked: frozenset[str]) -> dict[str, Outcome]:
    """Outcomes where nothing could be read, with every check that is asked for; the report says why, once."""
    status: Status = "error" if submission.fault else "failed"  # what is not the student's doing costs nothing
    return {check.id: Outcome(check, status if check.id in asked else "not_run", 0.0) for check in CHECKS}
