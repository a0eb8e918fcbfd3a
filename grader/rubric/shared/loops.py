"""What checks of training loops share: which rows came in when, what an epoch's number should be, what a wrong one is.

Loops of Questions 6 and 7 are judged by the same conditions, each with its own question.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...check.context import Context
from ...check.expectations import UNUSABLE, as_number, expect, matches
from ...check.failure import Failure, Tolerance, failure_of
from ...check.shown import alike, kind_of
from ...check.values import Handle, Probe, StudentRaised, Violation

# the questions of conditions that all loops have in common
HOW_MANY_NUMBERS = "How many epochs were asked for, and how many numbers should each of them leave behind?"
EVERY_ROW = "Which rows does one epoch of yours see, and is any of them left out every time?"
LAST_BATCH = "What becomes of the last batch of an epoch, which is smaller than the others?"
DRAWN_TWICE = "Can your way of drawing rows give one of them twice before all have come once?"
FRESH_ORDER = "How often is an order drawn: once for all epochs, or once for each?"
STORED_ORDER = "What decides about the order in which the rows come?"
SAME_COMPANY = "Is it the rows that are shuffled, or only the batches?"
BATCH_SIZE = "Which argument says how many rows a step sees, and does it reach your loop?"
NUMBER_OF_EPOCHS = "What counts your epochs, and where does that number come from?"
WHOSE_STREAM = "From which source of random numbers does the order come, and who could draw the same order again?"
TRAINING_MODE = "In which mode was the model when it was handed in, and in which should it learn?"
PILE_UP = "What is in .grad when a backward pass begins, and what is there when it is over?"
OF_ITS_EPOCH = "What do the earlier epochs have to do with the number of this one?"
WEIGHTED = "Has every batch of an epoch the same number of rows, and how much should each batch count?"
LEARNING_RATE = "Where does the size of your optimizer's steps come from?"


@contextmanager
def asking(hint: str) -> Iterator[None]:
    """An exception of the student's code in here, or a failure without a question of its own, raises this question."""
    try:
        yield
    except StudentRaised as raised:
        if UNUSABLE & set(raised.kinds):
            raise
        failure = failure_of(raised, {})
        failure.hint = hint
        raise failure from None
    except Failure as failure:
        failure.hint = failure.hint or hint
        raise


class Known(NamedTuple):
    """A wrong value that a known misconception leads to: what it looks like, and the question that it raises."""

    looks: str
    hint: str
    value: Tensor | float


def tells(
    ctx: Context, value: Any, wanted: Tensor | float, tol: Tolerance, what: str, known: Sequence[Known], *, hint: str
) -> None:
    """`matches`; a value that is one of the `known` wrong ones is called so, and raises their questions."""
    try:
        matches(ctx, value, wanted, tol, what, hint=hint)
    except Failure as failure:
        actual = value if isinstance(value, Tensor) else torch.tensor(value if isinstance(value, float) else math.nan)
        found = [one for one in known if alike(actual, torch.as_tensor(one.value), tol.rtol, tol.atol)]
        if found:
            failure.looks = " or ".join(dict.fromkeys(one.looks for one in found))
            failure.hint = " Or: ".join(dict.fromkeys(one.hint for one in found))
        raise


# ---- numbers of epochs ------------------------------------------------------------------------------------------


def losses_of(value: Any, length: int, what: str) -> list[float]:
    """`value` as a list of this many finite numbers, one per epoch."""
    if not isinstance(value, list | tuple) or len(value) != length:
        found = f"{len(value)} of them" if isinstance(value, list | tuple) else kind_of(value)
        raise Failure(f"{what} is not one number per epoch", f"a list of {length} numbers after {length} epochs", found,
                      hint=HOW_MANY_NUMBERS)  # fmt: skip
    return [as_number(entry, f"an entry of {what}") for entry in value]


def expect_own_losses(entries: Sequence[float], told: Sequence[float], what: str) -> None:
    """Each epoch, one batch long, has a loss of its own: one of those that there have been, which grow and grow.

    Which one it is does not matter: a loss that is taken again after the step is another matter.
    """
    # float32: the rounding of a mean; what an epoch has learned moves its loss by more
    own = all(any(math.isclose(entry, loss, rel_tol=1e-4) for loss in told) for entry in entries)
    rising = all(a < b for a, b in zip(entries, entries[1:], strict=False))
    running = [sum(told[: k + 1]) / (k + 1) for k in range(len(entries))]
    mean = len(told) >= len(entries) and all(map(close, entries, running))
    looks = ", the mean over all epochs so far" if mean else ""
    expect(own and rising, f"a number of {what} is not the loss of its own epoch{looks}",
           f"of batches with the losses {[float(f'{loss:.4g}') for loss in told[:6]]}, one in each epoch",
           [float(f"{entry:.4g}") for entry in entries], hint=OF_ITS_EPOCH)  # fmt: skip


def close(a: float, b: float) -> bool:
    """Up to rounding in float32."""
    return math.isclose(a, b, rel_tol=1e-4)


# ---- rows -------------------------------------------------------------------------------------------------------


def rows_of(seen: Sequence[Tensor], data: Tensor) -> list[int]:
    """For each row that a probe saw, its number in `data` (-1 if it is none of these)."""
    if not seen:
        return []
    flat = data.flatten(1).double()
    for x in seen:
        if x.ndim < 2 or x[0].numel() != flat.shape[1]:
            wanted = ("N", *data.shape[1:])
            raise Failure("the model is given something else than rows of the data", f"shape {wanted}",
                          f"shape {tuple(x.shape)}", hint="Which dimension of the data counts its rows?")  # fmt: skip
    apart = torch.cdist(torch.cat([x.flatten(1) for x in seen]).double(), flat)
    nearest = apart.min(dim=1)
    return torch.where(nearest.values < 1e-5, nearest.indices, -1).tolist()


def learned_batches(probe: Handle, data: Tensor, since: int = 0) -> list[list[int]]:
    """Numbers of the rows of each batch that went through a probe with gradients on, from its call `since` on."""
    return [rows_of([seen], data) for seen in learned_from(probe, since)]


def learned_from(probe: Handle, since: int = 0) -> list[Tensor]:
    """What went through a probe with gradients on, from its call `since` on."""
    calls, seen = probe.get("calls"), probe.get("seen")
    if len(calls) != len(seen):
        raise Violation("what a helper of the grader has noted was changed")
    return [x for call, x in zip(calls[since:], seen[since:], strict=True) if call["grad"]]


class Members(NamedTuple):
    """The rows that each epoch should use, what they are, what all others are; what others and missing ones raise."""

    rows: Sequence[int]
    called: str = "example"
    others: str = "others"
    of_others: str = ""
    of_missing: str = EVERY_ROW


def epochs_of(batches: Sequence[Sequence[int]], members: Members, epochs: int, what: str) -> list[list[list[int]]]:
    """`batches` split into epochs; fails unless every member comes exactly once in each."""
    wanted, found = sorted(members.rows), split(batches, epochs, len(members.rows))
    each = sum(map(len, batches)) / epochs
    for number, epoch in enumerate(found, 1):
        rows = [row for batch in epoch for row in batch]
        if sorted(rows) == wanted:
            continue
        missing, strangers = set(wanted) - set(rows), [row for row in rows if row not in set(wanted)]
        twice = len(rows) - len(set(rows))
        parts = [f"{len(missing)} never"] if missing else []
        parts += [f"{twice} once more"] if twice else []
        parts += [f"{len(strangers)} {members.others} as well"] if strangers else []
        largest = max(map(len, batches))
        hint = members.of_missing
        if strangers and members.of_others:
            hint = members.of_others
        elif twice and each == len(wanted):
            hint = DRAWN_TWICE
        elif len(batches) > epochs and each == len(wanted) - len(wanted) % largest:
            hint = LAST_BATCH
        raise Failure(
            f"{what}: epoch {number} does not use every {members.called} exactly once",
            f"each of the {len(wanted)} rows once in each of {epochs} epochs",
            f"{sum(map(len, batches))} rows in all; among the first {len(rows)}: {', '.join(parts)}", hint=hint,
        )  # fmt: skip
    if len(found) != epochs:
        raise Failure(f"{what}: the number of passes over the data is wrong", f"{epochs} epochs",
                      f"{len(found)} epochs", hint=NUMBER_OF_EPOCHS)  # fmt: skip
    return found


def split(batches: Sequence[Sequence[int]], epochs: int, size: int) -> list[list[list[int]]]:
    """Batches by epochs: as soon as one has `size` rows, or, where that does not come out, of equally many batches."""
    found: list[list[list[int]]] = []
    for batch in batches:
        if not found or sum(map(len, found[-1])) >= size:
            found.append([])
        found[-1].append(list(batch))
    count, rest = divmod(len(batches), epochs)
    if any(sum(map(len, epoch)) != size for epoch in found) and count and not rest:
        return [[list(batch) for batch in batches[start : start + count]] for start in range(0, len(batches), count)]
    return found


def expect_any(epochs: Sequence[Sequence[Sequence[int]]], what: str) -> None:
    """There was a batch at all."""
    expect(any(batch for epoch in epochs for batch in epoch), f"{what}: the model has not seen a single row",
           "batches of the rows given", "none", hint=NUMBER_OF_EPOCHS)  # fmt: skip


def expect_sizes(epochs: Sequence[Sequence[Sequence[int]]], batch_size: int, what: str) -> None:
    """Batches have `batch_size` rows, and none has more."""
    expect_any(epochs, what)
    sizes = [len(batch) for batch in epochs[0]]
    expect(max(sizes) == batch_size, f"{what}: the batches do not have batch_size={batch_size} rows",
           f"at most {batch_size} rows, and {batch_size} where there are enough", f"batches of {sizes}",
           hint=BATCH_SIZE)  # fmt: skip


def expect_shuffled(epochs: Sequence[Sequence[Sequence[int]]], what: str) -> None:
    """Every epoch has an order of its own. Two orders of n rows agree by chance with probability 1/n!."""
    expect_any(epochs, what)
    flat = [[row for batch in epoch for row in batch] for epoch in epochs]
    expect(not any(rows == sorted(rows) for rows in flat),
           f"{what}: the rows come in the order in which they are stored", "a random order",
           f"{flat[0][:8]}, …", hint=STORED_ORDER)  # fmt: skip
    fresh = [a != b for a, b in zip(flat, flat[1:], strict=False)]
    met = [{frozenset(batch) for batch in epoch if len(batch) > 1} for epoch in epochs]
    alone = len(epochs[0]) < 2 or not met[0] or not any(fresh)
    expect(alone or met[0] != met[1], f"{what}: the same rows meet in the same batches in every epoch",
           "fresh batches in each epoch", "the same batches in another order", hint=SAME_COMPANY)  # fmt: skip
    expect(all(fresh), f"{what}: two epochs use the same order", "a fresh order in each epoch",
           f"{flat[0][:6]}, … in both", hint=FRESH_ORDER)  # fmt: skip


def expect_repeatable(first: Any, again: Any, other: Any, what: str) -> None:
    """Orders that two generators with one seed gave agree, and that of a third with another seed does not.

    Whether there is an order that is drawn is asked elsewhere.
    """
    expect(first == again, f"{what}: generators with the same seed give different orders",
           "with two generators of one seed, twice the same order", f"{begins(first)}, then "
           f"{begins(again)}", hint=WHOSE_STREAM)  # fmt: skip
    in_order = all(row <= after for row, after in zip(flattened(first), flattened(first)[1:], strict=False))
    expect(other != first or in_order, f"{what}: generators with different seeds give the same order",
           "different orders",
           f"{begins(first)} both times", hint=WHOSE_STREAM)  # fmt: skip


def flattened(batches: Any) -> list[int]:
    """Rows of the first epoch, one after the other."""
    while batches and isinstance(batches[0], list) and batches[0] and isinstance(batches[0][0], list):
        batches = batches[0]
    return [row for batch in batches for row in (batch if isinstance(batch, list) else [batch])]


def begins(batches: Any) -> str:
    """The first rows of an order."""
    return f"{flattened(batches)[:6]} …"


# ---- modes and gradients ----------------------------------------------------------------------------------------


def expect_training(calls: Sequence[Mapping[str, Any]], what: str, hint: str = TRAINING_MODE) -> None:
    """Everything with gradients on ran in training mode."""
    learns = [call["training"] for call in calls if call["grad"]]
    expect(bool(learns) and all(learns), f"{what} learns in evaluation mode", "training mode in every batch",
           f"{learns.count(True)} of {len(learns)} batches in training mode", hint=hint)  # fmt: skip


def clearing(ctx: Context, model: Handle) -> Handle:
    """Watches from now on whether gradients of this model are clear when a backward pass begins."""
    return ctx.new(Probe("Clearing"), model)


def expect_cleared(watch: Handle, batches: int, what: str) -> None:
    """Gradients were cleared once per batch (what was there before the first is another matter).

    A loop that calls backward several times per batch has several passes per batch, one of which finds no gradient.
    """
    passes = watch.get("cleared")
    cleared = sum(passes[1:])
    expect(not passes or cleared >= batches - 1, f"{what}: the gradients of one batch are still there in the next",
           f"old gradients cleared before each of {batches} batches but the first",
           f"cleared {cleared} times in {len(passes)} backward passes", hint=PILE_UP)  # fmt: skip


def piles_up(ctx: Context, watch: Handle, paid_in: str) -> bool:
    """Whether most backward passes found the gradients of an earlier one, for which the check `paid_in` has its price.

    What such a loop ends with is a matter of chance, whatever else is right or wrong about it. Notes may be forged:
    where that check has passed this is no excuse (`judge_all`).
    """
    later = watch.get("cleared")[1:]
    found = bool(2 * sum(later) < len(later))
    if found:
        ctx.excused = paid_in
    return found
