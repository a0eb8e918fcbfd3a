"""What a check is: one frozen declaration, and a function that asks the submission and may raise `Failure`.

@declare(
    id="q2.kl.closed-form", question=2, kind="property", points=1.5, visibility="public",
    title="KL to the standard normal", asks="kl_divergence equals its closed form for any mu and logvar",
    hint="What does the divergence become when p equals q? And when only the variance changes?", needs=(),
)
def kl_closed_form(ctx: Context) -> None: ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .context import Context
from .parts import Part

Kind = Literal["property", "gradient", "statistical", "trained"]
Visibility = Literal["public", "hidden"]
BONUS = 0  # the question number of the bonus rows
OPTIMIZERS = ("torch._dynamo",)  # what torch imports when the first optimizer is made: 2 s


@dataclass(frozen=True)
class Check:
    """One check. `needs` names checks of the same question that must have passed before this one makes sense."""

    id: str
    question: int
    kind: Kind
    points: float
    visibility: Visibility
    title: str
    asks: str
    hint: str
    needs: tuple[str, ...]
    run: Callable[[Context], None]
    parts: tuple[Part, ...]

    @property
    def bonus(self) -> bool:
        """Whether its points count as bonus."""
        return self.question == BONUS


def declare(
    *, id: str, question: int, kind: Kind, points: float, visibility: Visibility, title: str, asks: str, hint: str,
    needs: tuple[str, ...], parts: tuple[Part, ...] = (),
) -> Callable[[Callable[[Context], None]], Check]:  # fmt: skip
    """Turns a function into a Check. Only `parts` of trained checks has a default: every check says all else of it."""

    def wrap(run: Callable[[Context], None]) -> Check:
        return Check(id, question, kind, points, visibility, title, asks, hint, needs, run, parts)

    return wrap


@dataclass(frozen=True)
class Question:
    """One row of the assignment: its title, total points, and checks in the order they run."""

    number: int
    title: str
    points: float
    modules: tuple[str, ...]
    checks: tuple[Check, ...]
    loads: tuple[str, ...] = ()  # what torch imports on first use in these checks: seconds, so once for all

    @property
    def withheld(self) -> float:
        """Points of checks that are not here: students' copies of the kit have no hidden ones."""
        return round(self.points - sum(check.points for check in self.checks), 6)
