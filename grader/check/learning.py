"""What shows that a model has learned what it knows, from the images given, by the training given.

A metric alone shows that a model describes images well. It may do so with weights brought along, with a table of the
dataset, with a code that packs pixels into digits, or with a loop of its own. Each condition here asks for something
that a model which was trained as it should has for nothing, and needs no other training unless it says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .context import Context
from .disguise import Disguise, any_order, warped
from .trained import Budget, Recipe, X, expect_of_training, state_after
from .values import Image8, Slot

HELD_BACK = 0.5  # of the points: what a model may at most reach that was trained on the wrong images
MEMORISED = 0.1  # error on training images, relative to unseen ones; the reference's are nearly equal
# Error on images of another kind, relative to those of the run. What treats all pixels alike, or all orientations, has
# exactly 1; of the reference 1.2 was seen at the least, mostly 2 to 20. A U-Net hands the image through its skips, in
# every orientation nearly alike; one that was trained on another orientation is better there by a fifth.
STRANGE, NO_BETTER = 1.02, 0.95
FEWEST_STEPS = 16
LOOKS = 300

Rebuild = Callable[..., Tensor]  # images (and labels) -> what the trained model makes of them
Value = Callable[[dict[str, Tensor]], float]  # state -> a metric of it
WRONG = Slot("target")  # to the loop, and to whoever looks into it, a target like another
BROUGHT = "Where does what your model knows come from, if not from the training it was given?"


def expect_learned(
    ctx: Context, recipe: Recipe, budget: Budget, metric: str, value_of: Value,
    data: Mapping[str, Tensor | Image8] | None = None, *, longest: float = 1.0,
) -> None:  # fmt: skip
    """A model that sees the same images, but has others for targets, is no good: what it knows, its training taught.

    To the model this training looks like the other one, which weights that appear, images that are remembered and loops
    of its own cannot tell apart; an honest one learns the mean image. Its length is drawn anew for every run, up to the
    share `longest` of the budget, mostly short. `data`: what the model was trained on, as for `fit`.
    """
    cut = ctx.thresholds.cut(ctx.name, metric)
    if cut is None:
        return  # there is nothing to hold it to while the cut is being measured
    given = {name: held.pixels if isinstance(held, Image8) else held for name, held in (data or {}).items()}
    given.setdefault("x", ctx.data.train_x[: budget.train_size])
    count = len(given["x"])
    share = longest * float(ctx.rand(1)) ** 3
    rows = max(FEWEST_STEPS * budget.batch_size, round(share * budget.epochs * count))
    epochs = math.ceil(rows / count)
    size = rows // epochs
    shown = {name: Image8(held[:size]) if name == "x" else held[:size] for name, held in given.items()}
    shown[WRONG.name] = Image8(given["x"][torch.randperm(size, generator=ctx.rng)])
    wrong = replace(recipe, objective=[mistaken(part) for part in recipe.objective])
    value = value_of(state_after(ctx.seed, wrong, replace(budget, epochs=epochs), shown, ctx.fresh()))
    expect_of_training(
        ctx, not cut.credit(value) > HELD_BACK, "the model knows the digits without having learned them",
        f"far from {cut.full:.4g}", f"{value:.4g} after a training with other images as targets", hint=BROUGHT,
    )  # fmt: skip


def mistaken(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A term of an objective with other images in the place of those that the model is shown."""
    return {**part, "args": [WRONG if item == X else item for item in part["args"]]} if "args" in part else part


def expect_generalises(ctx: Context, error: float, on_training_images: float) -> None:
    """The error on training images is of the order of that on unseen ones."""
    expect_of_training(
        ctx, on_training_images > MEMORISED * error,
        "the model remembers the training images instead of describing them",
        f"an error of the order of {error:.3g}, as on unseen images", f"{on_training_images:.3g} on training images",
        hint="What would your code say about an image that it has never seen?",
    )  # fmt: skip


def expect_particular(
    ctx: Context, look: Disguise, images: Tensor, error_of: Callable[[Tensor], float], *, passes_through: bool = False
) -> None:
    """Images of another kind than those of the run are described worse: what fits all images was not learned here.

    The other kinds are the images as the file has them, and their negatives. Of a model that `passes_through` most of
    the image, those of the file may be described as well, but no better; those with their pixels mixed up may not.
    """
    some = images[:LOOKS]
    own = error_of(some)
    others = {
        "as they stand in the file": (look.undone(some), NO_BETTER if passes_through else STRANGE),
        "with black and white exchanged": (1 - some, STRANGE),
    }
    if passes_through:
        others["with their pixels mixed up"] = (any_order(ctx).shown(some), STRANGE)
    for kind, (other, least) in others.items():
        error = error_of(other)
        expect_of_training(
            ctx, error > least * own, f"the model describes images {kind} as well as those that it was trained on",
            f"an error above {least * own:.4g}, where held-out images of the training's kind have {own:.4g}", error,
            hint=BROUGHT,
        )  # fmt: skip


def follows(look: Disguise, images: Tensor, rebuild: Rebuild, rng: torch.Generator, *labels: Tensor) -> float:
    """Share of the change from an image to a slightly other one that the model's pictures of the two show.

    1 for the change itself, 0 for none, less where another picture takes the place of the first.
    """
    file = look.undone(images[:LOOKS])
    one, other = look.shown(warped(file, rng, 0.5)), look.shown(warped(file, rng))
    order = torch.randperm(2 * len(file), generator=rng)
    given = [array[: len(file)].repeat(2)[order] for array in labels]
    pictures = rebuild(torch.cat([one, other])[order], *given)[order.argsort()].double()
    change = other.double() - one.double()
    seen = pictures[len(file) :] - pictures[: len(file)]
    return 1 - float((seen - change).square().sum() / change.square().sum())


def expect_follows(
    ctx: Context, look: Disguise, images: Tensor, rebuild: Rebuild, least: float, *labels: Tensor
) -> None:
    """The picture changes with the image: it is described by the code, not looked up."""
    share = follows(look, images, rebuild, ctx.rng, *labels)
    expect_of_training(
        ctx, share >= least, "what the model makes of an image does not change as the image does",
        f"at least {least:.0%} of the change when an image is turned and shifted a little", f"{share:.1%}",
        hint="Turn an image by a few degrees, and look at both reconstructions: what should differ, and does it?",
    )  # fmt: skip
