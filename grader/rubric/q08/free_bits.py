"""Free bits: a floor for each group of latents, after the mean over the batch."""

from __future__ import annotations

import functools

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import named_sizes, numbers, random, seeds
from ...check.context import Context, guard
from ...check.declaration import Check, declare
from ...check.expectations import expect, matches, preserves
from ...check.failure import FLOAT32, FLOAT64, INHERIT, Failure
from ...check.forall import forall
from ...check.shown import alike
from ..shared.latents import Readings, matches_among, nats, zeros_if_none
from .loss import hint_elsewhere

FREE_BITS = "vae.free_bits_kl"

FLOOR = "Is it a floor or a ceiling?"
MEAN_FIRST = "Which comes first, the mean over the batch or the floor?"
EACH_GROUP = "How many floors are there: one for all latents, one for each, or one for each group?"
SUCCESSIVE = "Which dimensions are a group: neighbours, or every so many-th?"
MEAN_OF_BATCH = "With what is the floor compared: with what a batch costs, or with what an image costs on average?"
SUM_OF_GROUPS = "What should one more group do to the result: add to it, or thin it out?"
NO_SUM = "What does a group below the floor cost, and what one above it?"
IMAGE_OR_BATCH = "Is it one image that is above the floor or below it, or the batch?"
PRESSURE = "What should push a dimension on towards the prior whose KL is below the floor already?"


def true_free_bits(mu: Tensor, logvar: Tensor, free_bits: float, group_size: int) -> Tensor:
    """Sum over groups of the larger of `free_bits` and the group's KL, averaged over the batch."""
    groups = nats(mu, logvar).mean(0).reshape(-1, group_size).sum(1)
    return torch.clamp(groups, min=free_bits).sum()


def otherwise(mu: Tensor, logvar: Tensor, free_bits: float, group_size: int) -> Readings:
    """What free_bits_kl becomes with the floor elsewhere."""
    each = nats(mu, logvar)
    batch = len(each)
    by_image = each.reshape(batch, -1, group_size).sum(2)
    groups = by_image.mean(0)
    strided = each.mean(0).reshape(group_size, -1).sum(0)
    count = len(groups)
    return {
        "the sum of min(free_bits, group's KL): a ceiling": (groups.clamp(max=free_bits).sum(), FLOOR),
        "the floor for each image and group, then the mean over the batch":
            (by_image.clamp(min=free_bits).sum(1).mean(), MEAN_FIRST),
        "the floor for each image and dimension, then the mean over the batch":
            (each.clamp(min=free_bits).sum(1).mean(), MEAN_FIRST),
        "one floor for the whole KL": (groups.sum().clamp(min=free_bits), EACH_GROUP),
        "one floor for the whole KL of each image": (each.sum(1).clamp(min=free_bits).mean(), EACH_GROUP),
        "a floor for each of the dimensions, as if group_size were 1":
            (each.mean(0).clamp(min=free_bits).sum(), EACH_GROUP),
        f"a floor of free_bits · {group_size} for each group":
            (groups.clamp(min=free_bits * group_size).sum(), EACH_GROUP),
        f"groups of dimensions that are {count} apart": (strided.clamp(min=free_bits).sum(), SUCCESSIVE),
        "the floor after a sum over the batch": (by_image.sum(0).clamp(min=free_bits).sum(), MEAN_OF_BATCH),
        "the floor after a sum over the batch, divided by the batch":
            (by_image.sum(0).clamp(min=free_bits).sum() / batch, MEAN_OF_BATCH),
        "the mean over the groups": (groups.clamp(min=free_bits).mean(), SUM_OF_GROUPS),
        "a group's mean over its dimensions in place of its sum":
            ((groups / group_size).clamp(min=free_bits).sum(), SUM_OF_GROUPS),
        "free_bits added to each group": ((groups + free_bits).sum(), NO_SUM),
        "only what exceeds the floor": ((groups - free_bits).clamp(min=0).sum(), NO_SUM),
        "only groups above the floor, others 0": ((groups * (groups > free_bits)).sum(), NO_SUM),
        "the KL without any floor": (groups.sum(), NO_SUM),
        "the larger of all floors and the whole KL": (groups.sum().clamp(min=free_bits * count), EACH_GROUP),
    }  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tensor, Tensor, float, int]:
    """(mu, logvar, free_bits, group_size): groups of different KL, the floor between some of them."""
    apart = draw(named_sizes(batch=(2, 5), group_size=(2, 4), count=(2, 4)))
    batch, dims, seed = apart["batch"], apart["group_size"] * apart["count"], draw(seeds())
    scale = random(seed + 1, dims, low=0.05, high=2.0)
    mu, logvar = random(seed, batch, dims) * scale, random(seed + 2, batch, dims) * scale
    return mu, logvar, draw(numbers(0.1, 3.0)), apart["group_size"]


@declare(
    id="q8.freebits.value", question=8, kind="property", points=0.75, visibility="public",
    title="free_bits_kl: a floor for each group",
    asks="each group of successive dimensions costs at least free_bits nats, compared after averaging over the batch",
    hint="Is it a floor? Of what: one example, the batch's mean, one dimension, a group? What should it return at "
    "free_bits = 0, and at a very large one?",
    needs=(),
)  # fmt: skip
def free_bits_value(ctx: Context) -> None:
    def body(case: tuple[Tensor, Tensor, float, int]) -> None:
        mu, logvar, free_bits, group_size = case
        expected = true_free_bits(*case)
        value = preserves(ctx, FREE_BITS, mu, logvar, free_bits, group_size)
        call, own = ctx.typed(), nats(mu, logvar).sum(1).mean()
        hint = INHERIT
        if not alike(value, expected):
            hint = hint_elsewhere(ctx, "gaussians.kl_divergence", 2, torch.full_like(own, torch.nan), own, mu, logvar)
        try:
            matches_among(ctx, value, expected, FLOAT64, "free_bits_kl(mu, logvar, free_bits, group_size)",
                          functools.partial(otherwise, *case), hint=hint, call=call)  # fmt: skip
        except Failure as failure:
            groups = nats(mu, logvar).mean(0).reshape(-1, group_size).sum(1)
            shown = str([float(f"{kl:.3g}") for kl in groups.tolist()])
            failure.counterexample = {f"KL of the {len(groups)} groups, averaged over {len(mu)} images": shown}
            raise

    # four images, three groups of two: a floor below, between and above the KL of the groups
    scale = torch.tensor([0.1, 0.4, 0.9, 1.5, 0.2, 2.0], dtype=torch.float64)
    mu, logvar = (torch.round(ctx.randn(4, 6) * scale, decimals=1) + scale.round(decimals=1) / 2 for _ in range(2))
    groups = nats(mu, logvar).mean(0).reshape(-1, 2).sum(1).sort().values
    between = round(float(groups[0] + groups[1]) / 2, 2)
    floors = (between, 1000.0, 0.0)
    values = [preserves(ctx, FREE_BITS, mu, logvar, free_bits, 2) for free_bits in floors]
    if all(isinstance(value, Tensor) and not value.ndim for value in values):
        expected = torch.stack([true_free_bits(mu, logvar, free_bits, 2) for free_bits in floors])
        what = f"free_bits_kl at free_bits = {between:g}, 1000 and 0"
        call = f"free_bits_kl(mu, logvar, free_bits, group_size=2) of {len(mu)} images with 6 latents, for three floors"

        def each() -> Readings:
            found = [otherwise(mu, logvar, free_bits, 2) for free_bits in floors]
            return {words: (torch.stack([one[words][0] for one in found]), found[0][words][1]) for words in found[0]}

        if not alike(torch.stack(values), expected):
            shown = [float(f"{kl:.3g}") for kl in nats(mu, logvar).mean(0).reshape(-1, 2).sum(1).tolist()]
            guard(
                lambda: matches_among(ctx, torch.stack(values), expected, FLOAT64, what, each, hint=INHERIT, call=call),
                {"KL of the groups, averaged over the images": shown},
            )
    for free_bits in floors:
        body((mu, logvar, free_bits, 2))
    for group_size in (1, 3, 6):
        for free_bits in (0.5, 1000.0, 0.0):
            body((mu, logvar, free_bits, group_size))
    body((mu[:1], logvar[:1], 0.5, 3))
    forall(ctx, body, case=cases(), examples=40)
    default, what = true_free_bits(mu, logvar, 0.5, 1), "free_bits_kl without group_size"
    matches(ctx, ctx.call(FREE_BITS, mu, logvar, 0.5), default, FLOAT64, what,
            hint="How many dimensions has a group when the caller names no size?")  # fmt: skip
    single = (mu.float(), logvar.float())
    expected = true_free_bits(*single, 0.5, 2)
    matches(ctx, ctx.call(FREE_BITS, *single, 0.5, 2), expected, FLOAT32, "free_bits_kl in float32",
            hint=INHERIT)  # fmt: skip


@declare(
    id="q8.freebits.gradient", question=8, kind="gradient", points=0.25, visibility="hidden",
    title="free_bits_kl: no pressure below the floor",
    asks="groups above the floor have the KL's gradient, groups below it none",
    hint="What should push a dimension on towards the prior whose KL is below the floor already?",
    needs=(),
)  # fmt: skip
def free_bits_gradient(ctx: Context) -> None:
    # in the first and the last group of two dimensions images have a KL of at most 2 x .03, in the others of at least
    # 2 x .5; with the last image it is the other way round: 2 x .25 and at most 2 x .03. Means of at most .16 and of at
    # least .8 are far from the floor of .3
    above = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    high = above.repeat(5, 1)
    high[4] = 0
    mu = (1 - high) * ctx.rand(5, 8, low=-0.2, high=0.2) + high * ctx.rand(5, 8, low=1.0, high=2.0)
    mu[4] += (1 - above) * (0.7 * mu[4].sign() - mu[4])
    logvar = (1 - high) * ctx.rand(5, 8, low=-0.2, high=0.2) + high * ctx.rand(5, 8, low=-2.0, high=2.0)
    found = ctx.session.vjp(FREE_BITS, mu, logvar, 0.3, 2, wrt=(0, 1))
    for gradient, expected, name in (
        (found.args[0], above * mu / 5, "mu"),
        (found.args[1], above * (logvar.exp() - 1) / 10, "logvar"),
    ):
        got = zeros_if_none(gradient, mu)
        by_image = got.shape == mu.shape and alike(got[:4], expected[:4])
        below = got[:, above == 0]
        expect(
            by_image or not bool(below.any()), f"groups below the floor have a gradient to {name}", "0 in these groups",
            f"up to {float(below.abs().max()):.3g}", hint=PRESSURE,
        )  # fmt: skip
        hint = IMAGE_OR_BATCH if by_image else "Does a group above the floor cost anything else than its KL?"
        matches(ctx, got, expected, FLOAT64, f"the gradient of free_bits_kl to {name}", hint=hint)


FREE: tuple[Check, ...] = (free_bits_value, free_bits_gradient)
