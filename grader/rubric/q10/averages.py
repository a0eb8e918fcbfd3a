"""Question 10: the quantizer with running averages, and how its codes are counted and restarted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import (
    as_number,
    expect,
    leaves_gradients_off,
    leaves_gradients_on,
    matches,
    preserves,
    raises,
)
from ...check.failure import EXACT, FLOAT32, FLOAT64, Tolerance
from ...check.forall import forall
from ...check.shown import alike
from ...check.statistics import count_bounds
from ...check.values import Gen, Handle, Params, TorchRef
from .codebook import (
    EMA,
    QUANTIZER_LOSS,
    VQ,
    WIDE,
    Quantizer,
    codebook_of,
    codes_at,
    distinct,
    expect_follows,
    expect_gradient,
    expect_nearest,
    expect_steps,
    fixed_case,
    loaded,
    own,
    pixels,
    quantized,
    wide,
)

USAGE, PERPLEXITY, RESTART = "vqvae.code_usage", "vqvae.perplexity", "vqvae.restart_dead_codes"


# ---- EMAVectorQuantizer -------------------------------------------------------------------------------------------


@declare(
    id="q10.ema.buffer", question=10, kind="property", points=0.25, visibility="public",
    title="EMAVectorQuantizer: the codebook is a buffer",
    asks="codebook (K, D) is in the state_dict and no parameter: averages move it, not an optimizer",
    hint="What would an optimizer do to a codebook that follows running averages?",
    needs=(),
)  # fmt: skip
def ema_buffer(ctx: Context) -> None:
    made = own(ctx, EMA, 6, 4)
    trained = [name for name, wanted in made.handle.parameters().items() if wanted]
    expect(not trained, "the EMA quantizer has trainable parameters", "none", ", ".join(trained))
    expect(distinct(made.codebook) == 6, "codes are equal from the start: one of them can never be used",
               "6 different codes", made.codebook)  # fmt: skip
    loaded(ctx, EMA, ctx.randn(6, 4))


@declare(
    id="q10.ema.forward", question=10, kind="gradient", points=0.5, visibility="public",
    title="EMAVectorQuantizer: quantisation and commitment loss",
    asks="nearest codes as in VectorQuantizer; vq_loss is commitment_cost times the commitment term only; gradients "
    "pass straight through, step after step; the same in training mode, with the codes as they are before the update",
    hint="Averages already move the codes. Which of the two loss terms is left, and what is its weight?",
    needs=("q10.ema.buffer",),
)  # fmt: skip
def ema_forward(ctx: Context) -> None:
    codebook, z_e = fixed_case(ctx)
    weights = ctx.randn(*z_e.shape)
    for mode, beta in ((False, 0.25), (True, 0.25), (False, 3.0), (True, 0.0)):
        held = loaded(ctx, EMA, codebook, commitment_cost=beta)
        where = "training" if mode else "evaluation"
        held.handle.train(mode)
        found = ctx.session.vjp(held.handle, z_e, wrt=[0], cotangents=[((0,), weights)])
        z_q, loss, indices = quantized(ctx, found.value, z_e, 6)
        expect_nearest(ctx, z_e, codebook, indices)
        late = mode and alike(z_q, codes_at(codebook_of(ctx, held.handle, (6, 3)), indices))
        hint = "Of which codes was the nearest chosen, and when did they move to where z_q has them?" if late else ""
        matches(ctx, z_q, codes_at(codebook, indices), FLOAT64, f"z_q in {where} mode", hint=hint)
        expect_gradient(ctx, found.args[0], weights, f"the gradient of z_q with respect to z_e in {where} mode")
        wanted = beta * (z_q - z_e).square().mean()
        both = math.isclose(float(loss), float((1 + beta) * (z_q - z_e).square().mean()), rel_tol=1e-6)
        hint = "This is the loss of the other quantizer. Which term has nothing to move here?" if both else ""
        matches(ctx, loss, wanted, FLOAT64, f"vq_loss in {where} mode at commitment_cost {beta}", hint=hint)
        again = loaded(ctx, EMA, codebook, commitment_cost=beta)
        again.handle.train(mode)
        found = ctx.session.vjp(again.handle, z_e, wrt=[0], cotangents=[((1,), None)])
        z_q, *_ = quantized(ctx, found.value, z_e, 6)
        expect_gradient(ctx, found.args[0], 2 * beta * (z_e - z_q) / z_e.numel(),
                        f"the gradient of vq_loss to z_e in {where} mode at commitment_cost {beta}")  # fmt: skip
    expect_follows(ctx, EMA)
    layers = [ctx.new(TorchRef("nn.Conv2d"), 1, 3, 1), own(ctx, EMA, 6, 3).handle]
    trained = ctx.new(TorchRef("nn.Sequential"), *layers)
    expect_steps(ctx, trained, ctx.randn(2, 1, 4, 5, dtype=torch.float32), [QUANTIZER_LOSS], "EMAVectorQuantizer")


def around(ctx: Context, codebook: Tensor, numbers: Tensor, spread: float) -> Tensor:
    """A z_e whose pixels lie around the codes `numbers`, at `spread` times the smallest distance between codes."""
    gaps = torch.pdist(codebook.double())
    noise = ctx.rand(*numbers.shape, codebook.shape[1], low=-1, high=1) / math.sqrt(codebook.shape[1])
    return (codebook[numbers].double() + spread * float(gaps.min()) * noise).permute(0, 3, 1, 2).to(codebook.dtype)


@dataclass
class Averages:
    """The running counts and sums of the handout, without smoothing."""

    counts: Tensor
    sums: Tensor

    def step(self, z_e: Tensor, indices: Tensor, decay: float) -> Tensor:
        """One update; returns the codebook."""
        members = F.one_hot(indices.flatten(), len(self.counts)).double()
        self.counts = decay * self.counts + (1 - decay) * members.sum(0)
        self.sums = decay * self.sums + (1 - decay) * members.T @ pixels(z_e).flatten(0, 2).double()
        return self.sums / self.counts[:, None]


@declare(
    id="q10.ema.update", question=10, kind="property", points=0.75, visibility="public",
    title="EMAVectorQuantizer: running counts and sums",
    asks="each pass in training mode moves counts and sums by 1 - decay towards those of the batch; a code is its sum "
    "divided by its count; counts start at 1, sums at the codebook; decay is .99 unless given",
    hint="Write down count and sum of one code after one pass with two pixels. And after a pass with none?",
    needs=("q10.ema.buffer",),
)  # fmt: skip
def ema_update(ctx: Context) -> None:
    # Smoothing moves a code by about epsilon (1/N_k + K/N) of its value: nothing at 1e-9; at the default 1e-5 and
    # N_k >= .99^4 less than 1e-4 of it, with any of the usual forms of smoothing.
    smoothed = Tolerance(3e-4, 1e-5, "float32, and the smoothing of the counts by the default epsilon")
    cases = ((0.8, 1e-9, FLOAT32), (0.3, 1e-9, FLOAT32), (0.99, None, smoothed))
    for decay, epsilon, tolerance in cases:
        settings = {} if epsilon is None else {"decay": decay, "epsilon": epsilon}
        made = own(ctx, EMA, 7, 3, **settings)
        made.handle.train()
        averages = Averages(torch.ones(7, dtype=torch.float64), made.codebook.double())
        codebook = made.codebook
        # few pixels or none near the last two codes; then none that choose one of the last four; then some for each
        passes = ((0, 5, 0.8), (0, 5, 0.8), (0, 3, 0.4), (3, 7, 0.4))
        for step, (first, end, spread) in enumerate(passes):
            z_e = around(ctx, codebook, ctx.randint(first, end, 2, 3, 4), spread)
            *_, indices = quantized(ctx, made.handle(z_e), z_e, 7)
            wanted = averages.step(z_e, indices, decay).float()
            codebook = matches(ctx, codebook_of(ctx, made.handle, (7, 3)), wanted, tolerance,
                                   f"the codebook after {step + 1} passes with decay {decay}")  # fmt: skip


@declare(
    id="q10.ema.steady", question=10, kind="property", points=0.25, visibility="public",
    title="EMAVectorQuantizer: nothing jumps",
    asks="codes that get exactly themselves stay where they are, and so do codes that no pixel chose",
    hint="What are count and sum of a code before the first pass? What is their quotient?",
    needs=("q10.ema.buffer",),
)  # fmt: skip
def ema_steady(ctx: Context) -> None:
    for decay in (0.99, 0.9):
        made = wide(ctx, 8, decay=decay)
        numbers = torch.cat([torch.arange(5), ctx.randint(0, 5, 19)]).reshape(3, 2, 4)  # codes 5…7 get nothing
        z_e = codes_at(made.codebook, numbers)
        for step in range(3):
            quantized(ctx, made.handle(z_e), z_e, 8)
            now = codebook_of(ctx, made.handle, (8, WIDE))
            # counts stay above .9^3, so that smoothing by 1e-5 changes a code by less than 2e-5 of its value a pass
            off = (now - made.codebook).abs().amax(1) / made.codebook.abs().amax(1)
            expect(float(off[5:].max()) <= 1e-3, f"codes that no pixel chose jump in pass {step + 1}",
                       made.codebook[5:], now[5:])  # fmt: skip
            expect(float(off[:5].max()) <= 1e-3, f"codes that get exactly themselves move in pass {step + 1}",
                       made.codebook[:5], now[:5])  # fmt: skip


@declare(
    id="q10.ema.converges", question=10, kind="property", points=0.25, visibility="hidden",
    title="EMAVectorQuantizer: codes go to the means of their pixels",
    asks="shown the same pixels again and again, each code ends at the mean of the pixels that choose it",
    hint="Where does the quotient of two running averages end when every pass adds the same?",
    needs=("q10.ema.buffer",),
)  # fmt: skip
def ema_converges(ctx: Context) -> None:
    made = wide(ctx, 5, decay=0.6)
    # every code has pixels, within a sixth of the distance between codes: assignments never change
    numbers = torch.cat([torch.arange(5).repeat(2), ctx.randint(0, 5, 14)]).reshape(2, 3, 4)
    z_e = around(ctx, made.codebook, numbers, 1 / 6)
    for _ in range(30):  # .6^30 = 2e-7
        quantized(ctx, made.handle(z_e), z_e, 5)
    rows, flat = pixels(z_e).flatten(0, 2), numbers.flatten()
    means = torch.stack([rows[flat == k].mean(0) for k in range(5)])
    off = float((codebook_of(ctx, made.handle, (5, WIDE)) - means).abs().max())
    spread = float(made.codebook.square().mean().sqrt())
    expect(off <= 1e-2 * spread, "the codes are not at the means of their pixels", means,
               codebook_of(ctx, made.handle))  # fmt: skip


@declare(
    id="q10.ema.modes", question=10, kind="property", points=0.5, visibility="public",
    title="EMAVectorQuantizer: only training moves it",
    asks="in evaluation mode no entry of the state changes, with or without gradients; in training mode the codebook "
    "does",
    hint="Is evaluating a model on the test set allowed to change it?",
    needs=("q10.ema.buffer",),
)  # fmt: skip
def ema_modes(ctx: Context) -> None:
    made = own(ctx, EMA, 6, 4)
    z_e = around(ctx, made.codebook, ctx.randint(0, 6, 2, 3, 5), 0.8)
    made.handle.eval()
    before = made.handle.state()
    made.handle(z_e)
    ctx.session.infer(made.handle, z_e)
    for name, value in made.handle.state().items():
        expect(torch.equal(value, before[name]), f"evaluation mode changes {name}", before[name], value)
    for grad in (True, False):
        known = codebook_of(ctx, made.handle)
        made.handle.train()
        (ctx.session.call if grad else ctx.session.infer)(made.handle, z_e)
        expect(not torch.equal(codebook_of(ctx, made.handle), known),
                   f"a pass in training mode{'' if grad else ' without gradients'} leaves the codebook as it was",
                   "a moved codebook", "the same codebook")  # fmt: skip


# ---- usage, perplexity, restart -----------------------------------------------------------------------------------


@declare(
    id="q10.usage", question=10, kind="property", points=0.25, visibility="public",
    title="code_usage",
    asks="code_usage counts every code, also those that never occur, as int64 (K,), and refuses an index outside 0…K-1",
    hint="Which length has the result when the last codes are never used?",
    needs=(),
)  # fmt: skip
def usage(ctx: Context) -> None:
    for shape in ((3, 4, 5), (1, 7, 7), (11,)):
        indices = ctx.randint(0, 5, *shape)  # K = 9: some codes never occur
        wanted = torch.tensor([int((indices == k).sum()) for k in range(9)])
        matches(ctx, preserves(ctx, USAGE, indices, 9), wanted, EXACT, "code_usage(indices, 9)")
    for bad in (-1, 9, 12):
        indices = ctx.randint(0, 5, 2, 3, 4)
        indices[1, 2, 0] = bad
        raises(ctx, "ValueError", USAGE, indices, 9, names="indices", case=f"code_usage with an index {bad} and K = 9")


@declare(
    id="q10.perplexity", question=10, kind="property", points=0.5, visibility="public",
    title="perplexity",
    asks="exp of the entropy of the shares of the codes: K for uniform usage, 1 for a single code, finite if codes are "
    "unused",
    hint="How many codes are in use, effectively, when two of eight share all pixels equally?",
    needs=(),
)  # fmt: skip
def perplexity(ctx: Context) -> None:
    tolerance = Tolerance(1e-4, 1e-4, "float32, and an epsilon inside a logarithm that keeps it finite")

    def value(indices: Tensor, count: int) -> float:
        return as_number(ctx.call(PERPLEXITY, indices, count), "perplexity")

    for count in (1, 2, 6, 40):
        uniform = torch.arange(count).repeat(12)[torch.randperm(12 * count, generator=ctx.rng)].reshape(count, 3, 4)
        matches(ctx, value(uniform, count), float(count), tolerance, f"perplexity of {count} codes used equally")
        one = torch.full((3, 2, 5), count - 1)
        matches(ctx, value(one, count), 1.0, tolerance, f"perplexity of one of {count} codes")

    def body(counts: list[int]) -> None:
        total = sum(counts)
        wanted = math.exp(-sum(n / total * math.log(n / total) for n in counts if n))
        indices = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts)).reshape(1, -1, 1)
        got = value(indices, len(counts))
        base2 = wanted > 1.01 and math.isclose(got, 2 ** math.log(wanted), rel_tol=1e-3)
        matches(
            ctx,
            got,
            wanted,
            tolerance,
            "perplexity",
            hint="Are entropy and exponential to the same base?" if base2 else "",
        )

    counts = st.lists(st.integers(0, 30), min_size=1, max_size=9).filter(any)
    forall(ctx, body, counts=counts, examples=25)


STILL = "Can a code that has begun anew still learn from the next batch?"


@declare(
    id="q10.restart.replaces", question=10, kind="property", points=0.5, visibility="public",
    title="restart_dead_codes: which codes, and by what",
    asks="exactly the codes with usage below min_usage become pixel vectors of z_e, different ones as far as there are "
    "enough; the others stay; the number of replaced codes comes back; the optimizer keeps its codebook, which still "
    "has gradients, as what comes after has",
    hint="Which numbers of (B, D, H, W) are one pixel's vector? Could two dead codes become the same vector?",
    needs=("q10.vq.codebook",),
)  # fmt: skip
def restart_replaces(ctx: Context) -> None:
    for kind in (VQ, EMA):
        counts = torch.tensor([5, 0, 1, 3, 0, 2, 0, 9])
        # (min_usage or its default, pixels): with 6 pixels for 5 dead codes a draw that repeats is nearly certain
        for minimum, dead, shape in ((None, [1, 4, 6], (2, 3, 4, 5)), (3, [1, 2, 4, 5, 6], (1, 3, 2, 3)),
                                     (0, [], (2, 3, 4, 5)), (3, [1, 2, 4, 5, 6], (1, 3, 1, 2))):  # fmt: skip
            codebook, z_e = ctx.randn(8, 3), ctx.randn(*shape)
            held = loaded(ctx, kind, codebook)
            options = {} if minimum is None else {"min_usage": minimum}
            if kind == VQ:
                trained = held.handle.parameters()
                optimizer = ctx.new(TorchRef("optim.SGD"), Params(held.handle), lr=0.1)
            number = preserves(ctx, RESTART, held.handle, z_e, counts, **options)
            matches(
                ctx,
                as_number(number, "restart_dead_codes(…)"),
                float(len(dead)),
                EXACT,
                "the number of restarted codes",
            )
            now = codebook_of(ctx, held.handle, (8, 3))
            alive = [k for k in range(8) if k not in dead]
            matches(ctx, now[alive], codebook[alive], EXACT, "the codes that are in use")
            rows = pixels(z_e).reshape(-1, 3)
            for code in now[dead]:
                near = float((rows - code).abs().amax(1).min())
                expect(near <= 1e-6, "a restarted code is no pixel's vector of z_e", "one of the rows of pixels", code)
            if dead and len(rows) >= len(dead):
                expect(distinct(now[dead]) == len(dead), "restarted codes are equal to each other",
                           f"{len(dead)} different ones of {len(rows)} pixels", now[dead])  # fmt: skip
            if kind == VQ:
                (group,) = optimizer.get("param_groups")
                expect(any(p.shape == now.shape and torch.equal(p, now) for p in group["params"]),
                           "an optimizer made before the restart no longer holds the codebook",
                           "the same parameter with other values", "another parameter")  # fmt: skip
                left = held.handle.parameters()
                frozen = [name for name, wanted in trained.items() if wanted and not left.get(name, False)]
                expect(not frozen, "after a restart the codebook can no longer be trained", "a gradient as before",
                           ", ".join(frozen), hint=STILL)  # fmt: skip
        leaves_gradients_on(ctx, "restart_dead_codes")
        leaves_gradients_off(ctx, RESTART, held.handle, ctx.randn(2, 3, 4, 5), counts)


LIVE, USED = [0, 1, 2, 5], torch.tensor([4, 4, 4, 0, 0, 4])


def restarted(ctx: Context, made: Quantizer) -> Tensor:
    """Codes 3 and 4 begin anew, in directions of their own; returns the codebook."""
    size = float(made.codebook.square().mean().sqrt())
    ctx.call(RESTART, made.handle, size * ctx.randn(2, WIDE, 3, 5, dtype=torch.float32), USED)
    return codebook_of(ctx, made.handle, (6, WIDE))


def expect_new_averages(ctx: Context) -> None:
    """The pass after a restart leaves the new codes where they are, whatever counts and sums the dead ones had."""
    made = wide(ctx, 6, decay=0.5)
    for _ in range(3):  # counts of the dead codes fall to an eighth
        made.handle(codes_at(made.codebook, torch.tensor([[LIVE[:2], LIVE[2:]]])))
    new = restarted(ctx, made)[3:5]
    made.handle(codes_at(made.codebook, torch.tensor([[LIVE[:2], LIVE[2:]]])))
    now = codebook_of(ctx, made.handle, (6, WIDE))[3:5]
    # nothing chose them: only smoothing, about 1e-5 of the value, may show. What a pass does to a code that nothing
    # chose has its own check, and is a hundredth; drawn back means back to where it was, at a right angle
    expect(float((now - new).norm() / new.norm()) <= 0.1, "a restarted code is drawn back by the next update",
               new, now, hint="What do count and sum of a restarted code say about where it is?")  # fmt: skip


def expect_old_averages(ctx: Context) -> None:
    """The pass after a restart moves the other codes as if there had been none."""
    made = wide(ctx, 6, decay=0.6, epsilon=1e-9)
    averages = Averages(torch.ones(6, dtype=torch.float64), made.codebook.double())
    size = float(made.codebook.square().mean().sqrt())

    def passed(numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The codebook after a pass of pixels on one side of their codes, and where it should be."""
        z_e = codes_at(made.codebook + size * ctx.rand(1, WIDE, low=0.2, high=0.4).float(), numbers)
        *_, indices = quantized(ctx, made.handle(z_e), z_e, 6)
        wanted = averages.step(z_e, indices, 0.6).float()
        return codebook_of(ctx, made.handle, (6, WIDE)), wanted

    now, wanted = passed(torch.arange(6).repeat(6).reshape(3, 3, 4))
    if not alike(now, wanted, rtol=1e-3, atol=1e-3 * size):
        return  # how averages move has its own check
    restarted(ctx, made)
    # counts are 3 by now, or 1 where they were forgotten: then a code goes two thirds of the way, not two fifths
    now, wanted = (codes[LIVE] for codes in passed(torch.tensor(LIVE).repeat(3).reshape(1, 3, 4)))
    expect(alike(now, wanted, rtol=1e-3, atol=1e-3 * size), "a restart changes how the other codes move afterwards",
               wanted, now, hint="Which codes start anew, and what have the others learned so far?")  # fmt: skip


@declare(
    id="q10.restart.random", question=10, kind="statistical", points=0.25, visibility="hidden",
    title="restart_dead_codes: drawn at random from all pixels",
    asks="every pixel of every image is equally likely; generator decides the draw, and goes on with each; a restarted "
    "EMA code is not drawn back, and the averages of the others go on",
    hint="From which images and rows do the new codes come? What do the running averages still remember?",
    needs=("q10.restart.replaces",),
)  # fmt: skip
def restart_random(ctx: Context) -> None:
    # 400 of 1600 pixels: 4 images of 20 x 20. Shares of images and of quarters of the rows and columns: 12 counts of
    # a hypergeometric law, narrower than binomial(400, 1/4); 12 x 5e-8 = 6e-7 false alarms. A draw from one image or
    # the first pixels gives a count of 400 or 0.
    low, high = count_bounds(400, 0.25, 5e-8)
    place = torch.arange(1600, dtype=torch.float64).reshape(4, 1, 20, 20)
    made = loaded(ctx, VQ, ctx.randn(400, 1))
    dead = torch.zeros(400, dtype=torch.int64)

    def drawn(source: Gen | Handle) -> Tensor:
        ctx.call(RESTART, made.handle, place, dead, generator=source)
        return codebook_of(ctx, made.handle, (400, 1)).flatten().round().long()

    first = drawn(Gen(ctx.seed))
    parts = {"images": first // 400, "rows": first % 400 // 20 // 5, "columns": first % 20 // 5}
    for what, part in parts.items():
        found = torch.bincount(part, minlength=4)
        expect(bool(((found >= low) & (found <= high)).all()), f"some {what} give too many or too few new codes",
                   f"each quarter of the {what} gives {low} to {high} of 400", found)  # fmt: skip
    other = drawn(Gen(ctx.seed + 1))
    expect(not torch.equal(other.sort().values, first.sort().values), "two generators give the same draw",
               "other pixels", "the same 400 of 1600 pixels")  # fmt: skip
    expect(torch.equal(drawn(Gen(ctx.seed)), first), "the generator given does not decide the draw",
               "the same draw for the same generator", "another draw")  # fmt: skip
    source = ctx.new(TorchRef("Generator"))
    expect(not torch.equal(drawn(source), drawn(source)), "a generator gives the same draw each time it is used",
               "other pixels", "the same 400 of 1600 pixels, in the same order", hint="A generator that was used "
               "has moved on. Has the one that you were given?")  # fmt: skip
    expect_new_averages(ctx)
    expect_old_averages(ctx)


AVERAGES: tuple[Check, ...] = (
    ema_buffer, ema_forward, ema_update, ema_steady, ema_converges, ema_modes, usage, perplexity, restart_replaces,
    restart_random,
)  # fmt: skip
