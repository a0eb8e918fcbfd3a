"""How far a run is: bars in a terminal; elsewhere, in a log say, a line now and then. All of it on standard error."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

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
FEW = 20  # verdicts from which on an end is estimated


class Pace:
    """What is done, running and waiting, and when all will be: verdicts that were reused say nothing of the speed."""

    def __init__(self, submissions: Sequence[Submission], plan: Plan, now: Callable[[], float]) -> None:
        self.plan, self.now = plan, now
        self.wanted = sum(plan.wants(check) for check in CHECKS)
        self.left = [self.wanted for _ in submissions]  # checks, by submission
        self.judged = [0 for _ in submissions]
        self.finished: set[int] = set()
        self.began = now()

    def note(self, index: int, found: Sequence[Outcome], *, reused: bool = False) -> int:
        """Checks of a submission are done; how many of them were wanted."""
        count = sum(self.plan.wants(outcome.check) for outcome in found)
        self.left[index] -= count
        if not reused:
            self.judged[index] += count
        return count

    def finish(self, index: int) -> None:
        """A submission's report is written."""
        self.finished.add(index)

    @property
    def words(self) -> str:
        """ "12 of 30 done, 2 running, 16 waiting"."""
        running = sum(judged > 0 and index not in self.finished for index, judged in enumerate(self.judged))
        waiting = len(self.left) - len(self.finished) - running
        return f"{len(self.finished)} of {len(self.left)} done, {running} running, {waiting} waiting"

    @property
    def seconds(self) -> float | None:
        """Until the end, as far as the speed so far tells; None where it tells nothing yet."""
        judged, passed = sum(self.judged), self.now() - self.began
        if judged < FEW or passed <= 0:
            return None
        return passed / judged * sum(self.left)

    @property
    def end(self) -> str:
        """When that is: "about 14 min left, until 22:41"."""
        seconds = self.seconds
        if seconds is None:
            return ""
        at = datetime.now() + timedelta(seconds=seconds)  # the clock on the wall of who waits for it
        return f"about {duration(seconds)} left, until {at:%H:%M}"


def duration(seconds: float) -> str:
    """A rough time: "40 s", "14 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


class Drawn:
    """A bar per submission, or one for all of a class."""

    def __init__(
        self, console: Console, submissions: Sequence[Submission], plan: Plan, now: Callable[[], float] = time.monotonic
    ) -> None:
        spinner = SpinnerColumn("dots" if console.encoding.startswith("utf") else "line")
        self.pace = Pace(submissions, plan, now)
        self.several = len(submissions) > MAX_BARS
        columns = [spinner, TextColumn("{task.description}", markup=False), BarColumn(12 if self.several else 40)]
        if not self.several:  # there is room
            columns += [MofNCompleteColumn(), TextColumn("checks")]
        left = TextColumn("{task.fields[left]}", style="dim", markup=False)
        self.bars = Bars(*columns, TimeElapsedColumn(), left, console=console, transient=True)
        self.tasks: list[TaskID]
        wanted = self.pace.wanted
        if self.several:
            shared = self.bars.add_task(self.pace.words, total=wanted * len(submissions), left="")
            self.tasks = [shared] * len(submissions)
        else:
            self.tasks = [self.bars.add_task(name_of(s.name)[:30], total=wanted, left="") for s in submissions]

    def __enter__(self) -> Drawn:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def note(self, index: int, found: Sequence[Outcome]) -> None:
        """The bar goes on."""
        self._advance(index, self.pace.note(index, found))

    def known(self, index: int, found: Sequence[Outcome]) -> None:
        """The same for verdicts that are reused."""
        self._advance(index, self.pace.note(index, found, reused=True))

    def finished(self, index: int, report: Report) -> None:
        """The bar says how many."""
        self.pace.finish(index)
        self._advance(index, 0)

    def _advance(self, index: int, count: int) -> None:
        self.bars.advance(self.tasks[index], count)
        if self.several:
            seconds = self.pace.seconds
            left = f"{duration(seconds)} left" if seconds is not None else ""
            self.bars.update(self.tasks[index], description=self.pace.words, left=left)


class Told:
    """A line for each finished submission; of a single one, for each finished question, and after a long silence."""

    def __init__(
        self, console: Console, submissions: Sequence[Submission], plan: Plan, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.console, self.plan, self.now = console, plan, now
        self.pace = Pace(submissions, plan, now)
        self.names = [name_of(submission.name) for submission in submissions]
        self.wanted = Counter(check.question for check in CHECKS if plan.wants(check))
        self.open = [self.wanted.copy() for _ in submissions]
        self.lost = [0 for _ in submissions]
        self.again = 0  # submissions of which everything was reused, and nothing has been said yet
        self.last = self.placed = now()

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *_: object) -> None:
        self._say_again()

    def note(self, index: int, found: Sequence[Outcome]) -> None:
        """Says so, if a question of a single submission is finished or nothing has been said for a while."""
        self._say_again()
        self.pace.note(index, found)
        ended = self._count(index, found)
        ran = any(self.plan.wants(outcome.check) for outcome in found)
        alone = len(self.names) == 1
        if (alone and ended) or (ran and self.now() - self.last >= QUIET_SECONDS):
            total, left = self.wanted.total(), self.open[index].total()
            names = [f"question {number}" if number else str(question_label(number)) for number in ended]
            what = f"{', '.join(names)} done, " if ended else ""
            lost = f", {self.lost[index]} not passed" if self.lost[index] else ""
            self.say(f"{self.names[index]}: {what}{total - left} of {total} checks{lost}")
            self._say_place()

    def known(self, index: int, found: Sequence[Outcome]) -> None:
        """Says nothing: what is reused comes all at once."""
        self.pace.note(index, found, reused=True)
        self._count(index, found)

    def _count(self, index: int, found: Sequence[Outcome]) -> list[int]:
        """Counts checks; the questions that they end."""
        ran = [outcome for outcome in found if self.plan.wants(outcome.check)]
        left = self.open[index]
        left.subtract(outcome.check.question for outcome in ran)
        self.lost[index] += sum(outcome.status != "passed" for outcome in ran)
        return [q.number for q in QUESTIONS
                if left[q.number] == 0 and any(outcome.check.question == q.number for outcome in ran)]  # fmt: skip

    def finished(self, index: int, report: Report) -> None:
        """Says so, with the marks; a single one's are printed anyway, and those that were there before all at once."""
        self.pace.finish(index)
        if len(self.names) == 1:
            return
        if not self.pace.judged[index]:
            self.again += 1
            return
        self._say_again()
        self.say(f"[{len(self.pace.finished)}/{len(self.names)}] {name_of(report.submission)}: {summary(report)}")
        self._say_place()

    def _say_again(self) -> None:
        if self.again:
            count, self.again = self.again, 0
            self.say(f"[{len(self.pace.finished)}/{len(self.names)}] reused: nothing of {count} had to be judged again")

    def _say_place(self) -> None:
        """How far the class is, now and then."""
        if len(self.names) > 1 and self.now() - self.placed >= QUIET_SECONDS:
            self.placed = self.now()
            self.say("; ".join(words for words in (self.pace.words, self.pace.end) if words))

    def say(self, line: str) -> None:
        """One line."""
        self.last = self.now()
        self.console.print(Text(line), soft_wrap=True)


def watch(console: Console, submissions: Sequence[Submission], plan: Plan) -> Drawn | Told:
    """What suits the console."""
    return Drawn(console, submissions, plan) if console.is_terminal else Told(console, submissions, plan)
