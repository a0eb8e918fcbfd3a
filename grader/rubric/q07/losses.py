"""The losses for partly labelled batches."""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import random, seeds, sizes, tensor_of
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import matches, preserves, raises
from ...check.failure import FLOAT32, FLOAT64, Failure
from ...check.forall import forall
from ...check.gradients import gradient_matches
from .pipelines import SIDE, cross_entropy, stand_in

CLASSIFICATION, JOINT_LOSS = "semi_supervised.classification_loss", "semi_supervised.joint_loss"


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Logits and labels, of which at least one is given and any number is not."""
    rows, classes = draw(sizes(1, 6)), draw(sizes(2, 4))
    logits = tensor_of(draw, (rows, classes), -8.0, 8.0)
    labels = draw(st.lists(st.integers(-1, classes - 1), min_size=rows, max_size=rows))
    labels[draw(st.integers(0, rows - 1))] = draw(st.integers(0, classes - 1))
    return logits, torch.tensor(labels)


def some_labels(ctx: Context, rows: int, classes: int) -> Tensor:
    """Labels of which about half are missing, but neither all nor none."""
    labels = ctx.randint(0, classes, rows)
    missing = ctx.rand(rows) < 0.5
    missing[0], missing[1] = True, False
    labels[missing] = -1
    return labels


@declare(
    id="q7.loss.value", question=7, kind="property", points=0.75, visibility="public",
    title="Classification loss: value",
    asks="classification_loss is the cross-entropy averaged over the rows with a label other than -1, for logits of "
    "any size",
    hint="Ten rows, two of them labelled: by how many do you divide? What does a row without a label add?",
    needs=(),
)  # fmt: skip
def loss_value(ctx: Context) -> None:
    def body(batch: tuple[Tensor, Tensor]) -> None:
        logits, labels = batch
        value, wanted = preserves(ctx, CLASSIFICATION, logits, labels), cross_entropy(logits, labels)
        hint = ""
        if isinstance(value, Tensor) and value.ndim == 0 and bool((labels == -1).any()):
            share = float((labels != -1).double().mean())
            if math.isclose(float(value), share * float(wanted), rel_tol=1e-6):
                hint = "By how many rows do you divide when only some have a label?"
        matches(ctx, value, wanted, FLOAT64, "the loss", hint=hint)

    forall(ctx, body, batch=batches(), examples=30)
    logits, labels = 500 * ctx.randn(40, 10, dtype=torch.float32), some_labels(ctx, 40, 10)
    matches(
        ctx,
        ctx.call(CLASSIFICATION, logits, labels),
        cross_entropy(logits, labels),
        FLOAT32,
        "the loss of large logits",
    )


@declare(
    id="q7.loss.unlabelled", question=7, kind="property", points=0.75, visibility="public",
    title="Classification loss: rows without a label",
    asks="rows without a label add nothing to the loss and get no gradient; a batch without any label has loss 0 and a "
    "gradient of zeros, in float32 and float64",
    hint="What is the mean of no numbers? What does the optimizer do with it?",
    needs=(),
)  # fmt: skip
def loss_unlabelled(ctx: Context) -> None:
    for dtype in (torch.float64, torch.float32):
        logits, labels = ctx.randn(5, 3, dtype=dtype), torch.full((5,), -1)
        found = ctx.session.vjp(CLASSIFICATION, logits, labels, wrt=(0,))
        matches(ctx, found.value, logits.new_zeros(()), FLOAT64, "the loss of a batch without labels")
        if found.args[0] is None:
            raise Failure(
                "the loss of a batch without labels is cut off from the logits", "a gradient of zeros", "None"
            )
        matches(ctx, found.args[0], torch.zeros_like(logits), FLOAT64, "the gradient of a batch without labels")
    logits, labels = ctx.randn(9, 4), some_labels(ctx, 9, 4)
    found = ctx.session.vjp(CLASSIFICATION, logits, labels, wrt=(0,))
    given = labels != -1
    rows = logits.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(cross_entropy(rows, labels), rows)
    matches(ctx, found.args[0], wanted, FLOAT64, "the gradient of a partly labelled batch")
    other = torch.where(given.unsqueeze(1), logits, 5 * ctx.randn(9, 4))
    matches(
        ctx, ctx.call(CLASSIFICATION, other, labels), found.value, FLOAT64, "the loss after changing unlabelled rows"
    )


@declare(
    id="q7.loss.gradient", question=7, kind="gradient", points=0.5, visibility="hidden",
    title="Gradients of both losses",
    asks="the gradients of classification_loss and joint_loss are those of their values",
    hint="Is anything in your loss detached, rounded or turned into a Python number on the way?",
    needs=(),
)  # fmt: skip
def loss_gradient(ctx: Context) -> None:
    stand_in(ctx)
    logits, labels = ctx.randn(6, 3), some_labels(ctx, 6, 3)
    gradient_matches(ctx, CLASSIFICATION, logits, labels, wrt=(0,), what="the gradient of classification_loss")
    x_recon, x = ctx.images(6, SIDE, torch.float64), ctx.images(6, SIDE, torch.float64)
    gradient_matches(ctx, JOINT_LOSS, x_recon, x, logits, labels, 0.7, wrt=(0, 2), what="the gradient of joint_loss")


@declare(
    id="q7.jointloss.value", question=7, kind="property", points=0.75, visibility="public",
    title="Joint loss: value",
    asks="joint_loss is the reconstruction loss of all rows plus alpha times the classification loss of the labelled "
    "ones, linear in alpha; it stays finite without labels, and a negative alpha is a ValueError",
    hint="Set alpha to 0: which term should be left? Which rows does each of the two terms look at?",
    needs=(),
)  # fmt: skip
def jointloss_value(ctx: Context) -> None:
    stand_in(ctx)

    def body(alpha: float, rows: int, seed: int, none: bool) -> None:
        x_recon, x = random(seed, rows, 1, 3, 3, low=0.0), random(seed + 1, rows, 1, 3, 3, low=0.0)
        logits = 2 * random(seed + 2, rows, 4)
        labels = torch.randint(-1, 4, (rows,), generator=torch.Generator().manual_seed(seed))
        labels = torch.full_like(labels, -1) if none else labels
        recon, classes = (x_recon - x).square().flatten(1).sum(1).mean(), cross_entropy(logits, labels)
        value = preserves(ctx, JOINT_LOSS, x_recon, x, logits, labels, alpha)
        hint = ""
        if isinstance(value, Tensor) and value.ndim == 0 and alpha != 1 and float(classes) > 0:
            if math.isclose(float(value), float(alpha * recon + classes), rel_tol=1e-6):
                hint = "Which of the two terms should vanish at alpha = 0?"
            elif math.isclose(float(value), float((1 - alpha) * recon + alpha * classes), rel_tol=1e-6):
                hint = "What does alpha = 0 leave of the reconstruction, and what does alpha = 1?"
        matches(ctx, value, recon + alpha * classes, FLOAT64, "joint_loss", hint=hint)

    alphas = st.sampled_from([0.0, 0.3, 1.0, 2.5, 40.0])
    forall(ctx, body, alpha=alphas, rows=sizes(1, 6), seed=seeds(), none=st.booleans(), examples=30)
    images, logits = ctx.images(3, SIDE), ctx.randn(3, 4, dtype=torch.float32)
    raises(
        ctx,
        "ValueError",
        JOINT_LOSS,
        images,
        images,
        logits,
        torch.tensor([0, -1, 2]),
        -0.5,
        names="alpha",
        case="joint_loss with alpha = -0.5",
    )
