"""The reparameterization."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.cases import same_shape, sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_tensor, expect, matches, preserves
from ...check.failure import FLOAT32, FLOAT64, INHERIT
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.shown import alike
from ...check.values import Gen
from ..shared.draws import ALWAYS, expect_standard_normal
from ..shared.latents import REPARAMETERIZE, Readings, matches_among, sigma_of, zeros_if_none

SPREAD = "Is eps multiplied with the variance, or with its square root?"
NO_NOISE = "Where is the randomness in what you return?"
AT_ZERO = "What is the standard deviation where the logarithm of the variance is 0, and what does yours become there?"
HALVES = (
    "Of which quantity is logvar the logarithm, and how often is it halved on the way to what eps is multiplied with?"
)
MEAN_STAYS = "Does the mean stay where it is when the noise is scaled?"
DIRECTION = "In which direction does a positive eps move z?"
NO_MEAN = "Around which point do the draws lie?"
NO_SCALE = "Two latents with different variances get the same eps: how far from its mean does each of them move?"
GIVEN = "When eps is given, is there anything left to draw?"
EXTREME = "What becomes of a latent that is nearly certain, or hardly at all? Who said that it cannot be?"
NO_WAY_BACK = "If z moves, how does it depend on {name}? What cuts such a path in PyTorch, and does the draw do that?"


@declare(
    id="q8.reparam.value", question=8, kind="property", points=0.75, visibility="public",
    title="reparameterize: value",
    asks="reparameterize(mu, logvar, eps) is the draw of N(mu, diag sigma^2) that belongs to the standard normal eps",
    hint="Give every latent a variance of 4: how far from mu does eps = 1 take you?",
    needs=(),
)  # fmt: skip
def reparam_value(ctx: Context) -> None:
    def readings(mu: Tensor, logvar: Tensor, eps: Tensor) -> Readings:
        sigma = sigma_of(logvar)
        return {
            "mu, whatever eps is": (mu, NO_NOISE),
            "mu + variance · eps": (mu + sigma.square() * eps, SPREAD),
            "mu + logvar · eps": (mu + logvar * eps, AT_ZERO),
            "mu + logvar/2 · eps": (mu + logvar * eps / 2, AT_ZERO),
            "mu + exp(logvar/4) · eps": (mu + sigma.sqrt() * eps, HALVES),
            "mu + exp(2 logvar) · eps": (mu + sigma**4 * eps, HALVES),
            "mu + sqrt(|logvar|) · eps": (mu + logvar.abs().sqrt() * eps, AT_ZERO),
            "(mu + eps) · sigma": ((mu + eps) * sigma, MEAN_STAYS),
            "mu - sigma · eps": (mu - sigma * eps, DIRECTION),
            "sigma · eps": (sigma * eps, NO_MEAN),
            "mu + eps": (mu + eps, NO_SCALE),
            "mu + eps / sigma": (mu + eps / sigma, SPREAD),
            "mu · sigma + eps": (mu * sigma + eps, MEAN_STAYS),
            "mu + sigma": (mu + sigma, NO_NOISE),
        }

    def body(case: tuple[Tensor, Tensor, Tensor]) -> None:
        mu, logvar, eps = case
        value = preserves(ctx, REPARAMETERIZE, mu, logvar, eps=eps)
        matches(ctx, value, mu + sigma_of(logvar) * eps, FLOAT64, "reparameterize(mu, logvar, eps)", hint=INHERIT)

    # numbers of one digit in which misconceptions differ, before small cases in which they coincide
    mu, logvar, eps = (
        torch.round(ctx.rand(2, 3, low=0.5, high=2), decimals=1) * (ctx.rand(2, 3) - 0.5).sign() for _ in range(3)
    )
    value, expected = preserves(ctx, REPARAMETERIZE, mu, logvar, eps=eps), mu + sigma_of(logvar) * eps
    what = "reparameterize(mu, logvar, eps)"
    matches_among(ctx, value, expected, FLOAT64, what, lambda: readings(mu, logvar, eps), hint=INHERIT)
    forall(ctx, body, case=same_shape(3, sizes(2, 5), sizes(3, 4), low=(-3.0, -4.0, -3.0), high=(3.0, 3.0, 3.0)))
    for batch, latent in ((1, 3), (3, 1), (1, 1)):
        body((ctx.randn(batch, latent), ctx.randn(batch, latent), ctx.randn(batch, latent)))
    mu, logvar, eps = (ctx.randn(7, 5, dtype=torch.float32) for _ in range(3))
    expected = mu + sigma_of(logvar) * eps
    value = ctx.call(REPARAMETERIZE, mu, logvar, eps)
    matches(ctx, value, expected, FLOAT32, "reparameterize in float32", hint=INHERIT)
    both = ctx.call(REPARAMETERIZE, mu, logvar, eps=eps, generator=Gen(ctx.seed))
    matches(ctx, both, expected, FLOAT32, "reparameterize with a generator beside eps", hint=GIVEN)
    drawn = preserves(ctx, REPARAMETERIZE, mu, logvar)
    as_tensor(drawn, (7, 5), "reparameterize(mu, logvar)", dtype=torch.float32)
    mu, wide, eps = mu[:2, :2], torch.tensor([[-60.0, 60.0], [60.0, -60.0]]), eps[:2, :2]
    what = "reparameterize at logvar = ±60"
    matches(ctx, ctx.call(REPARAMETERIZE, mu, wide, eps), mu + sigma_of(wide) * eps, FLOAT32, what, hint=EXTREME)


@declare(
    id="q8.reparam.gradient", question=8, kind="gradient", points=0.75, visibility="public",
    title="reparameterize: gradients to mu and logvar",
    asks="z is a differentiable function of both mu and logvar, for a given eps and for a drawn one",
    hint="If z moves, how does it depend on mu, and how on logvar? What cuts such a path in PyTorch?",
    needs=(),
)  # fmt: skip
def reparam_gradient(ctx: Context) -> None:
    # moderate variances: a clamp of large ones is a wrong value
    mu, logvar, eps = ctx.randn(4, 3), ctx.rand(4, 3, low=-1.5, high=1.5), ctx.randn(4, 3)
    gradient_matches(ctx, REPARAMETERIZE, mu, logvar, eps, wrt=(0, 1), what="the gradient of reparameterize")
    weights = ctx.randn(4, 3)
    found = ctx.session.vjp(REPARAMETERIZE, mu, logvar, wrt=(0, 1), cotangents=[((), weights)], generator=Gen(ctx.seed))
    if alike(found.value, mu):
        return  # nothing is drawn: that mistake has a check of its own
    to_mu, to_logvar = zeros_if_none(found.args[0], mu), zeros_if_none(found.args[1], mu)
    expect(
        bool(to_mu.any()), "no gradient reaches mu where the noise is drawn (where eps is given, one does)",
        "the gradient of z itself", "None" if found.args[0] is None else "zero", hint=NO_WAY_BACK.format(name="mu"),
    )  # fmt: skip
    matches(ctx, to_mu, weights, FLOAT64, "the gradient to mu where the noise is drawn",
            hint="z is mu and something more: by how much does it move when mu does?")  # fmt: skip
    expect(
        float(to_logvar.abs().min()) > 0,
        "no gradient reaches logvar where the noise is drawn (where eps is given, one does)", "a gradient",
        "None" if found.args[1] is None else to_logvar, hint=NO_WAY_BACK.format(name="logvar"),
    )  # fmt: skip


@declare(
    id="q8.reparam.draws", question=8, kind="statistical", points=0.75, visibility="public",
    title="reparameterize: distribution of the draws",
    asks="without eps, z is drawn from N(mu, diag sigma^2), anew on each call, independently for every example and "
    "latent dimension",
    hint="Standardise many draws with their own mu and sigma and plot them: is it a bell, centred at 0, of width 1? Do "
    "two examples of a batch get different noise?",
    needs=(),
)  # fmt: skip
def reparam_draws(ctx: Context) -> None:
    # 4000 draws of 3 dimensions, each with its own mean and variance; the statistics and their chances of a false alarm
    # (5e-7 in all) are those of expect_standard_normal
    mu, logvar = 3 * ctx.randn(4000, 3), ctx.randn(4000, 3)
    sigma = sigma_of(logvar)
    # where the value for a given eps is wrong already, its own scale is used: that mistake has a check of its own
    own = as_tensor(ctx.call(REPARAMETERIZE, mu, logvar, torch.ones_like(mu)), mu.shape, "reparameterize") - mu
    if not alike(own, sigma) and bool((own.abs() > 1e-6).all()):
        sigma = own
    z = as_tensor(ctx.call(REPARAMETERIZE, mu, logvar), mu.shape, "reparameterize(mu, logvar)", dtype=mu.dtype)
    eps = (z - mu) / sigma
    expect(not alike(z, mu), "every draw is mu itself", "draws around mu", "mu", hint=NO_NOISE)
    expect_standard_normal(ctx, eps, "(z - mu) / sigma")
    again = as_tensor(ctx.call(REPARAMETERIZE, mu, logvar), mu.shape, "reparameterize(mu, logvar)")
    expect(
        not alike(again, z), "two calls of reparameterize draw the same noise", "fresh noise on each call",
        "equal numbers", hint=ALWAYS,
    )  # fmt: skip
