"""The convolutional one."""

from __future__ import annotations

import torch

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import expect
from ..shared.latents import (
    expect_apart,
    expect_chain_rule,
    expect_forward,
    expect_fresh,
    expect_loadable,
    expect_shapes,
    stir,
)
from .model import expect_all_probabilities, expect_heads
from .reparameterization import CONV


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
    expect(4 in dims, "ConvVAE has no convolution", "weights with four dimensions", f"at most {max(dims, default=0)}")
    ctx.new(CONV, 3)
    expect_apart(ctx, lambda: expect_shapes(ctx, model, ctx.images(2), 20), "ConvVAE(3)")


@declare(
    id="q8.conv.posterior", question=8, kind="property", points=0.5, visibility="public",
    title="ConvVAE: posterior, draw and probabilities",
    asks="ConvVAE behaves like VAE: two unbounded heads, a fresh draw on each pass, probabilities out, each image by "
    "itself, everything it needs in its state_dict",
    hint="Put the two classes side by side. What besides the layers differs?",
    needs=(),
)  # fmt: skip
def conv_posterior(ctx: Context) -> None:
    model, x = ctx.new(CONV, 8).double().eval(), ctx.images(3, dtype=torch.float64)
    expect_heads(ctx, model, x, 8, "ConvVAE.encode")
    stir(ctx, model, 0.7)  # layer upon layer of larger weights saturates the sigmoid
    expect_forward(ctx, model, x, 8)
    expect_loadable(ctx, model, ctx.new(CONV, 8), x, 8)
    expect_fresh(ctx, model, x)
    expect_chain_rule(ctx, model, x, 8)
    expect_all_probabilities(ctx, model, 4, 8, "ConvVAE")
