"""Question 10, trained: the indices of one process, decoded by another that never saw an image."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.disguise import disguise, turned
from ...check.expectations import as_sequence
from ...check.failure import Failure
from ...check.learning import expect_follows, expect_generalises, expect_learned, expect_particular
from ...check.trained import (
    Budget,
    Recipe,
    X,
    at_least,
    at_most,
    encode_then_decode,
    fit,
    mean_image_mse,
    mse,
    out,
    test_images,
    training_images,
)
from ...check.values import TorchRef
from .codebook import EMA_PART, PART

BUDGETS = {"digits": Budget(12, 32, lr=5e-3), "mnist": Budget(5, 64, lr=6e-3, train_size=12_000)}
AVERAGED = {"digits": Budget(8, 32, lr=5e-3), "mnist": Budget(4, 64, lr=5e-3, train_size=10_000)}
NUM_EMBEDDINGS = 128
FOLLOWS = 0.1  # of a small change: the reference follows nearly half of it, a lookup none
RECONSTRUCTION = {"fn": TorchRef("nn.functional.mse_loss"), "args": [out(0), X], "kwargs": {}}


def recipe(ema: bool) -> Recipe:
    """The default VQ-VAE under mean squared error plus its own vq_loss."""
    return Recipe("vqvae.VQVAE", {"num_embeddings": NUM_EMBEDDINGS, "ema": ema}, [RECONSTRUCTION, {"use": out(1)}])


def perplexity(indices: Tensor) -> tuple[float, int]:
    """Effective and plain number of codes among test `indices`."""
    share = torch.bincount(indices.flatten(), minlength=NUM_EMBEDDINGS).double() / indices.numel()
    return float(torch.special.entr(share).sum().exp()), int((share > 0).sum())


State = dict[str, Tensor]


def through_indices(ctx: Context, made: Recipe, state: State, images: Tensor) -> tuple[Tensor, Tensor]:
    """Indices `(N, 7, 7)` of images, and the pictures that another process decodes from them alone."""
    indices, pictures = encode_then_decode(
        ctx, made, state, images, (7, 7), encode="forward", decode="decode_indices",
        pick=lambda output: as_sequence(output, 3, "forward(x)")[2],
    )  # fmt: skip
    if indices.dtype != torch.int64 or not 0 <= int(indices.min()) <= int(indices.max()) < NUM_EMBEDDINGS:
        raise Failure("indices are no code numbers", f"int64 in 0…{NUM_EMBEDDINGS - 1}",
                      f"{indices.dtype} in {indices.min()}…{indices.max()}",
                      hint="Which rows does a codebook have, and of which dtype is the number of a row?")  # fmt: skip
    return indices, pictures


def judge_model(ctx: Context, ema: bool) -> tuple[float, int]:
    """Compares the test error from indices alone with its cut; perplexity and number of codes used."""
    made, budget = recipe(ema), (AVERAGED if ema else BUDGETS)[ctx.data.name]
    look = disguise(ctx, turned)
    images = test_images(ctx)
    state = fit(ctx, made, budget)
    indices, pictures = through_indices(ctx, made, state, images)
    error = mse(pictures, images)
    ctx.exhibits.images("Through 49 numbers of codes", f"held-out images, and what is decoded from their indices alone "
                        f"(MSE {error:.4g})", originals=look.undone(images),
                        reconstructions=look.undone(pictures))  # fmt: skip
    effective, used = perplexity(indices)
    ctx.exhibits.histogram("Use of the codebook", f"how often each code occurs in held-out images, the commonest "
                           f"first: {used} of {NUM_EMBEDDINGS} occur, perplexity {effective:.4g}",
                           torch.bincount(indices.flatten(), minlength=NUM_EMBEDDINGS))  # fmt: skip

    def rebuild(images: Tensor) -> Tensor:
        return through_indices(ctx, made, state, images)[1]

    def error_of(state: State, images: Tensor) -> float:
        return mse(through_indices(ctx, made, state, images)[1], images)

    at_most(ctx, "mse", error, "test MSE per pixel from indices", trivial=mean_image_mse(ctx, images), slack=1.0,
            hint="How far are the codes from the encoder's outputs when training ends? Does the decoder see in "
            "training what it sees here?")  # fmt: skip
    expect_generalises(ctx, error, error_of(state, training_images(ctx)))
    expect_particular(ctx, look, images, lambda images: error_of(state, images))
    expect_follows(ctx, look, images, rebuild, FOLLOWS)
    expect_learned(ctx, made, budget, "mse", lambda state: error_of(state, images))
    return effective, used


@declare(
    id="q10.trained.vq", question=10, kind="trained", points=1.5, visibility="public",
    title="VQVAE reconstructs from indices",
    asks="after a short training, held-out images decoded from their 7x7 indices alone are close to the originals, and "
    "the codebook has not collapsed to a few codes",
    hint="Which loss moves the codes, and how far are they from the encoder's outputs at the start?",
    needs=("q10.model.shapes",), parts=(PART,),
)  # fmt: skip
def trained_vq(ctx: Context) -> None:
    effective, used = judge_model(ctx, ema=False)
    at_least(ctx, "perplexity", effective, "perplexity of the codes", trivial=1.0, slack=0.5)
    at_least(ctx, "used", float(used), "number of codes used", trivial=1.0, slack=0.7,
             hint="Which codes has no pixel's vector ever been nearest to? Where are they?")  # fmt: skip


@declare(
    id="q10.trained.ema", question=10, kind="trained", points=1.0, visibility="public",
    title="VQVAE with running averages reconstructs from indices",
    asks="the same with ema=True, whose codebook no optimizer moves",
    hint="Where are the codes after the first pass over the data: near the encoder's outputs, or far away?",
    needs=("q10.model.shapes",), parts=(EMA_PART,),
)  # fmt: skip
def trained_ema(ctx: Context) -> None:
    effective, _ = judge_model(ctx, ema=True)
    at_least(ctx, "perplexity", effective, "perplexity of the codes", trivial=1.0, slack=0.5)


TRAINED: tuple[Check, ...] = (trained_vq, trained_ema)
