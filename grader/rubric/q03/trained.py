"""Question 3, trained: PCA and the linear autoencoder on images."""

from __future__ import annotations

import torch
from scipy.linalg import subspace_angles
from torch import Tensor

from ...check import trained
from ...check.context import Context
from ...check.datasets import to_float
from ...check.declaration import Check, declare
from ...check.disguise import any_order, disguise
from ...check.expectations import as_tensor, expect
from ...check.failure import INHERIT
from ...check.learning import expect_learned
from ...check.trained import Budget, Recipe, at_least, at_most
from ...check.values import Probe
from .pca import Reference, fitted

LINEAR = "autoencoders.LinearAutoencoder"

# Where the next variance is much smaller (by a factor of .70 and .75): else the last direction is hardly determined.
LATENTS = {"digits": 10, "mnist": 6}
# Long enough to get away from the saddles where two components share a direction of the code: after half the epochs
# one run in twenty still sits there.
BUDGETS = {
    "digits": Budget(epochs=80, batch_size=32, lr=1e-2),
    "mnist": Budget(epochs=14, batch_size=64, lr=1e-2, train_size=10_000),
}
PCA_ROWS = 4000


@declare(
    id="q3.trained.pca", question=3, kind="trained", points=0.5, visibility="public",
    title="PCA on images",
    asks="PCA fitted on training images reconstructs held-out images as well as scikit-learn's does",
    hint="Some pixels never change. Does any step divide by their spread, or need them to vary?",
    needs=("q3.pca.components", "q3.pca.codes"),
)  # fmt: skip
def trained_pca(ctx: Context) -> None:
    train, test = to_float(ctx.data.train_x[:PCA_ROWS]).flatten(1), trained.test_images(ctx, 1000)
    pca = fitted(ctx, train, 32)
    rebuilt = as_tensor(pca.call("reconstruct", test.flatten(1)), (len(test), 784), "reconstruct(test)")
    found = trained.mse(rebuilt, test.flatten(1))
    yardstick = trained.pca_mse(ctx, 32, PCA_ROWS, test)
    ctx.exhibits.images("Through 32 principal components", f"held-out images, and what your PCA makes of them "
                        f"(MSE {found:.4g}, scikit-learn's {yardstick:.4g})",
                        originals=test, your_PCA=rebuilt.view_as(test))  # fmt: skip
    # float32 rounding of a projection: some 1e-6 of the pixels, whose square is far below the error itself
    expect(abs(found - yardstick) <= 1e-3 * yardstick, "the error of PCA-32 on held-out images is wrong",
               f"{yardstick:.5g} (scikit-learn)", f"{found:.5g}", hint=INHERIT)  # fmt: skip


@declare(
    id="q3.trained.linear", question=3, kind="trained", points=1.5, visibility="public",
    title="A trained linear autoencoder finds the subspace of PCA",
    asks="trained on squared error, the linear autoencoder comes near the error of PCA on held-out images, and its "
    "decoder spans the same subspace",
    hint="Which offsets can your decoder learn, and which directions can its code express? Compare with what PCA "
    "subtracts and adds.",
    needs=(),
)  # fmt: skip
def trained_linear(ctx: Context) -> None:
    look = disguise(ctx, any_order)
    budget, latent = BUDGETS[ctx.data.name], LATENTS[ctx.data.name]
    objective = [{"fn": Probe("mse_of_first"), "args": [trained.out(), trained.X]}]
    recipe = Recipe(LINEAR, {"input_dim": 784, "latent_dim": latent}, objective)
    state = trained.fit(ctx, recipe, budget)
    test = trained.test_images(ctx)
    by_pca = trained.by_pca(ctx, latent, budget.train_size, test)
    yardstick = trained.mse(by_pca, test)

    def rebuilt(state: dict[str, Tensor]) -> Tensor:
        # the noise of other codes would take a fifth of the little room that this cut leaves
        return trained.encode_then_decode(ctx, recipe, state, test, (latent,), blur=0.01)[1]

    def ratio(state: dict[str, Tensor]) -> float:
        return trained.mse(rebuilt(state), test) / yardstick

    mean = trained.mean_image_mse(ctx, test) / yardstick
    pictures = rebuilt(state)
    found = trained.mse(pictures, test) / yardstick
    ctx.exhibits.images(f"PCA beside your linear autoencoder, {latent} numbers per image", "held-out images, what PCA "
                        f"makes of them, and what your autoencoder does ({found:.4g} times PCA's error)",
                        originals=look.undone(test), PCA=look.undone(by_pca),
                        your_autoencoder=look.undone(pictures))  # fmt: skip
    at_most(ctx, "ratio to PCA", found, f"test error relative to PCA-{latent}", trivial=mean, slack=0.05)

    fresh = ctx.fresh()
    codes = torch.cat([torch.zeros(1, latent), torch.eye(latent)])
    spanned = fresh.infer((recipe.build(fresh, state), "decode"), codes)
    flat = as_tensor(spanned, (latent + 1, 1, 28, 28), "decode(z)").flatten(1).double()
    reference = Reference(to_float(ctx.data.train_x[: budget.train_size]).flatten(1), latent)
    angles = torch.from_numpy(subspace_angles((flat[1:] - flat[0]).mT.numpy(), reference.components.mT.numpy()))
    shared = float(angles.cos().square().mean())
    # a random subspace shares latent/784 of its directions with any other
    at_least(ctx, "shared subspace", shared, "mean squared cosine of the angles to PCA's subspace",
             trivial=latent / 784, slack=0.1,
             hint="In which directions do the entries of a code move the picture? Is one of no use?")  # fmt: skip
    expect_learned(ctx, recipe, budget, "ratio to PCA", ratio, longest=0.1)


TRAINED: tuple[Check, ...] = (trained_pca, trained_linear)
