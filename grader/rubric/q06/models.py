"""Names of what Question 6 asks for, and models with known weights."""

from __future__ import annotations

import torch
from torch import Tensor

from ...check.context import Context
from ...check.parts import Part
from ...check.values import Handle, Params, Probe, TorchRef

STEP, EVALUATE, FIT, STOPPING = "training.train_step", "training.evaluate", "training.fit", "training.EarlyStopping"
CHECKPOINTED, MIXED = "training.checkpointed_forward", "training.mixed_precision_step"
STAGE, LAYERWISE, STACK = "training.pretrain_stage", "training.pretrain_layerwise", "training.assemble_stack"
LOSS = Probe("mse_of_first")

# parts that other parts of training.py may build on, and the checks in which each has its own points
THE_STEP = Part(STEP, "train_step", ("q6.step.update", "q6.step.mode"))
THE_EVALUATION = Part(EVALUATE, "evaluate", ("q6.evaluate.value", "q6.evaluate.state"))
THE_STOPPING = Part(STOPPING, "EarlyStopping", ("q6.stopping.patience", "q6.stopping.edges"))
THE_LOOP = Part(FIT, "fit", ("q6.fit.order", "q6.fit.history", "q6.fit.modes"))
THE_STAGE = Part(STAGE, "pretrain_stage",
                 ("q6.stage.only", "q6.stage.target", "q6.stage.arguments"))  # fmt: skip


def linear(ctx: Context, size: int, dtype: torch.dtype = torch.float64) -> tuple[Handle, dict[str, Tensor]]:
    """A linear map of `size` numbers to as many, with weights of our own."""
    model = ctx.new(TorchRef("nn.Linear"), size, size).double()
    state = {"weight": ctx.randn(size, size), "bias": ctx.randn(size)}
    model.load(state)
    if dtype == torch.float32:
        model.call("float")
        state = {name: value.float() for name, value in state.items()}
    return model, state


def sgd(ctx: Context, model: Handle, lr: float) -> Handle:
    """Plain gradient descent on all parameters."""
    return ctx.new(TorchRef("optim.SGD"), Params(model), lr=lr)
