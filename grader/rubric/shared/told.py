"""What a probe's notes say, asked once more of values: a note can be forged by the code that it watches.

These conditions come last in a check. Whoever fails them alone has changed the notes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check.context import Context
from ...check.expectations import as_number, as_tensor, expect, matches
from ...check.failure import Tolerance
from ...check.values import Handle, Probe


class Told:
    """A model whose answer has the other sign where it is not asked as it should be (`lent.telling`), and its loss."""

    def __init__(
        self, ctx: Context, wide: int, narrow: int | None = None, *, dtype: torch.dtype = torch.float64, **how: Any
    ) -> None:  # fmt: skip
        self.weight = ctx.randn(narrow or wide, wide).to(dtype)
        self.bias = ctx.randn(narrow or wide).to(dtype)
        self.model = ctx.new(Probe("Telling"), self.weight, self.bias, **how)
        self.loss = ctx.new(Probe("TellingLoss"))

    def answer(self, x: Tensor) -> Tensor:
        """What the model says if it is asked as it should be."""
        said = F.linear(x.flatten(1), self.weight, self.bias)
        return said.view_as(x) if said.shape[1] == x[0].numel() else said

    def error(self, x: Tensor) -> float:
        """The mean squared error of that."""
        return float((self.answer(x) - x).square().mean())


def expect_told(
    ctx: Context, value: Any, wanted: float, tol: Tolerance, what: str, otherwise: str, *, hint: str
) -> None:
    """A number made with a model that answers otherwise where it is not asked as it should be."""
    number = as_number(value, what, hint=hint)
    matches(ctx, number, wanted, tol, f"{what} of a model that answers otherwise {otherwise}", hint=hint)


def expect_unspoilt(model: Handle, what: str, how: str, *, hint: str) -> None:
    """The weights have survived a training that spoils all gradients where it is not as it should be."""
    for name, held in model.state().items():
        as_tensor(held, None, f"{name}, after {what}, of a model that loses its weights {how},", hint=hint)


def expect_small(value: Any, what: str, otherwise: str, *, hint: str) -> None:
    """Images of a model that draws them far off where it is not asked as it should be."""
    images = as_tensor(value, None, what)
    largest = float(images.double().abs().max())
    expect(largest < 500, f"{what} of a model that draws otherwise {otherwise} are far off", "numbers below 500",
           f"{largest:.4g}", hint=hint)  # fmt: skip
