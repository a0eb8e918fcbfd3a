"""Bonus, `evaluation.py`: what codes and features tell, against numpy, scipy and brute force."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import BONUS, Check, declare
from ...check.expectations import (
    as_number,
    as_sequence,
    as_tensor,
    expect,
    leaves_gradients_off,
    leaves_gradients_on,
    matches,
    preserves,
)
from ...check.failure import EXACT, FLOAT32, FLOAT64, Tolerance
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.values import Handle, StudentRaised, TorchRef

ACTIVE, PERCEPTUAL = "evaluation.active_units", "evaluation.perceptual_loss"
STATISTICS, FRECHET = "evaluation.feature_statistics", "evaluation.frechet_distance"
PROBE, NEIGHBOURS = "evaluation.linear_probe", "evaluation.knn_predict"


@declare(
    id="bonus.active", question=BONUS, kind="property", points=0.25, visibility="public",
    title="active_units",
    asks="the number of latent dimensions whose posterior mean has a variance over the data above the threshold",
    hint="Is a dimension active whose mean is 3 for every image? Does the threshold bound a variance or a deviation?",
    needs=(),
)  # fmt: skip
def active(ctx: Context) -> None:
    # deviations .06 and .05: below the threshold .01 as variances; .3 and above: over it. 500 rows: no near misses
    spread = torch.tensor([1.0, 0.06, 0.0, 0.3, 0.05, 2.0, 0.001], dtype=torch.float64)
    noise = ctx.randn(500, 7)
    noise = (noise - noise.mean(0)) / noise.std(0)
    for shift in (torch.zeros(7), 3 * ctx.randn(7)):
        mu = noise * spread + shift
        matches(ctx, as_number(preserves(ctx, ACTIVE, mu), "active_units(mu)"), 3.0, FLOAT64, "active_units(mu)")
        for threshold, wanted in ((0.5, 2.0), (0.001, 5.0), (9.0, 0.0)):
            got = as_number(ctx.call(ACTIVE, mu.float(), threshold=threshold), "active_units")
            matches(ctx, got, wanted, FLOAT64, f"active_units(mu, threshold={threshold})")
    twins = noise[:, :1] * torch.tensor([1.0, -0.8, 0.05])  # variances 1, .64 and .0025 along one line
    matches(ctx, as_number(ctx.call(ACTIVE, twins), "active_units"), 2.0, FLOAT64,
                "active_units(mu) where all dimensions follow one of them",
                hint="Two dimensions vary together: is that one dimension of the code, or two?")  # fmt: skip
    still = noise[:64] * torch.tensor([1.0, 0, 1, 0, 0, 1, 0]) + torch.tensor([0.0, 2, 1, 0, -4, 0, 1])
    got = as_number(ctx.call(ACTIVE, still, threshold=0.0), "active_units")
    matches(ctx, got, 3.0, FLOAT64, "active_units(mu, threshold=0) with four constant dimensions of seven",
                hint="The variance of a constant is 0. Is that above a threshold of 0?")  # fmt: skip
    leaves_gradients_on(ctx, "active_units")
    leaves_gradients_off(ctx, ACTIVE, mu)


def feature_nets(ctx: Context) -> list[Handle]:
    """Float64 feature networks on `(B, 1, 4, 4)`: one to vectors, one to maps."""
    dense = [ctx.new(TorchRef("nn.Flatten")), ctx.new(TorchRef("nn.Linear"), 16, 7), ctx.new(TorchRef("nn.Tanh"))]
    maps = [ctx.new(TorchRef("nn.Conv2d"), 1, 3, 3), ctx.new(TorchRef("nn.Tanh"))]
    return [ctx.new(TorchRef("nn.Sequential"), *layers).double() for layers in (dense, maps)]


@declare(
    id="bonus.perceptual.value", question=BONUS, kind="property", points=0.25, visibility="public",
    title="perceptual_loss: value",
    asks="squared error between the features that the network gives the two pictures as it is now, summed over all "
    "features, averaged over the batch",
    hint="Are the pictures compared, or what the network makes of them? Does the batch size change the loss?",
    needs=(),
)  # fmt: skip
def perceptual_value(ctx: Context) -> None:
    def expect_value(net: Handle, batch: int, what: str, hint: str = "") -> None:
        x_recon, x = ctx.images(batch, 4, torch.float64), ctx.images(batch, 4, torch.float64)
        features = [as_tensor(net(picture), None, "features") for picture in (x_recon, x)]
        wanted = (features[0] - features[1]).square().sum() / batch
        matches(ctx, preserves(ctx, PERCEPTUAL, net, x_recon, x), wanted, FLOAT64, what, hint=hint)

    for net in feature_nets(ctx):
        for batch in (1, 3):
            expect_value(net, batch, "perceptual_loss")
        net.load({name: ctx.randn(*value.shape) for name, value in net.state().items()})
        expect_value(net, 3, "perceptual_loss after the network has changed",
                     "The network has been trained on between two calls. Whose features are compared?")  # fmt: skip


@declare(
    id="bonus.perceptual.gradient", question=BONUS, kind="gradient", points=0.5, visibility="public",
    title="perceptual_loss: who learns from it",
    asks="the gradient reaches x_recon, and neither the target nor the parameters of the feature network; parameters "
    "that were frozen stay frozen",
    hint="Which of the two pictures comes from the model that is trained? Should the measuring network learn as well?",
    needs=("bonus.perceptual.value",),
)  # fmt: skip
def perceptual_gradient(ctx: Context) -> None:
    for net in feature_nets(ctx):
        x_recon, x = ctx.images(3, 4, torch.float64), ctx.images(3, 4, torch.float64)
        gradient_matches(ctx, PERCEPTUAL, net, x_recon, x, wrt=(1,), what="the gradient of perceptual_loss")
        found = ctx.session.vjp(PERCEPTUAL, net, x_recon, x, wrt=[1, 2], params=[net])
        expect(
            found.args[2] is None or not bool(found.args[2].any()), "the target gets a gradient", "none", found.args[2]
        )
        for name, grad in found.params[0].items():
            expect(grad is None or not bool(grad.any()), f"the feature network's {name} gets a gradient", "none", grad)
    for net in feature_nets(ctx):
        ctx.call((net, "requires_grad_"), False)
        ctx.call(PERCEPTUAL, net, ctx.images(3, 4, torch.float64), ctx.images(3, 4, torch.float64))
        thawed = [name for name, trained in net.parameters().items() if trained]
        expect(not thawed, "a frozen feature network can be trained afterwards", "frozen as before",
                   ", ".join(thawed), hint="In which state was the network given to you?")  # fmt: skip


@declare(
    id="bonus.features", question=BONUS, kind="property", points=0.25, visibility="public",
    title="feature_statistics",
    asks="mean (F,) and covariance (F, F) over the rows, divided by N - 1",
    hint="Which axis are the examples on? What does one feature alone give?",
    needs=(),
)  # fmt: skip
def features(ctx: Context) -> None:
    def body(rows: int, columns: int, seed: int) -> None:
        x = random(seed, rows, columns) * 3 + 5
        mean, cov = as_sequence(preserves(ctx, STATISTICS, x), 2, "feature_statistics")
        matches(ctx, mean, x.mean(0), FLOAT64, "the mean")
        wanted = np.cov(x.numpy(), rowvar=False).reshape(columns, columns)
        matches(ctx, cov, torch.from_numpy(wanted), FLOAT64, "the covariance")

    forall(ctx, body, rows=sizes(2, 9), columns=sizes(1, 5), seed=seeds(), examples=20)
    x = ctx.randn(50, 4)
    mean, cov = as_sequence(ctx.call(STATISTICS, x.float()), 2, "feature_statistics")
    matches(ctx, mean, x.mean(0).float(), FLOAT32, "the mean in float32")
    matches(ctx, cov, torch.cov(x.T).float(), FLOAT32, "the covariance in float32")


FRECHET_TOLERANCE = Tolerance(1e-4, 1e-4, "matrix square roots by eigenvalues, Schur form or iteration, in float64")
SINGULAR = Tolerance(
    2e-2, 2e-2, "the square root of a rounding error, or of a small multiple of I added to the covariances"
)
SLOPES = Tolerance(1e-2, 1e-2, "a small multiple of I added to the covariances, or a root by iteration")


def root_of(matrix: Tensor, power: float = 0.5) -> Tensor:
    """Symmetric positive definite matrix to a power."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values**power) @ vectors.T
    return root


def expect_slopes(ctx: Context) -> None:
    """A gradient to a covariance is I - T, T the matrix of the optimal transport from one Gaussian to the other."""
    spectra = torch.tensor([[0.5, 1.1, 1.9, 3.0], [2.5, 0.8, 1.6, 0.4]], dtype=torch.float64)
    turned = [torch.linalg.qr(ctx.randn(4, 4)).Q for _ in spectra]
    cov1, cov2 = (q @ spectrum.diag() @ q.T for q, spectrum in zip(turned, spectra, strict=True))
    cov1, cov2 = (cov1 + cov1.T) / 2, (cov2 + cov2.T) / 2
    try:
        found = ctx.session.vjp(FRECHET, ctx.randn(4), cov1, ctx.randn(4), cov2, wrt=[1, 3])
    except StudentRaised:
        return  # scipy's square root has no gradient: then there is none that could be wrong
    for where, one, other in ((1, cov1, cov2), (3, cov2, cov1)):
        if (got := found.args[where]) is not None:
            root, inverse = root_of(one), root_of(one, -0.5)
            wanted = torch.eye(4, dtype=torch.float64) - inverse @ root_of(root @ other @ root) @ inverse
            # only along symmetric directions is a covariance free to move
            matches(ctx, (got + got.T) / 2, wanted, SLOPES, f"the gradient of frechet_distance to cov{1 + where // 2}",
                        hint="By how many ways does this covariance reach the distance? Does autograd see all of "
                        "them?")  # fmt: skip


@declare(
    id="bonus.frechet", question=BONUS, kind="property", points=0.5, visibility="public",
    title="frechet_distance",
    asks="|μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½): 0 for equal Gaussians, symmetric, finite for singular covariances; "
    "what autograd gives is its gradient",
    hint="What does it give for two equal Gaussians? And for two points, whose covariances are 0?",
    needs=(),
)  # fmt: skip
def frechet(ctx: Context) -> None:
    def body(dim: int, seed: int) -> None:
        factors = random(seed, 2, dim, dim + 3)
        cov1, cov2 = (f @ f.T / (dim + 3) for f in factors)
        mean1, mean2 = random(seed + 1, 2, dim)
        root = torch.from_numpy(np.real(scipy.linalg.sqrtm((cov1 @ cov2).numpy())))
        wanted = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * root.trace()
        matches(ctx, preserves(ctx, FRECHET, mean1, cov1, mean2, cov2), wanted, FRECHET_TOLERANCE, "frechet_distance")
        matches(
            ctx, ctx.call(FRECHET, mean2, cov2, mean1, cov1), wanted, FRECHET_TOLERANCE, "frechet_distance, swapped"
        )
        matches(ctx, ctx.call(FRECHET, mean1, cov1, mean1, cov1), torch.zeros_like(wanted), FRECHET_TOLERANCE,
                    "frechet_distance of equal Gaussians")  # fmt: skip

    forall(ctx, body, dim=sizes(1, 5), seed=seeds(), examples=12)
    for dtype in (torch.float64, torch.float32):
        u, v, mean1, mean2 = (ctx.randn(6, dtype=dtype) for _ in range(4))
        zero = torch.zeros(6, 6, dtype=dtype)
        gap = (mean1 - mean2).square().sum()
        matches(ctx, ctx.call(FRECHET, mean1, zero, mean2, zero), gap, SINGULAR, "frechet_distance of two points")
        # rank one: (u uᵀ v vᵀ) has the single eigenvalue (u.v)²
        wanted = gap + u @ u + v @ v - 2 * (u @ v).abs()
        value = ctx.call(FRECHET, mean1, torch.outer(u, u), mean2, torch.outer(v, v))
        matches(ctx, value, wanted, SINGULAR, f"frechet_distance of covariances of rank 1, {dtype}")
    expect_slopes(ctx)


def clusters(ctx: Context, centres: Tensor, size: int, spread: float) -> tuple[Tensor, Tensor]:
    """`size` rows around each of the centres `(C, L)` in random order, and the number of each row's centre."""
    which = torch.arange(len(centres)).repeat(size)[torch.randperm(size * len(centres), generator=ctx.rng)]
    return centres[which] + spread * ctx.randn(len(which), centres.shape[1]), which


@declare(
    id="bonus.probe", question=BONUS, kind="property", points=0.25, visibility="public",
    title="linear_probe",
    asks="int64 labels (M,) that occur in training; right for classes that a hyperplane separates, and no better than "
    "a line can be where none does",
    hint="Which labels may come out, and how many? Could your classifier bend?",
    needs=(),
)  # fmt: skip
def linear_probe(ctx: Context) -> None:
    names = torch.tensor([2, 5, 9])
    centres = 8 * torch.eye(3, 4, dtype=torch.float64) + 1
    for dtype in (torch.float32, torch.float64):
        codes, which = clusters(ctx, centres, 40, 1.0)
        test, truth = clusters(ctx, centres, 50, 1.0)
        value = preserves(ctx, PROBE, codes.to(dtype), names[which], test.to(dtype))
        value = as_tensor(value, (150,), "linear_probe(…)", dtype=torch.int64)
        right = float((value == names[truth]).double().mean())
        # centres are 11 deviations apart: a row falls on the wrong side with probability 1e-8
        expect(right >= 0.96, "classes far apart are confused", "96 % of 150 right", f"{100 * right:.1f} %")
    # Five classes around a circle: a line parts each from the others, but their numbers lie along no line. A row is
    # 4.7 deviations from the next class; a regression on the numbers gets one class of five right.
    angles = 2 * math.pi * torch.arange(5, dtype=torch.float64) / 5
    circle = 8 * torch.stack([angles.cos(), angles.sin()], dim=1) + 1
    codes, which = clusters(ctx, circle, 40, 1.0)
    test, truth = clusters(ctx, circle, 30, 1.0)
    order = torch.tensor([0, 2, 4, 1, 3])
    value = as_tensor(ctx.call(PROBE, codes, order[which], test), (150,), "linear_probe(…)", dtype=torch.int64)
    right = float((value == order[truth]).double().mean())
    expect(right >= 0.9, "five classes around a circle are confused", "at least 90 % right", f"{100 * right:.0f} %",
               hint="Is class 2 between the classes 1 and 3? What is a label's number good for?")  # fmt: skip
    value = ctx.call(PROBE, codes, order[which], circle[:1])
    matches(ctx, value, order[:1], EXACT, "linear_probe of the middle of a class, a single test row")
    # a common class near the mean of all, and two rare ones, each asked for alone: without an offset, or centred by the
    # mean of what is asked, the codes no longer tell the class
    which = torch.arange(3).repeat_interleave(torch.tensor([200, 10, 10]))
    codes = centres[which] + ctx.randn(220, 4)
    for number in range(3):
        test = centres[number] + ctx.randn(40, 4)
        value = as_tensor(ctx.call(PROBE, codes, names[which], test), (40,), "linear_probe(…)", dtype=torch.int64)
        right = float((value == names[number]).double().mean())
        expect(right >= 0.9, f"of three classes of 200, 10 and 10 rows, number {number + 1} alone is confused",
                   "at least 90 % right", f"{100 * right:.0f} %")  # fmt: skip
    corners = torch.tensor([[1.0, 1.0], [-1, -1], [1, -1], [-1, 1]], dtype=torch.float64) * 3
    codes, which = clusters(ctx, corners, 40, 0.5)
    test, truth = clusters(ctx, corners, 50, 0.5)
    value = as_tensor(ctx.call(PROBE, codes, which // 2, test), (200,), "linear_probe(…)", dtype=torch.int64)
    right = float((value == truth // 2).double().mean())
    expect(right <= 0.85, "the probe solves what no line can: it is not linear", "at most three of four corners",
               f"{100 * right:.1f} % of an exclusive or")  # fmt: skip


TIE = "Two labels occur equally often among these neighbours. What does the docstring say of that?"


def elected(labels: Sequence[int]) -> list[int]:
    """The labels that occur most often, the smallest first."""
    most = max(map(labels.count, labels))
    return sorted({label for label in labels if labels.count(label) == most})


@declare(
    id="bonus.neighbours", question=BONUS, kind="property", points=0.25, visibility="public",
    title="knn_predict",
    asks="the label most frequent among the k nearest training codes in Euclidean distance, the smaller one on a tie, "
    "for every test code however many there are",
    hint="With k = 1 and the training codes themselves as test codes, what must come out? And how many labels?",
    needs=(),
)  # fmt: skip
def neighbours(ctx: Context) -> None:
    names = torch.tensor([1, 4, 7, 30])

    def body(rows: int, test_rows: int, dim: int, k: int, seed: int) -> None:
        k = min(k, rows)
        codes, test = random(seed, rows, dim) * 3 + 1, random(seed + 1, test_rows, dim) * 3 + 1
        labels = names[torch.randint(0, 4, (rows,), generator=torch.Generator().manual_seed(seed))]
        order = (test[:, None] - codes[None]).square().sum(-1).argsort(1)[:, :k]
        options = {} if k == 5 else {"k": k}
        value = preserves(ctx, NEIGHBOURS, codes, labels, test, **options)
        value = as_tensor(value, (test_rows,), "knn_predict(…)", dtype=torch.int64)
        for row, got in enumerate(value.tolist()):
            near = labels[order[row]].tolist()
            expect(got in elected(near), f"knn_predict with k={k}, test row {row}", f"the majority of {near}", got)

    forall(
        ctx, body, rows=sizes(6, 20), test_rows=sizes(1, 6), dim=sizes(1, 4), k=sizes(1, 7), seed=seeds(), examples=25
    )
    # ties: the nearest, the first and the last code and most of the codes have the larger label
    codes, labels = torch.tensor([[1.0], [2], [3], [4], [50], [60]]), torch.tensor([30, 4, 4, 30, 1, 30])
    for k, winner in ((2, 4), (4, 4)):
        matches(ctx, ctx.call(NEIGHBOURS, codes, labels, torch.zeros(1, 1), k=k), torch.tensor([winner]), EXACT,
                    f"knn_predict with k={k}, labels 30, 4, 4, 30, 1, 30 by distance", hint=TIE)  # fmt: skip
    codes, test = ctx.randn(60, 3), ctx.randn(1130, 3)  # a remainder, whatever the size of parts
    labels = names[ctx.randint(0, 4, 60)]
    near = labels[(test[:, None] - codes[None]).square().sum(-1).topk(3, largest=False).indices]
    wanted = torch.tensor([elected(row)[0] for row in near.tolist()])
    for rows in (1130, 1):
        value = ctx.call(NEIGHBOURS, codes, labels, test[:rows], k=3)
        matches(ctx, value, wanted[:rows], EXACT, f"knn_predict of {rows} test codes, k=3")
    # by distance: with five neighbours the majority is 4, with more or fewer it is 1 (or there is none)
    near = torch.tensor([1, 1, 4, 4, 4, 1, 1, 1, 1, 1, 1, 1])
    order = torch.randperm(12, generator=ctx.rng)
    codes, test = (1.0 + order)[:, None], torch.zeros(2, 1)
    value = ctx.call(NEIGHBOURS, codes, near[order], test)
    matches(ctx, value, torch.tensor([4, 4]), EXACT, "knn_predict with the k that is used if none is given")
    # nearer in Euclidean distance than (5, 0), but not in sums of differences; and the other way round by the largest
    codes, test = torch.tensor([[3.0, 3.0], [5.0, 0.0], [4.2, 4.2]]), torch.zeros(1, 2)
    value = ctx.call(NEIGHBOURS, codes, torch.tensor([1, 4, 7]), test, k=1)
    matches(ctx, value, torch.tensor([1]), EXACT, "knn_predict with k=1 where (3, 3), (5, 0) and (4.2, 4.2) are near 0")
    codes, labels = ctx.randn(30, 4, dtype=torch.float32), names[ctx.randint(0, 4, 30)]
    matches(
        ctx, ctx.call(NEIGHBOURS, codes, labels, codes, k=1), labels, FLOAT64, "knn_predict of the training codes, k=1"
    )
    leaves_gradients_on(ctx, "knn_predict")
    leaves_gradients_off(ctx, NEIGHBOURS, codes, labels, codes)


FEATURES: tuple[Check, ...] = (
    active, perceptual_value, perceptual_gradient, features, frechet, linear_probe, neighbours,
)  # fmt: skip
