"""Question 6: training loops, early stopping, layer-wise pre-training, memory and precision."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .autoencoders import mse_loss

LossFunction = Callable[[Any, Tensor], Tensor]
"""loss_fn(output, batch): gets whatever the model returned and the batch, returns a scalar tensor."""


def _device(model: nn.Module, default: Tensor) -> torch.device:
    """Where `model` lies; where `default` does if it has no tensors."""
    return next(chain(model.parameters(), model.buffers()), default).device


def _shuffled(data: Tensor, batch_size: int, generator: torch.Generator | None) -> Sequence[Tensor]:
    """The numbers of the rows of `data` in a fresh random order, batch by batch."""
    device = data.device if generator is None else generator.device
    order = torch.randperm(len(data), generator=generator, device=device)
    return order.to(data.device).split(batch_size)


def _at_least_float32(value: Any) -> Any:
    """`value`, a tensor or a nest of tensors, with half precision floats cast to float32."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if isinstance(value, Mapping):
        return {key: _at_least_float32(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_at_least_float32, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_at_least_float32, value))
    return value


class _BuffersOf:
    """Context of a recomputation: the buffers of `layer` are what they were when this was made.

    A second forward pass in the backward pass would otherwise update running statistics twice, or see updated ones.
    """

    def __init__(self, layer: nn.Module) -> None:
        self.places = [(module, name) for module in layer.modules() for name in module._buffers]
        self.before = [None if buffer is None else buffer.clone() for buffer in self._buffers()]
        self.present: list[Tensor | None] = []

    def _buffers(self) -> list[Tensor | None]:
        return [module._buffers[name] for module, name in self.places]

    def _put(self, buffers: Sequence[Tensor | None]) -> None:
        for (module, name), buffer in zip(self.places, buffers, strict=True):
            module._buffers[name] = buffer

    def __enter__(self) -> None:
        self.present = self._buffers()
        self._put([None if buffer is None else buffer.clone() for buffer in self.before])

    def __exit__(self, *_: object) -> None:
        self._put(self.present)


class _Stack(nn.Module):
    """Encoders in order, decoders in reverse order."""

    def __init__(self, encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*encoders)
        self.decoder = nn.Sequential(*reversed(decoders))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z), z


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
    model.train()
    x = x.to(_device(model, x))
    optimizer.zero_grad()
    loss = loss_fn(model(x), x)
    loss.backward()
    optimizer.step()
    return loss.item()


def evaluate(model: nn.Module, data: Tensor, loss_fn: LossFunction, batch_size: int = 128) -> float:
    """Mean loss per example over `data`.

    With batches of n_i examples and mean losses L_i the result is sum_i n_i L_i / sum_i n_i, so that it does
    not depend on `batch_size` when the last batch is smaller. Eval mode, no gradients; afterwards the model
    has the mode it had before.

    Args:
        data: (N, ...), moved to the model's device.
        loss_fn: gets (output, batch), returns the mean over the batch as a scalar tensor.
    """
    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        batches = (x.to(_device(twin, x)) for x in data.split(batch_size))
        return sum(float(loss_fn(twin(x), x)) * len(x) for x in batches) / len(data)


@dataclass(eq=False)
class EarlyStopping:
    """Tells when a validation loss has stopped falling (Prechelt, "Early stopping - but when?", 1998).

    Attributes:
        best: the lowest value so far; infinity before the first.
    """

    patience: int
    """So many successive values without improvement stop the training."""
    min_delta: float = 0.0
    """An improvement lies below the best value by more than this."""
    best: float = field(default=math.inf, init=False)
    misses: int = field(default=0, init=False)

    def step(self, value: float) -> bool:
        """Take the next value; return True once `patience` successive values were no improvement.

        A value improves if value < best - min_delta. NaN is no improvement and never becomes `best`.
        """
        value = float(value)
        improved = value < self.best - self.min_delta
        self.misses = 0 if improved else self.misses + 1
        if value < self.best:  # False for NaN
            self.best = value
        return self.misses >= self.patience


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
    if patience is not None and validation is None:
        raise ValueError(f"patience needs validation data, got patience {patience} and validation {validation}")
    history: dict[str, list[float]] = {"train": [], "validation": []}
    stopping = None if patience is None else EarlyStopping(patience)
    best_weights = None
    before = model.training
    try:
        for _ in range(epochs):
            total = 0.0
            for rows in _shuffled(data, batch_size, generator):
                total += train_step(model, data[rows], loss_fn, optimizer) * len(rows)
            history["train"].append(total / len(data))
            if validation is None:
                continue
            loss = evaluate(model, validation, loss_fn, batch_size)
            history["validation"].append(loss)
            if stopping is None:
                continue
            if loss < stopping.best:
                best_weights = copy.deepcopy(model.state_dict())
            if stopping.step(loss):
                break
        if best_weights is not None:
            model.load_state_dict(best_weights)
    finally:
        model.train(before)
    return history


def weight_decay_penalty(model: nn.Module, coefficient: float) -> Tensor:
    """L2 penalty coefficient/2 · sum ‖W‖^2 over the parameters with two or more dimensions.

    Biases and normalisation scales (one dimension) are left out.

    Returns:
        Scalar tensor (), differentiable; its gradient with respect to W is coefficient · W.
    """
    weights = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    if not weights:
        return next(model.parameters(), torch.zeros(())).new_zeros(())
    return coefficient / 2 * torch.stack([weight.square().sum() for weight in weights]).sum()


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
    if not 0 <= stage < len(encoders):
        raise ValueError(f"stage must lie in 0...{len(encoders) - 1}, got {stage}")
    # Copies do the work of the earlier stages: the originals keep weights, buffers and modes.
    earlier = [copy.deepcopy(encoder).eval() for encoder in encoders[:stage]]
    pair = nn.Sequential(encoders[stage], decoders[stage])

    @torch.no_grad()
    def stage_input(h: Tensor) -> Tensor:
        h = h.to(_device(pair, h))
        for encoder in earlier:
            h = encoder(h)
        return h

    inputs = torch.cat([stage_input(h) for h in data.split(batch_size)])
    optimizer = torch.optim.Adam(pair.parameters(), lr=lr)
    return fit(pair, inputs, mse_loss, optimizer, epochs, batch_size, generator=generator)["train"]


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
    return [
        pretrain_stage(encoders, decoders, stage, data, epochs, batch_size, lr, generator)
        for stage in range(len(encoders))
    ]


def assemble_stack(encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> nn.Module:
    """Join pre-trained layers into one deep autoencoder, made of the very modules given (no copies).

    Returns:
        A module with `encode(x)` = encoders[-1](... encoders[0](x)), `decode(z)` = decoders[0](... decoders[-1](z))
        and `forward(x)` -> (x_recon, z).
    """
    return _Stack(encoders, decoders)


def checkpointed_forward(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Apply `layers` in order, trading computation for memory (arXiv:1604.06174).

    Values and gradients are those of the plain composition, also when `x` itself needs no gradient. Of each
    layer only the input is kept; the activations inside it are computed again in the backward pass.
    """
    for layer in layers:

        def contexts(layer: nn.Module = layer) -> tuple[Any, Any]:
            return nullcontext(), _BuffersOf(layer)

        x = checkpoint(layer, x, use_reentrant=False, context_fn=contexts)
    return x


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
    model.train()
    x = x.to(_device(model, x))
    optimizer.zero_grad()
    with torch.autocast(x.device.type, dtype=dtype):
        output = model(x)
    with torch.autocast(x.device.type, enabled=False):
        loss = loss_fn(_at_least_float32(output), _at_least_float32(x))
    if scaler is None:
        loss.backward()
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return loss.item()
