"""Weight decay."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...check.context import Context
from ...check.declaration import declare
from ...check.devices import expect_on_device
from ...check.expectations import matches
from ...check.failure import FLOAT64, Failure
from ...check.values import Probe, TorchRef
from ..shared.loops import Known, tells

DECAY = "training.weight_decay_penalty"


@declare(
    id="q6.decay", question=6, kind="gradient", points=0.25, visibility="public",
    title="Weight decay",
    asks="weight_decay_penalty is coefficient/2 times the sum of squares of all parameters with two or more "
    "dimensions, whatever they are called and each of them once, and its gradient follows",
    hint="Which parameters are weights and which are biases?",
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
    coefficient = float(ctx.rand(1, low=0.1, high=0.9)) + float(ctx.randint(0, 2, 1))  # neither 1 nor its own square
    parameters = {name: state[name] for name in model.parameters()}
    weights = {name: value for name, value in parameters.items() if value.ndim >= 2}

    def half(squares: Tensor) -> Tensor:
        return coefficient / 2 * squares

    def penalty(of: Mapping[str, Tensor]) -> Tensor:
        return half(torch.stack([value.square().sum() for value in of.values()]).sum())

    def those(*dims: int, ending: str = "") -> dict[str, Tensor]:
        return {name: value for name, value in weights.items() if value.ndim in dims and name.endswith(ending)}

    norms = torch.stack([value.norm() for value in weights.values()])
    means = torch.stack([value.square().mean() for value in weights.values()])
    tied = {name: value for name, value in state.items() if value.ndim >= 2}
    known = [
        Known("twice the expected", "What is the derivative of w², and what is the half for?", 2 * penalty(weights)),
        Known("half of the expected", "How often do you halve?", penalty(weights) / 2),
        Known("coefficient/2 times the sum of squares of all parameters, biases and normalisation scales with them",
              "Should a bias, or the scale of a normalisation, be drawn to 0?", penalty(parameters)),
        Known("coefficient/2 times a sum of norms", "Is this a norm, or a squared norm?", half(norms.sum())),
        Known("coefficient/2 times the norm of all weights together", "Is this a norm, or a squared norm?",
              half(norms.square().sum().sqrt())),
        Known("coefficient/2 times a sum of means of squares", "Is it a sum or a mean over the entries of a weight?",
              half(means.sum())),
        Known("coefficient/2 times a sum of absolute values", "Which norm of the weights is squared here?",
              half(torch.stack([value.abs().sum() for value in weights.values()]).sum())),
        Known("coefficient/2 times the squares of the matrices alone", "How many dimensions has the weight of a "
              "convolution?", penalty(those(2))),
        Known("coefficient/2 times the squares of the convolutions alone", "How many dimensions has the weight of a "
              "linear layer?", penalty(those(3, 4, 5))),
        Known("coefficient/2 times the squares of what is called weight", "What makes a parameter a weight: what it "
              "is called?", penalty(those(2, 3, 4, ending="weight"))),
        Known("the expected, with the weight that two layers share counted twice", "How often should a weight count "
              "that two layers share?", penalty(tied)),
        Known("the expected without its coefficient", "Which of the arguments does the penalty depend on?",
              penalty(weights) / coefficient),
    ]  # fmt: skip
    found = ctx.session.vjp(DECAY, model, coefficient, params=[model])
    tells(ctx, found.value, penalty(weights), FLOAT64, "the penalty", known,
          hint="Which parameters are weights, and what of each of them is added up?")  # fmt: skip
    grads = found.params[0]
    if all(grad is None for grad in grads.values()):
        raise Failure("the penalty has no gradient", f"coefficient · W, here {coefficient:.3g} · W, for every weight W",
                      "none reaches any parameter", hint="On which step from the weights to the penalty does autograd "
                      "lose sight of them?")  # fmt: skip
    for name, grad in grads.items():
        if name in weights:
            known = [Known("twice the expected", "What is the derivative of w²?", 2 * coefficient * weights[name])]
            tells(ctx, grad, coefficient * weights[name], FLOAT64,
                  f"the gradient of {'a weight that is 0' if name.startswith('5') else name}", known,
                  hint="What is the slope of your formula where a weight is 0?" if name.startswith("5") else
                  "What is the derivative of your penalty with respect to one weight?")  # fmt: skip
        elif grad is not None:
            matches(ctx, grad, torch.zeros_like(state[name]), FLOAT64, f"the gradient of {name}",
                    hint="Should a bias, or the scale of a normalisation, be drawn to 0?")  # fmt: skip
    expect_on_device(ctx, "weight_decay_penalty", DECAY, ctx.new(TorchRef("nn.Linear"), 2, 3), coefficient)
