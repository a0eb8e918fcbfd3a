"""The reference with one function that returns its value as something strange: whatever comes, the grader must judge."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from .touched import functions

# what becomes of a tensor, and of anything else that is no container
CHANGES: Mapping[str, tuple[str, str]] = {
    "other precision": ("v.double() if v.dtype == torch.float32 else v.float()", "v"),
    "one dimension more": ("v.unsqueeze(0)", "[v]"),
    "flat": ("v.reshape(-1)", "v"),
    "empty": ("v[:0] if v.ndim else v", "None"),
    "summed": ("v.sum()", "v"),
    "truth values": ("v > 0", "bool(v)"),
    "integers": ("v.long()", "int(v)"),
    "complex": ("v.to(torch.complex64)", "1j"),
    "NaN": ("v * float('nan') if v.is_floating_point() else v", "float('nan')"),
    "infinity": ("v * float('inf') if v.is_floating_point() else v * 10**9", "float('inf')"),
    "None": ("None", "None"),
    "a number": ("3", "3"),
    "text": ("'x'", "'x'"),
}
WRAPPED = """

import torch


def _strange(v):
    if isinstance(v, torch.Tensor):
        return {tensor}
    if isinstance(v, tuple | list):
        return type(v)(_strange(part) for part in v)
    if isinstance(v, dict):
        return {{name: _strange(part) for name, part in v.items()}}
    return {other}


def _made_strange(function):
    def wrapped(*args, **kwargs):
        return _strange(function(*args, **kwargs))

    return wrapped


{name} = _made_strange({name})
"""


def public(sources: Mapping[str, str]) -> list[str]:
    """Functions and methods of the assignment, as "module.name"."""
    return [f"{module}.{name}" for module, text in sources.items() for name in functions(ast.parse(text))
            if not any(part.startswith("_") for part in name.split("."))]  # fmt: skip


def strange(sources: Mapping[str, str], function: str, change: str) -> dict[str, str]:
    """The sources with `function` ("module.name") returning something else."""
    module, _, name = function.partition(".")
    tensor, other = CHANGES[change]
    return {**sources, module: sources[module] + WRAPPED.format(tensor=tensor, other=other, name=name)}
