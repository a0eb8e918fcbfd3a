"""What holds for all three models."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves
from ...check.failure import Failure
from ...check.parts import Part
from ...check.shown import alike
from ...check.values import Handle
from ..shared.latents import stir
from .models import (
    ACROSS,
    CONV,
    SMALL,
    TWO_THINGS,
    UNET,
    VANILLA,
    decoded,
    encoded,
    small,
)
from .unet import JOINED

CUT_AT_CODE = "Where between the code and the reconstruction is the graph cut?"
WAYS_BACK = "On which ways does the image get into the reconstruction, and on which of them does a gradient come back?"
COUNTS = 1e-10  # more than rounding, far less than any unit does
DRAWS = 40  # of the weights, as far as it takes: in one of them all units of a layer may be off, behind a ReLU most are
# a model that has lost the points of its shapes keeps the other two from nothing
MODELS = (
    *(Part(target, target.partition(".")[2], (f"q4.{name}.shapes",))
      for target, name in ((VANILLA, "vanilla"), (CONV, "conv"), (UNET, "unet"))),
    *JOINED,
)  # fmt: skip


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
            x_recon = as_sequence(model(x + sign * 1e-7 * along), 2, "forward(x)", hint=TWO_THINGS)[0]
            slope += sign * float((as_tensor(x_recon, x.shape, "x_recon") * weights).sum()) / 2e-7
        found = float((gradient * along).sum())
        near = abs(slope - found) < 0.01 * float(gradient.norm()) + 1e-6
        if not near:
            through = through_code_alone(ctx, model, x, weights) if name.startswith("UNet") else gradient
            looks, hint = "", WAYS_BACK
            # what is missing may be just what comes through the code
            if through is None or abs(slope - found - float((through * along).sum())) < 0.01 * float(through.norm()):
                looks, hint = "nothing comes back through the code", CUT_AT_CODE
            elif name.startswith("UNet") and alike(gradient, through):
                looks = "the gradient through the code alone: nothing comes back through the skips"
            raise Failure(
                f"{name}: the gradient of x_recon to the image is wrong",
                f"{slope:.6g} along a random direction (central differences)", f"{found:.6g} (autograd)",
                looks=looks, hint=hint,
            )  # fmt: skip


def through_code_alone(ctx: Context, model: Handle, x: Tensor, weights: Tensor) -> Tensor | None:
    """The gradient of the weighted reconstruction to the image that goes through the code of a U-Net."""
    z, skips = as_sequence(model.call("encode", x), 2, "encode(x)")
    to_code = ctx.session.vjp((model, "decode"), z, skips, wrt=[0], cotangents=[((), weights)]).args[0]
    if to_code is None:
        return None
    return ctx.session.vjp((model, "encode"), x, wrt=[0], cotangents=[((0,), to_code)]).args[0]


@declare(
    id="q4.models.gradients", question=4, kind="gradient", points=0.25, visibility="hidden",
    title="Gradients reach the whole model, every unit counts",
    asks="in all three models the gradient of the reconstruction passes through the code, and through the skips, into "
    "the encoder; each unit of the code depends on the image and reaches the reconstruction",
    hint="Is there a place on the way from the image to the reconstruction where the graph is cut?",
    needs=("q4.vanilla.shapes", "q4.conv.shapes", "q4.unet.shapes"), parts=MODELS,
)  # fmt: skip
def models_gradients(ctx: Context) -> None:
    for target in SMALL:
        model, side = small(ctx, target)
        name, shapes = target.partition(".")[2], ((3, 1, side, side), (3, SMALL[target]["latent_dim"]))
        image, weights = [False, False], [set[str](), set[str]()]  # what gets a gradient from x_recon, and from z
        for attempt in range(DRAWS):  # a head may start at zero, or all units of a layer be off
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
        expect(image[1], f"{name}: no gradient of the code reaches the image", "a gradient of z to x", "none",
               hint="Where between the image and the code is the graph cut?")  # fmt: skip
        expect(image[0], f"{name}: no gradient of the reconstruction reaches the image",
               "a gradient of x_recon to x, as z has one", "none",
               hint=CUT_AT_CODE)  # fmt: skip
        # whatever the code depends on, the reconstruction depends on too
        missing = ", ".join(sorted(weights[1] - weights[0]))
        expect(len(weights[1]) > 0, f"{name}: no weight of the encoder gets a gradient", "a gradient of z to weights",
               "none", hint="What of the encoder is there to be trained?")  # fmt: skip
        expect(not missing, f"{name}: weights that make the code get no gradient from the reconstruction",
               "a gradient of x_recon to each", f"none for {missing}",
               hint=CUT_AT_CODE)  # fmt: skip
        expect(len(weights[0]) > len(weights[1]) or target == VANILLA, f"{name}: no weight of the decoder gets a "
               "gradient", "a gradient of x_recon to weights of the decoder", "to those of the encoder only",
               hint="Which of the decoder's weights are to be trained, and do they know?")  # fmt: skip
        every_unit_counts(ctx, target, model, side)


def every_unit_counts(ctx: Context, target: str, model: Handle, side: int) -> None:
    """Each unit of the code depends on the image and reaches the reconstruction; in an MLP each pixel, too."""
    latent, unet, name = SMALL[target]["latent_dim"], target == UNET, target.partition(".")[2]
    units, pixels = torch.eye(latent, dtype=torch.float64), torch.eye(side * side, dtype=torch.float64)
    made, used = torch.zeros(latent, dtype=torch.bool), torch.zeros(latent, dtype=torch.bool)
    seen = torch.full((side * side,), target != VANILLA)
    for _ in range(DRAWS):  # in one draw of the weights units of a layer may be off
        stir(ctx, model, 0.7)
        x = ctx.images(4, side, torch.float64)
        z, skips = encoded(ctx, model, x, latent, unet)
        made |= z.std(0) > COUNTS
        maps = [skip[:1].expand(latent + 1, *skip.shape[1:]).contiguous() for skip in skips]
        pictures = decoded(model, torch.cat([z[:1], z[:1] + units]), maps, unet)
        pictures = as_tensor(pictures, (latent + 1, *x.shape[1:]), f"{name}: decode")
        used |= (pictures[1:] - pictures[0]).abs().flatten(1).amax(1) > COUNTS
        if target == VANILLA:
            changed = x[:1] + torch.cat([0 * pixels[:1], pixels]).reshape(-1, 1, side, side) / 2
            codes, _ = encoded(ctx, model, changed, latent, unet)
            seen |= (codes[1:] - codes[0]).abs().amax(1) > COUNTS
        if bool(made.all() and used.all() and seen.all()):
            return
    for counts, what, hint in (
        (made, "units {} of the code are the same for all images", "From what is each unit of the code made?"),
        (used, "units {} of the code change nothing in the reconstruction", "Cut one unit of the code: what changes?"),
        (
            seen,
            "pixels {} of the image, counted row by row, change nothing in the code",
            "Which pixels does encode see?",
        ),
    ):
        left = [str(k) for k in range(len(counts)) if not counts[k]]
        expect(not left, f"{name}: {what.format(', '.join(left[:8]))}", "all of them count",
               f"{len(left)} of {len(counts)} do not", hint=hint)  # fmt: skip


@declare(
    id="q4.models.pure", question=4, kind="property", points=0.25, visibility="hidden",
    title="Images do not mix, the code is enough, nothing leaves the device",
    asks="each image of a batch is encoded, decoded and reconstructed as it would be alone; decode depends on its "
    "arguments only, and leaves them as they are; everything lies on the device of model and images",
    hint="Does any step mix images of a batch? Does decode know anything that is not in its arguments, and are these "
    "the same after it?",
    needs=("q4.vanilla.shapes", "q4.conv.shapes", "q4.unet.shapes"), parts=MODELS,
)  # fmt: skip
def models_pure(ctx: Context) -> None:
    mixes = "In evaluation mode, what has this image to do with the others of its batch?"
    for target, kwargs in SMALL.items():
        unet, latent, name = target == UNET, kwargs["latent_dim"], target.partition(".")[2]
        model, side = small(ctx, target)
        # from nearly black to full range: what an image takes from a brighter or a darker one shows
        brightness = torch.tensor([0.4, 1.0, 0.1, 0.7], dtype=torch.float64)[:, None, None, None]
        x = brightness * ctx.images(4, side, torch.float64)
        z, skips = encoded(ctx, model, x, latent, unet)
        given = (z, list(skips)) if unet else (z,)
        picture = as_tensor(preserves(ctx, (model, "decode"), *given), x.shape, f"{name}: decode")
        other = ctx.fresh()  # has never seen the images
        copy = other.new(target, **kwargs).double().eval()
        copy.load(model.state())
        matches(ctx, decoded(copy, z, skips, unet), picture, ACROSS,
                f"{name}: decode of the same arguments in another process, which has seen no images,",
                hint="Which of what decode uses is not in its arguments, and who puts it there?")  # fmt: skip
        other.close()
        whole = as_tensor(as_sequence(model(x), 2, "forward(x)", hint=TWO_THINGS)[0], x.shape, f"{name}: x_recon")
        for rows in (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 4), slice(1, 3)):
            which = f"{name}: image {rows.start}" if rows.stop == rows.start + 1 else f"{name}: images 1 and 2"
            alone, _ = encoded(ctx, model, x[rows], latent, unet)
            matches(ctx, alone, z[rows], ACROSS, f"{which} of four encoded without the others", hint=mixes)
            part = decoded(model, z[rows], [skip[rows] for skip in skips], unet)
            matches(ctx, part, picture[rows], ACROSS, f"{which} of four decoded without the others", hint=mixes)
            part = as_sequence(model(x[rows]), 2, "forward(x)", hint=TWO_THINGS)[0]
            matches(ctx, part, whole[rows], ACROSS, f"{which} of four reconstructed without the others", hint=mixes)
        for mode in (True, False):
            expect_on_device(ctx, f"{name} in {'training' if mode else 'evaluation'} mode",
                             ctx.new(target, **kwargs).double().train(mode), x)  # fmt: skip
        expect_on_device(ctx, f"{name}: decode", (ctx.new(target, **kwargs).double().eval(), "decode"), *given)
