"""Question 6, trained: a stack that was pre-trained layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check.context import Context
from ...check.datasets import to_float
from ...check.declaration import Check, declare
from ...check.disguise import any_order, disguise
from ...check.failure import Failure
from ...check.shown import kind_of
from ...check.trained import Budget, at_most, mean_image_mse, mse, pca_mse
from ...check.values import Gen, Handle, Image8, Probe, Session, TorchRef
from .models import LAYERWISE, THE_STAGE

BUDGETS = {"digits": Budget(20, 32, 2e-3, 1437), "mnist": Budget(4, 128, 2e-3, 20_000)}
DEEP = {"digits": (784, 128, 8), "mnist": (784, 256, 32)}


# ELU, because a narrow layer of ReLU loses units for good in some runs and not in others
def build_layers(session: Session, widths: Sequence[int]) -> tuple[list[Handle], list[Handle]]:
    """Encoders and decoders of torch's own layers: the last code is unbounded, the pixels are not."""

    def chain(wide: int, narrow: int, last: str | None) -> Handle:
        parts = [session.new(TorchRef("nn.Linear"), wide, narrow)]
        parts += [session.new(TorchRef(f"nn.{last}"))] if last else []
        module = session.new(TorchRef("nn.Sequential"), *parts)
        session.call((module, "to"), session.device)
        return module

    pairs = list(zip(widths[:-1], widths[1:], strict=True))
    encoders = [chain(wide, narrow, "ELU" if i < len(pairs) - 1 else None) for i, (wide, narrow) in enumerate(pairs)]
    decoders = [chain(narrow, wide, "ELU" if i else "Sigmoid") for i, (wide, narrow) in enumerate(pairs)]
    return encoders, decoders


def through(states: Sequence[tuple[Mapping[str, Tensor], Callable[[Tensor], Tensor]]], x: Tensor) -> Tensor:
    """Affine maps, each followed by a function."""
    for state, activation in states:
        x = activation(F.linear(x, state["0.weight"], state["0.bias"]))
    return x


def stacked(encoders: Sequence[Handle], decoders: Sequence[Handle], images: Tensor) -> Tensor:
    """What the stack of these layers makes of images, computed here from their weights: nothing of it is believed."""

    def same(x: Tensor) -> Tensor:
        return x

    deep = len(encoders)
    chain: list[tuple[Mapping[str, Tensor], Callable[[Tensor], Tensor]]]
    chain = [(m.state(), F.elu if i < deep - 1 else same) for i, m in enumerate(encoders)]
    chain += [(decoders[i].state(), F.elu if i else torch.sigmoid) for i in reversed(range(deep))]
    return through(chain, images.flatten(1)).view_as(images)


@declare(
    id="q6.layerwise.trained", question=6, kind="trained", points=1.5, visibility="public",
    title="A stack pre-trained layer by layer reconstructs images",
    asks="after pretrain_layerwise the stack, never trained as a whole, reconstructs held-out images: far better than "
    "before, and not far from PCA with as many components",
    hint="Which of your stages is the weak one? Look at the losses that each stage returns.",
    needs=("q6.layerwise",),
    parts=(THE_STAGE,),
)  # fmt: skip
def layerwise_trained(ctx: Context) -> None:
    budget, widths = BUDGETS[ctx.data.name], DEEP[ctx.data.name]
    look = disguise(ctx, any_order)
    images = to_float(ctx.data.test_x)
    ctx.session.stand_in("autoencoders.mse_loss", Probe("image_mse"))
    encoders, decoders = build_layers(ctx.session, widths)
    untrained = mse(stacked(encoders, decoders, images), images)
    train = Image8(ctx.data.train_x[: budget.train_size].flatten(1))
    value = ctx.call(
        LAYERWISE,
        encoders,
        decoders,
        train,
        epochs=ctx.patience * budget.epochs,
        batch_size=budget.batch_size,
        lr=budget.lr,
        generator=Gen(ctx.seed),
    )
    if not isinstance(value, list | tuple) or len(value) != len(widths) - 1:
        raise Failure(
            "pretrain_layerwise does not return one list per stage", f"{len(widths) - 1} lists", kind_of(value),
            hint="What is there to tell of each stage, and how many stages are there?",
        )  # fmt: skip
    pictures = stacked(encoders, decoders, images)
    error, trivial = mse(pictures, images), min(untrained, mean_image_mse(ctx, images))
    ctx.exhibits.images("A stack trained layer by layer", "held-out images, and what the stack makes of them, which "
                        f"was never trained as a whole (MSE {error:.4g}, before {untrained:.4g})",
                        originals=look.undone(images), reconstructions=look.undone(pictures))  # fmt: skip
    pca = pca_mse(ctx, widths[-1], budget.train_size, images)
    at_most(ctx, "test mse", error, "the stack's error per pixel", trivial=trivial, slack=0.25)
    what = f"its ratio to the error of PCA with {widths[-1]} components"
    at_most(ctx, "ratio to PCA", error / pca, what, 4, trivial=trivial / pca, slack=0.25)


TRAINED: tuple[Check, ...] = (layerwise_trained,)
