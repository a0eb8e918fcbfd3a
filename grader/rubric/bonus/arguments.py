"""Bonus: bad arguments, and other devices."""

from __future__ import annotations

from typing import Any

import torch

from ...check.context import Context
from ...check.declaration import BONUS, declare
from ...check.devices import expect_on_device
from ...check.expectations import raises
from ...check.values import Probe, StudentRaised, TorchRef
from .prior import MASKED, PRIOR, SAMPLE, chain


@declare(
    id="bonus.devices", question=BONUS, kind="property", points=0.25, visibility="public",
    title="Bonus on a GPU",
    asks="MaskedConv2d, CodePrior, sample_codes, iwae and ppca_log_likelihood work where their tensors lie, and leave "
    "their results there",
    hint="On which device does a tensor begin that your code makes itself?",
    needs=(),
)  # fmt: skip
def devices(ctx: Context) -> None:
    parts = (ctx.randn(4, 3), ctx.randn(4), ctx.randn(3, 4), ctx.randn(3))
    first, table = chain(ctx, 4)
    calls: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
        ("MaskedConv2d", lambda: ctx.new(MASKED, "A", 2, 3, 3), (ctx.images(2, 5).expand(2, 2, 5, 5),)),
        ("CodePrior", lambda: ctx.new(PRIOR, 5, hidden_channels=8, num_layers=2), (ctx.randint(0, 5, 2, 4, 3),)),
        ("sample_codes", lambda: SAMPLE, (ctx.new(Probe("TableModel"), first, table), 3, 2, 4)),
        ("iwae", lambda: "evaluation.iwae", (ctx.new(Probe("BernoulliVAE"), *parts), ctx.images(3, 2, torch.float64),
            4)),
        ("ppca_log_likelihood", lambda: "evaluation.ppca_log_likelihood",
         (ctx.randn(2, 4), ctx.randn(4, 2), ctx.randn(4), 0.5)),
    )  # fmt: skip
    for what, target, args in calls:
        try:
            expect_on_device(ctx, what, target(), *args)
        except StudentRaised as raised:  # what fails on the CPU, too, has its own check
            if "NotImplementedError" in raised.kinds:
                raise


@declare(
    id="bonus.errors", question=BONUS, kind="property", points=0.25, visibility="hidden",
    title="Bonus: bad arguments",
    asks="arguments that make no sense are ValueErrors that name them: mask types and kernel sizes, k of IWAE and of "
    "the neighbours, a noise variance of 0, statistics of a single row, features of pictures of different shapes",
    hint="What does the docstring say about each argument's range?",
    needs=(),
)  # fmt: skip
def errors(ctx: Context) -> None:
    for kind in ("C", "a", "AB"):
        raises(ctx, "ValueError", MASKED, kind, 2, 3, 3, names="mask_type", case=f"MaskedConv2d with "
                        f"mask_type={kind!r}",
               hint="Which mask does this type stand for in your layer, and did anybody ask for that?")  # fmt: skip
    for size in (2, 4):
        raises(ctx, "ValueError", MASKED, "B", 2, 3, size, names="kernel_size",
               case=f"MaskedConv2d with kernel_size={size}",
               hint="Where is the centre of a kernel of even size?")  # fmt: skip
    codes, labels = ctx.randn(4, 3), torch.tensor([0, 1, 1, 0])
    for k in (0, 5):
        raises(ctx, "ValueError", "evaluation.knn_predict", codes, labels, codes, k, names="k",
               case=f"knn_predict with k={k} and 4 training codes",
               hint="Between which two numbers must k lie, so that there are so many neighbours?")  # fmt: skip
    model = ctx.new(Probe("BernoulliVAE"), ctx.randn(4, 2), ctx.randn(4), ctx.randn(2, 4), ctx.randn(2))
    raises(ctx, "ValueError", "evaluation.iwae", model, ctx.images(3, 2, torch.float64), 0, names="k",
           case="iwae with k=0", hint="What is the mean of no weight at all?")  # fmt: skip
    for noise in (0.0, -1.0):
        x, weight, mean = ctx.randn(2, 4), ctx.randn(4, 2), ctx.randn(4)
        raises(ctx, "ValueError", "evaluation.ppca_log_likelihood", x, weight, mean, noise, names="noise_var",
               case=f"ppca_log_likelihood with noise_var={noise:g}", hint="Which numbers can a variance be, if "
                               "there is to "
               "be a density?")  # fmt: skip
    raises(ctx, "ValueError", "evaluation.feature_statistics", ctx.randn(1, 4), names="features",
           case="feature_statistics of a single row", hint="What is the covariance of one row?")  # fmt: skip
    raises(ctx, "ValueError", "evaluation.perceptual_loss", ctx.new(TorchRef("nn.Flatten")), ctx.images(3, 4),
           ctx.images(1, 4), names="x", case="perceptual_loss with x_recon of 3 pictures and x of 1",
           hint="With which of the three is the one compared?")  # fmt: skip
