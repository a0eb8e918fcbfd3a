"""What draws of latents must be: standard normal, independent, from the generator, of a model left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...check.context import Context, guard
from ...check.expectations import as_tensor, expect, leaves_gradients_off, leaves_gradients_on
from ...check.failure import INHERIT
from ...check.shown import alike
from ...check.statistics import FALSE_ALARM, correlation_bound, mean_bound, normal_p_value, variance_bounds
from ...check.values import Gen, Handle, TorchRef
from .told import expect_small

TWICE = "Where does your randomness come from, and does the argument generator reach it?"
ONLY_ONE = "What becomes of your latents when there is only one of them?"
ONE_DRAW = "How many numbers are drawn here, and how many are needed?"
CENTRE = "Around which number do draws of a standard normal lie, and around which do yours? Between which bounds?"
WIDTH = "How far from 0 do draws of a standard normal lie, and how far yours? Which number would make them as wide?"
BELL = "Centre and width are right: is it a bell? How far out can a draw lie at all?"
TOGETHER = "Do two numbers of one draw know anything about each other?"
ALWAYS = "What did the first call leave behind that makes the second one draw the same?"


def expect_standard_normal(ctx: Context, eps: Tensor, what: str, *, hint: str = INHERIT) -> None:
    """Rows of `eps` `(n, L)` are independent draws of N(0, I).

    Five comparisons of 1e-7 each, those per dimension or pair of dimensions divided among these: 5e-7 in all. With
    n = 4000 means are held to .1, variances to 12 %, correlations to .1, the distribution function to .02.
    """
    eps = eps.double()
    count, dims = eps.shape
    # equal up to the rounding of what was standardised
    same_rows = bool((eps - eps[:1]).abs().amax() < 1e-4)
    first = [round(number, 3) for number in eps[0].tolist()]
    expect(
        not same_rows, f"all {count} rows of {what} are equal", "draws that differ",
        "zeros" if float(eps.abs().max()) < 1e-4 else f"{first} in each row", hint=hint or ONE_DRAW,
    )  # fmt: skip
    # as above
    same_dims = dims > 1 and bool((eps - eps[:, :1]).abs().amax() < 1e-4)
    expect(
        not same_dims, f"all {dims} dimensions of a row of {what} are equal", "a draw for each dimension",
        f"{first} in row 0", hint=hint or ONE_DRAW,
    )  # fmt: skip
    alpha = FALSE_ALARM / dims
    means, variances = eps.mean(0), eps.var(0)
    seen = f"from {float(eps.min()):.3g} to {float(eps.max()):.3g}"
    worst = float(means.abs().max())
    bound = mean_bound(1.0, count, alpha)
    expect(
        worst <= bound, f"the mean of {what} is not that of N(0, I)", f"0 ± {bound:.2g} in each dimension",
        f"{rounded(means)}; {count} draws {seen}, variance {rounded(variances)}", hint=hint or CENTRE,
    )  # fmt: skip
    low, high = variance_bounds(count, alpha)
    inside = bool(((variances >= low) & (variances <= high)).all())
    expect(
        inside, f"the variance of {what} is not that of N(0, I)", f"1 ({low:.3g} to {high:.3g}) in each dimension",
        f"{rounded(variances)}; {count} draws {seen}", hint=hint or WIDTH,
    )  # fmt: skip
    p_value = normal_p_value(eps)
    expect(
        p_value >= FALSE_ALARM, f"{what} is not normally distributed", "the bell curve of N(0, 1)",
        f"{count} draws {seen} (Kolmogorov-Smirnov p = {p_value:.1g})", hint=hint or BELL,
    )  # fmt: skip
    if dims > 1:
        between = torch.corrcoef(eps.T).fill_diagonal_(0).abs().max()
        bound = correlation_bound(count, FALSE_ALARM / (dims * (dims - 1) / 2))
        expect(
            float(between) <= bound, f"the dimensions of {what} are correlated", f"0 ± {bound:.2g}",
            f"{float(between):.3g}", hint=hint or TOGETHER,
        )  # fmt: skip
    pairs = torch.stack([eps[:-1].flatten(), eps[1:].flatten()])
    along, bound = torch.corrcoef(pairs)[0, 1], correlation_bound(pairs.shape[1])
    expect(
        abs(float(along)) <= bound, f"successive rows of {what} are correlated", f"0 ± {bound:.2g}",
        f"{float(along):.3g}", hint=hint or TOGETHER,
    )  # fmt: skip


def rounded(values: Tensor) -> list[float]:
    """The first few numbers, to three digits."""
    return [float(f"{value:.3g}") for value in values.tolist()[:4]]


def expect_few(ctx: Context, draw: Callable[[int], Tensor], what: str) -> None:
    """Latents `draw(n)` of few images, `(n, L)`, are as independent as those of many: their mean varies by 1/n.

    60 means of 3 draws in at least 4 dimensions, alpha = 1e-7: their variance is held to 50 % at most.
    """
    hint = "Ask for three images again and again: should the mean of the three latents always be the same? And for one?"
    guard(lambda: draw(1), {"images asked for": 1})
    means = torch.stack([draw(3).double().mean(0) for _ in range(60)]).flatten() * 3**0.5
    low, high = variance_bounds(len(means) + 1)  # the mean is known, so that no degree of freedom is lost
    variance = float(means.square().mean())
    expect(
        low <= variance <= high,
        f"the mean of three of {what} does not vary as that of independent draws",
        f"variance 1/3, {low / 3:.2g} to {high / 3:.2g}",
        f"{variance / 3:.3g}",
        hint=hint,
    )


def expect_generator(ctx: Context, draw: Callable[[Any], Any], what: str) -> None:
    """`draw(generator)` takes all its randomness from the generator, moves it on, and does without one too."""
    seed = int(ctx.randint(0, 2**31 - 1, 1))

    def drawn(generator: Any) -> Tensor:
        return as_tensor(draw(generator), None, what)

    first, again, other = drawn(Gen(seed)), drawn(Gen(seed)), drawn(Gen(seed + 1))
    expect(
        alike(first, again), f"{what}: two generators of the same seed give different draws",
        "equal numbers: all randomness comes from the generator", "different numbers", hint=TWICE,
    )  # fmt: skip
    expect(
        not alike(first, other), f"{what}: generators of different seeds give the same draw",
        "draws that depend on the generator", "equal numbers", hint=TWICE,
    )  # fmt: skip
    one = ctx.new(TorchRef("Generator"))
    ctx.call((one, "manual_seed"), seed)
    expect(
        not alike(drawn(one), drawn(one)), f"{what}: two calls in a row with one generator draw the same",
        "fresh noise on each call", "equal numbers", hint=ALWAYS,
    )  # fmt: skip
    expect(
        not alike(drawn(None), drawn(None)), f"{what}: two calls in a row without a generator draw the same",
        "fresh noise on each call", "equal numbers", hint=ALWAYS,
    )  # fmt: skip


def expect_evaluation(ctx: Context, target: str, probe: Handle, *args: Any) -> None:
    """`target` uses the model in evaluation mode without gradients, and leaves mode and gradients as it found them."""
    what = target.partition(".")[2]
    shown = []
    for training in (True, False):
        probe.train(training)
        shown.append(ctx.call(target, probe, *args))
        expect(
            probe.get("training") is training,
            f"{what} does not give the model its mode back",
            f"training = {training}, as before the call",
            f"training = {not training}",
            hint="In which mode does the caller find the model afterwards, if it was training? And if it was not?",
        )
    modes, grads = probe.get("modes"), probe.get("grads")
    expect(
        len(modes) > 0, f"{what} never calls the model's encode or decode", "a call", "none",
        hint="Where do the images come from, if not from the model that was given?",
    )  # fmt: skip
    expect(
        not any(modes),
        f"{what} calls the model, or a layer in it, in training mode",
        "evaluation mode",
        "training mode",
        hint="What would BatchNorm and Dropout do to these images?",
    )
    expect(
        not any(grads),
        f"{what} builds a graph of gradients",
        "no gradients",
        "gradients are on",
        hint="Will anybody call backward on these images?",
    )
    for images in shown:  # of a probe that is `strict`
        expect_small(images, f"images of {what}", "in training mode or with a graph of gradients",
                     hint="What would BatchNorm and Dropout do to these images, and who calls backward on "
                     "them?")  # fmt: skip
    leaves_gradients_on(ctx, what)
    leaves_gradients_off(ctx, target, probe, *args)
    for trained in (True, False):
        probe.call("requires_grad_", trained)
        ctx.call(target, probe, *args)
        found = list(probe.parameters().values())
        expect(
            found == [trained],
            f"{what} changes which parameters of the model require gradients",
            f"requires_grad = {trained}, as before the call",
            f"requires_grad = {not trained}",
            hint="Which parameters were frozen before, and which are afterwards?",
        )
