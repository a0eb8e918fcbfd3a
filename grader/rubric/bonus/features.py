"""Bonus, `evaluation.py`: what codes and features tell, against numpy, scipy and brute force."""

from __future__ import annotations

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
from ...check.failure import FLOAT32, FLOAT64, INHERIT, Failure, Tolerance
from ...check.forall import forall
from ...check.gradients import gradient_matches
from ...check.values import Handle, StudentRaised, TorchRef
from ..shared.known import Known, matches_or_says
from .classifiers import linear_probe, neighbours

ACTIVE, PERCEPTUAL = "evaluation.active_units", "evaluation.perceptual_loss"
STATISTICS, FRECHET = "evaluation.feature_statistics", "evaluation.frechet_distance"


@declare(
    id="bonus.active", question=BONUS, kind="property", points=0.25, visibility="public",
    title="active_units",
    asks="the number of latent dimensions whose posterior mean has a variance over the data above the threshold",
    hint="Is a dimension active whose mean is 3 for every image? Does the threshold bound a variance or a deviation?",
    needs=(),
)  # fmt: skip
def active(ctx: Context) -> None:
    # variances: 1, .0036, 0, .09, .0081, 4, 1e-6, .0121
    spread = torch.tensor([1.0, 0.06, 0.0, 0.3, 0.09, 2.0, 0.001, 0.11], dtype=torch.float64)
    noise = ctx.randn(500, 8)
    noise = (noise - noise.mean(0)) / noise.std(0)
    constant = "Is a dimension active whose mean is 3 for every image?"
    for shift, where in ((torch.zeros(8), "with mean 0"), (3 * ctx.randn(8).sign() + ctx.randn(8), "far from 0")):
        mu = noise * spread + shift
        for threshold, wanted in ((None, 4), (0.5, 2), (0.001, 6), (9.0, 0)):
            options = {} if threshold is None else {"threshold": threshold}
            border = 0.01 if threshold is None else threshold
            got = as_number(preserves(ctx, ACTIVE, mu, **options), "active_units")
            if got == wanted:
                continue
            known = (
                (
                    "the number of standard deviations above the threshold",
                    "Does the threshold bound a variance or a deviation?",
                    int((spread > border).sum()),
                ),
                ("the number of mean squares above the threshold", constant, int((mu.square().mean(0) > border).sum())),
                (
                    "the number of images whose variance over the latent dimensions is above the threshold",
                    "Over which axis does a dimension vary: over images, or over the other dimensions?",
                    int((mu.var(1) > border).sum()),
                ),
                ("what threshold = 0.01 gives", "Which threshold was asked for, and which one do you compare with?", 4),
                (
                    "the number of dimensions at or below the threshold",
                    "Which side of the threshold is active?",
                    8 - wanted,
                ),
            )
            plain = "Which threshold is used if none is given?" if threshold is None else INHERIT
            words, question = next(((w, q) for w, q, n in known if got == n and n != wanted), ("", plain))
            raise Failure(
                f"active_units of a mu (500, 8) {where}, whose dimensions have the variances 1, .0036, 0, .09, "
                ".0081, 4, "
                f"1e-6 and .0121, with threshold {'left out (0.01)' if threshold is None else f'{threshold:g}'}",
                str(wanted), f"{got:g}", looks=words, hint=question,
            )  # fmt: skip
    twins = noise[:, :1] * torch.tensor([1.0, -0.8, 0.05])  # variances 1, .64 and .0025 along one line
    matches(ctx, as_number(ctx.call(ACTIVE, twins), "active_units"), 2.0, FLOAT64,
                "active_units(mu) where all dimensions follow one of them",
                hint="Two dimensions vary together: is that one dimension of the code, or two?")  # fmt: skip
    still = noise[:64, :7] * torch.tensor([1.0, 0, 1, 0, 0, 1, 0]) + torch.tensor([0.0, 2, 1, 0, -4, 0, 1])
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
        square = (features[0] - features[1]).square()
        total = "Over what is summed, over what averaged? Does the batch size change the loss?"
        pictures = (x_recon - x).square().sum() / batch
        known = [
            Known("the squared error of the pictures themselves", "Are the pictures compared, or what the "
                            "network makes of "
                  "them?", pictures),
            Known("the mean over features and batch", total, square.mean()),
            Known("the sum over features and batch", total, square.sum()),
            Known("the mean over features, summed over the batch", total, square.mean() * batch),
            Known("absolute errors between features", "What does twice the error cost?",
                  square.sqrt().sum() / batch),
            Known("norms of the differences between features", "What does twice the error cost?",
                  square.flatten(1).sum(1).sqrt().mean()),
            Known("the features' error plus that of the pictures", "Are the pictures compared, or what the "
                            "network makes "
                  "of them?", square.sum() / batch + pictures),
        ]  # fmt: skip
        value = preserves(ctx, PERCEPTUAL, net, x_recon, x)
        matches_or_says(ctx, value, square.sum() / batch, FLOAT64, what, known, hint=hint)

    for net in feature_nets(ctx):
        for batch in (3, 1):
            expect_value(net, batch, f"perceptual_loss of {batch} pictures")
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
        gradient_matches(ctx, PERCEPTUAL, net, x_recon, x, wrt=(1,), what="the gradient of perceptual_loss",
                         hint="Which of the two pictures comes from the model that is trained?")  # fmt: skip
        found = ctx.session.vjp(PERCEPTUAL, net, x_recon, x, wrt=[1, 2], params=[net])
        expect(found.args[2] is None or not bool(found.args[2].any()), "perceptual_loss passes a gradient to the "
                        "target x",
               "no gradient", found.args[2], hint="Should the target move towards the reconstruction?")  # fmt: skip
        for name, grad in found.params[0].items():
            expect(grad is None or not bool(grad.any()), f"perceptual_loss passes a gradient to {name} of feature_net",
                   "no gradient", grad, hint="Should the measuring network learn as well?")  # fmt: skip
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
        wanted = torch.from_numpy(np.cov(x.numpy(), rowvar=False).reshape(columns, columns))
        axis = "Which axis are the examples on, and which the features?"
        divisor = "By how much is a sum of squares divided, if its mean comes from the same N rows?"
        centre = x - x.mean(0)
        one = "What are the shapes of mean and covariance if there is one feature alone?"
        mean = as_tensor(mean, (columns,), "the mean", dtype=x.dtype, hint=one if columns == 1 else axis)
        cov = as_tensor(cov, (columns, columns), "the covariance", dtype=x.dtype, hint=one if columns == 1 else axis)
        matches_or_says(ctx, mean, x.mean(0), FLOAT64, "the mean", (), hint=axis)
        known = [
            Known("the covariance divided by N", divisor, centre.T @ centre / rows),
            Known("the sum of products, not divided", divisor, centre.T @ centre),
            Known("second moments, without the mean taken off, divided by N - 1", "Where is the middle of the "
                            "features, and "
                  "does a covariance depend on it?", x.T @ x / (rows - 1)),
            Known("second moments, without the mean taken off, divided by N", "Where is the middle of the "
                            "features, and "
                  "does a covariance depend on it?", x.T @ x / rows),
            Known("the correlations", "Do the units of the features matter for a covariance?",
                  wanted / torch.outer(wanted.diag().sqrt(), wanted.diag().sqrt())),
            Known("the variances alone", "Do two features vary together?", wanted.diag().diag()),
        ]  # fmt: skip
        matches_or_says(ctx, cov, wanted, FLOAT64, "the covariance", known, hint=INHERIT)

    body(6, 3, ctx.seed)
    forall(ctx, body, rows=sizes(2, 9), columns=sizes(1, 5), seed=seeds(), examples=20)
    x = ctx.randn(50, 4)
    mean, cov = as_sequence(ctx.call(STATISTICS, x.float()), 2, "feature_statistics")
    matches(ctx, mean, x.mean(0).float(), FLOAT32, "the mean in float32", hint=INHERIT)
    matches(ctx, cov, torch.cov(x.T).float(), FLOAT32, "the covariance in float32", hint=INHERIT)


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
        # of different sizes: between equal ones so little is left beside the means that several errors look alike
        cov1, cov2 = (size * f @ f.T / (2 * dim + 6) for size, f in zip((1, 6), factors, strict=True))
        mean1, mean2 = random(seed + 1, 2, dim)
        root = torch.from_numpy(np.real(scipy.linalg.sqrtm((cov1 @ cov2).numpy())))
        gap, traces = (mean1 - mean2).square().sum(), cov1.trace() + cov2.trace()
        wanted = gap + traces - 2 * root.trace()
        which = "Of which matrix is the root taken, and what does a root of a matrix give when it is squared?"
        equal = "What does it give for two equal Gaussians?"
        known = [
            Known("the trace of cov1 cov2 without its square root", which, gap + traces - 2 * (cov1 @ cov2).trace()),
            Known("square roots of the single elements", which,
                  gap + traces - 2 * (cov1 @ cov2).clamp(min=0).sqrt().trace()),
            Known("the trace of the product of two roots, which is right only where cov1 and cov2 commute", which,
                  gap + traces - 2 * (root_of(cov1) @ root_of(cov2)).trace()),
            Known("the norm of the difference of the means, not squared", "In which unit is each term of the distance?",
                  gap.sqrt() + traces - 2 * root.trace()),
            Known("the square root of the expected", "Is it a distance or a squared "
                            "distance?", wanted.clamp(min=0).sqrt()),
            Known("the trace of the root, once in place of twice", equal, gap + traces - root.trace()),
            Known("the traces without the root", equal, gap + traces),
            Known("the squared distance of the means alone", "What do two Gaussians around one point differ in?", gap),
            Known("the distance of the covariances alone", "What do two Gaussians of one shape differ "
                            "in?", wanted - gap),
        ]  # fmt: skip
        value = preserves(ctx, FRECHET, mean1, cov1, mean2, cov2)
        matches_or_says(ctx, value, wanted, FRECHET_TOLERANCE, "frechet_distance", known, hint=INHERIT)
        matches(
            ctx,
            ctx.call(FRECHET, mean2, cov2, mean1, cov1),
            wanted,
            FRECHET_TOLERANCE,
            "frechet_distance with the two Gaussians exchanged",
            hint="Does it matter which Gaussian is the first?",
        )
        matches(ctx, ctx.call(FRECHET, mean1, cov1, mean1, cov1), torch.zeros_like(wanted), FRECHET_TOLERANCE,
                "frechet_distance of two equal Gaussians", hint=equal)  # fmt: skip

    body(3, ctx.seed)
    forall(ctx, body, dim=sizes(1, 5), seed=seeds(), examples=12)
    for dtype in (torch.float64, torch.float32):
        u, v, mean1, mean2 = (ctx.randn(6, dtype=dtype) for _ in range(4))
        zero = torch.zeros(6, 6, dtype=dtype)
        gap = (mean1 - mean2).square().sum()
        rounding = "Which numbers under your root may rounding make a little negative?"
        value = ctx.call(FRECHET, mean1, zero, mean2, zero)
        as_tensor(value, (), f"frechet_distance of two points (both covariances 0) in {dtype}", hint=rounding)
        matches(ctx, value, gap, SINGULAR, f"frechet_distance of two points (both covariances 0) in {dtype}",
                hint="How far apart are two points, whose covariances are 0?")  # fmt: skip
        # rank one: (u uᵀ v vᵀ) has the single eigenvalue (u.v)²
        wanted = gap + u @ u + v @ v - 2 * (u @ v).abs()
        value = ctx.call(FRECHET, mean1, torch.outer(u, u), mean2, torch.outer(v, v))
        as_tensor(value, (), f"frechet_distance of covariances of rank 1 in {dtype}", hint=rounding)
        matches(ctx, value, wanted, SINGULAR, f"frechet_distance of covariances of rank 1 in {dtype}", hint=rounding)
    expect_slopes(ctx)


FEATURES: tuple[Check, ...] = (
    active, perceptual_value, perceptual_gradient, features, frechet, linear_probe, neighbours,
)  # fmt: skip
