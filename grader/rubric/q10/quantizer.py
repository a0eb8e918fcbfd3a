"""Question 10: vector quantisation, against brute force, gradients in closed form and a simulation of the averages.

No check but the trained ones depends on how a codebook is initialised: where values matter, the grader's own codebook
is loaded through the `state_dict` entry that holds the student's.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from ...boundary.session import Handle, Probe, Slot
from ...check.context import Context
from ...check.declaration import EXACT, FLOAT32, FLOAT64, Check, Failure, Question, declare
from ...check.shown import alike
from .averages import AVERAGES
from .codebook import (
    EMA,
    QUANTIZER_LOSS,
    VQ,
    codebook_of,
    codes_at,
    distinct,
    entries,
    expect_follows,
    expect_gradient,
    expect_nearest,
    expect_steps,
    fixed_case,
    grids,
    loaded,
    own,
    pixels,
    put,
    quantized,
)
from .trained import TRAINED

MODEL, LOSS = "vqvae.VQVAE", "vqvae.vqvae_loss"
SQUARE = {"fn": Probe("mean_square"), "args": [Slot("out"), Slot("x")], "kwargs": {}}


# ---- VectorQuantizer ----------------------------------------------------------------------------------------------


@declare(
    id="q10.vq.codebook", question=10, kind="property", points=0.5, visibility="public",
    title="VectorQuantizer: the codebook is a parameter",
    asks="the attribute codebook is (K, D), a parameter that is trained, saved and loaded with the module, with codes "
    "that differ from each other",
    hint="Does the optimizer know the codebook? Does load_state_dict bring it back?",
    needs=(),
)  # fmt: skip
def codebook_is_parameter(ctx: Context) -> None:
    made = own(ctx, VQ, 6, 4)
    trained = made.handle.parameters()
    ctx.expect(trained.get(made.name, False), "the codebook is not a parameter that requires a gradient",
               "a trainable parameter", f"parameters: {', '.join(trained) or 'none'}")  # fmt: skip
    ctx.expect(distinct(made.codebook) == 6, "codes are equal from the start: one of them can never be used",
               "6 different codes", made.codebook)  # fmt: skip
    codebook = ctx.randn(6, 4)
    held = loaded(ctx, VQ, codebook)
    indices = ctx.randint(0, 6, 2, 3, 5)
    ctx.matches(
        held.handle.call("lookup", indices), codes_at(codebook, indices), FLOAT64, "lookup after loading a codebook"
    )


@declare(
    id="q10.vq.nearest", question=10, kind="property", points=1.0, visibility="public",
    title="VectorQuantizer: nearest code",
    asks="indices (B, H, W) int64 hold for each pixel the number of the code nearest to the vector of its D channels, "
    "of the codes that are there when it is called",
    hint="Which numbers of (B, D, H, W) form one pixel's vector? What is the nearest code of a code?",
    needs=("q10.vq.codebook",),
)  # fmt: skip
def nearest(ctx: Context) -> None:
    def body(case: tuple[Tensor, Tensor]) -> None:
        codebook, z_e = case
        *_, indices = quantized(ctx, loaded(ctx, VQ, codebook).handle(z_e), z_e, len(codebook))
        expect_nearest(ctx, z_e, codebook, indices)

    ctx.forall(body, case=grids(), examples=20)
    codebook = ctx.randn(9, 4)
    held = loaded(ctx, VQ, codebook)
    numbers = ctx.randint(0, 9, 2, 3, 5)
    *_, indices = quantized(ctx, held.handle(codes_at(codebook, numbers)), codes_at(codebook, numbers), 9)
    ctx.matches(indices, numbers, EXACT, "the index of a vector that is a code")
    expect_follows(ctx, VQ)


@declare(
    id="q10.vq.codes", question=10, kind="property", points=0.5, visibility="public",
    title="VectorQuantizer: the output is a code",
    asks="the value of z_q at each pixel is the code that indices names there, at the channels of that pixel",
    hint="Must the output be a code? Compare z_q with z_e, and with the rows of the codebook.",
    needs=("q10.vq.codebook",),
)  # fmt: skip
def output_is_code(ctx: Context) -> None:
    def body(case: tuple[Tensor, Tensor]) -> None:
        codebook, z_e = case
        z_q, _, indices = quantized(ctx, loaded(ctx, VQ, codebook).handle(z_e), z_e, len(codebook))
        unchanged = alike(z_q, z_e) and not alike(z_q, codes_at(codebook, indices))
        ctx.matches(z_q, codes_at(codebook, indices), FLOAT64, "z_q",
                    hint="This output equals the input. Must the output be a code?" if unchanged else "")  # fmt: skip

    ctx.forall(body, case=grids(), examples=15)


@declare(
    id="q10.vq.lookup", question=10, kind="property", points=0.25, visibility="public",
    title="VectorQuantizer: lookup",
    asks="lookup(indices) turns (B, H, W) numbers into the codes (B, D, H, W), in float32 and float64",
    hint="Where do the channels belong in the result?",
    needs=("q10.vq.codebook",),
)  # fmt: skip
def lookup(ctx: Context) -> None:
    for dtype in (torch.float32, torch.float64):
        for kind in (VQ, EMA):
            codebook = ctx.randn(7, 4, dtype=dtype)
            indices = ctx.randint(0, 7, 3, 2, 5)
            value = loaded(ctx, kind, codebook).handle.call("lookup", indices)
            ctx.matches(value, codes_at(codebook, indices), EXACT, f"{kind.removeprefix('vqvae.')}.lookup(indices)")


@declare(
    id="q10.vq.contract", question=10, kind="property", points=0.25, visibility="hidden",
    title="Quantizers: arguments and dtypes",
    asks="both quantizers leave z_e as it is, work in float32 and float64, and refuse a z_e with other than D channels",
    hint="What comes first in (B, D, H, W)? What should happen to an input with its channels last?",
    needs=("q10.vq.codebook",),
)  # fmt: skip
def contract(ctx: Context) -> None:
    for kind in (VQ, EMA):
        name = kind.removeprefix("vqvae.")
        for dtype in (torch.float32, torch.float64):
            codebook, z_e = ctx.randn(6, 4, dtype=dtype), ctx.randn(2, 4, 3, 5, dtype=dtype)
            held = loaded(ctx, kind, codebook)
            for mode in (False, True):
                held.handle.train(mode)
                quantized(ctx, ctx.preserves(held.handle, z_e), z_e, 6)
            # 4 channels are asked for; the second has as many elements as would be right, in the wrong place
            for shape in ((2, 3, 5, 5), (2, 5, 3, 4), (2, 8, 3, 5)):
                ctx.raises("ValueError", held.handle, ctx.randn(*shape, dtype=dtype), names="z_e",
                           case=f"{name} of {codebook.shape[1]} dimensions on z_e {shape}")  # fmt: skip


@declare(
    id="q10.vq.loss", question=10, kind="property", points=0.5, visibility="public",
    title="VectorQuantizer: value of the loss",
    asks="vq_loss is the mean over all elements of the squared codebook error plus commitment_cost times that of the "
    "commitment error; commitment_cost is .25 unless given",
    hint="Double the batch: should the loss change? And the number of channels?",
    needs=("q10.vq.codebook",),
)  # fmt: skip
def loss_value(ctx: Context) -> None:
    def body(case: tuple[Tensor, Tensor], beta: float) -> None:
        codebook, z_e = case
        _, loss, indices = quantized(ctx, loaded(ctx, VQ, codebook, beta).handle(z_e), z_e, len(codebook))
        error = (codes_at(codebook, indices) - z_e).square()
        wanted, got = (1 + beta) * error.mean(), float(loss)
        hint = ""
        if math.isclose(got, float(error.sum() * (1 + beta) / len(z_e)), rel_tol=1e-6) and error[0].numel() > 1:
            hint = "This loss grows with the number of channels and pixels. Is it a mean over elements?"
        ctx.matches(loss, wanted, FLOAT64, "vq_loss", hint=hint)

    ctx.forall(body, case=grids(), beta=st.sampled_from([0.0, 0.25, 1.0, 2.5]), examples=15)
    codebook, z_e = fixed_case(ctx)
    for default in (True, False):
        held = loaded(ctx, VQ, codebook, **({} if default else {"commitment_cost": 0.7}))
        _, loss, indices = quantized(ctx, held.handle(z_e), z_e, 6)
        wanted = (1.25 if default else 1.7) * (codes_at(codebook, indices) - z_e).square().mean()
        ctx.matches(loss, wanted, FLOAT64, f"vq_loss with commitment_cost {'left out' if default else 0.7}")


@declare(
    id="q10.vq.straight-through", question=10, kind="gradient", points=0.75, visibility="public",
    title="VectorQuantizer: straight-through gradient",
    asks="a gradient that arrives at z_q goes on to z_e unchanged, as if quantisation were the identity",
    hint="argmin has no gradient. How does the encoder learn from the reconstruction?",
    needs=("q10.vq.codebook",),
)  # fmt: skip
def straight_through(ctx: Context) -> None:
    codebook, z_e = fixed_case(ctx)
    weights = ctx.randn(*z_e.shape)
    for mode in (True, False):
        held = loaded(ctx, VQ, codebook)
        found = ctx.session.vjp(held.handle.train(mode), z_e, wrt=[0], cotangents=[((0,), weights)])
        expect_gradient(ctx, found.args[0], weights, "the gradient of z_q with respect to z_e")


@declare(
    id="q10.vq.reconstruction", question=10, kind="gradient", points=0.25, visibility="hidden",
    title="VectorQuantizer: the reconstruction leaves the codes alone",
    asks="a gradient that arrives at z_q passes straight through to z_e and does not also move the codebook",
    hint="The same gradient reaches two places here. Which loss is there to move the codes?",
    needs=("q10.vq.codebook",),
)  # fmt: skip
def reconstruction_leaves_codes(ctx: Context) -> None:
    codebook, z_e = fixed_case(ctx)
    held = loaded(ctx, VQ, codebook)
    found = ctx.session.vjp(held.handle, z_e, wrt=[0], params=[held.handle], cotangents=[((0,), ctx.randn(*z_e.shape))])
    for name, grad in found.params[0].items():
        if grad is not None:
            ctx.expect(not bool(grad.any()), f"z_q passes a gradient to {name}", "0 or none", grad)


@declare(
    id="q10.vq.codebook-loss", question=10, kind="gradient", points=0.75, visibility="public",
    title="VectorQuantizer: what moves the codebook",
    asks="the codebook gets the gradient of the codebook term alone: towards the pixels that chose each code, the same "
    "for every commitment_cost, zero for a code that no pixel chose",
    hint="Which of the two sides does each term hold fixed? The value of the loss cannot tell you; gradients can.",
    needs=("q10.vq.codebook",),
)  # fmt: skip
def codebook_loss_gradient(ctx: Context) -> None:
    codebook, z_e = fixed_case(ctx)
    for beta in (0.0, 0.25, 3.0):
        held = loaded(ctx, VQ, codebook, beta)
        found = ctx.session.vjp(held.handle, z_e, params=[held.handle], cotangents=[((1,), None)])
        *_, indices = quantized(ctx, found.value, z_e, 6)
        leaf = codebook.clone().requires_grad_()
        (wanted,) = torch.autograd.grad(F.mse_loss(codes_at(leaf, indices), z_e), leaf)
        got = found.params[0].get(held.name)
        hint = ""
        if got is None:
            hint = "No term of the loss reaches the codes. Was z_q replaced before the losses were taken?"
        elif beta and alike(got, beta * wanted):
            hint = "The codes move commitment_cost times too far. Which term moves the codes, and which has the weight?"
        elif alike(got, (1 + beta) * wanted):
            hint = "Both terms move the codes. Where does a stop-gradient belong?"
        got = got if got is None else got.reshape(codebook.shape)
        expect_gradient(ctx, got, wanted, f"the gradient of vq_loss to the codebook at commitment_cost {beta}", hint)


@declare(
    id="q10.vq.commitment", question=10, kind="gradient", points=0.5, visibility="public",
    title="VectorQuantizer: what moves the encoder",
    asks="z_e gets the gradient of the commitment term alone: towards its code, in proportion to commitment_cost",
    hint="Set the commitment cost to zero: may the loss of the quantizer still move the encoder?",
    needs=("q10.vq.codebook",),
)  # fmt: skip
def commitment_gradient(ctx: Context) -> None:
    codebook, z_e = fixed_case(ctx)
    for beta in (0.25, 0.0, 3.0):
        held = loaded(ctx, VQ, codebook, beta)
        found = ctx.session.vjp(held.handle, z_e, wrt=[0], cotangents=[((1,), None)])
        *_, indices = quantized(ctx, found.value, z_e, 6)
        wanted = 2 * beta * (z_e - codes_at(codebook, indices)) / z_e.numel()
        expect_gradient(ctx, found.args[0], wanted, f"the gradient of vq_loss to z_e at commitment_cost {beta}",
                        "The cost multiplies one of the two terms. Which one? Whom does that term move?")  # fmt: skip


# ---- VQVAE --------------------------------------------------------------------------------------------------------


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
        ctx.expect(trained != ema, f"the codebook of VQVAE with ema={ema}", kinds[not ema], kinds[trained])
        ctx.expect(codebook.dtype == dtype, "the dtype of the codebook", str(dtype), str(codebook.dtype))
        x = ctx.images(batch, dtype=dtype)
        ctx.tensor(ctx.preserves((model, "encode"), x), (batch, dim, 7, 7), "encode(x)", dtype=dtype)
        x_recon, loss, indices = ctx.sequence(ctx.preserves(model, x), 3, "forward(x)")
        indices = ctx.tensor(indices, (batch, 7, 7), "indices", dtype=torch.int64)
        ctx.tensor(loss, (), "vq_loss", dtype=dtype)
        far, numbers = 9 * ctx.randn(batch, dim, 7, 7, dtype=dtype), ctx.randint(0, count, batch, 7, 7)
        pictures = {"x_recon": x_recon, "decode(z_q)": model.call("decode", far),
                    "decode_indices(indices)": model.call("decode_indices", numbers)}  # fmt: skip
        for name, picture in pictures.items():
            ctx.tensor(picture, x.shape, name, dtype=dtype)
            ctx.expect(
                float(picture.min()) >= 0 and float(picture.max()) <= 1, f"{name} leaves [0, 1]", "in [0, 1]", picture
            )


def expect_one_pass(ctx: Context) -> None:
    """A pass through the model takes the codes of its EMA quantizer as far as one pass through the quantizer does."""
    model = ctx.new(MODEL, 13, 6, ema=True).double().eval()
    x = ctx.images(3, dtype=torch.float64)
    quantizer, z_e = model.get("quantizer"), ctx.tensor(model.call("encode", x), (3, 6, 7, 7), "encode(x)")
    quantizer.train()  # alone: dropout and normalisation before it would give it something else each time
    start = quantizer.state()

    def moved(target: Handle, given: Tensor) -> Tensor:
        quantizer.load(start)
        target(given)
        return codebook_of(ctx, quantizer, (13, 6))

    once, again = moved(quantizer, z_e), moved(quantizer, z_e)
    if alike(once, again):  # else the state does not hold all that moves the codes, and nothing can be repeated
        ctx.matches(moved(model, x), once, FLOAT64, "the codebook after one pass of VQVAE(ema=True) in training mode",
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
        quantizer, z_e = model.get("quantizer"), ctx.tensor(model.call("encode", x), (3, 6, 7, 7), "encode(x)")
        # codes taken from all over the pictures: numbers that are equal, or symmetric, would hide how they are used
        places = torch.randperm(147, generator=ctx.rng)[:13]
        put(ctx, quantizer, codebook_of(ctx, quantizer, (13, 6)), pixels(z_e).reshape(147, 6)[places])
        x_recon, loss, indices = ctx.sequence(model(x), 3, "forward(x)")
        z_q, quantizer_loss, quantizer_indices = ctx.sequence(quantizer(z_e), 3, "quantizer(z_e)")
        x_recon = ctx.tensor(x_recon, x.shape, "x_recon", dtype=torch.float64)
        ctx.matches(indices, quantizer_indices, EXACT, "indices")
        ctx.matches(model.call("decode_indices", indices), x_recon, FLOAT64, "decode_indices(indices)")
        ctx.matches(model.call("decode", z_q), x_recon, FLOAT64, "decode(z_q)")
        ctx.matches(loss, quantizer_loss, FLOAT64, "vq_loss")
        lone = loaded(ctx, EMA if ema else VQ, codebook_of(ctx, quantizer), 2.0).handle
        _, wanted, _ = ctx.sequence(lone(z_e), 3, "quantizer(z_e)")
        ctx.matches(loss, wanted, FLOAT64, "vq_loss of VQVAE(commitment_cost=2)")
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
        ctx.expect(found.args[0] is not None and bool(found.args[0].any()), "no gradient goes from x_recon back to x",
                   "a gradient", "none", hint="Does anything flow through the quantizer?")  # fmt: skip
        still = [name for name, grad in found.params[0].items() if name not in held and grad is None]
        ctx.expect(
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
        value = ctx.preserves(LOSS, x_recon, x, vq_loss)
        summed = isinstance(value, Tensor) and value.ndim == 0 and float(value) > 5 * float(error.mean() + vq_loss)
        hint = "This loss grows with the size of the picture. Is it a mean over elements?" if summed else ""
        ctx.matches(value, error.mean() + vq_loss, tolerance, "vqvae_loss", hint=hint)
        found = ctx.session.vjp(LOSS, x_recon, x, vq_loss, wrt=[0, 2])
        ctx.matches(found.args[0], 2 * (x_recon - x) / x.numel(), tolerance, "the gradient to x_recon")
        ctx.matches(found.args[2], torch.ones((), dtype=dtype), tolerance, "the gradient to vq_loss")
    for other in (ctx.images(1, 6), ctx.images(3, 6).transpose(0, 1).contiguous()):
        ctx.raises("ValueError", LOSS, ctx.images(3, 6), other, torch.tensor(0.1), names="x",
                   case=f"vqvae_loss on pictures (3, 1, 6, 6) and {tuple(other.shape)}")  # fmt: skip


CHECKS: tuple[Check, ...] = (
    codebook_is_parameter, nearest, output_is_code, lookup, contract, loss_value, straight_through,
    reconstruction_leaves_codes, codebook_loss_gradient, commitment_gradient, *AVERAGES, model_shapes, model_forward,
    model_gradient, model_loss, *TRAINED,
)  # fmt: skip

QUESTION = Question(number=10, title="VQ-VAE", points=13.0, modules=("vqvae",), checks=CHECKS)
