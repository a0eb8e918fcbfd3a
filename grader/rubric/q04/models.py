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
from ..shared.readings import asking

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


def encoded(ctx: Context, model: Handle, x: Tensor, latent: int, unet: bool, hint: str = "",
            dtype_hint: str = "") -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """The code of `encode(x)`, and what else `decode` is to get."""
    value = model.call("encode", x)
    skips: list[Tensor] = []
    if unet:
        value, skips = unpack_skips(ctx, value, x)
    what = "the code that encode(x) gives"
    z = as_tensor(value, (len(x), latent), what, hint=hint or code_question(value, x, latent))
    return as_tensor(z, z.shape, what, dtype=x.dtype, hint=dtype_hint), skips


def code_question(value: Any, x: Tensor, latent: int) -> str:
    """What to ask where encode(x) gives another shape than (B, latent_dim)."""
    shape = tuple(value.shape) if isinstance(value, Tensor) else ()
    if shape == x.shape:
        return "Which of the two halves of the model is encode, and what comes out of it?"
    if len(shape) > 2 and shape[:2] == (len(x), latent):
        return "A code is a row of numbers: which dimensions of yours are left over from a feature map?"
    if len(shape) == 2 and shape[0] == len(x):
        return "Where does the size of your code come from, and what is latent_dim for?"
    if len(shape) < 2 and len(x) == 1:
        return "What becomes of the batch's own dimension when the batch is one image?"
    return ""


def unpack_skips(ctx: Context, value: Any, x: Tensor) -> tuple[Any, list[Tensor]]:
    """`(z, skips)` of a U-Net: maps of 28x28 and 14x14 pixels, then possibly smaller ones."""
    z, skips = as_sequence(value, 2, "encode(x)", hint="What does the decoder need besides the code?")
    if not isinstance(skips, list | tuple) or len(skips) < 2:
        raise Failure(
            "skips is not a list of the feature maps before each pooling", "a list of two maps", kind_of(skips),
            hint="At how many places does the encoder make its maps smaller, and what does it keep at each?",
        )  # fmt: skip
    maps = [as_tensor(skip, None, f"skips[{k}]", dtype=x.dtype) for k, skip in enumerate(skips)]
    sides = [skip.shape[-1] if skip.ndim == 4 else 0 for skip in maps]
    reverse = sides[0] < sides[1]
    for k, (found, side) in enumerate(zip(maps, (28, 14), strict=False)):
        if found.ndim != 4 or len(found) != len(x) or found.shape[2:] != (side, side):
            raise Failure(
                f"skips[{k}] of encode(x) does not have the size the maps have before that pooling",
                f"sides {[28, 14, *sides[2:]]}", f"sides {sides}: skips[{k}] has the shape {tuple(found.shape)}",
                hint="In which order does the list go?" if reverse else
                "At which moment do you keep a feature map: before it is made smaller or after?",
            )  # fmt: skip
    return z, maps


def decoded(model: Handle, z: Tensor, skips: Sequence[Tensor], unet: bool) -> Any:
    """`decode`, with the skips where there are any."""
    return model.call("decode", z, list(skips)) if unet else model.call("decode", z)


ROWS_AND_COLUMNS = "Where do the pixels of an image get their channel, rows and columns back?"
WHICH_SIZES = (
    "Which shape arrives there, and which is asked for? Which sizes of yours come from the constructor's arguments, "
    "and which are written down?"
)
BATCH_OF_ONE = "What is special about a batch of one image? Which of your steps drops or merges dimensions?"
WHOSE_DTYPE = "The same model takes float32: which of your steps decides about the dtype itself?"
TWO_THINGS = "Which two things does forward return?"


def shapes(ctx: Context, target: str, cases: Sequence[tuple[dict[str, int], int, int]], wrong_size: str) -> None:
    """Shapes, dtypes and agreement of the three methods; `cases` are (arguments, side, latent size).

    `wrong_size` asks about a picture of other than 28x28 or 7x7 pixels.
    """
    unet = target == UNET
    for index, (kwargs, side, latent) in enumerate(cases):
        model = ctx.new(target, **kwargs).eval()
        for batch, dtype in ((3, torch.float32), (1, torch.float32), (7, torch.float64)):
            if dtype == torch.float64:
                model.double()
            otherwise = {1: BATCH_OF_ONE, 7: WHOSE_DTYPE}.get(batch, WHICH_SIZES)
            x = ctx.images(batch, side, dtype)
            with asking(otherwise):
                agree(ctx, model, x, latent, unet, wrong_size if batch == 3 else otherwise)
            if index:
                break  # the default sizes once in float32: what is slow is not repeated
    narrow(ctx, target)


def agree(ctx: Context, model: Handle, x: Tensor, latent: int, unet: bool, wrong_size: str) -> None:
    """encode, decode and forward on images `x`: shapes, dtypes, and that forward is the two in a row."""
    once = BATCH_OF_ONE if len(x) == 1 else ""
    z, skips = encoded(ctx, model, x, latent, unet, once, WHOSE_DTYPE)
    what = "the picture that decode gives for the code"
    picture = picture_of(decoded(model, z, skips, unet), x, what, wrong_size)
    x_recon, code = as_sequence(preserves(ctx, model, x), 2, "forward(x)", hint=TWO_THINGS)
    if isinstance(code, Tensor) and isinstance(x_recon, Tensor) and code.shape == x.shape and x_recon.shape == z.shape:
        raise Failure("forward(x) returns its two values in the other order", "(x_recon, z)", "(z, x_recon)",
                      hint="In which order do all models here return reconstruction and code?")  # fmt: skip
    close = FLOAT32 if x.dtype == torch.float32 else ACROSS
    again, _ = encoded(ctx, model, x, latent, unet)
    matches(ctx, again, z, close, "the code of a second encode(x) in evaluation mode, compared with the first,",
            hint="What is drawn at random, or remembered, when the model is in evaluation mode?")  # fmt: skip
    matches(ctx, code, z, close, "the second output of forward(x), compared with the code of encode(x),",
            hint="Which code does forward return: the one that it decodes?")  # fmt: skip
    picture_of(x_recon, x, "the first output of forward(x)", wrong_size)
    matches(ctx, x_recon, picture, close, "the first output of forward(x), compared with decode of its code,",
            hint="What does forward do besides encoding and decoding?")  # fmt: skip


def picture_of(value: Any, x: Tensor, what: str, wrong_size: str) -> Tensor:
    """A reconstruction of the shape and dtype of the images `x`."""
    shape = tuple(value.shape) if isinstance(value, Tensor) else ()
    flat = shape == (len(x), x[0].numel())
    squared = len(shape) == 4 and shape[2:] != x.shape[2:]
    hint = ROWS_AND_COLUMNS if flat else wrong_size if squared else ""
    picture = as_tensor(value, x.shape, what, hint=hint)
    return as_tensor(picture, x.shape, what, dtype=x.dtype, hint=WHOSE_DTYPE)


def narrow(ctx: Context, target: str) -> None:
    """A code of one number per image is a column, for one image and for several."""
    model, unet = ctx.new(target, **{**SMALL[target], "latent_dim": 1}).eval(), target == UNET
    with asking(ONE_NUMBER):
        for batch in (3, 1):
            x = ctx.images(batch, 7 if target == VANILLA else 28)
            z, skips = encoded(ctx, model, x, 1, unet, ONE_NUMBER)
            as_tensor(decoded(model, z, skips, unet), x.shape, "decode of codes of one number", dtype=x.dtype,
                      hint=ONE_NUMBER)  # fmt: skip
            x_recon, code = as_sequence(model(x), 2, "forward(x)", hint=TWO_THINGS)
            as_tensor(code, z.shape, "the second output of forward with latent_dim=1", hint=ONE_NUMBER)
            as_tensor(x_recon, x.shape, "the first output of forward with latent_dim=1", hint=ONE_NUMBER)


def blown_up(ctx: Context, model: Handle) -> None:
    """Draws all weights anew, large: nothing that can be reached stays out of reach because weights start small."""
    names = model.parameters()
    model.load({k: 10 * ctx.randn(*v.shape, dtype=v.dtype) if k in names else v for k, v in model.state().items()})


def in_range(pictures: Tensor, what: str, hint: str = "", call: str = "") -> None:
    """Pixels lie in [0, 1]."""
    low, high = float(pictures.min()), float(pictures.max())
    squashed_wrongly = low >= -1.001 and high <= 1.001
    otherwise = (
        "Which range does the function have that squashes your pixels, and which should it have?" if squashed_wrongly
        else "What values can the last layer of the decoder give?"
    )  # fmt: skip
    if not (low >= 0 and high <= 1):
        raise Failure(f"{what} leaves [0, 1]", "pixels from 0 to 1 whatever the weights",
                      f"from {low:.4g} to {high:.4g}", hint=hint or otherwise, call=call)  # fmt: skip


class Extremes(NamedTuple):
    """What a model gives for large weights: codes and reconstructions, and the latter in training mode."""

    codes: Tensor
    pictures: Tensor
    training: Tensor
    call: str  # of the last reconstruction in training mode


def extremes(ctx: Context, target: str) -> Extremes:
    """From ten draws of large weights: in one draw all pixels may go to the same end. The last three train, too."""
    model, side = small(ctx, target)
    codes, pictures, training, call = [], [], [], ""

    def rebuilt(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        z, skips = encoded(ctx, model, x, SMALL[target]["latent_dim"], target == UNET)
        both = (decoded(model, z, skips, target == UNET), as_sequence(model(x), 2, "forward(x)", hint=TWO_THINGS)[0])
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
            call = ctx.typed()
            model.eval()
    return Extremes(torch.cat(codes), torch.cat(pictures), torch.cat(training), call)


def squashed(pictures: Tensor) -> None:
    """Pixels fill [0, 1] and nothing else."""
    in_range(pictures, "a reconstruction")
    dark, bright = float((pictures < 0.2).double().mean()), float((pictures > 0.8).double().mean())
    low, high, mean = float(pictures.min()), float(pictures.max()), float(pictures.mean())
    compete = math.isclose(mean, 1 / pictures[0].numel(), rel_tol=1e-4)
    hint = (
        "What do all pixels of an image sum to? Should one pixel become darker because another becomes brighter?"
        if compete else "Through how many squashing functions does a pixel go, and which range has the last one?"
    )  # fmt: skip
    # with large random weights about half of all pixels go to each end; a second squashing stops at .5 and .73
    expect(dark > 0.05 and bright > 0.05, "a reconstruction does not take all values in [0, 1] when the weights are "
           "large", "about half of all pixels below 0.2 and half above 0.8",
           f"{dark:.1%} below 0.2 and {bright:.1%} above 0.8: from {low:.3g} to {high:.3g}, mean {mean:.4g}"
           + (", which is 1 / pixels: each image sums to 1" if compete else ""), hint=hint)  # fmt: skip


def unbounded(codes: Tensor) -> None:
    """Codes go far in both directions."""
    low, high = float(codes.min()), float(codes.max())
    never_negative = low >= 0 and high > 10
    negative = "May a code be negative? What is the last layer of your encoder?"
    bounded = "Which end of the model has to be squashed: the reconstruction or the code?"
    expect(low < -10 and high > 10, "codes are never negative" if never_negative else "codes are bounded",
           "codes below -10 and above 10 when the weights are large", f"from {low:.4g} to {high:.4g}",
           hint=negative if never_negative else bounded)  # fmt: skip


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
    shapes(ctx, VANILLA, (({"input_dim": 49, "latent_dim": 5}, 7, 5), ({}, 28, 32)), WHICH_SIZES)


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
    unbounded(found.codes)
    squashed(found.pictures)
    in_range(found.training, "a reconstruction in training mode", WHILE_TRAINING, found.call)


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
        # float64: what rounding leaves of an affine map is far below
        expect(bend > 1e-7, f"{method} is an affine map: {method}(a - d) + {method}(a + d) is 2 {method}(a)",
               "a difference between the two, from a non-linearity", f"none: {bend:.1g} of their size",
               hint=f"What do two linear layers in a row amount to? What stands between those of your "
               f"{method}?")  # fmt: skip
    # that divisible by its integer root is not yet square is asked in Question 3: many share what finds the root
    raises(ctx, "ValueError", VANILLA, input_dim=50, latent_dim=3, names="input_dim",
           case="VanillaAutoencoder(input_dim=50), which is no square number,",
           hint="How many rows and columns has a square image of 50 pixels?")  # fmt: skip


@declare(
    id="q4.conv.shapes", question=4, kind="property", points=0.5, visibility="public",
    title="Convolutional autoencoder: shapes",
    asks="encode gives (B, latent_dim), decode and forward give (B, 1, 28, 28), for any batch size and latent_dim",
    hint="Work out the size after every layer, with your own output-size functions. What does it take to come from 7 "
    "to 14 and not to 13?",
    needs=(),
)  # fmt: skip
def conv_shapes(ctx: Context) -> None:
    shapes(ctx, CONV, (({"latent_dim": 6}, 28, 6), ({}, 28, 64)),
           "Work out the size after every layer, with your own output-size functions. What does it take to come from 7 "
           "to 14 and not to 13?")  # fmt: skip


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
    unbounded(found.codes)
    squashed(found.pictures)
    in_range(found.training, "a reconstruction in training mode", WHILE_TRAINING, found.call)


@declare(
    id="q4.conv.layers", question=4, kind="property", points=0.25, visibility="public",
    title="Convolutional autoencoder: convolutions",
    asks="the encoder goes 28 -> 14 -> 7 -> 1 through convolutions, and the decoder comes back through them",
    hint="Which layers share their weights between places of the image, in the encoder and in the decoder?",
    needs=("q4.conv.shapes",),
)  # fmt: skip
def conv_layers(ctx: Context) -> None:
    model, _ = small(ctx, CONV)
    trainable = model.parameters()
    for method, argument in (("encode", ctx.images(3, dtype=torch.float64)), ("decode", ctx.randn(3, 6))):
        out = ctx.call((model, method), argument)
        weights = ctx.randn(*as_tensor(out, None, method).shape)
        grads = ctx.session.vjp((model, method), argument, params=[model], cotangents=[((), weights)]).params[0]
        # shapes, never names: a kernel has four dimensions and looks at more than one pixel. The step between 7 and 1
        # may be a linear layer on the flattened maps, which is the same function. What requires no gradient may be one
        state = model.state()
        frozen = {name: state[name] for name, learns in trainable.items() if not learns and name in state}
        used = {name: grad for name, grad in grads.items() if grad is not None} | frozen
        kernels = [tuple(w.shape) for w in used.values() if w.ndim == 4 and math.prod(w.shape[2:]) > 1]
        expect(len(kernels) >= 2, f"{method} uses too few convolutions",
               "at least two weights (channels, channels, h, w) with h w > 1",
               f"{len(kernels)} of its weights: {', '.join(str(tuple(w.shape)) for w in used.values())}"[:200],
               hint=f"Which layers of {method} share their weights between places of the image?")  # fmt: skip


PLAIN: tuple[Check, ...] = (
    vanilla_shapes, vanilla_range, vanilla_nonlinear, conv_shapes, conv_range, conv_layers,
)  # fmt: skip
