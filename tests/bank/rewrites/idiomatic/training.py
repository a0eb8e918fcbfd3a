"""Question 6: training loops, early stopping, layer-wise pre-training, memory and precision."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Sampler, TensorDataset

from .autoencoders import mse_loss

LossFunction = Callable[[Any, Tensor], Tensor]
"""loss_fn(output, batch): gets whatever the model returned and the batch, returns a scalar tensor."""


def device_of(model: nn.Module, default: torch.device) -> torch.device:
    """Where the model's tensors lie; `default` if it has none."""
    return next((tensor.device for tensor in chain(model.parameters(), model.buffers())), default)


@contextmanager
def keeping_mode(model: nn.Module) -> Iterator[None]:
    """Afterwards each module of the model is in the mode that it was in before."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        model.train(modes[model])
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients."""
    with keeping_mode(model), torch.no_grad():
        model.eval()
        yield


class _RandomBatches(Sampler[Tensor]):
    """Row numbers of batches, in a fresh order each time."""

    def __init__(self, size: int, batch_size: int, generator: torch.Generator | None, device: torch.device) -> None:
        self.size = size
        self.batch_size = batch_size
        self.generator = generator
        self.device = device

    def __iter__(self) -> Iterator[Tensor]:
        device = "cpu" if self.generator is None else self.generator.device
        order = torch.randperm(self.size, generator=self.generator, device=device)
        yield from order.to(self.device).split(self.batch_size)

    def __len__(self) -> int:
        return -(-self.size // self.batch_size)


def shuffled_batches(
    *tensors: Tensor, batch_size: int, generator: torch.Generator | None = None
) -> DataLoader[tuple[Tensor, ...]]:
    """Batches of corresponding rows; each row comes once per pass."""
    sampler = _RandomBatches(len(tensors[0]), batch_size, generator, tensors[0].device)
    # batch_size=None: the sampler's items are whole batches, taken from the tensors by one indexing each
    return DataLoader(TensorDataset(*tensors), batch_size=None, sampler=sampler)


class _Stack(nn.Module):
    """Encoders one after the other, and back through the decoders."""

    def __init__(self, encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*encoders)
        self.decoder = nn.Sequential(*list(decoders)[::-1])

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z), z


@contextmanager
def _keeping_buffers(module: nn.Module) -> Iterator[None]:
    """What a second forward pass does to running statistics is undone."""
    kept = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, value in kept:
            buffer.data.copy_(value)


def _checkpoint_contexts(module: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """For the forward pass, and for its repetition."""
    return nullcontext(), _keeping_buffers(module)


def _in_float32(output: Any) -> Any:
    """The same structure with its floating-point tensors in float32."""
    match output:
        case Tensor():
            return output.float() if output.is_floating_point() else output
        case Mapping():
            return {key: _in_float32(value) for key, value in output.items()}
        case tuple() if hasattr(output, "_fields"):
            return type(output)(*map(_in_float32, output))
        case tuple() | list():
            return type(output)(map(_in_float32, output))
        case _:
            return output


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
    x = x.to(device_of(model, x.device))
    optimizer.zero_grad()
    loss = loss_fn(model(x), x)
    loss.backward()  # type: ignore[no-untyped-call]
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
    device = device_of(model, data.device)
    with evaluating(model):
        batches = (batch.to(device) for batch in data.split(batch_size))
        return math.fsum(len(x) * loss_fn(model(x), x).item() for x in batches) / len(data)


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
        self._waited = 0 if value < self.best - self.min_delta else self._waited + 1
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
        raise ValueError(f"patience needs validation data, got patience={patience} and validation=None")
    history: dict[str, list[float]] = {"train": [], "validation": []}
    stopping = None if patience is None else EarlyStopping(patience)
    best_state: dict[str, Any] | None = None
    batches = shuffled_batches(data, batch_size=batch_size, generator=generator)
    with keeping_mode(model):
        for _ in range(epochs):
            losses = (len(x) * train_step(model, x, loss_fn, optimizer) for (x,) in batches)
            history["train"].append(math.fsum(losses) / len(data))
            if validation is None:
                continue
            value = evaluate(model, validation, loss_fn, batch_size)
            history["validation"].append(value)
            if stopping is None:
                continue
            if value < stopping.best:
                best_state = copy.deepcopy(model.state_dict())
            if stopping.step(value):
                break
    if best_state is not None:
        model.load_state_dict(best_state)
    return history


def weight_decay_penalty(model: nn.Module, coefficient: float) -> Tensor:
    """L2 penalty coefficient/2 · sum ‖W‖^2 over the parameters with two or more dimensions.

    Biases and normalisation scales (one dimension) are left out.

    Returns:
        Scalar tensor (), differentiable; its gradient with respect to W is coefficient · W.
    """
    parameters = list(model.parameters())
    zero = parameters[0].new_zeros(()) if parameters else torch.zeros(())
    return coefficient / 2 * sum((p.square().sum() for p in parameters if p.ndim >= 2), start=zero)


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
    *below, encoder = encoders[: stage + 1]
    before = nn.Sequential(*below)
    model = nn.Sequential(encoder, decoders[stage])
    with evaluating(before):
        device = device_of(before, data.device)
        h = torch.cat([before(x.to(device)) for x in data.split(batch_size)])
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    if h.device != data.device:
        h = h.to(data.device)  # where the generator is
    return fit(model, h, mse_loss, optimizer, epochs, batch_size, generator=generator)["train"]


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
        contexts = partial(_checkpoint_contexts, layer)
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
    device = device_of(model, x.device)
    x = x.to(device)
    optimizer.zero_grad()
    with torch.autocast(device.type, dtype=dtype):
        output = model(x)
    with torch.autocast(device.type, enabled=False):
        loss = loss_fn(_in_float32(output), _in_float32(x))
    if scaler is None:
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    else:
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
    return loss.item()
