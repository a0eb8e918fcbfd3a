"""The VQ-VAE and its loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves, raises
from ...check.failure import EXACT, FLOAT32, FLOAT64, Failure
from ...check.shown import alike
from ...check.values import Handle
from .codebook import (
    EMA,
    QUANTIZER_LOSS,
    VQ,
    codebook_of,
    entries,
    expect_steps,
    loaded,
    pixels,
    put,
)
from .quantizer import LOSS, MODEL, SQUARE


@declare(
    id="q10.model.shapes", question=10, kind="property", points=0.5, visibility="public",
    title="VQVAE: shapes, ranges, dtypes",
    asks="encode (B, D, 7, 7), decode and decode_indices (B, 1, 28, 28) in [0, 1], forward (x_recon, vq_loss, "
    "indices), with either quantizer, in float32 and float64, for any batch size",
    hint="Follow the sizes 28, 14, 7 and back. Which layer bounds the picture?",
    needs=(),
)  # fmt: skip
def model_shapes(ctx: Context) -> None:
    cases: tuple[tuple[int, dict[str, Any], torch.dtype], ...] = (
        (1, {}, torch.float32), (3, {"num_embeddings": 11, "embedding_dim": 5, "ema": True}, torch.float32),
        (2, {"num_embeddings": 6, "embedding_dim": 9, "commitment_cost": 1.0}, torch.float64),
    )  # fmt: skip
    for batch, options, dtype in cases:
        model = ctx.new(MODEL, **options).eval()
        if dtype == torch.float64:
            model.double()
        count, dim = int(options.get("num_embeddings", 128)), int(options.get("embedding_dim", 16))
        quantizer = model.get("quantizer")
        if not isinstance(quantizer, Handle):
            raise Failure("the attribute quantizer is not a module", "a quantizer", str(type(quantizer).__name__))
        ema = bool(options.get("ema", False))
        codebook = codebook_of(ctx, quantizer, (count, dim))
        trained = any(quantizer.parameters().get(name, False) for name in entries(quantizer.state(), codebook))
        kinds = ("a buffer that averages move", "a parameter")
        expect(trained != ema, f"the codebook of VQVAE with ema={ema}", kinds[not ema], kinds[trained])
        expect(codebook.dtype == dtype, "the dtype of the codebook", str(dtype), str(codebook.dtype))
        x = ctx.images(batch, dtype=dtype)
        as_tensor(preserves(ctx, (model, "encode"), x), (batch, dim, 7, 7), "encode(x)", dtype=dtype)
        x_recon, loss, indices = as_sequence(preserves(ctx, model, x), 3, "forward(x)")
        indices = as_tensor(indices, (batch, 7, 7), "indices", dtype=torch.int64)
        as_tensor(loss, (), "vq_loss", dtype=dtype)
        far, numbers = 9 * ctx.randn(batch, dim, 7, 7, dtype=dtype), ctx.randint(0, count, batch, 7, 7)
        pictures = {"x_recon": x_recon, "decode(z_q)": model.call("decode", far),
                    "decode_indices(indices)": model.call("decode_indices", numbers)}  # fmt: skip
        for name, picture in pictures.items():
            as_tensor(picture, x.shape, name, dtype=dtype)
            expect(
                float(picture.min()) >= 0 and float(picture.max()) <= 1, f"{name} leaves [0, 1]", "in [0, 1]", picture
            )


def expect_one_pass(ctx: Context) -> None:
    """A pass through the model takes the codes of its EMA quantizer as far as one pass through the quantizer does."""
    model = ctx.new(MODEL, 13, 6, ema=True).double().eval()
    x = ctx.images(3, dtype=torch.float64)
    quantizer, z_e = model.get("quantizer"), as_tensor(model.call("encode", x), (3, 6, 7, 7), "encode(x)")
    quantizer.train()  # alone: dropout and normalisation before it would give it something else each time
    start = quantizer.state()

    def moved(target: Handle, given: Tensor) -> Tensor:
        quantizer.load(start)
        target(given)
        return codebook_of(ctx, quantizer, (13, 6))

    once, again = moved(quantizer, z_e), moved(quantizer, z_e)
    if alike(once, again):  # else the state does not hold all that moves the codes, and nothing can be repeated
        matches(ctx, moved(model, x), once, FLOAT64, "the codebook after one pass of VQVAE(ema=True) in training mode",
                    hint="How often do the running averages move in one pass through the model?")  # fmt: skip


@declare(
    id="q10.model.forward", question=10, kind="property", points=0.25, visibility="public",
    title="VQVAE: forward is encode, quantise, decode",
    asks="x_recon is decoded from codes: decode_indices(indices) and decode(z_q) give the same picture; vq_loss and "
    "indices are those of the quantizer, with the commitment_cost given; running averages move once in a pass",
    hint="Could someone who only has the indices draw the same picture?",
    needs=("q10.model.shapes",),
)  # fmt: skip
def model_forward(ctx: Context) -> None:
    for ema in (False, True):
        model = ctx.new(MODEL, 13, 6, commitment_cost=2.0, ema=ema).double().eval()
        x = ctx.images(3, dtype=torch.float64)
        quantizer, z_e = model.get("quantizer"), as_tensor(model.call("encode", x), (3, 6, 7, 7), "encode(x)")
        # codes taken from all over the pictures: numbers that are equal, or symmetric, would hide how they are used
        places = torch.randperm(147, generator=ctx.rng)[:13]
        put(ctx, quantizer, codebook_of(ctx, quantizer, (13, 6)), pixels(z_e).reshape(147, 6)[places])
        x_recon, loss, indices = as_sequence(model(x), 3, "forward(x)")
        z_q, quantizer_loss, quantizer_indices = as_sequence(quantizer(z_e), 3, "quantizer(z_e)")
        x_recon = as_tensor(x_recon, x.shape, "x_recon", dtype=torch.float64)
        matches(ctx, indices, quantizer_indices, EXACT, "indices")
        matches(ctx, model.call("decode_indices", indices), x_recon, FLOAT64, "decode_indices(indices)")
        matches(ctx, model.call("decode", z_q), x_recon, FLOAT64, "decode(z_q)")
        matches(ctx, loss, quantizer_loss, FLOAT64, "vq_loss")
        lone = loaded(ctx, EMA if ema else VQ, codebook_of(ctx, quantizer), 2.0).handle
        _, wanted, _ = as_sequence(lone(z_e), 3, "quantizer(z_e)")
        matches(ctx, loss, wanted, FLOAT64, "vq_loss of VQVAE(commitment_cost=2)")
    expect_one_pass(ctx)


@declare(
    id="q10.model.gradient", question=10, kind="gradient", points=0.25, visibility="public",
    title="VQVAE: the reconstruction trains encoder and decoder",
    asks="the gradient of x_recon reaches every weight except the codebook, and so it does in the next step",
    hint="Which weights would stand still if only the reconstruction were trained?",
    needs=("q10.model.shapes",),
)  # fmt: skip
def model_gradient(ctx: Context) -> None:
    for ema in (False, True):
        model = ctx.new(MODEL, 13, 6, ema=ema).double().train()
        x = ctx.images(4, dtype=torch.float64)
        held = entries(model.state(), codebook_of(ctx, model.get("quantizer")))
        weights = ctx.randn(*x.shape)
        found = ctx.session.vjp(model, x, wrt=[0], params=[model], cotangents=[((0,), weights)])
        expect(found.args[0] is not None and bool(found.args[0].any()), "no gradient goes from x_recon back to x",
                   "a gradient", "none", hint="Does anything flow through the quantizer?")  # fmt: skip
        still = [name for name, grad in found.params[0].items() if name not in held and grad is None]
        expect(
            not still, "x_recon gives some weights no gradient", "a gradient for all but the codebook", ", ".join(still)
        )
        expect_steps(ctx, model, x, [SQUARE, QUANTIZER_LOSS], f"VQVAE(ema={ema})")


@declare(
    id="q10.loss", question=10, kind="property", points=0.25, visibility="public",
    title="vqvae_loss",
    asks="mean squared error over all elements plus vq_loss, with gradients to both; shapes must agree",
    hint="The quantizer's loss is a mean over elements. What must the reconstruction be for their weights to match?",
    needs=(),
)  # fmt: skip
def model_loss(ctx: Context) -> None:
    for dtype, tolerance in ((torch.float64, FLOAT64), (torch.float32, FLOAT32)):
        x_recon, x = ctx.images(3, 6, dtype=dtype), ctx.images(3, 6, dtype=dtype)
        vq_loss = ctx.rand(dtype=dtype)
        error = (x_recon - x).square()
        value = preserves(ctx, LOSS, x_recon, x, vq_loss)
        summed = isinstance(value, Tensor) and value.ndim == 0 and float(value) > 5 * float(error.mean() + vq_loss)
        hint = "This loss grows with the size of the picture. Is it a mean over elements?" if summed else ""
        matches(ctx, value, error.mean() + vq_loss, tolerance, "vqvae_loss", hint=hint)
        found = ctx.session.vjp(LOSS, x_recon, x, vq_loss, wrt=[0, 2])
        matches(ctx, found.args[0], 2 * (x_recon - x) / x.numel(), tolerance, "the gradient to x_recon")
        matches(ctx, found.args[2], torch.ones((), dtype=dtype), tolerance, "the gradient to vq_loss")
    for other in (ctx.images(1, 6), ctx.images(3, 6).transpose(0, 1).contiguous()):
        raises(ctx, "ValueError", LOSS, ctx.images(3, 6), other, torch.tensor(0.1), names="x",
                   case=f"vqvae_loss on pictures (3, 1, 6, 6) and {tuple(other.shape)}")  # fmt: skip
