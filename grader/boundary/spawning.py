"""Processes of checks where nothing is forked: each is started anew and imports PyTorch for itself.

What `launch.Worker` does on Linux, on any system: on Windows there is no fork, and on macOS a process that has used the
system's own libraries must not. It is slower, as an import of PyTorch takes longer than most checks, though some
processes do that ahead of time. Verdicts are the same. What the grader says goes through a socket on the loopback
interface that opens to a secret only, what is printed into a file. No box needs this: those are Linux's.
"""

from __future__ import annotations

import contextlib
import hmac
import itertools
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from ..worker import wire
from .box import Box, choose
from .box.folders import remove
from .box.python import WORKER, environment, interpreter
from .ends import CalledOff
from .launch import IMPORT_CPU, IMPORT_MEMORY, START_SECONDS, Child, WorkerDied
from .line import File, Line
from .nursery import ImportEnded, Nursery, Unusable
from .patience import Patience
from .watching import Usage

PROGRAM = WORKER / "spawned.py"
LOOPBACK = "127.0.0.1"
AHEAD = 2  # processes that import PyTorch while others work
LOOK_SECONDS = 0.5  # how often all that was started is looked up: that takes as long as a small check
MEET_SECONDS = 0.2  # how often it is looked whether a process that starts still lives
END_SECONDS = 10.0
KILLED = 1  # what Windows says of a process that was ended by us
NO_WINDOW = int(getattr(subprocess, "CREATE_NO_WINDOW", 0))
SWITCH = "A7_SPAWN"  # this variable, where it is set, asks for it on Linux as well


def is_needed() -> bool:
    """Whether this system forks no processes that PyTorch runs in."""
    return sys.platform != "linux" or bool(os.environ.get(SWITCH))


@dataclass
class Spawned:
    """A process that has been started, and what it needs until it is met."""

    process: subprocess.Popen[bytes]
    door: socket.socket
    token: str
    prints: IO[bytes]  # where it prints, as we read it
    resident: int = 0  # bytes that it has taken before it got to know the submission


class Spawner:
    """Holds a submission's text and starts a process for each check. Its methods are those of `launch.Worker`."""

    def __init__(self, box: Box | None = None) -> None:
        self.box = box or choose("none")
        self.home = tempfile.mkdtemp(prefix="a7-worker-")
        self.folders = itertools.count()
        self.sources: Mapping[str, str] = {}
        self.aliases: Sequence[str] = ()
        self.blocked: dict[str, str] = {}  # files whose import did not end, and how
        self.tried = False  # whether the import of all files has been
        self.patience = Patience()
        self.modules: list[str] = []
        self.ahead: deque[Spawned] = deque()
        self.running: dict[int, Spawned] = {}
        self.used, self.files, self.looked = Usage(0, 0), 0, 0.0
        self.alive = True

    # ---- the submission -----------------------------------------------------------------------------------------

    def submit(self, sources: Mapping[str, str], aliases: Sequence[str]) -> None:
        """Replaces the submission."""
        self.patience = Patience()
        self.sources, self.aliases, self.blocked, self.tried = dict(sources), list(aliases), {}, False

    def preload(self, modules: Sequence[str]) -> None:
        """Has these libraries imported in all processes that start from now on."""
        if new := [name for name in modules if name not in self.modules]:
            self.modules += new
            self._end_ahead()
        self._prepare()

    begin_preload = preload

    def finish_preload(self) -> None:
        """Nothing is waited for: each process imports for itself."""

    def begin(self, *, fresh: bool, sealed: bool, **fields: Any) -> Child:
        """A process for a check, which may use what `fields` say: seed, threads, memory, cpu. Raises WorkerDied.

        All are fresh. A `sealed` one is alone.
        """
        if sealed:
            for pid in [*self.running]:
                self._end(self.running.pop(pid))
        if not (fresh or sealed):
            self._try_imports()
        return self._told("check", fields)

    def _try_imports(self) -> None:
        """Imports all files once: one that does not end is left out from then on."""
        while not self.tried and self.sources:
            child = self._told("import", {"memory": IMPORT_MEMORY, "cpu": IMPORT_CPU})
            nursery = Nursery(child.folder, child.pid, child.line, frozenset(self.sources))
            try:
                nursery.wait_until_ready(self.patience.import_limit(), self.patience.called_off)
                self.tried = True
            except ImportEnded as ended:
                self.tried = not ended.module or ended.module in self.blocked
                if ended.late:
                    self.patience.note_import()
                if not self.tried:
                    self.blocked[ended.module] = ended.how
            except Unusable:  # it has started something: each check does, for itself
                self.tried = True
            finally:
                nursery.close()
                self.reap(child)

    def _told(self, op: str, fields: Mapping[str, Any]) -> Child:
        """A process that knows the submission and what it is for."""
        if not self.alive:
            raise WorkerDied("it has been closed")
        spawned = self.ahead.popleft() if self.ahead else self._start()
        folder = os.path.join(self.home, f"check-{next(self.folders)}")
        try:
            line = self._meet(spawned)
            spawned.resident = psutil.Process(spawned.process.pid).memory_info().rss
            request = {"op": op, "folder": folder, "sources": self.sources, "aliases": self.aliases,
                       "blocked": self.blocked, **fields}  # fmt: skip
            line.socket.sendall(wire.pack(request, {}))
        except (OSError, psutil.Error) as error:
            words = spawned.prints.read()[-2000:].decode(errors="replace").strip()
            self._end(spawned)
            raise WorkerDied(words or str(error) or "no message") from error
        except BaseException:
            self._end(spawned)
            raise
        self.running[spawned.process.pid] = spawned
        self._prepare()
        return Child(spawned.process.pid, folder, line)

    # ---- processes ----------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """The next ones import what they need while the present one works."""
        while self.alive and len(self.ahead) < AHEAD:
            self.ahead.append(self._start())

    def _start(self) -> Spawned:
        homes = dict.fromkeys(("USERPROFILE", "TEMP", "TMP"), self.home)  # what Windows calls them
        door = socket.create_server((LOOPBACK, 0), backlog=1)
        token = secrets.token_hex(16)
        number = next(self.folders)
        with (Path(self.home) / f"printed-{number}").open("wb") as printing:
            process = subprocess.Popen(
                interpreter(str(PROGRAM)), cwd=self.home, env=environment(self.home) | homes, start_new_session=True,
                stdin=subprocess.PIPE, stdout=printing, stderr=printing, creationflags=NO_WINDOW,
            )  # fmt: skip
        assert process.stdin is not None
        told = {"port": door.getsockname()[1], "token": token, "modules": self.modules}
        with contextlib.suppress(OSError):  # it has ended already: who meets it will see
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()
        return Spawned(process, door, token, open(printing.name, "rb"))

    def _meet(self, spawned: Spawned) -> Line:
        """The connection of the process, once it is ready. Raises OSError, and CalledOff."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if select.select([spawned.door], [], [], MEET_SECONDS)[0]:
                own, _ = spawned.door.accept()
                own.settimeout(END_SECONDS)
                shown = own.recv(len(spawned.token), socket.MSG_WAITALL if hasattr(socket, "MSG_WAITALL") else 0)
                if hmac.compare_digest(shown, spawned.token.encode()):
                    own.settimeout(None)
                    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    spawned.door.close()
                    return Line(own, File(spawned.prints))
                own.close()  # somebody else on this machine
            elif spawned.process.poll() is not None:
                raise OSError(f"it ended with {spawned.process.returncode} while it started")
            elif self.patience.called_off():
                raise CalledOff
        raise TimeoutError(f"it has not started within {START_SECONDS:g} s")

    def reap(self, child: Child) -> Mapping[str, int | None]:
        """Kills a process with all it started, removes its files, says how it had ended."""
        spawned = self.running.pop(child.pid, None)
        if spawned is None:
            return {"signal": None, "exit": None}
        code = self._end(spawned)
        remove(child.folder)
        if code is None or (code == KILLED and os.name == "nt"):
            return {"signal": None, "exit": None}
        return {"signal": -code if code < 0 else None, "exit": code if code >= 0 else None}

    @staticmethod
    def _end(spawned: Spawned) -> int | None:
        kill_whole(spawned.process.pid)
        spawned.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            spawned.process.wait(END_SECONDS)
        for opened in (spawned.door, spawned.prints, spawned.process.stdin):
            with contextlib.suppress(OSError):
                if opened is not None:
                    opened.close()
        with contextlib.suppress(OSError):
            os.unlink(spawned.prints.name)
        return spawned.process.returncode

    # ---- what it uses -------------------------------------------------------------------------------------------

    def usage(self) -> Usage:
        """Memory and tasks of all processes of checks, looked up now and then."""
        if time.monotonic() - self.looked > LOOK_SECONDS:
            memory = tasks = 0
            for spawned in self.running.values():
                memory -= spawned.resident
                for process in below(spawned.process.pid):
                    with contextlib.suppress(psutil.Error):
                        memory += process.memory_info().rss
                        tasks += process.num_threads()
            self.used = Usage(max(0, memory), tasks)
            self.files = sum(size_of(path) for path in Path(self.home).rglob("*"))
            self.looked = time.monotonic()
        return self.used

    def temporary(self) -> int:
        """Bytes that lie in its files, when that was last looked up."""
        return self.files

    def kills(self) -> int:
        """How many processes the kernel has killed for want of memory: nobody knows."""
        return 0

    def outer_number(self, child: Child) -> int:
        """Number of a check's process."""
        return child.pid

    # ---- its end ------------------------------------------------------------------------------------------------

    def _end_ahead(self) -> None:
        while self.ahead:
            self._end(self.ahead.popleft())

    def close(self) -> None:
        """Ends all processes, and removes their files."""
        self.alive = False
        self._end_ahead()
        for pid in [*self.running]:
            self._end(self.running.pop(pid))
        remove(self.home)


def below(pid: int) -> list[psutil.Process]:
    """A process, and all that it has started, as far as that has not left its parents."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def kill_whole(pid: int) -> None:
    """All of that. Each is stopped before its children are looked up: it makes no more of them meanwhile."""
    with contextlib.suppress(psutil.Error):
        stopped = [psutil.Process(pid)]
        for process in stopped:  # grows meanwhile
            with contextlib.suppress(psutil.Error):
                process.suspend()
                stopped += process.children()
        for process in reversed(stopped):
            with contextlib.suppress(psutil.Error):
                process.kill()
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)  # what has left its parents, but not the group


def size_of(path: Path) -> int:
    """Bytes of a file; none of what has gone."""
    with contextlib.suppress(OSError):
        return path.stat(follow_symlinks=False).st_size
    return 0
