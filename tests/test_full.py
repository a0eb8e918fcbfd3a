"""The whole rubric: the solution gets everything, the starter nothing, on both datasets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from grader.check.datasets import Dataset
from grader.classes.ingest import Submission, read_submission
from grader.grading.run import Plan, grade
from grader.report.model import Report
from grader.report.pictures.draw import pictures_of
from grader.rubric import CHECKS, MODULES, QUESTIONS

from .conftest import ROOT

KINDS = frozenset({"property", "gradient", "statistical", "trained"})
SEED = 20_261


@dataclass
class Silent:
    """Nobody watches the progress."""

    def note(self, index: int, found: object) -> None:
        pass


def report_of(submission: Submission, dataset: str, kinds: frozenset[str], seed: int) -> Report:
    root: Path | None = None
    plan = Plan(seed, "cpu", dataset, "test", root, frozenset(q.number for q in QUESTIONS), kinds,
                frozenset({"public", "hidden"}), jobs=1)  # fmt: skip
    [(_, report)] = list(grade([submission], plan, Silent().note))
    return report


def assert_everything(report: Report, kinds: frozenset[str]) -> None:
    lost = [(o.check.id, o.status, o.message, o.expected, o.actual) for o in report.outcomes
            if o.status != "passed" and o.check.kind in kinds]  # fmt: skip
    assert lost == []
    assert report.score + report.bonus == sum(c.points for c in CHECKS if c.kind in kinds)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_solution_gets_everything_on_digits(reference: Submission, digits: Dataset) -> None:
    report = report_of(reference, digits.name, KINDS, SEED)
    assert_everything(report, KINDS)
    assert (report.score, report.bonus) == (100, 10)
    assert {p.check for p in pictures_of(report)} == {c.id for c in CHECKS if c.kind == "trained"}
    assert [p for p in pictures_of(report) if p.missing or not p.png] == []


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.timeout(1500)
def test_the_solution_gets_every_trained_point_on_mnist(reference: Submission, mnist: Dataset) -> None:
    trained = frozenset({"trained"})
    assert_everything(report_of(reference, mnist.name, trained, SEED + 1), trained)


@pytest.mark.slow
def test_the_starter_gets_exactly_nothing_and_no_grader_error(digits: Dataset) -> None:
    report = report_of(read_submission(ROOT / "starter", MODULES), digits.name, KINDS, SEED)
    assert (report.score, report.bonus) == (0, 0)
    assert report.faults == ()
    assert {o.status for o in report.outcomes} <= {"unimplemented", "skipped"}
