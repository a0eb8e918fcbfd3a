"""The denoising autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT32
from ...check.values import Handle, TorchRef
from ..q04.models import ACROSS, blown_up, squashed, unbounded
from .noise import DRAWS, GAUSSIAN, KINDS, draws_are_fresh

LOSS, DAE = "denoising.denoising_loss", "denoising.DenoisingAutoencoder"


def dae(ctx: Context, noise: str = "gaussian", level: float = 0.3) -> Handle:
    """A small float64 model in evaluation mode, for 7x7 images."""
    return ctx.new(DAE, input_dim=49, latent_dim=5, noise=noise, noise_level=level).double().eval()


def both(ctx: Context, model: Handle, x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """`(x_recon, z)` of a small model."""
    x_recon, z = as_sequence(ctx.call(model, x, *args, **kwargs), 2, "forward(x)")
    return as_tensor(x_recon, x.shape, "x_recon", dtype=x.dtype), as_tensor(z, (len(x), 5), "z", dtype=x.dtype)


@declare(
    id="q5.dae.shapes", question=5, kind="property", points=0.25, visibility="public",
    title="Denoising autoencoder: shapes",
    asks="encode, decode and forward of DenoisingAutoencoder agree and have the right shapes and dtypes",
    hint="Print the shape after every layer for a batch of three 7x7 images. What are the two things that forward "
    "returns?",
    needs=(),
)  # fmt: skip
def dae_shapes(ctx: Context) -> None:
    for kwargs, side, latent in (({"input_dim": 49, "latent_dim": 5}, 7, 5), ({}, 28, 32)):
        model = ctx.new(DAE, **kwargs).eval()
        for batch, dtype in ((3, torch.float32), (1, torch.float64)):
            if dtype == torch.float64:
                model.double()
            x, close = ctx.images(batch, side, dtype), FLOAT32 if dtype == torch.float32 else ACROSS
            z = as_tensor(model.call("encode", x), (batch, latent), "encode(x)", dtype=dtype)
            picture = as_tensor(model.call("decode", z), x.shape, "decode(z)", dtype=dtype)
            for args in ((), (False,)):
                x_recon, code = as_sequence(preserves(ctx, model, x, *args), 2, "forward(x)")
                matches(ctx, code, z, close, "the code of forward without noise, compared with encode(x),")
                matches(
                    ctx,
                    x_recon,
                    picture,
                    close,
                    "the reconstruction of forward without noise, compared with decode(z),",
                )


@declare(
    id="q5.dae.range", question=5, kind="property", points=0.25, visibility="public",
    title="Denoising autoencoder: unbounded codes, squashed outputs, errors",
    asks="codes may take any value of either sign, reconstructions take all values in [0, 1] and no other; an unknown "
    "noise, and an input_dim that is no square, is a ValueError at construction",
    hint="What values can the last layer of the encoder give, and the last layer of the decoder? Which arguments does "
    "the constructor look at?",
    needs=("q5.dae.shapes",),
)  # fmt: skip
def dae_range(ctx: Context) -> None:
    model, codes, pictures = dae(ctx), [], []
    for _ in range(10):  # 50 units of a code: all of one sign by chance with probability 2^-49
        blown_up(ctx, model)
        x_recon, z = both(ctx, model, ctx.images(4, 7, torch.float64))
        codes.append(z)
        pictures.append(x_recon)
    pictures.append(as_tensor(model.call("decode", ctx.randn(4, 5)), (4, 1, 7, 7), "decode(z)"))
    unbounded(torch.cat(codes))
    squashed(torch.cat(pictures))
    raises(ctx, "ValueError", DAE, input_dim=49, latent_dim=5, noise="poisson", names="poisson",
               case="DenoisingAutoencoder with noise='poisson'")  # fmt: skip
    raises(ctx, "ValueError", DAE, input_dim=50, latent_dim=5, names="input_dim")


@declare(
    id="q5.dae.modes", question=5, kind="property", points=0.75, visibility="public",
    title="Denoising autoencoder: when it corrupts",
    asks="forward corrupts in training mode only if add_noise is None, always if it is True, never if it is False, "
    "with gradients and without; encode and decode never do",
    hint="How can you find out how well a model removes noise while it is in evaluation mode? Which of the three "
    "values of add_noise looks at the mode?",
    needs=("q5.dae.shapes",),
)  # fmt: skip
def dae_modes(ctx: Context) -> None:
    # at level 1 these corruptions replace every pixel, so that the output depends on the image only if there is no
    # corruption. Unlike values, that shows with dropout or batch norm in training mode too
    models = [dae(ctx, noise, 1.0) for noise in ("masking", "salt_and_pepper")]
    x, z = ctx.images(4, 7, torch.float64), ctx.randn(4, 5)
    weights = [((0,), ctx.randn(*x.shape)), ((1,), ctx.randn(4, 5))]

    def depends(model: Handle, **how: Any) -> bool:
        slope = ctx.session.vjp(model, x, wrt=[0], cotangents=weights, **how).args[0]
        return slope is not None and float(slope.abs().max()) > 0

    for training in (True, False):
        mode = "training" if training else "evaluation"
        for model in models:
            model.train(training)
        for how, corrupts in (({}, training), ({"add_noise": True}, True), ({"add_noise": False}, False),
                              ({"add_noise": None}, training)):  # fmt: skip
            clean = [depends(model, **how) for model in models]
            said = f"forward(x, add_noise={how['add_noise']})" if how else "forward(x)"
            # a mistake in one of the corruptions costs its own check: one that works is enough
            expect(not all(clean) if corrupts else all(clean), f"{said} in {mode} mode is wrong",
                       "corrupted" if corrupts else "not corrupted",
                       "not corrupted" if all(clean) else "corrupted")  # fmt: skip
        for model in models:
            for method, argument, cotangent in (("encode", x, weights[1][1]), ("decode", z, weights[0][1])):
                found = ctx.session.vjp((model, method), argument, wrt=[0], cotangents=[((), cotangent)]).args[0]
                expect(found is not None and float(found.abs().max()) > 0, f"{method} corrupts in {mode} mode",
                           "never", "what comes out does not depend on what went in")  # fmt: skip
    expect(all(model.get("training") is False for model in models), "forward changes the mode of the model")
    corrupts_without_gradients(ctx, models, x)


def corrupts_without_gradients(ctx: Context, models: Sequence[Handle], x: Tensor) -> None:
    """Under no_grad too: what forward gives is not what it gives for clean images.

    With the same global numbers behind it, so that dropout makes no difference where the corruption makes none.
    """

    def outputs(model: Handle, **how: bool) -> Tensor:
        ctx.call(TorchRef("manual_seed"), 17)
        x_recon, z = as_sequence(ctx.session.infer(model, x, **how), 2, "forward(x)")
        both = as_tensor(x_recon, x.shape, "x_recon"), as_tensor(z, (len(x), 5), "z")
        return torch.cat([part.flatten(1) for part in both], dim=1)

    for how in ({}, {"add_noise": True}):
        said = f"forward(x, add_noise={how.get('add_noise')})"
        clean = [torch.equal(outputs(model.train(), **how), outputs(model, add_noise=False)) for model in models]
        expect(not all(clean), f"{said} in training mode is wrong without gradients", "corrupted", "not corrupted",
                   hint="Is a model that records no gradients still in training mode?")  # fmt: skip


@declare(
    id="q5.dae.noise", question=5, kind="property", points=0.25, visibility="hidden",
    title="Denoising autoencoder: which noise",
    asks="a model corrupts by the noise and at the level it was constructed with, level 0 and other models beside it "
    "or not",
    hint="What becomes of the constructor's arguments? Does forward use both of them, whatever they are, and are they "
    "still those of this model when there is a second one?",
    needs=("q5.dae.shapes",),
)  # fmt: skip
def dae_noise(ctx: Context) -> None:
    def moved(model: Handle, x: Tensor) -> float:
        clean = as_tensor(model.call("encode", x), (len(x), 5), "encode(x)")
        return float((both(ctx, model, x, add_noise=True)[1] - clean).abs().max())

    grey, black = ctx.rand(4, 1, 7, 7, low=0.3, high=0.7), torch.zeros(4, 1, 7, 7, dtype=torch.float64)
    # each kind where it cannot be mistaken: masking leaves black images alone, salt does not; a tiny Gaussian moves
    # everything a little, a tiny probability moves nothing. One of many draws is enough. All models are built first
    cases = (("masking", 0.5, black, False), ("masking", 0.5, grey, True), ("salt_and_pepper", 0.5, black, True),
             ("salt_and_pepper", 1e-9, grey, False), ("gaussian", 0.0, grey, False),
             ("gaussian", 1e-5, grey, True))  # fmt: skip
    levels = (1e-3, 1e-7)
    models = [dae(ctx, noise, level) for noise, level, _, _ in cases]
    louder, softer = (dae(ctx, "gaussian", level) for level in levels)
    for model, (noise, level, x, moves) in zip(models, cases, strict=True):
        found = next((far for far in (moved(model, x) for _ in range(DRAWS if moves else 1)) if far > 1e-12), 0.0)
        expect((found > 1e-12) == moves, f"noise={noise!r} at level {level:g} is another corruption",
                   f"{'other' if moves else 'the same'} codes of {'black' if x is black else 'grey'} images",
                   f"codes move by {found:.3g}")  # fmt: skip
    ratio = moved(louder, grey) / max(moved(softer, grey), 1e-300)
    # a wrong gaussian_noise costs its own checks: this one asks how large the student's own becomes
    first, second = (as_tensor(ctx.call(GAUSSIAN, grey, level), grey.shape, "gaussian_noise") for level in levels)
    own = float((first - grey).abs().mean()) / max(float((second - grey).abs().mean()), 1e-300)
    # each move is the largest of 20 numbers of one size: the ratio is right up to a small factor
    expect(0.1 < ratio / own < 10, "noise_level is not the level of the noise",
               f"{own:.3g} times the noise for {levels[0] / levels[1]:g} times the level, as gaussian_noise gives",
               f"{ratio:.3g} times")  # fmt: skip


@declare(
    id="q5.dae.fresh", question=5, kind="property", points=0.25, visibility="hidden",
    title="Denoising autoencoder: fresh noise",
    asks="every forward pass and every image gets its own noise, drawn from the generator if one is given; the images "
    "given stay clean",
    hint="When are the random numbers drawn: once, or whenever an image comes in? Does the generator get there?",
    needs=("q5.dae.shapes",),
)  # fmt: skip
def dae_fresh(ctx: Context) -> None:
    x = ctx.rand(1, 1, 7, 7, low=0.3, high=0.7).expand(4, 1, 7, 7).contiguous()
    for noise, (_, level) in KINDS.items():
        model = dae(ctx, noise, level)
        draws_are_fresh(ctx, model, (x, True), f"forward with {noise} noise", pick=1)
        preserves(ctx, model, x, True)
        # by more than rounding, which depends on an image's place in the batch
        drawn = (both(ctx, model, x, True)[1] for _ in range(DRAWS))
        apart = any(float((codes - codes[0]).abs().max()) > 1e-4 * float(codes.abs().max()) for codes in drawn)
        expect(apart, "all images of a batch get the same noise", "other noise for each image")
