"""The U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves, raises
from ...check.failure import EXACT, FLOAT64, Failure
from ...check.forall import forall
from ...check.parts import Part
from ...check.shown import alike
from ...check.values import Handle, TorchRef
from ..shared.latents import stir
from ..shared.readings import asking
from .models import (
    TWO_THINGS,
    UNET,
    WHILE_TRAINING,
    decoded,
    encoded,
    extremes,
    in_range,
    shapes,
    small,
    squashed,
    unpack_skips,
)

CONCAT = "autoencoders.concat_skip"
# what is wrong with it costs its own checks only
JOINED = (Part(CONCAT, "concat_skip", ("q4.concat-skip.value", "q4.concat-skip.errors")),)


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
        wanted = (batch, first + second, height, width)
        with asking("Along which dimension do you join, and which sizes may differ there?"):
            value = preserves(ctx, CONCAT, up, skip)
        shape = tuple(value.shape) if isinstance(value, Tensor) else ()
        joined = as_tensor(value, wanted, "concat_skip(upsampled, skip)", dtype=up.dtype,
                           hint="Along which dimension do you join?" if len(shape) == 4 else "")  # fmt: skip
        if torch.equal(joined, torch.cat([skip, up], dim=1)):
            raise Failure("concat_skip(upsampled, skip) is wrong", f"the {first} channels of upsampled, then the "
                          f"{second} of skip", f"the {second} channels of skip, then the {first} of upsampled",
                          hint="Which of the two comes first?")  # fmt: skip
        for part, which, channels in ((up, "first", joined[:, :first]), (skip, "last", joined[:, first:])):
            name = "upsampled" if which == "first" else "skip"
            what = f"what the {which} {part.shape[1]} channels of the result hold of {name}"
            matches(ctx, channels, part, EXACT, what,
                    hint="What should happen to the numbers themselves when two maps are joined?")  # fmt: skip

    body(int(ctx.randint(0, 2**20, 1)), 2, 3, 5, 4, 6)  # sizes that are all different tell one axis from another
    forall(ctx, body, examples=12, seed=seeds(), batch=sizes(1, 3), first=sizes(1, 4), second=sizes(1, 4),
               height=sizes(1, 5), width=sizes(1, 5))  # fmt: skip
    up, skip = ctx.randn(2, 3, 4, 5), ctx.randn(2, 2, 4, 5)
    weights = ctx.randn(2, 5, 4, 5)
    grads = ctx.session.vjp(CONCAT, up, skip, wrt=[0, 1], cotangents=[((), weights)]).args
    for where, part, name in ((0, weights[:, :3], "upsampled"), (1, weights[:, 3:], "skip")):
        what = f"the gradient of concat_skip to {name}"
        hint = f"Is the graph of {name} cut on the way into the result?"
        as_tensor(grads[where], part.shape, what, hint=hint)
        matches(ctx, grads[where], part, FLOAT64, what, hint=hint)
    expect_on_device(ctx, "concat_skip", CONCAT, up, skip)


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
    cases = (((1, 2, 6, 5), "batch sizes"), ((2, 4, 6, 5), "batch sizes"), ((3, 2, 5, 5), "heights"),
             ((3, 2, 6, 1), "widths"), ((3, 2, 7, 5), "heights"), ((3, 2, 5, 6), "heights and widths"))  # fmt: skip
    for skip, differs in cases:
        case = f"concat_skip of upsampled {up} and skip {skip}, whose {differs} differ"
        for shape in (up, skip):
            raises(ctx, "ValueError", CONCAT, ctx.randn(*up), ctx.randn(*skip), names=", ".join(map(str, shape)),
                   case=case, hint=f"What does it mean if {differs} differ: is one of the two to be fitted, or is "
                   "something wrong with it?")  # fmt: skip


@declare(
    id="q4.unet.shapes", question=4, kind="property", points=0.5, visibility="public",
    title="U-Net: shapes",
    asks="encode gives (z, skips) with the feature maps before each pooling, largest first; decode and forward give "
    "images of the input's shape, for any batch size and latent_dim",
    hint="At which moment do you keep a feature map: before it is made smaller or after? In which order does the list "
    "go?",
    needs=(), parts=JOINED,
)  # fmt: skip
def unet_shapes(ctx: Context) -> None:
    shapes(ctx, UNET, (({"latent_dim": 5}, 28, 5), ({}, 28, 64)),
           "Which size do the decoder's maps have when a skip is joined to them, and what happens then?")  # fmt: skip


@declare(
    id="q4.unet.range", question=4, kind="property", points=0.25, visibility="public",
    title="U-Net: squashed outputs",
    asks="reconstructions of UNetAutoencoder take all values in [0, 1] and no other, in training mode too",
    hint="What values can the last layer of the decoder give?",
    needs=("q4.unet.shapes",), parts=JOINED,
)  # fmt: skip
def unet_range(ctx: Context) -> None:
    found = extremes(ctx, UNET)
    squashed(found.pictures)
    in_range(found.training, "a reconstruction in training mode", WHILE_TRAINING, found.call)


@declare(
    id="q4.unet.influence", question=4, kind="property", points=0.75, visibility="public",
    title="U-Net: code and skips are used",
    asks="the code and every map of every skip influence what decode gives, in both modes, each skip at its own place "
    "in the image; forward uses them all while it trains, too",
    hint="Cut the bottleneck: what changes? Cut one skip: what changes, and where?",
    needs=("q4.unet.shapes",), parts=JOINED,
)  # fmt: skip
def unet_influence(ctx: Context) -> None:
    model, _ = small(ctx, UNET)
    stir(ctx, model, 1.0)  # no map is silent because weights start small
    x = ctx.images(3, dtype=torch.float64)
    z, skips = encoded(ctx, model, x, 5, unet=True)

    def picture(code: Tensor, maps: Sequence[Tensor]) -> Tensor:
        ctx.call(TorchRef("manual_seed"), 17)  # dropout is the same in every call
        return as_tensor(decoded(model, code, maps, True), x.shape, "decode(z, skips)")

    def change(code: Tensor, maps: Sequence[Tensor]) -> Tensor:
        return (picture(code, maps) - picture(z, skips)).abs()

    for training in (False, True):
        model.train(training)
        mode = "training" if training else "evaluation"
        # float64: equal images are equal to some 1e-15, and any influence counts
        expect(float(change(z + ctx.randn(*z.shape), skips).max()) > 1e-9,
               f"in {mode} mode decode(z, skips) does not use the code", "another image for another z",
               "the same image", hint="Cut the bottleneck: what changes?")  # fmt: skip
        for k in range(len(skips)):
            other = [skip + ctx.randn(*skip.shape) if i == k else skip for i, skip in enumerate(skips)]
            # as above
            expect(float(change(z, other).max()) > 1e-9, f"in {mode} mode decode(z, skips) does not use skips[{k}]",
                   f"another image for another skips[{k}]", "the same image",
                   hint=f"What changes when you cut skips[{k}]?"
                   + (" And is that so in both modes?" if training else ""))  # fmt: skip
    forward_takes_all(ctx, model, x)
    every_map_counts(ctx, model.eval(), x)
    row, column = 6, 19
    touched = skips[0].clone()
    touched[:, :, row, column] += 3
    moved = change(z, [touched, *skips[1:]]).mean(dim=(0, 1))
    # a few convolutions follow the join: the change is around its pixel, wherever exactly
    at = [float((moved.sum(1 - d) * torch.arange(28.0)).sum() / moved.sum().clamp(min=1e-30)) for d in (0, 1)]
    expect(abs(at[0] - row) < 6 and abs(at[1] - column) < 6,
           f"a change of skips[0] at row {row}, column {column} shows at another place of the image",
           f"around row {row}, column {column}", f"around row {at[0]:.0f}, column {at[1]:.0f}",
           hint="Which axis of a feature map is which?")  # fmt: skip


def every_map_counts(ctx: Context, model: Handle, x: Tensor) -> None:
    """Each channel of each skip changes the image, in one of a few draws of the weights."""
    silent: dict[int, set[int]] = {}
    for attempt in range(4):
        z, skips = encoded(ctx, stir(ctx, model, 1.0), x[:1], 5, unet=True)
        for k, skip in enumerate(skips):
            channels = skip.shape[1]
            repeated = [other.expand(channels + 1, *other.shape[1:]).clone() for other in skips]
            for channel in range(channels):
                repeated[k][channel + 1, channel] += 1
            pictures = decoded(model, z.expand(channels + 1, 5).contiguous(), repeated, True)
            pictures = as_tensor(pictures, (channels + 1, *x.shape[1:]), "decode(z, skips)")
            still = (pictures[1:] - pictures[0]).abs().flatten(1).amax(1) <= 1e-10
            now = {channel for channel in range(channels) if bool(still[channel])}
            silent[k] = now if not attempt else silent[k] & now
        if not any(silent.values()):
            return
    for k, channels_left in silent.items():
        expect(not channels_left, f"decode(z, skips) does not use all of skips[{k}]", "another image for any other map",
               f"the same image whatever channels {sorted(channels_left)} hold",
               hint=f"What becomes of the feature maps of skips[{k}], one by one?")  # fmt: skip


def forward_takes_all(ctx: Context, model: Handle, x: Tensor) -> None:
    """In training mode, too, forward is not what decode would give without the code, or without one of the skips.

    Everything is drawn from one seed: what is compared is the same function, or forward does something else, which is
    fine.
    """
    model.train()

    def drawn(target: Any, *args: Any) -> Any:
        ctx.call(TorchRef("manual_seed"), 17)
        return ctx.call(target, *args)

    x_recon = as_tensor(as_sequence(drawn(model, x), 2, "forward(x)", hint=TWO_THINGS)[0], x.shape, "x_recon")
    value, skips = unpack_skips(ctx, drawn((model, "encode"), x), x)
    z = as_tensor(value, (len(x), 5), "the code that encode(x) gives")
    whole = as_tensor(decoded(model, z, skips, True), x.shape, "decode(z, skips)")
    lost = [("the code", torch.zeros_like(z), skips)]
    for k in range(len(skips)):
        maps = [torch.zeros_like(skip) if i == k else skip for i, skip in enumerate(skips)]
        lost.append((f"skips[{k}]", z, maps))
    lost.append(("the skips", z, [torch.zeros_like(skip) for skip in skips]))
    for what, code, maps in lost:
        without = as_tensor(decoded(model, code, maps, True), x.shape, "decode(z, skips)")
        same = alike(x_recon, without, rtol=1e-9, atol=1e-12)  # float64 rounding, in sums of another order
        expect(not same or alike(whole, without, rtol=1e-9, atol=1e-12),
               f"in training mode x_recon of forward(x) is what decode gives with zeros in place of {what}",
               f"an image made with {what}", f"one made without {what}",
               hint=f"What does forward do with {what} while the model trains?")  # fmt: skip


@declare(
    id="q4.unet.join", question=4, kind="property", points=0.25, visibility="hidden",
    title="U-Net: joined through concat_skip",
    asks="decode joins each skip through concat_skip, so that a skip that does not fit is an error naming its shape",
    hint="How do skip and upsampled maps come together in your decoder: are they added, or do they stay side by side? "
    "Which of your functions does it?",
    needs=("q4.unet.shapes",), parts=JOINED,
)  # fmt: skip
def unet_join(ctx: Context) -> None:
    model, _ = small(ctx, UNET)
    z, skips = encoded(ctx, model, ctx.images(3, dtype=torch.float64), 5, unet=True)
    for k, skip in enumerate(skips):
        wrong = [other[:1] if i == k else other for i, other in enumerate(skips)]  # a sum would broadcast
        names = ", ".join(map(str, (1, *skip.shape[1:])))
        try:
            raises(ctx, "ValueError", (model, "decode"), z, wrong, names=names,
                   case=f"decode of 3 codes with skips[{k}] of one image only",
                   hint="How do skip and upsampled maps come together in your decoder: are they added, or do they stay "
                   "side by side? Which of your functions does it?")  # fmt: skip
        except Failure as failure:
            if not failure.actual.startswith("returned"):
                failure.hint = "Which of your functions looks at the shapes of a skip and of the maps? Who calls it?"
            raise
