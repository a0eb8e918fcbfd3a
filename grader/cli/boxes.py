"""Which box a run gets, and when there is none that would do: then nothing runs.

Code that is not the user's own (more than one submission, or any archive) is not run without a box, unless the user
says so. Before such a run the box is tried with the hostile self-test, and one that lets something through is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..boundary.box import BACKENDS, Box, NoBox, Observation, Unavailable, choose
from ..boundary.box.selftest import observe
from ..boundary.launch import GraderFault, WorkerDied

NONE = "none"
STRONG = ("bubblewrap", "uid")  # what gets through one of these does so against what it promises
UNSAFE = "--unsafe-no-box"


class BoxRefused(Exception):
    """There is no box that would do for what was asked: says why, and what to do. Exit code 4."""


class Chosen(NamedTuple):
    """A box, and why the stronger ones are not to be had."""

    box: Box
    stronger: Mapping[str, Unavailable]


def find_box(wanted: str, device: str = "cpu") -> Chosen:
    """The strongest box that works here, or the one that is wanted; `none` only if it is wanted. Raises NoBox."""
    reasons: dict[str, Unavailable] = {}
    for name in BACKENDS if wanted == "auto" else (wanted,):
        if name == NONE and wanted == "auto":
            break
        try:
            return Chosen(choose(name, device), reasons)
        except NoBox as none:
            reasons.update(none.reasons)
    raise NoBox(reasons)


def box_of_a_run(wanted: str, device: str, *, own: bool, unsafe: bool) -> Box:
    """The box of a run of `grade`. Raises BoxRefused.

    `own` says that what is graded is one folder of the user's; `unsafe`, that the user takes what comes of no box.
    """
    try:
        box = find_box(wanted, device).box
    except NoBox as none:
        if wanted == "auto" and (own or unsafe):
            return choose(NONE, device)
        raise BoxRefused(told(none)) from none
    if box.sandbox.backend == NONE and not (own or unsafe):
        raise BoxRefused(
            "submissions of others are not run without a box (--box none): leave --box out, or take what comes of it "
            f"with {UNSAFE}"
        )
    return box


def told(none: NoBox) -> str:
    """Why there is no box, and the remedies."""
    lines = [f"{name}: {why.reason}\n  remedy: {why.remedy}" for name, why in none.reasons.items()]
    return "\n".join([
        "no box can be had on this machine, and the code of others is not run without one. Nothing has been run.",
        *lines,
        f"python -m grader box shows more. Where nothing can be lost, {UNSAFE} runs it all the same.",
    ])  # fmt: skip


def tested(box: Box, *, unsafe: bool) -> tuple[Observation, ...]:
    """What the self-test has seen in a box. Raises BoxRefused if it got through one that promises to hold."""
    try:
        seen = tuple(observe(box))
    except (GraderFault, WorkerDied) as fault:
        raise BoxRefused(f"no worker runs in the box {box.sandbox.backend}: {fault}. Nothing has been run.") from fault
    through = [one.what for one in seen if not one.held]
    if through and box.sandbox.backend in STRONG and not unsafe:
        raise BoxRefused(
            f"the box {box.sandbox.backend} does not hold here: {', '.join(through)}. Nothing has been run; "
            f"python -m grader box shows what was seen. Where nothing can be lost, {UNSAFE} runs it all the same."
        )
    return seen
