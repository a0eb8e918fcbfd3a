"""The training loop of the trained checks: the student's model and loss, the grader's data, order and budget.

Data stays on the device as one tensor per name, batches are views of it, and nothing in the loop waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Slot(NamedTuple):
    """A place in the objective that each batch fills: output ``at`` of the model, or the batch's array ``name``."""

    name: str
    at: int | None = None


def fill(item: Any, output: Any, batch: Mapping[str, Tensor]) -> Any:
    """`item`, or what it stands for if it is a Slot."""
    if not isinstance(item, Slot):
        return item
    source = output if item.name == "out" else batch[item.name]
    return source if item.at is None else source[item.at]


def objective(terms: Sequence[Mapping[str, Any]], output: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Sum of the terms, each a function of slots and constants, or a slot itself."""
    total: Any = 0.0
    for term in terms:
        if "fn" in term:
            args = [fill(item, output, batch) for item in term["args"]]
            total = total + term["fn"](*args, **term.get("kwargs", {}))
        else:
            total = total + fill(term["use"], output, batch)
    if not isinstance(total, Tensor) or total.ndim:
        raise TypeError(f"the loss must be a tensor without dimensions, got {getattr(total, 'shape', type(total))}")
    return total


def train(request: Mapping[str, Any], read: Callable[[Any], Any], device: torch.device) -> list[float]:
    """Trains ``model`` for ``epochs`` over ``data`` with Adam and returns the mean loss of every epoch.

    The step rises to ``lr`` in the first fifth of the steps and falls to 0 by a cosine (one cycle): a short training
    comes further, and ends at much the same place whatever the seed.
    """
    model: nn.Module = read(request["model"])
    model.to(device)
    data: dict[str, Tensor] = read(request["data"])
    inputs: list[Any] = read(request["inputs"])
    terms: list[Mapping[str, Any]] = read(request["objective"])
    batch_size, size = int(request["batch_size"]), len(next(iter(data.values())))
    weights = [p for p in model.parameters() if p.requires_grad]
    if not weights:
        raise ValueError("the model has no parameters that require a gradient: nothing can be trained")
    optimizer = torch.optim.Adam(weights, lr=float(request["lr"]), fused=True)
    epochs, starts = int(request["epochs"]), range(0, size, batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, float(request["lr"]), total_steps=max(10, epochs * len(starts)), pct_start=0.2, cycle_momentum=False
    )
    order = torch.Generator().manual_seed(int(request["seed"]))
    history = []
    model.train()
    for _ in range(epochs):
        total = torch.zeros((), device=device, dtype=torch.float64)
        shuffled = torch.randperm(size, generator=order).to(device)
        for start in starts:
            rows = shuffled[start : start + batch_size]
            if len(rows) < min(2, size):
                continue  # batch statistics of one example are undefined
            batch = {name: array[rows] for name, array in data.items()}
            output = model(*(fill(item, None, batch) for item in inputs))
            loss = objective(terms, output, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.detach() * len(rows)
        history.append(total / size)
    model.eval()
    return [float(value) for value in history]
