"""A check's session in the prover's own process: for code that is known not to crash, hang or attack.

Grading gives every check a process of its own, which costs more than most checks do. The variants of the banks are the
reference with a change that we made, so that the prover may run them where it is. What goes in and out is what the
worker would exchange: same requests, same code that answers them, same state of the random generators. `prove` judges
some variants both ways and compares the reports byte for byte.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any, cast

import torch
from torch import Tensor

from grader.boundary.ends import SessionEnded, TimedOut
from grader.boundary.launch import Worker
from grader.boundary.lending import Lends
from grader.boundary.log import Log
from grader.boundary.patience import Patience
from grader.boundary.session import Limits, Session
from grader.worker import session as worker_session
from grader.worker import values
from grader.worker.importer import PACKAGE, SubmissionFinder
from grader.worker.wire import Frame

ALIASES = ("starter", "solution")


@functools.cache
def compiled(filename: str, text: str) -> CodeType:
    """The module's code: most variants share most modules."""
    return compile(text, filename, "exec", dont_inherit=True)


class Finder(SubmissionFinder):
    """The worker's finder, compiling each text once."""

    def get_code(self, fullname: str) -> CodeType:
        return compiled(self.filename(fullname), self.get_source(fullname))

    def forget(self) -> None:
        """Removes the submission's modules and itself: the next session imports afresh."""
        for name in (*self.sources, ""):
            for prefix in ("", PACKAGE, *self.aliases):
                sys.modules.pop(".".join(part for part in (prefix, name) if part), None)
        if self in sys.meta_path:
            sys.meta_path.remove(self)


class Here:
    """Stands where the grader's `Worker` does."""

    alive = True
    patience = Patience()

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.finder = Finder(sources, ALIASES)

    def close(self) -> None:
        """Nothing runs elsewhere."""


class Inside(Session):
    """`Session` without a process."""

    def __init__(self, worker: Worker, seed: int, limits: Limits, *, fresh: bool = False, sealed: bool = False) -> None:
        self.worker, self.limits = worker, limits
        self.started = time.monotonic()
        self.device, self.printed, self.nonce, self.odd, self.open = "cpu", b"", 0, "", True
        self.asked = 0
        self.lends = Lends(seed)
        self.log = Log()
        here = cast(Here, worker)
        for finder in [found for found in sys.meta_path if isinstance(found, Finder)]:
            finder.forget()
        here.finder.install()
        self.inner = worker_session.Session(here.finder.sources)
        self.state = (torch.Generator().manual_seed(seed).get_state(), True, torch.float32)
        signal.signal(signal.SIGPROF, self.expired)  # of our own time: a busy machine makes no mistake a hang

    def close(self) -> str:
        """Nothing to kill."""
        self.open = False
        return ""

    def expired(self, *_: object) -> None:
        """The request has used up its time."""
        raise TimedOut(f"no answer within {self.limits.request_s:g} s")

    @contextlib.contextmanager
    def as_child(self) -> Iterator[None]:
        """Global settings of torch, and where prints go, as in the submission's process; afterwards as they were."""
        ours, printing, written = current(), (sys.stdout, sys.stderr), io.StringIO()
        put(self.state)
        sys.stdout = sys.stderr = written
        try:
            yield
        finally:
            sys.stdout, sys.stderr = printing
            self.state = current()
            put(ours)
            self.printed += written.getvalue().encode()

    def exchange(self, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[bytes, dict[str, Tensor]]:
        """The worker's answer to a request, its header as the JSON that it is on the way."""
        answer, found = self.answered(header, tensors)
        return json.dumps(answer).encode(), found

    def answered(self, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Frame:
        """The answer itself."""
        nonce, out = header["nonce"], values.Outgoing(header["most"])
        signal.setitimer(signal.ITIMER_PROF, self.limits.request_s)
        try:
            with self.as_child():
                result = self.inner.answer(header, tensors)
                kept = isinstance(result, worker_session.Kept)
                value = self.inner.keep(result.value) if kept else values.encode(result, out, self.inner.outgoing)
            return {"nonce": nonce, "value": value}, out.tensors
        except worker_session.Refused as refused:
            return {"nonce": nonce, "refused": str(refused)}, out.tensors
        except SessionEnded as ended:
            raise self._end(ended) from ended
        except BaseException as error:  # noqa: BLE001  as in the worker
            described = self.inner.describe(error)
            error.__traceback__ = None
            return {"nonce": nonce, "error": described}, {}
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)


def current() -> tuple[Tensor, bool, torch.dtype]:
    """What a submission may change for all of torch: the generator, whether gradients are on, the default dtype."""
    return torch.get_rng_state(), torch.is_grad_enabled(), torch.get_default_dtype()


def put(state: tuple[Tensor, bool, torch.dtype]) -> None:
    """Sets what `current` returned."""
    torch.set_rng_state(state[0])
    if torch.is_grad_enabled() != state[1]:
        torch.set_grad_enabled(state[1])
    if torch.get_default_dtype() != state[2]:
        torch.set_default_dtype(state[2])
