"""Question 3: the comparison with PCA and the linear autoencoder; PCA itself and training stand beside it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...boundary.session import Handle, Probe
from ...check.cases import random, seeds
from ...check.context import Context
from ...check.declaration import EXACT, FLOAT32, FLOAT64, Check, Failure, Question, declare
from ...check.shown import kind_of
from ..shared.latents import stir
from .pca import COMPONENTS, Reference
from .trained import LINEAR, TRAINED

COMPARE = "pca.compare_with_pca"
NOT_SQUARE = (50, 2, 6, 12, 783)  # 2, 6, 12 and 783 are divisible by their integer root


# ---- comparison -----------------------------------------------------------------------------------------------------


def opponent(ctx: Context) -> tuple[Handle, Handle]:
    """An autoencoder on 4x4 images whose training mode shows, with an unbounded output, and the recorder around it."""
    inner = ctx.new(Probe("Autoencoder"), [16, 6, 3], batch_norm=True, drop_prob=0.5, squash=False)
    model = ctx.new(Probe("Recorder"), inner)
    model.double()
    stir(ctx, inner)
    return model, inner


def sketches(ctx: Context, count: int, brightness: Tensor) -> Tensor:
    """4x4 images, nearly black and white: projections onto a few components leave [0, 1] in many pixels."""
    ink = ctx.rand(count, 1, 4, 4) < brightness
    return 0.9 * ink + 0.1 * ctx.images(count, 4, torch.float64)


def misjudged(recon: Tensor, images: Tensor) -> dict[str, float]:
    """What known misconceptions make of the mean squared error per pixel, by the question to ask."""
    errors = (recon - images).square().flatten(1).mean(1)
    right = float(errors.mean())
    batches = {
        f"Does an image in a batch of {len(errors) % size} count as much as one in a batch of {size}?":
            float(torch.stack([batch.mean() for batch in torch.split(errors, size)]).mean())
        for size in (10, 16, 20, 32, 50, 64, 100, 128, 200, 250, 256, 500, 512)
    }  # fmt: skip
    return {
        "Is your error per pixel, or per image?": 16 * right,
        "Is your error an average, or a sum over all pixels of all images?": images.numel() * right,
        "In which unit is a squared error?": right**0.5,
        "Is what you compare with the image what came back, or did you touch it up on the way?":
            float((recon.clamp(0, 1) - images).square().mean()),
        **batches,
    }  # fmt: skip


def close_to(value: float, readings: Mapping[str, float]) -> str:
    """The hint of the one reading that this number agrees with."""
    close = [hint for hint, reading in readings.items() if abs(value - reading) <= 1e-9 * reading]
    return close[0] if len(close) == 1 else ""


@declare(
    id="q3.compare.value", question=3, kind="property", points=0.5, visibility="public",
    title="Comparison with PCA: the two errors",
    asks='compare_with_pca returns {"pca_mse", "ae_mse"}, both per pixel on the test images, which all count alike, '
    "of reconstructions as they are; PCA has seen the training images only",
    hint="Which split chose the axes? Over what is the squared error averaged?",
    needs=("q3.pca.codes",),
)  # fmt: skip
def compare_value(ctx: Context) -> None:
    # 523 is prime: no size of batches leaves them all equally large
    brightness = ctx.rand(1, 1, 4, 4, low=0.05, high=0.95)
    train, test = sketches(ctx, 20, brightness), sketches(ctx, 523, brightness)
    model, inner = opponent(ctx)
    answer = ctx.preserves(COMPARE, model, train, test, 3)
    if not isinstance(answer, Mapping) or not {"pca_mse", "ae_mse"} <= set(answer):
        found = f"the keys {sorted(map(str, answer))}" if isinstance(answer, Mapping) else kind_of(answer)
        raise Failure("compare_with_pca does not return both errors", 'a dict with "pca_mse" and "ae_mse"', found)

    def projected(fit_on: Tensor, images: Tensor) -> Tensor:
        return Reference(fit_on.flatten(1), 3).reconstruct(images.flatten(1)).reshape(images.shape)

    def error(recon: Tensor, images: Tensor) -> float:
        return float((recon - images).square().mean())

    inner.eval()
    by_pca, by_model = projected(train, test), ctx.session.infer(inner, test)[0]
    wrong = {
        "Which split chose the axes?": error(projected(test, test), test),
        "On which images are the two judged?": error(projected(train, train), train),
        "Do the images still have their mean when they come back?": error(projected(train - train.mean(0), test), test),
        **misjudged(by_pca, test),
    }
    value = ctx.number(answer["pca_mse"], 'the entry "pca_mse"')
    ctx.matches(value, error(by_pca, test), FLOAT64, "pca_mse", hint=close_to(value, wrong))
    value = ctx.number(answer["ae_mse"], 'the entry "ae_mse"')
    ctx.matches(value, error(by_model, test), FLOAT64, "ae_mse", hint=close_to(value, misjudged(by_model, test)))


@declare(
    id="q3.compare.mode", question=3, kind="property", points=0.5, visibility="hidden",
    title="Comparison with PCA: the model is only asked",
    asks="compare_with_pca gives images to the model, runs it in evaluation mode without gradients, which are "
    "afterwards as they were, changes nothing in it, and gives its mode back",
    hint="In which mode was the model before, and who says that it was training?",
    needs=(),
)  # fmt: skip
def compare_mode(ctx: Context) -> None:
    train, test = ctx.images(20, 4, torch.float64), ctx.images(9, 4, torch.float64)
    model, inner = opponent(ctx)
    before = inner.state()
    for mode in (True, False):
        model.train(mode)
        ctx.call(COMPARE, model, train, test, 3)
        name = "training" if mode else "evaluation"
        for handle in (model, inner):
            ctx.expect(handle.get("training") is mode, f"a model in {name} mode comes back in the other mode",
                       f"training = {mode}", f"training = {not mode}")  # fmt: skip
        ctx.leaves_gradients_on("compare_with_pca")
    ctx.leaves_gradients_off(COMPARE, model, train, test, 3)
    calls, seen = model.get("calls"), model.get("seen")
    ctx.expect(len(calls) > 0, "the model is never called", "model(x)", "no call")
    other = [tuple(x.shape) for x in seen if x.ndim != 4 or x.shape[1:] != (1, 4, 4)]
    ctx.expect(not other, "the model does not get images", "shape (B, 1, 4, 4)", f"shape {other[0] if other else ()}",
               hint="In which shape would a model want them that begins with a convolution?")  # fmt: skip
    ctx.expect(not any(call["training"] for call in calls), "the model runs in training mode", "evaluation mode",
               hint="What do dropout and batch statistics do to an error that is to be compared?")  # fmt: skip
    ctx.expect(not any(call["grad"] for call in calls), "the model runs with gradients", "no gradients",
               hint="Does anything here need a backward pass? What does keeping one cost?")  # fmt: skip
    for name, value in inner.state().items():
        ctx.matches(value, before[name], EXACT, f"{name} of the model after the comparison")


# ---- the linear autoencoder -----------------------------------------------------------------------------------------


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
                recon, z = ctx.sequence(ctx.preserves(model, x), 2, f"forward {what}")
                code = ctx.tensor(model.call("encode", x), (batch, latent), f"encode(x) {what}", dtype=dtype)
                picture = ctx.tensor(model.call("decode", code), x.shape, f"decode(z) {what}", dtype=dtype)
                tol = FLOAT64 if dtype == torch.float64 else FLOAT32
                ctx.matches(recon, picture, tol, f"x_recon {what}")
                ctx.matches(z, code, tol, f"z {what}")


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
            ends = [ctx.tensor(model.call(method, point), None, f"{method} of a point") for point in (one, other)]
            straight = (1 - t) * ends[0] + t * ends[1]
            value = model.call(method, (1 - t) * one + t * other)
            ctx.matches(value, straight, FLOAT64, f"{method} of a point on a line")

    ctx.forall(body, examples=10, seed_and_t=st.tuples(seeds(), st.floats(-2.0, 3.0)))
    for method, batch in (("encode", ctx.images(3, 4, torch.float64)), ("decode", ctx.randn(3, 5))):
        together = ctx.tensor(model.call(method, batch), None, f"{method} of three")
        ctx.matches(model.call(method, batch[:1]), together[:1], FLOAT64, f"{method} of the first of three, alone",
                    hint="Should what comes out for one example depend on the others in its batch?")  # fmt: skip
    for method, size, shape in (("encode", 16, (16, 1, 4, 4)), ("decode", 5, (5, 5))):
        units = torch.eye(size, dtype=torch.float64).reshape(shape)
        origin = ctx.tensor(model.call(method, 0 * units), None, f"{method}(0)")
        slopes = (ctx.tensor(model.call(method, units), None, method) - origin).flatten(1)
        rank = int(torch.linalg.matrix_rank(slopes, rtol=1e-8))
        ctx.expect(rank == 5, f"the rank of {method} is not the size of the code", 5, rank,
                   hint="Do all entries of the code carry something of their own?")  # fmt: skip
    grads = ctx.session.vjp((model, "decode"), torch.zeros(1, 5, dtype=torch.float64), params=[model]).params[0]
    learns = any(grad is not None and bool((grad != 0).any()) for grad in grads.values())
    ctx.expect(learns, "what decode makes of the code 0 cannot be learned", "a parameter that moves it", "none",
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
        ctx.raises("ValueError", LINEAR, input_dim=pixels, latent_dim=1, names="input_dim",
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
    ctx.gradient(model, x, path=(0,), params=[model], what="the gradient of x_recon")
    ctx.gradient(model, x, path=(1,), what="the gradient of z")


CHECKS: tuple[Check, ...] = (
    *COMPONENTS, compare_value, compare_mode, linear_shapes, linear_affine, linear_errors, linear_gradient,
    *TRAINED,
)  # fmt: skip

QUESTION = Question(
    number=3, title="PCA and the linear autoencoder", points=8.0, modules=("pca", "autoencoders"), checks=CHECKS
)
