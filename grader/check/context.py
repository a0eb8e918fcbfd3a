"""One check's view of one submission: its processes, its draws, its data. What it expects stands in `expectations`."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..boundary.ends import SessionEnded, StudentRaised
from ..boundary.hosts import Host
from ..boundary.log import Call, Log
from ..boundary.patience import Patience
from ..boundary.session import Limits, Session
from ..boundary.values import Handle, Probe, Target
from .credit import Credit
from .datasets import Dataset
from .exhibits import Exhibits
from .failure import Failure, failure_of
from .parts import Part
from .patterns import Pair, Reading, describe, sizes_of
from .shown import show
from .thresholds import Thresholds
from .typed import typed

Drawn = dict[tuple[Any, ...], list[dict[str, Any]]]  # cases, by what decides them
# for a request that only a picture needs, and for all that a process is asked for one: much, on a busy machine
ASIDE_S, ASIDES_S = 10.0, 30.0


def derive(seed: int, label: str) -> int:
    """A seed for one purpose, from the run's seed: stable across processes and Python versions."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{label}".encode()).digest()[:4], "big") >> 1


class Context:
    """What a check works with."""

    def __init__(
        self, name: str, worker: Host, run_seed: int, limits: Limits, device: str = "cpu",
        data: Dataset | None = None, thresholds: Thresholds | None = None, stand_ins: Sequence[Part] = (),
        tolerance: float = 1.0, patience: int = 1, imports_afresh: bool = False, together: bool = False,
        drawn: Drawn | None = None,
    ) -> None:  # fmt: skip
        self.imports_afresh, self.together = imports_afresh, together
        self.name, self.worker, self.limits, self.device = name, worker, limits, device
        self.stand_ins, self.tolerance, self.patience = stand_ins, tolerance, patience
        self.seed = derive(run_seed, name)
        self.rng = torch.Generator().manual_seed(self.seed)
        self.credit = Credit()
        self.exhibits = Exhibits()
        self.excused = ""  # the check in which that has its price for which this one did not ask everything
        self.case: Mapping[str, Any] = {}  # what `forall` has drawn
        self.foralls = 0  # so many have been asked together
        self.drawn: Drawn = {} if drawn is None else drawn
        self._data, self._thresholds = data, thresholds
        self._sessions: list[Session] = []
        self._asides: list[tuple[str, Callable[[], Any]]] = []
        self._own: Session | None = None  # the process of a trained check that trains
        self._wrong: defaultdict[str, list[Pair]] = defaultdict(list)  # numbers that were wrong, by what they are

    # ---- processes ----------------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The check's process, started on first use; in a trained check also after another one was needed."""
        if self.imports_afresh:
            self._own = self._own if self._own is not None else self.fresh()
            return self._own
        return self._sessions[0] if self._sessions else self.fresh()

    def fresh(self) -> Session:
        """Another process, which has seen nothing of what happened in the first.

        Of a trained check one runs at a time, so that none can tell another what it has seen. What works with parts of
        the grader's leaves nothing behind either, and nothing that lives longer has seen them.
        """
        number = len(self._sessions)
        if self.imports_afresh:
            self.close()
            self._own = None
        session = Session(self.worker, derive(self.seed, f"session {number}"), self.limits,
                          fresh=bool(self.stand_ins), sealed=self.imports_afresh)  # fmt: skip
        self._sessions.append(session)
        if self.device != "cpu":
            session.use_device(self.device)
        for part in self.stand_ins:
            session.stand_in(part.name, Probe(part.probe))
        return session

    def aside(self, title: str, show: Callable[[], Any]) -> None:
        """Something to be asked and shown once everything is judged, whatever the verdict (`ask_aside`)."""
        self._asides.append((title, show))

    @property
    def asides(self) -> bool:
        """Whether something is to be asked aside."""
        return bool(self._asides)

    def ask_aside(self) -> None:
        """Asks what was put aside, each for a moment. Whatever comes of it, no verdict does, of this check or another.

        What hangs is not counted with what the submission has let us wait for, and after it nothing more is asked.
        """
        limits, patience, late = self.limits, self.worker.patience, ""
        self.limits = replace(limits, request_s=min(limits.request_s, ASIDE_S), check_s=min(limits.check_s, ASIDES_S))
        self.worker.patience = Patience(patience.called_off)
        try:
            for title, ask in self._asides:
                why = late or self._told_aside(ask)
                if why:
                    self.exhibits.miss(title, why)
                late = late or (why if self.worker.patience.calls else "")
        finally:
            self.limits, self.worker.patience = limits, patience
            self._asides.clear()

    def _told_aside(self, ask: Callable[[], Any]) -> str:
        """Why one of these came to nothing, if it did; its processes are gone in any case."""
        before, own = list(self._sessions), self._own
        try:
            ask()
        # a picture that does not come about costs nothing, for whatever reason
        except (Exception, SessionEnded) as why:  # noqa: BLE001
            return str(why) or type(why).__name__
        finally:
            for session in self._sessions[len(before) :]:
                session.close()
            self._sessions, self._own = before, own
        return ""

    def close(self) -> None:
        """Ends all processes of the check."""
        for session in self._sessions:
            session.close()

    @property
    def printed(self) -> bytes:
        """The last lines that the student's code printed in the first process."""
        return self._sessions[0].printed if self._sessions else b""

    @property
    def asked(self) -> frozenset[str]:
        """ "module.name" of all that the check has asked about, in any of its processes."""
        return frozenset().union(*(session.log.names for session in self._sessions))

    @property
    def entered(self) -> frozenset[str]:
        """ "module.name" of all that the check has looked up in the submission, in any of its processes."""
        return frozenset().union(*(session.log.entered for session in self._sessions))

    @property
    def odd(self) -> str:
        """A value that the student's code returned and with which no check can go on."""
        return next((session.odd for session in self._sessions if session.odd), "")

    def call(self, target: Target, /, *args: Any, **kwargs: Any) -> Any:
        """`Session.call` on the check's process."""
        return self.session.call(target, *args, **kwargs)

    def new(self, target: Target, /, *args: Any, **kwargs: Any) -> Handle:
        """`Session.new` on the check's process."""
        return self.session.new(target, *args, **kwargs)

    # ---- data of trained checks ---------------------------------------------------------------------------------

    @property
    def data(self) -> Dataset:
        """The dataset of a trained check."""
        assert self._data is not None, "only trained checks have data"
        return self._data

    def show(self, data: Dataset) -> None:
        """From now on `data` is this version of the dataset (see `disguise`)."""
        self._data = data

    @property
    def thresholds(self) -> Thresholds:
        """The measured cuts of a trained check."""
        assert self._thresholds is not None, "only trained checks have thresholds"
        return self._thresholds

    # ---- draws --------------------------------------------------------------------------------------------------

    def randn(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """N(0, 1) numbers from the check's own stream."""
        return torch.randn(shape, generator=self.rng, dtype=dtype)

    def rand(self, *shape: int, low: float = 0.0, high: float = 1.0, dtype: torch.dtype = torch.float64) -> Tensor:
        """Uniform numbers in [low, high)."""
        return low + (high - low) * torch.rand(shape, generator=self.rng, dtype=dtype)

    def randint(self, low: int, high: int, *shape: int) -> Tensor:
        """Uniform integers in low, …, high - 1."""
        return torch.randint(low, high, shape, generator=self.rng)

    def images(self, batch: int, side: int = 28, dtype: torch.dtype = torch.float32) -> Tensor:
        """Images `(batch, 1, side, side)` of uniform noise in [0, 1]."""
        return self.rand(batch, 1, side, side, dtype=dtype)

    @property
    def last(self) -> Call | None:
        """The last call of the submission."""
        return self._log.last if self._sessions else None

    def typed(self) -> str:
        """The last call of the submission, as a student would type it."""
        return typed(self._log) if self._sessions else ""

    def shows(self, case: Mapping[str, Any]) -> set[str]:
        """Names of what was drawn that the last call was given as it is, alone or part by part."""
        if not self._sessions or self._log.last is None:
            return set()
        given = {id(value) for value in (*self._log.last.args, *self._log.last.kwargs.values())}
        parts = {name: value if isinstance(value, tuple | list) else (value,) for name, value in case.items()}
        return {name for name, values in parts.items() if all(id(value) in given for value in values)}

    @property
    def _log(self) -> Log:
        """Of the process that was called last."""
        return max((session.log for session in self._sessions), key=lambda log: log.when)

    # ---- what was wrong -----------------------------------------------------------------------------------------

    def note_wrong(self, what: str, actual: Tensor, wanted: Tensor) -> None:
        """Keeps numbers that differ from the expected ones, so that `reading` can say what all of them share."""
        self._wrong[what].append(Pair(actual, wanted, sizes_of(self.case)))

    def reading(self, failure: Failure) -> Reading:
        """What all wrong values of the kind that failed have in common, if that is something known."""
        return Reading(failure.looks) if failure.looks else describe(self._wrong.get(failure.about, ()))


def guard(body: Callable[[], Any], case: Mapping[str, Any]) -> Any:
    """Runs `body`; an exception of the student's code, or a failure, comes back with the case that caused it."""
    try:
        return body()
    except (StudentRaised, Failure) as fault:
        shown = {name: show(value) for name, value in case.items()}
        if isinstance(fault, StudentRaised):
            raise failure_of(fault, shown) from None
        fault.counterexample = {**shown, **fault.counterexample}
        raise
