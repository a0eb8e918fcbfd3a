"""How a worker process is started: the one place a box around it would be built.

`Worker` is the grader's end of ``grader/worker/__main__.py``. This backend is a plain subprocess: it separates
processes, not privileges, and says so in every report.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..worker import wire

WORKER = Path(__file__).parent.parent / "worker"
START_SECONDS = 120.0


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


def environment(home: str) -> dict[str, str]:
    """The few variables a worker needs. One thread per library: forking after a threaded operation hangs the child.

    What the student's code may start for itself must sleep while it waits: threads that spin, which is the default,
    made the same training take ten times as long when other processes used the cores (186 s against 17 s).
    """
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")}
    return kept | {"HOME": home, "TMPDIR": home, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                   "OMP_WAIT_POLICY": "PASSIVE", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "MPLBACKEND": "Agg",
                   "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # fmt: skip


class Worker:
    """A running worker parent: forks one child per check on request."""

    def __init__(self) -> None:
        self.home = tempfile.mkdtemp(prefix="a7-worker-")
        self.control, theirs = socket.socketpair()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
        self.nonce = 0
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-B", str(WORKER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()], cwd=self.home, env=environment(self.home), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            )  # fmt: skip
        self.control.settimeout(START_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether the parent still runs."""
        return self.process.poll() is None

    def ask(self, op: str, fds: Sequence[int] = (), **fields: Any) -> Mapping[str, Any]:
        """One request to the parent. Raises WorkerDied when it is gone."""
        self.nonce += 1
        try:
            socket.send_fds(self.control, [b"!"], list(fds))
            self.control.sendall(wire.pack({"op": op, "nonce": self.nonce, **fields}, {}))
            answer, _ = wire.read_frame(self._read)
        except (OSError, EOFError) as error:
            self.log.seek(0)
            words = self.log.read()[-2000:].decode(errors="replace").strip()
            raise WorkerDied(words or str(error) or "no message") from error
        except wire.ProtocolError as error:
            raise GraderFault(f"the worker's parent answered nonsense: {error}") from error
        if answer.get("nonce") != self.nonce:
            raise GraderFault("the worker's parent answered another request")
        return answer

    def _read(self, size: int) -> bytes:
        chunks = bytearray()
        while len(chunks) < size:
            chunk = self.control.recv(size - len(chunks))
            if not chunk:
                raise EOFError
            chunks += chunk
        return bytes(chunks)

    def close(self) -> None:
        """Ends the parent (its children end with their sockets) and removes its folder."""
        self.control.close()
        self.process.kill()
        self.process.wait()
        self.log.close()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.home, ignore_errors=True)
