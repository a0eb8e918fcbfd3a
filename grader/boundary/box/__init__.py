"""What is put around a worker, so that code which is not one's own cannot read, write, reach or outlive anything.

One module per kind of backend, strongest first; `choose` tries what works on this machine. What is applied from the
inside, to the worker and once more to every check's process, lies in `grader.worker.confine`; the rules for it are made
in `rules`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping

from . import none
from .values import Box, NoBox, Observation, Sandbox, Started, Unavailable


def _bubblewrap(device: str) -> Box:
    on_linux()
    from . import bubblewrap

    return bubblewrap.find(device)


def _uid(device: str) -> Box:
    on_linux()
    from . import inplace

    return inplace.find_uid(device)


def _landlock(device: str) -> Box:
    on_linux()
    from . import inplace

    return inplace.find_landlock(device)


def on_linux() -> None:
    """All that boxes are made of is Linux's: elsewhere not even its modules can be imported. Raises Unavailable."""
    if sys.platform != "linux":
        raise Unavailable("boxes are made of what Linux has", "grade on Linux, in a virtual machine or a container")


BACKENDS: Mapping[str, Callable[[str], Box]] = {
    "bubblewrap": _bubblewrap, "uid": _uid, "landlock": _landlock, "none": none.find,
}  # fmt: skip

__all__ = ["BACKENDS", "Box", "NoBox", "Observation", "Sandbox", "Started", "Unavailable", "choose"]


@functools.cache
def choose(wanted: str = "auto", device: str = "cpu") -> Box:
    """The strongest box that works here, or the one wanted. Raises NoBox with the reason and remedy of each."""
    reasons: dict[str, Unavailable] = {}
    for name, find in BACKENDS.items():
        if wanted in ("auto", name):
            try:
                return find(device)
            except Unavailable as unavailable:
                reasons[name] = unavailable
    raise NoBox(reasons)
