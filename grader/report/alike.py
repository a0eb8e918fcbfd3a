"""The page of similar submissions, for instructors only: never part of what a student gets.

A pure renderer of plain records. Texts are submissions' own: they are made printable and escaped, and the page holds no
script and asks nothing of any network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .pages.environment import environment
from .printable import printable

TEMPLATE = "alike.html.jinja"
LONGEST_LINE = 300
MOST_PASSAGES = 60  # of a pair, the longest ones
MOST_PAIRS = 200  # that are shown side by side; all of them are in the table
BINS = 10


class Line(NamedTuple):
    """A line of source: what stands before, in and after the part that is marked."""

    number: int
    before: str
    marked: str
    after: str


class Excerpt(NamedTuple):
    """Lines of a module."""

    module: str
    lines: Sequence[Line]


class Passage(NamedTuple):
    """What both have, side by side."""

    tokens: int
    left: Excerpt
    right: Excerpt


class ModuleRow(NamedTuple):
    """How much of either side's own tokens of a module the other has; `high` where that alone is a reason to look."""

    module: str
    left: str
    right: str
    high: bool


class PairPart(NamedTuple):
    """Two submissions; `whole` is the share of everything, from 0 to 1."""

    left: str
    right: str
    whole: float
    alike: Sequence[str]
    modules: Sequence[ModuleRow]
    passages: Sequence[Passage]  # the longest ones, of so many as `regions` says
    regions: int


class Page(NamedTuple):
    """Everything that the page says. `shares` are those of all pairs that were looked at closely."""

    compared: int
    submissions: int
    threshold: float
    least: int
    looked_from: float
    shares: Sequence[float]
    copies: Sequence[Sequence[str]]
    pairs: Sequence[PairPart]
    left_off: int
    unread: Sequence[str]


def excerpt(module: str, text: str, start: int, end: int) -> Excerpt:
    """The lines in which characters `start` to `end` of a text lie, with those marked."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    last = len(text) if last < 0 else last
    lines: list[Line] = []
    at, number = first, text.count("\n", 0, first) + 1
    for line in text[first:last].split("\n"):
        low, high = max(0, min(len(line), start - at)), max(0, min(len(line), end - at))
        lines.append(Line(number, shown(line[:low]), shown(line[low:high]), shown(line[high:])))
        at, number = at + len(line) + 1, number + 1
    return Excerpt(module, lines)


def shown(piece: str) -> str:
    """A piece of a line, safe to show."""
    return printable(piece, LONGEST_LINE)


def bars(shares: Sequence[float]) -> list[tuple[str, int, int]]:
    """How many pairs share how much: "40 to 50 %", their number, and the length of its bar in percent."""
    counts = [0] * BINS
    for share in shares:
        counts[min(BINS - 1, int(share * BINS + 1e-9))] += 1
    most = max(counts, default=0) or 1
    step = 100 // BINS
    return [(f"{n * step} to {(n + 1) * step} %", count, round(100 * count / most)) for n, count in enumerate(counts)]


def render(page: Page) -> str:
    """The page as HTML."""
    template = environment().get_template(TEMPLATE)
    return template.render(page=page, bars=bars(page.shares), most_pairs=MOST_PAIRS, most_passages=MOST_PASSAGES)
