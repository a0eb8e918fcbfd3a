"""What a check can end in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from .credit import Measurement
from .declaration import Check
from .exhibits import Exhibit

Status = Literal[
    "passed", "partial", "failed", "timeout", "memory", "crashed", "limit", "violation", "unimplemented", "skipped",
    "not_run", "error",
]  # fmt: skip
HARMLESS = frozenset(
    {"passed", "partial", "not_run", "error"}
)  # statuses that do not speak against a submission's part


@dataclass(frozen=True)
class Override:
    """Points that a person gives for a check in place of its verdict's, and why."""

    points: float
    comment: str
    author: str
    at: datetime  # knows its time zone
    instead_of: float = 0.0  # points of the verdict, known once it is applied to one
    of_earlier: bool = False  # whether another text was handed in since


@dataclass(frozen=True)
class Outcome:
    """What one check found. `earned` are the points that count: the verdict's own, or those of `override`."""

    check: Check
    status: Status
    earned: float
    message: str = ""
    hint: str = ""
    expected: str = ""
    actual: str = ""
    counterexample: Mapping[str, str] = field(default_factory=dict)
    printed: str = ""
    measured: Mapping[str, Measurement] = field(default_factory=dict)
    duration_s: float = 0.0
    looks: str = ""
    call: str = ""  # what failed, as the student would type it
    excused: str = ""  # the check that must have found that for which this one did not ask everything
    asked: frozenset[str] = frozenset()  # "module.name" of what was called of the submission
    override: Override | None = None
    exhibits: tuple[Exhibit, ...] = ()  # what a trained check has to show, which decides nothing

    def overridden(self, override: Override | None) -> Outcome:
        """The same verdict with points given by hand, which take the place of earlier ones; None takes them back."""
        verdict = self.earned if self.override is None else self.override.instead_of
        if override is None:
            return replace(self, earned=verdict, override=None)
        return replace(self, earned=override.points, override=replace(override, instead_of=verdict))

    @property
    def left_out(self) -> bool:
        """Whether it was not run, and nobody has given points for it: no mark, which is no zero."""
        return self.status == "not_run" and self.override is None

    @property
    def fault(self) -> bool:
        """Whether the grader failed on it, and nobody has given points for it: no mark either."""
        return self.status == "error" and self.override is None

    @property
    def full(self) -> bool:
        """Whether nothing was lost."""
        return self.status == "passed" if self.override is None else self.earned >= self.check.points
