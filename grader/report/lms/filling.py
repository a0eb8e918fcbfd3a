"""What is the same for every table that is filled in: its maximum, and grades that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .columns import number_of
from .marks import Mark, TemplateError, rounded, written


@dataclass(frozen=True)
class Choices:
    """What a person has chosen. `scale` turns marks into marks of the table's maximum; `replace` writes over grades
    that are there; `columns` names columns of Moodle's sheet by role; `assignment` is Canvas' number or title."""

    scale: bool = False
    replace: bool = False
    columns: tuple[tuple[str, str], ...] = ()
    assignment: str = ""


def maxima_of(marks: Sequence[Mark]) -> list[float]:
    """Maxima of a table that mean what these marks mean: with the bonus and without, of all points or of those that
    were judged."""
    found: dict[float, None] = {}
    for mark in marks:
        judged = [] if mark.judged is None else [mark.judged]
        found |= dict.fromkeys(round(value, 4) for value in (mark.most, mark.most + mark.bonus, *judged))
    return [*found]


def refuse_other_scale(maximum: float, fitting: Sequence[float]) -> None:
    """A table in which full marks are another number than here. Raises TemplateError."""
    if fitting and round(maximum, 4) not in fitting:
        ours = " or ".join(written(value) for value in sorted(fitting)[:4])
        raise TemplateError(
            f"its grades go up to {written(maximum)} and marks here to {ours}: change the maximum in the system and "
            "download the table again, or say scale = true under [export] in the configuration to have marks scaled"
        )


def grade_of(mark: Mark, maximum: float | None, scale: bool, capped: bool = True) -> tuple[float, str]:
    """The grade that goes into the table, and what should be said of it. Moodle skips what is above the maximum, so
    that it has to be `capped`."""
    value = mark.points
    if maximum is None:
        return value, ""
    if scale and mark.most > 0 and round(maximum, 4) not in maxima_of([mark]):
        value = value / mark.most * maximum
    if capped and rounded(value) > rounded(maximum):
        return maximum, f"{written(value)} points are written as {written(maximum)}, the most that the table takes"
    return value, ""


def same_grade(there: str, grade: float) -> bool:
    """Whether a cell holds this grade already, however it is written."""
    number = number_of(there)
    return number is not None and rounded(number) == rounded(grade)
