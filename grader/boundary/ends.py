"""What can come of a request besides its answer: the submission raises, or its process ends one way or another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One line of a traceback through the student's files."""

    file: str
    line: int
    function: str
    code: str


class StudentRaised(Exception):
    """The student's code raised an exception; data only, its class stays in the worker."""

    def __init__(self, kinds: Sequence[str], message: str, frames: Sequence[Line]) -> None:
        super().__init__(f"{kinds[0] if kinds else 'Exception'}: {message}")
        self.kinds, self.message, self.frames = tuple(kinds), message, tuple(frames)


class SessionEnded(BaseException):
    """The session cannot go on. A BaseException, so that Hypothesis does not try to shrink it."""


class TimedOut(SessionEnded):
    """No answer within the deadline."""


class Late(Exception):
    """The deadline of a request has passed."""


class OutOfMemory(SessionEnded):
    """The process used more memory than it may."""


class Crashed(SessionEnded):
    """The process ended without an answer."""


class Violation(SessionEnded):
    """The process wrote something that is not the protocol."""
