"""The workers of a Dask cluster: who is there, which of them may work, and calls of functions on one of them.

Each call is for one worker by name, so that it is known what a worker held when it was lost. Everything that happens
arrives as an event in one queue, which one thread reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from distributed import Client, Future, get_worker
from distributed.client import ClosedClientError

from ...boundary.launch import GraderFault

LOOK_SECONDS = 1.0  # how often the connection is looked at while nothing happens
Said = Mapping[str, Any]
GONE_SECONDS = 60.0  # without a scheduler, after which the run ends


class Came(NamedTuple):
    """A worker is there."""

    address: str


class Left(NamedTuple):
    """A worker is gone; `expected`: it was asked to go, and nobody killed it."""

    address: str
    expected: bool


class Done(NamedTuple):
    """A call has ended, with a value or an exception."""

    call: int
    value: Any
    error: BaseException | None


class Told(NamedTuple):
    """What a call has said while it runs."""

    call: int
    item: Any


Event = Came | Left | Done | Told


@dataclass
class Worker:
    """A worker process of the cluster."""

    address: str
    name: str
    resources: Mapping[str, float]
    said: Said | None = None  # of itself; None: not yet
    accepted: bool = False
    call: int = 0  # what it does; 0: nothing

    @property
    def host(self) -> str:
        """Its machine."""
        return urlsplit(self.address).hostname or self.address


@dataclass
class Call:
    """A function that runs on a worker."""

    address: str
    future: Future[Any]
    waiter: Any
    about: Any = field(default=None)


@dataclass(frozen=True)
class Line:
    """What a function on a worker says something through while it runs."""

    topic: str
    call: int

    def __call__(self, item: Any) -> None:
        """Plain data only."""
        get_worker().log_event(self.topic, (self.call, item))


# called on a worker, with whether it has a GPU, and what others on its machine say: what it says of itself
Introduce = Callable[[bool, Sequence[Said]], Said]
Refused = Callable[[str, str], None]  # a worker's name, and why it is not used


class Crew:
    """Workers that come and go. What they say of themselves decides who of them may work: `meet`, then `admit`."""

    def __init__(self, client: Client, introduce: Introduce, refused: Refused) -> None:
        self.client, self.introduce, self.refused = client, introduce, refused
        self.topic = f"a7-{client.id}"
        self.workers: dict[str, Worker] = {}
        self.calls: dict[int, Call] = {}
        self.judge: Callable[[Said], str] | None = None
        self._numbers = itertools.count(1)
        self._happened: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._gone_since: float | None = None
        loop: Any = client.loop  # Tornado's, around asyncio's
        self._loop: asyncio.AbstractEventLoop = loop.asyncio_loop
        client.subscribe_topic("all", self._cluster_event)
        client.subscribe_topic(self.topic, lambda event: self._happened.put(Told(*event[1])))
        for address in client.scheduler_info(n_workers=-1)["workers"]:
            self._happened.put(Came(address))

    # ---- who is there -------------------------------------------------------------------------------------------

    def meet(self, wait: Callable[[], None]) -> list[Worker]:
        """All workers that are there, once there is one and each has said what it is, or failed to.

        `wait` is called once if there is none. Raises GraderFault when the scheduler is gone.
        """
        told = False
        while not self.workers or any(worker.said is None for worker in self.workers.values()):
            event = self.next_event(LOOK_SECONDS)
            if event is None and not self.workers and not told:
                told = True
                wait()
        return list(self.workers.values())

    def admit(self, judge: Callable[[Said], str]) -> list[Worker]:
        """Workers that may work: those of which `judge` says nothing. It is asked of later ones as well."""
        self.judge = judge
        for worker in self.workers.values():
            self._consider(worker)
        return [worker for worker in self.workers.values() if worker.accepted]

    def next_event(self, seconds: float | None = None) -> Event | None:
        """What has happened next, as far as it concerns others; None where nothing has within `seconds`.

        Raises GraderFault when the scheduler is gone.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while until is None or time.monotonic() < until:
            try:
                event = self._happened.get(timeout=min(LOOK_SECONDS, seconds or LOOK_SECONDS))
            except queue.Empty:
                self._look_at_the_scheduler()
                continue
            if self._digest(event):
                return event
        return None

    def close(self) -> None:
        """Hears nothing any more: before the connection ends, or the scheduler would still tell us things."""
        with contextlib.suppress(OSError, ClosedClientError):
            for topic in ("all", self.topic):
                self.client.unsubscribe_topic(topic)

    def free(self) -> Iterator[Worker]:
        """Workers that may work and do nothing."""
        return (worker for worker in self.workers.values() if worker.accepted and not worker.call)

    # ---- what they do -------------------------------------------------------------------------------------------

    def begin(
        self, worker: Worker, about: Any, function: Callable[..., Any], *arguments: Any,
        resources: Mapping[str, float] | None = None, talks: bool = False,
    ) -> int:  # fmt: skip
        """Calls a function on a worker; its end will be an event with the number returned.

        `talks`: its first argument is a `Line`, and what it says through it are events with that number.
        """
        number = next(self._numbers)
        line = [Line(self.topic, number)] if talks else []
        future = self.client.submit(
            function, *line, *arguments, key=f"{self.topic}-{number}", workers=[worker.address],
            allow_other_workers=False, resources=dict(resources or {}), pure=False,
        )  # fmt: skip
        waiter = asyncio.run_coroutine_threadsafe(self._wait_for(number, future), self._loop)
        self.calls[number] = Call(worker.address, future, waiter, about)
        worker.call = number
        return number

    def forget(self, number: int) -> Call | None:
        """A call has ended, or nobody waits for it any more."""
        call = self.calls.pop(number, None)
        if call is None:
            return None
        call.waiter.cancel()
        if self.client.status == "running":
            with contextlib.suppress(OSError, ClosedClientError):  # it may end at this moment
                self.client.cancel([call.future], asynchronous=False)
        worker = self.workers.get(call.address)
        if worker is not None and worker.call == number:
            worker.call = 0
        return call

    async def _wait_for(self, number: int, future: Future[Any]) -> None:
        try:
            value = await self.client.gather(future, asynchronous=True)
        except asyncio.CancelledError as cancelled:
            # Dask's own word for a future that nobody can compute any more is of this kind, too
            if type(cancelled) is asyncio.CancelledError:
                raise
            self._happened.put(Done(number, None, cancelled))
        # whatever a worker raises is for the thread that waits
        except Exception as error:  # noqa: BLE001
            self._happened.put(Done(number, None, error))
        else:
            self._happened.put(Done(number, value, None))

    # ---- events -------------------------------------------------------------------------------------------------

    def _cluster_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        said = event[1]
        if said.get("action") == "add-worker":
            self._happened.put(Came(said["worker"]))
        elif said.get("action") == "remove-worker":
            self._happened.put(Left(said["worker"], bool(said.get("expected"))))

    def _digest(self, event: Event) -> bool:
        """Whether it is for others."""
        if isinstance(event, Came):
            self._welcome(event.address)
            return False
        if isinstance(event, Left):
            self.workers.pop(event.address, None)
            for number in [n for n, call in self.calls.items() if call.about is self and call.address == event.address]:
                self.forget(number)
            self._ask_the_next()
            return True
        call = self.calls.get(event.call)
        if call is None:
            return False  # of a call that nobody waits for
        if call.about is not self:
            return True
        if isinstance(event, Done):
            self.forget(event.call)
            self._introduced(call.address, event)
        return False

    def _welcome(self, address: str) -> None:
        info = self.client.scheduler_info(n_workers=-1)["workers"].get(address)
        if info is None or address in self.workers:
            return
        self.workers[address] = Worker(address, str(info["name"]), info["resources"])
        self._ask_the_next()

    def _ask_the_next(self) -> None:
        """Of each machine one worker is asked first, alone; what it has found out, the others need not try again."""
        asked = {call.address for call in self.calls.values() if call.about is self}
        busy = {worker.host for worker in self.workers.values() if worker.address in asked}
        for worker in self.workers.values():
            if worker.said is None and worker.address not in asked:
                others = [other.said for other in self.workers.values() if other.host == worker.host and other.said]
                if others or worker.host not in busy:
                    busy.add(worker.host)
                    self.begin(worker, self, self.introduce, bool(worker.resources.get("GPU")), others)

    def _introduced(self, address: str, done: Done) -> None:
        worker = self.workers.get(address)
        if worker is None:
            return
        if done.error is None:
            worker.said = done.value
        else:
            why = f"{type(done.error).__name__}: {done.error}".splitlines()[0]
            worker.said = {"fault": f"the grader does not run there ({why})"}
        if self.judge is not None:
            self._consider(worker)
        self._ask_the_next()

    def _consider(self, worker: Worker) -> None:
        assert self.judge is not None
        if worker.said is None or worker.accepted:
            return
        why = self.judge(worker.said)
        worker.accepted = not why
        if why:
            self.refused(worker.name, why)

    def dismiss(self, worker: Worker, why: str) -> None:
        """A worker that turned out not to do is not used any more."""
        worker.accepted = False
        self.refused(worker.name, why)

    def _look_at_the_scheduler(self) -> None:
        if self.client.status == "running":
            self._gone_since = None
            return
        now = time.monotonic()
        self._gone_since = self._gone_since or now
        if self.client.status == "closed" or now - self._gone_since > GONE_SECONDS:
            raise GraderFault("the scheduler is gone, and its workers with it")
