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
from collections.abc import Callable, Mapping
from typing import Any

import safetensors.torch
from torch import Tensor

MAGIC = b"A7W1"
PREFIX = struct.Struct("<4sIQ")
MAX_HEADER = 8 << 20
MAX_BODY = 1 << 30
Frame = tuple[dict[str, Any], dict[str, Tensor]]  # header, tensors by key


class ProtocolError(Exception):
    """The bytes received are not a frame of this protocol."""


def pack(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of one frame. Tensors must be contiguous, on the CPU and share no memory."""
    text = json.dumps(header).encode()
    body = safetensors.torch.save(dict(tensors)) if tensors else b""
    return PREFIX.pack(MAGIC, len(text), len(body)) + text + body


def sizes(prefix: bytes) -> tuple[int, int]:
    """Header and body length of a frame from its first bytes. Raises ProtocolError before anything is allocated."""
    magic, header, body = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise ProtocolError(f"a frame must start with {MAGIC!r}, got {magic!r}")
    if header > MAX_HEADER or body > MAX_BODY:
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
    try:
        return parsed, safetensors.torch.load(body)
    # safetensors raises its own error type, KeyError (unknown dtype) and ValueError for damaged blocks
    except Exception as error:
        raise ProtocolError(f"the tensors are damaged: {error}") from error


def read_frame(read: Callable[[int], bytes]) -> Frame:
    """One frame through `read(n)`, which returns exactly n bytes or raises EOFError."""
    header, body = sizes(read(PREFIX.size))
    return parse(read(header), read(body) if body else b"")
