"""Bonus, trained: the prior on codes of a known source and on codes of the dataset made by the grader's own k-means."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...check.context import Context
from ...check.datasets import to_float
from ...check.declaration import BONUS, Check, declare
from ...check.expectations import as_tensor, expect
from ...check.threads import fixed_threads
from ...check.trained import Budget, Recipe, at_most, fit, forward, out
from ...check.values import Slot, TorchRef
from .parts import MASKED_PART

BUDGETS = {
    "digits": Budget(4, 32, lr=6e-3),
    "mnist": Budget(2, 64, lr=5e-3, train_size=10_000),
}
SOURCE = Budget(4, 32, lr=8e-3, train_size=1500)
SOURCE_CODES, SOURCE_TEST = 5, 500
PATCH_CODES, TEST_IMAGES = 24, 2000
PARTS = (MASKED_PART,)
PEEKED = "Which codes may the logits at a position depend on? No predictor of the future can beat the source itself."


def recipe(num_embeddings: int) -> Recipe:
    """A small CodePrior under cross-entropy."""
    loss = {"fn": TorchRef("nn.functional.cross_entropy"), "args": [out(), Slot("codes")], "kwargs": {}}
    kwargs = {"num_embeddings": num_embeddings, "hidden_channels": 32, "num_layers": 3}
    return Recipe("prior.CodePrior", kwargs, [loss], inputs=(Slot("codes"),))


def log_probs(ctx: Context, made: Recipe, state: dict[str, Tensor], codes: Tensor) -> Tensor:
    """log2 of the probability of each code, `(N, H, W)`, from logits of a fresh process."""
    count = int(made.kwargs["num_embeddings"])
    logits = torch.cat([as_tensor(part, None, "logits") for part in forward(ctx, made, state, codes)])
    logits = as_tensor(logits, (len(codes), count, *codes.shape[1:]), "logits").double()
    return -F.cross_entropy(logits, codes, reduction="none") / math.log(2)


def expect_causal(ctx: Context, made: Recipe, state: dict[str, Tensor], codes: Tensor) -> None:
    """The trained model gives the same logits for the first half of a grid whatever the second half holds."""
    count, cut = int(made.kwargs["num_embeddings"]), codes[0].numel() // 2
    other = codes.flatten(1).clone()
    other[:, cut:] = ctx.randint(0, count, len(codes), other.shape[1] - cut)
    both = [torch.cat(forward(ctx, made, state, part))[:, :, :].flatten(2)[:, :, : cut + 1]
            for part in (codes, other.reshape(codes.shape))]  # fmt: skip
    worst = float((both[0] - both[1]).abs().max())
    # float32 rounding through all layers, which is relative to the logits
    expect(worst <= 1e-3 * (1 + float(both[0].abs().max())), "logits of the trained prior depend on later codes",
               "the same logits", f"a difference of {worst:.3g}", hint=PEEKED)  # fmt: skip


def markov_source(ctx: Context, number: int, side: int = 6) -> tuple[Tensor, Tensor]:
    """Grids `(N, side, side)` in which a code depends on those to its left and above, and log2 of its probability."""
    k = SOURCE_CODES
    table = (3 * ctx.randn(k + 1, k + 1, k)).softmax(-1)  # row and column k: no neighbour
    codes = torch.zeros(number, side, side, dtype=torch.int64)
    logs = torch.zeros(number, side, side, dtype=torch.float64)
    edge = torch.full((number,), k)
    for row in range(side):
        for column in range(side):
            left = codes[:, row, column - 1] if column else edge
            above = codes[:, row - 1, column] if row else edge
            shares = table[left, above]
            codes[:, row, column] = torch.multinomial(shares, 1, generator=ctx.rng).squeeze(1)
            logs[:, row, column] = shares.gather(1, codes[:, row, column, None]).squeeze(1).log2()
    return codes, logs


def unigram_bits(train: Tensor, test: Tensor, count: int) -> float:
    """Bits per test code of a prior that knows only how often each code occurs in training."""
    share = (torch.bincount(train.flatten(), minlength=count).double() + 1) / (train.numel() + count)
    return float(-share.log2()[test].mean())


def show_reach(ctx: Context, made: Recipe, state: dict[str, Tensor], codes: Tensor) -> None:
    """How far the logits of the code in the middle move when one other code changes, for each of them."""
    rows, columns = codes.shape
    changed = codes.repeat(rows * columns, 1, 1)
    places = torch.arange(rows * columns)
    changed[places, places // columns, places % columns] += 1
    changed %= int(made.kwargs["num_embeddings"])
    both = torch.cat([torch.as_tensor(part) for part in forward(ctx, made, state, torch.cat([codes[None], changed]))])
    middle = both[:, :, rows // 2, columns // 2].double()
    moved = (middle[1:] - middle[0]).square().mean(1).sqrt().view(rows, columns)
    ctx.exhibits.map("What the prior looks at", "how far the logits of the code in the middle move when the code at a "
                     "place changes: only what comes before it, row by row, should count", moved)  # fmt: skip


@declare(
    id="bonus.trained.source", question=BONUS, kind="trained", points=0.5, visibility="public",
    title="CodePrior learns a source of known entropy",
    asks="on codes that depend on their left and upper neighbours the prior comes near the entropy of the source, far "
    "below that of independent codes, and never below what is possible",
    hint="Which of the earlier codes tell most about the next one, and what lies between them and its logits?",
    needs=("bonus.prior.shapes",), parts=PARTS,
)  # fmt: skip
def trained_source(ctx: Context) -> None:
    codes, logs = markov_source(ctx, SOURCE.train_size + SOURCE_TEST)
    train, test, true = codes[: SOURCE.train_size], codes[SOURCE.train_size :], logs[SOURCE.train_size :]
    made = recipe(SOURCE_CODES)
    state = fit(ctx, made, SOURCE, {"codes": train})
    found = log_probs(ctx, made, state, test)
    # Markov's inequality: whatever the prior, on codes of the source its likelihood exceeds the source's own by a
    # factor 2^24 with probability at most 2^-24 = 6e-8, unless it sees the codes it predicts.
    expect(float((found - true).sum()) <= 24, "the prior beats the source that made the codes",
               f"at least {-true.mean():.4f} bits per code", f"{-found.mean():.4f}", hint=PEEKED)  # fmt: skip
    expect_causal(ctx, made, state, test[:100])
    spare = unigram_bits(train, test, SOURCE_CODES) + float(true.mean())
    excess = float((true - found).mean())
    # a prior that knows no more than the frequencies of the codes has learned nothing of what can be
    at_most(ctx, "excess", excess / spare, "bits above the entropy of the source, as a share of what can be learned,",
                trivial=1.0, slack=3.0,
            hint="What is the entropy of a code given its left neighbour alone, and given the upper one alone? Which "
            "of them does your prior make use of, and do its bits still fall when training ends?")  # fmt: skip


def patches(images: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The 49 patches of 4x4 pixels of each image, `(N · 49, 16)`."""
    rows = F.unfold(images, 4, stride=4).transpose(1, 2).reshape(-1, 16)
    return np.ascontiguousarray(rows.numpy())


def image_codes(ctx: Context, train_size: int) -> tuple[Tensor, Tensor]:
    """Codes `(N, 7, 7)` of training and test images: the nearest of the grader's own mean patches."""
    from sklearn.cluster import MiniBatchKMeans

    train, test = to_float(ctx.data.train_x[:train_size]), to_float(ctx.data.test_x[:TEST_IMAGES])
    options = {"n_init": 1, "batch_size": 1024, "max_iter": 5, "random_state": 0}
    means = MiniBatchKMeans(PATCH_CODES, **options)  # type: ignore[no-untyped-call]
    with fixed_threads():
        means.fit(patches(train[:1000]))

    def codes(images: Tensor) -> Tensor:
        numbers = means.predict(patches(images))  # type: ignore[no-untyped-call]
        return torch.from_numpy(numbers).long().reshape(-1, 7, 7)

    return codes(train), codes(test)


@declare(
    id="bonus.trained.images", question=BONUS, kind="trained", points=1.0, visibility="public",
    title="CodePrior learns the codes of images",
    asks="on 7x7 codes of held-out images the prior needs fewer bits per code than the frequencies of the codes, by a "
    "clear margin",
    hint="How far back must a prior look to know that a stroke goes on?",
    needs=("bonus.prior.shapes",), parts=PARTS,
)  # fmt: skip
def trained_images(ctx: Context) -> None:
    budget = BUDGETS[ctx.data.name]
    # under numbers drawn for the run, which a prior that was trained elsewhere does not know
    numbers = torch.randperm(PATCH_CODES, generator=ctx.rng)
    train, test = (numbers[codes] for codes in image_codes(ctx, budget.train_size))
    made = recipe(PATCH_CODES)
    state = fit(ctx, made, budget, {"codes": train})
    ctx.aside("What the prior looks at", lambda: show_reach(ctx, made, state, test[0]))
    bits = -float(log_probs(ctx, made, state, test).mean())
    expect_causal(ctx, made, state, test[:200])
    unigram = unigram_bits(train, test, PATCH_CODES)
    at_most(ctx, "ratio", bits / unigram, "bits per code against independent codes", trivial=1.0, slack=0.3)


TRAINED: tuple[Check, ...] = (trained_source, trained_images)
