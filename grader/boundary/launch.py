"""The grader's end of ``grader/worker/__main__.py``: a worker in its box, and the processes that it forks."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..worker import wire
from . import watching
from .box import Box, choose
from .ends import CalledOff
from .line import Line, connected
from .nursery import MOST_PID, ImportEnded, Nursery, Unusable
from .patience import Patience

START_SECONDS, CLOSE_SECONDS = 120.0, 5.0
REAP_SECONDS = 60.0  # more than the worker needs to give up
IMPORT_MEMORY, IMPORT_CPU = 3 << 30, 600


class GraderFault(Exception):
    """Something of ours went wrong. Never the student's fault, never paid with the student's points."""


class WorkerDied(Exception):
    """The worker's parent process is gone."""


@dataclass(frozen=True)
class Child:
    """A process of a check."""

    pid: int  # as the worker knows it
    folder: str
    line: Line
    nursery: Nursery | None = None  # whose child it is; None: the worker's parent's


class Worker:
    """A running worker parent: holds a submission's text and forks a process per check on request."""

    def __init__(self, box: Box | None = None) -> None:
        self.box = box or choose("none")
        self.control, theirs = socket.socketpair()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
        self.nonce = 0
        self.preloading = False  # whether libraries are being imported for us
        self.folders = itertools.count()
        self.sources: Mapping[str, str] = {}
        self.aliases: Sequence[str] = ()
        self.blocked: dict[str, str] = {}  # files whose import did not end, and how
        self.patience = Patience()
        self.nursery: Nursery | None = None
        self.raised = False  # whether the nursery of this submission has been tried
        with theirs:
            self.started = self.box.start([str(theirs.fileno())], [theirs.fileno()], self.log)
        self.process, self.home = self.started.process, self.started.home
        self.parent = 0  # its number, seen from here
        self.control.settimeout(START_SECONDS)
        self.read = wire.reader(self._receive)

    @property
    def alive(self) -> bool:
        """Whether the parent still runs."""
        return self.process.poll() is None

    # ---- the submission -----------------------------------------------------------------------------------------

    def submit(self, sources: Mapping[str, str], aliases: Sequence[str]) -> None:
        """Replaces the submission."""
        self._close_nursery()
        self.patience = Patience()
        self.sources, self.aliases, self.blocked, self.raised = dict(sources), list(aliases), {}, False
        self._send_submission()

    def preload(self, modules: Sequence[str]) -> None:
        """Imports libraries once, for all processes forked from now on."""
        self.begin_preload(modules)
        self.finish_preload()

    def begin_preload(self, modules: Sequence[str]) -> None:
        """The same without waiting until it is done: `finish_preload` does, or whatever is asked next."""
        self._close_nursery()
        self.raised = False
        self._request("preload", modules=list(modules))
        self.preloading = True

    def finish_preload(self) -> None:
        """Waits until the libraries are there. Raises WorkerDied."""
        if self.preloading:
            self.preloading = False
            self._answer()

    def begin(self, *, fresh: bool, sealed: bool, **fields: Any) -> Child:
        """A process for a check, which may use what `fields` say: seed, threads, memory, cpu.

        From the nursery, which has the submission imported; `fresh` ones have run nothing of it, and nothing of it runs
        beside them that could tell them something. `sealed` ones are alone. Raises WorkerDied.
        """
        name = f"check-{next(self.folders)}"
        fields |= {"folder": name, "sealed": sealed}
        if fresh or sealed:
            self._close_nursery()
            self.raised = False
        nursery = None if fresh or sealed else self._raise_nursery()
        if nursery is not None:
            try:
                pid, line = connected(functools.partial(nursery.fork, **fields))
                return Child(pid, f"{nursery.folder}/{name}", line, nursery)
            except Unusable:
                self._close_nursery()
        pid, line = connected(lambda fds: self._started(self.ask("fork", fds, **fields)))
        return Child(pid, name, line)

    def reap(self, child: Child) -> Mapping[str, int | None]:
        """Kills a process with all it started, removes its files, says how it had ended. Raises WorkerDied."""
        self.control.settimeout(REAP_SECONDS)
        try:
            found = self.ask("reap", pid=child.pid, folder=child.folder)
        finally:
            self.control.settimeout(START_SECONDS)
        if found.get("stuck"):
            self._destroy()
            raise WorkerDied("a process could not be ended")
        if child.nursery is not None and child.nursery is self.nursery:
            try:
                return self.nursery.wait(child.pid)
            except Unusable:
                self._close_nursery()
        return {key: found.get(key) for key in ("signal", "exit")}

    # ---- what it uses -------------------------------------------------------------------------------------------

    def usage(self) -> watching.Usage | None:
        """Memory and tasks of all processes of checks, seen from outside; None where that cannot be seen."""
        if not watching.can_see():
            return None
        if not self.parent:
            self.parent = watching.outer_number(self.process.pid, int(self.ask("usage")["pid"]))
        return watching.usage(self.parent) if self.parent else None

    def temporary(self) -> int:
        """Bytes that lie in the box's files. Raises WorkerDied."""
        return int(self.ask("usage")["temp"])

    def kills(self) -> int:
        """How many processes the kernel has killed for want of memory."""
        return self.started.kills()

    def outer_number(self, child: Child) -> int:
        """Number of a check's process as seen from here; 0 if it is not seen."""
        return watching.outer_number(self.process.pid, child.pid) if watching.can_see() else child.pid

    def _send_submission(self) -> None:
        self.ask("submission", sources=self.sources, aliases=self.aliases, blocked=self.blocked)

    def _raise_nursery(self) -> Nursery | None:
        """The submission's nursery, made on first use; a file that stops it is left out from then on."""
        while not self.raised and self.sources:
            folder = f"import-{next(self.folders)}"
            nursery = None
            try:
                pid, line = connected(functools.partial(self._fork_nursery, folder))
                nursery = Nursery(folder, pid, line, frozenset(self.sources))
                nursery.wait_until_ready(self.patience.import_limit(), self.patience.called_off)
                self.nursery, self.raised = nursery, True
            except ImportEnded as ended:
                self.raised = not ended.module or ended.module in self.blocked
                if ended.late:
                    self.patience.note_import()
                if not self.raised:
                    self.blocked[ended.module] = ended.how
                    self._send_submission()
                self._end(nursery)
            except Unusable:
                self.raised = True
                self._end(nursery)
            except CalledOff:
                self._end(nursery)
                raise
        return self.nursery

    def _fork_nursery(self, folder: str, fds: Sequence[int]) -> int:
        return self._started(self.ask("nursery", fds, memory=IMPORT_MEMORY, cpu=IMPORT_CPU, folder=folder))

    def _end(self, nursery: Nursery | None) -> None:
        if nursery is not None:
            nursery.close()
            self.ask("reap", pid=nursery.pid, folder=nursery.folder)

    def _close_nursery(self) -> None:
        """From now on checks import for themselves."""
        nursery, self.nursery = self.nursery, None
        self._end(nursery)

    # ---- requests -----------------------------------------------------------------------------------------------

    def ask(self, op: str, fds: Sequence[int] = (), **fields: Any) -> Mapping[str, Any]:
        """One request to the parent. Raises WorkerDied when it is gone."""
        self.finish_preload()
        self._request(op, fds, **fields)
        return self._answer()

    def _request(self, op: str, fds: Sequence[int] = (), **fields: Any) -> None:
        self.nonce += 1
        try:
            socket.send_fds(self.control, [b"!"], list(fds))
            self.control.sendall(wire.pack({"op": op, "nonce": self.nonce, **fields}, {}))
        except OSError as error:
            raise self._died(error) from error

    def _answer(self) -> Mapping[str, Any]:
        try:
            answer, _ = wire.read_frame(self.read)
        except (OSError, EOFError) as error:
            raise self._died(error) from error
        except wire.ProtocolError as error:
            raise self._spoilt(f"it answered nonsense: {error}") from error
        if answer.get("nonce") != self.nonce:
            raise self._spoilt("it answered another request")
        return answer

    def _started(self, answer: Mapping[str, Any]) -> int:
        """The number of a process that was asked for."""
        pid = answer.get("pid")
        if type(pid) is not int or not 1 < pid <= MOST_PID:
            raise self._spoilt("it started a process without a number")
        return pid

    def _died(self, error: Exception) -> WorkerDied:
        if self.log.closed:
            return WorkerDied("it has been closed")
        self.log.seek(0)
        words = self.log.read()[-2000:].decode(errors="replace").strip()
        self._destroy()  # one that no longer answers is of no use, even if it would do so some time
        return WorkerDied(words or str(error) or "no message")

    def _spoilt(self, words: str) -> WorkerDied:
        """The parent runs nothing of a submission: one that talks nonsense has been got at, and is of no more use."""
        self._destroy()
        return WorkerDied(words)

    def _receive(self, most: int) -> bytes:
        return self.control.recv(most)

    def close(self) -> None:
        """Ends the parent and all its children, and removes its folder."""
        if self.nursery is not None:
            self.nursery.close()
        self.control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(CLOSE_SECONDS)  # it ends its children, and itself
        self._destroy()
        self.log.close()
        self.started.close()

    def _destroy(self) -> None:
        """Kills the parent and everything below it, whatever state they are in."""
        for pid in (self.process.pid, *watching.descendants(self.process.pid)) if self.alive else ():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
