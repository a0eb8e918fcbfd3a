"""The trained checks of Question 4: test errors of the three autoencoders after a short training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.disguise import any_order, disguise, turned
from ...check.expectations import as_sequence, as_tensor, expect
from ...check.learning import (
    Rebuild,
    expect_follows,
    expect_generalises,
    expect_learned,
    expect_particular,
)
from ...check.trained import (
    Budget,
    Recipe,
    X,
    at_least,
    at_most,
    by_pca,
    encode_then_decode,
    fit,
    forward,
    mean_image_mse,
    mse,
    out,
    test_images,
    training_images,
)
from ...check.values import Probe

# not the submission's own mse_loss: a mistake there costs its own check and not these too
OBJECTIVE = ({"fn": Probe("image_mse"), "args": [out(0), X]},)
# Digits have rank 64, and 32 components describe them almost exactly; and a net that is narrower inside than 32 cannot
# come near PCA-32 on MNIST however long it learns, where at 8 a 784-128-64-12-L one does.
VANILLA_LATENT = 8
VANILLA_BUDGET = {"digits": Budget(20, 32, lr=4e-3), "mnist": Budget(4, 64, lr=3e-3)}
# deep stacks with default initialisation wait at the mean image for some hundred steps: a large step shortens that
CONV_BUDGET = {"digits": Budget(5, 32, lr=6e-3), "mnist": Budget(3, 32, lr=3e-3, train_size=10_000)}
UNET_BUDGET = {"digits": Budget(3, 32, lr=3e-3), "mnist": Budget(1, 32, lr=1.5e-3, train_size=12_000)}
TEST_SIZE, SKIP_SIZE, LATENT = 2_000, 200, 32
FOLLOWS = 0.1  # of a small change: the reference's follow a fifth to three quarters of it, a lookup none


State = dict[str, Tensor]


def through_code(ctx: Context, recipe: Recipe, latent: int) -> Callable[[State], Rebuild]:
    """Pictures of images that pass through codes of `latent` numbers, from one process to another."""

    def rebuild(state: State) -> Rebuild:
        return lambda images: encode_then_decode(ctx, recipe, state, images, (latent,))[1]

    return rebuild


def error_of(rebuild: Rebuild) -> Callable[[Tensor], float]:
    """Error per pixel of what is made of images."""
    return lambda images: mse(rebuild(images), images)


@declare(
    id="q4.trained.vanilla", question=4, kind="trained", points=1.0, visibility="public",
    title="Trained: vanilla autoencoder against PCA",
    asks="trained on squared error, VanillaAutoencoder describes unseen images better than PCA with as many components",
    hint="PCA is the best linear autoencoder. What can yours do that PCA cannot, and which layers do it? Train it for "
    "the epochs of the handout: does the loss still fall in the last one?",
    needs=("q4.vanilla.shapes",),
)  # fmt: skip
def trained_vanilla(ctx: Context) -> None:
    look, budget, latent = disguise(ctx, any_order), VANILLA_BUDGET[ctx.data.name], VANILLA_LATENT
    images = test_images(ctx, TEST_SIZE)
    recipe = Recipe("autoencoders.VanillaAutoencoder", {"latent_dim": latent}, OBJECTIVE)
    rebuilder = through_code(ctx, recipe, latent)
    rebuild = rebuilder(fit(ctx, recipe, budget))
    of = error_of(rebuild)
    pictures = rebuild(images)
    components = by_pca(ctx, latent, budget.train_size, images)
    error, pca = mse(pictures, images), mse(components, images)
    ctx.exhibits.images(f"PCA beside your autoencoder, {latent} numbers per image", "held-out images, what PCA makes "
                        f"of them (MSE {pca:.4g}), and what your autoencoder does ({error:.4g})",
                        originals=look.undone(images), PCA=look.undone(components),
                        your_autoencoder=look.undone(pictures))  # fmt: skip
    at_most(ctx, "ratio to PCA", error / pca, f"the error, relative to PCA with {latent} components,", 3, trivial=1.0,
            slack=0.42)  # fmt: skip
    at_most(ctx, "mse", error, "the test error per pixel", trivial=pca, slack=0.42)
    expect_generalises(ctx, error, of(training_images(ctx)))
    expect_particular(ctx, look, images, of)
    expect_follows(ctx, look, images, rebuild, FOLLOWS)
    expect_learned(ctx, recipe, budget, "mse", lambda state: error_of(rebuilder(state))(images), longest=0.3)


@declare(
    id="q4.trained.conv", question=4, kind="trained", points=0.75, visibility="public",
    title="Trained: convolutional autoencoder",
    asks="trained on squared error, ConvAutoencoder describes unseen images through its code",
    hint="Look at some reconstructions: are they all alike? Do the pixels come back in their places?",
    needs=("q4.conv.shapes",),
)  # fmt: skip
def trained_conv(ctx: Context) -> None:
    look, budget = disguise(ctx, turned), CONV_BUDGET[ctx.data.name]
    images = test_images(ctx, TEST_SIZE)
    recipe = Recipe("autoencoders.ConvAutoencoder", {"latent_dim": LATENT}, OBJECTIVE)
    rebuilder = through_code(ctx, recipe, LATENT)
    rebuild = rebuilder(fit(ctx, recipe, budget))
    of = error_of(rebuild)
    pictures = rebuild(images)
    error = mse(pictures, images)
    ctx.exhibits.images("Your convolutional autoencoder", "held-out images and their reconstructions (MSE "
                        f"{error:.4g})",
                        originals=look.undone(images), reconstructions=look.undone(pictures))  # fmt: skip
    at_most(ctx, "mse", error, "the test error per pixel", trivial=mean_image_mse(ctx, images), slack=1.0)
    expect_generalises(ctx, error, of(training_images(ctx)))
    expect_particular(ctx, look, images, of)
    expect_follows(ctx, look, images, rebuild, FOLLOWS)
    expect_learned(ctx, recipe, budget, "mse", lambda state: error_of(rebuilder(state))(images))


def skips_in_use(ctx: Context, recipe: Recipe, state: State, images: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures of decode(z, skips) and decode(z, zeros), where another process has encoded the images."""
    first = ctx.fresh()
    z, skips = as_sequence(first.infer((recipe.build(first, state), "encode"), images), 2, "encode(x)")
    maps = [as_tensor(skip, None, "a skip") for skip in skips]
    second = ctx.fresh()
    model = recipe.build(second, state)
    pictures = []
    for given in (maps, [torch.zeros_like(skip) for skip in maps]):
        found = second.infer((model, "decode"), as_tensor(z, (len(images), LATENT), "the code"), given)
        pictures.append(as_tensor(found, images.shape, "decode(z, skips)"))
    return pictures[0], pictures[1]


@declare(
    id="q4.trained.unet", question=4, kind="trained", points=0.75, visibility="public",
    title="Trained: U-Net",
    asks="trained on squared error, UNetAutoencoder restores unseen images with the details that only its skips carry",
    hint="What do the skips know about the image that the code does not? Does it arrive at the last layer?",
    needs=("q4.unet.shapes",),
)  # fmt: skip
def trained_unet(ctx: Context) -> None:
    look, budget = disguise(ctx, turned), UNET_BUDGET[ctx.data.name]
    images = test_images(ctx, TEST_SIZE)
    recipe = Recipe("autoencoders.UNetAutoencoder", {"latent_dim": LATENT}, OBJECTIVE)

    def rebuilder(state: State) -> Rebuild:
        def rebuild(images: Tensor) -> Tensor:
            pictures, seen = [], 0
            for output in forward(ctx, recipe, state, images):
                x_recon, z = as_sequence(output, 2, "forward(x)")
                part = images[seen : seen + len(as_tensor(z, None, "the code"))]
                pictures.append(as_tensor(x_recon, part.shape, "x_recon"))
                seen += len(part)
            expect(seen == len(images), "the number of codes is not that of the images", len(images), seen,
                   hint="How many rows go into encode, and how many come out of it?")  # fmt: skip
            return torch.cat(pictures)

        return rebuild

    state = fit(ctx, recipe, budget)
    of = error_of(rebuilder(state))
    pictures = rebuilder(state)(images)
    error = mse(pictures, images)
    ctx.exhibits.images("Your U-Net", f"held-out images and their reconstructions (MSE {error:.4g})",
                        originals=look.undone(images), reconstructions=look.undone(pictures))  # fmt: skip
    at_most(ctx, "mse", error, "the test error per pixel", trivial=mean_image_mse(ctx, images), slack=2.0,
            hint="Look at some reconstructions beside the images: is the digit missing, or only its details? On which "
            "way through the net should each of them come?")  # fmt: skip
    shown = images[:SKIP_SIZE]
    whole, bare = skips_in_use(ctx, recipe, state, shown)
    with_skips, without = mse(whole, shown), mse(bare, shown)
    ctx.exhibits.images("Without its skips", f"held-out images, and what is left where the skips are zeros (MSE "
                        f"{without:.4g}, with them {with_skips:.4g})",
                        originals=look.undone(shown), without_skips=look.undone(bare))  # fmt: skip
    what = "the error where the skips are replaced by zeros, relative to that with them,"
    at_least(ctx, "without skips", without / with_skips, what, trivial=1.0, slack=0.93)
    expect_particular(ctx, look, images, of, passes_through=True)
    expect_follows(ctx, look, images, rebuilder(state), FOLLOWS)
    expect_learned(ctx, recipe, budget, "mse", lambda state: error_of(rebuilder(state))(images))


TRAINED: tuple[Check, ...] = (trained_vanilla, trained_conv, trained_unet)
