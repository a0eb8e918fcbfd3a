"""Question 8, losses: the two terms of the ELBO, beta, annealing and free bits, against closed forms."""

from __future__ import annotations

import functools
import math

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import numbers, random, seeds, sizes, tensor_of
from ...check.context import Context, guard
from ...check.declaration import Check, declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves
from ...check.failure import FLOAT32, FLOAT64, GUARDED, Tolerance
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.shown import alike
from ...check.values import StudentRaised
from ..shared.latents import bernoulli_nats, nats, zeros_if_none

TERMS, LOSS, ANNEALING, FREE_BITS = "vae.elbo_terms", "vae.vae_loss", "vae.kl_annealing", "vae.free_bits_kl"
CLAMPED = Tolerance(
    1e-4, 1e-2, "probabilities held away from 0 and 1 by up to 1e-6 cost 1e-6 nats in each of some 800 pixels"
)


# ---- oracles ------------------------------------------------------------------------------------------------------


def true_terms(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """(recon, kl) in nats per image, in the dtype of the images."""
    return bernoulli_nats(x_recon, x).mean().to(x.dtype), nats(mu, logvar).sum(1).mean()


def true_free_bits(mu: Tensor, logvar: Tensor, free_bits: float, group_size: int) -> Tensor:
    """Sum over groups of the larger of `free_bits` and the group's KL, averaged over the batch."""
    groups = nats(mu, logvar).mean(0).reshape(-1, group_size).sum(1)
    return torch.clamp(groups, min=free_bits).sum()


def hint_of_scale(value: object, expected: Tensor, batch: int, dims: int, of_dims: str) -> str:
    """The question to ask when a sum has become a mean or a mean a sum."""
    if not isinstance(value, Tensor) or value.shape != expected.shape or not float(expected):
        return ""
    ratio = float(value) / float(expected)
    if dims > 1 and math.isclose(ratio, 1 / dims, rel_tol=1e-4):
        return f"Your value is exactly 1/{dims} of it, and there are {dims} {of_dims}. What should one more of them do?"
    if batch > 1 and math.isclose(ratio, batch, rel_tol=1e-4):
        return f"Your value is exactly {batch} times it, in a batch of {batch}. What should a larger batch do?"
    if math.isclose(ratio, 2, rel_tol=1e-4) or math.isclose(ratio, -1, rel_tol=1e-4):
        return f"Your value is exactly {ratio:.0f} times it. Which factor or sign is missing?"
    return ""


def hint_elsewhere(ctx: Context, name: str, question: int, expected: Tensor, *args: Tensor) -> str:
    """Points to an earlier question if its function returns wrong numbers here too."""
    try:
        own = ctx.call(name, *args)
    except StudentRaised:
        return ""  # not this check's business: the failure that is being reported stands
    if isinstance(own, Tensor) and own.is_floating_point() and alike(own.mean(), expected, rtol=1e-4):
        return ""
    return f"{name} of Question {question} gives another number as well: does it pass there?"


# ---- the terms of the ELBO ----------------------------------------------------------------------------------------


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(x_recon, x, mu, logvar) of drawn sizes: grey images, probabilities away from 0 and 1."""
    batch, side, latent = draw(sizes(1, 5)), draw(sizes(1, 3)), draw(sizes(1, 4))
    image = (batch, 1, side, side)
    return (
        tensor_of(draw, image, 0.02, 0.98), tensor_of(draw, image, 0.0, 1.0),
        tensor_of(draw, (batch, latent), -3.0, 3.0), tensor_of(draw, (batch, latent), -4.0, 3.0),
    )  # fmt: skip


@declare(
    id="q8.elbo.value", question=8, kind="property", points=1.0, visibility="public",
    title="elbo_terms: value",
    asks="elbo_terms returns the reconstruction's cross-entropy and the KL divergence, both in nats per image",
    hint="Are both terms sums over what belongs to one image, and means over the images? Do they have the same units?",
    needs=(),
)  # fmt: skip
def elbo_value(ctx: Context) -> None:
    def body(case: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
        x_recon, x, mu, logvar = case
        recon, kl = as_sequence(preserves(ctx, TERMS, *case), 2, "elbo_terms")
        true_recon, true_kl = true_terms(*case)
        tol = FLOAT64 if x.dtype == torch.float64 else FLOAT32
        hint = hint_of_scale(recon, true_recon, len(x), x[0].numel(), "pixels")
        if not hint and not alike(recon, true_recon):
            hint = hint_elsewhere(ctx, "autoencoders.bce_loss", 4, true_recon, x_recon, x)
        matches(ctx, recon, true_recon, GUARDED, "recon", hint=hint)
        hint = hint_of_scale(kl, true_kl, len(x), mu.shape[1], "latent dimensions")
        if not hint and not alike(kl, true_kl):
            hint = hint_elsewhere(ctx, "gaussians.kl_divergence", 2, true_kl, mu, logvar)
        matches(ctx, kl, true_kl, tol, "kl", hint=hint)

    forall(ctx, body, case=batches())
    x_recon, x = ctx.rand(6, 1, 28, 28, low=0.02, high=0.98, dtype=torch.float32), ctx.images(6)
    body((x_recon, x, ctx.randn(6, 20, dtype=torch.float32), ctx.randn(6, 20, dtype=torch.float32)))


@declare(
    id="q8.elbo.finite", question=8, kind="property", points=0.25, visibility="hidden",
    title="elbo_terms: certain pixels",
    asks="recon is finite for probabilities 0 and 1, and 0 where they are right, its gradient finite too; they stay "
    "what they are",
    hint="What is the logarithm of 0, and what is 0 times that? And whose numbers are they that you keep away from 0?",
    needs=("q8.elbo.value",),
)  # fmt: skip
def elbo_finite(ctx: Context) -> None:
    for dtype in (torch.float32, torch.float64):
        x = (ctx.images(5, dtype=dtype) > 0.7).to(dtype)
        mu, logvar = ctx.randn(5, 7, dtype=dtype), ctx.rand(5, 7, low=-60.0, high=40.0, dtype=dtype)
        tol = Tolerance(1e-4, 1e-5, "float32 rounding of terms up to exp(40)")
        for x_recon, exact in ((x, True), (1 - x, False)):
            recon, kl = as_sequence(preserves(ctx, TERMS, x_recon, x, mu, logvar), 2, "elbo_terms")
            recon = as_tensor(recon, (), "recon for probabilities 0 and 1", dtype=dtype)
            if exact:
                matches(ctx, recon, torch.zeros((), dtype=dtype), CLAMPED, "recon of a perfect reconstruction")
                slope = ctx.session.vjp(TERMS, x_recon, x, mu, logvar, wrt=(0,), cotangents=[((0,), None)]).args[0]
                what = "the gradient of recon at a perfect reconstruction"
                as_tensor(zeros_if_none(slope, x), x.shape, what, dtype=dtype)
            matches(ctx, kl, nats(mu, logvar).sum(1).mean(), tol, "kl for logvar from -60 to 40")


@declare(
    id="q8.elbo.zero", question=8, kind="property", points=0.25, visibility="public",
    title="elbo_terms: a network that knows nothing",
    asks="with all weights at zero every pixel is a coin toss: its cost per image is known, and the KL is 0",
    hint="How many nats does one coin toss cost, and how many pixels has an image?",
    needs=(),
)  # fmt: skip
def elbo_zero(ctx: Context) -> None:
    model = ctx.new("vae.VAE", latent_dim=6).double().eval()
    model.load(
        {name: torch.zeros_like(held) if name in model.parameters() else held for name, held in model.state().items()}
    )
    x, eps = ctx.images(4, dtype=torch.float64), ctx.randn(4, 6)
    outputs = as_sequence(model(x, eps=eps), 3, "forward")
    # nearly every architecture gives probabilities of 1/2 and the prior then; for another one they are put in its place
    known = (torch.full_like(x, 0.5), torch.zeros_like(eps), torch.zeros_like(eps))
    usual = all(alike(wanted, found) for wanted, found in zip(known, outputs, strict=True))
    x_recon, mu, logvar = outputs if usual else known
    recon, kl = as_sequence(ctx.call(TERMS, x_recon, x, mu, logvar), 2, "elbo_terms")
    expected = torch.tensor(784 * math.log(2), dtype=x.dtype)
    matches(ctx, recon, expected, GUARDED, "recon", hint=hint_of_scale(recon, expected, 4, 784, "pixels"))
    matches(ctx, kl, torch.zeros((), dtype=x.dtype), FLOAT64, "kl of the prior itself")


@declare(
    id="q8.elbo.gradient", question=8, kind="gradient", points=0.5, visibility="public",
    title="vae_loss: gradient",
    asks="the loss can be differentiated with respect to the reconstruction, mu and logvar",
    hint="Is every step from your inputs to the loss a differentiable operation of PyTorch on tensors?",
    needs=(),
)  # fmt: skip
def elbo_gradient(ctx: Context) -> None:
    x_recon, x = ctx.rand(3, 1, 2, 2, low=0.1, high=0.9), ctx.rand(3, 1, 2, 2)
    mu, logvar = ctx.randn(3, 5), ctx.randn(3, 5)
    gradient_matches(ctx, LOSS, x_recon, x, mu, logvar, wrt=(0, 2, 3), what="the gradient of vae_loss")
    for path in ((0,), (1,)):
        where = (0,) if path == (0,) else (2, 3)
        gradient_matches(
            ctx, TERMS, x_recon, x, mu, logvar, wrt=where, path=path, directions=1, what="the gradient of elbo_terms"
        )


# ---- beta ---------------------------------------------------------------------------------------------------------


@declare(
    id="q8.loss.beta", question=8, kind="property", points=0.5, visibility="public",
    title="vae_loss: beta",
    asks="vae_loss is recon + beta kl for every beta, -ELBO by default",
    hint="What is left of the loss at beta = 0? By how much does it grow when beta grows by 1?",
    needs=(),
)  # fmt: skip
def loss_beta(ctx: Context) -> None:
    def body(case: tuple[Tensor, Tensor, Tensor, Tensor], beta: float) -> None:
        at_0, at_1, at_beta = (
            as_tensor(ctx.call(LOSS, *case, beta=b), (), "vae_loss", dtype=torch.float64) for b in (0.0, 1.0, beta)
        )
        recon, kl = true_terms(*case)
        if not (alike(at_0, recon) and alike(at_1 - at_0, kl, atol=1e-6)):
            # a mistake in elbo_terms costs points there: here beta has to weigh what elbo_terms returns
            own_recon, own_kl = as_sequence(ctx.call(TERMS, *case), 2, "elbo_terms")
            if not (alike(at_0, own_recon) and alike(at_1, own_recon + own_kl)):
                matches(ctx, at_0, recon, FLOAT64, "vae_loss at beta = 0")
                matches(ctx, at_1, recon + kl, FLOAT64, "vae_loss at beta = 1")
        matches(ctx, at_beta, at_0 + beta * (at_1 - at_0), FLOAT64, f"vae_loss at beta = {beta:.6g}")

    forall(ctx, body, case=batches(), beta=numbers(0.0, 10.0))
    case = (ctx.rand(5, 1, 3, 3, low=0.1, high=0.9), ctx.rand(5, 1, 3, 3), ctx.randn(5, 4), ctx.randn(5, 4))
    default = as_tensor(preserves(ctx, LOSS, *case), (), "vae_loss", dtype=torch.float64)
    matches(ctx, default, as_tensor(ctx.call(LOSS, *case, beta=1.0), (), "vae_loss"), FLOAT64, "vae_loss without beta")
    single = tuple(part.float() for part in case)
    as_tensor(ctx.call(LOSS, *single, beta=0.5), (), "vae_loss in float32", dtype=torch.float32)


# ---- annealing ----------------------------------------------------------------------------------------------------


@declare(
    id="q8.annealing", question=8, kind="property", points=0.5, visibility="public",
    title="kl_annealing: schedule",
    asks="the weight of the KL rises linearly from 0 at step 0 to beta_max at warmup_steps and stays there",
    hint="Write down the weights for warmup_steps = 4 at steps 0, 1, 4, 5 and 9. And without any warm-up?",
    needs=(),
)  # fmt: skip
def annealing(ctx: Context) -> None:
    def body(step: int, warmup: int, beta_max: float) -> None:
        value = ctx.call(ANNEALING, step, warmup, beta_max)
        expect(not isinstance(value, Tensor), "kl_annealing returns a tensor", "a float", value)
        expected = beta_max if step >= warmup else beta_max * step / warmup
        past = isinstance(value, float) and warmup > 0 and step >= warmup and value < expected
        hint = "The warm-up is over at this step. What should the weight be from here on?" if past else ""
        matches(ctx, value, expected, FLOAT64, "kl_annealing(step, warmup_steps, beta_max)", hint=hint)

    forall(ctx, body, examples=40, step=st.integers(0, 40), warmup=st.integers(0, 20), beta_max=numbers(0.0, 8.0))
    for step, warmup in ((0, 0), (7, 0), (0, 5), (5, 5), (4, 5), (10, 5), (12345, 1000)):
        guard(functools.partial(body, step, warmup, 2.5), {"step": step, "warmup_steps": warmup})
    matches(ctx, ctx.call(ANNEALING, 3, 12), 0.25, FLOAT64, "kl_annealing(3, 12), beta_max by default,")


# ---- free bits ----------------------------------------------------------------------------------------------------


@st.composite
def groups(draw: st.DrawFn) -> tuple[Tensor, Tensor, int, float]:
    """(mu, logvar, group_size, free_bits): groups of different KL, the floor between some of them."""
    group_size, count, batch, seed = draw(sizes(1, 4)), draw(sizes(1, 4)), draw(sizes(1, 5)), draw(seeds())
    scale = random(seed + 1, group_size * count, low=0.05, high=2.0)
    mu, logvar = random(seed, batch, group_size * count) * scale, random(seed + 2, batch, group_size * count) * scale
    return mu, logvar, group_size, draw(numbers(0.0, 3.0))


@declare(
    id="q8.freebits.value", question=8, kind="property", points=0.75, visibility="public",
    title="free_bits_kl: a floor for each group",
    asks="each group of successive dimensions costs at least free_bits nats, compared after averaging over the batch",
    hint="Is it a floor? Of what: one example, the batch's mean, one dimension, a group? What should it return at "
    "free_bits = 0, and at a very large one?",
    needs=(),
)  # fmt: skip
def free_bits_value(ctx: Context) -> None:
    def body(case: tuple[Tensor, Tensor, int, float]) -> None:
        mu, logvar, group_size, free_bits = case
        expected = true_free_bits(mu, logvar, free_bits, group_size)
        value = preserves(ctx, FREE_BITS, mu, logvar, free_bits, group_size)
        hint = ""
        if not alike(value, expected):
            means = nats(mu, logvar).mean(0).reshape(-1, group_size).sum(1)
            if alike(value, torch.clamp(means, max=free_bits).sum()):
                hint = "Is it a floor or a ceiling?"
            elif alike(
                value, nats(mu, logvar).reshape(len(mu), -1, group_size).sum(2).clamp(min=free_bits).sum(1).mean()
            ):
                hint = "Which comes first, the mean over the batch or the floor?"
            else:
                hint = hint_elsewhere(ctx, "gaussians.kl_divergence", 2, nats(mu, logvar).sum(1).mean(), mu, logvar)
        matches(ctx, value, expected, FLOAT64, "free_bits_kl(mu, logvar, free_bits, group_size)", hint=hint)

    forall(ctx, body, case=groups(), examples=40)
    scale = torch.tensor([0.1, 1.0, 0.2, 2.0, 0.1, 1.5], dtype=torch.float64)
    mu, logvar = ctx.randn(7, 6) * scale, ctx.randn(7, 6) * scale
    for group_size in (1, 2, 3, 6):
        for free_bits in (0.0, 0.5, 1000.0):
            body((mu, logvar, group_size, free_bits))
    matches(
        ctx,
        ctx.call(FREE_BITS, mu, logvar, 0.5),
        true_free_bits(mu, logvar, 0.5, 1),
        FLOAT64,
        "free_bits_kl with default groups",
    )
    single = (mu.float(), logvar.float())
    matches(
        ctx, ctx.call(FREE_BITS, *single, 0.5, 2), true_free_bits(*single, 0.5, 2), FLOAT32, "free_bits_kl in float32"
    )


@declare(
    id="q8.freebits.gradient", question=8, kind="gradient", points=0.25, visibility="hidden",
    title="free_bits_kl: no pressure below the floor",
    asks="groups above the floor have the KL's gradient, groups below it none",
    hint="What should push a dimension on towards the prior whose KL is below the floor already?",
    needs=(),
)  # fmt: skip
def free_bits_gradient(ctx: Context) -> None:
    # in the first and the last group of two dimensions images have a KL of at most 2 x .03, in the others of at least
    # 2 x .5; with the last image it is the other way round: 2 x .25 and at most 2 x .03. Means of at most .16 and of at
    # least .8 are far from the floor of .3
    above = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    high = above.repeat(5, 1)
    high[4] = 0
    mu = (1 - high) * ctx.rand(5, 8, low=-0.2, high=0.2) + high * ctx.rand(5, 8, low=1.0, high=2.0)
    mu[4] += (1 - above) * (0.7 * mu[4].sign() - mu[4])
    logvar = (1 - high) * ctx.rand(5, 8, low=-0.2, high=0.2) + high * ctx.rand(5, 8, low=-2.0, high=2.0)
    found = ctx.session.vjp(FREE_BITS, mu, logvar, 0.3, 2, wrt=(0, 1))
    for gradient, expected, name in (
        (found.args[0], above * mu / 5, "mu"),
        (found.args[1], above * (logvar.exp() - 1) / 10, "logvar"),
    ):
        got = zeros_if_none(gradient, mu)
        by_image = got.shape == mu.shape and alike(got[:4], expected[:4])
        hint = "Is it one image that is above the floor or below it, or the batch?" if by_image else ""
        matches(ctx, got, expected, FLOAT64, f"the gradient of free_bits_kl to {name}", hint=hint)


LOSSES: tuple[Check, ...] = (
    elbo_value, elbo_finite, elbo_zero, elbo_gradient, loss_beta, annealing, free_bits_value, free_bits_gradient,
)  # fmt: skip
