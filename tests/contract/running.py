"""What must be run to be seen: stubs earn nothing, and of single questions the reference and the bank.

In this process, as the proof does: seconds for the starter, and for a question as long as its mistakes are many.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from grader.check.declaration import Check
from grader.check.outcome import Outcome

from ..bank import Mistake, apply
from ..nearby import judged, judging
from .kit import Finding, Kit

SEED = 11
FREE = ("passed", "not_run")
Wanted = Callable[[Check], bool]


def quick(kit: Kit, questions: Sequence[int] | None = None) -> list[Check]:
    """Checks that do not train, of these questions or of all."""
    return [check for check in kit.checks if check.kind != "trained"
            and (questions is None or check.question in questions)]  # fmt: skip


def stubs_earn_nothing(kit: Kit) -> list[Finding]:
    """The starter, as it is handed out, gets no point of any check."""
    sources = {name: kit.starter[f"{name}.py"] for name in kit.modules if f"{name}.py" in kit.starter}
    outcomes = judged(sources, quick(kit), SEED)
    return [Finding(name, f"gives the starter {outcome.earned:g} points",
                    "ask something of the student's code that a stub cannot answer")
            for name, outcome in outcomes.items() if outcome.earned > 0]  # fmt: skip


def reference_keeps_all(kit: Kit, questions: Sequence[int]) -> list[Finding]:
    """The reference passes."""
    return lost("the reference", judged(kit.sources, quick(kit, questions), SEED))


def alternatives_keep_all(kit: Kit, questions: Sequence[int]) -> Iterator[Finding]:
    """So does every alternative, in its own question."""
    for made in kit.alternatives:
        if made.question in questions:
            yield from lost(made.id, judged(apply(kit.sources, made), quick(kit, [made.question]), SEED + 1))


def mistakes_are_seen(kit: Kit, questions: Sequence[int]) -> Iterator[Finding]:
    """Each mistake loses points in the checks that it names, and its student is asked what the bank says."""
    for mistake in kit.mistakes:
        if mistake.question in questions:
            checks, sources = quick(kit, [mistake.question]), apply(kit.sources, mistake)
            yield from missed(kit, mistake, as_read(kit, mistake, functools.partial(judging, sources, checks, SEED)))


def with_needs(kit: Kit, ids: Collection[str]) -> set[str]:
    """The checks and everything they need."""
    needs = {check.id: check.needs for check in kit.checks}
    todo = set(ids)
    while more := {need for name in todo for need in needs[name]} - todo:
        todo |= more
    return todo


def as_read(kit: Kit, mistake: Mistake, run: Callable[[Wanted], Iterator[Outcome]]) -> dict[str, Outcome]:
    """Outcomes of what a mistake is about: the checks that it names with their needs, and those before the first that its
    student reads about. `run` judges what is wanted, in the rubric's order."""
    needed, lost = with_needs(kit, mistake.fails), list[Outcome]()

    def wanted(check: Check) -> bool:
        return check.kind != "trained" and (check.id in needed or (not lost and check.visibility == "public"))

    outcomes = {}
    for outcome in run(wanted):
        outcomes[outcome.check.id] = outcome
        if outcome.status not in FREE:
            lost.append(outcome)
    return outcomes


def lost(where: str, outcomes: Mapping[str, Outcome]) -> list[Finding]:
    """Checks that refuse what is right."""
    return [Finding(where, f"loses {name} ({outcome.status}): {outcome.message}",
                    "it is correct: widen the check, or mend the reference")
            for name, outcome in outcomes.items() if outcome.status not in FREE]  # fmt: skip


def missed(kit: Kit, mistake: Mistake, outcomes: Mapping[str, Outcome]) -> Iterator[Finding]:
    """Checks that a mistake names and that let it pass, and a first question that is another than the bank's."""
    trained = {check.id for check in kit.checks if check.kind == "trained"}
    for name in mistake.fails:
        if name in trained:
            continue
        status = outcomes[name].status if name in outcomes else "not_run"
        if status in (*FREE, "error"):
            yield Finding(mistake.id, f"{name} does not see it ({status})", "ask more in the check, or mend fails")
    seen = [outcome for outcome in outcomes.values() if outcome.status not in FREE]
    read = next((outcome for outcome in seen if outcome.check.visibility == "public"), seen[0] if seen else None)
    if read is not None and kit.hints.get(mistake.id, "") not in read.hint:
        yield Finding(mistake.id, f"{read.check.id} asks {read.hint!r}: {read.message}",
                      f"it must ask {kit.hints[mistake.id]!r}: give that condition its question, or mend HINTS")  # fmt: skip
