"""Small things of the grader that watch a training loop from inside: what it clears, how it steps, what it is told."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .probes import Notes


class Clearing:
    """Notes for every backward pass whether the gradient of the model's first weight was clear when it began."""

    def __init__(self, model: nn.Module) -> None:
        self.cleared = Notes()
        self.own: Tensor | None = None
        weight = next(p for p in model.parameters() if p.requires_grad and p.ndim > 1)
        weight.register_hook(self.arrives)  # type: ignore[no-untyped-call]
        weight.register_post_accumulate_grad_hook(self.has_arrived)  # type: ignore[no-untyped-call]

    def arrives(self, grad: Tensor) -> None:
        """This pass's own gradient, before it is added to what is there."""
        self.own = grad.detach().clone()

    def has_arrived(self, weight: Tensor) -> None:
        """The sum of both."""
        if self.own is not None and weight.grad is not None:
            self.cleared.append(bool(torch.allclose(weight.grad, self.own, rtol=1e-4, atol=1e-7)))


class Rising(nn.Module):
    """Logits of `inner`, with that of the first class raised by one with every call: the loss of others rises."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(x)
        shift = torch.zeros_like(logits)
        shift[:, 0] = self.calls
        self.calls += 1
        return logits + shift


class NotingScaler(torch.amp.GradScaler):
    """A gradient scaler that notes what it is asked to do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked = Notes()

    def scale(self, outputs: Any) -> Any:
        """Notes, and scales."""
        self.asked.append("scale")
        return super().scale(outputs)

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """Notes, and unscales."""
        self.asked.append("unscale_")
        super().unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        """Notes, and steps."""
        self.asked.append("step")
        return super().step(optimizer, *args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Notes, and updates."""
        self.asked.append("update")
        super().update(new_scale)
