"""Question 5, what holds for all corruptions: independent and fresh draws, generators, edges, `corrupt`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.devices import expect_on_device
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves, raises
from ...check.failure import EXACT, Failure
from ...check.forall import forall
from ...check.shown import unchanged
from ...check.statistics import mean_bound, variance_bounds
from ...check.values import Gen, Handle, StudentRaised, TorchRef
from ..shared.readings import asking
from .noise import (
    CORRUPT,
    GAUSSIAN,
    KINDS,
    MASKING,
    SALT,
    calls_of,
    half_dark,
    noise_is_normal,
    pixels,
    pixels_are_dropped,
    pixels_are_replaced,
)

SHAPE = (40, 1, 25, 20)  # 20 000 pixels
DRAWS = 32  # to tell what never varies from what agreed by chance: 2^-31 for a single fair coin


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
        (GAUSSIAN, 0.08, "the noise", lambda noisy: noisy - 0.5),
        (MASKING, 0.3, "which pixels go", lambda noisy: noisy == 0),
        (SALT, 0.3, "which pixels are replaced", lambda noisy: noisy != 0.5),
        (SALT, 1.0, "which pixels are white", lambda noisy: noisy == 1),
    )  # fmt: skip
    for function, level, what, of in quantities:
        name = f"{function.partition('.')[2]}(x, {level:g}): {what}"
        generator = generator_of(ctx)
        draws = (of(pixels(ctx.call(function, x, level, generator), SHAPE, name)).double() for _ in range(26))
        first, second = next(draws), next(draws)
        if first.std() == 0:  # in all pixels of all calls: a wrong rate, which has its own check
            alone = any(not torch.equal(first, other) for other in (second, *draws))
            expect(not alone, f"{name} is the same for all pixels of a call", "a draw for each pixel", "one for all",
                   hint="How many random numbers do you draw for a batch of images?")  # fmt: skip
            continue
        # centred and scaled by the sample, so that a wrong rate costs its own check only
        a, b = ((drawn - drawn.mean()) / drawn.std(correction=0) for drawn in (first, second))
        within_image = "How many random numbers do you draw for one image? Which of its pixels share one?"
        pairs = {
            "successive calls": (a, b, "What does a second call with the same generator draw? Where is it drawn?"),
            "successive images": (a[1:], a[:-1], "Does every image of a batch get random numbers of its own?"),
            "pixels side by side": (a[..., 1:], a[..., :-1], within_image),
            "pixels one below the other": (a[:, :, 1:], a[:, :, :-1], within_image),
        }  # fmt: skip
        found = {where: float((one * other).mean()) for where, (one, other, _) in pairs.items()}
        bounds = {where: mean_bound(1.0, one.numel(), alpha) for where, (one, _, _) in pairs.items()}
        # few draws that many pixels share are related by chance elsewhere, too: the closest relation says where
        where = max(pairs, key=lambda where: abs(found[where]))
        expect(all(abs(found[pair]) <= bounds[pair] for pair in pairs), f"{name} is related in {where}",
               f"a correlation of 0 (by chance up to {bounds[where]:.2g})", f"{found[where]:.3g}",
               hint=pairs[where][2])  # fmt: skip
        both = torch.cat([first, second])
        chance_alone(both.flatten(1), both, name, "an image", alpha)
        few = x[:3, :, :10, :10]
        batches = [of(pixels(ctx.call(function, few, level, generator), few.shape, name)) for _ in range(16)]
        calls = torch.stack(batches).double().flatten(1)
        if calls.std() > 0:
            chance_alone(calls, calls, name, "a call", alpha)
        # images may have any shape: of 500 independent pixels, or 40, some differ
        rows = x.flatten(1)
        flat = of(pixels(ctx.call(function, rows, level, generator), rows.shape, name)).double()
        whole = flat.std() > 0 and float(flat.std(1).max()) == 0
        alike = flat.std() > 0 and float(flat.std(0).max()) == 0
        expect(not (whole or alike), f"{name}: with images (B, D), {tuple(rows.shape)}, pixels share a draw",
               "a draw for each number", "one for all numbers of an image" if whole else "the same for all images",
               hint="What does your draw take for the pixels of an image that is a row of numbers?")  # fmt: skip


def chance_alone(groups: Tensor, sample: Tensor, name: str, group: str, alpha: float) -> None:
    """Totals of `groups` `(N, pixels)` vary at least as those of independent pixels with the sample's spread do."""
    totals, count = groups.sum(1), groups[0].numel()
    spread = float(sample.std(correction=0)) * math.sqrt(count)
    evenness = float((totals / spread).var())
    least = variance_bounds(len(totals) - 1, alpha)[0]
    shown = ", ".join(f"{total:.4g}" for total in (round(float(t), 6) + 0.0 for t in totals[:6]))
    summed = "noise" in name.rpartition(":")[2]
    hint = (f"Does chance alone decide what the noise of {group} sums to?" if summed
            else f"Does chance alone decide how many pixels of {group} are hit?")  # fmt: skip
    expect(evenness >= least, f"{name} is evened out: the totals of {group} vary less than by chance",
           f"totals that differ by about {spread:.2g}", f"totals {shown}, …", hint=hint)  # fmt: skip


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
            (function, (level,), f"{function.partition('.')[2]}(x, {level})"),
            (CORRUPT, (kind, level), f"corrupt(x, {kind!r}, {level})"),
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
    expect(vary(drawn() for _ in range(DRAWS)), f"{name} without a generator gives the same in {DRAWS} calls",
           "fresh noise", "the same noise",
           hint="When are the random numbers drawn if there is no generator, and from which seed?")  # fmt: skip
    expect(vary(drawn(generator=Gen(seed + k)) for k in range(DRAWS)),
           f"{name} gives the same from {DRAWS} generators with different seeds", "other noise", "the same noise",
           hint="Does what you draw depend on the generator given at all?")  # fmt: skip
    expect(torch.equal(drawn(generator=Gen(seed)), drawn(generator=Gen(seed))),
           f"{name} draws from another source than the generator given",
           "the same noise from two generators with one seed", "other noise",
           hint="Which of your draws does the generator not reach?")  # fmt: skip
    generator = generator_of(ctx)
    expect(vary(drawn(generator=generator) for _ in range(DRAWS)),
           f"{name} gives the same in {DRAWS} calls with one generator", "fresh noise on every call", "the same noise",
           hint="What do you do with the generator besides drawing from it?")  # fmt: skip


@declare(
    id="q5.noise.contract", question=5, kind="property", points=0.25, visibility="public",
    title="Noise: shapes, dtypes, devices, ends of the range",
    asks="corruptions keep shape, dtype and device, leave their argument alone, do nothing at level 0 and replace all "
    "at level 1",
    hint="Does your function write into x? What does it do at a probability of exactly 0, and of exactly 1?",
    needs=(),
)  # fmt: skip
def noise_contract(ctx: Context) -> None:
    about_right = {function: rate_is_about(ctx, function) for function in (MASKING, SALT)}

    def body(seed: int, batch: int, channels: int, height: int, width: int, double: bool) -> None:
        dtype = torch.float64 if double else torch.float32
        x = random(seed, batch, channels, height, width, low=0.1, high=0.9, dtype=dtype)
        for function, level in KINDS.values():
            name = function.partition(".")[2]
            as_tensor(preserves(ctx, function, x, level), x.shape, f"{name}(x, {level})", dtype=dtype)
            if about_right.get(function, True):
                with asking("Is a level of exactly 0 a bad argument?"):
                    value = ctx.call(function, x, 0.0)
                matches(ctx, value, x, EXACT, f"{name}(x, 0), compared with x,",
                        hint="What should be left of the noise at a level of 0?")  # fmt: skip
        for function in (MASKING, SALT):
            if not about_right[function]:
                continue  # its own check says so
            name = function.partition(".")[2]
            with asking("Is a probability of exactly 1 a bad argument?"):
                noisy = as_tensor(ctx.call(function, x, 1.0), x.shape, f"{name}(x, 1)", dtype=dtype)
            left = noisy[(noisy != 0) & ((noisy != 1) | (function == MASKING))]
            expect(not left.numel(), f"{name}(x, 1) leaves pixels as they are",
                   "0 everywhere" if function == MASKING else "0 or 1 everywhere", left,
                   hint="What does a probability of 1 say about every single pixel?")  # fmt: skip

    flags = sizes(0, 1).map(bool)
    forall(ctx, body, examples=12, draws=True, seed=seeds(), batch=sizes(2, 3), channels=sizes(1, 2),
               height=sizes(2, 4), width=sizes(3, 5), double=flags)  # fmt: skip
    for function, level in KINDS.values():
        expect_on_device(ctx, function.partition(".")[2], function, ctx.rand(2, 1, 3, 4), level)


def rate_is_about(ctx: Context, function: str) -> bool:
    """Whether the share of pixels that change is roughly the probability; if it is not, its own check says so."""
    x = ctx.rand(8, 1, 20, 20, low=0.1, high=0.9)
    noisy = ctx.call(function, x, 0.3)
    return isinstance(noisy, Tensor) and noisy.shape == x.shape and abs(float((noisy != x).double().mean()) - 0.3) < 0.1


@declare(
    id="q5.noise.errors", question=5, kind="property", points=0.25, visibility="public",
    title="Noise: errors",
    asks="a negative std, and a probability outside [0, 1], is a ValueError that names the argument",
    hint="Which of the two ends do you look at?",
    needs=(),
)  # fmt: skip
def noise_errors(ctx: Context) -> None:
    x = ctx.rand(2, 1, 2, 3)
    for function, name, values in ((GAUSSIAN, "std", (-0.1,)), (MASKING, "drop_prob", (-0.1, 1.1)),
                                   (SALT, "prob", (-0.1, 1.1))):  # fmt: skip
        for value in values:
            what = "a standard deviation" if name == "std" else "a probability"
            end = "below 0" if value < 0 else "above 1"
            raises(ctx, "ValueError", function, x, value, names=name,
                   case=f"{function.partition('.')[2]}(x, {name}={value})",
                   hint=f"Can {what} be {end}? Which ends of its range do you look at?")  # fmt: skip
    with asking("Is a standard deviation a probability? How large may it be?"):
        ctx.call(GAUSSIAN, x, 1.5)


# ---- corrupt -------------------------------------------------------------------------------------------------------


@declare(
    id="q5.corrupt.kinds", question=5, kind="statistical", points=0.5, visibility="public",
    title="corrupt: the corruption of that name",
    asks="corrupt does the corruption that is named, at the level given; another name is a ValueError",
    hint="Which function does each of the three names call, with which level? And when it is none of the three, at "
    "whatever level?",
    needs=(),
)  # fmt: skip
def corrupt_kinds(ctx: Context) -> None:
    # 20 000 pixels, ten comparisons at 1e-7: false alarm below 1e-6
    x, dark = half_dark(ctx, (0.4, 0.49), (0.51, 0.6))
    for kind, level in zip(KINDS, (0.05, 0.2, 0.3), strict=True):
        what, seed = f"corrupt(x, {kind!r}, {level})", int(ctx.randint(0, 2**31, 1))
        own, after, _ = ctx.session.effects(KINDS[kind][0], x[0], level, generator=Gen(seed))
        # a function that writes into x has lost points for it
        takes = preserves if unchanged(x[0], after[0]) else Context.call
        noisy = takes(ctx, CORRUPT, x[0], kind, level, generator=Gen(seed))
        if isinstance(noisy, Tensor) and isinstance(own, Tensor) and torch.equal(noisy, own):
            continue  # it is that function, which has its own checks
        call = ctx.typed()
        try:
            found = calls_of(ctx, CORRUPT, x, kind, level)
            if kind == "gaussian":
                noise_is_normal(ctx, found, x, level, what)
            elif kind == "masking":
                pixels_are_dropped(ctx, found, x, level, what)
            else:
                pixels_are_replaced(ctx, found, x, dark, level, what)
        except Failure as failure:
            failure.call = call
            failure.looks, failure.hint = instead(ctx, noisy, x[0], kind, level, seed)
            raise
    for kind, level in (("poisson", 0.1), ("", 0.1), ("salt", 0.1), ("poisson", 0.0)):
        first = "Which comes first: a look at the name, or at the level?"
        raises(ctx, "ValueError", CORRUPT, x[0], kind, level, names=kind, case=f"corrupt(x, {kind!r}, {level})",
               hint=first if not level else "What becomes of a name that is none of the three?")  # fmt: skip
    # what gaussian_noise refuses itself has its own check
    expect(accepts(ctx, CORRUPT, x[0], "gaussian", 1.5) or not accepts(ctx, GAUSSIAN, x[0], 1.5),
           "corrupt(x, 'gaussian', 1.5) refuses what gaussian_noise(x, 1.5) accepts", "noisy images", "an exception",
           hint="Which of the three functions run when one of them is named?")  # fmt: skip
    for kind, level in (("gaussian", -0.2), ("masking", 1.5), ("salt_and_pepper", -0.5)):
        raises(ctx, "ValueError", CORRUPT, x[0], kind, level, case=f"corrupt(x, {kind!r}, {level})",
               hint="Who looks at the level: does it arrive at the function as it was given?")  # fmt: skip


def instead(ctx: Context, noisy: Any, x: Tensor, kind: str, level: float, seed: int) -> tuple[str, str]:
    """What a wrong `corrupt` gave, in words: another of the three functions, or this one at another level."""
    which = "Which of the three functions does each name call?"
    for other, (function, _) in KINDS.items():
        for tried in (level, 0.1, 0.2, 0.3, 0.5, level**2, level**0.5, 1 - level):
            if (other, tried) == (kind, level) or not isinstance(noisy, Tensor):
                continue
            found = ctx.call(function, x, tried, generator=Gen(seed))
            if isinstance(found, Tensor) and torch.equal(found, noisy):
                words = f"exactly {function.partition('.')[2]}(x, {tried:.3g}) from the same generator"
                return words, which if other != kind else "With which level is the function called that is named?"
    if isinstance(noisy, Tensor) and torch.equal(noisy, x):
        return "the images as they were", which
    return "", "Which function does the name call, and with which level?"


def accepts(ctx: Context, target: str, *args: Any) -> bool:
    """Whether the call raises nothing."""
    try:
        ctx.call(target, *args)
    except StudentRaised:
        return False
    return True


DRAWN: tuple[Check, ...] = (noise_independent, noise_generator, noise_contract, noise_errors, corrupt_kinds)
