"""Processes that work on parts, by `concurrent.futures`; one that dies takes nothing but its own part with it."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Generic, TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


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
                with self._pool(self.count) as pool:
                    yield from self._until_broken(pool)
            else:
                part = self.suspects.popleft()
                with self._pool(1) as pool:
                    future = pool.submit(self.run, part)
                    yield part, None if isinstance(future.exception(), BrokenProcessPool) else future.result()

    @staticmethod
    def _pool(count: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"))

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
