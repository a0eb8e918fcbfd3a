"""The banks against the rubric: every mistake is caught by the checks it names, every alternative keeps its marks.

A mistake runs the checks that must fail, with what they need, as in grading. An alternative runs all quick checks of its
question: every fifth as in grading, the others in this process, as in the proof.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from grader.check.datasets import Dataset
from grader.check.declaration import Check
from grader.check.outcome import Outcome
from grader.check.thresholds import load_thresholds
from grader.classes.ingest import Submission
from grader.grading.judge import Bench, Setting, judge, judge_all
from grader.rubric import CHECKS, MODULES, QUESTIONS

from . import bank
from .bank import Alternative, Mistake
from .bank.architectures import LAYOUTS
from .bank.hints import HINTS
from .nearby import judged, judging

BANKS = [importlib.import_module(f"tests.bank.{name}") for name in
         ("q01", "q02", "q03", "q04", "q05", "q06", "q07", "q08", "q09", "q10", "bonus", "blind", "rewritten",
          "architectures")]  # fmt: skip
MISTAKES: list[Mistake] = [mistake for module in BANKS for mistake in module.MISTAKES]
ALTERNATIVES: list[Alternative] = [alternative for module in BANKS for alternative in module.ALTERNATIVES]
BY_ID = {check.id: check for check in CHECKS}
QUICK_MISTAKES = [m for m in MISTAKES if any(BY_ID[c].kind != "trained" for c in m.fails if c in BY_ID)]
TRAINED_MISTAKES = [(m, BY_ID[c]) for m in MISTAKES for c in m.fails if c in BY_ID and BY_ID[c].kind == "trained"]


@pytest.fixture(scope="module")
def bench(reference: Submission) -> Iterator[Bench]:
    with Bench(reference) as running:
        yield running


def with_needs(ids: set[str]) -> set[str]:
    """The checks and everything they need."""
    todo = set(ids)
    while more := {need for name in todo for need in BY_ID[name].needs} - todo:
        todo |= more
    return todo


def run(bench: Bench, sources: dict[str, str], checks: list[Check], seed: int) -> dict[str, Outcome]:
    bench.submission = Submission("variant", sources)
    bench.worker.submit(sources, ["starter", "solution"])
    return {o.check.id: o for o in judge_all(checks, bench, Setting(seed), lambda check: check.kind != "trained")}


def quick(question: int) -> list[Check]:
    return [check for q in QUESTIONS if q.number == question for check in q.checks if check.kind != "trained"]


def test_ids_are_unique_and_checks_exist() -> None:
    ids = [mistake.id for mistake in MISTAKES] + [alternative.id for alternative in ALTERNATIVES]
    assert len(ids) == len(set(ids))
    assert {m.id for m in QUICK_MISTAKES} <= HINTS.keys() <= {m.id for m in MISTAKES}  # declared for each
    for mistake in MISTAKES:
        assert mistake.fails, f"{mistake.id} names no check"
        assert set(mistake.fails + mistake.may_fail) <= BY_ID.keys(), mistake.id
        assert all(BY_ID[name].question == mistake.question for name in mistake.fails), mistake.id


def test_the_banks_are_large_enough() -> None:
    assert len(MISTAKES) >= 200
    assert len(ALTERNATIVES) >= 60
    assert {m.question for m in MISTAKES} == {a.question for a in ALTERNATIVES} == {q.number for q in QUESTIONS}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", QUICK_MISTAKES, ids=lambda m: m.id)
def test_a_mistake_loses_points_in_its_own_question(mistake: Mistake, bench: Bench, reference: Submission) -> None:
    """The checks that it names see it, and the first failing check of the question asks what is to be asked.

    Every fifth as in grading, the others in this process.
    """
    named = {name for name in mistake.fails if BY_ID[name].kind != "trained"}
    sources, needed = bank.apply(reference.sources, mistake), with_needs(named)
    lost: list[Outcome] = []

    def wanted(check: Check) -> bool:  # a student reads in the rubric's order
        return check.kind != "trained" and (check.id in needed or (not lost and check.visibility == "public"))

    if mistake in QUICK_MISTAKES[::5]:
        bench.submission = Submission("variant", sources)
        bench.worker.submit(sources, ["starter", "solution"])
        judging_all = judge_all(quick(mistake.question), bench, Setting(11), wanted)
    else:
        judging_all = judging(sources, quick(mistake.question), 11, wanted)
    outcomes = {}
    for outcome in judging_all:
        outcomes[outcome.check.id] = outcome
        if outcome.status not in ("passed", "not_run"):
            lost.append(outcome)
    for name in named:
        assert outcomes[name].status not in ("passed", "error", "not_run"), f"{name} does not see it: {outcomes[name]}"
    read = next((outcome for outcome in lost if outcome.check.visibility == "public"), lost[0])
    assert HINTS[mistake.id] in read.hint, f"{read.check.id} asks {read.hint!r}: {read.message}"


@pytest.mark.slow
@pytest.mark.parametrize(("mistake", "check"), TRAINED_MISTAKES, ids=[f"{m.id}-{c.id}" for m, c in TRAINED_MISTAKES])
def test_a_mistake_loses_points_of_a_trained_check(
    mistake: Mistake, check: Check, bench: Bench, reference: Submission, digits: Dataset
) -> None:
    sources = bank.apply(reference.sources, mistake)
    bench.submission = Submission("variant", sources)
    bench.worker.submit(sources, ["starter", "solution"])
    # what falls short is trained again for much longer, which takes most of the time: every fifth as in grading
    repeat = (mistake, check) in TRAINED_MISTAKES[::5]
    outcome = judge(check, bench, Setting(11, "cpu", digits, load_thresholds("digits")), repeat=repeat)
    assert outcome.status not in ("error", "not_run"), outcome
    assert outcome.earned < check.points, outcome


@pytest.mark.slow
@pytest.mark.parametrize("alternative", ALTERNATIVES, ids=lambda a: a.id)
def test_an_alternative_keeps_full_marks(alternative: Alternative, bench: Bench, reference: Submission) -> None:
    sources = bank.apply(reference.sources, alternative)
    checks = quick(alternative.question)
    as_graded = alternative in ALTERNATIVES[::5]
    outcomes = run(bench, sources, checks, seed=12) if as_graded else judged(sources, checks, seed=12)
    lost = {name: (o.status, o.message, o.expected, o.actual) for name, o in outcomes.items() if o.status != "passed"}
    assert not lost


# those that fell short of the first budget of an earlier version, and some that have more layers, or fewer
TRAINED_LAYOUTS = [
    (made, BY_ID[check]) for name, (made, checks) in LAYOUTS.items() for check in checks
    if name in {"q4-layout-autoencoder-deep-and-narrow", "q4-layout-autoencoder-dropout", "q4-layout-conv-few-channels",
                "q5-layout-denoiser-batch-norm", "q8-layout-conv-burgess",
                "q10-layout-half-the-channels", "bonus-layout-prior-elu-and-dropout"}
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("made", "check"), TRAINED_LAYOUTS, ids=[f"{a.id}-{c.id}" for a, c in TRAINED_LAYOUTS])
def test_another_layout_keeps_its_trained_points(
    made: Alternative, check: Check, bench: Bench, reference: Submission, digits: Dataset
) -> None:
    sources = bank.apply(reference.sources, made)
    bench.submission = Submission("variant", sources)
    bench.worker.submit(sources, ["starter", "solution"])
    outcome = judge(check, bench, Setting(14, "cpu", digits, load_thresholds("digits")))
    assert outcome.status == "passed", outcome


@pytest.mark.slow
@pytest.mark.parametrize("written", [a for a in ALTERNATIVES if a.whole], ids=lambda a: a.id)
def test_a_submission_written_from_the_handout_alone_keeps_full_marks(written: Alternative) -> None:
    assert written.whole.keys() == set(MODULES)
    outcomes = judged(written.whole, CHECKS, seed=13)
    assert [(o.check.id, o.message) for o in outcomes.values() if o.status not in ("passed", "not_run")] == []
