"""What a check is: one frozen declaration, and a function that asks the submission and may raise `Failure`.

    @declare(
        id="q2.kl.closed-form", question=2, kind="property", points=1.5, visibility="public",
        title="KL to the standard normal", asks="kl_divergence equals its closed form for any mu and logvar",
        hint="What does the divergence become when p equals q? And when only the variance changes?", needs=(),
    )
    def kl_closed_form(ctx: Context) -> None: ...

A failure is data. Words for people are made from it last, once per renderer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .context import Context

Kind = Literal["property", "gradient", "statistical", "trained"]
Visibility = Literal["public", "hidden"]
BONUS = 0  # the question number of the bonus rows


@dataclass(frozen=True)
class Part:
    """A function or class of the submission that a trained check relies on, and what can stand in for it.

    Where one of `checks` found the submission's own part wrong, the trained check may run with the grader's, for
    FOLLOW_THROUGH of its points.
    """

    name: str  # "module.name"
    probe: str  # the grader's own, in grader/worker
    checks: tuple[str, ...]


FOLLOW_THROUGH = 0.5  # enough to reward the rest of the work, too little to make the part itself worthless


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


@dataclass(eq=False)
class Failure(Exception):
    """A check that the submission does not meet: what was expected, what came, and the smallest input that shows it."""

    message: str
    expected: str = ""
    actual: str = ""
    counterexample: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""  # replaces the check's own hint where the wrong values say more
    looks: str = ""  # what is wrong looks like this
    about: str = ""  # or: which values were wrong; the context knows what all of these have in common

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Tolerance:
    """How far a value may be from its expectation, and why so far: |actual - expected| <= atol + rtol * |expected|."""

    rtol: float
    atol: float
    reason: str


FLOAT64 = Tolerance(1e-7, 1e-8, "float64 rounding in sums of at most a few thousand terms, with two digits to spare")
FLOAT32 = Tolerance(1e-4, 1e-5, "float32 rounding (6e-8 per term) in sums of at most a few thousand terms")
DIFFERENCES = Tolerance(1e-4, 1e-6, "central differences in float64 with step 1e-5: truncation about 1e-10 times the "
                        "third derivative, cancellation about 1e-11 times the value")  # fmt: skip
EXACT = Tolerance(0.0, 0.0, "copied values: nothing is computed")
GUARDED = Tolerance(1e-4, 1e-5, "a guard of up to 1e-6 inside a logarithm is correct work; at a probability of .05 it "
                    "changes the logarithm by 2e-5")  # fmt: skip
