"""The convolutional one."""

from __future__ import annotations

import torch

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import expect
from ..shared.latents import stir
from ..shared.models import (
    expect_all_probabilities,
    expect_apart,
    expect_chain_rule,
    expect_forward,
    expect_fresh,
    expect_heads,
    expect_loadable,
    expect_shapes,
    expect_used_in_training,
    precise,
)
from .parts import REPARAMETERIZE

CONV = "vae.ConvVAE"


@declare(
    id="q8.conv.shapes", question=8, kind="property", points=0.5, visibility="public",
    title="ConvVAE: shapes",
    asks="ConvVAE maps (B, 1, 28, 28) to (mu, logvar) and back with convolutions, in float32 and float64, also after "
    "another model was made",
    hint="Print the shape after every layer, down to 7 pixels and up again. How many numbers enter the last layer?",
    needs=(),
)  # fmt: skip
def conv_shapes(ctx: Context) -> None:
    for batch, latent, dtype in ((3, 5, torch.float32), (1, 4, torch.float64), (2, 1, torch.float32)):
        model = ctx.new(CONV, latent).eval()
        model = model.double() if dtype == torch.float64 else model
        expect_shapes(ctx, model, ctx.images(batch, dtype=dtype), latent)
    model = ctx.new(CONV)
    expect_shapes(ctx, model, ctx.images(3), 20)
    dims = [held.ndim for held in model.state().values()]
    expect(
        4 in dims, "ConvVAE has no convolution", "weights with four dimensions",
        f"weights with at most {max(dims, default=0)} dimensions",
        hint="What does a layer know of which pixels are neighbours, and what does yours?",
    )  # fmt: skip
    ctx.new(CONV, 3)
    expect_apart(ctx, lambda: expect_shapes(ctx, model, ctx.images(2), 20), "ConvVAE(3)")


@declare(
    id="q8.conv.posterior", question=8, kind="property", points=0.5, visibility="public",
    title="ConvVAE: posterior, draw and probabilities",
    asks="ConvVAE behaves like VAE: two unbounded heads, a fresh draw on each pass, probabilities out, each image by "
    "itself, everything it needs in its state_dict",
    hint="Put the two classes side by side. What besides the layers differs?",
    needs=(), parts=(REPARAMETERIZE,),
)  # fmt: skip
def conv_posterior(ctx: Context) -> None:
    model, x = precise(ctx, lambda side: ctx.new(CONV, 8), 3, sides=(28,))
    expect_heads(ctx, model, x, 8, "ConvVAE.encode")
    stir(ctx, model, 0.7)  # layer upon layer of larger weights saturates the sigmoid
    expect_forward(ctx, model, x, 8)
    expect_loadable(ctx, model, ctx.new(CONV, 8), x, 8)
    expect_fresh(ctx, model, x, 8)
    expect_used_in_training(ctx, model, x, 8, "eps", "ConvVAE.forward")
    expect_chain_rule(ctx, model, x, 8)
    expect_all_probabilities(ctx, model, 3 * ctx.randn(4, 8, dtype=x.dtype), "ConvVAE")
