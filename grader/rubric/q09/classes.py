"""Images of a class asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.context import Context
from ...check.datasets import to_float
from ...check.declaration import declare
from ...check.expectations import as_tensor, matches, preserves
from ...check.failure import EXACT
from ...check.judge_network import judge_for
from ...check.trained import Recipe, X, at_least, expect_learned, fit, in_chunks
from ...check.values import Image8, Probe, Slot
from ..q08.trained import REPARAMETERIZE as REPARAMETERIZE_PART
from ..q08.trained import decode
from ..shared.latents import (
    expect_evaluation,
    expect_few,
    expect_generator,
    expect_standard_normal,
    probabilities,
)
from .model import ASKED, BUDGET, CVAE, GENERATE, LATENT, OBJECTIVE, STEP, small


@declare(
    id="q9.generate", question=9, kind="statistical", points=0.75, visibility="public",
    title="generate_class: draws of the prior, given classes",
    asks="generate_class decodes one draw of N(0, I) for each label, image i with label i, be it one or many, in "
    "evaluation mode without gradients; afterwards mode, frozen parameters and gradients are as before",
    hint="Which latent and which label does image i get? In which mode does the caller find the model afterwards?",
    needs=(),
)  # fmt: skip
def generate(ctx: Context) -> None:
    # 4000 draws of 9 dimensions; the statistics and their chances of a false alarm (6e-7 in all) are those of
    # expect_standard_normal and expect_few
    probe, labels = ctx.new(Probe("IdentityDecoder"), 3, label_step=STEP), ctx.randint(0, 10, 4000)
    images = as_tensor(
        preserves(ctx, GENERATE, probe, labels), (4000, 1, 3, 3), "generate_class(model, labels)", dtype=torch.float32
    )
    # an image shows class and latent: in which order and in how many calls it was decoded does not matter
    shown = (images.flatten(1).double().mean(1) / STEP).round().long()
    matches(ctx, shown, labels, EXACT, "the class that each image is decoded with")
    latents = images.flatten(1).double() - STEP * labels.unsqueeze(1)
    expect_standard_normal(ctx, latents, "the latents that generate_class decodes")

    def latents_of(count: int) -> Tensor:
        asked = torch.arange(count) % 2
        value = as_tensor(ctx.call(GENERATE, probe, asked), (count, 1, 3, 3), f"generate_class of {count} labels")
        return value.flatten(1) - STEP * asked.unsqueeze(1)

    expect_few(ctx, latents_of, "the latents that generate_class decodes")
    few = torch.tensor([2, 0, 1])
    expect_generator(ctx, lambda generator: ctx.call(GENERATE, probe, few, generator=generator), "generate_class")
    expect_evaluation(ctx, GENERATE, probe, few)
    double = ctx.call(GENERATE, ctx.new(Probe("IdentityDecoder"), 2).double(), few)
    as_tensor(double, (3, 1, 2, 2), "generate_class with a float64 model", dtype=torch.float64)
    model = small(ctx)
    probabilities(ctx, ctx.call(GENERATE, model, few), (3, 1, 4, 4), "generate_class(CVAE, labels)", torch.float64)


def spread_within(images: Tensor, labels: Tensor) -> float:
    """Variance of a pixel among the images of one class, averaged over pixels and classes."""
    return float(torch.stack([images[labels == k].double().var(0).mean() for k in range(10)]).mean())


def guessed(labels: Tensor) -> float:
    """Share of `labels` that a model which always draws the same image gets right: the commonest label."""
    return float(labels.bincount().max() / len(labels))


@declare(
    id="q9.trained", question=9, kind="trained", points=1.0, visibility="public",
    title="Trained: asked for a digit, a judge sees it",
    asks="after training, generate_class draws the digits asked for, recognisable to a classifier and not all alike",
    hint="Show ten images of each class. Are they digits at all? The digit asked for? Do those of one class differ?",
    needs=("q9.shapes",),
)  # fmt: skip
def trained(ctx: Context) -> None:
    budget, classes = BUDGET[ctx.data.name], torch.arange(10)
    data: dict[str, Tensor | Image8] = {
        "x": Image8(ctx.data.train_x[: budget.train_size]),
        "y": ctx.data.train_y[: budget.train_size],
    }
    ctx.stand_ins = (REPARAMETERIZE_PART,)  # a mistake in it costs points in Question 8, and none here
    recipe = Recipe(CVAE, {"latent_dim": LATENT}, OBJECTIVE, inputs=(X, Slot("y")))
    state = fit(ctx, recipe, budget, data)
    judge = judge_for(ctx.data)

    # in random order, so that an image cannot be known by its place
    labels = classes.repeat(ASKED // 10)[torch.randperm(ASKED, generator=ctx.rng)]
    session = ctx.fresh()
    model = recipe.build(session, state)

    def asked(y: Tensor) -> Tensor:
        images = session.infer(GENERATE, model, y)
        return probabilities(ctx, images, (len(y), 1, 28, 28), "generate_class(model, labels)")

    images = torch.cat(in_chunks(asked, labels))
    session.close()
    seen = judge.predict(images)
    at_least(
        ctx,
        "digits recognised",
        float((seen == labels).double().mean()),
        "the share of images that show their digit",
        trivial=guessed(labels),
        slack=0.55,
        hint="Show ten images of each class. Are they digits at all, and those asked for?",
    )
    real = to_float(ctx.data.train_x[: budget.train_size])
    spread = spread_within(images, labels) / spread_within(real, ctx.data.train_y[: budget.train_size])
    at_least(ctx, "spread", spread, "the variance within a class, relative to real images,", trivial=0.0, slack=0.6,
             hint="Show ten images of one class. What could make them differ, and does it reach them?")  # fmt: skip

    # the same with latents of the grader's, each decoded as every digit
    z = ctx.randn(ASKED // 10, LATENT, dtype=torch.float32).repeat_interleave(10, dim=0)
    every = classes.repeat(ASKED // 10)

    def decoded(state: dict[str, Tensor]) -> float:
        return float((judge.predict(decode(ctx, recipe, state, z, every)) == every).double().mean())

    what = "the share of latents that decode to each digit asked for"
    at_least(ctx, "digits decoded", decoded(state), what, trivial=guessed(every), slack=0.55,
             hint="Decode one latent with each of the labels. What should stay, and what should change?")  # fmt: skip
    expect_learned(ctx, recipe, budget, "digits decoded", decoded, {"y": ctx.data.train_y})
