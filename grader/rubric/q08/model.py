"""Question 8: reparameterization and the two autoencoders; losses, sampling and training follow in its other modules.

Models are judged with random parameters in place of those of their initialisation, and against their own encode and
decode: nothing is known about their layers.
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...boundary.session import Gen, Handle
from ...check.cases import same_shape, sizes
from ...check.context import Context
from ...check.declaration import FLOAT32, FLOAT64, Check, Question, declare
from ...check.shown import alike, misread
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
    expect_standard_normal,
    posterior,
    probabilities,
    sigma_of,
    stir,
    zeros_if_none,
)
from .loss import LOSSES
from .sampling import ERRORS, SAMPLING
from .trained import TRAINED

VAE, CONV = "vae.VAE", "vae.ConvVAE"


# ---- reparameterize -----------------------------------------------------------------------------------------------


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
        value = ctx.preserves(REPARAMETERIZE, mu, logvar, eps=eps)
        ctx.matches(value, mu + sigma_of(logvar) * eps, FLOAT64, "reparameterize(mu, logvar, eps)", hint=hint)

    ctx.forall(body, case=same_shape(3, sizes(1, 5), sizes(1, 4), low=(-3.0, -4.0, -3.0), high=(3.0, 3.0, 3.0)))
    mu, logvar, eps = (ctx.randn(7, 5, dtype=torch.float32) for _ in range(3))
    ctx.matches(ctx.call(REPARAMETERIZE, mu, logvar, eps), mu + sigma_of(logvar) * eps, FLOAT32, "its value in float32")
    both = ctx.call(REPARAMETERIZE, mu, logvar, eps=eps, generator=Gen(ctx.seed))
    ctx.matches(both, mu + sigma_of(logvar) * eps, FLOAT32, "its value with a generator beside eps",
                hint="When eps is given, is there anything left to draw?")  # fmt: skip
    drawn = ctx.preserves(REPARAMETERIZE, mu, logvar)
    ctx.tensor(drawn, (7, 5), "reparameterize(mu, logvar)", dtype=torch.float32)
    wide = torch.tensor([[-60.0, 60.0], [60.0, -60.0]])
    ctx.matches(
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
    ctx.gradient(REPARAMETERIZE, mu, logvar, eps, wrt=(0, 1), what="the gradient of reparameterize")
    weights = ctx.randn(4, 3)
    found = ctx.session.vjp(REPARAMETERIZE, mu, logvar, wrt=(0, 1), cotangents=[((), weights)], generator=Gen(ctx.seed))
    ctx.matches(zeros_if_none(found.args[0], mu), weights, FLOAT64, "the gradient to mu with drawn noise")
    to_logvar = zeros_if_none(found.args[1], mu)
    ctx.expect(float(to_logvar.abs().min()) > 0, "no gradient reaches logvar with drawn noise", "a gradient", to_logvar)


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
    z = ctx.tensor(ctx.call(REPARAMETERIZE, mu, logvar), mu.shape, "reparameterize(mu, logvar)", dtype=mu.dtype)
    sigma = sigma_of(logvar)
    # where the value for a given eps is wrong already, its own scale is used: that mistake has a check of its own
    own = ctx.tensor(ctx.call(REPARAMETERIZE, mu, logvar, torch.ones_like(mu)), mu.shape, "reparameterize") - mu
    if not alike(own, sigma) and bool((own.abs() > 1e-6).all()):
        sigma = own
    standardised = (z - mu) / sigma
    flat = bool((standardised.abs() < 1e-6).all())
    expect_standard_normal(
        ctx, standardised, "(z - mu) / sigma", hint="Every draw is mu itself. Where is the randomness?" if flat else ""
    )


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
    expect_generator(ctx, lambda generator: ctx.sequence(model(x, generator=generator), 3, "forward")[0], "VAE.forward")


# ---- VAE ----------------------------------------------------------------------------------------------------------


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

    ctx.forall(
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
    ctx.preserves(model, ctx.images(3))
    narrow, wide = (sum(held.numel() for held in ctx.new(VAE, 16, hidden, 3).state().values()) for hidden in (5, 50))
    ctx.expect(
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
        ctx.expect(
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
        ctx.expect(
            low < 0 < high,
            f"{what}: {name} has values of one sign only",
            "values below and above 0",
            f"{low:.3g} to {high:.3g}",
            hint=f"Which values may {name} take? What does its last layer allow?",
        )
        ctx.expect(
            bool((values.std(dim=1) > 1e-6).any()),
            f"{what}: {name} is the same for all images",
            "values that depend on the image",
            "constant over the batch",
        )
        ctx.expect(
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
        for head, value in enumerate(ctx.sequence(model.call("encode", x), 2, "encode")):
            found = ctx.tensor(value, (len(x), latent_dim), "a head of encode", finite=False).nan_to_num(nan=0.0)
            low[head], high[head] = torch.minimum(low[head], found.min()), torch.maximum(high[head], found.max())
        if bool(((low < -WIDE) & (high > WIDE)).all()):
            return
    for name, least, most in zip(("mu", "logvar"), low.tolist(), high.tolist(), strict=True):
        ctx.expect(
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
    ctx.expect(
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


# ---- ConvVAE ------------------------------------------------------------------------------------------------------


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
    ctx.expect(
        4 in dims, "ConvVAE has no convolution", "weights with four dimensions", f"at most {max(dims, default=0)}"
    )
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


CHECKS: tuple[Check, ...] = (
    reparam_value, reparam_gradient, reparam_draws,
    vae_shapes, vae_heads, vae_probabilities, vae_forward, vae_fresh, vae_gradient,
    conv_shapes, conv_posterior, uses_generator,
    *LOSSES, *SAMPLING, ERRORS, *TRAINED,
)  # fmt: skip

QUESTION = Question(number=8, title="Variational autoencoders", points=16.0, modules=("vae",), checks=CHECKS)
