"""Tensors that processes of a submission send one another travel as bytes, where there are no sockets.

PyTorch's way, used between a data loader and its workers, hands over open files through sockets that anybody may
connect to. Processes that are spawned, not forked, are told the same.
"""

from __future__ import annotations

import multiprocessing.spawn
from multiprocessing.reduction import ForkingPickler
from typing import Any

PRELUDE = (
    "import torch.multiprocessing; from multiprocessing.reduction import ForkingPickler as p; "
    "[p._extra_reducers.pop(k) for k in [*p._extra_reducers] if k.__module__.partition('.')[0] == 'torch']; "
)


def install() -> None:
    """For this process and all that come from it."""
    known: dict[type, Any] = ForkingPickler._extra_reducers  # type: ignore[attr-defined]
    for kind in [kind for kind in known if kind.__module__.partition(".")[0] == "torch"]:
        del known[kind]
    command_line = multiprocessing.spawn.get_command_line

    def told(**fields: Any) -> list[str]:
        return [
            PRELUDE + part if isinstance(part, str) and "spawn_main" in part else part
            for part in command_line(**fields)
        ]

    multiprocessing.spawn.get_command_line = told
