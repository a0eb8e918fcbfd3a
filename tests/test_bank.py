"""The banks against the rubric: every mistake is caught by the checks it names, every alternative keeps its marks.

A mistake runs the checks that must fail, with what they need, as in grading. An alternative runs all quick checks of its
question: every fifth as in grading, the others in this process, as in the proof.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator

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
from .bank.whole import ALTERNATIVES, MISTAKES
from .contract import banks, running
from .contract.kit import read_kit
from .nearby import judged, judging

KIT = read_kit()
BY_ID = {check.id: check for check in CHECKS}
QUICK_MISTAKES = [m for m in MISTAKES if any(BY_ID[c].kind != "trained" for c in m.fails if c in BY_ID)]
TRAINED_MISTAKES = [(m, BY_ID[c]) for m in MISTAKES for c in m.fails if c in BY_ID and BY_ID[c].kind == "trained"]


@pytest.fixture(scope="module")
def bench(reference: Submission) -> Iterator[Bench]:
    with Bench(reference) as running:
        yield running


def with_needs(ids: Collection[str]) -> set[str]:
    """The checks and everything they need."""
    return running.with_needs(KIT, ids)


def run(bench: Bench, sources: dict[str, str], checks: list[Check], seed: int) -> dict[str, Outcome]:
    bench.submission = Submission("variant", sources)
    bench.worker.submit(sources, ["starter", "solution"])
    return {o.check.id: o for o in judge_all(checks, bench, Setting(seed), lambda check: check.kind != "trained")}


def quick(question: int) -> list[Check]:
    return [check for q in QUESTIONS if q.number == question for check in q.checks if check.kind != "trained"]


def test_ids_are_unique_and_checks_exist() -> None:
    assert [*banks.orphans(KIT), *banks.questions_of_mistakes(KIT)] == []


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
    sources, checks = bank.apply(reference.sources, mistake), quick(mistake.question)
    run = functools.partial(judging, sources, checks, 11)
    if mistake in QUICK_MISTAKES[::5]:
        bench.submission = Submission("variant", sources)
        bench.worker.submit(sources, ["starter", "solution"])
        run = functools.partial(judge_all, checks, bench, Setting(11))
    assert list(running.missed(KIT, mistake, running.as_read(KIT, mistake, run))) == []


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
def test_a_submission_written_from_the_handout_alone_keeps_full_marks(
    written: Alternative, reference: Submission
) -> None:
    assert written.whole.keys() <= set(MODULES)  # of files that are younger it has the reference's
    outcomes = judged({**reference.sources, **written.whole}, CHECKS, seed=13)
    assert [(o.check.id, o.message) for o in outcomes.values() if o.status not in ("passed", "not_run")] == []
