"""Question 7, first part: classifiers on an encoder, alone and together with its decoder.

The autoencoder is `probes.Watched`: one tanh layer, so that "the encoder is unchanged" can be seen in the logits alone:
they are an affine function of the codes that the autoencoder given computes. Heads get random weights first: they may
start at zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves
from ...check.failure import FLOAT32, Failure
from ...check.values import Handle, Params, Probe, StudentRaised, TorchRef
from .pipelines import CLASSIFIER, FINETUNE, JOINT, LATENT, SIDE, encoder_in, off_affine, stir_head, watched

RUNNING = "Which numbers of a normalisation layer change without any gradient?"
BUFFERS = "Which layers have buffers: those of batch normalisation only?"


@declare(
    id="q7.classifier.logits", question=7, kind="property", points=0.5, visibility="public",
    title="A linear head on the code",
    asks="EncoderClassifier returns logits (B, num_classes), an affine function of the code of the autoencoder that "
    "was given, with its weights: of encode(x), not of what forward makes of x",
    hint="Does the classifier start from the weights that you hand in, or from new ones? Are your outputs logits or "
    "probabilities?",
    needs=(),
)  # fmt: skip
def classifier_logits(ctx: Context) -> None:
    # the second autoencoder's forward corrupts its images, as that of a denoising one may
    for classes, kwargs, corruption, hint in (
        (10, {}, 0.0, ""),
        (
            3,
            {"num_classes": 3},
            1.0,
            "Which method gives the code of the image as it is, if noise is part of training?",
        ),
    ):
        autoencoder = watched(ctx, corruption=corruption).eval()
        classifier = ctx.new(CLASSIFIER, autoencoder, LATENT, **kwargs).eval()
        as_tensor(ctx.call(classifier, ctx.images(7, SIDE)), (7, classes), "the logits", dtype=torch.float32)
        stir_head(ctx, classifier, autoencoder.state())
        x = ctx.images(60, SIDE)
        codes, logits = (
            autoencoder.call("encode", x),
            as_tensor(preserves(ctx, classifier, x), (60, classes), "the logits"),
        )
        spread = float(logits.std(0).mean())
        expect(spread > 1e-4, "the logits do not depend on the image", "different logits", f"spread {spread:.2g}")
        apart = off_affine(codes, logits)
        # float32 leaves about 1e-6; an encoder with other weights, or a softmax, more than 1e-2
        expect(
            apart < 1e-3,
            "the logits are not W·encode(x) + b with the encoder given",
            "an affine function of the code",
            f"{apart:.2g} of their spread is left unexplained",
            hint=hint,
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
        expect(
            all(asks.values()),
            f"building a classifier (freeze={freeze}) freezes the autoencoder given",
            "every parameter requires a gradient",
            [name for name, needs in asks.items() if not needs],
        )
        stir_head(ctx, classifier, before)
        optimizer = ctx.new(TorchRef("optim.SGD"), Params(classifier), lr=0.5)
        classifier.train()
        for _ in range(2):
            ctx.call(Probe("plain_step"), classifier, images, optimizer)
        after = autoencoder.state()
        moved = [name for name, old in before.items() if not torch.equal(after[name], old)]
        expect(
            not moved,
            f"training the classifier (freeze={freeze}) changes the autoencoder given",
            "no change",
            ", ".join(moved),
        )
        expect(
            autoencoder.get("training") is True,
            f"a classifier (freeze={freeze}) changes the mode of the autoencoder given",
            "training",
            "evaluation",
        )
        classifier.eval()
        logits = as_tensor(ctx.call(classifier, images), None, "the logits")
        autoencoder.load({name: torch.zeros_like(value) for name, value in before.items()})
        again = as_tensor(ctx.call(classifier, images), None, "the logits")
        expect(
            torch.equal(logits, again),
            "the classifier changes when the autoencoder given does",
            "a copy of the encoder",
            "shared weights",
        )


def expect_held(ctx: Context, classifier: Handle, given: Mapping[str, Tensor], after: str) -> None:
    """Every weight and buffer of the classifier's encoder is still what the autoencoder had when it was given."""
    now = classifier.state()
    moved = [name for name, own in encoder_in(now, given).items() if not torch.equal(now[name], given[own])]
    other = all(".tally." in f".{name}" for name in moved)
    expect(
        not moved,
        f"a weight or buffer of the frozen encoder has changed after {after}",
        "no change",
        ", ".join(moved),
        hint="" if set(moved) & set(classifier.parameters()) else BUFFERS if other else RUNNING,
    )


@declare(
    id="q7.classifier.freeze", question=7, kind="property", points=0.75, visibility="public",
    title="Frozen and fine-tuned encoders",
    asks="with freeze no weight and no buffer of the encoder changes while the head trains, also in training mode and "
    "in that of a new classifier; without it the encoder moves too",
    hint=f"Compare the codes before and after. {RUNNING}",
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
        given = autoencoder.state()
        classifier = ctx.new(CLASSIFIER, autoencoder, LATENT, num_classes=3, freeze=freeze)
        ctx.call(classifier, images)  # a forward pass alone must not move running statistics, whatever the first mode
        if freeze:
            expect_held(ctx, classifier, given, "a pass through a new classifier")
        stir_head(ctx, classifier, given)
        before = as_tensor(ctx.call(classifier.eval(), x), (60, 3), "the logits")
        classifier.train()
        ctx.call(classifier, images)
        if batch_norm:
            matches(
                ctx,
                ctx.call(classifier.eval(), x),
                before,
                FLOAT32,
                "the frozen classifier after a forward pass in training mode",
                hint=RUNNING,
            )
            classifier.train()
        ctx.call(FINETUNE, classifier, images, labels, 4, batch_size=8, lr=0.05)
        after = as_tensor(ctx.call(classifier.eval(), x), (60, 3), "the logits")
        moved = float((after - before).abs().max())
        expect(moved > 1e-3, "the head does not learn", "other logits after fine-tuning", f"moved by {moved:.2g}")
        apart = off_affine(codes, after)
        if freeze:
            expect_held(ctx, classifier, given, "training")
            expect(
                apart < 1e-3,
                "the frozen encoder has changed",
                "logits that are affine in the code it was given with",
                f"{apart:.2g} of their spread is left unexplained",
            )
        else:
            expect(
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
    as_tensor(ctx.call(classifier, x), (5, 4), "the logits in float64", dtype=torch.float64)
    both = as_sequence(ctx.call(ctx.new(JOINT, watched(ctx).double(), LATENT, num_classes=4), x), 2, "JointModel")
    as_tensor(both[1], (5, 4), "the joint model's logits in float64", dtype=torch.float64)


@declare(
    id="q7.joint.model", question=7, kind="property", points=0.5, visibility="public",
    title="The joint model",
    asks="JointModel returns (x_recon, logits): the reconstruction of the autoencoder itself, and logits (B, "
    "num_classes) that are an affine function of the same code, which is computed once; of any autoencoder with "
    "encode and forward",
    hint="A denoising encoder gives another code each time it is asked: do your two outputs come from the same one?",
    needs=(),
)  # fmt: skip
def joint_model(ctx: Context) -> None:
    autoencoder = watched(ctx)
    model = ctx.new(JOINT, autoencoder, LATENT, num_classes=3)
    model.eval()
    x = ctx.images(60, SIDE)
    ctx.call(model, x)
    stir_head(ctx, model, autoencoder.state())
    for turn in ("", ", after the autoencoder has changed"):
        recon, codes = autoencoder(x)
        known = len(autoencoder.get("calls"))
        found = as_sequence(preserves(ctx, model, x), 2, "JointModel")
        expect(
            len(autoencoder.get("calls")) == known + 1,
            "the code is not computed once for both outputs",
            "1 pass through the encoder",
            f"{len(autoencoder.get('calls')) - known} passes",
        )
        matches(ctx, found[0], recon, FLOAT32, f"x_recon{turn}")
        logits = as_tensor(found[1], (60, 3), f"the logits{turn}", dtype=torch.float32)
        expect(
            float(logits.std(0).mean()) > 1e-4, "the logits do not depend on the image", "different logits", "one value"
        )
        apart = off_affine(codes, logits)
        expect(
            apart < 1e-3,
            f"the logits are no affine function of the code{turn}",
            "W·z + b",
            f"{apart:.2g} of their spread is left unexplained",
        )
        state = autoencoder.state()
        autoencoder.load({name: 1.5 * value + 0.1 for name, value in state.items()})
    for at, what in enumerate(("x_recon", "the logits")):
        slope = ctx.session.vjp(model, x, wrt=(0,), cotangents=[((at,), None)]).args[0]
        expect(slope is not None and bool(slope.any()), f"no gradient goes from {what} to the encoder",
                   "a gradient from each output", "none", hint="Should the labels shape the code?")  # fmt: skip
    undecoded = ctx.new(JOINT, ctx.new(Probe("Undecoded"), watched(ctx)), LATENT)
    try:
        default = ctx.call(undecoded, ctx.images(4, SIDE))
    except StudentRaised as raised:
        raise Failure("JointModel cannot do with an autoencoder that has encode and forward only", "no exception",
                      f"{raised.kinds[0]}: {raised.message}",
                      hint="Which methods of an autoencoder may you count on?") from None  # fmt: skip
    as_tensor(as_sequence(default, 2, "JointModel")[1], (4, 10), "the logits by default")


CHECKS: tuple[Check, ...] = (classifier_logits, classifier_copy, classifier_freeze, classifier_dtype, joint_model)
