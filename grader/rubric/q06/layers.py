"""Question 6, third part: greedy layer-wise pre-training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check.context import Context
from ...check.datasets import to_float
from ...check.declaration import Check, declare
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves
from ...check.failure import FLOAT64, Failure
from ...check.parts import Part
from ...check.shown import kind_of
from ...check.trained import Budget, at_most, mean_image_mse, mse, pca_mse
from ...check.values import Gen, Handle, Image8, Probe, Session, TorchRef
from .fit import losses_of
from .memory import CHECKS as MEMORY

STAGE, LAYERWISE, STACK = "training.pretrain_stage", "training.pretrain_layerwise", "training.assemble_stack"
WIDTHS = (6, 5, 4, 3)  # all different, so that a wrong stage does not fit by chance


def recorded(ctx: Context, state: Mapping[str, Tensor]) -> Handle:
    """A recorded affine map with these weights."""
    inner = ctx.new(TorchRef("nn.Linear"), state["weight"].shape[1], state["weight"].shape[0]).double()
    inner.load(dict(state))
    return ctx.new(Probe("Recorder"), inner)


def drawn(ctx: Context, wide: int, narrow: int) -> dict[str, Tensor]:
    """Weights of an affine map."""
    return {"weight": 0.5 * ctx.randn(narrow, wide), "bias": 0.3 * ctx.randn(narrow)}


def apply(state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The affine map with these weights, be it recorded or not."""
    plain = {name.removeprefix("inner."): value for name, value in state.items()}
    return F.linear(x, plain["weight"], plain["bias"])


def layers(ctx: Context) -> tuple[list[Handle], list[Handle]]:
    """Three recorded encoders and their decoders, in double precision. The loss of the assignment stands in."""
    ctx.session.stand_in("autoencoders.mse_loss", Probe("image_mse"))
    pairs = list(zip(WIDTHS[:-1], WIDTHS[1:], strict=True))
    encoders = [recorded(ctx, drawn(ctx, wide, narrow)) for wide, narrow in pairs]
    decoders = [recorded(ctx, drawn(ctx, narrow, wide)) for wide, narrow in pairs]
    return encoders, decoders


def same_rows(actual: Sequence[Tensor], wanted: Tensor) -> bool:
    """Whether the rows of successive batches are those of `wanted` in some order, over and over."""
    if not actual:
        return False
    rows = torch.cat(list(actual))
    if rows.shape[1:] != wanted.shape[1:] or len(rows) % len(wanted):
        return False
    apart = torch.cdist(rows.double(), wanted.double())
    counts = torch.bincount(apart.argmin(1), minlength=len(wanted))
    return bool((apart.min(1).values < 1e-6).all()) and bool((counts == len(rows) // len(wanted)).all())


# ---- layer-wise pre-training ------------------------------------------------------------------------------------


@declare(
    id="q6.stage.only", question=6, kind="property", points=0.5, visibility="public",
    title="A stage trains its own pair only",
    asks="pretrain_stage trains encoders[stage] and decoders[stage] and leaves all other modules as they are: weights, "
    "running statistics, modes",
    hint="Which parameters does your optimizer hold? In which mode do the encoders below run, and in which do you "
    "leave them?",
    needs=(),
)  # fmt: skip
def stage_only(ctx: Context) -> None:
    encoders, decoders = layers(ctx)
    # batch normalisation below the stage shows a wrong mode by its running statistics
    norm = ctx.new(TorchRef("nn.BatchNorm1d"), WIDTHS[1]).double()
    encoders[0] = ctx.new(TorchRef("nn.Sequential"), encoders[0], norm)
    everyone = {f"encoders[{i}]": m for i, m in enumerate(encoders)} | {
        f"decoders[{i}]": m for i, m in enumerate(decoders)
    }
    before = {name: module.state() for name, module in everyone.items()}
    # so many epochs that a noisy mean falls as well: how batches are drawn and averaged has its own checks
    value = preserves(ctx, STAGE, encoders, decoders, 1, ctx.randn(22, WIDTHS[0]), epochs=12, batch_size=8, lr=0.03)
    losses = losses_of(ctx, value, 12, "pretrain_stage")
    for name, module in everyone.items():
        now, own = module.state(), name.endswith("[1]")
        moved = [key for key, old in before[name].items() if not torch.equal(old, now[key])]
        if own:
            expect(
                any("weight" in key for key in moved), f"{name} is not trained in stage 1", "new weights", "no change"
            )
        else:
            expect(not moved, f"stage 1 changes {name}", "no change", ", ".join(moved))
            expect(module.get("training") is True, f"stage 1 changes the mode of {name}", "training", "evaluation")
        asks = module.parameters()
        expect(
            all(asks.values()),
            f"after stage 1 some of {name} cannot be trained any more",
            "every parameter still requires a gradient",
            [key for key, needs in asks.items() if not needs],
        )
    expect(losses[-1] < losses[0], "the loss of the stage does not fall", f"below {losses[0]:.4g}", losses[-1])
    # each module has a mode of its own
    modes = {"encoders[0]": False, "encoders[1]": True, "decoders[0]": True, "decoders[1]": False}
    for name, training in modes.items():
        everyone[name].train(training)
    ctx.call(STAGE, encoders, decoders, 2, ctx.randn(22, WIDTHS[0]), epochs=1, batch_size=8, lr=0.03)
    for name, training in modes.items():
        expect(everyone[name].get("training") is training, f"stage 2 changes the mode of {name}",
                   *("training", "evaluation")[:: 1 if training else -1])  # fmt: skip


@declare(
    id="q6.stage.target", question=6, kind="property", points=0.5, visibility="public",
    title="A stage reconstructs its own input",
    asks="the input and the target of a stage are the codes of the encoders before it; its losses are those of "
    "mse_loss, averaged per example, and every example comes once per epoch",
    hint="What does the second stage see: the image, or what the first encoder makes of it? And what should it "
    "reconstruct?",
    needs=(),
)  # fmt: skip
def stage_target(ctx: Context) -> None:
    encoders, decoders = layers(ctx)
    data = ctx.randn(23, WIDTHS[0])
    for stage in (0, 1, 2):
        h = data
        for encoder in encoders[:stage]:
            h = apply(encoder.state(), h)
        error = apply(decoders[stage].state(), apply(encoders[stage].state(), h)) - h
        known = len(encoders[stage].get("seen"))
        # with a learning rate of 0 the loss of every epoch is known
        value = ctx.call(STAGE, encoders, decoders, stage, data, epochs=2, batch_size=8, lr=0.0)
        wanted = float(error.square().sum(1).mean())
        for entry in losses_of(ctx, value, 2, f"pretrain_stage of stage {stage}"):
            mean = math.isclose(entry, float(error.square().mean()), rel_tol=1e-6)
            matches(
                ctx,
                entry,
                wanted,
                FLOAT64,
                f"the loss of stage {stage}",
                hint="Is mse_loss a mean over the elements of the code?" if mean else "",
            )
        seen = encoders[stage].get("seen")[known:]
        expect(
            same_rows(seen, h),
            f"the input of stage {stage} is not the code of the encoders before it, each example once per epoch",
            f"{len(h)} codes of {h.shape[1]} numbers in each epoch",
            "other inputs",
        )


@declare(
    id="q6.layerwise", question=6, kind="property", points=0.5, visibility="public",
    title="Layer-wise pre-training",
    asks="pretrain_layerwise trains stage after stage, each on the codes of the trained stages before it, which do not "
    "change any more, and returns the losses of every stage",
    hint="At which moment are the codes for stage 2 computed: before stage 1 has been trained, or after?",
    needs=(),
)  # fmt: skip
def layerwise(ctx: Context) -> None:
    encoders, decoders = layers(ctx)
    data = ctx.randn(30, WIDTHS[0])
    # one batch is an epoch: how an epoch is cut into batches has its own checks
    value = ctx.call(LAYERWISE, encoders, decoders, data, epochs=8, batch_size=30, lr=0.02, generator=Gen(ctx.seed))
    for stage, losses in enumerate(as_sequence(value, 3, "pretrain_layerwise")):
        numbers = losses_of(ctx, losses, 8, f"the list of stage {stage}")
        expect(
            numbers[-1] < numbers[0], f"the loss of stage {stage} does not fall", f"below {numbers[0]:.4g}", numbers[-1]
        )
    h = data
    for stage, encoder in enumerate(encoders):
        # an encoder's own stage is the one that goes through it with gradients; later ones only pass through
        own = [x for call, x in zip(encoder.get("calls"), encoder.get("seen"), strict=True) if call["training"]][:8]
        expect(
            same_rows(own, h),
            f"stage {stage} is not trained on the codes of the trained stages before it",
            "the codes that the encoders below give after their own stages",
            "other inputs",
        )
        h = apply(encoder.state(), h)
    # what is asked for reaches every stage: a learning rate of 0 changes nothing, batches have their size
    before, known = [encoder.state() for encoder in encoders], [len(encoder.get("calls")) for encoder in encoders]
    ctx.call(LAYERWISE, encoders, decoders, data, epochs=1, batch_size=7, lr=0.0, generator=Gen(ctx.seed))
    for stage, encoder in enumerate(encoders):
        moved = any(not torch.equal(value, before[stage][name]) for name, value in encoder.state().items())
        expect(not moved, f"stage {stage} learns with a learning rate of 0", "no change", "other weights")
        rows = {call["rows"] for call in encoder.get("calls")[known[stage] :] if call["training"] and call["grad"]}
        expect(max(rows, default=0) <= 7, f"the batches of stage {stage} do not have batch_size examples",
                   "at most 7", str(sorted(rows)))  # fmt: skip
    statistics_rest(ctx, data)


def statistics_rest(ctx: Context, data: Tensor) -> None:
    """Running statistics move with the batches of an encoder's own stage, and not when its codes are handed on."""
    encoders, decoders = layers(ctx)
    norms = [ctx.new(TorchRef("nn.BatchNorm1d"), width).double() for width in WIDTHS[1:]]
    whole = [ctx.new(TorchRef("nn.Sequential"), *pair) for pair in zip(encoders, norms, strict=True)]
    ctx.call(LAYERWISE, whole, decoders, data, epochs=2, batch_size=10, lr=0.0)
    for stage, norm in enumerate(norms):
        batches = int(as_tensor(norm.state().get("num_batches_tracked"), (), "the batches that a layer counts"))
        # 2 epochs of 3 batches, and as often again where a batch goes through more than once
        expect(batches % 6 == 0, f"encoder {stage} goes on changing when its own stage is over",
                   "statistics of 6 batches", f"of {batches}",
                   hint="In which mode does a trained encoder make the codes for the next stage?")  # fmt: skip


@declare(
    id="q6.stack", question=6, kind="property", points=0.5, visibility="public",
    title="Assembling the stack",
    asks="assemble_stack makes one module of the very layers given, each called as a whole: encoders in order, "
    "decoders in reverse order, forward returns (x_recon, z); all layers are part of the module and get gradients, and "
    "the lists stay as they are",
    hint="Which decoder undoes the last encoder? If you train the stack, do the layers in your lists change too? In "
    "which order are the lists afterwards?",
    needs=(),
)  # fmt: skip
def stack(ctx: Context) -> None:
    encoders, decoders = layers(ctx)
    whole = ctx.new(STACK, encoders, decoders)
    for turn in ("", ", after a layer has changed"):
        x, z = ctx.randn(7, WIDTHS[0]), ctx.randn(8, WIDTHS[-1])
        code = x
        for encoder in encoders:
            code = apply(encoder.state(), code)
        recon, decoded = code, z
        for decoder in reversed(decoders):
            recon, decoded = apply(decoder.state(), recon), apply(decoder.state(), decoded)
        matches(ctx, whole.call("encode", x), code, FLOAT64, f"encode(x){turn}")
        matches(ctx, whole.call("decode", z), decoded, FLOAT64, f"decode(z){turn}")
        both = as_sequence(whole(x), 2, "forward(x)")
        matches(ctx, both[0], recon, FLOAT64, f"x_recon{turn}")
        matches(ctx, both[1], code, FLOAT64, f"z{turn}")
        for module in (*encoders, *decoders):
            expect(bool(module.get("calls")), "the stack goes past a module that it is made of", "its forward",
                       "is never called",
                       hint="Whose forward decides what a layer does: its own, or its parts'?")  # fmt: skip
        state = encoders[1].state()
        encoders[1].load({name: value + 1 for name, value in state.items()})
    expect(
        len(whole.parameters()) == 12,
        "the stack does not hold the parameters of all layers",
        12,
        len(whole.parameters()),
    )
    found = ctx.session.vjp(whole, ctx.randn(5, WIDTHS[0]), cotangents=[((0,), None)], params=[*encoders, *decoders])
    missing = sum(grad is None for grads in found.params for grad in grads.values())
    expect(
        missing == 0,
        "the reconstruction's gradient does not reach all layers",
        "a gradient each",
        f"{missing} of 12 parameters without",
    )
    preserves(ctx, STACK, encoders, decoders)


# ---- trained ----------------------------------------------------------------------------------------------------

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


def stack_error(ctx: Context, encoders: Sequence[Handle], decoders: Sequence[Handle], images: Tensor) -> float:
    """Error per pixel of the stack of these layers, computed here from their weights: nothing of it is believed."""

    def same(x: Tensor) -> Tensor:
        return x

    deep = len(encoders)
    chain: list[tuple[Mapping[str, Tensor], Callable[[Tensor], Tensor]]]
    chain = [(m.state(), F.elu if i < deep - 1 else same) for i, m in enumerate(encoders)]
    chain += [(decoders[i].state(), F.elu if i else torch.sigmoid) for i in reversed(range(deep))]
    return mse(through(chain, images.flatten(1)).view_as(images), images)


@declare(
    id="q6.layerwise.trained", question=6, kind="trained", points=1.5, visibility="public",
    title="A stack pre-trained layer by layer reconstructs images",
    asks="after pretrain_layerwise the stack, never trained as a whole, reconstructs held-out images: far better than "
    "before, and not far from PCA with as many components",
    hint="Which of your stages is the weak one? Look at the losses that each stage returns.",
    needs=("q6.layerwise",),
    parts=(Part("training.pretrain_stage", "pretrain_stage", ("q6.stage.only", "q6.stage.target")),),
)  # fmt: skip
def layerwise_trained(ctx: Context) -> None:
    budget, widths = BUDGETS[ctx.data.name], DEEP[ctx.data.name]
    images = to_float(ctx.data.test_x)
    ctx.session.stand_in("autoencoders.mse_loss", Probe("image_mse"))
    encoders, decoders = build_layers(ctx.session, widths)
    untrained = stack_error(ctx, encoders, decoders, images)
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
    error, trivial = stack_error(ctx, encoders, decoders, images), min(untrained, mean_image_mse(ctx, images))
    pca = pca_mse(ctx, widths[-1], budget.train_size, images)
    at_most(ctx, "test mse", error, "the stack's error per pixel", trivial=trivial, slack=0.25)
    what = f"its ratio to the error of PCA with {widths[-1]} components"
    at_most(ctx, "ratio to PCA", error / pca, what, 4, trivial=trivial / pca, slack=0.25)


CHECKS: tuple[Check, ...] = (
    stage_only, stage_target, layerwise, stack, *MEMORY, layerwise_trained,
)  # fmt: skip
