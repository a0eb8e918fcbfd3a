"""The trained checks of Question 5: how much noise the model removes from images it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.disguise import Disguise, any_order, disguise
from ...check.learning import expect_follows, expect_generalises, expect_learned, expect_particular
from ...check.parts import Part
from ...check.trained import (
    Budget,
    Recipe,
    X,
    at_most,
    encode_then_decode,
    expect_of_training,
    fit,
    mse,
    out,
    test_images,
    training_images,
)
from ...check.values import Probe

# the model is trained on its own forward pass in training mode, not through denoising_loss, so that a mistake there
# costs its own check and not these too
OBJECTIVE = ({"fn": Probe("image_mse"), "args": [out(0), X]},)
BUDGET = {"digits": Budget(12, 32, lr=4e-3), "mnist": Budget(3, 64, lr=3e-3, train_size=20_000)}
LATENT = 32
TEST_SIZE = 2_000
FOLLOWS = 0.03  # of a small change of a clean image: the reference follows a seventh, narrow nets a tenth, lookups none


NOISE_CHECKS = ("q5.noise.independent", "q5.noise.generator", "q5.noise.contract", "q5.corrupt.kinds")
PARTS = (
    Part(
        "denoising.corrupt", "corrupt", ("q5.gaussian.moments", "q5.gaussian.clamp", "q5.masking.rate", *NOISE_CHECKS)
    ),
    Part("denoising.gaussian_noise", "gaussian_noise", ("q5.gaussian.moments", "q5.gaussian.clamp", *NOISE_CHECKS)),
    Part("denoising.masking_noise", "masking_noise", ("q5.masking.rate", *NOISE_CHECKS)),
)


def denoiser(noise: str, level: float) -> Recipe:
    """A model trained with this noise."""
    kwargs: dict[str, Any] = {"latent_dim": LATENT, "noise": noise, "noise_level": level}
    return Recipe("denoising.DenoisingAutoencoder", kwargs, OBJECTIVE)


def judge_denoiser(ctx: Context, look: Disguise, noise: str, level: float, noisy: Tensor, images: Tensor) -> None:
    """What the model makes of noisy images, through its code and without noise of its own.

    It must beat doing nothing and, if the error leaves room for doubt, the same model trained on clean images.
    """

    def restored(recipe: Recipe, state: Mapping[str, Tensor], noisy: Tensor) -> Tensor:
        return encode_then_decode(ctx, recipe, state, noisy, (LATENT,))[1]

    def error_of(recipe: Recipe, state: Mapping[str, Tensor], noisy: Tensor, images: Tensor) -> float:
        return mse(restored(recipe, state, noisy), images)

    budget, recipe, without = BUDGET[ctx.data.name], denoiser(noise, level), denoiser(noise, 0.0)
    state = fit(ctx, recipe, budget)
    cleaned = restored(recipe, state, noisy)
    error = mse(cleaned, images)
    bare = restored(without, fit(ctx, without, budget, session=ctx.fresh(), name="trained without noise"), noisy)
    plain = mse(bare, images)
    ctx.exhibits.images(f"Your denoising autoencoder, {noise} noise", f"held-out images, with noise (MSE "
                        f"{mse(noisy, images):.4g}), restored ({error:.4g}), and by a model that has never seen noise "
                        f"({plain:.4g})", originals=look.undone(images), noisy=look.undone(noisy),
                        restored=look.undone(cleaned), trained_without_noise=look.undone(bare))  # fmt: skip
    trivial = min(mse(noisy, images), plain)
    at_most(ctx, "mse", error, f"the error of restored images per pixel (noisy ones {mse(noisy, images):.4g}, restored "
            f"without training on noise {plain:.4g})", trivial=trivial, slack=0.2,
            hint="How well does your model reconstruct images without noise? And does it see as much noise while it "
            "learns as its noise_level says?")  # fmt: skip
    # an architecture of which clean images alone make a good denoiser (dropout does it) has nothing to gain, and has
    # shown what is asked by the error itself
    expect_of_training(ctx, error < plain or ctx.credit.share == 1, "training on corrupted images does not help",
                       f"below {plain:.4g}, trained without noise", error,
                       hint="In training mode, what reaches the first layer: the image, or its rest?")  # fmt: skip
    known = training_images(ctx)
    expect_generalises(ctx, error_of(recipe, state, images, images), error_of(recipe, state, known, known))
    expect_particular(ctx, look, images, lambda images: error_of(recipe, state, images, images))
    expect_follows(ctx, look, images, lambda images: restored(recipe, state, images), FOLLOWS)
    expect_learned(ctx, recipe, budget, "mse", lambda state: error_of(recipe, state, noisy, images), longest=0.3)


@declare(
    id="q5.trained.gaussian", question=5, kind="trained", points=1.0, visibility="public",
    title="Trained: Gaussian noise removed",
    asks="trained on corrupted images, the model restores unseen ones better than doing nothing and better than a "
    "model trained on clean images",
    hint="Is the noise really there while the model learns?",
    needs=("q5.dae.shapes",), parts=PARTS,
)  # fmt: skip
def trained_gaussian(ctx: Context) -> None:
    look = disguise(ctx, any_order)
    std, images = 0.3, test_images(ctx, TEST_SIZE)
    noise = ctx.randn(*images.shape, dtype=torch.float32)
    # the grader's own noise, which the worker did not make
    judge_denoiser(ctx, look, "gaussian", std, (images + std * noise).clamp(0, 1), images)


@declare(
    id="q5.trained.masking", question=5, kind="trained", points=0.5, visibility="public",
    title="Trained: masked pixels restored",
    asks="trained with masking noise, the model fills in the pixels that unseen images have lost, better than one "
    "trained on whole images",
    hint="Does the model get to see masked images while it learns? How many of the pixels?",
    needs=("q5.dae.shapes",), parts=PARTS,
)  # fmt: skip
def trained_masking(ctx: Context) -> None:
    look = disguise(ctx, any_order)
    prob, images = 0.5, test_images(ctx, TEST_SIZE)
    noisy = images * (ctx.rand(*images.shape, dtype=torch.float32) >= prob)
    judge_denoiser(ctx, look, "masking", prob, noisy, images)


TRAINED: tuple[Check, ...] = (trained_gaussian, trained_masking)
