"""What a check fails with: a failure is data, and words for people are made of it last, once per renderer."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ..boundary.ends import SessionEnded, StudentRaised

# what a submission may import besides Python's own modules; the handout lists the same
LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "sklearn", "matplotlib")
INHERIT = ""  # as a hint: the check's own question fits this condition, too


class Unimplemented(SessionEnded):
    """The student has not written this part yet. A BaseException: there is nothing to shrink."""


@dataclass(eq=False)
class Failure(Exception):
    """A check that the submission does not meet: what was expected, what came, and the smallest input that shows it."""

    message: str
    expected: str = ""
    actual: str = ""
    counterexample: Mapping[str, str] = field(default_factory=dict)
    hint: str = INHERIT  # the question that belongs to this condition
    looks: str = ""  # what is wrong looks like this
    about: str = ""  # or: which values were wrong; the context knows what all of these have in common
    call: str = ""  # what failed, as the student would type it; where it is empty, the last call that was made

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
        return Failure(raised.message, actual="missing", hint="Is it there, and spelled as in the handout?")
    if "TooMuch" in kinds:
        return Failure(raised.message, "numbers of the size that was asked for", "many times more",
                       hint="Which of your operations makes more of two arguments than either of them is?")  # fmt: skip
    if "SystemExit" in kinds:
        return Failure(f"your code ended the program{where}", "a return value", "sys.exit or exit was called",
                       hint="Who should decide that a program ends: a function, or whoever calls it?")  # fmt: skip
    if "SyntaxError" in kinds:
        return Failure(
            f"the file cannot be read by Python {platform.python_version()}{where}", "valid Python",
            f"{kinds[0]}: {raised.message}",
            hint="What does Python itself say when you run this file alone, and in which version do you run it?",
        )  # fmt: skip
    name = kinds[0] if kinds else "an exception"
    if "ModuleNotFoundError" in kinds:
        return Failure(
            f"your code imports what is not there{where}", f"Python's own modules, your files, {', '.join(LIBRARIES)}",
            f"{name}: {raised.message}", hint="Which of the libraries that exist here does what you need?",
        )  # fmt: skip
    return Failure(f"your code raised {name}{where}", "no exception", f"{name}: {raised.message}", counterexample,
                   hint="Which value arrives at this line, and from where?")  # fmt: skip
