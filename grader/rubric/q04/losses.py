"""Question 4, reconstruction losses: against closed forms, where misconceptions differ, and at extremes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check.cases import same_shape, sizes
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.devices import expect_on_device
from ...check.expectations import as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT32, FLOAT64, GUARDED, Tolerance
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.shown import alike, show
from ..shared.readings import Cost, Known, reductions, tell, tenths

MSE, BCE, LOGITS = (f"autoencoders.{name}" for name in ("mse_loss", "bce_loss", "bce_with_logits_loss"))
L1, KL = "autoencoders.l1_sparsity", "autoencoders.kl_sparsity"
THROUGH_ZERO = "The value is finite: through which logarithm of 0 does the gradient go?"
NO_SLOPE = "Which step of yours has no slope at exactly 0, though the loss itself does no harm there?"
ONE_IMAGE = "What is special about a batch of one image, or about an image of one pixel?"
REAL_IMAGES = "What is new here: the size 28x28, target pixels of exactly 0 and 1, or the dtype?"
ANY_SHAPE = "Over which dimensions of a batch (B, 1, H, W) should be summed, and over which averaged?"


def bernoulli_nats(logits: Tensor, x: Tensor) -> Tensor:
    """Binary cross-entropy of each pixel in nats, from logits, by the difference of two log-sigmoids."""
    return -(x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits))


def cross_entropy(p: Tensor, x: Tensor) -> Tensor:
    """Binary cross-entropy of each pixel in nats, from probabilities inside (0, 1)."""
    return bernoulli_nats(torch.logit(p), x)


# ---- values --------------------------------------------------------------------------------------------------------


def squared_readings(x_recon: Tensor, x: Tensor) -> Iterator[Known]:
    """What mse_loss is taken for."""
    error = x_recon - x
    for cost in (
        Cost(error.square(), "the squared error"),
        Cost(error.abs(), "the absolute error", "What does an error of 0.5 cost, and what one of 1?"),
        Cost((x_recon.clamp(0, 1) - x).square(), "the squared error of x_recon cut off at 0 and 1",
             "What should a value outside [0, 1] cost, by the definition?"),
        Cost((torch.sigmoid(x_recon) - x).square(), "the squared error of sigmoid(x_recon)",
             "Are the values of x_recon pixels already, or logits?"),
        Cost(cross_entropy(x_recon.clamp(1e-6, 1 - 1e-6), x), "the binary cross-entropy",
             "What does an exact reconstruction of a grey pixel cost?"),
    ):  # fmt: skip
        yield from reductions(cost, "pixel", "image")
    flat = error.flatten(1)
    yield Known(flat.norm(dim=1).mean(), "the length of an image's error, averaged over the batch",
                "Which power does the definition have? What should an error twice as large cost?")  # fmt: skip
    yield Known(flat.sum(1).square().mean(), "the square of an image's summed error",
                "May a pixel that is too bright make up for one that is too dark?")  # fmt: skip
    yield Known(flat.mean(0).square().sum(), "the square of the error averaged over the batch",
                "May an image that is too bright make up for one that is too dark?")  # fmt: skip


def bernoulli_readings(p: Tensor, x: Tensor) -> Iterator[Known]:
    """What bce_loss is taken for."""
    for cost in (
        Cost(cross_entropy(p, x), "the binary cross-entropy"),
        Cost(cross_entropy(x, p), "the binary cross-entropy with x_recon and x in each other's place",
             "Which of the two arguments goes inside the logarithm?"),
        Cost(-x * p.log(), "the term x log x_recon alone",
             "What does a black pixel cost that is predicted as 0.9, and what should it?"),
        Cost(-(1 - x) * (1 - p).log(), "the term (1 - x) log(1 - x_recon) alone",
             "What does a white pixel cost that is predicted as 0.1, and what should it?"),
        Cost(bernoulli_nats(p, x), "the binary cross-entropy of sigmoid(x_recon)",
             "Are the values of x_recon probabilities already, or logits?"),
        Cost(cross_entropy(p, x.round()), "the binary cross-entropy of a target rounded to 0 and 1",
             "What becomes of a grey pixel of the target?"),
        Cost(cross_entropy(p, (x >= 0.5).to(x)), "the binary cross-entropy of a target that is 1 from 0.5 on",
             "What becomes of a grey pixel of the target?"),
        Cost(cross_entropy(p, (x > 0).to(x)), "the binary cross-entropy of a target that is 1 wherever it is not 0",
             "What becomes of a grey pixel of the target?"),
        Cost(cross_entropy(p, x) - cross_entropy(x, x), "the cross-entropy less what an exact reconstruction costs",
             "What does an exact reconstruction of a grey pixel cost, by the definition?"),
        Cost((p - x).square(), "the squared error", "What does the definition do with the logarithm?"),
    ):  # fmt: skip
        yield from reductions(cost, "pixel", "image")


def logit_readings(logits: Tensor, x: Tensor) -> Iterator[Known]:
    """What bce_with_logits_loss is taken for."""
    guarded = logits.clamp(1e-7, 1 - 1e-7)
    for cost in (
        Cost(bernoulli_nats(logits, x), "the binary cross-entropy"),
        Cost(F.softplus(logits) + x * logits, "softplus(logits) plus x · logits",
             "What does a white pixel cost with a logit of 3, and what with one of -3?"),
        Cost(bernoulli_nats(-logits, x), "the binary cross-entropy of the logits with the opposite sign",
             "Which sign has the logit of a pixel that is probably white?"),
        Cost(F.softplus(logits), "softplus(logits), whatever the target is",
             "What does the target do to your loss?"),
        Cost(-x * F.logsigmoid(logits), "the term of the white pixels alone",
             "What does a black pixel cost with a logit of 3, and what should it?"),
        Cost(-(1 - x) * F.logsigmoid(-logits), "the term of the black pixels alone",
             "What does a white pixel cost with a logit of -3, and what should it?"),
        Cost(bernoulli_nats(torch.sigmoid(logits), x), "the binary cross-entropy with two sigmoids",
             "Through how many sigmoids does a logit go?"),
        Cost(cross_entropy(guarded, x), "the binary cross-entropy of logits that are taken for probabilities",
             "What has to happen to a logit before it is a probability?"),
        Cost((torch.sigmoid(logits) - x).square(), "the squared error of the probabilities",
             "What does the definition do with the logarithm?"),
        Cost(bernoulli_nats(logits, x.round()), "the binary cross-entropy of a target rounded to 0 and 1",
             "What becomes of a grey pixel of the target?"),
    ):  # fmt: skip
        yield from reductions(cost, "pixel", "image")
    yield Known(bernoulli_nats(x, logits).flatten(1).sum(1).mean(), "the loss with its arguments in each other's place",
                "Which of the two arguments are the logits?")  # fmt: skip


def loss_values(ctx: Context, target: str, prediction: str, oracle: Callable[[Tensor, Tensor], Tensor],
                readings: Callable[[Tensor, Tensor], Iterator[Known]], draw: Callable[..., Tensor],
                low: float, high: float, tol: Tolerance, hint: str) -> None:  # fmt: skip
    """A loss against the sum of `oracle` over all elements, divided by the batch size.

    First where its misconceptions can be told apart: three images of four pixels, then of 2x4; then any shape.
    """
    name = target.partition(".")[2]

    def right(made: Tensor, x: Tensor) -> Tensor:
        return oracle(made, x).sum() / len(x)

    for shape, otherwise in (((3, 4), hint), ((3, 1, 2, 4), ANY_SHAPE)):
        tell(ctx, target, functools.partial(lambda shape: {prediction: draw(*shape), "x": tenths(ctx, *shape)}, shape),
             right, readings, tol, otherwise)  # fmt: skip

    def body(case: tuple[Tensor, Tensor]) -> None:
        value = preserves(ctx, target, *case)
        matches(ctx, value, right(*case), tol, f"{name}({prediction}, x)", hint=ONE_IMAGE)

    for dims in ((sizes(1, 5), sizes(1, 6)), (sizes(1, 3), 1, sizes(1, 3), sizes(1, 4))):
        forall(ctx, body, examples=12, case=same_shape(2, *dims, low=(low, 0.0), high=(high, 1.0)))
    # sizes of real images; grey, black and white target pixels
    for dtype, close in (
        (torch.float64, tol),
        (torch.float32, Tolerance(FLOAT32.rtol, max(tol.atol, 1e-5), "float32 rounding of the same sum")),
    ):
        made, x = ctx.rand(5, 1, 28, 28, low=low, high=high, dtype=dtype), ctx.images(5, dtype=dtype)
        x = torch.where(x < 0.2, 0.0, torch.where(x > 0.8, 1.0, x)).to(dtype)
        expected = right(made.double(), x.double()).to(dtype)
        kind = str(dtype).removeprefix("torch.")
        matches(ctx, ctx.call(target, made, x), expected, close, f"{name} of a batch (5, 1, 28, 28) in {kind}",
                hint=REAL_IMAGES)  # fmt: skip


@declare(
    id="q4.mse.value", question=4, kind="property", points=0.5, visibility="public",
    title="Squared error: value",
    asks="mse_loss is the squared error of an image, summed over its pixels, averaged over the batch",
    hint="What should twice as many pixels do to the loss of an image, and what twice as many images in the batch?",
    needs=(),
)  # fmt: skip
def mse_value(ctx: Context) -> None:
    loss_values(ctx, MSE, "x_recon", lambda x_recon, x: (x_recon - x).square(), squared_readings,
                lambda *shape: tenths(ctx, *shape, low=-5, high=14), -1.0, 2.0, FLOAT64, mse_value.hint)  # fmt: skip


@declare(
    id="q4.bce.value", question=4, kind="property", points=0.5, visibility="public",
    title="Binary cross-entropy: value",
    asks="bce_loss is the binary cross-entropy of probabilities in nats, summed over pixels, averaged over the batch, "
    "also for grey targets",
    hint="Which of the two arguments goes inside the logarithm? What does an image cost whose pixels are all predicted "
    "as 0.5?",
    needs=(),
)  # fmt: skip
def bce_value(ctx: Context) -> None:
    loss_values(ctx, BCE, "x_recon", cross_entropy, bernoulli_readings, lambda *shape: tenths(ctx, *shape),
                0.05, 0.95, GUARDED, bce_value.hint)  # fmt: skip


@declare(
    id="q4.logits.value", question=4, kind="property", points=0.25, visibility="public",
    title="Binary cross-entropy from logits: value",
    asks="bce_with_logits_loss of logits is the binary cross-entropy of their probabilities, in nats per image",
    hint="What does an image cost whose logits are all 0? In which unit and summed over what?",
    needs=(),
)  # fmt: skip
def logits_value(ctx: Context) -> None:
    loss_values(ctx, LOGITS, "logits", bernoulli_nats, logit_readings,
                lambda *shape: 5 * tenths(ctx, *shape, low=-5, high=7), -12.0, 12.0, FLOAT64,
                logits_value.hint)  # fmt: skip


# ---- shapes and extremes -------------------------------------------------------------------------------------------


@declare(
    id="q4.losses.shapes", question=4, kind="property", points=0.5, visibility="public",
    title="Losses refuse different shapes",
    asks="each of the three losses raises a ValueError if prediction and target have different shapes",
    hint="Print both shapes. What does PyTorch do with (B, 784) and (B, 1, 28, 28), or with (B, 1) and (B,)?",
    needs=(),
)  # fmt: skip
def losses_shapes(ctx: Context) -> None:
    broadcasts = "What does PyTorch make of two tensors of these shapes if nobody looks at them first?"
    as_many = "Both hold as many numbers: is that enough to know which pixel belongs to which?"
    pairs = (((1, 6), (3, 6), broadcasts), ((3, 6), (1, 6), broadcasts), ((4, 9), (4, 1, 3, 3), as_many),
             ((4, 1, 3, 3), (4, 9), as_many), ((4, 1), (4,), broadcasts), ((3, 1, 4, 4), (3, 4, 4), broadcasts),
             ((2, 1, 3, 1), (2, 1, 3, 4), broadcasts), ((2, 3), (3, 2), as_many))  # fmt: skip
    for target in (MSE, BCE, LOGITS):
        for first, second, hint in pairs:
            case = f"{target.partition('.')[2]} of shapes {first} and {second}"
            raises(ctx, "ValueError", target, ctx.rand(*first), ctx.rand(*second), case=case, hint=hint)


@declare(
    id="q4.bce.edges", question=4, kind="property", points=0.25, visibility="hidden",
    title="Binary cross-entropy: probabilities 0 and 1",
    asks="bce_loss and its gradient are finite for probabilities of exactly 0 and 1, costly where the target disagrees "
    "and free where it agrees",
    hint="What is the logarithm of 0, and what is 0 times that? Is your guard still there in float32?",
    needs=("q4.bce.value",),
)  # fmt: skip
def bce_edges(ctx: Context) -> None:
    log_zero = "What is the logarithm of 0, and what is 0 times that?"
    for dtype in (torch.float64, torch.float32):
        kind = str(dtype).removeprefix("torch.")
        finite = log_zero if dtype == torch.float64 else (
            "In float64 it is finite: what is 1 minus your guard in float32?"
        )  # fmt: skip
        agree = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]], dtype=dtype)
        case = f"bce_loss(x_recon, x) in {kind} where x_recon equals x and all pixels are 0 or 1"
        right = float(as_tensor(ctx.call(BCE, agree, agree), (), case, dtype=dtype, hint=finite))
        # a guard of up to 1e-5 in the logarithm of 3 pixels is correct work
        expect(abs(right) < 1e-4, f"{case} is not free", "0, or nearly", right,
               hint="What does your guard against log 0 add where nothing is wrong?")  # fmt: skip
        case = f"bce_loss(x_recon, x) in {kind} where x_recon is 0 for every 1 of x, and 1 for every 0"
        wrong = float(as_tensor(ctx.call(BCE, agree, 1 - agree), (), case, dtype=dtype, hint=finite))
        # 3 pixels; a guard of 1e-5 inside the logarithm makes 11 nats each
        expect(wrong > 30, f"{case} costs little", "more than 10 nats for each of the 3 pixels", wrong,
               hint="What should it cost to call a white pixel impossible? Where does your guard put the "
               "limit?")  # fmt: skip
        grey = torch.full((2, 3), 0.5, dtype=dtype)
        for target, which in ((agree, "the same"), (1 - agree, "the opposite"), (grey, "0.5 everywhere")):
            where = f"in {kind} at probabilities of 0 and 1, the target being {which}"
            as_tensor(preserves(ctx, BCE, agree, target), (), f"bce_loss {where}", dtype=dtype, hint=finite)
            found = ctx.session.vjp(BCE, agree, target, wrt=[0]).args[0]
            if found is not None:  # that there is none has its own check
                as_tensor(found, (2, 3), f"the gradient of bce_loss {where}", dtype=dtype, hint=THROUGH_ZERO)


@declare(
    id="q4.logits.edges", question=4, kind="gradient", points=0.25, visibility="public",
    title="Binary cross-entropy from logits: +-1000",
    asks="bce_with_logits_loss is finite at logits of +-1000, with the right value and the right gradient",
    hint="Which step overflows, or rounds to 0 or 1, when a logit is large? Can the loss be written without that step?",
    needs=("q4.logits.value",),
)  # fmt: skip
def logits_edges(ctx: Context) -> None:
    for dtype, tol in ((torch.float64, FLOAT64), (torch.float32, FLOAT32)):
        kind = str(dtype).removeprefix("torch.")
        for logit, pixel in ((1000.0, 1.0), (1000.0, 0.0), (-1000.0, 1.0), (-1000.0, 0.0), (60.0, 0.25), (-45.0, 1.0),
                             (30.0, 0.0), (1000.0, 0.5)):  # fmt: skip
            logits, x = torch.tensor([[logit], [0.7]], dtype=dtype), torch.tensor([[pixel], [0.25]], dtype=dtype)
            where = f"for logits [[{logit:g}], [0.7]] and x [[{pixel:g}], [0.25]] in {kind}"
            value = as_tensor(ctx.call(LOGITS, logits, x), (), f"bce_with_logits_loss {where}", hint=logits_edges.hint)
            matches(ctx, value, bernoulli_nats(logits, x).sum() / 2, tol, f"bce_with_logits_loss {where}",
                    hint=logits_edges.hint)  # fmt: skip
            found = ctx.session.vjp(LOGITS, logits, x, wrt=[0]).args[0]
            if found is not None:
                hint = "The value is right: through which step does the gradient go, and what is left of it at +-1000?"
                what = f"the gradient of bce_with_logits_loss {where}"
                as_tensor(found, logits.shape, what, hint=hint)
                matches(ctx, found, (torch.sigmoid(logits) - x) / 2, tol, what, hint=hint)


@declare(
    id="q4.losses.gradients", question=4, kind="gradient", points=0.25, visibility="public",
    title="Losses and penalties: gradients, devices",
    asks="the gradients of the losses and the sparsity penalties to their first argument are those of their values, "
    "also at an exact reconstruction and at a code that is 0; results lie on the device of the arguments",
    hint="Is there a step in one of them through which no gradient can pass, such as a comparison or a detached value?",
    needs=(),
)  # fmt: skip
def losses_gradients(ctx: Context) -> None:
    x = ctx.images(3, 4, torch.float64)
    z = ctx.rand(3, 5, low=0.1, high=2.0) * torch.where(ctx.rand(3, 5) < 0.5, -1.0, 1.0)  # the kink is at 0
    for target, *args in ((MSE, ctx.randn(3, 1, 4, 4), x), (BCE, ctx.rand(3, 1, 4, 4, low=0.1, high=0.9), x),
                          (LOGITS, 2 * ctx.randn(3, 1, 4, 4), x), (L1, z),
                          (KL, ctx.rand(4, 5, low=0.1, high=0.9), 0.2)):  # fmt: skip
        name = target.partition(".")[2]
        gradient_matches(ctx, target, *args, what=f"the gradient of {name}",
                         hint=f"Which step of {name} takes no part in its gradient: a comparison, a rounding, a detour "
                         "through plain numbers?")  # fmt: skip
        expect_on_device(ctx, name, target, *args)
    at_exact_reconstructions(ctx, x)
    at_silent_units(ctx, z)


def at_exact_reconstructions(ctx: Context, x: Tensor) -> None:
    """mse_loss has its minimum where nothing is wrong, in all images or in one of them: the gradient is 0 there."""
    for right, where in ((len(x), "x_recon equals x"), (1, "the first image of x_recon equals that of x")):
        x_recon = x.clone()
        x_recon[right:] += ctx.randn(*x[right:].shape)
        found = finite_gradient(ctx, MSE, where, x_recon, x)[:right]
        expect(alike(found, torch.zeros_like(found)), f"the gradient of mse_loss is not 0 where {where}",
               "0 for each pixel", show(found), hint=NO_SLOPE)  # fmt: skip


def at_silent_units(ctx: Context, z: Tensor) -> None:
    """The penalty has a kink at 0: any slope between those of its two sides will do, but it must be a number."""
    finite_gradient(ctx, L1, "some units of z are exactly 0", torch.where(torch.arange(z.shape[1]) % 2 == 0, z, 0.0))


def finite_gradient(ctx: Context, target: str, where: str, *args: Tensor) -> Tensor:
    """The gradient to the first argument, which is a number everywhere."""
    what = f"the gradient of {target.partition('.')[2]}, where {where},"
    found = ctx.session.vjp(target, *args, wrt=[0]).args[0]
    gradient = as_tensor(found, args[0].shape, what, dtype=args[0].dtype, finite=False)
    bad = int((~gradient.isfinite()).sum())
    expect(not bad, f"{what} is not finite", "finite numbers only", f"{bad} of {gradient.numel()} are NaN or infinite",
               hint=NO_SLOPE)  # fmt: skip
    return gradient


LOSSES: tuple[Check, ...] = (mse_value, bce_value, logits_value, losses_shapes, bce_edges, logits_edges)
