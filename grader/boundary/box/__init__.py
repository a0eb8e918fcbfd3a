"""What is put around a worker, so that code which is not one's own cannot read, write, reach or outlive anything.

One module per kind of backend, strongest first; `choose` tries what works on this machine. What is applied from the
inside, to the worker and once more to every check's process, lies in `grader.worker.confine`; the rules for it are made
in `rules`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from . import bubblewrap, inplace, none
from .values import Box, NoBox, Observation, Sandbox, Started, Unavailable

BACKENDS: Mapping[str, Callable[[str], Box]] = {
    "bubblewrap": bubblewrap.find, "uid": inplace.find_uid, "landlock": inplace.find_landlock, "none": none.find,
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
