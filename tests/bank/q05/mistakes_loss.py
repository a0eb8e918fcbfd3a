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
    Mistake(
        "q5-loss-two-outputs",
        Q,
        M,
        "returns the reconstruction as well",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("mse_loss(x_recon, x)", "mse_loss(x_recon, x), x_recon")),),
    ),
    Mistake(
        "q5-dae-unclamped",
        Q,
        M,
        "the model adds its Gaussian noise itself and does not clamp",
        fails=("q5.dae.noise",),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def forward(self, x, add_noise=None, generator=None):
        add_noise = self.training if add_noise is None else add_noise
        if add_noise and self.noise == "gaussian":
            x = x + self.noise_level * torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        elif add_noise:
            x = corrupt(x, self.noise, self.noise_level, generator)
        z = self.encode(x)
        return self.decode(z), z
""",
    ),
    Mistake(
        "q5-dae-half-level",
        Q,
        M,
        "half of the level asked for",
        fails=("q5.dae.noise",),
        may_fail=("q5.dae.modes",),
        edits=(("self.noise_level = noise_level\n", "self.noise_level = noise_level / 2\n"),),
    ),
    Mistake(
        "q5-dae-corrupts-twice",
        Q,
        M,
        "corrupts what it has corrupted",
        fails=("q5.dae.noise",),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def forward(self, x, add_noise=None, generator=None):
        add_noise = self.training if add_noise is None else add_noise
        if add_noise:
            x = corrupt(x, self.noise, self.noise_level, generator)
        return super().forward(x, add_noise, generator)
""",
    ),
)
