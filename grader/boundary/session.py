"""The trusted end of a session: requests out, checked data back, a deadline and a memory limit on everything.

A `Session` is one fresh process holding the submission and nothing else. Values come back as plain Python data and
CPU tensors; anything else is a `Handle` (an object that stays in there) or `Foreign` (a type that does not travel).
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import psutil
import torch
from msgspec import UNSET
from torch import Tensor

from ..worker import wire
from . import ends, forms, replies, requests, watching
from .box.rules import PROCESSES, TEMP_BYTES
from .ends import CalledOff, Crashed, Late, OutOfMemory, SessionEnded, TimedOut, Violation
from .hosts import Host
from .launch import GraderFault, WorkerDied
from .lending import Lends, own
from .line import READ, WRITE
from .log import Call, Log
from .noted import noted
from .patience import TRIES
from .replies import Answered, Malformed
from .values import Gradients, Handle, Image8, Probe, Slot, Target

PRINTED_KEPT = 4000
PRINTED_BYTES = 256 << 20  # of one check
Frame = wire.Frame
CPU_USED_UP = f"signal {int(getattr(signal, 'SIGXCPU', 0))}"
POLL_SECONDS = 0.05  # how often memory, processes and files are looked at
RATIO = 4  # an answer may hold so many times the numbers that were sent
OF_PARAMETERS = frozenset({"state", "grads", "vjp"})  # what is as large as the model that a student has chosen


# ---- the session ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """What one check may use: seconds per request, seconds in all, bytes of memory, threads.

    `answer`: bytes of numbers that come back where few were sent; `parameters`: of all parameters of a model.
    """

    request_s: float
    check_s: float
    memory: int
    threads: int
    answer: int = 8 << 20
    parameters: int = 64 << 20

    @property
    def cpu(self) -> int:
        """Seconds of processor time for one of its processes: what the clock allows its threads, and a little more."""
        return int(self.check_s * (self.threads + 1)) + 1


class Collected(BaseException):
    """A request, in the place of its answer. A BaseException: no check waits for it."""

    def __init__(self, header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.frame: Frame = (header, tensors)


def collected(header: dict[str, Any], tensors: dict[str, Tensor]) -> Answered:
    """In the place of asking."""
    raise Collected(header, tensors)


def same_request(one: Frame, other: Frame) -> bool:
    """Whether two requests ask the same of the same numbers."""
    (header, tensors), (header_, tensors_) = one, other
    return header == header_ and all(torch.equal(tensor, tensors_[key]) for key, tensor in tensors.items())


class Share(NamedTuple):
    """What a request may have of the processor."""

    seconds: float
    before: float  # seconds that its process had used until then, at least


class Session:
    """One fresh process with the submission. Use as a context manager.

    `fresh`: one in which nothing of it has been imported yet; else it may be a copy of one that has just imported it.
    `sealed`: fresh, and alone: all other processes of the submission are ended before it starts.
    """

    def __init__(self, worker: Host, seed: int, limits: Limits, *, fresh: bool = False, sealed: bool = False) -> None:
        self.worker, self.limits = worker, limits
        self.device = "cpu"
        self.printed = b""
        self.nonce = 0
        self.odd = ""  # the first returned value that no check can work with
        self.log = Log()
        self.asked = 0  # requests so far
        self.lends = Lends(seed)
        self.child = worker.begin(fresh=fresh, sealed=sealed, seed=seed, threads=limits.threads, memory=limits.memory,
                                  cpu=limits.cpu)  # fmt: skip
        self.line = self.child.line
        self.started = time.monotonic()  # importing the submission, for the first of its processes, has its own time
        if self.child.nursery is not None:
            self.printed = self.child.nursery.printed
        self.share = Share(0.0, 0.0)
        self.printed_bytes, self.kills = 0, worker.kills()
        self.line.socket.setblocking(False)
        self.open = True

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> str:
        """Kills the process and everything it started; says how it had ended, if it had."""
        if not self.open:
            return ""
        self.open = False
        self.drain()
        self.line.close()
        with contextlib.suppress(WorkerDied):
            ended = self.worker.reap(self.child)
            if ended["exit"] is not None:
                return f"exit code {ended['exit']}"
            return f"signal {ended['signal']}" if ended["signal"] else ""
        return "the worker was killed"

    # ---- requests ---------------------------------------------------------------------------------------------

    def call(self, target: Target, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a function of the submission ("module.name"), a handle, or a method (handle, "name")."""
        self.log.note(target, args, kwargs)
        return self.request("call", **requests.target_of(target), args=list(args), kwargs=kwargs)

    def infer(self, target: Target, /, *args: Any, **kwargs: Any) -> Any:
        """`call` without gradients: large batches need much less memory."""
        self.log.note(target, args, kwargs)
        return self.request("call", **requests.target_of(target), args=list(args), kwargs=kwargs, grad=False)

    def effects(self, target: Target, /, *args: Any, **kwargs: Any) -> tuple[Any, list[Any], dict[str, Any]]:
        """`call`, and the arguments as the call left them."""
        self.log.note(target, args, kwargs)
        found: tuple[Any, list[Any], dict[str, Any]]
        found = self.request("effects", **requests.target_of(target), args=list(args), kwargs=kwargs)
        return found

    def new(self, target: Target, /, *args: Any, **kwargs: Any) -> Handle:
        """Calls, and keeps the result as a handle whatever it is."""
        self.log.note(target, args, kwargs)
        made: Handle = self.request("new", **requests.target_of(target), args=list(args), kwargs=kwargs)
        self.log.made[made.number] = Call(target, args, kwargs)
        return made

    def vjp(
        self, target: Target, /, *args: Any, wrt: Sequence[int | str] = (), params: Sequence[Handle] = (),
        cotangents: Sequence[tuple[Sequence[int | str], Tensor | None]] = (((), None),), **kwargs: Any,
    ) -> Gradients:  # fmt: skip
        """Gradients of Σ output·cotangent with respect to arguments `wrt` (positions or names) and parameters.

        `cotangents` pairs a path into the output (``()``, ``(0,)``, ``("kl",)``) with weights (None: ones).
        """
        self.log.note(target, args, kwargs)
        found: forms.Derived = self.request(
            "vjp", **requests.target_of(target), args=list(args), kwargs=kwargs, wrt=list(wrt),
            params=[handle.number for handle in params], cotangents=[[list(path), w] for path, w in cotangents],
        )  # fmt: skip
        return Gradients(found.value, dict(zip(wrt, found.grads, strict=True)), found.params)

    def saved_bytes(self, target: Target, /, *args: Any, params: Sequence[Handle] = (), **kwargs: Any) -> int:
        """Bytes of activations that autograd keeps after the call (parameters of `params` not counted)."""
        self.log.note(target, args, kwargs)
        numbers = [handle.number for handle in params]
        return int(self.request("saved", **requests.target_of(target), args=list(args), kwargs=kwargs, params=numbers))

    def train(
        self, model: Handle, data: Mapping[str, Tensor | Image8], objective: Sequence[Mapping[str, Any]], *,
        epochs: int, batch_size: int, lr: float, seed: int, inputs: Sequence[Any] = (Slot("x"),),
    ) -> list[float]:  # fmt: skip
        """Trains in the worker's loop (see `lent.loop`); the losses it returns serve display only."""
        losses: list[float] = self.request(
            "train", loop=Probe("train"), model=model, data=dict(data), objective=list(objective), inputs=list(inputs),
            epochs=epochs, batch_size=batch_size, lr=lr, seed=seed,
        )  # fmt: skip
        return losses

    def stand_in(self, name: str, value: Probe) -> None:
        """Replaces "module.name" of the submission, for modules imported from now on: call it first of all.

        An error in a function of one question then costs nothing in another that builds on it. In a student's copy of
        the grader, which has no such functions, the student's own stays.
        """
        if own(value.name) is not None:
            return
        module, _, attribute = name.partition(".")
        self.lend(value.name, module)
        self.request("stand_in", module=module, name=attribute, value=value)

    def lend(self, name: str, module: str = "") -> str:
        """Sends what a probe or stand-in consists of, as far as it is not there; returns what it is called there."""
        called, pieces = self.lends.due(name)
        if pieces:
            asked = self.asked  # lending is no request of the check's: cases are asked together or apart as without it
            header = {"op": "lend", "pieces": pieces, "module": f"submission.{module or 'models'}"}
            self.opened("lend", self._asked_one(header, {}), {})
            self.asked = asked
        return called

    def use_device(self, device: str) -> None:
        """From now on tensors sent arrive on `device`, and results must be there."""
        self.request("device", device=device)
        self.device = device

    def request(self, op: str, **fields: Any) -> Any:
        """One request and its checked answer."""
        if not self.open:
            raise Crashed("the process has ended")
        if op not in forms.FORMS:
            raise GraderFault(f"there is no request {op!r}")
        if any(str(fields.get(name)).startswith("_") for name in ("method", "name")):
            raise GraderFault(f"request {op!r} is about something that is not public")
        self.log.enter(fields)
        if op in ("import", "stand_in"):
            self.log.entered.add(fields["module"])
        fields = self.lends.outward(op, fields)
        body, tensors = requests.body_of(fields, self.lend)
        return self.opened(op, self._answer({"op": op, **body}, tensors), fields)

    def opened(self, op: str, answered: Answered, asked: Mapping[str, Any]) -> Any:
        """What an answer holds."""
        if (error := answered[0].error) is not UNSET:
            fault = replies.raised(error)
            if isinstance(fault, SessionEnded):
                self.close()  # it has answered: how we end it now is nobody's affair
            raise fault
        if op in ("call", "effects", "vjp") and not self.odd:
            self.odd = replies.oddity(answered[0].value, answered[1])
        with self.strictly():
            value = self.lends.inward(op, forms.result(op, answered, asked, self, self.device))
            return noted(self.log, self.lends, asked, value) if op == "get" else value

    def ask_together(self, requests: Sequence[Frame]) -> list[Answered]:
        """Sends several requests at once, in this order; what costs most of a request is the way there and back."""
        headers, tensors = wire.together(requests)
        header, found = self._asked({"op": "together", "requests": headers}, tensors)
        with self.strictly():
            return replies.several(header, self.nonce, found, len(requests))

    @contextlib.contextmanager
    def strictly(self) -> Iterator[None]:
        """What is not of the form that it should have is the submission's doing, and ends the session."""
        try:
            yield
        except Malformed as malformed:
            raise self._end(Violation(str(malformed))) from malformed
        except wire.ProtocolError as error:
            raise self._end(Violation(f"the process wrote something that is no answer: {error}")) from error

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Requests are not sent meanwhile: the first one is raised as Collected."""
        self._answer = collected  # type: ignore[method-assign]
        try:
            yield
        finally:
            del self._answer

    @contextlib.contextmanager
    def answering(self, known: tuple[Frame, Answered]) -> Iterator[None]:
        """The next request has this answer already, if it is the one that was sent; any other one is raised."""
        left = [known]

        def answer(header: dict[str, Any], tensors: dict[str, Tensor]) -> Answered:
            if not left or not same_request(left[0][0], (header, tensors)):
                raise Collected(header, tensors)
            return left.pop()[1]

        self._answer = answer  # type: ignore[method-assign]
        try:
            yield
        finally:
            del self._answer

    def _answer(self, header: dict[str, Any], tensors: dict[str, Tensor]) -> Answered:
        return self._asked_one(header, tensors)

    def _asked_one(self, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Answered:
        text, found = self._asked(header, tensors)
        with self.strictly():
            return replies.one(text, self.nonce), found

    def _asked(self, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[bytes, dict[str, Tensor]]:
        self.nonce += 1
        self.asked += 1
        most = self.limits.parameters if header["op"] in OF_PARAMETERS else self.limits.answer
        most += RATIO * sum(tensor.nbytes for tensor in tensors.values())
        return self.exchange({"nonce": self.nonce, "most": most, **header}, tensors)

    def exchange(self, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[bytes, dict[str, Tensor]]:
        """Sends a frame; returns the header, not yet parsed, and tensors of the one that comes back in the time left.

        The request says how many bytes of numbers may come back.
        """
        patience, name = self.worker.patience, self.log.name(self.log.last.target) if self.log.last else ""
        if patience.gone(name):
            raise self._end(
                TimedOut(f"{name} did not come back from {TRIES} calls before this one: it is not called again")
            )
        left = self.limits.check_s - (time.monotonic() - self.started)
        usual = max(0.0, min(self.limits.request_s, left))
        seconds = patience.limit(usual)
        # to ask for the processor time in every request would take longer than most of them
        self.share = Share(seconds, self._processor_time() if seconds < usual else 0.0)
        deadline = time.monotonic() + seconds
        try:
            self._send(wire.pack(header, tensors), deadline)
            with self.strictly():
                text, body = self._receive(deadline, header["most"])
                return text, replies.block(body)
        except Late:
            if not self._starved():
                patience.note(name)
            raise self._end(TimedOut(f"no answer within {seconds:.3g} s{self._busy_with()}")) from None

    # ---- bytes --------------------------------------------------------------------------------------------------

    def _end(self, fault: SessionEnded) -> SessionEnded:
        how = self.close()
        if how == CPU_USED_UP:
            return ends.CpuTimeUsedUp(f"more than {self.limits.cpu} s of processor time used by one process")
        if isinstance(fault, Crashed) and self.worker.kills() > self.kills:
            return OutOfMemory("the memory of its box was used up")
        return type(fault)(f"{fault} ({how})") if how and isinstance(fault, Crashed) else fault

    def _wait(self, event: int, deadline: float) -> None:
        """Until the socket is ready. Empties the output pipe meanwhile, and watches clock and memory."""
        late = False
        while True:
            left = deadline - time.monotonic()
            # looked at once more when it is late: perhaps it was we who did not get the processor
            ready = self.line.ready(POLL_SECONDS if late else min(left, POLL_SECONDS), event)
            if ready.output:
                self.drain()
            if ready.socket:
                return
            if left <= 0:
                late = True
                if not (self._starved() and time.monotonic() < self.started + self.limits.check_s):
                    raise Late
            if self.worker.patience.called_off():
                raise CalledOff
            if (fault := self._excess()) is not None:
                raise self._end(fault)

    def _processor_time(self) -> float:
        """Seconds that the process has had of the processor."""
        with contextlib.suppress(psutil.Error):
            return sum(self.process.cpu_times()[:2]) if self.process else 0.0
        return 0.0

    def _starved(self) -> bool:
        """Whether the process works, and has not had the time that it may have: others use the machine."""
        with contextlib.suppress(psutil.Error):
            working = self.process is not None and self.process.status() == psutil.STATUS_RUNNING
            return working and self._processor_time() - self.share.before < self.share.seconds
        return False

    def _busy_with(self) -> str:
        """Processes that the submission has started and perhaps waits for: workers of a loader, a compiler."""
        number = self.worker.outer_number(self.child)
        names = watching.names(number) if number else []
        started = f"{len(names)} process{'es' * (len(names) > 1)} of its own ({', '.join(sorted(set(names)))})"
        return f"; it has started {started}" if names else ""

    @property
    def process(self) -> psutil.Process | None:
        """The process, as it is seen from here."""
        with contextlib.suppress(psutil.Error):
            number = self.worker.outer_number(self.child)
            return psutil.Process(number) if number else None
        return None

    def _excess(self) -> SessionEnded | None:
        """What of memory, processes, files and output is more than a check may use."""
        used = self.worker.usage()
        memory = used.memory if used else self._resident()
        if used and used.tasks > PROCESSES:
            return ends.TooManyProcesses(f"more than {PROCESSES} processes and threads were running")
        if self.printed_bytes > PRINTED_BYTES:
            return ends.PrintedTooMuch(f"more than {PRINTED_BYTES >> 20} MB were printed")
        if used:
            with contextlib.suppress(WorkerDied):  # then the socket says so, too
                if self.worker.temporary() > TEMP_BYTES:
                    return ends.DiskFull(f"more than {TEMP_BYTES >> 20} MB in files")
        if memory > self.limits.memory > 0:
            return OutOfMemory(f"more than {self.limits.memory >> 20} MB used")
        return None

    def _resident(self) -> int:
        """Memory of the process alone, where its children are not seen."""
        with contextlib.suppress(psutil.Error):
            return int(self.process.memory_info().rss) if self.process else 0
        return 0

    def drain(self) -> None:
        """Takes what the process printed, so that it never blocks on a full pipe; keeps the last few lines."""
        text = self.line.printed()
        self.printed = (self.printed + text)[-PRINTED_KEPT:]
        self.printed_bytes += len(text)

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.line.socket.send(view[: 1 << 20]) :]
            except BlockingIOError:
                self._wait(WRITE, deadline)
            except OSError as error:
                raise self._end(Crashed("the process ended while it was asked")) from error

    def _receive(self, deadline: float, most: int) -> tuple[bytes, bytes]:
        arrived = 0

        def receive(most: int) -> bytes:
            nonlocal arrived
            while True:
                try:
                    self._wait(READ, deadline)
                    chunk = self.line.socket.recv(most)
                except BlockingIOError:
                    continue
                except OSError:
                    chunk = b""
                if not chunk:
                    raise self._end(Crashed("the process ended without an answer"))
                arrived += len(chunk)
                return chunk

        wanted = 0
        read = wire.reader(receive)

        def counted(size: int) -> bytes:
            nonlocal wanted
            wanted += size
            return read(size)

        frame = wire.read_bytes(counted, replies.MAX_REPLY, most + replies.MAX_REPLY)
        if arrived > wanted or self._more():
            raise self._end(Violation("the process sent more than the answer"))
        return frame

    def _more(self) -> bool:
        """Whether something has arrived that nobody asked for."""
        return self.line.ready(0).socket
