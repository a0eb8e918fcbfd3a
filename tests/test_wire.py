"""Frames and values: what was packed comes back, what was not packed never does."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.worker import values, wire

DTYPES = (torch.float32, torch.float64, torch.int64, torch.bool, torch.uint8, torch.float16)


def back(data: bytes) -> tuple[dict[str, object], dict[str, torch.Tensor]]:
    stream = io.BytesIO(data)

    def read(size: int) -> bytes:
        chunk = stream.read(size)
        if len(chunk) < size:
            raise EOFError
        return chunk

    return wire.read_frame(read)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_tensors_come_back_bit_for_bit(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = (torch.rand(shape) * 3).to(dtype)
    _, tensors = back(wire.pack({"op": "x"}, {"t": tensor}))
    assert tensors["t"].dtype == dtype
    assert tensors["t"].shape == tensor.shape
    assert torch.equal(tensors["t"], tensor)


def test_views_and_transposes_travel_as_what_they_show() -> None:
    base = torch.arange(12.0).reshape(3, 4)
    out = values.Outgoing()
    tree = values.encode([base.t(), base.t(), base[1]], out, lambda _: None)
    _, tensors = back(wire.pack({"v": tree}, out.tensors))
    assert torch.equal(tensors["t0"], base.t())
    assert torch.equal(tensors["t2"], base[1])


def test_nonfinite_floats_travel() -> None:
    header, _ = back(wire.pack({"a": math.nan, "b": math.inf}, {}))
    assert isinstance(header["a"], float)
    assert math.isnan(header["a"])
    assert header["b"] == math.inf


@pytest.mark.parametrize(
    ("magic", "header", "body"),
    [(b"NOPE", 2, 0), (wire.MAGIC, wire.MAX_HEADER + 1, 0), (wire.MAGIC, 2, wire.MAX_BODY + 1), (wire.MAGIC, 2, 2**63)],
)
def test_a_bad_prefix_is_refused_before_anything_is_read(magic: bytes, header: int, body: int) -> None:
    stream = io.BytesIO(wire.PREFIX.pack(magic, header, body))
    asked: list[int] = []

    def read(size: int) -> bytes:
        asked.append(size)
        return stream.read(size)

    with pytest.raises(wire.ProtocolError):
        wire.read_frame(read)
    assert asked == [wire.PREFIX.size]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_frame_is_an_error_or_a_frame_never_anything_else(data: st.DataObject) -> None:
    good = bytearray(wire.pack({"op": "call", "v": [1, {"tensor": "t"}]}, {"t": torch.arange(6.0)}))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        header, _ = back(bytes(good))
    except (wire.ProtocolError, EOFError):
        return
    assert isinstance(header, dict)


def test_what_is_no_data_becomes_a_name_and_numpy_is_marked() -> None:
    class Odd:
        pass

    out = values.Outgoing()
    tree = values.encode([Odd(), np.zeros(2)], out, lambda v: values.opaque(type(v).__name__))
    assert tree["items"] == [{"is": "opaque", "what": "Odd"}, {"is": "numpy", "key": "t0"}]


def test_numbers_of_numpy_are_numbers() -> None:
    given = [np.float64(0.5), np.float32(2), np.int64(3), np.bool_(True)]
    tree = values.encode(given, values.Outgoing(), lambda _: None)
    assert tree == {"is": "list", "items": [0.5, 2.0, 3, True]}
    assert [type(item) for item in tree["items"]] == [float, float, int, bool]


def test_a_subclass_with_its_own_operators_travels_as_numbers() -> None:
    class Liar(torch.Tensor):
        def __eq__(self, other: object) -> bool:  # type: ignore[override]
            return True

    out = values.Outgoing()
    values.encode(torch.ones(2).as_subclass(Liar), out, lambda _: None)
    assert type(out.tensors["t0"]) is torch.Tensor


def test_nesting_without_end_ends() -> None:
    loop: list[object] = []
    loop.append(loop)
    tree = values.encode(loop, values.Outgoing(), lambda _: None)
    assert "nested too deeply" in str(tree)
