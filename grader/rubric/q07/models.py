"""Names of what Question 7 asks for, models whose parts the grader knows, and what a linear head is.

The autoencoder is `probes.Watched`: one tanh layer, so that "the encoder is unchanged" can be seen in the logits alone:
they are an affine function of the codes that the autoencoder given computes. Heads get random weights first: they may
start at zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...check.context import Context
from ...check.expectations import as_handle, as_sequence, as_tensor
from ...check.parts import Part
from ...check.values import Handle, Probe

CLASSIFIER, JOINT = "semi_supervised.EncoderClassifier", "semi_supervised.JointModel"
ACCURACY, FINETUNE = "semi_supervised.accuracy", "semi_supervised.finetune"
TWO_STAGE, TRAIN_JOINT = "semi_supervised.train_two_stage", "semi_supervised.train_joint"
CLASSIFICATION, JOINT_LOSS = "semi_supervised.classification_loss", "semi_supervised.joint_loss"
SIDE, PIXELS, LATENT = 4, 16, 6

# parts that other parts may build on, and the checks in which each has its own points
THE_LOSS = Part(CLASSIFICATION, "classification_loss", ("q7.loss.value", "q7.loss.unlabelled", "q7.loss.gradient"))
THE_JOINT_LOSS = Part(JOINT_LOSS, "joint_loss", ("q7.jointloss.value", "q7.jointloss.edges", "q7.loss.gradient"))
THE_CLASSIFIER = Part(CLASSIFIER, "EncoderClassifier",
                      ("q7.classifier.logits", "q7.classifier.copy", "q7.classifier.freeze"))  # fmt: skip
THE_JOINT_MODEL = Part(JOINT, "JointModel", ("q7.joint.model",))
THE_FINE_TUNING = Part(FINETUNE, "finetune", ("q7.finetune.rows", "q7.finetune.loop", "q7.finetune.learns"))


def watched(ctx: Context, batch_norm: bool = False, corruption: float = 0.0, drift: float = 0.0) -> Handle:
    """An autoencoder of ours with weights large enough to bend the tanh, in training mode."""
    model = ctx.new(Probe("Watched"), PIXELS, LATENT, batch_norm, corruption=corruption, drift=drift)
    state = model.state()
    own = {"narrow.weight": 0.6 * ctx.randn(LATENT, PIXELS), "widen.weight": 0.3 * ctx.randn(PIXELS, LATENT)}
    model.load(state | {name: value.float() for name, value in own.items()})
    return model


def encoder_in(state: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, str]:
    """Names in the state of a student's module that belong to the autoencoder `given` or a copy -> its own names."""
    first = next(iter(given))
    prefixes = [name.removesuffix(first) for name in state if name.endswith(f".{first}")]
    whole = [prefix for prefix in prefixes if all(prefix + own in state for own in given)]
    return {prefix + own: own for prefix in whole for own in given}


def head_of(model: Handle, given: Mapping[str, Tensor]) -> set[str]:
    """Names of the parameters that do not belong to the autoencoder with the state `given`."""
    state = model.state()
    return set(model.parameters()) & set(state) - set(encoder_in(state, given))


def stir_head(ctx: Context, model: Handle, given: Mapping[str, Tensor]) -> None:
    """Random weights for all that does not belong to the autoencoder with the state `given`: a head may start at 0."""
    state, own = model.state(), head_of(model, given)
    for name in model.parameters():  # in their order, so that the seed decides
        if name in own and state[name].is_floating_point():
            state[name] = state[name] + 0.5 * ctx.randn(*state[name].shape, dtype=state[name].dtype)
    model.load(state)


def stand_in(ctx: Context) -> None:
    """Loss and loop of the handout in the place of the student's: Questions 4 and 6 are graded elsewhere."""
    ctx.session.stand_in("autoencoders.mse_loss", Probe("image_mse"))
    ctx.session.stand_in("training.fit", Probe("fit"))
    ctx.session.stand_in("training.train_step", Probe("train_step"))


def off_affine(codes: Tensor, logits: Tensor) -> float:
    """Share of the spread of `logits` (N, C) that no affine function of `codes` (N, L) explains; N well above L."""
    columns = torch.cat([codes.double(), torch.ones(len(codes), 1, dtype=torch.float64)], dim=1)
    fitted = columns @ torch.linalg.lstsq(columns, logits.double()).solution
    spread = logits.double() - logits.double().mean(0)
    return float((logits.double() - fitted).norm() / spread.norm().clamp(min=1e-12))


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the labelled rows of -log softmax(logits)[label]; 0 where there is none. Written out, as an oracle."""
    given = labels != -1
    if not bool(given.any()):
        return logits.new_zeros(())
    return each_entropy(logits[given], labels[given]).mean().to(logits.dtype)


def each_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(logits)[label] of each row; 0 where there is no label."""
    rows = logits.double()
    chosen = rows.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
    return (torch.logsumexp(rows, dim=1) - chosen) * (labels != -1)


def some_labels(ctx: Context, rows: int, classes: int) -> Tensor:
    """Labels of which about half are missing, but neither all nor none."""
    labels = ctx.randint(0, classes, rows)
    missing = ctx.rand(rows) < 0.5
    missing[0], missing[1] = True, False
    labels[missing] = -1
    return labels


def striped(ctx: Context, count: int, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Images whose class is the row of pixels that is bright, and their labels: easy to learn."""
    labels = torch.arange(count) % classes
    images = ctx.images(count, SIDE) * 0.3
    images[torch.arange(count), 0, labels] += 0.7
    return images, labels


def classifier_of(ctx: Context, value: Any) -> Handle:
    """What train_two_stage has returned."""
    return as_handle(value, "an EncoderClassifier", "train_two_stage",
                     hint="Which of the models that you have in hand can tell digits apart?")  # fmt: skip


def joint_of(ctx: Context, autoencoder: Handle, classes: int) -> Handle:
    """The student's joint model on a probe."""
    return ctx.new(JOINT, autoencoder, LATENT, num_classes=classes)


def outputs_of(ctx: Context, model: Handle, images: Tensor, classes: int = 3) -> tuple[Tensor, Tensor]:
    """(x_recon, logits) of a JointModel in evaluation mode."""
    x_recon, logits = as_sequence(ctx.call(model.eval(), images), 2, "JointModel")
    return (
        as_tensor(x_recon, images.shape, "x_recon of JointModel", dtype=images.dtype),
        as_tensor(logits, (len(images), classes), "logits of JointModel", dtype=images.dtype),
    )
