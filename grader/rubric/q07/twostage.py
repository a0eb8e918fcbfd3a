"""Pre-training on all images, then fine-tuning on the labelled ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_tensor, expect, matches, preserves
from ...check.failure import EXACT, Failure
from ...check.shown import kind_of
from ...check.values import Gen, Handle, Probe
from ..shared.loops import (
    BATCH_SIZE,
    DRAWN_TWICE,
    LEARNING_RATE,
    PILE_UP,
    TRAINING_MODE,
    Members,
    asking,
    clearing,
    epochs_of,
    expect_cleared,
    expect_repeatable,
    expect_training,
    learned_batches,
    learned_from,
    piles_up,
    rows_of,
)
from ..shared.told import expect_unspoilt
from .models import (
    LATENT,
    PIXELS,
    SIDE,
    THE_CLASSIFIER,
    THE_FINE_TUNING,
    THE_LOSS,
    TWO_STAGE,
    classifier_of,
    encoder_in,
    off_affine,
    stand_in,
    stir_head,
    striped,
    watched,
)

PARTS = (THE_LOSS, THE_CLASSIFIER, THE_FINE_TUNING)
NO_LABEL = "What can a row without a label teach a classifier in the second stage?"
ON_IMAGES = "What does the first stage compare with the images: which of the autoencoder's two outputs?"


def logits_of(ctx: Context, classifier: Any, given: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """Logits of what train_two_stage has returned, with a random head on its encoder."""
    model = classifier_of(ctx, classifier).eval()
    ctx.call(model, images)
    stir_head(ctx, model, given)
    return as_tensor(ctx.call(model, images), (len(images), 10), "the classifier's logits")


# ---- rows -------------------------------------------------------------------------------------------------------


def passes(batches: Sequence[Sequence[int]], members: Sequence[int]) -> int | None:
    """How many times these batches go once through these rows; None if they do something else."""
    rows = [row for batch in batches for row in batch]
    size = len(members)
    parts = [sorted(rows[start : start + size]) for start in range(0, len(rows), size)]
    return len(parts) if all(part == sorted(members) for part in parts) else None


def two_passes(
    batches: Sequence[Sequence[int]], everyone: Sequence[int], given: Sequence[int]
) -> tuple[int, int] | None:
    """(epochs over all rows, then epochs over the labelled rows), if that is what these batches are."""
    for cut in range(len(batches) + 1):
        counts = passes(batches[:cut], everyone), passes(batches[cut:], given)
        if counts[0] is not None and counts[1] is not None:
            return counts[0], counts[1]
    return None


def expect_stages(batches: Sequence[Sequence[int]], size: int, given: Sequence[int], epochs: tuple[int, int]) -> None:
    """First all rows, then the labelled ones, so many epochs each."""
    everyone, seen = range(size), [row for batch in batches for row in batch]
    wanted = f"{epochs[0]} epochs of all {size} images, then {epochs[1]} of the {len(given)} labelled ones"
    found = two_passes(batches, everyone, given)
    if found is None:
        what = "train_two_stage does not go through the images as asked"
        if passes(batches, everyone):
            raise Failure(what, wanted, f"{passes(batches, everyone)} epochs of all {size} images",
                          hint=NO_LABEL)  # fmt: skip
        first = next(
            (at for at in range(len(batches)) if sum(map(len, batches[:at])) >= size * epochs[0]), len(batches)
        )
        with asking(DRAWN_TWICE):
            epochs_of(batches[:first], Members(everyone, "image"), epochs[0], "pre-training")
            labelled = Members(given, "labelled row", "unlabelled rows", NO_LABEL)
            epochs_of(batches[first:], labelled, epochs[1], "fine-tuning")
        raise Failure(what, wanted, f"{len(seen)} rows in all",
                      hint="How many images does the first stage see, and how many the second?")  # fmt: skip
    told = f"{found[0]} epochs of all {size} images, then {found[1]} of the {len(given)} labelled ones"
    hint = "Who counts the epochs of each stage?"
    if found[0] == 0:
        hint = "Which images teach the autoencoder, and does it need their labels?"
    elif found == epochs[::-1]:
        hint = "Which of the two numbers of epochs belongs to which stage?"
    expect(found == epochs, "the stages of train_two_stage are not as long as asked, or miss images", wanted, told,
           hint=hint)  # fmt: skip


@declare(
    id="q7.twostage.rows", question=7, kind="property", points=0.75, visibility="public",
    title="Two stages: which rows",
    asks="train_two_stage pre-trains on all images, each once per epoch, and then fine-tunes on the labelled rows "
    "only; it returns an EncoderClassifier",
    hint="How many images does the first stage see, and how many the second? Do labels matter in the first?",
    needs=(), parts=PARTS,
)  # fmt: skip
def twostage_rows(ctx: Context) -> None:
    stand_in(ctx)
    images, labels = ctx.images(31, SIDE), torch.full((31,), -1)
    given = sorted(torch.randperm(31, generator=ctx.rng)[:9].tolist())
    labels[given] = ctx.randint(0, 10, 9)
    autoencoder = watched(ctx)
    with asking(ON_IMAGES):
        classifier = preserves(
            ctx, TWO_STAGE, autoencoder, images, labels, LATENT, 2, 3, batch_size=8, lr=0.01, generator=Gen(ctx.seed)
        )
    if not isinstance(classifier, Handle) or classifier.type != "EncoderClassifier":
        raise Failure("train_two_stage does not return a classifier", "an EncoderClassifier", kind_of(classifier),
                      hint="Which of the models that you have in hand can tell digits apart?")  # fmt: skip
    batches = learned_batches(autoencoder, images)  # the classifier's copy notes in the same place
    expect_stages(batches, 31, given, (2, 3))
    as_tensor(ctx.call(classifier.eval(), images), (31, 10), "the classifier's logits",
              hint="How many classes has a classifier if nobody says?")  # fmt: skip


# ---- arguments --------------------------------------------------------------------------------------------------


@declare(
    id="q7.twostage.arguments", question=7, kind="property", points=0.5, visibility="public",
    title="Two stages: the loops",
    asks="train_two_stage trains in training mode, uses lr in both stages and batch_size in the first, clears old "
    "gradients, and draws the orders of both stages from generator",
    hint="Which of your arguments is passed on to which stage?",
    needs=(), parts=PARTS,
)  # fmt: skip
def twostage_arguments(ctx: Context) -> None:
    stand_in(ctx)
    images, labels = striped(ctx, 24)
    autoencoder = watched(ctx)
    before = autoencoder.state()
    with asking(ON_IMAGES):
        classifier = ctx.call(TWO_STAGE, autoencoder, images, labels, LATENT, 2, 2, batch_size=8, lr=0.0)
    for name, old in before.items():
        matches(ctx, autoencoder.state()[name], old, EXACT, f"the autoencoder's {name} after a first stage with lr=0",
                hint=LEARNING_RATE)  # fmt: skip
    state = classifier_of(ctx, classifier).state()
    moved = [name for name, own in encoder_in(state, before).items() if not torch.equal(state[name], before[own])]
    expect(not moved, "the second stage with lr=0 moves the encoder", "no change", ", ".join(moved),
           hint="Which of the arguments does train_two_stage hand on to its second stage?")  # fmt: skip
    other = watched(ctx).eval()
    watch = clearing(ctx, other)
    ctx.call(TWO_STAGE, other, images, labels, LATENT, 2, 0, batch_size=7, lr=0.01)
    expect_training(other.get("calls"), "an autoencoder that came to train_two_stage in evaluation mode")
    sizes = [len(batch) for batch in learned_batches(other, images)]
    expect(max(sizes, default=0) == 7, "the batches of the first stage do not have batch_size=7 rows",
           "at most 7 rows, and 7 where there are enough", f"batches of {sizes[:8]}", hint=BATCH_SIZE)  # fmt: skip
    expect_cleared(watch, len(sizes), "the first stage")
    strict = ctx.new(Probe("StrictAutoencoder"), PIXELS, LATENT).eval()
    ctx.call(TWO_STAGE, strict, images, labels, LATENT, 2, 0, batch_size=7, lr=0.01)
    expect_unspoilt(strict, "the first stage", "where it learns in evaluation mode or from old gradients",
                    hint=f"{TRAINING_MODE} {PILE_UP}")  # fmt: skip
    some = torch.where(torch.arange(24) < 11, labels, -1)

    def orders(seed: int) -> tuple[list[int], list[int]]:
        model = watched(ctx)
        ctx.call(TWO_STAGE, model, images, some, LATENT, 1, 1, batch_size=8, lr=0.01, generator=Gen(seed))
        rows = rows_of(learned_from(model), images)
        return rows[:24], rows[24:]

    first, again, another = orders(ctx.seed), orders(ctx.seed), orders(ctx.seed + 1)
    for at, stage in enumerate(("the first stage", "the second stage")):
        expect_repeatable([first[at]], [again[at]], [another[at]], stage)


# ---- the encoder goes on ----------------------------------------------------------------------------------------


@declare(
    id="q7.twostage.encoder", question=7, kind="property", points=1.0, visibility="public",
    title="Two stages: the pre-trained encoder goes on",
    asks="the first stage teaches the autoencoder itself to reconstruct, with freeze too; the classifier starts from "
    "that encoder; the second stage moves the copy (unless freeze) and not the autoencoder",
    hint="Compare the codes: which encoder does your second stage start from?",
    needs=(), parts=PARTS,
)  # fmt: skip
def twostage_encoder(ctx: Context) -> None:
    stand_in(ctx)
    images, labels = striped(ctx, 60)
    labels = torch.where(torch.arange(60) < 45, -1, labels)

    def error(model: Handle) -> float:
        return float((model.eval()(images)[0] - images).square().mean())

    for freeze, epochs in ((False, 0), (True, 4)):
        autoencoder = watched(ctx)
        given, at_first = autoencoder.state(), error(autoencoder)
        autoencoder.train()
        watch = clearing(ctx, autoencoder)
        frozen = "What is frozen, and from which moment on?"
        with asking(frozen if freeze else ON_IMAGES):
            classifier = ctx.call(TWO_STAGE, autoencoder, images, labels, LATENT, 8, epochs, batch_size=16, lr=0.02,
                                  freeze=freeze)  # fmt: skip
        if not piles_up(ctx, watch, "q7.twostage.arguments"):  # else it is up to chance whether it learns
            taught(autoencoder, given, at_first, error(autoencoder), freeze, frozen)
        same_encoder(ctx, autoencoder, given, classifier, images, freeze)
    before = autoencoder.state()
    classifier = ctx.call(TWO_STAGE, autoencoder, images, labels, LATENT, 0, 5, batch_size=16, lr=0.05, freeze=False)
    after = autoencoder.state()
    moved = [name for name, old in before.items() if not torch.equal(old, after[name])]
    expect(not moved, "with pretrain_epochs=0, train_two_stage changes the autoencoder given", "no change",
           ", ".join(moved), hint="Who learns in the second stage?")  # fmt: skip
    apart = off_affine(autoencoder.eval().call("encode", images), logits_of(ctx, classifier, before, images))
    # float32: more than least squares leave where the code has not moved
    expect(apart > 3e-3, "with freeze=False, the second stage does not move the encoder", "a code that has changed",
           "the same code as before", hint="Which parameters does the second stage train?")  # fmt: skip


def taught(
    autoencoder: Handle, given: Mapping[str, Tensor], at_first: float, now: float, freeze: bool, frozen: str
) -> None:
    """The first stage has lowered the reconstruction error of the autoencoder given."""
    still = all(torch.equal(old, autoencoder.state()[name]) for name, old in given.items())
    how = f"after 8 epochs of pre-training (freeze={freeze})"
    hint = "Who learns in the first stage: the autoencoder given, or another one?" if still else \
        "Which loss does the first stage lower, and of which output?"  # fmt: skip
    expect(now < 0.8 * at_first, f"{how}, the autoencoder given does not reconstruct better",
           f"an error per pixel far below the {at_first:.3g} of before",
           f"{now:.3g}{': none of its weights has changed' * still}", hint=frozen if freeze else hint)  # fmt: skip


def same_encoder(
    ctx: Context, autoencoder: Handle, given: Mapping[str, Tensor], classifier: Any, images: Tensor, freeze: bool
) -> None:
    """The classifier's encoder is the pre-trained one: frozen, or not yet fine-tuned."""
    model = classifier_of(ctx, classifier)
    named = encoder_in(model.state(), given)
    asked = [name for name, needs in model.parameters().items() if needs and name in named]
    codes = {"the autoencoder after pre-training": autoencoder.eval().call("encode", images)}
    now = autoencoder.state()
    autoencoder.load(dict(given))
    codes["the autoencoder before pre-training"] = autoencoder.call("encode", images)
    autoencoder.load(now)
    logits = logits_of(ctx, classifier, given, images)
    wanted, *others = codes
    if off_affine(codes[wanted], logits) < 1e-3:
        return
    known = next((name for name in others if off_affine(codes[name], logits) < 1e-3), "")
    what = "with freeze=True, after both stages" if freeze else "with finetune_epochs=0"
    found = f"the code of {known}" if known else "the code of neither of them"
    hint = "Which encoder does your second stage start from: that of which moment?"
    if freeze and asked and not known:
        found += f"; {len(asked)} of the encoder's parameters require gradients"
        hint = "Which of the arguments does train_two_stage hand on to the classifier?"
    raise Failure(f"{what}, the classifier's logits are not made of the code of the pre-trained encoder",
                  f"the code of {wanted}", found, hint=hint)  # fmt: skip


CHECKS: tuple[Check, ...] = (twostage_rows, twostage_arguments, twostage_encoder)
