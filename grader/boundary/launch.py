"""How a worker process is started: the one place a box around it would be built.

`Worker` is the grader's end of ``grader/worker/__main__.py``. This backend is a plain subprocess: it separates
processes, not privileges, and says so in every report.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..worker import wire
from .nursery import ImportEnded, Nursery, Unusable
from .patience import Patience

WORKER = Path(__file__).parent.parent / "worker"
START_SECONDS, CLOSE_SECONDS = 120.0, 5.0
IMPORT_MEMORY = 3 << 30


@dataclass(frozen=True)
class Sandbox:
    """What stands between the student's code and this machine."""

    backend: str
    layers: tuple[str, ...]
    missing: tuple[str, ...]


SANDBOX = Sandbox(
    backend="none",
    layers=("process", "deadline", "memory limit"),
    missing=("file system", "network", "other processes"),
)


class GraderFault(Exception):
    """Something of ours went wrong. Never the student's fault, never paid with the student's points."""


class WorkerDied(Exception):
    """The worker's parent process is gone."""


class Child(NamedTuple):
    """A process of a check."""

    pid: int
    folder: str
    nursery: Nursery | None  # whose child it is; None: the worker's parent's


def environment(home: str) -> dict[str, str]:
    """The few variables a worker needs. One thread per library: forking after a threaded operation hangs the child.

    What the student's code may start for itself must sleep while it waits: threads that spin, which is the default,
    made the same training take ten times as long when other processes used the cores (186 s against 17 s).
    """
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")}
    return kept | {"HOME": home, "TMPDIR": home, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                   "OMP_WAIT_POLICY": "PASSIVE", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "MPLBACKEND": "Agg",
                   "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
                   # the heap in huge pages from the start: torch's import takes a third fewer page faults
                   "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # fmt: skip


class Worker:
    """A running worker parent: holds a submission's text and forks a process per check on request."""

    def __init__(self) -> None:
        self.home = tempfile.mkdtemp(prefix="a7-worker-")
        self.control, theirs = socket.socketpair()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
        self.nonce = 0
        self.folders = itertools.count()
        self.sources: Mapping[str, str] = {}
        self.aliases: Sequence[str] = ()
        self.blocked: dict[str, str] = {}  # files whose import did not end, and how
        self.patience = Patience()
        self.nursery: Nursery | None = None
        self.raised = False  # whether the nursery of this submission has been tried
        with theirs:
            # not isolated (-I): the hash seed of `environment` would be ignored, and names in sets would have
            # another order in every process. What -I keeps out is not in that environment.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-B", str(WORKER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()], cwd=self.home, env=environment(self.home), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            )  # fmt: skip
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
        self._close_nursery()
        self.raised = False
        self.ask("preload", modules=list(modules))

    def fork(self, fds: Sequence[int], *, fresh: bool, **fields: Any) -> Child:
        """A process for a check: data socket and output in `fds`.

        From the nursery, which has the submission imported; `fresh` ones have run nothing of it. Raises WorkerDied.
        """
        folder = f"check-{next(self.folders)}"
        nursery = None if fresh else self._raise_nursery()
        if nursery is not None:
            try:
                return Child(nursery.fork(fds, folder=folder, **fields), folder, nursery)
            except Unusable:
                self._close_nursery()
        return Child(int(self.ask("fork", fds, folder=folder, **fields)["pid"]), folder, None)

    def reap(self, child: Child) -> Mapping[str, int | None]:
        """Kills a process with all it started, removes its files, says how it had ended. Raises WorkerDied."""
        found = self.ask("reap", pid=child.pid, folder=child.folder)
        if child.nursery is not None and child.nursery is self.nursery:
            try:
                return self.nursery.wait(child.pid)
            except Unusable:
                self._close_nursery()
        return {key: found.get(key) for key in ("signal", "exit")}

    def _send_submission(self) -> None:
        self.ask("submission", sources=self.sources, aliases=self.aliases, blocked=self.blocked)

    def _raise_nursery(self) -> Nursery | None:
        """The submission's nursery, made on first use; a file that stops it is left out from then on."""
        while not self.raised and self.sources:
            folder = f"import-{next(self.folders)}"
            nursery = None
            try:
                nursery = Nursery(folder, functools.partial(self._fork_nursery, folder), frozenset(self.sources))
                nursery.wait_until_ready()
                self.nursery, self.raised = nursery, True
            except ImportEnded as ended:
                self.raised = not ended.module or ended.module in self.blocked
                if not self.raised:
                    self.blocked[ended.module] = ended.how
                    self._send_submission()
                self._end(nursery)
            except Unusable:
                self.raised = True
                self._end(nursery)
        return self.nursery

    def _fork_nursery(self, folder: str, fds: Sequence[int]) -> int:
        return int(self.ask("nursery", fds, memory=IMPORT_MEMORY, folder=folder)["pid"])

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
        self.nonce += 1
        try:
            socket.send_fds(self.control, [b"!"], list(fds))
            self.control.sendall(wire.pack({"op": op, "nonce": self.nonce, **fields}, {}))
            answer, _ = wire.read_frame(self.read)
        except (OSError, EOFError) as error:
            self.log.seek(0)
            words = self.log.read()[-2000:].decode(errors="replace").strip()
            raise WorkerDied(words or str(error) or "no message") from error
        except wire.ProtocolError as error:
            raise GraderFault(f"the worker's parent answered nonsense: {error}") from error
        if answer.get("nonce") != self.nonce:
            raise GraderFault("the worker's parent answered another request")
        return answer

    def _receive(self, most: int) -> bytes:
        return self.control.recv(most)

    def close(self) -> None:
        """Ends the parent and all its children, and removes its folder."""
        if self.nursery is not None:
            self.nursery.close()
        self.control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(CLOSE_SECONDS)  # it ends its children, and itself
        self.process.kill()
        self.process.wait()
        self.log.close()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.home, ignore_errors=True)
