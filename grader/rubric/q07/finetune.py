"""Fine-tuning a classifier on the labelled rows."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.devices import expect_on_device
from ...check.expectations import as_tensor, expect, matches, preserves, raises
from ...check.failure import EXACT, FLOAT32
from ...check.values import Gen, Handle, Probe, TorchRef
from ..shared.loops import (
    LEARNING_RATE,
    OF_ITS_EPOCH,
    PILE_UP,
    TRAINING_MODE,
    WEIGHTED,
    Known,
    Members,
    asking,
    clearing,
    epochs_of,
    expect_cleared,
    expect_own_losses,
    expect_repeatable,
    expect_shuffled,
    expect_sizes,
    expect_training,
    learned_batches,
    losses_of,
    piles_up,
    split,
    tells,
)
from ..shared.told import Told, expect_told
from .models import FINETUNE, PIXELS, SIDE, THE_LOSS, each_entropy, striped

NO_LABEL = "What can a row without a label teach a classifier?"
OWN_LABEL = "After shuffling: does every image still have its own label?"


class Task:
    """Partly labelled images and a linear classifier whose weights are known; it notes what goes through it."""

    def __init__(self, ctx: Context, rows: int = 40) -> None:
        self.images, self.labels = ctx.images(rows, SIDE), ctx.randint(0, 3, rows)
        self.labels[:2] = torch.tensor([-1, 1])
        # as many as leave a smaller last batch, whatever the seed
        self.labels[2 + torch.randperm(rows - 2, generator=ctx.rng)[: 3 * rows // 8 - 1]] = -1
        self.given = (self.labels != -1).nonzero().flatten().tolist()
        self.layer = ctx.new(TorchRef("nn.Linear"), PIXELS, 3)
        flat = ctx.new(TorchRef("nn.Flatten"))
        self.classifier = ctx.new(Probe("Recorder"), ctx.new(TorchRef("nn.Sequential"), flat, self.layer))
        self.state = self.layer.state()

    def epochs(self, count: int, since: int = 0) -> list[list[list[int]]]:
        """The batches of each epoch, each of all labelled rows and no others."""
        batches = learned_batches(self.classifier, self.images, since)
        return epochs_of(batches, Members(self.given, "labelled row", "unlabelled rows", NO_LABEL), count, "finetune")


@declare(
    id="q7.finetune.rows", question=7, kind="property", points=0.5, visibility="public",
    title="Fine-tuning: the labelled rows",
    asks="finetune uses each labelled row once per epoch, in a fresh order, no other row, and returns the mean loss "
    "per labelled row of each epoch; no labelled row is a ValueError",
    hint=f"{OWN_LABEL} {NO_LABEL}",
    needs=(), parts=(THE_LOSS,),
)  # fmt: skip
def finetune_rows(ctx: Context) -> None:
    task = Task(ctx)
    images, labels, state = task.images, task.labels, task.state
    # a learning rate of 0: the loss of every epoch is known, in whatever order the rows come
    value = preserves(ctx, FINETUNE, task.classifier, images, labels, 3, batch_size=7, lr=0.0, generator=Gen(ctx.seed))
    epochs = task.epochs(3)
    expect_shuffled(epochs, "finetune")
    moved = any(not torch.equal(own, state[name]) for name, own in task.layer.state().items())
    expect(not moved, "finetune with lr=0 changes the classifier", "no change", "other weights", hint=LEARNING_RATE)
    each = each_entropy(F.linear(images.flatten(1), state["weight"], state["bias"]), labels)
    wanted = float(each.sum() / len(task.given))
    logits = F.linear(images.flatten(1), state["weight"], state["bias"])
    stored = labels[task.given]
    for number, (entry, batches) in enumerate(
        zip(losses_of(value, 3, "what finetune returns"), epochs, strict=True), 1
    ):
        means = torch.stack([each[batch].mean() for batch in batches])
        order = [row for batch in batches for row in batch]
        in_batches = torch.cat([stored[: len(batch)] for batch in batches])
        known = [
            Known("the mean of the batches' means", WEIGHTED, means.mean()),
            Known("the loss of the epoch's last batch", "How many batches of the epoch does this number know?",
                  means[-1]),
            Known("the sum of the batches' means", "Is it a sum or a mean, and over how many rows?", means.sum()),
            Known("the sum over the labelled rows", "Is it a sum or a mean, and over how many rows?", each.sum()),
            Known("the sum over the labelled rows, divided by the number of all rows",
                  "Over how many rows is it a mean?", each.mean()),
            Known("the expected with the opposite sign", "Should the classifier become better or worse with every "
                  "step?", -wanted),
            Known("the loss of shuffled images with labels in the order in which they are stored", OWN_LABEL,
                  each_entropy(logits[order], stored).mean()),
            Known("the loss of shuffled images with the first labels that are stored in every batch", OWN_LABEL,
                  each_entropy(logits[order], in_batches).mean()),
        ]  # fmt: skip
        tells(ctx, entry, wanted, FLOAT32, f"the mean loss of epoch {number}, in which nothing was learned,", known,
              hint=f"{OWN_LABEL} And of which rows is this the mean?")  # fmt: skip
    losses_are_own(ctx)
    raises(ctx, "ValueError", FINETUNE, task.classifier, images, torch.full((40,), -1), 1, names="label",
           case="finetune of rows none of which is labelled",
           hint="What is there to learn without any label, and who should hear of it?")  # fmt: skip


def losses_are_own(ctx: Context) -> None:
    """The number of an epoch holds nothing of those before: with a loss that grows with every pass."""
    task = Task(ctx, 12)
    labels = torch.where(task.labels == 0, 2, task.labels)  # never the class that `Rising` makes more likely
    with asking(OF_ITS_EPOCH):
        value = ctx.call(
            FINETUNE, ctx.new(Probe("Rising"), task.classifier), task.images, labels, 3, batch_size=64, lr=0.0
        )
    logits = F.linear(task.images.flatten(1), task.state["weight"], task.state["bias"])
    told = []
    for calls in range(12):
        shifted = logits + calls * F.one_hot(torch.tensor(0), 3)
        told.append(float(each_entropy(shifted, labels)[task.given].mean()))
    expect_own_losses(losses_of(value, 3, "what finetune returns"), told, "what finetune returns")


@declare(
    id="q7.finetune.loop", question=7, kind="property", points=0.25, visibility="public",
    title="Fine-tuning: the loop",
    asks="finetune works in batches of batch_size, in training mode, clears old gradients, and draws its order from "
    "`generator`",
    hint="Which of the arguments reach your loop? What has a training step to do before it calls backward?",
    needs=(), parts=(THE_LOSS,),
)  # fmt: skip
def finetune_loop(ctx: Context) -> None:
    def orders(seed: int, mode: bool) -> list[list[list[int]]]:
        task.classifier.train(mode)
        since = len(task.classifier.get("calls"))
        ctx.call(FINETUNE, task.classifier, task.images, task.labels, 2, batch_size=7, lr=0.01, generator=Gen(seed))
        batches = learned_batches(task.classifier, task.images, since)  # which rows they are is asked elsewhere
        return split(batches, 2, sum(map(len, batches)) // 2)

    task = Task(ctx)
    watch = clearing(ctx, task.layer)
    first = orders(ctx.seed, True)
    expect_sizes(first, 7, "finetune")
    expect_training(task.classifier.get("calls"), "a classifier that came to finetune in training mode")
    if not torch.equal(task.layer.state()["weight"], task.state["weight"]):  # that it learns is asked elsewhere
        expect_cleared(watch, sum(map(len, first)), "finetune")
    again = orders(ctx.seed, False)
    expect_training(task.classifier.get("calls"), "a classifier that came to finetune in evaluation mode")
    expect_repeatable(first, again, orders(ctx.seed + 1, True), "finetune")
    told = Told(ctx, PIXELS, 3, dtype=torch.float32, mode="as recorded")
    # one row, many times: which rows come, and how the batches' means are put together, is asked elsewhere
    images, labels = (rows[task.given][:1].repeat(6, *[1] * (rows.dim() - 1)) for rows in (task.images, task.labels))
    value = ctx.call(FINETUNE, told.model.eval(), images, labels, 3, batch_size=3, lr=0.0)
    wanted = float(each_entropy(told.answer(images), labels).mean())
    for entry in losses_of(value, 3, "what finetune returns"):
        expect_told(ctx, entry, wanted, FLOAT32, "the loss", "where it learns in evaluation mode or from old gradients",
                    hint=f"{TRAINING_MODE} {PILE_UP}")  # fmt: skip
    expect_on_device(ctx, "finetune", FINETUNE, task.classifier, task.images, task.labels, 1, batch_size=7, lr=0.01)


@declare(
    id="q7.finetune.learns", question=7, kind="property", points=0.5, visibility="public",
    title="Fine-tuning: what learns",
    asks="finetune learns an easy problem from its labels, and changes only parameters that require gradients",
    hint="Do your losses fall? Which parameters go to the optimizer?",
    needs=(), parts=(THE_LOSS,),
)  # fmt: skip
def finetune_learns(ctx: Context) -> None:
    images, truth = striped(ctx, 36)
    labels = torch.where(torch.arange(36) % 4 == 0, -1, truth)
    first, last = ctx.new(TorchRef("nn.Linear"), PIXELS, 8), ctx.new(TorchRef("nn.Linear"), 8, 3)
    middle = ctx.new(TorchRef("nn.Linear"), 8, 8)
    acts = [ctx.new(TorchRef("nn.Tanh")) for _ in range(2)]
    parts = [ctx.new(TorchRef("nn.Flatten")), first, acts[0], middle, acts[1], last]
    classifier = ctx.new(TorchRef("nn.Sequential"), *parts)
    first.call("requires_grad_", False)
    frozen, free = first.state(), {"middle": middle.state(), "last": last.state()}
    watch = clearing(ctx, classifier)
    losses = losses_of(
        ctx.call(FINETUNE, classifier, images, labels, 25, batch_size=8, lr=0.05), 25, "what finetune returns"
    )
    thawed = "Which parameters had their owner frozen when the classifier came to you?"
    expect(not any(first.parameters().values()), "after finetune, frozen parameters require gradients", "frozen", "not",
           hint=thawed)  # fmt: skip
    for name, old in frozen.items():
        matches(ctx, first.state()[name], old, EXACT, f"the {name} of a frozen layer after finetune", hint=thawed)
    expect_moved(free, {"middle": middle, "last": last})
    if piles_up(ctx, watch, "q7.finetune.loop"):  # whether it still learns depends on the numbers drawn
        return
    expect(losses[-1] < 0.5 * losses[0], "the loss hardly falls in 25 epochs of an easy problem",
           f"below half of {losses[0]:.3g}", f"{losses[-1]:.3g}",
           hint="Which way do your steps go, and along the gradient of which loss?")  # fmt: skip
    logits = as_tensor(ctx.call(classifier, images), (36, 3), "the logits")
    right = float((logits.argmax(1) == truth).double().mean())
    expect(right > 0.9, "the classifier does not learn the labels it is given", "more than 90 % right",
           f"{right:.0%} right, a third by chance", hint=OWN_LABEL)  # fmt: skip


def expect_moved(before: dict[str, dict[str, torch.Tensor]], layers: dict[str, Handle]) -> None:
    """Every layer that may learn has learned."""
    same = [name for name, layer in layers.items() if torch.equal(layer.state()["weight"], before[name]["weight"])]
    hint = "Does the optimizer ever step, and along a gradient that is there?"
    if len(same) < len(layers):
        hint = "Which parameters does your optimizer hold: all that require gradients?"
    expect(not same, "finetune does not train all that requires gradients",
           f"other weights in the {' and the '.join(layers)} layer", f"the same in the {' and the '.join(same)} layer",
           hint=hint)  # fmt: skip


CHECKS: tuple[Check, ...] = (finetune_rows, finetune_loop, finetune_learns)
