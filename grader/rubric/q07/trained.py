"""Question 7, trained: what 100 labels are worth with pre-training and without.

The network is the grader's own. Its pixels come in an order drawn for the run, which a fully connected network does not
notice, its rows in another one, and its digits under other numbers: neither a network that was trained elsewhere nor
the order of a file is of use. Each image is turned and shifted a little, and made a shade lighter or darker: it is not
found again in the public dataset by the values of its pixels. What the network reaches without pre-training, the grader
finds out by itself (`baseline`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...check.context import Context
from ...check.datasets import to_float
from ...check.declaration import Check, declare
from ...check.disguise import any_order, warped
from ...check.expectations import as_sequence, as_tensor
from ...check.parts import Part
from ...check.trained import at_least, in_chunks
from ...check.values import Gen, Handle, Image8, Probe
from .baseline import Plan, from_scratch
from .models import TWO_STAGE, classifier_of, stand_in

PARTS = (
    Part("semi_supervised.finetune", "finetune", (
        "q7.finetune.rows", "q7.finetune.learns", "q7.loss.value", "q7.loss.unlabelled", "q7.loss.gradient",
    )),
    Part("semi_supervised.EncoderClassifier", "EncoderClassifier", ("q7.classifier.logits", "q7.classifier.copy")),
)  # fmt: skip


# How far each image is changed. By the values of their pixels, sorted, all plain images are found again in the public
# dataset, half of these: less than what the network reaches without pre-training, so that it is no gain.
WARP, SHADE = 0.3, 0.2


@dataclass(frozen=True)
class Semi:
    """How the trained check goes on one dataset. Input masking makes the pre-training a denoising one."""

    widths: tuple[int, ...]
    pretrain_epochs: int
    finetune_epochs: int
    batch_size: int
    lr: float
    train_size: int
    draws: int = 5
    drop_prob: float = 0.7
    test_size: int = 5000


BUDGETS = {
    "digits": Semi((784, 256, 128, 64), 20, 12, 32, 1e-3, 1437),
    "mnist": Semi((784, 512, 256, 128), 10, 30, 64, 1e-3, 20_000),
}


@dataclass(frozen=True)
class Task:
    """Images in another order of pixels, digits under other numbers, and all labels but 100 hidden."""

    plan: Semi
    train: Tensor
    train_y: Tensor
    test: Tensor
    test_y: Tensor
    subsets: tuple[Tensor, ...]

    def labels(self, draw: int) -> Tensor:
        """-1 except on the 100 rows of this draw."""
        labels = torch.full((len(self.train),), -1)
        labels[self.subsets[draw]] = self.train_y[self.subsets[draw]]
        return labels

    def right(self, seen: Tensor) -> float:
        """Share of held-out images on which these are the classes."""
        return float((seen == self.test_y).double().mean())

    @property
    def guess(self) -> float:
        """Share of held-out images of the commonest digit."""
        return float(self.test_y.bincount().max() / len(self.test_y))


def disguise(ctx: Context, plan: Semi) -> Task:
    """The dataset as the worker gets to see it in this run."""
    data, look, numbers = ctx.data, any_order(ctx), torch.randperm(10, generator=ctx.rng)

    def drawn(count: int, size: int) -> Tensor:
        return torch.randperm(min(count, size), generator=ctx.rng)

    def shown(images: Tensor) -> Tensor:
        shade = torch.exp(ctx.rand(len(images), 1, 1, 1, low=-SHADE, high=SHADE, dtype=torch.float32))
        return look.shown(warped(to_float(images), ctx.rng, WARP) ** shade)

    train, test = drawn(len(data.train_x), plan.train_size), drawn(len(data.test_x), plan.test_size)
    place = train.argsort()  # where a row of the file has gone
    return Task(
        plan,
        (255 * shown(data.train_x[train])).round().to(torch.uint8),
        numbers[data.train_y[train]],
        shown(data.test_x[test]),
        numbers[data.test_y[test]],
        tuple(place[data.label_subset(draw)] for draw in range(plan.draws)),
    )


def network(ctx: Context, plan: Semi) -> Handle:
    """A fresh autoencoder on the session's device."""
    model = ctx.new(Probe("Autoencoder"), list(plan.widths), drop_prob=plan.drop_prob)
    ctx.session.call((model, "to"), ctx.session.device)
    return model


def share_right(ctx: Context, task: Task, logits_of: Handle, at: int | None = None) -> float:
    """Accuracy on held-out images, whose labels never entered the worker."""
    logits_of.eval()

    def logits(x: Tensor) -> Tensor:
        found = ctx.session.infer(logits_of, x)
        found = found if at is None else as_sequence(found, 2, "the model")[at]
        return as_tensor(found, (len(x), 10), "the logits")

    return task.right(torch.cat(in_chunks(logits, task.test)).argmax(1))


def without_stage(ctx: Context, task: Task, draw: int) -> float:
    """Accuracy of the same network with the labels of a draw alone, which the submission has no part in."""
    plan, rows = task.plan, task.subsets[draw]
    scratch = Plan(plan.widths, plan.finetune_epochs, plan.lr, plan.drop_prob)
    seen = from_scratch(scratch, to_float(task.train[rows]), task.train_y[rows], task.test, ctx.seed + draw)
    return task.right(seen)


def two_stage(ctx: Context, task: Task, autoencoder: Handle, draw: int, pretrain_epochs: int) -> float:
    """Accuracy of what train_two_stage makes of the autoencoder and the 100 labels of a draw."""
    plan = task.plan
    classifier = ctx.call(
        TWO_STAGE, autoencoder, Image8(task.train), task.labels(draw), plan.widths[-1], pretrain_epochs,
        plan.finetune_epochs, batch_size=plan.batch_size, lr=plan.lr, generator=Gen(ctx.seed + draw),
    )  # fmt: skip
    return share_right(ctx, task, classifier_of(ctx, classifier))


@declare(
    id="q7.trained.labels", question=7, kind="trained", points=2.75, visibility="public",
    title="100 labels: what pre-training gains",
    asks="with 100 labels, train_two_stage classifies held-out digits better than the same network without "
    "pre-training, on average over several choices of the 100",
    hint="Where do the weights of stage one go in stage two? Compare the accuracy with and without pre-training.",
    needs=("q7.twostage.rows", "q7.twostage.encoder"), parts=PARTS,
)  # fmt: skip
def trained_labels(ctx: Context) -> None:
    plan = BUDGETS[ctx.data.name]
    stand_in(ctx)
    task = disguise(ctx, plan)
    # fine-tuning leaves the autoencoder alone: pre-trained once, it serves all draws
    pretrained = network(ctx, plan)
    with_stage = [two_stage(ctx, task, pretrained, k, 0 if k else plan.pretrain_epochs) for k in range(plan.draws)]
    without = [without_stage(ctx, task, k) for k in range(plan.draws)]
    accuracy, baseline = sum(with_stage) / plan.draws, sum(without) / plan.draws
    ctx.exhibits.bars("Accuracy with 100 labels", f"{plan.draws} choices of the 100 labels: {baseline:.1%} on average "
                      f"without pre-training, {accuracy:.1%} with it",
                      {"labels alone": without, "your pre-training": with_stage})  # fmt: skip
    at_least(ctx, "accuracy", accuracy, f"mean accuracy with 100 labels ({baseline:.4g} without pre-training)",
             trivial=task.guess,
             hint="How many of the 100 labelled images does the classifier itself get right? Which weights has stage "
             "two moved?")  # fmt: skip
    at_least(ctx, "gain", accuracy - baseline, "its gain over the same network without pre-training", trivial=0.0,
             slack=0.5)  # fmt: skip


TRAINED: tuple[Check, ...] = (trained_labels,)
