"""What a worker and all that it has started use, seen from outside: nothing of it is asked of them (Linux)."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """Bytes of memory, private and shared, and number of tasks, threads included."""

    memory: int
    tasks: int


def children(pid: int) -> list[int]:
    """A process's own, adopted ones included."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(word) for word in (thread / "children").read_text().split()]
    return found


def descendants(pid: int) -> Iterator[int]:
    """All that a process has started, level by level."""
    level = children(pid)
    while level:
        yield from level
        level = [child for parent in level for child in children(parent)]


def status(pid: int) -> dict[str, str]:
    """Lines of a process's status by their name; none once it has gone."""
    with contextlib.suppress(OSError):
        lines = (PROC / str(pid) / "status").read_text(errors="replace").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {}


def kilobytes(about: dict[str, str], name: str) -> int:
    """A number of kB, in bytes."""
    return 1024 * int((about.get(name) or "0").split()[0])


def outer_number(start: int, inner: int) -> int:
    """Number, here, of the process that has the number `inner` in its own space, `start` or below it; 0: not found."""
    for pid in (start, *descendants(start)):
        if status(pid).get("NSpid", "").split()[-1:] == [str(inner)]:
            return pid
    return 0


@functools.lru_cache(maxsize=1)
def can_see() -> bool:
    """Whether this system shows processes in the way that is read here."""
    return bool(status(1)) and (PROC / "self" / "task").is_dir()


def usage(parent: int) -> Usage:
    """What is used below a worker's parent. Memory shared with it since the fork is nobody's."""
    base = kilobytes(status(parent), "RssAnon")
    memory = tasks = 0
    for pid in descendants(parent):
        about = status(pid)
        memory += max(0, kilobytes(about, "RssAnon") - base) + kilobytes(about, "RssShmem")
        tasks += int(about.get("Threads") or "0")
    return Usage(memory, tasks)


def names(parent: int) -> list[str]:
    """What the processes below are called."""
    return [name for name in (status(pid).get("Name") for pid in descendants(parent)) if name]
