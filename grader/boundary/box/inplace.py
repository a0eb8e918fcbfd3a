"""The two backends without namespaces: everything is given up from the inside, by Landlock and seccomp.

`uid`: root lends each worker a user of its own. `landlock`: the worker is our own user's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from . import groups, users
from .python import WORKER, environment, folders, interpreter
from .rules import Inside, has_landlock, has_seccomp, without
from .values import Box, Sandbox, Started, Unavailable

TRY_SECONDS = 20.0
NO_SECCOMP = Unavailable("libseccomp is missing", "apt-get install libseccomp2, and pip install pyseccomp")
NO_LANDLOCK = Unavailable(
    "the kernel has no Landlock that confines signals, too",
    "Linux 6.12 or later with landlock among its security modules, and pip install sandlock",
)


@dataclass(frozen=True)
class InPlace:
    """A worker that confines itself before it imports anything."""

    inside: Inside
    lent: bool  # whether each worker has a user of its own
    keep_reading: bool  # see `users.User.become`
    groups: groups.Kind
    sandbox: Sandbox

    def start(self, arguments: Sequence[str], fds: Sequence[int], log: IO[bytes]) -> Started:
        """See `Box`."""
        user = users.lend() if self.lent else None
        home = tempfile.mkdtemp(prefix="a7-worker-")
        group = groups.make(self.groups)
        if user is not None:
            os.chown(home, user.number, user.number)
        process = subprocess.Popen(
            [*group.enter, *self.become(user), *interpreter(str(WORKER)), *arguments, self.rules(home)],
            pass_fds=fds, cwd=home, env=environment(home) | group.environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip

        def close() -> None:
            if user is not None:
                user.end()
                user.sweep()
                user.release()
            group.remove()
            shutil.rmtree(home, ignore_errors=True)

        sweep: Callable[[], None] = Newcomers(user.number if user else os.geteuid()).sweep
        return Started(process, home, close, sweep, group.out_of_memory)

    def become(self, user: users.User | None) -> list[str]:
        """What stands before the interpreter."""
        return user.become(keep_reading=self.keep_reading) if user is not None else []

    def rules(self, home: str) -> str:
        """What the worker gives up, and its folder is."""
        rules = self.inside.rules()
        if "files" in rules["worker"]:
            rules["worker"]["files"]["writable"] = [*rules["worker"]["files"]["writable"], home]
        return json.dumps(rules)


class Newcomers:
    """Files of a user's in /dev/shm that have come since, and that no process has open: a check has left them."""

    def __init__(self, owner: int) -> None:
        self.owner = owner
        self.before = self.present()

    def present(self) -> dict[str, int]:
        """What lies there of the user's, by name."""
        found: dict[str, int] = {}
        with contextlib.suppress(OSError):
            for entry in os.scandir("/dev/shm"):
                with contextlib.suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    if about.st_uid == self.owner and not entry.is_dir(follow_symlinks=False):
                        found[entry.path] = about.st_ino
        return found

    def sweep(self) -> None:
        """Removes them."""
        new = {path: number for path, number in self.present().items() if self.before.get(path) != number}
        if not new:
            return
        held = in_use()
        for path, number in new.items():
            if number not in held:
                with contextlib.suppress(OSError):
                    os.unlink(path)


def in_use() -> set[int]:
    """Numbers of the files of /dev/shm that processes have open or mapped."""
    found: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for line in (process / "maps").read_text(errors="replace").splitlines():
                if "/dev/shm/" in line:
                    found.add(int(line.split()[4]))
        with contextlib.suppress(OSError):
            for fd in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(fd).startswith("/dev/shm/"):
                        found.add(fd.stat().st_ino)
    return found


def starts(become: Sequence[str]) -> bool:
    """Whether this Python, and no other that happens to lie on its way, starts as somebody else."""
    done = subprocess.run([*become, sys.executable, "-I", "-S", "-c", "import os; print(os.__file__)"], cwd="/",
                          check=False, capture_output=True, timeout=TRY_SECONDS)  # fmt: skip
    return done.stdout.decode(errors="replace").strip() == os.__file__


def reading(landlock: bool) -> bool:
    """Whether a lent user must keep root's right to read, to start this Python at all. Raises Unavailable."""
    user = users.lend()
    try:
        if starts(user.become()):
            return False
        if landlock and starts(user.become(keep_reading=True)):
            return True
    finally:
        user.release()
    raise Unavailable(
        "another user cannot start this Python", f"chmod o+rx on {', '.join(folders())} and the folders above"
    )


def find_uid(device: str) -> Box:
    """Root, who can lend users."""
    if os.geteuid() != 0:
        raise Unavailable("only root can run a worker as another user", "run the grader as root, in a container say")
    if not has_seccomp():
        raise NO_SECCOMP
    landlock = has_landlock()
    inside = Inside(str(WORKER), landlock, True, outer=True, shm="own", device=device)
    keep_reading = reading(landlock)
    kind = groups.find()
    layers = ("user", "network", "limits", *(("file system", "other processes") if landlock else ()),
              *inside.layers(), *kind.layers())  # fmt: skip
    missing = (*(() if landlock else ("file system (what everybody may read)",)), *without(inside), *kind.missing())
    return InPlace(inside, True, keep_reading, kind, Sandbox("uid", layers, missing))


def find_landlock(device: str) -> Box:
    """Anybody, where the kernel has what it takes; root is nobody in there, too."""
    if not has_landlock():
        raise NO_LANDLOCK
    if not has_seccomp():
        raise NO_SECCOMP
    # the kernel counts all processes of our user, whose others are none of a submission's: they are looked at instead
    inside = Inside(str(WORKER), True, True, outer=True, shm="careful", processes=None, device=device)
    kind = groups.find()
    layers = ("file system", "network", "signals", "limits", *inside.layers(), *kind.layers())
    shared = "shared memory of your own programs in /dev/shm"
    missing = ("a user of its own", shared, *without(inside), *kind.missing())
    root = os.geteuid() == 0
    return InPlace(inside, root, root and reading(True), kind, Sandbox("landlock", layers, missing))
