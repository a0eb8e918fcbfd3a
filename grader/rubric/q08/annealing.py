"""KL annealing: a line, and its ends."""

from __future__ import annotations

import functools

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import numbers
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_number, expect, matches
from ...check.failure import FLOAT64, INHERIT, Failure
from ...check.forall import forall
from ...check.values import StudentRaised
from ..shared.latents import Readings, matches_among

ANNEALING = "vae.kl_annealing"

OVER = "The warm-up is over at this step. What should the weight be from here on?"
FIRST = "Which weight belongs to step 0, and at which step should the last one be reached?"
CAP = "At which weight does the schedule stop, and at which should it?"
CURVE = "How much does the weight grow from one step to the next, and does that change on the way?"
FLOAT = "What kind of number does the training loop multiply the loss with?"
NO_WARM_UP = "Which weight belongs to a training without any warm-up, at its first step and at all others?"
NO_KL = "Is a final weight of 0 a negative argument? Which weights belong to such a schedule?"
DEFAULT = "How large does the weight become when the caller names no beta_max?"


def schedule(step: int, warmup: int, beta_max: float) -> float:
    """The weight that is asked for."""
    return beta_max if step >= warmup else beta_max * step / warmup


def otherwise(steps: Tensor, warmup: int, beta_max: float) -> Readings:
    """Weights at `steps` of schedules that do something else."""
    t = (steps / warmup).clamp(max=1)
    return {
        "a weight that goes on rising": (beta_max * steps / warmup, OVER),
        "a weight that starts again after the warm-up": (beta_max * (steps % warmup) / warmup, OVER),
        "a weight that starts again one step later": (beta_max * (steps % (warmup + 1)) / warmup, OVER),
        "the weight of the next step": (beta_max * ((steps + 1) / warmup).clamp(max=1), FIRST),
        "the weight of the step before": (beta_max * ((steps - 1).clamp(min=0) / warmup).clamp(max=1), FIRST),
        "a line that takes a step more": (beta_max * (steps / (warmup + 1)).clamp(max=1), FIRST),
        "a line that is never at its end": (beta_max * torch.where(t < 1, t, 0.0), OVER),
        "a weight that stops at 1": ((beta_max * steps / warmup).clamp(max=1), CAP),
        "a weight that rises to 1, whatever beta_max is": (t, CAP),
        "beta_max at every step": (torch.full_like(t, beta_max), CURVE),
        "a smooth S in place of a line": (beta_max * t * t * (3 - 2 * t), CURVE),
        "0 until the warm-up is over, then beta_max at once": (beta_max * torch.floor(t), CURVE),
        "a square in place of a line": (beta_max * t * t, CURVE),
        "a square root in place of a line": (beta_max * t.sqrt(), CURVE),
        "half a cosine in place of a line": (beta_max * (1 - torch.cos(torch.pi * t)) / 2, CURVE),
        "a line downwards": (beta_max * (1 - t), FIRST),
    }


def asked(ctx: Context, *args: int | float) -> float:
    """The submission's weight, a number that is no tensor."""
    value = ctx.call(ANNEALING, *args)
    expect(not isinstance(value, Tensor), "kl_annealing returns a tensor", "a float", value, hint=FLOAT)
    return as_number(value, "kl_annealing(step, warmup_steps, beta_max)")


@declare(
    id="q8.annealing", question=8, kind="property", points=0.25, visibility="public",
    title="kl_annealing: schedule",
    asks="the weight of the KL rises linearly from 0 at step 0 to beta_max at warmup_steps and stays there",
    hint="Write down the weights for warmup_steps = 4 at steps 0, 1, 4, 5 and 9. Are they on a line, and then level?",
    needs=(),
)  # fmt: skip
def annealing(ctx: Context) -> None:
    def body(step: int, warmup: int, beta_max: float) -> None:
        value = asked(ctx, step, warmup, beta_max)
        hint = OVER if step >= warmup and value < beta_max else INHERIT
        matches(ctx, value, schedule(step, warmup, beta_max), FLOAT64, "the weight", hint=hint)

    steps, warmup, beta_max = list(range(11)), 4, 2.5  # far enough for a schedule that starts again to be seen
    found = torch.tensor([asked(ctx, step, warmup, beta_max) for step in steps], dtype=torch.float64)
    wanted = torch.tensor([schedule(step, warmup, beta_max) for step in steps], dtype=torch.float64)
    readings = functools.partial(otherwise, torch.tensor(steps, dtype=torch.float64), warmup, beta_max)
    try:
        matches_among(ctx, found, wanted, FLOAT64, "the weight at steps 0 to 10 of a warm-up of 4", readings,
                      hint=INHERIT)  # fmt: skip
    except Failure as failure:
        failure.call = f"kl_annealing(step, warmup_steps={warmup}, beta_max={beta_max}) at step 0, 1, ..., 10"
        raise
    forall(ctx, body, examples=40, step=st.integers(0, 40), warmup=st.integers(2, 20), beta_max=numbers(0.1, 8.0))
    for case in ((0, 1, 2.5), (1, 1, 2.5), (12345, 1000, 2.5), (12345, 1000, 2)):
        body(*case)


@declare(
    id="q8.annealing.edges", question=8, kind="property", points=0.25, visibility="public",
    title="kl_annealing: no warm-up, no weight, defaults",
    asks="beta_max at every step where warmup_steps is 0; 0 at every step where beta_max is; beta_max is 1 by default",
    hint="Which of the arguments may be 0, and which weights belong to such a schedule?",
    needs=(),
)  # fmt: skip
def edges(ctx: Context) -> None:
    zeros = ((NO_WARM_UP, ((0, 0, 2.5), (7, 0, 2.5))), (NO_KL, ((0, 4, 0.0), (2, 4, 0.0), (9, 4, 0.0))))
    for hint, cases in zeros:
        for case in cases:
            found, wanted = accepted(ctx, hint, *case), schedule(*case)
            expect(abs(found - wanted) <= FLOAT64.atol, "the weight is wrong", wanted, found, hint=hint)
    named, default = accepted(ctx, DEFAULT, 3, 12, 1.0), accepted(ctx, DEFAULT, 3, 12)
    expect(
        abs(named - default) <= FLOAT64.atol, "the weight without beta_max is not that with beta_max = 1", named,
        default, hint=DEFAULT,
    )  # fmt: skip


def accepted(ctx: Context, hint: str, *args: int | float) -> float:
    """The weight; an exception is a refusal where the argument is a good one, though 0. A tensor costs points above."""
    try:
        value = ctx.call(ANNEALING, *args)
        return as_number(value, "kl_annealing(step, warmup_steps, beta_max)")
    except StudentRaised as raised:
        if "NotImplementedError" in raised.kinds or "MissingName" in raised.kinds:
            raise
        frames = raised.frames[-1:]
        where = "".join(f" at {frame.file}, line {frame.line}: {frame.code}" for frame in frames)
        raise Failure(
            f"kl_annealing refuses arguments that are allowed{where}", "a weight",
            f"{raised.kinds[0]}: {raised.message}", hint=hint,
        ) from None  # fmt: skip


ANNEALINGS: tuple[Check, ...] = (annealing, edges)
