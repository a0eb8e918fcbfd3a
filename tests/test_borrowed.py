"""A mistake costs points in the question that grades it, and none in those whose code calls it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from grader.boundary.lending import definitions
from grader.check.declaration import BONUS
from grader.classes.ingest import Submission
from grader.grading import judge as judging
from grader.grading.judge import Bench, Setting, judge, judge_all
from grader.grading.run import Plan, grade
from grader.rubric import CHECKS
from grader.rubric.shared.borrowed import BORROWED

from . import bank
from .bank.whole import MISTAKES

MISTAKE = {mistake.id: mistake for mistake in MISTAKES}
QUICK = [check for check in CHECKS if check.kind != "trained"]
LENT = {borrower: tuple(part for lent in owners.values() for part in lent) for borrower, owners in BORROWED.items()}
# a mistake of each function that is borrowed
ELSEWHERE = ("q1-diagonal-mean", "q1-full-log-det-sign", "q2-standard-twice", "q4-bce-mean", "q4-mse-half",
             "q4-vanilla-not-squashed", "q08-always-mu")  # fmt: skip
# only training sees it in its own question
UNSEEN = "q4-vanilla-one-number"


@pytest.fixture(scope="module")
def bench(reference: Submission) -> Iterator[Bench]:
    with Bench(reference) as running:
        yield running


def give(bench: Bench, sources: Mapping[str, str]) -> None:
    bench.submission = Submission("variant", dict(sources))
    bench.worker.submit(dict(sources), ["starter", "solution"])


def test_owners_come_before_borrowers_and_there_is_a_stand_in() -> None:
    for borrower, owners in BORROWED.items():
        assert all(0 < owner < (borrower if borrower != BONUS else 11) for owner in owners)
    for part in (part for lent in LENT.values() for part in lent):
        assert part.probe in definitions(), part


@pytest.mark.slow
@pytest.mark.parametrize("borrower", sorted(BORROWED))
def test_the_reference_passes_with_what_the_grader_lends(borrower: int, bench: Bench, reference: Submission) -> None:
    give(bench, reference.sources)
    for check in QUICK:
        if check.question == borrower:
            outcome = judge(check, bench, Setting(21), LENT[borrower])
            assert outcome.status == "passed", outcome


@pytest.mark.slow
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_mistake_costs_nothing_where_its_function_is_called(name: str, bench: Bench, reference: Submission) -> None:
    mistake = MISTAKE[name]
    give(bench, bank.apply(reference.sources, mistake))
    borrowers = {borrower for borrower, owners in BORROWED.items() if mistake.question in owners}
    checks = [check for check in QUICK if check.question in borrowers | {mistake.question}]
    outcomes = list(judge_all(checks, bench, Setting(22), lambda _: True))
    assert {o.check.question for o in outcomes if o.status != "passed"} == {mistake.question}
    assert any("in place of yours" in outcome.message for outcome in outcomes)


@pytest.mark.slow
def test_what_is_not_written_yet_costs_nothing_where_it_is_called(bench: Bench, reference: Submission) -> None:
    stub = "def kl_divergence(mu, logvar):\n    raise NotImplementedError('Question 2: kl_divergence')\n"
    give(bench, {**reference.sources, "gaussians": reference.sources["gaussians"] + stub})
    checks = [check for check in QUICK if check.question in (2, 8)]
    outcomes = list(judge_all(checks, bench, Setting(23), lambda _: True))
    assert {o.check.question for o in outcomes if o.status != "passed"} == {2}


@pytest.mark.slow
def test_questions_that_are_graded_side_by_side_lend_as_well(reference: Submission) -> None:
    sources = bank.apply(reference.sources, MISTAKE["q2-standard-twice"])
    plan = Plan(seed=24, device="cpu", dataset="none", dataset_reason="", data_root=None, questions=frozenset({2, 8}),
                kinds=frozenset({"property", "gradient", "statistical"}), visibilities=frozenset({"public", "hidden"}),
                jobs=2)  # fmt: skip
    heard: list[str] = []
    [(_, report)] = grade([Submission("s", sources)], plan, lambda _, found: heard.extend(o.check.id for o in found))
    assert {o.check.question for o in report.outcomes if o.status not in ("passed", "not_run")} == {2}
    assert len(heard) == len(set(heard))


@pytest.mark.slow
def test_what_its_own_question_sees_only_in_training_costs_nothing_elsewhere(
    bench: Bench, reference: Submission
) -> None:
    give(bench, bank.apply(reference.sources, MISTAKE[UNSEEN]))
    outcomes = judge_all([check for check in QUICK if check.question == 5], bench, Setting(1), lambda _: True)
    assert [outcome.check.id for outcome in outcomes if outcome.status != "passed"] == []


def test_training_borrows_only_where_something_was_lost() -> None:
    quick, trained = (next(c for c in CHECKS if c.id == name) for name in ("q8.elbo.value", "q8.trained.elbo"))
    assert set(judging.borrowed(quick, {})) == {2, 4}
    assert not judging.borrowed(trained, {"q2.standard.value": "passed"})
    assert set(judging.borrowed(trained, {"q2.standard.value": "failed"})) == {2}


def test_a_copy_without_the_parts_lends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "HAS_PARTS", False)
    assert not any(judging.borrowed(check, {"q2.standard.value": "failed"}) for check in CHECKS)
