"""Question 4, output sizes of convolutions: against counted places and PyTorch itself."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st
from torch.nn import functional as F

from ...check.cases import sizes
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import expect, raises
from ...check.forall import forall
from ...check.shown import kind_of

CONV_SIZE, TRANSPOSE_SIZE = "autoencoders.conv_output_size", "autoencoders.conv_transpose_output_size"


def whole(ctx: Context, value: Any, expected: int, what: str) -> None:
    """`value` is this Python int."""
    expect(type(value) is int, f"{what} is not an int", "a Python int", kind_of(value))
    expect(value == expected, f"{what} is wrong", expected, value)


@declare(
    id="q4.sizes.conv", question=4, kind="property", points=0.25, visibility="public",
    title="Output size of a convolution",
    asks="conv_output_size counts the places where the kernel fits, and refuses where there is none",
    hint="Lay the kernel on a row of pixels: how long is it with its gaps, and at how many places, a stride apart, "
    "does it fit? What if the last step does not come out even?",
    needs=(),
)  # fmt: skip
def sizes_conv(ctx: Context) -> None:
    def body(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> None:
        arguments: dict[str, Any] = {
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
        }
        taps = range(0, dilation * (kernel_size - 1) + 1, dilation)
        fits = [start for start in range(0, size + 2 * padding, stride) if start + taps[-1] < size + 2 * padding]
        if not fits:
            raises(ctx, "ValueError", CONV_SIZE, size, **arguments, case="a kernel that fits nowhere")
        else:
            whole(ctx, ctx.call(CONV_SIZE, size, **arguments), len(fits), "conv_output_size")

    forall(ctx, body, examples=60, size=sizes(1, 32), kernel_size=sizes(1, 7), stride=sizes(1, 4),
               padding=st.integers(0, 3), dilation=sizes(1, 3))  # fmt: skip
    body(2, 3, 2, 0, 1)  # one pixel short: half a step below 0
    body(5, 4, 3, 1, 2)
    whole(ctx, ctx.call(CONV_SIZE, 28, 3), 26, "conv_output_size(28, 3)")  # the defaults
    whole(ctx, ctx.call(CONV_SIZE, 28, 3, 2, 1), 14, "conv_output_size(28, 3, 2, 1)")


@declare(
    id="q4.sizes.transpose", question=4, kind="property", points=0.25, visibility="public",
    title="Output size of a transposed convolution",
    asks="conv_transpose_output_size is the size that a transposed convolution gives, and refuses where none is left",
    hint="Every input pixel puts a kernel, a stride apart: how long is what they cover? What do padding and "
    "output_padding do to it here, and how often?",
    needs=(),
)  # fmt: skip
def sizes_transpose(ctx: Context) -> None:
    def body(size: int, kernel_size: int, stride: int, padding: int, output_padding: int, dilation: int) -> None:
        output_padding %= max(stride, dilation)  # PyTorch accepts no more
        rest: dict[str, Any] = {
            "stride": stride,
            "padding": padding,
            "output_padding": output_padding,
            "dilation": dilation,
        }
        try:  # PyTorch itself is the oracle; it refuses sizes below 1
            found = F.conv_transpose1d(torch.zeros(1, 1, size), torch.zeros(1, 1, kernel_size), **rest).shape[-1]
        except RuntimeError:
            found = 0
        arguments = {"kernel_size": kernel_size, **rest}
        if not found:
            raises(ctx, "ValueError", TRANSPOSE_SIZE, size, **arguments, case="a padding that leaves nothing")
        else:
            whole(ctx, ctx.call(TRANSPOSE_SIZE, size, **arguments), found, "conv_transpose_output_size")

    forall(ctx, body, examples=60, size=sizes(1, 16), kernel_size=sizes(1, 7), stride=sizes(1, 4),
               padding=st.integers(0, 3), output_padding=st.integers(0, 3), dilation=sizes(1, 3))  # fmt: skip
    body(7, 3, 2, 1, 1, 2)
    body(1, 2, 1, 1, 0, 1)  # exactly nothing is left
    body(1, 2, 2, 1, 1, 1)  # nothing but the output padding is left
    body(2, 1, 1, 3, 0, 1)
    whole(ctx, ctx.call(TRANSPOSE_SIZE, 7, 3), 9, "conv_transpose_output_size(7, 3)")  # the defaults
    whole(ctx, ctx.call(TRANSPOSE_SIZE, 7, 3, 2, 1, 1), 14, "conv_transpose_output_size(7, 3, 2, 1, 1)")


@declare(
    id="q4.sizes.errors", question=4, kind="property", points=0.25, visibility="hidden",
    title="Output sizes: errors",
    asks="a stride, kernel or dilation below 1 and a negative padding are ValueErrors that name the argument",
    hint="Which of the arguments may be 0, and which may not? Does one of them slip through because the result still "
    "looks like a size?",
    needs=(),
)  # fmt: skip
def sizes_errors(ctx: Context) -> None:
    # otherwise good arguments, chosen so that the formula would still give a positive size
    common = ("kernel_size", "stride", "dilation", "padding")
    for target, names in ((CONV_SIZE, common), (TRANSPOSE_SIZE, (*common, "output_padding"))):
        for name in names:
            for value in (-1, -2) if "padding" in name else (0, -1):
                arguments: dict[str, Any] = {"kernel_size": 3, "stride": 2, "dilation": 1, "padding": 1, name: value}
                raises(
                    ctx, "ValueError", target, 20, **arguments, names=name, case=f"{target[13:]} with {name}={value}"
                )


SIZES: tuple[Check, ...] = (sizes_conv, sizes_transpose, sizes_errors)
