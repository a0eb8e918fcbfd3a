"""Question 6: training loops, early stopping, layer-wise pre-training, memory and precision."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Sampler, TensorDataset

from .autoencoders import mse_loss

LossFunction = Callable[[Any, Tensor], Tensor]
"""loss_fn(output, batch): gets whatever the model returned and the batch, returns a scalar tensor."""


# Where a model is, and its mode.


def device_of(model: nn.Module, fallback: Tensor) -> torch.device:
    """Device of the model's parameters or buffers; that of `fallback` for a model that has none."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return fallback.device


@contextmanager
def preserving_modes(*models: nn.Module) -> Iterator[None]:
    """Whatever happens inside, each module of `models` has its former mode afterwards."""
    before = [(module, module.training) for model in models for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


@contextmanager
def evaluating(*models: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside, the former mode afterwards."""
    with preserving_modes(*models), torch.no_grad():
        for model in models:
            model.eval()
        yield


# Batches.


class BatchSampler(Sampler[Tensor]):
    """Indices of one batch after the other; in a fresh random order on each pass if `shuffle`.

    The order is drawn where the generator lives, which PyTorch's own sampler cannot do on a GPU.
    """

    def __init__(
        self, length: int, batch_size: int, shuffle: bool, generator: torch.Generator | None, device: torch.device
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.length = length
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator
        self.device = device

    def order(self) -> Tensor:
        """All indices, each once."""
        if not self.shuffle:
            return torch.arange(self.length, device=self.device)
        source = self.device if self.generator is None else self.generator.device
        return torch.randperm(self.length, generator=self.generator, device=source).to(self.device)

    def __iter__(self) -> Iterator[Tensor]:
        if self.length:
            yield from self.order().split(self.batch_size)

    def __len__(self) -> int:
        return math.ceil(self.length / self.batch_size)


def batches(
    *tensors: Tensor, batch_size: int, shuffle: bool = False, generator: torch.Generator | None = None
) -> DataLoader[tuple[Tensor, ...]]:
    """Batches of rows of `tensors`, the last one maybe smaller."""
    dataset = TensorDataset(*(tensor.detach() for tensor in tensors))
    devices = {tensor.device for tensor in tensors}
    # Indices on the CPU suit tensors on any device.
    device = devices.pop() if len(devices) == 1 else torch.device("cpu")
    sampler = BatchSampler(len(dataset), batch_size, shuffle, generator, device)
    # A generator of its own: the loader draws a seed for workers, which belongs into nobody's random stream.
    return DataLoader(dataset, batch_size=None, sampler=sampler, generator=torch.Generator())


def train_epochs(
    models: Sequence[nn.Module],
    loader: DataLoader[tuple[Tensor, ...]],
    batch_loss: Callable[..., Tensor],
    epochs: int,
    lr: float,
) -> list[float]:
    """Train those parameters of `models` that require gradients; their modes are restored.

    Args:
        models: trained together.
        loader: of `batches`.
        batch_loss: gets the tensors of a batch, returns the mean loss over its rows.
        epochs: passes over the data.
        lr: learning rate of the first epoch; it falls to a fifth along a cosine.

    Returns:
        Mean loss per row of each epoch.
    """
    unique = {id(weight): weight for model in models for weight in model.parameters() if weight.requires_grad}
    history = []
    with preserving_modes(*models), torch.enable_grad():
        for model in models:
            model.train()
        # RMSprop with a shorter memory than PyTorch's default, whose first steps are ten times as long as lr.
        optimizer = torch.optim.RMSprop(list(unique.values()), lr=lr, alpha=0.9) if unique else None
        schedule = optimizer and torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, T_max=max(epochs, 1), eta_min=lr / 5
        )
        for _ in range(epochs):
            total, rows = 0.0, 0
            for batch in loader:
                loss = batch_loss(*batch)
                if optimizer is not None:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                total += float(loss.detach()) * len(batch[0])
                rows += len(batch[0])
            if schedule is not None:
                schedule.step()
            history.append(total / rows)
    return history


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
    batch = x.to(device_of(model, x))
    loss = loss_fn(model(batch), batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def evaluate(model: nn.Module, data: Tensor, loss_fn: LossFunction, batch_size: int = 128) -> float:
    """Mean loss per example over `data`.

    With batches of n_i examples and mean losses L_i the result is sum_i n_i L_i / sum_i n_i, so that it does
    not depend on `batch_size` when the last batch is smaller. Eval mode, no gradients; afterwards the model
    has the mode it had before.

    Args:
        data: (N, ...), moved to the model's device.
        loss_fn: gets (output, batch), returns the mean over the batch as a scalar tensor.
    """
    total = 0.0
    with evaluating(model):
        for (x,) in batches(data, batch_size=batch_size):
            batch = x.to(device_of(model, x))
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
        self.patience = patience
        self.min_delta = min_delta
        self.best = math.inf
        self._waited = 0

    def step(self, value: float) -> bool:
        """Take the next value; return True once `patience` successive values were no improvement.

        A value improves if value < best - min_delta. NaN is no improvement and never becomes `best`.
        """
        value = float(value)
        improved = value < self.best - self.min_delta  # False for NaN
        self._waited = 0 if improved else self._waited + 1
        if value < self.best:
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
    if patience is not None and validation is None:
        raise ValueError(f"patience={patience} needs validation data, got validation=None")
    history: dict[str, list[float]] = {"train": [], "validation": []}
    stopping = None if patience is None else EarlyStopping(patience)
    best_weights: dict[str, Any] | None = None
    loader = batches(data, batch_size=batch_size, shuffle=True, generator=generator)
    with preserving_modes(model):
        for _ in range(epochs):
            total = sum(train_step(model, x, loss_fn, optimizer) * len(x) for (x,) in loader)
            history["train"].append(total / len(data))
            if validation is None:
                continue
            value = evaluate(model, validation, loss_fn, batch_size)
            history["validation"].append(value)
            if stopping is not None:
                if value < stopping.best:
                    best_weights = copy.deepcopy(model.state_dict())
                if stopping.step(value):
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
    parameters = list(model.parameters())
    squares = [weight.square().sum() for weight in parameters if weight.ndim >= 2]
    if not squares:
        return parameters[0].new_zeros(()) if parameters else torch.zeros(())
    return 0.5 * coefficient * torch.stack(squares).sum()


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
    encoder, decoder = encoders[stage], decoders[stage]
    inputs = _encode_in_chunks(list(encoders[:stage]), data, batch_size)

    def batch_loss(h: Tensor) -> Tensor:
        h = h.to(device_of(encoder, h))
        return mse_loss(decoder(encoder(h)), h)

    loader = batches(inputs, batch_size=batch_size, shuffle=True, generator=generator)
    return train_epochs([encoder, decoder], loader, batch_loss, epochs, lr)


def _encode_in_chunks(encoders: Sequence[nn.Module], data: Tensor, batch_size: int) -> Tensor:
    """What trained encoders make of all rows, without a trace in them."""
    if not encoders:
        return data
    chunks = []
    with evaluating(*encoders):
        for (h,) in batches(data, batch_size=batch_size):
            for encoder in encoders:
                h = encoder(h.to(device_of(encoder, h)))
            chunks.append(h)
    return torch.cat(chunks)


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


class _Stack(nn.Module):
    """A deep autoencoder out of layers."""

    def __init__(self, encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*encoders)
        self.decoder = nn.Sequential(*reversed(list(decoders)))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z), z


def assemble_stack(encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> nn.Module:
    """Join pre-trained layers into one deep autoencoder, made of the very modules given (no copies).

    Returns:
        A module with `encode(x)` = encoders[-1](... encoders[0](x)), `decode(z)` = decoders[0](... decoders[-1](z))
        and `forward(x)` -> (x_recon, z).
    """
    return _Stack(encoders, decoders)


class _KeepStatistics:
    """Context in which batches do not count in the running statistics of batch normalisation; can be used again.

    A layer sees its batch a second time in the backward pass, and that must not count twice.
    """

    def __init__(self, layer: nn.Module) -> None:
        kinds = nn.modules.batchnorm._BatchNorm
        self.buffers = [
            buffer for module in layer.modules() if isinstance(module, kinds) for buffer in module.buffers(recurse=False)
        ]
        self.values: list[Tensor] = []

    def __enter__(self) -> None:
        self.values = [buffer.clone() for buffer in self.buffers]

    def __exit__(self, *error: object) -> None:
        with torch.no_grad():
            for buffer, value in zip(self.buffers, self.values, strict=True):
                buffer.copy_(value)


def _recomputation_contexts(layer: nn.Module) -> tuple[AbstractContextManager[None], _KeepStatistics]:
    """What surrounds the first pass through a layer, and the second."""
    return nullcontext(), _KeepStatistics(layer)


def checkpointed_forward(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Apply `layers` in order, trading computation for memory (arXiv:1604.06174).

    Values and gradients are those of the plain composition, also when `x` itself needs no gradient. Of each
    layer only the input is kept; the activations inside it are computed again in the backward pass.
    """
    for layer in layers:
        x = checkpoint(layer, x, use_reentrant=False, context_fn=partial(_recomputation_contexts, layer))
    return x


def _in_full_precision(output: Any) -> Any:
    """The output of a model, however nested, with its half-precision tensors in float32; double stays double."""
    if isinstance(output, Tensor):
        return output.to(torch.promote_types(output.dtype, torch.float32)) if output.is_floating_point() else output
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return type(output)(*map(_in_full_precision, output))
    if isinstance(output, list | tuple):
        return type(output)(map(_in_full_precision, output))
    if isinstance(output, dict):
        return {key: _in_full_precision(value) for key, value in output.items()}
    return output


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
    batch = x.to(device_of(model, x))
    with torch.autocast(batch.device.type, dtype=dtype):
        output = model(batch)
    with torch.autocast(batch.device.type, enabled=False):
        loss = loss_fn(_in_full_precision(output), batch)
    optimizer.zero_grad()
    if scaler is None:
        loss.backward()
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return float(loss.detach())
