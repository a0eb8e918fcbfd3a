"""Vector quantisation, against brute force and gradients in closed form."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import expect, matches, preserves, raises
from ...check.failure import EXACT, FLOAT64
from ...check.forall import forall
from ...check.shown import alike
from ...check.values import Probe, Slot
from .codebook import (
    EMA,
    VQ,
    codes_at,
    distinct,
    expect_follows,
    expect_gradient,
    expect_nearest,
    fixed_case,
    grids,
    loaded,
    own,
    quantized,
)

MODEL, LOSS = "vqvae.VQVAE", "vqvae.vqvae_loss"
SQUARE = {"fn": Probe("mean_square"), "args": [Slot("out"), Slot("x")], "kwargs": {}}


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
    expect(trained.get(made.name, False), "the codebook is not a parameter that requires a gradient",
               "a trainable parameter", f"parameters: {', '.join(trained) or 'none'}")  # fmt: skip
    expect(distinct(made.codebook) == 6, "codes are equal from the start: one of them can never be used",
               "6 different codes", made.codebook)  # fmt: skip
    codebook = ctx.randn(6, 4)
    held = loaded(ctx, VQ, codebook)
    indices = ctx.randint(0, 6, 2, 3, 5)
    matches(
        ctx,
        held.handle.call("lookup", indices),
        codes_at(codebook, indices),
        FLOAT64,
        "lookup after loading a codebook",
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

    forall(ctx, body, case=grids(), examples=20)
    codebook = ctx.randn(9, 4)
    held = loaded(ctx, VQ, codebook)
    numbers = ctx.randint(0, 9, 2, 3, 5)
    *_, indices = quantized(ctx, held.handle(codes_at(codebook, numbers)), codes_at(codebook, numbers), 9)
    matches(ctx, indices, numbers, EXACT, "the index of a vector that is a code")
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
        matches(ctx, z_q, codes_at(codebook, indices), FLOAT64, "z_q",
                    hint="This output equals the input. Must the output be a code?" if unchanged else "")  # fmt: skip

    forall(ctx, body, case=grids(), examples=15)


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
            matches(ctx, value, codes_at(codebook, indices), EXACT, f"{kind.removeprefix('vqvae.')}.lookup(indices)")


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
                quantized(ctx, preserves(ctx, held.handle, z_e), z_e, 6)
            # 4 channels are asked for; the second has as many elements as would be right, in the wrong place
            for shape in ((2, 3, 5, 5), (2, 5, 3, 4), (2, 8, 3, 5)):
                raises(ctx, "ValueError", held.handle, ctx.randn(*shape, dtype=dtype), names="z_e",
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
        matches(ctx, loss, wanted, FLOAT64, "vq_loss", hint=hint)

    forall(ctx, body, case=grids(), beta=st.sampled_from([0.0, 0.25, 1.0, 2.5]), examples=15)
    codebook, z_e = fixed_case(ctx)
    for default in (True, False):
        held = loaded(ctx, VQ, codebook, **({} if default else {"commitment_cost": 0.7}))
        _, loss, indices = quantized(ctx, held.handle(z_e), z_e, 6)
        wanted = (1.25 if default else 1.7) * (codes_at(codebook, indices) - z_e).square().mean()
        matches(ctx, loss, wanted, FLOAT64, f"vq_loss with commitment_cost {'left out' if default else 0.7}")


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
            expect(not bool(grad.any()), f"z_q passes a gradient to {name}", "0 or none", grad)


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
