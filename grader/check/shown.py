"""Values as a person reads them, and what checks ask of two values: alike, unchanged, named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..boundary.values import Foreign, Handle

FEW = 24  # numbers of a tensor that are all shown
DIGITS, FEWEST, EXACT = 6, 4, 17  # significant digits: of one value; of two that are compared; all that a double has
NOTHING = 1e-9  # of the numbers beside it: what rounding leaves of a 0


def show(value: Any, digits: int = DIGITS) -> str:
    """A value in one line: all numbers of a small tensor, shape and range of a large one."""
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        shape = tuple(value.shape)
        if value.numel() <= FEW:
            return f"{rounded(value.tolist(), digits)}" + (f" {kind}{shape}" if value.numel() > 1 else "")
        if value.dtype == torch.bool or not value.is_floating_point():
            return f"{kind} tensor {shape}, from {value.min().item()} to {value.max().item()}"
        plain = value.double()
        return f"{kind} tensor {shape}, from {plain.min():.5g} to {plain.max():.5g}, mean {plain.mean():.5g}"
    if isinstance(value, Handle):
        return f"a {value.type}"
    if isinstance(value, Foreign):
        return value.description
    if isinstance(value, float | list | tuple):
        return str(rounded(value, digits))[:300]
    return str(value)[:300]


def rounded(value: Any, digits: int = DIGITS) -> Any:
    """Floats to so many significant digits, in nested lists too."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    return show(value) if isinstance(value, Tensor) else value


def show_both(wanted: Any, actual: Any, wrong: Tensor | None = None) -> tuple[str, str]:
    """Two values that should agree, with as many digits as those need that do not (`wrong`, if it is known which).

    Of large tensors the one number is added that is furthest off, and its place.
    """
    if not (isinstance(wanted, Tensor) and isinstance(actual, Tensor) and wanted.shape == actual.shape):
        return apart(wanted, actual)
    if not (wanted.is_floating_point() or actual.is_floating_point()) or wanted.is_complex() or actual.is_complex():
        return with_place(wanted, actual, wrong) if wanted.numel() > FEW else apart(wanted, actual)
    if wanted.numel() > FEW:
        return with_place(wanted, actual, wrong)
    pair = torch.stack([wanted.double(), actual.double()])
    off = wrong if wrong is not None else ~same_numbers(*pair)
    largest = pair.abs().nan_to_num(0, 0, 0).amax(0)
    beside = torch.where(off, largest, largest.max())  # a 0 among the right ones is rounded like its neighbours
    clean = torch.where(pair.abs() < NOTHING * beside, 0, pair)
    digits = next((d for d in range(FEWEST, EXACT) if differs(clean, off, d)), EXACT)
    texts = [str(rounded(numbers.tolist(), digits)) for numbers in clean]
    kinds = [f" {str(value.dtype).removeprefix('torch.')}{tuple(value.shape)}" if value.numel() > 1 else ""
             for value in (wanted, actual)]  # fmt: skip
    return texts[0] + kinds[0], texts[1] + kinds[1]


def differs(pair: Tensor, off: Tensor, digits: int) -> bool:
    """Whether all numbers that are off are written differently with so many digits."""
    left, right = pair.reshape(2, -1)[:, off.flatten()].tolist()
    return all(rounded(a, digits) != rounded(b, digits) for a, b in zip(left, right, strict=True) if a != b)


def same_numbers(one: Tensor, other: Tensor) -> Tensor:
    """Where two tensors hold the same, NaN being like NaN."""
    return (one == other) | (one.isnan() & other.isnan())


def with_place(wanted: Tensor, actual: Tensor, wrong: Tensor | None) -> tuple[str, str]:
    """Two large tensors: shape and range of both, and the number that is furthest off."""
    one, other = wanted.double(), actual.double()
    gap = (one - other).abs().nan_to_num(torch.inf, torch.inf)
    gap = torch.where(same_numbers(one, other), 0, gap)  # two infinities alike are no gap
    if wrong is not None:
        gap = torch.where(wrong, gap, -1)
    place = [int(index) for index in torch.unravel_index(gap.argmax(), gap.shape)]
    count = int((~same_numbers(one, other)).sum() if wrong is None else wrong.sum())
    at = apart(one[tuple(place)].item(), other[tuple(place)].item())
    return (f"{show(wanted)}; {at[0]} at {place}",
            f"{show(actual)}; {at[1]} at {place}; {count} of {wanted.numel()} numbers differ")  # fmt: skip


def apart(wanted: Any, actual: Any) -> tuple[str, str]:
    """Two values in as many digits as it takes to tell them apart."""
    if isinstance(wanted, float) and isinstance(actual, float):
        wanted, actual = (0.0 if abs(v) < NOTHING * max(abs(wanted), abs(actual)) else v for v in (wanted, actual))
    for digits in range(FEWEST, EXACT + 1):
        one, other = show(wanted, digits), show(actual, digits)
        if one != other:
            break
    return one, other


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
