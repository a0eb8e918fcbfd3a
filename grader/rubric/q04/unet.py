"""The U-Net."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_tensor, expect, matches, preserves, raises
from ...check.failure import EXACT, FLOAT64
from ...check.forall import forall
from .models import (
    UNET,
    WHILE_TRAINING,
    decoded,
    encoded,
    extremes,
    in_range,
    shapes,
    small,
    squashed,
)


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
        value = preserves(ctx, "autoencoders.concat_skip", up, skip)
        joined = as_tensor(
            value, (batch, first + second, height, width), "concat_skip(upsampled, skip)", dtype=up.dtype
        )
        matches(ctx, joined[:, :first], up, EXACT, "the first channels of the result")
        matches(ctx, joined[:, first:], skip, EXACT, "the last channels of the result")

    forall(ctx, body, examples=15, seed=seeds(), batch=sizes(1, 3), first=sizes(1, 4), second=sizes(1, 4),
               height=sizes(1, 5), width=sizes(1, 5))  # fmt: skip
    up, skip = ctx.randn(2, 3, 4, 5), ctx.randn(2, 2, 4, 5)
    weights = ctx.randn(2, 5, 4, 5)
    grads = ctx.session.vjp("autoencoders.concat_skip", up, skip, wrt=[0, 1], cotangents=[((), weights)]).args
    for where, part in ((0, weights[:, :3]), (1, weights[:, 3:])):
        matches(ctx, grads[where], part, FLOAT64, f"the gradient of concat_skip to argument {where}")


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
            raises(ctx, "ValueError", "autoencoders.concat_skip", ctx.randn(*up), ctx.randn(*skip),
                       names=", ".join(map(str, shape)), case=case)  # fmt: skip


@declare(
    id="q4.unet.shapes", question=4, kind="property", points=0.5, visibility="public",
    title="U-Net: shapes",
    asks="encode gives (z, skips) with the feature maps before each pooling, largest first; decode and forward give "
    "images of the input's shape, for any batch size and latent_dim",
    hint="At which moment do you keep a feature map: before it is made smaller or after? In which order does the list "
    "go?",
    needs=(),
)  # fmt: skip
def unet_shapes(ctx: Context) -> None:
    shapes(ctx, UNET, (({"latent_dim": 5}, 28, 5), ({}, 28, 64)))


@declare(
    id="q4.unet.range", question=4, kind="property", points=0.25, visibility="public",
    title="U-Net: squashed outputs",
    asks="reconstructions of UNetAutoencoder take all values in [0, 1] and no other, in training mode too",
    hint="What values can the last layer of the decoder give?",
    needs=("q4.unet.shapes",),
)  # fmt: skip
def unet_range(ctx: Context) -> None:
    found = extremes(ctx, UNET)
    squashed(ctx, found.pictures)
    in_range(ctx, found.training, "a reconstruction in training mode", WHILE_TRAINING)


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
    plain = as_tensor(decoded(model, z, skips, True), x.shape, "decode(z, skips)")

    def change(code: Tensor, maps: Sequence[Tensor]) -> Tensor:
        return (as_tensor(decoded(model, code, maps, True), x.shape, "decode(z, skips)") - plain).abs()

    expect(float(change(z + ctx.randn(*z.shape), skips).max()) > 1e-9, "decode does not use the code",
               "another image for another code", "the same image",
               hint="Cut the bottleneck: what changes?")  # fmt: skip
    for k in range(len(skips)):
        other = [skip + ctx.randn(*skip.shape) if i == k else skip for i, skip in enumerate(skips)]
        expect(float(change(z, other).max()) > 1e-9, f"decode does not use skips[{k}]",
                   "another image for other maps", "the same image",
                   hint=f"What changes when you cut skips[{k}]?")  # fmt: skip
    row, column = 6, 19
    touched = skips[0].clone()
    touched[:, :, row, column] += 3
    moved = change(z, [touched, *skips[1:]]).mean(dim=(0, 1))
    # a few convolutions follow the join: the change is around its pixel, wherever exactly
    at = [float((moved.sum(1 - d) * torch.arange(28.0)).sum() / moved.sum().clamp(min=1e-30)) for d in (0, 1)]
    expect(abs(at[0] - row) < 6 and abs(at[1] - column) < 6, "a change in skips[0] shows at another place",
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
        raises(ctx, "ValueError", (model, "decode"), z, wrong, names=names,
                   case=f"decode of 3 codes with skips[{k}] of one image")  # fmt: skip
