"""The comparison of PCA with a model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import as_number, expect, leaves_gradients_off, leaves_gradients_on, matches, preserves
from ...check.failure import EXACT, FLOAT64, Failure
from ...check.patterns import Reading
from ...check.shown import kind_of
from ...check.values import Handle, Probe
from ..shared.latents import stir
from ..shared.told import Told, expect_told
from .pca import PCA_PART, Reference

COMPARE = "pca.compare_with_pca"
NOT_SQUARE = (50, 2, 6, 12, 783)  # 2, 6, 12 and 783 are divisible by their integer root
SPLIT = "Which split chose the axes?"
JUDGED = "On which images are the two judged?"
PER_PIXEL = "Is your error per pixel, or per image?"
TOUCHED = "Is what you compare with the image what came back, or did you touch it up on the way?"
MODE_BEFORE = "In which mode was the model before, and who says that it was training?"
WHILE_JUDGED = "What do dropout and batch statistics do to an error that is to be compared?"


def opponent(ctx: Context) -> tuple[Handle, Handle]:
    """An autoencoder on 4x4 images whose training mode shows, with an unbounded output, and the recorder around it."""
    inner = ctx.new(Probe("Autoencoder"), [16, 6, 3], batch_norm=True, drop_prob=0.5, squash=False)
    model = ctx.new(Probe("Recorder"), inner)
    model.double()
    stir(ctx, inner)
    return model, inner


def sketches(ctx: Context, count: int, brightness: Tensor) -> Tensor:
    """4x4 images, nearly black and white: projections onto a few components leave [0, 1] in many pixels."""
    ink = ctx.rand(count, 1, 4, 4) < brightness
    return 0.9 * ink + 0.1 * ctx.images(count, 4, torch.float64)


def misjudged(recon: Tensor, images: Tensor) -> dict[Reading, float]:
    """What known misconceptions make of the mean squared error per pixel."""
    errors = (recon - images).square().flatten(1).mean(1)
    right = float(errors.mean())
    batches = {
        Reading(f"the mean of the means of batches of {size}, of which the last has {len(errors) % size}",
                f"Does an image in a batch of {len(errors) % size} count as much as one in a batch of {size}?"):
            float(torch.stack([batch.mean() for batch in torch.split(errors, size)]).mean())
        for size in (10, 16, 20, 32, 50, 64, 100, 128, 200, 250, 256, 500, 512)
    }  # fmt: skip
    pairs = (recon.flatten(1)[:, None, :] - images.flatten(1)[None, :, :]).square()
    return {
        Reading("the error summed over the pixels of an image", PER_PIXEL): 16 * right,
        Reading("half of the error", "Which factor stands before your mean, and what is it there for?"): right / 2,
        Reading("the error summed over all pixels of all images",
                "Is your error an average, or a sum over all pixels of all images?"): images.numel() * right,
        Reading("the root of the error", "In which unit is a squared error?"): right**0.5,
        Reading("the absolute in place of the squared error", "Is it the difference that is averaged, or its square?"):
            float((recon - images).abs().mean()),
        Reading("the error of reconstructions cut to [0, 1]", TOUCHED):
            float((recon.clamp(0, 1) - images).square().mean()),
        Reading("the mean over all pairs of a reconstruction and an image, also of different images",
                "Print both shapes: with which images is each reconstruction compared?"): float(pairs.mean()),
        Reading("the error of the last batch of 256", "Which of your batches is in the result?"):
            float(errors[512:].mean()),
        **batches,
    }  # fmt: skip


def close_to(value: float, readings: Mapping[Reading, float]) -> Reading:
    """The one reading that this number agrees with."""
    close = [reading for reading, wrong in readings.items() if abs(value - wrong) <= 1e-9 * abs(wrong)]
    return close[0] if len(close) == 1 else Reading()


@declare(
    id="q3.compare.value", question=3, kind="property", points=0.5, visibility="public",
    title="Comparison with PCA: the two errors",
    asks='compare_with_pca returns {"pca_mse", "ae_mse"}, both per pixel on the test images, which all count alike, '
    "of reconstructions as they are; PCA has seen the training images only",
    hint="Which split chose the axes? Over what is the squared error averaged?",
    needs=(), parts=(PCA_PART,),
)  # fmt: skip
def compare_value(ctx: Context) -> None:
    # 523 is prime: no size of batches leaves them all equally large
    brightness = ctx.rand(1, 1, 4, 4, low=0.05, high=0.95)
    train, test = sketches(ctx, 20, brightness), sketches(ctx, 523, brightness)
    model, inner = opponent(ctx)
    model.train(False)  # in which mode it is asked is the business of the next check
    by_model, on_train = (ctx.session.infer(inner, images)[0] for images in (test, train))
    answer = preserves(ctx, COMPARE, model, train, test, 3)
    if not isinstance(answer, Mapping) or not {"pca_mse", "ae_mse"} <= set(answer):
        found = f"the keys {sorted(map(str, answer))}" if isinstance(answer, Mapping) else kind_of(answer)
        raise Failure("compare_with_pca does not return both errors", 'a dict with "pca_mse" and "ae_mse"', found,
                      hint="Under which names will a caller look for the two errors?")  # fmt: skip

    def projected(fit_on: Tensor, images: Tensor, count: int = 3) -> Tensor:
        return Reference(fit_on.flatten(1), count).reconstruct(images.flatten(1)).reshape(images.shape)

    def error(recon: Tensor, images: Tensor) -> float:
        return float((recon - images).square().mean())

    by_pca = projected(train, test)
    right = {"pca_mse": error(by_pca, test), "ae_mse": error(by_model, test)}
    swapped = Reading("the other of the two errors", "Which of the two errors is whose?")
    wrong = {
        Reading("the error of a PCA that was fitted on the test images", SPLIT): error(projected(test, test), test),
        Reading("the error of a PCA that was fitted on training and test images", SPLIT):
            error(projected(torch.cat([train, test]), test), test),
        Reading("the error on the training images", JUDGED): error(projected(train, train), train),
        Reading("the error of a PCA with one component more", "How many components are asked for?"):
            error(projected(train, test, 4), test),
        Reading("the error of a PCA with one component fewer", "How many components are asked for?"):
            error(projected(train, test, 2), test),
        Reading("the error of reconstructions that lack the mean",
                "Do the images still have their mean when they come back?"):
            error(projected(train - train.mean(0), test), test),
        swapped: right["ae_mse"],
        **misjudged(by_pca, test),
    }  # fmt: skip
    value = as_number(answer["pca_mse"], 'the entry "pca_mse"')
    matches(ctx, value, right["pca_mse"], FLOAT64, "pca_mse", hint=SPLIT, reading=close_to(value, wrong))
    value = as_number(answer["ae_mse"], 'the entry "ae_mse"')
    wrong = {
        Reading("the model's error on the training images", JUDGED):
            error(on_train, train),
        swapped: right["pca_mse"], **misjudged(by_model, test),
    }  # fmt: skip
    matches(ctx, value, right["ae_mse"], FLOAT64, "ae_mse", hint=PER_PIXEL, reading=close_to(value, wrong))


@declare(
    id="q3.compare.mode", question=3, kind="property", points=0.5, visibility="hidden",
    title="Comparison with PCA: the model is only asked",
    asks="compare_with_pca gives images to the model, runs it in evaluation mode without gradients, which are "
    "afterwards as they were, changes nothing in it, and gives its mode back",
    hint=MODE_BEFORE, needs=(), parts=(PCA_PART,),
)  # fmt: skip
def compare_mode(ctx: Context) -> None:
    train, test = ctx.images(20, 4, torch.float64), ctx.images(9, 4, torch.float64)
    model, inner = opponent(ctx)
    before = inner.state()
    for mode in (True, False):
        model.train(mode)
        ctx.call(COMPARE, model, train, test, 3)
        how_it_ran(model, "training" if mode else "evaluation")
        name = "training" if mode else "evaluation"
        for handle in (model, inner):
            expect(handle.get("training") is mode, f"a model in {name} mode comes back in the other mode",
                       f"training = {mode}", f"training = {not mode}", hint=MODE_BEFORE)  # fmt: skip
        leaves_gradients_on(ctx, "compare_with_pca")
    leaves_gradients_off(ctx, COMPARE, model, train, test, 3)
    expect_on_device(ctx, "compare_with_pca", COMPARE, opponent(ctx)[0], train, test, 3)
    told = Told(ctx, 16, mode="evaluation", graph=False, pair=True)
    answer = ctx.call(COMPARE, told.model.train(), train, test, 3)
    value = answer.get("ae_mse") if isinstance(answer, Mapping) else None
    expect_told(ctx, value, told.error(test), FLOAT64, "ae_mse", "in training mode or with gradients",
                hint=WHILE_JUDGED)  # fmt: skip
    for name, value in inner.state().items():
        matches(ctx, value, before[name], EXACT, f"{name} of the model after the comparison",
                    hint="What in a model changes when it is only called, and in which mode?")  # fmt: skip


def how_it_ran(model: Handle, mode: str) -> None:
    """Each time the model was called: on images, in evaluation mode, without gradients."""
    calls, seen = model.get("calls"), model.get("seen")
    expect(len(calls) > 0, "the model is never called", "model(x)", "no call",
               hint="Where does the second of the two errors come from?")  # fmt: skip
    other = [tuple(x.shape) for x in seen if x.ndim != 4 or x.shape[1:] != (1, 4, 4)]
    expect(not other, "the model does not get images", "shape (B, 1, 4, 4)", f"shape {other[0] if other else ()}",
               hint="In which shape would a model want them that begins with a convolution?")  # fmt: skip
    expect(not any(call["training"] for call in calls), f"a model that was in {mode} mode before is called in training "
               "mode", "evaluation mode", "training mode", hint=WHILE_JUDGED)  # fmt: skip
    expect(not any(call["grad"] for call in calls), "the model is called with gradients switched on", "switched off",
               "switched on", hint="Does anything here need a backward pass? What does keeping one cost?")  # fmt: skip
