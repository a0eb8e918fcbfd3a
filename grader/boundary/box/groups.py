"""A control group around a worker's processes, where one can be had: memory and tasks counted by the kernel.

Without one both are looked at from outside, twenty times a second.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

MOST_MEMORY, MOST_TASKS = 12 << 30, 1024  # a backstop: limits of a check are lower
ROOT = Path("/sys/fs/cgroup")
TRY_SECONDS, REMOVE_SECONDS, OLD_SECONDS = 5.0, 2.0, 600.0
PREFIX = "a7-"
JOIN = 'for group in $A7_GROUPS; do echo $$ > "$group/cgroup.procs"; done; unset A7_GROUPS; exec "$@"'


@dataclass(frozen=True)
class Kind:
    """How groups are made here: by systemd, in folders of the kernel's, or not at all."""

    scope: tuple[str, ...] = ()
    memory: str = ""  # folder in which groups that count memory can be made; the same for tasks in version 2
    tasks: str = ""

    def layers(self) -> tuple[str, ...]:
        """What is there."""
        return ("control group",) if self.scope or self.memory else ()

    def missing(self) -> tuple[str, ...]:
        """What is not."""
        return () if self.scope or self.memory else ("control group (memory and processes are looked at instead)",)


@dataclass(frozen=True)
class Group:
    """One worker's."""

    enter: tuple[str, ...] = ()  # what stands before the command
    folders: tuple[Path, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def kills(self) -> int:
        """How many of its processes the kernel has killed for want of memory."""
        total = 0
        for folder in self.folders:
            for name in ("memory.oom_control", "memory.events"):
                with contextlib.suppress(OSError):
                    words = [line.split() for line in (folder / name).read_text().splitlines()]
                    total += sum(int(word[1]) for word in words if word[0] == "oom_kill")
        return total

    def remove(self) -> None:
        """Once nothing runs in it: what was killed a moment ago may still be on its way out."""
        until = time.monotonic() + REMOVE_SECONDS
        for folder in self.folders:
            while folder.is_dir():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > until:
                        break
                    time.sleep(0.005)


def make(kind: Kind) -> Group:
    """A group for one worker."""
    if kind.scope:
        return Group(kind.scope)
    if not kind.memory:
        return Group()
    name = f"{PREFIX}{uuid.uuid4().hex[:12]}"
    folders = tuple(dict.fromkeys(Path(parent, name) for parent in (kind.memory, kind.tasks) if parent))
    for folder in folders:
        folder.mkdir()
        for file, most in (("memory.limit_in_bytes", MOST_MEMORY), ("memory.max", MOST_MEMORY),
                           ("memory.swap.max", 0), ("pids.max", MOST_TASKS)):  # fmt: skip
            if (folder / file).exists():
                (folder / file).write_text(str(most))
    joined = {"A7_GROUPS": " ".join(map(str, folders))}
    return Group(("/bin/sh", "-c", JOIN, "sh"), folders, joined)


def forget_old(folder: Path) -> None:
    """Groups of a grader that was killed: what is in use cannot be removed."""
    for group in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - group.stat().st_mtime > OLD_SECONDS:
                group.rmdir()


def find() -> Kind:
    """The first kind that works, tried by doing."""
    for kind in (*by_systemd(), *by_hand()):
        try:
            group = make(kind)
        except OSError:
            continue
        try:
            if passes_on(group):
                for folder in group.folders:
                    forget_old(folder.parent)
                return kind
        finally:
            group.remove()
    return Kind()


def passes_on(group: Group) -> bool:
    """Whether a command that is started in the group keeps the descriptors that it was given, and says nothing else."""
    ours, theirs = os.pipe()
    try:
        with open(ours, "rb") as heard:
            with open(theirs, "wb") as open_end:
                number = str(open_end.fileno())
                command = [*group.enter, "/bin/sh", "-c", 'echo here >"/proc/self/fd/$1"', "sh", number]
                done = subprocess.run(command, env={**os.environ, **group.environment}, pass_fds=[open_end.fileno()],
                                      check=False, capture_output=True, timeout=TRY_SECONDS)  # fmt: skip
            return not done.returncode and not done.stderr and heard.read() == b"here\n"
    except (OSError, subprocess.TimeoutExpired):
        return False


def by_systemd() -> list[Kind]:
    """A scope of the user's own service manager, or of the system's."""
    program = shutil.which("systemd-run")
    if program is None or not Path("/run/systemd/system").is_dir():
        return []
    whose = [] if os.geteuid() == 0 else ["--user"]
    limits = ["-p", f"MemoryMax={MOST_MEMORY}", "-p", "MemorySwapMax=0", "-p", f"TasksMax={MOST_TASKS}"]
    return [Kind(scope=(program, *whose, "--scope", "--quiet", "--collect", *limits, "--"))]


def by_hand() -> list[Kind]:
    """Folders that we may write to."""
    own: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            own |= dict.fromkeys(kinds.split(","), path)
    found = []
    first = {name: ROOT / name / own.get(name, "/").lstrip("/") for name in ("memory", "pids")}
    if all(os.access(folder, os.W_OK) for folder in first.values()):
        found.append(Kind(memory=str(first["memory"]), tasks=str(first["pids"])))
    second = ROOT / own.get("", "/").lstrip("/")
    with contextlib.suppress(OSError):
        if {"memory", "pids"} <= set((second / "cgroup.subtree_control").read_text().split()):
            found.append(Kind(memory=str(second)))
    return found
