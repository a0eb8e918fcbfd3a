"""A call of the submission as a student would type it: arguments by name, objects with how they were made."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..boundary.log import Call, Log
from ..boundary.values import DType, Gen, Handle, Image8, Params, Probe, Ref, Target, TorchRef
from .shown import rounded, show

SIGNATURES = Path(__file__).with_name("signatures.json")  # written by ``make starter``
MOST_NUMBERS = 24
MOST_TEXT = 900
DEFAULT_DTYPES = ("float32", "int64", "bool")


@functools.cache
def signatures() -> Mapping[str, Sequence[str]]:
    """Names of parameters, in order, by "module.function", "module.Class" and "module.Class.method"."""
    found: dict[str, list[str]] = json.loads(SIGNATURES.read_text())
    return found


def argument_names(log: Log, target: Target, count: int) -> list[str]:
    """Names of the first `count` positional arguments of a target; numbers from 1 where they are not known."""
    known = signatures().get(asked_for(log, target), [])
    return [known[at] if at < len(known) else str(at + 1) for at in range(count)]


def asked_for(log: Log, target: Target) -> str:
    """The dotted name in the assignment of what is called; empty for what is none of the assignment's."""
    match target:
        case str():
            return target
        case Ref():
            return target.name
        case Handle():
            return asked_for(log, (target, "forward"))
        case (Handle() as held, str() as method) if held.number in log.made:
            of = asked_for(log, log.made[held.number].target)
            return f"{of}.{method}" if of else ""
    return ""


def typed(log: Log, call: Call | None = None) -> str:
    """A call (the last one if none is given) in one line, objects that it uses before it; empty if there was none."""
    call = call or log.last
    if call is None:
        return ""
    if isinstance(call.target, Probe):  # a helper of ours that calls what it is given
        given = [arg for arg in call.args if isinstance(arg, Ref | Handle)]
        if not given or given[0] is not call.args[0]:
            return ""
        call = Call(given[0], call.args[1:], call.kwargs)
    return Typed(log).statement(call)[:MOST_TEXT]


class Typed:
    """Writes one call; collects what must be defined before it."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.defined: dict[int, str] = {}  # handle -> its variable
        self.before: list[str] = []

    def statement(self, call: Call) -> str:
        """The definitions that the call needs, and the call."""
        last = self.expression(call)
        return "; ".join([*self.before, last])

    def expression(self, call: Call) -> str:
        """One call."""
        match call.target:
            case Handle() as held:
                function = self.variable(held)
            case (Handle() as held, str() as method):
                function = f"{self.variable(held)}.{method}"
            case str() as name:
                function = name.rpartition(".")[2]
            case Ref() | Probe():
                function = call.target.name.rpartition(".")[2]
            case TorchRef():
                function = f"torch.{call.target.name}"
        names = argument_names(self.log, call.target, len(call.args))
        words = [self.value(v, n) if n.isdigit() else f"{n}={self.value(v, n)}"
                 for n, v in zip(names, call.args, strict=True)]  # fmt: skip
        words += [f"{name}={self.value(value, name)}" for name, value in call.kwargs.items()]
        return f"{function}({', '.join(words)})"

    def variable(self, held: Handle, wanted: str = "") -> str:
        """The variable of an object; on first use its definition goes before the call."""
        if held.number in self.defined:
            return self.defined[held.number]
        made = self.log.made.get(held.number)
        kind = made.target.name if made is not None and isinstance(made.target, Probe) else held.type
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+", kind)
        name = wanted or (words[-1].lower() if words else "it")
        while name in self.defined.values():
            name += "_"
        self.defined[held.number] = name
        if made is not None:
            self.before.append(f"{name} = {self.expression(made)}{''.join(self.log.set.get(held.number, {}).values())}")
        return name

    def value(self, value: Any, name: str) -> str:
        """An argument."""
        match value:
            case Tensor():
                return tensor(value)
            case Handle():
                return self.variable(value, "" if name.isdigit() else name)
            case Params():
                return f"{self.variable(value.of)}.parameters()"
            case Gen():
                return f"torch.Generator().manual_seed({value.seed})"
            case DType() | TorchRef():
                return f"torch.{value.name}"
            case Ref() | Probe():
                return value.name.rpartition(".")[2]
            case Image8():
                return tensor(value.pixels)
            case dict():
                return "{" + ", ".join(f"{self.value(k, '0')}: {self.value(v, '0')}" for k, v in value.items()) + "}"
            case list() | tuple():
                inside = ", ".join(self.value(item, "0") for item in value)
                return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})"
            case str():
                return repr(value)
        return str(rounded(value))


def tensor(value: Tensor) -> str:
    """A small tensor with all its numbers, a large one as what it is."""
    kind = str(value.dtype).removeprefix("torch.")
    if value.numel() > MOST_NUMBERS:
        return f"<{show(value)}>"
    return f"tensor({rounded(value.tolist())}{'' if kind in DEFAULT_DTYPES else f', dtype={kind}'})"
