"""What wrong numbers look like: relations to the expected ones that hold in every case that failed.

A pattern says what is there, never what to write, and asks the question that it raises. Where several relations explain
the same numbers, all are named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .shown import alike

RTOL = 1e-4  # float32 sums; numbers that fit one relation by chance are drawn from a continuum
ENOUGH = 3  # different numbers before a relation with a free constant is believed
MOST = 40  # cases that are compared, the last ones
FACTORS: Mapping[float, str] = {
    2.0: "exactly twice the expected", 0.5: "exactly half of the expected", -1.0: "the expected with the opposite sign",
    -0.5: "minus half of the expected", -2.0: "minus twice the expected", 4.0: "four times the expected",
    1 / math.log(2): "the expected in bits in place of nats", math.log(2): "the expected in nats in place of bits",
    10.0: "ten times the expected", 0.1: "a tenth of the expected", 255.0: "255 times the expected",
    1 / 255: "the expected divided by 255",
}  # fmt: skip
CURVES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "the square of the expected": torch.square,
    "the square root of the expected": torch.sqrt,
    "the exponential of the expected": torch.exp,
    "the logarithm of the expected": torch.log,
    "minus the logarithm of the expected": lambda wanted: -torch.log(wanted),
    "one over the expected": torch.reciprocal,
    "one minus the expected": lambda wanted: 1 - wanted,
    "the expected pressed into (0, 1) by a sigmoid": torch.sigmoid,
    "the expected before the sigmoid": torch.logit,
    "the expected shifted and scaled from [0, 1] to [-1, 1]": lambda wanted: 2 * wanted - 1,
    "the expected, without what is below zero": torch.relu,
    "the size of the expected, without its sign": torch.abs,
}


WHICH_FACTOR = "Which constant factor does the definition have, and how often does it stand in your code?"
WHICH_SIGN = "What is subtracted from what, and which signs belong to the definition?"
WHICH_TERM = "Which term is the same whatever the input is, and does it belong to the definition?"
WHICH_FUNCTION = "Which function was applied once too often, or once too little?"
WHICH_PLACE = "Which of the numbers belongs to which example, and along which axis?"
WHICH_GUARD = "Which small number was added or cut off for safety, and what does that do to this input?"
WHAT_IT_SEES = "Which of the arguments does the result depend on, and which should it?"
WHICH_SIZE = {
    "the batch size": "What should a larger batch do to this number?",
    "the number of dimensions of an example": "What should one more dimension do to this number?",
}


WHICH_ONES = "Which axes should the result have, and what adds or removes one of size 1 on the way?"
WHICH_SUM = "Over which axes does your result sum or average, and which of them should be left?"
WHICH_ORDER = "Which axis stands for what, in what comes in and in what goes out?"
WHICH_VIEW = "Into which shape should the numbers be brought before they are returned?"
WHICH_ROWS = "How many rows go into your function, and how many come out of it?"
WHICH_AXES = "Print the shape after every step: where does it first differ from what you had in mind?"


class Reading(NamedTuple):
    """What wrong numbers look like, and the question that it raises."""

    words: str = ""
    question: str = ""


def recognised(value: object, right: Tensor, readings: Mapping[Reading, Tensor]) -> Reading:
    """The misconception whose numbers these are, if they are not right; of several that fit, all words and questions.

    Ask it at one random point away from 0 and 1, not at a shrunk case, where misconceptions coincide.
    """
    if alike(value, right, rtol=1e-6, atol=1e-9):
        return Reading()
    found = [reading for reading, wrong in readings.items() if alike(value, wrong, rtol=1e-6, atol=1e-9)]
    words = " or ".join(dict.fromkeys(reading.words for reading in found if reading.words))
    return Reading(words, " Or: ".join(dict.fromkeys(reading.question for reading in found)))


class Pair(NamedTuple):
    """Numbers of one case, and sizes that the case has: name -> size."""

    actual: Tensor
    wanted: Tensor
    sizes: Mapping[str, int]


def sizes_of(case: Mapping[str, object]) -> dict[str, int]:
    """Sizes by which numbers are multiplied or divided when the wrong thing is averaged or summed."""
    tensors = {name: value for name, value in case.items() if isinstance(value, Tensor) and value.ndim}
    tensors |= {f"{name}[{i}]": part for name, value in case.items() if isinstance(value, tuple)
                for i, part in enumerate(value) if isinstance(part, Tensor) and part.ndim}  # fmt: skip
    found: dict[str, int] = {}
    for value in tensors.values():  # the first tensor gives the names: most others share its sizes
        if value.ndim == 1:
            found.setdefault("the number of entries of the first argument", len(value))
            continue
        found.setdefault("the batch size", len(value))
        found.setdefault("the number of dimensions of an example", math.prod(value.shape[1:]))
        found.setdefault("the number of all elements", value.numel())
    return found


def same(actual: Tensor, wanted: Tensor) -> bool:
    """Whether the numbers agree up to rounding (NaN agrees with nothing)."""
    if not bool(torch.isfinite(wanted).all()):
        return False
    scale = float(wanted.abs().max()) if wanted.numel() else 0.0
    return bool(torch.allclose(actual, wanted, rtol=RTOL, atol=1e-6 * scale + 1e-12))


def factor(pair: Pair) -> float:
    """c of actual = c · wanted; NaN if there is none."""
    power = float(pair.wanted.square().sum())
    found = float((pair.actual * pair.wanted).sum()) / power if power else math.nan
    return found if same(pair.actual, found * pair.wanted) else math.nan


def describe(pairs: Sequence[Pair]) -> Reading:
    """What holds between the actual and the expected numbers of all these cases; empty if nothing known does.

    Several readings that raise different questions raise none.
    """
    pairs = [Pair(p.actual.double().flatten(), p.wanted.double().flatten(), p.sizes) for p in pairs[-MOST:]]
    if not pairs or not all(bool(torch.isfinite(p.actual).all()) for p in pairs):
        return Reading()
    informative = [p for p in pairs if bool(p.wanted.any())]
    if not informative:
        return Reading()
    if not any(bool(p.actual.any()) for p in pairs):
        return Reading("zero, whatever the input", WHAT_IT_SEES)
    if all(same(p.actual, p.wanted) for p in pairs):
        words = "almost the expected: the difference is small, as from an added epsilon, a clamp or a lower precision"
        return Reading(words, WHICH_GUARD)
    readings = [*proportions(informative), *offsets(pairs), *curves(pairs), *arrangements(informative)]
    questions = {reading.question for reading in readings}
    words = " or ".join(dict.fromkeys(reading.words for reading in readings))
    return Reading(words, questions.pop() if len(questions) == 1 else "")


def different(pairs: Sequence[Pair]) -> int:
    """How many different numbers are expected in these cases."""
    values = torch.cat([p.wanted for p in pairs])
    return len({f"{value:.3g}" for value in values.tolist()[:200]})


def proportions(pairs: Sequence[Pair]) -> list[Reading]:
    """A factor that is the same in all cases, or is a size of each."""
    factors = [factor(pair) for pair in pairs]
    if any(math.isnan(c) or not c for c in factors):
        return []
    cases = f" in all {len(pairs)} cases that failed" if len(pairs) > 1 else ""
    found = [Reading(words + cases, WHICH_SIGN if c < 0 else WHICH_FACTOR)
             for c, words in FACTORS.items() if all(math.isclose(f, c, rel_tol=RTOL) for f in factors)]  # fmt: skip
    for name in pairs[0].sizes:
        counts = [pair.sizes.get(name, 0) for pair in pairs]
        if len(set(counts)) < 2 or not all(counts):
            continue  # a size that never changes explains nothing
        question = WHICH_SIZE.get(name, "")
        for words, law in (
            (f"the expected times {name}: it grows with that size", float),
            (f"the expected divided by {name}: it shrinks as that size grows", lambda n: 1 / n),
            (f"the expected times the square root of {name}", math.sqrt),
        ):
            if all(math.isclose(f, law(n), rel_tol=RTOL) for f, n in zip(factors, counts, strict=True)):
                found.append(Reading(words, question))
    constant = all(math.isclose(f, factors[0], rel_tol=RTOL) for f in factors)
    if constant and not found and different(pairs) >= ENOUGH and not math.isclose(factors[0], 1, rel_tol=1e-2):
        found.append(Reading(f"always {factors[0]:.4g} times the expected", WHICH_FACTOR))
    return found


def offsets(pairs: Sequence[Pair]) -> list[Reading]:
    """A difference that is the same everywhere."""
    gap = torch.cat([pair.actual - pair.wanted for pair in pairs])
    if different(pairs) < ENOUGH or not same(gap, gap.mean().expand_as(gap)):
        return []
    words = f"the expected {'plus' if gap.mean() > 0 else 'minus'} {abs(float(gap.mean())):.4g}, whatever the input"
    return [Reading(words, WHICH_TERM)]


def curves(pairs: Sequence[Pair]) -> list[Reading]:
    """A function of the expected."""
    if different(pairs) < ENOUGH:
        return []
    fitting = [words for words, curve in CURVES.items() if all(same(p.actual, curve(p.wanted)) for p in pairs)]
    return [Reading(words, WHICH_FUNCTION) for words in fitting]


def arrangements(pairs: Sequence[Pair]) -> list[Reading]:
    """The expected numbers in other places."""
    if different(pairs) < ENOUGH or not all(len(pair.wanted) > 1 for pair in pairs):
        return []
    if all(same(p.actual, p.wanted.flip(0)) for p in pairs):
        return [Reading("the expected numbers in reverse order", WHICH_PLACE)]
    if all(same(p.actual.sort().values, p.wanted.sort().values) for p in pairs):
        return [Reading("the expected numbers in other places", WHICH_PLACE)]
    if all(same(p.actual, p.actual.mean().expand_as(p.actual)) for p in pairs):
        return [Reading("the same number everywhere, where different ones are expected", WHAT_IT_SEES)]
    return []


def describe_shape(actual: Sequence[int], wanted: Sequence[int]) -> Reading:
    """How a wrong shape differs from the expected one, and the question that it raises; no words for no known way."""
    actual, wanted = tuple(actual), tuple(wanted)
    ones = tuple(size for size in actual if size != 1)
    if ones == tuple(size for size in wanted if size != 1):
        return Reading("the right numbers of elements, with dimensions of size 1 too many or too few", WHICH_ONES)
    if not actual:
        return Reading("a single number: everything was summed or averaged together", WHICH_SUM)
    if sorted(actual) == sorted(wanted):
        return Reading("the right sizes in another order", WHICH_ORDER)
    if len(actual) > len(wanted) and actual[: len(wanted)] == wanted:
        return Reading("dimensions too many at the end: something is left that should have been summed, averaged or "
                       "picked", WHICH_SUM)  # fmt: skip
    if len(actual) < len(wanted) and wanted[: len(actual)] == actual:
        return Reading("the last dimensions are gone: they were summed, averaged or picked away", WHICH_SUM)
    if len(actual) < len(wanted) and wanted[-len(actual) :] == actual:
        return Reading("the first dimensions are gone: the examples of the batch were put together", WHICH_SUM)
    if math.prod(actual) == math.prod(wanted):
        return Reading("the right number of elements in another arrangement", WHICH_VIEW)
    if len(actual) == len(wanted) and actual[1:] == wanted[1:]:
        return Reading("another number of examples than in the batch", WHICH_ROWS)
    return Reading("", WHICH_AXES)
