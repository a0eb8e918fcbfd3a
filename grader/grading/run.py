"""Grades submissions: splits the work over processes and puts the outcomes together again.

A lane is a process of the grader with a warm worker of its own. Few submissions are split into parts (a question's
quick checks, or one trained check) that lanes share; of many, each is done by one lane.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import torch

from ..boundary.box import Box, Observation, Sandbox, choose
from ..check.datasets import load_dataset
from ..check.declaration import OPTIMIZERS, Check
from ..check.outcome import Outcome, Status
from ..check.threads import THREADS
from ..check.thresholds import load_thresholds
from ..classes.ingest import IngestError, Submission, read_submission
from ..report.model import Circumstances, Report, complete
from ..rubric import CHECKS, MODULES, QUESTIONS
from .engines.local import Lanes
from .judge import LOADS, Bench, Setting, judge_all, libraries
from .pool import Pool

Ahead = tuple[str, ...] | None  # libraries that the submissions after this one mention; None: it is the last one
BY_ID = {check.id: check for check in CHECKS}


@dataclass(frozen=True)
class Plan:
    """What to run and with what, the same for every submission."""

    seed: int
    device: str
    dataset: str  # "digits" or "mnist"; "none" if no trained check is wanted
    dataset_reason: str
    data_root: Path | None
    questions: frozenset[int]
    kinds: frozenset[str]
    visibilities: frozenset[str]
    jobs: int
    box: Box = field(default_factory=lambda: choose("none"))  # what the code runs in
    self_test: tuple[Observation, ...] | None = None  # what was seen of it; None: it was not tried
    control: Path | None = None  # a folder with work that is known to be right, where there is one (`judge.tripped`)

    @property
    def sandbox(self) -> Sandbox:
        """What reports say of the box."""
        return replace(self.box.sandbox, self_test=self.self_test)

    def loads(self) -> list[str]:
        """Libraries that the wanted checks need in a worker."""
        wanted = [check for check in CHECKS if self.wants(check)]
        needed = [OPTIMIZERS if check.kind == "trained" else LOADS[check.question] for check in wanted]
        return list(dict.fromkeys(name for names in needed for name in names))

    def wants(self, check: Check) -> bool:
        """Whether a check is to be run."""
        return check.question in self.questions and check.kind in self.kinds and check.visibility in self.visibilities


@dataclass(frozen=True)
class Part:
    """Work for one lane: checks of one submission, by id, and what is known of the checks they need."""

    index: int
    submission: Submission
    checks: tuple[str, ...]
    known: Mapping[str, Status]
    ahead: Ahead = None


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
        self.pool = Pool(plan.box)
        self.bench: Bench | None = None

    def run(self, part: Part, hear: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
        """Outcomes of a part; `hear` is told each of them at once."""
        checks = [BY_ID[name] for name in part.checks]
        if self.setting.data is None and any(c.kind == "trained" and self.plan.wants(c) for c in checks):
            data = load_dataset(self.plan.dataset, self.plan.data_root)
            self.setting = replace(self.setting, data=data, thresholds=load_thresholds(data.name))
        if self.bench is None or self.bench.submission != part.submission:
            self.leave()
            self.bench = Bench(part.submission, self.pool)
        self.pool.expect(None if part.ahead is None else [*self.plan.loads(), *part.ahead])
        outcomes = []
        for outcome in judge_all(checks, self.bench, self.setting, self.plan.wants, part.known):
            hear(outcome)
            outcomes.append(outcome)
        return outcomes

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


def run_part(plan: Plan, part: Part) -> list[dict[str, Any]]:
    """In a lane's process. Outcomes travel without their check, whose function cannot be pickled."""
    return [{**vars(outcome), "check": outcome.check.id} for outcome in lane_of_this_process(plan).run(part)]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quick_parts(index: int, submission: Submission, ahead: Ahead) -> list[Part]:
    """First phase of a split submission: the quick checks of each question."""
    quick = [tuple(c.id for c in q.checks if c.kind != "trained") for q in QUESTIONS]
    return [Part(index, submission, checks, {}, ahead) for checks in quick]


def trained_parts(index: int, submission: Submission, known: Mapping[str, Status], ahead: Ahead) -> list[Part]:
    """Second phase: every trained check by itself."""
    return [Part(index, submission, (c.id,), known, ahead) for c in CHECKS if c.kind == "trained"]


def libraries_ahead(following: Sequence[Submission]) -> Ahead:
    """What the lane that now takes a submission will need for its next one, which is one of these."""
    return tuple(sorted({name for one in following for name in libraries(one)})) if following else None


Progress = Callable[[int, Sequence[Outcome]], None]


def grade(submissions: Sequence[Submission], plan: Plan, progress: Progress) -> Iterator[tuple[int, Report]]:
    """Reports as they are finished, with the submission's index. `progress` hears of what is finished."""
    outcomes: list[dict[str, Outcome]] = [{} for _ in submissions]
    circumstances = Circumstances(plan.seed, plan.dataset, plan.dataset_reason, plan.device, THREADS, plan.sandbox)

    def note(index: int, found: Sequence[Outcome]) -> None:
        outcomes[index].update({outcome.check.id: outcome for outcome in found})
        progress(index, found)

    def note_one(index: int, outcome: Outcome) -> None:
        note(index, [outcome])

    def report(index: int) -> tuple[int, Report]:
        submission, finished = submissions[index], complete(outcomes[index], QUESTIONS)
        duration = sum(outcome.duration_s for outcome in finished)
        return index, Report(submission.name, tuple(submission.problems), finished, circumstances, duration,
                             submission.owner, submission.arrival, submission.origin)  # fmt: skip

    readable = [index for index, submission in enumerate(submissions) if submission.sources]
    for index in sorted(set(range(len(submissions))) - set(readable)):
        why = submissions[index].problems[0] if submissions[index].problems else "the submission is empty"
        # what is not the student's doing costs nothing
        status: Status = "error" if submissions[index].fault else "failed"
        note(index, [Outcome(c, status if plan.wants(c) else "not_run", 0.0, why) for c in CHECKS])
        yield report(index)
    split = plan.jobs > 1 and len(readable) < 2 * plan.jobs
    ahead: dict[int, Ahead] = {}
    for place, index in enumerate(readable):
        following = readable if split and len(readable) > 1 else readable[place + 1 : place + 1 + plan.jobs]
        ahead[index] = libraries_ahead([submissions[other] for other in following])
    if plan.jobs == 1:
        lane = Lane(plan)
        try:
            for index in readable:
                part = Part(index, submissions[index], tuple(BY_ID), {}, ahead[index])
                lane.run(part, functools.partial(note_one, index))
                yield report(index)
        finally:
            lane.close()
        return

    lanes = Lanes(plan.jobs, functools.partial(run_part, plan))
    open_parts = dict.fromkeys(readable, 0)

    def submit(parts: Sequence[Part]) -> None:
        for part in parts:
            open_parts[part.index] += 1
            lanes.submit(part)

    for index in readable:
        whole = [Part(index, submissions[index], tuple(BY_ID), {}, ahead[index])]
        submit(quick_parts(index, submissions[index], ahead[index]) if split else whole)
    for part, found in lanes.results():
        open_parts[part.index] -= 1
        note(part.index, collected(found))
        if open_parts[part.index]:
            continue
        if split and not part.known:
            known = {name: outcome.status for name, outcome in outcomes[part.index].items()}
            submit(trained_parts(part.index, submissions[part.index], known, part.ahead))
        else:
            yield report(part.index)


def collected(found: Sequence[Mapping[str, Any]] | None) -> list[Outcome]:
    """A part's outcomes; none if its process died, and the report then says that the grader failed on them."""
    return [Outcome(**{**item, "check": BY_ID[item["check"]]}) for item in found or ()]
