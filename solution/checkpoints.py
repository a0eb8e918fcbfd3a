"""Given: files from which a training goes on as if it had never stopped, and the random state that belongs to that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

CHECKPOINT = "checkpoint.pt"


@contextmanager
def separate_randomness(seed: int) -> Iterator[None]:
    """Draws inside start from `seed` and leave the random stream outside as it was."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def random_state() -> dict[str, Any]:
    """States of PyTorch's global generators."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


def set_random_state(state: dict[str, Any]) -> None:
    """Undo what was drawn since `random_state`; GPUs that are not here any more are left out."""
    torch.set_rng_state(state["cpu"])
    for device, cuda_state in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
        torch.cuda.set_rng_state(cuda_state, device)


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write all or nothing: an interruption leaves the previous checkpoint whole."""
    temporary = path.with_name(path.name + ".partial")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Tensors and plain values only; nothing in the file is executed."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content
