"""Question 7: the losses for partly labelled batches, and accuracy.

The classifiers on an encoder are in `classifier`, what trains them in `pipelines`.
"""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...boundary.session import Probe, TorchRef
from ...check.cases import random, seeds, sizes, tensor_of
from ...check.context import Context
from ...check.declaration import FLOAT32, FLOAT64, Check, Failure, Question, declare
from . import classifier as q07_classifier
from . import pipelines as q07_pipelines
from . import trained as q07_trained
from .pipelines import ACCURACY, PIXELS, SIDE, cross_entropy, stand_in

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


# ---- losses -----------------------------------------------------------------------------------------------------


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
        value, wanted = ctx.preserves(CLASSIFICATION, logits, labels), cross_entropy(logits, labels)
        hint = ""
        if isinstance(value, Tensor) and value.ndim == 0 and bool((labels == -1).any()):
            share = float((labels != -1).double().mean())
            if math.isclose(float(value), share * float(wanted), rel_tol=1e-6):
                hint = "By how many rows do you divide when only some have a label?"
        ctx.matches(value, wanted, FLOAT64, "the loss", hint=hint)

    ctx.forall(body, batch=batches(), examples=30)
    logits, labels = 500 * ctx.randn(40, 10, dtype=torch.float32), some_labels(ctx, 40, 10)
    ctx.matches(
        ctx.call(CLASSIFICATION, logits, labels), cross_entropy(logits, labels), FLOAT32, "the loss of large logits"
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
        ctx.matches(found.value, logits.new_zeros(()), FLOAT64, "the loss of a batch without labels")
        if found.args[0] is None:
            raise Failure(
                "the loss of a batch without labels is cut off from the logits", "a gradient of zeros", "None"
            )
        ctx.matches(found.args[0], torch.zeros_like(logits), FLOAT64, "the gradient of a batch without labels")
    logits, labels = ctx.randn(9, 4), some_labels(ctx, 9, 4)
    found = ctx.session.vjp(CLASSIFICATION, logits, labels, wrt=(0,))
    given = labels != -1
    rows = logits.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(cross_entropy(rows, labels), rows)
    ctx.matches(found.args[0], wanted, FLOAT64, "the gradient of a partly labelled batch")
    other = torch.where(given.unsqueeze(1), logits, 5 * ctx.randn(9, 4))
    ctx.matches(
        ctx.call(CLASSIFICATION, other, labels), found.value, FLOAT64, "the loss after changing unlabelled rows"
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
    ctx.gradient(CLASSIFICATION, logits, labels, wrt=(0,), what="the gradient of classification_loss")
    x_recon, x = ctx.images(6, SIDE, torch.float64), ctx.images(6, SIDE, torch.float64)
    ctx.gradient(JOINT_LOSS, x_recon, x, logits, labels, 0.7, wrt=(0, 2), what="the gradient of joint_loss")


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
        value = ctx.preserves(JOINT_LOSS, x_recon, x, logits, labels, alpha)
        hint = ""
        if isinstance(value, Tensor) and value.ndim == 0 and alpha != 1 and float(classes) > 0:
            if math.isclose(float(value), float(alpha * recon + classes), rel_tol=1e-6):
                hint = "Which of the two terms should vanish at alpha = 0?"
            elif math.isclose(float(value), float((1 - alpha) * recon + alpha * classes), rel_tol=1e-6):
                hint = "What does alpha = 0 leave of the reconstruction, and what does alpha = 1?"
        ctx.matches(value, recon + alpha * classes, FLOAT64, "joint_loss", hint=hint)

    alphas = st.sampled_from([0.0, 0.3, 1.0, 2.5, 40.0])
    ctx.forall(body, alpha=alphas, rows=sizes(1, 6), seed=seeds(), none=st.booleans(), examples=30)
    images, logits = ctx.images(3, SIDE), ctx.randn(3, 4, dtype=torch.float32)
    ctx.raises(
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


# ---- accuracy ---------------------------------------------------------------------------------------------------


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
        value = ctx.number(ctx.preserves(ACCURACY, model, images, labels, batch_size=batch), "accuracy")
        ctx.matches(value, float(right[labels != -1].double().mean()), FLOAT64, "accuracy")

    ctx.forall(body, rows=sizes(1, 14), batch=sizes(1, 9), seed=seeds(), examples=25)
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
        ctx.matches(value, wanted, FLOAT64, f"accuracy of a model with {count} outputs")
    ctx.raises(
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
        ctx.expect(
            model.get("training") is training,
            "the model does not get its former mode back",
            f"training = {training}",
            f"training = {model.get('training')}",
        )
    calls = model.get("calls")
    ctx.expect(
        not any(call["training"] for call in calls),
        "the model answers in training mode",
        "evaluation mode",
        "training mode",
    )
    # a copy whose parameters require none records no gradients either
    ctx.expect(not any(call["graph"] for call in calls), "gradients are recorded", "off", "on")
    ctx.leaves_gradients_on("accuracy")
    ctx.leaves_gradients_off(ACCURACY, model, ctx.images(5, SIDE), ctx.randint(0, 4, 5), batch_size=4)
    ctx.expect(model.parameters() == asks, "accuracy changes which parameters require a gradient", "the same as before",
               "others", hint="Which parameters required a gradient before you looked at the model?")  # fmt: skip
    largest = max((call["rows"] for call in calls), default=0)
    ctx.expect(largest <= 4, "a batch is larger than batch_size", 4, largest)
    after = model.state()
    ctx.expect(
        all(torch.equal(after[name], old) for name, old in before.items()),
        "accuracy changes the model",
        "no change",
        "other running statistics",
    )


CHECKS: tuple[Check, ...] = (
    *q07_classifier.CHECKS, loss_value, loss_unlabelled, jointloss_value, loss_gradient, accuracy_value, accuracy_state,
    *q07_pipelines.CHECKS, *q07_trained.TRAINED,
)  # fmt: skip

QUESTION = Question(
    number=7, title="Semi-supervised learning", points=14.0, modules=("semi_supervised",), checks=CHECKS
)
