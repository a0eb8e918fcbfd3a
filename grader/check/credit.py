"""What a trained check has earned: measured numbers against measured cuts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .failure import Failure


class Measurement(NamedTuple):
    """A number that a trained check compares with a cut, on which side of it is good, and what its cuts come from.

    `trivial` is what a model that has learned nothing reaches in the same run. A correct answer of another architecture
    may be worse than the reference by `slack`, a share of the reference's value, or by `way`, a share of the way from
    there to the trivial model, whichever leaves more room.
    """

    value: float
    below: bool
    slack: float
    trivial: float
    way: float = 0.0


@dataclass
class Credit:
    """The share of a check's points, that of its worst metric, and what there is to say of it."""

    share: float = 1.0
    shortfall: Failure | None = None  # why it is not all of them
    fell_short: bool = False  # by what training led to: another one may lead elsewhere
    measured: dict[str, Measurement] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """What was measured against which cut, for a check that passed."""
        return "; ".join(self.said)
