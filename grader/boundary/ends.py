"""What can come of a request besides its answer: the submission raises, or its process ends one way or another."""

from __future__ import annotations

import errno
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


class CalledOff(BaseException):
    """Nobody waits for the answer any more: a newer text has been saved. It is no outcome, and no part of the marks."""


class Late(Exception):
    """The deadline of a request has passed."""


class OutOfMemory(SessionEnded):
    """The process used more memory than it may."""


class CpuTimeUsedUp(SessionEnded):
    """One of its processes used more processor time than it may."""


class TooManyProcesses(SessionEnded):
    """It started more processes or threads than it may."""


class DiskFull(SessionEnded):
    """It wrote more to files than there is room for."""


class FileTooLarge(SessionEnded):
    """It wrote a file that is larger than a file may be."""


class TooManyFiles(SessionEnded):
    """It has more files open than it may."""


class PrintedTooMuch(SessionEnded):
    """It printed more than anybody would read."""


class Crashed(SessionEnded):
    """The process ended without an answer."""


class Violation(SessionEnded):
    """The process wrote something that is not the protocol."""


def limit_reached(kinds: Sequence[str], message: str) -> SessionEnded | None:
    """The end behind an exception that says that a limit of the system was reached."""
    if "MemoryError" in kinds or "can't allocate memory" in message or "CUDA out of memory" in message:
        return OutOfMemory("an allocation was refused")
    if "OSError" not in kinds and "RuntimeError" not in kinds:
        return None
    if "can't start new thread" in message or message.startswith(f"[Errno {errno.EAGAIN}]"):
        return TooManyProcesses("no more processes or threads could be started")
    if f"[Errno {errno.ENOSPC}]" in message or "No space left on device" in message:
        return DiskFull("there was no room left for its files")
    if f"[Errno {errno.EFBIG}]" in message or "File too large" in message:
        return FileTooLarge("a file became too large")
    if f"[Errno {errno.EMFILE}]" in message or "Too many open files" in message:
        return TooManyFiles("too many files were open at a time")
    return None
