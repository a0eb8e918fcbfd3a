"""Question 6, fourth part: checkpointing and mixed precision."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.devices import expect_on_device
from ...check.expectations import as_number, as_tensor, expect, matches, preserves
from ...check.failure import EXACT, FLOAT64, Failure, Tolerance, failure_of
from ...check.shown import kind_of, show
from ...check.values import DType, Handle, Params, Probe, Ref, StudentRaised, TorchRef
from ..shared.loops import PILE_UP, Known, asking, tells
from ..shared.told import Told, expect_told
from .models import CHECKPOINTED, LOSS, MIXED, sgd

LR, LEFT, SCALE = 0.5, 30.0, 1024.0  # of the optimizer; in every .grad when a step begins; of the gradient scaler
UNSCALED = "Who divides the scaled gradients again before the optimizer uses them?"
BFLOAT16 = Tolerance(
    0.03, 0.03, "bfloat16 keeps 8 bits: 2^-9 per rounding of weights, inputs and outputs of size about 3"
)


@declare(
    id="q6.checkpoint.gradients", question=6, kind="gradient", points=0.5, visibility="public",
    title="Checkpointing: same values and gradients",
    asks="checkpointed_forward gives the values and the gradients of the plain composition, also when x needs no "
    "gradient, and x needs none afterwards",
    hint="A batch of images needs no gradient: do the parameters still get theirs? Which variant of torch's checkpoint "
    "promises that?",
    needs=(),
)  # fmt: skip
def checkpoint_gradients(ctx: Context) -> None:
    twins = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    handles = [
        ctx.new(TorchRef("nn.Linear"), 4, 6).double(),
        ctx.new(TorchRef("nn.Tanh")),
        ctx.new(TorchRef("nn.Linear"), 6, 3).double(),
    ]
    with torch.no_grad():
        for parameter in twins.parameters():
            parameter.copy_(ctx.randn(*parameter.shape))
    for twin, handle in zip(twins, handles, strict=True):
        handle.load(twin.state_dict())
    names = [f"layers[{at}].{name}" for at, twin in enumerate(twins) for name, _ in twin.named_parameters()]
    for needs_gradient in (True, False):
        x, weights = ctx.randn(5, 4).requires_grad_(), ctx.randn(5, 3)
        wanted = twins(x)
        grads = torch.autograd.grad((wanted * weights).sum(), [x, *twins.parameters()])
        with asking("Which variants of checkpoint does torch offer, and which of them works whatever x needs?"):
            found = ctx.session.vjp(
                CHECKPOINTED, handles, x.detach(), wrt=(1,) if needs_gradient else (), params=handles,
                cotangents=[((), weights)],
            )  # fmt: skip
        matches(ctx, found.value, wanted.detach(), FLOAT64, "the value of checkpointed_forward",
                hint="Which layers are applied, and in which order?")  # fmt: skip
        got = dict(zip(names, (grad for named in found.params for grad in named.values()), strict=True))
        if needs_gradient:
            got = {"x": found.args[1], **got}
        expect_all_reached(got, "" if needs_gradient else ", when x needs none,")
        for name, expected in zip(got, grads if needs_gradient else grads[1:], strict=True):
            matches(ctx, got[name], expected, FLOAT64, f"the gradient of {name}",
                    hint="What is computed again in the backward pass: the same that the forward pass "
                    "computed?")  # fmt: skip
    asked = ctx.call(Probe("requires_left"), Ref(CHECKPOINTED), handles, ctx.randn(5, 4))
    expect(asked is False, "x requires a gradient after the call, which it did not before", "x as it was",
               "requires_grad = True",
               hint="Whose tensor is x, and what has become of it when you return?")  # fmt: skip
    expect_on_device(ctx, "checkpointed_forward", CHECKPOINTED, handles, ctx.randn(5, 4))


def expect_all_reached(got: Mapping[str, Tensor | None], when: str) -> None:
    """Every one of these gets a gradient."""
    without = [name for name, grad in got.items() if grad is None]
    if not without:
        return
    hint = "At which layer is the way from the result back to x cut off?"
    if len(without) == len(got) and when:
        hint = "A batch of images needs no gradient: which variant of torch's checkpoint works for it, too?"
    elif len(without) == len(got):
        hint = "What does autograd keep of a computation for which gradients are switched off?"
    raise Failure(f"the result{when or ' of checkpointed_forward'} has no gradient for some of what it depends on",
                  f"a gradient for each of {', '.join(got)}", f"none for {', '.join(without)}", hint=hint)  # fmt: skip


@declare(
    id="q6.checkpoint.memory", question=6, kind="property", points=0.25, visibility="hidden",
    title="Checkpointing: less memory",
    asks="far less is kept than by the plain composition; what lies inside a layer is computed again in the backward "
    "pass, with the same dropout mask",
    hint="What do you gain if every activation is still there when the backward pass begins?",
    needs=("q6.checkpoint.gradients",),
)  # fmt: skip
def checkpoint_memory(ctx: Context) -> None:
    # the first part of each layer is recorded: torch stops recomputing as soon as it has what the gradient needs
    firsts = [ctx.new(Probe("Recorder"), ctx.new(TorchRef("nn.Linear"), 8, 200)) for _ in range(4)]
    chain = [
        ctx.new(TorchRef("nn.Sequential"), first, ctx.new(TorchRef("nn.Tanh")), ctx.new(TorchRef("nn.Linear"), 200, 8))
        for first in firsts
    ]
    x = ctx.randn(50, 8, dtype=torch.float32)
    plain = ctx.session.saved_bytes(ctx.new(TorchRef("nn.Sequential"), *chain), x, params=chain)
    kept = ctx.session.saved_bytes(CHECKPOINTED, chain, x, params=chain)
    # torch's checkpoint_sequential leaves the last layer alone, since its activations are needed first: a quarter here
    most = round(0.4 * plain)
    expect(kept <= most, "activations inside the layers are kept for the backward pass",
           f"at most {most} bytes of the {plain} that the plain composition keeps", f"{kept} bytes",
           hint="What do you gain if every activation is still there when the backward pass begins?")  # fmt: skip
    before = [len(part.get("calls")) for part in firsts]
    ctx.session.vjp(CHECKPOINTED, chain, x, params=chain)
    again = [len(part.get("calls")) - count for part, count in zip(firsts, before, strict=True)]
    expect(min(again[:-1]) >= 2, "a layer is not computed again in the backward pass", "2 passes through each layer",
           f"{again} passes",
           hint="Where do activations that nobody has kept come from when the backward pass needs them?")  # fmt: skip
    links = [
        ctx.new(TorchRef("nn.Sequential"), ctx.new(Probe("Fading")), ctx.new(TorchRef("nn.Tanh"))) for _ in range(4)
    ]
    point = ctx.rand(30, low=0.5, high=1.5).requires_grad_()
    once = torch.autograd.grad(point.tanh().tanh().tanh().tanh().sum(), point)[0]
    slope = as_tensor(
        ctx.session.vjp(CHECKPOINTED, links, point.detach(), wrt=(1,)).args[1], (30,), "the gradient to x"
    )
    passes = float((slope / once).min())
    expect(passes > 7.9, "layers whose gradient tells how often they were computed are not computed again",
           "a gradient of layers that were computed twice, but for the last", f"a product of {passes:.3g} passes",
           hint="Where do activations that nobody has kept come from when the backward pass needs them?")  # fmt: skip
    # y = mask·x/(1-p) and its gradient is mask/(1-p): the two masks must agree
    dropout, point = [ctx.new(TorchRef("nn.Dropout"), 0.5)], ctx.rand(400, low=1.0, high=2.0)
    found = ctx.session.vjp(CHECKPOINTED, dropout, point, wrt=(1,))
    grad, value = as_tensor(found.args[1], (400,), "the gradient through dropout"), as_tensor(found.value, (400,), "y")
    other = int(((grad != 0) != (value != 0)).sum())
    expect(other == 0, "through a dropout layer, the backward pass uses another mask than the forward pass",
           "value and gradient are 0 at the same places",
           f"at {other} of 400 places one of them is 0 and the other not",
           hint="What has a layer that draws to do if it is computed a second time?")  # fmt: skip
    matches(ctx, value, point * grad, FLOAT64, "a dropout layer's value, against its gradient times x",
            hint="What has a layer that draws to do if it is computed a second time?")  # fmt: skip


@declare(
    id="q6.mixed.step", question=6, kind="property", points=0.5, visibility="public",
    title="Mixed precision: the step",
    asks="mixed_precision_step runs the forward pass under autocast to `dtype` in training mode, computes the loss "
    "from float32 values, clears old gradients, and makes one step on float32 parameters",
    hint="In which precision does the layer answer, in which does the loss want its numbers, and in which do the "
    "weights stay? What did a plain step have to clear first?",
    needs=(),
)  # fmt: skip
def mixed_step(ctx: Context) -> None:
    state = {"weight": ctx.randn(3, 3, dtype=torch.float32), "bias": ctx.randn(3, dtype=torch.float32)}
    inner = ctx.new(TorchRef("nn.Linear"), 3, 3)
    inner.load(state)
    model, loss = ctx.new(Probe("Recorder"), inner), ctx.new(Probe("NotingLoss"))
    optimizer = ctx.new(TorchRef("optim.SGD"), Params(model), lr=LR)
    ctx.call(Probe("leave_gradients"), model, LEFT)
    model.eval()
    x = ctx.randn(4, 3, dtype=torch.float32)
    value = preserves(ctx, MIXED, model, x, loss, optimizer)
    if not isinstance(value, float):
        raise Failure("mixed_precision_step does not return a float", "a Python float", kind_of(value),
                      hint="What else does a tensor of shape () hold on to, besides its number?")  # fmt: skip
    calls, told = model.get("calls"), loss.get("calls")
    expect(bool(calls) and bool(told),
           "mixed_precision_step does not call the model and loss_fn", "one call of each", "none",
           hint="Who computes the output, and who the loss?")  # fmt: skip
    call, given, now = calls[0], told[-1], inner.state()
    for name, parameter in now.items():
        expect(parameter.dtype == torch.float32, f"the model's {name} is in lower precision after the step",
               "float32, as before", str(parameter.dtype),
               hint="What does autocast change: the weights, or what is computed with them?")  # fmt: skip
    expect(call["dtype"] == "bfloat16", "the forward pass is not in lower precision", "outputs in bfloat16 by default",
           call["dtype"], hint="Which part of the step runs under autocast, and is autocast on?")  # fmt: skip
    expect(call["training"] is True, "the forward pass of a model that came in evaluation mode is not in training mode",
           "training mode", "evaluation mode, as before",
           hint="What else does a training step do before its forward pass?")  # fmt: skip
    expect(given["autocast"] is False, "the loss is computed under autocast", "the forward pass only", "both",
               hint="Which part of a step may be in low precision, and where does that part end?")  # fmt: skip
    expect(given["output"] == "torch.float32" and given["batch"] == "torch.float32",
           "the loss is not computed from float32 values", "output and batch in torch.float32",
           f"output in {given['output']}, batch in {given['batch']}",
           hint="In which precision does a layer answer under autocast, and in which does the loss want its "
           "numbers?")  # fmt: skip
    matches(ctx, (loss.get("batches") or [None])[-1], x, EXACT, "the batch that loss_fn gets",
                hint="Through which precisions does the target go on its way to the loss?")  # fmt: skip
    low = F.linear(x.bfloat16(), state["weight"].bfloat16(), state["bias"].bfloat16()).float()
    matches(ctx, value, float((low - x).square().mean()), BFLOAT16, "the loss that the step returns",
            hint="Is this the loss before the update, or after it?")  # fmt: skip
    expect_step(ctx, state, now, x, "mixed_precision_step")
    several_outputs(ctx, loss, ctx.randn(6, 4, dtype=torch.float32))
    ctx.call(MIXED, model, x, loss, optimizer, dtype=DType("float16"))
    kind = next((call["dtype"] for call in reversed(model.get("calls"))), "no call")
    expect(kind == "float16", "with dtype=torch.float16, the forward pass is in another precision", "float16", kind,
           hint="Which of the arguments decides about the precision?")  # fmt: skip
    # a model that says again what it is told: its error is what the precision of the forward pass takes from 1.00220
    for options, off in (({}, FINE), ({"dtype": DType("float16")}, FINER)):
        told = echo(ctx, "training")
        value = ctx.call(MIXED, told.model.eval(), SAID, told.loss, sgd(ctx, told.model, lr=LR), **options)
        expect_told(ctx, value, off**2, FLOAT64, f"the loss of a step in {'float16' if options else 'bfloat16'}",
                    "in evaluation mode", hint="Which part of a step is in low precision, in which one, and where does "
                    "that part end?")  # fmt: skip


# 1 + 2^-9 + 2^-12: bfloat16 knows 1 of it, float16 all but 2^-12, float32 everything
SAID = torch.full((2, 3), 1 + 2.0**-9 + 2.0**-12)
FINE, FINER = 2.0**-9 + 2.0**-12, 2.0**-12


def echo(ctx: Context, mode: str) -> Told:
    """A model that answers what it is asked, in its precision, and its other sign in the wrong mode."""
    told = Told(ctx, 3, dtype=torch.float32, mode=mode, pair=True)
    told.model.load({"weight": torch.eye(3), "bias": torch.zeros(3)})
    return told


def expect_step(
    ctx: Context, state: Mapping[str, Tensor], now: Mapping[str, Tensor], x: Tensor, what: str, scale: float = 1.0
) -> None:
    """One step on the gradient of this batch alone was made, up to the rounding of the lower precision."""
    weight, bias = (state[name].clone().requires_grad_() for name in ("weight", "bias"))
    grads = torch.autograd.grad((F.linear(x, weight, bias) - x).square().mean(), (weight, bias))
    for name, grad in zip(("weight", "bias"), grads, strict=True):
        old = state[name]
        known = [
            Known("a step along the sum of this batch's gradient and the old ones, which were there before the call",
                  PILE_UP, old - LR * (grad + LEFT)),
            Known("what it was before the step", "What is in .grad at the moment in which the optimizer steps, and "
                  "does it step?", old),
        ]  # fmt: skip
        if scale != 1:
            known.append(Known(f"a step along {scale:g} times the gradient", UNSCALED, old - LR * scale * grad))
        tells(ctx, now[name], old - LR * grad, BFLOAT16, f"the {name} after a step of {what}", known,
              hint="Along which gradient does the optimizer step, and how often?")  # fmt: skip


def several_outputs(ctx: Context, loss: Handle, x: Tensor) -> None:
    """Of a model that returns a reconstruction, a code and integers, what is floating-point becomes float32."""
    parts = [*(ctx.new(TorchRef("nn.Linear"), 4, 4) for _ in range(2)), ctx.new(Probe("Largest"))]
    model = ctx.new(Probe("Several"), parts)
    ctx.call(MIXED, model, x, loss, ctx.new(TorchRef("optim.SGD"), Params(model), lr=0.5))
    told = [call["outputs"] for call in loss.get("calls")]
    *kinds, whole = told[-1] if told and told[-1] else [""]
    expect(kinds == ["torch.float32"] * 2, "the loss of a model with several outputs is not computed from float32 "
               "values", "every floating-point output in torch.float32", ", ".join(kinds),
               hint="What happens to a model's outputs before the loss if there are several, in a tuple?")  # fmt: skip
    expect(whole == "torch.int64", "an output of integers does not reach the loss as it is", "torch.int64", whole,
               hint="Which of a model's outputs may be indices, and what would a loss do with them?")  # fmt: skip


@declare(
    id="q6.mixed.scaler", question=6, kind="property", points=0.25, visibility="hidden",
    title="Mixed precision: the gradient scaler",
    asks="a GradScaler that is given scales the loss, unscales the step, skips a step with infinite gradients and is "
    "updated; the loss returned is not scaled, and the forward pass runs in `dtype` as ever",
    hint="Three calls belong to a scaler: which one is missing, and what happens to a gradient that overflows?",
    needs=(),
)  # fmt: skip
def mixed_scaler(ctx: Context) -> None:
    x = ctx.randn(4, 3, dtype=torch.float32)
    inner = ctx.new(TorchRef("nn.Linear"), 3, 3)
    state = {"weight": ctx.randn(3, 3, dtype=torch.float32), "bias": ctx.randn(3, dtype=torch.float32)}
    inner.load(state)
    model = ctx.new(Probe("Recorder"), inner)
    optimizer = ctx.new(TorchRef("optim.SGD"), Params(inner), lr=LR)
    scaler = ctx.new(Probe("NotingScaler"), "cpu", init_scale=SCALE)
    plain = prepares(ctx, x)
    model.train(not plain)  # what a step forgets without a scaler, too, is asked elsewhere
    ctx.call(Probe("leave_gradients"), model, LEFT * SCALE * plain)
    try:
        value = ctx.call(MIXED, model, x, LOSS, optimizer, scaler=scaler)
    except StudentRaised as raised:
        failure = failure_of(raised, {})
        asked = ", ".join(scaler.get("asked")) or "nothing"
        failure.message, failure.hint = f"{failure.message}; asked of the scaler: {asked}", of_scaler(scaler)
        raise failure from None
    calls = model.get("calls")
    expect(bool(calls), "mixed_precision_step does not call the model", "one call", "none",
           hint="Who computes the output?")  # fmt: skip
    call = calls[0]
    expect(call["dtype"] in ("bfloat16", "float32"), "with a scaler the forward pass is not in `dtype`", "bfloat16",
           call["dtype"],
           hint="What decides about the precision of the forward pass: dtype, or the scaler?")  # fmt: skip
    expect(call["training"] is True, "with a scaler, the forward pass of a model that came in evaluation mode is not "
           "in training mode", "training mode", "evaluation mode, as before",
           hint="What does a training step do before its forward pass, with a scaler and without?")  # fmt: skip
    loss = float((F.linear(x, state["weight"], state["bias"]) - x).square().mean())
    known = [Known(f"{SCALE:g} times the loss", "Which loss does a caller want to see: that of the model, or that of "
                   "the scaler?", SCALE * loss)]  # fmt: skip
    tells(ctx, value, loss, BFLOAT16, "the loss returned with a scaler", known,
          hint="Is this the loss before the update, and without the scale?")  # fmt: skip
    expect_step(ctx, state, inner.state(), x, "mixed_precision_step with a scaler", SCALE)
    before = inner.state()
    with asking(of_scaler(scaler)):
        ctx.call(MIXED, model, torch.full_like(x, 1e25), LOSS, optimizer, scaler=scaler)  # its square is not a float32
    hint = of_scaler(scaler)
    for name, old in before.items():
        now, asked = inner.state()[name], ", ".join(scaler.get("asked")) or "nothing"
        expect(torch.equal(now, old), f"a step with infinite gradients changes the {name}, though a scaler is given",
               "no change", f"{show(now)[:60]} …; asked of the scaler: {asked}", hint=hint)  # fmt: skip
    scale = scaler.call("get_scale")
    told = echo(ctx, "any" if plain else "training")
    optimizer = ctx.new(TorchRef("optim.SGD"), Params(told.model), lr=LR)
    value = as_number(ctx.call(MIXED, told.model.train(plain is False), SAID, told.loss, optimizer, scaler=scaler),
                      "the loss of a step with a scaler")  # fmt: skip
    # float32 rounding of a loss of 5e-6 is below 1e-12
    expect(min(abs(value - FINE**2), abs(value)) < 1e-9, "with a scaler the forward pass is not in `dtype` and in "
           "training mode", f"a loss of {FINE**2:.3g} from bfloat16", f"{value:.3g}",
           hint="What decides about the precision of the forward pass: dtype, or the scaler?")  # fmt: skip
    expect(scale < SCALE, "the scaler is not updated after a step with infinite gradients",
           f"a scale below {SCALE:g}", f"{scale:g}", hint=hint)  # fmt: skip


def prepares(ctx: Context, x: Tensor) -> bool:
    """Whether a step without a scaler sets the mode and clears old gradients."""
    inner = ctx.new(TorchRef("nn.Linear"), 3, 3)
    model = ctx.new(Probe("Recorder"), inner).eval()
    ctx.call(Probe("leave_gradients"), model, 1e6)
    ctx.call(MIXED, model, x, LOSS, ctx.new(TorchRef("optim.SGD"), Params(inner), lr=LR))
    return all(call["training"] for call in model.get("calls")[:1]) and float(inner.state()["weight"].abs().max()) < 1e4


def of_scaler(scaler: Handle) -> str:
    """The question about what the scaler has not been asked."""
    asked = set(scaler.get("asked"))
    if "scale" not in asked:
        return "What is a scaler to do before the backward pass, and who asks it?"
    if "step" not in asked:
        return UNSCALED
    if "update" not in asked:
        return "When does the scaler learn from a step, so that it can choose the next scale?"
    return "What happens to a gradient that overflows, and what does the scaler conclude from it?"


CHECKS: tuple[Check, ...] = (checkpoint_gradients, checkpoint_memory, mixed_step, mixed_scaler)
