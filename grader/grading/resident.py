"""One student's work, judged again whenever it has changed: PyTorch, the worker and all verdicts stay in memory.

What is judged is what `course` leaves to do for a run folder: the checks that can see the change. Within that, those
come first that have failed before, in an order in which each check finds what it builds on judged already.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from ..boundary.ends import CalledOff as CalledOff
from ..check.declaration import Check
from ..check.outcome import HARMLESS, Outcome
from ..classes.ingest import Submission
from ..report.model import Report
from ..rubric import CHECKS
from .course import Course
from .plan import Plan
from .run import Lane, Part
from .store import Store
from .works import BY_ID, QUESTION, Verdict, Work, influences

KEY = "resident"  # of the one submission in the store
MOST_TEXTS = 50  # that are remembered, so that what was undone is not judged again
PLACE = {check.id: place for place, check in enumerate(CHECKS)}
Hear = Callable[[Outcome], None]


def nobody(outcome: Outcome) -> None:
    """Hears nothing."""


def never() -> bool:
    """Nothing is called off."""
    return False


class Resident:
    """What stays alive between two versions of a submission. Close it, or use it as a context manager."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lane = Lane(plan)
        self.store = Store(None)
        self.texts = 0

    def take(self, submission: Submission, called_off: Callable[[], bool] = never) -> Version:
        """The next version, with all earlier verdicts that hold for it. Raises StoreError.

        `called_off` is asked all the time while it is judged; once it says so, `Version.judge` raises CalledOff.
        """
        self.texts += 1
        if self.texts % MOST_TEXTS == 0:
            self.store.forget_unmarked()
        return Version(self, submission, called_off)

    def warm(self) -> None:
        """Has a worker ready before it is needed: a check may have ended the last one. Raises GraderFault."""
        if self.lane.bench is not None:
            _ = self.lane.bench.worker

    def close(self) -> None:
        """Ends the worker."""
        self.lane.close()
        self.store.close()

    def __enter__(self) -> Resident:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Version:
    """A version of the submission: what is known of it, and what is left to judge."""

    def __init__(self, resident: Resident, submission: Submission, called_off: Callable[[], bool]) -> None:
        self.resident, self.submission, self.called_off = resident, submission, called_off
        self.course = Course([submission], resident.plan, resident.store, [KEY])
        self.before = resident.store.marks(KEY)
        self.lost = {name for name, kept in self.before.items() if kept.status not in HARMLESS}
        self.work: Work | None = next(self.course.works(), None)  # None: nothing could be read
        if self.work is not None:
            self.course.settle(self.work, None)

    @property
    def left(self) -> list[str]:
        """Checks that have no verdict on this version yet, in the rubric's order."""
        return self.work.left(list(BY_ID)) if self.work is not None else []

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """What is known so far, by check."""
        return self.work.outcomes if self.work is not None else {}

    def judge(self, hear: Hear = nobody, names: Iterable[str] | None = None) -> None:
        """Judges what is left, or of that these checks and what they build on; `hear` is told of each verdict at once.

        Raises CalledOff; what has been judged until then is not lost. Raises StoreError and GraderFault.
        """
        if self.work is None:
            return
        self.resident.lane.turn_to(self.submission, self.called_off)
        work, asked = self.work, None if names is None else with_needs(names)
        try:
            while left := [name for name in self.left if asked is None or name in asked]:
                question = min(left, key=lambda name: (QUESTION[name] not in self.questions_lost, PLACE[name]))
                self._judge_question(work, [name for name in left if QUESTION[name] == QUESTION[question]], hear)
                self.course.settle(work, None)
        finally:
            self._mark(work)

    @property
    def questions_lost(self) -> set[int]:
        """Questions in which something has failed before."""
        return {QUESTION[name] for name in self.lost}

    def _judge_question(self, work: Work, names: list[str], hear: Hear) -> None:
        def heard(verdict: Verdict) -> None:
            if self.called_off():
                raise CalledOff
            self.course.keep(work, verdict)
            hear(verdict.outcome)

        held = {name: work.pending[name] for name in names if name in work.pending}
        self.resident.lane.run(Part(0, self.submission, in_turn(names, self.lost), work.status, None, held), heard)

    def _mark(self, work: Work) -> None:
        """The store remembers which verdict is the latest of each check, also of those that have none on this text."""
        marks = {name: kept.id for name, kept in self.before.items()} | work.marks
        self.resident.store.put_marks(KEY, marks, sorted(marks), self.course.circumstances)

    def report(self) -> Report:
        """The report, once nothing is left."""
        return self.course.report(0, self.work)


def with_needs(names: Iterable[str]) -> frozenset[str]:
    """These checks, and all that have a say in what becomes of them."""
    found, todo = set[str](), list(names)
    while todo:
        if (name := todo.pop()) not in found:
            found.add(name)
            todo += built_on(BY_ID[name])
    return frozenset(found)


def built_on(check: Check) -> list[str]:
    """Earlier checks whose statuses have a say in this one: what comes later in the rubric is never asked."""
    return [name for name in influences(check) if PLACE[name] < PLACE[check.id]]


def in_turn(names: Collection[str], lost: Collection[str]) -> tuple[str, ...]:
    """Checks of one question in the order in which they are judged: those that were lost as early as can be."""
    open_, found = sorted(names, key=PLACE.__getitem__), list[str]()
    while open_:
        ready = [name for name in open_ if not any(other in open_ for other in built_on(BY_ID[name]))]
        wanted = {name for one in open_ if one in lost for name in with_needs([one])}
        found.append(next((name for name in ready if name in lost),
                          next((name for name in ready if name in wanted), ready[0])))  # fmt: skip
        open_.remove(found[-1])
    return tuple(found)
