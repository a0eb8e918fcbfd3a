"""The loop over epochs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import expect, preserves, raises
from ...check.failure import FLOAT64, Failure
from ...check.shown import kind_of
from ...check.values import Gen, Params, Probe, TorchRef
from ..shared.loops import (
    OF_ITS_EPOCH,
    PILE_UP,
    WEIGHTED,
    Known,
    Members,
    asking,
    epochs_of,
    expect_own_losses,
    expect_repeatable,
    expect_shuffled,
    expect_sizes,
    expect_training,
    learned_batches,
    losses_of,
    tells,
)
from ..shared.told import Told, expect_told
from .models import FIT, LOSS, THE_EVALUATION, THE_STEP, THE_STOPPING, linear, sgd
from .step import down, expect_whole_output, loss_and_gradients

TRAIN, VALIDATION = "the history 'train'", "the history 'validation'"


def history_of(value: Any) -> tuple[list[Any], list[Any]]:
    """The two lists that `fit` returns."""
    hint = "Which two lists does a caller want to draw as curves, and under which names?"
    if not isinstance(value, dict):
        raise Failure("fit does not return a mapping", "a dict with the keys 'train' and 'validation'", kind_of(value),
                      hint=hint)  # fmt: skip
    for key in ("train", "validation"):
        if not isinstance(value.get(key), list | tuple):
            raise Failure(f"the history has no list {key!r}", f"a list under {key!r}",
                          f"keys {sorted(map(str, value))}", hint=hint)  # fmt: skip
    return list(value["train"]), list(value["validation"])


# ---- rows -------------------------------------------------------------------------------------------------------


@declare(
    id="q6.fit.order", question=6, kind="property", points=0.5, visibility="public",
    title="The loop: each example once, in a fresh order",
    asks="in every epoch each example is used exactly once, in batches of batch_size, in an order that is new each "
    "epoch and comes from `generator`",
    hint="Write down which rows the model sees in epoch 1 and in epoch 2. Where does the order come from?",
    needs=(), parts=(THE_STEP,),
)  # fmt: skip
def fit_order(ctx: Context) -> None:
    # two orders of 29 rows agree by chance with probability 1/29! < 1e-30, all three of 6 batches with 4e-6
    data = ctx.randn(29, 3)

    def orders(**kwargs: Any) -> list[list[list[int]]]:
        inner, _ = linear(ctx, 3)
        model = ctx.new(Probe("Recorder"), inner)
        preserves(ctx, FIT, model, data, LOSS, sgd(ctx, model, lr=0.01), 3, batch_size=5, **kwargs)
        return epochs_of(learned_batches(model, data), Members(range(29)), 3, "fit")

    first = orders(generator=Gen(ctx.seed))
    expect_sizes(first, 5, "fit")
    expect_shuffled(first, "fit")
    expect_repeatable(first, orders(generator=Gen(ctx.seed)), orders(generator=Gen(ctx.seed + 1)), "fit")
    orders()


# ---- numbers ----------------------------------------------------------------------------------------------------


@declare(
    id="q6.fit.history", question=6, kind="property", points=0.5, visibility="public",
    title="The loop: history",
    asks="fit returns the mean loss per example of every epoch, of that epoch alone, for training and for validation "
    "data",
    hint="How many numbers should three epochs leave behind? Does a smaller last batch count as much as the others?",
    needs=(), parts=(THE_STEP, THE_EVALUATION),
)  # fmt: skip
def fit_history(ctx: Context) -> None:
    # with a learning rate of 0 every epoch's loss is known, from the rows that it has used
    inner, state = linear(ctx, 3)
    model = ctx.new(Probe("Recorder"), inner)

    def losses(data: Tensor) -> Tensor:
        return (F.linear(data, state["weight"], state["bias"]) - data).square().mean(1)

    data, held_out = ctx.randn(11, 3), 2 * ctx.randn(7, 3)
    value = preserves(ctx, FIT, model, data, LOSS, sgd(ctx, model, lr=0.0), 3, batch_size=4, validation=held_out)
    train, validation = history_of(value)
    each = losses(data)
    for number, (entry, batches) in enumerate(
        zip(losses_of(train, 3, TRAIN), used(learned_batches(model, data), 3, len(data)), strict=True), 1
    ):
        parts = [each[batch] for batch in batches]
        means, rows = torch.stack([part.mean() for part in parts]), torch.cat(parts)
        known = [
            Known("the mean of the batches' means", WEIGHTED, means.mean()),
            Known("the loss of the epoch's last batch", "How many batches of the epoch does this number know?",
                  means[-1]),
            Known("the sum over the batches", "Is it a sum or a mean, and over how many examples?", means.sum()),
            Known("the sum over the examples", "Is it a sum or a mean, and over how many examples?", rows.sum()),
            Known("the sum over the examples, divided by the number of batches",
                  "What is one number for, and how many of these are there: batches, or examples?",
                  rows.sum() / len(parts)),
            Known("the mean validation loss", "Which data does this number belong to?", losses(held_out).mean()),
        ]  # fmt: skip
        tells(ctx, entry, float(rows.mean()), FLOAT64, f"the training loss of epoch {number}", known,
              hint="Of which rows is this the mean, and how much does each of them count?")  # fmt: skip
    for number, entry in enumerate(losses_of(validation, 3, VALIDATION), 1):
        means = torch.stack([part.mean() for part in torch.split(losses(held_out), 4)])
        known = [
            Known("the mean of the batches' means", WEIGHTED, means.mean()),
            Known("the sum of the batches' means", "Is it a sum or a mean, and over how many examples?", means.sum()),
            Known("the mean training loss", "Which data does this number belong to?", each.mean()),
            Known("the loss of the last batch", "How many validation examples does this number know?", means[-1]),
            Known("the loss of the first batch", "How many validation examples does this number know?", means[0]),
        ]  # fmt: skip
        tells(ctx, entry, float(losses(held_out).mean()), FLOAT64, f"the validation loss of epoch {number}", known,
              hint="Of which examples is this the mean, and how much does each of them count?")  # fmt: skip
    train, validation = history_of(ctx.call(FIT, model, data, LOSS, sgd(ctx, model, lr=0.0), 2))
    losses_of(train, 2, f"{TRAIN} without validation data")
    expect(not validation, f"{VALIDATION} is not empty without validation data", "an empty list",
           f"{len(validation)} entries", hint="What is there to measure without validation data?")  # fmt: skip
    whole, noted = ctx.new(Probe("Watched"), 9, 2), ctx.new(Probe("NotingLoss"))
    with asking("What does your loop do with a model that returns (x_recon, z): who takes its output apart?"):
        ctx.call(FIT, whole, ctx.images(5, 3), noted, sgd(ctx, whole, lr=0.0), 1, batch_size=4)
    expect_whole_output(noted.get("calls"), "fit")
    told = Told(ctx, 3, mode="any", pair=True)
    value = ctx.call(FIT, told.model, data, told.loss, sgd(ctx, told.model, lr=0.0), 1, batch_size=11)
    expect_told(ctx, losses_of(history_of(value)[0], 1, TRAIN)[0], told.error(data), FLOAT64, "the training loss",
                "where its output is taken apart", hint="Who knows what a model's output means, and should take it "
                "apart?")  # fmt: skip
    loss = ctx.new(Probe("DoublingLoss"))
    with asking(OF_ITS_EPOCH):
        train, _ = history_of(ctx.call(FIT, model, data, loss, sgd(ctx, model, lr=0.0), 4, batch_size=11))
    expect_own_losses(losses_of(train, 4, TRAIN), [2.0**call for call in range(40)], TRAIN)


def used(batches: list[list[int]], epochs: int, size: int) -> list[list[list[int]]]:
    """The batches of each epoch, as they were; where their number does not divide, all rows in one batch instead."""
    count = len(batches) // epochs
    if not batches or len(batches) % epochs or any(-1 in batch for batch in batches):
        return epochs * [[list(range(size))]]
    return [batches[start : start + count] for start in range(0, len(batches), count)]


# ---- modes and updates ------------------------------------------------------------------------------------------


@declare(
    id="q6.fit.modes", question=6, kind="property", points=0.5, visibility="public",
    title="The loop: modes and updates",
    asks="fit trains in training mode in every epoch, validates in evaluation mode without gradients, makes one step "
    "of the optimizer per batch, and gives the model its former mode back, however it ends",
    hint="After the first validation: in which mode does the second epoch run? Do the gradients of one batch end up in "
    "the next?",
    needs=(), parts=(THE_STEP, THE_EVALUATION, THE_STOPPING),
)  # fmt: skip
def fit_modes(ctx: Context) -> None:
    data, held_out = ctx.randn(10, 3), ctx.randn(5, 3)
    for former in (True, False):
        inner, _ = linear(ctx, 3)
        model = ctx.new(Probe("Recorder"), inner).train(former)
        ctx.call(FIT, model, data, LOSS, sgd(ctx, model, lr=0.05), 3, batch_size=4, validation=held_out)
        expect_mode_back(ctx, model.get("training"), former, "fit", "Which mode had the model when it came in?")
        calls = model.get("calls")
        expect_training(calls, "a model that is validated after each epoch of fit",
                        "After the validation of the first epoch: in which mode does the second one run?")  # fmt: skip
        looks = [call for call in calls if not call["grad"]]
        expect(bool(looks), "fit looks at the validation data with gradients on", "no gradients", "gradients",
               hint="What is kept of every validation batch for a backward pass that never comes?")  # fmt: skip
        expect(not any(call["training"] for call in looks), "fit validates in training mode", "evaluation mode",
               "training mode", hint="Which layers behave differently while a model learns, and is it learning from "
               "the validation data?")  # fmt: skip
    mode_comes_back(ctx)
    # rows are all alike, so that every step is known: w moves towards the target by a share 2 lr of what is missing
    for batch_size, steps in ((6, 4), (2, 12)):
        model = ctx.new(Probe("Recorder"), ctx.new(Probe("Offset")))
        target = float(ctx.rand(1, low=5.0, high=9.0))
        rows = torch.full((6, 2), target, dtype=torch.float64)
        ctx.call(FIT, model, rows, LOSS, sgd(ctx, model, lr=0.02), 4, batch_size=batch_size)
        steps = sum(call["grad"] for call in model.get("calls")) or steps  # how many there should be is asked elsewhere
        wanted = target * (1 - 0.96**steps)
        known = [
            Known("what it was before: 0", "What is in .grad at the moment in which the optimizer steps, and does it "
                  "step?", 0.0),
            Known("what steps along the sum of all gradients so far lead to", PILE_UP, piled_up(target, steps, steps)),
            Known("what steps lead to if gradients are cleared once per epoch only", PILE_UP,
                  piled_up(target, steps, max(steps // 4, 1))),
            Known("what one step per epoch leads to", "How often does the optimizer step in an epoch of three "
                  "batches?", target * (1 - 0.96**4)),
            Known("what a single step leads to", "How often does the optimizer step?", target * 0.04),
        ]  # fmt: skip
        tells(ctx, float(model.state()["inner.w"]), wanted, FLOAT64,
              f"the parameter after {steps} batches in 4 epochs of gradient descent", known,
              hint="How often does the optimizer step, along which gradient, and whose optimizer is it?")  # fmt: skip
    modes_in_values(ctx, held_out)
    led_here(ctx)


def led_here(ctx: Context) -> None:
    """The weights are those to which the noted batches lead, in their order: a note of it may be forged.

    Asked as where the order is judged, so that it cannot be told which of the two it is.
    """
    data = ctx.randn(29, 3)
    inner, state = linear(ctx, 3)
    model = ctx.new(Probe("Recorder"), inner)
    ctx.call(FIT, model, data, LOSS, sgd(ctx, model, lr=0.01), 3, batch_size=8, generator=Gen(ctx.seed))
    batches = learned_batches(model, data)
    if any(-1 in batch for batch in batches):
        return  # that these are no rows of the data is said elsewhere
    now = [state[name] for name in ("weight", "bias")]
    for rows in batches:
        _, grads = loss_and_gradients(now, data[rows])
        now = down(now, grads, 0.01)
    apart = max(
        float((inner.state()[name] - part).abs().max()) for name, part in zip(("weight", "bias"), now, strict=True)
    )
    # float64: the rounding of twelve steps
    expect(apart < 1e-6, "the weights after fit are not those to which one step for each batch leads, in their order",
           "steps along the gradients of these batches", f"weights that are off by up to {apart:.3g}",
           hint="How often does the optimizer step, along which gradient, and of which rows?")  # fmt: skip


def modes_in_values(ctx: Context, held_out: Tensor) -> None:
    """Training passes in training mode and looks at the validation data in evaluation mode, as the losses show."""
    told, data = Told(ctx, 3, mode="as recorded", pair=True), ctx.randn(8, 3)
    optimizer = sgd(ctx, told.model, lr=0.0)
    value = ctx.call(FIT, told.model, data, told.loss, optimizer, 3, batch_size=8, validation=held_out)
    train, validation = history_of(value)
    for entries, rows, what in ((train, data, TRAIN), (validation, held_out, VALIDATION)):
        for entry in losses_of(entries, 3, what):
            expect_told(ctx, entry, told.error(rows), FLOAT64, f"{what}: the loss", "where it learns in evaluation "
                        "mode, or is looked at in training mode or with gradients",
                        hint="After the validation of the first epoch: in which mode does the second one "
                        "run?")  # fmt: skip


def piled_up(target: float, steps: int, cleared_after: int) -> float:
    """Where gradient descent on (w - target)² leads with old gradients that are cleared after so many steps only."""
    w, gradient = 0.0, 0.0
    for step in range(steps):
        gradient = (0.0 if step % cleared_after == 0 else gradient) + 2 * (w - target)
        w -= 0.02 * gradient
    return w


def expect_mode_back(ctx: Context, now: bool, former: bool, what: str, hint: str) -> None:
    """The model has the mode again that it had before."""
    mode = {True: "training mode", False: "evaluation mode"}
    expect(now is former, f"a model that came to {what} in {mode[former]} is in {mode[not former]} afterwards",
           mode[former], mode[not former], hint=hint)  # fmt: skip


def mode_comes_back(ctx: Context) -> None:
    """With `patience` too: the loop that stops early and the one whose epochs run out leave the mode as it was."""
    data = torch.full((6, 2), 5.0, dtype=torch.float64)
    for former in (True, False):
        for epochs, held_out, how in ((6, 0.0, "that stops early"), (2, 5.0, "whose epochs run out")):
            model = ctx.new(Probe("Offset")).train(former)
            ctx.call(FIT, model, data, LOSS, sgd(ctx, model, lr=0.05), epochs,
                     validation=torch.full_like(data, held_out), patience=1)  # fmt: skip
            expect_mode_back(ctx, model.get("training"), former, f"a fit with patience {how}",
                             "On which ways can your loop end, and what is done on each of them?")  # fmt: skip


# ---- stopping early ---------------------------------------------------------------------------------------------


class Run:
    """A run whose path is known in closed form: validation losses, and what the model holds in the end.

    The model is one number w, starting at 0 and drawn to `target`; its validation loss is (w - held_out)².
    """

    def __init__(
        self, ctx: Context, target: float, held_out: float, lr: float, epochs: int, patience: int | None
    ) -> None:
        model = ctx.new(Probe("Offset"))
        data = torch.full((6, 2), target, dtype=torch.float64)
        optimizer = ctx.new(TorchRef("optim.SGD"), Params(model), lr=lr)
        value = ctx.call(
            FIT, model, data, LOSS, optimizer, epochs, validation=torch.full_like(data, held_out), patience=patience
        )
        train, self.validation = history_of(value)
        self.epochs = len(train)
        self.final = float(model.state()["w"])
        self.path = [target * (1 - (1 - 2 * lr) ** k) for k in range(1, epochs + 1)]
        self.losses = [(w - held_out) ** 2 for w in (0.0, *self.path)]

    def put_back(self, ctx: Context, best: int, what: str) -> None:
        """The model holds the weight of epoch `best`."""
        after = self.epochs
        known = [Known(f"the weight after the last epoch, {after}",
                       "Which weights are in the model when the training stops? And are those that you set aside a "
                       "copy?", self.path[after - 1])]  # fmt: skip
        known += [
            Known(f"the weight after epoch {k}", "After which epoch were the weights best, and when did you set "
                  "them aside?", w)
            for k, w in enumerate(self.path[: after - 1], 1)
        ]  # fmt: skip
        tells(ctx, self.final, self.path[best - 1], FLOAT64, what, known,
              hint="Which weights belong to the lowest validation loss?")  # fmt: skip


@declare(
    id="q6.fit.stops", question=6, kind="property", points=0.5, visibility="public",
    title="The loop: stopping early",
    asks="with `patience` fit stops on the validation loss, which it takes after each epoch, and puts the weights of "
    "the best epoch back, also when the epochs run out first; without it neither happens",
    hint="Which weights are in the model after the last epoch, and which were best?",
    needs=(), parts=(THE_STEP, THE_EVALUATION, THE_STOPPING),
)  # fmt: skip
def fit_stops(ctx: Context) -> None:
    # w passes the best value near epoch 4 on its way to the target: validation falls four times, then rises
    target, held_out = 10.0, float(ctx.rand(1, low=3.15, high=3.7))
    run = Run(ctx, target, held_out, 0.05, 12, patience=2)
    count = run.epochs
    # that there is one for each epoch is asked elsewhere
    measured = torch.tensor(losses_of(run.validation, len(run.validation), VALIDATION), dtype=torch.float64)
    before, wanted = (
        torch.tensor(run.losses[start : start + len(measured)], dtype=torch.float64) for start in (0, 1)
    )  # fmt: skip
    known = [Known("the validation losses of the epochs before", "At which moment is the validation loss taken: before "
                   "the epoch's steps, or after them?", before)]  # fmt: skip
    tells(ctx, measured[:12], wanted[: len(measured)][:12], FLOAT64,
          "the list of validation losses, each taken when its epoch's steps are done,", known,
          hint="With which weights is the validation loss of an epoch taken?")  # fmt: skip
    if count == 12:
        raise Failure(
            "fit with patience=2 goes on for all 12 epochs", "6 epochs: the validation loss falls in 4, and rises in 2",
            "12 epochs, in all of which the training loss falls",
            hint="Which of the two losses does your rule look at, and who asks the rule?",
        )  # fmt: skip
    late = "How many epochs without improvement does a patience of 2 allow?"
    expect(count == 6, "fit with patience=2 does not stop after 2 epochs without improvement",
           "6 epochs: the validation loss falls in 4, and rises in 2", f"{count} epochs",
           hint=late if count in (5, 7) else "Which number tells your loop to stop?")  # fmt: skip
    run.put_back(ctx, 4, "the weight in the model after an early stop, which was best after epoch 4,")
    longer = Run(ctx, target, held_out, 0.05, 12, patience=3)
    expect(longer.epochs == 7, "fit with patience=3 does not stop after 3 epochs without improvement",
           "7 epochs: the validation loss falls in 4, and rises in 3", f"{longer.epochs} epochs",
           hint="Which of the arguments says how many epochs without improvement there may be?")  # fmt: skip
    run = Run(ctx, target, held_out, 0.05, 8, patience=None)
    expect(run.epochs == 8, "fit without patience stops early", "8 epochs", f"{run.epochs} epochs",
           hint="Who asked for stopping early?")  # fmt: skip
    known = [Known("the weight with the lowest validation loss", "Who asked for the best weights to be put back?",
                   run.path[3])]  # fmt: skip
    tells(ctx, run.final, run.path[7], FLOAT64, "without patience, the weight after the last epoch", known,
          hint="Which weights should be in the model if nobody asks for the best?")  # fmt: skip
    # w now jumps over the target and back: validation improves in every second epoch only
    run = Run(ctx, target, 0.9 * target, 0.95, 7, patience=2)
    expect(run.epochs == 7,
           "the count of epochs without improvement does not start again after an improvement",
           "7 epochs: every second of them improves", f"{run.epochs} epochs with patience=2",
           hint="What should an improvement do to the count?")  # fmt: skip
    best = min(range(7), key=lambda k: abs(run.path[k] - 0.9 * target)) + 1
    run.put_back(ctx, best, f"the weight in the model when the epochs run out before the patience, best after {best},")


@declare(
    id="q6.fit.edges", question=6, kind="property", points=0.25, visibility="hidden",
    title="The loop: bad arguments and NaN",
    asks="patience without validation data is a ValueError; a validation loss that is NaN counts as no improvement",
    hint="What would early stopping look at without validation data? Is NaN ever better than anything?",
    needs=(), parts=(THE_STEP, THE_EVALUATION, THE_STOPPING),
)  # fmt: skip
def fit_edges(ctx: Context) -> None:
    model, _ = linear(ctx, 3)
    raises(ctx, "ValueError", FIT, model, ctx.randn(6, 3), LOSS, sgd(ctx, model, lr=0.1), 2, patience=2,
           names="validation", case="fit with patience=2 and without validation",
           hint="What would early stopping look at without validation data?")  # fmt: skip
    data, broken = ctx.randn(6, 3), torch.full((4, 3), math.nan, dtype=torch.float64)
    with asking("Which epoch is the best one if every validation loss is NaN, and what is put back then?"):
        value = ctx.call(FIT, model, data, LOSS, sgd(ctx, model, lr=0.01), 6, validation=broken, patience=2)
    train, _ = history_of(value)
    expect(len(train) == 2, "a validation loss that is NaN from the start does not use up patience=2", "2 epochs",
           f"{len(train)} epochs", hint="Is NaN ever better than anything, and what does a comparison with it "
           "answer?")  # fmt: skip


CHECKS: tuple[Check, ...] = (fit_order, fit_history, fit_modes, fit_stops, fit_edges)
