"""The loss over a dataset."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_number, expect, leaves_gradients_off, leaves_gradients_on, matches, preserves
from ...check.failure import EXACT, FLOAT64, INHERIT
from ...check.forall import forall
from ...check.values import Probe, TorchRef
from ..shared.loops import Known, asking, tells
from ..shared.told import Told, expect_told
from .models import EVALUATE, LOSS, linear
from .step import expect_whole_output


def misreadings(each: Tensor, batch: int) -> list[Known]:
    """What other means of these losses of single examples, in batches of this size, look like."""
    parts = torch.split(each, batch)
    means, whole = torch.stack([part.mean() for part in parts]), [part for part in parts if len(part) == batch]
    return [
        Known("the mean of the batches' means", "Does every batch have the same number of examples?", means.mean()),
        Known("the sum of the batches' means", "How many batches does your number add up, and what is it divided by?",
              means.sum()),
        Known("the sum over all examples", "Is it a sum over the examples, or a mean?", each.sum()),
        Known("the sum over all examples, divided by the number of batches times batch_size",
              "How many examples are there, and how many would there be if every batch were full?",
              each.sum() / (len(parts) * batch)),
        Known("the sum over all examples, divided by the number of batches",
              "What is one number for, and how many of these are there: batches, or examples?",
              each.sum() / len(parts)),
        Known("the mean without the smaller last batch", "What becomes of the last batch, which is smaller?",
              torch.cat(whole).mean() if whole else torch.tensor(torch.nan)),
        Known("the mean over the last batch alone", "How many of your batches does the result depend on?", means[-1]),
        Known("the mean over the first batch alone", "How many of your batches does the result depend on?", means[0]),
    ]  # fmt: skip


@declare(
    id="q6.evaluate.value", question=6, kind="property", points=0.5, visibility="public",
    title="Evaluation: mean per example",
    asks="evaluate returns the mean loss per example, whatever the batch size, also when the last batch is smaller",
    hint="Ten examples in batches of four: how much should each of the last two count?",
    needs=(),
)  # fmt: skip
def evaluate_value(ctx: Context) -> None:
    model, state = linear(ctx, 3)

    def body(size: int, batch: int, seed: int) -> None:
        data = random(seed, size, 3)
        each = (F.linear(data, state["weight"], state["bias"]) - data).square().mean(1)
        value = as_number(preserves(ctx, EVALUATE, model, data, LOSS, batch_size=batch), "evaluate")
        tells(ctx, value, float(each.mean()), FLOAT64, f"the mean loss of {size} examples in batches of {batch}",
              misreadings(each, batch), hint=INHERIT)  # fmt: skip

    for size, batch in ((10, 4), (7, 3), (3, 5), (6, 2)):  # a small case shows less: in it misreadings coincide
        body(size, batch, ctx.seed)
    forall(ctx, body, size=sizes(1, 9), batch=sizes(1, 11), seed=seeds(), examples=20)


@declare(
    id="q6.evaluate.state", question=6, kind="property", points=0.25, visibility="public",
    title="Evaluation: a look without a touch",
    asks="evaluate runs in evaluation mode without gradients, which are on again afterwards if they were on before, "
    "changes nothing in the model, gradients and what requires one included, keeps to batch_size, hands the model's "
    "whole output to loss_fn and gives the model its former mode back, whichever it was",
    hint="What of the model is different after you looked at it: its mode, its numbers, its gradients?",
    needs=(),
)  # fmt: skip
def evaluate_state(ctx: Context) -> None:
    norm = ctx.new(TorchRef("nn.BatchNorm1d"), 3).double()
    norm.call("requires_grad_", False)
    model = ctx.new(Probe("Recorder"), norm)
    ctx.call(Probe("leave_gradients"), model, 3.0)
    before = model.state()
    for training in (True, False):
        model.train(training)
        ctx.call(EVALUATE, model, ctx.randn(11, 3), LOSS, batch_size=4)
        mode = {True: "training", False: "evaluation"}
        expect(model.get("training") is training,
               f"a model that was in {mode[training]} mode is not in that mode after evaluate", mode[training],
               mode[not training], hint="Which mode had the model before you looked at it, and how do you "
               "know?")  # fmt: skip
    calls = model.get("calls")
    expect(bool(calls), "evaluate never calls the model", "a call for each batch", "none",
           hint="Which function makes an output of a batch?")  # fmt: skip
    expect(not any(call["training"] for call in calls), "the forward passes of evaluate are in training mode",
           "evaluation mode", "training mode",
           hint="Which layers behave differently while the model learns, and is it learning here?")  # fmt: skip
    expect(not any(call["grad"] for call in calls), "evaluate records gradients", "off", "on",
           hint="What is kept of every batch for a backward pass that never comes?")  # fmt: skip
    largest = max((call["rows"] for call in calls), default=0)
    expect(largest <= 4, "with batch_size=4, a batch of evaluate has more than 4 rows", "at most 4 rows",
           f"{largest} of the 11 rows",
           hint="How many rows go through the model at once, and who says so?")  # fmt: skip
    after = model.state()
    for name, value in before.items():
        matches(ctx, after[name], value, EXACT, f"the model's {name} after evaluate",
                hint="Which numbers of a normalisation layer change in a forward pass, and in which mode?")  # fmt: skip
    leaves_gradients_on(ctx, "evaluate")
    leaves_gradients_off(ctx, EVALUATE, model, ctx.randn(5, 3), LOSS, batch_size=4)
    kept = all(isinstance(grad, Tensor) and bool((grad == 3.0).all()) for grad in model.grads().values())
    expect(kept, "the gradients that the model has collected are gone after evaluate", ".grad as it was", "changed",
               hint="Whose gradients are they: is a look at the model allowed to clear them?")  # fmt: skip
    expect(not any(model.parameters().values()), "frozen parameters require a gradient after evaluate", "frozen",
               "not", hint="Which parameters required a gradient before you looked at the model?")  # fmt: skip
    whole, loss = ctx.new(Probe("Watched"), 9, 2), ctx.new(Probe("NotingLoss"))
    with asking("What does evaluate do with a model that returns (x_recon, z): who takes its output apart?"):
        ctx.call(EVALUATE, whole, ctx.images(5, 3), loss, batch_size=4)
    expect_whole_output(loss.get("calls"), "evaluate")
    told, data = Told(ctx, 3, mode="evaluation", graph=False, most=4, pair=True), ctx.randn(11, 3)
    value = ctx.call(EVALUATE, told.model.train(), data, told.loss, batch_size=4)
    expect_told(ctx, value, told.error(data), FLOAT64, "the mean loss", "in training mode, with gradients or on more "
                "than 4 rows",
                hint="What does evaluate ask of the model: in which mode, with which batches?")  # fmt: skip
