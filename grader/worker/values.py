"""Values: how Python values travel in a frame.

==================  ==========================================================================================
JSON                value
==================  ==========================================================================================
null true 1 1.5 ""  itself (a float may be NaN or infinite); NumPy's numbers come as Python's
[...]               list
{"tuple": [...]}    tuple
{"dict": [[k, v]]}  dict
{"tensor": key}     tensor ``key`` of the body; from the worker also ``device`` and ``grad`` (needs a gradient)
{"numpy": key}      the same, but the student's code returned a NumPy array
{"handle": 3}       an object that stays in the worker, with its ``type``
{"opaque": name}    an object of a type that is not on this list; only its type's name travels
==================  ==========================================================================================

Only towards the worker: {"image8": key} uint8 pixels, read as float32 / 255; {"generator": seed} a fresh
`torch.Generator`; {"ref": "module:name"} something in the submission; {"torch": "nn.Linear"} something in torch, from
a fixed list of namespaces; {"lent": name} something that the grader has lent to this session; {"params": 3} the
parameters of an object; {"dtype": "float64"}; {"slot": [name, at], "kind": name} a slot, of a lent kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

MAX_TEXT = 20_000
MAX_DEPTH = 12
MAX_ITEMS = 10_000


@dataclass
class Outgoing:
    """Tensors collected while a value tree is turned into JSON."""

    tensors: dict[str, Tensor] = field(default_factory=dict)

    def add(self, tensor: Tensor) -> str:
        key = f"t{len(self.tensors)}"
        # a subclass with overloaded operators ends here: what travels is a plain copy of the numbers
        plain = tensor.detach().as_subclass(Tensor)
        plain = plain.to_dense() if plain.layout != torch.strided else plain
        self.tensors[key] = plain.cpu().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
        return key


def encode(value: Any, out: Outgoing, special: Callable[[Any], Any], depth: int = 0) -> Any:
    """JSON for `value`; whatever is not plain data goes through `special`, which returns JSON."""
    if depth > MAX_DEPTH:
        return {"opaque": "something nested too deeply"}
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        value = value.item()  # a number of NumPy's is a number
    if value is None or isinstance(value, bool | int | float):
        return value if type(value) in (bool, int, float, type(None)) else special(value)
    if isinstance(value, str):
        return str(value[:MAX_TEXT])
    if isinstance(value, Tensor) and value.is_meta:
        return {"opaque": "Tensor on device meta, which holds no numbers"}
    if isinstance(value, Tensor):
        return {"tensor": out.add(value), "device": str(value.device), "grad": value.requires_grad}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"numpy": out.add(torch.from_numpy(np.array(value)))}
    if isinstance(value, list | tuple | dict) and len(value) <= MAX_ITEMS:
        if isinstance(value, dict):
            pairs = [[encode(item, out, special, depth + 1) for item in pair] for pair in value.items()]
            return {"dict": pairs}
        items = [encode(item, out, special, depth + 1) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    return special(value)


def decode(tree: Any, special: Callable[[str, Any, dict[str, Any]], Any], depth: int = 0) -> Any:
    """Value of JSON `tree`; every one-of-a-kind object goes through ``special(kind, content, object)``."""
    if depth > 2 * MAX_DEPTH:
        raise ValueError("a value is nested too deeply")
    if isinstance(tree, list):
        return [decode(item, special, depth + 1) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "tuple" in tree:
        return tuple(decode(item, special, depth + 1) for item in tree["tuple"])
    if "dict" in tree:
        return {decode(k, special, depth + 1): decode(v, special, depth + 1) for k, v in tree["dict"]}
    kind = next(iter(tree), "")
    return special(kind, tree.get(kind), tree)
