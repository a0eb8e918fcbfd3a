"""Question 4, output sizes of convolutions: against counted places and PyTorch itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from ..shared.readings import asking

CONV_SIZE, TRANSPOSE_SIZE = "autoencoders.conv_output_size", "autoencoders.conv_transpose_output_size"
TOGETHER = (
    "Which of the arguments act on one another: what does dilation do to the kernel's length, and padding to the row?"
)
NOWHERE = "At how many places does this kernel fit on this row? Is that a size?"
NOTHING_LEFT = "How many pixels are left when padding is cut off on both sides? Is that a size?"
NOT_WHOLE = "Of which type is what your last step gives, and of which is a number of pixels?"


def whole(value: Any, expected: int, what: str, hint: str) -> None:
    """`value` is this Python int."""
    expect(type(value) is int, f"{what} is not an int", "a Python int", kind_of(value), hint=NOT_WHOLE)
    expect(value == expected, f"{what} is wrong", expected, value, hint=hint)


def size_is(ctx: Context, target: str, arguments: Mapping[str, int], expected: int, hint: str) -> None:
    """The size for these arguments; below 1, none: a ValueError."""
    name = target.partition(".")[2]
    positional = [arguments["size"]]
    named: dict[str, Any] = {key: value for key, value in arguments.items() if key != "size"}
    if expected < 1:
        case = f"{name}({', '.join(f'{key}={value}' for key, value in arguments.items())}), where no pixel is left,"
        raises(ctx, "ValueError", target, *positional, **named, case=case, hint=hint)
    else:
        with asking(hint):
            whole(ctx.call(target, *positional, **named), expected, name, hint)


def each_alone(
    ctx: Context, target: str, oracle: Callable[..., int], cases: Sequence[tuple[Mapping[str, int], str]]
) -> None:
    """Cases in which one argument at a time has something to say, with the question that it raises."""
    for arguments, hint in cases:
        size_is(ctx, target, arguments, oracle(**arguments), hint)


def places(size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """At how many places, a stride apart, the kernel fits: counted."""
    reach, row = dilation * (kernel_size - 1), size + 2 * padding
    return sum(start + reach < row for start in range(0, row, stride))


def covered(
    size: int, kernel_size: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """The size that PyTorch gives, which refuses sizes below 1: then 0."""
    try:
        row, kernel = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel_size)
        return F.conv_transpose1d(row, kernel, stride=stride, padding=padding, output_padding=output_padding,
                                  dilation=dilation).shape[-1]  # fmt: skip
    except RuntimeError:
        return 0


@declare(
    id="q4.sizes.conv", question=4, kind="property", points=0.25, visibility="public",
    title="Output size of a convolution",
    asks="conv_output_size counts the places where the kernel fits, and refuses where there is none",
    hint="Lay the kernel on a row of pixels: how long is it with its gaps, and at how many places, a stride apart, "
    "does it fit? What if the last step does not come out even?",
    needs=(),
)  # fmt: skip
def sizes_conv(ctx: Context) -> None:
    each_alone(ctx, CONV_SIZE, places, (
        ({"size": 28, "kernel_size": 3},
         "At how many places does a kernel of 3 fit on a row of 28 pixels? Which stride, padding and dilation "
         "has a call that names none?"),
        ({"size": 10, "kernel_size": 4}, "At how many places does a kernel of 4 fit on a row of 10 pixels?"),
        ({"size": 10, "kernel_size": 4, "padding": 3},
         "On how many sides are pixels added, and how long is the row then?"),
        ({"size": 11, "kernel_size": 3, "stride": 2},
         "At which pixels does a kernel of 3 start on a row of 11, if each start lies 2 after the last?"),
        ({"size": 12, "kernel_size": 3, "stride": 2}, "What becomes of the last step if it does not come out even?"),
        ({"size": 12, "kernel_size": 3, "dilation": 4}, "How long is a kernel of 3 taps that lie 4 apart?"),
        ({"size": 2, "kernel_size": 3, "stride": 2}, NOWHERE),  # one pixel short: half a step below 0
        ({"size": 5, "kernel_size": 9}, NOWHERE),
        ({"size": 4, "kernel_size": 5}, NOWHERE),
        ({"size": 20, "kernel_size": 4, "stride": 3, "padding": 1, "dilation": 2}, TOGETHER),
        ({"size": 5, "kernel_size": 4, "stride": 3, "padding": 1, "dilation": 2}, TOGETHER),
        ({"size": 28, "kernel_size": 3, "stride": 2, "padding": 1}, TOGETHER),
    ))  # fmt: skip

    def body(**arguments: int) -> None:
        fits = places(**arguments)
        size_is(ctx, CONV_SIZE, arguments, fits, TOGETHER if fits else NOWHERE)

    forall(ctx, body, examples=50, size=sizes(1, 32), kernel_size=sizes(1, 7), stride=sizes(1, 4),
               padding=st.integers(0, 3), dilation=sizes(1, 3))  # fmt: skip


@declare(
    id="q4.sizes.transpose", question=4, kind="property", points=0.25, visibility="public",
    title="Output size of a transposed convolution",
    asks="conv_transpose_output_size is the size that a transposed convolution gives, and refuses where none is left",
    hint="Every input pixel puts a kernel, a stride apart: how long is what they cover? What do padding and "
    "output_padding do to it here, and how often?",
    needs=(),
)  # fmt: skip
def sizes_transpose(ctx: Context) -> None:
    each_alone(ctx, TRANSPOSE_SIZE, covered, (
        ({"size": 7, "kernel_size": 3},
         "How many pixels do 7 kernels of 3 cover that start one pixel apart? Which stride, padding and dilation has a "
         "call that names none?"),
        ({"size": 5, "kernel_size": 4, "stride": 3},
         "Where does the first of 5 kernels start, and where the last, if they are 3 apart?"),
        ({"size": 9, "kernel_size": 4, "padding": 2},
         "Does padding make the output of a transposed convolution longer or shorter, and on how many sides?"),
        ({"size": 5, "kernel_size": 3, "stride": 3, "output_padding": 2},
         "What does output_padding add, and how often?"),
        ({"size": 6, "kernel_size": 3, "dilation": 4}, "How long is a kernel of 3 taps that lie 4 apart?"),
        ({"size": 1, "kernel_size": 2, "padding": 1}, NOTHING_LEFT),  # exactly nothing
        ({"size": 1, "kernel_size": 2, "stride": 2, "padding": 1, "output_padding": 1},
         "What does output_padding do before anybody can say that nothing is left?"),
        ({"size": 2, "kernel_size": 1, "padding": 3}, NOTHING_LEFT),
        ({"size": 7, "kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}, TOGETHER),
        ({"size": 7, "kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "dilation": 2}, TOGETHER),
    ))  # fmt: skip

    def body(stride: int, dilation: int, output_padding: int, **rest: int) -> None:
        arguments = {
            **rest,
            "stride": stride,
            "dilation": dilation,
            "output_padding": output_padding % max(stride, dilation),
        }  # fmt: skip  PyTorch accepts no more
        found = covered(**arguments)
        size_is(ctx, TRANSPOSE_SIZE, arguments, found, TOGETHER if found else NOTHING_LEFT)

    forall(ctx, body, examples=50, size=sizes(1, 16), kernel_size=sizes(1, 7), stride=sizes(1, 4),
               padding=st.integers(0, 3), output_padding=st.integers(0, 3), dilation=sizes(1, 3))  # fmt: skip


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
                case = f"{target.partition('.')[2]} with {name}={value}"
                hint = f"What would a {name} of {value} mean? Does it pass because the result still looks like a size?"
                raises(ctx, "ValueError", target, 20, **arguments, names=name, case=case, hint=hint)


SIZES: tuple[Check, ...] = (sizes_conv, sizes_transpose, sizes_errors)
