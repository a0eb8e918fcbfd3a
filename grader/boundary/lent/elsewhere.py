"""A device that is none: tensors whose numbers lie in main memory, and which behave as if they lay on another device.

No GPU is needed to see what would go wrong on one. What is made on that device or moved to it lies there; a copy to the
CPU holds its numbers; mixing it with a tensor of the CPU is the error that a GPU would give, with the exceptions that
PyTorch makes: a single number, row numbers, a copy. torch's own meta device has no numbers, and lets convolutions and
layers mix devices without a word.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

HERE = torch.device("meta")  # what such a tensor says of its device
MAKERS = (torch.tensor, torch.as_tensor, torch.from_numpy, Tensor.new_tensor)
CROSSING = (
    torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default,
    torch.ops.aten.copy_.default,
)  # fmt: skip


class DeviceMismatch(RuntimeError):
    """What PyTorch raises where tensors of two devices meet; `left` are those on the CPU."""

    def __init__(self, left: Sequence[Tensor] = ()) -> None:
        super().__init__("Expected all tensors to be on the same device, but found one on the CPU and one on another")
        self.left = left


class Elsewhere(Tensor):
    """A tensor as on another device: a copy to the CPU holds its numbers, mixing is an error."""

    numbers: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, numbers: Tensor) -> Elsewhere:
        made: Elsewhere = Tensor._make_wrapper_subclass(
            cls, numbers.shape, strides=numbers.stride(), dtype=numbers.dtype, device=HERE
        )
        return made

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        def bare(value: Any) -> Any:
            return value.numbers if isinstance(value, cls) else value

        def wrapped(value: Any) -> Any:
            return cls(value) if isinstance(value, Tensor) else value

        kwargs = dict(kwargs or {})
        if func._can_decompose():  # `to` arrives whole under inference_mode, in parts otherwise
            with torch.inference_mode(False):
                return func.decompose(*args, **kwargs)
        copies = func is torch.ops.aten._to_copy.default
        if copies and torch.device(kwargs.get("device") or HERE).type == "cpu":
            return func(bare(args[0]), **kwargs)
        plain = [
            leaf
            for leaf in pytree.tree_leaves((args, kwargs))
            if isinstance(leaf, Tensor) and not isinstance(leaf, cls)
        ]
        left = [leaf for leaf in plain if leaf.device.type == "cpu" and leaf.ndim]
        if func not in CROSSING and left:
            raise DeviceMismatch(left)
        if kwargs.get("device") is not None:
            kwargs["device"] = "cpu"
        plain_args, plain_kwargs = pytree.tree_map(bare, (args, kwargs))
        with torch.inference_mode(False):  # torch cannot wrap a tensor made under inference_mode
            return pytree.tree_map(wrapped, func(*plain_args, **plain_kwargs))


class Factories(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What is made on that other device, or moved to it, lies there: row numbers, masks, draws."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled here, and skipping imports the compiler, a second of CPU time."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        to = kwargs.get("device")
        given = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(isinstance(leaf, Elsewhere) for leaf in given):
            return func(*args, **kwargs)
        if func is torch.ops.aten.copy_.default or to is None or torch.device(to).type != HERE.type:
            return func(*args, **kwargs)
        with torch.inference_mode(False):
            return Elsewhere(func(*args, **{**kwargs, "device": "cpu"}))


class Makers(TorchFunctionMode):
    """`torch.tensor(…, device=…)` and its like make tensors below where `Factories` looks; `tolist` reads there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.tolist and isinstance(args[0], Elsewhere):
            return args[0].numbers.tolist()
        to = kwargs.get("device")
        if func is Tensor.new_tensor and to is None:
            to = args[0].device
        if func in MAKERS and to is not None and torch.device(to).type == HERE.type:
            maker = torch.tensor if func is Tensor.new_tensor else func
            values = args[1:] if func is Tensor.new_tensor else args
            if not isinstance(values[0], Tensor):
                return Elsewhere(maker(*values, **{**kwargs, "device": "cpu"}))
        return func(*args, **kwargs)


@contextlib.contextmanager
def undistributed() -> Iterator[None]:
    """torch asks of every tensor with a dispatch of its own whether it is a distributed one: there are none here.

    Importing them to ask takes half a second of CPU time, which every check that comes here would pay.
    """
    name = "torch.distributed.tensor"
    if name in sys.modules:
        yield
        return
    empty = types.ModuleType(name)
    empty.__dict__["DTensor"] = type("DTensor", (Tensor,), {})
    sys.modules[name] = torch.distributed.__dict__["tensor"] = empty
    try:
        yield
    finally:
        sys.modules.pop(name, None)
        torch.distributed.__dict__.pop("tensor", None)


def with_data_elsewhere(function: Callable[..., Any], model: nn.Module, data: Tensor, *args: Any, **kwargs: Any) -> Any:
    """function(model, data, …) where `data` lies on another device than the model."""
    with undistributed(), Factories():  # type: ignore[no-untyped-call]
        return function(model, Elsewhere(data), *args, **kwargs)


def moved(value: Any) -> Any:
    """`value` as on the other device: a tensor; a model, in place, with its parameters and buffers; lists of these."""
    match value:
        case Elsewhere():
            return value
        case Tensor():
            return Elsewhere(value.detach().clone())
        case nn.Module():
            seen: dict[int, Tensor] = {}  # parameters that have several names

            def other(held: Tensor) -> Tensor:
                if id(held) not in seen:
                    there = moved(held)
                    seen[id(held)] = (
                        nn.Parameter(there, held.requires_grad) if isinstance(held, nn.Parameter) else there
                    )
                return seen[id(held)]

            for module in value.modules():
                for name, weight in module._parameters.items():
                    module._parameters[name] = None if weight is None else cast(nn.Parameter, other(weight))
                for name, held in module._buffers.items():
                    module._buffers[name] = None if held is None else other(held)
        case list() | tuple():
            return type(value)(map(moved, value))
    return value


def left_behind(models: Sequence[nn.Module], left: Sequence[Tensor]) -> str:
    """The attribute that holds a tensor which did not move with its model, if one of `left` is that."""
    places = {tensor.untyped_storage().data_ptr() for tensor in left}
    for part in (part for model in models for part in model.modules()):
        for name, held in vars(part).items():
            if isinstance(held, Tensor) and held.untyped_storage().data_ptr() in places:
                return f"self.{name} of {type(part).__name__}"
    return ""


@contextlib.contextmanager
def naming(models: Sequence[nn.Module]) -> Iterator[None]:
    """Devices that do not match are raised with the name of the attribute that is to blame, where one is."""
    try:
        yield
    except DeviceMismatch as mismatch:
        if name := left_behind(models, mismatch.left):
            mismatch.args = (f"{mismatch}: {name} lies on the CPU",)
        raise


def devices_of(function: Callable[..., Any], *args: Any, method: str = "", **kwargs: Any) -> Sequence[str]:
    """Where the tensors lie that function(…), or a method of it, returns: "cpu" or "there".

    All models and tensors that are given lie on the other device; models stay there.
    """
    models = [value for value in (function, *args, *kwargs.values()) if isinstance(value, nn.Module)]
    with undistributed(), naming(models), Makers(), Factories():  # type: ignore[no-untyped-call]
        moved(function)
        called = getattr(function, method) if method else function
        found = called(*map(moved, args), **{name: moved(value) for name, value in kwargs.items()})
        tensors = [leaf for leaf in pytree.tree_leaves(found) if isinstance(leaf, Tensor)]
        return ["there" if leaf.device.type == HERE.type else leaf.device.type for leaf in tensors]
