"""What a check expects of values and calls: what does not hold is raised as a `Failure`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..boundary.ends import StudentRaised
from ..boundary.values import Handle, Probe, Ref, Target, TorchRef
from .context import Context
from .failure import INHERIT, Failure, Tolerance
from .patterns import Reading, describe_shape
from .shown import kind_of, mentions, show, show_both, unchanged
from .typed import argument_names

NOT_READ = Reading()
# not the refusal of an argument: the function is not there, or its file cannot be imported
UNUSABLE = frozenset({"NotImplementedError", "MissingName", "SyntaxError", "ImportError", "SystemExit"})


# the questions of conditions that every check has in common; a check that can say more passes its own
WHAT_KIND = "What kind of thing does your function hand back, and what should a caller get?"
WHICH_DTYPE = "In which precision do the numbers come in, and where on the way does that change?"
WHERE_NOT_FINITE = "Which step of yours can divide by 0, take the logarithm of 0, or grow beyond what a float holds?"
HOW_MANY = "How many values are asked for, and in which order?"
WHO_LEARNS = "What should happen to a caller who passes this, and what does your function do with it now?"
WHICH_ERROR = "Which kind of exception says that an argument's value is bad?"
WHICH_ARGUMENT = "Would somebody who reads only this message know which of their arguments to mend?"
WHOSE_TENSOR = "Whose object is it that you change, and what will the caller find in it afterwards?"


def as_tensor(
    value: Any, shape: Sequence[int] | None, what: str, *, dtype: torch.dtype | None = None, finite: bool = True,
    hint: str = INHERIT,
) -> Tensor:  # fmt: skip
    """`value` as a tensor of this shape and dtype, all finite; fails with the difference otherwise.

    What is wrong decides the question: the shape, the dtype, NaN; `hint` takes the place of all of these.
    """
    if not isinstance(value, Tensor):
        wanted = "a torch tensor" + (f" of shape {tuple(shape)}" if shape is not None else "")
        raise Failure(f"{what} is not a tensor", wanted, kind_of(value), hint=hint or WHAT_KIND)
    if value.is_complex():
        raise Failure(f"{what} is complex", "real numbers", str(value.dtype), hint=hint or WHAT_KIND)
    if shape is not None and tuple(value.shape) != tuple(shape):
        reading = describe_shape(value.shape, shape)
        raise Failure(f"{what} has the wrong shape", f"shape {tuple(shape)}", f"shape {tuple(value.shape)}",
                      looks=reading.words, hint=hint or reading.question)  # fmt: skip
    if dtype is not None and value.dtype != dtype:
        raise Failure(f"{what} has the wrong dtype", str(dtype), str(value.dtype), hint=hint or WHICH_DTYPE)
    if finite and value.is_floating_point() and not bool(torch.isfinite(value).all()):
        bad = int((~torch.isfinite(value)).sum())
        shown = f"{bad} of {value.numel()} are NaN or infinite: {show(value)}"
        raise Failure(f"{what} is not finite", "finite numbers only", shown, hint=hint or WHERE_NOT_FINITE)
    return value


def as_sequence(value: Any, length: int, what: str, *, hint: str = INHERIT) -> list[Any]:
    """`value` as a tuple or list of this length."""
    if not isinstance(value, list | tuple) or len(value) != length:
        raise Failure(
            f"{what} does not return {length} values", f"a tuple of {length}", kind_of(value), hint=hint or HOW_MANY
        )
    return list(value)


def as_handle(value: Any, kind: str, what: str, *, hint: str = INHERIT) -> Handle:
    """`value` as an object of the submission that stays in its process; `kind` says what it should be."""
    if not isinstance(value, Handle):
        raise Failure(f"{what} does not return {kind}", kind, kind_of(value), hint=hint or WHAT_KIND)
    return value


def as_number(value: Any, what: str, *, hint: str = INHERIT) -> float:
    """`value` as a finite Python number (a 0-dimensional tensor counts)."""
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Failure(f"{what} is not a number", "a number", kind_of(value), hint=hint or WHAT_KIND)
    if not abs(value) < float("inf"):
        raise Failure(f"{what} is not finite", "a finite number", show(value), hint=hint or WHERE_NOT_FINITE)
    return float(value)


def matches(
    ctx: Context, value: Any, expected: Tensor | float, tol: Tolerance, what: str, *, hint: str = INHERIT,
    reading: Reading = NOT_READ,
) -> Tensor:  # fmt: skip
    """`value` is a tensor of the expected shape, dtype and numbers. NaN never passes. `hint` asks about the numbers.

    Where the misconception behind wrong values is known, `reading` says what they are and asks, also about a shape.
    """
    if not isinstance(expected, Tensor):
        actual = torch.tensor(as_number(value, what), dtype=torch.float64)
        wanted = torch.tensor(expected, dtype=torch.float64)
    else:
        if isinstance(value, Tensor) and value.shape != expected.shape and reading.question:
            asked, got = (f"shape {tuple(shape)}" for shape in (expected.shape, value.shape))
            raise Failure(f"{what} has the wrong shape", asked, got, looks=reading.words, hint=reading.question)
        actual, wanted = as_tensor(value, expected.shape, what, dtype=expected.dtype), expected
    error = (actual.double() - wanted.double()).abs()
    right = error <= tol.allowed(wanted, ctx.tolerance)
    if not bool(right.all()):
        worst = float(error.max())
        ctx.note_wrong(what, actual, wanted)
        expected_text, actual_text = show_both(wanted, actual, ~right)
        raise Failure(
            f"{what} is wrong", expected_text, f"{actual_text} (off by up to {worst:.3g})",
            hint=reading.question or hint, looks=reading.words, about=what,
        )  # fmt: skip
    return actual


def expect(condition: bool, message: str, expected: Any = "", actual: Any = "", *, hint: str = INHERIT,
           case: Mapping[str, Any] | None = None) -> None:  # fmt: skip
    """`condition` is true. It must be a comparison that NaN makes false."""
    if not condition:
        shown = {name: show(value) for name, value in (case or {}).items()}
        raise Failure(message, *show_both(expected, actual), shown, hint)


def raises(
    ctx: Context, kind: str, target: Target, /, *args: Any, names: str = "", case: str = "", hint: str = INHERIT,
    other: str = WHICH_ERROR, **kwargs: Any,
) -> None:  # fmt: skip
    """The call raises `kind`, with a message that names the argument `names`.

    `hint` asks about what is not refused, `other` about an exception of another kind; one without the name has a
    question of its own.
    """
    where = case or f"{target if isinstance(target, str) else 'the call'} with a bad {names}"
    try:
        value = ctx.call(target, *args, **kwargs)
    except StudentRaised as raised:
        if UNUSABLE & set(raised.kinds):
            raise
        got = f"{raised.kinds[0]}: {raised.message}"
        if kind not in raised.kinds:
            raise Failure(f"{where} must raise {kind}", kind, got, hint=other) from None
        if names and not mentions(raised.message, names):
            raise Failure(
                f"{where}: the message does not name the argument", f"{kind} naming {names!r}", got, hint=WHICH_ARGUMENT
            ) from None
        return
    raise Failure(f"{where} must raise {kind}", kind, f"returned {show(value)}", hint=hint or WHO_LEARNS)


def preserves(ctx: Context, target: Target, /, *args: Any, **kwargs: Any) -> Any:
    """The call leaves its arguments as they were, tensors and objects in lists too. Returns its value."""
    value, after, after_named = ctx.session.effects(target, *args, **kwargs)
    names = argument_names(ctx.session.log, target, len(args))
    pairs = [*zip(names, args, after, strict=True), *((k, v, after_named[k]) for k, v in kwargs.items())]
    for name, before, now in pairs:
        if not unchanged(before, now):
            raise Failure(f"the argument {name} was modified in place", *show_both(before, now), hint=WHOSE_TENSOR)
    return value


def leaves_gradients_on(ctx: Context, what: str) -> None:
    """What was called before has not switched gradients off for everything that comes after it."""
    on = ctx.call(TorchRef("is_grad_enabled"))
    expect(on is True, f"after {what} nothing has gradients any more", "gradients as before", "switched off",
                hint="For how long are gradients switched off, and who switches them on again?")  # fmt: skip


def leaves_gradients_off(ctx: Context, target: str, /, *args: Any, **kwargs: Any) -> None:
    """A call of "module.name" does not switch gradients on for a caller who has switched them off."""
    name = target.partition(".")[2]
    on = ctx.call(Probe("grad_left"), Ref(target), *args, **kwargs)
    expect(on is False, f"after {name} gradients are on, which its caller had switched off", "as before", "on",
                hint="Were gradients on when your function was called? What does it leave behind?")  # fmt: skip
