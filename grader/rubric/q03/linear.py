"""The linear autoencoder."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from ...check.cases import random, seeds
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT32, FLOAT64
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ..shared.latents import stir
from .comparison import NOT_SQUARE
from .trained import LINEAR


@declare(
    id="q3.linear.shapes", question=3, kind="property", points=0.5, visibility="public",
    title="Linear autoencoder: shapes",
    asks="LinearAutoencoder(input_dim, latent_dim) maps images to codes and back; forward returns (x_recon, z), which "
    "are decode(encode(x)) and encode(x)",
    hint="Print the shapes before and after each layer. Which shape has an image, and which does your layer want?",
    needs=(),
)  # fmt: skip
def linear_shapes(ctx: Context) -> None:
    for arguments, side, latent in (((), 28, 32), ((784, 10), 28, 10), ((25, 4), 5, 4), ((9, 1), 3, 1)):
        model = ctx.new(LINEAR, *arguments)
        model.eval()
        for dtype in (torch.float32, torch.float64):
            if dtype == torch.float64:
                model.double()
            for batch in (1, 3, 6):
                x = ctx.images(batch, side, dtype)
                what = f"of LinearAutoencoder{arguments} for {batch} {str(dtype).removeprefix('torch.')} images"
                recon, z = as_sequence(preserves(ctx, model, x), 2, f"forward {what}")
                code = as_tensor(model.call("encode", x), (batch, latent), f"encode(x) {what}", dtype=dtype)
                picture = as_tensor(model.call("decode", code), x.shape, f"decode(z) {what}", dtype=dtype)
                tol = FLOAT64 if dtype == torch.float64 else FLOAT32
                matches(ctx, recon, picture, tol, f"x_recon {what}")
                matches(ctx, z, code, tol, f"z {what}")


@declare(
    id="q3.linear.affine", question=3, kind="property", points=0.5, visibility="public",
    title="Linear autoencoder: affine, with full rank and an offset",
    asks="encoder and decoder are affine, also for large and negative numbers, and map each example by itself; every "
    "entry of the code counts, and the decoder's offset can be learned",
    hint="Look at what lies between input and output, and at its end: is there anything that bends? If the code is 0, "
    "which picture should come out, and can training change it?",
    needs=("q3.linear.shapes",),
)  # fmt: skip
def linear_affine(ctx: Context) -> None:
    model = ctx.new(LINEAR, 16, 5)
    stir(ctx, model.double().eval())

    def body(seed_and_t: tuple[int, float]) -> None:
        seed, t = seed_and_t
        for method, shape in (("encode", (3, 1, 4, 4)), ("decode", (3, 5))):
            one, other = 20 * random(seed, *shape), 20 * random(seed + 1, *shape)
            ends = [as_tensor(model.call(method, point), None, f"{method} of a point") for point in (one, other)]
            straight = (1 - t) * ends[0] + t * ends[1]
            value = model.call(method, (1 - t) * one + t * other)
            matches(ctx, value, straight, FLOAT64, f"{method} of a point on a line")

    forall(ctx, body, examples=10, seed_and_t=st.tuples(seeds(), st.floats(-2.0, 3.0)))
    for method, batch in (("encode", ctx.images(3, 4, torch.float64)), ("decode", ctx.randn(3, 5))):
        together = as_tensor(model.call(method, batch), None, f"{method} of three")
        matches(ctx, model.call(method, batch[:1]), together[:1], FLOAT64, f"{method} of the first of three, alone",
                    hint="Should what comes out for one example depend on the others in its batch?")  # fmt: skip
    for method, size, shape in (("encode", 16, (16, 1, 4, 4)), ("decode", 5, (5, 5))):
        units = torch.eye(size, dtype=torch.float64).reshape(shape)
        origin = as_tensor(model.call(method, 0 * units), None, f"{method}(0)")
        slopes = (as_tensor(model.call(method, units), None, method) - origin).flatten(1)
        rank = int(torch.linalg.matrix_rank(slopes, rtol=1e-8))
        expect(rank == 5, f"the rank of {method} is not the size of the code", 5, rank,
                   hint="Do all entries of the code carry something of their own?")  # fmt: skip
    grads = ctx.session.vjp((model, "decode"), torch.zeros(1, 5, dtype=torch.float64), params=[model]).params[0]
    learns = any(grad is not None and bool((grad != 0).any()) for grad in grads.values())
    expect(learns, "what decode makes of the code 0 cannot be learned", "a parameter that moves it", "none",
               hint="PCA adds the mean. What plays its part in your decoder?")  # fmt: skip


@declare(
    id="q3.linear.errors", question=3, kind="property", points=0.25, visibility="hidden",
    title="Linear autoencoder: square images only",
    asks="an input_dim that is no square number is a ValueError of LinearAutoencoder",
    hint="How many rows has an image of 12 pixels, and how many columns? What makes a number a square?",
    needs=(),
)  # fmt: skip
def linear_errors(ctx: Context) -> None:
    for pixels in NOT_SQUARE:
        raises(ctx, "ValueError", LINEAR, input_dim=pixels, latent_dim=1, names="input_dim",
                   case=f"LinearAutoencoder of {pixels} pixels")  # fmt: skip


@declare(
    id="q3.linear.gradient", question=3, kind="gradient", points=0.25, visibility="public",
    title="Linear autoencoder: gradients",
    asks="gradients of reconstruction and code reach the images and all parameters",
    hint="Is there a step in between that autograd cannot follow, or a parameter that forward never uses?",
    needs=("q3.linear.shapes",),
)  # fmt: skip
def linear_gradient(ctx: Context) -> None:
    model = ctx.new(LINEAR, 9, 2)
    model.double().eval()
    x = ctx.images(3, 3, torch.float64)
    gradient_matches(ctx, model, x, path=(0,), params=[model], what="the gradient of x_recon")
    gradient_matches(ctx, model, x, path=(1,), what="the gradient of z")
