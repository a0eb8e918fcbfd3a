"""The paths of a command line: each thing once, however often and however it is spelled."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .names import printable
from .trees import DiskError, IngestError


@dataclass(frozen=True)
class Given:
    """A path, and what to call it: its part below what all paths have in common."""

    path: Path
    label: str


def existing(path: Path) -> Path:
    """The path with links and dots resolved. Raises IngestError if there is nothing."""
    try:
        real = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IngestError(f"{printable(str(path))} does not exist: give a folder, a .zip or a .tar file") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise DiskError(f"{printable(str(path))} cannot be read here ({error})") from error
    return real


def labels(paths: Sequence[Path]) -> list[str]:
    """What to call each of some absolute paths: its own name, after the folders that tell it from the others."""
    try:
        common = os.path.commonpath([path.parent for path in paths])
        relative = [os.path.relpath(path, common) for path in paths]
    except ValueError:  # drives of Windows have nothing in common
        relative = [str(path) for path in paths]
    return [printable(path.replace(os.sep, "/"), 120) for path in relative]


def distinct(paths: Sequence[Path]) -> tuple[list[Given], list[str]]:
    """The paths without those that are another one again or lie in one, and the labels of what was left out."""
    kept: list[Given] = []
    again: list[str] = []
    seen: set[tuple[int, int] | Path] = set()
    absolute = [Path(os.path.realpath(path)) for path in paths]
    folders = {real for real in absolute if os.path.isdir(real)}
    for path, real, label in zip(paths, absolute, labels(absolute), strict=True):
        key = identity(real)
        if key in seen or (os.path.exists(real) and not folders.isdisjoint(real.parents)):
            again.append(label)
        else:
            seen.add(key)
            kept.append(Given(path, label))
    return kept, again


def identity(path: Path) -> tuple[int, int] | Path:
    """The same for two spellings of one thing, also where a system ignores case or mounts it twice."""
    try:
        found = path.stat()
    except OSError:
        return path
    return (found.st_dev, found.st_ino) if found.st_ino else path
