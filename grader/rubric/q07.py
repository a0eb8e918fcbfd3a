"""Question 7: classifiers on an encoder, the losses for partly labelled batches, and accuracy.

The autoencoder is `probes.Watched`: one tanh layer, so that "the encoder is unchanged" can be seen in the logits alone:
they are an affine function of the codes that the autoencoder given computes. The pipelines are in `q07_pipelines`.
"""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st
from torch import Tensor

from ..boundary import Params, Probe, TorchRef
from ..cases import random, seeds, sizes, tensor_of
from ..checks import FLOAT32, FLOAT64, Check, Failure, Question, declare
from ..context import Context
from . import q07_pipelines, q07_trained
from .q07_pipelines import (
    ACCURACY,
    CLASSIFIER,
    FINETUNE,
    JOINT,
    LATENT,
    PIXELS,
    SIDE,
    cross_entropy,
    off_affine,
    stand_in,
    watched,
)  # fmt: skip

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


# ---- the classifier on an encoder -------------------------------------------------------------------------------


@declare(
    id="q7.classifier.logits", question=7, kind="property", points=0.5, visibility="public",
    title="A linear head on the code",
    asks="EncoderClassifier returns logits (B, num_classes), an affine function of the code of the autoencoder that "
    "was given, with its weights",
    hint="Does the classifier start from the weights that you hand in, or from new ones? Are your outputs logits or "
    "probabilities?",
    needs=(),
)  # fmt: skip
def classifier_logits(ctx: Context) -> None:
    for classes, kwargs in ((10, {}), (3, {"num_classes": 3})):
        autoencoder = watched(ctx).eval()
        classifier = ctx.new(CLASSIFIER, autoencoder, LATENT, **kwargs).eval()
        ctx.tensor(ctx.call(classifier, ctx.images(7, SIDE)), (7, classes), "the logits", dtype=torch.float32)
        x = ctx.images(60, SIDE)
        codes, logits = (
            autoencoder.call("encode", x),
            ctx.tensor(ctx.preserves(classifier, x), (60, classes), "the logits"),
        )
        spread = float(logits.std(0).mean())
        ctx.expect(spread > 1e-4, "the logits do not depend on the image", "different logits", f"spread {spread:.2g}")
        apart = off_affine(codes, logits)
        # float32 leaves about 1e-6; an encoder with other weights, or a softmax, more than 1e-2
        ctx.expect(
            apart < 1e-3,
            "the logits are not W·encode(x) + b with the encoder given",
            "an affine function of the code",
            f"{apart:.2g} of their spread is left unexplained",
        )


@declare(
    id="q7.classifier.copy", question=7, kind="property", points=0.75, visibility="public",
    title="The autoencoder stays as it is",
    asks="EncoderClassifier works on a copy: neither building it, frozen or not, nor training it changes the "
    "autoencoder given: no weight, no buffer, no mode, no requires_grad",
    hint="Who else holds the encoder whose weights your optimizer moves? What does an assignment copy in Python?",
    needs=(),
)  # fmt: skip
def classifier_copy(ctx: Context) -> None:
    images = ctx.images(20, SIDE)
    for freeze in (False, True):
        autoencoder = watched(ctx, batch_norm=True)
        before = autoencoder.state()
        classifier = ctx.new(CLASSIFIER, autoencoder, LATENT, num_classes=3, freeze=freeze)
        asks = autoencoder.parameters()
        ctx.expect(
            all(asks.values()),
            f"building a classifier (freeze={freeze}) freezes the autoencoder given",
            "every parameter requires a gradient",
            [name for name, needs in asks.items() if not needs],
        )
        optimizer = ctx.new(TorchRef("optim.SGD"), Params(classifier), lr=0.5)
        classifier.train()
        for _ in range(2):
            ctx.call(Probe("plain_step"), classifier, images, optimizer)
        after = autoencoder.state()
        moved = [name for name, old in before.items() if not torch.equal(after[name], old)]
        ctx.expect(
            not moved,
            f"training the classifier (freeze={freeze}) changes the autoencoder given",
            "no change",
            ", ".join(moved),
        )
        ctx.expect(
            autoencoder.get("training") is True,
            f"a classifier (freeze={freeze}) changes the mode of the autoencoder given",
            "training",
            "evaluation",
        )
        classifier.eval()
        logits = ctx.tensor(ctx.call(classifier, images), None, "the logits")
        autoencoder.load({name: torch.zeros_like(value) for name, value in before.items()})
        again = ctx.tensor(ctx.call(classifier, images), None, "the logits")
        ctx.expect(
            torch.equal(logits, again),
            "the classifier changes when the autoencoder given does",
            "a copy of the encoder",
            "shared weights",
        )


@declare(
    id="q7.classifier.freeze", question=7, kind="property", points=0.75, visibility="public",
    title="Frozen and fine-tuned encoders",
    asks="with freeze no weight and no buffer of the encoder changes while the head trains, also in training mode; "
    "without it the encoder moves too",
    hint="Compare the codes before and after. Which numbers of a normalisation layer change without any gradient?",
    needs=("q7.classifier.logits",),
)  # fmt: skip
def classifier_freeze(ctx: Context) -> None:
    images, x = ctx.images(24, SIDE), ctx.images(60, SIDE)
    labels = ctx.randint(0, 3, 24)
    # running statistics show a frozen encoder that moves without gradients, and would hide one that has none
    for freeze, batch_norm in ((True, False), (True, True), (False, False)):
        autoencoder = watched(ctx, batch_norm=batch_norm)
        codes = autoencoder.eval().call("encode", x)
        autoencoder.train()
        classifier = ctx.new(CLASSIFIER, autoencoder, LATENT, num_classes=3, freeze=freeze)
        before = ctx.call(classifier.eval(), x)
        classifier.train()
        ctx.call(classifier, images)  # a forward pass alone must not move running statistics either
        if batch_norm:
            ctx.matches(
                ctx.call(classifier.eval(), x),
                before,
                FLOAT32,
                "the frozen classifier after a forward pass in training mode",
                hint="Which numbers of a normalisation layer change without any gradient?",
            )
            classifier.train()
        ctx.call(FINETUNE, classifier, images, labels, 4, batch_size=8, lr=0.05)
        after = ctx.tensor(ctx.call(classifier.eval(), x), (60, 3), "the logits")
        moved = float((after - before).abs().max())
        ctx.expect(moved > 1e-3, "the head does not learn", "other logits after fine-tuning", f"moved by {moved:.2g}")
        apart = off_affine(codes, after)
        if freeze:
            ctx.expect(
                apart < 1e-3,
                "the frozen encoder has changed",
                "logits that are affine in the code it was given with",
                f"{apart:.2g} of their spread is left unexplained",
            )
        else:
            ctx.expect(
                apart > 3e-3,
                "the encoder does not learn though it is not frozen",
                "a code that has changed",
                "the same code",
            )


@declare(
    id="q7.classifier.dtype", question=7, kind="property", points=0.25, visibility="hidden",
    title="The head follows the encoder's precision",
    asks="EncoderClassifier and JointModel on a float64 autoencoder take float64 images and return float64 logits",
    hint="In which precision is a new layer created, and in which are the codes?",
    needs=(),
)  # fmt: skip
def classifier_dtype(ctx: Context) -> None:
    x = ctx.images(5, SIDE, torch.float64)
    classifier = ctx.new(CLASSIFIER, watched(ctx).double(), LATENT, num_classes=4)
    ctx.tensor(ctx.call(classifier, x), (5, 4), "the logits in float64", dtype=torch.float64)
    both = ctx.sequence(ctx.call(ctx.new(JOINT, watched(ctx).double(), LATENT, num_classes=4), x), 2, "JointModel")
    ctx.tensor(both[1], (5, 4), "the joint model's logits in float64", dtype=torch.float64)


@declare(
    id="q7.joint.model", question=7, kind="property", points=0.5, visibility="public",
    title="The joint model",
    asks="JointModel returns (x_recon, logits): the reconstruction of the autoencoder itself, and logits (B, "
    "num_classes) that are an affine function of the same code; the code is computed once",
    hint="A denoising encoder gives another code each time it is asked: do your two outputs come from the same one?",
    needs=(),
)  # fmt: skip
def joint_model(ctx: Context) -> None:
    autoencoder = watched(ctx)
    model = ctx.new(JOINT, autoencoder, LATENT, num_classes=3)
    model.eval()
    x = ctx.images(60, SIDE)
    for turn in ("", ", after the autoencoder has changed"):
        recon, codes = autoencoder(x)
        known = len(autoencoder.get("calls"))
        found = ctx.sequence(ctx.preserves(model, x), 2, "JointModel")
        ctx.expect(
            len(autoencoder.get("calls")) == known + 1,
            "the code is not computed once for both outputs",
            "1 pass through the encoder",
            f"{len(autoencoder.get('calls')) - known} passes",
        )
        ctx.matches(found[0], recon, FLOAT32, f"x_recon{turn}")
        logits = ctx.tensor(found[1], (60, 3), f"the logits{turn}", dtype=torch.float32)
        ctx.expect(
            float(logits.std(0).mean()) > 1e-4, "the logits do not depend on the image", "different logits", "one value"
        )
        apart = off_affine(codes, logits)
        ctx.expect(
            apart < 1e-3,
            f"the logits are no affine function of the code{turn}",
            "W·z + b",
            f"{apart:.2g} of their spread is left unexplained",
        )
        state = autoencoder.state()
        autoencoder.load({name: 1.5 * value + 0.1 for name, value in state.items()})
    for at, what in enumerate(("x_recon", "the logits")):
        slope = ctx.session.vjp(model, x, wrt=(0,), cotangents=[((at,), None)]).args[0]
        ctx.expect(slope is not None and bool(slope.any()), f"no gradient goes from {what} to the encoder",
                   "a gradient from each output", "none", hint="Should the labels shape the code?")  # fmt: skip
    default = ctx.sequence(ctx.call(ctx.new(JOINT, watched(ctx), LATENT), ctx.images(4, SIDE)), 2, "JointModel")
    ctx.tensor(default[1], (4, 10), "the logits by default")


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
    asks="accuracy runs in evaluation mode without gradients, in batches of batch_size, changes nothing in the model "
    "and gives it its former mode back",
    hint="In which mode was the model before, in which is it afterwards, and in which should it answer?",
    needs=(),
)  # fmt: skip
def accuracy_state(ctx: Context) -> None:
    inner = [
        ctx.new(TorchRef("nn.Flatten")),
        ctx.new(TorchRef("nn.BatchNorm1d"), PIXELS),
        ctx.new(TorchRef("nn.Dropout")),
    ]
    model = ctx.new(Probe("Recorder"), ctx.new(TorchRef("nn.Sequential"), *inner))
    before = model.state()
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
    ctx.expect(not any(call["grad"] for call in calls), "gradients are recorded", "off", "on")
    ctx.expect(
        max(call["rows"] for call in calls) <= 4,
        "a batch is larger than batch_size",
        4,
        max(call["rows"] for call in calls),
    )
    after = model.state()
    ctx.expect(
        all(torch.equal(after[name], old) for name, old in before.items()),
        "accuracy changes the model",
        "no change",
        "other running statistics",
    )


CHECKS: tuple[Check, ...] = (
    classifier_logits, classifier_copy, classifier_freeze, classifier_dtype, joint_model, loss_value, loss_unlabelled,
    jointloss_value, loss_gradient, accuracy_value, accuracy_state, *q07_pipelines.CHECKS, *q07_trained.TRAINED,
)  # fmt: skip

QUESTION = Question(
    number=7, title="Semi-supervised learning", points=14.0, modules=("semi_supervised",), checks=CHECKS
)
