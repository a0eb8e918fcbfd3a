"""The variational autoencoder."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from ...check.cases import named_sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import expect, preserves
from ...check.forall import forall
from ...check.values import Handle, Probe
from ..shared.draws import expect_generator
from ..shared.latents import REPARAMETERIZE as DRAW
from ..shared.latents import stir
from ..shared.models import (
    WHICH_WIDTH,
    expect_alive,
    expect_all_probabilities,
    expect_apart,
    expect_chain_rule,
    expect_forward,
    expect_fresh,
    expect_heads,
    expect_hidden_dim,
    expect_loadable,
    expect_shapes,
    expect_used_in_training,
    precise,
    three,
)
from .conv import CONV
from .parts import REPARAMETERIZE

VAE = "vae.VAE"


def small(ctx: Context, batch: int = 5) -> tuple[Handle, torch.Tensor]:
    """A VAE for small images with 6 latents in evaluation mode, and some images; float64 where that works."""
    return precise(ctx, lambda side: ctx.new(VAE, input_dim=side**2, hidden_dim=11, latent_dim=6), batch)


@declare(
    id="q8.vae.shapes", question=8, kind="property", points=0.5, visibility="public",
    title="VAE: shapes",
    asks="encode gives (mu, logvar), decode images, forward (x_recon, mu, logvar), for all sizes and both dtypes, also "
    "after another model was made",
    hint="Print the shapes on the way from (B, 1, s, s) to (B, latent_dim) and back. Which of the three sizes given to "
    "the constructor belongs where?",
    needs=(),
)  # fmt: skip
def vae_shapes(ctx: Context) -> None:
    def body(sizes: dict[str, int], double: bool) -> None:
        model, x = (
            ctx.new(VAE, sizes["side"] ** 2, sizes["hidden"], sizes["latent"]),
            ctx.images(sizes["batch"], sizes["side"]),
        )
        model, x = (model.double(), x.double()) if double else (model, x)
        expect_shapes(ctx, model.eval(), x, sizes["latent"])

    drawn = named_sizes(batch=(2, 6), side=(2, 5), latent=(3, 6), hidden=(4, 9))
    forall(ctx, body, examples=12, sizes=drawn, double=st.booleans())
    for batch, side, latent, hidden in ((1, 3, 4, 7), (5, 3, 1, 7), (1, 2, 1, 3)):
        body({"batch": batch, "side": side, "latent": latent, "hidden": hidden}, double=False)
    model = ctx.new(VAE)
    expect_shapes(ctx, model, ctx.images(3), 20)
    preserves(ctx, model, ctx.images(3))
    found, wanted = (
        sum(held.numel() for held in made.state().values()) for made in (model, ctx.new(VAE, 784, 400, 20))
    )
    expect(
        found == wanted, "VAE() is not VAE(input_dim=784, hidden_dim=400, latent_dim=20)", f"{wanted} weights",
        f"{found} weights", hint="Which sizes does a model have whose maker names none?",
    )  # fmt: skip
    narrow, wide = (sum(held.numel() for held in ctx.new(VAE, 16, hidden, 3).state().values()) for hidden in (5, 50))
    expect(
        wide > narrow, "hidden_dim changes nothing in the model", "more weights for hidden_dim = 50 than for 5",
        f"{wide} weights for 50, {narrow} for 5", hint=WHICH_WIDTH,
    )  # fmt: skip
    x, z = ctx.images(2, 4), ctx.randn(2, 3, dtype=torch.float32)
    expect_hidden_dim(ctx, lambda hidden: ctx.new(VAE, 16, hidden, 3), x, z, name="VAE")
    expect_apart(ctx, lambda: expect_shapes(ctx, model, ctx.images(3), 20), "VAE(16, 50, 3)")


@declare(
    id="q8.vae.heads", question=8, kind="property", points=0.5, visibility="public",
    title="VAE: mean and log-variance",
    asks="mu and logvar are two different functions of the image alone, with a value of its own for each latent "
    "dimension, and each may be any real number",
    hint="Which numbers may a mean be? Which a log-variance: what would variances below 1 need?",
    needs=(),
)  # fmt: skip
def vae_heads(ctx: Context) -> None:
    model, x = precise(ctx, lambda side: ctx.new(VAE, input_dim=side**2, hidden_dim=14, latent_dim=8), 5)
    expect_heads(ctx, model, x, 8, "VAE.encode")


@declare(
    id="q8.vae.probabilities", question=8, kind="property", points=0.25, visibility="public",
    title="VAE: decode returns probabilities",
    asks="pixels of decode can be anything from 0 to 1 and nothing else, in both modes, and depend on their own latent "
    "alone",
    hint="A pixel is black or white in most images. Can your decoder say so?",
    needs=(),
)  # fmt: skip
def vae_probabilities(ctx: Context) -> None:
    model, x = small(ctx)
    expect_all_probabilities(ctx, model, 3 * ctx.randn(32, 6, dtype=x.dtype), "VAE")


@declare(
    id="q8.vae.forward", question=8, kind="property", points=0.75, visibility="public",
    title="VAE: forward decodes a draw of the posterior",
    asks="forward(x, eps=eps) decodes the draw that eps makes of the posterior of encode(x), and returns that, in both "
    "modes; a second model with the first one's state_dict computes the same",
    hint="Follow eps: where does it enter, and what reaches the decoder? What would eps = 0 decode?",
    needs=(), parts=(REPARAMETERIZE,),
)  # fmt: skip
def vae_forward(ctx: Context) -> None:
    model, x = small(ctx)
    expect_forward(ctx, stir(ctx, model), x, 6)
    pixels = x[0].numel()
    single = stir(ctx, ctx.new(VAE, input_dim=pixels, hidden_dim=11, latent_dim=6).eval())
    expect_forward(ctx, single, x.float(), 6)
    twin = ctx.new(VAE, input_dim=pixels, hidden_dim=11, latent_dim=6)
    expect_loadable(ctx, model, twin, x, 6)
    expect_used_in_training(ctx, model, x, 6, "eps", "VAE.forward")


@declare(
    id="q8.vae.fresh", question=8, kind="property", points=0.75, visibility="public",
    title="VAE: a fresh sample on each forward pass",
    asks="each forward pass draws new noise for every image, in training and in evaluation mode, with and without "
    "gradients",
    hint="Run the same image twice, in both modes: should the reconstructions be equal? And twice in one batch?",
    needs=(), parts=(REPARAMETERIZE,),
)  # fmt: skip
def vae_fresh(ctx: Context) -> None:
    model, x = small(ctx)
    expect_fresh(ctx, stir(ctx, model, 0.7), x, 6)


@declare(
    id="q8.vae.gradient", question=8, kind="gradient", points=0.5, visibility="hidden",
    title="VAE: gradients through both heads",
    asks="gradients of forward's three outputs reach the decoder, and through mu and logvar the encoder and the image",
    hint="Which path does the reconstruction's gradient take back to the encoder? Is a link of it cut?",
    needs=("q8.vae.forward",), parts=(REPARAMETERIZE,),
)  # fmt: skip
def vae_gradient(ctx: Context) -> None:
    model, x = small(ctx)
    expect_chain_rule(ctx, stir(ctx, model), x[:3], 6)


@declare(
    id="q8.generator", question=8, kind="property", points=0.25, visibility="hidden",
    title="reparameterize, VAE, ConvVAE: generator",
    asks="reparameterize and the forward of both models take their noise from the generator if one is given, new noise "
    "on each call",
    hint="What do two calls with two generators of the same seed return? And two calls in a row with one generator?",
    needs=(), parts=(REPARAMETERIZE,),
)  # fmt: skip
def uses_generator(ctx: Context) -> None:
    mu, logvar = ctx.randn(5, 3), ctx.randn(5, 3)
    expect_generator(ctx, lambda generator: ctx.call(DRAW, mu, logvar, generator=generator), "reparameterize")
    conv = precise(ctx, lambda side: ctx.new(CONV, 6), 3, sides=(28,))
    for name, (model, x) in (("VAE.forward", small(ctx)), ("ConvVAE.forward", conv)):
        expect_alive(ctx, stir(ctx, model, 0.5), x, 6)

        def forward(generator: object, model: Handle = model, x: torch.Tensor = x) -> object:
            return three(model(x, generator=generator))[0]

        expect_generator(ctx, forward, name)
        expect_used_in_training(ctx, model, x, 6, "generator", name)


@declare(
    id="q8.device", question=8, kind="property", points=0.25, visibility="public",
    title="Draws, images and weights on a GPU",
    asks="reparameterize, both models, generate and interpolate draw and compute where model and inputs lie",
    hint="Which tensors does your code make itself, and where do they lie when model and inputs lie on a GPU?",
    needs=(),
)  # fmt: skip
def device(ctx: Context) -> None:
    mu, logvar = ctx.randn(2, 3), ctx.randn(2, 3)
    expect_on_device(ctx, "reparameterize", DRAW, mu, logvar)
    for target, sizes in ((VAE, (784, 7, 3)), (CONV, (3,))):
        x, eps = ctx.images(2), ctx.randn(2, 3, dtype=torch.float32)
        what = f"{target.removeprefix('vae.')}.forward"
        expect_on_device(ctx, f"{what} with eps", ctx.new(target, *sizes).eval(), x, eps=eps)
        expect_on_device(ctx, what, ctx.new(target, *sizes).eval(), x)
    expect_on_device(ctx, "generate", "vae.generate", ctx.new(Probe("IdentityDecoder"), 3), 4)
    x1, x2, shown = ctx.images(1, 3), ctx.images(1, 3), ctx.new(Probe("IdentityDecoder"), 3)
    expect_on_device(ctx, "interpolate", "vae.interpolate", shown, x1, x2, 4)
