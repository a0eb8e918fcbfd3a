"""What processes of a submission need to work together, without sockets and without shared memory.

A data loader and its workers, forked or spawned, exchange tensors and wait for one another. PyTorch and Python use for
this what anybody may connect to or open by name: sockets, /dev/shm. Here tensors travel as bytes, and what is waited
for is behind open descriptors that only relatives have. The text of this module is run again in what is spawned.
"""

from __future__ import annotations

import contextlib
import multiprocessing.context
import multiprocessing.spawn
import os
import select
import sys
import threading
import time
from multiprocessing.reduction import ForkingPickler
from typing import Any

NAME = "working_together"  # of the module, in what is spawned
RECURSIVE = 0
MOST = 2**31 - 1


class SemLock:
    """Python's own, on a counter of the kernel's that has no name."""

    SEM_VALUE_MAX = MOST

    def __init__(self, kind: int, value: int, maxvalue: int, name: str | None = None, unlink: bool = True) -> None:
        flags = os.EFD_CLOEXEC | os.EFD_NONBLOCK | os.EFD_SEMAPHORE
        self._known_as(os.eventfd(value, flags), kind, maxvalue)

    def _known_as(self, fd: int, kind: int, maxvalue: int) -> None:
        self.fd, self.kind, self.maxvalue, self.name = fd, kind, maxvalue, None
        self.mine, self.times = 0, 0  # the thread that holds it, and how often

    @property
    def handle(self) -> int:
        """What a process that is being spawned knows it by."""
        popen: Any = multiprocessing.context.get_spawning_popen()
        return self.fd if popen is None else int(popen.duplicate_for_child(self.fd))

    @staticmethod
    def _rebuild(handle: int, kind: int, maxvalue: int, name: str | None) -> SemLock:
        made = SemLock.__new__(SemLock)
        made._known_as(handle, kind, maxvalue)
        return made

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        if self.kind == RECURSIVE and self._is_mine():
            self.times += 1
            return True
        until = None if timeout is None else time.monotonic() + max(0.0, timeout)
        while True:
            try:
                os.eventfd_read(self.fd)
            except BlockingIOError:
                left = None if until is None else until - time.monotonic()
                if not block or (left is not None and left <= 0):
                    return False
                poll = select.poll()
                poll.register(self.fd, select.POLLIN)
                poll.poll(None if left is None else 1000 * left)
                continue
            self.mine, self.times = threading.get_ident(), self.times + 1
            return True

    def release(self) -> None:
        if self.kind == RECURSIVE:
            if not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            if self.times > 1:
                self.times -= 1
                return
        elif self.maxvalue == 1 and not self._is_zero():
            raise ValueError("semaphore or lock released too many times")
        self.times -= 1
        os.eventfd_write(self.fd, 1)

    def _count(self) -> int:
        return self.times

    def _is_mine(self) -> bool:
        return self.times > 0 and self.mine == threading.get_ident()

    def _is_zero(self) -> bool:
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return not poll.poll(0)

    def _get_value(self) -> int:
        raise NotImplementedError

    def _after_fork(self) -> None:
        self.times = 0

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.fd)


def install(text: str) -> None:
    """For this process and all that come from it; `text` is that of this module."""
    import _multiprocessing  # type: ignore[import-not-found]
    import multiprocessing.heap
    import multiprocessing.synchronize

    import torch
    import torch.multiprocessing

    known: dict[type, Any] = ForkingPickler._extra_reducers  # type: ignore[attr-defined]
    for kind in [kind for kind in known if kind.__module__.partition(".")[0] == "torch"]:
        del known[kind]
    torch.UntypedStorage._new_shared = classmethod(  # type: ignore[method-assign, assignment]
        lambda cls, size, *, device="cpu": cls(size, device=device)
    )
    _multiprocessing.SemLock = SemLock
    multiprocessing.heap.Arena._dir_candidates = []  # type: ignore[attr-defined]  # in its own folder, then
    command_line = multiprocessing.spawn.get_command_line
    prelude = (
        f"import sys, types; sys.path[:] = {sys.path!r}; made = sys.modules[{NAME!r}] = types.ModuleType({NAME!r}); "
        f"text = {text!r}; exec(text, made.__dict__); made.install(text); "
    )

    def told(**fields: Any) -> list[str]:
        parts = command_line(**fields)
        return [prelude + part if isinstance(part, str) and "spawn_main" in part else part for part in parts]

    multiprocessing.spawn.get_command_line = told
