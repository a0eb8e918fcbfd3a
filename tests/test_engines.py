"""A cluster's workers come, go and die: every part is done, at most twice begun, and never by one that will not do."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

pytest.importorskip("distributed", reason="the libraries of a cluster are an extra")

from distributed import Client, LocalCluster
from distributed.scheduler import KilledWorker

from grader.boundary.launch import GraderFault
from grader.grading.engines.crew import Call, Crew, Done, Event, Left, Told, Worker
from grader.grading.engines.dask import Hands
from grader.grading.engines.values import Refused

from . import errands
from .conftest import ROOT

LOOPBACK = "127.0.0.1"


# ---- who gets what, on workers that only say what they do -------------------------------------------------------


@dataclass
class Playing:
    """A crew of which a test decides what happens: see `engines.crew.Crew`."""

    workers: dict[str, Worker]
    events: deque[Event] = field(default_factory=deque)
    calls: dict[int, Call] = field(default_factory=dict)
    begun: list[tuple[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def free(self) -> Iterator[Worker]:
        return (worker for worker in self.workers.values() if worker.accepted and not worker.call)

    def begin(self, worker: Worker, about: Any, function: Any, part: str, said: Any, **_: Any) -> int:
        number = len(self.begun) + 1
        self.begun.append((worker.name, part))
        self.calls[number] = Call(worker.address, cast(Any, None), None, about)
        worker.call = number
        return number

    def forget(self, number: int) -> Call | None:
        call = self.calls.pop(number)
        if call.address in self.workers:
            self.workers[call.address].call = 0
        return call

    def dismiss(self, worker: Worker, why: str) -> None:
        worker.accepted = False
        self.said.append(why)

    def next_event(self) -> Event:
        event = self.events.popleft()
        if isinstance(event, Left):
            self.workers.pop(event.address)
        return event

    # what a test makes happen
    def ends(self, part: str, error: BaseException | None = None) -> None:
        self.events.append(Done(self.number(part), part.upper(), error))

    def leaves(self, name: str, *, expected: bool = False) -> None:
        self.events.append(Left(f"tcp://{name}:1", expected))

    def comes(self, name: str, **resources: float) -> None:
        address = f"tcp://{name}:1"
        self.workers[address] = Worker(address, name, resources, {}, accepted=True)

    def number(self, part: str) -> int:
        return max(number for number, (_, begun) in enumerate(self.begun, 1) if begun == part)


@dataclass
class Stage:
    crew: Playing
    hands: Hands[str, str]
    heard: list[tuple[str, Any]]
    stalls: list[int]

    def plays(self, *moves: Callable[[], None]) -> dict[str, str | None]:
        """Everything that comes out; before each event the next move is made."""
        left = deque(moves)
        inner = self.crew.next_event

        def next_event() -> Event:
            while not self.crew.events:
                left.popleft()()
            return inner()

        self.crew.next_event = next_event  # type: ignore[method-assign]
        found: dict[str, str | None] = {}
        for part, result in self.hands.results():
            assert part not in found
            found[part] = result
        assert not left
        return found


def stage(*parts: str, **workers: Mapping[str, float]) -> Stage:
    crew = Playing({})
    for name, resources in workers.items():
        crew.comes(name, **resources)
    heard: list[tuple[str, Any]] = []
    stalls: list[int] = []
    hands: Hands[str, str] = Hands(
        cast(Crew, crew), cast(Any, None), lambda part, item: heard.append((part, item)),
        lambda part: {"GPU": 1.0} if part.startswith("train") else {}, lambda: None, lambda: stalls.append(1),
    )  # fmt: skip
    for part in parts:
        hands.submit(part)
    return Stage(crew, hands, heard, stalls)


def do(action: Callable[..., None], *arguments: Any, **named: Any) -> Callable[[], None]:
    return functools.partial(action, *arguments, **named)


def test_a_worker_holds_one_part_at_a_time_and_the_next_when_it_is_done() -> None:
    here = stage("a", "b", "c", w={}, v={})
    ends = here.crew.ends
    assert here.plays(do(ends, "b"), do(ends, "c"), do(ends, "a")) == {"b": "B", "c": "C", "a": "A"}
    assert here.crew.begun == [("w", "a"), ("v", "b"), ("v", "c")]


def test_a_part_whose_worker_was_killed_is_done_once_more_after_the_others() -> None:
    here = stage("a", "b", "c", w={}, v={})
    found = here.plays(
        do(here.crew.leaves, "w"), do(here.crew.ends, "b"), do(here.crew.ends, "c"), do(here.crew.ends, "a")
    )
    assert found == {"b": "B", "c": "C", "a": "A"}
    assert here.crew.begun == [("w", "a"), ("v", "b"), ("v", "c"), ("v", "a")]


def test_a_part_that_kills_two_workers_is_given_up_and_no_third_one_gets_it() -> None:
    here = stage("a", w={}, v={}, u={})
    assert here.plays(do(here.crew.leaves, "w"), do(here.crew.leaves, "v")) == {"a": None}
    assert here.crew.begun == [("w", "a"), ("v", "a")]


def test_a_scheduler_that_calls_a_part_deadly_is_one_death() -> None:
    here = stage("a", w={}, v={})
    killed = KilledWorker("a", cast(Any, None), 0)
    found = here.plays(do(here.crew.ends, "a", killed), do(here.crew.leaves, "w"), do(here.crew.ends, "a"))
    assert found == {"a": "A"}


def test_a_worker_that_was_asked_to_go_gives_its_part_back_any_number_of_times() -> None:
    here = stage("a", "b", w={}, v={}, u={})
    leaves = here.crew.leaves
    moves = [do(leaves, "w", expected=True), do(leaves, "u", expected=True), do(here.crew.comes, "x"),
             do(here.crew.ends, "b"), do(here.crew.ends, "a")]  # fmt: skip
    assert here.plays(*moves) == {"a": "A", "b": "B"}
    assert [name for name, part in here.crew.begun if part == "a"][:2] == ["w", "u"]


def test_on_one_machine_only_one_part_is_tried_for_the_last_time() -> None:
    here = stage("a", "b", w={}, v={})
    for worker in list(here.crew.workers.values()):
        worker.address = f"tcp://host:{ord(worker.name)}"
    here.crew.workers = {worker.address: worker for worker in here.crew.workers.values()}

    def both_die() -> None:
        here.crew.events += [Left(address, False) for address in list(here.crew.workers)]
        for port in (1, 2):
            address = f"tcp://host:{port}"
            here.crew.workers[address] = Worker(address, f"new{port}", {}, {}, accepted=True)

    assert here.plays(both_die, do(here.crew.ends, "a"), do(here.crew.ends, "b")) == {"a": "A", "b": "B"}
    assert here.crew.begun[2:] == [("new1", "a"), ("new1", "b")]


def test_training_goes_to_those_with_a_gpu_first_and_nothing_else_waits_for_them() -> None:
    here = stage("quick1", "train1", "train2", "quick2", cpu={}, gpu={"GPU": 1})
    ends = here.crew.ends
    found = here.plays(do(ends, "train1"), do(ends, "quick1"), do(ends, "quick2"), do(ends, "train2"))
    assert found.keys() == {"quick1", "train1", "train2", "quick2"}
    assert here.crew.begun == [("cpu", "quick1"), ("gpu", "train1"), ("gpu", "train2"), ("cpu", "quick2")]


def test_what_nobody_can_do_waits_and_says_so_once() -> None:
    here = stage("train", cpu={})

    def told(text: str) -> None:
        here.crew.events.append(Told(99, text))  # of a call that nobody waits for

    def one_comes() -> None:
        here.crew.comes("gpu", GPU=1)
        told("z")

    moves = (do(told, "x"), do(told, "y"), one_comes, do(here.crew.ends, "train"))
    assert here.plays(*moves) == {"train": "TRAIN"}
    assert here.stalls == [1]
    assert here.heard == []


def test_a_worker_that_refuses_a_part_gets_no_other_and_another_does_it() -> None:
    here = stage("a", w={}, v={})
    assert here.plays(do(here.crew.ends, "a", Refused("its box is another one")), do(here.crew.ends, "a")) == {"a": "A"}
    assert here.crew.begun == [("w", "a"), ("v", "a")]
    assert here.crew.said == ["its box is another one"]


def test_an_exception_of_ours_is_not_hidden() -> None:
    here = stage("a", w={})
    with pytest.raises(ZeroDivisionError), contextlib.suppress(AttributeError):
        here.plays(do(here.crew.ends, "a", ZeroDivisionError()))


# ---- on processes ------------------------------------------------------------------------------------------------


def worker_process(address: str, name: str, folder: Path) -> subprocess.Popen[bytes]:
    """A worker without a nanny: where it is killed, nobody starts it again."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "1", "--name", name,
               "--no-dashboard", "--memory-limit", "0", "--local-directory", str(folder)]  # fmt: skip
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def scheduler() -> Iterator[Client]:
    """A scheduler in this process, for workers that a test starts."""
    with (
        LocalCluster(n_workers=0, host=LOOPBACK, dashboard_address=f"{LOOPBACK}:0", silence_logs=100) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextlib.contextmanager
def workers(client: Client, folder: Path, *names: str) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Worker processes by name; whatever a test does, none is left."""
    address = client.scheduler_info()["address"]
    running = {name: worker_process(address, name, folder / "scratch") for name in names}
    try:
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


@contextlib.contextmanager
def crew_of(client: Client, count: int) -> Iterator[Crew]:
    """The workers, once all are there."""
    client.wait_for_workers(count, timeout=300)
    with contextlib.closing(Crew(client, errands.present, lambda name, why: None)) as crew:
        crew.meet(lambda: None)
        met = crew.admit(lambda said: "")
        assert sorted(worker.said["others"] for worker in met if worker.said) == [0, *[1] * (count - 1)]
        yield crew


def hands_of(crew: Crew, folder: Path, heard: list[tuple[str, str]]) -> Hands[str, str]:
    return Hands(crew, functools.partial(errands.work, folder), lambda part, item: heard.append((part, item)),
                 lambda part: {}, functools.partial(errands.stop, folder), lambda: None)  # fmt: skip


@pytest.mark.slow
def test_workers_that_are_killed_cost_their_own_part_at_most(scheduler: Client, tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    with workers(scheduler, tmp_path, "u", "v", "w", "x") as running, crew_of(scheduler, 4) as crew:
        hands = hands_of(crew, tmp_path, heard)
        parts = ["a", "unlucky", "deadly", "b", "c"]
        for part in parts:
            hands.submit(part)
        found = {}
        for part, result in hands.results():
            found[part] = result
            if part == "a":
                hands.submit("later")
        assert found == {part: None if part == "deadly" else part.upper() for part in [*parts, "later"]}
        assert sorted(process.poll() is not None for process in running.values()) == [False, True, True, True]
    assert {item for part, item in heard if part == "a"} == {"begun a"}


@pytest.mark.slow
def test_what_is_left_early_ends_where_it_runs_and_the_workers_stay(scheduler: Client, tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    with workers(scheduler, tmp_path, "v", "w") as running, crew_of(scheduler, 2) as crew:
        hands = hands_of(crew, tmp_path, heard)
        for part in ("a", "long", "b"):
            hands.submit(part)
        results = hands.results()
        assert next(results) == ("a", "A")
        results.close()  # type: ignore[attr-defined]
        assert (tmp_path / "stop").exists()
        assert crew.calls == {}
        again = hands_of(crew, tmp_path, heard)  # the same workers are ready for another run
        for part in ("c", "d", "wrong"):
            again.submit(part)
        with pytest.raises(ValueError, match="a fault of ours"):
            list(again.results())
        assert all(process.poll() is None for process in running.values())


@pytest.mark.slow
def test_a_scheduler_that_ends_is_said(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        cluster = LocalCluster(n_workers=0, host=LOOPBACK, dashboard_address=f"{LOOPBACK}:0", silence_logs=100)
        client = stack.enter_context(Client(cluster, set_as_default=False))
        stack.enter_context(workers(client, tmp_path, "w"))
        client.wait_for_workers(1, timeout=300)
        crew = Crew(client, errands.present, lambda name, why: None)
        crew.meet(lambda: None)
        crew.admit(lambda said: "")
        hands = hands_of(crew, tmp_path, [])
        hands.submit("long")
        results = hands.results()
        ending = threading.Timer(1.0, cluster.close)
        ending.start()
        stack.callback(ending.join)
        with pytest.raises(GraderFault, match="scheduler"):
            next(results)
