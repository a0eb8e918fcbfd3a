"""The comparison of PCA with a model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_number, expect, leaves_gradients_off, leaves_gradients_on, matches, preserves
from ...check.failure import EXACT, FLOAT64, Failure
from ...check.shown import kind_of
from ...check.values import Handle, Probe
from ..shared.latents import stir
from .pca import Reference

COMPARE = "pca.compare_with_pca"
NOT_SQUARE = (50, 2, 6, 12, 783)  # 2, 6, 12 and 783 are divisible by their integer root


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


def misjudged(recon: Tensor, images: Tensor) -> dict[str, float]:
    """What known misconceptions make of the mean squared error per pixel, by the question to ask."""
    errors = (recon - images).square().flatten(1).mean(1)
    right = float(errors.mean())
    batches = {
        f"Does an image in a batch of {len(errors) % size} count as much as one in a batch of {size}?":
            float(torch.stack([batch.mean() for batch in torch.split(errors, size)]).mean())
        for size in (10, 16, 20, 32, 50, 64, 100, 128, 200, 250, 256, 500, 512)
    }  # fmt: skip
    return {
        "Is your error per pixel, or per image?": 16 * right,
        "Is your error an average, or a sum over all pixels of all images?": images.numel() * right,
        "In which unit is a squared error?": right**0.5,
        "Is what you compare with the image what came back, or did you touch it up on the way?":
            float((recon.clamp(0, 1) - images).square().mean()),
        **batches,
    }  # fmt: skip


def close_to(value: float, readings: Mapping[str, float]) -> str:
    """The hint of the one reading that this number agrees with."""
    close = [hint for hint, reading in readings.items() if abs(value - reading) <= 1e-9 * reading]
    return close[0] if len(close) == 1 else ""


@declare(
    id="q3.compare.value", question=3, kind="property", points=0.5, visibility="public",
    title="Comparison with PCA: the two errors",
    asks='compare_with_pca returns {"pca_mse", "ae_mse"}, both per pixel on the test images, which all count alike, '
    "of reconstructions as they are; PCA has seen the training images only",
    hint="Which split chose the axes? Over what is the squared error averaged?",
    needs=("q3.pca.codes",),
)  # fmt: skip
def compare_value(ctx: Context) -> None:
    # 523 is prime: no size of batches leaves them all equally large
    brightness = ctx.rand(1, 1, 4, 4, low=0.05, high=0.95)
    train, test = sketches(ctx, 20, brightness), sketches(ctx, 523, brightness)
    model, inner = opponent(ctx)
    answer = preserves(ctx, COMPARE, model, train, test, 3)
    if not isinstance(answer, Mapping) or not {"pca_mse", "ae_mse"} <= set(answer):
        found = f"the keys {sorted(map(str, answer))}" if isinstance(answer, Mapping) else kind_of(answer)
        raise Failure("compare_with_pca does not return both errors", 'a dict with "pca_mse" and "ae_mse"', found)

    def projected(fit_on: Tensor, images: Tensor) -> Tensor:
        return Reference(fit_on.flatten(1), 3).reconstruct(images.flatten(1)).reshape(images.shape)

    def error(recon: Tensor, images: Tensor) -> float:
        return float((recon - images).square().mean())

    inner.eval()
    by_pca, by_model = projected(train, test), ctx.session.infer(inner, test)[0]
    wrong = {
        "Which split chose the axes?": error(projected(test, test), test),
        "On which images are the two judged?": error(projected(train, train), train),
        "Do the images still have their mean when they come back?": error(projected(train - train.mean(0), test), test),
        **misjudged(by_pca, test),
    }
    value = as_number(answer["pca_mse"], 'the entry "pca_mse"')
    matches(ctx, value, error(by_pca, test), FLOAT64, "pca_mse", hint=close_to(value, wrong))
    value = as_number(answer["ae_mse"], 'the entry "ae_mse"')
    matches(ctx, value, error(by_model, test), FLOAT64, "ae_mse", hint=close_to(value, misjudged(by_model, test)))


@declare(
    id="q3.compare.mode", question=3, kind="property", points=0.5, visibility="hidden",
    title="Comparison with PCA: the model is only asked",
    asks="compare_with_pca gives images to the model, runs it in evaluation mode without gradients, which are "
    "afterwards as they were, changes nothing in it, and gives its mode back",
    hint="In which mode was the model before, and who says that it was training?",
    needs=(),
)  # fmt: skip
def compare_mode(ctx: Context) -> None:
    train, test = ctx.images(20, 4, torch.float64), ctx.images(9, 4, torch.float64)
    model, inner = opponent(ctx)
    before = inner.state()
    for mode in (True, False):
        model.train(mode)
        ctx.call(COMPARE, model, train, test, 3)
        name = "training" if mode else "evaluation"
        for handle in (model, inner):
            expect(handle.get("training") is mode, f"a model in {name} mode comes back in the other mode",
                       f"training = {mode}", f"training = {not mode}")  # fmt: skip
        leaves_gradients_on(ctx, "compare_with_pca")
    leaves_gradients_off(ctx, COMPARE, model, train, test, 3)
    calls, seen = model.get("calls"), model.get("seen")
    expect(len(calls) > 0, "the model is never called", "model(x)", "no call")
    other = [tuple(x.shape) for x in seen if x.ndim != 4 or x.shape[1:] != (1, 4, 4)]
    expect(not other, "the model does not get images", "shape (B, 1, 4, 4)", f"shape {other[0] if other else ()}",
               hint="In which shape would a model want them that begins with a convolution?")  # fmt: skip
    expect(not any(call["training"] for call in calls), "the model runs in training mode", "evaluation mode",
               hint="What do dropout and batch statistics do to an error that is to be compared?")  # fmt: skip
    expect(not any(call["grad"] for call in calls), "the model runs with gradients", "no gradients",
               hint="Does anything here need a backward pass? What does keeping one cost?")  # fmt: skip
    for name, value in inner.state().items():
        matches(ctx, value, before[name], EXACT, f"{name} of the model after the comparison")
