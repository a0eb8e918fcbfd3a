"""Question 6, second part: the loop over epochs; and models with known weights, which all parts of the question use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_number, as_sequence, expect, matches, preserves, raises
from ...check.failure import FLOAT64, Failure
from ...check.shown import kind_of
from ...check.values import Gen, Handle, Params, Probe, TorchRef

STEP, EVALUATE, FIT, STOPPING = "training.train_step", "training.evaluate", "training.fit", "training.EarlyStopping"
LOSS = Probe("mse_of_first")


def linear(ctx: Context, size: int, dtype: torch.dtype = torch.float64) -> tuple[Handle, dict[str, Tensor]]:
    """A linear map of `size` numbers to as many, with weights of our own."""
    model = ctx.new(TorchRef("nn.Linear"), size, size).double()
    state = {"weight": ctx.randn(size, size), "bias": ctx.randn(size)}
    model.load(state)
    if dtype == torch.float32:
        model.call("float")
        state = {name: value.float() for name, value in state.items()}
    return model, state


def sgd(ctx: Context, model: Handle, lr: float) -> Handle:
    """Plain gradient descent on all parameters."""
    return ctx.new(TorchRef("optim.SGD"), Params(model), lr=lr)


def losses_of(ctx: Context, value: Any, length: int, what: str) -> list[float]:
    """`value` as a list of this many finite numbers, one per epoch."""
    return [as_number(entry, f"an entry of {what}") for entry in as_sequence(value, length, what)]


def history_of(ctx: Context, value: Any) -> tuple[list[Any], list[Any]]:
    """The two lists that `fit` returns."""
    if not isinstance(value, dict):
        raise Failure("fit does not return a mapping", "a dict with the keys 'train' and 'validation'", kind_of(value))
    for key in ("train", "validation"):
        if not isinstance(value.get(key), list | tuple):
            raise Failure(
                f"the history has no list {key!r}", f"a list under {key!r}", f"keys {sorted(map(str, value))}"
            )
    return list(value["train"]), list(value["validation"])


def expect_own_losses(ctx: Context, entries: Sequence[float], told: Sequence[float], what: str) -> None:
    """Each epoch, one batch long, has a loss of its own: one of those that there have been, which grow and grow.

    Which one it is does not matter: a loss that is taken again after the step is another matter.
    """
    own = all(any(math.isclose(entry, loss, rel_tol=1e-4) for loss in told) for entry in entries)
    expect(own and all(a < b for a, b in zip(entries, entries[1:], strict=False)),
               f"a number of {what} is not the loss of its epoch", f"losses among {list(told)}", list(entries),
               hint="What do the earlier epochs have to do with the number of this one?")  # fmt: skip


def rows_of(seen: Sequence[Tensor], data: Tensor) -> list[int]:
    """For each row that a probe saw, its number in `data` (-1 if it is none of these)."""
    if not seen:
        return []
    flat = data.flatten(1).double()
    for x in seen:
        if x.ndim < 2 or x[0].numel() != flat.shape[1]:
            wanted = ("N", *data.shape[1:])
            raise Failure("the model is given something else than rows of the data", f"{wanted}", f"{tuple(x.shape)}")
    apart = torch.cdist(torch.cat([x.flatten(1) for x in seen]).double(), flat)
    nearest = apart.min(dim=1)
    return torch.where(nearest.values < 1e-5, nearest.indices, -1).tolist()


def training_rows(model: Handle, data: Tensor) -> list[list[int]]:
    """Numbers of the rows of each batch that went through a recorded model with gradients on."""
    calls, seen = model.get("calls"), model.get("seen")
    return [rows_of([x], data) for call, x in zip(calls, seen, strict=True) if call["grad"]]


def epochs_of(batches: Sequence[Sequence[int]], size: int, epochs: int) -> list[list[list[int]]]:
    """`batches` split into epochs of `size` rows; fails unless every row comes exactly once in each."""
    found: list[list[list[int]]] = [[]]
    for batch in batches:
        if sum(map(len, found[-1])) >= size:
            found.append([])
        found[-1].append(list(batch))
    for number, epoch in enumerate(found, 1):
        rows = sorted(row for batch in epoch for row in batch)
        if rows != list(range(size)):
            missing, extra = sorted(set(range(size)) - set(rows)), len(rows) - len(set(rows))
            raise Failure(
                f"epoch {number} does not use every example exactly once",
                f"each of {size} rows once",
                f"{len(rows)} rows, {len(missing)} never, {extra} repeated",
            )
    if len(found) != epochs:
        raise Failure("the number of passes over the data is wrong", f"{epochs} epochs", f"{len(found)} epochs")
    return found


# ---- the loop ---------------------------------------------------------------------------------------------------


@declare(
    id="q6.fit.history", question=6, kind="property", points=0.5, visibility="public",
    title="The loop: history",
    asks="fit returns the mean loss per example of every epoch, of that epoch alone, for training and for validation "
    "data",
    hint="How many numbers should three epochs leave behind? Does a smaller last batch count as much as the others?",
    needs=(),
)  # fmt: skip
def fit_history(ctx: Context) -> None:
    # with a learning rate of 0 every epoch's loss is known, in whatever order the examples come
    model, state = linear(ctx, 3)

    def mean_loss(data: Tensor) -> float:
        return float((F.linear(data, state["weight"], state["bias"]) - data).square().mean())

    data, held_out = ctx.randn(11, 3), 2 * ctx.randn(7, 3)
    value = preserves(ctx, FIT, model, data, LOSS, sgd(ctx, model, lr=0.0), 3, batch_size=4, validation=held_out)
    train, validation = history_of(ctx, value)
    for entry in losses_of(ctx, train, 3, "the history 'train'"):
        matches(ctx, entry, mean_loss(data), FLOAT64, "the training loss of an epoch")
    for entry in losses_of(ctx, validation, 3, "the history 'validation'"):
        matches(ctx, entry, mean_loss(held_out), FLOAT64, "the validation loss of an epoch")
    train, validation = history_of(ctx, ctx.call(FIT, model, data, LOSS, sgd(ctx, model, lr=0.0), 2))
    losses_of(ctx, train, 2, "the history 'train' without validation data")
    losses_of(ctx, validation, 0, "the history 'validation' without validation data")
    loss = ctx.new(Probe("DoublingLoss"))
    train, _ = history_of(ctx, ctx.call(FIT, model, data, loss, sgd(ctx, model, lr=0.0), 4, batch_size=11))
    expect_own_losses(ctx, losses_of(ctx, train, 4, "the history 'train'"), loss.get("told"), "the history 'train'")


@declare(
    id="q6.fit.order", question=6, kind="property", points=0.5, visibility="public",
    title="The loop: each example once, in a fresh order",
    asks="in every epoch each example is used exactly once, in batches of batch_size, in an order that is new each "
    "epoch and comes from `generator`",
    hint="Write down which rows the model sees in epoch 1 and in epoch 2. Where does the order come from?",
    needs=(),
)  # fmt: skip
def fit_order(ctx: Context) -> None:
    # two orders of 41 rows agree by chance with probability 1/41! < 1e-49
    data = ctx.randn(41, 3)

    def orders(**kwargs: Any) -> list[list[list[int]]]:
        inner, _ = linear(ctx, 3)
        model = ctx.new(Probe("Recorder"), inner)
        preserves(ctx, FIT, model, data, LOSS, sgd(ctx, model, lr=0.01), 3, batch_size=8, **kwargs)
        return epochs_of(training_rows(model, data), 41, 3)

    first = orders(generator=Gen(ctx.seed))
    sizes_seen = sorted({len(batch) for epoch in first for batch in epoch})
    expect(max(sizes_seen) == 8, "the batches do not have batch_size examples", "batches of 8", sizes_seen)
    flat = [[row for batch in epoch for row in batch] for epoch in first]
    in_order = any(rows == list(range(41)) for rows in flat)
    expect(not in_order, "the examples come in the order in which they are stored", "a random order", flat[0][:8])
    fresh = all(a != b for a, b in zip(flat, flat[1:], strict=False))
    expect(fresh, "two epochs use the same order", "a fresh order each epoch", "the same order")
    together = [{frozenset(batch) for batch in epoch} for epoch in first]
    expect(
        together[0] != together[1],
        "the same examples meet in the same batches in every epoch",
        "fresh batches each epoch",
        "the same batches",
    )
    expect(
        orders(generator=Gen(ctx.seed)) == first,
        "generators with the same seed give different orders",
        "an order drawn from generator",
        "an order drawn from somewhere else",
    )
    other = orders(generator=Gen(ctx.seed + 1))
    expect(other != first, "generators with different seeds give the same order", "different orders", "the same")
    orders()


@declare(
    id="q6.fit.modes", question=6, kind="property", points=0.5, visibility="public",
    title="The loop: modes and updates",
    asks="fit trains in training mode in every epoch, validates in evaluation mode without gradients, really lowers "
    "the loss, and gives the model its former mode back, however it ends",
    hint="After the first validation: in which mode does the second epoch run? Do the gradients of one batch end up in "
    "the next?",
    needs=(),
)  # fmt: skip
def fit_modes(ctx: Context) -> None:
    # equal rows: the loss falls with every step, whichever rows a batch draws and however their losses are averaged
    data, held_out = ctx.randn(1, 3).expand(10, 3).contiguous(), ctx.randn(5, 3)
    for former in (True, False):
        inner, _ = linear(ctx, 3)
        model = ctx.new(Probe("Recorder"), inner).train(former)
        value = ctx.call(FIT, model, data, LOSS, sgd(ctx, model, lr=0.05), 3, batch_size=4, validation=held_out)
        expect(
            model.get("training") is former,
            "the model does not get its former mode back",
            f"training = {former}",
            f"training = {model.get('training')}",
        )
        calls = model.get("calls")
        learns = [call["training"] for call in calls if call["grad"]]
        looks = [call for call in calls if not call["grad"]]
        expect(
            bool(learns) and all(learns),
            "a batch is trained on in evaluation mode",
            "training mode in all epochs",
            f"{learns.count(True)} of {len(learns)} batches in training mode",
        )
        expect(bool(looks), "the validation data are looked at with gradients on", "no gradients", "gradients")
        expect(
            not any(call["training"] for call in looks),
            "validation runs in training mode",
            "evaluation mode",
            "training mode",
        )
        train, _ = history_of(ctx, value)
        losses = losses_of(ctx, train, 3, "the history 'train'")
        expect(
            losses[-1] < losses[0],
            "the training loss does not fall on a linear problem",
            f"below {losses[0]:.4g}",
            losses[-1],
        )
    mode_comes_back(ctx)
    # full batches: each epoch is one step of gradient descent, known in closed form
    model = ctx.new(Probe("Offset"))
    target = float(ctx.rand(1, low=5.0, high=9.0))
    ctx.call(FIT, model, torch.full((6, 2), target, dtype=torch.float64), LOSS, sgd(ctx, model, lr=0.05), 4)
    matches(
        ctx,
        model.state()["w"],
        torch.tensor(target * (1 - 0.9**4), dtype=torch.float64),
        FLOAT64,
        "the parameter after 4 steps of gradient descent",
    )


def mode_comes_back(ctx: Context) -> None:
    """With `patience` too: the loop that stops early and the one whose epochs run out leave the mode as it was."""
    data = torch.full((6, 2), 5.0, dtype=torch.float64)
    for former in (True, False):
        for epochs, held_out in ((6, 0.0), (2, 5.0)):  # away from what it validates on, and towards it
            model = ctx.new(Probe("Offset")).train(former)
            ctx.call(FIT, model, data, LOSS, sgd(ctx, model, lr=0.05), epochs,
                     validation=torch.full_like(data, held_out), patience=1)  # fmt: skip
            expect(model.get("training") is former, "with patience the model does not get its former mode back",
                       f"training = {former}", f"training = {model.get('training')}",
                       hint="On which ways can your loop end, and what is done on each of them?")  # fmt: skip


def offset_run(
    ctx: Context, target: float, held_out: float, lr: float, epochs: int, patience: int | None
) -> tuple[list[float], float, list[float]]:
    """Validation losses, final parameter and all parameters of a run whose path is known in closed form.

    The model is one number w, starting at 0 and drawn to `target`; its validation loss is (w - held_out)².
    """
    model = ctx.new(Probe("Offset"))
    data = torch.full((6, 2), target, dtype=torch.float64)
    value = ctx.call(
        FIT,
        model,
        data,
        LOSS,
        sgd(ctx, model, lr=lr),
        epochs,
        validation=torch.full_like(data, held_out),
        patience=patience,
    )
    _, validation = history_of(ctx, value)
    path = [target * (1 - (1 - 2 * lr) ** k) for k in range(1, epochs + 1)]
    return [as_number(v, "a validation loss") for v in validation], float(model.state()["w"]), path


@declare(
    id="q6.fit.stops", question=6, kind="property", points=0.5, visibility="public",
    title="The loop: stopping early",
    asks="with `patience` fit stops on the validation loss and puts the weights of the best epoch back, also when the "
    "epochs run out first; without it neither happens",
    hint="Which weights are in the model after the last epoch, and which were best? Do the weights that you set aside "
    "change while the training goes on?",
    needs=(),
)  # fmt: skip
def fit_stops(ctx: Context) -> None:
    # w passes the best value near epoch 4 on its way to the target: validation falls four times, then rises
    target, held_out = 10.0, float(ctx.rand(1, low=3.15, high=3.7))
    validation, final, path = offset_run(ctx, target, held_out, 0.05, 12, patience=2)
    expect(
        len(validation) == 6,
        "the training does not stop after `patience` epochs without improvement",
        "4 epochs that improve and 2 that do not",
        f"{len(validation)} epochs",
    )
    matches(
        ctx,
        final,
        path[3],
        FLOAT64,
        "the weight put back",
        hint="Which weights are in the model when the training stops? And are those that you set aside a copy?"
        if math.isclose(final, path[5])
        else "",
    )
    validation, final, path = offset_run(ctx, target, held_out, 0.05, 8, patience=None)
    expect(len(validation) == 8, "without patience the training stops early", "8 epochs", f"{len(validation)}")
    matches(ctx, final, path[7], FLOAT64, "without patience, the weight after the last epoch")
    # w now jumps over the target and back: validation improves in every second epoch only
    validation, final, path = offset_run(ctx, target, 0.9 * target, 0.95, 7, patience=2)
    expect(
        len(validation) == 7,
        "the count of bad epochs does not start again after an improvement",
        "7 epochs",
        f"{len(validation)} epochs",
    )
    best = min(range(7), key=lambda k: abs(path[k] - 0.9 * target))
    matches(ctx, final, path[best], FLOAT64, "the weight put back when the epochs run out before the patience")


@declare(
    id="q6.fit.edges", question=6, kind="property", points=0.25, visibility="hidden",
    title="The loop: bad arguments and NaN",
    asks="patience without validation data is a ValueError; a validation loss that is NaN counts as no improvement",
    hint="What would early stopping look at without validation data? Is NaN ever better than anything?",
    needs=(),
)  # fmt: skip
def fit_edges(ctx: Context) -> None:
    model, _ = linear(ctx, 3)
    raises(
        ctx,
        "ValueError",
        FIT,
        model,
        ctx.randn(6, 3),
        LOSS,
        sgd(ctx, model, lr=0.1),
        2,
        patience=2,
        names="validation",
        case="fit with patience and without validation",
    )
    data, broken = ctx.randn(6, 3), torch.full((4, 3), math.nan, dtype=torch.float64)
    value = ctx.call(FIT, model, data, LOSS, sgd(ctx, model, lr=0.01), 6, validation=broken, patience=2)
    _, validation = history_of(ctx, value)
    expect(
        len(validation) == 2,
        "a validation loss that is NaN from the start does not use up the patience",
        "2 epochs",
        f"{len(validation)} epochs",
    )


CHECKS: tuple[Check, ...] = (fit_history, fit_order, fit_modes, fit_stops, fit_edges)
