"""What a check relies on besides the function that it asks about, and what can stand in for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A function or class of the submission that a trained check relies on, and what can stand in for it.

    Where one of `checks` found the submission's own part wrong, the trained check may run with the grader's, for
    FOLLOW_THROUGH of its points.
    """

    name: str  # "module.name"
    probe: str  # the grader's own, in grader/boundary/lent
    checks: tuple[str, ...]


FOLLOW_THROUGH = 0.5  # enough to reward the rest of the work, too little to make the part itself worthless
