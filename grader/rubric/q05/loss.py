"""The denoising loss."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_tensor, expect, matches, preserves
from ...check.failure import FLOAT64, Failure
from ...check.shown import alike, show, show_both
from ...check.values import Gen, Probe
from ..shared.readings import Cost, Known, recognised, reductions
from .model import LOSS


@declare(
    id="q5.loss.value", question=5, kind="property", points=0.5, visibility="public",
    title="Denoising loss: value and gradient",
    asks="denoising_loss is the squared error between the model's reconstruction from corrupted images and the clean "
    "images, summed over pixels, averaged over the batch",
    hint="What is the target: what the model was shown, or what it should restore? Who corrupts, and how often?",
    needs=(),
)  # fmt: skip
def loss_value(ctx: Context) -> None:
    x = ctx.images(3, 5, torch.float64)
    who = "Who corrupts the images: the loss or the model? How often does it happen?"
    value = ctx.call(LOSS, ctx.new(Probe("Denoiser")), x, generator=Gen(71))
    as_tensor(value, (), "denoising_loss(model, x)", dtype=x.dtype)
    for training in (True, False):
        mode = "training" if training else "evaluation"
        model = ctx.new(Probe("Denoiser")).train(training)
        found = ctx.session.vjp(LOSS, model, x, generator=Gen(71), params=[model])
        calls, seen = model.get("calls"), model.get("seen")
        expect(len(calls) == 1, "denoising_loss does not call the model once", "one call of model(…)",
               f"{len(calls)} calls", hint="How often does the model have to be asked for one loss?")  # fmt: skip
        call = calls[0]
        expect(len(seen) == 1, "denoising_loss does not call the model once", "one call of model(…)",
               f"{len(seen)} calls", hint="How often does the model have to be asked for one loss?")  # fmt: skip
        shown = as_tensor(seen[0], x.shape, "what denoising_loss gives to the model", dtype=x.dtype)
        if not torch.equal(shown, x):
            twice = "corrupted images, and asked for noise besides"
            once = f"corrupted images, with add_noise={call['add_noise']}"
            raise Failure("denoising_loss(model, x) gives other images than x to the model", *show_both(x, shown),
                          looks=f"the model is given {twice if call['add_noise'] is True else once}",
                          hint=who)  # fmt: skip
        expect(call["add_noise"] is True, f"the model is not asked for noise in {mode} mode", "add_noise=True",
               f"add_noise={call['add_noise']}", hint="How is noise made sure of, whatever the mode?")  # fmt: skip
        expect(call["seed"] == 71, "the generator does not get to the model",
               "model(x, …, generator=generator), the one given",
               "generator=None" if call["seed"] is None else "another generator",
               hint="Who draws the noise, and from what?")  # fmt: skip
        expect(call["training"] is training, "denoising_loss changes the mode of the model",
               f"training = {training}, as before", f"training = {call['training']}",
               hint="Is it the loss that decides about the mode? How else can it have noise?")  # fmt: skip
        value = as_tensor(found.value, (), "denoising_loss", dtype=x.dtype)
        # what the model gives back, computed here: asked like that there is only this
        noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(71), dtype=x.dtype) / 2
        given = [0.6 * (x + noise + training / 4)]
        right = (given[0] - x).square().flatten(1).sum(1).mean()
        if not alike(value, right, rtol=1e-7):
            own = student_mse(ctx, given[0], x)  # a mistake in mse_loss costs its own check in Question 4
            if own is None or not alike(value, own, rtol=1e-7):
                readings = recognised(value, right, loss_readings(given[0], x))
                raise Failure(
                    "denoising_loss(model, x) is wrong", f"{float(right):.6g}, the squared error of x_recon from x",
                    show(value), looks=" or ".join(readings),
                    hint=" Or: ".join(dict.fromkeys(readings.values()))
                    or "What else than the squared error of x_recon from x is in your loss?",
                )  # fmt: skip
            continue
        unscaled = given[0] / 0.6
        slope = (2 * (given[0] - x) * unscaled).flatten(1).sum(1).mean()
        cut = "Is the graph cut between the model's reconstruction and the loss?"
        what = "the gradient of denoising_loss to the model's parameters"
        as_tensor(found.params[0]["scale"], (), what, hint=cut)
        matches(ctx, found.params[0]["scale"], slope, FLOAT64, what, hint=cut)
    value = preserves(ctx, LOSS, ctx.new(Probe("Denoiser")), x)
    as_tensor(value, (), "denoising_loss without a generator", dtype=x.dtype)


def loss_readings(x_recon: Tensor, x: Tensor) -> Iterator[Known]:
    """What denoising_loss is taken for."""
    for cost in (
        Cost((x_recon - x).square(), "the squared error"),
        Cost((x_recon - x).abs(), "the absolute error", "Which error does the loss take?"),
        Cost(x_recon.square(), "the squared size of x_recon", "What is the target?"),
    ):
        yield from reductions(cost, "pixel", "image")


def student_mse(ctx: Context, x_recon: Tensor, x: Tensor) -> Tensor | None:
    """The submission's own `mse_loss`, if it gives a number."""
    value = ctx.call("autoencoders.mse_loss", x_recon, x)
    return value if isinstance(value, Tensor) and value.shape == () and value.dtype == x.dtype else None
