"""What one worker of a cluster says of itself: its grader, its libraries, its box, its data."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from ..boundary.box import BACKENDS, Box, NoBox, choose
from ..boundary.box.selftest import observe
from ..boundary.launch import GraderFault, WorkerDied
from ..check.datasets import DataError, load_dataset

PACKAGE = Path(__file__).resolve().parents[1]
DATA = ("checksums.json", "label_subsets.json")  # beside the package in a checkout, in it where it is installed
# what a verdict may depend on; a build's own tag (which CUDA, say) is not looked at
LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "hypothesis", "msgspec", "safetensors")
NONE = "none"


class Asked(NamedTuple):
    """What a run wants of a worker: see `introduce`."""

    boxes: tuple[str, ...]  # names of backends, the best first
    device: str  # "cpu", or "cuda" or "auto": that of a GPU where the worker has been given one
    test: bool  # whether the box is to be tried
    dataset: str  # "none" if nothing is trained
    root: Path | None


@functools.cache
def digest() -> str:
    """Of the grader's own files: those that decide a mark are among them."""
    found = hashlib.sha256()
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.json")]):
        name = path.relative_to(PACKAGE).as_posix()
        if path.name not in DATA:
            found.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Of Python and the libraries."""
    found = {name: metadata.version(name).partition("+")[0] for name in LIBRARIES}
    return {"Python": ".".join(platform.python_version_tuple()[:2]), **found}


def namespaces() -> list[str]:
    """What tells one place that a box can be made at from another: the machine, the user, and what it is shown."""
    found = [platform.node(), str(os.geteuid())]
    for kind in ("mnt", "pid", "user", "ipc", "net"):
        with contextlib.suppress(OSError):  # other systems have none
            found.append(os.readlink(f"/proc/self/ns/{kind}"))
    return found


def introduce(asked: Asked, ours: str, gpu: bool, others: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Runs on a worker: what it is. `ours` is the digest of who asks; for another grader that is all there is to say.

    "sandbox" is that of the first box that it has, None if it has none of them; "why" says why not the better ones. The
    box is tried unless that was done at the very same place: `others` is what workers on this machine say.
    """
    said: dict[str, Any] = {"digest": digest(), "versions": versions()}
    if said["digest"] != ours:
        return said
    import torch

    device = "cuda" if asked.device != "cpu" and gpu and torch.cuda.is_available() else "cpu"
    said |= {"device": device, "where": namespaces(), "data": ""}
    keys = ("where", "device", "digest")
    alike = next((one for one in others if all(one.get(key) == said[key] for key in keys)), None)
    if alike is not None:
        said |= {key: alike[key] for key in ("why", "sandbox", "seen", "broken")}
    else:
        box, why = best_box(asked.boxes, device)
        said |= {"why": why, "sandbox": box.sandbox if box else None, "seen": None, "broken": ""}
        if asked.test and box is not None:
            try:
                said["seen"] = tuple(observe(box))
            except (GraderFault, WorkerDied) as fault:
                said["broken"] = str(fault)
    if asked.dataset != "none":
        try:
            load_dataset(asked.dataset, root_here(asked.root))
        except DataError as error:
            said["data"] = str(error)
    return said


def best_box(names: tuple[str, ...], device: str) -> tuple[Box | None, Mapping[str, str]]:
    """The first box of these that works here, and why not those before it."""
    why: dict[str, str] = {}
    for name in names:
        try:
            return choose(name, device), why
        except NoBox as none:
            why |= {backend: f"{found.reason} (remedy: {found.remedy})" for backend, found in none.reasons.items()}
    return None, why


def root_here(root: Path | None) -> Path | None:
    """The folder of the data that was named, if this machine has it; else whatever is usual here."""
    return root if root is not None and root.is_dir() else None


def wanted_boxes(name: str) -> tuple[str, ...]:
    """Backends to try: all but none for `auto`."""
    return tuple(backend for backend in BACKENDS if backend != NONE) if name == "auto" else (name,)


def difference(said: Mapping[str, Any], dataset: str) -> str:
    """Why a worker cannot give the same marks as we would; empty if it can."""
    if "fault" in said:
        return str(said["fault"])
    own = versions()
    other = [f"{name} {found} instead of {own[name]}" for name, found in said["versions"].items()
             if own.get(name) != found]  # fmt: skip
    if other:
        return f"it has {', '.join(other)}: install the same versions there"
    if said["digest"] != digest():
        return f"its grader is another one (files {said['digest']}, here {digest()}): install the same one there"
    if said["data"]:
        return f"it has no {dataset}: {said['data']}"
    return ""
