"""Question 4: the reference with one bug: output sizes."""

from __future__ import annotations

from .. import Mistake

Q, M = 4, "autoencoders"

MISTAKES: tuple[Mistake, ...] = (
    # ---- concat_skip and output sizes
    Mistake(
        "q4-size-true-division",
        Q,
        M,
        "true division: 13.5 pixels",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "(size + 2 * padding - extent) / stride + 1"),),
    ),
    Mistake(
        "q4-size-truncated",
        Q,
        M,
        "int() rounds towards zero: a kernel that does not fit once is said to fit",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "int((size + 2 * padding - extent) / stride) + 1"),),
    ),
    Mistake(
        "q4-size-rounded",
        Q,
        M,
        "rounds half a step up",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "-(-(size + 2 * padding - extent) // stride) + 1"),),
    ),
    Mistake(
        "q4-size-padding-once",
        Q,
        M,
        "padding on one side only",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "(size + padding - extent) // stride + 1"),),
    ),
    Mistake(
        "q4-size-no-dilation",
        Q,
        M,
        "dilation times kernel instead of the taps' distance",
        fails=("q4.sizes.conv",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    _check_at_least(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_at_least(0, padding=padding)
    output_size = (size + 2 * padding - dilation * kernel_size) // stride + 1
    _check_at_least(1, output_size=output_size)
    return output_size
""",
    ),
    Mistake(
        "q4-size-nothing-left",
        Q,
        M,
        "a size of 0 is returned",
        fails=("q4.sizes.conv",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    _check_at_least(1, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_at_least(0, padding=padding)
    return max((size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1, 0)
""",
    ),
    Mistake(
        "q4-size-arguments-unchecked",
        Q,
        M,
        "looks at the result only: a negative padding passes",
        fails=("q4.sizes.errors",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    if stride < 1:
        raise ValueError(f"stride must be positive, got {stride}")
    output_size = (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    _check_at_least(1, output_size=output_size)
    return output_size
""",
    ),
    Mistake(
        "q4-size-zero-division",
        Q,
        M,
        "a stride of 0 ends in a ZeroDivisionError",
        fails=("q4.sizes.errors",),
        append="""def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    _check_at_least(1, size=size, kernel_size=kernel_size, dilation=dilation)
    _check_at_least(0, padding=padding)
    output_size = (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    _check_at_least(1, output_size=output_size)
    return output_size
""",
    ),
    Mistake(
        "q4-transpose-no-output-padding",
        Q,
        M,
        "output_padding is forgotten: 13 for 14",
        fails=("q4.sizes.transpose",),
        edits=(("- 2 * padding + extent + output_padding\n", "- 2 * padding + extent\n"),),
    ),
    Mistake(
        "q4-transpose-tested-early",
        Q,
        M,
        "looks for a size below 1 before output_padding is added",
        fails=("q4.sizes.transpose",),
        edits=(
            (
                """- 2 * padding + extent + output_padding
    _check_at_least(1, output_size=output_size)
    return output_size
""",
                """- 2 * padding + extent
    _check_at_least(1, output_size=output_size)
    return output_size + output_padding
""",
            ),
        ),
    ),
    Mistake(
        "q4-transpose-size-times-stride",
        Q,
        M,
        "size times stride instead of the distance of the last input",
        fails=("q4.sizes.transpose",),
        edits=(("(size - 1) * stride - 2 * padding", "size * stride - 2 * padding"),),
    ),
    Mistake(
        "q4-transpose-padding-added",
        Q,
        M,
        "padding makes the output larger",
        fails=("q4.sizes.transpose",),
        edits=(("(size - 1) * stride - 2 * padding", "(size - 1) * stride + 2 * padding"),),
    ),
    Mistake(
        "q4-transpose-negative-output-padding",
        Q,
        M,
        "a negative output_padding passes",
        fails=("q4.sizes.errors",),
        edits=(
            (
                "_check_at_least(0, padding=padding, output_padding=output_padding)",
                "_check_at_least(0, padding=padding)",
            ),
        ),
    ),
    # ---- sizes
    *(
        Mistake(
            f"q4-size-{name}-ignored",
            Q,
            M,
            f"{name} is not looked at",
            fails=("q4.sizes.conv",),
            may_fail=("q4.sizes.errors",),
            edits=(
                (
                    "    extent = dilation * (kernel_size - 1) + 1\n    output_size = (size + 2 * padding - extent) // stride + 1\n",
                    f"    {name} = {default}\n    extent = dilation * (kernel_size - 1) + 1\n    output_size = (size + 2 * padding - extent) // stride + 1\n",
                ),
            ),
        )
        for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))
    ),
    Mistake(
        "q4-size-default-padding",
        Q,
        M,
        "same padding where none is given",
        fails=("q4.sizes.conv",),
        append="""_plain_size = conv_output_size


def conv_output_size(size, kernel_size, stride=1, padding=None, dilation=1):
    return _plain_size(size, kernel_size, stride, kernel_size // 2 if padding is None else padding, dilation)
""",
    ),
    Mistake(
        "q4-size-steps",
        Q,
        M,
        "counts the steps between the places, one less than the places",
        fails=("q4.sizes.conv",),
        edits=(("(size + 2 * padding - extent) // stride + 1", "(size + 2 * padding - extent) // stride"),),
    ),
    *(
        Mistake(
            f"q4-transpose-{name}-ignored",
            Q,
            M,
            f"{name} is not looked at",
            fails=("q4.sizes.transpose",),
            edits=(
                (
                    "    output_size = (size - 1) * stride",
                    f"    {name} = {default}\n    output_size = (size - 1) * stride",
                ),
            ),
        )
        for name, default in (("stride", 1), ("padding", 0))
    ),
    Mistake(
        "q4-transpose-no-dilation",
        Q,
        M,
        "the kernel without its gaps",
        fails=("q4.sizes.transpose",),
        edits=(("- 2 * padding + extent + output_padding", "- 2 * padding + kernel_size + output_padding"),),
    ),
    Mistake(
        "q4-transpose-output-padding-twice",
        Q,
        M,
        "output_padding on both sides",
        fails=("q4.sizes.transpose",),
        edits=(("+ extent + output_padding", "+ extent + 2 * output_padding"),),
    ),
)
