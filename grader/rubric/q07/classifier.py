"""Classifiers on an encoder."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import as_tensor, expect, preserves
from ...check.failure import Failure
from ...check.values import Handle, Params, Probe, TorchRef
from ..shared.loops import asking
from .models import (
    CLASSIFIER,
    FINETUNE,
    JOINT,
    LATENT,
    SIDE,
    THE_FINE_TUNING,
    encoder_in,
    head_of,
    off_affine,
    stir_head,
    watched,
)

RUNNING = "Which numbers of a normalisation layer change without any gradient?"
BUFFERS = "Which layers have buffers: those of batch normalisation only?"


# ---- logits -----------------------------------------------------------------------------------------------------


def expect_affine(codes: Tensor, logits: Tensor, recon: Tensor, what: str, hint: str, note: str = "") -> None:
    """Logits are W·code + b of these codes. Where they are not, what else they are says more than the distance."""
    spread = float(logits.std(0).mean())
    # float32: logits that no image moves are equal up to rounding
    expect(spread > 1e-4, f"{what} are the same for every image", "different logits for different images",
           f"a spread of {spread:.2g}", hint="On its way from the image to the logits, where is the image "
           "lost?")  # fmt: skip
    apart = off_affine(codes, logits)
    # float32 leaves about 1e-6; an encoder with other weights, or a softmax, more than 1e-3
    if apart < 1e-3:
        return
    between = "What stands between the code and the head, and what may a code be that it cannot be afterwards?"
    last = "What comes after the head: are these numbers logits?"
    others = {
        "relu(z)": (codes.relu(), between), "sigmoid(z)": (codes.sigmoid(), between),
        "tanh(z)": (codes.tanh(), between),
        "z / |z|": (torch.nn.functional.normalize(codes), between), "z²": (codes.square(), between),
        "squashed pixels of x_recon": (recon.flatten(1).sigmoid(), "Which of the two does the head read: code or "
                                       "reconstruction?"),
        "the pixels of x_recon": (recon.flatten(1), "Which of the two does the head read: code or reconstruction?"),
    }  # fmt: skip
    sums = logits.double().sum(1)
    if bool(((sums - 1).abs() < 1e-4).all()) and float(logits.min()) >= 0:
        found, question = "the numbers of each row are not negative and add up to 1", last
    elif bool((logits.double().exp().sum(1) - 1).abs().max() < 1e-4):
        found, question = "the exponentials of each row add up to 1", last
    elif float(logits.min()) >= 0 and bool((logits == 0).any()):
        found, question = "none of them is negative, and many are 0", last
    else:
        fitting = [name for name, (other, _) in others.items() if off_affine(other, logits) < 1e-3]
        found = (
            f"they are affine in {fitting[0]}" if fitting else f"{apart:.2g} of their spread is left unexplained{note}"
        )
        question = others[fitting[0]][1] if fitting else hint
    raise Failure(f"{what} are not W·z + b of the code z of the autoencoder given", "an affine function of the code z",
                  found, hint=question)  # fmt: skip


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
    for classes, kwargs, corruption in ((10, {}, 0.0), (3, {"num_classes": 3}, 1.0)):
        autoencoder = watched(ctx, corruption=corruption).eval()
        given = autoencoder.state()
        with asking("What does a classifier need to know of an autoencoder, besides encode and latent_dim?"):
            classifier = ctx.new(CLASSIFIER, autoencoder, LATENT, **kwargs).eval()
            logits = ctx.call(classifier, ctx.images(7, SIDE))
        asked = f", asked for with num_classes={classes}" if kwargs else ", by default"
        as_tensor(logits, (7, classes), f"the logits of {classes} classes{asked}", dtype=torch.float32,
                  hint="Where does the number of logits come from?" if isinstance(logits, Tensor) and logits.ndim == 2
                  and logits.dtype == torch.float32 else "")  # fmt: skip
        stir_head(ctx, classifier, given)
        x = ctx.images(60, SIDE)
        codes, recon = autoencoder.call("encode", x), autoencoder(x)[0]
        logits = as_tensor(preserves(ctx, classifier, x), (60, classes), "the logits")
        state = classifier.state()
        fresh = not any(
            torch.equal(value, own) for own in given.values() for value in state.values() if own.ndim > 1
        )  # fmt: skip
        hint = "Of which code are your outputs a linear function, and are they logits or probabilities?"
        if fresh:
            hint = "Does the classifier start from the weights that you hand in, or from new ones?"
        elif corruption:
            hint = "Which method gives the code of the image as it is, if noise is part of training?"
        note = "; no weights of the classifier are those of the autoencoder given" if fresh else ""
        noisy = " of an autoencoder whose forward adds noise" if kwargs else ""
        expect_affine(codes, logits, recon, f"the logits{noisy}", hint, note)


# ---- a copy -----------------------------------------------------------------------------------------------------


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
        frozen = [name for name, needs in autoencoder.parameters().items() if not needs]
        expect(not frozen, f"building a classifier with freeze={freeze} freezes the autoencoder given",
               "its parameters require gradients, as before", f"not {', '.join(frozen)}",
               hint="Whose requires_grad do you switch off: that of the copy?")  # fmt: skip
        expect(autoencoder.get("training") is True,
               f"building a classifier with freeze={freeze} changes the mode of the autoencoder given",
               "training mode, as before", "evaluation mode", hint="Whose mode do you change: that of the "
               "copy?")  # fmt: skip
        stir_head(ctx, classifier, before)
        optimizer = ctx.new(TorchRef("optim.SGD"), Params(classifier), lr=0.5)
        classifier.train()
        for _ in range(2 if any(classifier.parameters().values()) else 0):
            ctx.call(Probe("plain_step"), classifier, images, optimizer)
        after = autoencoder.state()
        moved = [name for name, old in before.items() if not torch.equal(after[name], old)]
        weights = set(moved) & set(autoencoder.parameters())
        expect(not moved, f"training the classifier (freeze={freeze}) changes "
               f"{'weights' if weights else 'buffers'} of the autoencoder given", "no change", ", ".join(moved),
               hint="Who else holds the encoder whose weights your optimizer moves? How deep does your way of copying "
               "go?")  # fmt: skip
        expect(autoencoder.get("training") is True,
               f"training a classifier with freeze={freeze} changes the mode of the autoencoder given",
               "training mode, as before", "evaluation mode", hint="Whose mode do you change: that of the "
               "copy?")  # fmt: skip
        classifier.eval()
        logits = as_tensor(ctx.call(classifier, images), None, "the logits")
        autoencoder.load({name: torch.zeros_like(value) for name, value in before.items()})
        again = as_tensor(ctx.call(classifier, images), None, "the logits")
        expect(torch.equal(logits, again), "the classifier changes when the autoencoder given does",
               "the same logits: it has a copy", "others: it shares weights or buffers",
               hint="What of the autoencoder does the classifier still look at after it was built?")  # fmt: skip


# ---- frozen and not ---------------------------------------------------------------------------------------------


def changed_in(classifier: Handle, given: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> list[str]:
    """Weights and buffers of the classifier's encoder that are not what they were in its state `start`."""
    now = classifier.state()
    return [name for name in encoder_in(now, given) if not torch.equal(now[name], start[name])]


def expect_held(
    classifier: Handle, given: Mapping[str, Tensor], start: Mapping[str, Tensor], asked: Mapping[str, bool], after: str,
    new: str = "",
) -> None:  # fmt: skip
    """Nothing of the frozen encoder has changed; `asked` says what required gradients before, `new` a question."""
    moved = changed_in(classifier, given, start)
    asks = classifier.parameters()
    weights = [name for name in moved if name in asks]
    if weights:
        did = [name for name in weights if asked.get(name)]
        now = [name for name in weights if asks.get(name)]
        hint = "Who moves a weight: what tells an optimizer to leave one alone?"
        if now and not did:
            hint = "The encoder was frozen when it came to finetune: which parameters does finetune train?"
        raise Failure(
            f"with freeze=True, weights of the encoder have changed after {after}", "no change",
            f"{', '.join(weights)}; of these {len(did)} required gradients when the classifier was built, and "
            f"{len(now)} do now", hint=hint,
        )  # fmt: skip
    other = all(".tally." in f".{name}" for name in moved)
    expect(not moved, f"with freeze=True, buffers of the encoder have changed after {after}", "no change",
           ", ".join(moved), hint=new or (BUFFERS if other else RUNNING))  # fmt: skip


@declare(
    id="q7.classifier.freeze", question=7, kind="property", points=0.75, visibility="public",
    title="Frozen and fine-tuned encoders",
    asks="with freeze no weight and no buffer of the encoder changes while the head trains, also in training mode and "
    "in that of a new classifier; without it the encoder moves too",
    hint=f"Compare the codes before and after. {RUNNING}",
    needs=(), parts=(THE_FINE_TUNING,),
)  # fmt: skip
def classifier_freeze(ctx: Context) -> None:
    images, x = ctx.images(24, SIDE), ctx.images(60, SIDE)
    labels = ctx.randint(0, 3, 24)
    # running statistics show a frozen encoder that moves without gradients, and would hide one that has none
    for freeze, batch_norm in ((True, False), (True, True), (False, False)):
        autoencoder = watched(ctx, batch_norm=batch_norm)
        given = autoencoder.state()
        if freeze:
            passes_only(ctx, autoencoder, given, images)
        classifier = ctx.new(CLASSIFIER, autoencoder, LATENT, num_classes=3, freeze=freeze)
        stir_head(ctx, classifier, given)
        asked, head = classifier.parameters(), head_of(classifier, given)
        start = classifier.state()
        classifier.train()
        with asking("Which parameters are left to train when the encoder is frozen?"):
            ctx.call(FINETUNE, classifier, images, labels, 4, batch_size=8, lr=0.05)
        if freeze:
            expect_held(classifier, given, start, asked, "finetune")
        now = classifier.state()
        # under the names of the autoencoder, or else by the codes that the logits are made of
        named = bool(encoder_in(now, given))
        if named and head:
            expect(any(not torch.equal(now[name], start[name]) for name in head),
                   f"with freeze={freeze}, the head does not learn in finetune", "other weights of the head",
                   "the same",
                   hint="Which parameters does finetune train, and does a gradient reach them?")  # fmt: skip
        elif freeze:
            codes = autoencoder.eval().call("encode", x)
            apart = off_affine(codes, as_tensor(ctx.call(classifier.eval(), x), None, "the logits"))
            # float32: what least squares leave of logits that are affine in the code
            expect(apart < 1e-3, "with freeze=True, the encoder has changed after finetune",
                   "logits that are affine in the code it was given with",
                   f"{apart:.2g} of their spread is left unexplained",
                   hint=f"Compare the codes before and after. {RUNNING}")  # fmt: skip
        if not freeze:
            encoder_learns(ctx, autoencoder, classifier, given, start, asked, x)


def passes_only(ctx: Context, autoencoder: Handle, given: Mapping[str, Tensor], images: Tensor) -> None:
    """A forward pass alone must not move running statistics: of a new classifier, and of one in training mode."""
    told, new = (ctx.new(CLASSIFIER, autoencoder, LATENT, num_classes=3, freeze=True) for _ in range(2))
    start = told.state()
    ctx.call(told.train(), images)
    expect_held(told, given, start, told.parameters(), "a forward pass in training mode")
    start = new.state()
    ctx.call(new, images)
    expect_held(new, given, start, new.parameters(), "the first forward pass of a new classifier",
                "In which mode is a classifier that was just built, and when does the encoder hear that it is "
                "frozen?")  # fmt: skip


def encoder_learns(
    ctx: Context, autoencoder: Handle, classifier: Handle, given: Mapping[str, Tensor], start: Mapping[str, Tensor],
    asked: Mapping[str, bool], x: Tensor,
) -> None:  # fmt: skip
    """Without freeze the encoder moves too."""
    codes = autoencoder.eval().call("encode", x)
    logits = as_tensor(ctx.call(classifier.eval(), x), None, "the logits")
    named = encoder_in(classifier.state(), given)
    weights = [name for name, own in named.items() if own.startswith("narrow")]
    if named and set(weights) & set(changed_in(classifier, given, start)):
        return
    if not named and off_affine(codes, logits) > 3e-3:
        return
    able = [name for name in weights if asked.get(name)]
    reached = []
    if able:
        grads = ctx.session.vjp(classifier, x, params=[classifier]).params[0]
        reached = [name for name in able if grads.get(name) is not None]
    hint = "Is the encoder among what your optimizer holds?"
    if named and not able:
        hint = "Whom does freeze=False leave free to move?"
    elif named and not reached:
        hint = "How far back does the gradient of the logits go?"
    raise Failure(
        "with freeze=False, the encoder does not learn in finetune, though the head does",
        "other weights of the encoder",
        f"the same: {len(able)} of its {len(weights)} parameters require gradients, a gradient of the logits reaches "
        f"{len(reached)}" if named else "the same code", hint=hint,
    )  # fmt: skip


# ---- precision and device ---------------------------------------------------------------------------------------


@declare(
    id="q7.classifier.dtype", question=7, kind="property", points=0.25, visibility="hidden",
    title="The head follows the encoder: precision and device",
    asks="EncoderClassifier and JointModel on a float64 autoencoder take float64 images and return float64 logits; on "
    "a GPU they take images there and return logits there",
    hint="In which precision is a new layer created, and in which are the codes?",
    needs=(),
)  # fmt: skip
def classifier_dtype(ctx: Context) -> None:
    for target, name in ((CLASSIFIER, "EncoderClassifier"), (JOINT, "JointModel")):
        x = ctx.images(5, SIDE, torch.float64)
        with asking("In which precision is a new layer created, and in which are the codes?"):
            found = ctx.call(ctx.new(target, watched(ctx).double(), LATENT, num_classes=4), x)
        outputs = found if isinstance(found, list | tuple) else [found]
        # which output is which is asked elsewhere
        for logits in (part for part in outputs if isinstance(part, Tensor) and part.shape == (5, 4)):
            as_tensor(logits, (5, 4), f"the logits of {name} on a float64 autoencoder", dtype=torch.float64,
                      hint="In which precision is a new layer created, and in which are the codes?")  # fmt: skip
        # moved as a whole, as `.to(device)` does: what it makes in a forward pass has to follow
        expect_on_device(ctx, name, ctx.new(target, watched(ctx), LATENT), x.float())
