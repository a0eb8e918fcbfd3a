"""What Hypothesis draws: tensors whose sizes are all different, with values that shrink to small whole numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import hypothesis
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers
from torch import Tensor

# Hypothesis also draws constants that it finds in the loaded modules of a project, which are ours: a seed would give
# other cases in another command, and after any change to the grader. There is no setting for it (decision 11).
providers._get_local_constants = lambda: providers._local_constants


def sizes(low: int = 1, high: int = 7) -> st.SearchStrategy[int]:
    """A batch size or a dimension."""
    return st.integers(low, high)


def sizes_apart(draw: st.DrawFn, *ranges: tuple[int, int]) -> list[int]:
    """One size of each range (both ends belong to it), no two alike: in no case can one axis stand for another.

    For use inside a `st.composite`; a range must leave room for what the ones before it take. Sizes shrink to the lower
    ends: one that is never 1 shows what sums or drops it.
    """
    found: list[int] = []
    for low, high in ranges:
        found.append(draw(st.sampled_from([size for size in range(low, high + 1) if size not in found])))
    return found


@st.composite
def named_sizes(draw: st.DrawFn, /, **ranges: tuple[int, int]) -> dict[str, int]:
    """`sizes_apart`, by name."""
    return dict(zip(ranges, sizes_apart(draw, *ranges.values()), strict=True))


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Finite floats in [low, high]; shrink towards 0 or a small integer. No subnormals, which no check is about."""
    return st.floats(low, high, allow_nan=False, allow_infinity=False, allow_subnormal=False)


def tensor_of(
    draw: st.DrawFn, shape: Sequence[int], low: float = -3.0, high: float = 3.0, dtype: torch.dtype = torch.float64
) -> Tensor:
    """A tensor whose every element is drawn (for use inside a `st.composite`); keep it below about 50 elements."""
    count = math.prod(shape)
    elements = draw(st.lists(numbers(low, high), min_size=count, max_size=count))
    return torch.tensor(elements, dtype=dtype).reshape(tuple(shape))


@st.composite
def tensors(
    draw: st.DrawFn, *dims: st.SearchStrategy[int] | int, low: float = -3.0, high: float = 3.0,
    dtype: torch.dtype = torch.float64,
) -> Tensor:  # fmt: skip
    """A tensor of drawn dimensions."""
    shape = [dim if isinstance(dim, int) else draw(dim) for dim in dims]
    return tensor_of(draw, shape, low, high, dtype)


@st.composite
def same_shape(
    draw: st.DrawFn, count: int, *dims: st.SearchStrategy[int] | int, low: float | Sequence[float] = -3.0,
    high: float | Sequence[float] = 3.0, dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, ...]:  # fmt: skip
    """`count` tensors of one drawn shape; `low` and `high` may differ per tensor."""
    shape = [dim if isinstance(dim, int) else draw(dim) for dim in dims]
    lows = [low] * count if isinstance(low, int | float) else list(low)
    highs = [high] * count if isinstance(high, int | float) else list(high)
    return tuple(tensor_of(draw, shape, lo, hi, dtype) for lo, hi in zip(lows, highs, strict=True))


def seeds() -> st.SearchStrategy[int]:
    """A seed for tensors too large to draw element by element: `torch.Generator().manual_seed(seed)`."""
    return st.integers(0, 2**31 - 1)


def random(seed: int, *shape: int, low: float | None = None, high: float = 1.0,
           dtype: torch.dtype = torch.float64) -> Tensor:  # fmt: skip
    """N(0, 1) numbers from a seed, or uniform ones in [low, high] when `low` is given."""
    generator = torch.Generator().manual_seed(seed)
    if low is None:
        return torch.randn(shape, generator=generator, dtype=dtype)
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=dtype)


def two_digits(values: Tensor) -> Tensor:
    """The same to two decimal places: a fixed case that a person can type."""
    return (100 * values).round() / 100 + 0.0  # no zero with a sign


@st.composite
def covariances(draw: st.DrawFn, size: int) -> Tensor:
    """A symmetric positive definite matrix `(size, size)` with correlations, as A A^T of a drawn triangular A."""
    factor = torch.tril(tensor_of(draw, (size, size), -1.5, 1.5), -1)
    factor = factor + torch.diag(tensor_of(draw, (size,), 0.5, 2.0))
    return symmetric(factor @ factor.mT)


def covariance(seed: int, size: int, low: float = 0.3, high: float = 3.0, dtype: torch.dtype = torch.float64) -> Tensor:
    """A symmetric positive definite matrix `(size, size)` with random axes and eigenvalues spread over [low, high]."""
    axes, _ = torch.linalg.qr(random(seed, size, size))
    eigenvalues = torch.linspace(low, high, size, dtype=torch.float64)
    return symmetric((axes * eigenvalues) @ axes.mT).to(dtype)


def symmetric(matrix: Tensor) -> Tensor:
    """The symmetric part: rounding has left none of the other."""
    return (matrix + matrix.mT) / 2


def drawn_cases(
    body: Callable[..., None], seed: int, examples: int, strategies: Mapping[str, st.SearchStrategy[Any]],
    phases: Sequence[Phase],
) -> None:  # fmt: skip
    """Hypothesis, reproducible from `seed` and without a clock or a database."""
    configured = settings(
        max_examples=examples, database=None, deadline=None, phases=phases, report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip
    hypothesis.seed(seed)(configured(given(**strategies)(body)))()
