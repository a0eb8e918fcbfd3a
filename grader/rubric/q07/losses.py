"""The losses for partly labelled batches."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from ...check.cases import random, seeds, sizes, tensor_of
from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import as_tensor, matches, preserves, raises
from ...check.failure import FLOAT32, FLOAT64, INHERIT, Failure
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ..shared.loops import Known, asking, tells
from .models import CLASSIFICATION, JOINT_LOSS, SIDE, THE_LOSS, cross_entropy, each_entropy, some_labels, stand_in

HOW_MANY_ROWS = "By how many rows do you divide when only some have a label?"
FAR_APART = "What becomes of the smallest probability in float32 when logits are hundreds apart, and of its logarithm?"
NO_NUMBERS = "What is the mean of no numbers? What does the optimizer do with it?"


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Logits and labels, of which at least one is given and any number is not."""
    rows, classes = draw(sizes(2, 6)), draw(sizes(3, 4))
    logits = tensor_of(draw, (rows, classes), -8.0, 8.0)
    labels = draw(st.lists(st.integers(-1, classes - 1), min_size=rows, max_size=rows))
    labels[draw(st.integers(0, rows - 1))] = draw(st.integers(0, classes - 1))
    return logits, torch.tensor(labels)


def misread_losses(logits: Tensor, labels: Tensor) -> list[Known]:
    """What other losses of this batch look like."""
    given, each = labels != -1, each_entropy(logits, labels)
    right, n = each.sum() / given.sum(), len(labels)
    of_zero, of_last = each_entropy(logits, labels.clamp(min=0)), labels % logits.shape[1]
    probabilities = logits.softmax(1)
    chosen = probabilities.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
    twice = "What does a cross-entropy expect of its input: logits, or what a softmax has made of them?"
    missing = "What does a row without a label add to the loss?"
    return [
        Known("the sum over the labelled rows, divided by the number of all rows", HOW_MANY_ROWS, each.sum() / n),
        Known("the sum over the labelled rows", "Is it a sum or a mean over the labelled rows?", each.sum()),
        Known("the mean over all rows, those without a label taken for class 0", missing, of_zero.mean()),
        Known("the sum over all rows, those without a label taken for class 0, divided by the number of labelled ones",
              missing, of_zero.sum() / given.sum()),
        Known("the mean over all rows, those without a label taken for the last class", missing,
              each_entropy(logits, of_last).mean()),
        Known("the expected, divided by ln 2", "Which logarithm counts in nats?", right / torch.log(torch.tensor(2.0))),
        Known("the cross-entropy of softmax(logits), taken for logits", twice,
              each_entropy(probabilities, labels).sum() / given.sum()),
        Known("the cross-entropy of log_softmax(logits) after another softmax", twice,
              each_entropy(logits.sigmoid(), labels).sum() / given.sum()),
        Known("the expected with the opposite sign", "What is subtracted from what, and should a loss be negative?",
              -right),
        Known("the expected divided by the number of classes", "Over what is the mean taken: rows, or all entries of "
              "the logits?", right / logits.shape[1]),
        Known("one minus the mean probability of the label", "Is the loss linear in the probability of the label, or "
              "in its logarithm?", (1 - chosen[given]).mean()),
        Known("minus the mean probability of the label", "Is the loss linear in the probability of the label, or in "
              "its logarithm?", -chosen[given].mean()),
        Known("minus the mean logit of the label", "What do the logits of the other classes say?",
              -logits.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)[given].mean()),
    ]  # fmt: skip


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
        shown = f"the loss of {len(labels)} rows, {int((labels != -1).sum())} of them labelled,"
        tells(ctx, value, wanted, FLOAT64, shown, misread_losses(logits, labels), hint=INHERIT)

    # in the first batch misreadings differ: 7 rows, of which 4 are labelled, and 3 classes
    labels = torch.tensor([2, -1, 1, 0, -1, 2, -1])
    body((2 * ctx.randn(7, 3), labels[torch.randperm(7, generator=ctx.rng)]))
    body((2 * ctx.randn(5, 4), torch.tensor([3, 0, 1, 2, 3])))
    forall(ctx, body, batch=batches(), examples=30)
    logits, labels = 500 * ctx.randn(40, 10, dtype=torch.float32), some_labels(ctx, 40, 10)
    with asking(FAR_APART):
        value = as_tensor(ctx.call(CLASSIFICATION, logits, labels), (), "the loss of logits in the hundreds",
                          hint=FAR_APART)  # fmt: skip
    matches(ctx, value, cross_entropy(logits, labels), FLOAT32, "the loss of logits in the hundreds", hint=FAR_APART)
    expect_on_device(ctx, "classification_loss", CLASSIFICATION, ctx.randn(5, 3), torch.tensor([0, -1, 2, 1, -1]))


@declare(
    id="q7.loss.unlabelled", question=7, kind="property", points=0.75, visibility="public",
    title="Classification loss: rows without a label",
    asks="rows without a label add nothing to the loss and get no gradient; a batch without any label has loss 0 and a "
    "gradient of zeros, in float32 and float64",
    hint=NO_NUMBERS,
    needs=(),
)  # fmt: skip
def loss_unlabelled(ctx: Context) -> None:
    for dtype in (torch.float64, torch.float32):
        logits, labels = ctx.randn(5, 3, dtype=dtype), torch.full((5,), -1)
        with asking(NO_NUMBERS):
            found = ctx.session.vjp(CLASSIFICATION, logits, labels, wrt=(0,))
        value = found.value
        if isinstance(value, Tensor) and bool(value.isnan().any()):
            raise Failure("the loss of a batch without any label is NaN", "0", "nan", hint=NO_NUMBERS)
        matches(ctx, value, logits.new_zeros(()), FLOAT64, "the loss of a batch without any label",
                hint="What can five rows without a label say about a classifier?")  # fmt: skip
        if found.args[0] is None:
            raise Failure(
                "the loss of a batch without any label is 0, but cut off from the logits", "a gradient of zeros",
                "no gradient at all", hint="What does backward() need of a loss, even if it is 0?",
            )  # fmt: skip
        if bool(found.args[0].isnan().any()):
            raise Failure("the gradient of a batch without any label is NaN", "zeros", "nan", hint=NO_NUMBERS)
        matches(ctx, found.args[0], torch.zeros_like(logits), FLOAT64, "the gradient of a batch without any label",
                hint="What can five rows without a label say about a classifier?")  # fmt: skip
    logits, labels = ctx.randn(9, 4), some_labels(ctx, 9, 4)
    found = ctx.session.vjp(CLASSIFICATION, logits, labels, wrt=(0,))
    given = labels != -1
    rows = logits.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(cross_entropy(rows, labels), rows)
    got = found.args[0]
    if got is not None and got.shape == wanted.shape and bool(got[~given].any()):
        raise Failure(
            "rows without a label get a gradient", f"zeros in the {int((~given).sum())} rows with label -1",
            f"up to {float(got[~given].abs().max()):.3g}", hint="What does a row without a label add to the loss?",
        )  # fmt: skip
    if got is not None and got.shape == wanted.shape:
        wanted = wanted * ((got * wanted).sum() / wanted.square().sum()).clamp(min=0.01)  # the scale is asked elsewhere
    matches(ctx, got, wanted, FLOAT64, "the gradient of a partly labelled batch, up to its scale,",
            hint="Which rows take part, and does each of them with the same weight?")  # fmt: skip
    other = torch.where(given.unsqueeze(1), logits, 5 * ctx.randn(9, 4))
    matches(ctx, ctx.call(CLASSIFICATION, other, labels), found.value, FLOAT64,
            "the loss after the logits of unlabelled rows have changed",
            hint="What does a row without a label add to the loss?")  # fmt: skip


# ---- both losses ------------------------------------------------------------------------------------------------


def misread_joint(x_recon: Tensor, x: Tensor, logits: Tensor, labels: Tensor, alpha: float) -> list[Known]:
    """What other weightings of the two terms look like."""
    each, classes = (x_recon - x).square().flatten(1).sum(1), cross_entropy(logits, labels)
    recon, given = each.mean(), labels != -1
    pixels = x[0].numel()
    pixel = "Is the reconstruction summed over the pixels of an image, or averaged over them?"
    rows = "Which rows does each of the two terms look at?"
    return [
        Known("alpha · reconstruction + classification", "Which of the two terms should vanish at alpha = 0?",
              alpha * recon + classes),
        Known("(1 - alpha) · reconstruction + alpha · classification",
              "What does alpha = 0 leave of the reconstruction, and what does alpha = 1?",
              (1 - alpha) * recon + alpha * classes),
        Known("alpha · reconstruction + (1 - alpha) · classification",
              "What does alpha = 0 leave of the reconstruction, and what does alpha = 1?",
              alpha * recon + (1 - alpha) * classes),
        Known("alpha times the sum of both", "Which of the two terms does alpha weigh?", alpha * (recon + classes)),
        Known("the sum of both terms, without alpha", "What does alpha do in your sum?", recon + classes),
        Known("the reconstruction alone", "Where do the labels enter?", recon),
        Known("the classification alone, times alpha", "Where does the reconstruction enter?", alpha * classes),
        Known("the reconstruction divided by the number of pixels, + alpha · classification", pixel,
              recon / pixels + alpha * classes),
        Known("the reconstruction summed over the batch, + alpha · classification",
              "Is the reconstruction summed over the images, or averaged over them?", each.sum() + alpha * classes),
        Known("the reconstruction of labelled rows only, + alpha · classification", rows,
              (each[given].mean() if bool(given.any()) else torch.tensor(torch.nan)) + alpha * classes),
        Known("the reconstruction of unlabelled rows only, + alpha · classification", rows,
              (each[~given].mean() if bool((~given).any()) else torch.tensor(torch.nan)) + alpha * classes),
        Known("reconstruction - alpha · classification", "Should a worse classification make the loss smaller?",
              recon - alpha * classes),
        Known("reconstruction + alpha² · classification", "How often does alpha stand in your sum?",
              recon + alpha**2 * classes),
        Known("the expected, with the classification divided by the number of all rows", HOW_MANY_ROWS,
              recon + alpha * classes * given.double().mean()),
        Known("reconstruction + alpha · sum of squares between logits and one-hot labels",
              "Which loss compares logits with labels?",
              recon + alpha * (logits - F.one_hot(labels.clamp(min=0), logits.shape[1])).square().sum(1).mean()),
    ]  # fmt: skip


def joint_is(ctx: Context, alpha: float, rows: int, seed: int, none: bool) -> None:
    """`joint_loss` of a drawn batch, of which about half the rows are labelled or `none`."""
    x_recon, x = random(seed, rows, 1, 3, 3, low=0.0), random(seed + 1, rows, 1, 3, 3, low=0.0)
    logits = 2 * random(seed + 2, rows, 4)
    labels = torch.randint(0, 4, (rows,), generator=torch.Generator().manual_seed(seed))
    labels[(torch.arange(rows) + seed) % 2 == 0] = -1
    labels = torch.full_like(labels, -1) if none else labels
    wanted = (x_recon - x).square().flatten(1).sum(1).mean() + alpha * cross_entropy(logits, labels)
    value = preserves(ctx, JOINT_LOSS, x_recon, x, logits, labels, alpha)
    if isinstance(value, Tensor) and bool(value.isnan().any()):
        raise Failure(f"joint_loss is NaN for {'a batch without any label' if none else f'alpha={alpha:g}'}",
                      f"{float(wanted):.4f}", "nan", hint=NO_NUMBERS)  # fmt: skip
    given = "none" if none else f"{int((labels != -1).sum())}"
    tells(ctx, value, wanted, FLOAT64, f"joint_loss with alpha={alpha:g} of {rows} rows, {given} of them labelled,",
          misread_joint(x_recon, x, logits, labels, alpha), hint=INHERIT)  # fmt: skip


@declare(
    id="q7.jointloss.value", question=7, kind="property", points=0.5, visibility="public",
    title="Joint loss: value",
    asks="joint_loss is the reconstruction loss of all rows plus alpha times the classification loss of the labelled "
    "ones, linear in alpha",
    hint="Set alpha to 0: which term should be left? Which rows does each of the two terms look at?",
    needs=(), parts=(THE_LOSS,),
)  # fmt: skip
def jointloss_value(ctx: Context) -> None:
    stand_in(ctx)

    def body(alpha: float, rows: int, seed: int) -> None:
        joint_is(ctx, alpha, rows, seed, False)

    body(0.3, 5, ctx.seed)  # in a batch of this size misreadings differ
    for alpha in (2.7, 1.0, 40.0):
        with asking("Is alpha a share, or a weight that may be larger than 1?"):
            body(alpha, 5, ctx.seed)
    forall(ctx, body, alpha=st.sampled_from([0.3, 2.5, 1.0, 40.0]), rows=sizes(2, 6), seed=seeds(), examples=20)
    images, logits = ctx.images(3, SIDE), ctx.randn(3, 4, dtype=torch.float32)
    expect_on_device(ctx, "joint_loss", JOINT_LOSS, images, images, logits, torch.tensor([0, -1, 2]), 0.5)


@declare(
    id="q7.jointloss.edges", question=7, kind="property", points=0.25, visibility="public",
    title="Joint loss: alpha = 0, no labels, a negative alpha",
    asks="joint_loss is the reconstruction loss alone for alpha = 0 and for a batch without labels, and finite; a "
    "negative alpha is a ValueError",
    hint="Which of the two terms is left for alpha = 0, and which for a batch without any label?",
    needs=(), parts=(THE_LOSS,),
)  # fmt: skip
def jointloss_edges(ctx: Context) -> None:
    stand_in(ctx)
    for none in (False, True):
        with asking("Is alpha = 0 a bad value, or one that switches a term off?"):
            joint_is(ctx, 0.0, 5, ctx.seed, none)
    joint_is(ctx, 0.7, 5, ctx.seed, True)
    images, logits = ctx.images(3, SIDE), ctx.randn(3, 4, dtype=torch.float32)
    raises(ctx, "ValueError", JOINT_LOSS, images, images, logits, torch.tensor([0, -1, 2]), -0.5, names="alpha",
           case="joint_loss with alpha=-0.5",
           hint="What would a classifier learn from a negative weight, and who should hear of it?")  # fmt: skip


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
    gradient_matches(ctx, CLASSIFICATION, logits, labels, wrt=(0,), what="the gradient of classification_loss",
                     hint="Is anything in your loss detached, rounded or turned into a Python number?")  # fmt: skip
    x_recon, x = ctx.images(6, SIDE, torch.float64), ctx.images(6, SIDE, torch.float64)
    gradient_matches(ctx, JOINT_LOSS, x_recon, x, logits, labels, 0.7, wrt=(0, 2), what="the gradient of joint_loss",
                     hint="Is one of the two terms detached, or turned into a Python number?")  # fmt: skip
