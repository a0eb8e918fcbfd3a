"""What a wrong loss equals: misconceptions worked out beside the right value, at numbers where all of them differ."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...check.context import Context
from ...check.expectations import matches, preserves
from ...check.failure import Failure, Tolerance, failure_of
from ...check.values import StudentRaised

APART = 1e-3  # how far a misconception's value must be from the right one before it is believed
CLOSE = 1e-4  # guards inside logarithms move a value by less
CASES, MORE_CASES = 2, 4  # cases that must be right; more of them, once one is wrong, tell its causes apart

# not a fault of the lines that raise it: these have a question of their own
NOT_THERE = frozenset({"MissingName", "SyntaxError", "ImportError", "SystemExit"})
OVER_WHAT = "Over what should be summed, and over what averaged?"
TWICE_THE_BATCH = "What should happen to the result when the batch holds everything twice?"
WHICH_ROWS = "Which rows of the batch count?"
CAN_IT_BE_NEGATIVE = "Can it ever be negative? Which sign belongs to the definition?"
WHICH_CONSTANT = "Which constant factor does the definition have, and which does yours?"
WHICH_LOGARITHM = "In which unit is the result, and which logarithm goes with it?"
WITHOUT_ROOT = "Which power does the definition have? What should an error twice as large cost?"


class Known(NamedTuple):
    """A value that a misconception leads to, what it is in words, and the question that it raises."""

    value: Tensor
    words: str
    question: str


class Cost(NamedTuple):
    """What each element `(B, …)` costs, rightly or by a misconception, which has a question."""

    each: Tensor
    words: str
    question: str = ""


def tenths(ctx: Context, *shape: int, low: int = 1, high: int = 9) -> Tensor:
    """Numbers low/10, …, high/10, all different as far as there are enough: they can be worked out by hand."""
    there = torch.arange(low, high + 1).repeat(-(-math.prod(shape) // (high - low + 1)))
    return there[torch.randperm(len(there), generator=ctx.rng)][: math.prod(shape)].reshape(shape).double() / 10


def reductions(cost: Cost, part: str, whole: str) -> Iterator[Known]:
    """Wrong ways to make one number of what each `part` of each `whole` of the batch costs."""
    each, words = cost.each, cost.words
    batch, parts, total = len(each), each[0].numel(), each.sum()

    def known(value: Tensor, how: str, question: str) -> Known:
        return Known(value, f"{words}{how}", f"{cost.question} {question}".strip())

    if cost.question:
        yield known(total / batch, "", "")
    yield known(total / batch / parts, f", averaged over the {part}s as well", OVER_WHAT)
    yield known(total, f", summed over the {whole}s of the batch as well", TWICE_THE_BATCH)
    yield known(total / parts, f", averaged over the {part}s and summed over the {whole}s", OVER_WHAT)
    for axis, size in enumerate(each.shape[1:], 1):
        if 1 < size < parts:
            how = f", summed over dimension {axis} only and averaged over the others"
            yield known(total * size / each.numel(), how, OVER_WHAT)
    yield known(each[0].sum(), f", of the first {whole} alone", WHICH_ROWS)
    yield known(each[-1].sum(), f", of the last {whole} alone", WHICH_ROWS)
    yield known(-total / batch, " with the opposite sign", CAN_IT_BE_NEGATIVE)
    yield known(total / batch / 2, ", halved", WHICH_CONSTANT)
    yield known(2 * total / batch, ", doubled", WHICH_CONSTANT)
    yield known(total / batch / math.log(2), " in bits", WHICH_LOGARITHM)
    yield known(total / batch / math.log(10), " with the logarithm to base 10", WHICH_LOGARITHM)
    yield known((total / batch).abs().sqrt(), ", and the square root of that", WITHOUT_ROOT)
    root = (total / batch / parts).abs().sqrt()
    yield known(root, f", averaged over the {part}s, and the square root of that", WITHOUT_ROOT)


def recognised(value: Any, right: Tensor, known: Iterable[Known]) -> dict[str, str]:
    """Words -> question of what `value` equals and is not right."""
    if not isinstance(value, Tensor) or value.shape != right.shape or not bool(torch.isfinite(value).all()):
        return {}

    def near(one: Tensor, other: Tensor, rtol: float) -> bool:
        return math.isclose(float(one), float(other), rel_tol=rtol, abs_tol=rtol / 100)

    return {one.words: one.question for one in known
            if near(value, one.value, CLOSE) and not near(right, one.value, APART)}  # fmt: skip


def tell(
    ctx: Context, target: str, draw: Callable[[], Mapping[str, Any]], right: Callable[..., Tensor],
    readings: Callable[..., Iterable[Known]], tol: Tolerance, hint: str,
) -> None:  # fmt: skip
    """`target` gives the right number for the arguments that `draw` gives, by name.

    Where it does not, what it equals in this case and in a few more is told; if that is nothing known, what all the
    wrong values have in common (`Context.reading`).
    """
    name = target.partition(".")[2]

    def compared(case: Mapping[str, Any], value: Any) -> None:
        matches(ctx, value, right(*case.values()), tol, f"{name}({', '.join(case)})", hint=hint)

    for _ in range(CASES):
        case = draw()
        value = preserves(ctx, target, *case.values())
        try:
            compared(case, value)
        except Failure as failure:
            failure.call = ctx.typed()
            found = recognised(value, right(*case.values()), readings(*case.values()))
            for _ in range(MORE_CASES):
                more = draw()
                with contextlib.suppress(Failure, StudentRaised):
                    value = ctx.call(target, *more.values())
                    again = recognised(value, right(*more.values()), readings(*more.values()))
                    found = {words: question for words, question in found.items() if words in again}
                    compared(more, value)
            failure.looks = " or ".join(found) or failure.looks
            if failure.about:  # the numbers, not a shape or a dtype; where nothing is known, the context's reading
                failure.hint = " Or: ".join(dict.fromkeys(found.values()))
            raise


@contextlib.contextmanager
def asking(hint: str) -> Iterator[None]:
    """What fails in here, exceptions of the student's code too, asks this unless it has a question of its own."""
    try:
        yield
    except StudentRaised as raised:
        failure = failure_of(raised, {})
        if not NOT_THERE & set(raised.kinds):
            failure.hint = hint
        raise failure from None
    except Failure as failure:
        failure.hint = failure.hint or hint
        raise
