"""The same attacks where nothing protects: each of them gets through here, or its oracle could not fail at all.

A plain process of the same user starts another one, which runs the attack's text. Nobody limits, reaps or sweeps.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import torch

from grader.worker import wire

MOST_TEXT = 4 << 20
FORGED_SECONDS = 4.0


class Spoken:
    """What came out of a process: its answer and prints together, and whether it came to its end in time."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid, self.pipe = pid, pipe
        self.text, self.size, self.ended = b"", 0, False

    def listen(self, seconds: float, word: bytes = b"\0the end", times: int = 1) -> Spoken:
        """Until the pipe is closed, the last word has come so many times, or the time is over."""
        until = time.monotonic() + seconds
        while not self.ended and (left := until - time.monotonic()) > 0:
            if not select.select([self.pipe], [], [], left)[0]:
                break
            chunk = os.read(self.pipe, 1 << 20)
            self.size += len(chunk)
            self.text = (self.text + chunk)[-MOST_TEXT:]
            self.ended = not chunk or self.text.count(word) >= times
        return self

    def close(self) -> None:
        """Ends the two processes that were started for it, and nothing that they have started themselves."""
        for pid in (self.pid, *self.child()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self.pipe)

    def child(self) -> list[int]:
        """The process that runs the attack."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/task/{self.pid}/children") as listing:
            return [int(word) for word in listing.read().split()][:1]
        return []


def start(run: Callable[[], Any], folder: str) -> Spoken:
    """`run` in a process whose parent only waits; what it returns or raises is printed."""
    out, into = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(into)
        return Spoken(pid, out)
    try:
        os.setsid()
        os.close(out)
        if os.fork():
            os.close(into)
            while True:
                signal.pause()
        os.dup2(into, 1)
        os.dup2(into, 2)
        sys.stdout = sys.stderr = io.TextIOWrapper(
            io.FileIO(1, "w", closefd=False), errors="replace", write_through=True
        )
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
        os.environ["HOME"] = os.environ["TMPDIR"] = folder
        try:
            print(run())
        except BaseException as error:  # noqa: BLE001  whatever it raises is what it says
            print("".join(traceback.format_exception(error)), getattr(error, "__notes__", ""))
        print("\0the end")
    finally:
        os._exit(0)


def defined(text: str, name: str = "vae") -> dict[str, Any]:
    """What a text defines."""
    space: dict[str, Any] = {"__name__": name}
    exec(compile(text, f"{name}.py", "exec"), space)
    return space


def call(text: str, bait: Mapping[str, Any]) -> Callable[[], Any]:
    """Calls what an attack from inside defines."""

    def run() -> Any:
        space = defined(text)
        found = space["f"]() if "f" in space else space["attack"](dict(bait))
        if isinstance(found, torch.Tensor):
            sys.stdout.buffer.write(found.numpy().tobytes())
        return found

    return run


class Believing:
    """A grader that takes an answer for what it seems to be: what goes wrong with it is a fault of its own."""

    def __init__(self, text: str) -> None:
        self.ours, theirs = socket.socketpair()

        def run() -> Any:
            self.ours.close()
            for fd in range(3, 256):  # an attack takes the first socket that it finds
                if fd != theirs.fileno():
                    with contextlib.suppress(OSError):
                        os.close(fd)
            message = {"nonce": 1, "op": "call"}  # noqa: F841  read out of these variables by the attack
            return defined(text)["attack"]()

        self.spoken = start(run, "/tmp")
        theirs.close()

    def fault(self) -> str:
        """What goes wrong when one answer is read and used."""
        self.ours.settimeout(FORGED_SECONDS)
        try:
            answer, tensors = wire.read_frame(wire.reader(self.ours.recv))
            if select.select([self.ours], [], [], 0.05)[0] and self.ours.recv(1):
                return "more has come than was asked for"
            value = answer["value"]
            number = tensors[value["tensor"]] if isinstance(value, dict) else value
            return "" if float(number) == 0.25 else f"it believed {number!r:.40}"
        except Exception as error:  # noqa: BLE001  whatever it is, it is what was wanted
            return f"{type(error).__name__}: {error}"[:200]
        finally:
            self.spoken.close()
            self.ours.close()
