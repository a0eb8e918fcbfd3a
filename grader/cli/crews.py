"""A run on a cluster: where its workers come from, which of them do, and what is said of the others.

All workers of a run are alike: the same grader and libraries, the same box, tried on each of them. So a report says
what stood around the code wherever that ran, and a worker that has no such box does nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console

from ..boundary.box import Observation, Sandbox
from ..grading import abroad
from ..grading.engines import clusters
from ..grading.engines.crew import Crew, Worker
from ..grading.places import Asked, difference, digest, introduce, wanted_boxes
from ..grading.plan import Plan, cores
from ..grading.run import MakeEngine
from .arguments import UsageError
from .boxes import NONE, STRONG, UNSAFE, BoxRefused
from .consoles import say

Said = Mapping[str, Any]


@contextlib.contextmanager
def crewed(options: argparse.Namespace, plan: Plan, err: Console, *, own: bool) -> Iterator[tuple[Plan, MakeEngine]]:
    """The plan as the workers of the cluster make it, and the engine. Raises UsageError and BoxRefused."""
    if options.box == NONE and not (own or options.unsafe_no_box):
        raise BoxRefused(f"submissions of others are not run without a box (--box none): leave --box out, or {UNSAFE}")
    asked = asked_of(options, plan, own=own)

    def refused(name: str, why: str) -> None:
        say(err, "not used", f"worker {name}: {why}", "yellow")

    def waiting(what: str) -> None:
        say(err, "waiting", f"for a worker{what}; Ctrl-C stops", "yellow")

    try:
        with cluster(options) as client, contextlib.ExitStack() as stack:
            crew = Crew(client, functools.partial(introduce, asked, digest()), refused)
            stack.callback(crew.close)
            met = crew.meet(functools.partial(waiting, ""))
            terms = Terms(asked, [worker.said for worker in met if worker.said is not None], plan,
                          unsafe=options.unsafe_no_box)  # fmt: skip
            accepted = crew.admit(terms.refusal)
            if not accepted:
                raise terms.nobody(met)
            device = device_of(accepted, options.device)
            promised = replace(plan, box=abroad.Elsewhere(terms.sandbox), self_test=terms.seen, device=device,
                               jobs=len(accepted))  # fmt: skip
            yield promised, functools.partial(abroad.engine_of, crew, functools.partial(waiting, " that does the rest"))
    except clusters.NoCluster as none:
        raise UsageError(str(none)) from none


def cluster(options: argparse.Namespace) -> contextlib.AbstractContextManager[Any]:
    """What the options name."""
    if options.engine == "slurm":
        return clusters.of_slurm(options.jobs)
    if options.scheduler is not None:
        return clusters.at(options.scheduler)
    return clusters.of_this_machine(options.jobs or cores())


def asked_of(options: argparse.Namespace, plan: Plan, *, own: bool) -> Asked:
    """What workers are asked. Without a box runs nothing but one's own folder, as in a run without a cluster."""
    boxes = wanted_boxes(options.box)
    if options.box == "auto" and (own or options.unsafe_no_box):
        boxes = (*boxes, NONE)
    trains = plan.dataset != "none"
    return Asked(boxes, options.device if trains else "cpu", not own, plan.dataset, plan.data_root)


def device_of(workers: Sequence[Worker], wanted: str) -> str:
    """What is trained on. Raises UsageError where that is to be a GPU and no worker has one."""
    if any(worker.said is not None and worker.said["device"] == "cuda" for worker in workers):
        return "cuda"
    if wanted == "cuda":
        raise UsageError("--device cuda: no worker has a GPU: start those that have one with --resources GPU=1")
    return "cpu"


class Terms:
    """The box of a run: the best that one of the first workers has. What the others must be like follows from it."""

    def __init__(self, asked: Asked, said: Sequence[Said], plan: Plan, *, unsafe: bool) -> None:
        self.asked, self.dataset, self.unsafe = asked, plan.dataset, unsafe
        able = [one for one in said if not self.different(one) and not self.broken(one)]
        best = min(able, key=self.rank, default=None)
        self.sandbox: Sandbox = best["sandbox"] if best else Sandbox(NONE, (), ())
        self.seen: tuple[Observation, ...] | None = best["seen"] if best else None

    def rank(self, said: Said) -> tuple[int, int]:
        """The better a box, the smaller."""
        return self.asked.boxes.index(said["sandbox"].backend), len(said["sandbox"].missing)

    def different(self, said: Said) -> str:
        """Why a worker gives other marks."""
        return difference(said, self.dataset)

    def broken(self, said: Said) -> str:
        """Why the code of others cannot be run there."""
        sandbox: Sandbox | None = said["sandbox"]
        if sandbox is None:
            reasons = "; ".join(f"{name}: {why}" for name, why in said["why"].items())
            return f"it has no box for the code of others ({reasons})"
        if said["broken"]:
            return f"no process starts in its box {sandbox.backend}: {said['broken']}"
        through = [one.what for one in said["seen"] or () if not one.held]
        if through and sandbox.backend in STRONG and not self.unsafe:
            return f"its box {sandbox.backend} does not hold: {', '.join(through)}"
        return ""

    def refusal(self, said: Said) -> str:
        """Why a worker does nothing in this run; empty if it does."""
        if why := self.different(said) or self.broken(said):
            return why
        sandbox: Sandbox = said["sandbox"]
        if sandbox != self.sandbox:
            return f"its box is {described(sandbox)}, that of this run is {described(self.sandbox)}"
        if held(said["seen"]) != held(self.seen):
            return f"trying its box {sandbox.backend} showed something else than on the worker that was first"
        return ""

    def nobody(self, met: Sequence[Worker]) -> Exception:
        """What to raise where no worker does."""
        said = [worker.said for worker in met if worker.said is not None]
        if any(not self.different(one) for one in said):
            return BoxRefused(
                "no worker of the cluster has a box that would do: nothing has been run. The reasons are above"
            )
        return UsageError("no worker of the cluster can be used: the reasons are above")


def described(sandbox: Sandbox) -> str:
    """A box in few words."""
    lacks = f" without {', '.join(sandbox.missing)}" if sandbox.missing else ""
    return f"{sandbox.backend}{lacks}"


def held(seen: Sequence[Observation] | None) -> list[tuple[str, bool]] | None:
    """What a self-test has come to."""
    return None if seen is None else [(one.what, one.held) for one in seen]
