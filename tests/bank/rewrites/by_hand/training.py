"""Question 6: training loops, early stopping, layer-wise pre-training, memory and precision."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from .autoencoders import _evaluating, _like_model, _mode_kept, mse_loss

LossFunction = Callable[[Any, Tensor], Tensor]
"""loss_fn(output, batch): gets whatever the model returned and the batch, returns a scalar tensor."""


def _shuffled(count: int, batch_size: int, device: torch.device, generator: torch.Generator | None) -> list[Tensor]:
    """Row numbers in random order, in batches."""
    where = device if generator is None else generator.device
    order = torch.randperm(count, generator=generator, device=where).to(device)
    return [order[start : start + batch_size] for start in range(0, count, batch_size)]


def _trainable(*modules: nn.Module) -> list[nn.Parameter]:
    """Parameters that require gradients, each once."""
    return list({id(p): p for module in modules for p in module.parameters() if p.requires_grad}.values())


def train_step(model: nn.Module, x: Tensor, loss_fn: LossFunction, optimizer: torch.optim.Optimizer) -> float:
    """One optimizer step."""
    batch = x.to(_like_model(model, x.device).device)
    model.train()
    optimizer.zero_grad()
    loss = loss_fn(model(batch), batch)
    loss.backward()
    before = float(loss.detach())
    optimizer.step()
    return before


def evaluate(model: nn.Module, data: Tensor, loss_fn: LossFunction, batch_size: int = 128) -> float:
    """Mean loss per example."""
    device = _like_model(model, data.device).device
    parts: list[float] = []
    with _evaluating(model):
        for start in range(0, len(data), batch_size):
            batch = data[start : start + batch_size].to(device)
            parts.append(float(loss_fn(model(batch), batch)) * len(batch))
    return math.fsum(parts) / len(data) if all(map(math.isfinite, parts)) else sum(parts) / len(data)


class EarlyStopping:
    """Tells when a validation loss has stopped falling."""

    def __init__(self, patience: int, min_delta: float = 0.0) -> None:
        self.patience = patience
        self.min_delta = min_delta
        self.best = math.inf
        self._without = 0

    def step(self, value: float) -> bool:
        """True once `patience` successive values were no improvement."""
        value = float(value)
        improved = value < self.best - self.min_delta
        self._without = 0 if improved else self._without + 1
        if value < self.best:
            self.best = value
        return not improved and self._without >= self.patience


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
    """Epochs of `train_step`."""
    if patience is not None and validation is None:
        raise ValueError(f"patience={patience} needs validation data, got validation=None")
    history: dict[str, list[float]] = {"train": [], "validation": []}
    stopping = None if patience is None else EarlyStopping(patience)
    lowest = math.inf
    kept: dict[str, Any] | None = None
    with _mode_kept(model):
        for _ in range(epochs):
            total = 0.0
            for rows in _shuffled(len(data), batch_size, data.device, generator):
                total += len(rows) * train_step(model, data[rows], loss_fn, optimizer)
            history["train"].append(total / len(data))
            if validation is None:
                continue
            value = evaluate(model, validation, loss_fn, batch_size)
            history["validation"].append(value)
            if stopping is None:
                continue
            if value < lowest:
                lowest, kept = value, copy.deepcopy(model.state_dict())
            if stopping.step(value):
                break
        if kept is not None:
            model.load_state_dict(kept)
    return history


def weight_decay_penalty(model: nn.Module, coefficient: float) -> Tensor:
    """coefficient/2 times the sum of squares of all matrices and kernels."""
    like = _like_model(model)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    squares = [(w.double() ** 2).sum() for w in matrices]
    start = torch.zeros((), dtype=torch.float64, device=like.device)
    return (reduce(torch.add, squares, start) * (coefficient / 2)).to(like.dtype)


def _through(modules: Sequence[nn.Module], x: Tensor) -> Tensor:
    """modules[-1](... modules[0](x))."""
    return _through(modules[1:], modules[0](x)) if len(modules) else x


class _Stack(nn.Module):
    """Encoders in order, decoders in reverse order."""

    def __init__(self, encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.inward = nn.ModuleList(encoders)
        self.outward = nn.ModuleList(decoders)

    def encode(self, x: Tensor) -> Tensor:
        return _through(list(self.inward), x)

    def decode(self, z: Tensor) -> Tensor:
        return _through(list(self.outward)[::-1], z)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z), z


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
    """Train one pair on the codes of the encoders before it."""
    earlier = _Stack(list(encoders[:stage]), [])
    pair = _Stack([encoders[stage]], [decoders[stage]])
    with _evaluating(earlier):
        h = earlier.encode(data.to(_like_model(pair, data.device).device))
    optimizer = torch.optim.NAdam(_trainable(pair), lr=lr)
    history = fit(pair, h, lambda output, batch: mse_loss(output[0], batch), optimizer, epochs, batch_size, generator=generator)
    return history["train"]


def pretrain_layerwise(
    encoders: Sequence[nn.Module],
    decoders: Sequence[nn.Module],
    data: Tensor,
    epochs: int = 1,
    batch_size: int = 128,
    lr: float = 1e-3,
    generator: torch.Generator | None = None,
) -> list[list[float]]:
    """Stage after stage."""
    return [
        pretrain_stage(encoders, decoders, stage, data, epochs, batch_size, lr, generator)
        for stage in range(len(encoders))
    ]


def assemble_stack(encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> nn.Module:
    """One deep autoencoder of the very modules given."""
    return _Stack(encoders, decoders)


class _Replayed:
    """A layer whose second run, in the backward pass, starts from the buffers of the first and leaves no trace."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        self.buffers: dict[str, Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        if self.buffers is None:
            self.buffers = {name: buffer.detach().clone() for name, buffer in self.layer.named_buffers()}
            return self.layer(x)
        if not self.buffers:
            return self.layer(x)
        return functional_call(self.layer, {name: buffer.clone() for name, buffer in self.buffers.items()}, (x,))


def checkpointed_forward(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Keep only the input of each layer."""
    for layer in layers:
        x = checkpoint(_Replayed(layer), x, use_reentrant=False)
    return x


def _to_float32(output: Any) -> Any:
    """Floating-point tensors in float32, wherever they are in nested containers."""
    if isinstance(output, Tensor):
        return output.float() if output.is_floating_point() else output
    if isinstance(output, dict):
        return {key: _to_float32(value) for key, value in output.items()}
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return type(output)(*map(_to_float32, output))
    if isinstance(output, (tuple, list)):
        return type(output)(map(_to_float32, output))
    return output


def mixed_precision_step(
    model: nn.Module,
    x: Tensor,
    loss_fn: LossFunction,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> float:
    """`train_step` with the forward pass in `dtype`."""
    batch = x.to(_like_model(model, x.device).device)
    kind = batch.device.type
    model.train()
    optimizer.zero_grad()
    with torch.autocast(kind, dtype=dtype):
        output = model(batch)
    with torch.autocast(kind, enabled=False):
        loss = loss_fn(_to_float32(output), _to_float32(batch))
    before = float(loss.detach())
    if scaler is None:
        loss.backward()
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return before
