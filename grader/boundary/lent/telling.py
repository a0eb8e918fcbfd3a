"""Models and losses that say in the values made with them how they were asked.

What a probe notes can be forged by the code that it watches. What is concluded from notes is therefore asked once more
with one of these: a loss, an accuracy, an image or a weight is only right if the call was as it should be.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Strict(nn.Module):
    """Spoils gradients from evaluation mode (unless `anyhow`), and those added to the gradients of an earlier batch.

    The weight passes through `watch` on its way into the model. What was in .grad before the first batch is another
    matter; of several backward passes for one batch, one must find nothing there.
    """

    def __init__(self, anyhow: bool = False) -> None:
        super().__init__()
        self.anyhow, self.batch, self.arrivals, self.clear, self.spoilt = anyhow, 0, 0, False, False

    def watch(self, weight: Tensor) -> Tensor:
        used = weight.view_as(weight)
        if used.requires_grad:
            if self.arrivals:  # of the batch before this one
                self.spoilt = self.spoilt or (self.batch > 0 and not self.clear)
                self.batch, self.arrivals, self.clear = self.batch + 1, 0, False
            used.register_hook(functools.partial(self.arrives, weight, self.training))  # type: ignore[no-untyped-call]
        return used

    def arrives(self, weight: Tensor, training: bool, grad: Tensor) -> Tensor:
        self.arrivals += 1
        self.clear = self.clear or weight.grad is None or not bool(weight.grad.any())
        return grad * (1.0 if (training or self.anyhow) and not self.spoilt else torch.nan)


class Telling(Strict):
    """An affine map whose answer has the other sign where it is not asked as it should be.

    In which mode itself and the layer in it should be says `mode`: "training", "evaluation", "as recorded" (in training
    mode where gradients are recorded), "any"; whether gradients should be recorded says `graph` (None: either way), on
    how many rows at most `most`. With `pair` it returns its answer and the mean of each row, in a tuple. An answer as
    large as x has its shape.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, mode: str, graph: bool | None = None, most: int | None = None,
        pair: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(anyhow=mode == "any")
        self.weight, self.bias, self.layer = nn.Parameter(weight), nn.Parameter(bias), nn.Identity()
        self.mode, self.graph, self.most, self.pair = mode, graph, most, pair

    def forward(self, x: Tensor) -> Any:
        answer = F.linear(x.flatten(1), self.watch(self.weight), self.bias)
        recorded, modes = answer.requires_grad, {self.training, self.layer.training}
        wanted = {"training": {True}, "evaluation": {False}, "as recorded": {recorded}}.get(self.mode, modes)
        right = modes == wanted and self.graph in (None, recorded) and (self.most is None or len(x) <= self.most)
        answer = answer if right else -answer
        shaped = answer.view_as(x) if answer.numel() == x.numel() else answer
        return (shaped, x.flatten(1).mean(1, keepdim=True)) if self.pair else shaped


class TellingLoss:
    """The mean squared error of a tuple's first entry; 1 more where it gets no whole tuple of float32 or float64.

    And 1 more where it is computed under autocast.
    """

    def __call__(self, output: Any, batch: Tensor) -> Tensor:
        whole = isinstance(output, tuple) and len(output) == 2
        first: Tensor = output[0] if whole else output
        fine = whole and all(part.dtype in (torch.float32, torch.float64) for part in (*output, batch))
        off = float(not fine or torch.is_autocast_enabled(batch.device.type))
        return (first - batch).square().mean() + off


class StrictAutoencoder(Strict):
    """An autoencoder with one tanh layer on images whose weights do not survive a training as `Strict` says."""

    def __init__(self, pixels: int, latent_dim: int) -> None:
        super().__init__()
        self.narrow, self.widen = nn.Linear(pixels, latent_dim), nn.Linear(latent_dim, pixels)

    def encode(self, x: Tensor) -> Tensor:
        return torch.tanh(F.linear(x.flatten(1), self.watch(self.narrow.weight), self.narrow.bias))

    def decode(self, z: Tensor) -> Tensor:
        flat: Tensor = self.widen(z)
        side = int(flat.shape[1] ** 0.5)
        return flat.view(-1, 1, side, side)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z).view_as(x), z


class Fading(nn.Module):
    """The identity, whose slope is the number of its passes: a gradient shows how often it was computed."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        # a tensor, which is computed again with the rest: a number would be kept from the first pass
        return x.detach() + torch.tensor(float(self.passes), dtype=x.dtype) * (x - x.detach())
