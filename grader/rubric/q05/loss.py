"""The denoising loss."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_tensor, expect, matches, preserves
from ...check.failure import EXACT, FLOAT64, Failure
from ...check.shown import alike, show
from ...check.values import Gen, Probe
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
    for training in (True, False):
        model = ctx.new(Probe("Denoiser")).train(training)
        found = ctx.session.vjp(LOSS, model, x, generator=Gen(71), params=[model])
        calls, seen, given = (model.get(name) for name in ("calls", "seen", "given"))
        expect(len(calls) == 1, "denoising_loss does not call the model once", "one call", f"{len(calls)} calls")
        matches(ctx, seen[0], x, EXACT, "what denoising_loss gives to the model")
        call, mode = calls[0], "training" if training else "evaluation"
        expect(call["add_noise"] is True, f"the model is not asked for noise in {mode} mode", "add_noise=True",
                   f"add_noise={call['add_noise']}", hint="How is noise made sure of, whatever the mode?")  # fmt: skip
        expect(call["seed"] == 71, "the generator does not get to the model", "the generator given", call["seed"])
        expect(call["training"] is training, "denoising_loss changes the mode of the model", training, call["training"])
        value = as_tensor(found.value, (), "denoising_loss", dtype=x.dtype)
        right = (given[0] - x).square().flatten(1).sum(1).mean()
        if not alike(value, right, rtol=1e-7):
            own = student_mse(ctx, given[0], x)  # a mistake in mse_loss costs its own check in Question 4
            if own is None or not alike(value, own, rtol=1e-7):
                raise Failure("denoising_loss is wrong", show(right), show(value))
            continue
        unscaled = given[0] / 0.6
        slope = (2 * (given[0] - x) * unscaled).flatten(1).sum(1).mean()
        matches(ctx, found.params[0]["scale"], slope, FLOAT64, "the gradient of denoising_loss to the model")
    value = preserves(ctx, LOSS, ctx.new(Probe("Denoiser")), x)
    as_tensor(value, (), "denoising_loss without a generator", dtype=x.dtype)


def student_mse(ctx: Context, x_recon: Tensor, x: Tensor) -> Tensor | None:
    """The submission's own `mse_loss`, if it gives a number."""
    value = ctx.call("autoencoders.mse_loss", x_recon, x)
    return value if isinstance(value, Tensor) and value.shape == () and value.dtype == x.dtype else None
