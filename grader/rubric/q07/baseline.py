"""What 100 labels are worth without pre-training: found by the grader itself, in its own process.

No code of the submission has a part in it. A baseline that the submission trained could be spoiled by it, and whatever
it did afterwards would then look like a gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...check.threads import fixed_threads

BATCH_SIZE = 32  # that of `finetune`, if nobody says another one


@dataclass(frozen=True)
class Plan:
    """A network of affine maps with rectified units between them, and how it learns from labels alone."""

    widths: tuple[int, ...]
    epochs: int
    lr: float
    drop_prob: float


def from_scratch(plan: Plan, images: Tensor, labels: Tensor, unseen: Tensor, seed: int) -> Tensor:
    """Classes `(M,)` that a fresh network, trained on these few images `(N, 1, H, W)`, sees on unseen ones.

    The encoder of the network that is pre-trained elsewhere, with the same share of its pixels masked while it learns,
    and a linear head.
    """
    with fixed_threads(), torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = encoder_and_head(plan.widths)
        optimizer = torch.optim.Adam(network.parameters(), lr=plan.lr, fused=True)
        for _ in range(plan.epochs):
            for rows in torch.split(torch.randperm(len(images)), BATCH_SIZE):
                flat = images[rows].flatten(1)
                kept = torch.rand_like(flat) >= plan.drop_prob
                optimizer.zero_grad(set_to_none=True)
                F.cross_entropy(network(flat * kept), labels[rows]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        with torch.no_grad():
            found: Tensor = network(unseen.flatten(1)).argmax(1)
    return found


def encoder_and_head(widths: Sequence[int], classes: int = 10) -> nn.Sequential:
    """Affine maps of these widths, a rectifier after each but the last, and the affine head."""
    layers: list[nn.Module] = []
    for wide, narrow in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(wide, narrow), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Linear(widths[-1], classes))
