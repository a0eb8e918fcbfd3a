"""The strict parser of what comes back from a process that has run the submission.

The submission runs in the process that holds the socket: whatever comes back may be forged. So every reply has a form,
one for each operation, and everything in it is bounded. What is not of that form raises Malformed: the submission's own
end of the session, never a fault of the grader. What the JSON must be is declared in msgspec's structures (the table
stands in `grader.worker.values`), what the value of an operation must be in `forms`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import torch
from msgspec import UNSET, Meta, Struct, UnsetType
from torch import Tensor

from ..worker import wire
from ..worker.values import MAX_DEPTH, MAX_DIMS, MAX_ITEMS, MAX_TEXT, MAX_WORD, REAL
from .ends import Crashed, Line, SessionEnded, StudentRaised, TimedOut, limit_reached
from .values import Answers, Foreign, Handle

MAX_REPLY = 2 << 20  # bytes of JSON in a frame, and of the names in its block of tensors
MAX_SIZE = 2**31 - 1  # of one dimension
SAID = 200  # characters of what msgspec says about a reply, which may repeat parts of it
OF_SAFETENSORS = 8  # bytes of the number that begins a block: how many bytes of names follow


class Malformed(Exception):
    """What came back is not of the form that was asked for."""


# ---- what the JSON of a reply is ---------------------------------------------------------------------------------

Word = Annotated[str, Meta(max_length=MAX_WORD)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Key = Annotated[str, Meta(pattern="^t[0-9]{1,5}$")]
Device = Annotated[str, Meta(pattern="^[a-z]{1,20}(:[0-9]{1,3})?$")]


class Kind(Struct, tag_field="is", forbid_unknown_fields=True, frozen=True):
    """A value that JSON has no word for."""


class FloatKind(Kind, tag="float", frozen=True):
    """NaN or an infinity."""

    value: Literal["nan", "inf", "-inf"]


class ListKind(Kind, tag="list", frozen=True):
    """A list."""

    items: list[Tree]


class TupleKind(Kind, tag="tuple", frozen=True):
    """A tuple."""

    items: list[Tree]


class DictKind(Kind, tag="dict", frozen=True):
    """A dict."""

    pairs: list[tuple[Tree, Tree]]


class TensorKind(Kind, tag="tensor", frozen=True):
    """A tensor of the body."""

    key: Key
    device: Device
    grad: bool


class NumpyKind(Kind, tag="numpy", frozen=True):
    """The same, of what was an array of NumPy's."""

    key: Key


class HandleKind(Kind, tag="handle", frozen=True):
    """An object that stays there."""

    number: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    type: Word


class OpaqueKind(Kind, tag="opaque", frozen=True):
    """Something that does not travel."""

    what: Word


Tree = (
    None | bool | Integer | float | Text
    | FloatKind | ListKind | TupleKind | DictKind | TensorKind | NumpyKind | HandleKind | OpaqueKind
)  # fmt: skip


class Frame(Struct, forbid_unknown_fields=True, frozen=True):
    """A line of a traceback."""

    file: Word
    line: Annotated[int, Meta(ge=0, le=10**7)]
    function: Word
    code: Word


class Fault(Struct, forbid_unknown_fields=True, frozen=True):
    """An exception of the student's code."""

    kinds: Annotated[list[Word], Meta(min_length=1, max_length=20)]
    message: Annotated[str, Meta(max_length=2000)]
    frames: Annotated[list[Frame], Meta(max_length=10)]


class Answer(Struct, forbid_unknown_fields=True, frozen=True):
    """To one request: a value, or an exception in its place."""

    value: Tree | UnsetType = UNSET
    error: Fault | UnsetType = UNSET


class Single(Answer, frozen=True, kw_only=True):
    """The reply to one request."""

    nonce: int


class Several(Struct, forbid_unknown_fields=True, frozen=True):
    """The reply to requests that were sent together."""

    nonce: int
    answers: list[Answer]


SINGLE, SEVERAL = msgspec.json.Decoder(Single), msgspec.json.Decoder(Several)
Tensors = dict[str, Tensor]
Answered = tuple[Answer, Tensors]


def one(header: bytes, nonce: int) -> Answer:
    """The answer in a reply to one request. Raises Malformed."""
    try:
        reply = SINGLE.decode(header)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the process sent a malformed answer: {str(error)[:SAID]}") from error
    expect_nonce(reply.nonce, nonce)
    return reply


def several(header: bytes, nonce: int, tensors: Tensors, wanted: int) -> list[Answered]:
    """The answers in a reply to `wanted` requests, each with its own tensors. Raises Malformed."""
    try:
        reply = SEVERAL.decode(header)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the process sent a malformed answer: {str(error)[:SAID]}") from error
    expect_nonce(reply.nonce, nonce)
    if len(reply.answers) != wanted:
        raise Malformed("the process answered more or less than was asked")
    found: list[Answered] = [(answer, {}) for answer in reply.answers]
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        if not (number.isascii() and number.isdigit() and int(number[:6]) < wanted):
            raise Malformed("the process sent a tensor that belongs to no answer")
        found[int(number[:6])][1][key] = tensor
    return found


def expect_nonce(found: int, sent: int) -> None:
    """The reply is one to the last request."""
    if found != sent:
        raise Malformed("the process answered a question that was not asked")


def block(body: bytes) -> Tensors:
    """The tensors of a frame's body, all of real numbers and of few dimensions. Raises Malformed and ProtocolError."""
    if not body:
        return {}
    if int.from_bytes(body[:OF_SAFETENSORS], "little") > MAX_REPLY:
        raise Malformed("the process sent more names of tensors than there can be")
    tensors = wire.load(body)
    for tensor in tensors.values():
        if tensor.dtype not in REAL or tensor.ndim > MAX_DIMS or any(size > MAX_SIZE for size in tensor.shape):
            raise Malformed("the process sent a tensor of a kind that does not travel")
    return tensors


# ---- what a value is ---------------------------------------------------------------------------------------------


class Reader:
    """Makes values of one answer's JSON; every tensor of the body is used once."""

    def __init__(self, tensors: Mapping[str, Tensor], session: Answers, device: str) -> None:
        self.left, self.session, self.device = dict(tensors), session, device.partition(":")[0]
        self.items = 0

    def whole(self, tree: Any) -> Any:
        """The value of all of it. Raises Malformed."""
        value = self.value(tree, 0)
        if self.left:
            raise Malformed("the process sent tensors that belong to no value")
        return value

    def value(self, tree: Any, depth: int) -> Any:
        """The value of a part."""
        match tree:
            case TensorKind():
                found, where = self.tensor(tree.key), tree.device.partition(":")[0]
                return found if where == self.device else Foreign(f"a tensor on {where}", found)
            case FloatKind():
                return float(tree.value)
            case ListKind():
                return self.parts(tree.items, depth)
            case TupleKind():
                return tuple(self.parts(tree.items, depth))
            case DictKind():
                names = self.parts([name for name, _ in tree.pairs], depth)
                if not all(isinstance(name, str | int | float | None) for name in names):
                    raise Malformed("the process sent a dict whose keys are neither text nor numbers")
                return dict(zip(names, self.parts([value for _, value in tree.pairs], depth), strict=True))
            case HandleKind():
                return Handle(self.session, tree.number, tree.type)
            case NumpyKind():
                return Foreign("a NumPy array", self.tensor(tree.key))
            case OpaqueKind():
                return Foreign(tree.what)
        return tree

    def parts(self, trees: Sequence[Any], depth: int) -> list[Any]:
        """Values inside a container."""
        self.items += len(trees)
        if depth >= 2 * MAX_DEPTH or self.items > 2 * MAX_ITEMS:
            raise Malformed("the process sent more values than there can be")
        return [self.value(tree, depth + 1) for tree in trees]

    def tensor(self, key: str) -> Tensor:
        """A tensor of the body."""
        found = self.left.pop(key, None)
        if found is None:
            raise Malformed("the process sent a value without its numbers")
        return found


def oddity(tree: Any, tensors: Mapping[str, Tensor]) -> str:
    """What is odd about a value with which no check can go on; empty if nothing is."""
    if isinstance(tree, OpaqueKind):
        return tree.what
    for tensor in tensors.values():
        if tensor.dtype == torch.bool:
            return "a tensor of type bool"
        if not tensor.numel():
            return f"an empty tensor of shape {tuple(tensor.shape)}"
    return ""


def raised(fault: Fault) -> StudentRaised | SessionEnded:
    """What the exception of an answer means."""
    message = fault.message
    if "NeverImported" in fault.kinds:
        return (TimedOut if "did not finish" in message else Crashed)(message)
    if (limit := limit_reached(fault.kinds, message)) is not None:
        return limit
    return StudentRaised(fault.kinds, message, [Line(f.file, f.line, f.function, f.code) for f in fault.frames])
