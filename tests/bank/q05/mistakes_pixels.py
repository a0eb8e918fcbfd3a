"""Question 5: the reference with one bug: masking, salt and pepper."""

from __future__ import annotations

from .. import Mistake

Q, M = 5, "denoising"

MASK = "    return x.masked_fill(_random_pixels(x, drop_prob, generator), 0)\n"

SALT = "    return torch.where(replaced, salt.to(x.dtype), x)\n"

RANDOM = "    return torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) < prob\n"

ON_MASKING = ("q5.corrupt.kinds", "q5.noise.contract", "q5.dae.noise", "q5.trained.masking")

ON_SALT = ("q5.corrupt.kinds", "q5.noise.contract", "q5.dae.noise")

ON_DAE = ("q5.dae.range", "q5.dae.modes", "q5.dae.noise", "q5.dae.fresh", "q5.trained.gaussian", "q5.trained.masking")

MISTAKES: tuple[Mistake, ...] = (
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
        fails=("q5.noise.independent",),
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
    Mistake(
        "q5-salt-inverts",
        Q,
        M,
        "a replaced pixel becomes the opposite of what it was: dark 1, bright 0",
        fails=("q5.salt.rate",),
        may_fail=ON_SALT,
        edits=((SALT, "    return torch.where(replaced, (x < 0.5).to(x.dtype), x)\n"),),
    ),
    Mistake(
        "q5-salt-rounds",
        Q,
        M,
        "a replaced pixel is rounded: dark 0, bright 1",
        fails=("q5.salt.rate",),
        may_fail=ON_SALT,
        edits=((SALT, "    return torch.where(replaced, x.round(), x)\n"),),
    ),
    Mistake(
        "q5-salt-negative",
        Q,
        M,
        "replaced pixels are inverted, 1 - x",
        fails=("q5.salt.rate",),
        may_fail=(*ON_SALT, "q5.noise.independent", "q5.noise.contract"),
        edits=((SALT, "    return torch.where(replaced, 1 - x, x)\n"),),
    ),
    Mistake(
        "q5-salt-mostly-white",
        Q,
        M,
        "three of four replaced pixels are white",
        fails=("q5.salt.rate",),
        may_fail=ON_SALT,
        edits=(("    salt = _random_pixels(x, 0.5, generator)\n", "    salt = _random_pixels(x, 0.75, generator)\n"),),
    ),
    Mistake(
        "q5-masks-on-cpu",
        Q,
        M,
        "masks are drawn on the CPU whatever the device of the images",
        fails=("q5.noise.contract",),
        edits=((RANDOM, "    return torch.rand(x.shape, generator=generator, dtype=x.dtype) < prob\n"),),
    ),
)
