"""What trained checks share: train in one process, judge what fresh processes return for images without labels.

No number that the worker computes about itself is used. The bottleneck is shown, not believed: images go into one fresh
process and only the code comes out of it; a second fresh process, which never saw an image, decodes the code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .boundary import Handle, Image8, Ref, Session, Slot
from .checks import Failure
from .context import Context
from .datasets import to_float

CHUNK = 500


@dataclass(frozen=True)
class Budget:
    """How long a check trains on a dataset: the same on every device."""

    epochs: int
    batch_size: int = 128
    lr: float = 1e-3
    train_size: int = 60_000


@dataclass(frozen=True)
class Recipe:
    """A model of the submission: what constructs it, how a batch goes in, and what its training minimises."""

    target: str
    kwargs: Mapping[str, Any]
    objective: Sequence[Mapping[str, Any]]
    inputs: Sequence[Any] = (Slot("x"),)

    def build(self, session: Session, state: Mapping[str, Tensor] | None = None) -> Handle:
        """The model in a session, on its device, in evaluation mode if it gets a trained state."""
        model = session.new(self.target, **self.kwargs)
        if session.device != "cpu":
            session.call((model, "to"), session.device)
        if state is not None:
            model.load(state)
            model.eval()
        return model


def term(function: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """A term of an objective: a function of the submission applied to slots."""
    return {"fn": Ref(function), "args": list(args), "kwargs": kwargs}


X = Slot("x")


def out(index: int | None = None) -> Slot:
    """Output `index` of the model."""
    return Slot("out", index)


def fit(
    ctx: Context, recipe: Recipe, budget: Budget, data: Mapping[str, Tensor | Image8] | None = None, *, seed: int = 0
) -> dict[str, Tensor]:
    """Trains a fresh model in the check's own process; returns its state.

    `data` defaults to the first `train_size` training images as "x".
    """
    session = ctx.session
    model = recipe.build(session)
    arrays = data if data is not None else {"x": Image8(ctx.data.train_x[: budget.train_size])}
    session.train(
        model, arrays, recipe.objective, epochs=budget.epochs, batch_size=budget.batch_size, lr=budget.lr,
        seed=ctx.seed + seed, inputs=recipe.inputs,
    )  # fmt: skip
    return model.state()


def in_chunks(function: Callable[..., Any], *arrays: Tensor) -> list[Any]:
    """Results of `function` on successive rows of `arrays`."""
    size = len(arrays[0])
    return [function(*(a[i : i + CHUNK] for a in arrays)) for i in range(0, size, CHUNK)]


def encode_then_decode(
    ctx: Context, recipe: Recipe, state: Mapping[str, Tensor], images: Tensor, code_shape: Sequence[int],
    *, encode: str = "encode", decode: str = "decode", pick: Callable[[Any], Any] = lambda code: code,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Codes `(N, *code_shape)` and reconstructions `(N, 1, 28, 28)` of float images, through two fresh processes."""
    first = ctx.fresh()
    encoder = recipe.build(first, state)
    codes = torch.cat([
        ctx.tensor(pick(code), (len(code_rows(pick(code), ctx, encode)), *code_shape), f"{encode}(x)")
        for code in in_chunks(lambda x: first.infer((encoder, encode), x), images)
    ])  # fmt: skip
    first.close()
    second = ctx.fresh()
    decoder = recipe.build(second, state)
    decoded = in_chunks(lambda z: second.infer((decoder, decode), z), codes)
    shape = images.shape[1:]
    pictures = torch.cat(
        [ctx.tensor(p, (len(p) if isinstance(p, Tensor) else 0, *shape), f"{decode}(z)") for p in decoded]
    )
    second.close()
    if len(codes) != len(images) or len(pictures) != len(images):
        raise Failure("the number of images changes on the way through the model", str(len(images)), str(len(pictures)))
    return codes, pictures


def code_rows(code: Any, ctx: Context, what: str) -> Tensor:
    """The code as a tensor, so that its rows can be counted."""
    return ctx.tensor(code, None, f"{what}(x)")


def forward(ctx: Context, recipe: Recipe, state: Mapping[str, Tensor], *arrays: Tensor, **kwargs: Any) -> list[Any]:
    """Outputs of the trained model in a fresh process, chunk by chunk, in evaluation mode without gradients."""
    session = ctx.fresh()
    model = recipe.build(session, state)
    results = in_chunks(lambda *parts: session.infer(model, *parts, **kwargs), *arrays)
    session.close()
    return results


def test_images(ctx: Context, limit: int = 10_000) -> Tensor:  # noqa: PT028
    """Held-out images as float32; their labels stay with the grader."""
    return to_float(ctx.data.test_x[:limit])


def mse(pictures: Tensor, images: Tensor) -> float:
    """Mean squared error per pixel."""
    return float((pictures.double() - images.double()).square().mean())


def pca_mse(ctx: Context, components: int, train_size: int, images: Tensor) -> float:
    """Test error per pixel of PCA fitted by scikit-learn on the same training images: the yardstick of a run."""
    from sklearn.decomposition import PCA

    train = to_float(ctx.data.train_x[:train_size]).flatten(1).numpy()
    pca = PCA(components, svd_solver="covariance_eigh").fit(train)  # type: ignore[no-untyped-call]
    flat = images.flatten(1).numpy()
    return float(((pca.inverse_transform(pca.transform(flat)) - flat) ** 2).mean())
