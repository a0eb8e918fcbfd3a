"""A property that must hold for many drawn cases, and the smallest of those for which it does not."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import hypothesis
from hypothesis import Phase
from hypothesis import strategies as st

from ..boundary.ends import SessionEnded, StudentRaised
from ..boundary.launch import GraderFault, WorkerDied
from ..boundary.replies import Answered
from ..boundary.session import Collected, Frame
from .cases import drawn_cases
from .context import Context, guard
from .failure import Failure
from .single import Single

SHRINK_CALLS = 150
PROBES = 10
ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of a function, another one in every check


class Apart(BaseException):
    """What was asked together must be asked one by one, from the start and in a fresh process, to be reported."""


class _Enough(BaseException):
    """Shrinking has had its share of calls."""


def forall(
    ctx: Context, body: Callable[..., None], *, examples: int = 25, draws: bool = False,
    **strategies: st.SearchStrategy[Any],
) -> None:  # fmt: skip
    """Runs `body` on many drawn cases; on a failure shrinks it and raises that of the smallest case.

    The draws depend on the run's seed alone. Shrinking stops after a fixed number of calls, not after a time, so that
    the same run gives the same report. What is wrong in a small case may have several causes: a few more cases as they
    were drawn tell them apart (`Context.reading`). `draws` says that what is asked draws random numbers itself: those
    of float32 are others than those of float64, even from one seed, and are not compared.
    """
    single = Single(wanted=not draws)
    if ctx.together:
        hold_together(ctx, body, [*cases_of(ctx, examples, strategies)], single)
        return
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
            single.note(ctx.last)
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
        single.expect(ctx)
    # a submission that draws may pass on replay: it failed once
    except (Failure, _Enough, hypothesis.errors.Flaky):
        if not smallest:  # it holds in float64
            raise
        with contextlib.suppress(SessionEnded):
            drawn_cases(probe, ctx.seed + 1, PROBES, strategies, (Phase.generate,))
        raise smallest[-1] from None
    except SessionEnded:
        if smallest:  # shrinking ran into a hang or a crash: what failed before it says more
            raise smallest[-1] from None
        raise
    finally:
        ctx.case = {}


def cases_of(
    ctx: Context, examples: int, strategies: Mapping[str, st.SearchStrategy[Any]]
) -> list[dict[str, Any]]:  # fmt: skip
    """What is drawn as long as the property holds: it depends on the seed alone.

    So it is drawn once for all submissions of a process: drawing takes a third of the time of a check that passes.
    """
    ctx.foralls += 1
    described = ((name, ADDRESS.sub("", repr(strategy))) for name, strategy in strategies.items())
    key = (ctx.seed, ctx.foralls, examples, *described)
    if key not in ctx.drawn:
        cases: list[dict[str, Any]] = []
        drawn_cases(lambda **drawn: cases.append(drawn), ctx.seed, examples, strategies, (Phase.generate,))
        ctx.drawn[key] = cases
    return copy.deepcopy(ctx.drawn[key])  # a check may write to what it was given


def hold_together(
    ctx: Context, body: Callable[..., None], cases: Sequence[Mapping[str, Any]], single: Single
) -> None:  # fmt: skip
    """Runs `body` on all cases, their requests in one frame where each makes exactly one. Raises Apart on any failure.

    The submission is asked the same in the same order either way. Whatever does not hold is looked at again step by
    step, from the start of the check: only there is it shrunk and told.
    """
    try:
        asked = 0
        for number, case in enumerate(cases):
            if number == 1 and asked == 1 and (answers := answered_together(ctx, body, cases[1:])):
                for later, known in zip(cases[1:], answers, strict=True):
                    with ctx.session.answering(known):
                        body(**later)
                    single.note(ctx.last)
                break
            before = ctx.session.asked
            body(**case)
            single.note(ctx.last)
            asked = ctx.session.asked - before
        single.expect(ctx)
    except (GraderFault, WorkerDied):
        raise
    except (Exception, SessionEnded, Collected) as fault:
        raise Apart from fault
    if ctx.session.odd:
        raise Apart


def answered_together(
    ctx: Context, body: Callable[..., None], cases: Sequence[Mapping[str, Any]]
) -> list[tuple[Frame, Answered]]:  # fmt: skip
    """The first request of `body` for each case, and its answer; none if there is a case without one.

    What `body` draws, it draws again when it runs for good.
    """
    frames: list[Frame] = []
    drawn = ctx.rng.get_state()
    for case in cases:
        try:
            with ctx.session.collecting():
                body(**case)
        except Collected as request:
            frames.append(request.frame)
    ctx.rng.set_state(drawn)
    return list(zip(frames, ctx.session.ask_together(frames), strict=True)) if len(frames) == len(cases) else []
