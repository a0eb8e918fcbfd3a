"""Question 10: the quantizer with running averages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import expect
from ...check.failure import FLOAT32, INHERIT, Failure, Tolerance
from ...check.shown import alike, show, show_both
from ...check.values import TorchRef
from ..shared.known import Known, matches_or_says
from .codebook import (
    EMA,
    QUANTIZER_LOSS,
    WIDE,
    chosen,
    codebook_of,
    codes_at,
    expect_loads,
    expect_steps,
    fixed_case,
    indices_of,
    loaded,
    loss_of,
    own,
    own_apart,
    pixels,
    precision,
    settled,
    wide,
    z_q_of,
)
from .quantizer import (
    expect_codes,
    expect_commitment,
    expect_follows,
    expect_lookup,
    expect_nearest,
    expect_passes,
    other_codes,
    other_losses,
)


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
    expect(not trained, "the EMA quantizer has parameters that an optimizer would move", "none", ", ".join(trained),
           hint=INHERIT)  # fmt: skip
    expect_loads(ctx, EMA, 6, 4)


@declare(
    id="q10.ema.codes", question=10, kind="property", points=0.25, visibility="public",
    title="EMAVectorQuantizer: nearest codes",
    asks="indices, z_q and lookup as in VectorQuantizer; in training mode with the codes as they are before the update",
    hint="Which codes are compared with the pixels, and which are handed back?",
    needs=(),
)  # fmt: skip
def ema_codes(ctx: Context) -> None:
    codebook, z_e = fixed_case(ctx, precision(ctx, EMA))
    for mode, where in ((False, "evaluation"), (True, "training")):
        held = loaded(ctx, EMA, codebook)
        z_e = settled(ctx, held, z_e.to(held.codebook.dtype))
        value = held.handle.train(mode)(z_e)
        expect_nearest(ctx, z_e, held.codebook, indices_of(value, z_e, 6), f" in {where} mode")
        numbers = chosen(value, z_e, held.codebook)
        late = codes_at(codebook_of(ctx, held.handle, (6, 3)), indices_of(value, z_e, 6))
        known = [Known("the codes as they are after the update of this pass", "Of which codes was the nearest chosen, "
                       "and when did they move to where z_q has them?", late)]  # fmt: skip
        known += other_codes(held.codebook, numbers, z_e)
        expect_codes(ctx, z_q_of(value, z_e), held, numbers, f"z_q in {where} mode", known)
    expect_lookup(ctx, EMA)
    expect_follows(ctx, EMA)


@declare(
    id="q10.ema.forward", question=10, kind="gradient", points=0.25, visibility="public",
    title="EMAVectorQuantizer: commitment loss and gradients",
    asks="vq_loss is commitment_cost times the commitment term only; gradients pass straight through, step after step; "
    "the same in both modes; commitment_cost is .25 unless given",
    hint="Averages already move the codes. Which of the two loss terms is left, and what is its weight?",
    needs=(),
)  # fmt: skip
def ema_forward(ctx: Context) -> None:
    codebook, z_e = fixed_case(ctx, precision(ctx, EMA))
    for mode, beta in ((False, 0.7), (True, 3.0), (True, None), (False, 0.0)):
        options, cost = ({}, 0.25) if beta is None else ({"commitment_cost": beta}, beta)
        held = loaded(ctx, EMA, codebook, **options)
        z_e = settled(ctx, held, z_e.to(held.codebook.dtype))
        value = held.handle.train(mode)(z_e)
        error = (codes_at(held.codebook, chosen(value, z_e, held.codebook)) - z_e).square()
        where = "training" if mode else "evaluation"
        what = f"vq_loss in {where} mode with commitment_cost {'left out' if beta is None else f'{cost:g}'}"
        mean = float(error.mean())
        known = [
            Known("the loss of the other quantizer, with both terms",
                  "This is the loss of the other quantizer. Which term has nothing to move here?", (1 + cost) * mean),
            Known("the commitment term without its weight", "What is the weight of the term that is left?", mean),
            Known("what commitment_cost = 0.25 gives", "Which commitment_cost was asked for, and which one does your "
                  "loss see?", 0.25 * mean),
            Known("what commitment_cost = 1 gives", "What is the weight of the term that is left?", mean),
        ]  # fmt: skip
        loss = loss_of(value, z_e)
        if not alike(loss, cost * (z_q_of(value, z_e) - z_e).square().mean(), 1e-4, 1e-6):
            known += other_losses(math.sqrt(cost / (1 + cost)) * error, cost) if cost else []
            matches_or_says(ctx, loss, cost * error.mean(), held.tol, what, known, hint=INHERIT)
        again = loaded(ctx, EMA, codebook, **options)
        expect_passes(ctx, again.handle.train(mode), z_e, mode)
        again = loaded(ctx, EMA, codebook, **options)
        expect_commitment(ctx, again.handle.train(mode), z_e, held.codebook, cost, cost, f" in {where} mode")
    layers = [ctx.new(TorchRef("nn.Conv2d"), 1, 3, 1), own(ctx, EMA, 6, 3).handle]
    trained = ctx.new(TorchRef("nn.Sequential"), *layers)
    expect_steps(ctx, trained, ctx.randn(2, 1, 4, 5, dtype=torch.float32), [QUANTIZER_LOSS], "EMAVectorQuantizer")


# ---- only training moves it ---------------------------------------------------------------------------------------


def around(ctx: Context, codebook: Tensor, numbers: Tensor, spread: float) -> Tensor:
    """A z_e whose pixels lie around the codes `numbers`, at `spread` times the smallest distance between codes."""
    gaps = torch.pdist(codebook.double())
    noise = ctx.rand(*numbers.shape, codebook.shape[1], low=-1, high=1) / math.sqrt(codebook.shape[1])
    return (codebook[numbers].double() + spread * float(gaps.min()) * noise).permute(0, 3, 1, 2).to(codebook.dtype)


@declare(
    id="q10.ema.modes", question=10, kind="property", points=0.5, visibility="public",
    title="EMAVectorQuantizer: only training moves it",
    asks="in evaluation mode no entry of the state changes, with or without gradients; in training mode the codebook "
    "does",
    hint="Is evaluating a model on the test set allowed to change it?",
    needs=(),
)  # fmt: skip
def ema_modes(ctx: Context) -> None:
    made = own_apart(ctx, 6, 4)
    z_e = around(ctx, made.codebook, ctx.randint(0, 6, 2, 3, 5), 0.8)
    made.handle.eval()
    before = made.handle.state()
    changed = {}
    for where, call in (("with gradients on", ctx.session.call), ("under torch.no_grad()", ctx.session.infer)):
        made.handle.load(before)
        call(made.handle, z_e)
        now = made.handle.state()
        changed[where] = [name for name, value in now.items() if not torch.equal(value, before[name])]
    if any(changed.values()):
        made.handle.load(before)
        made.handle.train()(z_e)
        moves = not torch.equal(codebook_of(ctx, made.handle), made.codebook)
        said = [f"{where}: {', '.join(names) or 'nothing'}" for where, names in changed.items()]
        raise Failure("a pass in evaluation mode changes the state", "nothing changes", "; ".join(said) + "; in "
                      f"training mode the codebook {'moves' if moves else 'stays as it is'}", hint=INHERIT)  # fmt: skip
    made.handle.load(before)
    for grad in (True, False):
        known = codebook_of(ctx, made.handle)
        made.handle.train()
        (ctx.session.call if grad else ctx.session.infer)(made.handle, z_e)
        expect(not torch.equal(codebook_of(ctx, made.handle), known),
               f"a pass in training mode{'' if grad else ' under torch.no_grad()'} leaves the codebook as it was",
               "a moved codebook", "the same codebook",
               hint="In which mode do running averages move, and how does your code know the mode?")  # fmt: skip


# ---- counts and sums ----------------------------------------------------------------------------------------------


@dataclass
class Averages:
    """The running counts and sums of the handout; with other settings, those of somebody who got something wrong."""

    codebook: Tensor
    decay: float
    words: str = ""
    question: str = INHERIT
    gain: float | None = None  # of the batch: 1 - decay
    start_count: float = 1.0
    start_sums: float = 1.0  # times the codebook
    of_means: bool = False  # the mean of a code's vectors in place of their sum
    keeps_unused: bool = False
    divides: bool = True
    added: float = 0.0  # to every count
    counts: Tensor = field(init=False)
    sums: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.counts = torch.full((len(self.codebook),), self.start_count, dtype=torch.float64)
        self.sums = self.start_sums * self.codebook.double()

    def step(self, z_e: Tensor, indices: Tensor) -> Tensor:
        """One update; returns the codebook."""
        members = F.one_hot(indices.flatten(), len(self.counts)).double()
        number, total = members.sum(0), members.T @ pixels(z_e).flatten(0, 2).double()
        if self.of_means:
            total = total / number.clamp(min=1)[:, None]
        gain = 1 - self.decay if self.gain is None else self.gain
        idle = (number == 0) & self.keeps_unused
        self.counts = torch.where(idle, self.counts, self.decay * self.counts + gain * number)
        self.sums = torch.where(idle[:, None], self.sums, self.decay * self.sums + gain * total)
        return self.sums / (self.counts + self.added)[:, None] if self.divides else self.sums


BEFORE = "What are count and sum of a code before the first pass, and what is their quotient?"
UNUSED = "What happens in a pass to count and sum of a code that no pixel chose?"


def variants(codebook: Tensor, decay: float, epsilon: float) -> list[Averages]:
    """What somebody may do instead."""
    shares = "Which share of the old value stays in a pass, and which share of the new one comes in?"
    return [
        Averages(codebook, decay, "what counts that start at 0 give", BEFORE, start_count=0.0, added=epsilon),
        Averages(codebook, decay, "what sums that start at 0 give", BEFORE, start_sums=0.0),
        Averages(codebook, 1 - decay, "what comes out with decay and 1 - decay exchanged", shares),
        Averages(codebook, 1.0, "what counts and sums that only grow give", shares, gain=1.0),
        Averages(codebook, decay, "what comes out where the batch is added without the weight 1 - decay", shares,
                 gain=1.0),
        Averages(codebook, decay, "what comes out with the mean of a code's vectors in place of their sum",
                 "What is added to the sum of a code that five pixels chose?", of_means=True),
        Averages(codebook, decay, "the running sums, not divided by the counts",
                 "How do a sum of vectors and their number become one code?", divides=False),
        Averages(codebook, decay, "what comes out where codes without pixels keep count and sum", UNUSED,
                 keeps_unused=True),
        Averages(codebook, decay, "what counts that are larger by 1 give",
                 "How much is added to a count for safety, and how much is it worth itself?", added=1.0),
        *(Averages(codebook, other, f"what decay = {other:g} gives",
                   "Which decay was asked for, and which one moves your counts and sums?")
          for other in (0.99, 0.9, 0.95, 0.999) if other != decay),
    ]  # fmt: skip


def expect_codes_at(
    ctx: Context, now: Tensor, wanted: Tensor, tol: Tolerance, what: str, story: Sequence[str], known: Sequence[Known]
) -> None:
    """`now` is `wanted`; else the failure shows one code, and what happened to it."""
    if not bool(((now.double() - wanted.double()).abs() <= tol.allowed(wanted, ctx.tolerance)).all()):
        raise wrong_code(now, wanted, tol, what, story, known)


def wrong_code(
    now: Tensor, wanted: Tensor, tol: Tolerance, what: str, story: Sequence[str], known: Sequence[Known]
) -> Failure:
    """The failure about the one code that is furthest off."""
    off = (now.double() - wanted.double()).abs()
    k = int(torch.where(off.isfinite(), off, math.inf).amax(1).argmax())
    reading = next((r for r in known if alike(now, r.numbers, tol.rtol + 1e-4, tol.atol)), None)
    expected, actual = show_both(wanted[k], now[k])
    return Failure(f"codebook[{k}] {what} is wrong: {story[k]}", expected, actual,
                   looks=reading.words if reading else "", hint=reading.question if reading else INHERIT)  # fmt: skip


def stories(codebook: Tensor, averages: Averages, z_e: Tensor, indices: Tensor) -> list[str]:
    """What happens to each code in the pass that comes: counts and sums before it, and what the pixels add."""
    rows, flat = pixels(z_e).flatten(0, 2), indices.flatten()
    said = []
    for k in range(len(codebook)):
        mine = rows[flat == k]
        adds = (
            f"{len(mine)} pixels chose it, whose sum is {show(mine.sum(0).tolist(), 3)}"
            if len(mine)
            else "no pixel chose it"
        )
        said.append(
            f"its count was {float(averages.counts[k]):.3g}, its sum {show(averages.sums[k].tolist(), 3)}, and {adds}"
        )
    return said


@declare(
    id="q10.ema.update", question=10, kind="property", points=0.5, visibility="public",
    title="EMAVectorQuantizer: running counts and sums",
    asks="each pass in training mode moves counts and sums by 1 - decay towards those of the batch; a code is its sum "
    "divided by its count; counts start at 1, sums at the codebook; decay is .99 unless given",
    hint="Write down count and sum of one code after one pass with two pixels. And after a pass with none?",
    needs=(),
)  # fmt: skip
def ema_update(ctx: Context) -> None:
    # Smoothing moves a code by about epsilon (1/N_k + K/N) of its value: nothing at 1e-9; at the default 1e-5 and
    # N_k >= .3^2 about 1e-4 of it, with any of the usual forms of smoothing. Which epsilon it is has its own check.
    smoothed = Tolerance(3e-4, 1e-5, "float32, and the smoothing of the counts by the default epsilon")
    for decay, epsilon in ((0.8, 1e-9), (0.3, 1e-9), (0.99, None)):
        made = own_apart(ctx, 7, 3, **({} if epsilon is None else {"decay": decay, "epsilon": epsilon}))
        made.handle.train()
        averages, others = Averages(made.codebook, decay), variants(made.codebook, decay, epsilon or 1e-5)
        codebook = made.codebook
        # few pixels or none near the last two codes; then none that choose one of the last four; then some for each
        for step, (first, end, spread) in enumerate(((0, 5, 0.8), (0, 5, 0.8), (0, 3, 0.4), (3, 7, 0.4))):
            z_e = around(ctx, codebook, ctx.randint(first, end, 2, 3, 4), spread)
            numbers = chosen(made.handle(z_e), z_e, codebook)
            story = stories(codebook, averages, z_e, numbers)
            wanted = averages.step(z_e, numbers).float()
            known = [Known(other.words, other.question, other.step(z_e, numbers).float()) for other in others]
            known.insert(0, Known("the codebook before the pass: it has not moved",
                                  "Which line of yours moves the codebook, and is it reached?", codebook))  # fmt: skip
            twice = Averages(made.codebook, decay)
            twice.counts, twice.sums = averages.counts, averages.sums
            known.append(Known("what two updates in one pass give", "How often do the averages move in one pass?",
                               twice.step(z_e, numbers).float()))  # fmt: skip
            now = codebook_of(ctx, made.handle, (7, 3))
            given = "decay left out (0.99)" if epsilon is None else f"decay={decay:g}"
            what = f"after {'1 pass' if not step else f'{step + 1} passes'} in training mode with {given}"
            expect_codes_at(ctx, now, wanted, smoothed, what, story, known)
            codebook = now


@declare(
    id="q10.ema.smoothing", question=10, kind="property", points=0.25, visibility="public",
    title="EMAVectorQuantizer: smoothed counts",
    asks="epsilon smooths the counts that a sum is divided by, not the running counts themselves; a code that nothing "
    "chooses for long stays finite",
    hint="Which role does epsilon play in the quotient, and what becomes of a count that nothing adds to?",
    needs=(),
)  # fmt: skip
def ema_smoothing(ctx: Context) -> None:
    # The docstring's form keeps the total; N_k + epsilon and max(N_k, epsilon) are as good: whoever has one, has it in
    # every pass. With epsilon = 2 all three differ from each other and from no smoothing.
    epsilon, decay = 2.0, 0.8
    if averages_move(ctx, decay):  # if not, that has its own check
        expect_smoothed(ctx, epsilon, decay)
    made = own_apart(ctx, 5, 3, decay=1e-3)
    made.handle.train()
    z_e = codes_at(made.codebook, ctx.randint(0, 3, 2, 3, 4))  # codes 3 and 4 get nothing: 1e-3^20 is 0 in float32
    for _ in range(20):
        ctx.session.infer(made.handle, z_e)
    now = codebook_of(ctx, made.handle, (5, 3))
    bad = [k for k in range(5) if not bool(now[k].isfinite().all())]
    expect(not bad, f"codebook[{bad[0] if bad else 0}], which no pixel chose in 20 passes with decay=0.001, is not "
           "finite", "finite numbers only", now[bad[0]] if bad else now,
           hint="Where does the count of a code end that nothing chooses, and what is divided by it?")  # fmt: skip


def averages_move(ctx: Context, decay: float) -> bool:
    """Whether two passes give the quotients of the running sums and counts, where smoothing does nothing."""
    made = own_apart(ctx, 7, 3, decay=decay, epsilon=1e-9)
    made.handle.train()
    averages, codebook = Averages(made.codebook, decay), made.codebook
    for _ in range(2):
        z_e = around(ctx, codebook, ctx.randint(0, 5, 2, 3, 4), 0.4)
        wanted = averages.step(z_e, chosen(made.handle(z_e), z_e, codebook)).float()
        codebook = codebook_of(ctx, made.handle, (7, 3))
        if not alike(codebook, wanted, FLOAT32.rtol, FLOAT32.atol):
            return False
    return True


def expect_smoothed(ctx: Context, epsilon: float, decay: float) -> None:
    """A large epsilon enters the counts that sums are divided by, in one of the usual forms, and only there."""
    made = own_apart(ctx, 7, 3, decay=decay, epsilon=epsilon)
    made.handle.train()
    averages, codebook = Averages(made.codebook, decay), made.codebook
    fitting = {"the docstring's", "added", "at least"}
    stored = torch.ones(7, dtype=torch.float64)
    for step in range(4):
        z_e = around(ctx, codebook, ctx.randint(0, 5, 2, 3, 4), 0.4)
        numbers = chosen(made.handle(z_e), z_e, codebook)
        story = stories(codebook, averages, z_e, numbers)
        plain = averages.step(z_e, numbers)
        count, total = averages.counts, averages.counts.sum()
        keeping = (count + epsilon) / (total + 7 * epsilon) * total
        forms = {"the docstring's": keeping, "added": count + epsilon, "at least": count.clamp(min=epsilon)}
        now = codebook_of(ctx, made.handle, (7, 3))
        # smoothed counts that take the place of the running ones
        number = torch.bincount(numbers.flatten(), minlength=7)
        stored = decay * stored + (1 - decay) * number
        stored = (stored + epsilon) / (stored.sum() + 7 * epsilon) * stored.sum()
        right = {name for name, counts in forms.items()
                 if alike(now, (averages.sums / counts[:, None]).float(), FLOAT32.rtol, FLOAT32.atol)}  # fmt: skip
        fitting &= right
        if not fitting:
            twice = "Smoothed once, a count is divided by. What happens in the next pass to a count that was smoothed?"
            known = [
                Known("what comes out without any epsilon", "Which epsilon was asked for? Where does it enter?", plain),
                Known("what comes out with smoothed counts that were kept as the running counts", twice,
                      averages.sums / stored[:, None]),
                Known("what epsilon = 1e-5 gives", "Which epsilon was asked for, and which one do your counts see?",
                      averages.sums / ((count + 1e-5) / (total + 7e-5) * total)[:, None]),
            ]  # fmt: skip
            what = f"after {'1 pass' if not step else f'{step + 1} passes'} in training mode with decay={decay}, " \
                   f"epsilon={epsilon:g}"  # fmt: skip
            raise wrong_code(now, (averages.sums / keeping[:, None]).float(), FLOAT32, what, story, known)
        codebook = now


def expect_still(before: Tensor, now: Tensor, which: slice, what: str, hint: str) -> None:
    """Codes stay where they were: what smoothing does to them, a few 1e-5 of their length, does not count."""
    was, found = before[which].double(), now[which].double()
    off = (found - was).abs().amax(1) / was.abs().amax(1)
    if bool((off <= 1e-3).all()):
        return
    row = int(torch.where(off.isfinite(), off, math.inf).argmax())
    longer = float(found[row].norm() / was[row].norm())
    turned = float(F.cosine_similarity(found[row], was[row], dim=0))
    raise Failure(f"codebook[{row + (which.start or 0)}], {what}, moves", "where it was",
                  f"{longer:.4g} times as long, at the cosine {turned:.4g} to where it was", hint=hint)  # fmt: skip


@declare(
    id="q10.ema.steady", question=10, kind="property", points=0.25, visibility="public",
    title="EMAVectorQuantizer: nothing jumps",
    asks="codes that get exactly themselves stay where they are, and so do codes that no pixel chose",
    hint="What are count and sum of a code before the first pass? What is their quotient?",
    needs=(),
)  # fmt: skip
def ema_steady(ctx: Context) -> None:
    for decay in (0.99, 0.9):
        made = wide(ctx, 8, decay=decay)
        numbers = torch.cat([torch.arange(5), ctx.randint(0, 5, 19)]).reshape(24, 1, 1)  # codes 5…7 get nothing
        z_e = codes_at(made.codebook, numbers)
        for step in range(3):
            made.handle(z_e)
            now = codebook_of(ctx, made.handle, (8, WIDE))
            # counts stay above .9^3, so that smoothing by 1e-5 changes a code by less than 2e-5 of its value a pass
            expect_still(made.codebook, now, slice(5, 8), f"which no pixel chose in {step + 1} passes", UNUSED)
            expect_still(made.codebook, now, slice(0, 5), f"which got nothing but its own vector in {step + 1} passes",
                         BEFORE)  # fmt: skip


@declare(
    id="q10.ema.converges", question=10, kind="property", points=0.25, visibility="hidden",
    title="EMAVectorQuantizer: codes go to the means of their pixels",
    asks="shown the same pixels again and again, each code ends at the mean of the pixels that choose it",
    hint="Where does the quotient of two running averages end when every pass adds the same?",
    needs=(),
)  # fmt: skip
def ema_converges(ctx: Context) -> None:
    made = wide(ctx, 5, decay=0.6)
    # every code has pixels, within a sixth of the distance between codes: assignments never change
    numbers = torch.cat([torch.arange(5).repeat(2), ctx.randint(0, 5, 14)]).reshape(24, 1, 1)
    z_e = around(ctx, made.codebook, numbers, 1 / 6)
    for _ in range(30):  # .6^30 = 2e-7
        made.handle(z_e)
    rows, flat = pixels(z_e).flatten(0, 2), numbers.flatten()
    means = torch.stack([rows[flat == k].mean(0) for k in range(5)])
    off = float((codebook_of(ctx, made.handle, (5, WIDE)) - means).abs().max())
    spread = float(made.codebook.square().mean().sqrt())
    # 2e-7 of the start is left; the rest is smoothing by the default epsilon
    expect(off <= 1e-2 * spread, "after 30 passes with the same pixels and decay=0.6 codes are not at the means of "
           "their pixels", means, codebook_of(ctx, made.handle), hint=INHERIT)  # fmt: skip
