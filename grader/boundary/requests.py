"""What goes into a request: values as trees of JSON with tensors beside them (the table stands in `worker.values`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ..worker.values import Outgoing
from .launch import GraderFault
from .lending import own
from .values import DType, Gen, Handle, Image8, Params, Probe, Ref, Slot, Target, TorchRef

# fields of a request that are the protocol's own; all others hold values
OWN = frozenset({"method", "name", "module", "device", "wrt", "params", "epochs", "batch_size", "lr", "seed", "grad"})
Lend = Callable[[str], str]  # sends what a probe consists of, and returns what it is called there


def body_of(fields: Mapping[str, Any], lend: Lend) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A request's fields as JSON, and the tensors in them."""
    out = Outgoing()
    body = {name: value if name in OWN else tree_of(value, out, lend) for name, value in fields.items()}
    if "cotangents" in fields:
        body["cotangents"] = [[path, tree_of(weights, out, lend)] for path, weights in fields["cotangents"]]
    return body, out.tensors


def target_of(target: Target) -> dict[str, Any]:
    """The fields that say what is called."""
    if isinstance(target, tuple) and not isinstance(target, Ref | TorchRef | Probe):
        return {"of": target[0], "method": target[1]}
    return {"of": Ref(target) if isinstance(target, str) else target}


def reference(name: str) -> dict[str, str]:
    """ "module.name" of the submission."""
    module, _, attribute = name.partition(".")
    return {"ref": f"{module}:{attribute}"}


def tree_of(value: Any, out: Outgoing, lend: Lend) -> Any:
    """JSON for a value; its tensors go to `out`."""

    def tree(item: Any) -> Any:
        if item is None or type(item) in (bool, int, float, str):  # most of what travels
            return item
        match item:
            case Handle():
                return {"handle": item.number}
            case Ref():
                return reference(item.name)
            case TorchRef():
                return {"torch": item.name}
            case Probe():
                mine = own(item.name)
                return {"lent": lend(item.name)} if mine is None else reference(mine)
            case Gen():
                return {"generator": item.seed}
            case Params():
                return {"params": item.of.number}
            case DType():
                return {"dtype": item.name}
            case Slot():
                return {"slot": list(item), "kind": lend("Slot")}
            case Image8():
                return {"image8": out.add(item.pixels)}
            case Tensor():
                return {"tensor": out.add(item)}
            case dict():
                return {"dict": [[tree(k), tree(v)] for k, v in item.items()]}
            case list():
                return [tree(part) for part in item]
            case tuple():
                return {"tuple": [tree(part) for part in item]}
        raise GraderFault(f"a check sent a value that does not travel: {type(item).__name__}")

    return tree(value)
