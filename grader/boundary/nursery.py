"""The trusted end of the process that imports a submission once (`worker.nursery`): nothing that it says is believed.

It may hang, crash, lie or die. The worst that follows is that checks go without it, each importing for itself, or that
a file whose import does not end is not imported again.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ..worker import wire
from .ends import CalledOff
from .line import Line

PRINTED_KEPT = 4000
START_SECONDS = 15.0  # until the first file is begun, on a busy machine
ANSWER_SECONDS = 5.0
LOOK_SECONDS = 0.2  # how often it is looked whether anybody waits for an import still
MOST_PID = 1 << 22  # Linux has no larger number
MOST_SAID = 1 << 12  # bytes of one sentence


class Said(Struct, forbid_unknown_fields=True, frozen=True):
    """All that a nursery can say: which file it is about to import, that it is ready, or the answer to a request."""

    nonce: int = 0
    importing: str = ""
    ready: bool = False
    threads: int = 0
    children: int = 0
    pid: Annotated[int, Meta(gt=1, le=MOST_PID)] | None = None
    signal: int | None = None
    exit: int | None = None
    stuck: int = 0  # a process that could not be ended


SAID = msgspec.json.Decoder(Said)


class Unusable(Exception):
    """There is no nursery for this submission, or not any more."""


class ImportEnded(Exception):
    """Importing a file did not end (it was `late`), or ended the process."""

    def __init__(self, module: str, how: str, *, late: bool = False) -> None:
        super().__init__(f"{module}.py {how}")
        self.module, self.how, self.late = module, how, late


class Nursery:
    """A running nursery. Raises ImportEnded or Unusable where there will be none."""

    def __init__(self, folder: str, pid: int, line: Line, known: frozenset[str]) -> None:
        """`pid` is what the worker calls it, `known` are the submission's files."""
        self.folder, self.pid, self.line, self.known = folder, pid, line, known
        self.nonce = 0
        self.printed = b""
        self.read = wire.reader(self._receive)
        self.deadline = 0.0
        self.called_off: Callable[[], bool] | None = None  # while files are imported; all other answers come at once

    def wait_until_ready(self, seconds: float, called_off: Callable[[], bool] | None = None) -> None:
        """Until all files have been tried, each for so many seconds. Raises CalledOff once `called_off` says so."""
        self.called_off = called_off
        self._wait_until_ready(seconds)
        self.called_off = None

    def _wait_until_ready(self, seconds: float) -> None:
        module = ""
        while True:
            self.deadline = time.monotonic() + (seconds if module else START_SECONDS)
            try:
                said = self._frame()
            except TimeoutError:
                raise ImportEnded(module, f"did not finish importing within {seconds:g} s", late=True) from None
            except (EOFError, OSError):
                raise ImportEnded(module, "ended the process when it was imported") from None
            if said.importing in self.known:
                module = said.importing
            elif said.ready:
                if said.threads != 1 or said.children != 0:
                    raise Unusable("the import started threads or processes")
                return
            else:
                raise Unusable("it said something else")

    def fork(self, fds: Sequence[int], **fields: Any) -> int:
        """A child that has the submission imported. Raises Unusable."""
        answer = self._ask({"op": "fork", **fields}, fds)
        if answer.pid is None:
            raise Unusable("it answered a fork with something else")
        return answer.pid

    def wait(self, pid: int) -> Mapping[str, int | None]:
        """How a killed child had ended, as far as it says. Raises Unusable."""
        answer = self._ask({"op": "wait", "pid": pid})
        return {"signal": answer.signal, "exit": answer.exit}

    def close(self) -> None:
        """Closes our ends; the process is ended by the worker's parent."""
        self.line.close()

    def _ask(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> Said:
        self.nonce += 1
        self.deadline = time.monotonic() + ANSWER_SECONDS
        try:
            socket.send_fds(self.line.socket, [b"!"], list(fds))
            self.line.socket.sendall(wire.pack({"nonce": self.nonce, **request}, {}))
            answer = self._frame()
        except (OSError, EOFError) as error:
            raise Unusable(f"it is gone: {error}") from error
        if answer.nonce != self.nonce:
            raise Unusable("it answered another request")
        return answer

    def _frame(self) -> Said:
        try:
            header, _ = wire.read_bytes(self.read, MOST_SAID, 0)
            return SAID.decode(header)
        except (wire.ProtocolError, ValueError, RecursionError) as error:
            raise Unusable(f"it does not keep to the protocol: {error}") from error

    def _receive(self, most: int) -> bytes:
        """What has arrived, before the deadline; what is printed meanwhile is taken, so that nothing blocks on it."""
        while True:
            left = max(0.0, self.deadline - time.monotonic())
            ready = self.line.ready(min(left, LOOK_SECONDS))
            if self.called_off is not None and self.called_off():
                raise CalledOff
            if ready.output:
                self.printed = (self.printed + self.line.printed())[-PRINTED_KEPT:]
            if ready.socket:
                return self.line.socket.recv(most)
            if not left:  # after a look: perhaps it was we who did not get the processor
                raise TimeoutError
