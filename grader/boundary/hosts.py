"""Where the processes of checks come from: forked from one that has PyTorch, or started anew."""

from __future__ import annotations

from . import spawning
from .box import Box, choose
from .launch import Worker
from .spawning import Spawner

Host = Worker | Spawner
WITHOUT_BOX = "none"


def start(box: Box | None = None) -> Host:
    """A worker in this box; where there is none, and this system cannot fork, one that does without."""
    box = box or choose(WITHOUT_BOX)
    return Spawner(box) if box.sandbox.backend == WITHOUT_BOX and spawning.is_needed() else Worker(box)
