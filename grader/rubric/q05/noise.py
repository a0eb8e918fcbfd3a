"""Question 5, what each of the three corruptions does to pixels: distributions and rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_tensor, expect
from ...check.failure import Failure
from ...check.shown import show
from ...check.statistics import count_bounds, mean_bound, variance_bounds, widened
from ...check.values import Gen

GAUSSIAN, MASKING, SALT = (f"denoising.{name}_noise" for name in ("gaussian", "masking", "salt_and_pepper"))
CORRUPT = "denoising.corrupt"
# the name of each corruption, its function and a level at which it changes every image of more than a few pixels
KINDS = {"gaussian": (GAUSSIAN, 0.1), "masking": (MASKING, 0.4), "salt_and_pepper": (SALT, 0.4)}
CALLS, PART = 32, (5, 1, 25, 5)  # 20 000 pixels, drawn in 32 calls
ONE_NUMBER = "With which probability is a replaced pixel white? Does one random number decide both whether and by what?"


def phi(x: float) -> float:
    """P(N(0, 1) < x)."""
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def percent(share: float) -> str:
    """A share as one reads it."""
    return f"{100 * share:.3g} %"


def calls_of(ctx: Context, target: Any, x: Tensor, *args: Any) -> Tensor:
    """Results of `CALLS` calls for the images of `x` `(CALLS, B, 1, H, W)`, each with a generator of its own.

    A check of rates looks at what many calls give on average, which pixels that share a draw leave alone.
    """
    name = target.partition(".")[2] if target != CORRUPT else f"corrupt with {args[0]}"
    generators = ctx.randint(0, 2**31, len(x)).tolist()
    noisy = [ctx.call(target, part, *args, generator=Gen(seed)) for part, seed in zip(x, generators, strict=True)]
    return torch.stack([pixels(value, x.shape[1:], name) for value in noisy])


def pixels(value: Any, shape: Sequence[int], name: str) -> Tensor:
    """Noisy images of this shape; another arrangement of as many numbers, or another dtype, has its own check."""
    if isinstance(value, Tensor) and value.numel() == math.prod(shape):
        value = value.reshape(shape)
    return as_tensor(value, shape, name)


def half_dark(ctx: Context, dark: tuple[float, float], bright: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Images `(CALLS, *PART)` in which every other pixel is dark, the others bright, and which are dark `(*PART)`."""
    where = (torch.arange(math.prod(PART)) % 2 == 0).reshape(PART)
    low = ctx.rand(CALLS, *PART, low=dark[0], high=dark[1], dtype=torch.float32)
    high = ctx.rand(CALLS, *PART, low=bright[0], high=bright[1], dtype=torch.float32)
    return torch.where(where, low, high), where


def share_is(
    ctx: Context, hit: Tensor, prob: float, what: str, hint: str, *, actual: str = "", looks: str = ""
) -> None:
    """Of the events of each call `(CALLS, …)` the share `prob` happens. One comparison at 1e-7."""
    counts = hit.flatten(1).sum(1).double()
    size = counts.new_tensor(hit[0].numel())
    fewest, most = count_bounds(hit.numel(), prob)
    low, high = widened((fewest / len(hit), most / len(hit)), counts, float(size) * prob)
    found = float(counts.mean())
    if not low <= found <= high:
        bounds = f"{percent(prob)} (by chance {percent(max(0.0, low / float(size)))} to {percent(high / float(size))})"
        raise Failure(f"{what} is wrong", bounds, actual or percent(found / float(size)), hint=hint, looks=looks)


# ---- Gaussian ------------------------------------------------------------------------------------------------------


def noise_is_normal(ctx: Context, noisy: Tensor, x: Tensor, std: float, what: str) -> None:
    """Added noise is N(0, std²). Four comparisons at 1e-7; pixels must be five `std` away from 0 and 1."""
    e = ((noisy.double() - x.double()) / std).flatten(1)
    bound, means = mean_bound(1.0, e.numel()), e.mean(1)
    found = f"mean {std * float(e.mean()):.3g}, standard deviation {std * float(e.std()):.3g}"
    wanted = f"mean 0, standard deviation {std:g}"
    looks, question = noise_reading(noisy, x, e, std)
    low, high = widened((-bound, bound), means, 0.0)
    if not low <= float(means.mean()) <= high:
        raise Failure(f"the noise that {what} adds has the wrong mean", wanted, found, looks=looks,
                      hint=question or "Which mean has the distribution that you draw from?")  # fmt: skip
    squares = e.square().mean(1)
    low, high = widened(variance_bounds(e.numel()), squares, 1.0)
    if not low <= float(squares.mean()) <= high:
        raise Failure(f"the noise that {what} adds has the wrong spread", wanted, found, looks=looks,
                      hint=question or "How large is the noise that you add, compared with std?")  # fmt: skip
    # the shape: uniform noise of this variance has 58 % and 100 % inside, Laplace noise 76 % and 94 %
    for limit in (1.0, 2.0):
        share_is(ctx, e.abs() < limit, phi(limit) - phi(-limit),
                 f"the share of pixels to which {what} adds less than {limit:g} std",
                 "From which distribution do you draw?", looks="mean and spread are right")  # fmt: skip


def noise_reading(noisy: Tensor, x: Tensor, e: Tensor, std: float) -> tuple[str, str]:
    """What wrong noise looks like, `e` in units of std, and the question that it raises."""
    flat, rms = noisy.flatten(1), float(e.square().mean().sqrt())
    if bool((flat.amin(1) == 0).all() and (flat.amax(1) > 0.9999).all()):
        return ("in every call the darkest pixel is exactly 0 and the brightest 1, though x has neither",
                "What should become of a grey image that has no black and no white pixels?")  # fmt: skip
    if bool((e >= 0).all()) or bool((e <= 0).all()):
        way = "brighter" if bool((e >= 0).all()) else "darker"
        return f"all pixels become {way}, none the other way", "Can the noise that you add have either sign?"
    relative = e / x.flatten(1)
    if math.isclose(float(relative.square().mean().sqrt()), 1, rel_tol=0.05):
        return "as large as std · x", "Does a bright pixel get more noise than a dark one?"
    for wrong, words in ((std, "std²"), (std**-0.5, "the square root of std")):
        if math.isclose(rms, wrong, rel_tol=0.1):
            return f"as large as {words}", "Is the argument a standard deviation or a variance?"
    return "", ""


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
    for std in (0.03, 0.08):
        x = ctx.rand(CALLS, *PART, low=0.4, high=0.6, dtype=torch.float32)
        noise_is_normal(ctx, calls_of(ctx, GAUSSIAN, x, std), x, std, f"gaussian_noise(x, std={std}) of grey images")


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
        low, high = float(noisy.min()), float(noisy.max())
        expect(low >= 0 and high <= 1, f"gaussian_noise(x, std={std}) of images of {brightness:g} leaves [0, 1]",
               "pixels from 0 to 1", f"from {low:.3g} to {high:.3g}",
               hint="How do you bring pixels back into [0, 1]?")  # fmt: skip
        for value, share in ((0.0, phi(-brightness / std)), (1.0, phi((brightness - 1) / std))):
            way = "darker than black" if value == 0 else "brighter than white"
            share_is(ctx, noisy == value, share,
                     f"the share of the pixels of {brightness:g} that gaussian_noise(x, std={std}) leaves at exactly "
                     f"{value:g}", f"What becomes of a pixel that the noise makes {way}?")  # fmt: skip
    # between the ends too: no rescaling, no reflection
    share_is(ctx, noisy < 0.5, phi((0.5 - 0.8) / std),
             f"the share of the pixels of 0.8 that gaussian_noise(x, std={std}) leaves below 0.5",
             "What becomes of a pixel that the noise leaves inside [0, 1]?")  # fmt: skip


# ---- masking -------------------------------------------------------------------------------------------------------


def pixels_are_dropped(ctx: Context, noisy: Tensor, x: Tensor, prob: float, what: str) -> None:
    """Each pixel is 0 with probability `prob`, else as before. One comparison at 1e-7; pixels of `x` are above 0."""
    dropped = noisy == 0
    wrong = ~dropped & (noisy != x)
    changed = noisy[wrong]
    if changed.numel():
        white = bool((changed == changed[0]).all())
        scaled = torch.allclose(changed, x[wrong] / (1 - prob), rtol=1e-4)
        raise Failure(
            f"{what} changes pixels to other values than 0", f"{show(x[wrong][:4])} as they were, or 0",
            show(changed[:4]), hint="Which value stands for a pixel that is gone?" if white
            else "What happens to the value of a pixel that stays?",
            looks=f"all such pixels become {float(changed[0]):g}" if white
            else "what stays is divided by the probability to stay" if scaled else "",
        )  # fmt: skip
    keeps = count_bounds(x.numel(), 1 - prob)
    kept = keeps[0] <= int(dropped.sum()) <= keeps[1]
    share_is(ctx, dropped, prob, f"the share of the pixels that {what} sets to 0",
             "Is the argument the probability to keep a pixel, or to lose it?" if kept
             else "With which probability does a pixel go?",
             looks="the share that should stay" if kept else "")  # fmt: skip


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
        pixels_are_dropped(ctx, noisy, x, prob, f"masking_noise(x, drop_prob={prob})")


# ---- salt and pepper -----------------------------------------------------------------------------------------------


def colours(noisy: Tensor, dark: Tensor) -> str:
    """How many pixels are 0 or 1, and which of the dark and of the bright ones are 1, for a reader."""
    replaced, white = (noisy == 0) | (noisy == 1), noisy == 1
    of = [float(white[:, where].sum()) / max(1, int(replaced[:, where].sum())) for where in (dark, ~dark)]
    return (f"{percent(float(replaced.double().mean()))} replaced; white are {percent(of[0])} of the dark ones among "
            f"these, {percent(of[1])} of the bright ones")  # fmt: skip


def pixels_are_replaced(
    ctx: Context, noisy: Tensor, x: Tensor, dark: Tensor, prob: float, what: str, also: str = ""
) -> None:
    """Each pixel is 0 or 1 with probability `prob`/2 each, whatever it was. Five comparisons at 1e-7.

    Pixels of `x` are inside (0, 1), those at `dark` below 1/2. `also` shows what another probability gave.
    """
    black, white = noisy == 0, noisy == 1
    other = ~(black | white | (noisy == x))
    if bool(other.any()):
        inverted = torch.allclose(noisy[other], 1 - x[other], atol=1e-5)
        raise Failure(f"{what} changes pixels to other values than 0 and 1",
                      f"0, 1 or {show(x[other][:4])} as they were", show(noisy[other][:4]),
                      hint="Which two values stand for salt and for pepper?",
                      looks="1 - x: pixels are inverted" if inverted else "")  # fmt: skip
    found = colours(noisy, dark) + also
    share_is(ctx, black | white, prob, f"the share of the pixels that {what} replaces by 0 or 1",
             "With which probability is a pixel replaced at all, by either of the two?", actual=found)  # fmt: skip
    by_value = all(bool(white[:, where].any()) != bool(black[:, where].any()) for where in (dark, ~dark))
    decides = by_value and bool(white.any() and black.any())
    hint = "Does it depend on the pixel itself whether it becomes 0 or 1?" if decides else ONE_NUMBER
    for where, which in ((dark, "dark"), (~dark, "bright")):
        for hit, value in ((black, 0), (white, 1)):
            share_is(ctx, hit[:, where], prob / 2, f"the share of the {which} pixels that {what} turns into {value}",
                     hint, actual=f"{percent(float(hit[:, where].double().mean()))} ({found})")  # fmt: skip


@declare(
    id="q5.salt.rate", question=5, kind="statistical", points=0.75, visibility="public",
    title="Salt-and-pepper noise: rates",
    asks="salt_and_pepper_noise replaces each pixel with probability prob, by 0 or 1 with equal chance",
    hint="Count zeros and ones for a prob of 0.3. Does one random number decide both whether and by what?",
    needs=(),
)  # fmt: skip
def salt_rate(ctx: Context) -> None:
    # 20 000 pixels, ten comparisons at 1e-7: dark and bright pixels apart, which a draw treats alike
    probs = (0.3, 0.8)
    drawn = []
    for prob in probs:
        x, dark = half_dark(ctx, (0.1, 0.4), (0.6, 0.9))
        drawn.append((x, dark, calls_of(ctx, SALT, x, prob)))
    for prob, (x, dark, noisy), other, (_, _, second) in zip(probs, drawn, probs[::-1], drawn[::-1], strict=True):
        also = f"; with prob={other}: {colours(second, dark)}"
        pixels_are_replaced(ctx, noisy, x, dark, prob, f"salt_and_pepper_noise(x, prob={prob})", also)


RATES: tuple[Check, ...] = (gaussian_moments, gaussian_clamp, masking_rate, salt_rate)
