"""Workers of a Dask cluster that work on parts. A worker that is lost takes nothing but its own part with it.

A worker holds one part at a time. Where it is killed with it, the part is done once more, after the others and alone on
its machine; where that worker is killed as well, the part is given up. A worker that was asked to go (the time of its
job is over, say) gives its part back, whose fault that is not.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from ...boundary.launch import GraderFault
from .crew import Crew, Done, Left, Line, Said, Told, Worker
from .values import Refused

Part = TypeVar("Part")
Result = TypeVar("Result")
DEATHS = 2  # of workers that held it, after which a part is given up


@dataclass
class Lot(Generic[Part]):
    """A part, and how many workers have been lost with it."""

    part: Part
    deaths: int = 0


class Hands(Generic[Part, Result]):
    """An engine: see `values.Engine`.

    On a worker `work` gets a line, what `hear` is told through it at once, a part, and what that worker says of itself.
    `needs` says which resources of a worker a part takes. `stop` runs on workers whose part nobody waits for any more.
    `stalled` is called when parts wait for a worker that is not there.
    """

    def __init__(
        self, crew: Crew, work: Callable[[Line, Part, Said | None], Result], hear: Callable[[Part, Any], None],
        needs: Callable[[Part], Mapping[str, float]], stop: Callable[[], None], stalled: Callable[[], None],
    ) -> None:  # fmt: skip
        self.crew, self.work, self.hear, self.needs = crew, work, hear, needs
        self.stop, self.stalled = stop, stalled
        self.waiting: deque[Lot[Part]] = deque()
        self.suspects: deque[Lot[Part]] = deque()
        self.held: dict[int, Lot[Part]] = {}  # by the number of the call

    def submit(self, part: Part) -> None:
        """Adds a part, also while `results` are read."""
        self.waiting.append(Lot(part))

    def results(self) -> Iterator[tuple[Part, Result | None]]:
        """Parts as they are finished, with what came out; None for one that two workers were lost with."""
        told = False
        try:
            while self.waiting or self.suspects or self.held:
                self._hand_out()
                if not self.held and not told:
                    self.stalled()
                told = not self.held
                event = self.crew.next_event()
                if isinstance(event, Told) and event.call in self.held:
                    self.hear(self.held[event.call].part, event.item)
                elif isinstance(event, Left):
                    for number in [n for n in self.held if self.crew.calls[n].address == event.address]:
                        yield from self._lost(number, blame=not event.expected)
                elif isinstance(event, Done) and event.call in self.held:
                    yield from self._done(event)
        finally:
            self._abandon()

    def _hand_out(self) -> None:
        for worker in list(self.crew.free()):
            lot = self._next_for(worker)
            if lot is not None:
                number = self.crew.begin(worker, self, self.work, lot.part, worker.said, resources=self.needs(lot.part),
                                         talks=True)  # fmt: skip
                self.held[number] = lot

    def _next_for(self, worker: Worker) -> Lot[Part] | None:
        """What this worker should do next. What only few can do comes first with those."""
        able = [lot for lot in self.waiting if fits(self.needs(lot.part), worker)]
        if able:
            lot = max(able, key=lambda one: len(self.needs(one.part)))
            self.waiting.remove(lot)
            return lot
        doubted = [lot for lot in self.suspects if fits(self.needs(lot.part), worker)]
        if not doubted or self.waiting or worker.host in self._hosts_in_doubt():
            return None
        self.suspects.remove(doubted[0])
        return doubted[0]

    def _hosts_in_doubt(self) -> set[str]:
        """Machines on which a part is tried for the last time."""
        addresses = [self.crew.calls[number].address for number, lot in self.held.items() if lot.deaths]
        return {worker.host for worker in self.crew.workers.values() if worker.address in addresses}

    def _done(self, event: Done) -> Iterator[tuple[Part, Result | None]]:
        if isinstance(event.error, KilledWorker):
            return  # a scheduler that tries nothing again says so; that the worker is gone is an event of its own
        call, lot = self.crew.forget(event.call), self.held.pop(event.call)
        assert call is not None
        if isinstance(event.error, Refused):
            worker = self.crew.workers.get(call.address)
            if worker is not None:
                self.crew.dismiss(worker, str(event.error))
            self.waiting.appendleft(lot)
        elif isinstance(event.error, FutureCancelledError):
            raise GraderFault(f"the scheduler gave a part up: {event.error}") from event.error
        elif event.error is not None:
            raise event.error
        else:
            yield lot.part, event.value

    def _lost(self, number: int, *, blame: bool) -> Iterator[tuple[Part, Result | None]]:
        lot = self.held.pop(number)
        self.crew.forget(number)
        lot.deaths += blame
        if lot.deaths >= DEATHS:
            yield lot.part, None
        elif lot.deaths:
            self.suspects.append(lot)
        else:
            self.waiting.appendleft(lot)

    def _abandon(self) -> None:
        """Nobody waits for what is in hand: it ends where it runs, and does not run on to its end."""
        busy = [self.crew.calls[number].address for number in self.held]
        if not busy or self.crew.client.status != "running":
            return
        with contextlib.suppress(OSError):  # workers that are gone by now
            self.crew.client.run(self.stop, workers=[address for address in busy if address in self.crew.workers],
                                 on_error="ignore")  # fmt: skip
        for number in list(self.held):
            self.crew.forget(number)
        self.held.clear()


def fits(needs: Mapping[str, float], worker: Worker) -> bool:
    """Whether a worker has what a part takes."""
    return all(worker.resources.get(name, 0) >= amount for name, amount in needs.items())
