"""Values as a person reads them, and what checks ask of two values: alike, unchanged, named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..boundary.values import Foreign, Handle


def show(value: Any) -> str:
    """A value in one line: all numbers of a small tensor, shape and range of a large one."""
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        shape = tuple(value.shape)
        if value.numel() <= 24:
            return f"{rounded(value.tolist())}" + (f" {kind}{shape}" if value.numel() > 1 else "")
        if value.dtype == torch.bool or not value.is_floating_point():
            return f"{kind} tensor {shape}, from {value.min().item()} to {value.max().item()}"
        plain = value.double()
        return f"{kind} tensor {shape}, from {plain.min():.5g} to {plain.max():.5g}, mean {plain.mean():.5g}"
    if isinstance(value, Handle):
        return f"a {value.type}"
    if isinstance(value, Foreign):
        return value.description
    if isinstance(value, float | list | tuple):
        return str(rounded(value))[:300]
    return str(value)[:300]


def rounded(value: Any) -> Any:
    """Floats to six significant digits, in nested lists too."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return show(value) if isinstance(value, Tensor) else value


def kind_of(value: Any) -> str:
    """What a value is, for a student who returned the wrong kind of thing."""
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}: " + ", ".join(kind_of(item) for item in value)[:200]
    return f"{type(value).__name__} {show(value)}" if isinstance(value, bool | int | float | str) else show(value)


def alike(value: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Whether both are tensors of one shape and of the same numbers, whatever their dtypes."""
    if not (isinstance(value, Tensor) and isinstance(other, Tensor)) or value.shape != other.shape:
        return False
    if value.is_complex() or other.is_complex():
        return False
    return torch.allclose(value.double(), other.double(), rtol=rtol, atol=atol)


def unchanged(before: Any, now: Any) -> bool:
    """Whether an argument is, after a call, what it was before: tensors, objects, and lists of them."""
    match before:
        case Tensor():
            return isinstance(now, Tensor) and torch.equal(before, now)
        case Handle():
            return not isinstance(now, Handle) or now.number == before.number
        case list() | tuple() if type(before) in (list, tuple):  # what stands for an object of theirs is a named tuple
            same_length = isinstance(now, list | tuple) and len(now) == len(before)
            return same_length and all(map(unchanged, before, now))
    return True


def mentions(message: str, names: str) -> bool:
    """Whether an error's message has this name in it; of a shape "2, 3" the numbers in order, however written."""
    sizes = re.findall(r"\d+", names)
    if names.strip("0123456789, "):
        return names in message
    found = re.findall(r"\d+", message)
    return any(found[start : start + len(sizes)] == sizes for start in range(len(found)))


def misread(value: Any, readings: Mapping[str, Tensor]) -> str:
    """The hint of the misconception whose numbers these are, from hint -> what it leads to; several are all named.

    Ask it at one random point away from 0 and 1, not at a shrunk case, where misconceptions coincide.
    """
    found = [hint for hint, wrong in readings.items() if alike(value, wrong, rtol=1e-6, atol=1e-9)]
    return " Or: ".join(found)
