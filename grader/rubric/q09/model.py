"""The conditional model."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from ...check.cases import sizes
from ...check.context import Context, guard
from ...check.declaration import declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves, raises
from ...check.failure import FLOAT64
from ...check.forall import forall
from ...check.shown import alike
from ...check.trained import Budget, X, out
from ...check.values import Gen, Handle, Probe
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
    stir,
)

CVAE, GENERATE = "vae.CVAE", "vae.generate_class"
LATENT = 20
BUDGET = {"digits": Budget(16, 32, lr=5e-3), "mnist": Budget(3, 64, lr=5e-3, train_size=30_000)}
ASKED = 1_000
STEP = 100.0  # between the images of successive classes: latents are far smaller
OBJECTIVE = ({"fn": Probe("image_nelbo"), "args": [out(0), X, out(1), out(2)]},)


def small(ctx: Context, classes: int = 5) -> Handle:
    """A CVAE for 4x4 images with 6 latents, in float64 and evaluation mode, with random parameters."""
    made = ctx.new(CVAE, input_dim=16, hidden_dim=12, latent_dim=6, num_classes=classes)
    return stir(ctx, made.double().eval())


@declare(
    id="q9.shapes", question=9, kind="property", points=0.75, visibility="public",
    title="CVAE: shapes",
    asks="encode(x, y), decode(z, y) and forward(x, y) have the shapes of a VAE, for all sizes and both dtypes, with "
    "more classes than pixels and after another model was made too",
    hint="How many numbers enter the first layer of the encoder, and of the decoder, once the class has joined?",
    needs=(),
)  # fmt: skip
def shapes(ctx: Context) -> None:
    def knows(model: Handle, classes: int) -> None:
        named = model.get("num_classes")
        expect(named == classes, "the attribute num_classes is wrong", classes, named)

    def body(batch: int, side: int, hidden: int, latent: int, classes: int) -> None:
        model = ctx.new(CVAE, side * side, hidden, latent, classes).eval()
        knows(model, classes)
        for dtype in (torch.float32, torch.float64):
            model = model.double() if dtype == torch.float64 else model
            expect_shapes(ctx, model, ctx.images(batch, side, dtype), latent, ctx.randint(0, classes, batch))

    forall(
        ctx,
        body,
        examples=8,
        batch=sizes(1, 6),
        side=sizes(1, 5),
        hidden=sizes(2, 9),
        latent=sizes(1, 5),
        classes=sizes(1, 7),
    )
    guard(lambda: body(3, 2, 7, 5, 10), {"pixels": 4, "classes": 10})
    model = ctx.new(CVAE)
    labels = torch.tensor([9, 0, 4])

    def as_asked() -> None:
        knows(model, 10)
        expect_shapes(ctx, model, ctx.images(3), 20, labels)

    as_asked()
    preserves(ctx, model, ctx.images(3), labels)
    ctx.new(CVAE, 16, 7, 3, 5)
    expect_apart(ctx, as_asked, "CVAE(16, 7, 3, 5)")


def expect_conditioned(ctx: Context, by_label: Tensor, mixed: Tensor, labels: Tensor, what: str) -> None:
    """`by_label[k]` is the output with class k everywhere; in `mixed` row i has the class labels[i]."""
    for first in range(len(by_label)):
        for second in range(first):
            same = alike(by_label[first], by_label[second], rtol=1e-9, atol=1e-12)
            expect(
                not same,
                f"{what} is the same for classes {second} and {first}",
                "a different one for each class",
                "equal tensors",
            )
    expected = by_label[labels, torch.arange(len(labels))]
    matches(
        ctx,
        mixed,
        expected,
        FLOAT64,
        f"{what} in a batch of several classes, compared with batches of one class,",
        hint="Whose class does each row of a batch get?",
    )


def expect_each_class_sees(ctx: Context, model: Handle, call: Callable[[Tensor], Tensor], what: str) -> None:
    """`call` with a class for all 7 rows gives rows that differ, for each class with some of several parameters."""
    blind = set(range(5))
    for _ in range(8):  # a layer of rectifiers may be dead once
        blind = {k for k in blind if not bool((call(torch.full((7,), k)).std(dim=0) > 1e-9).any())}
        if not blind:
            return
        stir(ctx, model)
    expect(
        False,
        f"{what} is the same for all rows of class {min(blind)}",
        "rows that differ",
        "equal rows",
        hint="What does this class leave of what it is combined with?",
    )


@declare(
    id="q9.encoder", question=9, kind="property", points=0.5, visibility="public",
    title="CVAE: the encoder sees the class",
    asks="the posterior of one image depends on its class and, whatever the class, on the image; in each row of a "
    "batch on that row's class and image alone",
    hint="Encode one image with two different labels. Should mu and logvar stay where they are?",
    needs=(),
)  # fmt: skip
def encoder(ctx: Context) -> None:
    model, x, labels = small(ctx), ctx.images(7, 4, dtype=torch.float64), torch.tensor([3, 0, 4, 1, 1, 2, 0])

    def encoded_rows(x: Tensor, y: Tensor) -> Tensor:
        return torch.cat(posterior(ctx, model.call("encode", x, y), (len(x), 6), x.dtype, "encode"), dim=1)

    encoded = functools.partial(encoded_rows, x)
    each = torch.stack([encoded(torch.full((7,), k)) for k in range(5)])
    expect_conditioned(ctx, each, encoded(labels), labels, "(mu, logvar) of encode(x, y)")
    bright = torch.linspace(0.2, 1, 7, dtype=x.dtype).view(-1, 1, 1, 1)
    expect_rows_alone(ctx, encoded_rows, "(mu, logvar) of encode(x, y)", bright * x, labels)
    expect_each_class_sees(ctx, model, encoded, "the posterior of encode(x, y)")


@declare(
    id="q9.decoder", question=9, kind="property", points=0.75, visibility="public",
    title="CVAE: the decoder sees the class",
    asks="the image of one latent depends on the class and, whatever the class, on the latent; in each row of a "
    "batch on that row's class and latent alone; its pixels are probabilities in both modes",
    hint="Decode one z with all labels. If the images are equal, how could anybody ask for a digit?",
    needs=(),
)  # fmt: skip
def decoder(ctx: Context) -> None:
    model, z, labels = small(ctx), ctx.randn(7, 6), torch.tensor([3, 0, 4, 1, 1, 2, 0])

    def decoded_rows(z: Tensor, y: Tensor) -> Tensor:
        return as_tensor(model.call("decode", z, y), (len(z), 1, 4, 4), "decode(z, y)", dtype=z.dtype)

    decoded = functools.partial(decoded_rows, z)
    each = torch.stack([decoded(torch.full((7,), k)) for k in range(5)])
    expect_conditioned(ctx, each, decoded(labels), labels, "the image of decode(z, y)")
    expect_rows_alone(ctx, decoded_rows, "the image of decode(z, y)", z, labels)
    expect_each_class_sees(ctx, model, decoded, "the image of decode(z, y)")
    expect_probabilities_in_training(ctx, model, lambda: model.call("decode", z, labels), "the image of decode(z, y)")


@declare(
    id="q9.forward", question=9, kind="property", points=0.5, visibility="public",
    title="CVAE: forward",
    asks="forward(x, y, eps=eps) encodes and decodes with the same class, and draws fresh noise if no eps is given, "
    "with and without gradients; a second model with the first one's state_dict computes the same",
    hint="Which y does the decoder get inside forward? What do two passes over the same image return?",
    needs=(),
)  # fmt: skip
def forward(ctx: Context) -> None:
    model, x, labels = small(ctx), ctx.images(4, 4, dtype=torch.float64), torch.tensor([3, 0, 4, 1])
    expect_forward(ctx, model, x, 6, labels)
    expect_fresh(ctx, model, x, labels)
    twin = ctx.new(CVAE, input_dim=16, hidden_dim=12, latent_dim=6, num_classes=5)
    expect_loadable(ctx, model, twin, x, 6, labels)
    # a reparameterize that ignores its generator costs points in Question 8
    mu, seeded = ctx.randn(3, 2), Gen(ctx.seed)
    first, again = (ctx.call(REPARAMETERIZE, mu, mu, generator=seeded) for _ in range(2))
    if torch.equal(first, again):
        expect_generator(ctx, lambda gen: as_sequence(model(x, labels, generator=gen), 3, "forward")[0], "CVAE.forward")


@declare(
    id="q9.gradient", question=9, kind="gradient", points=0.25, visibility="hidden",
    title="CVAE: gradients",
    asks="gradients of forward's outputs reach the decoder, and through mu and logvar the encoder and the image",
    hint="Which path does the reconstruction's gradient take back to the encoder? Is a link of it cut?",
    needs=("q9.forward",),
)  # fmt: skip
def gradient(ctx: Context) -> None:
    expect_chain_rule(ctx, small(ctx), ctx.images(3, 4, dtype=torch.float64), 6, torch.tensor([2, 0, 4]))


@declare(
    id="q9.errors", question=9, kind="property", points=0.5, visibility="public",
    title="CVAE: labels that do not exist",
    asks="encode, decode, forward and generate_class raise a ValueError for a label outside 0…num_classes-1",
    hint="What does your code make of the label -1? And of num_classes itself?",
    needs=(),
)  # fmt: skip
def errors(ctx: Context) -> None:
    model = ctx.new(CVAE, 16, 7, 3, 5)
    ctx.new(CVAE, 16, 7, 3, 15)  # knows more classes, which is nothing to the first
    x, z = ctx.images(3, 4), ctx.randn(3, 3, dtype=torch.float32)
    for bad in (-1, 5, 12):
        labels = torch.tensor([0, bad, 4])
        case = f"with the label {bad} of 5 classes"
        raises(ctx, "ValueError", (model, "encode"), x, labels, case=f"encode {case}")
        raises(ctx, "ValueError", (model, "decode"), z, labels, case=f"decode {case}")
        raises(ctx, "ValueError", model, x, labels, case=f"forward {case}")
        raises(ctx, "ValueError", GENERATE, model, labels, case=f"generate_class {case}")
    raises(ctx, "ValueError", CVAE, input_dim=35, names="input_dim")
