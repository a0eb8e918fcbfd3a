"""Weight decay."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.expectations import matches
from ...check.failure import FLOAT64
from ...check.shown import misread
from ...check.values import Probe, TorchRef


@declare(
    id="q6.decay", question=6, kind="gradient", points=0.25, visibility="public",
    title="Weight decay",
    asks="weight_decay_penalty is coefficient/2 times the sum of squares of all parameters with two or more "
    "dimensions, whatever they are called and each of them once, and its gradient follows",
    hint="Which parameters are weights and which are biases? What is the derivative of your penalty with respect to "
    "one weight?",
    needs=(),
)  # fmt: skip
def decay(ctx: Context) -> None:
    parts = [
        ctx.new(TorchRef("nn.Conv2d"), 2, 3, 2),
        ctx.new(TorchRef("nn.BatchNorm2d"), 3),
        ctx.new(TorchRef("nn.Linear"), 5, 4),
        ctx.new(TorchRef("nn.GRU"), 3, 2),  # its weights are called weight_ih_l0 and weight_hh_l0
        ctx.new(Probe("Tied"), 3),
        ctx.new(TorchRef("nn.Linear"), 2, 3),
    ]
    model = ctx.new(TorchRef("nn.Sequential"), *parts).double()
    state = {k: ctx.randn(*v.shape) if v.is_floating_point() else v for k, v in model.state().items()}
    state["5.weight"] = torch.zeros_like(state["5.weight"])  # there the penalty has a gradient too, 0
    model.load(state)
    state = model.state()  # a weight with two names has one value
    coefficient = float(ctx.rand(1, low=0.1, high=2.0))
    parameters = {name: state[name] for name in model.parameters()}
    weights = {name: value for name, value in parameters.items() if value.ndim >= 2}
    tied = {name: value for name, value in state.items() if value.ndim >= 2}

    def penalty(of: Mapping[str, Tensor]) -> Tensor:
        return coefficient / 2 * torch.stack([value.square().sum() for value in of.values()]).sum()

    found = ctx.session.vjp("training.weight_decay_penalty", model, coefficient, params=[model])
    hint = misread(found.value, {
        "Your value is exactly twice the expected one: what is the derivative of w²?": 2 * penalty(weights),
        "Should a bias, or the scale of a normalisation, be drawn to 0?": penalty(parameters),
        "Is this a norm, or a squared norm?": coefficient / 2 * torch.stack([v.norm() for v in weights.values()]).sum(),
        "What makes a parameter a weight: what it is called?":
            penalty({name: value for name, value in weights.items() if name.endswith("weight")}),
        "How often should a weight count that two layers share?": penalty(tied),
    })  # fmt: skip
    matches(ctx, found.value, penalty(weights), FLOAT64, "the penalty", hint=hint)
    for name, grad in found.params[0].items():
        if name in weights:
            matches(ctx, grad, coefficient * weights[name], FLOAT64, f"the gradient of {name}")
        elif grad is not None:
            matches(ctx, grad, torch.zeros_like(state[name]), FLOAT64, f"the gradient of {name}")
