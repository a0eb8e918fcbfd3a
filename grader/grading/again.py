"""One check of one submission judged again, with what is stored: for an appeal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from .verdicts import circumstances_of


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


def judged_again(before: Stored, one: Graded, plan: Plan) -> Outcome:
    """What the check finds now."""
    lane = Lane(plan)
    try:
        [verdict] = lane.run(Part(0, one.submission, (before.check.id,), before.known))
    finally:
        lane.close()
    return verdict.outcome


def same_code(before: Stored, plan: Plan) -> bool:
    """Whether everything is as it was that decides a verdict besides the text: code, versions, seed, box, …"""
    return before.kept is not None and before.kept.decided == plan.decided(before.check)
