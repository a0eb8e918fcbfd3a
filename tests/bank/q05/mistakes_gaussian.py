"""Question 5: the reference with one bug: Gaussian noise."""

from __future__ import annotations

from .. import Mistake

Q, M = 5, "denoising"

GAUSSIAN = "    return (x + std * eps).clamp(0, 1)\n"

DRAW = "    eps = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)\n"

# what a wrong corruption may take with it: the dispatcher's statistics, and the model that uses it
ON_GAUSSIAN = (
    "q5.gaussian.moments",
    "q5.gaussian.clamp",
    "q5.corrupt.kinds",
    "q5.noise.contract",
    "q5.trained.gaussian",
)

ON_DAE = ("q5.dae.range", "q5.dae.modes", "q5.dae.noise", "q5.dae.fresh", "q5.trained.gaussian", "q5.trained.masking")

MISTAKES: tuple[Mistake, ...] = (
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
    Mistake(
        "q5-gaussian-noise-on-cpu",
        Q,
        M,
        "draws on the CPU whatever the device of the images",
        fails=("q5.noise.contract",),
        edits=((DRAW, DRAW.replace(", device=x.device", "")),),
    ),
    Mistake(
        "q5-gaussian-level-offset",
        Q,
        M,
        "adds a little noise at level 0 as well",
        fails=("q5.gaussian.moments",),
        may_fail=(*ON_GAUSSIAN, "q5.dae.noise"),
        edits=((GAUSSIAN, "    return (x + (std + 0.01) * eps).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q5-gaussian-multiplicative",
        Q,
        M,
        "noise in proportion to the pixel",
        fails=("q5.gaussian.moments",),
        may_fail=ON_GAUSSIAN,
        edits=((GAUSSIAN, "    return (x + std * x * eps).clamp(0, 1)\n"),),
    ),
    Mistake(
        "q5-gaussian-flat",
        Q,
        M,
        "comes back as rows of numbers",
        fails=("q5.noise.contract",),
        may_fail=ON_DAE,
        edits=((GAUSSIAN, "    return (x + std * eps).clamp(0, 1).flatten(1)\n"),),
    ),
)
