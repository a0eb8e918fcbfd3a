"""Question 5: the reference with one bug: loss."""

from __future__ import annotations

from .. import Mistake

Q, M = 5, "denoising"

LOSS = "    x_recon, _ = model(x, add_noise=True, generator=generator)\n    return mse_loss(x_recon, x)\n"

MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "q5-loss-noisy-target",
        Q,
        M,
        "corrupts first and compares with the corrupted images",
        fails=("q5.loss.value",),
        edits=(
            (
                LOSS,
                """    noisy = gaussian_noise(x, 0.3, generator)
    x_recon, _ = model(noisy, add_noise=False)
    return mse_loss(x_recon, noisy)
""",
            ),
        ),
    ),
    Mistake(
        "q5-loss-mode-decides",
        Q,
        M,
        "does not ask for noise: none in evaluation mode",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("add_noise=True, ", "")),),
    ),
    Mistake(
        "q5-loss-no-noise",
        Q,
        M,
        "asks for no noise",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("add_noise=True", "add_noise=False")),),
    ),
    Mistake(
        "q5-loss-generator-lost",
        Q,
        M,
        "keeps the generator to itself",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace(", generator=generator)", ")")),),
    ),
    Mistake(
        "q5-loss-mean",
        Q,
        M,
        "mean over elements",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("mse_loss(x_recon, x)", "(x_recon - x).square().mean()")),),
    ),
    Mistake(
        "q5-loss-of-code",
        Q,
        M,
        "adds a penalty on the code",
        fails=("q5.loss.value",),
        edits=(
            (
                LOSS,
                LOSS.replace("x_recon, _ =", "x_recon, z =").replace(
                    "mse_loss(x_recon, x)", "mse_loss(x_recon, x) + 1e-3 * z.abs().sum()"
                ),
            ),
        ),
    ),
    Mistake(
        "q5-loss-corrupts-twice",
        Q,
        M,
        "corrupts the images, and the model does it again",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("model(x,", "model(masking_noise(x, 0.3),")),),
    ),
    Mistake(
        "q5-loss-detached",
        Q,
        M,
        "no gradient reaches the model",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("mse_loss(x_recon, x)", "mse_loss(x_recon.detach(), x)")),),
    ),
    Mistake(
        "q5-loss-train-mode",
        Q,
        M,
        "puts the model into training mode to get noise",
        fails=("q5.loss.value",),
        edits=((LOSS, f"    model.train()\n{LOSS}"),),
    ),
    Mistake(
        "q5-loss-absolute",
        Q,
        M,
        "absolute error",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("mse_loss(x_recon, x)", "(x_recon - x).abs().sum() / len(x)")),),
    ),
    Mistake(
        "q5-loss-two-calls",
        Q,
        M,
        "asks the model once for noisy and once for clean images",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("mse_loss(x_recon, x)", "mse_loss(x_recon, x) + 0 * model(x)[0].sum()")),),
    ),
    Mistake(
        "q5-loss-of-first-image",
        Q,
        M,
        "takes the loss of the first image for that of the batch",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("mse_loss(x_recon, x)", "mse_loss(x_recon[:1], x[:1])")),),
    ),
)
