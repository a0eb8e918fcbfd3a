"""Parts that workers of a cluster do in the tests: they need no grader and no torch, and some end the process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

END_SECONDS = 60.0


def present(gpu: bool, others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What such a worker says of itself."""
    return {"gpu": gpu, "others": len(others)}


def work(folder: Path, tell: Callable[[Any], None], part: str, said: Mapping[str, Any] | None) -> str:
    """Dies on "deadly", and the first time on "unlucky"; on "long…" waits until `stop` was called."""
    known = folder / part
    tell(f"begun {part}")
    if part == "deadly" or (part == "unlucky" and not known.exists()):
        known.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if part == "wrong":
        raise ValueError("a fault of ours")
    until = time.monotonic() + END_SECONDS
    while part.startswith("long") and not (folder / "stop").exists() and time.monotonic() < until:
        time.sleep(0.01)
    known.touch()
    return part.upper()


def stop(folder: Path) -> None:
    """Nobody waits for what is long."""
    (folder / "stop").touch()
