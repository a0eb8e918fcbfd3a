"""How often codes are used, and what becomes of those that are not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import (
    as_number,
    as_tensor,
    expect,
    leaves_gradients_off,
    leaves_gradients_on,
    preserves,
    raises,
)
from ...check.failure import EXACT, INHERIT, Failure, Tolerance
from ...check.forall import forall
from ...check.shown import alike, show
from ...check.statistics import count_bounds
from ...check.values import Gen, Handle, Params, TorchRef
from ..shared.known import Known, matches_or_says
from .averages import Averages
from .both import RESTART
from .codebook import (
    EMA,
    EMA_PART,
    PART,
    VQ,
    WIDE,
    Quantizer,
    chosen,
    codebook_of,
    codes_at,
    distinct,
    loaded,
    pixels,
    precision,
    wide,
)

USAGE, PERPLEXITY = "vqvae.code_usage", "vqvae.perplexity"
WHOLE_CODEBOOK = "Which length has the result when the last codes are never used?"


@declare(
    id="q10.usage", question=10, kind="property", points=0.25, visibility="public",
    title="code_usage",
    asks="code_usage counts every code, also those that never occur, as int64 (K,), and refuses an index outside 0…K-1",
    hint=WHOLE_CODEBOOK,
    needs=(),
)  # fmt: skip
def usage(ctx: Context) -> None:
    for shape in ((3, 4, 5), (1, 7, 7), (11,)):
        indices = ctx.randint(0, 5, *shape)  # K = 9: some codes never occur
        indices.view(-1)[:3] = torch.tensor([0, 4, 4])
        wanted = torch.tensor([int((indices == k).sum()) for k in range(9)])
        value = preserves(ctx, USAGE, indices, 9)
        if isinstance(value, Tensor) and value.ndim == 1 and len(value) != 9:
            upto = " (up to the largest index that occurs, 4)" if len(value) == 5 else ""
            raise Failure("code_usage(indices, num_embeddings=9) does not have one entry for each code", "9 entries",
                          f"{len(value)} entries{upto}", hint=WHOLE_CODEBOOK)  # fmt: skip
        counted = "How often does each code occur: is that asked, or something about it?"
        known = [Known("1 for each code that occurs", counted, wanted.clamp(max=1)),
                 Known("the counts in order of size", "Which entry belongs to which code?",
                       wanted.sort(descending=True).values)]  # fmt: skip
        as_tensor(value, (9,), "code_usage(indices, 9)", dtype=torch.int64, hint="What type have counts?"
                  if isinstance(value, Tensor) and value.shape == (9,) else INHERIT)  # fmt: skip
        matches_or_says(ctx, value, wanted, EXACT, "code_usage(indices, 9)", known, hint=counted)
    for bad in (-1, 9, 12):
        indices = ctx.randint(0, 5, 2, 3, 4)
        indices[1, 2, 0] = bad
        hint = ("What does an index of -1 mean to Python, and what should it mean here?" if bad < 0 else
                "Which numbers can a code have, if there are K of them?")  # fmt: skip
        raises(ctx, "ValueError", USAGE, indices, 9, names="indices", hint=hint,
               case=f"code_usage(indices, num_embeddings=9) where one index is {bad}")  # fmt: skip


def other_perplexities(counts: Sequence[int]) -> list[Known]:
    """What is not the exponential of the entropy, or not of that."""
    share = torch.tensor(counts, dtype=torch.float64) / sum(counts)
    entropy = float(torch.special.entr(share).sum())
    base = "Are entropy and exponential to the same base?"
    effective = "How many codes are in use, effectively, when two of eight share all pixels equally?"
    number = "An entropy is no number of codes. What turns one into the other?"
    return [
        Known("the entropy itself, in nats", number, entropy),
        Known("the entropy itself, in bits", number, entropy / math.log(2)),
        Known("e to the power of the entropy in bits", base, math.exp(entropy / math.log(2))),
        Known("2 to the power of the entropy in nats", base, 2**entropy),
        Known("the number of codes that occur, whatever their shares", effective, float((share > 0).sum())),
        Known("the number of all codes", effective, float(len(counts))),
        Known("one over the exponential of the entropy", "Which sign has an entropy?", math.exp(-entropy)),
        Known("one over the sum of squared shares", "Which entropy does the handout's perplexity rest on?",
              1 / float(share.square().sum())),
    ]  # fmt: skip


@declare(
    id="q10.perplexity", question=10, kind="property", points=0.5, visibility="public",
    title="perplexity",
    asks="exp of the entropy of the shares of the codes: K for uniform usage, 1 for a single code, finite if codes are "
    "unused",
    hint="How many codes are in use, effectively, when two of eight share all pixels equally?",
    needs=(),
)  # fmt: skip
def perplexity(ctx: Context) -> None:
    tol = Tolerance(1e-4, 1e-4, "float32, and an epsilon inside a logarithm that keeps it finite")
    unused = "What is p log p for a code that never occurs, in the limit and in floating point?"

    def expect_value(counts: list[int], shape: tuple[int, ...] = (1, -1, 1)) -> None:
        total = sum(counts)
        wanted = math.exp(-sum(n / total * math.log(n / total) for n in counts if n))
        indices = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
        indices = indices[torch.randperm(total, generator=torch.Generator().manual_seed(total))].reshape(shape)
        what = f"perplexity of indices in which the codes occur {counts} times" if len(counts) < 10 else "perplexity"
        value = ctx.call(PERPLEXITY, indices, len(counts))
        got = as_number(value, what, hint=unused if 0 in counts and isinstance(value, Tensor) and value.ndim == 0
                        else INHERIT)  # fmt: skip
        matches_or_says(ctx, got, wanted, tol, what, other_perplexities(counts), hint=INHERIT)

    expect_value([6, 2, 1, 3])
    expect_value([4, 0, 2, 0, 0, 0], (2, 3))
    for count in (1, 2, 6, 40):
        expect_value([12] * count, (count, 3, 4))
        expect_value([0] * (count - 1) + [30], (3, 2, 5))
    counts = st.lists(st.integers(0, 30), min_size=1, max_size=9).filter(any)
    forall(ctx, expect_value, counts=counts, examples=20)


STILL = "Can a code that has begun anew still learn from the next batch?"
PIXEL_VECTOR = "Which numbers of (B, D, H, W) are one pixel's vector?"


def expect_restarted(ctx: Context, kind: str, minimum: int | None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """One restart: which codes it replaces, by what, and what it leaves as it was."""
    counts = torch.tensor([5, 0, 1, 3, 0, 2, 0, 9])
    border = 1 if minimum is None else minimum
    dead = [k for k in range(8) if counts[k] < border]
    held = loaded(ctx, kind, ctx.randn(8, 3).to(dtype))
    z_e = ctx.randn(*shape).to(held.codebook.dtype)
    trained = held.handle.parameters()
    optimizer = ctx.new(TorchRef("optim.SGD"), Params(held.handle), lr=0.1) if any(trained.values()) else None
    number = preserves(ctx, RESTART, held.handle, z_e, counts, **({} if minimum is None else {"min_usage": minimum}))
    now = codebook_of(ctx, held.handle, (8, 3))
    below = f"usage={counts.tolist()} and min_usage={'left out (1)' if minimum is None else minimum}"
    number = as_number(number, "what restart_dead_codes returns")
    moved = [k for k in range(8) if not torch.equal(now[k], held.codebook[k])]
    for k in moved:
        expect(k in dead, f"code {k} was used {int(counts[k])} times and is replaced, with {below}",
               "the code as before", "another code",
               hint="From which usage on does a code keep its place? Who decides that?")  # fmt: skip
    rows = pixels(z_e).reshape(-1, 3)
    for k in dead:
        expect(k in moved, f"code {k} was used {int(counts[k])} times and is not replaced, with {below}",
               "a pixel's vector", "the code as before",
               hint="Below which usage does a code begin anew? Who decides that?")  # fmt: skip
        near = float((rows - now[k]).abs().amax(1).min())
        cut = float((z_e.reshape(-1, 3) - now[k]).abs().amax(1).min()) <= 1e-6 < near
        inside = "" if cut else "Where do the new codes come from: from z_e, and as they are?"
        if near > 1e-6:
            raise Failure(f"restarted code {k} is the vector of no pixel", "z_e[b, :, h, w] of some pixel",
                          show(now[k].tolist(), 3), looks="D numbers in a row, as z_e lies in memory" if cut else "",
                          hint=inside or PIXEL_VECTOR)  # fmt: skip
    if dead and len(rows) >= len(dead):
        expect(distinct(now[dead]) == len(dead), f"{len(dead)} codes are restarted from {len(rows)} different pixels, "
               "and some become equal", f"{len(dead)} different codes", f"{distinct(now[dead])} different codes",
               hint="Could two dead codes become the same vector? What do you draw with, or without?")  # fmt: skip
    lives = number == 8 - len(dead)
    if number != len(dead):
        raise Failure(f"restart_dead_codes returns another number than that of the codes it replaced, with {below}",
                      str(len(dead)), f"{number:g}", looks="the number of codes that are in use" if lives else "",
                      hint="How many codes have another place after the call than before?")  # fmt: skip
    if optimizer is not None:
        (group,) = optimizer.get("param_groups")
        sides = [p for p in group["params"] if isinstance(p, Tensor)]
        expect(any(alike(p, now) or alike(p, now.T) for p in sides),
               "an optimizer made before the restart no longer holds the codebook",
               "the same parameter with other values", "another parameter",
               hint="The optimizer was made before. Which object does it hold, and which one does the quantizer hold "
               "now?")  # fmt: skip
        left = held.handle.parameters()
        frozen = [name for name, wanted in trained.items() if wanted and not left.get(name, False)]
        expect(not frozen, "after a restart the codebook can no longer be trained", "a gradient as before",
               f"no gradient for {', '.join(frozen)}", hint=STILL)  # fmt: skip


@declare(
    id="q10.restart.replaces", question=10, kind="property", points=0.5, visibility="public",
    title="restart_dead_codes: which codes, and by what",
    asks="exactly the codes with usage below min_usage become pixel vectors of z_e, different ones as far as there are "
    "enough; the others stay; the number of replaced codes comes back; the optimizer keeps its codebook, which still "
    "has gradients, as what comes after has",
    hint="Which codes begin anew, and from where do they get their place?",
    needs=(), parts=(PART, EMA_PART),
)  # fmt: skip
def restart_replaces(ctx: Context) -> None:
    dtype = precision(ctx, VQ, EMA)
    for kind in (VQ, EMA):
        # with 6 pixels for 5 dead codes a draw that repeats is nearly certain
        for minimum, shape in ((None, (2, 3, 4, 5)), (3, (1, 3, 2, 3)), (0, (2, 3, 4, 5)), (3, (1, 3, 1, 2))):
            expect_restarted(ctx, kind, minimum, shape, dtype)
        leaves_gradients_on(ctx, "restart_dead_codes")
        held = loaded(ctx, kind, ctx.randn(8, 3).to(dtype))
        z_e = ctx.randn(2, 3, 4, 5).to(held.codebook.dtype)
        leaves_gradients_off(ctx, RESTART, held.handle, z_e, torch.tensor([5, 0, 1, 3, 0, 2, 0, 9]))


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
    away = float((now - new).norm() / new.norm())
    expect(away <= 0.1, "a restarted code of an EMAVectorQuantizer, which no pixel chooses in the next training pass, "
           "is moved by that pass", "where the restart put it", f"moved by {away:.2g} of its length",
           hint="What do count and sum of a restarted code say about where it is?")  # fmt: skip


def expect_old_averages(ctx: Context) -> None:
    """The pass after a restart moves the other codes as if there had been none."""
    made = wide(ctx, 6, decay=0.6, epsilon=1e-9)
    averages = Averages(made.codebook, 0.6)
    size = float(made.codebook.square().mean().sqrt())

    def passed(numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The codebook after a pass of pixels on one side of their codes, and where it should be."""
        z_e = codes_at(made.codebook + size * ctx.rand(1, WIDE, low=0.2, high=0.4).float(), numbers)
        wanted = averages.step(z_e, chosen(made.handle(z_e), z_e, made.codebook)).float()
        return codebook_of(ctx, made.handle, (6, WIDE)), wanted

    now, wanted = passed(torch.arange(6).repeat(6).reshape(3, 3, 4))
    if not alike(now, wanted, rtol=1e-3, atol=1e-3 * size):
        return  # how averages move has its own check
    restarted(ctx, made)
    # counts are 3 by now, or 1 where they were forgotten: then a code goes two thirds of the way, not two fifths
    now, wanted = (codes[LIVE] for codes in passed(torch.tensor(LIVE).repeat(3).reshape(1, 3, 4)))
    # as above: float32, and smoothing by 1e-9
    expect(alike(now, wanted, rtol=1e-3, atol=1e-3 * size), "a restart of two codes of an EMAVectorQuantizer changes "
           "how the other four move in the next training pass", "as without a restart", "by another step",
           hint="Which codes start anew, and what have the others learned so far?")  # fmt: skip


@declare(
    id="q10.restart.random", question=10, kind="statistical", points=0.25, visibility="hidden",
    title="restart_dead_codes: drawn at random from all pixels",
    asks="every pixel of every image is equally likely; generator decides the draw, and goes on with each; a restarted "
    "EMA code is not drawn back, and the averages of the others go on",
    hint="From which images and rows do the new codes come? What do the running averages still remember?",
    needs=(), parts=(PART, EMA_PART),
)  # fmt: skip
def restart_random(ctx: Context) -> None:
    # 400 of 1600 pixels: 4 images of 20 x 20. Shares of images and of quarters of the rows and columns: 12 counts of
    # a hypergeometric law, narrower than binomial(400, 1/4); 12 x 5e-8 = 6e-7 false alarms. A draw from one image or
    # the first pixels gives a count of 400 or 0.
    low, high = count_bounds(400, 0.25, 5e-8)
    made = loaded(ctx, VQ, ctx.randn(400, 1).to(precision(ctx, VQ)))
    place = torch.arange(1600).to(made.codebook.dtype).reshape(4, 1, 20, 20)
    dead = torch.zeros(400, dtype=torch.int64)

    def drawn(source: Gen | Handle) -> Tensor:
        ctx.call(RESTART, made.handle, place, dead, generator=source)
        now = codebook_of(ctx, made.handle, (400, 1)).flatten().round()
        expect(bool(((now >= 0) & (now < 1600)).all()), "a restarted code is the vector of no "
               "pixel", "one of the 1600 pixels", now, hint="Where do the new codes come from: from z_e, and as they "
               "are?")  # fmt: skip
        return now.long()

    first = drawn(Gen(ctx.seed))
    parts = {"images": first // 400, "rows": first % 400 // 20 // 5, "columns": first % 20 // 5}
    for what, part in parts.items():
        found = torch.bincount(part, minlength=4)
        expect(bool(((found >= low) & (found <= high)).all()), "400 codes restarted from 4 images of 20x20 pixels: "
               f"the quarters of the {what} do not have equal chances", f"each quarter gives {low} to {high}",
               found.tolist(), hint="From which images, rows and columns may a new code come?")  # fmt: skip
    other = drawn(Gen(ctx.seed + 1))
    same = "What decides which pixels are drawn, and who may decide it?"
    expect(not torch.equal(other.sort().values, first.sort().values), "two generators with different seeds give the "
           "same draw", "other pixels", "the same 400 of 1600 pixels", hint=same)  # fmt: skip
    expect(torch.equal(drawn(Gen(ctx.seed)), first), "two generators with the same seed do not give the same draw",
           "the same draw", "another draw", hint=same)  # fmt: skip
    source = ctx.new(TorchRef("Generator"))
    expect(not torch.equal(drawn(source), drawn(source)), "one generator gives the same draw in two calls",
           "other pixels", "the same 400 of 1600 pixels, in the same order", hint="A generator that was used "
           "has moved on. Has the one that you were given?")  # fmt: skip
    expect_new_averages(ctx)
    expect_old_averages(ctx)
