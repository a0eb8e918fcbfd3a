"""Question 6, fourth part: checkpointing and mixed precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...check.context import Context
from ...check.declaration import Check, declare
from ...check.expectations import as_tensor, expect, matches, preserves
from ...check.failure import EXACT, FLOAT64, Failure, Tolerance
from ...check.values import DType, Handle, Params, Probe, Ref, TorchRef
from .fit import LOSS

CHECKPOINTED, MIXED = "training.checkpointed_forward", "training.mixed_precision_step"

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
    for needs_gradient in (True, False):
        x, weights = ctx.randn(5, 4).requires_grad_(), ctx.randn(5, 3)
        wanted = twins(x)
        grads = torch.autograd.grad((wanted * weights).sum(), [x, *twins.parameters()])
        found = ctx.session.vjp(
            CHECKPOINTED,
            handles,
            x.detach(),
            wrt=(1,) if needs_gradient else (),
            params=handles,
            cotangents=[((), weights)],
        )
        matches(ctx, found.value, wanted.detach(), FLOAT64, "the value")
        where = "" if needs_gradient else ", when x needs none"
        if needs_gradient:
            matches(ctx, found.args[1], grads[0], FLOAT64, "the gradient of x")
        got = [grad for named in found.params for grad in named.values()]
        for actual, expected in zip(got, grads[1:], strict=True):
            if actual is None:
                raise Failure(f"a parameter gets no gradient{where}", "a gradient", "None")
            matches(ctx, actual, expected, FLOAT64, f"the gradient of a parameter{where}")
    asked = ctx.call(Probe("requires_left"), Ref(CHECKPOINTED), handles, ctx.randn(5, 4))
    expect(asked is False, "x requires a gradient after the call, which it did not before", "x as it was",
               "requires_grad = True",
               hint="Whose tensor is x, and what has become of it when you return?")  # fmt: skip


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
    expect(kept <= most, "activations inside the layers are kept", f"at most {most} bytes of {plain}", f"{kept} bytes")
    before = [len(part.get("calls")) for part in firsts]
    ctx.session.vjp(CHECKPOINTED, chain, x, params=chain)
    again = [len(part.get("calls")) - count for part, count in zip(firsts, before, strict=True)]
    expect(
        min(again[:-1]) >= 2, "a layer is not computed again in the backward pass", "2 passes through each layer", again
    )
    # y = mask·x/(1-p) and its gradient is mask/(1-p): the two masks must agree
    dropout, point = [ctx.new(TorchRef("nn.Dropout"), 0.5)], ctx.rand(400, low=1.0, high=2.0)
    found = ctx.session.vjp(CHECKPOINTED, dropout, point, wrt=(1,))
    grad = as_tensor(found.args[1], (400,), "the gradient through dropout")
    matches(ctx, found.value, point * grad, FLOAT64, "a dropout layer's value, against its gradient times x")


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
    state = {"weight": ctx.randn(4, 4, dtype=torch.float32), "bias": ctx.randn(4, dtype=torch.float32)}
    inner = ctx.new(TorchRef("nn.Linear"), 4, 4)
    inner.load(state)
    model, loss = ctx.new(Probe("Recorder"), inner), ctx.new(Probe("NotingLoss"))
    optimizer = ctx.new(TorchRef("optim.SGD"), Params(model), lr=0.5)
    ctx.call(Probe("leave_gradients"), model, 30.0)
    model.eval()
    x = ctx.randn(6, 4, dtype=torch.float32)
    value = preserves(ctx, MIXED, model, x, loss, optimizer)
    call, given = model.get("calls")[0], loss.get("calls")[-1]
    expect(
        call["dtype"] == "bfloat16", "the forward pass is not in lower precision", "bfloat16 by default", call["dtype"]
    )
    expect(call["training"] is True, "the forward pass is not in training mode", "training", "evaluation")
    expect(
        given["output"] == "torch.float32" and given["batch"] == "torch.float32",
        "the loss is not computed from float32 values",
        "output and batch in torch.float32",
        f"output in {given['output']}, batch in {given['batch']}",
    )
    expect(given["autocast"] is False, "the loss is computed under autocast", "the forward pass only", "both",
               hint="Which part of a step may be in low precision, and where does that part end?")  # fmt: skip
    matches(ctx, loss.get("batches")[-1], x, EXACT, "the batch that loss_fn gets",
                hint="Through which precisions does the target go on its way to the loss?")  # fmt: skip
    several_outputs(ctx, loss, x)
    low = F.linear(x.bfloat16(), state["weight"].bfloat16(), state["bias"].bfloat16()).float()
    matches(ctx, value, float((low - x).square().mean()), BFLOAT16, "the loss before the update")
    weight, bias = state["weight"].requires_grad_(), state["bias"].requires_grad_()
    grads = torch.autograd.grad((F.linear(x, weight, bias) - x).square().mean(), (weight, bias))
    now = inner.state()
    for name, old, grad in (("weight", weight, grads[0]), ("bias", bias, grads[1])):
        matches(ctx, now[name], (old - 0.5 * grad).detach(), BFLOAT16, f"the {name} after the step")
    ctx.call(MIXED, model, x, loss, optimizer, dtype=DType("float16"))
    kind = model.get("calls")[-1]["dtype"]
    expect(kind == "float16", "the forward pass does not use the dtype that is asked for", "float16", kind)


def several_outputs(ctx: Context, loss: Handle, x: Tensor) -> None:
    """Of a model that returns a reconstruction, a code and integers, what is floating-point becomes float32."""
    parts = [*(ctx.new(TorchRef("nn.Linear"), 4, 4) for _ in range(2)), ctx.new(Probe("Largest"))]
    model = ctx.new(Probe("Several"), parts)
    ctx.call(MIXED, model, x, loss, ctx.new(TorchRef("optim.SGD"), Params(model), lr=0.5))
    *kinds, whole = loss.get("calls")[-1]["outputs"]
    expect(kinds == ["torch.float32"] * 2, "the loss of a model with several outputs is not computed from float32 "
               "values", "every floating-point output in torch.float32", ", ".join(kinds))  # fmt: skip
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
    x = ctx.randn(6, 4, dtype=torch.float32)
    inner = ctx.new(TorchRef("nn.Linear"), 4, 4)
    state = {"weight": ctx.randn(4, 4, dtype=torch.float32), "bias": ctx.randn(4, dtype=torch.float32)}
    inner.load(state)
    model = ctx.new(Probe("Recorder"), inner)
    optimizer = ctx.new(TorchRef("optim.SGD"), Params(inner), lr=0.5)
    scaler = ctx.new(TorchRef("amp.GradScaler"), "cpu", init_scale=1024.0)
    value = ctx.call(MIXED, model, x, LOSS, optimizer, scaler=scaler)
    kind = model.get("calls")[0]["dtype"]
    expect(kind in ("bfloat16", "float32"), "with a scaler the forward pass is not in `dtype`", "bfloat16", kind,
               hint="What decides about the precision of the forward pass: dtype, or the scaler?")  # fmt: skip
    weight = state["weight"].clone().requires_grad_()
    loss = (F.linear(x, weight, state["bias"]) - x).square().mean()
    matches(ctx, value, loss.item(), BFLOAT16, "the loss returned with a scaler")
    wanted = state["weight"] - 0.5 * torch.autograd.grad(loss, weight)[0]
    matches(ctx, inner.state()["weight"], wanted.detach(), BFLOAT16, "the weight after a step with a scaler")
    before = inner.state()
    ctx.call(MIXED, model, torch.full_like(x, 1e25), LOSS, optimizer, scaler=scaler)  # its square is not a float32
    for name, old in before.items():
        matches(ctx, inner.state()[name], old, EXACT, f"the {name} after a step with infinite gradients")
    scale = scaler.call("get_scale")
    expect(scale < 1024.0, "the scaler is not updated after a step with infinite gradients", "a smaller scale", scale)


CHECKS: tuple[Check, ...] = (checkpoint_gradients, checkpoint_memory, mixed_step, mixed_scaler)
