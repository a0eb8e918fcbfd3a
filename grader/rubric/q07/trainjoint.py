"""Training the autoencoder and the classifier together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.devices import expect_on_device
from ...check.expectations import as_sequence, as_tensor, expect, preserves
from ...check.failure import FLOAT32
from ...check.shown import alike
from ...check.values import Gen, Handle, Probe
from ..shared.loops import (
    LEARNING_RATE,
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
    rows_of,
    split,
    tells,
)
from ..shared.told import expect_unspoilt
from .models import (
    LATENT,
    PIXELS,
    SIDE,
    THE_JOINT_LOSS,
    THE_JOINT_MODEL,
    THE_LOSS,
    TRAIN_JOINT,
    cross_entropy,
    each_entropy,
    head_of,
    joint_of,
    outputs_of,
    stand_in,
    stir_head,
    striped,
    watched,
)

PARTS = (THE_LOSS, THE_JOINT_LOSS, THE_JOINT_MODEL)
OWN_LABEL = "After shuffling: does each image still have its own label?"
NO_LABEL = "What can an image without a label still teach the autoencoder?"
ROWS = 29


def rows_in(
    autoencoder: Handle, images: Tensor, labels: Tensor, since: int, epochs: int, what: str
) -> list[list[list[int]]]:
    """The batches of each epoch, which use every image once."""
    batches = learned_batches(autoencoder, images, since)
    missing = set(range(len(images))) - {row for batch in batches for row in batch}
    members = Members(range(len(images)), "image")
    if missing and all(labels[row] == -1 for row in missing):
        members = members._replace(of_missing=NO_LABEL)
    return epochs_of(batches, members, epochs, what)


def epoch_losses(
    passes: Sequence[Sequence[Tensor]], at_rest: tuple[Tensor, Tensor], images: Tensor, labels: Tensor, alpha: float
) -> list[float]:
    """The joint loss of two epochs: of what the model returned in them, which dropout in its head makes random.

    Of its outputs `at_rest` where this was not noted, or not for every row.
    """
    taken = [parts for parts in passes if len(parts) == 3]
    rows = rows_of([x for x, _, _ in taken], images)
    if len(rows) != 2 * len(images) or -1 in rows:
        return 2 * [joint_of_rows(images, *at_rest, labels, alpha)]
    losses, done = [0.0, 0.0], 0
    for x, x_recon, logits in taken:
        recon = as_tensor(x_recon, x.shape, "x_recon in training")
        scores = as_tensor(logits, (len(x), at_rest[1].shape[1]), "the logits in training")
        loss = joint_of_rows(x, recon, scores, labels[rows[done : done + len(x)]], alpha)
        losses[min(done // len(images), 1)] += loss * len(x) / len(images)
        done += len(x)
    return losses


def joint_of_rows(x: Tensor, x_recon: Tensor, logits: Tensor, labels: Tensor, alpha: float) -> float:
    """Squared error of all rows plus alpha times the cross-entropy of the labelled ones."""
    return float((x_recon - x).square().flatten(1).sum(1).mean() + alpha * cross_entropy(logits, labels))


def misreadings(
    images: Tensor, at_rest: tuple[Tensor, Tensor], labels: Tensor, alpha: float, batches: Sequence[Sequence[int]]
) -> list[Known]:
    """What other losses of an epoch with these batches look like, of a model that gives these outputs."""
    recon, entropy = (at_rest[0] - images).square().flatten(1).sum(1), each_entropy(at_rest[1], labels)
    given = labels != -1

    def loss(rows: Sequence[int], other: Tensor | None = None) -> Tensor:
        own = labels[list(rows)] if other is None else other
        return recon[list(rows)].mean() + alpha * cross_entropy(at_rest[1][list(rows)], own)

    order = [row for batch in batches for row in batch]
    means = torch.stack([loss(batch) for batch in batches])
    classes, weigh = entropy.sum() / given.sum().clamp(min=1), "How much should the labels count, and who says so?"
    return [
        Known("the mean of the batches' means", WEIGHTED, means.mean()),
        Known("the loss of the epoch's last batch", "How many batches of the epoch does this number know?", means[-1]),
        Known("the sum of the batches' means", "Is it a sum or a mean, and over how many rows?", means.sum()),
        Known("the reconstruction alone", "Where do the labels enter, and do they come as far as the loss?",
              recon.mean()),
        Known("the classification alone", "Where does the reconstruction enter?", alpha * classes),
        Known("the expected with alpha = 1", weigh, recon.mean() + classes),
        Known("alpha · reconstruction + classification", "Which of the two terms does alpha weigh?",
              alpha * recon.mean() + classes),
        Known("(1 - alpha) · reconstruction + alpha · classification", "Which of the two terms does alpha weigh?",
              (1 - alpha) * recon.mean() + alpha * classes),
        Known("the loss of shuffled images with labels in the order in which they are stored", OWN_LABEL,
              loss(order, labels[: len(order)])),
        Known("the loss of the labelled images alone", NO_LABEL, recon[given].mean() + alpha * classes),
        Known("the expected, with the labels of rows without one taken for class 0",
              "What does an image without a label say about its class?",
              recon.mean() + alpha * cross_entropy(at_rest[1], labels.clamp(min=0))),
    ]  # fmt: skip


@declare(
    id="q7.trainjoint.rows", question=7, kind="property", points=0.5, visibility="public",
    title="Joint training: every image, every label",
    asks="train_joint uses every image once per epoch, in a fresh order, with its own label, and returns the mean "
    "joint loss of each epoch alone; batches without a label do no harm",
    hint=f"What happens in a batch in which no row has a label? {OWN_LABEL}",
    needs=(), parts=PARTS,
)  # fmt: skip
def trainjoint_rows(ctx: Context) -> None:
    stand_in(ctx)
    images, labels = ctx.images(ROWS, SIDE), ctx.randint(0, 3, ROWS)
    labels[ctx.rand(ROWS) < 0.6] = -1
    labels[:2] = torch.tensor([-1, 1])
    autoencoder = watched(ctx)
    model = joint_of(ctx, autoencoder, 3)
    outputs_of(ctx, model, images)
    stir_head(ctx, model, autoencoder.state())
    noted = ctx.new(Probe("Outputs"), model)
    at_rest = outputs_of(ctx, model, images)
    steady = alike(as_sequence(ctx.call(model.train(), images), 2, "JointModel")[1], at_rest[1])
    start = model.state()
    orders: list[list[list[int]]] = []
    # a learning rate of 0 makes the loss known: in one batch for any alpha, in several for alpha = 0
    for alpha, batch in ((0.7, 64), (3.0, 64), (0.0, 8)):
        since, known = len(noted.get("calls")), len(autoencoder.get("calls"))
        value = preserves(ctx, TRAIN_JOINT, model, images, labels, alpha, 2, batch_size=batch, lr=0.0)
        moved = any(not torch.equal(own, start[name]) for name, own in model.state().items())
        expect(not moved, "train_joint with lr=0 changes the model", "no change", "other weights", hint=LEARNING_RATE)
        passes = noted.get("calls")[since:]
        epochs = rows_in(autoencoder, images, labels, known, 2, "train_joint")
        found = losses_of(value, 2, "what train_joint returns")
        if passes or steady:  # a loop that goes past Module.__call__ shows nothing of a head with dropout
            # where nothing is random the model itself says what its outputs are, not a note of them
            losses = epoch_losses([] if steady else passes, at_rest, images, labels, alpha)
            for number, (entry, wanted, batches) in enumerate(zip(found, losses, epochs, strict=True), 1):
                tells(ctx, entry, wanted, FLOAT32,
                      f"the loss of epoch {number}, in which nothing was learned (alpha={alpha:g}, batches of "
                      f"{len(batches[0])}),", misreadings(images, at_rest, labels, alpha, batches),
                      hint="Which two terms is the loss of an epoch made of, and of which rows is each of them a "
                      "mean?")  # fmt: skip
        orders += epochs
    expect_shuffled(orders[:2], "train_joint")
    expect_shuffled(orders[4:], "train_joint")
    few = torch.full((ROWS,), -1)
    few[3] = 1
    known = len(autoencoder.get("calls"))
    with asking("What happens in a batch in which no row has a label?"):
        value = ctx.call(TRAIN_JOINT, model, images, few, 1.0, 2, batch_size=4, lr=0.01)
        losses_of(value, 2, "what train_joint returns for a single label")
        rows_in(autoencoder, images, few, known, 2, "train_joint with a single label")
        for name, own in model.state().items():
            as_tensor(own, None, f"{name} after batches without labels",
                      hint="What happens in a batch in which no row has a label?")  # fmt: skip
    losses_are_own(ctx, images, labels)


def losses_are_own(ctx: Context, images: Tensor, labels: Tensor) -> None:
    """The number of an epoch holds nothing of those before: with a reconstruction that gets worse with every pass."""
    model = joint_of(ctx, watched(ctx, drift=10.0), 3)
    noted = ctx.new(Probe("Outputs"), model, every=True)
    value = ctx.call(TRAIN_JOINT, model, images, labels, 0.7, 3, batch_size=64, lr=0.0)
    found = losses_of(value, 3, "what train_joint returns")
    told = []
    for parts in noted.get("calls"):
        rows = rows_of(parts[:1], images)
        if len(parts) == 3 and sorted(rows) == list(range(len(images))):
            recon = as_tensor(parts[1], parts[0].shape, "x_recon in training")
            scores = as_tensor(parts[2], (len(images), 3), "the logits in training")
            told.append(joint_of_rows(parts[0], recon, scores, labels[rows], 0.7))
    # a loop that goes past Module.__call__, or a model past the autoencoder's forward, shows nothing
    if told and max(told) > 1.5 * min(told):
        expect_own_losses(found, told, "what train_joint returns")


@declare(
    id="q7.trainjoint.loop", question=7, kind="property", points=0.25, visibility="public",
    title="Joint training: the loop",
    asks="train_joint works in batches of batch_size, in training mode, clears old gradients, and draws its order from "
    "`generator`",
    hint="Which of the arguments reach your loop? What has a training step to do before it calls backward?",
    needs=(), parts=PARTS,
)  # fmt: skip
def trainjoint_loop(ctx: Context) -> None:
    stand_in(ctx)
    images, labels = ctx.images(ROWS, SIDE), ctx.randint(0, 3, ROWS)
    labels[ctx.rand(ROWS) < 0.4] = -1
    labels[0] = 1
    autoencoder = watched(ctx)
    model = joint_of(ctx, autoencoder, 3)
    watch = clearing(ctx, autoencoder)

    def orders(seed: int, mode: bool) -> list[list[list[int]]]:
        model.train(mode)
        since = len(autoencoder.get("calls"))
        ctx.call(TRAIN_JOINT, model, images, labels, 0.7, 2, batch_size=8, lr=0.01, generator=Gen(seed))
        came = "training" if mode else "evaluation"
        expect_training(autoencoder.get("calls")[since:], f"a model that came to train_joint in {came} mode")
        batches = learned_batches(autoencoder, images, since)  # which rows they are is asked elsewhere
        return split(batches, 2, sum(map(len, batches)) // 2)

    before = autoencoder.state()["narrow.weight"]
    first = orders(ctx.seed, True)
    expect_sizes(first, 8, "train_joint")
    if not torch.equal(autoencoder.state()["narrow.weight"], before):  # that all parts learn is asked elsewhere
        expect_cleared(watch, sum(map(len, first)), "train_joint")
    expect_repeatable(first, orders(ctx.seed, False), orders(ctx.seed + 1, True), "train_joint")
    strict = ctx.new(Probe("StrictAutoencoder"), PIXELS, LATENT)
    joint = joint_of(ctx, strict, 3)
    ctx.call(TRAIN_JOINT, joint.eval(), images, labels, 0.7, 2, batch_size=8, lr=0.01)
    expect_unspoilt(strict, "train_joint", "where it learns in evaluation mode or from old gradients",
                    hint=f"{TRAINING_MODE} {PILE_UP}")  # fmt: skip
    expect_on_device(ctx, "train_joint", TRAIN_JOINT, model, images, labels, 0.7, 1, batch_size=8, lr=0.01)


@declare(
    id="q7.trainjoint.learns", question=7, kind="property", points=0.5, visibility="hidden",
    title="Joint training: both tasks",
    asks="train_joint teaches the autoencoder to reconstruct and the head to classify",
    hint="Look at the two terms of the loss separately: does each of them fall? Is one drowned by the other?",
    needs=(), parts=PARTS,
)  # fmt: skip
def trainjoint_learns(ctx: Context) -> None:
    stand_in(ctx)
    images, truth = striped(ctx, 48)
    labels = torch.where(torch.arange(48) % 4 == 1, -1, truth)  # 16 rows never without a label
    autoencoder = watched(ctx)
    model = joint_of(ctx, autoencoder, 3)
    at_first = float((outputs_of(ctx, model, images)[0] - images).square().mean())
    start, given = model.state(), autoencoder.state()
    head, watch = head_of(model, given), clearing(ctx, autoencoder)
    model.train()
    value = ctx.call(TRAIN_JOINT, model, images, labels, 3.0, 30, batch_size=16, lr=0.03)
    losses = losses_of(value, 30, "what train_joint returns")
    still(autoencoder, given, model, start, head)
    if piles_up(ctx, watch, "q7.trainjoint.loop"):  # whether it still learns depends on the numbers drawn
        return
    expect(losses[-1] < 0.5 * losses[0], "the joint loss hardly falls in 30 epochs of an easy problem",
           f"below half of {losses[0]:.3g}", f"{losses[-1]:.3g}",
           hint="Which way do your steps go, and along the gradient of which loss?")  # fmt: skip
    recon, logits = outputs_of(ctx, model, images)
    now = float((recon - images).square().mean())
    expect(now < 0.5 * at_first, "the reconstruction hardly improves in 30 epochs", f"below half of {at_first:.3g}",
           f"{now:.3g}", hint="Does the reconstruction take part in the loss that is lowered?")  # fmt: skip
    right = float((logits.argmax(1) == truth).double().mean())
    expect(right > 0.9, "the head does not learn the labels it is given", "more than 90 % right",
           f"{right:.0%} right, a third by chance", hint="Do the labels take part in the loss that is lowered, each "
           "with its own image?")  # fmt: skip


def still(
    autoencoder: Handle, given: dict[str, Tensor], model: Handle, start: dict[str, Tensor], head: set[str]
) -> None:
    """Every part of the joint model has moved: encoder, decoder and head."""
    now, own = model.state(), autoencoder.state()
    moved = {
        "the encoder": any(not torch.equal(own[name], given[name]) for name in given if name.startswith("narrow")),
        "the decoder": any(not torch.equal(own[name], given[name]) for name in given if name.startswith("widen")),
    }
    if head:  # under names that tell it from the autoencoder
        moved["the head"] = any(not torch.equal(now[name], start[name]) for name in head)
    same = [part for part, learned in moved.items() if not learned]
    expect(not same, f"train_joint leaves the weights of {' and '.join(same)} as they are",
           f"other weights in {', '.join(moved)}", f"the same in {' and '.join(same)}",
           hint="Whose parameters does your optimizer hold, and does it step?")  # fmt: skip


CHECKS: tuple[Check, ...] = (trainjoint_rows, trainjoint_loop, trainjoint_learns)
