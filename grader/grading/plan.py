"""What a run is to do, and with what."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..boundary.box import Box, Observation, Sandbox, choose
from ..check.declaration import OPTIMIZERS, Check
from ..check.threads import THREADS
from ..report.model import Circumstances
from ..rubric import CHECKS
from .decides import decided
from .judge import LOADS


@dataclass(frozen=True)
class Plan:
    """What to run and with what, the same for every submission."""

    seed: int
    device: str
    dataset: str  # "digits" or "mnist"; "none" if no trained check is wanted
    dataset_reason: str
    data_root: Path | None
    questions: frozenset[int]
    kinds: frozenset[str]
    visibilities: frozenset[str]
    jobs: int
    box: Box = field(default_factory=lambda: choose("none"))  # what the code runs in
    self_test: tuple[Observation, ...] | None = None  # what was seen of it; None: it was not tried
    memory: int | None = (
        None  # bytes for a submission's process, where the machine has less than checks usually may use
    )
    control: Path | None = None  # a folder with work that is known to be right, where there is one (`judge.tripped`)

    @property
    def sandbox(self) -> Sandbox:
        """What reports say of the box."""
        return replace(self.box.sandbox, self_test=self.self_test)

    def loads(self) -> list[str]:
        """Libraries that the wanted checks need in a worker."""
        wanted = [check for check in CHECKS if self.wants(check)]
        needed = [OPTIMIZERS if check.kind == "trained" else LOADS[check.question] for check in wanted]
        return list(dict.fromkeys(name for names in needed for name in names))

    def wants(self, check: Check) -> bool:
        """Whether a check is to be run."""
        return check.question in self.questions and check.kind in self.kinds and check.visibility in self.visibilities

    @property
    def circumstances(self) -> Circumstances:
        """What reports say of all this."""
        return Circumstances(self.seed, self.dataset, self.dataset_reason, self.device, THREADS, self.sandbox)

    def decided(self, check: Check) -> str:
        """The digest of what decides a verdict in this run besides the submission's text."""
        return decided(check, self.seed, self.sandbox, self.device, self.dataset, control=self.control is not None)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
