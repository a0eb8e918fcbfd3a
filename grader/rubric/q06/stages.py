"""Greedy layer-wise pre-training: one stage, all stages, and the stack that is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.devices import expect_on_device
from ...check.expectations import as_sequence, as_tensor, expect, matches, preserves
from ...check.failure import FLOAT64, Failure
from ...check.shown import kind_of
from ...check.values import Gen, Handle, Probe, TorchRef
from ..shared.loops import (
    BATCH_SIZE,
    LEARNING_RATE,
    NUMBER_OF_EPOCHS,
    PILE_UP,
    WEIGHTED,
    WHOSE_STREAM,
    Known,
    asking,
    begins,
    clearing,
    expect_cleared,
    learned_batches,
    learned_from,
    losses_of,
    tells,
)
from ..shared.told import Told, expect_unspoilt
from .models import LAYERWISE, STACK, STAGE, THE_LOOP, THE_STAGE, THE_STEP

WIDTHS = (6, 5, 4, 3)  # all different, so that a wrong stage does not fit by chance
OWN_INPUT = "What does the second stage see: the data, or what the first encoder makes of it?"
OWN_TARGET = "What should a stage reconstruct: the data, or its own input?"


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


def seen_as(actual: Sequence[Tensor], candidates: Mapping[str, Tensor]) -> str:
    """What these inputs are: every row of them is a row of this."""
    rows = torch.cat(list(actual)) if actual and len({x.shape[1:] for x in actual}) == 1 else torch.empty(0)
    for name, wanted in candidates.items():
        if rows.ndim == 2 and rows.shape[1:] == wanted.shape[1:]:
            counts = torch.cdist(rows.double(), wanted.double())
            if bool((counts.min(1).values < 1e-6).all()):
                return f"{name}; each of them {len(rows) / len(wanted):.3g} times"
    return "other inputs" if actual else "no inputs: nothing goes through it with gradients on"


# ---- one stage --------------------------------------------------------------------------------------------------


@declare(
    id="q6.stage.target", question=6, kind="property", points=0.5, visibility="public",
    title="A stage reconstructs its own input",
    asks="the input and the target of a stage are the codes of the encoders before it; its losses are those of "
    "mse_loss, averaged per example, and every example comes once per epoch",
    hint=f"{OWN_INPUT} And what should it reconstruct?",
    needs=(), parts=(THE_STEP, THE_LOOP),
)  # fmt: skip
def stage_target(ctx: Context) -> None:
    encoders, decoders = layers(ctx)
    data = ctx.randn(23, WIDTHS[0])
    for stage in (0, 1, 2):
        codes = [data]
        for encoder in encoders[:stage]:
            codes.append(apply(encoder.state(), codes[-1]))
        h = codes[-1]
        output = apply(decoders[stage].state(), apply(encoders[stage].state(), h))
        known, before = len(encoders[stage].get("seen")), encoders[stage].state()
        # with a learning rate of 0 the loss of every epoch is known
        with asking(OWN_INPUT if stage else "What goes into the first encoder, and what out of the first decoder?"):
            value = ctx.call(STAGE, encoders, decoders, stage, data, epochs=2, batch_size=8, lr=0.0)
        seen = encoders[stage].get("seen")[known:]
        own = f"the codes of encoders[{stage - 1}]" if stage else "the data"
        if not same_rows(seen, h):
            names = {"the data": data} | {f"codes of encoders[{at}]": code for at, code in enumerate(codes[1:])}
            raise Failure(
                f"the inputs of stage {stage} are not {own}, each example once per epoch",
                f"2 epochs of {len(h)} codes of {h.shape[1]} numbers", seen_as(seen, names),
                hint=f"{OWN_INPUT} And how often does it see each of them?",
            )  # fmt: skip
        if any(not torch.equal(own, before[name]) for name, own in encoders[stage].state().items()):
            continue  # the loss is not known then; that lr=0 changes nothing is asked elsewhere
        expect_losses(ctx, losses_of(value, 2, f"what pretrain_stage of stage {stage} returns"), output, h, seen, data,
                      decoders[:stage], stage)  # fmt: skip


def expect_losses(
    ctx: Context, entries: Sequence[float], output: Tensor, h: Tensor, seen: Sequence[Tensor], data: Tensor,
    below: Sequence[Handle], stage: int,
) -> None:  # fmt: skip
    """The loss of each epoch is the squared error of the stage's output against its input, summed over the code."""
    each = (output - h).square().sum(1)
    back = output
    for decoder in reversed(below):
        back = apply(decoder.state(), back)
    for number, entry in enumerate(entries):
        batches = [torch.cdist(x.double(), h).argmin(1) for x in seen[len(seen) // 2 * number :][: len(seen) // 2]]
        known = [
            Known("a mean over the elements of the code too", "Is mse_loss a mean over the elements of the code?",
                  (output - h).square().mean()),
            Known("the mean of the batches' means", WEIGHTED,
                  torch.stack([each[rows].mean() for rows in batches]).mean()),
            Known("the loss of the last batch", "How many batches of the epoch does this number know?",
                  each[batches[-1]].mean()),
        ]  # fmt: skip
        if stage:
            known += [
                Known("the error of the data themselves, through all decoders below", OWN_TARGET,
                      (back - data).square().sum(1).mean()),
                Known("the error per number of the data themselves, through all decoders below", OWN_TARGET,
                      (back - data).square().mean()),
            ]  # fmt: skip
        tells(ctx, entry, float(each.mean()), FLOAT64,
              f"the loss of stage {stage}, |decoders[{stage}](encoders[{stage}](h)) - h|², in an epoch", known,
              hint="Which two things does the loss of a stage compare?")  # fmt: skip


@declare(
    id="q6.stage.only", question=6, kind="property", points=0.5, visibility="public",
    title="A stage trains its own pair only",
    asks="pretrain_stage trains encoders[stage] and decoders[stage] and leaves all other modules as they are: weights, "
    "running statistics, modes",
    hint="Which parameters does your optimizer hold? In which mode do the encoders below run, and in which do you "
    "leave them?",
    needs=(), parts=(THE_STEP, THE_LOOP),
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
    with asking(OWN_INPUT):
        value = preserves(ctx, STAGE, encoders, decoders, 1, ctx.randn(22, WIDTHS[0]), epochs=12, batch_size=8, lr=0.03)
    losses = losses_of(value, 12, "what pretrain_stage returns")
    for name, module in everyone.items():
        moved = {key for key, now in module.state().items() if not torch.equal(before[name][key], now)}
        asks = module.parameters()
        if name.endswith("[1]"):
            trained_in_stage(name, moved, asks)
        else:
            left_alone(name, moved, asks, module.get("training"))
        expect(all(asks.values()), f"after stage 1, parameters of {name} do not require gradients any more",
               "every parameter can be trained, as before", ", ".join(k for k, needs in asks.items() if not needs),
               hint="Whose parameters are these, and what should their owner still be able to do?")  # fmt: skip
    expect(losses[-1] < losses[0], "the loss of stage 1 does not fall in 12 epochs", f"below {losses[0]:.4g}",
           losses[-1], hint="In which direction do your steps go, and how far?")  # fmt: skip
    # each module has a mode of its own
    modes = {"encoders[0]": False, "encoders[1]": True, "decoders[0]": True, "decoders[1]": False}
    for name, training in modes.items():
        everyone[name].train(training)
    ctx.call(STAGE, encoders, decoders, 2, ctx.randn(22, WIDTHS[0]), epochs=1, batch_size=8, lr=0.03)
    found = {name: bool(everyone[name].get("training")) for name in modes}
    words = {True: "training mode", False: "evaluation mode"}
    changed = [name for name in modes if found[name] is not modes[name]]
    expect(not changed, f"stage 2 changes the mode of {', '.join(changed)}",
           ", ".join(f"{name} in {words[mode]}" for name, mode in modes.items()) + ", as before",
           ", ".join(f"{name} in {words[mode]}" for name, mode in found.items()),
           hint="Which mode had each of the other modules before, and who remembers it?")  # fmt: skip


def trained_in_stage(name: str, moved: set[str], asks: Mapping[str, bool]) -> None:
    """The weights of a module of the stage's own have moved."""
    other = "decoder" if name.startswith("encoders") else "encoder"
    hint = "Does a gradient reach the decoder, and is it among what your optimizer holds?"
    if name.startswith("encoders"):
        hint = "Does the gradient of the loss come as far as the encoder, and is it among what your optimizer holds?"
    expect(bool(moved & set(asks)), f"{name} does not learn in stage 1", f"new weights, as its {other} should have",
           "no change", hint=hint)  # fmt: skip


def left_alone(name: str, moved: set[str], asks: Mapping[str, bool], training: bool) -> None:
    """Nothing of a module of another stage has changed."""
    if moved & set(asks):
        raise Failure(f"stage 1 changes weights of {name}", "no change", ", ".join(sorted(moved)),
                      hint="Which parameters does your optimizer hold, and how far back does the gradient "
                      "go?")  # fmt: skip
    expect(not moved, f"stage 1 changes buffers of {name}, whose weights it leaves alone", "no change",
           ", ".join(sorted(moved)),
           hint="Which numbers of a normalisation layer change without any gradient, and in which mode?")  # fmt: skip
    expect(training is True, f"stage 1 leaves {name}, which was in training mode, in evaluation mode", "training mode",
           "evaluation mode",
           hint="In which mode do the encoders below run, and in which do you leave them?")  # fmt: skip


@declare(
    id="q6.stage.arguments", question=6, kind="property", points=0.25, visibility="public",
    title="A stage uses what it is given",
    asks="pretrain_stage works in batches of batch_size, in an order that the same generator draws again, with lr, and "
    "clears old gradients",
    hint="Which of the arguments reach your loop and your optimizer?",
    needs=(), parts=(THE_STEP, THE_LOOP),
)  # fmt: skip
def stage_arguments(ctx: Context) -> None:
    data = ctx.randn(23, WIDTHS[0])

    def batches(seed: int) -> tuple[list[list[int]], Handle]:
        encoders, decoders = layers(ctx)
        h = apply(encoders[0].state(), data)
        known = len(encoders[1].get("calls"))
        watch = clearing(ctx, encoders[1])
        before = encoders[1].state()
        with asking(OWN_INPUT):
            ctx.call(STAGE, encoders, decoders, 1, data, epochs=2, batch_size=8, lr=0.0, generator=Gen(seed))
        moved = any(not torch.equal(value, before[name]) for name, value in encoders[1].state().items())
        expect(not moved, "pretrain_stage with lr=0 changes weights", "no change", "other weights",
               hint=LEARNING_RATE)  # fmt: skip
        return learned_batches(encoders[1], h, known), watch

    first, watch = batches(ctx.seed)
    again, _ = batches(ctx.seed)
    sizes = [len(batch) for batch in first]
    expect(max(sizes, default=0) == 8, "pretrain_stage: the batches do not have batch_size=8 rows",
           "at most 8 rows, and 8 where there are enough", f"batches of {sizes[:8]}", hint=BATCH_SIZE)  # fmt: skip
    expect_cleared(watch, len(first), "pretrain_stage")
    # whether a stage shuffles is its own affair; if it does, the generator is what it draws from
    expect(first == again, "pretrain_stage: generators with the same seed give different orders",
           "with two generators of one seed, twice the same order",
           f"{begins(first)}, then {begins(again)}", hint=WHOSE_STREAM)  # fmt: skip
    encoders, decoders = layers(ctx)
    encoders[1] = Told(ctx, WIDTHS[1], WIDTHS[2], mode="any").model
    ctx.call(STAGE, encoders, decoders, 1, data, epochs=2, batch_size=6, lr=0.01)
    expect_unspoilt(encoders[1], "pretrain_stage", "where gradients of one batch are still there in the next",
                    hint=PILE_UP)  # fmt: skip
    expect_on_device(ctx, "pretrain_stage", STAGE, *layers(ctx), 1, data, batch_size=8, lr=0.01)


# ---- all stages -------------------------------------------------------------------------------------------------


@declare(
    id="q6.layerwise", question=6, kind="property", points=0.5, visibility="public",
    title="Layer-wise pre-training",
    asks="pretrain_layerwise trains stage after stage, each on the codes of the trained stages before it, which do not "
    "change any more, and returns the losses of every stage; epochs, batch_size, lr and generator reach every stage",
    hint="At which moment are the codes for stage 2 computed: before stage 1 has been trained, or after?",
    needs=(), parts=(THE_STEP, THE_LOOP, THE_STAGE),
)  # fmt: skip
def layerwise(ctx: Context) -> None:
    encoders, decoders = layers(ctx)
    data = ctx.randn(30, WIDTHS[0])
    at_first = [encoder.state() for encoder in encoders]
    # one batch is an epoch: how an epoch is cut into batches has its own checks
    with asking(OWN_INPUT):
        value = ctx.call(LAYERWISE, encoders, decoders, data, epochs=5, batch_size=30, lr=0.02, generator=Gen(ctx.seed))
    if not isinstance(value, list | tuple) or len(value) != 3:
        found = f"{len(value)} lists" if isinstance(value, list | tuple) else kind_of(value)
        raise Failure("pretrain_layerwise does not return one list per stage", "3 lists for 3 stages", found,
                      hint="How many stages are there, and does your loop come to each of them?")  # fmt: skip
    for stage, losses in enumerate(value):
        with asking(NUMBER_OF_EPOCHS):
            numbers = losses_of(losses, 5, f"the list of stage {stage}")
        expect(numbers[-1] < numbers[0], f"the loss of stage {stage} does not fall in 5 epochs",
               f"below {numbers[0]:.4g}", numbers[-1], hint="Does every stage learn?")  # fmt: skip
    h = stale = data
    for stage, encoder in enumerate(encoders):
        # an encoder's own stage is the one that goes through it with gradients; later ones only pass through
        own = learned_from(encoder)[:5]
        before = f"the codes that encoders[{stage - 1}] gives"
        if not same_rows(own, h):
            inputs = {
                f"{before} when its own stage is over": h,
                f"{before} before its own stage": stale,
                "the data": data,
            }
            raise Failure(
                f"stage {stage} is not trained on the codes of the trained stages before it",
                f"{before} when its own stage is over" if stage else "the data", seen_as(own, inputs),
                hint="At which moment are the codes for a stage computed, and which stages have been trained by then?",
            )  # fmt: skip
        h, stale = apply(encoder.state(), h), apply(at_first[stage], stale)
    arguments_reach(ctx, data)
    statistics_rest(ctx, data)


def arguments_reach(ctx: Context, data: Tensor) -> None:
    """What is asked for reaches every stage: lr = 0 changes nothing, batches have their size, the order is repeated."""

    def batches(seed: int) -> list[list[list[int]]]:
        encoders, decoders = layers(ctx)
        before = [encoder.state() for encoder in encoders]
        ctx.call(LAYERWISE, encoders, decoders, data, epochs=1, batch_size=7, lr=0.0, generator=Gen(seed))
        orders, h = [], data
        for stage, encoder in enumerate(encoders):
            moved = any(not torch.equal(value, before[stage][name]) for name, value in encoder.state().items())
            expect(not moved, f"stage {stage} of pretrain_layerwise learns with lr=0", "no change", "other weights",
                   hint="Which of the arguments does pretrain_layerwise hand on to its stages?")  # fmt: skip
            learned = learned_from(encoder)
            rows = sorted({len(x) for x in learned})
            expect(max(rows, default=0) <= 7, f"the batches of stage {stage} do not have batch_size=7 rows",
                   "at most 7", f"batches of {rows}", hint=BATCH_SIZE)  # fmt: skip
            orders.append([torch.cdist(x.double(), h).argmin(1).tolist() for x in learned])
            h = apply(encoder.state(), h)
        return orders

    first, again = batches(ctx.seed), batches(ctx.seed)
    differ = [f"stage {stage}" for stage in range(3) if first[stage] != again[stage]]
    expect(not differ, "pretrain_layerwise with generators of the same seed uses different orders",
           "the same order twice in every stage", f"different ones in {', '.join(differ)}",
           hint=WHOSE_STREAM)  # fmt: skip


def statistics_rest(ctx: Context, data: Tensor) -> None:
    """Running statistics move with the batches of an encoder's own stage, and not when its codes are handed on."""
    encoders, decoders = layers(ctx)
    norms = [ctx.new(TorchRef("nn.BatchNorm1d"), width).double() for width in WIDTHS[1:]]
    whole = [ctx.new(TorchRef("nn.Sequential"), *pair) for pair in zip(encoders, norms, strict=True)]
    ctx.call(LAYERWISE, whole, decoders, data, epochs=2, batch_size=10, lr=0.0)
    for stage, norm in enumerate(norms):
        batches = int(as_tensor(norm.state().get("num_batches_tracked"), (), "the batches that a layer counts"))
        # 2 epochs of 3 batches, and as often again where a batch goes through more than once
        expect(batches % 6 == 0, f"the running statistics of encoder {stage} go on changing when its own stage is over",
                   "statistics of 6 batches: 2 epochs of 3", f"statistics of {batches} batches",
                   hint="In which mode does a trained encoder make the codes for the next stage?")  # fmt: skip


# ---- the stack --------------------------------------------------------------------------------------------------


@declare(
    id="q6.stack", question=6, kind="property", points=0.25, visibility="public",
    title="Assembling the stack",
    asks="assemble_stack makes one module of the very layers given, each called as a whole: encoders in order, "
    "decoders in reverse order, forward returns (x_recon, z); all layers are part of the module and get gradients, and "
    "the lists stay as they are",
    hint="Which decoder undoes the last encoder? If you train the stack, do the layers in your lists change too?",
    needs=(),
)  # fmt: skip
def stack(ctx: Context) -> None:
    encoders, decoders = layers(ctx)
    whole = ctx.new(STACK, encoders, decoders)
    in_order = "Which decoder undoes the last encoder, and what does it hand to the next?"
    for turn in ("", ", after a layer of the lists has changed,"):
        x, z = ctx.randn(7, WIDTHS[0]), ctx.randn(8, WIDTHS[-1])
        code = x
        for encoder in encoders:
            code = apply(encoder.state(), code)
        recon, decoded = code, z
        for decoder in reversed(decoders):
            recon, decoded = apply(decoder.state(), recon), apply(decoder.state(), decoded)
        follows = "Are the layers in the stack those in your lists, or others that were once like them?"
        with asking(follows if turn else "Which encoder comes first, and what does it hand to the next?"):
            matches(ctx, whole.call("encode", x), code, FLOAT64, f"encode(x){turn}")
        with asking(follows if turn else in_order):
            matches(ctx, whole.call("decode", z), decoded, FLOAT64, f"decode(z){turn}")
        with asking("Which values should forward return, in which order?"):
            both = as_sequence(whole(x), 2, "forward(x)")
            matches(ctx, both[0], recon, FLOAT64, f"x_recon{turn}")
            matches(ctx, both[1], code, FLOAT64, f"z{turn}")
        for name, modules in (("encoders", encoders), ("decoders", decoders)):
            for at, module in enumerate(modules):
                expect(bool(module.get("calls")), f"the stack goes past {name}[{at}], a module that it is made of",
                       "its forward is called", "only what it consists of is called",
                       hint="Whose forward decides what a layer does: its own, or its parts'?")  # fmt: skip
        state = encoders[1].state()
        encoders[1].load({name: value + 1 for name, value in state.items()})
    count = len(whole.parameters())
    expect(count == 12, "the stack does not hold the parameters of all layers", "12: a weight and a bias of 6 layers",
           count,
           hint="Which of its attributes does a module look at when it is asked for its parameters?")  # fmt: skip
    found = ctx.session.vjp(whole, ctx.randn(5, WIDTHS[0]), cotangents=[((0,), None)], params=[*encoders, *decoders])
    names = [f"{name}[{at}]" for name in ("encoders", "decoders") for at in range(3)]
    missing = [name for name, grads in zip(names, found.params, strict=True) if None in grads.values()]
    expect(not missing, "the gradient of x_recon does not reach all layers", f"{', '.join(names)}",
           f"not {', '.join(missing)}", hint="On its way back from the reconstruction: where does the gradient "
           "stop?")  # fmt: skip
    _, after, _ = ctx.session.effects(STACK, encoders, decoders)
    for name, given, now in zip(("encoders", "decoders"), (encoders, decoders), after, strict=True):
        places = {module.number: f"{name}[{at}]" for at, module in enumerate(given)}
        found_there = [places.get(getattr(module, "number", -1), "another module") for module in now]
        expect(found_there == list(places.values()), f"assemble_stack changes the list {name} of its caller",
               ", ".join(places.values()), ", ".join(found_there),
               hint="Whose list is it, and what will the caller find in it afterwards?")  # fmt: skip


CHECKS: tuple[Check, ...] = (stage_target, stage_only, stage_arguments, layerwise, stack)
