"""Question 10, trained: the indices of one process, decoded by another that never saw an image."""

from __future__ import annotations

import torch
from torch import Tensor

from ..boundary import TorchRef
from ..checks import Check, Failure, declare
from ..context import Context
from ..trained import Budget, Recipe, X, encode_then_decode, fit, mse, out, test_images

BUDGETS = {"digits": Budget(epochs=12, batch_size=64, lr=2e-3), "mnist": Budget(epochs=6, lr=2e-3, train_size=20_000)}
AVERAGED = {"digits": Budget(epochs=8, batch_size=64, lr=2e-3), "mnist": Budget(epochs=4, lr=2e-3, train_size=10_000)}
NUM_EMBEDDINGS = 128
RECONSTRUCTION = {"fn": TorchRef("nn.functional.mse_loss"), "args": [out(0), X], "kwargs": {}}


def recipe(ema: bool) -> Recipe:
    """The default VQ-VAE under mean squared error plus its own vq_loss."""
    return Recipe("vqvae.VQVAE", {"num_embeddings": NUM_EMBEDDINGS, "ema": ema}, [RECONSTRUCTION, {"use": out(1)}])


def perplexity(indices: Tensor) -> tuple[float, int]:
    """Effective and plain number of codes among test `indices`."""
    share = torch.bincount(indices.flatten(), minlength=NUM_EMBEDDINGS).double() / indices.numel()
    return float(torch.special.entr(share).sum().exp()), int((share > 0).sum())


def judge_model(ctx: Context, ema: bool) -> tuple[float, float, int]:
    """Test error per pixel from indices alone, perplexity and number of codes used."""
    made = recipe(ema)
    state = fit(ctx, made, (AVERAGED if ema else BUDGETS)[ctx.data.name])
    images = test_images(ctx)
    indices, pictures = encode_then_decode(
        ctx, made, state, images, (7, 7), encode="forward", decode="decode_indices",
        pick=lambda output: ctx.sequence(output, 3, "forward(x)")[2],
    )  # fmt: skip
    if indices.dtype != torch.int64 or not 0 <= int(indices.min()) <= int(indices.max()) < NUM_EMBEDDINGS:
        raise Failure("indices are no code numbers", f"int64 in 0…{NUM_EMBEDDINGS - 1}",
                      f"{indices.dtype} in {indices.min()}…{indices.max()}")  # fmt: skip
    error = mse(pictures, images)
    mean_image = images.mean(0, keepdim=True)
    ctx.expect(error < 0.5 * mse(mean_image.expand_as(images), images),
               "pictures decoded from the indices are hardly better than the mean image",
               "less than half the error of the mean image", error,
               hint="How many different codes do the indices name? Does the encoder get a gradient?")  # fmt: skip
    return error, *perplexity(indices)


@declare(
    id="q10.trained.vq", question=10, kind="trained", points=1.5, visibility="public",
    title="VQVAE reconstructs from indices",
    asks="after a short training, held-out images decoded from their 7x7 indices alone are close to the originals, and "
    "the codebook has not collapsed to a few codes",
    hint="Which loss moves the codes, and how far are they from the encoder's outputs at the start?",
    needs=("q10.model.shapes",),
)  # fmt: skip
def trained_vq(ctx: Context) -> None:
    error, effective, used = judge_model(ctx, ema=False)
    ctx.at_most("mse", error, "test MSE per pixel from indices", slack=0.5)
    ctx.at_least("perplexity", effective, "perplexity of the codes", slack=0.5)
    ctx.at_least("used", float(used), "number of codes used", slack=0.4)


@declare(
    id="q10.trained.ema", question=10, kind="trained", points=1.0, visibility="public",
    title="VQVAE with running averages reconstructs from indices",
    asks="the same with ema=True, whose codebook no optimizer moves",
    hint="Where are the codes after the first pass over the data: near the encoder's outputs, or far away?",
    needs=("q10.model.shapes",),
)  # fmt: skip
def trained_ema(ctx: Context) -> None:
    error, effective, _ = judge_model(ctx, ema=True)
    ctx.at_most("mse", error, "test MSE per pixel from indices", slack=0.5)
    ctx.at_least("perplexity", effective, "perplexity of the codes", slack=0.5)


TRAINED: tuple[Check, ...] = (trained_vq, trained_ema)
