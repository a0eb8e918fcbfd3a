"""What one mistake costs, and what it is told: one cause loses its points once, and no size hides it.

The figures are those of the rubric: the check of the part itself, and further conditions of that same part.
"""

from __future__ import annotations

import importlib

import pytest

from grader.check.outcome import Outcome
from grader.classes.ingest import Submission
from grader.rubric import QUESTIONS

from . import bank
from .bank import Mistake
from .nearby import judged

BANKS = {number: importlib.import_module(f"tests.bank.q{number:02}") for number in (1, 2, 3, 6, 7)}
BY_ID: dict[str, Mistake] = {mistake.id: mistake for module in BANKS.values() for mistake in module.MISTAKES}


def lost(reference: Submission, name: str) -> list[Outcome]:
    """The quick checks of its question that a mistake loses, in order."""
    mistake = BY_ID[name]
    checks = next(question.checks for question in QUESTIONS if question.number == mistake.question)
    outcomes = judged(bank.apply(reference.sources, mistake), checks, seed=17).values()
    return [outcome for outcome in outcomes if outcome.status not in ("passed", "not_run")]


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("q2-univariate-no-log-ratio", {"q2.univariate.value": 1.25}),  # all divergences are built on this one
        ("q2-diagonal-mean", {"q2.diagonal.value": 1.0}),
        # the extremes are those of what it computes; where all that a check asks about is one function, nothing stands in
        ("q2-standard-batch-mean", {"q2.standard.value": 1.5, "q2.gradient.standard": 0.5}),
        ("q2-standard-twice", {"q2.standard.value": 1.5, "q2.gradient.standard": 0.5}),
        ("q2-standard-epsilon", {"q2.standard.extremes": 0.5}),  # a small guard is one condition of one check
        ("q1-sigma-for-variance", {"q1.univariate.value": 0.5}),
        ("q1-variance-epsilon", {"q1.diagonal.underflow": 0.5}),
        ("q1-expectation-summed-over-batch", {"q1.pmf.expectation": 0.25}),
        ("q1-pmf-sum-exact", {"q1.pmf.errors": 0.25}),
        ("q3-pca-kept-in-reverse", {"q3.pca.components": 0.75, "q3.pca.degenerate": 0.25}),
        ("q3-encode-without-mean", {"q3.pca.codes": 0.75, "q3.pca.degenerate": 0.25}),
        ("q3-pca-centres-in-place", {"q3.pca.degenerate": 0.25}),
        ("q3-compare-training-mode", {"q3.compare.mode": 0.5}),
        # fit's history is made with it; that evaluate changes nothing shows in its values, too
        ("q6-evaluate-unweighted", {"q6.evaluate.value": 0.5, "q6.evaluate.state": 0.25}),
        ("q6-fit-unweighted", {"q6.fit.history": 0.5}),  # stages are trained by it
        ("q6-stopping-one-late", {"q6.stopping.patience": 0.5, "q6.stopping.edges": 0.25}),
        ("q6-stage-ignores-generator", {"q6.stage.arguments": 0.25}),
        ("q7-shared-encoder", {"q7.classifier.copy": 0.75}),
        ("q7-fresh-encoder", {"q7.classifier.logits": 0.5}),
        ("q7-mean-over-all-rows", {"q7.loss.value": 0.75}),  # all training is done with it
        ("q7-finetune-thaws", {"q7.finetune.learns": 0.5}),
        ("q7-frozen-before-pretraining", {"q7.twostage.encoder": 1.0}),
        ("q7-second-stage-ignores-generator", {"q7.twostage.arguments": 0.5}),
        ("q7-trainjoint-ignores-batch-size", {"q7.trainjoint.loop": 0.25}),
        ("q7-trainjoint-autoencoder-only", {"q7.trainjoint.learns": 0.5}),
    ],
)
def test_one_cause_costs_once(reference: Submission, name: str, price: dict[str, float]) -> None:
    assert {outcome.check.id: outcome.check.points - outcome.earned for outcome in lost(reference, name)} == price


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("q2-standard-batch-mean", "the mean of all examples of the batch"),
        ("q2-standard-reversed", "KL(N(0, 1) || N(mu, sigma^2)), the divergence the other way round"),
        ("q2-standard-wrong-axis", "a sum over the examples for each dimension"),
        ("q1-diagonal-batch-summed", "the sum of all examples of the batch"),
        ("q1-conditional-first-class", "what it would be if all examples had the class of the first"),
        ("q3-encode-own-mean", "codes relative to the mean of the points given"),
        ("q6-evaluate-unweighted", "the mean of the batches' means"),
        ("q6-decay-norm", "coefficient/2 times a sum of norms"),
        ("q7-alpha-mixes", "(1 - alpha) · reconstruction + alpha · classification"),
        ("q7-trainjoint-ignores-labels", "the reconstruction alone"),
    ],
)
def test_the_first_failure_says_what_the_wrong_value_equals(reference: Submission, name: str, looks: str) -> None:
    first = lost(reference, name)[0]
    assert (first.looks, first.expected != first.actual) == (looks, True)


def test_a_small_error_is_shown_in_as_many_digits_as_it_takes(reference: Submission) -> None:
    first = lost(reference, "q1-variance-epsilon")[0]
    assert first.expected.partition("]")[0] != first.actual.partition("]")[0]
