"""A session whose answers are not what the code returned: what a submission can say instead, well-formed and not.

The reference runs in this process (see `inside`); one of its answers, or all from one on, is replaced on its way. Whatever
comes, the grader must end in a verdict about the submission.
"""

from __future__ import annotations

import copy
import random
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from grader.check import context
from grader.check.declaration import Check
from grader.check.outcome import Outcome
from grader.grading import judge
from grader.grading.judge import Bench, Setting
from grader.worker.wire import Frame

from .inside import Inside

Tensors = dict[str, Tensor]
NOT_TWISTED = frozenset({"lend", "device", "import", "load", "stand_in"})  # these say nothing

# what stands where something else should: trees of values as the worker sends them
LEAVES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 2**63 - 1, -(2**63), 0.0, -1.5, 1e308, 5e-324, "", "x", "=1+1", "\x1b[2J", "é" * 500,
    {"is": "float", "value": "nan"}, {"is": "float", "value": "inf"}, {"is": "float", "value": "-inf"},
    {"is": "list", "items": []}, {"is": "tuple", "items": []}, {"is": "dict", "pairs": []},
    {"is": "list", "items": [1, 2, 3]}, {"is": "tuple", "items": [None, "x"]}, {"is": "list", "items": [{"is": "list", "items": []}]},
    {"is": "dict", "pairs": [["a", 1], ["b", None]]}, {"is": "dict", "pairs": [[3, 1.5]]},
    {"is": "handle", "number": 0, "type": "Model"}, {"is": "handle", "number": 10**6, "type": "x" * 200},
    {"is": "opaque", "what": "an object of type set"},
)  # fmt: skip
TENSORS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda t: t.unsqueeze(0), lambda t: t.unsqueeze(-1), lambda t: t.reshape(-1), lambda t: t[:0] if t.ndim else t,
    lambda t: t.sum() if t.is_floating_point() else t.sum().to(t.dtype), lambda t: t[:-1] if t.ndim else t,
    lambda t: torch.cat([t, t]) if t.ndim else torch.stack([t, t]), lambda t: t.mT if t.ndim > 1 else t,
    lambda t: t.double(), lambda t: t.float(), lambda t: t.half(), lambda t: t.bfloat16(), lambda t: t.long(),
    lambda t: t.int(), lambda t: t.to(torch.uint8), lambda t: t.to(torch.int8), lambda t: t > 0,
    lambda t: t * float("nan") if t.is_floating_point() else t, lambda t: t * float("inf") if t.is_floating_point() else t,
    lambda t: torch.zeros_like(t), lambda t: torch.full_like(t, 1e30) if t.is_floating_point() else torch.full_like(t, 120),
    lambda t: -t if t.dtype != torch.bool else t, lambda t: t + 1, lambda t: torch.zeros(()), lambda t: torch.zeros(0),
    lambda t: torch.zeros(0, 5), lambda t: torch.zeros(1), lambda t: torch.zeros(2, 3), lambda t: torch.arange(7),
    lambda t: torch.zeros(1, 1, 1, 1), lambda t: torch.zeros(*[1] * 12),
    lambda t: t[..., :-1] if t.ndim else t, lambda t: torch.cat([t, t], -1) if t.ndim else t, lambda t: t.flatten(0, 1) if t.ndim > 1 else t,
    lambda t: torch.full_like(t, 9e18) if t.dtype == torch.float64 else t, lambda t: t.long() + 2**60,
)  # fmt: skip


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to all values in a tree."""
    yield path
    if isinstance(tree, dict):
        for index, item in enumerate(tree.get("items", ())):
            yield from places(item, (*path, "items", index))
        for index, (_, item) in enumerate(tree.get("pairs", ())):
            yield from places(item, (*path, "pairs", index, 1))


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


@dataclass
class Twist:
    """What is to become of one answer: drawn from its seed."""

    seed: int

    def __call__(self, answer: Any, tensors: Tensors) -> Frame:
        """The answer with something else in it."""
        draw = random.Random(self.seed)
        answer, tensors = copy.deepcopy(answer), dict(tensors)
        if "value" not in answer:
            return answer, tensors
        if draw.random() < 0.04:
            return self.raising(draw), {}
        path = draw.choice(list(places(answer["value"])))
        node = at(answer, ("value", *path))
        kind = node.get("is") if isinstance(node, dict) else ""
        if kind == "tensor" and draw.random() < 0.75:
            tensors[node["key"]] = draw.choice(TENSORS)(tensors[node["key"]]).contiguous()
            return answer, tensors
        if kind in ("list", "tuple", "dict") and draw.random() < 0.7:
            self.twist_container(node, draw)
        else:
            put = draw.random()
            if put < 0.15:
                key = f"t{90 + draw.randrange(9)}"
                tensors[key] = draw.choice((torch.zeros(3), torch.ones(2, 2), torch.arange(4), torch.tensor(1.0)))
                new: Any = {"is": draw.choice(("tensor", "numpy")), "key": key}
                new |= {"device": draw.choice(("cpu", "cpu", "cuda:0")), "grad": False} if new["is"] == "tensor" else {}
            else:
                new = copy.deepcopy(draw.choice(LEAVES))
            whole = ["value", *path]
            at(answer, tuple(whole[:-1]))[whole[-1]] = new
        used = {at(answer, ("value", *place)).get("key") for place in places(answer["value"])
                if isinstance(at(answer, ("value", *place)), dict)}  # fmt: skip
        return answer, {key: tensor for key, tensor in tensors.items() if key in used}

    @staticmethod
    def twist_container(node: dict[str, Any], draw: random.Random) -> None:
        """One of its items less, more, or under another name; or another kind of container."""
        field = "pairs" if node["is"] == "dict" else "items"
        held = node[field]
        how = draw.randrange(4)
        if how == 0 and held:
            held.pop(draw.randrange(len(held)))
        elif how == 1 and field == "pairs" and held:
            held[draw.randrange(len(held))][0] = "other"
        elif how == 2 and field == "items":
            held.append(copy.deepcopy(draw.choice(LEAVES)))
        elif how == 3 and field == "items":
            node["is"] = "tuple" if node["is"] == "list" else "list"
        else:
            held.clear()

    @staticmethod
    def raising(draw: random.Random) -> dict[str, Any]:
        """An exception in the place of a value."""
        kinds = draw.choice((["ValueError"], ["E" * 200], ["NotImplementedError"], ["MemoryError"], ["TooMuch"], ["SystemExit"],
                             ["NeverImported"], ["KeyError", "LookupError"], ["MissingName"], ["RuntimeError"]))  # fmt: skip
        message = draw.choice(
            ("", "x", "\x1b[2J", "a leaf Variable that requires grad is being used in an in-place operation")
        )
        frame = {"file": "vae.py", "line": 3, "function": "f", "code": "`| <b>"}
        return {"error": {"kinds": kinds, "message": message, "frames": draw.choice(([], [frame]))}}


@dataclass
class Plan:
    """Which answers are twisted: that of number `first`, or of it and all later ones to the same request (`on`)."""

    first: int = -1
    on: bool = False
    twist: Twist = field(default_factory=lambda: Twist(0))
    count: int = 0
    of: str = ""
    asked: list[str] = field(default_factory=list)

    def meets(self, header: Mapping[str, Any]) -> bool:
        """Whether the answer to this request is twisted; counts it."""
        name = f"{header['op']} {header.get('of')} {header.get('method')} {header.get('name')} {header.get('on')}"
        number, self.count = self.count, self.count + 1
        self.asked.append(name)
        if number == self.first:
            self.of = name
        return number == self.first or (self.on and self.of == name)


def session(plan: Plan, worker: object) -> type[Inside]:
    """A kind of session that follows the plan, with this worker."""

    class Twisted(Inside):
        def answered(self, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Frame:
            answer, found = super().answered(header, tensors)
            if self.worker is worker and header["op"] not in NOT_TWISTED and plan.meets(header):
                twisted, found = plan.twist({k: v for k, v in answer.items() if k != "nonce"}, found)
                answer = {"nonce": answer["nonce"], **twisted}
            return answer, found

    return Twisted


def twisted(check: Check, bench: Bench, setting: Setting, plan: Plan, tell: Callable[[str], None]) -> Outcome:
    """The outcome of a check whose answers are twisted; `tell` hears of an exception in the grader's own code."""
    attempt = judge.attempt

    def attempted(*args: Any) -> Outcome:
        try:
            return attempt(*args)
        except Exception:
            tell(traceback.format_exc())
            raise

    with (
        mock.patch.object(context, "Session", session(plan, bench.worker)),
        mock.patch.object(judge, "attempt", attempted),
    ):
        return judge.run(check, bench, setting, (), together=False)[0]
