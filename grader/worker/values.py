"""Values: how Python values travel in a frame.

Towards the worker, from which the grader wants what it asked for and nothing else:

==================  ==========================================================================================
JSON                value
==================  ==========================================================================================
null true 1 1.5 ""  itself (a float may be NaN or infinite)
[...]               list
{"tuple": [...]}    tuple
{"dict": [[k, v]]}  dict
{"tensor": key}     tensor ``key`` of the body
{"image8": key}     uint8 pixels, read as float32 / 255
{"handle": 3}       an object that stays in the worker
==================  ==========================================================================================

and {"generator": seed} a fresh `torch.Generator`; {"ref": "module:name"} something in the submission; {"torch":
"nn.Linear"} something in torch, from a fixed list of namespaces; {"lent": name} something that the grader has lent to
this session; {"params": 3} the parameters of an object; {"dtype": "float64"}; {"slot": [name, at], "kind": name} a
slot, of a lent kind.

From the worker (the grader's end is `grader.boundary.replies`, which takes nothing else):

=========================================  ===================================================================
JSON                                       value
=========================================  ===================================================================
null true 1 1.5 ""                         itself: an integer of 64 bits, a finite float; NumPy's numbers too
{"is": "float", "value": "nan"}            what JSON has no number for: nan, inf, -inf
{"is": "list", "items": [...]}             list; "tuple" as well
{"is": "dict", "pairs": [[k, v]]}          dict
{"is": "tensor", "key", "device", "grad"}  tensor ``key`` of the body; ``grad``: whether it needs a gradient
{"is": "numpy", "key"}                     the same, but the student's code returned a NumPy array
{"is": "handle", "number", "type"}         an object that stays in the worker
{"is": "opaque", "what"}                   anything else: a description of it
=========================================  ===================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

MAX_TEXT = 20_000  # characters of all strings of one answer
MAX_WORD = 200  # of a name or a description
MAX_DEPTH = 12
MAX_ITEMS = 10_000  # values of one answer, nested ones counted
MAX_DIMS = 16
SMALLEST, LARGEST = -(2**63), 2**63 - 1
# what a tensor that travels may hold: real numbers that the grader can compute with
REAL = frozenset({
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
})  # fmt: skip


class TooMuch(Exception):
    """A value holds more numbers than anybody who asked for it can use."""


def plain(text: str, limit: int = MAX_WORD) -> str:
    """The beginning of a text, with half characters, which no encoding has, written as Python writes them."""
    return text[:limit].encode("utf-8", "backslashreplace").decode()[:limit]


@dataclass
class Outgoing:
    """Tensors collected while a value is turned into JSON, and how much of it there may still be."""

    bytes_left: int = 1 << 30
    tensors: dict[str, Tensor] = field(default_factory=dict)
    items_left: int = MAX_ITEMS
    text_left: int = MAX_TEXT

    def add(self, tensor: Tensor) -> str:
        key = f"t{len(self.tensors)}"
        self.bytes_left -= tensor.numel() * tensor.element_size()
        if self.bytes_left < 0:
            shape = f"a tensor of shape {tuple(tensor.shape)}"
            raise TooMuch(f"what your code returns is far larger than what was asked for: {shape} is in it")
        # a subclass with overloaded operators ends here: what travels is a plain copy of the numbers
        bare = tensor.detach().as_subclass(Tensor)
        bare = bare.to_dense() if bare.layout != torch.strided else bare
        self.tensors[key] = bare.cpu().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
        return key


def opaque(what: str) -> dict[str, Any]:
    """What does not travel, described."""
    return {"is": "opaque", "what": plain(what)}


def encode(value: Any, out: Outgoing, special: Callable[[Any], Any], depth: int = 0) -> Any:
    """JSON for `value`; whatever is not plain data goes through `special`, which returns JSON."""
    if depth > MAX_DEPTH:
        return opaque("something nested too deeply")
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        value = value.item()  # a number of NumPy's is a number
    if value is None or isinstance(value, bool | int | float):
        return number(value) if type(value) in (bool, int, float, type(None)) else special(value)
    if isinstance(value, str):
        text = plain(value, max(0, out.text_left))
        out.text_left -= len(text)
        return text
    if isinstance(value, Tensor):
        return encode_tensor(value, out)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        array = torch.from_numpy(np.array(value))
        return {"is": "numpy", "key": out.add(array)} if array.dtype in REAL else opaque("a NumPy array")
    if not isinstance(value, dict | list | tuple):
        return special(value)
    count = len(value) * (1 + isinstance(value, dict))
    if count > out.items_left:
        return opaque(f"a {type(value).__name__} of {len(value)} values")
    out.items_left -= count
    if isinstance(value, dict):
        plain_keys = all(isinstance(key, str | int | float | None | np.generic) for key in value)
        keys = [encode(key, out, special, depth + 1) for key in value] if plain_keys else [opaque("")]
        if any(isinstance(key, dict) and key["is"] != "float" for key in keys):
            return opaque("a dict whose keys are neither text nor numbers")
        held = [encode(item, out, special, depth + 1) for item in value.values()]
        return {"is": "dict", "pairs": [list(pair) for pair in zip(keys, held, strict=True)]}
    items = [encode(item, out, special, depth + 1) for item in value]
    return {"is": "list" if isinstance(value, list) else "tuple", "items": items}


def number(value: Any) -> Any:
    """A number, as far as JSON and 64 bits have it."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"is": "float", "value": str(value)}
    if isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        return opaque("an integer of more than 64 bits")
    return value


def encode_tensor(value: Tensor, out: Outgoing) -> Any:
    """A tensor of real numbers; of others, what they are."""
    kind = str(value.dtype).removeprefix("torch.")
    if value.is_meta:
        return opaque("a tensor on device meta, which holds no numbers")
    if value.dtype not in REAL or value.ndim > MAX_DIMS:
        return opaque(f"a tensor of type {kind}, shape {tuple(value.shape)}")
    return {"is": "tensor", "key": out.add(value), "device": str(value.device), "grad": value.requires_grad}


def decode(tree: Any, special: Callable[[str, Any, dict[str, Any]], Any]) -> Any:
    """Value of a request's JSON `tree`; one-of-a-kind objects go through ``special(kind, content, object)``."""
    if isinstance(tree, list):
        return [decode(item, special) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "tuple" in tree:
        return tuple(decode(item, special) for item in tree["tuple"])
    if "dict" in tree:
        return {decode(k, special): decode(v, special) for k, v in tree["dict"]}
    kind = next(iter(tree), "")
    return special(kind, tree.get(kind), tree)
