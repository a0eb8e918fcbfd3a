"""One training step."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_number, expect, matches, preserves
from ...check.failure import FLOAT64, Failure
from ...check.shown import kind_of
from ...check.values import Probe, Ref, TorchRef
from .fit import EVALUATE, LOSS, STEP, linear, sgd


@declare(
    id="q6.step.update", question=6, kind="property", points=0.5, visibility="public",
    title="One training step",
    asks="train_step makes one optimizer step on the gradient of this batch alone and returns, as a float, the loss "
    "that the model had before it",
    hint="Which gradients are in .grad when your step begins, and which should the optimizer see? At which moment is "
    "the loss measured?",
    needs=(),
)  # fmt: skip
def step_update(ctx: Context) -> None:
    model, state = linear(ctx, 4)
    optimizer = sgd(ctx, model, lr=0.1)
    ctx.call(Probe("leave_gradients"), model, 3.0)
    weight, bias = state["weight"].requires_grad_(), state["bias"].requires_grad_()
    for number in (1, 2):
        x = ctx.randn(5, 4)
        loss = (F.linear(x, weight, bias) - x).square().mean()
        grads = torch.autograd.grad(loss, (weight, bias))
        value = preserves(ctx, STEP, model, x, LOSS, optimizer)
        if not isinstance(value, float):
            raise Failure("train_step does not return a float", "a Python float", kind_of(value))
        after = F.linear(x, weight - 0.1 * grads[0], bias - 0.1 * grads[1]).sub(x).square().mean()
        late = math.isclose(value, after.item(), rel_tol=1e-6)
        matches(
            ctx,
            value,
            loss.item(),
            FLOAT64,
            f"the loss of step {number}",
            hint="Is this the loss before the update, or after it?" if late else "",
        )
        weight, bias = ((p - 0.1 * g).detach().requires_grad_() for p, g in zip((weight, bias), grads, strict=True))
        now = model.state()
        for name, wanted in (("weight", weight), ("bias", bias)):
            matches(ctx, now[name], wanted.detach(), FLOAT64, f"the {name} after step {number}")


@declare(
    id="q6.step.mode", question=6, kind="property", points=0.25, visibility="public",
    title="A step runs in training mode",
    asks="train_step puts the model in training mode, and hands the model's whole output and the batch to loss_fn",
    hint="What did the last evaluation leave the model in? Which layers behave differently there?",
    needs=(),
)  # fmt: skip
def step_mode(ctx: Context) -> None:
    inner = ctx.new(Probe("Watched"), 9, 2)  # returns a tuple, which the loss takes apart
    model = ctx.new(Probe("Recorder"), inner).eval()
    loss = ctx.new(Probe("NotingLoss"))
    ctx.call(STEP, model, ctx.images(3, 3), loss, sgd(ctx, model, lr=0.1))
    calls, given = model.get("calls"), loss.get("calls")
    expect(bool(calls), "the model is never called", "one call", "none")
    expect(
        all(call["training"] for call in (*calls, *inner.get("calls"))),  # the model, and the part of it that works
        "the forward pass is not in training mode",
        "training mode",
        "evaluation mode",
    )
    expect(
        bool(given) and given[0]["kind"] == "tuple",
        "loss_fn does not get what the model returned",
        "the model's own output: a tuple",
        given[0]["kind"] if given else "never called",
    )


@declare(
    id="q6.device", question=6, kind="property", points=0.25, visibility="hidden",
    title="Data moves to the model's device",
    asks="train_step and evaluate accept data that lie on another device than the model, and change nothing else "
    "about them: whole numbers stay whole",
    hint="Your images are in main memory, your model on the GPU: who brings them together? What if the data are codes "
    "that a model looks up in a table?",
    needs=(),
)  # fmt: skip
def device(ctx: Context) -> None:
    # `Elsewhere` behaves as a tensor on another device: it can be sliced and copied there, but not mixed with the model
    model, _ = linear(ctx, 3, torch.float32)
    data, call = ctx.randn(5, 3, dtype=torch.float32), Probe("with_data_elsewhere")
    as_number(ctx.call(call, Ref(EVALUATE), model, data, LOSS, batch_size=2), "evaluate on data from elsewhere")
    as_number(ctx.call(call, Ref(STEP), model, data, LOSS, sgd(ctx, model, lr=0.1)), "train_step's loss")
    table, codes = ctx.new(TorchRef("nn.Embedding"), 5, 3), ctx.randint(0, 5, 7)
    loss, optimizer = Probe("mean_square"), sgd(ctx, table, lr=0.1)
    as_number(ctx.call(EVALUATE, table, codes, loss, batch_size=4), "evaluate on codes")
    as_number(ctx.call(STEP, table, codes, loss, optimizer), "train_step's loss on codes")
