"""Question 5: the reference with one bug: Gaussian, masking, salt and pepper, corrupt."""

from __future__ import annotations

from .. import Mistake

Q, M = 5, "denoising"


GAUSSIAN = "    return (x + std * eps).clamp(0, 1)\n"


DRAW = "    eps = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)\n"


MASK = "    return x.masked_fill(_random_pixels(x, drop_prob, generator), 0)\n"


SALT = "    return torch.where(replaced, salt.to(x.dtype), x)\n"


RANDOM = "    return torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) < prob\n"


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
        "q5-gaussian-variance",
        Q,
        M,
        "std is taken for a variance",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"),
        may_fail=(*ON_GAUSSIAN, "q5.dae.noise"),
        edits=((GAUSSIAN, "    return (x + std**0.5 * eps).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q5-gaussian-squared",
        Q,
        M,
        "std squared",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"),
        may_fail=(*ON_GAUSSIAN, "q5.dae.noise"),
        edits=((GAUSSIAN, "    return (x + std**2 * eps).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q5-gaussian-uniform",
        Q,
        M,
        "uniform noise in [0, std)",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"),
        may_fail=(*ON_GAUSSIAN, "q5.noise.independent"),
        edits=((DRAW, DRAW.replace("randn", "rand")),),
    ),
    Mistake(
        "q5-gaussian-uniform-same-variance",
        Q,
        M,
        "uniform noise of the right mean and variance",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"),
        may_fail=ON_GAUSSIAN,
        edits=((DRAW, f"{DRAW.replace('randn', 'rand')}    eps = (2 * eps - 1) * 3**0.5\n"),),
    ),
    Mistake(
        "q5-gaussian-no-clamp",
        Q,
        M,
        "noise leaves [0, 1]",
        fails=("q5.gaussian.clamp",),
        may_fail=ON_GAUSSIAN,
        edits=((GAUSSIAN, "    return x + std * eps\n"),),
    ),
    Mistake(
        "q5-gaussian-rescaled",
        Q,
        M,
        "rescales the noisy image to [0, 1] instead of clamping",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"),
        may_fail=(*ON_GAUSSIAN, "q5.noise.independent", "q5.dae.noise", "q5.dae.shapes", *ON_DAE),
        edits=(
            (
                GAUSSIAN,
                "    noisy = x + std * eps\n    return (noisy - noisy.min()) / (noisy.max() - noisy.min() + 1e-9)\n",
            ),
        ),
    ),
    Mistake(
        "q5-gaussian-absolute",
        Q,
        M,
        "negative pixels are mirrored",
        fails=("q5.gaussian.clamp",),
        may_fail=ON_GAUSSIAN,
        edits=((GAUSSIAN, "    return (x + std * eps).abs().clamp(max=1)\n"),),
    ),
    Mistake(
        "q5-gaussian-only-brighter",
        Q,
        M,
        "the noise is never negative",
        fails=("q5.gaussian.moments", "q5.gaussian.clamp"),
        may_fail=(*ON_GAUSSIAN, "q5.noise.independent"),
        edits=((GAUSSIAN, "    return (x + std * eps.abs()).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q5-gaussian-one-image",
        Q,
        M,
        "one noise image for the whole batch",
        fails=("q5.noise.independent",),
        may_fail=(*ON_GAUSSIAN, "q5.dae.fresh"),
        edits=((DRAW, DRAW.replace("x.shape", "x.shape[1:]")),),
    ),
    Mistake(
        "q5-gaussian-one-number",
        Q,
        M,
        "one number for an image",
        fails=("q5.noise.independent",),
        may_fail=(*ON_GAUSSIAN, "q5.dae.fresh", "q5.noise.contract"),
        edits=((DRAW, DRAW.replace("x.shape", "(len(x), *[1] * (x.ndim - 1))")),),
    ),
    Mistake(
        "q5-gaussian-in-place",
        Q,
        M,
        "adds the noise to the images given",
        fails=("q5.noise.contract",),
        may_fail=(*ON_GAUSSIAN, "q5.dae.shapes", *ON_DAE),
        edits=((GAUSSIAN, "    return x.add_(std * eps).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q5-gaussian-float32",
        Q,
        M,
        "float32 whatever comes in",
        fails=("q5.noise.contract",),
        may_fail=("q5.dae.shapes", *ON_DAE),
        edits=((GAUSSIAN, "    return (x + std * eps).clamp(0, 1).float()\n"),),
    ),
    Mistake(
        "q5-gaussian-negative-std",
        Q,
        M,
        "a negative std passes",
        fails=("q5.noise.errors",),
        may_fail=("q5.corrupt.kinds",),
        edits=(("    if not std >= 0:\n", "    if False:\n"),),
    ),
    Mistake(
        "q5-gaussian-std-below-one",
        Q,
        M,
        "takes std for a probability and refuses 1.5",
        fails=("q5.noise.errors",),
        edits=(("    if not std >= 0:\n", "    if not 0 <= std <= 1:\n"),),
    ),
    Mistake(
        "q5-gaussian-ignores-generator",
        Q,
        M,
        "draws from the global generator",
        fails=("q5.noise.generator",),
        may_fail=("q5.dae.fresh",),
        edits=((DRAW, "    eps = torch.randn_like(x)\n"),),
    ),
    Mistake(
        "q5-gaussian-same-every-time",
        Q,
        M,
        "noise drawn once and reused",
        fails=("q5.noise.generator", "q5.noise.independent"),
        may_fail=(*ON_GAUSSIAN, "q5.dae.fresh"),
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
        "q5-gaussian-reseeds",
        Q,
        M,
        "seeds from the generator's seed: every call in a row draws the same",
        fails=("q5.noise.generator", "q5.noise.independent"),
        may_fail=("q5.dae.fresh",),
        edits=(
            (
                DRAW,
                f"""    if generator is not None:
        generator = torch.Generator().manual_seed(generator.initial_seed())
{DRAW}""",
            ),
        ),
    ),
    Mistake(
        "q5-gaussian-centred",
        Q,
        M,
        "the noise of a batch is centred: its sum is never left to chance",
        fails=("q5.noise.independent",),
        may_fail=ON_GAUSSIAN,
        edits=((DRAW, f"{DRAW}    eps = eps - eps.mean()\n"),),
    ),
    # ---- masking
    Mistake(
        "q5-masking-keeps",
        Q,
        M,
        "keeps with the probability given instead of dropping",
        fails=("q5.masking.rate",),
        may_fail=(*ON_MASKING, "q5.noise.independent"),
        edits=(
            (MASK, MASK.replace("_random_pixels(x, drop_prob, generator)", "~_random_pixels(x, drop_prob, generator)")),
        ),
    ),
    Mistake(
        "q5-masking-rescales",
        Q,
        M,
        "dropout: what stays is divided by the probability to stay",
        fails=("q5.masking.rate",),
        may_fail=ON_MASKING,
        edits=((MASK, MASK.replace("0)\n", "0) / max(1 - drop_prob, 1e-6)\n")),),
    ),
    Mistake(
        "q5-masking-images",
        Q,
        M,
        "drops whole images",
        fails=("q5.noise.independent",),
        may_fail=ON_MASKING,
        edits=(
            (
                MASK,
                MASK.replace(
                    "_random_pixels(x, drop_prob, generator)", "_random_pixels(x[..., :1, :1], drop_prob, generator)"
                ),
            ),
        ),
    ),
    Mistake(
        "q5-masking-rows",
        Q,
        M,
        "drops whole rows",
        fails=("q5.noise.independent",),
        may_fail=ON_MASKING,
        edits=(
            (
                MASK,
                MASK.replace(
                    "_random_pixels(x, drop_prob, generator)", "_random_pixels(x[..., :1], drop_prob, generator)"
                ),
            ),
        ),
    ),
    Mistake(
        "q5-masking-one-mask",
        Q,
        M,
        "one mask for the whole batch",
        fails=("q5.noise.independent", "q5.dae.fresh"),
        may_fail=ON_MASKING,
        edits=(
            (
                MASK,
                MASK.replace("_random_pixels(x, drop_prob, generator)", "_random_pixels(x[:1], drop_prob, generator)"),
            ),
        ),
    ),
    Mistake(
        "q5-masking-white",
        Q,
        M,
        "sets pixels to 1",
        fails=("q5.masking.rate",),
        may_fail=(*ON_MASKING, "q5.noise.independent"),
        edits=((MASK, MASK.replace(", 0)\n", ", 1)\n")),),
    ),
    Mistake(
        "q5-masking-in-place",
        Q,
        M,
        "masks the images given",
        fails=("q5.noise.contract",),
        may_fail=("q5.masking.rate", "q5.dae.shapes", *ON_MASKING, *ON_DAE),
        edits=((MASK, MASK.replace("masked_fill", "masked_fill_")),),
    ),
    Mistake(
        "q5-masking-exact-count",
        Q,
        M,
        "drops a fixed number of pixels of each image, always the first ones in a shuffled block",
        fails=("q5.noise.independent",),
        may_fail=("q5.masking.rate", *ON_MASKING, "q5.noise.generator", "q5.dae.fresh"),
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
        "q5-masking-exact-per-image",
        Q,
        M,
        "drops the same number of pixels of every image",
        fails=("q5.noise.independent",),
        may_fail=ON_MASKING,
        append="""def masking_noise(x, drop_prob, generator=None):
    if not 0 <= drop_prob <= 1:
        raise ValueError(f"drop_prob must be in [0, 1], got {drop_prob}")
    score = torch.rand(x.shape, generator=generator).flatten(1)
    gone = score.argsort(1).argsort(1) < round(drop_prob * score.shape[1])
    return x.masked_fill(gone.reshape(x.shape), 0)
""",
    ),
    Mistake(
        "q5-masking-any-probability",
        Q,
        M,
        "a probability above 1 passes",
        fails=("q5.noise.errors",),
        may_fail=("q5.corrupt.kinds",),
        edits=(("    if not 0 <= drop_prob <= 1:\n", "    if not 0 <= drop_prob:\n"),),
    ),
    Mistake(
        "q5-masking-refuses-ends",
        Q,
        M,
        "0 and 1 are refused",
        fails=("q5.noise.contract",),
        may_fail=("q5.dae.modes", "q5.dae.fresh"),
        edits=(("    if not 0 <= drop_prob <= 1:\n", "    if not 0 < drop_prob < 1:\n"),),
    ),
    Mistake(
        "q5-masking-exact-fraction",
        Q,
        M,
        "drops the same number of pixels of every batch",
        fails=("q5.noise.independent",),
        may_fail=ON_MASKING,
        edits=(
            (
                MASK,
                """    order = torch.randperm(x.numel(), generator=generator, device=x.device)
    dropped = torch.zeros(x.numel(), dtype=torch.bool, device=x.device)
    dropped[order[: round(drop_prob * x.numel())]] = True
    return x.masked_fill(dropped.reshape(x.shape), 0)
""",
            ),
        ),
    ),
    # ---- salt and pepper
    Mistake(
        "q5-salt-each",
        Q,
        M,
        "salt with the probability given, and pepper with it again",
        fails=("q5.salt.rate",),
        may_fail=(*ON_SALT, "q5.noise.independent"),
        append="""def salt_and_pepper_noise(x, prob, generator=None):
    if not 0 <= prob <= 1:
        raise ValueError(f"prob must be in [0, 1], got {prob}")
    noisy = x.masked_fill(_random_pixels(x, prob, generator), 1)
    return noisy.masked_fill(_random_pixels(x, prob, generator), 0)
""",
    ),
    Mistake(
        "q5-salt-one-draw",
        Q,
        M,
        "one random number decides whether and by what: only pepper below one half",
        fails=("q5.salt.rate",),
        may_fail=ON_SALT,
        append="""def salt_and_pepper_noise(x, prob, generator=None):
    if not 0 <= prob <= 1:
        raise ValueError(f"prob must be in [0, 1], got {prob}")
    u = torch.rand(x.shape, generator=generator, dtype=x.dtype)
    return torch.where(u < prob, (u > 0.5).to(x.dtype), x)
""",
    ),
    Mistake(
        "q5-salt-only",
        Q,
        M,
        "only white pixels",
        fails=("q5.salt.rate",),
        may_fail=ON_SALT,
        edits=((SALT, "    return torch.where(replaced, torch.ones_like(x), x)\n"),),
    ),
    Mistake(
        "q5-salt-half-rate",
        Q,
        M,
        "half of the replaced pixels keep their value",
        fails=("q5.salt.rate",),
        may_fail=(*ON_SALT, "q5.noise.independent"),
        edits=(
            (
                SALT,
                "    return torch.where(replaced & salt, torch.bernoulli(torch.full_like(x, 0.5), generator=generator), x)\n",
            ),
        ),
    ),
    Mistake(
        "q5-salt-grey",
        Q,
        M,
        "replaces by uniform grey",
        fails=("q5.salt.rate",),
        may_fail=ON_SALT,
        edits=(
            (SALT, "    return torch.where(replaced, torch.rand(x.shape, generator=generator, dtype=x.dtype), x)\n"),
        ),
    ),
    Mistake(
        "q5-salt-image-colour",
        Q,
        M,
        "all replaced pixels of a call get the same value",
        fails=("q5.noise.independent",),
        may_fail=ON_SALT,
        edits=((SALT, SALT.replace("salt.to", "salt.flatten()[0].to")),),
    ),
    Mistake(
        "q5-salt-colour-per-image",
        Q,
        M,
        "all replaced pixels of an image get the same value",
        fails=("q5.noise.independent",),
        may_fail=ON_SALT,
        edits=((SALT, SALT.replace("salt.to", "salt[..., :1, :1].to")),),
    ),
    Mistake(
        "q5-salt-negative-probability",
        Q,
        M,
        "a negative probability passes",
        fails=("q5.noise.errors",),
        may_fail=("q5.corrupt.kinds",),
        edits=(
            (
                "    if not 0 <= prob <= 1:\n",
                '    if prob > 1:\n        raise ValueError(f"prob must be in [0, 1], got {prob}")\n    if False:\n',
            ),
        ),
    ),
    Mistake(
        "q5-noise-ignores-generator",
        Q,
        M,
        "masks come from the global generator",
        fails=("q5.noise.generator",),
        may_fail=("q5.dae.fresh",),
        edits=((RANDOM, "    return torch.rand_like(x) < prob\n"),),
    ),
    Mistake(
        "q5-noise-seeds-itself",
        Q,
        M,
        "a fixed seed where no generator is given",
        fails=("q5.noise.generator",),
        may_fail=("q5.dae.fresh", "q5.corrupt.kinds"),
        edits=((RANDOM, f"    generator = generator or torch.Generator().manual_seed(0)\n{RANDOM}"),),
    ),
    Mistake(
        "q5-salt-exact-fraction",
        Q,
        M,
        "replaces the same number of pixels of every batch, half of them by 1",
        fails=("q5.noise.independent",),
        may_fail=ON_SALT,
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
)
