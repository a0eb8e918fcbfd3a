"""The judge of generated images: a small convolutional classifier that the grader trains itself, on the training split.

It runs in the grader's process, never in a worker, so no submission can reach it. Training takes seconds and happens
once per dataset: the weights and the accuracy on held-out images are kept as a safetensors file in the user's cache
folder, under a name that changes with the data and with this file. A file that cannot be read is made again, a folder
that cannot be written means training again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ..boundary.launch import GraderFault
from .datasets import Dataset, to_float
from .threads import fixed_threads

CHUNK = 1000
SEED = 328


@dataclass(frozen=True)
class Plan:
    """How the judge is trained on a dataset, and the held-out accuracy below which it may not judge."""

    epochs: int
    batch_size: int
    peak_lr: float
    floor: float


PLANS: Mapping[str, Plan] = {"digits": Plan(20, 64, 8e-3, floor=0.97), "mnist": Plan(3, 128, 6e-3, floor=0.985)}


class JudgeNetwork(nn.Module):
    """Images `(B, 1, 28, 28)` -> logits `(B, 10)`; two strided convolutions 28 -> 14 -> 7 and two affine layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, kernel_size=5, stride=2, padding=2), nn.ReLU(),
            nn.Conv2d(8, 16, kernel_size=5, stride=2, padding=2), nn.ReLU(),
            nn.Flatten(), nn.Dropout(0.2), nn.Linear(16 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 10),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the ten digits."""
        logits: Tensor = self.layers(x)
        return logits


@dataclass(frozen=True)
class Judge:
    """A trained judge and its accuracy on held-out images of the dataset."""

    accuracy: float
    network: JudgeNetwork = field(repr=False)

    def predict(self, images: Tensor) -> Tensor:
        """Digits `(N,)` seen on images `(N, 1, 28, 28)` in [0, 1]."""
        with torch.no_grad():
            chunks = torch.split(images.detach().to("cpu", torch.float32), CHUNK)
            return torch.cat([self.network(chunk).argmax(1) for chunk in chunks])

    def features(self, images: Tensor) -> Tensor:
        """What the judge sees on images before it names a digit, `(N, 64)`."""
        with torch.no_grad():
            chunks = torch.split(images.detach().to("cpu", torch.float32), CHUNK)
            return torch.cat([self.network.layers[:-1](chunk) for chunk in chunks])

    def distance(self, drawn: Tensor, real: Tensor) -> float:
        """Fréchet distance between normal distributions fitted to the features of two sets of images."""
        (mean1, cov1), (mean2, cov2) = (moments(self.features(images)) for images in (drawn, real))
        # the eigenvalues of a product of two positive semidefinite matrices are real and not negative
        roots = torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0).sqrt()
        return float((mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * roots.sum())


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance over the rows."""
    return features.double().mean(0), torch.cov(features.double().T)


def judge_for(data: Dataset, cache: Path | None = None) -> Judge:
    """The judge of a dataset, from the cache folder if it is there, else trained now and kept there.

    What the cache holds is not believed: its accuracy is measured again. Raises GraderFault if not even a judge trained
    now recognises held-out images well enough to judge others.
    """
    path = (cache or cache_folder()) / f"judge-{data.name}-{version(data)}.safetensors"
    floor = PLANS[data.name].floor
    kept = read(path)
    if kept is not None and (judge := measured(kept, data)).accuracy >= floor:
        return judge
    judge = measured(train(data), data)
    if not judge.accuracy >= floor:
        raise GraderFault(f"the judge network reads {judge.accuracy:.2%} of {data.name} rightly, not {floor:.1%}")
    write(path, judge.network)
    return judge


def measured(network: JudgeNetwork, data: Dataset) -> Judge:
    """The network with its accuracy on the test split."""
    with fixed_threads():
        seen = Judge(0.0, network).predict(to_float(data.test_x))
    return Judge(float((seen == data.test_y).double().mean()), network)


def train(data: Dataset) -> JudgeNetwork:
    """A fresh network, trained on the training split."""
    plan = PLANS[data.name]
    images, labels = to_float(data.train_x), data.train_y
    steps = plan.epochs * -(-len(images) // plan.batch_size)
    with fixed_threads(), torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(SEED)
        network = JudgeNetwork()
        optimizer = torch.optim.Adam(network.parameters(), lr=plan.peak_lr, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=plan.peak_lr, total_steps=steps)
        for _ in range(plan.epochs):
            for rows in torch.split(torch.randperm(len(images)), plan.batch_size):
                loss = nn.functional.cross_entropy(network(images[rows]), labels[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    network.eval().requires_grad_(False)
    return network


# ---- the cache ----------------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Folder of the grader below XDG_CACHE_HOME, by default below ~/.cache. It need not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if os.path.isabs(root) else Path.home() / ".cache") / "a7-grader"


def version(data: Dataset) -> str:
    """Digest of everything that the judge depends on: the images, their labels and this file."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for tensor in (data.train_x, data.train_y, data.test_x, data.test_y):
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def read(path: Path) -> JudgeNetwork | None:
    """The network kept at `path`; None if there is none or it is damaged."""
    try:
        blob = path.read_bytes()
        network = JudgeNetwork()
        network.load_state_dict(safetensors.torch.load(blob))
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError):
        return None
    network.eval().requires_grad_(False)
    return network


def write(path: Path, network: JudgeNetwork) -> None:
    """Keeps the network at `path`, whole or not at all: several graders may do so at the same time."""
    blob = safetensors.torch.save(network.state_dict())
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(blob)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
