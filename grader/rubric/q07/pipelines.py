"""Question 7, third part: fine-tuning, the two-stage and the joint pipeline, and what they gain from 100 labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_handle, as_sequence, as_tensor, expect, matches, preserves, raises
from ...check.failure import EXACT, FLOAT32, Failure
from ...check.shown import alike, kind_of
from ...check.values import Gen, Handle, Probe, TorchRef
from ..q06.fit import expect_own_losses, losses_of, rows_of

CLASSIFIER, JOINT = "semi_supervised.EncoderClassifier", "semi_supervised.JointModel"
ACCURACY, FINETUNE = "semi_supervised.accuracy", "semi_supervised.finetune"
TWO_STAGE, TRAIN_JOINT = "semi_supervised.train_two_stage", "semi_supervised.train_joint"
SIDE, PIXELS, LATENT = 4, 16, 6


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


def stir_head(ctx: Context, model: Handle, given: Mapping[str, Tensor]) -> None:
    """Random weights for all that does not belong to the autoencoder with the state `given`: a head may start at 0."""
    state = model.state()
    encoder = encoder_in(state, given)
    for name in model.parameters():
        if name not in encoder and name in state and state[name].is_floating_point():
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
    rows = logits[given].double()
    chosen = rows.gather(1, labels[given].unsqueeze(1)).squeeze(1)
    return (torch.logsumexp(rows, dim=1) - chosen).mean().to(logits.dtype)


def learned_rows(probe: Handle, images: Tensor, since: int = 0) -> list[int]:
    """Numbers of the rows that went through a probe with gradients on, in order, from call `since` on."""
    pairs = zip(probe.get("calls")[since:], probe.get("seen")[since:], strict=True)
    return rows_of([seen for call, seen in pairs if call["grad"]], images)


def expect_epochs(rows: Sequence[int], members: Sequence[int], epochs: int, what: str) -> list[list[int]]:
    """`rows` is `epochs` times every member once, in an order that changes. Returns the epochs."""
    size, wanted = len(members), sorted(members)
    split = [list(rows[i * size : (i + 1) * size]) for i in range(epochs)]
    for number, epoch in enumerate(split, 1):
        if sorted(epoch) != wanted:
            strangers, missing = sorted(set(epoch) - set(wanted)), sorted(set(wanted) - set(epoch))
            raise Failure(
                f"{what}: epoch {number} does not use exactly the rows it should, each once",
                f"{size} rows",
                f"{len(missing)} of them missing, {len(strangers)} others",
            )
    if len(rows) != size * epochs:
        raise Failure(f"{what}: the number of rows used is wrong", f"{epochs} times {size} rows", f"{len(rows)} rows")
    return split


def striped(ctx: Context, count: int, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Images whose class is the row of pixels that is bright, and their labels: easy to learn."""
    labels = torch.arange(count) % classes
    images = ctx.images(count, SIDE) * 0.3
    images[torch.arange(count), 0, labels] += 0.7
    return images, labels


# ---- fine-tuning ------------------------------------------------------------------------------------------------


@declare(
    id="q7.finetune.rows", question=7, kind="property", points=0.75, visibility="public",
    title="Fine-tuning: the labelled rows",
    asks="finetune uses each labelled row once per epoch, in a fresh order, no other row, and returns the mean loss "
    "per labelled row of each epoch; no labelled row is a ValueError",
    hint="After shuffling: does every image still have its own label? What can a row without a label teach a "
    "classifier?",
    needs=(),
)  # fmt: skip
def finetune_rows(ctx: Context) -> None:
    images, labels = ctx.images(40, SIDE), ctx.randint(0, 3, 40)
    labels[ctx.rand(40) < 0.4] = -1
    labels[:2] = torch.tensor([-1, 1])
    flat, layer = ctx.new(TorchRef("nn.Flatten")), ctx.new(TorchRef("nn.Linear"), PIXELS, 3)
    classifier = ctx.new(Probe("Recorder"), ctx.new(TorchRef("nn.Sequential"), flat, layer))
    state = layer.state()
    given = (labels != -1).nonzero().flatten().tolist()
    # a learning rate of 0: the loss of every epoch is known, in whatever order the rows come
    value = preserves(ctx, FINETUNE, classifier, images, labels, 3, batch_size=7, lr=0.0, generator=Gen(ctx.seed))
    split = expect_epochs(learned_rows(classifier, images), given, 3, "finetune")
    # two orders of some 24 rows agree by chance with probability 1/24! < 1e-23
    expect(
        split[0] != split[1] and split[1] != split[2],
        "two epochs use the same order",
        "a fresh order each epoch",
        "the same order",
    )
    wanted = float(cross_entropy(F.linear(images.flatten(1), state["weight"], state["bias"]), labels))
    for entry in losses_of(ctx, value, 3, "finetune"):
        matches(ctx, entry, wanted, FLOAT32, "the mean loss of an epoch without learning")
    raises(
        ctx,
        "ValueError",
        FINETUNE,
        classifier,
        images,
        torch.full((40,), -1),
        1,
        names="label",
        case="finetune without a labelled row",
    )


@declare(
    id="q7.finetune.learns", question=7, kind="property", points=0.5, visibility="public",
    title="Fine-tuning: what learns",
    asks="finetune learns an easy problem from its labels, and changes only parameters that require gradients",
    hint="Do your losses fall? Which parameters go to the optimizer, and whose gradients are cleared?",
    needs=(),
)  # fmt: skip
def finetune_learns(ctx: Context) -> None:
    images, truth = striped(ctx, 36)
    labels = torch.where(torch.arange(36) % 4 == 0, -1, truth)
    first, last = ctx.new(TorchRef("nn.Linear"), PIXELS, 8), ctx.new(TorchRef("nn.Linear"), 8, 3)
    parts = [ctx.new(TorchRef("nn.Flatten")), first, ctx.new(TorchRef("nn.Tanh")), last]
    classifier = ctx.new(TorchRef("nn.Sequential"), *parts)
    first.call("requires_grad_", False)
    frozen, free = first.state(), last.state()
    losses = losses_of(ctx, ctx.call(FINETUNE, classifier, images, labels, 25, batch_size=8, lr=0.05), 25, "finetune")
    for name, old in frozen.items():
        matches(ctx, first.state()[name], old, EXACT, f"the {name} that requires no gradient")
    expect(not any(first.parameters().values()), "finetune makes frozen parameters require gradients", "frozen", "not")
    expect(not torch.equal(last.state()["weight"], free["weight"]), "nothing changes", "other weights", "the same")
    expect(
        losses[-1] < 0.5 * losses[0],
        "the loss hardly falls on an easy problem",
        f"below half of {losses[0]:.3g}",
        losses[-1],
    )
    logits = as_tensor(ctx.call(classifier, images), (36, 3), "the logits")
    right = float((logits.argmax(1) == truth).double().mean())
    expect(right > 0.9, "the classifier does not learn the labels it is given", "more than 0.9 right", right)


# ---- two stages -------------------------------------------------------------------------------------------------


def classifier_of(ctx: Context, value: Any) -> Handle:
    """What train_two_stage has returned."""
    return as_handle(value, "an EncoderClassifier", "train_two_stage")


def logits_of(ctx: Context, classifier: Any, given: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """Logits of what train_two_stage has returned, with a random head on its encoder."""
    model = classifier_of(ctx, classifier).eval()
    ctx.call(model, images)
    stir_head(ctx, model, given)
    return as_tensor(ctx.call(model, images), (len(images), 10), "the classifier's logits")


@declare(
    id="q7.twostage.rows", question=7, kind="property", points=1.0, visibility="public",
    title="Two stages: which rows",
    asks="train_two_stage pre-trains on all images, each once per epoch, in batches of batch_size, and then fine-tunes "
    "on the labelled rows only; it returns an EncoderClassifier",
    hint="How many images does the first stage see, and how many the second? Do labels matter in the first?",
    needs=(),
)  # fmt: skip
def twostage_rows(ctx: Context) -> None:
    stand_in(ctx)
    images, labels = ctx.images(31, SIDE), torch.full((31,), -1)
    given = sorted(torch.randperm(31, generator=ctx.rng)[:9].tolist())
    labels[given] = ctx.randint(0, 10, 9)
    autoencoder = watched(ctx)
    arguments = (autoencoder, images, labels, LATENT, 2, 3)
    classifier = preserves(ctx, TWO_STAGE, *arguments, batch_size=8, lr=0.01, generator=Gen(ctx.seed))
    if not isinstance(classifier, Handle) or classifier.type != "EncoderClassifier":
        raise Failure("train_two_stage does not return a classifier", "an EncoderClassifier", kind_of(classifier))
    rows = learned_rows(autoencoder, images)  # the classifier's copy notes in the same place
    expect_epochs(rows[: 2 * 31], range(31), 2, "pre-training")
    expect_epochs(rows[2 * 31 :], given, 3, "fine-tuning")
    largest = max(call["rows"] for call in autoencoder.get("calls") if call["grad"])
    expect(largest <= 8 or largest == 9, "a batch of the first stage is larger than batch_size", 8, largest)
    as_tensor(ctx.call(classifier.eval(), images), (31, 10), "the classifier's logits")


@declare(
    id="q7.twostage.encoder", question=7, kind="property", points=1.0, visibility="public",
    title="Two stages: the pre-trained encoder goes on",
    asks="the first stage teaches the autoencoder itself to reconstruct; the classifier starts from that encoder; the "
    "second stage moves the copy (unless freeze) and not the autoencoder",
    hint="Compare the codes: which encoder does your second stage start from? Does the first stage lower the error of "
    "the reconstruction?",
    needs=("q7.classifier.logits",),
)  # fmt: skip
def twostage_encoder(ctx: Context) -> None:
    stand_in(ctx)
    images, labels = striped(ctx, 60)
    labels = torch.where(torch.arange(60) < 45, -1, labels)

    def error(model: Handle) -> float:
        return float((model.eval()(images)[0] - images).square().mean())

    autoencoder = watched(ctx)
    at_first = error(autoencoder)
    autoencoder.train()
    classifier = ctx.call(TWO_STAGE, autoencoder, images, labels, LATENT, 12, 0, batch_size=16, lr=0.01)
    now = error(autoencoder)
    expect(
        now < 0.5 * at_first,
        "pre-training hardly lowers the error of the reconstruction",
        f"below half of {at_first:.3g}",
        now,
    )
    for freeze, epochs in ((None, 0), (True, 5), (False, 5)):
        before = autoencoder.state()
        if freeze is not None:
            classifier = ctx.call(
                TWO_STAGE, autoencoder, images, labels, LATENT, 0, epochs, batch_size=16, lr=0.05, freeze=freeze
            )
            after = autoencoder.state()
            moved = [name for name, old in before.items() if not torch.equal(old, after[name])]
            expect(not moved, "the second stage changes the autoencoder", "no change", ", ".join(moved))
        logits = logits_of(ctx, classifier, before, images)
        apart = off_affine(autoencoder.eval().call("encode", images), logits)
        if freeze is False:
            expect(
                apart > 3e-3,
                "the second stage does not move the encoder, though it is not frozen",
                "a code that has changed",
                "the same code",
            )
        else:
            what = "with freeze, after both stages" if freeze else "before any fine-tuning"
            expect(
                apart < 1e-3,
                f"{what}, the classifier's encoder is not the pre-trained one",
                "logits that are affine in its code",
                f"{apart:.2g} of their spread is left unexplained",
            )


@declare(
    id="q7.twostage.arguments", question=7, kind="property", points=0.25, visibility="hidden",
    title="Two stages: lr and mode",
    asks="train_two_stage trains in training mode, and uses lr in both stages",
    hint="Which of your arguments is passed on to which stage?",
    needs=(),
)  # fmt: skip
def twostage_arguments(ctx: Context) -> None:
    stand_in(ctx)
    images, labels = striped(ctx, 24)
    autoencoder = watched(ctx)
    before = autoencoder.state()
    classifier = ctx.call(TWO_STAGE, autoencoder, images, labels, LATENT, 2, 2, batch_size=8, lr=0.0)
    for name, old in before.items():
        matches(ctx, autoencoder.state()[name], old, EXACT, f"the autoencoder's {name} after training with lr = 0")
    logits = logits_of(ctx, classifier, before, images)
    apart = off_affine(autoencoder.eval().call("encode", images), logits)
    expect(apart < 1e-3, "fine-tuning with lr = 0 moves the encoder", "the same code", "a code that has changed")
    other = watched(ctx).eval()
    ctx.call(TWO_STAGE, other, images, labels, LATENT, 1, 0, batch_size=8, lr=0.01)
    modes = [call["training"] for call in other.get("calls") if call["grad"]]
    expect(bool(modes) and all(modes), "pre-training runs in evaluation mode", "training mode", "evaluation mode")


# ---- joint training ---------------------------------------------------------------------------------------------


def outputs_of(ctx: Context, model: Handle, images: Tensor, classes: int = 3) -> tuple[Tensor, Tensor]:
    """(x_recon, logits) of a JointModel in evaluation mode."""
    x_recon, logits = as_sequence(ctx.call(model.eval(), images), 2, "JointModel")
    return (
        as_tensor(x_recon, images.shape, "x_recon of JointModel", dtype=images.dtype),
        as_tensor(logits, (len(images), classes), "logits of JointModel", dtype=images.dtype),
    )


def joint_of(ctx: Context, autoencoder: Handle, classes: int) -> Handle:
    """The student's joint model on a probe."""
    return ctx.new(JOINT, autoencoder, LATENT, num_classes=classes)


def epoch_losses(
    ctx: Context, passes: Sequence[Sequence[Tensor]], at_rest: tuple[Tensor, Tensor], images: Tensor, labels: Tensor,
    alpha: float,
) -> list[float]:  # fmt: skip
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


@declare(
    id="q7.trainjoint.rows", question=7, kind="property", points=0.75, visibility="public",
    title="Joint training: every image, every label",
    asks="train_joint uses every image once per epoch, in a fresh order, with its own label, and returns the mean "
    "joint loss of each epoch alone; batches without a label do no harm",
    hint="What happens in a batch in which no row has a label? After shuffling, does each image still have its own "
    "label?",
    needs=(),
)  # fmt: skip
def trainjoint_rows(ctx: Context) -> None:
    stand_in(ctx)
    images, labels = ctx.images(29, SIDE), ctx.randint(0, 3, 29)
    labels[ctx.rand(29) < 0.6] = -1
    labels[:2] = torch.tensor([-1, 1])
    autoencoder = watched(ctx)
    model = joint_of(ctx, autoencoder, 3)
    outputs_of(ctx, model, images)
    stir_head(ctx, model, autoencoder.state())
    noted = ctx.new(Probe("Outputs"), model)
    at_rest = outputs_of(ctx, model, images)
    steady = alike(as_sequence(ctx.call(model.train(), images), 2, "JointModel")[1], at_rest[1])
    known = len(autoencoder.get("calls"))
    # a learning rate of 0 makes the loss known: in one batch for any alpha, in several for alpha = 0
    for alpha, batch in ((0.7, 64), (3.0, 64), (0.0, 8)):
        since = len(noted.get("calls"))
        value = preserves(ctx, TRAIN_JOINT, model, images, labels, alpha, 2, batch_size=batch, lr=0.0)
        passes = noted.get("calls")[since:]
        found = losses_of(ctx, value, 2, "train_joint")
        if passes or steady:  # a loop that goes past Module.__call__ shows nothing of a head with dropout
            for entry, wanted in zip(found, epoch_losses(ctx, passes, at_rest, images, labels, alpha), strict=True):
                matches(ctx, entry, wanted, FLOAT32, f"the loss of an epoch without learning (alpha {alpha:g})")
    calls = autoencoder.get("calls")[known:]
    split = expect_epochs(learned_rows(autoencoder, images, known), range(29), 6, "train_joint")
    expect(
        split[0] != split[1] and split[4] != split[5],
        "two epochs use the same order",
        "a fresh order each epoch",
        "the same order",
    )
    expect(
        all(call["training"] for call in calls if call["grad"]),
        "the model is trained in evaluation mode",
        "training mode",
        "evaluation mode",
    )
    few = torch.full((29,), -1)
    few[3] = 1
    known = len(autoencoder.get("calls"))
    losses_of(ctx, ctx.call(TRAIN_JOINT, model, images, few, 1.0, 2, batch_size=4, lr=0.01), 2, "train_joint")
    expect_epochs(learned_rows(autoencoder, images, known), range(29), 2, "train_joint with a single label")
    for name, value in model.state().items():
        as_tensor(value, None, f"{name} after batches without labels")
    losses_are_own(ctx, images, labels)


def losses_are_own(ctx: Context, images: Tensor, labels: Tensor) -> None:
    """The number of an epoch holds nothing of those before: with a reconstruction that gets worse with every pass."""
    model = joint_of(ctx, watched(ctx, drift=10.0), 3)
    noted = ctx.new(Probe("Outputs"), model, every=True)
    value = ctx.call(TRAIN_JOINT, model, images, labels, 0.7, 3, batch_size=64, lr=0.0)
    found = losses_of(ctx, value, 3, "train_joint")
    told = []
    for parts in noted.get("calls"):
        rows = rows_of(parts[:1], images)
        if len(parts) == 3 and sorted(rows) == list(range(len(images))):
            recon = as_tensor(parts[1], parts[0].shape, "x_recon in training")
            scores = as_tensor(parts[2], (len(images), 3), "the logits in training")
            told.append(joint_of_rows(parts[0], recon, scores, labels[rows], 0.7))
    # a loop that goes past Module.__call__, or a model past the autoencoder's forward, shows nothing
    if told and max(told) > 1.5 * min(told):
        expect_own_losses(ctx, found, told, "train_joint")


@declare(
    id="q7.trainjoint.learns", question=7, kind="property", points=0.5, visibility="hidden",
    title="Joint training: both tasks",
    asks="train_joint teaches the autoencoder to reconstruct and the head to classify",
    hint="Look at the two terms of the loss separately: does each of them fall? Is one drowned by the other?",
    needs=(),
)  # fmt: skip
def trainjoint_learns(ctx: Context) -> None:
    stand_in(ctx)
    images, truth = striped(ctx, 48)
    labels = torch.where(torch.arange(48) % 4 == 1, -1, truth)  # 16 rows never without a label
    autoencoder = watched(ctx)
    model = joint_of(ctx, autoencoder, 3)
    at_first = float((outputs_of(ctx, model, images)[0] - images).square().mean())
    model.train()
    value = ctx.call(TRAIN_JOINT, model, images, labels, 3.0, 40, batch_size=16, lr=0.02)
    losses = losses_of(ctx, value, 40, "train_joint")
    expect(losses[-1] < 0.5 * losses[0], "the joint loss hardly falls", f"below half of {losses[0]:.3g}", losses[-1])
    recon, logits = outputs_of(ctx, model, images)
    now = float((recon - images).square().mean())
    expect(now < 0.5 * at_first, "the reconstruction hardly improves", f"below half of {at_first:.3g}", now)
    right = float((logits.argmax(1) == truth).double().mean())
    expect(right > 0.9, "the head does not learn the labels it is given", "more than 0.9 right", right)


CHECKS: tuple[Check, ...] = (
    finetune_rows, finetune_learns, twostage_rows, twostage_encoder, twostage_arguments, trainjoint_rows,
    trainjoint_learns,
)  # fmt: skip
