"""Question 4: the U-Net and what holds for all three models; other models, sizes and losses stand beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...boundary.session import Handle
from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import EXACT, FLOAT64, Check, Question, declare
from ..shared.latents import stir
from .losses import LOSSES
from .models import (
    ACROSS,
    PLAIN,
    SMALL,
    UNET,
    VANILLA,
    WHILE_TRAINING,
    decoded,
    encoded,
    extremes,
    in_range,
    shapes,
    small,
    squashed,
)
from .sizes import SIZES
from .trained import TRAINED

# ---- the U-Net ----------------------------------------------------------------------------------------------------


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


# ---- all three models ---------------------------------------------------------------------------------------------


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
        name, shapes = target.partition(".")[2], ((3, 1, side, side), (3, SMALL[target]["latent_dim"]))
        image, weights = [False, False], [set[str](), set[str]()]  # what gets a gradient from x_recon, and from z
        for attempt in range(6):  # a head may start at zero; in one draw of the weights all units of a layer may be off
            stir(ctx, model, 0.7)
            x = ctx.images(3, side, torch.float64)
            for output in (0, 1):
                along = ctx.randn(*shapes[output])
                found = ctx.session.vjp(model, x, wrt=[0], params=[model], cotangents=[((output,), along)])
                to_x = found.args[0]
                image[output] |= to_x is not None and float(to_x.abs().max()) > 0
                weights[output] |= {k for k, g in found.params[0].items() if g is not None and float(g.abs().max()) > 0}
                if output == 0 and to_x is not None and not attempt:
                    agrees_with_differences(ctx, model, x, along, to_x, name)
            if all(image) and weights[1] <= weights[0]:
                break
        for output in (0, 1):
            ctx.expect(
                image[output], f"{name}: no gradient reaches the image", f"a gradient of output {output}", "none"
            )
        # whatever the code depends on, the reconstruction depends on too
        ctx.expect(weights[1] <= weights[0] and len(weights[1]) > 0,
                   f"{name}: weights that make the code get no gradient from the reconstruction",
                   "a gradient for each",
                   ", ".join(sorted(weights[1] - weights[0])) or "the code has no weights")  # fmt: skip
        ctx.expect(len(weights[0]) > len(weights[1]) or target == VANILLA, f"{name}: the decoder gets no gradient")


@declare(
    id="q4.models.pure", question=4, kind="property", points=0.25, visibility="hidden",
    title="Images do not mix, and the code is enough",
    asks="each image of a batch is encoded, decoded and reconstructed as it would be alone; decode depends on its "
    "arguments only, and leaves them as they are",
    hint="Does any step mix images of a batch? Does decode know anything that is not in its arguments, and are these "
    "the same after it?",
    needs=("q4.vanilla.shapes", "q4.conv.shapes", "q4.unet.shapes"),
)  # fmt: skip
def models_pure(ctx: Context) -> None:
    for target, kwargs in SMALL.items():
        unet, latent, name = target == UNET, kwargs["latent_dim"], target.partition(".")[2]
        model, side = small(ctx, target)
        # from nearly black to full range: what an image takes from a brighter or a darker one shows
        brightness = torch.tensor([0.4, 1.0, 0.1, 0.7], dtype=torch.float64)[:, None, None, None]
        x = brightness * ctx.images(4, side, torch.float64)
        z, skips = encoded(ctx, model, x, latent, unet)
        given = (z, list(skips)) if unet else (z,)
        picture = ctx.tensor(ctx.preserves((model, "decode"), *given), x.shape, f"{name}: decode")
        whole = ctx.tensor(ctx.sequence(model(x), 2, "forward(x)")[0], x.shape, f"{name}: x_recon")
        for rows in (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 4), slice(1, 3)):
            alone, _ = encoded(ctx, model, x[rows], latent, unet)
            ctx.matches(alone, z[rows], ACROSS, f"{name}: the code of an image alone, compared with a batch,")
            part = decoded(model, z[rows], [skip[rows] for skip in skips], unet)
            ctx.matches(part, picture[rows], ACROSS, f"{name}: a part of a batch decoded, compared with the whole,")
            part = ctx.sequence(model(x[rows]), 2, "forward(x)")[0]
            ctx.matches(part, whole[rows], ACROSS, f"{name}: an image reconstructed alone, compared with a batch,")
        other = ctx.fresh()  # has never seen the images
        copy = other.new(target, **kwargs).double().eval()
        copy.load(model.state())
        ctx.matches(decoded(copy, z, skips, unet), picture, ACROSS, f"{name}: decode in a fresh process")
        other.close()


CHECKS: tuple[Check, ...] = (
    *PLAIN, concat_value, concat_errors, unet_shapes, unet_range, unet_influence, unet_join, models_gradients,
    models_pure, *SIZES, *LOSSES, *TRAINED,
)  # fmt: skip

QUESTION = Question(number=4, title="Autoencoders", points=12.0, modules=("autoencoders",), checks=CHECKS)
