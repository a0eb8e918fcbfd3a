"""What holds in float64 holds in float32 as well: a call that a property has judged is made once more in it.

Nearly all values are judged in float64, where tolerances can be tight. What is right only there, because it looks at
the type of what comes in, would be right for us alone. The comparison is a coarse one, of the function with itself on
the same numbers: how exact float32 has to be is asked by other checks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..boundary.ends import StudentRaised
from ..boundary.log import Call
from .context import Context
from .failure import Failure, Unimplemented, failure_of
from .shown import show_both

COARSE, LEAST = 0.02, 1e-4  # of the largest number of a result; in absolute terms
MODERATE = 20.0  # numbers with which no exponential leaves the range of float32
WHICH_TYPES = "For which types of numbers does your function do what it should, and who says which ones will come?"


def mapped(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """`value` with every tensor of float64 in it changed."""
    match value:
        case Tensor():
            return change(value) if value.dtype == torch.float64 else value
        case list() | tuple():
            return type(value)(mapped(change, item) for item in value)
        case dict():
            return {name: mapped(change, item) for name, item in value.items()}
    return value


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors of floating-point numbers in a value, in order."""
    match value:
        case Tensor():
            return [value] if value.is_floating_point() else []
        case list() | tuple():
            return [tensor for item in value for tensor in tensors_in(item)]
        case dict():
            return tensors_in(list(value.values()))
        case float():
            return [torch.tensor(value, dtype=torch.float64)]
    return []


def plain(value: Any) -> bool:
    """Whether a value is made of tensors, numbers and words: no model, no generator."""
    match value:
        case list() | tuple() if type(value) in (list, tuple):
            return all(map(plain, value))
        case dict():
            return all(map(plain, value.values()))
    return value is None or isinstance(value, Tensor | bool | int | float | str)


def suits(call: Call | None) -> bool:
    """Whether a call is one of a function of the submission on moderate numbers in float64, and on nothing else."""
    if call is None or not isinstance(call.target, str) or not plain([*call.args, call.kwargs]):
        return False
    given = tensors_in([*call.args, call.kwargs])
    return any(tensor.dtype == torch.float64 for tensor in given) and all(
        bool((tensor.abs() < MODERATE).all()) for tensor in given
    )


class Single:
    """Keeps the largest call that suits, and makes it again if that is `wanted`."""

    def __init__(self, *, wanted: bool = True) -> None:
        self.wanted = wanted
        self.call: Call | None = None
        self.size = 0

    def note(self, call: Call | None) -> None:
        """A call that has been judged, and was right."""
        if self.wanted and call is not None and suits(call):
            size = sum(tensor.numel() for tensor in tensors_in([*call.args, call.kwargs]))
            if size > self.size:
                self.call, self.size = call, size

    def expect(self, ctx: Context) -> None:
        """The call in float32 gives roughly what it gives in float64 for the same numbers, if that is anything."""
        if self.call is None:
            return
        target, args, kwargs = self.call

        def ask(change: Callable[[Tensor], Tensor]) -> Any:
            return ctx.call(target, *mapped(change, args), **mapped(change, kwargs))

        def exact() -> list[Tensor]:
            return tensors_in(ask(lambda tensor: tensor.float().double()))

        try:
            wanted = exact()
        except StudentRaised:
            return  # rounded, the numbers are none that the function takes
        try:
            found = tensors_in(ask(lambda tensor: tensor.float()))
        except StudentRaised as raised:
            try:
                failure = failure_of(raised, {})
            except Unimplemented:
                failure = Failure("it is not implemented for float32", "a value", raised.message)
            failure.message, failure.hint = f"in float32: {failure.message}", WHICH_TYPES
            failure.call = ctx.typed()
            raise failure from None
        wrong = [(one, other) for one, other in zip(found, wanted, strict=False) if not close(one, other)]
        if len(found) == len(wanted) and not wrong:
            return
        call = ctx.typed()
        if all(close(one, other) for one, other in zip(exact(), wanted, strict=False)):  # else it draws
            actual, expected = wrong[0] if wrong else (None, None)
            name = str(target).partition(".")[2]
            raise Failure(f"{name} gives other values in float32 than in float64 for the same numbers",
                          *show_both(expected, actual), hint=WHICH_TYPES, call=call)  # fmt: skip


def close(found: Tensor, wanted: Tensor) -> bool:
    """Roughly the same numbers; what is not finite in float64 says nothing."""
    if not bool(torch.isfinite(wanted).all()) or not wanted.numel():
        return True
    if found.shape != wanted.shape:
        return False
    error = (found.double() - wanted.double()).abs()
    return bool((error <= LEAST + COARSE * wanted.double().abs().max()).all())
