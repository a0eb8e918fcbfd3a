"""The variational autoencoder."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...check.cases import sizes
from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import as_sequence, as_tensor, expect, preserves
from ...check.forall import forall
from ...check.shown import alike
from ...check.values import Handle
from ..shared.latents import (
    REPARAMETERIZE,
    expect_apart,
    expect_chain_rule,
    expect_forward,
    expect_fresh,
    expect_generator,
    expect_loadable,
    expect_probabilities_in_training,
    expect_rows_alone,
    expect_shapes,
    posterior,
    probabilities,
    stir,
)
from .reparameterization import VAE


def small(ctx: Context, gain: float = 1.5) -> Handle:
    """A VAE for 4x4 images with 6 latents, in float64 and evaluation mode, with random parameters."""
    return stir(ctx, ctx.new(VAE, input_dim=16, hidden_dim=11, latent_dim=6).double().eval(), gain)


@declare(
    id="q8.vae.shapes", question=8, kind="property", points=0.75, visibility="public",
    title="VAE: shapes",
    asks="encode gives (mu, logvar), decode images, forward (x_recon, mu, logvar), for all sizes and both dtypes, also "
    "after another model was made",
    hint="Print the shapes on the way from (B, 1, s, s) to (B, latent_dim) and back. Which of the three sizes given to "
    "the constructor belongs where?",
    needs=(),
)  # fmt: skip
def vae_shapes(ctx: Context) -> None:
    def body(batch: int, side: int, hidden: int, latent: int, double: bool) -> None:
        model = ctx.new(VAE, side * side, hidden, latent).eval()
        x = ctx.images(batch, side)
        if double:
            model, x = model.double(), x.double()
        expect_shapes(ctx, model, x, latent)

    forall(
        ctx,
        body,
        examples=12,
        batch=sizes(1, 6),
        side=sizes(1, 5),
        hidden=sizes(2, 9),
        latent=sizes(1, 5),
        double=st.booleans(),
    )
    model = ctx.new(VAE)
    expect_shapes(ctx, model, ctx.images(3), 20)
    preserves(ctx, model, ctx.images(3))
    narrow, wide = (sum(held.numel() for held in ctx.new(VAE, 16, hidden, 3).state().values()) for hidden in (5, 50))
    expect(
        wide > narrow,
        "hidden_dim changes nothing in the model",
        "more weights for hidden_dim = 50 than for 5",
        f"{wide} and {narrow}",
    )
    expect_apart(ctx, lambda: expect_shapes(ctx, model, ctx.images(3), 20), "VAE(16, 50, 3)")


def expect_heads(ctx: Context, model: Handle, x: Tensor, latent_dim: int, what: str) -> None:
    """mu and logvar are two functions of the image alone, both unbounded, one number of its own for each latent.

    Over several random choices of parameters.
    """
    seen = []
    for _ in range(6):  # with 6 x 8 latents a head of one sign by chance has probability 2^-48
        stir(ctx, model)
        mu, logvar = posterior(ctx, model.call("encode", x), (len(x), latent_dim), x.dtype, "encode")
        expect(
            not alike(mu, logvar),
            f"{what}: mu and logvar are the same numbers",
            "two different outputs",
            "equal tensors",
            hint="How many heads does your encoder have, and which of them is returned twice?",
        )
        seen.append((mu, logvar))
    for index, name in enumerate(("mu", "logvar")):
        values = torch.stack([pair[index] for pair in seen])
        low, high = float(values.min()), float(values.max())
        expect(
            low < 0 < high,
            f"{what}: {name} has values of one sign only",
            "values below and above 0",
            f"{low:.3g} to {high:.3g}",
            hint=f"Which values may {name} take? What does its last layer allow?",
        )
        expect(
            bool((values.std(dim=1) > 1e-6).any()),
            f"{what}: {name} is the same for all images",
            "values that depend on the image",
            "constant over the batch",
        )
        expect(
            bool((values.std(dim=2) > 1e-6).any()),
            f"{what}: {name} is the same for all latent dimensions",
            "one of its own for each dimension",
            "equal columns",
            hint=f"How many numbers does the head of {name} return for one image?",
        )

    def encoded(images: Tensor) -> Tensor:
        return torch.cat(posterior(ctx, model.call("encode", images), (len(images), latent_dim), x.dtype, what), dim=1)

    bright = torch.linspace(0.2, 1, len(x), dtype=x.dtype).view(-1, 1, 1, 1)
    expect_rows_alone(ctx, encoded, f"(mu, logvar) of {what}", bright * x)
    expect_unbounded(ctx, model, x, latent_dim, what)


WIDE = 6.0  # a guard against overflow further out than this is no bound of the model: sigma is then 20 or 1/20


def expect_unbounded(ctx: Context, model: Handle, x: Tensor, latent_dim: int, what: str) -> None:
    """mu and logvar leave [-6, 6] on both sides when the parameters are large: nothing in the model stops them."""
    low, high = torch.zeros(2, dtype=x.dtype), torch.zeros(2, dtype=x.dtype)
    for gain in (2.0, 2.0, 8.0, 8.0, 30.0, 30.0, 100.0, 100.0):
        stir(ctx, model, gain)
        for head, value in enumerate(as_sequence(model.call("encode", x), 2, "encode")):
            found = as_tensor(value, (len(x), latent_dim), "a head of encode", finite=False).nan_to_num(nan=0.0)
            low[head], high[head] = torch.minimum(low[head], found.min()), torch.maximum(high[head], found.max())
        if bool(((low < -WIDE) & (high > WIDE)).all()):
            return
    for name, least, most in zip(("mu", "logvar"), low.tolist(), high.tolist(), strict=True):
        expect(
            least < -WIDE and most > WIDE,
            f"{what}: {name} is bounded",
            f"values below {-WIDE:g} and above {WIDE:g}",
            f"{least:.3g} to {most:.3g}, however large the weights",
            hint=f"Which values may {name} take? What happens to it after its last layer?",
        )


def expect_all_probabilities(ctx: Context, model: Handle, batch: int, latent_dim: int, what: str) -> None:
    """Outputs of decode come near 0 and near 1 when the parameters are large, and never leave [0, 1]."""
    lows, highs = [], []

    def decoded(z: Tensor) -> Tensor:
        return probabilities(ctx, model.call("decode", z), None, f"the output of {what}.decode")

    for _ in range(4):
        stir(ctx, model, 8.0)
        z = 3 * ctx.randn(batch, latent_dim)
        images = decoded(z)
        lows.append(float(images.min()))
        highs.append(float(images.max()))
    expect(
        min(lows) < 0.05 and max(highs) > 0.95, f"{what}.decode cannot make black and white pixels", "about 0 to 1",
        f"{min(lows):.3g} to {max(highs):.3g}, however large the weights",
        hint="Which numbers can your last operation return? Is one of them applied twice?",
    )  # fmt: skip
    expect_probabilities_in_training(ctx, model, lambda: model.call("decode", z), f"the output of {what}.decode")
    stir(ctx, model, 0.7)
    expect_rows_alone(ctx, decoded, f"the output of {what}.decode", ctx.randn(3, latent_dim))


@declare(
    id="q8.vae.heads", question=8, kind="property", points=0.5, visibility="public",
    title="VAE: mean and log-variance",
    asks="mu and logvar are two different functions of the image alone, with a value of its own for each latent "
    "dimension, and each may be any real number",
    hint="Which numbers may a mean be? Which a log-variance: what would variances below 1 need?",
    needs=(),
)  # fmt: skip
def vae_heads(ctx: Context) -> None:
    model = ctx.new(VAE, input_dim=16, hidden_dim=14, latent_dim=8).double().eval()
    expect_heads(ctx, model, ctx.images(5, 4, dtype=torch.float64), 8, "VAE.encode")


@declare(
    id="q8.vae.probabilities", question=8, kind="property", points=0.25, visibility="public",
    title="VAE: decode returns probabilities",
    asks="pixels of decode can be anything from 0 to 1 and nothing else, in both modes, and depend on their own latent "
    "alone",
    hint="A pixel is black or white in most images. Can your decoder say so?",
    needs=(),
)  # fmt: skip
def vae_probabilities(ctx: Context) -> None:
    model = ctx.new(VAE, input_dim=16, hidden_dim=14, latent_dim=8).double().eval()
    expect_all_probabilities(ctx, model, 32, 8, "VAE")


@declare(
    id="q8.vae.forward", question=8, kind="property", points=0.75, visibility="public",
    title="VAE: forward decodes a draw of the posterior",
    asks="forward(x, eps=eps) decodes the draw that eps makes of the posterior of encode(x), and returns that; a "
    "second model with the first one's state_dict computes the same",
    hint="Follow eps: where does it enter, and what reaches the decoder? What would eps = 0 decode?",
    needs=(),
)  # fmt: skip
def vae_forward(ctx: Context) -> None:
    for dtype in (torch.float64, torch.float32):
        model = stir(ctx, ctx.new(VAE, input_dim=25, hidden_dim=11, latent_dim=6).eval())
        model = model.double() if dtype == torch.float64 else model
        expect_forward(ctx, model, ctx.images(4, 5, dtype=dtype), 6)
    twin = ctx.new(VAE, input_dim=16, hidden_dim=11, latent_dim=6)
    expect_loadable(ctx, small(ctx), twin, ctx.images(4, 4, dtype=torch.float64), 6)


@declare(
    id="q8.vae.fresh", question=8, kind="property", points=0.75, visibility="public",
    title="VAE: a fresh sample on each forward pass",
    asks="each forward pass draws new noise for every image, in training and in evaluation mode, with and without "
    "gradients",
    hint="Run the same image twice, in both modes: should the reconstructions be equal? And twice in one batch?",
    needs=(),
)  # fmt: skip
def vae_fresh(ctx: Context) -> None:
    expect_fresh(ctx, small(ctx, gain=0.7), ctx.images(5, 4, dtype=torch.float64))


@declare(
    id="q8.vae.gradient", question=8, kind="gradient", points=0.5, visibility="hidden",
    title="VAE: gradients through both heads",
    asks="gradients of forward's three outputs reach the decoder, and through mu and logvar the encoder and the image",
    hint="Which path does the reconstruction's gradient take back to the encoder? Is a link of it cut?",
    needs=("q8.vae.forward",),
)  # fmt: skip
def vae_gradient(ctx: Context) -> None:
    expect_chain_rule(ctx, small(ctx), ctx.images(3, 4, dtype=torch.float64), 6)


@declare(
    id="q8.generator", question=8, kind="property", points=0.25, visibility="hidden",
    title="reparameterize, VAE: generator",
    asks="reparameterize and VAE.forward take their noise from the generator if one is given, new noise on each call",
    hint="What do two calls with two generators of the same seed return? And two calls in a row with one generator?",
    needs=(),
)  # fmt: skip
def uses_generator(ctx: Context) -> None:
    mu, logvar = ctx.randn(5, 3), ctx.randn(5, 3)
    expect_generator(ctx, lambda generator: ctx.call(REPARAMETERIZE, mu, logvar, generator=generator), "reparameterize")
    model, x = small(ctx, gain=0.3), ctx.images(5, 4, dtype=torch.float64)  # far from where a sigmoid saturates
    expect_generator(ctx, lambda generator: as_sequence(model(x, generator=generator), 3, "forward")[0], "VAE.forward")
