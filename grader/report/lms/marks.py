"""What goes into a system's file, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from html import escape

from ...classes.people import Arrival, Owner
from ..printable import LONGEST_NAME, one_line, printable

LONGEST_FEEDBACK = 20_000  # characters; a spreadsheet's cell holds 32 767
DECIMALS = 2  # of a grade


class TemplateError(Exception):
    """A template that cannot be filled in: says where and what to do. Nothing has been written."""


@dataclass(frozen=True)
class Mark:
    """The points of one owner. Bonus points are in `points` and not in `most`, so that there may be more than `most`.

    `deducted` is what lateness has already taken off `points`; `judged` says of how many of `most` + `bonus` points
    anything is known; `unsettled` says why no number may be published, and is empty if one may. What the student reads
    is `head`, lines on how the mark comes about, and `feedback`; `notes` are for whoever publishes marks.
    """

    owner: Owner
    points: float
    most: float
    bonus: float = 0.0  # bonus points that can be had on top of `most`
    judged: float | None = None  # None: all of them
    deducted: float = 0.0
    head: tuple[str, ...] = ()
    feedback: str = ""  # lines of text, with the head
    arrival: Arrival = field(default_factory=Arrival)
    notes: tuple[str, ...] = ()
    unsettled: str = ""

    @property
    def name(self) -> str:
        """Who this is, in one line of a list: the name, and the number that tells two of one name apart."""
        return who(self.owner)


@dataclass(frozen=True)
class Left:
    """A mark that is in no cell of the file, and why."""

    who: str
    why: str


@dataclass(frozen=True)
class Export:
    """A file. `filled` counts the cells or entries with a mark, `idle` the rows of a template that have none;
    `notes` say what was done and should be known, `left` what was not done."""

    content: bytes
    filled: int
    left: tuple[Left, ...] = ()
    notes: tuple[str, ...] = ()
    idle: int = 0


def who(owner: Owner) -> str:
    """A name and its number, safe to show."""
    name = one_line(owner.name, LONGEST_NAME) or "(no name)"
    return f"{name} ({one_line(owner.id, 40)})" if owner.id else name


def people(owner: Owner) -> Iterator[Owner]:
    """Those who get the mark: the members of a group that says who they are, or the owner."""
    if not owner.members:
        yield owner
    for member in owner.members:
        yield from people(member)


def rounded(value: float, decimals: int = DECIMALS) -> Decimal:
    """A grade as people round it: 0.125 is 0.13, and 0.1 + 0.2 is 0.3."""
    exact = Decimal(repr(round(value, 6)))
    return exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


def written(value: float, comma: bool = False, keep_zeros: bool = False) -> str:
    """A grade as text: ``85.5``; with `keep_zeros` ``85.50``, with `comma` ``85,5``."""
    text = f"{rounded(value):f}"
    if not keep_zeros:
        text = text.rstrip("0").rstrip(".")
    text = "0" if text in ("-0", "") else text
    return text.replace(".", ",") if comma else text


def as_html(text: str) -> str:
    """Lines as HTML on one line, which is what Moodle takes a comment for. No quotes are in it, so that no reader of
    CSV can lose its place."""
    lines = printable(text.strip(), LONGEST_FEEDBACK).split("\n")
    if lines == [""]:
        return ""
    return "<p>" + "<br>".join(escape(line).replace("  ", "&nbsp; ") for line in lines) + "</p>"


def twice(marks: Sequence[Mark]) -> dict[str, int]:
    """How many marks each owner has: more than one is more than a file can hold."""
    found: dict[str, int] = {}
    for mark in marks:
        found[mark.owner.key] = found.get(mark.owner.key, 0) + 1
    return found


def settled(marks: Sequence[Mark]) -> tuple[list[Mark], list[Left]]:
    """Marks that may be published, and the others with the reason."""
    count = twice(marks)
    good: list[Mark] = []
    left: list[Left] = []
    for mark in marks:
        if mark.unsettled:
            left.append(Left(mark.name, mark.unsettled))
        elif count[mark.owner.key] > 1:
            left.append(
                Left(mark.name, f"{count[mark.owner.key]} marks have this owner: which one counts is not known")
            )
        else:
            good.append(mark)
    return good, left


def notes_of(marks: Iterable[Mark]) -> list[str]:
    """What should be known of single marks."""
    return [f"{mark.name}: {note}" for mark in marks for note in mark.notes]
