"""The trained checks of Question 5: how much noise the model removes from images it has not seen."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..boundary import Probe
from ..checks import Check, declare
from ..context import Context
from ..trained import Budget, Recipe, X, encode_then_decode, fit, mse, out, test_images

# the model is trained on its own forward pass in training mode, not through denoising_loss, so that a mistake there
# costs its own check and not these too
OBJECTIVE = ({"fn": Probe("image_mse"), "args": [out(0), X]},)
BUDGET = {"digits": Budget(25, 32), "mnist": Budget(4, 64, train_size=20_000)}
LATENT = 32
TEST_SIZE = 2_000


def restored(ctx: Context, noise: str, level: float, noisy: Tensor, *, seed: int = 0) -> Tensor:
    """What a model trained with this noise makes of noisy images, through its code and without noise of its own."""
    kwargs: dict[str, Any] = {"latent_dim": LATENT, "noise": noise, "noise_level": level}
    recipe = Recipe("denoising.DenoisingAutoencoder", kwargs, OBJECTIVE)
    state = fit(ctx, recipe, BUDGET[ctx.data.name], seed=seed)
    return encode_then_decode(ctx, recipe, state, noisy, (LATENT,))[1]


@declare(
    id="q5.trained.gaussian", question=5, kind="trained", points=1.0, visibility="public",
    title="Trained: Gaussian noise removed",
    asks="trained on corrupted images, the model restores unseen ones better than doing nothing and better than a "
    "model trained on clean images",
    hint="Is the noise really there while the model learns? Against which image is the error taken?",
    needs=("q5.dae.shapes",),
)  # fmt: skip
def trained_gaussian(ctx: Context) -> None:
    std, images = 0.3, test_images(ctx, TEST_SIZE)
    noise = ctx.randn(*images.shape, dtype=torch.float32)
    noisy = (images + std * noise).clamp(0, 1)  # the grader's own, which the worker did not make
    identity = mse(noisy, images)
    error = mse(restored(ctx, "gaussian", std, noisy), images)
    plain = mse(restored(ctx, "gaussian", 0.0, noisy), images)
    ctx.expect(
        error < identity, "the model does not remove noise", f"an error below that of the noise, {identity:.4g}", error
    )
    ctx.expect(
        error < plain, "training on corrupted images does not help", f"below {plain:.4g}, trained without noise", error
    )
    ctx.at_most("mse", error, "the error of restored images per pixel", slack=0.3)


@declare(
    id="q5.trained.masking", question=5, kind="trained", points=0.5, visibility="public",
    title="Trained: masked pixels restored",
    asks="trained with masking noise, the model fills in the pixels that unseen images have lost",
    hint="Does the model get to see masked images while it learns? How many of the pixels?",
    needs=("q5.dae.shapes",),
)  # fmt: skip
def trained_masking(ctx: Context) -> None:
    prob, images = 0.5, test_images(ctx, TEST_SIZE)
    noisy = images * (ctx.rand(*images.shape, dtype=torch.float32) >= prob)
    identity = mse(noisy, images)
    error = mse(restored(ctx, "masking", prob, noisy), images)
    ctx.expect(error < identity, "the model does not fill in what is missing",
               f"an error below that of the masked images, {identity:.4g}", error)  # fmt: skip
    ctx.at_most("mse", error, "the error of restored images per pixel", slack=0.3)


TRAINED: tuple[Check, ...] = (trained_gaussian, trained_masking)
