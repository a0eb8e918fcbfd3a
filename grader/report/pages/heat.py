"""Small tensors as tables of shaded cells, read back from the text that a report has of them (`check.shown`)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

MOST = 64  # numbers of a tensor that is drawn
MOST_AXES = 4
ROW = 6  # numbers of a vector on a line
LEVELS = 4  # of shade, on either side of 0
TEXT = re.compile(r"(\[.+\]) ([a-z0-9_]+)\(([0-9]{1,3}(?:, [0-9]{1,3})*),?\)(?: \((.+)\))?", re.DOTALL)
NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|inf)|nan|True|False")
ROOM = 26  # characters of a row that fit a telephone
EDGE = 2  # beside each number, as characters


class Cell(NamedTuple):
    """A number as it was written; `shade` names its colour, `off` says that it is not the number beside it."""

    text: str
    shade: str
    off: bool


class Row(NamedTuple):
    """Numbers in a line, and where it is."""

    place: str
    cells: Sequence[Cell]


class Plane(NamedTuple):
    """The last two axes of a tensor; `at` says which, where there are several."""

    at: str
    rows: Sequence[Row]


class Heat(NamedTuple):
    """A tensor as tables; `wide` where it may not fit a narrow screen."""

    kind: str
    shape: str
    planes: Sequence[Plane]
    wide: bool
    remark: str


class Numbers(NamedTuple):
    """A tensor's numbers in order, as they were written."""

    texts: Sequence[str]
    kind: str
    shape: tuple[int, ...]
    remark: str  # what the text says behind the tensor

    @property
    def values(self) -> list[float]:
        """The numbers; True is 1."""
        return [float(text == "True") if text in ("True", "False") else float(text) for text in self.texts]


def numbers(text: str) -> Numbers | None:
    """The tensor that a text shows, "[[1.0, 2.0]] float64(1, 2)" say, also with a remark in brackets; else None.

    The text is written again from what was read and has to be the same: nothing is evaluated.
    """
    found = TEXT.fullmatch(text) if len(text) < MOST * 32 else None
    if found is None:
        return None
    shape = tuple(int(size) for size in found[3].split(", "))
    texts = NUMBER.findall(found[1])
    if not 1 <= len(shape) <= MOST_AXES or len(texts) != math.prod(shape) or not 2 <= len(texts) <= MOST:
        return None
    if written(iter(texts), shape) != found[1]:
        return None
    return Numbers(texts, found[2], shape, found[4] or "")


def written(texts: Iterator[str], shape: tuple[int, ...]) -> str:
    """Numbers in the brackets of a shape."""
    if not shape:
        return next(texts)
    return f"[{', '.join(written(texts, shape[1:]) for _ in range(shape[0]))}]"


def heat(one: Numbers, scale: float, beside: Numbers | None = None) -> Heat:
    """A tensor drawn. Colours go from -scale to scale; numbers that differ from those `beside` it are marked."""
    others = beside.texts if beside is not None and beside.shape == one.shape else one.texts
    cells = [Cell(text, shade(value, scale), text != other)
             for text, value, other in zip(one.texts, one.values, others, strict=True)]  # fmt: skip
    *before, last = one.shape
    if not before:  # a vector is one line, broken where a page would be
        rows = [Row(str(start) if last > ROW else "", cells[start : start + ROW]) for start in range(0, last, ROW)]
        planes = [Plane("", rows)]
    else:
        *outer, count = before
        places = list(product(*(range(size) for size in outer)))
        lines = [cells[start : start + last] for start in range(0, len(cells), last)]
        planes = [
            Plane(f"[{', '.join(map(str, place))}]" if place else "",
                  [Row(str(k), line) for k, line in enumerate(lines[at * count : (at + 1) * count])])
            for at, place in enumerate(places)
        ]  # fmt: skip
    widest = max(sum(len(cell.text) + EDGE for cell in row.cells) for plane in planes for row in plane.rows)
    return Heat(one.kind, " × ".join(map(str, one.shape)), planes, widest > ROOM, one.remark)


def scale_of(*some: Numbers | None) -> float:
    """The largest finite size of any number."""
    sizes = (abs(value) for one in some if one is not None for value in one.values if math.isfinite(value))
    return max(sizes, default=0.0)


def shade(value: float, scale: float) -> str:
    """The class of a colour: "z" for nothing, "p1" … "p4" above 0, "n1" … "n4" below, "x" for what is no number."""
    if not math.isfinite(value):
        return "x"
    level = math.ceil(LEVELS * abs(value) / scale - 1e-9) if scale else 0
    return "z" if level == 0 else f"{'n' if value < 0 else 'p'}{min(LEVELS, level)}"
