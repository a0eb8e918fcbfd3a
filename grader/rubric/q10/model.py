"""The VQ-VAE and its loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_sequence, as_tensor, expect, preserves, raises
from ...check.failure import EXACT, INHERIT, Failure
from ...check.shown import alike
from ...check.values import Handle, Probe, Slot
from ..shared.known import Known, matches_or_says
from .both import MODEL
from .codebook import (
    EMA,
    EMA_PART,
    PART,
    QUANTIZER_LOSS,
    VQ,
    codebook_of,
    entries,
    expect_flows,
    expect_steps,
    loaded,
    pixels,
    precision,
    put,
    tolerance,
)

LOSS = "vqvae.vqvae_loss"
SQUARE = {"fn": Probe("mean_square"), "args": [Slot("out"), Slot("x")], "kwargs": {}}
SIZES = "Follow the sizes 28, 14, 7 and back. What does each of your layers make of them?"
BOUNDS = "Which layer bounds the picture, whatever the codes are?"


def quantizer_of(model: Handle) -> Handle:
    """The attribute `quantizer`."""
    quantizer = model.get("quantizer")
    if not isinstance(quantizer, Handle):
        raise Failure("the attribute quantizer of VQVAE is not a module", "a quantizer", str(type(quantizer).__name__),
                      hint="Under which name do others find the quantizer in your model?")  # fmt: skip
    return quantizer


@declare(
    id="q10.model.shapes", question=10, kind="property", points=0.5, visibility="public",
    title="VQVAE: shapes, ranges, dtypes",
    asks="encode (B, D, 7, 7), decode and decode_indices (B, 1, 28, 28) in [0, 1], forward (x_recon, vq_loss, "
    "indices), with either quantizer, in float32 and float64, for any batch size",
    hint="Follow the sizes 28, 14, 7 and back. Which layer bounds the picture?",
    needs=(), parts=(PART, EMA_PART),
)  # fmt: skip
def model_shapes(ctx: Context) -> None:
    cases: tuple[tuple[int, dict[str, Any], torch.dtype], ...] = (
        (1, {}, torch.float32), (3, {"num_embeddings": 11, "embedding_dim": 5, "ema": True}, torch.float32),
        (2, {"num_embeddings": 6, "embedding_dim": 9, "commitment_cost": 1.0}, precision(ctx, VQ)),
    )  # fmt: skip
    for batch, options, dtype in cases:
        named = f"VQVAE({', '.join(f'{k}={v}' for k, v in options.items())})"
        model = ctx.new(MODEL, **options).eval()
        if dtype == torch.float64:
            model.double()
        count, dim = int(options.get("num_embeddings", 128)), int(options.get("embedding_dim", 16))
        quantizer = quantizer_of(model)
        ema = bool(options.get("ema", False))
        sizes = "Which two arguments of the model give the size of its codebook, and in which order?"
        codebook = as_tensor(quantizer.get("codebook"), (count, dim), f"quantizer.codebook of {named}", hint=sizes)
        known = quantizer.parameters()
        trained = any(known.get(name, False) for name in entries(quantizer.state(), codebook))
        kinds = ("moved by running averages, no parameter", "a parameter, moved by an optimizer")
        expect(trained != ema, f"the codebook of {named}.quantizer", kinds[not ema],
               f"{kinds[trained]} (the quantizer is a {quantizer.type})",
               hint="Which of the two quantizers should this argument give, and which one is built?")  # fmt: skip
        x = ctx.images(batch, dtype=dtype)
        as_tensor(preserves(ctx, (model, "encode"), x), (batch, dim, 7, 7), "encode(x)", dtype=dtype)
        x_recon, loss, indices = as_sequence(preserves(ctx, model, x), 3, "forward(x)")
        expect_picture(x_recon, x, "x_recon of forward(x)")
        as_tensor(indices, (batch, 7, 7), "indices of forward(x)", dtype=torch.int64)
        as_tensor(loss, (), "vq_loss of forward(x)", dtype=dtype)
        far, numbers = 9 * ctx.randn(batch, dim, 7, 7, dtype=dtype), ctx.randint(0, count, batch, 7, 7)
        expect_picture(model.call("decode", far), x, "decode(z_q)")
        expect_picture(model.call("decode_indices", numbers), x, "decode_indices(indices)")


def expect_picture(value: object, x: Tensor, name: str) -> None:
    """Pictures like `x`: shape, dtype, numbers in [0, 1]."""
    if isinstance(value, Tensor) and value.shape != x.shape and value.ndim == 4:
        raise Failure(f"{name} has the wrong shape", f"{tuple(x.shape)}", f"{tuple(value.shape)}", hint=SIZES)
    picture = as_tensor(value, x.shape, name, dtype=x.dtype)
    low, high = float(picture.min()), float(picture.max())
    expect(low >= 0 and high <= 1, f"{name} leaves [0, 1]", "in [0, 1]", f"from {low:.3g} to {high:.3g}", hint=BOUNDS)


def expect_one_pass(ctx: Context, dtype: torch.dtype) -> None:
    """A pass through the model takes the codes of its EMA quantizer as far as one pass through the quantizer does."""
    model = ctx.new(MODEL, 13, 6, ema=True).eval()
    if dtype == torch.float64:
        model.double()
    x = ctx.images(3, dtype=dtype)
    quantizer, z_e = quantizer_of(model), as_tensor(model.call("encode", x), (3, 6, 7, 7), "encode(x)")
    quantizer.train()  # alone: dropout and normalisation before it would give it something else each time
    start = quantizer.state()

    def moved(target: Handle, given: Tensor) -> Tensor:
        quantizer.load(start)
        target(given)
        return codebook_of(ctx, quantizer, (13, 6))

    once, again = moved(quantizer, z_e), moved(quantizer, z_e)
    if not alike(once, again):  # the state does not hold all that moves the codes, and nothing can be repeated
        return
    now = moved(model, x)
    quantizer.load(start)
    quantizer(z_e)
    quantizer(z_e)
    often = "How often do the running averages move in one pass through the model?"
    known = [Known("what two passes through the quantizer give", often, codebook_of(ctx, quantizer, (13, 6)))]
    matches_or_says(ctx, now, once, tolerance(dtype), "the codebook after one pass of VQVAE(ema=True) in training mode",
                    known, hint=often)  # fmt: skip


@declare(
    id="q10.model.forward", question=10, kind="property", points=0.25, visibility="public",
    title="VQVAE: forward is encode, quantise, decode",
    asks="x_recon is decoded from codes: decode_indices(indices) and decode(z_q) give the same picture; vq_loss and "
    "indices are those of the quantizer, with the commitment_cost given; running averages move once in a pass",
    hint="Could someone who only has the indices draw the same picture?",
    needs=("q10.model.shapes",), parts=(PART, EMA_PART),
)  # fmt: skip
def model_forward(ctx: Context) -> None:
    for ema in (False, True):
        dtype = precision(ctx, EMA if ema else VQ)
        tol = tolerance(dtype)
        model = ctx.new(MODEL, 13, 6, commitment_cost=2.0, ema=ema).eval()
        if dtype == torch.float64:
            model.double()
        x = ctx.images(3, dtype=dtype)
        quantizer, z_e = quantizer_of(model), as_tensor(model.call("encode", x), (3, 6, 7, 7), "encode(x)")
        # codes taken from all over the pictures: numbers that are equal, or symmetric, would hide how they are used
        places = torch.randperm(147, generator=ctx.rng)[:13]
        codebook = put(ctx, quantizer, pixels(z_e).reshape(147, 6)[places]).codebook
        start = quantizer.state()
        z_q, quantizer_loss, quantizer_indices = as_sequence(quantizer(z_e), 3, "quantizer(z_e)")
        quantizer.load(start)  # what a pass in evaluation mode changes has its own check
        lone = loaded(ctx, EMA if ema else VQ, codebook, 2.0).handle
        _, wanted, _ = as_sequence(lone(z_e), 3, "quantizer(z_e)")
        default = loaded(ctx, EMA if ema else VQ, codebook).handle
        _, left_out, _ = as_sequence(default(z_e), 3, "quantizer(z_e)")
        x_recon, loss, indices = as_sequence(model(x), 3, "forward(x)")
        quantizer.load(start)
        x_recon = as_tensor(x_recon, x.shape, "x_recon", dtype=dtype)
        same = "Which numbers does the model hand on from its quantizer?"
        matches_or_says(ctx, indices, quantizer_indices, EXACT, "indices of forward(x), against those of "
                        "quantizer(encode(x)),", (), hint=same)  # fmt: skip
        cost = "Whom do you tell which commitment_cost was asked for?"
        matches_or_says(ctx, loss, as_tensor(quantizer_loss, (), "vq_loss"), tol,
                        "vq_loss of forward(x), against that of quantizer(encode(x)),", (), hint=same)  # fmt: skip
        known = [Known("what a quantizer gives that was not told the cost", cost, as_tensor(left_out, (), "vq_loss"))]
        matches_or_says(ctx, loss, as_tensor(wanted, (), "vq_loss"), tol,
                        f"vq_loss of VQVAE(commitment_cost=2, ema={ema})", known, hint=cost)  # fmt: skip
        unquantised = alike(model.call("decode", z_e), x_recon, 1e-6)
        for name, picture in (("decode_indices(indices)", model.call("decode_indices", indices)),
                              ("decode(z_q)", model.call("decode", z_q))):  # fmt: skip
            try:
                matches_or_says(ctx, x_recon, as_tensor(picture, x.shape, name).to(dtype), tol,
                                f"x_recon of forward(x), against {name},", (), hint=INHERIT)  # fmt: skip
            except Failure as failure:
                if unquantised:
                    failure.looks = "decode(encode(x)): it was never quantised"
                raise
    expect_one_pass(ctx, precision(ctx, EMA))


@declare(
    id="q10.model.gradient", question=10, kind="gradient", points=0.25, visibility="public",
    title="VQVAE: the reconstruction trains encoder and decoder",
    asks="the gradient of x_recon reaches every weight except the codebook, and so it does in the next step",
    hint="Which weights would stand still if only the reconstruction were trained?",
    needs=("q10.model.shapes",), parts=(PART, EMA_PART),
)  # fmt: skip
def model_gradient(ctx: Context) -> None:
    for ema in (False, True):
        dtype = precision(ctx, EMA if ema else VQ)
        model = ctx.new(MODEL, 13, 6, ema=ema).train()
        if dtype == torch.float64:
            model.double()
        x = ctx.images(4, dtype=dtype)
        held = {f"quantizer.{name}" for name in quantizer_of(model).parameters()}
        held |= set(entries(model.state(), codebook_of(ctx, model.get("quantizer"))))
        weights = ctx.randn(*x.shape).to(dtype)
        found = ctx.session.vjp(model, x, wrt=[0], params=[model], cotangents=[((0,), weights)])
        expect(found.args[0] is not None and bool(found.args[0].any()), "no gradient goes from x_recon back to x",
               "a gradient", "none", hint="Does anything flow through the quantizer?")  # fmt: skip
        still = [name for name, grad in found.params[0].items() if name not in held and grad is None]
        expect(not still, "x_recon gives some weights no gradient", "a gradient for all but the codebook",
               ", ".join(still), hint=INHERIT)  # fmt: skip
        expect_steps(ctx, model, x, [SQUARE, QUANTIZER_LOSS], f"VQVAE(ema={ema})")


@declare(
    id="q10.loss", question=10, kind="property", points=0.25, visibility="public",
    title="vqvae_loss",
    asks="mean squared error over all elements plus vq_loss, with gradients to both; shapes must agree",
    hint="The quantizer's loss is a mean over elements. What must the reconstruction be for their weights to match?",
    needs=(),
)  # fmt: skip
def model_loss(ctx: Context) -> None:
    for dtype in (torch.float64, torch.float32):
        tol = tolerance(dtype)
        x_recon, x = ctx.images(3, 6, dtype=dtype), ctx.images(3, 6, dtype=dtype)
        vq_loss = ctx.rand(dtype=dtype) + 0.5
        error = (x_recon - x).square()
        grows = "This loss grows with the size of the picture. Is it a mean over elements?"
        lost = "Two terms are asked for. What becomes of each of them in your sum?"
        known = [
            Known("the sum over pixels, averaged over images, plus vq_loss", grows, error.sum() / 3 + vq_loss),
            Known("the sum over everything, plus vq_loss", grows, error.sum() + vq_loss),
            Known("the reconstruction error alone", lost, error.mean()),
            Known("vq_loss alone", lost, vq_loss),
            Known("the mean absolute error plus vq_loss", "Is the error squared?", error.sqrt().mean() + vq_loss),
            Known("the reconstruction error minus vq_loss", lost, error.mean() - vq_loss),
            *(Known(f"the reconstruction error plus {weight:g} times vq_loss", "Which weight has vq_loss in the sum, "
                    "and which is already inside it?", error.mean() + weight * vq_loss) for weight in (0.25, 2.0)),
        ]  # fmt: skip
        value = preserves(ctx, LOSS, x_recon, x, vq_loss)
        matches_or_says(ctx, value, error.mean() + vq_loss, tol, "vqvae_loss(x_recon, x, vq_loss)", known, hint=INHERIT)
        found = ctx.session.vjp(LOSS, x_recon, x, vq_loss, wrt=[0, 2])
        one = torch.ones((), dtype=dtype)
        entered = "vq_loss moves codes and encoder. What of it is left when it enters your sum?"
        for got, wanted, where, hint in (
            (found.args[0], 2 * (x_recon - x) / x.numel(), "x_recon", "What should move the decoder?"),
            (found.args[2], one, "vq_loss", entered),
        ):
            what = f"the gradient of vqvae_loss to {where}"
            got = expect_flows(got, wanted, what, hint)
            matches_or_says(ctx, got, wanted, tol, what, (), hint=hint)
    for other in (ctx.images(1, 6), ctx.images(3, 6).transpose(0, 1).contiguous()):
        raises(ctx, "ValueError", LOSS, ctx.images(3, 6), other, torch.tensor(0.1), names="x",
               case=f"vqvae_loss with x_recon of shape (3, 1, 6, 6) and x of shape {tuple(other.shape)}",
               hint="What does x_recon - x give for these two shapes, and is it an error of pixels?")  # fmt: skip
