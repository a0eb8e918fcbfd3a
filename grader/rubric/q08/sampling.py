"""Question 8, what a trained model is used for: images from the prior, and on the way between two images.

Most of it is judged on a probe of the grader, whose decoder returns the latent itself as an image: what was decoded, in
which mode and with or without gradients can then be read off.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.cases import sizes
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT32, FLOAT64, Failure
from ...check.forall import forall
from ...check.shown import alike
from ...check.values import Handle, Probe
from ..shared.latents import (
    expect_evaluation,
    expect_few,
    expect_generator,
    expect_standard_normal,
    posterior,
    probabilities,
    stir,
)

GENERATE, INTERPOLATE = "vae.generate", "vae.interpolate"


def showing_latents(ctx: Context, side: int, dtype: torch.dtype = torch.float64) -> Handle:
    """A model with side * side latents whose decoder returns them, and whose posterior mean is the image."""
    model = ctx.new(Probe("IdentityDecoder"), side)
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
    expect_standard_normal(ctx, images.flatten(1), "the latents that generate decodes")
    expect_generator(ctx, lambda generator: ctx.call(GENERATE, probe, 5, generator=generator), "generate")

    def few(count: int) -> Tensor:
        return as_tensor(ctx.call(GENERATE, probe, count), (count, 1, 3, 3), f"generate(model, {count})").flatten(1)

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
        probe = showing_latents(ctx, 2, dtype)
        expect_evaluation(ctx, GENERATE, probe, 3)
        as_tensor(ctx.call(GENERATE, probe, 3), (3, 1, 2, 2), "generate(model, 3)", dtype=dtype)
        model = stir(ctx, ctx.new("vae.VAE", input_dim=25, hidden_dim=7, latent_dim=4))
        model = model.double() if dtype == torch.float64 else model
        probabilities(ctx, ctx.call(GENERATE, model, 6), (6, 1, 5, 5), "generate(VAE, 6)", dtype)
    conv = ctx.new("vae.ConvVAE", latent_dim=3)
    before = conv.state()
    probabilities(ctx, ctx.call(GENERATE, conv, 2), (2, 1, 28, 28), "generate(ConvVAE, 2)")
    same = all(torch.equal(held, before[name]) for name, held in conv.state().items())
    expect(same, "generate changes the model", "unchanged weights and buffers", "changed ones")


@declare(
    id="q8.interpolate.path", question=8, kind="property", points=0.5, visibility="public",
    title="interpolate: the line between two means",
    asks="the frames decode equally spaced points from the posterior mean of x1 (frame 0) to that of x2 (the last); "
    "the images stay as they are, also where those means are views of them",
    hint="Which image is frame 0, which the last one? How far apart are neighbours? Should two runs differ?",
    needs=(),
)  # fmt: skip
def interpolate_path(ctx: Context) -> None:
    def body(side: int, steps: int) -> None:
        probe = showing_latents(ctx, side)
        x1, x2 = ctx.rand(1, 1, side, side), ctx.rand(1, 1, side, side)
        weight = torch.linspace(0, 1, steps, dtype=torch.float64).view(-1, 1, 1, 1)
        expected = (1 - weight) * x1 + weight * x2
        value = preserves(ctx, INTERPOLATE, probe, x1, x2, steps)
        hint = ""
        if alike(value, expected.flip(0)):
            hint = "Which of the two images should frame 0 show?"
        matches(ctx, value, expected, FLOAT64, "interpolate(model, x1, x2, steps)", hint=hint)

    forall(ctx, body, examples=12, side=sizes(1, 4), steps=sizes(2, 8))
    probe = showing_latents(ctx, 3)
    as_tensor(
        ctx.call(INTERPOLATE, probe, ctx.rand(1, 1, 3, 3), ctx.rand(1, 1, 3, 3)),
        (10, 1, 3, 3),
        "interpolate with default steps",
    )
    shared = ctx.new(Probe("IdentityDecoder"), 3, views=True).double()
    try:
        preserves(ctx, INTERPOLATE, shared, ctx.rand(1, 1, 3, 3), ctx.rand(1, 1, 3, 3), 4)
    except Failure as failure:
        failure.hint = "Whose tensor is it that encode gives you, and who else may be using it?"
        raise


@declare(
    id="q8.interpolate.model", question=8, kind="property", points=0.25, visibility="public",
    title="interpolate: mode, gradients, a real model",
    asks="interpolate mixes latents, not images; it runs the model in evaluation mode without gradients and leaves its "
    "mode, what requires gradients and whether they are on as they were",
    hint="In which mode does the model encode and decode, and in which mode does the caller get it back?",
    needs=(),
)  # fmt: skip
def interpolate_model(ctx: Context) -> None:
    probe = showing_latents(ctx, 2)
    x1, x2 = ctx.rand(1, 1, 2, 2), ctx.rand(1, 1, 2, 2)
    expect_evaluation(ctx, INTERPOLATE, probe, x1, x2, 4)
    for dtype, tol in ((torch.float64, FLOAT64), (torch.float32, FLOAT32)):
        model = stir(ctx, ctx.new("vae.VAE", input_dim=25, hidden_dim=11, latent_dim=4).eval())
        model = model.double() if dtype == torch.float64 else model
        first, last = ctx.images(1, 5, dtype=dtype), ctx.images(1, 5, dtype=dtype)
        value = ctx.call(INTERPOLATE, model, first, last, 7)
        frames = as_tensor(value, (7, 1, 5, 5), "interpolate on a VAE", dtype=dtype)
        start, end = (posterior(ctx, model.call("encode", x), (1, 4), dtype, "encode")[0] for x in (first, last))
        path = torch.lerp(start, end, torch.linspace(0, 1, 7, dtype=dtype).unsqueeze(1))
        expected = as_tensor(model.call("decode", path), (7, 1, 5, 5), "the decoded path")
        backwards = alike(frames, expected.flip(0), rtol=1e-4, atol=1e-5)  # costs points elsewhere
        matches(
            ctx,
            frames,
            expected.flip(0) if backwards else expected,
            tol,
            "interpolate on a VAE, frame by frame",
            hint="On which side of the decoder do you mix: images, or latents?",
        )


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
    raises(ctx, "ValueError", "vae.vae_loss", x, x, mu, mu, beta=-0.5, names="beta")
    raises(ctx, "ValueError", "vae.vae_loss", x, x, mu, mu, beta=-0.5, names="0.5", case="vae_loss with beta = -0.5")
    raises(ctx, "ValueError", "vae.kl_annealing", -1, 10, names="step")
    raises(ctx, "ValueError", "vae.kl_annealing", 3, -10, names="warmup_steps")
    raises(ctx, "ValueError", "vae.kl_annealing", 3, 10, -1.0, names="beta_max")
    raises(ctx, "ValueError", "vae.kl_annealing", -1, 0, names="step", case="kl_annealing without warm-up at step -1")
    raises(
        ctx, "ValueError", "vae.kl_annealing", 3, 0, -1.0, names="beta_max", case="kl_annealing without warm-up to -1"
    )
    raises(ctx, "ValueError", "vae.free_bits_kl", mu, mu, -0.1, names="free_bits")
    for group_size in (4, 12, 0):
        raises(ctx, "ValueError", "vae.free_bits_kl", mu, mu, 0.1, group_size, names="group_size")
    probe = showing_latents(ctx, 3)
    for steps in (1, 0, -2):
        raises(ctx, "ValueError", INTERPOLATE, probe, x[:1], x[1:2], steps, names="steps")
    raises(ctx, "ValueError", "vae.VAE", input_dim=35, names="input_dim")


SAMPLING: tuple[Check, ...] = (generate_prior, generate_model, interpolate_path, interpolate_model)
ERRORS = errors
