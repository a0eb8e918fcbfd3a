"""The trained checks of Question 4: test errors of the three autoencoders after a short training."""

from __future__ import annotations

from torch import Tensor

from ..boundary import Probe
from ..checks import Check, declare
from ..context import Context
from ..trained import Budget, Recipe, X, encode_then_decode, fit, forward, mse, out, pca_mse, test_images

# not the submission's own mse_loss: a mistake there costs its own check and not these too
OBJECTIVE = ({"fn": Probe("image_mse"), "args": [out(0), X]},)
# digits have rank 64, and 32 components describe them almost exactly: there the comparison is made at 8
VANILLA_LATENT = {"digits": 8, "mnist": 32}
VANILLA_BUDGET = {"digits": Budget(25, 32), "mnist": Budget(5, 128, lr=2e-3)}
# deep stacks with default initialisation wait at the mean image for some hundred steps: a large step shortens that
CONV_BUDGET = {"digits": Budget(6, 32, lr=3e-3), "mnist": Budget(2, 64, lr=3e-3, train_size=10_000)}
UNET_BUDGET = {"digits": Budget(3, 32, lr=3e-3), "mnist": Budget(1, 64, lr=3e-3, train_size=8_000)}
TEST_SIZE = 2_000


def mean_image_mse(ctx: Context, images: Tensor) -> float:
    """Error of an autoencoder that always shows the same image: the mean of the test images."""
    return mse(images.mean(0, keepdim=True).expand_as(images), images)


@declare(
    id="q4.trained.vanilla", question=4, kind="trained", points=1.0, visibility="public",
    title="Trained: vanilla autoencoder against PCA",
    asks="trained on squared error, VanillaAutoencoder describes unseen images better than PCA with as many components",
    hint="PCA is the best linear autoencoder. What can yours do that PCA cannot, and which layers do it? Does "
    "the loss still fall in the last epoch?",
    needs=("q4.vanilla.shapes",),
)  # fmt: skip
def trained_vanilla(ctx: Context) -> None:
    name, images = ctx.data.name, test_images(ctx, TEST_SIZE)
    latent, budget = VANILLA_LATENT[name], VANILLA_BUDGET[name]
    recipe = Recipe("autoencoders.VanillaAutoencoder", {"latent_dim": latent}, OBJECTIVE)
    _, pictures = encode_then_decode(ctx, recipe, fit(ctx, recipe, budget), images, (latent,))
    error, pca = mse(pictures, images), pca_mse(ctx, latent, budget.train_size, images)
    ctx.expect(error < pca, f"the error is not below that of PCA with {latent} components", f"below {pca:.4g}", error)
    ctx.at_most("ratio to PCA", error / pca, f"the error, relative to PCA with {latent} components,", 3, slack=0.25)


@declare(
    id="q4.trained.conv", question=4, kind="trained", points=0.75, visibility="public",
    title="Trained: convolutional autoencoder",
    asks="trained on squared error, ConvAutoencoder describes unseen images through its code",
    hint="Look at some reconstructions: are they all alike? Do the pixels come back in their places?",
    needs=("q4.conv.shapes",),
)  # fmt: skip
def trained_conv(ctx: Context) -> None:
    images = test_images(ctx, TEST_SIZE)
    recipe = Recipe("autoencoders.ConvAutoencoder", {"latent_dim": 32}, OBJECTIVE)
    state = fit(ctx, recipe, CONV_BUDGET[ctx.data.name])
    _, pictures = encode_then_decode(ctx, recipe, state, images, (32,))
    error, mean = mse(pictures, images), mean_image_mse(ctx, images)
    ctx.expect(
        error < mean, "the reconstructions are no better than one and the same image", f"below {mean:.4g}", error
    )
    ctx.at_most("mse", error, "the test error per pixel", slack=1.0)


@declare(
    id="q4.trained.unet", question=4, kind="trained", points=0.75, visibility="public",
    title="Trained: U-Net",
    asks="trained on squared error, UNetAutoencoder restores unseen images with the details that only its skips carry",
    hint="What do the skips know about the image that the code does not? Does it arrive at the last layer?",
    needs=("q4.unet.shapes",),
)  # fmt: skip
def trained_unet(ctx: Context) -> None:
    images = test_images(ctx, TEST_SIZE)
    recipe = Recipe("autoencoders.UNetAutoencoder", {"latent_dim": 32}, OBJECTIVE)
    state = fit(ctx, recipe, UNET_BUDGET[ctx.data.name])
    total, seen = 0.0, 0
    for output in forward(ctx, recipe, state, images):
        x_recon, z = ctx.sequence(output, 2, "forward(x)")
        part = images[seen : seen + len(ctx.tensor(z, None, "the code"))]
        total += mse(ctx.tensor(x_recon, part.shape, "x_recon"), part) * len(part)
        seen += len(part)
    ctx.expect(seen == len(images), "the number of codes is not that of the images", len(images), seen)
    mean = mean_image_mse(ctx, images)
    ctx.expect(total / seen < mean, "the reconstructions are no better than one and the same image",
               f"below {mean:.4g}", total / seen)  # fmt: skip
    ctx.at_most("mse", total / seen, "the test error per pixel", slack=2.0)


TRAINED: tuple[Check, ...] = (trained_vanilla, trained_conv, trained_unet)
