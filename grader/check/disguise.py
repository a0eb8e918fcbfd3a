"""How a run shows a dataset: the same pixels in other places and the same rows in another order, drawn for the run.

Both datasets are public and may lie within a submission's reach. Weights that were trained on them, tables of their
images and drawings of digits fit the images as they stand in the files. Here every image of a run, for training and
held out, has its pixels in the same other places: in any order where a model is fully connected, which therefore does
not notice; turned by a quarter or mirrored along a diagonal where it is convolutional, which learns either equally
well. Errors, PCA and the mean image are the same as before, so that no cut depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from .context import Context

# Rows are shuffled among so many, so that the first 1 000, 2 000 … of a dataset are the same images in every run: the
# second half of MNIST's held-out images is harder than the first.
BLOCK = 1_000
# Most that an image is warped by: radians, shares of its size, pixels. A digit stays the same digit.
ANGLE, SCALE, SHEAR, SHIFT = math.radians(8), 0.06, 0.08, 1.5


@dataclass(frozen=True)
class Disguise:
    """Pixel p of a shown image is pixel `order[p]` of the image in the file."""

    order: Tensor

    def shown(self, images: Tensor) -> Tensor:
        """Images `(N, 1, H, W)` as the submission sees them."""
        return images.flatten(1)[:, self.order].view_as(images)

    def undone(self, images: Tensor) -> Tensor:
        """The images as they stand in the file."""
        return images.flatten(1)[:, self.order.argsort()].view_as(images)


def any_order(ctx: Context) -> Disguise:
    """Any order of the pixels: for models whose first layer is fully connected."""
    return Disguise(torch.randperm(ctx.data.train_x[0].numel(), generator=ctx.rng))


def turned(ctx: Context) -> Disguise:
    """One of the two quarter turns and the two diagonal mirrors: for convolutional models.

    Not the others: a model of upright digits is nearly as good on their mirror images, and no good on these.
    """
    places = torch.arange(ctx.data.train_x[0].numel()).view(ctx.data.train_x.shape[-2:])
    choices = (places.rot90(1), places.rot90(-1), places.T, places.rot90(2).T)
    return Disguise(choices[int(ctx.randint(0, len(choices), 1))].flatten())


def disguise(ctx: Context, kind: Callable[[Context], Disguise]) -> Disguise:
    """From now on `ctx.data` is the dataset as this run shows it."""
    look, data = kind(ctx), ctx.data
    train, test = shuffled(ctx, len(data.train_x)), shuffled(ctx, len(data.test_x))
    ctx.show(replace(data, train_x=look.shown(data.train_x[train]), train_y=data.train_y[train],
                     test_x=look.shown(data.test_x[test]), test_y=data.test_y[test]))  # fmt: skip
    return look


def shuffled(ctx: Context, count: int) -> Tensor:
    """Row numbers 0 … count - 1, shuffled within successive blocks."""
    sizes = [min(BLOCK, count - start) for start in range(0, count, BLOCK)]
    return torch.cat([
        at * BLOCK + torch.randperm(size, generator=ctx.rng) for at, size in enumerate(sizes)
    ])  # fmt: skip


def warped(images: Tensor, rng: torch.Generator, most: float = 1.0) -> Tensor:
    """Images as in the file, each turned, stretched, sheared and shifted a little, by `most` of the bounds at most."""
    count, (height, width) = len(images), images.shape[-2:]

    def drawn(bound: float) -> Tensor:
        return most * bound * (2 * torch.rand(count, generator=rng) - 1)

    angle, shear = drawn(ANGLE), drawn(SHEAR)
    affine = torch.stack([
        torch.stack([(1 + drawn(SCALE)) * angle.cos(), shear - angle.sin(), drawn(2 * SHIFT / width)], 1),
        torch.stack([angle.sin(), (1 + drawn(SCALE)) * angle.cos(), drawn(2 * SHIFT / height)], 1),
    ], 1)  # fmt: skip
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False).clamp(0, 1)
