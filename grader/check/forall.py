"""A property that must hold for many drawn cases, and the smallest of those for which it does not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import Phase
from hypothesis import strategies as st

from ..boundary.session import SessionEnded, StudentRaised
from .cases import drawn_cases
from .context import Context, guard
from .failure import Failure

SHRINK_CALLS = 150
PROBES = 10


class _Enough(BaseException):
    """Shrinking has had its share of calls."""


def forall(
    ctx: Context, body: Callable[..., None], *, examples: int = 25, **strategies: st.SearchStrategy[Any]
) -> None:
    """Runs `body` on many drawn cases; on a failure shrinks it and raises that of the smallest case.

    The draws depend on the run's seed alone. Shrinking stops after a fixed number of calls, not after a time, so that
    the same run gives the same report. What is wrong in a small case may have several causes: a few more cases as they
    were drawn tell them apart (`Context.reading`).
    """
    smallest: list[Failure] = []
    calls_left = [SHRINK_CALLS]

    def run(**drawn: Any) -> None:
        if smallest:
            calls_left[0] -= 1
            if not calls_left[0]:
                raise _Enough
        ctx.case = drawn
        try:
            guard(lambda: body(**drawn), drawn)
        except Failure as failure:
            failure.call = failure.call or ctx.typed()
            seen = ctx.shows(drawn)  # by the call: no need to show it twice
            failure.counterexample = {k: v for k, v in failure.counterexample.items() if k not in seen}
            smallest[:] = [failure]
            raise

    def probe(**drawn: Any) -> None:
        ctx.case = drawn
        with contextlib.suppress(Failure, StudentRaised):
            body(**drawn)

    try:
        drawn_cases(run, ctx.seed, examples, strategies, (Phase.generate, Phase.shrink))
    # a submission that draws may pass on replay: it failed once
    except (Failure, _Enough, hypothesis.errors.Flaky):
        with contextlib.suppress(SessionEnded):
            drawn_cases(probe, ctx.seed + 1, PROBES, strategies, (Phase.generate,))
        raise smallest[-1] from None
    except SessionEnded:
        if smallest:  # shrinking ran into a hang or a crash: what failed before it says more
            raise smallest[-1] from None
        raise
    finally:
        ctx.case = {}
