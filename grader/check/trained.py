"""What trained checks share: train in one process, judge what fresh processes return for images without labels.

No number that the worker computes about itself is used. The bottleneck is shown, not believed: images go into one fresh
process and only the code comes out of it; a second fresh process, which never saw an image, decodes the code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..boundary.launch import GraderFault
from ..boundary.session import Session
from ..boundary.values import Handle, Image8, Ref, Slot
from .context import Context
from .credit import Measurement
from .datasets import to_float
from .exhibits import losses_told
from .expectations import as_tensor, expect
from .failure import INHERIT, Failure
from .threads import fixed_threads
from .thresholds import UNCALIBRATED

CHUNK = 500
SLACK = 0.1
# A code of so many numbers carries so many numbers, not pictures packed into their digits: before it is decoded, each
# number is changed by noise of this share of its standard deviation, which costs an honest decoder about 1 % of its
# error and leaves a number five or six bits.
BLUR = 0.02
ROOM = 64 << 10  # bytes that a model may keep beside its parameters, however small these are


@dataclass(frozen=True)
class Budget:
    """How long a check trains on a dataset: the same on every device. `lr` is the largest step of one cycle."""

    epochs: int
    batch_size: int = 128
    lr: float = 2e-3
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
    ctx: Context, recipe: Recipe, budget: Budget, data: Mapping[str, Tensor | Image8] | None = None, *, seed: int = 0,
    session: Session | None = None, name: str = "your model",
) -> dict[str, Tensor]:  # fmt: skip
    """Trains a fresh model in the check's own process, or in `session`; returns its state.

    `data` defaults to the first `train_size` training images as "x". A model that has fallen short once gets more time.
    `name` is that of its curve of losses.
    """
    arrays = data if data is not None else {"x": Image8(ctx.data.train_x[: budget.train_size])}
    patient = replace(budget, epochs=ctx.patience * budget.epochs)
    state, losses = trained(ctx.seed + seed, recipe, patient, arrays, session or ctx.session)
    ctx.exhibits.curves[name] = losses_told(losses)
    return state


def state_after(
    seed: int, recipe: Recipe, budget: Budget, arrays: Mapping[str, Tensor | Image8], session: Session
) -> dict[str, Tensor]:
    """State of a fresh model of the session after exactly this budget."""
    return trained(seed, recipe, budget, arrays, session)[0]


def trained(
    seed: int, recipe: Recipe, budget: Budget, arrays: Mapping[str, Tensor | Image8], session: Session
) -> tuple[dict[str, Tensor], list[float]]:
    """The same, and the mean loss of every epoch, which is told by the process and believed by nobody."""
    model = recipe.build(session)
    losses = session.train(
        model, arrays, recipe.objective, epochs=budget.epochs, batch_size=budget.batch_size, lr=budget.lr, seed=seed,
        inputs=recipe.inputs,
    )  # fmt: skip
    state = model.state()
    expect_compact(model, state)
    return state, losses


def expect_compact(model: Handle, state: Mapping[str, Tensor]) -> None:
    """What a model keeps beside the parameters that training moves is no larger than these: no room for images."""
    moved = {name for name, asks in model.parameters().items() if asks}
    size = {name: held.numel() * held.element_size() for name, held in state.items()}
    beside = sum(size[name] for name in size if name not in moved)
    limit = ROOM + sum(size[name] for name in size if name in moved)
    expect(beside <= limit, "the model keeps more beside its trained parameters than in them",
           f"at most {limit >> 10} kB of buffers and frozen parameters", f"{beside >> 10} kB",
           hint="Which numbers does your model keep that no optimizer ever moves, and what for?")  # fmt: skip


def expect_of_training(
    ctx: Context, condition: bool, message: str, expected: Any, actual: Any, *, hint: str = INHERIT
) -> None:
    """`expect` of what a training has led to: before it costs points, the model is trained again."""
    ctx.credit.fell_short |= not condition
    expect(condition, message, expected, actual, hint=hint)


def at_most(
    ctx: Context, metric: str, value: float, what: str, digits: int = 5, *, trivial: float, slack: float = SLACK,
    way: float = 0.0, hint: str = INHERIT,
) -> None:  # fmt: skip
    """`value` earns full credit up to the cut measured for it, none from `trivial` on. NaN and infinity never do.

    The check's credit is that of its worst metric. `slack` and `way`: see `Measurement`; `hint` asks about this metric.
    """
    _against_cut(ctx, metric, Measurement(value, True, slack, trivial, way), what, digits, hint)


def at_least(
    ctx: Context, metric: str, value: float, what: str, digits: int = 4, *, trivial: float, slack: float = SLACK,
    way: float = 0.0, hint: str = INHERIT,
) -> None:  # fmt: skip
    """`value` earns full credit from the cut measured for it on, none down to `trivial`."""
    _against_cut(ctx, metric, Measurement(value, False, slack, trivial, way), what, digits, hint)


def _against_cut(ctx: Context, metric: str, found: Measurement, what: str, digits: int, hint: str) -> None:
    ctx.credit.measured[metric] = found
    value, side = found.value, "at most" if found.below else "at least"
    cut = ctx.thresholds.cut(ctx.name, metric)
    if cut is None:
        if ctx.thresholds is UNCALIBRATED:
            return
        raise GraderFault(f"{ctx.name} has no cut for {metric} on {ctx.data.name}: run make calibrate")
    if (cut.full < cut.zero) != found.below:
        raise GraderFault(f"the cuts of {ctx.name} for {metric} on {ctx.data.name} contradict each other")
    credit = cut.credit(value)
    ctx.credit.fell_short |= credit < 1
    bound = f"{side} {cut.full:.{digits}g}"
    if credit < ctx.credit.share:
        wanted = f"{bound} for all points; {cut.zero:.{digits}g}, a model that has learned nothing, earns none"
        miss = Failure(f"{what} on {ctx.data.name} misses the threshold", wanted, f"{value:.{digits}g}", hint=hint)
        if not credit:
            raise miss
        ctx.credit.share, ctx.credit.shortfall = credit, miss
    ctx.credit.said.append(f"{what} {value:.{digits}g} ({bound})")


def in_chunks(function: Callable[..., Any], *arrays: Tensor) -> list[Any]:
    """Results of `function` on successive rows of `arrays`."""
    size = len(arrays[0])
    return [function(*(a[i : i + CHUNK] for a in arrays)) for i in range(0, size, CHUNK)]


def encode_then_decode(
    ctx: Context, recipe: Recipe, state: Mapping[str, Tensor], images: Tensor, code_shape: Sequence[int],
    *, encode: str = "encode", decode: str = "decode", pick: Callable[[Any], Any] = lambda code: code,
    blur: float = BLUR,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Codes `(N, *code_shape)` and reconstructions `(N, 1, 28, 28)` of float images, through two fresh processes.

    What is decoded is not quite the code, unless it is made of numbers of codes (see BLUR).
    """
    first = ctx.fresh()
    encoder = recipe.build(first, state)
    codes = torch.cat([
        as_tensor(pick(code), (rows_in(as_tensor(pick(code), None, f"{encode}(x)")), *code_shape), f"{encode}(x)")
        for code in in_chunks(lambda x: first.infer((encoder, encode), x), images)
    ])  # fmt: skip
    first.close()
    second = ctx.fresh()
    decoder = recipe.build(second, state)
    decoded = in_chunks(lambda z: second.infer((decoder, decode), z), blurred(ctx, codes, blur))
    shape = images.shape[1:]
    pictures = torch.cat([as_tensor(p, (rows_in(p), *shape), f"{decode}(z)") for p in decoded])
    second.close()
    if len(codes) != len(images) or len(pictures) != len(images):
        raise Failure("the number of images changes on the way through the model", str(len(images)), str(len(pictures)),
                      hint="How many codes come of one image, and how many images of one code?")  # fmt: skip
    return codes, pictures


def blurred(ctx: Context, codes: Tensor, blur: float) -> Tensor:
    """Codes with noise of this share of each number's standard deviation over the rows."""
    if not codes.is_floating_point() or len(codes) < 2:
        return codes
    spread = codes.double().std(0, keepdim=True)
    return (codes + blur * spread * ctx.randn(*codes.shape)).to(codes.dtype)


def rows_in(value: Any) -> int:
    """How many rows a tensor has; what is none, and a single number, has none."""
    return len(value) if isinstance(value, Tensor) and value.ndim else 0


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


def training_images(ctx: Context, number: int = 500) -> Tensor:
    """Some images that the model was trained on, as float32."""
    return to_float(ctx.data.train_x[:number])


def mean_image_mse(ctx: Context, images: Tensor) -> float:
    """Error of a model that always shows the same image: the mean of the training images."""
    mean = to_float(ctx.data.train_x).mean(0, keepdim=True)
    return mse(mean.expand_as(images), images)


def mse(pictures: Tensor, images: Tensor) -> float:
    """Mean squared error per pixel."""
    return float((pictures.double() - images.double()).square().mean())


def pca_mse(ctx: Context, components: int, train_size: int, images: Tensor) -> float:
    """Test error per pixel of PCA fitted by scikit-learn on the same training images: the yardstick of a run."""
    return mse(by_pca(ctx, components, train_size, images), images)


def by_pca(ctx: Context, components: int, train_size: int, images: Tensor) -> Tensor:
    """What that PCA makes of images."""
    from sklearn.decomposition import PCA

    train = to_float(ctx.data.train_x[:train_size]).flatten(1).numpy()
    flat = images.flatten(1).numpy()
    with fixed_threads():
        pca = PCA(components, svd_solver="covariance_eigh").fit(train)  # type: ignore[no-untyped-call]
        return torch.from_numpy(pca.inverse_transform(pca.transform(flat))).view_as(images)
