"""Processes that work on parts, by `concurrent.futures`; one that dies takes nothing but its own part with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Generic, TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")
END_SECONDS = 5.0


def obedient() -> None:
    """In a new process: Ctrl-C reaches all of a terminal, the first one answers it and asks the others to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # not the default: what is open gets closed
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)  # the first one is gone, however it went

    threading.Thread(target=follow, daemon=True).start()


@contextlib.contextmanager
def ended_early(pool: ProcessPoolExecutor) -> Iterator[None]:
    """What leaves the block early (Ctrl-C, say) does not wait for parts in hand: their processes end, and what they
    have open is closed if that takes no long time. A second Ctrl-C meanwhile changes nothing.
    """
    try:
        yield
    except BaseException:
        with undisturbed():
            pool.shutdown(wait=False, cancel_futures=True)
            processes = multiprocessing.active_children()
            for process in processes:
                process.terminate()
            until = time.monotonic() + END_SECONDS
            for process in processes:
                process.join(max(0.0, until - time.monotonic()))
                process.kill()
        raise


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """No Ctrl-C inside; only the main thread hears of any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Lanes(Generic[Part, Result]):
    """Runs parts on `count` processes.

    When a process dies (the kernel was short of memory, say), the executor gives up all that it holds. Nobody knows
    then which of the parts in hand was to blame: after the others each of them is tried once more, alone.
    """

    def __init__(self, count: int, run: Callable[[Part], Result]) -> None:
        self.count, self.run = count, run
        self.waiting: deque[Part] = deque()
        self.suspects: deque[Part] = deque()

    def submit(self, part: Part) -> None:
        """Adds a part, also while `results` are read."""
        self.waiting.append(part)

    def results(self) -> Iterator[tuple[Part, Result | None]]:
        """Parts as they are finished, with what came out; None for one whose process died twice."""
        while self.waiting or self.suspects:
            if self.waiting:
                with self._pool(self.count) as pool, ended_early(pool):
                    yield from self._until_broken(pool)
            else:
                part = self.suspects.popleft()
                with self._pool(1) as pool, ended_early(pool):
                    future = pool.submit(self.run, part)
                    yield part, None if isinstance(future.exception(), BrokenProcessPool) else future.result()

    @staticmethod
    def _pool(count: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=obedient)

    def _until_broken(self, pool: ProcessPoolExecutor) -> Iterator[tuple[Part, Result]]:
        running: dict[Future[Result], Part] = {}
        while self.waiting or running:
            try:
                while self.waiting and len(running) < self.count:  # nothing waits inside the executor
                    future = pool.submit(self.run, self.waiting[0])
                    running[future] = self.waiting.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield running.pop(future), result
            except BrokenProcessPool:
                self.suspects.extend(running.values())
                return
