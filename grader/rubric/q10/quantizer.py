"""Vector quantisation, against brute force and gradients in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import random, seeds
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import expect, preserves
from ...check.failure import EXACT, INHERIT, Failure
from ...check.forall import forall
from ...check.shown import alike, show
from ...check.values import Handle
from ..shared.known import Known, matches_or_says, recognised
from .codebook import (
    VQ,
    Quantizer,
    as_codebook,
    chosen,
    codes_at,
    distances,
    expect_flows,
    expect_loads,
    fixed_case,
    indices_of,
    loaded,
    loss_of,
    own,
    pixels,
    precision,
    put,
    settled,
    tolerance,
    z_q_of,
)

FEED_A_CODE = "Feed an image whose every pixel is one of the codes: which index should each pixel get?"
WHOSE_NUMBERS = "And which numbers of (B, D, H, W) form the vector of one pixel?"
REMEMBERED = "The codes changed between two calls. What do you still remember of the old ones?"
MEAN = "This loss grows with the size of z_e. Is it a mean over elements?"
NO_PATH = "argmin has no gradient. How does the encoder learn from the reconstruction?"


@declare(
    id="q10.vq.codebook", question=10, kind="property", points=0.25, visibility="public",
    title="VectorQuantizer: the codebook is a parameter",
    asks="the attribute codebook is (K, D), a parameter that is trained, saved and loaded with the module",
    hint="Does the optimizer know the codebook? Does load_state_dict bring it back?",
    needs=(),
)  # fmt: skip
def codebook_is_parameter(ctx: Context) -> None:
    made = own(ctx, VQ, 6, 4)
    trained = made.handle.parameters()
    expect_loads(ctx, VQ, 6, 4)
    held = ", ".join(made.entries)
    expect(any(trained.get(name, False) for name in made.entries), f"no optimizer would train the codebook ({held})",
               "a parameter that requires a gradient", f"parameters: {', '.join(trained) or 'none'}",
               hint="What does model.parameters() hand to the optimizer, and is the codebook among it?")  # fmt: skip


# ---- which code ---------------------------------------------------------------------------------------------------


@st.composite
def grids(draw: st.DrawFn, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A codebook `(K, D)` and a `z_e` `(B, D, H, W)` around it, all sizes drawn and different where it matters."""
    num_embeddings, dim = draw(st.sampled_from([(5, 3), (4, 2), (7, 1), (2, 4), (1, 3), (6, 5)]))
    batch, height, width = draw(st.sampled_from([(2, 3, 4), (3, 2, 1), (1, 1, 2), (2, 1, 3), (1, 4, 3)]))
    seed, shift = draw(seeds()), draw(st.sampled_from([0.0, 1.0, 5.0]))
    codebook = random(seed, num_embeddings, dim) + shift
    return codebook.to(dtype), (random(seed + 1, batch, dim, height, width) + shift).to(dtype)


def other_choices(z_e: Tensor, codebook: Tensor) -> list[Known]:
    """What other rules than the nearest code choose."""
    batch, dim, height, width = z_e.shape
    apart = distances(z_e, codebook)
    vectors, codes = pixels(z_e.double()), codebook.double()
    products, norms = vectors @ codes.T, codes.square().sum(1)
    lying = z_e.double().reshape(-1, dim)  # as the numbers lie in memory
    cut = (lying.unsqueeze(1) - codes).square().sum(-1).argmin(-1).reshape(batch, height, width)
    middle = codes.mean(0)  # distances stay the same when both sides move, half of them does not
    halved = (codes - middle).square().sum(1) - (vectors - middle) @ (codes - middle).T
    nearest = apart.argmin(-1)
    swapped = nearest.transpose(1, 2).reshape(batch, height, width)
    return [
        Known("the code farthest from each pixel's vector", FEED_A_CODE, apart.argmax(-1)),
        Known("the nearest code of rows of D numbers, cut from z_e in the order in which it lies in memory",
              f"{FEED_A_CODE} {WHOSE_NUMBERS}", cut),
        Known("the code with the largest inner product, whatever its length",
              "Does the code with the largest inner product lie nearest, if one code is much longer than the others?",
              products.argmax(-1)),
        *(Known("the code with the smallest |e|² - v·e", "Write out |v - e|²: how often does v·e occur in it?",
                score.argmin(-1)) for score in (norms - products, halved)),
        Known("the code with the smallest angle, whatever the lengths",
              "Do lengths matter for a distance? Did something normalise the vectors or the codes?",
              (products / norms.sqrt()).argmax(-1)),
        Known("the code with the smallest sum of absolute differences", "Which distance does the handout's ‖·‖ mean?",
              (vectors.unsqueeze(-2) - codes).abs().sum(-1).argmin(-1)),
        Known("the right numbers with rows and columns exchanged", "Which axis of indices is H, and which is W?",
              swapped),
        Known("the right numbers plus one", "What is the number of the first code?", nearest + 1),
    ]  # fmt: skip


def expect_nearest(ctx: Context, z_e: Tensor, codebook: Tensor, indices: Tensor, mode: str = "") -> None:
    """No code is nearer than the chosen one. Ties, and what rounding makes a tie, go either way."""
    apart = distances(z_e, codebook)
    taken = apart.gather(-1, indices.unsqueeze(-1)).squeeze(-1)
    # |z|^2 - 2 z.e + |e|^2 loses about eps times the largest square to cancellation; 1e3 for sums and a margin
    rounding = 1e3 * torch.finfo(z_e.dtype).eps * float(apart.max() + z_e.square().max() + codebook.square().max())
    wrong = taken > apart.min(-1).values + rounding
    if not bool(wrong.any()):
        return
    b, h, w = (int(n) for n in wrong.nonzero()[0])
    known = recognised(indices, other_choices(z_e, codebook))
    raise Failure(
        f"{int(wrong.sum())} of {indices.numel()} pixels do not get their nearest code{mode}. The first of them, "
        f"z_e[{b}, :, {h}, {w}] = {show(pixels(z_e)[b, h, w].tolist(), 3)}, has the squared distances "
        f"{show(apart[b, h, w].tolist(), 3)} from the codes 0…{len(codebook) - 1}",
        f"indices[{b}, {h}, {w}] = {int(apart[b, h, w].argmin())}", f"indices[{b}, {h}, {w}] = {indices[b, h, w]}",
        {"codebook": show(codebook, 3), "all indices": show(indices), "nearest codes": show(apart.argmin(-1))},
        hint=known.question if known else f"{FEED_A_CODE} {WHOSE_NUMBERS}", looks=known.words if known else "",
    )  # fmt: skip


@declare(
    id="q10.vq.nearest", question=10, kind="property", points=0.75, visibility="public",
    title="VectorQuantizer: nearest code",
    asks="indices (B, H, W) int64 hold for each pixel the number of the code nearest to the vector of its D channels, "
    "of the codes that are there when it is called, in both modes",
    hint="Which numbers of (B, D, H, W) form one pixel's vector? What is the nearest code of a code?",
    needs=(),
)  # fmt: skip
def nearest(ctx: Context) -> None:
    dtype = precision(ctx, VQ)
    for mode, where in ((False, ""), (True, " in training mode")):
        codebook, z_e = (10 * ctx.randn(5, 3)).round() / 10, (10 * ctx.randn(2, 3, 2, 4)).round() / 10
        held = loaded(ctx, VQ, (codebook * torch.tensor([[0.3], [1], [1], [1], [3]])).to(dtype))
        z_e = z_e.to(held.codebook.dtype)
        indices = indices_of(preserves(ctx, held.handle.train(mode), z_e), z_e, 5)
        expect_nearest(ctx, z_e, held.codebook, indices, where)

    def body(case: tuple[Tensor, Tensor]) -> None:
        held = loaded(ctx, VQ, case[0])
        z_e = case[1].to(held.codebook.dtype)
        indices = indices_of(preserves(ctx, held.handle, z_e), z_e, len(held.codebook))
        expect_nearest(ctx, z_e, held.codebook, indices)

    forall(ctx, body, case=grids(dtype), examples=20)
    held = loaded(ctx, VQ, ctx.randn(9, 4).to(dtype))
    numbers = ctx.randint(0, 9, 2, 3, 5)
    z_e = codes_at(held.codebook, numbers)
    matches_or_says(ctx, indices_of(held.handle(z_e), z_e, 9), numbers, EXACT, "the index of a vector that is a code",
                    (), hint=FEED_A_CODE)  # fmt: skip
    expect_follows(ctx, VQ)


def expect_follows(ctx: Context, kind: str) -> None:
    """In evaluation mode, codes that are replaced between two calls are no longer those that are compared."""
    dtype = precision(ctx, kind)
    lengths = torch.arange(1.0, 10.0, dtype=torch.float64)[:, None]
    first = lengths * F.normalize(ctx.randn(9, 4), dim=1)
    second = lengths.flip(0) * F.normalize(ctx.randn(9, 4), dim=1)  # the longest has become the shortest
    held = loaded(ctx, kind, first.to(dtype))
    numbers = torch.arange(9).repeat(2)[torch.randperm(18, generator=ctx.rng)].reshape(2, 3, 3)
    held.handle(codes_at(held.codebook, numbers))
    now = put(ctx, held.handle, second.to(dtype))
    z_e = codes_at(now.codebook, numbers)
    if not torch.equal(settled(ctx, now, z_e), z_e):
        return  # what is compared is no code any more: the quantizer changes what it is given, which has its own check
    indices = indices_of(held.handle(z_e), z_e, 9)
    expect(torch.equal(indices, numbers), "after other codes are loaded, a vector that is a code gets another one",
               numbers, indices, hint=REMEMBERED)  # fmt: skip


# ---- the code itself ----------------------------------------------------------------------------------------------


def other_codes(codebook: Tensor, indices: Tensor, z_e: Tensor | None = None) -> list[Known]:
    """What may come out in place of codes at their pixels."""
    batch, height, width = indices.shape
    rows = codebook[indices]
    dim = codebook.shape[1]
    found = [
        Known("the right codes, put into (B, D, H, W) in the order in which (B, H, W, D) lies in memory: channels and "
              "pixels are mixed", "Where do the channels of a code belong in (B, D, H, W)? What does a view move?",
              rows.reshape(batch, dim, height, width)),
        Known("the right codes with rows and columns exchanged", "Which axis of the result is H, and which is W?",
              rows.permute(0, 3, 2, 1).reshape(batch, dim, height, width)),
    ]  # fmt: skip
    if z_e is not None:
        found.insert(0, Known("z_e itself", "This output equals the input. Must the output be a code?", z_e))
    return found


def expect_codes(
    ctx: Context, z_q: Tensor, held: Quantizer, numbers: Tensor, what: str, known: Sequence[Known]
) -> None:
    """z_q holds the codes `numbers`; else the failure says whether it holds codes at all."""
    try:
        matches_or_says(ctx, z_q, codes_at(held.codebook, numbers), held.tol, what, known, hint=INHERIT)
    except Failure as failure:
        away = distances(z_q, held.codebook).min(-1).values.sqrt()
        strangers = int((away > 1e-3).sum())
        if strangers and not failure.looks:
            failure.looks = f"no codes: {strangers} of {away.numel()} vectors of z_q are no row of the codebook"
            failure.hint = "Must the output be a code, in every mode? How many codes is one vector of yours made of?"
        raise


@declare(
    id="q10.vq.codes", question=10, kind="property", points=0.5, visibility="public",
    title="VectorQuantizer: the output is a code",
    asks="the value of z_q at each pixel is the chosen code, at the channels of that pixel, in both modes",
    hint="Must the output be a code? Compare z_q with z_e, and with the rows of the codebook.",
    needs=(),
)  # fmt: skip
def output_is_code(ctx: Context) -> None:
    dtype = precision(ctx, VQ)

    def quantised(codebook: Tensor, z_e: Tensor, mode: bool) -> None:
        held = loaded(ctx, VQ, codebook)
        z_e = z_e.to(held.codebook.dtype)
        value = held.handle.train(mode)(z_e)
        numbers = chosen(value, z_e, held.codebook)
        where = "training" if mode else "evaluation"
        expect_codes(ctx, z_q_of(value, z_e), held, numbers, f"z_q in {where} mode",
                     other_codes(held.codebook, numbers, z_e))  # fmt: skip

    for mode in (False, True):
        codebook, z_e = (10 * ctx.randn(4, 3)).round() / 10, (10 * ctx.randn(1, 3, 2, 4)).round() / 10
        quantised(codebook.to(dtype), z_e.to(dtype), mode)
    forall(ctx, lambda case: quantised(case[0], case[1], False), case=grids(dtype), examples=15)


@declare(
    id="q10.vq.lookup", question=10, kind="property", points=0.25, visibility="public",
    title="VectorQuantizer: lookup",
    asks="lookup(indices) turns (B, H, W) numbers into the codes (B, D, H, W)",
    hint="Where do the channels belong in the result?",
    needs=(),
)  # fmt: skip
def lookup(ctx: Context) -> None:
    expect_lookup(ctx, VQ)


def expect_lookup(ctx: Context, kind: str) -> None:
    """`lookup` gives the codes of numbers, at their pixels."""
    dtype = precision(ctx, kind)
    for shape in ((1, 2, 3), (3, 2, 5)):
        held = loaded(ctx, kind, (10 * ctx.randn(7, 4)).round().to(dtype))
        indices = ctx.randint(0, 7, *shape)
        name = f"{kind.removeprefix('vqvae.')}.lookup(indices)"
        matches_or_says(ctx, held.handle.call("lookup", indices), codes_at(held.codebook, indices), EXACT, name,
                        other_codes(held.codebook, indices), hint=INHERIT)  # fmt: skip


# ---- losses and gradients -----------------------------------------------------------------------------------------


def implied(loss: Tensor, error: float) -> str:
    """Which commitment cost would give this loss, if it is one that somebody may have written down."""
    cost = float(loss) / error - 1
    found = next((c for c in (0.0, 0.1, 0.25, 0.5, 1.0, 2.0) if math.isclose(cost, c, abs_tol=1e-5)), None)
    return "" if found is None else f"what commitment_cost = {found:g} gives"


def other_losses(error: Tensor, beta: float) -> list[Known]:
    """What other sums of the squared errors `(B, D, H, W)` give."""
    mean, total = float(error.mean()), (1 + beta) * float(error.sum())
    batch, dim, height, width = error.shape
    weight = "The cost is a weight. Which of the two terms does it multiply, and is each of them there?"
    return [
        Known("the codebook term alone", "Which of the two terms is missing, and whom should it move?", mean),
        Known("the commitment term alone", "Which of the two terms is missing, and whom should it move?", beta * mean),
        Known("both terms with the weight commitment_cost", weight, 2 * beta * mean),
        Known("both terms with the weight 1", weight, 2 * mean),
        Known("the sum over channels and pixels, averaged over the batch", MEAN, total / batch),
        Known("squared norms of the D channels, averaged over pixels", MEAN, total / (batch * height * width)),
        Known("the sum over everything", MEAN, total),
        Known("the sum over pixels and batch, averaged over channels", MEAN, total / dim),
        Known("the mean error without its square", "Is the error squared in your loss, or a root taken of it?",
              (1 + beta) * float(error.sqrt().mean())),
        Known("the expected with a minus sign", "May a loss that pulls two things together be negative?",
              -(1 + beta) * mean),
    ]  # fmt: skip


@declare(
    id="q10.vq.loss", question=10, kind="property", points=0.5, visibility="public",
    title="VectorQuantizer: value of the loss",
    asks="vq_loss is the mean over all elements of the squared codebook error plus commitment_cost times that of the "
    "commitment error, in both modes; commitment_cost is .25 unless given",
    hint="Double the batch: should the loss change? And the number of channels?",
    needs=(),
)  # fmt: skip
def loss_value(ctx: Context) -> None:
    dtype = precision(ctx, VQ)

    def expect_loss(codebook: Tensor, z_e: Tensor, beta: float | None, mode: bool) -> None:
        held = loaded(ctx, VQ, codebook, **({} if beta is None else {"commitment_cost": beta}))
        z_e = settled(ctx, held, z_e.to(held.codebook.dtype))
        value = held.handle.train(mode)(z_e)
        loss, cost = loss_of(value, z_e), 0.25 if beta is None else beta
        error = (codes_at(held.codebook, chosen(value, z_e, held.codebook)) - z_e).square()
        if alike(loss, (1 + cost) * (z_q_of(value, z_e) - z_e).square().mean(), 1e-4, 1e-6):
            return  # right for what was given as z_q, which has its own check
        name = f"vq_loss in {'training' if mode else 'evaluation'} mode with commitment_cost " + (
            "left out" if beta is None else f"{cost:g}"
        )
        words = implied(loss, float(error.mean()))
        question = "Which commitment_cost was asked for, and which one does your loss see?"
        told = [Known(words, question, float(loss))] if words else []
        others = other_losses(error, cost)
        readings = [*told, *others] if beta is None else [*others, *told]
        matches_or_says(ctx, loss, (1 + cost) * error.mean(), held.tol, name, readings, hint=INHERIT)

    codebook, z_e = fixed_case(ctx, dtype)
    for mode in (True, False):
        for beta in (0.7, 3.0, None, 0.0):
            expect_loss(codebook, z_e, beta, mode)
    forall(ctx, lambda case, beta: expect_loss(case[0], case[1], beta, False), case=grids(dtype),
           beta=st.sampled_from([0.0, 0.25, 1.0, 2.5]), examples=15)  # fmt: skip


def loss_scale(value: object, z_e: Tensor, codebook: Tensor, weight: float) -> float:
    """How many times too large vq_loss is where it sums what should be averaged, which has its own check; 1 if not.

    `weight` is that of the mean error in the loss.
    """
    if not weight:
        return 1.0
    error = (codes_at(codebook, chosen(value, z_e, codebook)) - z_e).square()
    batch, dim, height, width = error.shape
    ratio = float(loss_of(value, z_e)) / (weight * float(error.mean()))
    sizes = (dim, height * width, dim * height * width, error.numel(), batch * height * width)
    return next((float(size) for size in sizes if math.isclose(ratio, size, rel_tol=1e-4)), 1.0)


@declare(
    id="q10.vq.straight-through", question=10, kind="gradient", points=0.5, visibility="public",
    title="VectorQuantizer: straight-through gradient",
    asks="a gradient that arrives at z_q goes on to z_e unchanged, as if quantisation were the identity",
    hint="A gradient arrives at z_q. What happens to it on its way to z_e?",
    needs=(),
)  # fmt: skip
def straight_through(ctx: Context) -> None:
    codebook, z_e = fixed_case(ctx, precision(ctx, VQ))
    for mode in (True, False):
        held = loaded(ctx, VQ, codebook)
        expect_passes(ctx, held.handle.train(mode), z_e.to(held.codebook.dtype), mode)


def expect_passes(ctx: Context, handle: Handle, z_e: Tensor, mode: bool) -> None:
    """The gradient of z_q to z_e is the identity."""
    weights = ctx.randn(*z_e.shape).to(z_e.dtype)
    found = ctx.session.vjp(handle, z_e, wrt=[0], cotangents=[((0,), weights)])
    z_q_of(found.value, z_e)
    what = f"the gradient of z_q with respect to z_e in {'training' if mode else 'evaluation'} mode"
    got = expect_flows(found.args[0], weights, what, NO_PATH)
    if not bool(got.any()):
        raise Failure(f"{what} is 0 everywhere", "what arrives at z_q, unchanged", "0", hint=NO_PATH)
    matches_or_says(
        ctx, got, weights, tolerance(z_e.dtype), what,
        [Known("0.25 times what arrives, which is commitment_cost times it",
               "What does the cost of commitment weight, and is this it?", 0.25 * weights),
         Known("twice what arrives", "By how many ways does z_q depend on z_e?", 2 * weights),
         Known("what arrives with the opposite sign", "In z_e + (codes - z_e): which of the three carries the "
               "gradient, and with which sign?", -weights)], hint=INHERIT,
    )  # fmt: skip


@declare(
    id="q10.vq.reconstruction", question=10, kind="gradient", points=0.25, visibility="hidden",
    title="VectorQuantizer: the reconstruction leaves the codes alone",
    asks="a gradient that arrives at z_q passes straight through to z_e and does not also move the codebook",
    hint="The same gradient reaches two places here. Which loss is there to move the codes?",
    needs=(),
)  # fmt: skip
def reconstruction_leaves_codes(ctx: Context) -> None:
    codebook, z_e = fixed_case(ctx, precision(ctx, VQ))
    held = loaded(ctx, VQ, codebook)
    z_e = z_e.to(held.codebook.dtype)
    weights = ctx.randn(*z_e.shape).to(z_e.dtype)
    found = ctx.session.vjp(held.handle, z_e, wrt=[0], params=[held.handle], cotangents=[((0,), weights)])
    for name, grad in found.params[0].items():
        if grad is not None:
            expect(not bool(grad.any()), f"a gradient that arrives at z_q moves {name}", "0 or none", grad,
                   hint=INHERIT if found.args[0] is not None else
                   "The gradient of the reconstruction reaches the codes. Whom should it reach?")  # fmt: skip


@declare(
    id="q10.vq.codebook-loss", question=10, kind="gradient", points=0.75, visibility="public",
    title="VectorQuantizer: what moves the codebook",
    asks="the codebook gets the gradient of the codebook term alone: towards the pixels that chose each code, the same "
    "for every commitment_cost, zero for a code that no pixel chose",
    hint="Which of the two sides does each term hold fixed? The value of the loss cannot tell you; gradients can.",
    needs=("q10.vq.codebook",),
)  # fmt: skip
def codebook_loss_gradient(ctx: Context) -> None:
    codebook, z_e = fixed_case(ctx, precision(ctx, VQ))
    for beta in (3.0, 0.25, 0.0):
        held = loaded(ctx, VQ, codebook, beta)
        z_e = settled(ctx, held, z_e.to(held.codebook.dtype))
        found = ctx.session.vjp(held.handle.train(), z_e, params=[held.handle], cotangents=[((1,), None)])
        leaf = held.codebook.clone().requires_grad_()
        numbers = chosen(found.value, z_e, held.codebook)
        (wanted,) = torch.autograd.grad(F.mse_loss(codes_at(leaf, numbers), z_e), leaf)
        wanted = loss_scale(found.value, z_e, held.codebook, 1 + beta) * wanted
        grads = [found.params[0][name] for name in held.entries if name in found.params[0]]
        got = grads[0] if grads else None
        what = f"the gradient of vq_loss to the codebook with commitment_cost {beta:g}"
        got = expect_flows(
            None if got is None else as_codebook(got, codebook.shape), wanted, what,
            "No term of the loss reaches the codes. Was z_q replaced before the losses were taken?",
        )  # fmt: skip
        both = "Both terms move the codes. Where does a stop-gradient belong?"
        known = [
            Known("commitment_cost times the expected", "The term that moves the codes carries the weight here. Which "
                  "term moves the codes, and which has the weight?", beta * wanted),
            Known("1 + commitment_cost times the expected", both, (1 + beta) * wanted),
            Known("zero: nothing moves the codes", "Whom does each of your two terms move, and whom does it hold "
                  "fixed?", 0 * wanted),
        ]  # fmt: skip
        matches_or_says(ctx, got, wanted, held.tol, what, known, hint=INHERIT)


@declare(
    id="q10.vq.commitment", question=10, kind="gradient", points=0.5, visibility="public",
    title="VectorQuantizer: what moves the encoder",
    asks="z_e gets the gradient of the commitment term alone: towards its code, in proportion to commitment_cost",
    hint="Set the commitment cost to zero: may the loss of the quantizer still move the encoder?",
    needs=(),
)  # fmt: skip
def commitment_gradient(ctx: Context) -> None:
    codebook, z_e = fixed_case(ctx, precision(ctx, VQ))
    for beta in (3.0, 0.25, 0.0):
        held = loaded(ctx, VQ, codebook, beta)
        z_e = settled(ctx, held, z_e.to(held.codebook.dtype))
        try:
            expect_commitment(ctx, held.handle.train(), z_e, held.codebook, beta, 1 + beta)
        except Failure:
            if not exchanged(ctx, held, z_e, beta):  # which is one mistake: `q10.vq.codebook-loss` asks about it
                raise


def exchanged(ctx: Context, held: Quantizer, z_e: Tensor, beta: float) -> bool:
    """Whether each of the two terms moves, with its own weight, just the side that the other should move."""
    found = ctx.session.vjp(held.handle.train(), z_e, wrt=[0], params=[held.handle], cotangents=[((1,), None)])
    grads = [found.params[0][name] for name in held.entries if name in found.params[0]]
    to_codes, to_z_e = grads[0] if grads else None, found.args[0]
    numbers = chosen(found.value, z_e, held.codebook)
    leaf = held.codebook.clone().requires_grad_()
    codes = codes_at(leaf, numbers)
    (move,) = torch.autograd.grad(F.mse_loss(codes, z_e), leaf)
    pull = 2 * (z_e - codes.detach()) / z_e.numel()
    moved = torch.zeros_like(move) if to_codes is None else as_codebook(to_codes, held.codebook.shape)
    pulled = torch.zeros_like(pull) if to_z_e is None else to_z_e
    return beta != 1 and alike(moved, beta * move, 1e-4, 1e-8) and alike(pulled, pull, 1e-4, 1e-8)


def expect_commitment(
    ctx: Context, handle: Handle, z_e: Tensor, codebook: Tensor, beta: float, weight: float, where: str = ""
) -> None:
    """vq_loss, whose value is `weight` times the mean error, pulls z_e to its codes with the weight `beta`."""
    found = ctx.session.vjp(handle, z_e, wrt=[0], cotangents=[((1,), None)])
    pull = 2 * (z_e - codes_at(codebook, chosen(found.value, z_e, codebook))) / z_e.numel()
    pull = pull * loss_scale(found.value, z_e, codebook, weight)
    given = 2 * (z_e - z_q_of(found.value, z_e)) / z_e.numel()
    what = f"the gradient of vq_loss to z_e{where} with commitment_cost {beta:g}"
    got = expect_flows(found.args[0], beta * pull, what, "Nothing pulls the encoder to its codes. Which term should, "
                       "and what does it hold fixed?")  # fmt: skip
    if alike(got, beta * given, 1e-4, 1e-8):
        return  # right for what was given as z_q
    known: Sequence[Known] = [
        Known("the expected plus the pull of a term without the cost", "Both terms move the encoder. Where does a "
              "stop-gradient belong?", (1 + beta) * pull),
        Known("the pull of a term without the cost", "The cost multiplies one of the two terms. Which one? Whom does "
              "that term move?", pull),
        Known("zero: nothing pulls the encoder", "Which term should pull the encoder to its codes, and what does it "
              "hold fixed?", 0 * pull),
    ]  # fmt: skip
    matches_or_says(ctx, got, beta * pull, tolerance(z_e.dtype), what, known,
                    hint="The cost multiplies one of the two terms. Which one? Whom does that term move?")  # fmt: skip
