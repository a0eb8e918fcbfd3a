"""Accuracy."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import (
    as_number,
    expect,
    leaves_gradients_off,
    leaves_gradients_on,
    preserves,
    raises,
)
from ...check.failure import FLOAT64
from ...check.forall import forall
from ...check.values import Probe, TorchRef
from ..shared.loops import Known, asking, tells
from ..shared.told import Told, expect_told
from .models import ACCURACY, PIXELS, SIDE, some_labels

WHICH_COUNT = "Which rows may count, in the numerator and in the denominator?"


def misreadings(right: Tensor, labels: Tensor, batch: int) -> list[Known]:
    """What other shares of these hits look like, in batches of this size, of all rows or of the labelled ones."""
    given = labels != -1
    hits = (right & given).double()
    equal = "Has every batch the same number of labelled rows, and how much should each of them count?"

    def means(flags: Tensor) -> Tensor:
        return torch.stack([part.double().mean() for part in torch.split(flags, batch)]).mean()

    inside = [part for part in zip(torch.split(hits, batch), torch.split(given, batch), strict=True) if part[1].any()]
    return [
        Known("the hits, divided by the number of all rows", WHICH_COUNT, hits.mean()),
        Known("the mean of the batches' accuracies", equal, means(right[given])),
        Known("the mean of the batches' accuracies", equal,
              torch.stack([part[0].sum() / part[1].sum() for part in inside]).mean()),
        Known("the mean of the batches' shares among all rows", WHICH_COUNT, means(right & given)),
        Known("a number in percent", "In which range should the accuracy lie?", 100 * hits.sum() / given.sum()),
        Known("the number of hits", "Is it a count or a share?", hits.sum()),
        Known("the share of wrong answers", "Is it the share of right answers, or of wrong ones?",
              1 - hits.sum() / given.sum()),
        Known("the accuracy of the first batch alone", "How many of the batches does the result depend on?",
              right[given][:batch].double().mean()),
    ]  # fmt: skip


@declare(
    id="q7.accuracy.value", question=7, kind="property", points=0.5, visibility="public",
    title="Accuracy: value",
    asks="accuracy is the share of labelled rows whose largest logit is that of their label, whatever the batch size; "
    "a tuple output has its logits last; no labelled row is a ValueError",
    hint=f"{WHICH_COUNT} Is every batch of the same size?",
    needs=(),
)  # fmt: skip
def accuracy_value(ctx: Context) -> None:
    flat, layer = ctx.new(TorchRef("nn.Flatten")), ctx.new(TorchRef("nn.Linear"), PIXELS, 4)
    model = ctx.new(TorchRef("nn.Sequential"), flat, layer).double()
    state = layer.state()

    def body(rows: int, batch: int, seed: int) -> None:
        images = random(seed, rows, 1, SIDE, SIDE)
        found = (images.flatten(1) @ state["weight"].T + state["bias"]).argmax(1)
        drawn = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, 4, (rows,), generator=drawn)
        labels = torch.where(torch.rand(rows, generator=drawn) < 0.5, found, labels)
        labels[torch.rand(rows, generator=drawn) < 0.4] = -1
        labels[seed % rows] = seed % 4
        right, given = found == labels, labels != -1
        value = as_number(preserves(ctx, ACCURACY, model, images, labels, batch_size=batch), "accuracy")
        tells(ctx, value, float(right[given].double().mean()), FLOAT64,
              f"accuracy of {rows} rows, {int(given.sum())} of them labelled and {int(right.sum())} of these right, in "
              f"batches of {batch},", misreadings(right, labels, batch), hint=WHICH_COUNT)  # fmt: skip

    for rows, batch in ((13, 5), (11, 4), (9, 30)):  # large enough that misreadings differ
        body(rows, batch, ctx.seed)
    forall(ctx, body, rows=sizes(2, 14), batch=sizes(1, 9), seed=seeds(), examples=25)
    images, labels = ctx.images(30, SIDE), some_labels(ctx, 30, 4)
    for count in (2, 3):
        layers = [ctx.new(TorchRef("nn.Linear"), PIXELS, 4) for _ in range(count)]
        several = ctx.new(Probe("Several"), [ctx.new(TorchRef("nn.Sequential"), flat, part) for part in layers])
        states = [part.state() for part in layers]
        outputs = [(images.flatten(1) @ own["weight"].T + own["bias"]).argmax(1) for own in states]
        # most labels are what the last output says, which no other output hits by chance
        given = torch.where((labels != -1) & (torch.arange(30) % 4 != 0), outputs[-1], labels)
        shares = [float((found == given)[given != -1].double().mean()) for found in outputs]
        with asking("Which of a model's several outputs are the logits?"):
            value = ctx.call(ACCURACY, several, images, given)
        known = [Known(f"the accuracy of output {at + 1} of {count}", "Which of a model's several outputs are the "
                       "logits?", share) for at, share in enumerate(shares[:-1])]  # fmt: skip
        tells(ctx, value, shares[-1], FLOAT64, f"accuracy of a model that returns a tuple of {count}", known,
              hint="Which of a model's several outputs are the logits?")  # fmt: skip
    raises(ctx, "ValueError", ACCURACY, model, images.double(), torch.full((30,), -1), names="label",
           case="accuracy of rows none of which is labelled",
           hint="Which share of no rows is right, and who should hear that there are none?")  # fmt: skip


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
    mode = {True: "training", False: "evaluation"}
    for training in (True, False):
        model.train(training)
        ctx.call(ACCURACY, model, ctx.images(11, SIDE), ctx.randint(0, 4, 11), batch_size=4)
        expect(model.get("training") is training,
               f"a model that was in {mode[training]} mode is not in that mode after accuracy", mode[training],
               mode[not training], hint="Which mode had the model before you looked at it, and how do you "
               "know?")  # fmt: skip
    calls = model.get("calls")
    expect(not any(call["training"] for call in calls), "the model answers in training mode", "evaluation mode",
           "training mode", hint="Which layers give other answers while the model learns, and is it learning "
           "here?")  # fmt: skip
    # a copy whose parameters require none records no gradients either
    expect(not any(call["graph"] for call in calls), "accuracy records gradients", "off", "on",
           hint="What is kept of every batch for a backward pass that never comes?")  # fmt: skip
    leaves_gradients_on(ctx, "accuracy")
    leaves_gradients_off(ctx, ACCURACY, model, ctx.images(5, SIDE), ctx.randint(0, 4, 5), batch_size=4)
    expect(model.parameters() == asks, "accuracy changes which parameters require a gradient", "the same as before",
               "others", hint="Which parameters required a gradient before you looked at the model?")  # fmt: skip
    told = Told(ctx, PIXELS, 4, dtype=torch.float32, mode="evaluation", graph=False, most=4)
    images = ctx.images(11, SIDE)
    value = ctx.call(ACCURACY, told.model.train(), images, told.answer(images).argmax(1), batch_size=4)
    largest = max((call["rows"] for call in calls), default=0)
    expect(largest <= 4, "with batch_size=4, a batch of accuracy has more than 4 rows", "at most 4 rows",
           f"{largest} of the 11 rows",
           hint="How many rows go through the model at once, and who says so?")  # fmt: skip
    expect_told(ctx, value, 1.0, FLOAT64, "the accuracy", "in training mode, with gradients or on more than 4 rows",
                hint="What does accuracy ask of the model: in which mode, with which batches?")  # fmt: skip
    after = model.state()
    changed = [name for name, old in before.items() if not torch.equal(after[name], old)]
    expect(not changed, "accuracy changes the model", "no change", ", ".join(changed),
           hint="Which numbers of a normalisation layer change in a forward pass, and in which mode?")  # fmt: skip
    expect_on_device(
        ctx, "accuracy", ACCURACY, model, ctx.images(5, SIDE), torch.tensor([0, -1, 2, 1, 3]), batch_size=2
    )
