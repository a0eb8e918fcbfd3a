"""What the value of each operation must be: the second half of the strict parser (`replies` is the first)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from msgspec import UNSET
from torch import Tensor

from ..worker.values import MAX_WORD
from .replies import Answered, Malformed, Reader
from .values import Answers, Foreign, Handle, Image8

Asked = Mapping[str, Any]  # the fields of a request
Form = Callable[[Any, Asked], Any]


class Derived(NamedTuple):
    """The value of a call, and gradients: in the order that was asked, and by name for each object."""

    value: Any
    grads: list[Tensor | None]
    params: list[dict[str, Tensor | None]]


def anything(value: Any, asked: Asked) -> Any:
    """What the submission's code returns is the check's affair."""
    return value


def nothing(value: Any, asked: Asked) -> None:
    """The operation returns nothing."""
    if value is not None:
        raise Malformed("the process answered something where there is nothing to say")


def handle(value: Any, asked: Asked) -> Handle:
    """An object that stays there."""
    if not isinstance(value, Handle):
        raise Malformed("the process answered a construction with something else")
    return value


def effects(value: Any, asked: Asked) -> tuple[Any, list[Any], dict[str, Any]]:
    """The value of a call, and its arguments, as many as were sent."""
    fields = record(value, "value", "args", "kwargs")
    args, kwargs = fields["args"], fields["kwargs"]
    if not (isinstance(args, list) and len(args) == len(asked["args"]) and isinstance(kwargs, dict)
            and kwargs.keys() == asked["kwargs"].keys()):  # fmt: skip
        raise Malformed("the process did not send the arguments back")
    return fields["value"], args, kwargs


def derived(value: Any, asked: Asked) -> Derived:
    """The value of a call and gradients, each of the shape and type of what it is a gradient to."""
    fields = record(value, "value", "grads", "params")
    grads, params = fields["grads"], fields["params"]
    if not (isinstance(grads, list) and isinstance(params, list)):
        raise Malformed("the process did not send gradients")
    leaves = [asked["args" if isinstance(where, int) else "kwargs"][where] for where in asked["wrt"]]
    if len(grads) != len(leaves) or not all(map(is_gradient_to, grads, leaves)):
        raise Malformed("the process sent gradients that are not those of the arguments")
    if len(params) != len(asked["params"]):
        raise Malformed("the process sent gradients of other objects")
    return Derived(fields["value"], grads, [named(found, is_gradient) for found in params])


def state(value: Any, asked: Asked) -> dict[str, Tensor]:
    """Tensors by name."""
    return named(value, lambda held: isinstance(held, Tensor))


def gradients(value: Any, asked: Asked) -> dict[str, Tensor | None]:
    """Gradients by name."""
    return named(value, is_gradient)


def switches(value: Any, asked: Asked) -> dict[str, bool]:
    """Truth values by name."""
    return named(value, lambda held: isinstance(held, bool))


def size(value: Any, asked: Asked) -> int:
    """A number of bytes."""
    if type(value) is not int or value < 0:
        raise Malformed("the process answered something else than a number of bytes")
    return value


def losses(value: Any, asked: Asked) -> list[float]:
    """A number for each epoch."""
    if not isinstance(value, list) or not all(type(loss) in (int, float) for loss in value):
        raise Malformed("the process answered something else than losses")
    return [float(loss) for loss in value]


def record(value: Any, *names: str) -> dict[str, Any]:
    """A dict with exactly these keys."""
    if not isinstance(value, dict) or value.keys() != set(names):
        raise Malformed("the process sent something else than was asked for")
    return value


def named(value: Any, fits: Callable[[Any], bool]) -> dict[str, Any]:
    """A dict from names to what fits."""
    if not isinstance(value, dict):
        raise Malformed("the process sent something else than values by name")
    for name, held in value.items():
        if not isinstance(name, str) or not fits(held):
            what = held.description if isinstance(held, Foreign) else type(held).__name__
            raise Malformed(f"under the name {str(name)[:MAX_WORD]!r} an object holds {what}")
    return value


def is_gradient(value: Any) -> bool:
    """Whether a value can be a gradient."""
    return value is None or (isinstance(value, Tensor) and value.is_floating_point())


def is_gradient_to(value: Any, leaf: Any) -> bool:
    """Whether a value can be a gradient to this argument."""
    if value is None:
        return True
    of, dtype = (leaf.pixels, torch.float32) if isinstance(leaf, Image8) else (leaf, getattr(leaf, "dtype", None))
    return isinstance(value, Tensor) and value.shape == of.shape and value.dtype == dtype


FORMS: Mapping[str, Form] = {
    "import": nothing, "lend": nothing, "stand_in": nothing, "load": nothing, "device": nothing,
    "new": handle, "call": anything, "get": anything, "effects": effects, "vjp": derived, "saved": size,
    "state": state, "parameters": switches, "grads": gradients, "train": losses,
}  # fmt: skip


def result(op: str, answered: Answered, asked: Asked, session: Answers, device: str) -> Any:
    """The value of an answer that holds one, in the form of its operation. Raises Malformed."""
    answer, tensors = answered
    if answer.value is UNSET or answer.error is not UNSET:
        raise Malformed("the process sent an answer that is neither a value nor an exception")
    return FORMS[op](Reader(tensors, session, device).whole(answer.value), asked)
