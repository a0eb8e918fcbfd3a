"""The linear autoencoder."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from ...check.cases import random, seeds
from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT32, FLOAT64
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.patterns import Reading
from ...check.values import Handle
from ..shared.latents import stir
from .comparison import NOT_SQUARE
from .trained import LINEAR

SHAPES = "Print the shapes before and after each layer. Which shape has an image, and which does your layer want?"
SAME_WAY = "Does forward go the way of encode and decode, or one of its own?"
BENDS = "Look at what lies between input and output, and at its end: is there anything that bends, or cuts off?"
ALONE = "Should what comes out for one example depend on the others in its batch?"
BOTH = "What does a caller get who wants both the picture and its code?"
WHAT_GETS_ROUND = "What does the reconstruction know of an image besides its code, and in which mode?"
WHAT_FOR = "Is each of your layers on the way from the images to the result?"


@declare(
    id="q3.linear.shapes", question=3, kind="property", points=0.5, visibility="public",
    title="Linear autoencoder: shapes",
    asks="LinearAutoencoder(input_dim, latent_dim) maps images to codes and back; forward returns (x_recon, z), which "
    "are decode(encode(x)) and encode(x)",
    hint=SHAPES, needs=(),
)  # fmt: skip
def linear_shapes(ctx: Context) -> None:
    # the batch is never as large as the code, and never 1 at first
    for arguments, side, latent in (((), 28, 32), ((784, 10), 28, 10), ((25, 4), 5, 4), ((9, 1), 3, 1)):
        model = ctx.new(LINEAR, *arguments)
        model.eval()
        for dtype in (torch.float32, torch.float64):
            if dtype == torch.float64:
                model.double()
            for batch in (3, 6, 1):
                x = ctx.images(batch, side, dtype)
                kind = str(dtype).removeprefix("torch.")
                what = f"of LinearAutoencoder{arguments} for {batch} {kind} {'image' if batch == 1 else 'images'}"
                code = as_tensor(model.call("encode", x), (batch, latent), f"encode(x) {what}", dtype=dtype)
                picture = as_tensor(model.call("decode", code), x.shape, f"decode(z) {what}", dtype=dtype)
                recon, z = as_sequence(preserves(ctx, model, x), 2, f"forward {what}", hint=BOTH)
                tol = FLOAT64 if dtype == torch.float64 else FLOAT32
                swapped = torch.is_tensor(recon) and recon.shape == code.shape != picture.shape
                expect(not swapped, f"forward {what} returns the code first", f"(x_recon, z), shapes "
                           f"{tuple(x.shape)} and {tuple(code.shape)}", f"a first value of shape {tuple(code.shape)}",
                           hint="In which order are the two values asked for?")  # fmt: skip
                matches(ctx, recon, picture, tol, f"x_recon {what}", hint=SAME_WAY)
                matches(ctx, z, code, tol, f"z {what}", hint=SAME_WAY)
    expect_on_device(ctx, "forward of LinearAutoencoder", ctx.new(LINEAR, 9, 2), ctx.images(3, 3))


@declare(
    id="q3.linear.affine", question=3, kind="property", points=0.5, visibility="public",
    title="Linear autoencoder: affine, with full rank and an offset",
    asks="encoder and decoder are affine, also for large and negative numbers, and map each example by itself; every "
    "entry of the code counts, and the decoder's offset can be learned",
    hint="Look at what lies between input and output, and at its end: is there anything that bends? If the code is 0, "
    "which picture should come out, and can training change it?",
    needs=(),
)  # fmt: skip
def linear_affine(ctx: Context) -> None:
    model = ctx.new(LINEAR, 784, 5)  # the size of images: that others are possible is asked by the check before
    stir(ctx, model.double().eval())
    for method, batch in (("encode", ctx.images(3, dtype=torch.float64)), ("decode", ctx.randn(3, 5))):
        together = as_tensor(model.call(method, batch), None, f"{method} of three")
        value = model.call(method, batch[:1])
        matches(ctx, value, together[:1], FLOAT64, f"{method} of the first of three examples, alone,", hint=ALONE)
    ranges = {method: bent(ctx, model, method) for method in ("encode", "decode")}

    def body(seed_and_t: tuple[int, float]) -> None:
        seed, t = seed_and_t
        for method, shape in (("encode", (3, 1, 28, 28)), ("decode", (3, 5))):
            one, other = 20 * random(seed, *shape), 20 * random(seed + 1, *shape)
            ends = [as_tensor(model.call(method, point), None, f"{method} of a point") for point in (one, other)]
            straight = (1 - t) * ends[0] + t * ends[1]
            value = model.call(method, (1 - t) * one + t * other)
            what = f"{method}((1 - t) a + t b), which should be (1 - t) {method}(a) + t {method}(b),"
            matches(ctx, value, straight, FLOAT64, what, hint=BENDS, reading=ranges[method])

    forall(ctx, body, examples=10, seed_and_t=st.tuples(seeds(), st.sampled_from([2.0, 0.5, -1.0, 3.0])))
    rank_is_full(ctx, model)
    only_the_code(ctx, model)
    grads = ctx.session.vjp((model, "decode"), torch.zeros(1, 5, dtype=torch.float64), params=[model]).params[0]
    learns = any(grad is not None and bool((grad != 0).any()) for grad in grads.values())
    expect(learns, "what decode makes of the code 0 cannot be learned", "a parameter that moves it", "none",
               hint="PCA adds the mean. What plays its part in your decoder?")  # fmt: skip


def only_the_code(ctx: Context, model: Handle) -> None:
    """While training, too, all pictures lie where the decoder can take a code, whatever dropout does to the code."""
    model.train(True)
    x = ctx.images(40, dtype=torch.float64)
    recon = as_tensor(as_sequence(model.call("forward", x), 2, "forward")[0], None, "x_recon").flatten(1)
    rank = int(torch.linalg.matrix_rank(recon - recon.mean(0), rtol=1e-8))
    model.eval()
    expect(rank <= 5, "the reconstructions of 40 images in training mode differ in more directions than a code of "
               "size 5 has", "at most 5", rank, hint=WHAT_GETS_ROUND)  # fmt: skip


def bent(ctx: Context, model: Handle, method: str) -> Reading:
    """What the range of many results says of a map that is not affine: with large inputs of both signs an affine one
    has large results of both."""
    inputs = 20 * (ctx.randn(60, 1, 28, 28) if method == "encode" else ctx.randn(60, 5))
    found = as_tensor(model.call(method, inputs), None, f"{method} of large numbers").double()
    low, high = float(found.min()), float(found.max())
    if low > -2 and high < 2:
        words = f"for inputs of 20 and more all numbers of {method} lie between {low:.3g} and {high:.3g}"
    elif low > -2 or high < 2:
        side = f"below {low:.3g}" if low > -2 else f"above {high:.3g}"
        words = f"no number of {method} lies {side}, though some inputs are positive and some negative"
    else:
        return Reading()
    return Reading(words, BENDS)


def rank_is_full(ctx: Context, model: Handle) -> None:
    """Every entry of the code says something of its own, on the way in and on the way out."""
    for method, points in (("encode", ctx.randn(40, 1, 28, 28)), ("decode", ctx.randn(40, 5))):
        origin = as_tensor(model.call(method, 0 * points), None, f"{method}(0)")
        steps = (as_tensor(model.call(method, points), None, method) - origin).flatten(1)
        rank = int(torch.linalg.matrix_rank(steps, rtol=1e-8))
        expect(rank == 5, f"the rank of {method} is not the size of the code", 5, rank,
                   hint="Do all entries of the code carry something of their own?")  # fmt: skip


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
                   case=f"LinearAutoencoder(input_dim={pixels}, latent_dim=1)",
                   hint=f"How many rows has a square image of {pixels} pixels, and how many columns?")  # fmt: skip


@declare(
    id="q3.linear.gradient", question=3, kind="gradient", points=0.25, visibility="public",
    title="Linear autoencoder: gradients",
    asks="gradients of reconstruction and code reach the images and all parameters",
    hint="Is there a step in between that autograd cannot follow, or a parameter that forward never uses?",
    needs=("q3.linear.shapes",),
)  # fmt: skip
def linear_gradient(ctx: Context) -> None:
    model = ctx.new(LINEAR, 784, 2)
    model.double().eval()
    x = ctx.images(3, dtype=torch.float64)
    gradient_matches(ctx, model, x, path=(0,), what="the gradient of x_recon")
    gradient_matches(ctx, model, x, path=(1,), what="the gradient of z")
    used_for = ctx.session.vjp(model, x, wrt=(), params=[model], cotangents=[((0,), None)]).params[0]
    unused = [name for name, grad in used_for.items() if grad is None]
    expect(not unused, "x_recon does not depend on some parameters", "every parameter in use",
               f"no gradient reaches {', '.join(unused)}", hint=WHAT_FOR)  # fmt: skip
    gradient_matches(ctx, model, x, path=(0,), wrt=(), params=[model], what="the gradient of x_recon")
