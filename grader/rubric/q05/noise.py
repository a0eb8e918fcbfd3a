"""Question 5, the three corruptions: rates, independence, generators."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves, raises
from ...check.failure import EXACT, Failure
from ...check.forall import forall
from ...check.shown import show
from ...check.statistics import count_bounds, mean_bound, variance_bounds, widened
from ...check.values import Gen, Handle, StudentRaised, TorchRef

GAUSSIAN, MASKING, SALT = (f"denoising.{name}_noise" for name in ("gaussian", "masking", "salt_and_pepper"))
CORRUPT = "denoising.corrupt"
# the name of each corruption, its function and a level at which it changes every image of more than a few pixels
KINDS = {"gaussian": (GAUSSIAN, 0.1), "masking": (MASKING, 0.4), "salt_and_pepper": (SALT, 0.4)}
SHAPE = (40, 1, 25, 20)  # 20 000 pixels
DRAWS = 32  # to tell what never varies from what agreed by chance: 2^-31 for a single fair coin
CALLS, PART = 32, (5, 1, 25, 5)  # as many, drawn in 32 calls


def phi(x: float) -> float:
    """P(N(0, 1) < x)."""
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


# ---- statistics of a corruption -----------------------------------------------------------------------------------


def within(ctx: Context, value: float, bounds: tuple[float, float], what: str, hint: str = "") -> None:
    """A statistic lies between bounds that a correct sample leaves with the stated probability."""
    low, high = bounds
    expect(low <= value <= high, f"{what} is wrong", f"between {low:.6g} and {high:.6g}", value, hint=hint)


def calls_of(ctx: Context, target: Any, x: Tensor, *args: Any) -> Tensor:
    """Results of `CALLS` calls for the images of `x` `(CALLS, B, 1, H, W)`, each with a generator of its own.

    A check of rates looks at what many calls give on average, which pixels that share a draw leave alone.
    """
    name = target.partition(".")[2] if target != CORRUPT else f"corrupt with {args[0]}"
    generators = ctx.randint(0, 2**31, len(x)).tolist()
    noisy = [ctx.call(target, part, *args, generator=Gen(seed)) for part, seed in zip(x, generators, strict=True)]
    return torch.stack([as_tensor(value, x.shape[1:], name, dtype=x.dtype) for value in noisy])


def share_is(ctx: Context, hit: Tensor, prob: float, what: str, hint: str = "") -> None:
    """Of the events of each call `(CALLS, …)` the share `prob` happens. One comparison at 1e-7."""
    counts = hit.flatten(1).sum(1).double()
    size = hit[0].numel()
    low, high = count_bounds(hit.numel(), prob)
    bounds = widened((low / len(hit), high / len(hit)), counts, size * prob)
    within(ctx, float(counts.mean()), bounds, f"{what}, of {size} on average over {len(hit)} calls,", hint)


def noise_is_normal(ctx: Context, noisy: Tensor, x: Tensor, std: float, what: str) -> None:
    """Added noise is N(0, std²). Four comparisons at 1e-7; pixels must be five `std` away from 0 and 1."""
    e = ((noisy.double() - x.double()) / std).flatten(1)
    bound, means = mean_bound(1.0, e.numel()), e.mean(1)
    within(ctx, float(means.mean()), widened((-bound, bound), means, 0.0), f"the mean of the noise of {what}, in units "
           "of std,")  # fmt: skip
    squares = e.square().mean(1)
    rms = math.sqrt(float(squares.mean()))
    squared = "exactly the square of what was asked: is the argument a standard deviation or a variance?"
    low, high = variance_bounds(e.numel())
    within(ctx, float(squares.mean()), widened((low, high), squares, 1.0), f"the mean square of the noise of {what}, "
           "in units of std²,",
           squared if any(math.isclose(rms, wrong, rel_tol=0.05) for wrong in (std, std**-0.5)) else "")  # fmt: skip
    # the shape: uniform noise of this variance has 58 % and 100 % inside, Laplace noise 76 % and 94 %
    for limit in (1.0, 2.0):
        share_is(ctx, e.abs() < limit, phi(limit) - phi(-limit), f"the number of pixels within {limit:g} std of {what}",
                 "From which distribution do you draw?")  # fmt: skip


def pixels_are_dropped(ctx: Context, noisy: Tensor, x: Tensor, prob: float, what: str) -> None:
    """Each pixel is 0 with probability `prob`, else as before. One comparison at 1e-7; pixels of `x` are above 0."""
    dropped = noisy == 0
    changed = noisy[~dropped & (noisy != x)]
    white = bool(changed.numel()) and bool((changed == changed[0]).all())
    hint = "Which value stands for a pixel that is gone?" if white else "What happens to a pixel that stays?"
    expect(not changed.numel(), f"{what} changes pixels that it does not set to 0",
               show(x[~dropped][:4]), show(noisy[~dropped][:4]), hint=hint)  # fmt: skip
    keeps = count_bounds(x.numel(), 1 - prob)
    kept = keeps[0] <= int(dropped.sum()) <= keeps[1]
    hint = "Is the argument the probability to keep a pixel, or to lose it?" if kept else ""
    share_is(ctx, dropped, prob, f"the number of pixels set to 0 by {what}", hint)


def pixels_are_replaced(ctx: Context, noisy: Tensor, x: Tensor, prob: float, what: str) -> None:
    """Each pixel is 0 or 1 with probability `prob`/2 each. Two comparisons at 1e-7; pixels of `x` are inside (0, 1)."""
    black, white = noisy == 0, noisy == 1
    expect(bool((black | white | (noisy == x)).all()), f"{what} changes pixels to other values than 0 and 1",
               "0, 1 or the pixel as it was", show(noisy[~(black | white | (noisy == x))][:4]))  # fmt: skip
    for value, where in ((0, black), (1, white)):
        share_is(ctx, where, prob / 2, f"the number of pixels set to {value} by {what}",
                 "With which probability is a pixel replaced at all, and with which by this value?")  # fmt: skip


@declare(
    id="q5.gaussian.moments", question=5, kind="statistical", points=0.75, visibility="public",
    title="Gaussian noise: distribution",
    asks="gaussian_noise adds N(0, std^2) to each pixel",
    hint="Which mean, which spread and which shape has the noise that you add? Plot a histogram of it.",
    needs=(),
)  # fmt: skip
def gaussian_moments(ctx: Context) -> None:
    # 20 000 pixels, twice four comparisons at 1e-7: false alarm below 1e-6. A clamped pixel (5 std away) has a chance
    # of 1e-6 each and does not move a statistic
    for std in (0.08, 0.03):
        x = ctx.rand(CALLS, *PART, low=0.4, high=0.6, dtype=torch.float32)
        noise_is_normal(ctx, calls_of(ctx, GAUSSIAN, x, std), x, std, "gaussian_noise")


@declare(
    id="q5.gaussian.clamp", question=5, kind="statistical", points=0.5, visibility="public",
    title="Gaussian noise: clamped",
    asks="what gaussian_noise pushes out of [0, 1] ends exactly at 0 or 1",
    hint="What share of the pixels of a black image stays black? How do you bring values back into [0, 1]?",
    needs=(),
)  # fmt: skip
def gaussian_clamp(ctx: Context) -> None:
    # 20 000 pixels a brightness, seven comparisons at 1e-7: false alarm below 1e-6
    std = 0.5
    for brightness in (0.0, 0.5, 0.8):
        noisy = calls_of(ctx, GAUSSIAN, torch.full((CALLS, *PART), brightness), std)
        expect(bool(((noisy >= 0) & (noisy <= 1)).all()), "gaussian_noise leaves [0, 1]", "pixels in [0, 1]", noisy)
        for value, share in ((0.0, phi(-brightness / std)), (1.0, phi((brightness - 1) / std))):
            share_is(ctx, noisy == value, share, f"the number of pixels {brightness:g} that end at {value:g}")
    # between the ends too: no rescaling, no reflection
    share_is(ctx, noisy < 0.5, phi((0.5 - 0.8) / std), "the number of pixels 0.8 that end below 0.5")


@declare(
    id="q5.masking.rate", question=5, kind="statistical", points=0.75, visibility="public",
    title="Masking noise: rate",
    asks="masking_noise sets each pixel to 0 with probability drop_prob and leaves the others as they are",
    hint="Count the zeros for a drop_prob of 0.2. And what happens to a pixel that stays?",
    needs=(),
)  # fmt: skip
def masking_rate(ctx: Context) -> None:
    # 20 000 pixels, two comparisons at 1e-7
    for prob in (0.2, 0.7):
        x = ctx.rand(CALLS, *PART, low=0.1, high=1.0, dtype=torch.float32)
        noisy = calls_of(ctx, MASKING, x, prob)
        pixels_are_dropped(ctx, noisy, x, prob, f"masking_noise with drop_prob={prob}")


@declare(
    id="q5.salt.rate", question=5, kind="statistical", points=0.75, visibility="public",
    title="Salt-and-pepper noise: rates",
    asks="salt_and_pepper_noise replaces each pixel with probability prob, by 0 or 1 with equal chance",
    hint="Count zeros and ones for a prob of 0.3. Does one random number decide both whether and by what?",
    needs=(),
)  # fmt: skip
def salt_rate(ctx: Context) -> None:
    # 20 000 pixels, four comparisons at 1e-7
    for prob in (0.3, 0.8):
        x = ctx.rand(CALLS, *PART, low=0.1, high=0.9, dtype=torch.float32)
        noisy = calls_of(ctx, SALT, x, prob)
        pixels_are_replaced(ctx, noisy, x, prob, f"salt_and_pepper_noise with prob={prob}")


def generator_of(ctx: Context) -> Handle:
    """A generator that lives on in the worker, from one call to the next."""
    made = ctx.new(TorchRef("Generator"))
    made.call("manual_seed", int(ctx.randint(0, 2**31, 1)))
    return made


@declare(
    id="q5.noise.independent", question=5, kind="statistical", points=0.25, visibility="public",
    title="Noise: independent from pixel to pixel",
    asks="the noise of a pixel tells nothing about that of its neighbours, of other images or of the next call: totals "
    "over images and over batches vary as those of independent pixels do",
    hint="How many random numbers do you draw for a batch of images? Which pixels share one?",
    needs=(),
)  # fmt: skip
def noise_independent(ctx: Context) -> None:
    # six comparisons each of four quantities at 4e-8: false alarm below 1e-6. Products of independent centred pixels
    # have mean 0 and are uncorrelated with each other; the sample's own mean and spread move them by 1/n
    alpha = 4e-8
    x = torch.full(SHAPE, 0.5)
    quantities: tuple[tuple[str, float, str, Callable[[Tensor], Tensor]], ...] = (
        (GAUSSIAN, 0.08, "noise", lambda noisy: noisy), (MASKING, 0.3, "pixels that go", lambda noisy: noisy == 0),
        (SALT, 0.3, "pixels replaced", lambda noisy: noisy != 0.5), (SALT, 1.0, "colours", lambda noisy: noisy == 1),
    )  # fmt: skip
    for function, level, what, of in quantities:
        name, generator = f"{function.partition('.')[2]}, {what}:", generator_of(ctx)
        draws = (of(as_tensor(ctx.call(function, x, level, generator), SHAPE, name)).double() for _ in range(26))
        first, second = next(draws), next(draws)
        if first.std() == 0:  # in all pixels of all calls: a wrong rate, which has its own check
            alone = any(not torch.equal(first, other) for other in (second, *draws))
            expect(not alone, f"{name} all pixels of a call get the same", "independent draws", "one draw")
            continue
        # centred and scaled by the sample, so that a wrong rate costs its own check only
        a, b = ((drawn - drawn.mean()) / drawn.std(correction=0) for drawn in (first, second))
        pairs = {
            "pixels side by side": (a[..., 1:], a[..., :-1]), "pixels one below the other": (a[:, :, 1:], a[:, :, :-1]),
            "successive images": (a[1:], a[:-1]), "successive calls": (a, b),
        }  # fmt: skip
        for where, (one, other) in pairs.items():
            bound = mean_bound(1.0, one.numel(), alpha)
            within(ctx, float((one * other).mean()), (-bound, bound), f"{name} the correlation of {where}")
        chance_alone(ctx, torch.cat([a, b]).flatten(1), f"{name} the variance of an image's total", alpha)
        few = x[:3, :, :10, :10]
        batches = [of(as_tensor(ctx.call(function, few, level, generator), few.shape, name)) for _ in range(16)]
        calls = torch.stack(batches).double().flatten(1)
        if calls.std() > 0:
            chance_alone(ctx, (calls - calls.mean()) / calls.std(correction=0), f"{name} the variance of a call's "
                         "total", alpha)  # fmt: skip
        # images may have any shape: of 500 independent pixels, or 40, some differ
        rows = x.flatten(1)
        flat = of(as_tensor(ctx.call(function, rows, level, generator), rows.shape, name)).double()
        shared = flat.std() > 0 and min(float(flat.std(0).max()), float(flat.std(1).max())) == 0
        expect(not shared, f"{name} images of shape (B, D) share a draw", "independent pixels",
                   "all pixels of an image, or all images, get the same")  # fmt: skip


def chance_alone(ctx: Context, scaled: Tensor, what: str, alpha: float) -> None:
    """Totals of groups `(N, pixels)`, centred and scaled, vary at least as much as those of independent pixels."""
    totals = scaled.sum(1)
    evenness = float(totals.var()) / scaled[0].numel()
    within(ctx, evenness, (variance_bounds(len(totals) - 1, alpha)[0], math.inf), f"{what}, in units of that of "
           "independent pixels,", "Does chance alone decide how many pixels of an image are hit?")  # fmt: skip


@declare(
    id="q5.noise.generator", question=5, kind="property", points=0.25, visibility="public",
    title="Noise: fresh, from the generator given",
    asks="noise is drawn anew on every call, and from the generator if one is given",
    hint="Where do the random numbers come from when a generator is given? What do two calls in a row give?",
    needs=(),
)  # fmt: skip
def noise_generator(ctx: Context) -> None:
    x = ctx.rand(4, 1, 8, 8, low=0.3, high=0.7)
    for kind, (function, level) in KINDS.items():
        for target, args, name in (
            (function, (level,), function.partition(".")[2]),
            (CORRUPT, (kind, level), f"corrupt {kind}"),
        ):
            draws_are_fresh(ctx, target, (x, *args), name)


def vary(draws: Iterator[Tensor]) -> bool:
    """Whether two of the draws differ; stops at the first that does. Pixels that share a draw agree now and then."""
    first = next(draws)
    return any(not torch.equal(first, other) for other in draws)


def draws_are_fresh(ctx: Context, target: Any, args: tuple[Any, ...], name: str, pick: int | None = None) -> None:
    """Successive draws differ, with a generator and without; the generator alone decides about them."""

    def drawn(**kwargs: Any) -> Tensor:
        value = ctx.call(target, *args, **kwargs)
        return as_tensor(value if pick is None else as_sequence(value, 2, name)[pick], None, name)

    seed = int(ctx.randint(0, 2**30, 1))
    expect(vary(drawn() for _ in range(DRAWS)), f"{name} gives the same twice without a generator", "fresh noise")
    expect(vary(drawn(generator=Gen(seed + k)) for k in range(DRAWS)),
               f"{name} gives the same from differently seeded generators", "other noise")  # fmt: skip
    expect(torch.equal(drawn(generator=Gen(seed)), drawn(generator=Gen(seed))),
               f"{name} draws from another source than the generator given",
               "the same noise from equally seeded generators", "other noise")  # fmt: skip
    generator = generator_of(ctx)
    expect(vary(drawn(generator=generator) for _ in range(DRAWS)),
               f"{name} gives the same twice from one generator", "fresh noise")  # fmt: skip


@declare(
    id="q5.noise.contract", question=5, kind="property", points=0.25, visibility="public",
    title="Noise: shapes, dtypes, ends of the range",
    asks="corruptions keep shape and dtype, leave their argument alone, do nothing at level 0 and replace all at "
    "level 1",
    hint="Does your function write into x? What does it do at a probability of exactly 0, and of exactly 1?",
    needs=(),
)  # fmt: skip
def noise_contract(ctx: Context) -> None:
    def body(seed: int, batch: int, channels: int, height: int, width: int, double: bool) -> None:
        dtype = torch.float64 if double else torch.float32
        x = random(seed, batch, channels, height, width, low=0.1, high=0.9, dtype=dtype)
        for function, level in KINDS.values():
            name = function.partition(".")[2]
            noisy = as_tensor(preserves(ctx, function, x, level), x.shape, name, dtype=dtype)
            expect(bool(((noisy >= 0) & (noisy <= 1)).all()), f"{name} leaves [0, 1]", "pixels in [0, 1]", noisy)
            matches(ctx, ctx.call(function, x, 0.0), x, EXACT, f"{name} at level 0")
        matches(ctx, ctx.call(MASKING, x, 1.0), torch.zeros_like(x), EXACT, "masking_noise with drop_prob=1")
        noisy = as_tensor(ctx.call(SALT, x, 1.0), x.shape, "salt_and_pepper_noise with prob=1", dtype=dtype)
        expect(bool(((noisy == 0) | (noisy == 1)).all()), "salt_and_pepper_noise with prob=1 leaves pixels",
                   "0 and 1 only", noisy)  # fmt: skip

    flags = sizes(0, 1).map(bool)
    forall(ctx, body, examples=12, seed=seeds(), batch=sizes(1, 3), channels=sizes(1, 2), height=sizes(1, 4),
               width=sizes(1, 4), double=flags)  # fmt: skip


@declare(
    id="q5.noise.errors", question=5, kind="property", points=0.25, visibility="public",
    title="Noise: errors",
    asks="a negative std, and a probability outside [0, 1], is a ValueError that names the argument",
    hint="Which of the two ends do you look at?",
    needs=(),
)  # fmt: skip
def noise_errors(ctx: Context) -> None:
    x = ctx.rand(2, 1, 3, 3)
    for function, name, values in ((GAUSSIAN, "std", (-0.1,)), (MASKING, "drop_prob", (-0.1, 1.1)),
                                   (SALT, "prob", (-0.1, 1.1))):  # fmt: skip
        for value in values:
            raises(
                ctx,
                "ValueError",
                function,
                x,
                value,
                names=name,
                case=f"{function.partition('.')[2]} with {name}={value}",
            )
    as_tensor(ctx.call(GAUSSIAN, x, 1.5), x.shape, "gaussian_noise with std=1.5")  # a standard deviation may be above 1


@declare(
    id="q5.corrupt.kinds", question=5, kind="statistical", points=0.5, visibility="public",
    title="corrupt: the corruption of that name",
    asks="corrupt does the corruption that is named, at the level given; another name is a ValueError",
    hint="Which function does each of the three names call, with which level? And when it is none of the three, at "
    "whatever level?",
    needs=(),
)  # fmt: skip
def corrupt_kinds(ctx: Context) -> None:
    # 20 000 pixels, seven comparisons at 1e-7: false alarm below 1e-6
    x = ctx.rand(CALLS, *PART, low=0.4, high=0.6, dtype=torch.float32)
    for (kind, (function, _)), level, judge in zip(
        KINDS.items(), (0.05, 0.2, 0.3), (noise_is_normal, pixels_are_dropped, pixels_are_replaced), strict=True
    ):
        seed = int(ctx.randint(0, 2**31, 1))
        noisy = preserves(ctx, CORRUPT, x[0], kind, level, generator=Gen(seed))
        own = ctx.call(function, x[0], level, generator=Gen(seed))
        if not (isinstance(noisy, Tensor) and isinstance(own, Tensor) and torch.equal(noisy, own)):
            # else it is that function, which has its own checks
            try:
                judge(ctx, calls_of(ctx, CORRUPT, x, kind, level), x, level, f"corrupt with {kind}")
            except Failure as failure:
                failure.hint = ""  # the choice is wrong, not what was chosen
                raise
    for kind, level in (("poisson", 0.1), ("", 0.1), ("salt", 0.1), ("poisson", 0.0)):
        raises(ctx, "ValueError", CORRUPT, x[0], kind, level, names=kind, case=f"corrupt with {kind=} at level {level}")
    # what gaussian_noise refuses itself has its own check
    expect(accepts(ctx, CORRUPT, x[0], "gaussian", 1.5) or not accepts(ctx, GAUSSIAN, x[0], 1.5),
               "corrupt refuses a Gaussian that gaussian_noise accepts", "a standard deviation of 1.5", "an exception",
               hint="Which of the three functions run when one of them is named?")  # fmt: skip
    for kind, level in (("gaussian", -0.2), ("masking", 1.5), ("salt_and_pepper", -0.5)):
        raises(ctx, "ValueError", CORRUPT, x[0], kind, level, case=f"corrupt with {kind} at level {level}")


def accepts(ctx: Context, target: str, *args: Any) -> bool:
    """Whether the call raises nothing."""
    try:
        ctx.call(target, *args)
    except StudentRaised:
        return False
    return True


NOISE: tuple[Check, ...] = (
    gaussian_moments, gaussian_clamp, masking_rate, salt_rate, noise_independent, noise_generator, noise_contract,
    noise_errors, corrupt_kinds,
)  # fmt: skip
