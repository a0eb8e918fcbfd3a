"""Functions of one question that another takes as they are in the handout: loss, loop and latents.

Where another question is graded, these are put in the place of the student's, whatever the student's are like. They
could be handed in: students' copies of the kit use the student's own instead (`lending.OWN`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def image_mse(x_recon: Tensor, x: Tensor) -> Tensor:
    """`autoencoders.mse_loss` as the handout has it: stands in for the student's where another question is graded."""
    if x_recon.shape != x.shape:
        raise ValueError(f"x_recon and x must have the same shape, got {tuple(x_recon.shape)} and {tuple(x.shape)}")
    return (x_recon - x).square().flatten(1).sum(1).mean()


def reparameterize(
    mu: Tensor, logvar: Tensor, eps: Tensor | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """`vae.reparameterize` as the handout has it: stands in for the student's where another question is graded."""
    if eps is None:
        eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    return mu + torch.exp(0.5 * logvar) * eps


def image_nelbo(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """`vae.vae_loss` at beta = 1 as the handout has it: stands in for the student's where the model is graded."""
    recon = nn.functional.binary_cross_entropy(x_recon, x, reduction="sum") / len(x)
    return recon + 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1).mean()


def train_step(model: nn.Module, x: Tensor, loss_fn: Any, optimizer: torch.optim.Optimizer) -> float:
    """`training.train_step`, where another question is graded."""
    model.train()
    optimizer.zero_grad()
    loss: Tensor = loss_fn(model(x), x)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def fit(
    model: nn.Module, data: Tensor, loss_fn: Any, optimizer: torch.optim.Optimizer, epochs: int, batch_size: int = 128,
    validation: Tensor | None = None, patience: int | None = None, generator: torch.Generator | None = None,
) -> dict[str, list[float]]:  # fmt: skip
    """`training.fit` without validation, where another question is graded."""
    if validation is not None or patience is not None:
        raise ValueError("this stand-in for fit has no validation: train_two_stage needs none")
    mode, losses = model.training, []
    for _ in range(epochs):
        batches = torch.split(torch.randperm(len(data), generator=generator), batch_size)
        losses.append(
            sum(train_step(model, data[rows], loss_fn, optimizer) * len(rows) for rows in batches) / len(data)
        )
    model.train(mode)
    return {"train": losses, "validation": []}
