"""The conditional model.

Labels that a check uses are those that a model knows which counts its classes from one, too (`Classes`): that mistake
costs the points of the check that asks which labels exist, and those of no other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...check.cases import named_sizes
from ...check.context import Context, guard
from ...check.declaration import declare
from ...check.expectations import as_tensor, expect, matches, preserves, raises
from ...check.failure import Failure
from ...check.forall import forall
from ...check.shown import alike
from ...check.trained import Budget, X, out
from ...check.values import Gen, Handle, Probe, StudentRaised
from ..shared.draws import expect_generator
from ..shared.latents import REPARAMETERIZE, posterior, stir, tolerance
from ..shared.models import (
    ATTRIBUTE,
    expect_all_probabilities,
    expect_apart,
    expect_chain_rule,
    expect_forward,
    expect_fresh,
    expect_heads,
    expect_hidden_dim,
    expect_loadable,
    expect_rows_alone,
    expect_shapes,
    expect_used_in_training,
    precise,
    three,
)

CVAE, GENERATE = "vae.CVAE", "vae.generate_class"
LATENT = 20
BUDGET = {"digits": Budget(16, 32, lr=5e-3), "mnist": Budget(3, 64, lr=5e-3, train_size=30_000)}
ASKED = 1_000
STEP = 100.0  # between the images of successive classes: latents are far smaller
OBJECTIVE = ({"fn": Probe("image_nelbo"), "args": [out(0), X, out(1), out(2)]},)
MANY, FEW = 13, 5  # classes: more than there are digits, and fewer

WHICH_ROW = "Whose class does each row of a batch get?"
WIPED_OUT = "What does this class leave of what it is combined with?"
LEARNS = "Which of the numbers that stand for a class can training change, and which values have they at the start?"
HOW_MANY_CLASSES = "How many classes does this model know, and which of your layers need to know it?"
ROOM_FOR_ALL = "Where do you write the class, and is there room for it in an image of four pixels and ten classes?"
FIRST_AND_LAST = "Which label has the first of these classes, and which the last?"
NOT_A_CLASS = "What does your code make of the label -1? And of num_classes itself?"
CLASSES_DIFFER = "Where does the class enter, and what of it is left when the output is reached?"


@dataclass(frozen=True)
class Classes:
    """The labels of a model's classes, as the model itself counts them."""

    count: int
    first: int = 0
    refused: bool = False  # the last of them

    @staticmethod
    def of(model: Handle, count: int, x: Tensor) -> Classes:
        """Counted from one where 0 is refused and `count` is not."""

        def taken(label: int) -> bool:
            try:
                model.call("encode", x[:1], torch.tensor([label]))
            except StudentRaised:
                return False
            return True

        first = int(not taken(0) and taken(count))
        return Classes(count, first, refused=not taken(count - 1))

    def __call__(self, *places: int) -> Tensor:
        """Labels of the classes at these places, 0 the first."""
        return torch.tensor([place % self.count + self.first for place in places])


def make(ctx: Context, classes: int, side: int = 4) -> Handle:
    """A CVAE for small images with 6 latents."""
    return ctx.new(CVAE, input_dim=side**2, hidden_dim=12, latent_dim=6, num_classes=classes)


def small(ctx: Context, classes: int, batch: int) -> tuple[Handle, Tensor, Classes]:
    """A small CVAE with random parameters in evaluation mode, images, and its labels; float64 where that works.

    One that refuses so many classes loses the points of its shapes, and is asked about fewer here.
    """
    x = ctx.images(batch, 4)
    labels = Classes.of(make(ctx, classes).eval(), classes, x)
    if labels.refused:
        classes = FEW
        labels = Classes.of(make(ctx, classes).eval(), classes, x)
    model, x = precise(ctx, lambda side: make(ctx, classes, side), batch, labels(*range(batch)))
    return stir(ctx, model), x, labels


@declare(
    id="q9.shapes", question=9, kind="property", points=0.75, visibility="public",
    title="CVAE: shapes",
    asks="encode(x, y), decode(z, y) and forward(x, y) have the shapes of a VAE, for all sizes and both dtypes, with "
    "more classes than pixels and after another model was made too",
    hint="How many numbers enter the first layer of the encoder, and of the decoder, once the class has joined?",
    needs=(),
)  # fmt: skip
def shapes(ctx: Context) -> None:
    def knows(model: Handle, classes: int) -> None:
        try:
            named = model.get("num_classes")
        except StudentRaised:
            raise Failure("CVAE has no attribute num_classes", str(classes), "missing", hint=ATTRIBUTE) from None
        expect(named == classes, "the attribute num_classes is wrong", classes, named, hint=ATTRIBUTE)

    def body(sizes: dict[str, int]) -> None:
        batch, side, classes = sizes["batch"], sizes["side"], sizes["classes"]
        model = ctx.new(CVAE, side * side, sizes["hidden"], sizes["latent"], classes).eval()
        knows(model, classes)
        x = ctx.images(batch, side)
        labels = Classes.of(model, classes, x)(*ctx.randint(0, classes, batch).tolist(), classes - 1)[1:]
        for dtype in (torch.float32, torch.float64):
            model = model.double() if dtype == torch.float64 else model
            expect_shapes(ctx, model, x.to(dtype), sizes["latent"], labels)

    # no more classes than pixels: that is an edge, and asked for below
    drawn = named_sizes(batch=(2, 6), side=(3, 5), latent=(3, 6), hidden=(4, 9), classes=(2, 9))
    forall(ctx, body, examples=8, sizes=drawn)
    for batch, side, latent, hidden, classes in (
        (1, 3, 4, 7, 5),
        (4, 3, 1, 7, 5),
        (3, 4, 5, 7, MANY),
        (3, 2, 5, 7, 10),
    ):
        sizes = {"batch": batch, "side": side, "latent": latent, "hidden": hidden, "classes": classes}
        try:
            guard(functools.partial(body, sizes), {"sizes": sizes})
        except Failure as failure:
            if classes > 9 and "shape" not in failure.message:
                failure.hint = ROOM_FOR_ALL if classes > side * side else HOW_MANY_CLASSES
            raise
    model = ctx.new(CVAE)
    labels = Classes.of(model, 10, ctx.images(1))(9, 0, 4)

    def as_asked() -> None:
        knows(model, 10)
        expect_shapes(ctx, model, ctx.images(3), 20, labels)

    as_asked()
    preserves(ctx, model, ctx.images(3), labels)
    found, wanted = (
        sum(held.numel() for held in one.state().values()) for one in (model, ctx.new(CVAE, 784, 400, 20, 10))
    )
    expect(
        found == wanted, "CVAE() is not CVAE(input_dim=784, hidden_dim=400, latent_dim=20, num_classes=10)",
        f"{wanted} weights", f"{found} weights", hint="Which sizes does a model have whose maker names none?",
    )  # fmt: skip
    x, z = ctx.images(2, 4), ctx.randn(2, 3, dtype=torch.float32)
    expect_hidden_dim(ctx, lambda hidden: ctx.new(CVAE, 16, hidden, 3), x, z, labels[:2], name="CVAE")
    expect_apart(ctx, as_asked, "CVAE(16, 50, 3)")
    ctx.new(CVAE, 16, 7, 3, 5)
    expect_apart(ctx, as_asked, "CVAE(16, 7, 3, 5)")


def expect_conditioned(ctx: Context, by_label: Tensor, mixed: Tensor, places: list[int], what: str) -> None:
    """`by_label[k]` is the output with class k everywhere; in `mixed` row i has the class at places[i]."""
    for first in range(len(by_label)):
        for second in range(first):
            # equal up to float32 rounding, in sums of another order
            same = alike(by_label[first], by_label[second], rtol=1e-6, atol=1e-7)
            every = alike(by_label, by_label[:1].expand_as(by_label), rtol=1e-6, atol=1e-7)
            which = "all classes" if every else f"the classes {second} and {first}"
            expect(
                not same, f"{what} is the same for {which}", "a different one for each class", "equal tensors",
                hint=CLASSES_DIFFER,
            )  # fmt: skip
    expected = by_label[places, torch.arange(len(places))]
    leader = by_label[places[0]]
    what = f"{what} in a batch of several classes, compared with batches of one class,"
    try:
        matches(ctx, mixed, expected, tolerance(mixed.dtype), what, hint=WHICH_ROW)
    except Failure as failure:
        if alike(mixed, leader, rtol=1e-5, atol=1e-6):
            failure.looks = "what the class of the first row gives, in every row"
        raise


def expect_each_class_sees(
    ctx: Context, model: Handle, call: Callable[[Tensor], Tensor], what: str, labels: Classes, batch: int
) -> None:
    """`call` with a class for all rows gives rows that differ, for each class with some of several parameters."""
    blind = set(range(labels.count))
    for _ in range(8):  # a layer of rectifiers may be dead once
        blind = {k for k in blind if not bool((call(labels(*[k] * batch)).std(dim=0) > 1e-6).any())}
        if not blind:
            return
        stir(ctx, model)
    expect(
        False, f"{what} is the same for all rows of class {min(blind)}", "rows that differ",
        f"equal rows for class {', '.join(map(str, sorted(blind)))}, different ones for the others", hint=WIPED_OUT,
    )  # fmt: skip


def trainable(model: Handle, half: str, given: Tensor, labels: Tensor) -> list[str]:
    """Names of the parameters that a gradient of encode or decode reaches."""
    path: tuple[int, ...] = (0,) if half == "encode" else ()
    found = model.session.vjp((model, half), given, labels, params=[model], cotangents=[(path, None)])
    return [name for name, gradient in found.params[0].items() if gradient is not None]


def expect_learnable(ctx: Context, half: str, given: Tensor, count: int, what: str) -> None:
    """Training can tell the classes apart: with random numbers in what gradients reach, and in nothing else, they are.

    Where nothing at all tells them apart, that is left to the comparison of the classes.
    """
    fresh = make(ctx, count, given.shape[-1] if half == "encode" else 4).eval()
    labels = Classes.of(fresh, count, ctx.images(1, 4))
    given = given[:2].float()

    def differ() -> bool:
        pair = [fresh.call(half, given, labels(*[k] * len(given))) for k in (0, 1)]
        one, other = (value[0] if isinstance(value, list | tuple) else value for value in pair)
        return not alike(one, other, rtol=1e-6, atol=1e-7)

    reached = trainable(fresh, half, given, labels(0, 1))
    for _ in range(6):
        stir(ctx, fresh, only=reached)
        if differ():
            return
    state, left = fresh.state(), []
    for name in fresh.parameters():
        if name not in reached and name in state:
            fresh.load({**state, name: ctx.randn(*state[name].shape, dtype=state[name].dtype)})
            left += [name] if differ() else []
    expect(
        not left, f"{what} can differ between classes only through {', '.join(left)}, which no gradient reaches",
        "classes that training can tell apart", "equal outputs whatever is learnt", hint=LEARNS,
    )  # fmt: skip


@declare(
    id="q9.encoder", question=9, kind="property", points=0.5, visibility="public",
    title="CVAE: the encoder sees the class",
    asks="mu and logvar are two functions of image and class, unbounded; the posterior of one image depends on its "
    "class and, whatever the class, on the image; in each row of a batch on that row's class and image alone",
    hint="Encode one image with two different labels. Should mu and logvar stay where they are?",
    needs=(),
)  # fmt: skip
def encoder(ctx: Context) -> None:
    model, x, labels = small(ctx, MANY, batch=7)
    places = [place % labels.count for place in (3, 0, 12, 1, 1, 2, 10)]

    def encoded_rows(x: Tensor, y: Tensor) -> Tensor:
        return torch.cat(posterior(ctx, model.call("encode", x, y), (len(x), 6), x.dtype, "encode"), dim=1)

    encoded = functools.partial(encoded_rows, x)
    what = "the posterior (mu, logvar) of encode(x, y)"
    expect_learnable(ctx, "encode", x, labels.count, "mu of encode(x, y)")
    each = torch.stack([encoded(labels(*[k] * 7)) for k in range(labels.count)])
    expect_conditioned(ctx, each, encoded(labels(*places)), places, what)
    for k in (0, 3, labels.count - 1):
        for name, part in (("mu", slice(0, 6)), ("logvar", slice(6, 12))):
            # equal up to float32 rounding, in sums of another order
            expect(
                not alike(each[k][:, part], each[k - 1][:, part], rtol=1e-6, atol=1e-7),
                f"{name} of encode(x, y) is the same for the classes {(k - 1) % labels.count} and {k}",
                "a different one for each class", "equal tensors", hint=CLASSES_DIFFER,
            )  # fmt: skip
    bright = torch.linspace(0.2, 1, 7, dtype=x.dtype).view(-1, 1, 1, 1)
    expect_rows_alone(ctx, encoded_rows, what, bright * x, labels(*places))
    expect_each_class_sees(ctx, model, encoded, what, labels, 7)
    expect_heads(ctx, model, x, 6, "CVAE.encode", labels(*places))


@declare(
    id="q9.decoder", question=9, kind="property", points=0.75, visibility="public",
    title="CVAE: the decoder sees the class",
    asks="the image of one latent depends on the class and, whatever the class, on the latent; in each row of a "
    "batch on that row's class and latent alone; its pixels are probabilities in both modes",
    hint="Decode one z with all labels. If the images are equal, how could anybody ask for a digit?",
    needs=(),
)  # fmt: skip
def decoder(ctx: Context) -> None:
    model, x, labels = small(ctx, MANY, batch=7)
    z, places = ctx.randn(7, 6, dtype=x.dtype), [place % labels.count for place in (3, 0, 12, 1, 1, 2, 10)]

    def decoded_rows(z: Tensor, y: Tensor) -> Tensor:
        return as_tensor(model.call("decode", z, y), None, "decode(z, y)", dtype=z.dtype)

    decoded = functools.partial(decoded_rows, z)
    what = "the image of decode(z, y)"
    expect_learnable(ctx, "decode", z, labels.count, what)
    each = torch.stack([decoded(labels(*[k] * 7)) for k in range(labels.count)])
    expect_conditioned(ctx, each, decoded(labels(*places)), places, what)
    expect_rows_alone(ctx, decoded_rows, what, z, labels(*places))
    expect_each_class_sees(ctx, model, decoded, what, labels, 7)
    expect_all_probabilities(
        ctx, model, 3 * ctx.randn(32, 6, dtype=x.dtype), "CVAE", lambda count: (labels(*range(count)),)
    )


@declare(
    id="q9.forward", question=9, kind="property", points=0.5, visibility="public",
    title="CVAE: forward",
    asks="forward(x, y, eps=eps) encodes and decodes with the same class, and draws fresh noise if no eps is given, in "
    "both modes, with and without gradients; a second model with the first one's state_dict computes the same",
    hint="Which y does the decoder get inside forward? What do two passes over the same image return?",
    needs=(),
)  # fmt: skip
def forward(ctx: Context) -> None:
    model, x, classes = small(ctx, 5, batch=4)
    labels = classes(3, 0, 4, 1)
    expect_forward(ctx, model, x, 6, labels)
    expect_loadable(ctx, model, make(ctx, 5, x.shape[-1]), x, 6, labels)
    expect_fresh(ctx, model, x, 6, labels)
    expect_used_in_training(ctx, stir(ctx, model), x, 6, "eps", "CVAE.forward", labels)
    # a reparameterize that ignores its generator costs points in Question 8
    mu, seeded = ctx.randn(3, 2), Gen(ctx.seed)
    first, again = (ctx.call(REPARAMETERIZE, mu, mu, generator=seeded) for _ in range(2))
    if alike(first, again):
        expect_generator(ctx, lambda gen: three(model(x, labels, generator=gen))[0], "CVAE.forward")
        expect_used_in_training(ctx, model, x, 6, "generator", "CVAE.forward", labels)


@declare(
    id="q9.gradient", question=9, kind="gradient", points=0.25, visibility="hidden",
    title="CVAE: gradients",
    asks="gradients of forward's outputs reach the decoder, and through mu and logvar the encoder and the image",
    hint="Which path does the reconstruction's gradient take back to the encoder? Is a link of it cut?",
    needs=("q9.forward",),
)  # fmt: skip
def gradient(ctx: Context) -> None:
    model, x, labels = small(ctx, 5, batch=3)
    expect_chain_rule(ctx, model, x, 6, labels(2, 0, 4))


@declare(
    id="q9.errors", question=9, kind="property", points=0.5, visibility="public",
    title="CVAE: which labels exist",
    asks="encode, decode, forward and generate_class take the labels 0…num_classes-1 and raise a ValueError for others",
    hint="What does your code make of the label -1? And of num_classes itself?",
    needs=(),
)  # fmt: skip
def errors(ctx: Context) -> None:
    model = ctx.new(CVAE, 16, 7, 3, 5)
    ctx.new(CVAE, 16, 7, 3, 15)  # knows more classes, which is nothing to the first
    x, z = ctx.images(3, 4), ctx.randn(3, 3, dtype=torch.float32)
    calls: tuple[tuple[str, Callable[[Tensor], object]], ...] = (
        ("encode", lambda y: model.call("encode", x, y)), ("decode", lambda y: model.call("decode", z, y)),
        ("forward", lambda y: model(x, y)), ("generate_class", lambda y: ctx.call(GENERATE, model, y)),
    )  # fmt: skip
    counted = Classes.of(model, 5, x)
    for name, call in calls:
        try:
            call(torch.tensor([0, 4, 2]))
        except StudentRaised as raised:
            if "NotImplementedError" in raised.kinds or "MissingName" in raised.kinds:
                raise
            if not {"ValueError", "IndexError"} & set(raised.kinds) and not counted.first:
                continue  # whatever it is, it is not about labels, and costs points elsewhere
            raise Failure(
                f"{name} refuses labels of 5 classes", "the labels 0, 1, 2, 3 and 4 are taken",
                f"{raised.kinds[0]}: {raised.message}", hint=FIRST_AND_LAST,
            ) from None  # fmt: skip
    for bad in (-1, 5, 12):
        labels = torch.tensor([0, bad, 4])
        case = f"with the label {bad} of 5 classes"
        raises(ctx, "ValueError", (model, "encode"), x, labels, case=f"encode {case}", hint=NOT_A_CLASS)
        raises(ctx, "ValueError", (model, "decode"), z, labels, case=f"decode {case}", hint=NOT_A_CLASS)
        raises(ctx, "ValueError", model, x, labels, case=f"forward {case}", hint=NOT_A_CLASS)
        raises(ctx, "ValueError", GENERATE, model, labels, case=f"generate_class {case}", hint=NOT_A_CLASS)
    raises(ctx, "ValueError", CVAE, input_dim=35, names="input_dim", case="CVAE with input_dim = 35",
           hint="Which side has a square image of so many pixels?")  # fmt: skip
