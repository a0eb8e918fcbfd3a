"""Wrong numbers that somebody is known to get: a failure then says what they are, and asks about that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...check.context import Context
from ...check.expectations import matches
from ...check.failure import Failure, Tolerance
from ...check.shown import alike


class Known(NamedTuple):
    """What wrong numbers are, in words; the question that they raise; the numbers themselves."""

    words: str
    question: str
    numbers: Tensor | float


def recognised(value: Any, readings: Sequence[Known], wanted: Tensor | float | None = None) -> Known | None:
    """The first of the readings that has these numbers; none that coincides with what is wanted."""

    def same(one: Any, other: Any) -> bool:
        pair = [torch.as_tensor(side, dtype=torch.float64) if isinstance(side, int | float) else side
                for side in (one, other)]  # fmt: skip
        exact = all(isinstance(side, Tensor) and side.dtype == torch.float64 for side in pair)
        return alike(pair[0], pair[1], rtol=1e-6 if exact else 1e-4, atol=1e-9 if exact else 1e-6)

    for known in readings:
        if same(value, known.numbers) and (wanted is None or not same(wanted, known.numbers)):
            return known
    return None


def matches_or_says(
    ctx: Context, value: Any, wanted: Tensor | float, tol: Tolerance, what: str, readings: Sequence[Known], *, hint: str
) -> Tensor:
    """`matches`; wrong numbers that are known are called by their name, with the question that belongs to them."""
    try:
        return matches(ctx, value, wanted, tol, what, hint=hint)
    except Failure as failure:
        if known := recognised(value, readings, wanted):
            failure.looks, failure.hint = known.words, known.question
        raise
