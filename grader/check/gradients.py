"""Gradients that autograd finds, against central differences of the values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from ..boundary.ends import StudentRaised
from ..boundary.log import Call
from ..boundary.values import Handle, Target
from .context import Context
from .expectations import as_tensor, matches
from .failure import DIFFERENCES, GUARDED, INHERIT, Failure, Tolerance
from .patterns import Reading, recognised
from .shown import kind_of
from .typed import argument_names, typed

WHERE_CUT = "Follow the number from the argument to the result: at which step does autograd lose sight of it?"
WHICH_PART = "The value depends on it in several places: does each of them take part in the gradient?"
SAME_EACH_TIME = "What decides about the shape of your result, besides the arguments?"
NOTHING_BACK = "nothing flows back: autograd sees no path from the result to it"
LEAF_CHANGED = "a leaf Variable that requires grad is being used in an in-place operation"
FINITE_DIFFERENCE_STEP = 1e-5
CANCELLATION = 1e-9  # of the values subtracted: what float64 loses, divided by the step


def slopes(ctx: Context, target: str, /, *args: Tensor, wrt: Sequence[int]) -> Mapping[int | str, Tensor | None] | None:
    """Gradients of the sum of the output to the arguments at `wrt`; None if the call changes these in place.

    That is the business of another check, and autograd refuses it.
    """
    try:
        return ctx.session.vjp(target, *args, wrt=wrt).args
    except StudentRaised as raised:
        if LEAF_CHANGED in raised.message:
            return None
        raise


def gradient_equals(
    ctx: Context, target: str, /, *args: Tensor, oracle: Callable[..., Tensor], wrt: Sequence[int],
    within: Callable[[Tensor], Tensor] = lambda slope: slope, hint: str = WHICH_PART,
    readings: Mapping[int, Mapping[Reading, Tensor]] = MappingProxyType({}),
) -> None:  # fmt: skip
    """Autograd's gradient of the sum of the output, number by number, against that of `oracle` at the same arguments.

    Numbers say more than the slope along a direction: `readings` tells, by argument, what known ones come from.
    `within` keeps of a gradient what the definition determines (its symmetric part for a covariance). For functions
    of which another check asks that they change no argument (see `slopes`).
    """
    leaves = [arg.clone().requires_grad_(arg.is_floating_point()) for arg in args]
    wanted = torch.autograd.grad(oracle(*leaves).sum(), [leaves[where] for where in wrt])
    found = slopes(ctx, target, *args, wrt=wrt)
    if found is None:
        return
    names = argument_names(ctx.session.log, target, len(args))
    for where, expected in zip(wrt, wanted, strict=True):
        what = f"the gradient of {target.rpartition('.')[2]} to {names[where]}"
        got = found[where]
        if got is None:
            raise Failure(f"{what} is missing", "a gradient", "None", looks=NOTHING_BACK, hint=WHERE_CUT)
        slope = within(as_tensor(got, expected.shape, what, dtype=expected.dtype, hint=hint))
        reading = recognised(slope, within(expected), readings.get(where, {}))
        matches(ctx, slope, within(expected), GUARDED, what, hint=hint, reading=reading)


def gradient_matches(
    ctx: Context, target: Target, /, *args: Any, wrt: Sequence[int | str] = (0,), path: Sequence[int | str] = (),
    params: Sequence[Handle] = (), directions: int = 3, tol: Tolerance = DIFFERENCES, what: str = "the gradient",
    step: float = FINITE_DIFFERENCE_STEP, within: Callable[[Tensor], Tensor] = lambda along: along,
    hint: str = WHICH_PART, **kwargs: Any,
) -> None:  # fmt: skip
    """Autograd's gradient of a random weighting of the output against central differences of its values.

    All tensors must be float64 and away from kinks. Differences run along random directions of the arguments at
    `wrt` and, separately, of the parameters of `params`: `directions` of each. Where an argument must stay in some
    space, `within` projects its directions (symmetric matrices for a covariance). `hint` asks about a wrong slope;
    where no gradient arrives at all, there is another question.
    """
    try:
        _gradient_matches(ctx, Call(target, args, kwargs), wrt, path, params, directions, tol, what, step, within, hint)
    except Failure as failure:
        failure.call = failure.call or typed(ctx.session.log, Call(target, args, kwargs))
        raise


def _gradient_matches(
    ctx: Context, call: Call, wrt: Sequence[int | str], path: Sequence[int | str], params: Sequence[Handle],
    directions: int, tol: Tolerance, what: str, step: float, within: Callable[[Tensor], Tensor], hint: str,
) -> None:  # fmt: skip
    target, args, kwargs = call

    def pick(value: Any, shape: Sequence[int] | None = None) -> Tensor:
        for key in path:
            value = part_of(value, key, what)
        found = as_tensor(value, shape, what, hint=SAME_EACH_TIME if shape is not None else INHERIT)
        if not found.is_floating_point():
            raise Failure(f"{what}: the value has none", "floating-point numbers", str(found.dtype), hint=WHERE_CUT)
        return found

    value = pick(ctx.call(target, *args, **kwargs))
    weights = ctx.randn(*value.shape, dtype=value.dtype)
    found = ctx.session.vjp(target, *args, wrt=wrt, params=params, cotangents=[(path, weights)], **kwargs)

    def weighted(at_args: Sequence[Any], at_kwargs: Mapping[str, Any]) -> float:
        return float((pick(ctx.call(target, *at_args, **at_kwargs), weights.shape) * weights).sum())

    names = argument_names(ctx.session.log, target, len(args))
    for where in wrt:
        name = names[where] if isinstance(where, int) else where
        point: Tensor = args[where] if isinstance(where, int) else kwargs[where]
        got = found.args[where]
        if got is None:
            raise Failure(
                f"{what}: no gradient reaches the argument {name}", "a gradient", "None", looks=NOTHING_BACK,
                hint=WHERE_CUT,
            )  # fmt: skip
        slopes = []
        for _ in range(directions):
            along = within(ctx.randn(*point.shape))
            sides = []
            for sign in (1, -1):
                moved = point + sign * step * along
                at_args = [moved if i == where else a for i, a in enumerate(args)]
                at_kwargs = {k: moved if k == where else v for k, v in kwargs.items()}
                sides.append(weighted(at_args, at_kwargs))
            slopes.append((float((got * along).sum()), *sides))
        compare(ctx, slopes, step, tol, f"{what} to the argument {name}", hint)
    for handle, grads in zip(params, found.params, strict=True):
        state = handle.state()
        if any(name not in state or not has_shape(grad, state[name]) for name, grad in grads.items()):
            raise Failure(f"{what}: the parameters and the state of the model are not the same", "one name for both",
                          ", ".join(grads)[:200], hint=SAME_EACH_TIME)  # fmt: skip
        missing = [name for name, grad in grads.items() if grad is None]
        if missing:
            raise Failure(
                f"{what}: no gradient reaches some parameters", "a gradient each", ", ".join(missing)[:200],
                looks=NOTHING_BACK, hint=WHERE_CUT,
            )  # fmt: skip
        slopes = []
        for _ in range(directions):
            along_all = {name: ctx.randn(*state[name].shape) for name in grads}
            sides = []
            for sign in (1, -1):
                handle.load({k: v + sign * step * along_all[k] if k in along_all else v for k, v in state.items()})
                sides.append(weighted(args, kwargs))
            handle.load(state)
            slope = sum(float((g * along_all[n]).sum()) for n, g in grads.items() if g is not None)
            slopes.append((slope, *sides))
        compare(ctx, slopes, step, tol, f"{what} to the parameters", hint)


def part_of(value: Any, key: int | str, what: str) -> Any:
    """A part of what a call returns, which the first call has returned."""
    if isinstance(value, dict) and key in value:
        return value[key]
    if isinstance(value, list | tuple) and isinstance(key, int) and -len(value) <= key < len(value):
        return value[key]
    raise Failure(f"{what}: the value has no part {key!r}", "as many parts in each call", kind_of(value),
                  hint=SAME_EACH_TIME)  # fmt: skip


def has_shape(grad: Tensor | None, held: Tensor) -> bool:
    """Whether a gradient, if there is one, is one to this tensor."""
    return held.is_floating_point() and (grad is None or grad.shape == held.shape)


def compare(
    ctx: Context, slopes: Sequence[tuple[float, ...]], step: float, tol: Tolerance, what: str, hint: str
) -> None:
    """Slopes that autograd found, each with the values a step ahead and a step behind."""
    found, ahead, behind = torch.tensor(slopes, dtype=torch.float64).T
    numeric = (ahead - behind) / (2 * step)
    # cancellation in the difference grows with the values subtracted
    spread = torch.maximum(ahead.abs(), behind.abs())
    allowed = tol.allowed(numeric, ctx.tolerance) + ctx.tolerance * CANCELLATION * spread
    right = (numeric - found).abs() <= allowed
    if not bool(right.all()):
        worst = int(right.int().argmin())
        ctx.note_wrong(what, found, numeric)
        raise Failure(f"{what} is wrong", f"{numeric[worst]:.7g} along a random direction (central differences)",
                      f"{found[worst]:.7g} (autograd)", about=what, hint=hint)  # fmt: skip
