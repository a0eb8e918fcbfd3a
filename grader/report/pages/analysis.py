"""What a class's reports say of the assignment: how hard each check is, whether it tells good work from weak, what goes
wrong alike. Plain numbers; people are places in the list of reports.

Of a submission of which nothing could be read nothing is counted: it would only make every check look alike.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ...check.outcome import Outcome
from ...rubric import CHECKS, QUESTIONS
from ..model import Report

FEWEST = 10  # students of whom a correlation says anything
FEW = 3  # students on the smaller side of one that is worth a flag, and of whom "all" and "none" are said
WEAK = 0.1  # a discrimination below it is none
BINS = 10
PIECE = re.compile(r"[-+]?\d[\d.,e+-]*")
PLACE = re.compile(r" at [^,]+, line .*", re.DOTALL)
ACCIDENTS = ("timeout", "memory", "crashed", "limit", "violation", "error")
SAYS_NOTHING = ("passed", "not_run", "skipped", "unimplemented", "error")  # nothing was found wrong in code that ran
EVERYBODY, NOBODY, GOOD_FAIL, TELLS_LITTLE = (
    "everybody passes", "nobody passes", "good students fail it", "hardly tells good work from weak"
)  # fmt: skip

Numbers: TypeAlias = npt.NDArray[np.float64]
Truths: TypeAlias = npt.NDArray[np.bool_]


class Figures(NamedTuple):
    """Of a check or a question. Ratios are None where nobody was judged, `discrimination` where it says nothing."""

    judged: int
    passed: int
    pass_rate: float | None
    mean_share: float | None
    discrimination: float | None
    median_s: float | None
    longest_s: float | None
    flag: str


class Spread(NamedTuple):
    """Marks in percent of what was judged: how many there are, what they are like, and how many lie in each tenth."""

    size: int
    mean: float
    median: float
    deviation: float
    least: float
    most: float
    bins: Sequence[int]


class Misconception(NamedTuple):
    """A question that was asked, by which checks, and of whom."""

    question: int
    hint: str
    checks: Sequence[str]
    who: Sequence[int]


class Cluster(NamedTuple):
    """A check that fails alike for several; `example` is the first one's outcome."""

    example: Outcome
    who: Sequence[int]


class Accident(NamedTuple):
    """Checks of one submission that ended otherwise than by a verdict."""

    who: int
    status: str
    outcomes: Sequence[Outcome]


class Analysis(NamedTuple):
    """All of it. `checks` and `questions` go by id and number, in the rubric's order."""

    marks: Spread | None
    checks: Mapping[str, Figures]
    questions: Mapping[int, Figures]
    misconceptions: Sequence[Misconception]
    clusters: Sequence[Cluster]
    accidents: Sequence[Accident]


def analysed(reports: Sequence[Report]) -> Analysis:
    """The figures of a class."""
    read = [report for report in reports if not report.unread]
    places = [place for place, report in enumerate(reports) if not report.unread]
    earned, worth, full, seconds = tables_of(read)
    checks = {
        check.id: figures(full[:, k], earned[:, [k]], worth[:, [k]], earned, worth, seconds[:, k])
        for k, check in enumerate(CHECKS)
    }
    questions = {}
    for question in QUESTIONS:
        own = [k for k, check in enumerate(CHECKS) if check.question == question.number]
        judged = worth[:, own] > 0
        passed = np.asarray((full[:, own] | ~judged).all(axis=1))
        questions[question.number] = figures(passed, earned[:, own], worth[:, own], earned, worth,
                                             seconds[:, own].sum(axis=1))  # fmt: skip
    percents = [percent for report in read if (percent := percent_of(report)) is not None]
    return Analysis(spread(percents), checks, questions, misconceptions(read, places), clusters(read, places),
                    accidents(read, places))  # fmt: skip


def percent_of(report: Report) -> float | None:
    """The mark of a report in percent of the regular points that were judged; None if none was."""
    total = report.regular
    return 100 * total.earned / total.judged if total.judged else None


def tables_of(reports: Sequence[Report]) -> tuple[Numbers, Numbers, Truths, Numbers]:
    """Of every report (row) and check (column): points earned, points at stake (0 where it was not judged), whether
    nothing was lost, and seconds."""
    shape = (len(reports), len(CHECKS))
    earned, worth, seconds = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    full = np.zeros(shape, dtype=bool)
    for row, report in enumerate(reports):
        for column, outcome in enumerate(report.outcomes):
            seconds[row, column] = outcome.duration_s
            if not (outcome.left_out or outcome.fault):
                earned[row, column], worth[row, column] = outcome.earned, outcome.check.points
                full[row, column] = outcome.full
    return earned, worth, full, seconds


def figures(
    full: Truths, earned: Numbers, worth: Numbers, all_earned: Numbers, all_worth: Numbers, seconds: Numbers
) -> Figures:
    """Of one item, from its own columns and those of everything."""
    own_earned, own_worth = earned.sum(axis=1), worth.sum(axis=1)
    judged = own_worth > 0
    count, passed = int(judged.sum()), int((full & judged).sum())
    rest_worth = all_worth.sum(axis=1) - own_worth
    known = judged & (rest_worth > 0)
    rest = (all_earned.sum(axis=1) - own_earned)[known] / rest_worth[known]
    told = discrimination(full[known], rest)
    took = seconds[judged & (seconds > 0)]
    return Figures(
        judged=count, passed=passed, pass_rate=passed / count if count else None,
        mean_share=float((own_earned[judged] / own_worth[judged]).mean()) if count else None, discrimination=told,
        median_s=float(np.median(took)) if took.size else None, longest_s=float(took.max()) if took.size else None,
        flag=flag(count, passed, told),
    )  # fmt: skip


def discrimination(passed: Truths, rest: Numbers) -> float | None:
    """The point-biserial correlation of passing with the share of everything else that was earned.

    None where it says nothing: few students, all of one kind, or all with the same rest.
    """
    if passed.size < FEWEST or passed.all() or not passed.any() or np.ptp(rest) < 1e-9:
        return None
    return float(np.corrcoef(passed.astype(float), rest)[0, 1])


def flag(count: int, passed: int, told: float | None) -> str:
    """Why somebody should look at an item; empty if nothing is odd about it."""
    if count >= FEW and passed in (0, count):
        return EVERYBODY if passed else NOBODY
    if told is None or min(passed, count - passed) < FEW or told >= WEAK:
        return ""
    return GOOD_FAIL if told < 0 else TELLS_LITTLE


def spread(percents: Sequence[float]) -> Spread | None:
    """Marks as a distribution; None if there are none. 100 lies in the last tenth."""
    if not percents:
        return None
    values = np.array(percents)
    bins = Counter(min(BINS - 1, max(0, int(value * BINS / 100 + 1e-9))) for value in percents)
    ends = float(values.min()), float(values.max())
    return Spread(len(percents), float(values.mean()), float(np.median(values)), float(values.std()), *ends,
                  [bins[k] for k in range(BINS)])  # fmt: skip


def misconceptions(reports: Sequence[Report], places: Sequence[int]) -> list[Misconception]:
    """Questions that were asked, that which was asked of most first."""
    who: dict[tuple[int, str], list[int]] = defaultdict(list)
    by: dict[tuple[int, str], dict[str, None]] = defaultdict(dict)
    for place, report in zip(places, reports, strict=True):
        for outcome in report.outcomes:
            if outcome.hint and not outcome.full and outcome.status not in SAYS_NOTHING:
                key = outcome.check.question, outcome.hint
                by[key][outcome.check.title] = None
                if who[key][-1:] != [place]:
                    who[key].append(place)
    found = [Misconception(*key, list(by[key]), people) for key, people in who.items()]
    return sorted(found, key=lambda one: -len(one.who))


def clusters(reports: Sequence[Report], places: Sequence[int]) -> list[Cluster]:
    """Checks that fail alike for two or more, the largest group first."""
    groups: dict[tuple[str, str, str], list[tuple[int, Outcome]]] = defaultdict(list)
    for place, report in zip(places, reports, strict=True):
        for outcome in report.outcomes:
            if not outcome.full and outcome.status not in SAYS_NOTHING:
                groups[outcome.check.id, outcome.status, alike(outcome)].append((place, outcome))
    found = [Cluster(one[0][1], [place for place, _ in one]) for one in groups.values() if len(one) > 1]
    return sorted(found, key=lambda one: -len(one.who))


def without_place(message: str) -> str:
    """A message without the line of code at which it came about."""
    return PLACE.sub("", message)


def alike(outcome: Outcome) -> str:
    """What two outcomes share if they fail alike: what wrong values look like, else the message without its numbers and
    places."""
    text = without_place(outcome.looks or outcome.message)
    return " ".join(PIECE.sub("#", text).split()).casefold()


def accidents(reports: Sequence[Report], places: Sequence[int]) -> list[Accident]:
    """What ended in no verdict on values, of each submission and kind, in the order of `ACCIDENTS`."""
    found = []
    for status in ACCIDENTS:
        for place, report in zip(places, reports, strict=True):
            own = [outcome for outcome in report.outcomes if outcome.status == status]
            if own:
                found.append(Accident(place, status, own))
    return found
