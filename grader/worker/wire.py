"""Frames: how two processes exchange a JSON header and a block of tensors, and nothing else.

A frame is::

    magic   4 bytes   b"A7W1"
    header  u32       length of a UTF-8 JSON object
    body    u64       length of a safetensors block (0: no tensors)
    ...header bytes, then body bytes

Both lengths are capped before anything is allocated. The body is read by safetensors, which holds plain arrays only:
there is no pickle and nothing to execute. The JSON names tensors by their key in the body (see `values`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

MAGIC = b"A7W1"
PREFIX = struct.Struct("<4sIQ")
# of what the grader sends; what it takes from the other side has limits of its own (`grader.boundary.replies`)
MAX_HEADER = 64 << 20
MAX_BODY = 1 << 30
# the dtypes of nearly all tensors: for these safetensors is called without the detours of its torch module, which took
# as long as all else that a frame costs
PLAIN = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "I64": torch.int64, "I32": torch.int32,
    "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
NAMES = {dtype: str(dtype).removeprefix("torch.") for dtype in PLAIN.values()}
CHUNK, MOST_AT_ONCE = 1 << 14, 1 << 20
Frame = tuple[dict[str, Any], dict[str, Tensor]]  # header, tensors by key


class ProtocolError(Exception):
    """The bytes received are not a frame of this protocol."""


def pack(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of one frame. Tensors must be contiguous, on the CPU and share no memory."""
    text = json.dumps(header).encode()
    body = save(tensors) if tensors else b""
    return PREFIX.pack(MAGIC, len(text), len(body)) + text + body


def save(tensors: Mapping[str, Tensor]) -> bytes:
    """A safetensors block of contiguous tensors on the CPU."""
    if all(tensor.dtype in NAMES and tensor.numel() and tensor.is_contiguous() for tensor in tensors.values()):
        specs = {
            key: safetensors.TensorSpec(dtype=NAMES[t.dtype], shape=t.shape, data_ptr=t.data_ptr(), data_len=t.nbytes)
            for key, t in tensors.items()
        }
        return bytes(safetensors.serialize(specs))
    return safetensors.torch.save(dict(tensors))


def load(body: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors block, each in memory of its own (safetensors makes a bytearray for each).

    Raises ProtocolError for what is none.
    """
    try:
        found = safetensors.deserialize(body)  # type: ignore[no-untyped-call]
        if all(view["dtype"] in PLAIN and len(view["data"]) for _, view in found):
            return {key: torch.frombuffer(view["data"], dtype=PLAIN[view["dtype"]]).reshape(view["shape"])
                    for key, view in found}  # fmt: skip
        return safetensors.torch.load(body)
    # safetensors raises its own error type, KeyError (unknown dtype) and ValueError for damaged blocks
    except Exception as error:
        raise ProtocolError(f"the tensors are damaged: {error}") from error


def together(frames: Sequence[Frame]) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """Several frames as one: their headers, and all their tensors under keys that say whose they are."""
    return [header for header, _ in frames], {f"{number}.{key}": tensor for number, (_, tensors) in enumerate(frames)
                                              for key, tensor in tensors.items()}  # fmt: skip


def apart(headers: Sequence[dict[str, Any]], tensors: Mapping[str, Tensor]) -> list[Frame]:
    """The frames that `together` has put into one."""
    found: list[Frame] = [(header, {}) for header in headers]
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        found[int(number)][1][key] = tensor
    return found


def sizes(prefix: bytes, most_header: int = MAX_HEADER, most_body: int = MAX_BODY) -> tuple[int, int]:
    """Header and body length of a frame from its first bytes. Raises ProtocolError before anything is allocated."""
    magic, header, body = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise ProtocolError(f"a frame must start with {MAGIC!r}, got {magic!r}")
    if header > most_header or body > most_body:
        raise ProtocolError(f"frame too large: header {header} bytes, body {body} bytes")
    return header, body


def parse(header: bytes, body: bytes) -> Frame:
    """Header object and tensors of a received frame. Raises ProtocolError if either is malformed."""
    try:
        parsed = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the header is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ProtocolError("the header is not a JSON object")
    if not body:
        return parsed, {}
    return parsed, load(body)


def read_bytes(
    read: Callable[[int], bytes], most_header: int = MAX_HEADER, most_body: int = MAX_BODY
) -> tuple[bytes, bytes]:
    """Header and body of one frame through `read(n)`, which returns exactly n bytes or raises EOFError."""
    header, body = sizes(read(PREFIX.size), most_header, most_body)
    return read(header), read(body) if body else b""


def read_frame(read: Callable[[int], bytes]) -> Frame:
    """One frame, parsed."""
    return parse(*read_bytes(read))


def reader(receive: Callable[[int], bytes], most: int = CHUNK) -> Callable[[int], bytes]:
    """`read(n)` for `read_frame` over `receive(n)`, which returns what has arrived, and nothing at the end.

    What arrives together is received together, up to `most` bytes more than asked for: small frames take one call in
    place of three. Where something rides on the bytes between frames, `most` is 1.
    """
    held = bytearray()

    def read(size: int) -> bytes:
        while len(held) < size:
            chunk = receive(max(most, min(size - len(held), MOST_AT_ONCE)))
            if not chunk:
                raise EOFError
            held.extend(chunk)
        found = bytes(memoryview(held)[:size])
        del held[:size]
        return found

    return read
