"""Disguises of a dataset, and conditions on what was learned, on models whose answers are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from grader.check.context import Context
from grader.check.datasets import Dataset, to_float
from grader.check.disguise import BLOCK, Disguise, any_order, disguise, shuffled, turned, warped
from grader.check.failure import Failure
from grader.check.learning import WRONG, expect_follows, expect_particular, follows, mistaken
from grader.check.thresholds import UNCALIBRATED
from grader.check.trained import X, blurred, expect_compact, mean_image_mse, mse, out, pca_mse
from grader.check.trained import test_images as held_out
from grader.rubric.q07.baseline import Plan, from_scratch


def context(data: Dataset, seed: int = 1) -> Context:
    nobody: Any = None
    return Context("q4.trained.conv", nobody, seed, nobody, data=data, thresholds=UNCALIBRATED)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- disguises ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [any_order, turned])
def test_a_disguise_can_be_undone_and_shows_every_image_otherwise(kind: Any, digits: Dataset) -> None:
    for seed in range(12):
        look = kind(context(digits, seed))
        shown = look.shown(digits.test_x)
        assert torch.equal(look.undone(shown), digits.test_x)
        assert not torch.equal(shown, digits.test_x)
        assert torch.equal(shown.flatten(1).sort(1).values, digits.test_x.flatten(1).sort(1).values)


def test_turned_images_are_quarter_turns_and_diagonal_mirrors(digits: Dataset) -> None:
    image = digits.test_x[:1]
    kinds = [image.rot90(1, (2, 3)), image.rot90(-1, (2, 3)), image.mT, image.rot90(2, (2, 3)).mT]
    seen = {
        next(i for i, kind in enumerate(kinds) if torch.equal(turned(context(digits, seed)).shown(image), kind))
        for seed in range(40)
    }
    assert seen == {0, 1, 2, 3}


def test_errors_are_those_of_the_plain_dataset(digits: Dataset) -> None:
    """No cut depends on the disguise: the mean image and PCA are as good as before."""
    plain, ctx = context(digits), context(digits)
    disguise(ctx, any_order)
    assert not torch.equal(ctx.data.test_x, digits.test_x)
    for error in (mean_image_mse, lambda ctx, images: pca_mse(ctx, 8, 1437, images)):
        assert error(ctx, held_out(ctx)) == pytest.approx(error(plain, held_out(plain)), rel=1e-3)


def test_labels_go_with_their_images_and_no_row_stays_in_its_place(digits: Dataset) -> None:
    ctx = context(digits)
    look = disguise(ctx, turned)
    for shown, labels, images, known in (
        (ctx.data.train_x, ctx.data.train_y, digits.train_x, digits.train_y),
        (ctx.data.test_x, ctx.data.test_y, digits.test_x, digits.test_y),
    ):
        where = torch.cdist(to_float(look.undone(shown)).flatten(1), to_float(images).flatten(1)).argmin(1)
        assert torch.equal(images[where], look.undone(shown))
        assert torch.equal(labels, known[where])
        assert (where == torch.arange(len(where))).double().mean() < 0.05


def test_the_first_rows_are_the_same_images_in_every_run(digits: Dataset) -> None:
    rows = shuffled(context(digits), 2 * BLOCK + 437)
    assert torch.equal(rows[:BLOCK].sort().values, torch.arange(BLOCK))
    assert torch.equal(rows.sort().values, torch.arange(2 * BLOCK + 437))


def test_a_seed_shows_the_same_twice(digits: Dataset) -> None:
    one, same, other = (context(digits, seed) for seed in (5, 5, 6))
    for ctx in (one, same, other):
        disguise(ctx, any_order)
    assert torch.equal(one.data.train_x, same.data.train_x)
    assert not torch.equal(one.data.train_x, other.data.train_x)


def test_warps_change_images_a_little(digits: Dataset) -> None:
    images = to_float(digits.test_x)
    changed, nearby = warped(images, rng()), torch.cdist(images.flatten(1), images.flatten(1)).fill_diagonal_(torch.inf)
    apart = (changed - images).flatten(1).norm(dim=1)
    assert float((apart < nearby.min(1).values).double().mean()) > 0.3
    assert bool((changed >= 0).all())
    assert bool((changed <= 1).all())
    assert torch.allclose(warped(images, rng(), 0.0), images, atol=1e-5)


# ---- what only learning gives -------------------------------------------------------------------------------------


def lookup(known: Tensor) -> Any:
    return lambda images: known[torch.cdist(images.flatten(1), known.flatten(1)).argmin(1)]


def test_what_a_picture_follows(digits: Dataset) -> None:
    images, look = to_float(digits.test_x), Disguise(torch.randperm(784, generator=rng()))
    shown = look.shown(images)
    assert follows(look, shown, lambda x: x, rng()) == pytest.approx(1)
    assert follows(look, shown, lambda x: x / 2, rng()) == pytest.approx(0.75)
    assert follows(look, shown, lambda x: x.mean(0, keepdim=True).expand_as(x), rng()) == pytest.approx(0)
    assert follows(look, shown, lookup(shown), rng()) < 0.05
    assert follows(look, shown, lookup(look.shown(to_float(digits.train_x))), rng()) < 0


def test_a_lookup_costs_points_and_may_be_trained_again(digits: Dataset) -> None:
    ctx, images = context(digits), to_float(digits.test_x)
    look = Disguise(torch.arange(784))
    expect_follows(ctx, look, images, lambda x: x, 0.1)
    assert not ctx.credit.fell_short
    with pytest.raises(Failure, match="does not change as the image does"):
        expect_follows(ctx, look, images, lookup(images), 0.1)
    assert ctx.credit.fell_short


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (lambda x: 0.0, "as they stand in the file"),
        (lambda x: 0.01, "as they stand in the file"),
        (lambda x: 2.0 if x[:, :, :, :2].mean() < 0.02 else 1.0, "black and white"),
    ],
)
def test_what_describes_all_images_has_not_learned_these(error: Any, words: str, digits: Dataset) -> None:
    ctx = context(digits)
    look = Disguise(torch.arange(784).view(28, 28).T.flatten())
    with pytest.raises(Failure, match=words):
        expect_particular(ctx, look, look.shown(to_float(digits.test_x)), error)
    assert ctx.credit.fell_short


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (lambda x: mse(0.98 * x, x), "pixels mixed up"),
        (lambda x: 0.8 if x[:, :, :, :2].mean() < 0.02 else 1.0, "as they stand in the file"),
    ],
)
def test_what_passes_images_through_has_learned_to(error: Any, words: str, digits: Dataset) -> None:
    """The image itself, a shade darker; and a model that was trained on the file's orientation."""
    ctx = context(digits)
    look = Disguise(torch.arange(784).view(28, 28).T.flatten())
    with pytest.raises(Failure, match=words):
        expect_particular(ctx, look, look.shown(to_float(digits.test_x)), error, passes_through=True)


def test_a_model_of_its_own_images_is_particular(digits: Dataset) -> None:
    ctx, images = context(digits), to_float(digits.test_x)
    look = turned(ctx)
    mean = look.shown(images).mean(0, keepdim=True)
    expect_particular(ctx, look, look.shown(images), lambda x: mse(mean.expand_as(x), x))


def test_codes_carry_a_few_bits() -> None:
    ctx = SimpleNamespace(randn=lambda *shape: torch.randn(shape, generator=rng(), dtype=torch.float64))
    codes = torch.randn(4000, 3, generator=rng(2)) * torch.tensor([1.0, 100.0, 0.0])
    noise = blurred(cast("Context", ctx), codes, 0.02) - codes
    assert noise.std(0).tolist() == pytest.approx([0.02, 2.0, 0.0], rel=0.1)
    numbers = torch.arange(12).view(3, 4)
    assert torch.equal(blurred(cast("Context", ctx), numbers, 0.02), numbers)
    packed = (torch.arange(4000) % 17 + 17 * (torch.arange(4000) % 13) + 17 * 13 * (torch.arange(4000) % 11)).float()
    again = blurred(cast("Context", ctx), packed[:, None], 0.02).round().flatten().long()
    assert float((again % 17 == torch.arange(4000) % 17).double().mean()) < 0.1


@pytest.mark.parametrize(("buffers", "fits"), [(10, True), (100_000, True), (200_000, False)])
def test_what_a_model_keeps_beside_its_parameters(buffers: int, fits: bool) -> None:
    state = {"weight": torch.zeros(100_000), "tied": torch.zeros(10_000), "kept": torch.zeros(buffers - 10)}
    model: Any = SimpleNamespace(parameters=lambda: {"weight": True, "frozen": False})
    if fits:
        expect_compact(model, state)
    else:
        with pytest.raises(Failure, match="beside its trained parameters"):
            expect_compact(model, state)


def test_wrong_targets_take_the_place_of_the_images_in_the_objective_alone() -> None:
    term = {"fn": "loss", "args": [out(0), X, out(1)], "kwargs": {}}
    assert mistaken(term)["args"] == [out(0), WRONG, out(1)]
    assert term["args"] == [out(0), X, out(1)]
    assert mistaken({"use": out(1)}) == {"use": out(1)}


def test_the_baseline_of_question_7_learns_from_its_labels_alone(digits: Dataset) -> None:
    plan = Plan((784, 64, 32), epochs=30, lr=3e-3, drop_prob=0.3)
    rows = digits.label_subset(0)
    images, unseen = to_float(digits.train_x[rows]), to_float(digits.test_x)
    before = torch.random.get_rng_state()
    seen = from_scratch(plan, images, digits.train_y[rows], unseen, 3)
    assert torch.equal(seen, from_scratch(plan, images, digits.train_y[rows], unseen, 3))
    assert torch.equal(before, torch.random.get_rng_state())
    assert float((seen == digits.test_y).double().mean()) > 0.5
    shuffled = digits.train_y[rows][torch.randperm(len(rows), generator=rng())]
    assert float((from_scratch(plan, images, shuffled, unseen, 3) == digits.test_y).double().mean()) < 0.3
