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


# begin private
@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Give every submodule its own mode back on exit: a frozen part may differ from the rest."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; the former modes come back on exit."""
    with modes_kept(model), torch.no_grad():
        model.eval()
        yield


def to_model(x: Tensor, model: nn.Module) -> Tensor:
    """x on the device of the model's first parameter; x itself when there is none."""
    return x.to(next(model.parameters(), x).device)


def adam(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Adam (arXiv:1412.6980) over what requires gradients, in one fused kernel where the device has it."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    fused = all(parameter.device.type in {"cpu", "cuda"} for parameter in parameters)
    return torch.optim.Adam(parameters, lr=lr, fused=fused)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None = None) -> Tensor:
    """One optimizer step down the gradient of `loss`; returns the loss, still on its device."""
    optimizer.zero_grad()
    if scaler is None:
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    else:  # float16 gradients underflow: scale the loss up, the gradients back down (arXiv:1710.03740)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
    return loss.detach()


def mean_per_example(losses: Sequence[Tensor], sizes: Sequence[int]) -> float:
    """sum_i n_i loss_i / sum_i n_i over batches of n_i examples; `tolist` is the one synchronisation."""
    values: list[float] = torch.stack(list(losses)).tolist()
    return sum(size * value for size, value in zip(sizes, values, strict=True)) / sum(sizes)


def train_epochs(
    model: nn.Module,
    loss_of_rows: Callable[[Tensor], Tensor],
    num_rows: int,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    batch_size: int,
    generator: torch.Generator | None,
) -> Iterator[float]:
    """Train, and yield after each epoch its mean loss per example; `loss_of_rows` maps row numbers to a loss.

    Each row comes once per epoch, in a fresh order. Modes are left to the caller's `modes_kept`.
    """
    for _ in range(epochs):
        model.train()
        drawn_on = None if generator is None else generator.device
        order = to_model(torch.randperm(num_rows, generator=generator, device=drawn_on), model)
        batches = torch.split(order, batch_size)
        losses = [descend(loss_of_rows(rows), optimizer) for rows in batches]
        yield mean_per_example(losses, [len(rows) for rows in batches])


# end private


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
    # begin solution Q6
    model.train()
    x = to_model(x, model)
    return float(descend(loss_fn(model(x), x), optimizer))
    # end solution


def evaluate(model: nn.Module, data: Tensor, loss_fn: LossFunction, batch_size: int = 128) -> float:
    """Mean loss per example over `data`.

    With batches of n_i examples and mean losses L_i the result is sum_i n_i L_i / sum_i n_i, so that it does
    not depend on `batch_size` when the last batch is smaller. Eval mode, no gradients; afterwards the model
    has the mode it had before.

    Args:
        data: (N, ...), moved to the model's device.
        loss_fn: gets (output, batch), returns the mean over the batch as a scalar tensor.
    """
    # begin solution Q6
    batches = torch.split(to_model(data, model), batch_size)
    with evaluation_mode(model):
        losses = [loss_fn(model(x), x) for x in batches]
    return mean_per_example(losses, [len(x) for x in batches])
    # end solution


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
        # begin solution Q6
        self.patience = patience
        self.min_delta = min_delta
        self.best = float("inf")
        self._stale = 0
        # end solution

    def step(self, value: float) -> bool:
        """Take the next value; return True once `patience` successive values were no improvement.

        A value improves if value < best - min_delta. NaN is no improvement and never becomes `best`.
        """
        # begin solution Q6
        # Every comparison with NaN is false: it counts as stale and leaves `best` alone.
        self._stale = 0 if value < self.best - self.min_delta else self._stale + 1
        if value < self.best:
            self.best = value
        return self._stale >= self.patience
        # end solution


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
    # begin solution Q6
    if patience is not None and validation is None:
        raise ValueError(f"patience={patience} stops on the validation loss, but validation is None")
    data = to_model(data, model)
    stopping = None if patience is None else EarlyStopping(patience)
    history: dict[str, list[float]] = {"train": [], "validation": []}
    best_weights = None

    def loss_of_rows(rows: Tensor) -> Tensor:
        x = data[rows]
        return loss_fn(model(x), x)

    with modes_kept(model):
        for loss in train_epochs(model, loss_of_rows, len(data), optimizer, epochs, batch_size, generator):
            history["train"].append(loss)
            if validation is None:
                continue
            value = evaluate(model, validation, loss_fn, batch_size)
            history["validation"].append(value)
            if stopping is None:
                continue
            if value < stopping.best:
                best_weights = copy.deepcopy(model.state_dict())  # state_dict aliases the live weights
            if stopping.step(value):
                break
    if best_weights is not None:
        model.load_state_dict(best_weights)
    return history
    # end solution


def weight_decay_penalty(model: nn.Module, coefficient: float) -> Tensor:
    """L2 penalty coefficient/2 · sum ‖W‖^2 over the parameters with two or more dimensions.

    Biases and normalisation scales (one dimension) are left out.

    Returns:
        Scalar tensor (), differentiable; its gradient with respect to W is coefficient · W.
    """
    # begin solution Q6
    weights = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    anchor = next(model.parameters(), torch.empty(0))
    total = sum((weight.square().sum() for weight in weights), start=anchor.new_zeros(()))
    return coefficient / 2 * total
    # end solution


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
    # begin solution Q6
    below = nn.Sequential(*encoders[:stage])
    pair = nn.Sequential(encoders[stage], decoders[stage])
    with evaluation_mode(below):  # fixed during this stage, so its codes are computed once
        h = torch.cat([below(x) for x in torch.split(to_model(data, pair), batch_size)])
    return fit(pair, h, mse_loss, adam(pair, lr), epochs, batch_size, generator=generator)["train"]
    # end solution


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
    # begin solution Q6
    return [
        pretrain_stage(encoders, decoders, stage, data, epochs, batch_size, lr, generator)
        for stage in range(len(encoders))
    ]
    # end solution


# begin private
class Stack(nn.Module):
    """Encoders applied first to last, decoders last to first."""

    def __init__(self, encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*encoders)
        self.decoder = nn.Sequential(*reversed(decoders))

    def encode(self, x: Tensor) -> Tensor:
        """Code of the last encoder."""
        z: Tensor = self.encoder(x)
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Reconstruction from that code."""
        x_recon: Tensor = self.decoder(z)
        return x_recon

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(x_recon, z)."""
        z = self.encode(x)
        return self.decode(z), z


# end private


def assemble_stack(encoders: Sequence[nn.Module], decoders: Sequence[nn.Module]) -> nn.Module:
    """Join pre-trained layers into one deep autoencoder, made of the very modules given (no copies).

    Returns:
        A module with `encode(x)` = encoders[-1](... encoders[0](x)), `decode(z)` = decoders[0](... decoders[-1](z))
        and `forward(x)` -> (x_recon, z).
    """
    # begin solution Q6
    return Stack(encoders, decoders)
    # end solution


def checkpointed_forward(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Apply `layers` in order, trading computation for memory (arXiv:1604.06174).

    Values and gradients are those of the plain composition, also when `x` itself needs no gradient. Of each
    layer only the input is kept; the activations inside it are computed again in the backward pass.
    """
    # begin solution Q6
    for layer in layers:
        # The reentrant variant needs an input with a gradient, which a batch of images has not.
        x = checkpoint(layer, x, use_reentrant=False)
    return x
    # end solution


# begin private
def as_float32(output: Any) -> Any:
    """Floating-point tensors in `output` (a tensor, tuple, list or dict) as float32, the rest as it is."""
    if isinstance(output, Tensor):
        return output.float() if output.is_floating_point() else output
    if isinstance(output, tuple) and hasattr(output, "_fields"):  # a namedtuple takes its fields one by one
        return type(output)(*map(as_float32, output))
    if isinstance(output, (tuple, list)):
        return type(output)(as_float32(item) for item in output)
    if isinstance(output, dict):
        return {key: as_float32(item) for key, item in output.items()}
    return output


# end private


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
    # begin solution Q6
    model.train()
    x = to_model(x, model)
    with torch.autocast(device_type=x.device.type, dtype=dtype):
        output = model(x)
    return float(descend(loss_fn(as_float32(output), as_float32(x)), optimizer, scaler))
    # end solution
