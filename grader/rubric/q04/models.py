"""Question 4, models: what the checks of all three share, and those of the two models without skips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT32, Failure, Tolerance
from ...check.shown import kind_of
from ...check.values import Handle
from ..shared.latents import stir

VANILLA, CONV, UNET = (f"autoencoders.{name}Autoencoder" for name in ("Vanilla", "Conv", "UNet"))
SMALL: dict[str, dict[str, int]] = {VANILLA: {"input_dim": 49, "latent_dim": 5}, CONV: {"latent_dim": 6},
                                    UNET: {"latent_dim": 5}}  # fmt: skip

ONE_NUMBER = "Where a code is a single number: which axis of the codes of three images is the batch, which the code?"
WHILE_TRAINING = "Which values may a pixel take while the model trains? What would bce_loss make of others?"
ACROSS = Tolerance(1e-6, 1e-9, "float64; other batch sizes take other summation orders")


def small(ctx: Context, target: str) -> tuple[Handle, int]:
    """A small float64 model in evaluation mode, and the side of its images."""
    model = ctx.new(target, **SMALL[target]).double().eval()
    return model, 7 if target == VANILLA else 28


def encoded(ctx: Context, model: Handle, x: Tensor, latent: int, unet: bool) -> tuple[Tensor, list[Tensor]]:
    """The code of `encode(x)`, and what else `decode` is to get."""
    value = model.call("encode", x)
    skips: list[Tensor] = []
    if unet:
        value, skips = unpack_skips(ctx, value, x)
    return as_tensor(value, (len(x), latent), "the code of encode(x)", dtype=x.dtype), skips


def unpack_skips(ctx: Context, value: Any, x: Tensor) -> tuple[Any, list[Tensor]]:
    """`(z, skips)` of a U-Net: maps of 28x28 and 14x14 pixels, then possibly smaller ones."""
    z, skips = as_sequence(value, 2, "encode(x)")
    if not isinstance(skips, list | tuple) or len(skips) < 2:
        raise Failure(
            "skips is not a list of the feature maps before each pooling", "a list of two maps", kind_of(skips)
        )
    maps = [as_tensor(skip, None, f"skips[{k}]", dtype=x.dtype) for k, skip in enumerate(skips)]
    for k, (found, side) in enumerate(zip(maps, (28, 14), strict=False)):
        if found.ndim != 4 or len(found) != len(x) or found.shape[2:] != (side, side):
            raise Failure(f"skips[{k}] does not have the size the maps have before that pooling",
                          f"shape ({len(x)}, channels, {side}, {side})", f"shape {tuple(found.shape)}")  # fmt: skip
    return z, maps


def decoded(model: Handle, z: Tensor, skips: Sequence[Tensor], unet: bool) -> Any:
    """`decode`, with the skips where there are any."""
    return model.call("decode", z, list(skips)) if unet else model.call("decode", z)


def shapes(ctx: Context, target: str, cases: Sequence[tuple[dict[str, int], int, int]]) -> None:
    """Shapes, dtypes and agreement of the three methods; `cases` are (arguments, side, latent size)."""
    unet = target == UNET
    for index, (kwargs, side, latent) in enumerate(cases):
        model = ctx.new(target, **kwargs).eval()
        for batch, dtype in ((1, torch.float32), (3, torch.float32), (7, torch.float64)):
            if dtype == torch.float64:
                model.double()
            x = ctx.images(batch, side, dtype)
            z, skips = encoded(ctx, model, x, latent, unet)
            picture = as_tensor(decoded(model, z, skips, unet), x.shape, "decode of the code", dtype=dtype)
            value = preserves(ctx, model, x)
            x_recon, code = as_sequence(value, 2, "forward(x)")
            close = FLOAT32 if dtype == torch.float32 else ACROSS
            matches(ctx, code, z, close, "the second output of forward, compared with encode(x),")
            matches(ctx, x_recon, picture, close, "the first output of forward, compared with decode of its code,")
            if index and batch == 3:
                break  # the default sizes once in float32: what is slow is not repeated
    narrow(ctx, target)


def narrow(ctx: Context, target: str) -> None:
    """A code of one number per image is a column, for one image and for several."""
    model, unet = ctx.new(target, **{**SMALL[target], "latent_dim": 1}).eval(), target == UNET
    for batch in (1, 3):
        x = ctx.images(batch, 7 if target == VANILLA else 28)
        try:
            z, skips = encoded(ctx, model, x, 1, unet)
        except Failure as failure:
            failure.hint = failure.hint or ONE_NUMBER
            raise
        as_tensor(decoded(model, z, skips, unet), x.shape, "decode of codes of one number", dtype=x.dtype)
        x_recon, code = as_sequence(model(x), 2, "forward(x)")
        as_tensor(code, z.shape, "the second output of forward with latent_dim = 1")
        as_tensor(x_recon, x.shape, "the first output of forward with latent_dim = 1")


def blown_up(ctx: Context, model: Handle) -> None:
    """Draws all weights anew, large: nothing that can be reached stays out of reach because weights start small."""
    names = model.parameters()
    model.load({k: 10 * ctx.randn(*v.shape, dtype=v.dtype) if k in names else v for k, v in model.state().items()})


def in_range(ctx: Context, pictures: Tensor, what: str, hint: str = "") -> None:
    """Pixels lie in [0, 1]."""
    expect(bool((pictures >= 0).all() and (pictures <= 1).all()), f"{what} leaves [0, 1]",
               "pixels in [0, 1] whatever the weights", pictures, hint=hint)  # fmt: skip


class Extremes(NamedTuple):
    """What a model gives for large weights: codes and reconstructions, and the latter in training mode."""

    codes: Tensor
    pictures: Tensor
    training: Tensor


def extremes(ctx: Context, target: str) -> Extremes:
    """From ten draws of large weights: in one draw all pixels may go to the same end. The last three train, too."""
    model, side = small(ctx, target)
    codes, pictures, training = [], [], []

    def rebuilt(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        z, skips = encoded(ctx, model, x, SMALL[target]["latent_dim"], target == UNET)
        both = (decoded(model, z, skips, target == UNET), as_sequence(model(x), 2, "forward(x)")[0])
        return z, [as_tensor(output, x.shape, "the reconstruction") for output in both]

    for draw in range(10):
        blown_up(ctx, model)
        x = ctx.images(8, side, torch.float64)
        z, found = rebuilt(x)
        codes.append(z)
        pictures += found
        if draw >= 7:
            model.train()
            training += rebuilt(x)[1]
            model.eval()
    return Extremes(torch.cat(codes), torch.cat(pictures), torch.cat(training))


def squashed(ctx: Context, pictures: Tensor) -> None:
    """Pixels fill [0, 1] and nothing else."""
    in_range(ctx, pictures, "a reconstruction")
    dark, bright = float((pictures < 0.2).double().mean()), float((pictures > 0.8).double().mean())
    # with large random weights about half of all pixels go to each end; a second squashing stops at .5 and .73
    expect(dark > 0.05 and bright > 0.05, "the reconstruction cannot be both nearly black and nearly white",
               "pixels near 0 and near 1", pictures,
               hint="Through how many squashing functions does a pixel go?")  # fmt: skip


def unbounded(ctx: Context, codes: Tensor) -> None:
    """Codes go far in both directions."""
    low, high = float(codes.min()), float(codes.max())
    negative = "May a code be negative? What is the last layer of your encoder?"
    bounded = "Which end of the model has to be squashed: the reconstruction or the code?"
    expect(low < -10 and high > 10, "codes are bounded", "codes below -10 and above 10 when the weights are large",
               f"from {low:.4g} to {high:.4g}", hint=negative if low >= 0 and high > 10 else bounded)  # fmt: skip


@declare(
    id="q4.vanilla.shapes", question=4, kind="property", points=0.5, visibility="public",
    title="Vanilla autoencoder: shapes",
    asks="encode, decode and forward of VanillaAutoencoder agree and have the right shapes and dtypes, for any batch "
    "size, any latent_dim and any square input_dim",
    hint="Print the shape after every layer for a batch of three 7x7 images. Where do the pixels of an image get their "
    "rows and columns back? What are the two things that forward returns?",
    needs=(),
)  # fmt: skip
def vanilla_shapes(ctx: Context) -> None:
    shapes(ctx, VANILLA, (({"input_dim": 49, "latent_dim": 5}, 7, 5), ({}, 28, 32)))


@declare(
    id="q4.vanilla.range", question=4, kind="property", points=0.5, visibility="public",
    title="Vanilla autoencoder: unbounded codes, squashed outputs",
    asks="codes may take any value of either sign, reconstructions take all values in [0, 1] and no other, in training "
    "mode too",
    hint="What values can the last layer of the encoder give, and the last layer of the decoder?",
    needs=("q4.vanilla.shapes",),
)  # fmt: skip
def vanilla_range(ctx: Context) -> None:
    found = extremes(ctx, VANILLA)
    unbounded(ctx, found.codes)
    squashed(ctx, found.pictures)
    in_range(ctx, found.training, "a reconstruction in training mode", WHILE_TRAINING)


@declare(
    id="q4.vanilla.nonlinear", question=4, kind="property", points=0.25, visibility="public",
    title="Vanilla autoencoder: non-linear, square images only",
    asks="neither the encoder nor the decoder of VanillaAutoencoder is an affine map; an input_dim that is no square "
    "is a ValueError",
    hint="What do two linear layers in a row amount to? How many rows has an image of 50 pixels?",
    needs=("q4.vanilla.shapes",),
)  # fmt: skip
def vanilla_nonlinear(ctx: Context) -> None:
    model, side = small(ctx, VANILLA)
    stir(ctx, model)  # a head may start at zero
    for method, middle, step in (("encode", ctx.images(6, side, torch.float64), 3 * ctx.randn(6, 1, side, side)),
                                 ("decode", ctx.randn(6, 5), 3 * ctx.randn(6, 5))):  # fmt: skip
        at = [as_tensor(model.call(method, middle + k * step), None, f"{method}") for k in (-1, 0, 1)]
        bend = float((at[0] + at[2] - 2 * at[1]).abs().max()) / float(at[1].abs().max())
        expect(bend > 1e-7, f"{method} is an affine map", "a second difference that is not 0", bend)
    # that divisible by its integer root is not yet square is asked in Question 3: many share what finds the root
    raises(ctx, "ValueError", VANILLA, input_dim=50, latent_dim=3, names="input_dim")


@declare(
    id="q4.conv.shapes", question=4, kind="property", points=0.5, visibility="public",
    title="Convolutional autoencoder: shapes",
    asks="encode gives (B, latent_dim), decode and forward give (B, 1, 28, 28), for any batch size and latent_dim",
    hint="Work out the size after every layer, with your own output-size functions. What does it take to come from 7 "
    "to 14 and not to 13?",
    needs=(),
)  # fmt: skip
def conv_shapes(ctx: Context) -> None:
    shapes(ctx, CONV, (({"latent_dim": 6}, 28, 6), ({}, 28, 64)))


@declare(
    id="q4.conv.range", question=4, kind="property", points=0.25, visibility="public",
    title="Convolutional autoencoder: unbounded codes, squashed outputs",
    asks="codes may take any value of either sign, reconstructions take all values in [0, 1] and no other, in training "
    "mode too",
    hint="What values can the last layer of the encoder give, and the last layer of the decoder?",
    needs=("q4.conv.shapes",),
)  # fmt: skip
def conv_range(ctx: Context) -> None:
    found = extremes(ctx, CONV)
    unbounded(ctx, found.codes)
    squashed(ctx, found.pictures)
    in_range(ctx, found.training, "a reconstruction in training mode", WHILE_TRAINING)


@declare(
    id="q4.conv.layers", question=4, kind="property", points=0.25, visibility="public",
    title="Convolutional autoencoder: convolutions",
    asks="the encoder goes 28 -> 14 -> 7 -> 1 through convolutions, and the decoder comes back through them",
    hint="Which layers share their weights between places of the image, in the encoder and in the decoder?",
    needs=("q4.conv.shapes",),
)  # fmt: skip
def conv_layers(ctx: Context) -> None:
    model, _ = small(ctx, CONV)
    for method, argument in (("encode", ctx.images(3, dtype=torch.float64)), ("decode", ctx.randn(3, 6))):
        out = ctx.call((model, method), argument)
        weights = ctx.randn(*as_tensor(out, None, method).shape)
        grads = ctx.session.vjp((model, method), argument, params=[model], cotangents=[((), weights)]).params[0]
        # shapes, never names: a kernel has four dimensions and looks at more than one pixel. The step between 7 and 1
        # may be a linear layer on the flattened maps, which is the same function
        kernels = [
            tuple(g.shape) for g in grads.values() if g is not None and g.ndim == 4 and math.prod(g.shape[2:]) > 1
        ]
        expect(len(kernels) >= 2, f"{method} uses too few convolutions", "at least two kernels larger than 1x1",
                   f"{len(kernels)}")  # fmt: skip


PLAIN: tuple[Check, ...] = (
    vanilla_shapes, vanilla_range, vanilla_nonlinear, conv_shapes, conv_range, conv_layers,
)  # fmt: skip
