"""Question 6: training loops, early stopping, layer-wise pre-training, memory and precision."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .autoencoders import mse_loss

LossFunction = Callable[[Any, Tensor], Tensor]
"""loss_fn(output, batch): gets whatever the model returned and the batch, returns a scalar tensor."""


def train_step(model: nn.Module, x: Tensor, loss_fn: LossFunction, optimizer: torch.optim.Optimizer) -> float:
    """Make one optimizer step on the batch `x`.

    Puts the model in training mode, moves `x` to the model's device, computes
    loss_fn(model(x), x), clears old gradients and makes one step of `optimizer`.

    Args:
        x: batch (B, ...).
        loss_fn: gets (output, batch), returns a scalar tensor.

    Returns:
        The loss before the update.
    """
    raise NotImplementedError("Question 6: train_step")


def evaluate(model: nn.Module, data: Tensor, loss_fn: LossFunction, batch_size: int = 128) -> float:
    """Mean loss per example over `data`.

    With batches of n_i examples and mean losses L_i the result is sum_i n_i L_i / sum_i n_i, so that it does
    not depend on `batch_size` when the last batch is smaller. Eval mode, no gradients; afterwards the model
    has the mode it had before.

    Args:
        data: (N, ...), moved to the model's device.
        loss_fn: gets (output, batch), returns the mean over the batch as a scalar tensor.
    """
    raise NotImplementedError("Question 6: evaluate")


class EarlyStopping:
    """Tells when a validation loss has stopped falling (Prechelt, "Early stopping - but when?", 1998).

    Attributes:
        best: the lowest value so far; infinity before the first.
    """

    def __init__(self, patience: int, min_delta: float = 0.0) -> None:
        """Remember the rule.

        Args:
            patience: so many successive values without improvement stop the training.
            min_delta: an improvement lies below the best value by more than this.
        """
        raise NotImplementedError("Question 6: EarlyStopping.__init__")

    def step(self, value: float) -> bool:
        """Take the next value; return True once `patience` successive values were no improvement.

        A value improves if value < best - min_delta. NaN is no improvement and never becomes `best`.
        """
        raise NotImplementedError("Question 6: EarlyStopping.step")


def fit(
    model: nn.Module,
    data: Tensor,
    loss_fn: LossFunction,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    batch_size: int = 128,
    validation: Tensor | None = None,
    patience: int | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, list[float]]:
    """Train for `epochs` epochs; each example comes once per epoch, in a fresh random order.

    With `patience`, training stops early on the validation loss (`EarlyStopping`), and the weights of the
    epoch with the lowest validation loss are put back, whether or not it stopped early. Afterwards the model
    has the mode it had before.

    Args:
        data: (N, ...) training examples.
        loss_fn: gets (output, batch), returns the mean over the batch as a scalar tensor.
        validation: (M, ...), evaluated after each epoch.
        patience: epochs without improvement before stopping; needs `validation`.
        generator: source of the random order.

    Returns:
        {"train": [...], "validation": [...]}: mean loss per example, one number per epoch run; the list
        "validation" is empty without validation data.

    Raises:
        ValueError: `patience` without `validation`.
    """
    raise NotImplementedError("Question 6: fit")


def weight_decay_penalty(model: nn.Module, coefficient: float) -> Tensor:
    """L2 penalty coefficient/2 · sum ‖W‖^2 over the parameters with two or more dimensions.

    Biases and normalisation scales (one dimension) are left out.

    Returns:
        Scalar tensor (), differentiable; its gradient with respect to W is coefficient · W.
    """
    raise NotImplementedError("Question 6: weight_decay_penalty")


def pretrain_stage(
    encoders: Sequence[nn.Module],
    decoders: Sequence[nn.Module],
    stage: int,
    data: Tensor,
    epochs: int = 1,
    batch_size: int = 128,
    lr: float = 1e-3,
    generator: torch.Generator | None = None,
) -> list[float]:
    """One stage of greedy layer-wise pre-training (Hinton and Salakhutdinov 2006; Bengio et al. 2007).

    Trains only `encoders[stage]` and `decoders[stage]`, as an autoencoder of that stage's own input

        h = encoders[stage - 1](... encoders[0](data)),    loss = mse_loss(decoders[stage](encoders[stage](h)), h).

    Nothing in the other modules changes: no weight, no buffer, no mode.

    Args:
        encoders: modules, the first one next to the data.
        decoders: modules; `decoders[i]` undoes `encoders[i]`.
        stage: 0 ... len(encoders) - 1.
        data: (N, D).

    Returns:
        Mean loss per example of each epoch.
    """
    raise NotImplementedError("Question 6: pretrain_stage")


def pretrain_layerwise(
    encoders: Sequence[nn.Module],
    decoders: Sequence[nn.Module],
    data: Tensor,
    epochs: int = 1,
    batch_size: int = 128,
    lr: float = 1e-3,
    generator: torch.Generator | None = None,
) -> list[list[float]]:
    """Greedy layer-wise pre-training: stage 0, 1, ..., each trained on the codes of those before it.

    Args:
        encoders, decoders, data: as in `pretrain_stage`.

    Returns:
        For each stage the mean loss per example of each epoch.
    """
    raise NotImplementedError("Question 6: pretrain_layerwise")


def assemble_stack(encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> nn.Module:
    """Join pre-trained layers into one deep autoencoder, made of the very modules given (no copies).

    Returns:
        A module with `encode(x)` = encoders[-1](... encoders[0](x)), `decode(z)` = decoders[0](... decoders[-1](z))
        and `forward(x)` -> (x_recon, z).
    """
    raise NotImplementedError("Question 6: assemble_stack")


def checkpointed_forward(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Apply `layers` in order, trading computation for memory (arXiv:1604.06174).

    Values and gradients are those of the plain composition, also when `x` itself needs no gradient. Of each
    layer only the input is kept; the activations inside it are computed again in the backward pass.
    """
    raise NotImplementedError("Question 6: checkpointed_forward")


def mixed_precision_step(
    model: nn.Module,
    x: Tensor,
    loss_fn: LossFunction,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> float:
    """`train_step` with the forward pass under autocast to `dtype` (arXiv:1710.03740).

    The parameters stay in their own precision. The loss is computed outside autocast, from float32 values:
    floating-point outputs are cast first, since exponentials, logarithms and long sums lose too much in
    `dtype`.

    Args:
        scaler: gradient scaler, needed against underflow for torch.float16 but not for bfloat16; used if given.

    Returns:
        The unscaled loss before the update.
    """
    raise NotImplementedError("Question 6: mixed_precision_step")
