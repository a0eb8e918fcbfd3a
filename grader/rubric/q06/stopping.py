"""Early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from ...check.cases import sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_number, expect
from ...check.failure import INHERIT, Failure
from ...check.forall import forall
from ...check.shown import kind_of
from .models import STOPPING


class Rule(NamedTuple):
    """A way to read early stopping: when a value counts as an improvement, and which value is then the best.

    `improves(value, best, last, delta)`; `becomes(value, best, improved)`; `enough(stale, patience)`.
    """

    improves: Callable[[float, float, float, float], bool]
    becomes: Callable[[float, float, bool], float]
    enough: Callable[[int, int], bool] = lambda stale, patience: stale >= patience
    resets: bool = True
    start: float = math.inf

    def follow(self, values: Sequence[float], patience: int, min_delta: float) -> list[tuple[bool, float]]:
        """(answer, best) after each value."""
        told, best, last, stale = [], self.start, self.start, 0
        for value in values:
            improved = self.improves(value, best, last, min_delta)
            stale = stale + 1 if not improved else 0 if self.resets else stale
            best, last = self.becomes(value, best, improved), value
            told.append((self.enough(stale, patience), best))
        return told


def below(value: float, best: float, last: float, delta: float) -> bool:
    """The definition."""
    return value < best - delta


def lowest(value: float, best: float, improved: bool) -> float:
    """The lowest value of all; NaN is never lower."""
    return min(value, best) if value == value else best


def accepted(value: float, best: float, improved: bool) -> float:
    """The lowest value that counted as an improvement."""
    return value if improved else best


READINGS = (Rule(below, lowest), Rule(below, accepted))  # of .best, where min_delta tells them apart
# rules that are none, and the question that each raises
MISREAD: Sequence[tuple[str, Rule]] = (
    ("Do you compare a value with the one before it, or with the best so far?",
        Rule(lambda value, best, last, delta: value < last - delta, lowest)),
    ("What should an improvement do to the count of bad values?", Rule(below, lowest, resets=False)),
    ("With patience 1: at which value without improvement does the training stop?",
        Rule(below, lowest, lambda stale, patience: stale > patience)),
    ("With patience 2: how many values without improvement are needed?",
        Rule(below, lowest, lambda stale, patience: stale >= patience - 1)),
    ("Is a smaller loss better, or a larger one?",
        Rule(lambda value, best, last, delta: value > best + delta, lambda value, best, better: max(value, best),
             start=-math.inf)),
    ("Is a smaller loss better, or a larger one?",
        Rule(lambda value, best, last, delta: value > best + delta, lowest)),
    ("Is a value that equals the best one an improvement?",
        Rule(lambda value, best, last, delta: value <= best - delta, lowest)),
    ("A loss falls by less than min_delta: what does min_delta decide?",
        Rule(lambda value, best, last, delta: value < best, lowest)),
    ("To which side of the best value does min_delta move the bar?",
        Rule(lambda value, best, last, delta: value < best + delta, lowest)),
    ("Is min_delta a difference, or a share of the best value?",
        Rule(lambda value, best, last, delta: value < best * (1 - delta), lowest)),
    ("What does a comparison with NaN answer, and what do you conclude from that answer?",
        Rule(lambda value, best, last, delta: not value >= best - delta, lowest)),
    ("Can NaN become the best value, and what is ever below it then?",
        Rule(below, lambda value, best, better: best if value >= best else value)),
)  # fmt: skip


class Told(NamedTuple):
    """What the rule of the submission has answered to the first of these values."""

    values: Sequence[float]
    patience: int
    min_delta: float
    answers: list[bool]

    def fits(self, rule: Rule) -> bool:
        """Whether another rule answers the same."""
        told = rule.follow(self.values, self.patience, self.min_delta)
        return [answer for answer, _ in told[: len(self.answers)]] == self.answers


def question(told: Sequence[Told]) -> str:
    """Of the misreading that explains all these answers, if exactly one does."""
    fitting = {asked for asked, rule in MISREAD if all(one.fits(rule) for one in told)}
    return fitting.pop() if len(fitting) == 1 else INHERIT


def follow_stopping(ctx: Context, told: Told, *, best: bool) -> None:
    """Feeds values one by one until the rule says stop; every answer agrees with the same reading of the rule."""
    values, patience, delta, answers = told
    rule = ctx.new(STOPPING, patience, delta) if delta else ctx.new(STOPPING, patience)
    readings = [reading.follow(values, patience, delta) for reading in READINGS]
    how = f"EarlyStopping(patience={patience}{f', min_delta={delta:g}' if delta else ''})"
    for number, value in enumerate(values):
        answer = rule.call("step", value)
        where = f"{how} after the values {', '.join(f'{v:g}' for v in values[: number + 1])}"
        expect(isinstance(answer, bool), "step does not return a bool", "True or False", kind_of(answer),
               hint="What does a loop want to know of step: a number, or whether to stop?")  # fmt: skip
        answers.append(answer)
        agreeing = [reading for reading in readings if reading[number][0] is answer]
        if not agreeing:
            raise Failure(f"{where}: the answer is wrong", f"step({value:g}) is {readings[0][number][0]}",
                          f"{answer}", hint=INHERIT)  # fmt: skip
        if best and min(reading[number][1] for reading in agreeing) < math.inf:
            found = as_number(rule.get("best"), f"best, of {where},",
                              hint="Which value is the best one when some of them are NaN?")  # fmt: skip
            readings = [reading for reading in agreeing if reading[number][1] == found]
            expect(bool(readings), f"{where}: best is wrong", f"{agreeing[0][number][1]:g}", f"{found:g}",
                   hint="Which of all these values is the best: the last one, the first, or the lowest?")  # fmt: skip
        else:
            readings = agreeing
        if answer:
            return


def follow_all(ctx: Context, cases: Sequence[tuple[Sequence[float], int, float]]) -> None:
    """The first case that fails, with the question that all answers together raise."""
    known, failed = list[Told](), None
    for values, patience, delta in cases:
        known.append(Told(values, patience, delta, []))
        try:
            follow_stopping(ctx, known[-1], best=any(value == value for value in values))
        except Failure as failure:
            failure.call = failure.call or ctx.typed()
            failed = failed or failure
    if failed is not None:
        failed.hint = failed.hint or question(known)
        raise failed


@declare(
    id="q6.stopping.patience", question=6, kind="property", points=0.5, visibility="public",
    title="Early stopping: patience",
    asks="EarlyStopping.step says True once `patience` successive values have not been below the best; an improvement "
    "starts the count again; .best is the lowest value so far",
    hint="With patience 2: what should happen after 3, 2, 2.5, 1, 1.5, 1.2? Compare with the best value, not the last.",
    needs=(),
)  # fmt: skip
def stopping_patience(ctx: Context) -> None:
    low = float(ctx.randint(-5, 5, 1))
    # the count starts again at an improvement: drawn sequences rarely rise and fall often enough to show it
    zigzag = [low + step for step in (9.0, 10.0, 8.0, 11.0, 7.0, 12.0, 6.0, 13.0, 14.0)]
    falls_late = [low + step for step in (3.0, 2.0, 2.5, 1.0, 1.5, 1.2)]
    follow_all(ctx, [
        (zigzag, 2, 0.0), (falls_late, 2, 0.0), ([low + 2, low + 2, low + 2], 2, 0.0),
        ([low + 1, low, low + 3], 1, 0.0),
        ([low + 5, low + 4, low + 6, low + 7, low + 8], 3, 0.0),
    ])  # fmt: skip

    def body(values: list[float], patience: int) -> None:
        follow_stopping(ctx, Told(values, patience, 0.0, []), best=True)

    few = st.lists(st.integers(-3, 6).map(float), min_size=2, max_size=10)
    forall(ctx, body, values=few, patience=sizes(1, 4), examples=40)


@declare(
    id="q6.stopping.edges", question=6, kind="property", points=0.25, visibility="hidden",
    title="Early stopping: min_delta and NaN",
    asks="a value improves only if it is below the best value so far by more than min_delta; NaN is no improvement "
    "and never becomes the best value",
    hint="What does a comparison with NaN answer? A loss falls by less than min_delta: is that an improvement?",
    needs=("q6.stopping.patience",),
)  # fmt: skip
def stopping_edges(ctx: Context) -> None:
    follow_all(ctx, [
        ([4.0, 3.75, 3.5, 3.25, 3.0], 4, 0.5), ([4.0, 3.5, 3.0], 2, 0.5), ([8.0, 7.0, 8.5, 8.25], 2, 1.5),
        ([4.0, 4.25, 4.5], 2, 0.5), ([math.nan, math.nan, math.nan], 3, 0.25),
        ([2.0, math.nan, 1.0, 1.5, math.nan], 2, 0.25),
        ([3.0, math.nan, math.nan], 2, 0.0),
    ])  # fmt: skip

    def body(values: list[float], patience: int, min_delta: float) -> None:
        follow_stopping(ctx, Told(values, patience, min_delta, []), best=True)

    # multiples of 1/4: differences from min_delta are exact
    entry = st.one_of(st.integers(-8, 16).map(lambda n: n / 4), st.just(math.nan))
    forall(
        ctx,
        body,
        values=st.lists(entry, min_size=2, max_size=10),
        patience=sizes(1, 3),
        min_delta=st.sampled_from([0.25, 0.5, 1.0]),
        examples=40,
    )
