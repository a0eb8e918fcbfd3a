"""The two backends without namespaces: everything is given up from the inside, by Landlock and seccomp.

`uid`: root lends each worker a user of its own. `landlock`: the worker is our own user's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from . import groups, users
from .folders import remove
from .python import WORKER, environment, folders, interpreter
from .rules import PROCESSES, Inside, has_landlock, has_seccomp, without
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
            remove(home)

        return Started(process, home, close, group.kills)

    def become(self, user: users.User | None) -> list[str]:
        """What stands before the interpreter."""
        return user.become(keep_reading=self.keep_reading) if user is not None else []

    def rules(self, home: str) -> str:
        """What the worker gives up, and its folder is."""
        rules = self.inside.rules()
        if "files" in rules["worker"]:
            rules["worker"]["files"]["writable"] = [*rules["worker"]["files"]["writable"], home]
        return json.dumps(rules)


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
    inside = Inside(str(WORKER), landlock, True, outer=True, lonely=True, device=device)
    keep_reading = reading(landlock)
    kind = groups.find()
    layers = ("user", "network", "limits", *(("file system", "other processes") if landlock else ()),
              *inside.layers(), *kind.layers())  # fmt: skip
    missing = (
        *(() if landlock else ("file system (what everybody may read)",)),
        *(("no privilege (it may read root's own files, where its rules let it)",) if keep_reading else ()),
        *without(inside),
        *kind.missing(),
    )
    return InPlace(inside, True, keep_reading, kind, Sandbox("uid", layers, tuple(missing)))


def find_landlock(device: str) -> Box:
    """Anybody, where the kernel has what it takes; root is nobody in there, too."""
    if not has_landlock():
        raise NO_LANDLOCK
    if not has_seccomp():
        raise NO_SECCOMP
    root = os.geteuid() == 0
    # the kernel counts all processes of a user, and ours may have others: then they are looked at from outside
    inside = Inside(
        str(WORKER), True, True, outer=True, lonely=root, processes=PROCESSES if root else None, device=device
    )
    kind = groups.find()
    layers = ("file system", "network", "signals", "limits", *inside.layers(), *kind.layers())
    missing = ("a user of its own", *without(inside), *kind.missing())
    return InPlace(inside, root, root and reading(True), kind, Sandbox("landlock", layers, missing))
