"""One screenful of `watch`: what to do next on top, a line per question, and what has changed since the last time.

In a terminal it is drawn over what stood there; elsewhere, in a log say, it is lines without control characters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from rich.cells import set_cell_size
from rich.console import Console, Group, RenderableType
from rich.control import Control
from rich.screen import Screen as Whole
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ..check.outcome import Outcome
from ..report.model import sum_of
from ..report.printable import one_line
from ..report.steps import missing_part
from ..report.words import STATUS_WORDS, explanation, marks, points
from ..rubric import CHECKS, QUESTIONS
from .layout import COLOURS, LABEL_WIDTH, details, label_width, question_name

FOUND = ("passed", "unimplemented", "skipped", "not_run", "error")  # all other statuses say that it is wrong
REDRAW_SECONDS = 0.1
LINES_OF_A_TEXT = (None, 8, 5, 4, 3, 2, 1)  # of each text of the explanation, until all of it has room
MOST_NAMED = 4  # checks that are listed by name


@dataclass
class State:
    """What is shown."""

    name: str  # of the folder
    doing: str = "reading what is there"
    said: Sequence[str] = ()  # what cannot be read at the moment
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)  # the latest of each check
    touched: Collection[str] = ()  # checks that the last changes can be seen by
    open: Collection[str] = ()  # of these, those that are still to be judged
    right: Sequence[str] = ()  # passed now, and did not the last time
    wrong: Sequence[str] = ()

    @property
    def ran(self) -> list[Outcome]:
        """What there is a verdict on, in the rubric's order."""
        found = [self.outcomes[check.id] for check in CHECKS if check.id in self.outcomes]
        return [outcome for outcome in found if not outcome.left_out]


def first_failure(state: State) -> Outcome | None:
    """What to look at next: where the student works; what is written and wrong before what is not written yet."""
    lost = [o for o in state.ran if not o.full and o.status not in ("not_run", "skipped", "error")]
    return min(lost, key=lambda o: (o.check.id not in state.touched, o.status == "unimplemented"), default=None)


# ---- parts of the picture -----------------------------------------------------------------------------------------


def head(state: State) -> list[Text]:
    """What is watched, what happens now, and what cannot be read."""
    return [Text.assemble((state.name, "bold"), ("  " + state.doing, "dim")),
            *(Text(one_line(line), "yellow") for line in state.said)]  # fmt: skip


def next_step(state: State, console: Console, most: int | None) -> RenderableType:
    """The first failure with its explanation, no text of it longer than `most` lines."""
    outcome = first_failure(state)
    if outcome is None:
        if any(o.status == "error" for o in state.ran):
            return Text("the grader itself failed on a check: tell your instructor", "magenta")
        return Text("everything that was run passed" if state.ran and not state.open else "", "green")
    check = outcome.check
    title = Text.assemble(
        (f"{question_name_of(outcome)} · ", "bold"), (check.title, "bold"),
        (f"  {STATUS_WORDS[outcome.status]}", COLOURS.get(outcome.status, "red")), (f"  {check.id}", "dim"),
    )  # fmt: skip
    if outcome.status == "unimplemented":
        return Group(title, details([("next", f"{missing_part(outcome)} is not written yet")], "dim", LABEL_WIDTH))
    lines = explanation(outcome, for_student=True)
    width = console.width - label_width(lines, LABEL_WIDTH) - 1
    return Group(title, details([(label, cropped(text, console, width, most)) for label, text in lines], "dim",
                                LABEL_WIDTH))  # fmt: skip


def question_name_of(outcome: Outcome) -> str:
    """ "Question 2", or "Bonus"."""
    return question_name(next(q for q in QUESTIONS if q.number == outcome.check.question))


def cropped(text: str, console: Console, width: int, most: int | None) -> str:
    """At most so many lines of a text."""
    lines = Text(text).wrap(console, width, overflow="fold")
    if most is None or len(lines) <= most:
        return text
    kept = [line.plain.rstrip() for line in lines[:most]]
    kept[-1] = set_cell_size(kept[-1], min(len(kept[-1]) + 2, width) - 2).rstrip() + " …"
    return "\n".join(kept)


def question_lines(state: State, *, folded: bool) -> RenderableType:
    """A line per question; `folded`: one for all that passed, and one for all that nothing is written of."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_column(no_wrap=True, overflow="ellipsis", justify="right")
    grid.add_column(no_wrap=True, overflow="ellipsis")
    together: dict[str, list[str]] = {}
    for question in QUESTIONS:
        own = [o for o in state.ran if o.check.question == question.number]
        waiting = sum(check.id in state.open for check in question.checks)
        if not own and not waiting:
            continue
        statuses = {o.status for o in own}
        alike = statuses == {"passed"} or statuses <= {"unimplemented", "skipped"}
        if folded and alike and not waiting:
            what = "passed" if statuses == {"passed"} else "not begun"
            together.setdefault(what, []).append(str(question.number or "bonus"))
            continue
        grid.add_row(f"{question_name(question)} · {question.title}", marks(sum_of(own)) if own else "",
                     standing(own, waiting))  # fmt: skip
    for what, names in together.items():
        label = "questions" if len(names) > 1 else "question"
        grid.add_row(f"{label} {', '.join(names)}", "", Text(what, "green" if what == "passed" else "yellow"))
    return grid


def standing(outcomes: Sequence[Outcome], waiting: int) -> Text:
    """How a question stands, in few words: "2 wrong, 3 not written, 1 skipped"."""
    counts = {
        "wrong": (sum(o.status not in FOUND for o in outcomes), "red"),
        "not written": (sum(o.status == "unimplemented" for o in outcomes), "yellow"),
        "skipped": (sum(o.status == "skipped" for o in outcomes), "yellow"),
        "grader errors": (sum(o.status == "error" for o in outcomes), "magenta"),
        "to be judged": (waiting, "dim"),
    }
    words = [Text(f"{count} {what}", style) for what, (count, style) in counts.items() if count]
    return Text(", ").join(words) if words else Text("passed", "green")


def changes(state: State) -> RenderableType | None:
    """What has become right since the last time, and what has become wrong."""
    lines = [
        (label, listed(names)) for label, names in (("now right", state.right), ("now wrong", state.wrong)) if names
    ]
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=10)
    grid.add_column(overflow="fold")
    for label, text in lines:
        grid.add_row(Text(f"{label}:", "green" if label == "now right" else "red"), text)
    return grid if lines else None


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


# ---- the picture --------------------------------------------------------------------------------------------------


def picture(state: State, console: Console, most: int | None, *, folded: bool) -> RenderableType:
    """All of it, under each other."""
    rows: list[RenderableType] = [*head(state), Text(), next_step(state, console, most), Text(),
                                  question_lines(state, folded=folded)]  # fmt: skip
    changed = changes(state)
    return Group(*rows, *([Text(), changed] if changed is not None else []))


def fitting(state: State, console: Console, rows: int) -> list[list[Segment]]:
    """The picture's lines in so many rows: texts are shortened first, then questions folded, then the end is cut."""
    lines: list[list[Segment]] = []
    for folded, most in product((False, True), LINES_OF_A_TEXT):
        lines = console.render_lines(picture(state, console, most, folded=folded), pad=False)
        if len(lines) <= rows:
            return lines
    return lines[:rows]


class Lines:
    """Already fitting lines, as rich draws things."""

    def __init__(self, lines: Sequence[Sequence[Segment]]) -> None:
        self.lines = lines

    def __rich_console__(self, *_: object) -> Iterator[Segment]:
        for line in self.lines:
            yield from line
            yield Segment.line()


def without_tail(line: Sequence[Segment]) -> list[Segment]:
    """A line without the spaces that fill up its cells."""
    kept = list(line)
    while kept and not kept[-1].text.strip():
        kept.pop()
    return [*kept[:-1], Segment(kept[-1].text.rstrip(), kept[-1].style)] if kept else []


class Drawn:
    """Draws in a terminal: the whole screen, over what stands there."""

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self.console, self.now = console, now
        self.last = float("-inf")
        self.size: object = None

    def begin(self) -> None:
        """Another run begins."""

    def show(self, state: State, *, final: bool = False) -> None:
        """Draws, but not too often unless this is how it stays."""
        if not final and self.now() - self.last < REDRAW_SECONDS:
            return
        self.last = self.now()
        console = self.console
        whole = Whole(Lines(fitting(state, console, max(console.height - 1, 1))))
        fresh = Control.clear() if self.size != console.size else Control()
        self.size = console.size
        console.print(fresh, Control.home(), whole, sep="", end="")

    def refit(self, state: State) -> None:
        """Draws again where the terminal has another size than before."""
        if self.size != self.console.size:
            self.show(state, final=True)


class Told:
    """Writes lines: the first verdict of a run, and at its end all there is to know."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.told = False

    def begin(self) -> None:
        """Another run begins: its first verdict is news."""
        self.told = False

    def show(self, state: State, *, final: bool = False) -> None:
        """Writes what is new."""
        if final:
            lines = self.console.render_lines(picture(state, self.console, None, folded=False), pad=False)
            self.console.print(Lines([without_tail(line) for line in lines]))
        elif not self.told and (judged := [name for name in state.touched if name not in state.open]):
            self.told = True
            first = state.outcomes[judged[0]]
            self.console.print(Text(f"first verdict: {first.check.id} {STATUS_WORDS[first.status]}"), soft_wrap=True)
        flush = getattr(self.console.file, "flush", None)
        if flush is not None:
            flush()

    def refit(self, state: State) -> None:
        """Lines have no size."""


def shown_on(console: Console) -> Drawn | Told:
    """What suits the console."""
    return Drawn(console) if console.is_terminal and not console.is_dumb_terminal else Told(console)


def tally(outcomes: Sequence[Outcome]) -> str:
    """The points of what ran: "public 9.5/16"."""
    return f"public {points(sum(o.earned for o in outcomes))}/{points(sum(o.check.points for o in outcomes))}"
