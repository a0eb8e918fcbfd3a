"""Question 5: the reference with one bug: corrupt and the model."""

from __future__ import annotations

from .. import Mistake

Q, M = 5, "denoising"

ON_DAE = ("q5.dae.range", "q5.dae.modes", "q5.dae.noise", "q5.dae.fresh", "q5.trained.gaussian", "q5.trained.masking")

MODE = "        if add_noise is None:\n            add_noise = self.training\n"

NOISY = "        z = self.encode(corrupt(x, self.noise, self.noise_level, generator) if add_noise else x)\n"

MISTAKES: tuple[Mistake, ...] = (
    # ---- corrupt
    Mistake(
        "q5-corrupt-unknown-passes",
        Q,
        M,
        "an unknown name leaves the images as they are",
        fails=("q5.corrupt.kinds",),
        edits=(
            (
                '    _check_kind("kind", kind)\n    if kind ==',
                "    if kind not in _KINDS:\n        return x\n    if kind ==",
            ),
        ),
    ),
    Mistake(
        "q5-corrupt-else",
        Q,
        M,
        "every other name means salt and pepper",
        fails=("q5.corrupt.kinds",),
        edits=(('    _check_kind("kind", kind)\n    if kind ==', "    if kind =="),),
    ),
    Mistake(
        "q5-corrupt-key-error",
        Q,
        M,
        "an unknown name is a KeyError",
        fails=("q5.corrupt.kinds",),
        append="""def corrupt(x, kind, level, generator=None):
    table = {"gaussian": gaussian_noise, "masking": masking_noise, "salt_and_pepper": salt_and_pepper_noise}
    return table[kind](x, level, generator)
""",
    ),
    Mistake(
        "q5-corrupt-swapped",
        Q,
        M,
        "masking and salt and pepper change places",
        fails=("q5.corrupt.kinds",),
        may_fail=("q5.dae.noise", "q5.trained.masking"),
        edits=(('    if kind == "masking":\n', '    if kind == "salt_and_pepper":\n'),),
    ),
    Mistake(
        "q5-corrupt-loses-generator",
        Q,
        M,
        "the generator does not get through",
        fails=("q5.noise.generator",),
        may_fail=("q5.dae.fresh",),
        edits=(("        return masking_noise(x, level, generator)\n", "        return masking_noise(x, level)\n"),),
    ),
    Mistake(
        "q5-corrupt-fixed-level",
        Q,
        M,
        "the level is written down",
        fails=("q5.corrupt.kinds",),
        may_fail=("q5.dae.noise",),
        edits=(
            (
                "        return gaussian_noise(x, level, generator)\n",
                "        return gaussian_noise(x, 0.3, generator)\n",
            ),
        ),
    ),
    Mistake(
        "q5-corrupt-computes-all",
        Q,
        M,
        "a table of results: all three corruptions run, whichever is named",
        fails=("q5.corrupt.kinds",),
        edits=(
            (
                """    if kind == "gaussian":
        return gaussian_noise(x, level, generator)
    if kind == "masking":
        return masking_noise(x, level, generator)
    return salt_and_pepper_noise(x, level, generator)
""",
                """    return {
        "gaussian": gaussian_noise(x, level, generator),
        "masking": masking_noise(x, level, generator),
        "salt_and_pepper": salt_and_pepper_noise(x, level, generator),
    }[kind]
""",
            ),
        ),
    ),
    Mistake(
        "q5-corrupt-level-zero-first",
        Q,
        M,
        "level 0 returns before the name is looked at",
        fails=("q5.corrupt.kinds",),
        edits=(
            (
                '    _check_kind("kind", kind)\n',
                '    if level == 0:\n        return x.clone()\n    _check_kind("kind", kind)\n',
            ),
        ),
    ),
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
    # ---- corrupt
    Mistake(
        "q5-corrupt-level-squared",
        Q,
        M,
        "the level is squared for the Gaussian",
        fails=("q5.corrupt.kinds",),
        may_fail=("q5.dae.noise",),
        edits=(
            (
                "        return gaussian_noise(x, level, generator)\n",
                "        return gaussian_noise(x, level * abs(level), generator)\n",
            ),
        ),
    ),
    # ---- model
    Mistake(
        "q5-dae-default-level",
        Q,
        M,
        "noise_level is 0.5 where none is given",
        fails=("q5.dae.noise",),
        edits=(
            ('noise: str = "gaussian", noise_level: float = 0.3', 'noise: str = "gaussian", noise_level: float = 0.5'),
        ),
    ),
    Mistake(
        "q5-dae-default-noise",
        Q,
        M,
        "masking where no noise is named",
        fails=("q5.dae.noise",),
        edits=(
            ('noise: str = "gaussian", noise_level: float = 0.3', 'noise: str = "masking", noise_level: float = 0.3'),
        ),
    ),
    Mistake(
        "q5-dae-default-add-noise",
        Q,
        M,
        "add_noise is False where it is not given",
        fails=("q5.dae.modes",),
        may_fail=ON_DAE,
        edits=(
            ("self, x: Tensor, add_noise: bool | None = None,", "self, x: Tensor, add_noise: bool | None = False,"),
        ),
    ),
    Mistake(
        "q5-dae-latent-dim-ignored",
        Q,
        M,
        "the code has 32 numbers whatever latent_dim is",
        fails=("q5.dae.shapes",),
        may_fail=ON_DAE,
        edits=(("VanillaAutoencoder(input_dim, latent_dim)", "VanillaAutoencoder(input_dim)"),),
    ),
    Mistake(
        "q5-dae-decode-corrupts",
        Q,
        M,
        "decode puts noise on the code in training mode",
        fails=("q5.dae.modes",),
        may_fail=("q5.dae.fresh",),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def decode(self, z):
        return super().decode(z * (torch.rand_like(z) < 1 - self.noise_level) if self.training else z)
""",
    ),
    Mistake(
        "q5-dae-code-of-clean-images",
        Q,
        M,
        "returns the code of the clean images beside the reconstruction of noisy ones",
        fails=("q5.dae.modes",),
        may_fail=("q5.dae.noise", "q5.dae.fresh"),
        edits=(
            (
                "        return self.decode(z).reshape(x.shape), z\n",
                "        return self.decode(z).reshape(x.shape), self.encode(x)\n",
            ),
        ),
    ),
)
