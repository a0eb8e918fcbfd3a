"""Images of a class asked for."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from ...check.context import Context
from ...check.datasets import to_float
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.disguise import any_order, disguise
from ...check.expectations import as_tensor, expect, matches, preserves
from ...check.failure import EXACT, INHERIT
from ...check.judge_network import judge_for
from ...check.learning import expect_follows, expect_learned
from ...check.trained import Recipe, X, at_least, fit, in_chunks, test_images
from ...check.values import Handle, Image8, Probe, Slot, StudentRaised
from ..q08.parts import REPARAMETERIZE as REPARAMETERIZE_PART
from ..q08.trained import FOLLOWS, decode, rebuilt
from ..shared.draws import ONLY_ONE, expect_evaluation, expect_few, expect_generator, expect_standard_normal
from ..shared.latents import Readings, matches_among, probabilities
from .model import ASKED, BUDGET, CVAE, GENERATE, LATENT, OBJECTIVE, STEP, Classes, make, small

COLUMNS = 8  # latents that are shown
WHOSE_CLASS = "Of which class is image i? What becomes of the order of the labels on the way?"
WHICH_CLASS = "With which label is an image decoded that was asked for as a {label}?"
HOW_MANY_LATENTS = "How many latent dimensions has the model that was given, and where can you read it off?"
WHOSE_DTYPE = "In which precision are the model's weights, and in which are the latents that it is given?"


def first_label(ctx: Context, probe: Handle) -> int:
    """1 where generate_class refuses the label 0 and takes num_classes: that mistake costs points in q9.errors."""

    def taken(label: int) -> bool:
        try:
            ctx.call(GENERATE, probe, torch.tensor([label]))
        except StudentRaised:
            return False
        return True

    return int(not taken(0) and taken(10))


def decoded_classes(images: Tensor) -> Tensor:
    """The class that each image of the probe was decoded with."""
    return (images.flatten(1).double().mean(1) / STEP).round().long()


def expect_latents_of(probe: Handle) -> None:
    """All latents so far were of the model's 9 dimensions: an image of others shows no class."""
    wrong = sorted({width for width in probe.get("widths") if width != 9})
    expect(
        not wrong, "generate_class decodes latents of another size than the model's",
        "9 dimensions, the model's latent_dim", wrong, hint=HOW_MANY_LATENTS,
    )  # fmt: skip


@declare(
    id="q9.generate", question=9, kind="statistical", points=0.5, visibility="public",
    title="generate_class: draws of the prior, given classes",
    asks="generate_class decodes one draw of N(0, I) for each label, image i with label i, be it one or many",
    hint="Which latent and which label does image i get?",
    needs=(),
)  # fmt: skip
def generate(ctx: Context) -> None:
    # 4000 draws of 9 dimensions; the statistics and their chances of a false alarm (6e-7 in all) are those of
    # expect_standard_normal and expect_few
    probe = ctx.new(Probe("IdentityDecoder"), 3, label_step=STEP)
    first = first_label(ctx, probe)
    few = torch.tensor([5, 2, 7, 2, 8, 1])
    # an image shows class and latent: in which order and in how many calls it was decoded does not matter
    images = as_tensor(ctx.call(GENERATE, probe, few), (6, 1, 3, 3), "generate_class(model, labels)")
    expect_latents_of(probe)
    shown = decoded_classes(images)

    def others() -> Readings:
        next_one = WHICH_CLASS.format(label=5)
        return {
            "the labels, sorted": (few.sort().values, WHOSE_CLASS),
            "the labels in reverse order": (few.flip(0), WHOSE_CLASS),
            "the first label for all images": (few[:1].expand_as(few), WHOSE_CLASS),
            "the last label for all images": (few[-1:].expand_as(few), WHOSE_CLASS),
            "each label plus 1": (few + 1, next_one), "each label minus 1": (few - 1, next_one),
            "class 0 for all images": (torch.zeros_like(few), next_one),
        }  # fmt: skip

    wanted = few - first  # a probe counts from 0: so must what counts from 1 hand its labels on, or not
    if not torch.equal(shown, wanted):
        matches_among(ctx, shown, few, EXACT, "the class that each image is decoded with", others,
                      hint=WHOSE_CLASS)  # fmt: skip
    labels = ctx.randint(first, 10, 4000)
    images = as_tensor(
        preserves(ctx, GENERATE, probe, labels), (4000, 1, 3, 3), "generate_class(model, labels)", dtype=torch.float32
    )
    expect_latents_of(probe)
    shift = decoded_classes(images)
    if not torch.equal(shift, labels - first):
        matches(ctx, shift, labels, EXACT, "the class that each of 4000 images is decoded with", hint=WHOSE_CLASS)
    latents = images.flatten(1).double() - STEP * shift.unsqueeze(1)
    expect_standard_normal(ctx, latents, "the latents that generate_class decodes")

    def latents_of(count: int) -> Tensor:
        asked = torch.arange(count) % 2 + first
        value, what = ctx.call(GENERATE, probe, asked), f"generate_class of {count} labels"
        as_tensor(value, None, what, hint=ONLY_ONE if count == 1 else INHERIT)
        value = as_tensor(value, (count, 1, 3, 3), what)
        return value.flatten(1) - STEP * decoded_classes(value).unsqueeze(1)

    expect_few(ctx, latents_of, "the latents that generate_class decodes")
    expect_generator(ctx, lambda generator: ctx.call(GENERATE, probe, few, generator=generator), "generate_class")


@declare(
    id="q9.generate.model", question=9, kind="property", points=0.25, visibility="public",
    title="generate_class: mode, gradients, dtype, device",
    asks="generate_class runs the model in evaluation mode without gradients, in its dtype and on its device, as CVAE "
    "does itself; afterwards mode, frozen parameters and gradients are as before",
    hint="In which mode, in which precision and where does the model decode, and how is it found afterwards?",
    needs=(),
)  # fmt: skip
def generate_model(ctx: Context) -> None:
    few = torch.tensor([2, 3, 1])
    expect_evaluation(ctx, GENERATE, ctx.new(Probe("IdentityDecoder"), 3, label_step=STEP, strict=True), few)
    what = "generate_class of a model in float64"
    double = as_tensor(ctx.call(GENERATE, ctx.new(Probe("IdentityDecoder"), 2).double(), few), None, what)
    as_tensor(double, None, what, dtype=torch.float64, hint=WHOSE_DTYPE)
    as_tensor(double, (3, 1, 2, 2), what)
    model, x, classes = small(ctx, 5, batch=3)
    z = ctx.randn(3, 6, dtype=x.dtype)
    shape = as_tensor(model.call("decode", z, classes(2, 0, 1)), None, "the output of decode").shape
    as_tensor(ctx.call(GENERATE, model, classes(2, 0, 1)), shape, "generate_class(CVAE, labels)", dtype=x.dtype)
    x, eps = ctx.images(3, 4), ctx.randn(3, 6, dtype=torch.float32)
    new = functools.partial(make, ctx, 5)
    labels = Classes.of(new().eval(), 5, x)(2, 0, 1)
    expect_on_device(ctx, "CVAE.forward with eps", new().eval(), x, labels, eps=eps)
    expect_on_device(ctx, "CVAE.forward", new().eval(), x, labels)
    expect_on_device(ctx, "generate_class", GENERATE, ctx.new(Probe("IdentityDecoder"), 3), few)


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
    budget, classes, judge = BUDGET[ctx.data.name], torch.arange(10), judge_for(ctx.data)
    # the digits under other numbers as well: which one is asked for, training alone has told
    look, numbers = disguise(ctx, any_order), torch.randperm(10, generator=ctx.rng)
    data: dict[str, Tensor | Image8] = {
        "x": Image8(ctx.data.train_x[: budget.train_size]),
        "y": numbers[ctx.data.train_y[: budget.train_size]],
    }
    ctx.stand_ins = (REPARAMETERIZE_PART,)  # a mistake in it costs points in Question 8, and none here
    recipe = Recipe(CVAE, {"latent_dim": LATENT}, OBJECTIVE, inputs=(X, Slot("y")))
    state = fit(ctx, recipe, budget, data)

    # in random order, so that an image cannot be known by its place
    labels = classes.repeat(ASKED // 10)[torch.randperm(ASKED, generator=ctx.rng)]
    session = ctx.fresh()
    model = recipe.build(session, state)

    def asked(y: Tensor) -> Tensor:
        images = session.infer(GENERATE, model, y)
        return probabilities(ctx, images, (len(y), 1, 28, 28), "generate_class(model, labels)")

    images = torch.cat(in_chunks(asked, labels))
    session.close()
    seen = numbers[judge.predict(look.undone(images))]
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
    spread = spread_within(images, labels) / spread_within(real, ctx.data.train_y[: len(real)])
    at_least(ctx, "spread", spread, "the variance within a class, relative to real images,", trivial=0.0, slack=0.6,
             hint="Show ten images of one class. What could make them differ, and does it reach them?")  # fmt: skip

    # the same with latents of the grader's, each decoded as every digit
    z = ctx.randn(ASKED // 10, LATENT, dtype=torch.float32).repeat_interleave(10, dim=0)
    every = classes.repeat(ASKED // 10)

    def pictures(state: dict[str, Tensor]) -> Tensor:
        return look.undone(decode(ctx, recipe, state, z, every))

    def right(shown: Tensor) -> float:
        return float((numbers[judge.predict(shown)] == every).double().mean())

    def decoded(state: dict[str, Tensor]) -> float:
        return right(pictures(state))

    what = "the share of latents that decode to each digit asked for"
    drawn = pictures(state)
    share = right(drawn)
    by_digit = {str(digit): drawn[every == numbers[digit]][:COLUMNS] for digit in range(10)}
    ctx.exhibits.images("Digits asked for", f"a row for each digit, a column for each of {COLUMNS} latents; a judge "
                        f"reads the digit asked for in {share:.0%}", **by_digit)  # fmt: skip
    at_least(ctx, "digits decoded", share, what, trivial=guessed(every), slack=0.55,
             hint="Decode one latent with each of the labels. What should stay, and what should change?")  # fmt: skip
    rebuild = functools.partial(rebuilt, ctx, recipe, state)
    expect_follows(ctx, look, test_images(ctx), rebuild, FOLLOWS, numbers[ctx.data.test_y])
    expect_learned(ctx, recipe, budget, "digits decoded", decoded, data, longest=0.3)
