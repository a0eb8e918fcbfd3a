"""How far a run is: bars in a terminal; elsewhere, in a log say, a line now and then. All of it on standard error."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from ..check.outcome import Outcome
from ..classes.ingest import Submission
from ..grading.run import Plan
from ..report.model import Report, question_label
from ..report.printable import name_of
from ..report.words import summary
from ..rubric import CHECKS, QUESTIONS

MAX_BARS = 4
QUIET_SECONDS = 30.0  # a log hears of finished checks at least this often


class Drawn:
    """A bar per submission, or one for all of a class."""

    def __init__(self, console: Console, submissions: Sequence[Submission], plan: Plan) -> None:
        spinner = SpinnerColumn("dots" if console.encoding.startswith("utf") else "line")
        self.bars = Bars(spinner, TextColumn("{task.description}", markup=False), BarColumn(),
                         MofNCompleteColumn(), TextColumn("checks"), TimeElapsedColumn(), console=console,
                         transient=True)  # fmt: skip
        wanted = sum(plan.wants(check) for check in CHECKS)
        self.plan = plan
        self.tasks: list[TaskID]
        if len(submissions) <= MAX_BARS:
            self.tasks = [self.bars.add_task(name_of(s.name)[:30], total=wanted) for s in submissions]
        else:
            shared = self.bars.add_task(f"{len(submissions)} submissions", total=wanted * len(submissions))
            self.tasks = [shared] * len(submissions)

    def __enter__(self) -> Drawn:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def note(self, index: int, found: Sequence[Outcome]) -> None:
        """The bar goes on."""
        self.bars.advance(self.tasks[index], sum(self.plan.wants(outcome.check) for outcome in found))

    def finished(self, report: Report) -> None:
        """The bar shows it already."""


class Told:
    """A line for each finished submission; of a single one, for each finished question, and after a long silence."""

    def __init__(
        self, console: Console, submissions: Sequence[Submission], plan: Plan, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.console, self.plan, self.now = console, plan, now
        self.names = [name_of(submission.name) for submission in submissions]
        self.wanted = Counter(check.question for check in CHECKS if plan.wants(check))
        self.open = [self.wanted.copy() for _ in submissions]
        self.lost = [0 for _ in submissions]
        self.done = 0
        self.last = now()

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def note(self, index: int, found: Sequence[Outcome]) -> None:
        """Says so, if a question of a single submission is finished or nothing has been said for a while."""
        ran = [outcome for outcome in found if self.plan.wants(outcome.check)]
        left = self.open[index]
        left.subtract(outcome.check.question for outcome in ran)
        self.lost[index] += sum(outcome.status != "passed" for outcome in ran)
        ended = [q.number for q in QUESTIONS
                 if left[q.number] == 0 and any(outcome.check.question == q.number for outcome in ran)]  # fmt: skip
        alone = len(self.names) == 1
        if (alone and ended) or (ran and self.now() - self.last >= QUIET_SECONDS):
            total = self.wanted.total()
            names = [f"question {number}" if number else str(question_label(number)) for number in ended]
            what = f"{', '.join(names)} done, " if ended else ""
            lost = f", {self.lost[index]} not passed" if self.lost[index] else ""
            self.say(f"{self.names[index]}: {what}{total - left.total()} of {total} checks{lost}")

    def finished(self, report: Report) -> None:
        """Says so, with the marks; a single one's are printed anyway."""
        self.done += 1
        if len(self.names) > 1:
            self.say(f"[{self.done}/{len(self.names)}] {name_of(report.submission)}: {summary(report)}")

    def say(self, line: str) -> None:
        """One line."""
        self.last = self.now()
        self.console.print(Text(line), soft_wrap=True)


def watch(console: Console, submissions: Sequence[Submission], plan: Plan) -> Drawn | Told:
    """What suits the console."""
    return Drawn(console, submissions, plan) if console.is_terminal else Told(console, submissions, plan)
