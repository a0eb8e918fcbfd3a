"""Parts on the workers of a cluster, which need nothing but the package: what a run is travels with each part.

A worker chooses the box anew, since what a box is differs between machines, and does nothing where it is not the one
that the reports of this run name. Work that is known to be right (`judge.tripped`) comes with the plan.
"""

from __future__ import annotations

import functools
import secrets
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.util import Finalize
from subprocess import Popen
from typing import IO, Any

import torch
from hypothesis.errors import HypothesisDeprecationWarning

from ..boundary.box import Box, NoBox, Sandbox, Started, choose
from ..boundary.launch import GraderFault
from ..check.threads import THREADS
from ..classes.ingest import IngestError, Submission, read_submission
from ..rubric import CHECKS, MODULES
from .engines.crew import Crew
from .engines.dask import Hands
from .engines.values import Engine, Refused
from .judge import Bench
from .places import root_here
from .plan import Plan
from .run import Lane, Packed, Part
from .works import BY_ID, Verdict

TRAINED = frozenset(check.id for check in CHECKS if check.kind == "trained")
GPU = {"GPU": 1.0}


@dataclass(frozen=True)
class Elsewhere:
    """The box that all workers of a run have; nothing runs in it on this machine."""

    sandbox: Sandbox

    def start(self, arguments: Sequence[str], fds: Sequence[int], log: IO[bytes]) -> Started:
        """Never."""
        raise GraderFault("this run's code runs on the workers of a cluster only")


@dataclass
class Stoppable:
    """A box whose processes can be ended from another thread, after which there are no new ones."""

    box: Box
    stopped: bool = False
    running: weakref.WeakSet[Popen[bytes]] = field(default_factory=weakref.WeakSet)

    @property
    def sandbox(self) -> Sandbox:
        """See `Box`."""
        return self.box.sandbox

    def start(self, arguments: Sequence[str], fds: Sequence[int], log: IO[bytes]) -> Started:
        """See `Box`. Raises GraderFault once it is stopped."""
        if self.stopped:
            raise GraderFault("the run was stopped")
        started = self.box.start(arguments, fds, log)
        self.running.add(started.process)
        return started

    def stop(self) -> None:
        """Ends what runs."""
        self.stopped = True
        for process in list(self.running):
            process.kill()


class Stopped(Exception):
    """Nobody waits for this part any more."""


@dataclass(frozen=True)
class Errand:
    """A run, as it travels: its own name, the plan, and work that is known to be right."""

    run: str
    plan: Plan
    control: Submission | None


def errand_of(plan: Plan) -> Errand:
    """What workers are sent for a plan."""
    control = None
    if plan.control is not None:
        try:
            control = read_submission(plan.control, MODULES)
        except IngestError:  # nobody is blamed by its word, then
            control = None
    return Errand(secrets.token_hex(8), replace(plan, control=None), control)


class Place:
    """A worker's process: at most one lane, of the run whose part it did last."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.run = ""
        self.lane: Lane | None = None
        self.box: Stoppable | None = None

    def lane_for(self, errand: Errand, device: str) -> Lane:
        """The lane of a run. Raises Refused where the box of that run is not to be had here."""
        if self.lane is not None and self.run == errand.run and self.box is not None and not self.box.stopped:
            return self.lane
        self.leave()
        plan, promised = errand.plan, errand.plan.box.sandbox
        try:
            self.box = Stoppable(choose(promised.backend, device))
        except NoBox as none:
            raise Refused(f"it has no box {promised.backend} any more: {none}") from none
        if self.box.sandbox != promised:
            raise Refused(f"its box {promised.backend} is another one than that of this run")
        self.lane = Lane(replace(plan, box=self.box, data_root=root_here(plan.data_root)))
        if errand.control is not None:
            self.lane.control = Bench(errand.control)
            self.lane.setting = replace(self.lane.setting, control=self.lane.control)
        self.run = errand.run
        return self.lane

    def leave(self) -> None:
        """Ends the lane."""
        if self.lane is not None:
            self.lane.close()
        self.lane, self.run = None, ""


@functools.cache
def place() -> Place:
    """That of this process; its lane is closed when the process ends."""
    # Dask's own threads draw from `random` meanwhile; what Hypothesis draws comes from the seed alone
    warnings.filterwarnings("ignore", "Do not use the `random` module", HypothesisDeprecationWarning)
    made = Place()
    Finalize(made, made.leave, exitpriority=1)
    return made


def run_part_here(
    errand: Errand, tell: Callable[[Packed], None], part: Part, said: Mapping[str, Any]
) -> list[Packed]:  # fmt: skip
    """On a worker: see `run.run_part`. Raises Refused, and Stopped when nobody waits for it any more."""
    here = place()
    with here.lock:  # a worker may have several threads, and other runs
        torch.set_num_threads(THREADS)  # OpenMP counts them per thread
        lane = here.lane_for(errand, said["device"])
        box = here.box

        def hear(verdict: Verdict) -> None:
            if box is not None and box.stopped:
                raise Stopped
            tell(verdict.packed())

        try:
            return [verdict.packed() for verdict in lane.run(part, hear)]
        except Stopped:
            here.leave()
            raise


def stop() -> None:
    """On a worker: the part that runs here ends now."""
    box = place().box
    if box is not None:
        box.stop()


def needs(plan: Plan, part: Part) -> dict[str, float]:
    """Resources of a worker that a part takes."""
    trains = plan.device != "cpu" and any(name in TRAINED and plan.wants(BY_ID[name]) for name in part.checks)
    return GPU if trains else {}


def engine_of(
    crew: Crew, stalled: Callable[[], None], plan: Plan, hear: Callable[[Part, Packed], None]
) -> Engine[Part, list[Packed]]:  # fmt: skip
    """The workers of a cluster as an engine."""
    work = functools.partial(run_part_here, errand_of(plan))
    return Hands(crew, work, hear, functools.partial(needs, plan), stop, stalled)
