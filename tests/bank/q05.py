"""Bank of question 5: corruptions, denoising autoencoder and loss."""

from __future__ import annotations

from . import Alternative, Mistake

Q, M = 5, "denoising"

GAUSSIAN = "    return (x + std * eps).clamp(0, 1)\n"
DRAW = "    eps = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)\n"
MASK = "    return x.masked_fill(_random_pixels(x, drop_prob, generator), 0)\n"
SALT = "    return torch.where(replaced, salt.to(x.dtype), x)\n"
RANDOM = "    return torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) < prob\n"
MODE = "        if add_noise is None:\n            add_noise = self.training\n"
NOISY = "        z = self.encode(corrupt(x, self.noise, self.noise_level, generator) if add_noise else x)\n"
LOSS = "    x_recon, _ = model(x, add_noise=True, generator=generator)\n    return mse_loss(x_recon, x)\n"

# what a wrong corruption may take with it: the dispatcher's statistics, and the model that uses it
ON_GAUSSIAN = (
    "q5.gaussian.moments",
    "q5.gaussian.clamp",
    "q5.corrupt.kinds",
    "q5.noise.contract",
    "q5.trained.gaussian",
)
ON_MASKING = ("q5.corrupt.kinds", "q5.noise.contract", "q5.dae.noise", "q5.trained.masking")
ON_SALT = ("q5.corrupt.kinds", "q5.noise.contract", "q5.dae.noise")
ON_DAE = ("q5.dae.range", "q5.dae.modes", "q5.dae.noise", "q5.dae.fresh", "q5.trained.gaussian", "q5.trained.masking")

MISTAKES: tuple[Mistake, ...] = (
    # ---- Gaussian
    Mistake(
        "q5-gaussian-variance", Q, M, "std is taken for a variance",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"), may_fail=(*ON_GAUSSIAN, "q5.dae.noise"),
        edits=((GAUSSIAN, "    return (x + std**0.5 * eps).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q5-gaussian-squared", Q, M, "std squared",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"), may_fail=(*ON_GAUSSIAN, "q5.dae.noise"),
        edits=((GAUSSIAN, "    return (x + std**2 * eps).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q5-gaussian-uniform", Q, M, "uniform noise in [0, std)",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"), may_fail=(*ON_GAUSSIAN, "q5.noise.independent"),
        edits=((DRAW, DRAW.replace("randn", "rand")),),
    ),
    Mistake(
        "q5-gaussian-uniform-same-variance", Q, M, "uniform noise of the right mean and variance",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"), may_fail=ON_GAUSSIAN,
        edits=((DRAW, f"{DRAW.replace('randn', 'rand')}    eps = (2 * eps - 1) * 3**0.5\n"),),
    ),
    Mistake(
        "q5-gaussian-no-clamp", Q, M, "noise leaves [0, 1]",
        fails=("q5.gaussian.clamp",), may_fail=ON_GAUSSIAN,
        edits=((GAUSSIAN, "    return x + std * eps\n"),),
    ),
    Mistake(
        "q5-gaussian-rescaled", Q, M, "rescales the noisy image to [0, 1] instead of clamping",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"), may_fail=(*ON_GAUSSIAN, "q5.noise.independent", "q5.dae.noise", "q5.dae.shapes", *ON_DAE),
        edits=((GAUSSIAN, "    noisy = x + std * eps\n    return (noisy - noisy.min()) / (noisy.max() - noisy.min() + 1e-9)\n"),),
    ),
    Mistake(
        "q5-gaussian-absolute", Q, M, "negative pixels are mirrored",
        fails=("q5.gaussian.clamp",), may_fail=ON_GAUSSIAN,
        edits=((GAUSSIAN, "    return (x + std * eps).abs().clamp(max=1)\n"),),
    ),
    Mistake(
        "q5-gaussian-only-brighter", Q, M, "the noise is never negative",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"), may_fail=(*ON_GAUSSIAN, "q5.noise.independent"),
        edits=((GAUSSIAN, "    return (x + std * eps.abs()).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q5-gaussian-one-image", Q, M, "one noise image for the whole batch",
        fails=("q5.noise.independent",), may_fail=(*ON_GAUSSIAN, "q5.dae.fresh"),
        edits=((DRAW, DRAW.replace("x.shape", "x.shape[1:]")),),
    ),
    Mistake(
        "q5-gaussian-one-number", Q, M, "one number for an image",
        fails=("q5.noise.independent",), may_fail=(*ON_GAUSSIAN, "q5.dae.fresh", "q5.noise.contract"),
        edits=((DRAW, DRAW.replace("x.shape", "(len(x), *[1] * (x.ndim - 1))")),),
    ),
    Mistake(
        "q5-gaussian-in-place", Q, M, "adds the noise to the images given",
        fails=("q5.noise.contract",), may_fail=(*ON_GAUSSIAN, "q5.dae.shapes", *ON_DAE),
        edits=((GAUSSIAN, "    return x.add_(std * eps).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q5-gaussian-float32", Q, M, "float32 whatever comes in",
        fails=("q5.noise.contract",), may_fail=("q5.dae.shapes", *ON_DAE),
        edits=((GAUSSIAN, "    return (x + std * eps).clamp(0, 1).float()\n"),),
    ),
    Mistake(
        "q5-gaussian-negative-std", Q, M, "a negative std passes",
        fails=("q5.noise.errors",), may_fail=("q5.corrupt.kinds",),
        edits=(("    if not std >= 0:\n", "    if False:\n"),),
    ),
    Mistake(
        "q5-gaussian-std-below-one", Q, M, "takes std for a probability and refuses 1.5",
        fails=("q5.noise.errors",),
        edits=(("    if not std >= 0:\n", "    if not 0 <= std <= 1:\n"),),
    ),
    Mistake(
        "q5-gaussian-ignores-generator", Q, M, "draws from the global generator",
        fails=("q5.noise.generator",), may_fail=("q5.dae.fresh",),
        edits=((DRAW, "    eps = torch.randn_like(x)\n"),),
    ),
    Mistake(
        "q5-gaussian-same-every-time", Q, M, "noise drawn once and reused",
        fails=("q5.noise.generator", "q5.noise.independent"), may_fail=(*ON_GAUSSIAN, "q5.dae.fresh"),
        append="""_DRAWN = {}


def gaussian_noise(x, std, generator=None):
    if not std >= 0:
        raise ValueError(f"std must not be negative, got {std}")
    key = (x.shape, x.dtype)
    if key not in _DRAWN:
        _DRAWN[key] = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return (x + std * _DRAWN[key]).clamp(0, 1)
""",
    ),
    Mistake(
        "q5-gaussian-reseeds", Q, M, "seeds from the generator's seed: every call in a row draws the same",
        fails=("q5.noise.generator", "q5.noise.independent"), may_fail=("q5.dae.fresh",),
        edits=((DRAW, f"""    if generator is not None:
        generator = torch.Generator().manual_seed(generator.initial_seed())
{DRAW}"""),),
    ),
    Mistake(
        "q5-gaussian-centred", Q, M, "the noise of a batch is centred: its sum is never left to chance",
        fails=("q5.noise.independent",), may_fail=ON_GAUSSIAN,
        edits=((DRAW, f"{DRAW}    eps = eps - eps.mean()\n"),),
    ),
    # ---- masking
    Mistake(
        "q5-masking-keeps", Q, M, "keeps with the probability given instead of dropping",
        fails=("q5.masking.rate",), may_fail=(*ON_MASKING, "q5.noise.independent"),
        edits=((MASK, MASK.replace("_random_pixels(x, drop_prob, generator)", "~_random_pixels(x, drop_prob, generator)")),),
    ),
    Mistake(
        "q5-masking-rescales", Q, M, "dropout: what stays is divided by the probability to stay",
        fails=("q5.masking.rate",), may_fail=ON_MASKING,
        edits=((MASK, MASK.replace("0)\n", "0) / max(1 - drop_prob, 1e-6)\n")),),
    ),
    Mistake(
        "q5-masking-images", Q, M, "drops whole images",
        fails=("q5.noise.independent",), may_fail=ON_MASKING,
        edits=((MASK, MASK.replace("_random_pixels(x, drop_prob, generator)", "_random_pixels(x[..., :1, :1], drop_prob, generator)")),),
    ),
    Mistake(
        "q5-masking-rows", Q, M, "drops whole rows",
        fails=("q5.noise.independent",), may_fail=ON_MASKING,
        edits=((MASK, MASK.replace("_random_pixels(x, drop_prob, generator)", "_random_pixels(x[..., :1], drop_prob, generator)")),),
    ),
    Mistake(
        "q5-masking-one-mask", Q, M, "one mask for the whole batch",
        fails=("q5.noise.independent", "q5.dae.fresh"), may_fail=ON_MASKING,
        edits=((MASK, MASK.replace("_random_pixels(x, drop_prob, generator)", "_random_pixels(x[:1], drop_prob, generator)")),),
    ),
    Mistake(
        "q5-masking-white", Q, M, "sets pixels to 1",
        fails=("q5.masking.rate",), may_fail=(*ON_MASKING, "q5.noise.independent"),
        edits=((MASK, MASK.replace(", 0)\n", ", 1)\n")),),
    ),
    Mistake(
        "q5-masking-in-place", Q, M, "masks the images given",
        fails=("q5.noise.contract",), may_fail=("q5.masking.rate", "q5.dae.shapes", *ON_MASKING, *ON_DAE),
        edits=((MASK, MASK.replace("masked_fill", "masked_fill_")),),
    ),
    Mistake(
        "q5-masking-exact-count", Q, M, "drops a fixed number of pixels of each image, always the first ones in a shuffled block",
        fails=("q5.noise.independent",), may_fail=("q5.masking.rate", *ON_MASKING, "q5.noise.generator", "q5.dae.fresh"),
        append="""def masking_noise(x, drop_prob, generator=None):
    if not 0 <= drop_prob <= 1:
        raise ValueError(f"drop_prob must be in [0, 1], got {drop_prob}")
    flat = x.clone().reshape(-1)
    count = round(drop_prob * flat.numel())
    start = int(torch.randint(flat.numel() - count + 1, (), generator=generator))
    flat[start : start + count] = 0
    return flat.reshape(x.shape)
""",
    ),
    Mistake(
        "q5-masking-exact-per-image", Q, M, "drops the same number of pixels of every image",
        fails=("q5.noise.independent",), may_fail=ON_MASKING,
        append="""def masking_noise(x, drop_prob, generator=None):
    if not 0 <= drop_prob <= 1:
        raise ValueError(f"drop_prob must be in [0, 1], got {drop_prob}")
    score = torch.rand(x.shape, generator=generator).flatten(1)
    gone = score.argsort(1).argsort(1) < round(drop_prob * score.shape[1])
    return x.masked_fill(gone.reshape(x.shape), 0)
""",
    ),
    Mistake(
        "q5-masking-any-probability", Q, M, "a probability above 1 passes",
        fails=("q5.noise.errors",), may_fail=("q5.corrupt.kinds",),
        edits=(("    if not 0 <= drop_prob <= 1:\n", "    if not 0 <= drop_prob:\n"),),
    ),
    Mistake(
        "q5-masking-refuses-ends", Q, M, "0 and 1 are refused",
        fails=("q5.noise.contract",), may_fail=("q5.dae.modes", "q5.dae.fresh"),
        edits=(("    if not 0 <= drop_prob <= 1:\n", "    if not 0 < drop_prob < 1:\n"),),
    ),
    Mistake(
        "q5-masking-exact-fraction", Q, M, "drops the same number of pixels of every batch",
        fails=("q5.noise.independent",), may_fail=ON_MASKING,
        edits=((MASK, """    order = torch.randperm(x.numel(), generator=generator, device=x.device)
    dropped = torch.zeros(x.numel(), dtype=torch.bool, device=x.device)
    dropped[order[: round(drop_prob * x.numel())]] = True
    return x.masked_fill(dropped.reshape(x.shape), 0)
"""),),
    ),
    # ---- salt and pepper
    Mistake(
        "q5-salt-each", Q, M, "salt with the probability given, and pepper with it again",
        fails=("q5.salt.rate",), may_fail=(*ON_SALT, "q5.noise.independent"),
        append="""def salt_and_pepper_noise(x, prob, generator=None):
    if not 0 <= prob <= 1:
        raise ValueError(f"prob must be in [0, 1], got {prob}")
    noisy = x.masked_fill(_random_pixels(x, prob, generator), 1)
    return noisy.masked_fill(_random_pixels(x, prob, generator), 0)
""",
    ),
    Mistake(
        "q5-salt-one-draw", Q, M, "one random number decides whether and by what: only pepper below one half",
        fails=("q5.salt.rate",), may_fail=ON_SALT,
        append="""def salt_and_pepper_noise(x, prob, generator=None):
    if not 0 <= prob <= 1:
        raise ValueError(f"prob must be in [0, 1], got {prob}")
    u = torch.rand(x.shape, generator=generator, dtype=x.dtype)
    return torch.where(u < prob, (u > 0.5).to(x.dtype), x)
""",
    ),
    Mistake(
        "q5-salt-only", Q, M, "only white pixels",
        fails=("q5.salt.rate",), may_fail=ON_SALT,
        edits=((SALT, "    return torch.where(replaced, torch.ones_like(x), x)\n"),),
    ),
    Mistake(
        "q5-salt-half-rate", Q, M, "half of the replaced pixels keep their value",
        fails=("q5.salt.rate",), may_fail=(*ON_SALT, "q5.noise.independent"),
        edits=((SALT, "    return torch.where(replaced & salt, torch.bernoulli(torch.full_like(x, 0.5), generator=generator), x)\n"),),
    ),
    Mistake(
        "q5-salt-grey", Q, M, "replaces by uniform grey",
        fails=("q5.salt.rate",), may_fail=ON_SALT,
        edits=((SALT, "    return torch.where(replaced, torch.rand(x.shape, generator=generator, dtype=x.dtype), x)\n"),),
    ),
    Mistake(
        "q5-salt-image-colour", Q, M, "all replaced pixels of a call get the same value",
        fails=("q5.noise.independent",), may_fail=ON_SALT,
        edits=((SALT, SALT.replace("salt.to", "salt.flatten()[0].to")),),
    ),
    Mistake(
        "q5-salt-colour-per-image", Q, M, "all replaced pixels of an image get the same value",
        fails=("q5.noise.independent",), may_fail=ON_SALT,
        edits=((SALT, SALT.replace("salt.to", "salt[..., :1, :1].to")),),
    ),
    Mistake(
        "q5-salt-negative-probability", Q, M, "a negative probability passes",
        fails=("q5.noise.errors",), may_fail=("q5.corrupt.kinds",),
        edits=(("    if not 0 <= prob <= 1:\n", "    if prob > 1:\n        raise ValueError(f\"prob must be in [0, 1], got {prob}\")\n    if False:\n"),),
    ),
    Mistake(
        "q5-noise-ignores-generator", Q, M, "masks come from the global generator",
        fails=("q5.noise.generator",), may_fail=("q5.dae.fresh",),
        edits=((RANDOM, "    return torch.rand_like(x) < prob\n"),),
    ),
    Mistake(
        "q5-noise-seeds-itself", Q, M, "a fixed seed where no generator is given",
        fails=("q5.noise.generator",), may_fail=("q5.dae.fresh", "q5.corrupt.kinds"),
        edits=((RANDOM, f"    generator = generator or torch.Generator().manual_seed(0)\n{RANDOM}"),),
    ),
    Mistake(
        "q5-salt-exact-fraction", Q, M, "replaces the same number of pixels of every batch, half of them by 1",
        fails=("q5.noise.independent",), may_fail=ON_SALT,
        append="""def salt_and_pepper_noise(x, prob, generator=None):
    if not 0 <= prob <= 1:
        raise ValueError(f"prob must be in [0, 1], got {prob}")
    order = torch.randperm(x.numel(), generator=generator, device=x.device)
    count = round(prob * x.numel())
    noisy = x.flatten().clone()
    noisy[order[: count // 2]] = 1
    noisy[order[count // 2 : count]] = 0
    return noisy.reshape(x.shape)
""",
    ),
    # ---- corrupt
    Mistake(
        "q5-corrupt-unknown-passes", Q, M, "an unknown name leaves the images as they are",
        fails=("q5.corrupt.kinds",),
        edits=(("    _check_kind(\"kind\", kind)\n    if kind ==", "    if kind not in _KINDS:\n        return x\n    if kind =="),),
    ),
    Mistake(
        "q5-corrupt-else", Q, M, "every other name means salt and pepper",
        fails=("q5.corrupt.kinds",),
        edits=(("    _check_kind(\"kind\", kind)\n    if kind ==", "    if kind =="),),
    ),
    Mistake(
        "q5-corrupt-key-error", Q, M, "an unknown name is a KeyError",
        fails=("q5.corrupt.kinds",),
        append="""def corrupt(x, kind, level, generator=None):
    table = {"gaussian": gaussian_noise, "masking": masking_noise, "salt_and_pepper": salt_and_pepper_noise}
    return table[kind](x, level, generator)
""",
    ),
    Mistake(
        "q5-corrupt-swapped", Q, M, "masking and salt and pepper change places",
        fails=("q5.corrupt.kinds",), may_fail=("q5.dae.noise", "q5.trained.masking"),
        edits=(("    if kind == \"masking\":\n", "    if kind == \"salt_and_pepper\":\n"),),
    ),
    Mistake(
        "q5-corrupt-loses-generator", Q, M, "the generator does not get through",
        fails=("q5.noise.generator",), may_fail=("q5.dae.fresh",),
        edits=(("        return masking_noise(x, level, generator)\n", "        return masking_noise(x, level)\n"),),
    ),
    Mistake(
        "q5-corrupt-fixed-level", Q, M, "the level is written down",
        fails=("q5.corrupt.kinds",), may_fail=("q5.dae.noise",),
        edits=(("        return gaussian_noise(x, level, generator)\n", "        return gaussian_noise(x, 0.3, generator)\n"),),
    ),
    Mistake(
        "q5-corrupt-computes-all", Q, M, "a table of results: all three corruptions run, whichever is named",
        fails=("q5.corrupt.kinds",),
        edits=(("""    if kind == "gaussian":
        return gaussian_noise(x, level, generator)
    if kind == "masking":
        return masking_noise(x, level, generator)
    return salt_and_pepper_noise(x, level, generator)
""", """    return {
        "gaussian": gaussian_noise(x, level, generator),
        "masking": masking_noise(x, level, generator),
        "salt_and_pepper": salt_and_pepper_noise(x, level, generator),
    }[kind]
"""),),
    ),
    Mistake(
        "q5-corrupt-level-zero-first", Q, M, "level 0 returns before the name is looked at",
        fails=("q5.corrupt.kinds",),
        edits=(('    _check_kind("kind", kind)\n', '    if level == 0:\n        return x.clone()\n    _check_kind("kind", kind)\n'),),
    ),
    # ---- model
    Mistake(
        "q5-dae-always", Q, M, "corrupts in evaluation mode too",
        fails=("q5.dae.modes",), may_fail=("q5.dae.shapes", *ON_DAE),
        edits=((MODE, "        if add_noise is None:\n            add_noise = True\n"),),
    ),
    Mistake(
        "q5-dae-never", Q, M, "None means no noise",
        fails=("q5.dae.modes", "q5.trained.gaussian"), may_fail=ON_DAE,
        edits=((MODE, "        if add_noise is None:\n            add_noise = False\n"),),
    ),
    Mistake(
        "q5-dae-noise-needs-gradients", Q, M, "takes training for recording gradients: no noise under no_grad",
        fails=("q5.dae.modes",),
        edits=((MODE, MODE.replace("self.training", "self.training and torch.is_grad_enabled()")),),
    ),
    Mistake(
        "q5-dae-training-only", Q, M, "asking for noise in evaluation mode does nothing",
        fails=("q5.dae.modes",), may_fail=ON_DAE,
        edits=((MODE, "        add_noise = self.training\n"),),
    ),
    Mistake(
        "q5-dae-false-is-none", Q, M, "`add_noise or self.training`: False counts as not said",
        fails=("q5.dae.modes",),
        edits=((MODE, "        add_noise = add_noise or self.training\n"),),
    ),
    Mistake(
        "q5-dae-mode-inverted", Q, M, "corrupts in evaluation mode only",
        fails=("q5.dae.modes",), may_fail=("q5.dae.shapes", *ON_DAE),
        edits=((MODE, MODE.replace("self.training", "not self.training")),),
    ),
    Mistake(
        "q5-dae-encode-corrupts", Q, M, "encode corrupts in training mode",
        fails=("q5.dae.modes",), may_fail=("q5.dae.fresh",),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def encode(self, x):
        return super().encode(corrupt(x, self.noise, self.noise_level) if self.training else x)
""",
    ),
    Mistake(
        "q5-dae-noise-on-code", Q, M, "noise goes on the code, not on the image",
        fails=("q5.dae.noise",), may_fail=ON_DAE,
        edits=((NOISY, "        z = self.encode(x)\n        z = corrupt(z, self.noise, self.noise_level, generator) if add_noise else z\n"),),
    ),
    Mistake(
        "q5-dae-noise-on-output", Q, M, "noise goes on the reconstruction",
        fails=("q5.dae.modes",), may_fail=ON_DAE,
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def forward(self, x, add_noise=None, generator=None):
        add_noise = self.training if add_noise is None else add_noise
        z = self.encode(x)
        x_recon = self.decode(z)
        return corrupt(x_recon, self.noise, self.noise_level, generator) if add_noise else x_recon, z
""",
    ),
    Mistake(
        "q5-dae-kind-ignored", Q, M, "always Gaussian",
        fails=("q5.dae.noise",), may_fail=("q5.dae.modes", "q5.dae.fresh", "q5.trained.masking"),
        edits=((NOISY, NOISY.replace("self.noise,", '"gaussian",')),),
    ),
    Mistake(
        "q5-dae-level-ignored", Q, M, "always level 0.3",
        fails=("q5.dae.noise",), may_fail=("q5.dae.modes", "q5.trained.gaussian", "q5.trained.masking"),
        edits=((NOISY, NOISY.replace("self.noise_level", "0.3")),),
    ),
    Mistake(
        "q5-dae-generator-lost", Q, M, "the generator does not get to the corruption",
        fails=("q5.dae.fresh",),
        edits=((NOISY, NOISY.replace(", generator)", ")")),),
    ),
    Mistake(
        "q5-dae-noise-drawn-once", Q, M, "noise is drawn in the first pass and kept",
        fails=("q5.dae.fresh",), may_fail=("q5.trained.gaussian", "q5.trained.masking"),
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
        "q5-dae-one-noise-per-batch", Q, M, "the same noise for all images of a batch",
        fails=("q5.dae.fresh",), may_fail=("q5.trained.gaussian", "q5.trained.masking"),
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
        "q5-dae-unknown-noise", Q, M, "an unknown noise is found out at the first forward pass only",
        fails=("q5.dae.range",),
        edits=(("        _check_kind(\"noise\", noise)\n", ""),),
    ),
    Mistake(
        "q5-dae-not-squashed", Q, M, "outputs outside [0, 1]",
        fails=("q5.dae.range",), may_fail=("q5.trained.gaussian", "q5.trained.masking"),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def decode(self, z):
        return 3 * super().decode(z) - 1
""",
    ),
    Mistake(
        "q5-dae-returns-noisy", Q, M, "returns (x_recon, noisy images)",
        fails=("q5.dae.shapes",), may_fail=ON_DAE,
        edits=((NOISY, "        x = corrupt(x, self.noise, self.noise_level, generator) if add_noise else x\n        z = self.encode(x)\n"),
               ("        return self.decode(z).reshape(x.shape), z\n", "        return self.decode(z).reshape(x.shape), x\n")),
    ),
    Mistake(
        "q5-dae-switches-mode", Q, M, "forward with noise puts the model into training mode",
        fails=("q5.dae.modes",), may_fail=("q5.dae.shapes", *ON_DAE),
        edits=((MODE, f"        if add_noise:\n            self.train()\n{MODE}"),),
    ),
    Mistake(
        "q5-dae-frozen", Q, M, "the encoder's weights require no gradient, and neither do the decoder's last ones",
        fails=("q5.trained.gaussian", "q5.trained.masking"), may_fail=(),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32, noise="gaussian", noise_level=0.3):
        super().__init__(input_dim, latent_dim, noise, noise_level)
        for p in list(self.parameters())[:-1]:
            p.requires_grad_(False)
""",
    ),
    # ---- what somebody found who knew the handout only
    Mistake(
        "q5-masking-one-mask-for-all-channels", Q, M, "one mask for all of dimension 1: images (B, D) vanish whole",
        fails=("q5.noise.independent",),
        append="""def masking_noise(x, drop_prob, generator=None):
    if not 0.0 <= drop_prob <= 1.0:
        raise ValueError(f"drop_prob must be between 0 and 1 but is {drop_prob}")
    u = torch.rand(x[:, :1].shape, generator=generator, device=x.device, dtype=x.dtype)
    return x * (u >= drop_prob)
""",
    ),
    Mistake(
        "q5-dae-level-or-default", Q, M, "a level of 0 becomes the default",
        fails=("q5.dae.noise",), may_fail=("q5.trained.gaussian", "q5.trained.masking"),
        edits=(("        self.noise_level = noise_level\n", "        self.noise_level = noise_level or 0.3\n"),),
    ),
    Mistake(
        "q5-dae-settings-in-the-class", Q, M, "the model built last decides about noise and level of all models",
        fails=("q5.dae.noise",),
        edits=(("        self.noise = noise\n        self.noise_level = noise_level\n",
                "        type(self).noise, type(self).noise_level = noise, noise_level\n"),),
    ),
    Mistake(
        "q5-dae-code-after-relu", Q, M, "the code goes through a ReLU",
        fails=("q5.dae.range",),
        edits=(("        return self.autoencoder.encode(x)\n", "        return self.autoencoder.encode(x).relu()\n"),),
    ),
    Mistake(
        "q5-dae-no-square-check", Q, M, "an input_dim that is no square is found out by decode only",
        fails=("q5.dae.range",),
        append="""class DenoisingAutoencoder(DenoisingAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32, noise="gaussian", noise_level=0.3):
        self.side = round(input_dim**0.5)
        super().__init__(self.side**2, latent_dim, noise, noise_level)
""",
    ),
    # ---- loss
    Mistake(
        "q5-loss-noisy-target", Q, M, "corrupts first and compares with the corrupted images",
        fails=("q5.loss.value",),
        edits=((LOSS, """    noisy = gaussian_noise(x, 0.3, generator)
    x_recon, _ = model(noisy, add_noise=False)
    return mse_loss(x_recon, noisy)
"""),),
    ),
    Mistake(
        "q5-loss-mode-decides", Q, M, "does not ask for noise: none in evaluation mode",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("add_noise=True, ", "")),),
    ),
    Mistake(
        "q5-loss-no-noise", Q, M, "asks for no noise",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("add_noise=True", "add_noise=False")),),
    ),
    Mistake(
        "q5-loss-generator-lost", Q, M, "keeps the generator to itself",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace(", generator=generator)", ")")),),
    ),
    Mistake(
        "q5-loss-mean", Q, M, "mean over elements",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("mse_loss(x_recon, x)", "(x_recon - x).square().mean()")),),
    ),
    Mistake(
        "q5-loss-of-code", Q, M, "adds a penalty on the code",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("x_recon, _ =", "x_recon, z =").replace("mse_loss(x_recon, x)", "mse_loss(x_recon, x) + 1e-3 * z.abs().sum()")),),
    ),
    Mistake(
        "q5-loss-corrupts-twice", Q, M, "corrupts the images, and the model does it again",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("model(x,", "model(masking_noise(x, 0.3),")),),
    ),
    Mistake(
        "q5-loss-detached", Q, M, "no gradient reaches the model",
        fails=("q5.loss.value",),
        edits=((LOSS, LOSS.replace("mse_loss(x_recon, x)", "mse_loss(x_recon.detach(), x)")),),
    ),
    Mistake(
        "q5-loss-train-mode", Q, M, "puts the model into training mode to get noise",
        fails=("q5.loss.value",),
        edits=((LOSS, f"    model.train()\n{LOSS}"),),
    ),
)  # fmt: skip

ALTERNATIVES: tuple[Alternative, ...] = (
    Alternative(
        "q5-alt-noise-like", Q, M, "normal_ and bernoulli_ on new tensors, multiplication by a mask",
        append="""def gaussian_noise(x, std, generator=None):
    if std < 0:
        raise ValueError(f"std={std} is negative")
    noise = torch.empty_like(x).normal_(0, 1, generator=generator) * std
    return torch.clamp(x + noise, min=0.0, max=1.0)


def masking_noise(x, drop_prob, generator=None):
    if drop_prob < 0 or drop_prob > 1:
        raise ValueError(f"drop_prob={drop_prob}")
    keep = torch.empty_like(x).bernoulli_(1 - drop_prob, generator=generator)
    return x * keep


def salt_and_pepper_noise(x, prob, generator=None):
    if prob < 0 or prob > 1:
        raise ValueError(f"prob={prob}")
    colour = torch.bernoulli(torch.full_like(x, 0.5), generator=generator)
    which = torch.bernoulli(torch.full_like(x, prob), generator=generator)
    return which * colour + (1 - which) * x
""",
    ),
    Alternative(
        "q5-alt-one-uniform", Q, M, "salt and pepper from one uniform number, split in two; masks by >=",
        append="""def salt_and_pepper_noise(x, prob, generator=None):
    if not (0.0 <= prob <= 1.0):
        raise ValueError(f"prob has to be in [0, 1] but is {prob}")
    u = torch.rand(x.shape, dtype=x.dtype, device=x.device, generator=generator)
    out = x.clone()
    out[u < prob / 2] = 0.0
    out[(u >= prob / 2) & (u < prob)] = 1.0
    return out


def masking_noise(x, drop_prob, generator=None):
    if not (0.0 <= drop_prob <= 1.0):
        raise ValueError(f"drop_prob has to be in [0, 1] but is {drop_prob}")
    u = torch.rand(x.shape, dtype=x.dtype, device=x.device, generator=generator)
    return torch.where(u >= drop_prob, x, torch.zeros_like(x))
""",
    ),
    Alternative(
        "q5-alt-corrupt-inline", Q, M, "one function that does all three, in another order of draws, and a table of names",
        append="""def corrupt(x, kind, level, generator=None):
    known = ("gaussian", "masking", "salt_and_pepper")
    if kind not in known:
        raise ValueError(f"kind {kind!r} is not in {known}")
    if level < 0 or (level > 1 and kind != "gaussian"):
        raise ValueError(f"level {level} is out of range for {kind}")
    coin = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) < 0.5
    hit = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) < level
    if kind == "gaussian":
        return torch.clip(torch.normal(x, torch.full_like(x, level), generator=generator), 0, 1)
    return torch.where(hit, coin.to(x.dtype) if kind == "salt_and_pepper" else torch.zeros_like(x), x)
""",
    ),
    Alternative(
        "q5-alt-dae-own-layers", Q, M, "its own encoder and decoder with batch norm and dropout",
        append="""class DenoisingAutoencoder(nn.Module):
    def __init__(self, input_dim=784, latent_dim=32, noise="gaussian", noise_level=0.3):
        super().__init__()
        if noise not in ("gaussian", "masking", "salt_and_pepper"):
            raise ValueError(f"unknown noise {noise!r}")
        self.kind, self.level, self.side = noise, noise_level, round(input_dim ** 0.5)
        if self.side ** 2 != input_dim:
            raise ValueError(f"no square has {input_dim=} pixels")
        self.enc = nn.Sequential(nn.Flatten(), nn.Linear(input_dim, 400), nn.BatchNorm1d(400), nn.ReLU(), nn.Dropout(0.02),
                                 nn.Linear(400, latent_dim))
        self.dec = nn.Sequential(nn.Linear(latent_dim, 400), nn.ReLU(), nn.Linear(400, input_dim))

    def encode(self, x):
        return self.enc(x)

    def decode(self, z):
        return torch.sigmoid(self.dec(z)).unflatten(1, (1, self.side, self.side))

    def forward(self, x, add_noise=None, generator=None):
        corrupted = x
        if add_noise or (add_noise is None and self.training):
            corrupted = corrupt(x, self.kind, self.level, generator=generator)
        code = self.encode(corrupted)
        return self.decode(code), code
""",
    ),
    Alternative(
        "q5-alt-dae-subclass", Q, M, "inherits from VanillaAutoencoder, overrides forward",
        append="""class DenoisingAutoencoder(VanillaAutoencoder):
    def __init__(self, input_dim=784, latent_dim=32, noise="gaussian", noise_level=0.3):
        super().__init__(input_dim, latent_dim)
        corrupt(torch.zeros(1), noise, noise_level)  # raises for an unknown name
        self.corruption = lambda x, g: corrupt(x, noise, noise_level, g)

    def forward(self, x, add_noise=None, generator=None):
        noisy = self.training if add_noise is None else bool(add_noise)
        return super().forward(self.corruption(x, generator) if noisy else x)
""",
    ),
    Alternative(
        "q5-alt-loss-written-out", Q, M, "positional arguments, the squared error written out",
        append="""def denoising_loss(model, x, generator=None):
    output = model(x, True, generator)
    return ((output[0] - x) ** 2).flatten(1).sum(1).mean()
""",
    ),
    Alternative(
        "q5-alt-noise-without-gradient", Q, M, "noise is made under no_grad, on a detached copy",
        append="""def salt_and_pepper_noise(x, prob, generator=None):
    if not 0 <= prob <= 1:
        raise ValueError(f"prob must be in [0, 1], got {prob}")
    with torch.no_grad():
        noisy = x.detach().clone()
        where = torch.rand(noisy.shape, generator=generator, dtype=x.dtype, device=x.device) < prob
        colours = torch.randint(0, 2, noisy.shape, generator=generator, device=x.device).to(x.dtype)
        noisy[where] = colours[where]
    return noisy
""",
    ),
    Alternative(
        "q5-alt-masking-binomial", Q, M, "first how many pixels go, then which: the same distribution",
        append="""def masking_noise(x, drop_prob, generator=None):
    if not (drop_prob >= 0 and drop_prob <= 1):
        raise ValueError('drop_prob must be a probability, but is %r' % drop_prob)
    n = x.numel()
    how_many = torch.binomial(torch.tensor(float(n), device=x.device, dtype=torch.float64), torch.tensor(float(drop_prob), device=x.device, dtype=torch.float64), generator=generator)
    which = torch.randperm(n, generator=generator, device=x.device)[:int(how_many)]
    keep = torch.ones(n, dtype=torch.bool, device=x.device)
    keep[which] = False
    return torch.where(keep.view(x.shape), x, torch.zeros_like(x))
""",
    ),
    Alternative(
        "q5-alt-salt-multinomial", Q, M, "one categorical draw per pixel",
        append="""def salt_and_pepper_noise(x, prob, generator=None):
    if prob < 0 or prob > 1:
        raise ValueError(f'salt_and_pepper_noise: prob={prob} must be in [0, 1]')
    if x.numel() == 0:
        return x.clone()
    weights = torch.tensor([1 - prob, prob / 2, prob / 2], device=x.device, dtype=torch.float64)
    choice = torch.multinomial(weights, x.numel(), replacement=True, generator=generator)
    options = torch.stack([x.reshape(-1), torch.zeros_like(x).reshape(-1), torch.ones_like(x).reshape(-1)])
    return options.gather(0, choice[None]).reshape(x.shape)
""",
    ),
    Alternative(
        "q5-alt-corrupt-enum", Q, M, "an Enum and a match statement; level is checked first, two of the kinds are written out",
        append="""import enum

class _Kind(str, enum.Enum):
    GAUSSIAN = 'gaussian'
    MASKING = 'masking'
    SALT_AND_PEPPER = 'salt_and_pepper'

def corrupt(x, kind, level, generator=None):
    try:
        chosen = _Kind(kind)
    except ValueError as error:
        raise ValueError(f'no such kind of noise: kind = {kind}') from error
    if level < 0:
        raise ValueError(f'level must not be negative, got {level}')
    if chosen is not _Kind.GAUSSIAN and level > 1:
        raise ValueError(f'level must be a probability, got {level}')
    match chosen:
        case _Kind.GAUSSIAN:
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            return torch.clamp(torch.add(x, noise, alpha=level), min=0, max=1)
        case _Kind.MASKING:
            return x * (torch.rand(x.shape, generator=generator, device=x.device) >= level).to(x.dtype)
        case _Kind.SALT_AND_PEPPER:
            return salt_and_pepper_noise(x, level, generator)
""",
    ),
    Alternative(
        "q5-alt-dae-noise-layer", Q, M, "the corruption is a submodule with its level in a buffer; BatchNorm",
        append="""class _NoiseLayer(nn.Module):

    def __init__(self, kind, level):
        super().__init__()
        if kind not in ('gaussian', 'masking', 'salt_and_pepper'):
            raise ValueError(f'unknown noise {kind!r}')
        self.kind = kind
        self.register_buffer('level', torch.tensor(float(level), dtype=torch.float64), persistent=False)

    def forward(self, x, generator):
        return corrupt(x, self.kind, self.level.item(), generator=generator)

class DenoisingAutoencoder(nn.Module):

    def __init__(self, input_dim=784, latent_dim=32, noise='gaussian', noise_level=0.3):
        super().__init__()
        side = round(max(input_dim, 0) ** 0.5)
        if side < 1 or side ** 2 != input_dim:
            raise ValueError(f'input_dim={input_dim} is not a square')
        self.corruption = _NoiseLayer(noise, noise_level)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(input_dim, 320), nn.BatchNorm1d(320), nn.GELU(), nn.Linear(320, latent_dim))
        self.decoder = nn.Sequential(nn.Linear(latent_dim, 320), nn.BatchNorm1d(320), nn.GELU(), nn.Linear(320, input_dim), nn.Hardsigmoid(), nn.Unflatten(1, (1, side, side)))

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x, add_noise=None, generator=None):
        noisy = {None: self.training, True: True, False: False}[add_noise]
        seen = self.corruption(x, generator) if noisy else x
        z = self.encoder(seen)
        return (self.decoder(z), z)
""",
    ),
)  # fmt: skip
