"""Processes that work on parts, by `concurrent.futures`; one that dies takes nothing but its own part with it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.sharedctypes import Synchronized
from queue import SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")
END_SECONDS = 5.0
Tell = Callable[[Any], None]


class Item(NamedTuple):
    """Something that the process with a part tells before the part is done."""

    ticket: int
    content: Any


class Lines:
    """Pipes on which the lanes of one pool tell what they have, as JSON; one that dies leaves the others theirs.

    What arrives is put into `events`, in the order in which a lane has told it.
    """

    def __init__(self, count: int, context: SpawnContext, events: SimpleQueue[Any]) -> None:
        self.events = events
        pipes = [context.Pipe(duplex=False) for _ in range(count)]
        self.writers = [writer for _, writer in pipes]
        self.taken = context.Value("i", 0)  # so many lanes have one
        for reader, _ in pipes:
            threading.Thread(target=self._read, args=(reader,), daemon=True).start()

    def _read(self, reader: Connection) -> None:
        with contextlib.suppress(OSError, EOFError), reader:  # all lanes have ended
            while True:
                self.events.put(Item(*json.loads(reader.recv_bytes())))

    def close(self) -> None:
        """No more lanes are started."""
        for writer in self.writers:
            writer.close()


@functools.cache
def line() -> list[Connection]:
    """Of this process, a lane, to the first one: `obedient` puts it here."""
    return []


def told(run: Callable[[Part, Tell], Result], ticket: int, part: Part) -> Result:
    """In a lane: the part, and what there is to tell of it meanwhile."""
    [first] = line()
    return run(part, lambda content: first.send_bytes(json.dumps([ticket, content]).encode()))


def obedient(writers: Sequence[Connection], taken: Synchronized[int]) -> None:
    """In a new process: Ctrl-C reaches all of a terminal, the first one answers it and asks the others to end.

    Of the pipes it takes the next one for its own.
    """
    with taken.get_lock():
        own, taken.value = taken.value, taken.value + 1
    for number, writer in enumerate(writers):
        if number != own:
            writer.close()
    os.set_inheritable(writers[own].fileno(), False)
    line().append(writers[own])
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

    def __init__(
        self, count: int, run: Callable[[Part, Tell], Result],
        hear: Callable[[Part, Any], None] = lambda part, item: None,
    ) -> None:  # fmt: skip
        """`run` is called in a lane, with something to tell its news; `hear` is called here with each of them."""
        self.count, self.run, self.hear = count, run, hear
        self.events: SimpleQueue[Item | Future[Result]] = SimpleQueue()
        self.tickets = itertools.count()
        self.parts: dict[int, Part] = {}  # in hand, by their tickets
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
                    future = self._start(pool, part)
                    self._next([future])
                    yield part, None if isinstance(future.exception(), BrokenProcessPool) else future.result()

    @contextlib.contextmanager
    def _pool(self, count: int) -> Iterator[ProcessPoolExecutor]:
        spawn = multiprocessing.get_context("spawn")
        lines = Lines(count, spawn, self.events)
        self.parts.clear()
        try:
            with ProcessPoolExecutor(count, spawn, obedient, (lines.writers, lines.taken)) as pool:
                yield pool
        finally:
            lines.close()

    def _start(self, pool: ProcessPoolExecutor, part: Part) -> Future[Result]:
        ticket = next(self.tickets)
        future = pool.submit(told, self.run, ticket, part)
        self.parts[ticket] = part
        future.add_done_callback(self.events.put)
        return future

    def _next(self, wanted: Collection[Future[Result]]) -> Future[Result]:
        """The next of these to be done; what is told meanwhile is heard."""
        while True:
            event = self.events.get()
            if isinstance(event, Item):
                if event.ticket in self.parts:  # not of a pool that broke
                    self.hear(self.parts[event.ticket], event.content)
            elif event in wanted:
                return event

    def _until_broken(self, pool: ProcessPoolExecutor) -> Iterator[tuple[Part, Result]]:
        running: dict[Future[Result], Part] = {}
        while self.waiting or running:
            try:
                while self.waiting and len(running) < self.count:  # nothing waits inside the executor
                    future = self._start(pool, self.waiting[0])
                    running[future] = self.waiting.popleft()
                future = self._next(running)
                result = future.result()
                yield running.pop(future), result
            except BrokenProcessPool:
                self.suspects.extend(running.values())
                return
