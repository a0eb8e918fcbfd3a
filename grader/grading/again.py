"""One check of one submission judged again, with what is stored: for an appeal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..boundary.box import Box, Observation
from ..check.declaration import Check
from ..check.outcome import Outcome, Status
from ..report.model import Circumstances
from ..rubric import CHECKS
from .graded import Graded
from .plan import Plan
from .run import Lane, Part
from .store import Kept, Store
from .verdicts import circumstances_content, circumstances_of
from .verdicts import content_of as outcome_content
from .works import Verdict


@dataclass(frozen=True)
class Stored:
    """A check as it was judged: its verdict, without points given by hand, and under what that was made.

    `kept` is None where there is no verdict: the check was not run. `known` are the statuses of the checks before it,
    which it may build on.
    """

    check: Check
    outcome: Outcome
    kept: Kept | None
    circumstances: Circumstances
    known: Mapping[str, Status]


def stored(store: Store, one: Graded, name: str) -> Stored:
    """What is stored of a check."""
    verdicts = {outcome.check.id: outcome.overridden(None) for outcome in one.report.outcomes}
    outcome, kept = verdicts[name], store.marks(one.key).get(name)
    circumstances = one.report.circumstances
    if kept is not None:
        circumstances = circumstances_of(store.circumstances(kept.circumstances))
    order = [check.id for check in CHECKS]
    known = {other: verdicts[other].status for other in order[: order.index(name)]}
    return Stored(outcome.check, outcome, kept, circumstances, known)


def plan_of(
    before: Stored, box: Box, data_root: Path | None, control: Path | None, self_test: tuple[Observation, ...] | None
) -> Plan:
    """What judges it as it was judged; the box may be another."""
    under, check = before.circumstances, before.check
    return Plan(
        seed=under.seed, device=under.device, dataset=under.dataset, dataset_reason=under.dataset_reason,
        data_root=data_root, questions=frozenset({check.question}), kinds=frozenset({check.kind}),
        visibilities=frozenset({check.visibility}), jobs=1, box=box, self_test=self_test, control=control,
    )  # fmt: skip


def judged_again(before: Stored, one: Graded, plan: Plan) -> Verdict:
    """The check's new verdict."""
    lane = Lane(plan)
    try:
        [verdict] = lane.run(Part(0, one.submission, (before.check.id,), before.known))
    finally:
        lane.close()
    return verdict


def same_code(before: Stored, plan: Plan) -> bool:
    """Whether everything is as it was that decides a verdict besides the text: code, versions, seed, box, …"""
    return before.kept is not None and before.kept.decided == plan.decided(before.check)


def sharing(store: Store, one: Graded, before: Stored) -> list[str]:
    """Keys of everybody with a report who handed in the same text and has the same verdict of the check: the student's
    own, and of those whose work is a copy."""
    rows = [row for row in store.submissions() if row.circumstances]
    [text] = [row.text for row in rows if row.key == one.key]
    old = before.kept.id if before.kept is not None else None
    found = [row.key for row in rows if row.text == text]
    marks = {key: store.marks(key).get(before.check.id) for key in found}
    return [key for key in found if (mark.id if (mark := marks[key]) is not None else None) == old]


def put(store: Store, one: Graded, plan: Plan, verdict: Verdict, keys: Collection[str]) -> None:
    """Stores a new verdict, as that of all these submissions, which have one text.

    Under what their reports were made stays as it was.
    """
    rows = {row.key: row for row in store.submissions()}
    text, check = rows[one.key].text, verdict.outcome.check
    if text is None:
        raise ValueError(f"{one.key} has no text: nothing of it can have been judged")
    number = store.put_circumstances(circumstances_content(plan.circumstances))
    kept = Kept(check.id, plan.decided(check), verdict.outcome.status, outcome_content(verdict.outcome), verdict.seen,
                verdict.under, number)  # fmt: skip
    [new] = store.put_verdicts(text, [kept])
    for key in keys:
        marks = {name: mark.id for name, mark in store.marks(key).items()} | {check.id: new}
        store.put_marks(key, marks, dict.fromkeys([*rows[key].asked, check.id]), rows[key].circumstances)


def leaning_on(store: Store, one: Graded, name: str) -> list[str]:
    """Checks whose verdicts were made with what this one found."""
    return [other for other, kept in store.marks(one.key).items() if name in kept.under]


def with_verdict(one: Graded, outcome: Outcome) -> Graded:
    """The same submission as if this were what was found, with points given by hand where there are any."""
    outcomes = tuple(outcome.overridden(o.override) if o.check is outcome.check else o for o in one.report.outcomes)
    return one._replace(report=replace(one.report, outcomes=outcomes))
