"""Question 8, losses: the two terms of the ELBO, and beta, against closed forms."""

from __future__ import annotations

import functools
import math

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import named_sizes, numbers, tensor_of
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves
from ...check.failure import FLOAT32, FLOAT64, GUARDED, INHERIT, Tolerance
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.shown import alike
from ...check.values import StudentRaised
from ..shared.latents import Readings, bernoulli_nats, matches_among, nats, sigma_of, zeros_if_none
from ..shared.models import three
from .parts import TERMS as TERMS_PART

TERMS, LOSS = "vae.elbo_terms", "vae.vae_loss"
CLAMPED = Tolerance(
    1e-4, 1e-2, "probabilities held away from 0 and 1 by up to 1e-6 cost 1e-6 nats in each of some 800 pixels"
)
PER_PIXEL = "What should one more pixel do to recon: add to it, or thin it out?"
PER_LATENT = "What should one more latent dimension do to kl: add to it, or thin it out?"
PER_BATCH = "What should a larger batch of the same kind do to this number?"
SIGN = "A divergence cannot be negative, nor can a cross-entropy: which sign belongs to the definition?"
FACTOR = "Which constant factor does the definition have, and how often does it stand in your code?"
PROBABILITIES = "What does your cross-entropy take x_recon for: for numbers that a sigmoid has seen, or has not?"
LIKELIHOOD = "Which likelihood of a pixel does this loss belong to, and which is asked for?"
WHO_IS_WHO = "Which of the two is the target, and which argument of your loss expects it?"
OF_SIGMA = "Of which quantity is logvar the logarithm, and where does that quantity stand in the divergence?"
ORDER = "Which of the two terms comes first?"
NO_NUMBER = "What does a Python number no longer know of the tensors that it was computed from?"
AT_THE_EDGE = "What is the logarithm of 0, and what is 0 times that?"
WHICH_WEIGHT = "What is left of the loss at beta = 0? By how much does it grow when beta grows by 1?"
DEFAULT = "Which beta gives the ELBO itself, and which does your function take when the caller names none?"


# ---- oracles ------------------------------------------------------------------------------------------------------


def true_terms(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """(recon, kl) in nats per image, in the dtype of the images."""
    return bernoulli_nats(x_recon, x).mean().to(x.dtype), nats(mu, logvar).sum(1).mean()


def recon_otherwise(x_recon: Tensor, x: Tensor) -> Readings:
    """What recon becomes with other reductions, likelihoods, or arguments."""
    true, pixels, batch = bernoulli_nats(x_recon, x).mean().to(x.dtype), x[0].numel(), len(x)
    squares = (x_recon - x).square()
    return {
        f"1/{pixels} of it, and an image has {pixels} pixels": (true / pixels, PER_PIXEL),
        f"{batch} times it, in a batch of {batch}": (true * batch, PER_BATCH),
        f"1/{batch} of it, in a batch of {batch}": (true / batch, PER_BATCH),
        "the expected with the opposite sign": (-true, SIGN),
        "exactly twice the expected": (2 * true, FACTOR),
        "half of the expected": (true / 2, FACTOR),
        "the cross-entropy of a sigmoid of x_recon": (bernoulli_nats(torch.sigmoid(x_recon), x).mean(), PROBABILITIES),
        "the squared error, summed over pixels": (squares.flatten(1).sum(1).mean(), LIKELIHOOD),
        "half the squared error, summed over pixels": (squares.flatten(1).sum(1).mean() / 2, LIKELIHOOD),
        "the mean squared error": (squares.mean(), LIKELIHOOD),
        "the absolute error, summed over pixels": (squares.sqrt().flatten(1).sum(1).mean(), LIKELIHOOD),
        "the cross-entropy of the arguments in the other order": (bernoulli_nats(x, x_recon).mean(), WHO_IS_WHO),
        "what -x log(x_recon) alone adds up to": (-(x * x_recon.log()).flatten(1).sum(1).mean(), LIKELIHOOD),
    }


def kl_otherwise(mu: Tensor, logvar: Tensor) -> Readings:
    """What kl becomes with other reductions, factors, or another meaning of logvar."""
    true, (batch, dims) = nats(mu, logvar).sum(1).mean(), mu.shape
    return {
        f"1/{dims} of it, and there are {dims} latent dimensions": (true / dims, PER_LATENT),
        f"{batch} times it, in a batch of {batch}": (true * batch, PER_BATCH),
        f"1/{batch} of it, in a batch of {batch}": (true / batch, PER_BATCH),
        "the expected with the opposite sign": (-true, SIGN),
        "exactly twice the expected": (2 * true, FACTOR),
        "half of the expected": (true / 2, FACTOR),
        "the divergence with logvar taken for log sigma": (nats(mu, 2 * logvar).sum(1).mean(), OF_SIGMA),
        "the divergence with sigma in place of its square":
            ((0.5 * (mu.square() + sigma_of(logvar) - 1 - logvar)).sum(1).mean(), OF_SIGMA),
        "the divergence with logvar added": ((0.5 * (mu.square() + logvar.exp() - 1 + logvar)).sum(1).mean(), SIGN),
        "the divergence with |mu| in place of its square":
            ((0.5 * (mu.abs() + logvar.exp() - 1 - logvar)).sum(1).mean(), FACTOR),
    }  # fmt: skip


def hint_elsewhere(ctx: Context, name: str, question: int, value: Tensor, expected: Tensor, *args: Tensor) -> str:
    """Points to an earlier question if the value is wrong, and the function of that question is wrong here, too."""
    if alike(value, expected, rtol=1e-4):
        return INHERIT
    try:
        own = ctx.call(name, *args)
    except StudentRaised:
        return INHERIT  # not this check's business: the failure that is being reported stands
    if isinstance(own, Tensor) and own.is_floating_point() and alike(own.mean(), expected, rtol=1e-4):
        return INHERIT
    return f"{name} of Question {question} gives another number as well: does it pass there?"


# ---- the terms of the ELBO ----------------------------------------------------------------------------------------


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(x_recon, x, mu, logvar) of sizes that are all different: grey images, probabilities away from 0 and 1."""
    apart = draw(named_sizes(batch=(2, 5), side=(2, 3), latent=(3, 5)))
    image, latent = (apart["batch"], 1, apart["side"], apart["side"]), (apart["batch"], apart["latent"])
    return (
        tensor_of(draw, image, 0.02, 0.98), tensor_of(draw, image, 0.0, 1.0),
        tensor_of(draw, latent, -3.0, 3.0), tensor_of(draw, latent, -4.0, 3.0),
    )  # fmt: skip


def plain_case(ctx: Context) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(x_recon, x, mu, logvar) with one decimal, in which misconceptions differ: 3 images of 4 pixels, 5 latents."""
    return (
        torch.round(ctx.rand(3, 1, 2, 2, low=0.1, high=0.9), decimals=1), torch.round(ctx.rand(3, 1, 2, 2), decimals=1),
        torch.round(ctx.rand(3, 5, low=-2.0, high=2.0), decimals=1),
        torch.round(ctx.rand(3, 5, low=-2.0, high=2.0), decimals=1),
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
        call, (true_recon, true_kl) = ctx.typed(), true_terms(*case)
        tol = FLOAT64 if x.dtype == torch.float64 else FLOAT32
        for value, name in ((recon, "recon"), (kl, "kl")):
            as_tensor(value, (), name, hint=INHERIT if isinstance(value, Tensor) else NO_NUMBER)
        hint = hint_elsewhere(ctx, "autoencoders.bce_loss", 4, recon, true_recon, x_recon, x)
        readings = {
            **recon_otherwise(x_recon, x),
            "the divergence, which belongs into the other place": (true_kl, ORDER),
        }
        matches_among(ctx, recon, true_recon, GUARDED, "recon", lambda: readings, hint=hint, call=call)
        hint = hint_elsewhere(ctx, "gaussians.kl_divergence", 2, kl, true_kl, mu, logvar)
        matches_among(ctx, kl, true_kl, tol, "kl", lambda: kl_otherwise(mu, logvar), hint=hint, call=call)

    body(plain_case(ctx))
    forall(ctx, body, case=batches())
    one = ctx.rand(1, 1, 3, 3, low=0.1, high=0.9), ctx.rand(1, 1, 3, 3), ctx.randn(1, 4), ctx.randn(1, 4)
    body(one)
    x_recon, x = ctx.rand(6, 1, 28, 28, low=0.02, high=0.98, dtype=torch.float32), ctx.images(6)
    body((x_recon, x, ctx.randn(6, 20, dtype=torch.float32), ctx.randn(6, 20, dtype=torch.float32)))


@declare(
    id="q8.elbo.finite", question=8, kind="property", points=0.25, visibility="hidden",
    title="elbo_terms: certain pixels",
    asks="recon is finite for probabilities 0 and 1, and 0 where they are right, its gradient finite too; they stay "
    "what they are",
    hint="What is the logarithm of 0, and what is 0 times that? And whose numbers are they that you keep away from 0?",
    needs=(),
)  # fmt: skip
def elbo_finite(ctx: Context) -> None:
    usual = plain_case(ctx)
    terms = as_sequence(ctx.call(TERMS, *usual), 2, "elbo_terms")
    # a term that is wrong where nothing is extreme costs points there: here it has to be finite
    right = [alike(found, true, rtol=1e-4) for found, true in zip(terms, true_terms(*usual), strict=True)]
    for dtype in (torch.float32, torch.float64):
        x = (ctx.images(5, dtype=dtype) > 0.7).to(dtype)
        mu, logvar = ctx.randn(5, 7, dtype=dtype), ctx.rand(5, 7, low=-60.0, high=40.0, dtype=dtype)
        tol = Tolerance(1e-4, 1e-5, "float32 rounding of terms up to exp(40)")
        for x_recon, words in ((x, "equal to x, which is 0 or 1"), (1 - x, "1 - x, which is 0 or 1: all wrong")):
            recon, kl = as_sequence(preserves(ctx, TERMS, x_recon, x, mu, logvar), 2, "elbo_terms")
            if not isinstance(recon, Tensor):
                continue
            recon = as_tensor(recon, (), f"recon for x_recon {words}", dtype=dtype, hint=AT_THE_EDGE)
            if x_recon is x:
                if right[0]:
                    zero, what = torch.zeros((), dtype=dtype), "recon of a perfect reconstruction"
                    matches(ctx, recon, zero, CLAMPED, what, hint="What does a pixel cost that was certain and right?")
                slope = ctx.session.vjp(TERMS, x_recon, x, mu, logvar, wrt=(0,), cotangents=[((0,), None)]).args[0]
                what = "the gradient of recon at a perfect reconstruction"
                as_tensor(zeros_if_none(slope, x), x.shape, what, dtype=dtype, hint=AT_THE_EDGE)
            if right[1]:
                matches(ctx, kl, nats(mu, logvar).sum(1).mean(), tol, "kl for logvar from -60 to 40",
                        hint="What becomes of a latent that is nearly certain, or hardly at all?")  # fmt: skip
            else:
                as_tensor(kl, None, "kl for logvar from -60 to 40")


@declare(
    id="q8.elbo.zero", question=8, kind="property", points=0.25, visibility="public",
    title="elbo_terms: a network that knows nothing",
    asks="with all weights at zero every pixel is a coin toss: its cost per image is known, and the KL is 0",
    hint="How many nats does one coin toss cost, and how many pixels has an image?",
    needs=(), parts=(TERMS_PART,),
)  # fmt: skip
def elbo_zero(ctx: Context) -> None:
    x, eps = ctx.images(4, dtype=torch.float64), ctx.randn(4, 6)
    # nearly every architecture gives probabilities of 1/2 and the prior then; for another one they are put in its place
    known: list[Tensor] = [torch.full_like(x, 0.5), torch.zeros_like(eps), torch.zeros_like(eps)]
    usual = knows_nothing(ctx, x, eps)
    expect(usual is not None or not any(part.name == TERMS for part in ctx.stand_ins),
           "there is neither a model nor a function of yours to ask", hint=INHERIT)  # fmt: skip
    x_recon, mu, logvar = usual or known
    recon, kl = as_sequence(ctx.call(TERMS, x_recon, x, mu, logvar), 2, "elbo_terms")
    expected = torch.tensor(784 * math.log(2), dtype=x.dtype)
    matches_among(ctx, recon, expected, GUARDED, "recon", lambda: recon_otherwise(known[0], x), hint=INHERIT)
    matches(ctx, kl, torch.zeros((), dtype=x.dtype), FLOAT64, "kl of the prior itself",
            hint="How far is the prior from itself?")  # fmt: skip


def knows_nothing(ctx: Context, x: Tensor, eps: Tensor) -> list[Tensor] | None:
    """What a VAE with weights of zero returns, if that is what such a network usually returns."""
    try:
        model = ctx.new("vae.VAE", latent_dim=6).double().eval()
        weights = model.parameters()
        model.load({name: torch.zeros_like(held) if name in weights else held for name, held in model.state().items()})
        outputs = three(model(x, eps=eps))
    except StudentRaised:
        return None  # the model's mistakes cost points elsewhere
    usual = (torch.full_like(x, 0.5), torch.zeros_like(eps), torch.zeros_like(eps))
    return outputs if all(alike(wanted, found) for wanted, found in zip(usual, outputs, strict=True)) else None


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
    for path, name, where in (((0,), "recon", (0,)), ((1,), "kl", (2, 3))):
        what = f"the gradient of {name} of elbo_terms"
        gradient_matches(ctx, TERMS, x_recon, x, mu, logvar, wrt=where, path=path, directions=1, what=what)


# ---- beta ---------------------------------------------------------------------------------------------------------


def loss_otherwise(recon: Tensor, kl: Tensor, beta: float) -> Readings:
    """What vae_loss becomes with the weight elsewhere, or another one."""
    return {
        f"recon + kl: beta = {beta:g} counts as 1": (recon + kl, WHICH_WEIGHT),
        "beta · recon + kl": (beta * recon + kl, WHICH_WEIGHT),
        "beta · (recon + kl)": (beta * (recon + kl), WHICH_WEIGHT),
        "recon alone": (recon, WHICH_WEIGHT),
        "recon - beta · kl": (recon - beta * kl, SIGN),
        "recon + beta² · kl": (recon + beta**2 * kl, WHICH_WEIGHT),
        "recon + kl / beta": (recon + kl / max(beta, 1e-9), WHICH_WEIGHT),
        "recon + (1 + beta) · kl": (recon + (1 + beta) * kl, WHICH_WEIGHT),
        "(recon + beta · kl) / (1 + beta)": ((recon + beta * kl) / (1 + beta), WHICH_WEIGHT),
    }


@declare(
    id="q8.loss.beta", question=8, kind="property", points=0.5, visibility="public",
    title="vae_loss: beta",
    asks="vae_loss is recon + beta kl for every beta, -ELBO by default",
    hint="What is left of the loss at beta = 0? By how much does it grow when beta grows by 1?",
    needs=(), parts=(TERMS_PART,),
)  # fmt: skip
def loss_beta(ctx: Context) -> None:
    def terms_of(case: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """The true terms, or the submission's own: a mistake in elbo_terms costs points there."""
        at_0, at_1 = (ctx.call(LOSS, *case, beta=beta) for beta in (0.0, 1.0))
        recon, kl = true_terms(*case)
        if not (alike(at_0, recon) and alike(at_1, recon + kl)):
            own = as_sequence(ctx.call(TERMS, *case), 2, "elbo_terms")
            if all(isinstance(term, Tensor) and term.is_floating_point() and not term.ndim for term in own):
                return own[0], own[1]
        return recon, kl

    def body(case: tuple[Tensor, Tensor, Tensor, Tensor], beta: float) -> None:
        recon, kl = terms_of(case)
        value = as_tensor(ctx.call(LOSS, *case, beta=beta), (), "vae_loss", dtype=torch.float64)
        what = f"vae_loss at beta = {beta:.6g}"
        otherwise = functools.partial(loss_otherwise, recon, kl, beta)
        matches_among(ctx, value, recon + beta * kl, FLOAT64, what, otherwise, hint=INHERIT)

    case = plain_case(ctx)
    recon, kl = terms_of(case)
    for beta in (0.25, 0.0, 3.0, 1.0):
        body(case, beta)
    default = as_tensor(preserves(ctx, LOSS, *case), (), "vae_loss", dtype=torch.float64)
    weight = float((default - recon) / kl)
    expect(
        alike(default, recon + kl), "vae_loss without beta is not -ELBO", f"recon + kl = {float(recon + kl):.4g}",
        f"{float(default):.4g} = recon + {weight:.4g} kl", hint=DEFAULT,
    )  # fmt: skip
    forall(ctx, body, case=batches(), beta=numbers(0.0, 10.0))
    single = tuple(part.float() for part in case)
    as_tensor(ctx.call(LOSS, *single, beta=0.5), (), "vae_loss in float32", dtype=torch.float32)


LOSSES: tuple[Check, ...] = (elbo_value, elbo_finite, elbo_zero, elbo_gradient, loss_beta)
