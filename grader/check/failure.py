"""What a check fails with: a failure is data, and words for people are made of it last, once per renderer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ..boundary.session import SessionEnded, StudentRaised


class Unimplemented(SessionEnded):
    """The student has not written this part yet. A BaseException: there is nothing to shrink."""


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

    def allowed(self, expected: Tensor, factor: float = 1.0) -> Tensor:
        """The largest error at each number of `expected`; `factor` is the audit's, 1 in grading."""
        return factor * (self.atol + self.rtol * expected.double().abs())


FLOAT64 = Tolerance(1e-7, 1e-8, "float64 rounding in sums of at most a few thousand terms, with two digits to spare")
FLOAT32 = Tolerance(1e-4, 1e-5, "float32 rounding (6e-8 per term) in sums of at most a few thousand terms")
DIFFERENCES = Tolerance(1e-4, 1e-6, "central differences in float64 with step 1e-5: truncation about 1e-10 times the "
                        "third derivative, cancellation about 1e-11 times the value")  # fmt: skip
EXACT = Tolerance(0.0, 0.0, "copied values: nothing is computed")
GUARDED = Tolerance(1e-4, 1e-5, "a guard of up to 1e-6 inside a logarithm is correct work; at a probability of .05 it "
                    "changes the logarithm by 2e-5")  # fmt: skip


def failure_of(raised: StudentRaised, counterexample: Mapping[str, str]) -> Failure:
    """The failure that an exception of the student's code means. Raises Unimplemented for a part not yet written."""
    kinds = raised.kinds
    if "NotImplementedError" in kinds:
        raise Unimplemented(raised.message or "not implemented")
    where = ""
    with contextlib.suppress(IndexError):
        frame = raised.frames[-1]
        where = f" at {frame.file}, line {frame.line}: {frame.code}"
    if "MissingName" in kinds:
        return Failure(raised.message, actual="missing")
    if "SystemExit" in kinds:
        return Failure(f"your code ended the program{where}", "a return value", "sys.exit or exit was called")
    if "SyntaxError" in kinds:
        return Failure(f"the file cannot be read by Python{where}", "valid Python", f"{kinds[0]}: {raised.message}")
    name = kinds[0] if kinds else "an exception"
    return Failure(f"your code raised {name}{where}", "no exception", f"{name}: {raised.message}", counterexample)
