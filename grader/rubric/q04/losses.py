"""Question 4, losses: reconstruction losses and sparsity penalties, against closed forms and torch.distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Bernoulli, kl_divergence
from torch.nn import functional as F

from ...check.cases import same_shape, sizes
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT32, FLOAT64, GUARDED, Tolerance
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.shown import alike, show

# ---- reconstruction losses ----------------------------------------------------------------------------------------

MSE, BCE, LOGITS = (f"autoencoders.{name}" for name in ("mse_loss", "bce_loss", "bce_with_logits_loss"))
ONE_SHARE = "exactly one {part}'s share: over what do you average, and over what should you sum?"
PER_BATCH = "exactly the batch size times too much: what should happen to the loss when the batch is twice as large?"
NO_SLOPE = "Which step of yours has no slope at exactly 0, though the loss itself does no harm there?"


def bernoulli_nats(logits: Tensor, x: Tensor) -> Tensor:
    """Binary cross-entropy of each pixel in nats, from logits, by the difference of two log-sigmoids."""
    return -(x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits))


def scaled(value: Any, expected: Tensor, batch: int, parts: int, part: str = "pixel") -> str:
    """A hint where a loss is off by a factor that says what was averaged: examples, or the parts of each."""
    if isinstance(value, Tensor) and value.numel() == 1 and float(expected) != 0:
        ratio = float(value) / float(expected)
        for factor, hint in ((1 / parts, ONE_SHARE.format(part=part)), (batch, PER_BATCH)):
            if factor != 1 and math.isclose(ratio, factor, rel_tol=1e-4):
                return hint
    return ""


def loss_values(ctx: Context, target: str, oracle: Callable[[Tensor, Tensor], Tensor],
                low: float, high: float, tol: Tolerance) -> None:  # fmt: skip
    """A loss against the sum of `oracle` over all elements, divided by the batch size."""
    name = target.partition(".")[2]

    def body(case: tuple[Tensor, Tensor]) -> None:
        prediction, x = case
        expected = oracle(prediction, x).sum() / len(x)
        value = preserves(ctx, target, prediction, x)
        matches(ctx, value, expected, tol, f"{name}", hint=scaled(value, expected, len(x), x[0].numel()))

    for dims in ((sizes(1, 5), sizes(1, 6)), (sizes(1, 3), 1, sizes(1, 3), sizes(1, 4))):
        forall(ctx, body, examples=15, case=same_shape(2, *dims, low=(low, 0.0), high=(high, 1.0)))
    # sizes of real images; grey, black and white target pixels
    for dtype, close in (
        (torch.float64, tol),
        (torch.float32, Tolerance(FLOAT32.rtol, max(tol.atol, 1e-5), "float32")),
    ):
        prediction, x = ctx.rand(5, 1, 28, 28, low=low, high=high, dtype=dtype), ctx.images(5, dtype=dtype)
        x = torch.where(x < 0.2, 0.0, torch.where(x > 0.8, 1.0, x)).to(dtype)
        expected = (oracle(prediction.double(), x.double()).sum() / 5).to(dtype)
        value = ctx.call(target, prediction, x)
        matches(ctx, value, expected, close, f"{name} of a batch of five images", hint=scaled(value, expected, 5, 784))


@declare(
    id="q4.mse.value", question=4, kind="property", points=0.5, visibility="public",
    title="Squared error: value",
    asks="mse_loss is the squared error of an image, summed over its pixels, averaged over the batch",
    hint="What should twice as many pixels do to the loss of an image, and what twice as many images in the batch?",
    needs=(),
)  # fmt: skip
def mse_value(ctx: Context) -> None:
    loss_values(ctx, MSE, lambda x_recon, x: (x_recon - x).square(), -1.0, 2.0, FLOAT64)


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
    loss_values(ctx, BCE, lambda p, x: bernoulli_nats(torch.logit(p), x), 0.05, 0.95, GUARDED)


@declare(
    id="q4.logits.value", question=4, kind="property", points=0.25, visibility="public",
    title="Binary cross-entropy from logits: value",
    asks="bce_with_logits_loss of logits is the binary cross-entropy of their probabilities, in nats per image",
    hint="What does an image cost whose logits are all 0? In which unit and summed over what?",
    needs=(),
)  # fmt: skip
def logits_value(ctx: Context) -> None:
    loss_values(ctx, LOGITS, bernoulli_nats, -12.0, 12.0, FLOAT64)


@declare(
    id="q4.losses.shapes", question=4, kind="property", points=0.5, visibility="public",
    title="Losses refuse different shapes",
    asks="each of the three losses raises a ValueError if prediction and target have different shapes",
    hint="Print both shapes. What does PyTorch do with (B, 784) and (B, 1, 28, 28), or with (B, 1) and (B,)?",
    needs=(),
)  # fmt: skip
def losses_shapes(ctx: Context) -> None:
    pairs = (((4, 9), (4, 1, 3, 3)), ((4, 1, 3, 3), (4, 9)), ((4, 1), (4,)), ((1, 6), (3, 6)), ((3, 6), (1, 6)),
             ((3, 1, 4, 4), (3, 4, 4)), ((2, 1, 3, 1), (2, 1, 3, 4)), ((2, 3), (3, 2)))  # fmt: skip
    for target in (MSE, BCE, LOGITS):
        for first, second in pairs:
            raises(ctx, "ValueError", target, ctx.rand(*first), ctx.rand(*second),
                       case=f"{target.partition('.')[2]} of shapes {first} and {second}")  # fmt: skip


@declare(
    id="q4.bce.edges", question=4, kind="property", points=0.25, visibility="hidden",
    title="Binary cross-entropy: probabilities 0 and 1",
    asks="bce_loss and its gradient are finite for probabilities of exactly 0 and 1, costly where the target disagrees "
    "and free where it agrees",
    hint="What is the logarithm of 0, and what is 0 times that? Is your guard still there in float32?",
    needs=("q4.bce.value",),
)  # fmt: skip
def bce_edges(ctx: Context) -> None:
    for dtype in (torch.float32, torch.float64):
        agree = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]], dtype=dtype)
        right = float(as_tensor(ctx.call(BCE, agree, agree), (), "bce_loss of a perfect prediction", dtype=dtype))
        expect(abs(right) < 1e-4, "a perfect prediction costs something", 0.0, right)
        wrong = float(as_tensor(ctx.call(BCE, agree, 1 - agree), (), "bce_loss of an impossible target", dtype=dtype))
        # 3 pixels; a guard of 1e-5 inside the logarithm makes 11 nats each
        expect(wrong > 30, "an impossible target costs little", "more than 10 nats per pixel", wrong)
        grey = torch.full((2, 3), 0.5, dtype=dtype)
        for target in (agree, 1 - agree, grey):
            as_tensor(preserves(ctx, BCE, agree, target), (), "bce_loss at probabilities 0 and 1", dtype=dtype)
            found = ctx.session.vjp(BCE, agree, target, wrt=[0]).args[0]
            as_tensor(found, (2, 3), "the gradient of bce_loss at probabilities 0 and 1", dtype=dtype)


@declare(
    id="q4.logits.edges", question=4, kind="gradient", points=0.25, visibility="public",
    title="Binary cross-entropy from logits: +-1000",
    asks="bce_with_logits_loss is finite at logits of +-1000, with the right value and the right gradient",
    hint="Which step overflows, or rounds to 0 or 1, when a logit is large? Can the loss be written without that step?",
    needs=("q4.logits.value",),
)  # fmt: skip
def logits_edges(ctx: Context) -> None:
    for dtype, tol in ((torch.float64, FLOAT64), (torch.float32, FLOAT32)):
        logits = torch.tensor(
            [[1000.0, -1000.0, 1000.0, -1000.0, 30.0], [-45.0, 60.0, 1000.0, -1000.0, 0.7]], dtype=dtype
        )
        x = torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.0], [1.0, 0.25, 0.5, 0.25, 0.25]], dtype=dtype)
        matches(
            ctx, ctx.call(LOGITS, logits, x), bernoulli_nats(logits, x).sum() / 2, tol, "bce_with_logits_loss at +-1000"
        )
        found = ctx.session.vjp(LOGITS, logits, x, wrt=[0]).args[0]
        matches(ctx, found, (torch.sigmoid(logits) - x) / 2, tol, "the gradient of bce_with_logits_loss at +-1000")


# ---- sparsity -----------------------------------------------------------------------------------------------------

L1, KL = "autoencoders.l1_sparsity", "autoencoders.kl_sparsity"


@declare(
    id="q4.l1.value", question=4, kind="property", points=0.25, visibility="public",
    title="L1 sparsity: value",
    asks="l1_sparsity(z) is the sum of the absolute values of a code, averaged over the batch",
    hint="Can the penalty be negative? What should it do when the code gets longer, and when the batch gets larger?",
    needs=(),
)  # fmt: skip
def l1_value(ctx: Context) -> None:
    def body(case: tuple[Tensor]) -> None:
        (z,) = case
        expected = torch.linalg.vector_norm(z, ord=1, dim=1).mean()
        value = preserves(ctx, L1, z)
        matches(
            ctx, value, expected, FLOAT64, "l1_sparsity(z)", hint=scaled(value, expected, len(z), z[0].numel(), "unit")
        )

    forall(ctx, body, case=same_shape(1, sizes(1, 5), sizes(1, 6)))
    z = ctx.randn(9, 33, dtype=torch.float32)
    expected = torch.linalg.vector_norm(z.double(), ord=1, dim=1).mean().float()
    matches(ctx, ctx.call(L1, z), expected, FLOAT32, "l1_sparsity in float32")


def to_target_rate(activations: Tensor, rho: float) -> Tensor:
    """Σ KL(Bernoulli(ρ) ‖ Bernoulli(ρ̂)) by torch.distributions."""
    rates = activations.mean(0)
    return kl_divergence(Bernoulli(torch.full_like(rates, rho)), Bernoulli(rates)).sum()


@declare(
    id="q4.kl.value", question=4, kind="property", points=0.5, visibility="public",
    title="KL sparsity: value",
    asks="kl_sparsity is the sum over units of KL(Bernoulli(rho) || Bernoulli(mean activation of the unit))",
    hint="Over which dimension is the mean taken before the divergence? Which of the two distributions comes first, "
    "and is the divergence symmetric?",
    needs=(),
)  # fmt: skip
def kl_value(ctx: Context) -> None:
    def body(case: tuple[Tensor], rho: float) -> None:
        (activations,) = case
        expected = to_target_rate(activations, rho)
        value = preserves(ctx, KL, activations, rho)
        swapped = kl_divergence(Bernoulli(activations.mean(0)), Bernoulli(torch.full_like(activations[0], rho))).sum()
        hint = ""
        if isinstance(value, Tensor) and value.numel() == 1 and abs(float(expected - swapped)) > 1e-3:
            is_swapped = abs(float(value) - float(swapped)) < 1e-5
            hint = (
                "exactly the other divergence: which of the two distributions is the reference?" if is_swapped else ""
            )
        hint = hint or scaled(value, expected, len(activations), activations[0].numel(), "unit")
        matches(ctx, value, expected, GUARDED, "kl_sparsity(activations, rho)", hint=hint)

    forall(ctx, body, case=same_shape(1, sizes(2, 5), sizes(1, 6), low=0.05, high=0.95),
               rho=st.floats(0.02, 0.9, allow_subnormal=False))  # fmt: skip
    activations = ctx.rand(9, 7, dtype=torch.float32)
    expected = to_target_rate(activations.double(), 0.05).float()
    matches(ctx, ctx.call(KL, activations), expected, GUARDED, "kl_sparsity in float32 with the default rho")
    even = torch.tensor([[0.4, 0.0], [0.0, 0.1], [0.2, 0.5]], dtype=torch.float64)  # means of .2: where it vanishes
    matches(
        ctx, ctx.call(KL, even, 0.2), torch.zeros((), dtype=torch.float64), GUARDED, "kl_sparsity at the target rate"
    )


@declare(
    id="q4.kl.edges", question=4, kind="property", points=0.25, visibility="hidden",
    title="KL sparsity: units that are always 0 or 1",
    asks="kl_sparsity and its gradient are finite, and the value large, when a unit is always 0 or always 1",
    hint="What is inside the logarithms when a unit never fires? Is your guard still there in float32?",
    needs=("q4.kl.value",),
)  # fmt: skip
def kl_edges(ctx: Context) -> None:
    for dtype in (torch.float32, torch.float64):
        usual = ctx.rand(6, 3, low=0.1, high=0.3, dtype=dtype)
        for stuck, rho in ((0.0, 0.05), (0.0, 0.4), (1.0, 0.05), (1.0, 0.6)):
            activations = torch.cat([usual, torch.full((6, 2), stuck, dtype=dtype)], dim=1)
            value = as_tensor(
                preserves(ctx, KL, activations, rho), (), f"kl_sparsity with a unit always {stuck:g}", dtype=dtype
            )
            # the penalty grows without bound towards 0 and 1: at least what a rate of 1e-3 would cost
            near = torch.full((1, 2), abs(stuck - 1e-3), dtype=torch.float64)
            least = to_target_rate(usual.double(), rho) + to_target_rate(near, rho)
            expect(float(value) > float(least), "a unit that never changes costs too little",
                       f"more than {least:.4g}", show(value))  # fmt: skip
            found = ctx.session.vjp(KL, activations, rho, wrt=[0]).args[0]
            as_tensor(
                found, activations.shape, f"the gradient of kl_sparsity with a unit always {stuck:g}", dtype=dtype
            )


@declare(
    id="q4.kl.errors", question=4, kind="property", points=0.25, visibility="public",
    title="KL sparsity: errors",
    asks="kl_sparsity raises a ValueError that names rho unless 0 < rho < 1",
    hint="Is a target rate of exactly 0 possible? And of exactly 1?",
    needs=(),
)  # fmt: skip
def kl_errors(ctx: Context) -> None:
    for rho in (0.0, 1.0, -0.05, 1.5, math.nan):
        raises(ctx, "ValueError", KL, ctx.rand(4, 3), rho, names="rho", case=f"kl_sparsity with rho={rho}")
    as_tensor(ctx.call(KL, ctx.rand(4, 3), 0.999), (), "kl_sparsity with rho=0.999")


@declare(
    id="q4.losses.gradients", question=4, kind="gradient", points=0.25, visibility="public",
    title="Gradients of losses and penalties",
    asks="the gradients of the losses and the sparsity penalties to their first argument are those of their values, "
    "also at an exact reconstruction and at a code that is 0",
    hint="Is there a step in one of them through which no gradient can pass, such as a comparison or a detached value?",
    needs=(),
)  # fmt: skip
def losses_gradients(ctx: Context) -> None:
    x = ctx.images(3, 4, torch.float64)
    gradient_matches(ctx, MSE, ctx.randn(3, 1, 4, 4), x, what="the gradient of mse_loss")
    gradient_matches(ctx, BCE, ctx.rand(3, 1, 4, 4, low=0.1, high=0.9), x, what="the gradient of bce_loss")
    gradient_matches(ctx, LOGITS, 2 * ctx.randn(3, 1, 4, 4), x, what="the gradient of bce_with_logits_loss")
    z = ctx.rand(3, 5, low=0.1, high=2.0) * torch.where(ctx.rand(3, 5) < 0.5, -1.0, 1.0)  # the kink is at 0
    gradient_matches(ctx, L1, z, what="the gradient of l1_sparsity")
    gradient_matches(ctx, KL, ctx.rand(4, 5, low=0.1, high=0.9), 0.2, what="the gradient of kl_sparsity")
    at_exact_reconstructions(ctx, x)
    at_silent_units(ctx, z)


def at_exact_reconstructions(ctx: Context, x: Tensor) -> None:
    """mse_loss has its minimum where nothing is wrong, in all images or in one of them: the gradient is 0 there."""
    for right in (len(x), 1):
        x_recon = x.clone()
        x_recon[right:] += ctx.randn(*x[right:].shape)
        found = finite_gradient(ctx, MSE, x_recon, x)[:right]
        expect(alike(found, torch.zeros_like(found)), "the gradient of mse_loss is not 0 where nothing is wrong",
                   "0 for each pixel", show(found), hint=NO_SLOPE)  # fmt: skip


def at_silent_units(ctx: Context, z: Tensor) -> None:
    """The penalty has a kink at 0: any slope between those of its two sides will do, but it must be a number."""
    finite_gradient(ctx, L1, torch.where(torch.arange(z.shape[1]) % 2 == 0, z, 0.0))


def finite_gradient(ctx: Context, target: str, *args: Tensor) -> Tensor:
    """The gradient to the first argument, which is a number everywhere."""
    what = f"the gradient of {target.partition('.')[2]}"
    found = ctx.session.vjp(target, *args, wrt=[0]).args[0]
    gradient = as_tensor(found, args[0].shape, what, dtype=args[0].dtype, finite=False)
    expect(bool(gradient.isfinite().all()), f"{what} is not finite", "finite numbers only", show(gradient),
               hint=NO_SLOPE)  # fmt: skip
    return gradient


LOSSES: tuple[Check, ...] = (
    mse_value, bce_value, logits_value, losses_shapes, bce_edges, logits_edges, l1_value, kl_value, kl_edges, kl_errors,
    losses_gradients,
)  # fmt: skip
