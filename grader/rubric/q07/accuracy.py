"""Accuracy."""

from __future__ import annotations

import torch

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import (
    as_number,
    expect,
    leaves_gradients_off,
    leaves_gradients_on,
    matches,
    preserves,
    raises,
)
from ...check.failure import FLOAT64
from ...check.forall import forall
from ...check.values import Probe, TorchRef
from .losses import some_labels
from .pipelines import ACCURACY, PIXELS, SIDE


@declare(
    id="q7.accuracy.value", question=7, kind="property", points=0.5, visibility="public",
    title="Accuracy: value",
    asks="accuracy is the share of labelled rows whose largest logit is that of their label, whatever the batch size; "
    "a tuple output has its logits last; no labelled row is a ValueError",
    hint="Which rows may count, in the numerator and in the denominator? Is every batch of the same size?",
    needs=(),
)  # fmt: skip
def accuracy_value(ctx: Context) -> None:
    flat, layer = ctx.new(TorchRef("nn.Flatten")), ctx.new(TorchRef("nn.Linear"), PIXELS, 4)
    model = ctx.new(TorchRef("nn.Sequential"), flat, layer).double()
    state = layer.state()

    def body(rows: int, batch: int, seed: int) -> None:
        images = random(seed, rows, 1, SIDE, SIDE)
        labels = torch.randint(-1, 4, (rows,), generator=torch.Generator().manual_seed(seed))
        labels[seed % rows] = seed % 4
        right = (images.flatten(1) @ state["weight"].T + state["bias"]).argmax(1) == labels
        value = as_number(preserves(ctx, ACCURACY, model, images, labels, batch_size=batch), "accuracy")
        matches(ctx, value, float(right[labels != -1].double().mean()), FLOAT64, "accuracy")

    forall(ctx, body, rows=sizes(1, 14), batch=sizes(1, 9), seed=seeds(), examples=25)
    images, labels = ctx.images(30, SIDE), some_labels(ctx, 30, 4)
    for count in (2, 3):
        layers = [ctx.new(TorchRef("nn.Linear"), PIXELS, 4) for _ in range(count)]
        several = ctx.new(Probe("Several"), [ctx.new(TorchRef("nn.Sequential"), flat, part) for part in layers])
        last = layers[-1].state()
        found = (images.flatten(1) @ last["weight"].T + last["bias"]).argmax(1)
        # most labels are what the last output says, which no other output hits by chance
        given = torch.where((labels != -1) & (torch.arange(30) % 4 != 0), found, labels)
        wanted = float((found == given)[given != -1].double().mean())
        value = ctx.call(ACCURACY, several, images, given)
        matches(ctx, value, wanted, FLOAT64, f"accuracy of a model with {count} outputs")
    raises(
        ctx,
        "ValueError",
        ACCURACY,
        model,
        images.double(),
        torch.full((30,), -1),
        names="label",
        case="accuracy without a labelled row",
    )


@declare(
    id="q7.accuracy.state", question=7, kind="property", points=0.5, visibility="hidden",
    title="Accuracy: a look without a touch",
    asks="accuracy runs in evaluation mode without gradients, in batches of batch_size, changes nothing in the model, "
    "what requires a gradient included, and gives it its former mode back; gradients are on afterwards if they were on",
    hint="In which mode was the model before, in which is it afterwards, and in which should it answer?",
    needs=(),
)  # fmt: skip
def accuracy_state(ctx: Context) -> None:
    inner = [
        ctx.new(TorchRef("nn.Flatten")),
        ctx.new(TorchRef("nn.BatchNorm1d"), PIXELS),
        ctx.new(TorchRef("nn.Linear"), PIXELS, 4),
        ctx.new(TorchRef("nn.Dropout")),
    ]
    inner[1].call("requires_grad_", False)
    model = ctx.new(Probe("Recorder"), ctx.new(TorchRef("nn.Sequential"), *inner))
    before, asks = model.state(), model.parameters()
    for training in (True, False):
        model.train(training)
        ctx.call(ACCURACY, model, ctx.images(11, SIDE), ctx.randint(0, 4, 11), batch_size=4)
        expect(
            model.get("training") is training,
            "the model does not get its former mode back",
            f"training = {training}",
            f"training = {model.get('training')}",
        )
    calls = model.get("calls")
    expect(
        not any(call["training"] for call in calls),
        "the model answers in training mode",
        "evaluation mode",
        "training mode",
    )
    # a copy whose parameters require none records no gradients either
    expect(not any(call["graph"] for call in calls), "gradients are recorded", "off", "on")
    leaves_gradients_on(ctx, "accuracy")
    leaves_gradients_off(ctx, ACCURACY, model, ctx.images(5, SIDE), ctx.randint(0, 4, 5), batch_size=4)
    expect(model.parameters() == asks, "accuracy changes which parameters require a gradient", "the same as before",
               "others", hint="Which parameters required a gradient before you looked at the model?")  # fmt: skip
    largest = max((call["rows"] for call in calls), default=0)
    expect(largest <= 4, "a batch is larger than batch_size", 4, largest)
    after = model.state()
    expect(
        all(torch.equal(after[name], old) for name, old in before.items()),
        "accuracy changes the model",
        "no change",
        "other running statistics",
    )
