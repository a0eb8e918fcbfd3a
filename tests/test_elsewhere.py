"""Tensors as on another device: what a GPU would refuse is refused, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from grader.boundary.lent.elsewhere import DeviceMismatch, devices_of

Draw = Callable[[Tensor, Tensor], Tensor]
GENERATOR = torch.Generator().manual_seed(3)

STAYS: dict[str, Draw] = {
    "a draw like another": lambda mu, logvar: mu + torch.exp(logvar / 2) * torch.randn_like(mu),
    "a draw that is moved": lambda mu, logvar: mu + torch.randn(mu.shape).to(mu),
    "a draw on the device": lambda mu, logvar: mu + torch.randn(mu.shape, device=mu.device, generator=GENERATOR),
    "in place": lambda mu, logvar: torch.empty_like(mu).normal_(generator=GENERATOR),
    "a distribution": lambda mu, logvar: torch.distributions.Normal(mu, torch.exp(logvar / 2)).rsample(),
    "constants": lambda mu, logvar: mu * torch.tensor([1.0, 2.0, 3.0], device=mu.device),
    "new constants": lambda mu, logvar: mu * mu.new_tensor([1.0, 2.0, 3.0]),
    "a single number": lambda mu, logvar: mu * torch.tensor(2.0),
    "row numbers": lambda mu, logvar: mu[torch.tensor([1, 0])],
    "one-hot": lambda mu, logvar: nn.functional.one_hot(torch.arange(3, device=mu.device), 5),
    "scatter": lambda mu, logvar: torch.zeros(2, 3, device=mu.device).scatter_(1, mu.argmax(1, keepdim=True), 1.0),
    "numbers and back": lambda mu, logvar: torch.tensor(mu.tolist(), device=mu.device) * float(logvar.sum()),
    "a copy": lambda mu, logvar: torch.empty_like(mu).copy_(torch.ones(2, 3)),
    "a selection": lambda mu, logvar: mu[mu > mu.mean()],
}
MIXES: dict[str, Draw] = {
    "a draw": lambda mu, logvar: mu + torch.exp(logvar / 2) * torch.randn(mu.shape),
    "constants": lambda mu, logvar: mu * torch.tensor([1.0, 2.0, 3.0]),
    "a matrix": lambda mu, logvar: mu @ torch.eye(3),
    "classes": lambda mu, logvar: nn.functional.embedding(torch.tensor([1, 0]), mu),
    "joined": lambda mu, logvar: torch.cat([mu, torch.zeros(2, 3)]),
}
LEAVES: dict[str, Draw] = {
    "a copy on the CPU": lambda mu, logvar: mu.cpu(),
    "of its own": lambda mu, logvar: torch.linspace(0, 1, len(mu)),
}


def called(function: Draw) -> list[str]:
    return list(devices_of(function, torch.randn(2, 3), torch.randn(2, 3)))


@pytest.mark.parametrize("name", STAYS)
def test_what_a_gpu_allows_is_allowed(name: str) -> None:
    assert called(STAYS[name]) == ["there"]


@pytest.mark.parametrize("name", MIXES)
def test_what_a_gpu_refuses_is_refused(name: str) -> None:
    with pytest.raises(DeviceMismatch):
        called(MIXES[name])


@pytest.mark.parametrize("name", LEAVES)
def test_a_result_on_the_cpu_is_seen(name: str) -> None:
    assert called(LEAVES[name]) == ["cpu"]


class Model(nn.Module):
    """Layers of many kinds; one mask is a buffer, the other a plain tensor."""

    registered: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.ReLU(),
            nn.Dropout(0.3), nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(64, 5)),
        )  # fmt: skip
        self.register_buffer("registered", torch.ones(5))
        self.plain = torch.ones(5)

    def forward(self, x: Tensor) -> Tensor:
        shown: Tensor = self.layers(x) * self.registered
        return shown

    def masked(self, x: Tensor) -> Tensor:
        shown: Tensor = self(x) * self.plain
        return shown


@pytest.mark.parametrize("training", [True, False])
def test_a_model_moves_with_its_parameters_and_buffers(training: bool) -> None:
    assert devices_of(Model().train(training), torch.rand(3, 16)) == ["there"]


def test_a_mask_that_is_no_buffer_stays_behind() -> None:
    with pytest.raises(DeviceMismatch, match=r"self\.plain of Model lies on the CPU"):
        devices_of(Model(), torch.rand(3, 16), method="masked")


def test_a_convolution_of_what_lies_on_the_cpu_is_refused() -> None:
    model = Model()
    with pytest.raises(DeviceMismatch):
        devices_of(lambda layers: layers(torch.rand(3, 16)), model.layers)


def test_one_parameter_with_two_names_stays_one() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert devices_of(model, torch.rand(2, 3)) == ["there"]
    assert model[1].weight is model[0].weight
