"""Values that a check sends to the submission's process, and values that come back from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from torch import Tensor

# ---- values that only go in -------------------------------------------------------------------------------------


class Ref(NamedTuple):
    """``module.name`` of the submission, passed as an argument."""

    name: str


class TorchRef(NamedTuple):
    """A name in torch: "nn.Linear", "optim.SGD", "nn.functional.mse_loss", "Generator"."""

    name: str


class Probe(NamedTuple):
    """A class or function of the grader's that is lent to the session (`grader.boundary.lent`)."""

    name: str


class Gen(NamedTuple):
    """A fresh torch.Generator with this seed."""

    seed: int


class Params(NamedTuple):
    """All parameters of an object."""

    of: Handle


class DType(NamedTuple):
    """A torch dtype by name."""

    name: str


class Slot(NamedTuple):
    """A place in a training objective: see `grader.boundary.lent.loop`."""

    name: str
    at: int | None = None


@dataclass(frozen=True)
class Image8:
    """uint8 pixels, which the worker reads as float32 in [0, 1]: a quarter of the bytes."""

    pixels: Tensor


# ---- values that come out ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Foreign:
    """Something that is no plain data: a NumPy array, a tensor on another device, an object."""

    description: str
    tensor: Tensor | None = None


class Gradients(NamedTuple):
    """Result of `Session.vjp`: the call's value, and gradients by argument and by (object, parameter name)."""

    value: Any
    args: dict[int | str, Tensor | None]
    params: list[dict[str, Tensor | None]]


class Answers(Protocol):
    """What a handle asks: the session that holds its object."""

    def call(self, target: Target, /, *args: Any, **kwargs: Any) -> Any:
        """Calls it, or a method of it."""

    def infer(self, target: Target, /, *args: Any, **kwargs: Any) -> Any:
        """`call` without gradients."""

    def vjp(
        self, target: Target, /, *args: Any, wrt: Sequence[int | str] = (), params: Sequence[Handle] = (),
        cotangents: Sequence[tuple[Sequence[int | str], Tensor | None]] = (((), None),), **kwargs: Any,
    ) -> Gradients:  # fmt: skip
        """Gradients with respect to arguments `wrt` and the parameters of `params`."""

    def request(self, op: str, **fields: Any) -> Any:
        """One request and its checked answer."""


@dataclass(frozen=True)
class Handle:
    """An object that stays in the worker."""

    session: Answers = field(repr=False)
    number: int
    type: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the object itself."""
        return self.session.call(self, *args, **kwargs)

    def call(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a public method."""
        return self.session.call((self, method), *args, **kwargs)

    def get(self, name: str) -> Any:
        """Reads a public attribute."""
        return self.session.request("get", on=self, name=name)

    def train(self, mode: bool = True) -> Handle:
        """Puts the module into training (or evaluation) mode."""
        self.session.call((self, "train"), mode)
        return self

    def eval(self) -> Handle:
        """Puts the module into evaluation mode."""
        return self.train(False)

    def double(self) -> Handle:
        """Converts the module to float64."""
        self.session.call((self, "double"))
        return self

    def state(self) -> dict[str, Tensor]:
        """Tensors of its state_dict."""
        return dict(self.session.request("state", on=self))

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Loads tensors into its state_dict (strictly)."""
        self.session.request("load", on=self, state=dict(state))

    def parameters(self) -> dict[str, bool]:
        """Names of its parameters, and whether each requires a gradient."""
        return dict(self.session.request("parameters", on=self))

    def grads(self) -> dict[str, Tensor | None]:
        """The accumulated ``.grad`` of its parameters."""
        return dict(self.session.request("grads", on=self))


Target = str | TorchRef | Probe | Ref | Handle | tuple[Handle, str]
