"""Question 8, what a trained model is used for: images from the prior, and on the way between two images.

Most of it is judged on a probe of the grader, whose decoder returns the latent itself as an image: what was decoded, in
which mode and with or without gradients can then be read off.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.cases import named_sizes
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT32, FLOAT64, INHERIT, Failure
from ...check.forall import forall
from ...check.shown import alike
from ...check.values import Handle, Probe
from ..shared.draws import (
    ONLY_ONE,
    expect_evaluation,
    expect_few,
    expect_generator,
    expect_standard_normal,
)
from ..shared.latents import Readings, matches_among, posterior, stir
from .model import small

GENERATE, INTERPOLATE = "vae.generate", "vae.interpolate"

WHOSE_DTYPE = "In which precision are the model's weights, and in which are the latents that it is given?"
HOW_MANY_LATENTS = "How many latent dimensions has the model that was given, and where can you read it off?"
WHO_CHANGES = "What of the model is another after the call than it was before?"
WHICH_FIRST = "Which of the two images should frame 0 show?"
BOTH_ENDS = "Where is the first frame on the way, where the last one, and how far apart are neighbours?"
ON_THE_LINE = "Is every frame on the straight line between the two means?"
NO_CHANCE = "Should interpolating the same two images twice give two different strips?"
WHICH_SIDE = "On which side of the decoder do you mix: images, or latents?"
WHOSE_MEAN = "Whose tensor is it that encode gives you, and who else may be using it?"
FRAMES = "How many frames are asked for when the caller names no number?"


def showing_latents(ctx: Context, side: int, dtype: torch.dtype = torch.float64, strict: bool = False) -> Handle:
    """A model with side * side latents whose decoder returns them, and whose posterior mean is the image."""
    model = ctx.new(Probe("IdentityDecoder"), side, strict=strict)
    return model.double() if dtype == torch.float64 else model


@declare(
    id="q8.generate.prior", question=8, kind="statistical", points=0.75, visibility="public",
    title="generate: draws of the prior",
    asks="generate decodes num_samples independent draws of N(0, I) with model.latent_dim dimensions, one or many",
    hint="From which distribution do the latents of new images come? Plot those that you decode: centre, width, shape?",
    needs=(),
)  # fmt: skip
def generate_prior(ctx: Context) -> None:
    # 4000 draws of 9 dimensions; the statistics and their chances of a false alarm (6e-7 in all) are those of
    # expect_standard_normal and expect_few
    probe = showing_latents(ctx, 3)
    images = as_tensor(ctx.call(GENERATE, probe, 4000), (4000, 1, 3, 3), "generate(model, 4000)")
    wrong = sorted({width for width in probe.get("widths") if width != 9})
    expect(
        not wrong, "generate decodes latents of another size than the model's", "9 dimensions, the model's latent_dim",
        wrong, hint=HOW_MANY_LATENTS,
    )  # fmt: skip
    expect_standard_normal(ctx, images.flatten(1), "the latents that generate decodes")
    expect_generator(ctx, lambda generator: ctx.call(GENERATE, probe, 5, generator=generator), "generate")

    def few(count: int) -> Tensor:
        value, what = ctx.call(GENERATE, probe, count), f"generate(model, {count})"
        as_tensor(value, None, what, hint=ONLY_ONE if count == 1 else INHERIT)
        return as_tensor(value, (count, 1, 3, 3), what).flatten(1)

    expect_few(ctx, few, "the latents that generate decodes")


@declare(
    id="q8.generate.model", question=8, kind="property", points=0.25, visibility="public",
    title="generate: mode, gradients, dtype",
    asks="generate runs the model in evaluation mode, without gradients, in its dtype, and leaves its mode, what "
    "requires gradients and whether they are on as they were",
    hint="In which mode and with which dtype does the model decode, and in which mode does the caller get it back?",
    needs=(),
)  # fmt: skip
def generate_model(ctx: Context) -> None:
    for dtype in (torch.float32, torch.float64):
        probe = showing_latents(ctx, 2, dtype, strict=True)
        expect_evaluation(ctx, GENERATE, probe, 3)
        what = f"generate(model, 3) of a model in {str(dtype).removeprefix('torch.')}"
        images = as_tensor(ctx.call(GENERATE, probe, 3), None, what)
        as_tensor(images, None, what, dtype=dtype, hint=WHOSE_DTYPE)
        as_tensor(images, (3, 1, 2, 2), what)
    model, x = small(ctx)
    z = ctx.randn(1, 6, dtype=x.dtype)
    shape = as_tensor(model.call("decode", z), None, "the output of decode").shape[1:]
    as_tensor(ctx.call(GENERATE, stir(ctx, model), 6), (6, *shape), "generate(VAE, 6)", dtype=z.dtype)
    conv = ctx.new("vae.ConvVAE", latent_dim=3)
    before = conv.state()
    ctx.call(GENERATE, conv, 2)
    changed = [name for name, held in conv.state().items() if not torch.equal(held, before[name])]
    expect(not changed, "generate changes the model", "unchanged weights and buffers", changed, hint=WHO_CHANGES)


@declare(
    id="q8.interpolate.path", question=8, kind="property", points=0.5, visibility="public",
    title="interpolate: the line between two means",
    asks="the frames decode equally spaced points from the posterior mean of x1 (frame 0) to that of x2 (the last); "
    "the images stay as they are, also where those means are views of them",
    hint="Which image is frame 0, which the last one? How far apart are neighbours? Should two runs differ?",
    needs=(),
)  # fmt: skip
def interpolate_path(ctx: Context) -> None:
    def body(sizes: dict[str, int]) -> None:
        side, steps = sizes["side"], sizes["steps"]
        probe = showing_latents(ctx, side)
        x1, x2 = ctx.rand(1, 1, side, side), ctx.rand(1, 1, side, side)
        weight = torch.linspace(0, 1, steps, dtype=torch.float64).view(-1, 1, 1, 1)
        value = preserves(ctx, INTERPOLATE, probe, x1, x2, steps)
        what = "interpolate(model, x1, x2, steps)"
        expected = (1 - weight) * x1 + weight * x2
        frames = as_tensor(value, expected.shape, what)
        if not alike(frames, ctx.call(INTERPOLATE, probe, x1, x2, steps)):
            raise Failure("two runs of interpolate with the same images differ", "equal frames", "different frames",
                          hint=NO_CHANCE)  # fmt: skip
        places(frames, x1, x2, weight.flatten())
        matches(ctx, frames, expected, FLOAT64, what, hint=ON_THE_LINE)

    body({"side": 2, "steps": 5})
    forall(ctx, body, examples=12, sizes=named_sizes(side=(2, 4), steps=(3, 8)))
    for side, steps in ((1, 2), (3, 2), (2, 3)):
        body({"side": side, "steps": steps})
    probe = showing_latents(ctx, 3)
    default = ctx.call(INTERPOLATE, probe, ctx.rand(1, 1, 3, 3), ctx.rand(1, 1, 3, 3))
    as_tensor(default, (10, 1, 3, 3), "interpolate with default steps", hint=FRAMES)
    shared = ctx.new(Probe("IdentityDecoder"), 3, views=True).double()
    try:
        preserves(ctx, INTERPOLATE, shared, ctx.rand(1, 1, 3, 3), ctx.rand(1, 1, 3, 3), 4)
    except Failure as failure:
        failure.message = f"{failure.message}, where the mean that encode returns is a view of it"
        failure.hint = WHOSE_MEAN
        raise


def places(frames: Tensor, x1: Tensor, x2: Tensor, wanted: Tensor) -> None:
    """Where each frame lies on the way from x1 (0) to x2 (1): a frame off the line is left to the comparison."""
    way = (x2 - x1).flatten()
    found = (frames - x1).flatten(1) @ way / way.square().sum()
    # float64: the rounding of a projection
    on_line = alike(frames, x1 + found.view(-1, 1, 1, 1) * (x2 - x1), rtol=1e-6, atol=1e-6)
    shown = [float(f"{place:.3g}") + 0.0 for place in found.tolist()]
    expect(
        on_line, "frames of interpolate do not lie on the line between the two posterior means", "all on the line",
        f"off by up to {float((frames - x1 - found.view(-1, 1, 1, 1) * (x2 - x1)).abs().max()):.3g}", hint=ON_THE_LINE,
    )  # fmt: skip
    # float64: the rounding of a projection
    expect(
        alike(found, wanted, rtol=1e-6, atol=1e-6),
        "frames of interpolate lie elsewhere on the way from x1 (0) to x2 (1)",
        [float(f"{place:.3g}") for place in wanted.tolist()], shown,
        hint=WHICH_FIRST if alike(found, 1 - wanted, rtol=1e-6, atol=1e-6) else BOTH_ENDS,
    )  # fmt: skip


@declare(
    id="q8.interpolate.model", question=8, kind="property", points=0.25, visibility="public",
    title="interpolate: mode, gradients, a real model",
    asks="interpolate mixes latents, not images; it runs the model in evaluation mode without gradients and leaves its "
    "mode, what requires gradients and whether they are on as they were",
    hint="In which mode does the model encode and decode, and in which mode does the caller get it back?",
    needs=(),
)  # fmt: skip
def interpolate_model(ctx: Context) -> None:
    probe = showing_latents(ctx, 2, strict=True)
    x1, x2 = ctx.rand(1, 1, 2, 2), ctx.rand(1, 1, 2, 2)
    expect_evaluation(ctx, INTERPOLATE, probe, x1, x2, 4)
    double, x = small(ctx, batch=2)
    single = ctx.new("vae.VAE", input_dim=x[0].numel(), hidden_dim=11, latent_dim=6).eval()
    for model, images in ((double, x), (single, x.float())):
        stir(ctx, model)
        dtype, (first, last) = images.dtype, (images[:1], images[1:])
        value = ctx.call(INTERPOLATE, model, first, last, 7)
        (start, _), (end, _) = (posterior(ctx, model.call("encode", x), (1, 6), dtype, "encode") for x in (first, last))
        weight = torch.linspace(0, 1, 7, dtype=dtype).unsqueeze(1)
        expected = as_tensor(model.call("decode", torch.lerp(start, end, weight)), None, "the decoded path")
        frames = as_tensor(value, expected.shape, "interpolate on a VAE", dtype=dtype)
        backwards = alike(frames, expected.flip(0), rtol=1e-4, atol=1e-5)  # costs points elsewhere

        def otherwise(
            model: Handle = model, first: Tensor = first, last: Tensor = last, start: Tensor = start, end: Tensor = end,
            weight: Tensor = weight,
        ) -> Readings:  # fmt: skip
            of_pixel = weight.view(-1, 1, 1, 1)
            mixed = (1 - of_pixel) * first + of_pixel * last
            ends = [as_tensor(model.call("decode", mean), None, "decode") for mean in (start, end)]
            means = posterior(ctx, model.call("encode", mixed), (7, 6), mixed.dtype, "encode")[0]
            found = {
                "a mix of the two reconstructions, pixel by pixel": (1 - of_pixel) * ends[0] + of_pixel * ends[1],
                "the reconstructions of a mix of the two images, pixel by pixel": model.call("decode", means),
                "a mix of the two images, pixel by pixel": mixed,
            }
            return {words: (frames, WHICH_SIDE) for words, frames in found.items()}

        tol = FLOAT64 if dtype == torch.float64 else FLOAT32
        wanted = expected.flip(0) if backwards else expected
        matches_among(ctx, frames, wanted, tol, "interpolate on a VAE, frame by frame,", otherwise, hint=WHICH_SIDE)


@declare(
    id="q8.errors", question=8, kind="property", points=0.25, visibility="hidden",
    title="Bad arguments",
    asks="vae_loss, kl_annealing, free_bits_kl, interpolate and VAE raise a ValueError that names a bad argument, and "
    "vae_loss its value",
    hint="Which arguments make no sense here, and what does your code do with them?",
    needs=(),
)  # fmt: skip
def errors(ctx: Context) -> None:
    mu, x = ctx.randn(4, 6), ctx.rand(4, 1, 3, 3, low=0.1, high=0.9)
    weight = "What would a negative weight make the training do?"
    raises(ctx, "ValueError", "vae.vae_loss", x, x, mu, mu, beta=-0.5, names="beta", hint=weight,
           case="vae_loss with beta = -0.5")  # fmt: skip
    try:
        raises(ctx, "ValueError", "vae.vae_loss", x, x, mu, mu, beta=-0.5, names="0.5", hint=weight,
               case="vae_loss with beta = -0.5")  # fmt: skip
    except Failure as failure:
        failure.message = "vae_loss with beta = -0.5: the message does not say which value was refused"
        failure.hint = "Would somebody who reads only this message know what they had passed?"
        raise
    time = "Is there a step, a length or a weight below 0? And does it matter then what the others are?"
    for args, name in (
        ((-1, 10), "step"), ((3, -10), "warmup_steps"), ((3, 10, -1.0), "beta_max"), ((-1, 0), "step"),
        ((3, 0, -1.0), "beta_max"),
    ):  # fmt: skip
        shown = ", ".join(
            f"{word} = {arg:g}" for word, arg in zip(("step", "warmup_steps", "beta_max"), args, strict=False)
        )
        raises(ctx, "ValueError", "vae.kl_annealing", *args, names=name, hint=time, case=f"kl_annealing with {shown}")
    raises(ctx, "ValueError", "vae.free_bits_kl", mu, mu, -0.1, names="free_bits",
           case="free_bits_kl with free_bits = -0.1", hint="Below which floor can a divergence never be?")  # fmt: skip
    for group_size in (4, 12, 0):
        raises(ctx, "ValueError", "vae.free_bits_kl", mu, mu, 0.1, group_size, names="group_size",
               case=f"free_bits_kl of 6 latents with group_size = {group_size}",
               hint="Into how many groups of this size can these latents be parted?")  # fmt: skip
    probe = showing_latents(ctx, 3)
    for steps in (1, 0, -2):
        raises(ctx, "ValueError", INTERPOLATE, probe, x[:1], x[1:2], steps, names="steps",
               case=f"interpolate with steps = {steps}",
               hint="How many frames does a way with two ends need?")  # fmt: skip
    raises(ctx, "ValueError", "vae.VAE", input_dim=35, names="input_dim", case="VAE with input_dim = 35",
           hint="Which side has a square image of so many pixels?")  # fmt: skip


SAMPLING: tuple[Check, ...] = (generate_prior, generate_model, interpolate_path, interpolate_model)
ERRORS = errors
