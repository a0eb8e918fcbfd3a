"""One training step."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_number, expect, preserves
from ...check.failure import FLOAT64, Failure
from ...check.shown import kind_of
from ...check.values import Probe, Ref, TorchRef
from ..shared.loops import Known, asking, tells
from ..shared.told import Told, expect_told
from .models import EVALUATE, LOSS, MIXED, STEP, linear, sgd

LR, LEFT = 0.1, 3.0  # of the optimizer; in every .grad when the first step begins


@declare(
    id="q6.step.update", question=6, kind="property", points=0.5, visibility="public",
    title="One training step",
    asks="train_step makes one optimizer step on the gradient of this batch alone and returns, as a float, the loss "
    "that the model had before it",
    hint="Which gradients are in .grad when your step begins, and which should the optimizer see?",
    needs=(),
)  # fmt: skip
def step_update(ctx: Context) -> None:
    model, state = linear(ctx, 2)
    optimizer = sgd(ctx, model, lr=LR)
    ctx.call(Probe("leave_gradients"), model, LEFT)
    names = ("weight", "bias")
    now = [state[name] for name in names]
    former = [torch.full_like(part, LEFT) for part in now]  # what .grad holds when a step begins
    for number in (1, 2):
        x = ctx.randn(3, 2)
        loss, grads = loss_and_gradients(now, x)
        value = preserves(ctx, STEP, model, x, LOSS, optimizer)
        expect_loss(value, loss, loss_and_gradients(down(now, grads), x)[0], number)
        found, cleared = model.state(), not any(bool(g.any()) for g in model.grads().values() if g is not None)
        piled = [old + grad for old, grad in zip(former, grads, strict=True)]
        when = "When are old gradients cleared: before the step that must not see them, or after it?"
        old = when if cleared and number == 1 else "Which gradients are in .grad when your step begins, and which " \
                                                   "should the optimizer see?"  # fmt: skip
        for at, name in enumerate(names):
            where = "old gradients, which were there before the call" if number == 1 else "those of the first step"
            known = [
                Known("what it was before the step", "What is in .grad at the moment in which the optimizer steps?",
                      now[at]),
                Known(f"a step along the sum of this batch's gradient and {where}", old, down(now, piled)[at]),
                Known("a step up the gradient", "Should the loss be smaller after the step, or larger?",
                      down(now, grads, -LR)[at]),
                Known("two steps of the optimizer", "How often does the optimizer step in one call?",
                      down(now, grads, 2 * LR)[at]),
            ]  # fmt: skip
            tells(ctx, found[name], down(now, grads)[at], FLOAT64, f"the {name} after step {number}", known,
                  hint="Along which gradient does the optimizer step, how often, and which optimizer?")  # fmt: skip
        now, former = down(now, grads), grads


def loss_and_gradients(at: list[Tensor], x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Of the linear map with this weight and bias, as an autoencoder of x."""
    weight, bias = (part.detach().requires_grad_() for part in at)
    loss = (F.linear(x, weight, bias) - x).square().mean()
    return loss.detach(), list(torch.autograd.grad(loss, (weight, bias)))


def down(at: list[Tensor], grads: list[Tensor], lr: float = LR) -> list[Tensor]:
    """One step of gradient descent."""
    return [part - lr * grad for part, grad in zip(at, grads, strict=True)]


def expect_loss(value: object, before: Tensor, after: Tensor, number: int) -> None:
    """`train_step` returned, as a float, the loss before the update."""
    if not isinstance(value, float):
        raise Failure("train_step does not return a float", "a Python float", kind_of(value),
                      hint="What else does a tensor of shape () hold on to, besides its number?")  # fmt: skip
    if math.isclose(value, after.item(), rel_tol=1e-6):
        raise Failure(f"step {number} does not return the loss before the update", f"{before.item():.4f}",
                      f"{value:.4f}, the loss of the same batch after the update",
                      hint="At which moment is the loss measured: before the weights move, or when they "
                      "have?")  # fmt: skip
    # float64: the rounding of one mean; the loss after the update is looked for above
    expect(math.isclose(value, before.item(), rel_tol=1e-7), f"the loss that step {number} returns is wrong",
           f"{before.item():.4f}", f"{value:.4f}", hint="Which number does loss_fn give for this batch?")  # fmt: skip


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
    optimizer, images = sgd(ctx, model, lr=0.1), ctx.images(4, 3)
    with asking("What does your step do with a model that returns (x_recon, z): who takes its output apart?"):
        ctx.call(STEP, model, images, loss, optimizer)
    calls, parts, given = model.get("calls"), inner.get("calls"), loss.get("calls")
    expect(bool(calls), "train_step never calls the model", "one call", "none",
           hint="Which function makes an output of the batch?")  # fmt: skip
    if all(call["training"] for call in calls) and not all(call["training"] for call in parts):
        raise Failure(
            "the model's own flag says training, the layers inside it are still in evaluation mode",
            "training mode in the whole model", "evaluation mode inside",
            hint="Which layers hear of it, if a flag of the outermost module is all that changes?",
        )  # fmt: skip
    expect(all(call["training"] for call in calls),
           "the forward pass of a model that came in evaluation mode is not in training mode", "training mode",
           "evaluation mode, as before",
           hint="What did the last evaluation leave the model in? Which layers behave differently there?")  # fmt: skip
    expect_whole_output(given, "train_step")
    told, x = Told(ctx, 4, mode="training", pair=True), ctx.randn(5, 4)
    value = ctx.call(STEP, told.model.eval(), x, told.loss, sgd(ctx, told.model, lr=0.1))
    expect_told(ctx, value, told.error(x), FLOAT64, "the loss that train_step returns", "in evaluation mode",
                hint="What did the last evaluation leave the model in, and what does your loss get of its "
                "output?")  # fmt: skip


def expect_whole_output(given: list[dict[str, str]], what: str) -> None:
    """The loss got the model's own output, a tuple, and the batch."""
    if not given:
        raise Failure(f"{what} never calls loss_fn", "loss_fn(output, batch)", "no call",
                      hint="Who decides about the loss: you, or your caller?")  # fmt: skip
    expect(given[0]["kind"] == "tuple", f"in {what} the first argument of loss_fn is not what the model returned",
           "the tuple (x_recon, z)", f"a {given[0]['kind']}",
           hint="Who knows what a model's output means, and should take it apart?")  # fmt: skip


@declare(
    id="q6.device", question=6, kind="property", points=0.25, visibility="hidden",
    title="Data move to the model's device",
    asks="train_step, mixed_precision_step and evaluate accept data that lie on another device than the model, and "
    "train_step and evaluate change nothing else about them: whole numbers stay whole",
    hint="Your images are in main memory, your model on the GPU: who brings them together?",
    needs=(),
)  # fmt: skip
def device(ctx: Context) -> None:
    # `Elsewhere` behaves as a tensor on another device: it can be sliced and copied there, but not mixed with the model
    model, _ = linear(ctx, 3, torch.float32)
    data, call = ctx.randn(5, 3, dtype=torch.float32), Probe("with_data_elsewhere")
    optimizer = sgd(ctx, model, lr=0.1)
    for target in (STEP, MIXED):
        name = target.partition(".")[2]
        with asking(f"Your batch is in main memory, your model on the GPU: does {name} bring them together?"):
            as_number(ctx.call(call, Ref(target), model, data, LOSS, optimizer), f"the loss of {name}")
    table, codes = ctx.new(TorchRef("nn.Embedding"), 5, 3), ctx.randint(0, 5, 7)
    loss, optimizer = Probe("mean_square"), sgd(ctx, table, lr=0.1)
    with asking("Data may be codes that a model looks up in a table: what besides their device do you change?"):
        as_number(ctx.call(STEP, table, codes, loss, optimizer), "the loss of train_step on codes")
    with asking("Your data are in main memory, your model is on the GPU: does evaluate bring them together?"):
        as_number(ctx.call(call, Ref(EVALUATE), model, data, LOSS, batch_size=2), "evaluate on data from elsewhere")
    with asking("Data may be codes that a model looks up in a table: what besides their device do you change?"):
        as_number(ctx.call(EVALUATE, table, codes, loss, batch_size=4), "evaluate on codes")
