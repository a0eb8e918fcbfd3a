"""One check's child: answers requests about the student's code until the grader closes the socket.

The grader asks, this module obeys; no expectation, label of a held-out image, point or verdict is ever in here. A
request is a frame with ``op``, ``nonce`` and ``most``, the bytes of numbers that the answer may hold; its answer is
``{"nonce", "value"}`` or ``{"nonce", "error"}``.

=========  =================================================================================================
op         does
=========  =================================================================================================
import     imports ``module`` of the submission
new        calls ``target`` with ``args``/``kwargs`` and keeps the result as a handle
call       the same, and returns the value (objects that are no data become handles); ``grad`` false: under no_grad
effects    the same as call, and returns the arguments too, as they are after it
get        attribute ``name`` of handle ``on``
vjp        calls, then differentiates the sum of output times cotangent with respect to the tensors at ``wrt`` and
           the parameters of ``params``
state      tensors of an object's ``state_dict``; ``load`` puts such tensors back
grads      the ``.grad`` of an object's parameters
lend       executes ``pieces`` of text, definitions of the grader's that a check uses, for ``{"lent": name}``
stand_in   puts ``value`` in the place of ``name`` in ``module`` of the submission
saved      calls, and returns the bytes of activations that autograd keeps for the backward pass
train      trains a model on given arrays with a given objective: ``loop`` is lent
together   answers several ``requests``, which do not depend on each other's answers, in their order: ``{"answers"}``
=========  =================================================================================================
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from . import values, wire
from .importer import PACKAGE, SubmissionFinder, execute, forget
from .wire import apart, together

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]
TORCH_NAMESPACES: Mapping[str, object] = {
    "": torch, "nn": nn, "optim": torch.optim, "nn.functional": nn.functional, "amp": torch.amp,
}  # fmt: skip
MAX_FRAMES, MAX_KINDS, MAX_MESSAGE, MAX_LINE = 6, 20, 2000, 10**7


class Refused(Exception):
    """The grader asked for something that the protocol does not know: a fault of the grader, not of the student."""


class MissingName(Exception):
    """A file of the submission, or a name in it, that the assignment asks for is not there."""


def load(module: str, sources: Mapping[str, str]) -> Any:
    """Module of the submission."""
    if module not in sources:
        raise MissingName(f"{module}.py is not in the submission")
    return importlib.import_module(f"{PACKAGE}.{module}")


def resolve(spec: str, sources: Mapping[str, str]) -> Any:
    """``module:name`` of the submission."""
    module, _, name = spec.partition(":")
    found: Any = load(module, sources)
    if not hasattr(found, name):
        raise MissingName(f"{module}.py does not define {name}")
    return getattr(found, name)


class Session:
    """Handles, and the operations on them."""

    def __init__(self, sources: Mapping[str, str], aliases: Sequence[str] = ()) -> None:
        self.sources, self.aliases = sources, aliases
        self.replaced = False  # whether something of the submission has been replaced by something of ours
        self.lent: dict[str, Any] = {}  # what the grader has lent: nothing that the check asks for is among it
        self.objects: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}  # id(object) -> handle, so that one object has one handle
        self.device = torch.device("cpu")

    # ---- values -------------------------------------------------------------------------------------------------

    def keep(self, value: Any) -> dict[str, Any]:
        """A handle for `value`; functions and modules keep their identity across requests."""
        number = self.numbers.setdefault(id(value), len(self.numbers))
        self.objects[number] = value
        return {"is": "handle", "number": number, "type": values.plain(type(value).__name__)}

    def outgoing(self, value: Any) -> Any:
        if isinstance(value, nn.Module | torch.optim.Optimizer | torch.Generator) or callable(value):
            return self.keep(value)
        return values.opaque(f"an object of type {type(value).__name__}")

    def incoming(self, tensors: Mapping[str, Tensor]) -> Callable[[Any], Any]:
        def special(kind: str, content: Any, whole: dict[str, Any]) -> Any:
            match kind:
                case "tensor":
                    return tensors[content].to(self.device)
                case "image8":
                    return tensors[content].to(self.device).to(torch.float32).div_(255)
                case "handle":
                    return self.objects[content]
                case "ref":
                    return resolve(content, self.sources)
                case "lent":
                    return self.lent[content]
                case "torch":
                    namespace, _, name = content.rpartition(".")
                    return getattr(TORCH_NAMESPACES[namespace], name)
                case "generator":
                    return torch.Generator(device=self.device).manual_seed(content)
                case "params":
                    return list(self.objects[content].parameters())
                case "dtype":
                    return getattr(torch, content)
                case "slot":
                    return self.lent[whole["kind"]](*content)
            raise Refused(f"unknown value {kind!r}")

        return lambda tree: values.decode(tree, special)

    # ---- operations ---------------------------------------------------------------------------------------------

    def target(self, spec: Mapping[str, Any], read: Callable[[Any], Any]) -> Callable[..., Any]:
        found = read(spec["of"])
        method = spec.get("method")
        if method is None:
            return found  # type: ignore[no-any-return]
        if method.startswith("_"):
            raise Refused(f"method {method!r} is not public")
        return getattr(found, method)  # type: ignore[no-any-return]

    def answer(self, request: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
        read = self.incoming(tensors)
        operation = getattr(self, f"op_{request['op']}", None)
        if operation is None:
            raise Refused(f"unknown request {request['op']!r}")
        return operation(request, read)

    def reply(self, request: Mapping[str, Any], tensors: Mapping[str, Tensor], most: int) -> wire.Frame:
        """The answer to a request, whatever happens on the way to it; of at most `most` bytes of numbers."""
        out = values.Outgoing(most)
        try:
            result = self.answer(request, tensors)
            kept = isinstance(result, Kept)
            value = self.keep(result.value) if kept else values.encode(result, out, self.outgoing)
        except Refused as refused:
            return {"refused": str(refused)}, {}
        except BaseException as error:  # noqa: BLE001  SystemExit and KeyboardInterrupt too: the student's code must not end us
            described = self.describe(error)
            error.__traceback__ = None
            return {"error": described}, {}
        return {"value": value}, out.tensors

    def op_import(self, request: Mapping[str, Any], read: Callable[[Any], Any]) -> None:
        load(request["module"], self.sources)

    def op_lend(self, request: Mapping[str, Any], read: Callable[[Any], Any]) -> None:
        for text in request["pieces"]:
            execute(text, self.lent, request["module"])

    def op_stand_in(self, request: Mapping[str, Any], read: Callable[[Any], Any]) -> None:
        if not self.replaced:
            forget(self.aliases, self.sources)
            self.replaced = True
        setattr(load(request["module"], self.sources), request["name"], read(request["value"]))

    def op_new(self, request: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
        return Kept(self.target(request, read)(*read(request["args"]), **read(request["kwargs"])))

    def op_call(self, request: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
        function = self.target(request, read)
        with contextlib.nullcontext() if request.get("grad", True) else torch.no_grad():
            return function(*read(request["args"]), **read(request["kwargs"]))

    def op_effects(self, request: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
        args, kwargs = read(request["args"]), read(request["kwargs"])
        value = self.target(request, read)(*args, **kwargs)
        return {"value": value, "args": args, "kwargs": kwargs}

    def op_get(self, request: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
        if request["name"].startswith("_"):
            raise Refused(f"attribute {request['name']!r} is not public")
        return getattr(read(request["on"]), request["name"])

    def op_vjp(self, request: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
        args, kwargs = read(request["args"]), read(request["kwargs"])
        leaves = []
        for where in request["wrt"]:
            holder = args if isinstance(where, int) else kwargs
            holder[where] = holder[where].detach().clone().requires_grad_()
            leaves.append(holder[where])
        models = [self.objects[number] for number in request["params"]]
        named = [{k: p for k, p in model.named_parameters() if p.requires_grad} for model in models]
        output = self.target(request, read)(*args, **kwargs)
        total: Any = 0.0
        for path, cotangent in request["cotangents"]:
            found = output
            for step in path:
                found = found[step]
            weights = read(cotangent)
            total = total + (found.sum() if weights is None else (found * weights).sum())
        wanted = leaves + [p for names in named for p in names.values()]
        grads: Sequence[Tensor | None] = [None] * len(wanted)
        if isinstance(total, Tensor) and total.requires_grad and wanted:
            grads = torch.autograd.grad(total, wanted, allow_unused=True)
        of_leaves, rest = list(grads[: len(leaves)]), iter(grads[len(leaves) :])
        return {"value": output, "grads": of_leaves, "params": [{k: next(rest) for k in names} for names in named]}

    @staticmethod
    def op_state(request: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
        held = read(request["on"])
        if not isinstance(held, nn.Module):
            return {k: v for k, v in held.state_dict().items() if isinstance(v, Tensor)}
        return {k: v for name, part in parts_of(held) for k, v in held_by(name, part, buffers=True)}

    @staticmethod
    def op_load(request: Mapping[str, Any], read: Callable[[Any], Any]) -> None:
        read(request["on"]).load_state_dict(read(request["state"]))

    @staticmethod
    def op_parameters(request: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
        return {k: p.requires_grad for k, p in parameters_of(read(request["on"])).items()}

    @staticmethod
    def op_grads(request: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
        return {k: p.grad for k, p in parameters_of(read(request["on"])).items()}

    def op_saved(self, request: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
        function, args, kwargs = self.target(request, read), read(request["args"]), read(request["kwargs"])
        weights = {p.untyped_storage().data_ptr() for number in request["params"]
                   for p in self.objects[number].parameters()}  # fmt: skip
        seen: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                seen[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = function(*args, **kwargs)
        del output
        return sum(seen.values())

    def op_train(self, request: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
        return read(request["loop"])(request, read, self.device)

    def op_device(self, request: Mapping[str, Any], read: Callable[[Any], Any]) -> None:
        self.device = torch.device(request["device"])
        torch.manual_seed(torch.initial_seed())  # now of that device, too

    # ---- faults of the student's code ---------------------------------------------------------------------------

    def describe(self, error: BaseException) -> dict[str, Any]:
        """An exception as data: its types, its words and the lines of the student's files it came through."""
        frames = [
            frame_of(frame.filename, frame.lineno, frame.name, frame.line)
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename.removesuffix(".py") in self.sources
        ]
        if isinstance(error, SyntaxError) and error.filename:
            frames.append(frame_of(error.filename, error.lineno, "", error.text))
        try:
            text = str(error)
        except Exception:  # noqa: BLE001  the student's exception class may itself be broken
            text = "(its message could not be read)"
        kinds = [values.plain(kind.__name__) for kind in type(error).__mro__ if kind not in (object, BaseException)]
        return {"kinds": kinds[:MAX_KINDS], "message": values.plain(text, MAX_MESSAGE), "frames": frames[-MAX_FRAMES:]}


def frame_of(file: str, line: int | None, function: str, code: str | None) -> dict[str, Any]:
    """One line of a traceback."""
    number = line if isinstance(line, int) and 0 < line < MAX_LINE else 0
    return {"file": values.plain(file), "line": number, "function": values.plain(function),
            "code": values.plain((code or "").strip())}  # fmt: skip


# What a module holds is read where it lies, as torch's own methods read it: a submission may have put others in their
# place, or in those of its classes, which say of what has changed what it was before.


def parts_of(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """A module and all inside of it, each with what stands before the names of what it holds."""
    yield name, module
    for own, part in module.__dict__["_modules"].items():
        if part is not None:
            yield from parts_of(part, f"{name}{own}.")


def held_by(name: str, module: nn.Module, *, buffers: bool) -> Iterator[tuple[str, Tensor]]:
    """The tensors of one module: its parameters, and the buffers that belong to its state."""
    inside = module.__dict__
    for own, tensor in inside["_parameters"].items():
        if tensor is not None:
            yield f"{name}{own}", tensor
    for own, tensor in inside["_buffers"].items() if buffers else ():
        if tensor is not None and own not in inside["_non_persistent_buffers_set"]:
            yield f"{name}{own}", tensor


def parameters_of(module: nn.Module) -> dict[str, Tensor]:
    """All parameters by name, each once."""
    seen: dict[int, str] = {}
    found: dict[str, Tensor] = {}
    for name, part in parts_of(module):
        for own, tensor in held_by(name, part, buffers=False):
            if seen.setdefault(id(tensor), own) == own:
                found[own] = tensor
    return found


class Kept:
    """Marks a result that stays in the worker whatever its type is."""

    def __init__(self, value: Any) -> None:
        self.value = value


def limit_memory(limit: int, *, hard: bool = True) -> None:
    """A bomb then ends in MemoryError inside the child. Address space cannot be limited: torch alone maps 3 GB.

    A limit that is not `hard` may be another one in the process's own children.
    """
    if limit and hasattr(resource, "RLIMIT_DATA"):
        with contextlib.suppress(ValueError, OSError):
            highest = limit if hard else resource.getrlimit(resource.RLIMIT_DATA)[1]
            resource.setrlimit(resource.RLIMIT_DATA, (limit, highest))


def flush() -> None:
    """Whatever the submission has put in the place of its output may be no file: then nothing is flushed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()


def frames(sock: socket.socket) -> Iterator[wire.Frame]:
    read = wire.reader(sock.recv)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            yield wire.read_frame(read)


def run(
    sock: socket.socket, request: Mapping[str, Any], sources: Mapping[str, str], aliases: Sequence[str],
    blocked: Mapping[str, str], *, installed: bool = False,
) -> None:  # fmt: skip
    """Serves one check. Everything that the student's code raises becomes an answer, never an exit.

    `installed` says that the submission has been made importable, and imported, before the fork.
    """
    limit_memory(int(request["memory"]))
    if torch.get_num_threads() != int(request["threads"]):
        torch.set_num_threads(int(request["threads"]))
    # of the CPU only: the seed of a GPU that nobody uses yet would be kept with a formatted stack, 1 ms of each check
    torch.default_generator.manual_seed(int(request["seed"]))
    os.environ.pop("PYTHONPATH", None)
    if not installed:
        SubmissionFinder(sources, aliases, blocked).install()
    session = Session(sources, aliases)
    pack, sendall = wire.pack, sock.sendall
    for message, tensors in frames(sock):
        if message["op"] == "together":
            parts = apart(message["requests"], tensors)
            answers, found = together([session.reply(*part, message["most"]) for part in parts])
            answer: dict[str, Any] = {"answers": answers}
        else:
            answer, found = session.reply(message, tensors, message["most"])
        try:
            data = pack({"nonce": message["nonce"], **answer}, found)
        except Exception as error:  # noqa: BLE001  a value of theirs that does not travel is their error
            data = pack({"nonce": message["nonce"], "error": session.describe(error)}, {})
        flush()
        sendall(data)
