"""Question 4: autoencoder architectures, output sizes, reconstruction losses and sparsity penalties."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Bernoulli, kl_divergence
from torch.nn import functional as F

from ..boundary import Handle
from ..cases import random, same_shape, seeds, sizes
from ..checks import EXACT, FLOAT32, FLOAT64, Check, Failure, Question, Tolerance, declare
from ..context import Context, kind_of, show
from .q04_trained import TRAINED

VANILLA, CONV, UNET = (f"autoencoders.{name}Autoencoder" for name in ("Vanilla", "Conv", "UNet"))
SMALL: dict[str, dict[str, int]] = {VANILLA: {"input_dim": 49, "latent_dim": 5}, CONV: {"latent_dim": 6},
                                    UNET: {"latent_dim": 5}}  # fmt: skip

GUARDED = Tolerance(1e-4, 1e-5, "a guard of up to 1e-6 inside a logarithm is correct work; at a probability of .05 it "
                    "changes the logarithm by 2e-5")  # fmt: skip
ACROSS = Tolerance(1e-6, 1e-9, "float64; other batch sizes take other summation orders")


# ---- the models ---------------------------------------------------------------------------------------------------


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
    return ctx.tensor(value, (len(x), latent), "the code of encode(x)", dtype=x.dtype), skips


def unpack_skips(ctx: Context, value: Any, x: Tensor) -> tuple[Any, list[Tensor]]:
    """`(z, skips)` of a U-Net: maps of 28x28 and 14x14 pixels, then possibly smaller ones."""
    z, skips = ctx.sequence(value, 2, "encode(x)")
    if not isinstance(skips, list | tuple) or len(skips) < 2:
        raise Failure(
            "skips is not a list of the feature maps before each pooling", "a list of two maps", kind_of(skips)
        )
    maps = [ctx.tensor(skip, None, f"skips[{k}]", dtype=x.dtype) for k, skip in enumerate(skips)]
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
            picture = ctx.tensor(decoded(model, z, skips, unet), x.shape, "decode of the code", dtype=dtype)
            value = ctx.preserves(model, x)
            x_recon, code = ctx.sequence(value, 2, "forward(x)")
            close = FLOAT32 if dtype == torch.float32 else ACROSS
            ctx.matches(code, z, close, "the second output of forward, compared with encode(x),")
            ctx.matches(x_recon, picture, close, "the first output of forward, compared with decode of its code,")
            if index and batch == 3:
                break  # the default sizes once in float32: what is slow is not repeated


def blown_up(ctx: Context, model: Handle) -> None:
    """Draws all weights anew, large: nothing that can be reached stays out of reach because weights start small."""
    names = model.parameters()
    model.load({k: 10 * ctx.randn(*v.shape, dtype=v.dtype) if k in names else v for k, v in model.state().items()})


def extremes(ctx: Context, target: str) -> tuple[Tensor, Tensor]:
    """Codes and reconstructions, from three draws of large weights."""
    model, side = small(ctx, target)
    codes, pictures = [], []
    for _ in range(3):
        blown_up(ctx, model)
        x = ctx.images(16, side, torch.float64)
        z, skips = encoded(ctx, model, x, SMALL[target]["latent_dim"], target == UNET)
        codes.append(z)
        for output in (decoded(model, z, skips, target == UNET), ctx.sequence(model(x), 2, "forward(x)")[0]):
            pictures.append(ctx.tensor(output, x.shape, "the reconstruction"))
    return torch.cat(codes), torch.cat(pictures)


def squashed(ctx: Context, pictures: Tensor) -> None:
    """Pixels fill [0, 1] and nothing else."""
    ctx.expect(bool((pictures >= 0).all() and (pictures <= 1).all()), "a reconstruction leaves [0, 1]",
               "pixels in [0, 1] whatever the weights", pictures)  # fmt: skip
    dark, bright = float((pictures < 0.2).double().mean()), float((pictures > 0.8).double().mean())
    # with large random weights about half of all pixels go to each end; a second squashing stops at .5 and .73
    ctx.expect(dark > 0.05 and bright > 0.05, "the reconstruction cannot be both nearly black and nearly white",
               "pixels near 0 and near 1", pictures,
               hint="Through how many squashing functions does a pixel go?")  # fmt: skip


def unbounded(ctx: Context, codes: Tensor) -> None:
    """Codes go far in both directions."""
    low, high = float(codes.min()), float(codes.max())
    negative = "May a code be negative? What is the last layer of your encoder?"
    bounded = "Which end of the model has to be squashed: the reconstruction or the code?"
    ctx.expect(low < -10 and high > 10, "codes are bounded", "codes below -10 and above 10 when the weights are large",
               f"from {low:.4g} to {high:.4g}", hint=negative if low >= 0 and high > 10 else bounded)  # fmt: skip


@declare(
    id="q4.vanilla.shapes", question=4, kind="property", points=0.5, visibility="public",
    title="Vanilla autoencoder: shapes",
    asks="encode, decode and forward of VanillaAutoencoder agree and have the right shapes and dtypes, for any batch "
    "size and any square input_dim",
    hint="Print the shape after every layer for a batch of three 7x7 images. Where do the pixels of an image get their "
    "rows and columns back? What are the two things that forward returns?",
    needs=(),
)  # fmt: skip
def vanilla_shapes(ctx: Context) -> None:
    shapes(ctx, VANILLA, (({"input_dim": 49, "latent_dim": 5}, 7, 5), ({}, 28, 32)))


@declare(
    id="q4.vanilla.range", question=4, kind="property", points=0.5, visibility="public",
    title="Vanilla autoencoder: unbounded codes, squashed outputs",
    asks="codes may take any value of either sign, reconstructions take all values in [0, 1] and no other",
    hint="What values can the last layer of the encoder give, and the last layer of the decoder?",
    needs=("q4.vanilla.shapes",),
)  # fmt: skip
def vanilla_range(ctx: Context) -> None:
    codes, pictures = extremes(ctx, VANILLA)
    unbounded(ctx, codes)
    squashed(ctx, pictures)


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
    for method, middle, step in (("encode", ctx.images(6, side, torch.float64), 3 * ctx.randn(6, 1, side, side)),
                                 ("decode", ctx.randn(6, 5), 3 * ctx.randn(6, 5))):  # fmt: skip
        at = [ctx.tensor(model.call(method, middle + k * step), None, f"{method}") for k in (-1, 0, 1)]
        bend = float((at[0] + at[2] - 2 * at[1]).abs().max()) / float(at[1].abs().max())
        ctx.expect(bend > 1e-7, f"{method} is an affine map", "a second difference that is not 0", bend)
    ctx.raises("ValueError", VANILLA, input_dim=50, latent_dim=3, names="input_dim")


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
    asks="codes may take any value of either sign, reconstructions take all values in [0, 1] and no other",
    hint="What values can the last layer of the encoder give, and the last layer of the decoder?",
    needs=("q4.conv.shapes",),
)  # fmt: skip
def conv_range(ctx: Context) -> None:
    codes, pictures = extremes(ctx, CONV)
    unbounded(ctx, codes)
    squashed(ctx, pictures)


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
        weights = ctx.randn(*ctx.tensor(out, None, method).shape)
        grads = ctx.session.vjp((model, method), argument, params=[model], cotangents=[((), weights)]).params[0]
        # shapes, never names: a kernel has four dimensions and looks at more than one pixel. The step between 7 and 1
        # may be a linear layer on the flattened maps, which is the same function
        kernels = [
            tuple(g.shape) for g in grads.values() if g is not None and g.ndim == 4 and math.prod(g.shape[2:]) > 1
        ]
        ctx.expect(len(kernels) >= 2, f"{method} uses too few convolutions", "at least two kernels larger than 1x1",
                   f"{len(kernels)}")  # fmt: skip


@declare(
    id="q4.concat-skip.value", question=4, kind="property", points=0.25, visibility="public",
    title="concat_skip: value",
    asks="concat_skip puts the channels of the skip behind those of the upsampled maps",
    hint="Along which dimension do you join, and which of the two comes first?",
    needs=(),
)  # fmt: skip
def concat_value(ctx: Context) -> None:
    def body(seed: int, batch: int, first: int, second: int, height: int, width: int) -> None:
        up, skip = random(seed, batch, first, height, width), random(seed + 1, batch, second, height, width)
        value = ctx.preserves("autoencoders.concat_skip", up, skip)
        joined = ctx.tensor(
            value, (batch, first + second, height, width), "concat_skip(upsampled, skip)", dtype=up.dtype
        )
        ctx.matches(joined[:, :first], up, EXACT, "the first channels of the result")
        ctx.matches(joined[:, first:], skip, EXACT, "the last channels of the result")

    ctx.forall(body, examples=15, seed=seeds(), batch=sizes(1, 3), first=sizes(1, 4), second=sizes(1, 4),
               height=sizes(1, 5), width=sizes(1, 5))  # fmt: skip
    up, skip = ctx.randn(2, 3, 4, 5), ctx.randn(2, 2, 4, 5)
    weights = ctx.randn(2, 5, 4, 5)
    grads = ctx.session.vjp("autoencoders.concat_skip", up, skip, wrt=[0, 1], cotangents=[((), weights)]).args
    for where, part in ((0, weights[:, :3]), (1, weights[:, 3:])):
        ctx.matches(grads[where], part, FLOAT64, f"the gradient of concat_skip to argument {where}")


@declare(
    id="q4.concat-skip.errors", question=4, kind="property", points=0.25, visibility="hidden",
    title="concat_skip: errors",
    asks="concat_skip raises a ValueError that names both shapes if the batch, the height or the width differ",
    hint="Which dimensions must agree? What would somebody need to read in the message in order to find the layer at "
    "fault?",
    needs=("q4.concat-skip.value",),
)  # fmt: skip
def concat_errors(ctx: Context) -> None:
    up = (3, 4, 6, 5)
    for skip in ((2, 4, 6, 5), (1, 2, 6, 5), (3, 2, 5, 5), (3, 2, 6, 1), (3, 2, 7, 5), (3, 2, 5, 6)):
        case = f"concat_skip of shapes {up} and {skip}"
        for shape in (up, skip):
            ctx.raises("ValueError", "autoencoders.concat_skip", ctx.randn(*up), ctx.randn(*skip),
                       names=", ".join(map(str, shape)), case=case)  # fmt: skip


@declare(
    id="q4.unet.shapes", question=4, kind="property", points=0.5, visibility="public",
    title="U-Net: shapes",
    asks="encode gives (z, skips) with the feature maps before each pooling, largest first; decode and forward give "
    "images of the input's shape",
    hint="At which moment do you keep a feature map: before it is made smaller or after? In which order does the list "
    "go?",
    needs=(),
)  # fmt: skip
def unet_shapes(ctx: Context) -> None:
    shapes(ctx, UNET, (({"latent_dim": 5}, 28, 5), ({}, 28, 64)))


@declare(
    id="q4.unet.range", question=4, kind="property", points=0.25, visibility="public",
    title="U-Net: squashed outputs",
    asks="reconstructions of UNetAutoencoder take all values in [0, 1] and no other",
    hint="What values can the last layer of the decoder give?",
    needs=("q4.unet.shapes",),
)  # fmt: skip
def unet_range(ctx: Context) -> None:
    squashed(ctx, extremes(ctx, UNET)[1])


@declare(
    id="q4.unet.influence", question=4, kind="property", points=0.75, visibility="public",
    title="U-Net: code and skips are used",
    asks="the code and every skip influence what decode gives, each skip at its own place in the image",
    hint="Cut the bottleneck: what changes? Cut one skip: what changes, and where?",
    needs=("q4.unet.shapes",),
)  # fmt: skip
def unet_influence(ctx: Context) -> None:
    model, _ = small(ctx, UNET)
    x = ctx.images(3, dtype=torch.float64)
    z, skips = encoded(ctx, model, x, 5, unet=True)
    plain = ctx.tensor(decoded(model, z, skips, True), x.shape, "decode(z, skips)")

    def change(code: Tensor, maps: Sequence[Tensor]) -> Tensor:
        return (ctx.tensor(decoded(model, code, maps, True), x.shape, "decode(z, skips)") - plain).abs()

    ctx.expect(float(change(z + ctx.randn(*z.shape), skips).max()) > 1e-9, "decode does not use the code",
               "another image for another code", "the same image",
               hint="Cut the bottleneck: what changes?")  # fmt: skip
    for k in range(len(skips)):
        other = [skip + ctx.randn(*skip.shape) if i == k else skip for i, skip in enumerate(skips)]
        ctx.expect(float(change(z, other).max()) > 1e-9, f"decode does not use skips[{k}]",
                   "another image for other maps", "the same image",
                   hint=f"What changes when you cut skips[{k}]?")  # fmt: skip
    row, column = 6, 19
    touched = skips[0].clone()
    touched[:, :, row, column] += 3
    moved = change(z, [touched, *skips[1:]]).mean(dim=(0, 1))
    # a few convolutions follow the join: the change is around its pixel, wherever exactly
    at = [float((moved.sum(1 - d) * torch.arange(28.0)).sum() / moved.sum().clamp(min=1e-30)) for d in (0, 1)]
    ctx.expect(abs(at[0] - row) < 6 and abs(at[1] - column) < 6, "a change in skips[0] shows at another place",
               f"around row {row}, column {column}", at, hint="Which axis of a feature map is which?")  # fmt: skip


@declare(
    id="q4.unet.join", question=4, kind="property", points=0.25, visibility="hidden",
    title="U-Net: joined through concat_skip",
    asks="decode joins each skip through concat_skip, so that a skip that does not fit is an error naming its shape",
    hint="How do skip and upsampled maps come together in your decoder: are they added, or do they stay side by side? "
    "Which of your functions does it?",
    needs=("q4.unet.shapes",),
)  # fmt: skip
def unet_join(ctx: Context) -> None:
    model, _ = small(ctx, UNET)
    z, skips = encoded(ctx, model, ctx.images(3, dtype=torch.float64), 5, unet=True)
    for k, skip in enumerate(skips):
        wrong = [other[:1] if i == k else other for i, other in enumerate(skips)]  # a sum would broadcast
        names = ", ".join(map(str, (1, *skip.shape[1:])))
        ctx.raises("ValueError", (model, "decode"), z, wrong, names=names,
                   case=f"decode of 3 codes with skips[{k}] of one image")  # fmt: skip


def agrees_with_differences(
    ctx: Context, model: Handle, x: Tensor, weights: Tensor, gradient: Tensor, name: str
) -> None:
    """The gradient of the weighted reconstruction to the image, along random directions.

    The step is small and the tolerance wide because of kinks: about 10 000 rectified or pooled units lie a step of 1e-7
    beside one with probability 1e-3 in all, and then move the slope by a thousandth. Differences lose 1e-16/1e-7.
    """
    for _ in range(3):
        along, slope = ctx.randn(*x.shape), 0.0
        for sign in (1, -1):
            x_recon = ctx.sequence(model(x + sign * 1e-7 * along), 2, "forward(x)")[0]
            slope += sign * float((ctx.tensor(x_recon, x.shape, "x_recon") * weights).sum()) / 2e-7
        found = float((gradient * along).sum())
        near = abs(slope - found) < 0.01 * float(gradient.norm()) + 1e-6
        ctx.expect(near, f"{name}: the gradient to the image is wrong",
                   f"{slope:.6g} along a random direction (central differences)", found)  # fmt: skip


@declare(
    id="q4.models.gradients", question=4, kind="gradient", points=0.25, visibility="hidden",
    title="Gradients reach the whole model",
    asks="in all three models the gradient of the reconstruction passes through the code, and through the skips, into "
    "the encoder",
    hint="Is there a place on the way from the image to the reconstruction where the graph is cut?",
    needs=("q4.vanilla.shapes", "q4.conv.shapes", "q4.unet.shapes"),
)  # fmt: skip
def models_gradients(ctx: Context) -> None:
    for target in SMALL:
        model, side = small(ctx, target)
        x, name = ctx.images(3, side, torch.float64), target.partition(".")[2]
        reached = []
        for path, shape in (((1,), (3, SMALL[target]["latent_dim"])), ((0,), x.shape)):
            weights = ctx.randn(*shape)
            found = ctx.session.vjp(model, x, wrt=[0], params=[model], cotangents=[(path, weights)])
            to_x = found.args[0]
            if to_x is None or not float(to_x.abs().max()) > 0:
                raise Failure(f"{name}: no gradient reaches the image", f"a gradient of output {path[0]}", "none or 0")
            if path == (0,):
                agrees_with_differences(ctx, model, x, weights, to_x, name)
            reached.append({k for k, g in found.params[0].items() if g is not None and float(g.abs().max()) > 0})
        # whatever the code depends on, the reconstruction depends on too
        ctx.expect(reached[0] <= reached[1] and len(reached[0]) > 0,
                   f"{name}: weights that make the code get no gradient from the reconstruction",
                   "a gradient for each",
                   ", ".join(sorted(reached[0] - reached[1])) or "the code has no weights")  # fmt: skip
        ctx.expect(len(reached[1]) > len(reached[0]) or target == VANILLA, f"{name}: the decoder gets no gradient")


@declare(
    id="q4.models.pure", question=4, kind="property", points=0.25, visibility="hidden",
    title="Images do not mix, and the code is enough",
    asks="each image of a batch is encoded and decoded as it would be alone, and decode depends on its arguments only",
    hint="Does any step mix images of a batch? Does decode know anything that is not in its arguments?",
    needs=("q4.vanilla.shapes", "q4.conv.shapes", "q4.unet.shapes"),
)  # fmt: skip
def models_pure(ctx: Context) -> None:
    for target, kwargs in SMALL.items():
        unet, latent, name = target == UNET, kwargs["latent_dim"], target.partition(".")[2]
        model, side = small(ctx, target)
        x = ctx.images(4, side, torch.float64)
        z, skips = encoded(ctx, model, x, latent, unet)
        picture = ctx.tensor(decoded(model, z, skips, unet), x.shape, f"{name}: decode")
        alone, _ = encoded(ctx, model, x[2:3], latent, unet)
        ctx.matches(alone, z[2:3], ACROSS, f"{name}: the code of an image alone, compared with the same in a batch,")
        part = decoded(model, z[1:3], [skip[1:3] for skip in skips], unet)
        ctx.matches(part, picture[1:3], ACROSS, f"{name}: a part of a batch decoded, compared with the whole,")
        other = ctx.fresh()  # has never seen the images
        copy = other.new(target, **kwargs).double().eval()
        copy.load(model.state())
        ctx.matches(decoded(copy, z, skips, unet), picture, ACROSS, f"{name}: decode in a fresh process")
        other.close()


# ---- output sizes -------------------------------------------------------------------------------------------------

CONV_SIZE, TRANSPOSE_SIZE = "autoencoders.conv_output_size", "autoencoders.conv_transpose_output_size"


def whole(ctx: Context, value: Any, expected: int, what: str) -> None:
    """`value` is this Python int."""
    ctx.expect(type(value) is int, f"{what} is not an int", "a Python int", kind_of(value))
    ctx.expect(value == expected, f"{what} is wrong", expected, value)


@declare(
    id="q4.sizes.conv", question=4, kind="property", points=0.25, visibility="public",
    title="Output size of a convolution",
    asks="conv_output_size counts the places where the kernel fits, and refuses where there is none",
    hint="Lay the kernel on a row of pixels: how long is it with its gaps, and at how many places, a stride apart, "
    "does it fit? What if the last step does not come out even?",
    needs=(),
)  # fmt: skip
def sizes_conv(ctx: Context) -> None:
    def body(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> None:
        arguments: dict[str, Any] = {
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
        }
        taps = range(0, dilation * (kernel_size - 1) + 1, dilation)
        fits = [start for start in range(0, size + 2 * padding, stride) if start + taps[-1] < size + 2 * padding]
        if not fits:
            ctx.raises("ValueError", CONV_SIZE, size, **arguments, case="a kernel that fits nowhere")
        else:
            whole(ctx, ctx.call(CONV_SIZE, size, **arguments), len(fits), "conv_output_size")

    ctx.forall(body, examples=60, size=sizes(1, 32), kernel_size=sizes(1, 7), stride=sizes(1, 4),
               padding=st.integers(0, 3), dilation=sizes(1, 3))  # fmt: skip
    body(2, 3, 2, 0, 1)  # one pixel short: half a step below 0
    body(5, 4, 3, 1, 2)
    whole(ctx, ctx.call(CONV_SIZE, 28, 3), 26, "conv_output_size(28, 3)")  # the defaults
    whole(ctx, ctx.call(CONV_SIZE, 28, 3, 2, 1), 14, "conv_output_size(28, 3, 2, 1)")


@declare(
    id="q4.sizes.transpose", question=4, kind="property", points=0.25, visibility="public",
    title="Output size of a transposed convolution",
    asks="conv_transpose_output_size is the size that a transposed convolution gives, and refuses where none is left",
    hint="Every input pixel puts a kernel, a stride apart: how long is what they cover? What do padding and "
    "output_padding do to it here, and how often?",
    needs=(),
)  # fmt: skip
def sizes_transpose(ctx: Context) -> None:
    def body(size: int, kernel_size: int, stride: int, padding: int, output_padding: int, dilation: int) -> None:
        output_padding %= max(stride, dilation)  # PyTorch accepts no more
        rest: dict[str, Any] = {
            "stride": stride,
            "padding": padding,
            "output_padding": output_padding,
            "dilation": dilation,
        }
        try:  # PyTorch itself is the oracle; it refuses sizes below 1
            found = F.conv_transpose1d(torch.zeros(1, 1, size), torch.zeros(1, 1, kernel_size), **rest).shape[-1]
        except RuntimeError:
            found = 0
        arguments = {"kernel_size": kernel_size, **rest}
        if not found:
            ctx.raises("ValueError", TRANSPOSE_SIZE, size, **arguments, case="a padding that leaves nothing")
        else:
            whole(ctx, ctx.call(TRANSPOSE_SIZE, size, **arguments), found, "conv_transpose_output_size")

    ctx.forall(body, examples=60, size=sizes(1, 16), kernel_size=sizes(1, 7), stride=sizes(1, 4),
               padding=st.integers(0, 3), output_padding=st.integers(0, 3), dilation=sizes(1, 3))  # fmt: skip
    body(7, 3, 2, 1, 1, 2)
    body(1, 2, 1, 1, 0, 1)  # exactly nothing is left
    body(2, 1, 1, 3, 0, 1)
    whole(ctx, ctx.call(TRANSPOSE_SIZE, 7, 3), 9, "conv_transpose_output_size(7, 3)")  # the defaults
    whole(ctx, ctx.call(TRANSPOSE_SIZE, 7, 3, 2, 1, 1), 14, "conv_transpose_output_size(7, 3, 2, 1, 1)")


@declare(
    id="q4.sizes.errors", question=4, kind="property", points=0.25, visibility="hidden",
    title="Output sizes: errors",
    asks="a stride, kernel or dilation below 1 and a negative padding are ValueErrors that name the argument",
    hint="Which of the arguments may be 0, and which may not? Does one of them slip through because the result still "
    "looks like a size?",
    needs=(),
)  # fmt: skip
def sizes_errors(ctx: Context) -> None:
    # otherwise good arguments, chosen so that the formula would still give a positive size
    common = ("kernel_size", "stride", "dilation", "padding")
    for target, names in ((CONV_SIZE, common), (TRANSPOSE_SIZE, (*common, "output_padding"))):
        for name in names:
            for value in (-1, -2) if "padding" in name else (0, -1):
                arguments = {"kernel_size": 3, "stride": 2, "dilation": 1, "padding": 1, name: value}
                ctx.raises("ValueError", target, 20, **arguments, names=name, case=f"{target[13:]} with {name}={value}")


# ---- reconstruction losses ----------------------------------------------------------------------------------------

MSE, BCE, LOGITS = (f"autoencoders.{name}" for name in ("mse_loss", "bce_loss", "bce_with_logits_loss"))
PER_PIXEL = "exactly one pixel's share: over what do you average, and over what should you sum?"
PER_BATCH = "exactly the batch size times too much: what should happen to the loss when the batch is twice as large?"


def bernoulli_nats(logits: Tensor, x: Tensor) -> Tensor:
    """Binary cross-entropy of each pixel in nats, from logits, by the difference of two log-sigmoids."""
    return -(x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits))


def scaled(value: Any, expected: Tensor, batch: int, pixels: int) -> str:
    """A hint where a loss is off by a factor that says what was averaged."""
    if isinstance(value, Tensor) and value.numel() == 1 and float(expected) != 0:
        ratio = float(value) / float(expected)
        for factor, hint in ((1 / pixels, PER_PIXEL), (batch, PER_BATCH)):
            if factor != 1 and math.isclose(ratio, factor, rel_tol=1e-4):
                return hint
    return ""


def loss_values(ctx: Context, target: str, oracle: Callable[[Tensor, Tensor], Tensor],
                low: float, high: float, tol: Tolerance) -> None:  # fmt: skip
    """A loss against the sum of `oracle` over all elements, divided by the batch size."""
    name = target.partition(".")[2]

    def body(case: tuple[Tensor, Tensor]) -> None:
        prediction, x = case
        expected = oracle(prediction, x).sum() / len(x)
        value = ctx.preserves(target, prediction, x)
        ctx.matches(value, expected, tol, f"{name}", hint=scaled(value, expected, len(x), x[0].numel()))

    for dims in ((sizes(1, 5), sizes(1, 6)), (sizes(1, 3), 1, sizes(1, 3), sizes(1, 4))):
        ctx.forall(body, examples=15, case=same_shape(2, *dims, low=(low, 0.0), high=(high, 1.0)))
    # sizes of real images; grey, black and white target pixels
    for dtype, close in (
        (torch.float64, tol),
        (torch.float32, Tolerance(FLOAT32.rtol, max(tol.atol, 1e-5), "float32")),
    ):
        prediction, x = ctx.rand(5, 1, 28, 28, low=low, high=high, dtype=dtype), ctx.images(5, dtype=dtype)
        x = torch.where(x < 0.2, 0.0, torch.where(x > 0.8, 1.0, x)).to(dtype)
        expected = (oracle(prediction.double(), x.double()).sum() / 5).to(dtype)
        value = ctx.call(target, prediction, x)
        ctx.matches(value, expected, close, f"{name} of a batch of five images", hint=scaled(value, expected, 5, 784))


@declare(
    id="q4.mse.value", question=4, kind="property", points=0.5, visibility="public",
    title="Squared error: value",
    asks="mse_loss is the squared error of an image, summed over its pixels, averaged over the batch",
    hint="What should twice as many pixels do to the loss of an image, and what twice as many images in the batch?",
    needs=(),
)  # fmt: skip
def mse_value(ctx: Context) -> None:
    loss_values(ctx, MSE, lambda x_recon, x: (x_recon - x).square(), -1.0, 2.0, FLOAT64)


@declare(
    id="q4.bce.value", question=4, kind="property", points=0.5, visibility="public",
    title="Binary cross-entropy: value",
    asks="bce_loss is the binary cross-entropy of probabilities in nats, summed over pixels, averaged over the batch, "
    "also for grey targets",
    hint="Which of the two arguments goes inside the logarithm? What does an image cost whose pixels are all predicted "
    "as 0.5?",
    needs=(),
)  # fmt: skip
def bce_value(ctx: Context) -> None:
    loss_values(ctx, BCE, lambda p, x: bernoulli_nats(torch.logit(p), x), 0.05, 0.95, GUARDED)


@declare(
    id="q4.logits.value", question=4, kind="property", points=0.25, visibility="public",
    title="Binary cross-entropy from logits: value",
    asks="bce_with_logits_loss of logits is the binary cross-entropy of their probabilities, in nats per image",
    hint="What does an image cost whose logits are all 0? In which unit and summed over what?",
    needs=(),
)  # fmt: skip
def logits_value(ctx: Context) -> None:
    loss_values(ctx, LOGITS, bernoulli_nats, -12.0, 12.0, FLOAT64)


@declare(
    id="q4.losses.shapes", question=4, kind="property", points=0.5, visibility="public",
    title="Losses refuse different shapes",
    asks="each of the three losses raises a ValueError if prediction and target have different shapes",
    hint="Print both shapes. What does PyTorch do with (B, 784) and (B, 1, 28, 28), or with (B, 1) and (B,)?",
    needs=(),
)  # fmt: skip
def losses_shapes(ctx: Context) -> None:
    pairs = (((4, 9), (4, 1, 3, 3)), ((4, 1, 3, 3), (4, 9)), ((4, 1), (4,)), ((1, 6), (3, 6)), ((3, 6), (1, 6)),
             ((3, 1, 4, 4), (3, 4, 4)), ((2, 1, 3, 1), (2, 1, 3, 4)), ((2, 3), (3, 2)))  # fmt: skip
    for target in (MSE, BCE, LOGITS):
        for first, second in pairs:
            ctx.raises("ValueError", target, ctx.rand(*first), ctx.rand(*second),
                       case=f"{target.partition('.')[2]} of shapes {first} and {second}")  # fmt: skip


@declare(
    id="q4.bce.edges", question=4, kind="property", points=0.25, visibility="hidden",
    title="Binary cross-entropy: probabilities 0 and 1",
    asks="bce_loss and its gradient are finite for probabilities of exactly 0 and 1, costly where the target disagrees "
    "and free where it agrees",
    hint="What is the logarithm of 0, and what is 0 times that? Is your guard still there in float32?",
    needs=("q4.bce.value",),
)  # fmt: skip
def bce_edges(ctx: Context) -> None:
    for dtype in (torch.float32, torch.float64):
        agree = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]], dtype=dtype)
        right = float(ctx.tensor(ctx.call(BCE, agree, agree), (), "bce_loss of a perfect prediction", dtype=dtype))
        ctx.expect(abs(right) < 1e-4, "a perfect prediction costs something", 0.0, right)
        wrong = float(ctx.tensor(ctx.call(BCE, agree, 1 - agree), (), "bce_loss of an impossible target", dtype=dtype))
        # 3 pixels; a guard of 1e-5 inside the logarithm makes 11 nats each
        ctx.expect(wrong > 30, "an impossible target costs little", "more than 10 nats per pixel", wrong)
        grey = torch.full((2, 3), 0.5, dtype=dtype)
        for target in (agree, 1 - agree, grey):
            ctx.tensor(ctx.preserves(BCE, agree, target), (), "bce_loss at probabilities 0 and 1", dtype=dtype)
            found = ctx.session.vjp(BCE, agree, target, wrt=[0]).args[0]
            ctx.tensor(found, (2, 3), "the gradient of bce_loss at probabilities 0 and 1", dtype=dtype)


@declare(
    id="q4.logits.edges", question=4, kind="gradient", points=0.25, visibility="public",
    title="Binary cross-entropy from logits: +-1000",
    asks="bce_with_logits_loss is finite at logits of +-1000, with the right value and the right gradient",
    hint="Which step overflows, or rounds to 0 or 1, when a logit is large? Can the loss be written without that step?",
    needs=("q4.logits.value",),
)  # fmt: skip
def logits_edges(ctx: Context) -> None:
    for dtype, tol in ((torch.float64, FLOAT64), (torch.float32, FLOAT32)):
        logits = torch.tensor(
            [[1000.0, -1000.0, 1000.0, -1000.0, 30.0], [-45.0, 60.0, 1000.0, -1000.0, 0.7]], dtype=dtype
        )
        x = torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.0], [1.0, 0.25, 0.5, 0.25, 0.25]], dtype=dtype)
        ctx.matches(
            ctx.call(LOGITS, logits, x), bernoulli_nats(logits, x).sum() / 2, tol, "bce_with_logits_loss at +-1000"
        )
        found = ctx.session.vjp(LOGITS, logits, x, wrt=[0]).args[0]
        ctx.matches(found, (torch.sigmoid(logits) - x) / 2, tol, "the gradient of bce_with_logits_loss at +-1000")


# ---- sparsity -----------------------------------------------------------------------------------------------------

L1, KL = "autoencoders.l1_sparsity", "autoencoders.kl_sparsity"


@declare(
    id="q4.l1.value", question=4, kind="property", points=0.25, visibility="public",
    title="L1 sparsity: value",
    asks="l1_sparsity(z) is the sum of the absolute values of a code, averaged over the batch",
    hint="Can the penalty be negative? What should it do when the code gets longer, and when the batch gets larger?",
    needs=(),
)  # fmt: skip
def l1_value(ctx: Context) -> None:
    def body(case: tuple[Tensor]) -> None:
        (z,) = case
        expected = torch.linalg.vector_norm(z, ord=1, dim=1).mean()
        value = ctx.preserves(L1, z)
        ctx.matches(value, expected, FLOAT64, "l1_sparsity(z)", hint=scaled(value, expected, *z.shape))

    ctx.forall(body, case=same_shape(1, sizes(1, 5), sizes(1, 6)))
    z = ctx.randn(9, 33, dtype=torch.float32)
    expected = torch.linalg.vector_norm(z.double(), ord=1, dim=1).mean().float()
    ctx.matches(ctx.call(L1, z), expected, FLOAT32, "l1_sparsity in float32")


def to_target_rate(activations: Tensor, rho: float) -> Tensor:
    """Σ KL(Bernoulli(ρ) ‖ Bernoulli(ρ̂)) by torch.distributions."""
    rates = activations.mean(0)
    return kl_divergence(Bernoulli(torch.full_like(rates, rho)), Bernoulli(rates)).sum()


@declare(
    id="q4.kl.value", question=4, kind="property", points=0.5, visibility="public",
    title="KL sparsity: value",
    asks="kl_sparsity is the sum over units of KL(Bernoulli(rho) || Bernoulli(mean activation of the unit))",
    hint="Over which dimension is the mean taken before the divergence? Which of the two distributions comes first, "
    "and is the divergence symmetric?",
    needs=(),
)  # fmt: skip
def kl_value(ctx: Context) -> None:
    def body(case: tuple[Tensor], rho: float) -> None:
        (activations,) = case
        expected = to_target_rate(activations, rho)
        value = ctx.preserves(KL, activations, rho)
        swapped = kl_divergence(Bernoulli(activations.mean(0)), Bernoulli(torch.full_like(activations[0], rho))).sum()
        hint = ""
        if isinstance(value, Tensor) and value.numel() == 1 and abs(float(expected - swapped)) > 1e-3:
            is_swapped = abs(float(value) - float(swapped)) < 1e-5
            hint = (
                "exactly the other divergence: which of the two distributions is the reference?" if is_swapped else ""
            )
        hint = hint or scaled(value, expected, len(activations), activations.shape[1])
        ctx.matches(value, expected, GUARDED, "kl_sparsity(activations, rho)", hint=hint)

    ctx.forall(body, case=same_shape(1, sizes(2, 5), sizes(1, 6), low=0.05, high=0.95),
               rho=st.floats(0.02, 0.9, allow_subnormal=False))  # fmt: skip
    activations = ctx.rand(9, 7, dtype=torch.float32)
    expected = to_target_rate(activations.double(), 0.05).float()
    ctx.matches(ctx.call(KL, activations), expected, GUARDED, "kl_sparsity in float32 with the default rho")
    even = torch.tensor([[0.4, 0.0], [0.0, 0.1], [0.2, 0.5]], dtype=torch.float64)  # means of .2: where it vanishes
    ctx.matches(
        ctx.call(KL, even, 0.2), torch.zeros((), dtype=torch.float64), GUARDED, "kl_sparsity at the target rate"
    )


@declare(
    id="q4.kl.edges", question=4, kind="property", points=0.25, visibility="hidden",
    title="KL sparsity: units that are always 0 or 1",
    asks="kl_sparsity and its gradient are finite, and the value large, when a unit is always 0 or always 1",
    hint="What is inside the logarithms when a unit never fires? Is your guard still there in float32?",
    needs=("q4.kl.value",),
)  # fmt: skip
def kl_edges(ctx: Context) -> None:
    for dtype in (torch.float32, torch.float64):
        usual = ctx.rand(6, 3, low=0.1, high=0.3, dtype=dtype)
        for stuck, rho in ((0.0, 0.05), (0.0, 0.4), (1.0, 0.05), (1.0, 0.6)):
            activations = torch.cat([usual, torch.full((6, 2), stuck, dtype=dtype)], dim=1)
            value = ctx.tensor(
                ctx.preserves(KL, activations, rho), (), f"kl_sparsity with a unit always {stuck:g}", dtype=dtype
            )
            # the penalty grows without bound towards 0 and 1: at least what a rate of 1e-3 would cost
            near = torch.full((1, 2), abs(stuck - 1e-3), dtype=torch.float64)
            least = to_target_rate(usual.double(), rho) + to_target_rate(near, rho)
            ctx.expect(float(value) > float(least), "a unit that never changes costs too little",
                       f"more than {least:.4g}", show(value))  # fmt: skip
            found = ctx.session.vjp(KL, activations, rho, wrt=[0]).args[0]
            ctx.tensor(
                found, activations.shape, f"the gradient of kl_sparsity with a unit always {stuck:g}", dtype=dtype
            )


@declare(
    id="q4.kl.errors", question=4, kind="property", points=0.25, visibility="public",
    title="KL sparsity: errors",
    asks="kl_sparsity raises a ValueError that names rho unless 0 < rho < 1",
    hint="Is a target rate of exactly 0 possible? And of exactly 1?",
    needs=(),
)  # fmt: skip
def kl_errors(ctx: Context) -> None:
    for rho in (0.0, 1.0, -0.05, 1.5, math.nan):
        ctx.raises("ValueError", KL, ctx.rand(4, 3), rho, names="rho", case=f"kl_sparsity with rho={rho}")
    ctx.tensor(ctx.call(KL, ctx.rand(4, 3), 0.999), (), "kl_sparsity with rho=0.999")


@declare(
    id="q4.losses.gradients", question=4, kind="gradient", points=0.25, visibility="public",
    title="Gradients of losses and penalties",
    asks="the gradients of the losses and the sparsity penalties to their first argument are those of their values",
    hint="Is there a step in one of them through which no gradient can pass, such as a comparison or a detached value?",
    needs=(),
)  # fmt: skip
def losses_gradients(ctx: Context) -> None:
    x = ctx.images(3, 4, torch.float64)
    ctx.gradient(MSE, ctx.randn(3, 1, 4, 4), x, what="the gradient of mse_loss")
    ctx.gradient(BCE, ctx.rand(3, 1, 4, 4, low=0.1, high=0.9), x, what="the gradient of bce_loss")
    ctx.gradient(LOGITS, 2 * ctx.randn(3, 1, 4, 4), x, what="the gradient of bce_with_logits_loss")
    z = ctx.rand(3, 5, low=0.1, high=2.0) * torch.where(ctx.rand(3, 5) < 0.5, -1.0, 1.0)  # the kink is at 0
    ctx.gradient(L1, z, what="the gradient of l1_sparsity")
    ctx.gradient(KL, ctx.rand(4, 5, low=0.1, high=0.9), 0.2, what="the gradient of kl_sparsity")


CHECKS: tuple[Check, ...] = (
    vanilla_shapes, vanilla_range, vanilla_nonlinear, conv_shapes, conv_range, conv_layers, concat_value, concat_errors,
    unet_shapes, unet_range, unet_influence, unet_join, models_gradients, models_pure, sizes_conv, sizes_transpose,
    sizes_errors, mse_value, bce_value, logits_value, losses_shapes, bce_edges, logits_edges, l1_value, kl_value,
    kl_edges, kl_errors, losses_gradients, *TRAINED,
)  # fmt: skip

QUESTION = Question(number=4, title="Autoencoders", points=12.0, modules=("autoencoders",), checks=CHECKS)
