"""Early stopping."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import strategies as st

from ...check.cases import sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_number, expect
from ...check.forall import forall
from ...check.shown import kind_of
from .fit import STOPPING


def stopping_rule(
    values: Sequence[float], patience: int, min_delta: float, *, accepted: bool
) -> list[tuple[bool, float]]:
    """(answer, best) after each value, straight from the definition.

    The best value so far is the lowest of all or, read otherwise, the lowest that counted as an improvement.
    """
    improved: list[bool] = []
    told, best = [], math.inf
    for value in values:
        improved.append(value < best - min_delta)
        if improved[-1] or (value < best and not accepted):
            best = value
        told.append((len(improved) >= patience and not any(improved[-patience:]), best))
    return told


def follow_stopping(ctx: Context, values: Sequence[float], patience: int, min_delta: float, best: bool) -> None:
    """Feeds `values` one by one until the rule says stop; every answer agrees with the same reading of the rule."""
    rule = ctx.new(STOPPING, patience, min_delta) if min_delta else ctx.new(STOPPING, patience)
    readings = [stopping_rule(values, patience, min_delta, accepted=accepted) for accepted in (False, True)]
    for number, value in enumerate(values):
        answer = rule.call("step", value)
        where = f"step {number + 1} of {[round(v, 4) for v in values[: number + 1]]}"
        expect(isinstance(answer, bool), "step does not return a bool", "True or False", kind_of(answer))
        agreeing = [told for told in readings if told[number][0] is answer]
        expect(bool(agreeing), f"the answer of {where} is wrong", readings[0][number][0], answer)
        if best and min(told[number][1] for told in agreeing) < math.inf:
            found = as_number(rule.get("best"), f"best after {where}")
            readings = [told for told in agreeing if told[number][1] == found]
            expect(bool(readings), f"best after {where} is wrong", agreeing[0][number][1], found)
        else:
            readings = agreeing
        if answer:
            return


@declare(
    id="q6.stopping.patience", question=6, kind="property", points=0.5, visibility="public",
    title="Early stopping: patience",
    asks="EarlyStopping.step says True once `patience` successive values have not been below the best; an improvement "
    "starts the count again; .best is the lowest value so far",
    hint="With patience 2: what should happen after 3, 2, 2.5, 1, 1.5, 1.2? Compare with the best value, not the last.",
    needs=(),
)  # fmt: skip
def stopping_patience(ctx: Context) -> None:
    def body(values: list[float], patience: int) -> None:
        follow_stopping(ctx, values, patience, 0.0, best=True)

    few = st.lists(st.integers(-3, 6).map(float), min_size=1, max_size=10)
    forall(ctx, body, values=few, patience=sizes(1, 4), examples=40)
    # the count starts again at an improvement: drawn sequences rarely rise and fall often enough to show it
    low = float(ctx.randint(-5, 5, 1))
    follow_stopping(ctx, [low + step for step in (9.0, 10.0, 8.0, 11.0, 7.0, 12.0, 6.0, 13.0, 14.0)], 2, 0.0, best=True)


@declare(
    id="q6.stopping.edges", question=6, kind="property", points=0.25, visibility="hidden",
    title="Early stopping: min_delta and NaN",
    asks="a value improves only if it is below the best value so far by more than min_delta; NaN is no improvement "
    "and never becomes the best value",
    hint="What does a comparison with NaN answer? A loss falls by less than min_delta: is that an improvement?",
    needs=("q6.stopping.patience",),
)  # fmt: skip
def stopping_edges(ctx: Context) -> None:
    def body(values: list[float], patience: int, min_delta: float) -> None:
        follow_stopping(ctx, values, patience, min_delta, best=True)

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
    follow_stopping(ctx, [4.0, 3.75, 3.5, 3.25, 3.0], 4, 0.5, best=True)
    follow_stopping(ctx, [math.nan, math.nan, math.nan], 3, 0.25, best=False)
    follow_stopping(ctx, [2.0, math.nan, 1.0, 1.5, math.nan], 2, 0.25, best=True)
