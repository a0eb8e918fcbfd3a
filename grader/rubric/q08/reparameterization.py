"""The reparameterization."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.cases import same_shape, sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_tensor, expect, matches, preserves
from ...check.failure import FLOAT32, FLOAT64
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.shown import alike, misread
from ...check.values import Gen
from ..shared.latents import (
    REPARAMETERIZE,
    expect_standard_normal,
    sigma_of,
    zeros_if_none,
)

VAE, CONV = "vae.VAE", "vae.ConvVAE"


@declare(
    id="q8.reparam.value", question=8, kind="property", points=0.75, visibility="public",
    title="reparameterize: value",
    asks="reparameterize(mu, logvar, eps) is the draw of N(mu, diag sigma^2) that belongs to the standard normal eps",
    hint="Give every latent a variance of 4: how far from mu does eps = 1 take you?",
    needs=(),
)  # fmt: skip
def reparam_value(ctx: Context) -> None:
    mu, logvar, eps = ctx.randn(4, 3), ctx.randn(4, 3), ctx.randn(4, 3)
    hint = misread(ctx.call(REPARAMETERIZE, mu, logvar, eps), {
        "Where is the randomness in what you return?": mu,
        "Is eps multiplied with the variance, or with its square root?": mu + logvar.exp() * eps,
        "What is the standard deviation where the logarithm of the variance is 0?": mu + logvar * eps,
        "What is the standard deviation where the logarithm of the variance is 0? And what is half of that?":
            mu + logvar * eps / 2,
        "Does the mean stay where it is when the noise is scaled?": (mu + eps) * sigma_of(logvar),
        "In which direction does a positive eps move z?": mu - sigma_of(logvar) * eps,
    })  # fmt: skip

    def body(case: tuple[Tensor, Tensor, Tensor]) -> None:
        mu, logvar, eps = case
        value = preserves(ctx, REPARAMETERIZE, mu, logvar, eps=eps)
        matches(ctx, value, mu + sigma_of(logvar) * eps, FLOAT64, "reparameterize(mu, logvar, eps)", hint=hint)

    forall(ctx, body, case=same_shape(3, sizes(1, 5), sizes(1, 4), low=(-3.0, -4.0, -3.0), high=(3.0, 3.0, 3.0)))
    mu, logvar, eps = (ctx.randn(7, 5, dtype=torch.float32) for _ in range(3))
    matches(
        ctx, ctx.call(REPARAMETERIZE, mu, logvar, eps), mu + sigma_of(logvar) * eps, FLOAT32, "its value in float32"
    )
    both = ctx.call(REPARAMETERIZE, mu, logvar, eps=eps, generator=Gen(ctx.seed))
    matches(ctx, both, mu + sigma_of(logvar) * eps, FLOAT32, "its value with a generator beside eps",
                hint="When eps is given, is there anything left to draw?")  # fmt: skip
    drawn = preserves(ctx, REPARAMETERIZE, mu, logvar)
    as_tensor(drawn, (7, 5), "reparameterize(mu, logvar)", dtype=torch.float32)
    wide = torch.tensor([[-60.0, 60.0], [60.0, -60.0]])
    matches(
        ctx,
        ctx.call(REPARAMETERIZE, mu[:2, :2], wide, eps[:2, :2]),
        mu[:2, :2] + sigma_of(wide) * eps[:2, :2],
        FLOAT32,
        "its value at logvar = ±60",
    )


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
    matches(ctx, zeros_if_none(found.args[0], mu), weights, FLOAT64, "the gradient to mu with drawn noise")
    to_logvar = zeros_if_none(found.args[1], mu)
    expect(float(to_logvar.abs().min()) > 0, "no gradient reaches logvar with drawn noise", "a gradient", to_logvar)


@declare(
    id="q8.reparam.draws", question=8, kind="statistical", points=0.75, visibility="public",
    title="reparameterize: distribution of the draws",
    asks="without eps, z is drawn from N(mu, diag sigma^2), independently for every example and latent dimension",
    hint="Standardise many draws with their own mu and sigma and plot them: is it a bell, centred at 0, of width 1? Do "
    "two examples of a batch get different noise?",
    needs=(),
)  # fmt: skip
def reparam_draws(ctx: Context) -> None:
    # 4000 draws of 3 dimensions, each with its own mean and variance; the statistics and their chances of a false alarm
    # (5e-7 in all) are those of expect_standard_normal
    mu, logvar = 3 * ctx.randn(4000, 3), ctx.randn(4000, 3)
    z = as_tensor(ctx.call(REPARAMETERIZE, mu, logvar), mu.shape, "reparameterize(mu, logvar)", dtype=mu.dtype)
    sigma = sigma_of(logvar)
    # where the value for a given eps is wrong already, its own scale is used: that mistake has a check of its own
    own = as_tensor(ctx.call(REPARAMETERIZE, mu, logvar, torch.ones_like(mu)), mu.shape, "reparameterize") - mu
    if not alike(own, sigma) and bool((own.abs() > 1e-6).all()):
        sigma = own
    standardised = (z - mu) / sigma
    flat = bool((standardised.abs() < 1e-6).all())
    expect_standard_normal(
        ctx, standardised, "(z - mu) / sigma", hint="Every draw is mu itself. Where is the randomness?" if flat else ""
    )
