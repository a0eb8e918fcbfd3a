"""What all backends share: how they are asked for a process, and what they say of themselves."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol


@dataclass(frozen=True)
class Observation:
    """One thing that the hostile self-test tried: what it was, whether the box held, and what was seen."""

    what: str
    held: bool
    seen: str


@dataclass(frozen=True)
class Sandbox:
    """What stands between the student's code and this machine."""

    backend: str
    layers: tuple[str, ...]
    missing: tuple[str, ...]
    self_test: tuple[Observation, ...] | None = None


@dataclass
class Started:
    """A worker's process. `home` is its folder as it sees it.

    `close` ends what is left of it and removes its files, once it has ended.
    """

    process: subprocess.Popen[bytes]
    home: str
    close: Callable[[], None] = lambda: None
    kills: Callable[[], int] = lambda: 0  # how many processes the kernel has killed for want of memory


class Box(Protocol):
    """A way to put a worker into a box: chosen once per run, and used for any number of workers. It can be pickled."""

    @property
    def sandbox(self) -> Sandbox:
        """What it consists of."""

    def start(self, arguments: Sequence[str], fds: Sequence[int], log: IO[bytes]) -> Started:
        """Starts ``python grader/worker ARGUMENTS`` with these descriptors; what it says goes to `log`."""


class Unavailable(Exception):
    """A backend does not work on this machine: why, and what somebody could do about it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)
        self.reason, self.remedy = reason, remedy


@dataclass
class NoBox(Exception):
    """No backend that would do works here."""

    reasons: Mapping[str, Unavailable] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join(f"{name}: {why.reason} ({why.remedy})" for name, why in self.reasons.items())
