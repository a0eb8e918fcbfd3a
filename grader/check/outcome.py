"""What a check can end in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .credit import Measurement
from .declaration import Check

Status = Literal[
    "passed", "partial", "failed", "timeout", "memory", "crashed", "limit", "violation", "unimplemented", "skipped",
    "not_run", "error",
]  # fmt: skip
HARMLESS = frozenset(
    {"passed", "partial", "not_run", "error"}
)  # statuses that do not speak against a submission's part


@dataclass(frozen=True)
class Outcome:
    """What one check found. `earned` is in points."""

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
