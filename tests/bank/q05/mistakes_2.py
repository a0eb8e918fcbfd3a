"""Question 5: the reference with one bug: model, what somebody found who knew the handout only, loss."""

from __future__ import annotations

from .. import Mistake

Q, M = 5, "denoising"


MODE = "        if add_noise is None:\n            add_noise = self.training\n"


NOISY = "        z = self.encode(corrupt(x, self.noise, self.noise_level, generator) if add_noise else x)\n"


LOSS = "    x_recon, _ = model(x, add_noise=True, generator=generator)\n    return mse_loss(x_recon, x)\n"


ON_DAE = ("q5.dae.range", "q5.dae.modes", "q5.dae.noise", "q5.dae.fresh", "q5.trained.gaussian", "q5.trained.masking")


MISTAKES: tuple[Mistake, ...] = (
    # ---- model
    Mistake(
        "q5-dae-always",
        Q,
        M,
        "corrupts in evaluation mode too",
        fails=("q5.dae.modes",),
        may_fail=("q5.dae.shapes", *ON_DAE),
        edits=((MODE, "        if add_noise is None:\n            add_noise = True\n"),),
    ),
    Mistake(
        "q5-dae-never",
        Q,
        M,
        "None means no noise",
        fails=("q5.dae.modes", "q5.trained.gaussian"),
        may_fail=ON_DAE,
        edits=((MODE, "        if add_noise is None:\n            add_noise = False\n"),),
    ),
    Mistake(
        "q5-dae-noise-needs-gradients",
        Q,
        M,
        "takes training for recording gradients: no noise under no_grad",
        fails=("q5.dae.modes",),
        edits=((MODE, MODE.replace("self.training", "self.training and torch.is_grad_enabled()")),),
    ),
    Mistake(
        "q5-dae-training-only",
        Q,
        M,
        "asking for noise in evaluation mode does nothing",
        fails=("q5.dae.modes",),
        may_fail=ON_DAE,
        edits=((MODE, "        add_noise = self.training\n"),),
    ),
    Mistake(
        "q5-dae-false-is-none",
        Q,
        M,
        "`add_noise or self.training`: False counts as not said",
        fails=("q5.dae.modes",),
        edits=((MODE, "        add_noise = add_noise or self.training\n"),),
    ),
    Mistake(
        "q5-dae-mode-inverted",
        Q,
        M,
        "corrupts in evaluation mode only",
        fails=("q5.dae.modes",),
        may_fail=("q5.dae.shapes", *ON_DAE),
        edits=((MODE, MODE.replace("self.training", "not self.training")),),
    ),
    Mistake(
        "q5-dae-encode-corrupts",
        Q,
        M,
        "encode corrupts in training mode",
        fails=("q5.dae.modes",),
        may_fail=("q5.dae.fresh",),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def encode(self, x):
        return super().encode(corrupt(x, self.noise, self.noise_level) if self.training else x)
""",
    ),
    Mistake(
        "q5-dae-noise-on-code",
        Q,
        M,
        "noise goes on the code, not on the image",
        fails=("q5.dae.noise",),
        may_fail=ON_DAE,
        edits=(
            (
                NOISY,
                "        z = self.encode(x)\n        z = corrupt(z, self.noise, self.noise_level, generator) if add_noise else z\n",
            ),
        ),
    ),
    Mistake(
        "q5-dae-noise-on-output",
        Q,
        M,
        "noise goes on the reconstruction",
        fails=("q5.dae.modes",),
        may_fail=ON_DAE,
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def forward(self, x, add_noise=None, generator=None):
        add_noise = self.training if add_noise is None else add_noise
        z = self.encode(x)
        x_recon = self.decode(z)
        return corrupt(x_recon, self.noise, self.noise_level, generator) if add_noise else x_recon, z
""",
    ),
    Mistake(
        "q5-dae-kind-ignored",
        Q,
        M,
        "always Gaussian",
        fails=("q5.dae.noise",),
        may_fail=("q5.dae.modes", "q5.dae.fresh", "q5.trained.masking"),
        edits=((NOISY, NOISY.replace("self.noise,", '"gaussian",')),),
    ),
    Mistake(
        "q5-dae-level-ignored",
        Q,
        M,
        "always level 0.3",
        fails=("q5.dae.noise",),
        may_fail=("q5.dae.modes", "q5.trained.gaussian", "q5.trained.masking"),
        edits=((NOISY, NOISY.replace("self.noise_level", "0.3")),),
    ),
    Mistake(
        "q5-dae-generator-lost",
        Q,
        M,
        "the generator does not get to the corruption",
        fails=("q5.dae.fresh",),
        edits=((NOISY, NOISY.replace(", generator)", ")")),),
    ),
    Mistake(
        "q5-dae-noise-drawn-once",
        Q,
        M,
        "noise is drawn in the first pass and kept",
        fails=("q5.dae.fresh",),
        may_fail=("q5.trained.gaussian", "q5.trained.masking"),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    kept = None

    def forward(self, x, add_noise=None, generator=None):
        add_noise = self.training if add_noise is None else add_noise
        if add_noise:
            if self.kept is None or self.kept[0].shape != x.shape:
                noisy = corrupt(torch.full_like(x, 0.5), self.noise, self.noise_level, generator)
                self.kept = (noisy, noisy == 0.5)
            same = self.kept[1]
            x = torch.where(same, x, self.kept[0] + (x - 0.5 if self.noise == "gaussian" else 0))
        z = self.encode(x)
        return self.decode(z), z
""",
    ),
    Mistake(
        "q5-dae-one-noise-per-batch",
        Q,
        M,
        "the same noise for all images of a batch",
        fails=("q5.dae.fresh",),
        may_fail=("q5.trained.gaussian", "q5.trained.masking"),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def forward(self, x, add_noise=None, generator=None):
        add_noise = self.training if add_noise is None else add_noise
        if add_noise:
            generator = generator or torch.Generator().manual_seed(int(torch.randint(2**31, ())))
            state = generator.get_state()
            parts = []
            for image in x:
                generator.set_state(state)
                parts.append(corrupt(image, self.noise, self.noise_level, generator))
            x = torch.stack(parts)
        z = self.encode(x)
        return self.decode(z), z
""",
    ),
    Mistake(
        "q5-dae-unknown-noise",
        Q,
        M,
        "an unknown noise is found out at the first forward pass only",
        fails=("q5.dae.range",),
        edits=(('        _check_kind("noise", noise)\n', ""),),
    ),
    Mistake(
        "q5-dae-not-squashed",
        Q,
        M,
        "outputs outside [0, 1]",
        fails=("q5.dae.range",),
        may_fail=("q5.trained.gaussian", "q5.trained.masking"),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def decode(self, z):
        return 3 * super().decode(z) - 1
""",
    ),
    Mistake(
        "q5-dae-returns-noisy",
        Q,
        M,
        "returns (x_recon, noisy images)",
        fails=("q5.dae.shapes",),
        may_fail=ON_DAE,
        edits=(
            (
                NOISY,
                "        x = corrupt(x, self.noise, self.noise_level, generator) if add_noise else x\n        z = self.encode(x)\n",
            ),
            (
                "        return self.decode(z).reshape(x.shape), z\n",
                "        return self.decode(z).reshape(x.shape), x\n",
            ),
        ),
    ),
    Mistake(
        "q5-dae-switches-mode",
        Q,
        M,
        "forward with noise puts the model into training mode",
        fails=("q5.dae.modes",),
        may_fail=("q5.dae.shapes", *ON_DAE),
        edits=((MODE, f"        if add_noise:\n            self.train()\n{MODE}"),),
    ),
    Mistake(
        "q5-dae-frozen",
        Q,
        M,
        "the encoder's weights require no gradient, and neither do the decoder's last ones",
        fails=("q5.trained.gaussian", "q5.trained.masking"),
        may_fail=(),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32, noise="gaussian", noise_level=0.3):
        super().__init__(input_dim, latent_dim, noise, noise_level)
        for p in list(self.parameters())[:-1]:
            p.requires_grad_(False)
""",
    ),
    # ---- what somebody found who knew the handout only
    Mistake(
        "q5-masking-one-mask-for-all-channels",
        Q,
        M,
        "one mask for all of dimension 1: images (B, D) vanish whole",
        fails=("q5.noise.independent",),
        append="""def masking_noise(x, drop_prob, generator=None):
    if not 0.0 <= drop_prob <= 1.0:
        raise ValueError(f"drop_prob must be between 0 and 1 but is {drop_prob}")
    u = torch.rand(x[:, :1].shape, generator=generator, device=x.device, dtype=x.dtype)
    return x * (u >= drop_prob)
""",
    ),
    Mistake(
        "q5-dae-level-or-default",
        Q,
        M,
        "a level of 0 becomes the default",
        fails=("q5.dae.noise",),
        may_fail=("q5.trained.gaussian", "q5.trained.masking"),
        edits=(("        self.noise_level = noise_level\n", "        self.noise_level = noise_level or 0.3\n"),),
    ),
    Mistake(
        "q5-dae-settings-in-the-class",
        Q,
        M,
        "the model built last decides about noise and level of all models",
        fails=("q5.dae.noise",),
        edits=(
            (
                "        self.noise = noise\n        self.noise_level = noise_level\n",
                "        type(self).noise, type(self).noise_level = noise, noise_level\n",
            ),
        ),
    ),
    Mistake(
        "q5-dae-code-after-relu",
        Q,
        M,
        "the code goes through a ReLU",
        fails=("q5.dae.range",),
        edits=(("        return self.autoencoder.encode(x)\n", "        return self.autoencoder.encode(x).relu()\n"),),
    ),
    Mistake(
        "q5-dae-no-square-check",
        Q,
        M,
        "an input_dim that is no square is found out by decode only",
        fails=("q5.dae.range",),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32, noise="gaussian", noise_level=0.3):
        self.side = round(input_dim**0.5)
        super().__init__(self.side**2, latent_dim, noise, noise_level)
""",
    ),
    # ---- loss
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
)
