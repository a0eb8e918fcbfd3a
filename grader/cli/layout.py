"""How outcomes are laid out in a terminal: statuses in a column, explanations with hanging indents, what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..check.declaration import Question
from ..check.outcome import Outcome
from ..report.model import sum_of
from ..report.steps import first_steps, missing_part, unmet
from ..report.words import STATUS_WORDS, explanation, marks, points

COLOURS = {
    "passed": "green",
    "partial": "yellow",
    "skipped": "yellow",
    "not_run": "dim",
    "unimplemented": "yellow",
    "error": "magenta",
}
STATUS_WIDTH = 15
LABEL_WIDTH, LONGEST_WORD = 14, 30
FOLDED = ("passed", "unimplemented", "skipped")  # many checks say the same then


def question_name(question: Question) -> str:
    """ "Question 2", or "Bonus"."""
    return f"Question {question.number}" if question.number else "Bonus"


def question_block(
    question: Question, outcomes: Sequence[Outcome], *, for_student: bool, verbose: bool
) -> RenderableType:
    """A question with what ran of it: what passed and what is missing on a line each, the rest with its reason."""
    head = Text.assemble((f"{question_name(question)} · {question.title}", "bold"), f"  {marks(sum_of(outcomes))}")
    rows: list[RenderableType] = [Text(), head]
    one_by_one = [o for o in outcomes if verbose or o.status not in FOLDED or o.override is not None]
    if not verbose:
        folded = [o for o in outcomes if o.override is None]
        passed, missing, skipped = ([o for o in folded if o.status == status] for status in FOLDED)
        if passed:
            rows.append(status_row("passed", Text(extent(passed))))
        if missing:
            names = ", ".join(dict.fromkeys(missing_part(outcome) for outcome in missing))
            rows.append(status_row("unimplemented", Text.assemble((f"{extent(missing)}: ", "dim"), names)))
    rows += [outcome_block(outcome, for_student) for outcome in one_by_one]
    if not verbose and skipped:
        needs = ", ".join(dict.fromkeys(need for outcome in skipped for need in unmet(outcome, outcomes)))
        rows.append(status_row("skipped", Text.assemble((f"{extent(skipped)}: ", "dim"), f"needs {needs}")))
    return Group(*rows)


def extent(outcomes: Sequence[Outcome]) -> str:
    """How many checks these are, and what they are worth."""
    worth = points(sum(o.check.points for o in outcomes))
    return f"{len(outcomes)} check{'s'[: len(outcomes) != 1]}, {worth} point{'s'[: worth != '1']}"


def outcome_block(outcome: Outcome, for_student: bool) -> RenderableType:
    """One check and what there is to know."""
    of = f"{points(outcome.earned)}/{points(outcome.check.points)}"
    title = Text.assemble(outcome.check.title, (f"  {of} · {outcome.check.id}", "dim"))
    row = status_row(outcome.status, title)
    lines = explanation(outcome, for_student=for_student)
    if not lines:
        return row
    return Group(row, Padding(details(lines, "dim", LABEL_WIDTH), (0, 0, 0, 4)))


def status_row(status: str, body: Text) -> RenderableType:
    """A status at the left, where the eye can run down, and its text beside it."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=STATUS_WIDTH)
    grid.add_column(overflow="fold")
    grid.add_row(Text(STATUS_WORDS[status], COLOURS.get(status, "red")), body)
    return Padding(grid, (0, 0, 0, 2))


def details(lines: Sequence[tuple[str, str]], style: str, widest: int | None = None) -> RenderableType:
    """Labels, and texts that stay to the right of them. The texts are printable already.

    Labels of more than `widest` characters take several lines, but no word of them is broken; without it, the column is
    as wide as they are.
    """
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=label_width(lines, widest), overflow="fold")
    grid.add_column(overflow="fold")
    for label, text in lines:
        grid.add_row(Text(f"{label}:", style), Text(text, "bold" if label == "think" else ""))
    return grid


def label_width(lines: Sequence[tuple[str, str]], widest: int | None = None) -> int:
    """How wide the column of labels is."""
    width = max((cell_len(label) + 1 for label, _ in lines), default=0)
    if widest is None:
        return width
    word = max((cell_len(word) + 1 for label, _ in lines for word in label.split()), default=0)
    return min(width, max(widest, min(word, LONGEST_WORD)))


def next_steps(outcomes: Sequence[Outcome], *, for_student: bool) -> RenderableType:
    """The first thing to look at in each question, in order: later failures often follow from it."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=12)
    grid.add_column(overflow="fold")
    steps = first_steps(outcomes)
    for question, first in steps:
        what = f"{first.check.title} ({STATUS_WORDS[first.status]})"
        if first.status == "unimplemented":
            what = f"{missing_part(first)} is not written yet"
        grid.add_row(f"{question_name(question)}:", Text.assemble(what, (f"  {first.check.id}", "dim")))
    if not steps:
        return Text()
    head = Text("What to do next" if for_student else "First in each question", "bold")
    tail = Text("--question N runs one question alone, --verbose lists what passed", "dim")
    return Group(Text(), head, Padding(grid, (0, 0, 0, 2)), *([tail] if for_student else []), Text())
