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


@contextmanager
def _modes_kept(*models: nn.Module) -> Iterator[None]:
    """Give every module its mode back at the end, also after an exception."""
    before = [(module, module.training) for model in models for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def _to_device_of(model: nn.Module, x: Tensor) -> Tensor:
    for tensor in (*model.parameters(), *model.buffers()):
        return x.to(tensor.device)
    return x


def _shuffled(data: Tensor, batch_size: int, generator: torch.Generator | None) -> Iterator[Tensor]:
    """The rows of `data` in a fresh order, in batches."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    place = "cpu" if generator is None else generator.device
    order = torch.randperm(len(data), generator=generator, device=place).to(data.device)
    for rows in order.split(batch_size):
        yield data[rows]


def _widen(output: Any) -> Any:
    """The output with every half-precision tensor cast to float32, whatever the nesting."""
    if isinstance(output, Tensor):
        return output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
    if isinstance(output, dict):
        return {key: _widen(value) for key, value in output.items()}
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return type(output)(*map(_widen, output))
    if isinstance(output, (list, tuple)):
        return type(output)(map(_widen, output))
    return output


class _Stack(nn.Module):
    def __init__(self, encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.decoders = nn.ModuleList(decoders)

    def encode(self, x: Tensor) -> Tensor:
        for layer in self.encoders:
            x = layer(x)
        return x

    def decode(self, z: Tensor) -> Tensor:
        for layer in reversed(self.decoders):
            z = layer(z)
        return z

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
    x = _to_device_of(model, x)
    optimizer.zero_grad(set_to_none=True)
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
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if len(data) == 0:
        raise ValueError(f"data must not be empty, got shape {tuple(data.shape)}")
    total = 0.0
    with _modes_kept(model), torch.no_grad():
        model.eval()
        for batch in data.split(batch_size):
            batch = _to_device_of(model, batch)
            total += float(loss_fn(model(batch), batch)) * len(batch)
    return total / len(data)


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
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}")
        if not min_delta >= 0:
            raise ValueError(f"min_delta must not be negative, got {min_delta}")
        self.patience = patience
        self.min_delta = min_delta
        self.best = float("inf")
        self._waited = 0

    def step(self, value: float) -> bool:
        """Take the next value; return True once `patience` successive values were no improvement.

        A value improves if value < best - min_delta. NaN is no improvement and never becomes `best`.
        """
        value = float(value)
        self._waited = 0 if value < self.best - self.min_delta else self._waited + 1
        if value < self.best:  # False for NaN
            self.best = value
        return self._waited >= self.patience


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
    if epochs < 0:
        raise ValueError(f"epochs must not be negative, got {epochs}")
    if patience is not None and validation is None:
        raise ValueError(f"patience={patience} needs validation, got None")
    stopper = None if patience is None else EarlyStopping(patience)
    history: dict[str, list[float]] = {"train": [], "validation": []}
    best_weights = None
    with _modes_kept(model):
        for _ in range(epochs):
            total = sum(
                train_step(model, batch, loss_fn, optimizer) * len(batch)
                for batch in _shuffled(data, batch_size, generator)
            )
            history["train"].append(total / len(data))
            if validation is None:
                continue
            value = evaluate(model, validation, loss_fn, batch_size)
            history["validation"].append(value)
            if stopper is not None:
                if value < stopper.best:
                    best_weights = copy.deepcopy(model.state_dict())
                if stopper.step(value):
                    break
    if best_weights is not None:
        model.load_state_dict(best_weights)
    return history


def weight_decay_penalty(model: nn.Module, coefficient: float) -> Tensor:
    """L2 penalty coefficient/2 · sum ‖W‖^2 over the parameters with two or more dimensions.

    Biases and normalisation scales (one dimension) are left out.

    Returns:
        Scalar tensor (), differentiable; its gradient with respect to W is coefficient · W.
    """
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    if not matrices:
        like = next(model.parameters(), torch.zeros(()))
        return like.new_zeros(())
    return 0.5 * coefficient * torch.stack([w.square().sum() for w in matrices]).sum()


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
    if len(encoders) != len(decoders):
        raise ValueError(f"encoders and decoders must be as many, got {len(encoders)} and {len(decoders)}")
    if not 0 <= stage < len(encoders):
        raise ValueError(f"stage must be in 0...{len(encoders) - 1}, got {stage}")
    if epochs < 0:
        raise ValueError(f"epochs must not be negative, got {epochs}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    below = list(encoders[:stage])
    with _modes_kept(*below), torch.no_grad():
        pieces = []
        for batch in data.split(batch_size):
            for layer in below:
                layer.eval()
                batch = layer(_to_device_of(layer, batch))
            pieces.append(batch)
        h = torch.cat(pieces)
    pair = nn.Sequential(encoders[stage], decoders[stage])
    weights = [p for p in pair.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=lr, weight_decay=1e-4)
    with _modes_kept(encoders[stage], decoders[stage]):
        return fit(pair, h, mse_loss, optimizer, epochs, batch_size, generator=generator)["train"]


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
    if len(encoders) != len(decoders):
        raise ValueError(f"encoders and decoders must be as many, got {len(encoders)} and {len(decoders)}")
    return _Stack(encoders, decoders)


def checkpointed_forward(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Apply `layers` in order, trading computation for memory (arXiv:1604.06174).

    Values and gradients are those of the plain composition, also when `x` itself needs no gradient. Of each
    layer only the input is kept; the activations inside it are computed again in the backward pass.
    """
    def replayable(layer: nn.Module) -> Callable[[Tensor], Tensor]:
        # The second run must see the buffers of the first and must not update them again (batch normalisation).
        buffers = {name: b.detach().clone() for name, b in layer.named_buffers()} if torch.is_grad_enabled() else {}
        runs = 0

        def run(h: Tensor) -> Tensor:
            nonlocal runs
            runs += 1
            if runs == 1 or not buffers:
                return layer(h)
            fresh = {name: b.clone() for name, b in buffers.items()}
            return torch.func.functional_call(layer, fresh, (h,))

        return run

    for layer in layers:
        x = checkpoint(replayable(layer), x, use_reentrant=False)
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
    x = _to_device_of(model, x)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(x.device.type, dtype=dtype):
        output = model(x)
    with torch.autocast(x.device.type, enabled=False):
        loss = loss_fn(_widen(output), _widen(x))
    if scaler is None:
        loss.backward()
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return loss.item()
