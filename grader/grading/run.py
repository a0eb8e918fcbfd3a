"""Grades submissions: splits the work over processes and puts the outcomes together again.

A lane is a process of the grader with a warm worker of its own. Few submissions are split into parts (a question's
quick checks, or one trained check) that lanes share; of many, each is done by one lane.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import torch

from ..check.datasets import load_dataset
from ..check.declaration import Check
from ..check.outcome import Outcome, Status
from ..check.threads import THREADS
from ..check.thresholds import load_thresholds
from ..classes.ingest import IngestError, Submission, read_submission
from ..report.model import Report
from ..rubric import CHECKS, MODULES, QUESTIONS
from .course import Course
from .engines.local import Lanes
from .engines.values import Engine
from .judge import Bench, Setting, judge_all, libraries
from .plan import Plan as Plan
from .plan import cores as cores
from .pool import Pool
from .store import Kept, Store
from .works import BY_ID, Verdict, Work, still_holds, under_of, unpacked

Ahead = tuple[str, ...] | None  # libraries that the submissions after this one mention; None: it is the last one
QUICK = {check.id: check.kind != "trained" for check in CHECKS}


@dataclass(frozen=True)
class Part:
    """Work for one lane: checks of one submission, by id, and what is known of the checks they need.

    `held` are earlier verdicts of some of them, status and what had a say in it, which still hold if that is as it was.
    """

    index: int
    submission: Submission
    checks: tuple[str, ...]
    known: Mapping[str, Status]
    ahead: Ahead = None
    held: Mapping[str, Kept] = field(default_factory=dict)


def known_right(folder: Path) -> Bench | None:
    """The control of `judge.tripped`; none where the disk does not give it, so that nobody is blamed by its word."""
    try:
        return Bench(read_submission(folder, MODULES))
    except IngestError:
        return None


class Lane:
    """A process's state: the worker stays warm as long as the submission stays the same."""

    def __init__(self, plan: Plan) -> None:
        torch.set_num_threads(THREADS)
        self.plan = plan
        self.control = known_right(plan.control) if plan.control is not None else None
        self.setting = Setting(plan.seed, plan.device, control=self.control)
        if plan.memory is not None:
            quick, trained = (replace(limits, memory=min(limits.memory, plan.memory))
                              for limits in (self.setting.quick, self.setting.trained))  # fmt: skip
            self.setting = replace(self.setting, quick=quick, trained=trained)
        self.pool = Pool(plan.box)
        self.bench: Bench | None = None

    def run(self, part: Part, hear: Callable[[Verdict], None] = lambda verdict: None) -> list[Verdict]:
        """Verdicts of a part, but for those that it held and that still hold; `hear` is told each of them at once."""
        checks = [BY_ID[name] for name in part.checks]
        if self.setting.data is None and any(c.kind == "trained" and self.plan.wants(c) for c in checks):
            data = load_dataset(self.plan.dataset, self.plan.data_root)
            self.setting = replace(self.setting, data=data, thresholds=load_thresholds(data.name))
        if self.bench is None or self.bench.submission != part.submission:
            self.leave()
            self.bench = Bench(part.submission, self.pool)
        self.pool.expect(None if part.ahead is None else [*self.plan.loads(), *part.ahead])
        status: dict[str, Status] = dict(part.known)

        def held(check: Check, known: Mapping[str, Status]) -> Status | None:
            kept = part.held.get(check.id)
            if kept is None or not still_holds(kept, check, known):
                return None
            status[check.id] = kept.outcome["status"]
            return status[check.id]

        verdicts = []
        bench = self.bench
        bench.entered, bench.excused = set(), set()
        bench.patience.forget()
        for outcome in judge_all(checks, bench, self.setting, self.plan.wants, part.known, held):
            under = under_of(outcome.check, status) | {name: status[name] for name in bench.excused if name in status}
            verdict = Verdict(outcome, frozenset(bench.entered), under)
            bench.entered, bench.excused = set(), set()
            status[outcome.check.id] = outcome.status
            hear(verdict)
            verdicts.append(verdict)
        return verdicts

    def turn_to(self, submission: Submission, called_off: Callable[[], bool]) -> None:
        """The next version of one submission: its worker stays (`Bench.turn_to`)."""
        if self.bench is None:
            self.bench = Bench(submission, self.pool)
            self.bench.patience.called_off = called_off
        else:
            self.bench.turn_to(submission, called_off)

    def leave(self) -> None:
        """Ends the worker of the present submission."""
        if self.bench is not None:
            self.bench.close()
            self.bench = None

    def close(self) -> None:
        """Ends the workers."""
        self.leave()
        self.pool.close()
        if self.control is not None:
            self.control.close()


@functools.cache
def lane_of_this_process(plan: Plan) -> Lane:
    """Made on a process's first part, closed when the process ends."""
    lane = Lane(plan)
    Finalize(lane, lane.close, exitpriority=1)
    return lane


Packed = dict[str, Any]


def run_part(plan: Plan, part: Part, tell: Callable[[Packed], None]) -> list[Packed]:
    """In a lane's process: the verdicts of a part, each of them told at once."""
    lane = lane_of_this_process(plan)
    return [verdict.packed() for verdict in lane.run(part, lambda verdict: tell(verdict.packed()))]


def libraries_ahead(following: Sequence[Submission]) -> Ahead:
    """What the lane that now takes a submission will need for its next one, which is one of these."""
    return tuple(sorted({name for one in following for name in libraries(one)})) if following else None


def parts_of(work: Work, ahead: Ahead, split: bool, *, apart: bool = False) -> list[Part]:
    """What is left to do of a text: one part, or, where lanes share a submission, one for each question's quick checks,
    and once these are judged one for each trained check.

    `apart`: not every lane can train, so that training is a part of its own in any case.
    """
    checks = work.left(list(BY_ID))
    quick = [name for name in checks if QUICK[name]]
    if not split:
        groups = [quick or checks] if apart else [checks]
    elif quick:
        groups = [[name for name in quick if BY_ID[name].question == question.number] for question in QUESTIONS]
    else:
        groups = [[name] for name in checks]
    known = {name: one for name, one in work.status.items() if not split or QUICK[name]}
    return [
        Part(work.places[0], work.submission, tuple(names), known, ahead,
             {name: work.pending[name] for name in names if name in work.pending})
        for names in groups if names
    ]  # fmt: skip


Progress = Callable[[int, Sequence[Outcome]], None]
MakeEngine = Callable[[Plan, Callable[[Part, Packed], None]], Engine[Part, list[Packed]]]


def local_engine(plan: Plan, hear: Callable[[Part, Packed], None]) -> Engine[Part, list[Packed]]:
    """Processes of this machine."""
    return Lanes(plan.jobs, functools.partial(run_part, plan), hear)


def grade(submissions: Sequence[Submission], plan: Plan, progress: Progress) -> Iterator[tuple[int, Report]]:
    """Reports as they are finished, with the submission's index, from a store in memory: nothing is left of the run."""
    with Store(None) as store:
        yield from grade_course(Course(submissions, plan, store), progress)


def grade_course(
    course: Course, progress: Progress, known: Progress | None = None, engine: MakeEngine = local_engine
) -> Iterator[tuple[int, Report]]:
    """Reports as they are finished, with the submission's index. `progress` hears of what is judged, `known` of what is
    reused; `engine` makes what works on the parts.

    Every verdict is in the course's store as soon as it is made, and those in it that still hold are not made again.
    Raises StoreError.
    """
    plan, known = course.plan, known or progress
    for index in course.unread:
        report = course.report(index)
        progress(index, report.outcomes)
        yield index, report
    works = list(course.works())
    split = plan.jobs > 1 and len(works) < 2 * plan.jobs
    visible = QUICK if split else None

    def hear(work: Work | None, verdict: Verdict) -> None:
        if work is None or verdict.outcome.check.id in work.outcomes:
            return  # it may be told twice: at once, and with its part
        course.keep(work, verdict)
        for index in work.places:
            progress(index, [verdict.outcome])

    def settle(work: Work) -> None:
        found = [work.outcomes[kept.check] for kept in course.settle(work, visible)]
        for index in work.places:
            known(index, found)

    def reports(work: Work) -> Iterator[tuple[int, Report]]:
        course.counted.add(work)
        for index in work.places:
            yield index, course.report(index, work)
        work.forget()

    for work in works:
        settle(work)
        if not work.left(list(BY_ID)):
            yield from reports(work)
    busy = [work for work in works if work.left(list(BY_ID))]
    ahead: dict[int, Ahead] = {}
    for place, work in enumerate(busy):
        following = busy if split and len(busy) > 1 else busy[place + 1 : place + 1 + plan.jobs]
        ahead[work.places[0]] = libraries_ahead([other.submission for other in following])
    if plan.jobs == 1 and engine is local_engine:
        lane = Lane(plan)
        try:
            for work in busy:
                for part in parts_of(work, ahead[work.places[0]], split=False):
                    lane.run(part, functools.partial(hear, work))
                settle(work)
                yield from reports(work)
        finally:
            lane.close()
        return

    by_place = {work.places[0]: work for work in busy}
    lanes = engine(plan, lambda part, item: hear(by_place.get(part.index), unpacked(item)))
    apart = engine is not local_engine and plan.device != "cpu" and "trained" in plan.kinds
    open_parts = dict.fromkeys(by_place, 0)

    def submit(work: Work) -> None:
        for part in parts_of(work, ahead[work.places[0]], split, apart=apart):
            open_parts[part.index] += 1
            lanes.submit(part)

    for work in busy:
        submit(work)
    for part, found in lanes.results():
        work = by_place[part.index]
        open_parts[part.index] -= 1
        for item in found or ():
            hear(work, unpacked(item))
        if found is None:
            work.lose(part.checks)
        if open_parts[part.index]:
            continue
        settle(work)
        submit(work)
        if not open_parts[part.index]:
            yield from reports(by_place.pop(part.index))
