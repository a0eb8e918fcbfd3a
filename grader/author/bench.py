"""Measures speed as ratios within one run: ``make bench``, or ``python -m grader.author.bench [--device D] [--quick]``.

* an epoch of the VAE in the usual loop (`DataLoader`, `ToTensor` per image, `loss.item()` per step) against ours
* ours against the time that the same floating-point operations take as plain matrix products on this machine
* all trained checks of the reference, in seconds, and the peak memory of a worker

All but the trained checks with one thread. It prints a table and writes ``docs/bench.json``, from which `results` makes
a page.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms import ToTensor

from ..boundary.session import Session
from ..boundary.values import Image8, Probe
from ..check.datasets import DataError, Dataset, load_dataset
from ..check.trained import X, out
from ..classes.ingest import read_submission
from ..cli.plan import pick_device
from ..grading.judge import TRAINED, Bench
from ..grading.run import Plan, cores, grade
from ..report.write import put
from ..rubric import CHECKS, MODULES, QUESTIONS
from .starter import ROOT

FILE = ROOT / "docs" / "bench.json"
BATCH, IMAGES, ROUNDS = 128, 12_800, 3
PIXELS, HIDDEN, LATENT = 784, 400, 20
OBJECTIVE = ({"fn": Probe("image_nelbo"), "args": [out(0), X, out(1), out(2)]},)


class UsualVAE(nn.Module):
    """The VAE of a tutorial, of the sizes of the reference's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(PIXELS, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.mu, self.logvar = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)
        self.third, self.fourth, self.last = (
            nn.Linear(LATENT, HIDDEN),
            nn.Linear(HIDDEN, HIDDEN),
            nn.Linear(HIDDEN, PIXELS),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(x_recon, mu, logvar)."""
        h = torch.relu(self.second(torch.relu(self.first(x.flatten(1)))))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        h = torch.relu(self.fourth(torch.relu(self.third(z))))
        return torch.sigmoid(self.last(h)).view_as(x), mu, logvar


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """What torchvision's MNIST does with each image: uint8 -> PIL -> ToTensor."""

    def __init__(self, data: Dataset, size: int) -> None:
        self.pixels, self.labels, self.transform = data.train_x[:size, 0].numpy(), data.train_y[:size], ToTensor()

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


def nelbo(x_recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """-ELBO in nats per image."""
    recon = nn.functional.binary_cross_entropy(x_recon, x, reduction="sum") / len(x)
    return recon + 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1).mean()


def usual_epoch(data: Dataset, size: int, device: str) -> float:
    """Seconds of an epoch as in most tutorials."""
    model = UsualVAE().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(Pictures(data, size), batch_size=BATCH, shuffle=True)
    total, began = 0.0, time.perf_counter()
    for x, _ in loader:
        x = x.to(device)
        optimizer.zero_grad()
        loss = loss_of(model, x)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.item()
    return time.perf_counter() - began


def loss_of(model: nn.Module, x: Tensor) -> Tensor:
    """-ELBO of a batch."""
    x_recon, mu, logvar = model(x)
    return nelbo(x_recon, x, mu, logvar)


def our_epoch(bench: Bench, data: Dataset, size: int, device: str) -> tuple[float, float]:
    """Seconds of an epoch of the reference's VAE in a worker, and its peak memory in MiB.

    From the difference of a long and a short training: the loop alone, without sending the images.
    """
    times, peak = {}, 0.0
    for epochs in (1, 3):
        with Session(bench.worker, 0, replace(TRAINED, threads=torch.get_num_threads())) as session:
            if device != "cpu":
                session.use_device(device)
            model = session.new("vae.VAE", latent_dim=LATENT)
            images = {"x": Image8(data.train_x[:size])}
            began = time.perf_counter()
            session.train(model, images, OBJECTIVE, epochs=epochs, batch_size=BATCH, lr=1e-3, seed=0)
            times[epochs] = time.perf_counter() - began
            peak = max(peak, high_water(session.child.pid))
    return (times[3] - times[1]) / 2, peak


def high_water(pid: int) -> float:
    """Most memory that a process has held, in MiB (Linux; elsewhere what it holds now)."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def product_seconds(flops: float, device: str) -> float:
    """Seconds that `flops` take in products of the size of the VAE's largest layer."""
    a, b = torch.randn(BATCH, PIXELS, device=device), torch.randn(PIXELS, HIDDEN, device=device)
    each, rounds = 2.0 * BATCH * PIXELS * HIDDEN, 300
    best = float("inf")
    for _ in range(ROUNDS):
        wait(device)
        began = time.perf_counter()
        for _ in range(rounds):
            a @ b
        wait(device)
        best = min(best, (time.perf_counter() - began) / rounds)
    return best * flops / each


def wait(device: str) -> None:
    """Until the device has done what it was told."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def epoch_flops(size: int) -> float:
    """Floating-point operations of an epoch, forward and backward."""
    model = UsualVAE()
    with FlopCounterMode(display=False) as counter:
        loss_of(model, torch.rand(BATCH, 1, 28, 28)).backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops()) * size / BATCH


def median_of(measure: Callable[[], float]) -> float:
    """Median of some measurements."""
    return statistics.median(measure() for _ in range(ROUNDS))


def trained_seconds(data: Dataset, device: str, jobs: int) -> tuple[float, dict[str, float]]:
    """Seconds of all trained checks of the reference, and of each. Raises RuntimeError if one does not pass."""
    submission = read_submission(ROOT / "solution", MODULES)
    plan = Plan(1, device, data.name, "bench", None, frozenset(q.number for q in QUESTIONS), frozenset({"trained"}),
                frozenset({"public", "hidden"}), jobs)  # fmt: skip
    began = time.perf_counter()
    [(_, report)] = list(grade([submission], plan, lambda *_: None))
    seconds = time.perf_counter() - began
    trained = [outcome for outcome in report.outcomes if outcome.check.kind == "trained"]
    if lost := [outcome.check.id for outcome in trained if outcome.status != "passed"]:
        raise RuntimeError(f"the reference loses {', '.join(lost)}")
    return seconds, {outcome.check.id: round(outcome.duration_s, 1) for outcome in trained}


def machine(device: str) -> str:
    """What the figures were taken on."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else processor()
    return f"{name}, {cores()} cores, Python {platform.python_version()}, torch {torch.__version__}"


def processor() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def measure(data: Dataset, device: str, full: bool) -> dict[str, Any]:
    """All figures on one dataset."""
    size = min(IMAGES, len(data.train_x))
    with Bench(read_submission(ROOT / "solution", MODULES)) as bench:
        peaks: list[float] = []

        def ours() -> float:
            seconds, peak = our_epoch(bench, data, size, device)
            peaks.append(peak)
            return seconds

        our = median_of(ours)
    usual = median_of(lambda: usual_epoch(data, size, device))
    products = product_seconds(epoch_flops(size), device)
    figures: dict[str, Any] = {
        "images": size, "usual_epoch_s": usual, "our_epoch_s": our, "products_s": products,
        "usual_over_ours": usual / our, "ours_over_products": our / products, "peak_memory_mib": max(peaks),
    }  # fmt: skip
    if full:
        figures["trained_checks"] = sum(check.kind == "trained" for check in CHECKS)
        figures["trained_s"], figures["each_s"] = trained_seconds(data, device, jobs=1 if device != "cpu" else cores())
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in figures.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints and writes the figures."""
    parser = argparse.ArgumentParser(prog="python -m grader.author.bench")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--quick", action="store_true", help="without the trained checks, and nothing is written")
    options = parser.parse_args(argv)
    options.device = pick_device(options.device)
    torch.set_num_threads(1)  # as a lane of the grader has it: one process per core, one thread per process
    console, found = Console(), {}
    for name in ("digits", "mnist"):
        try:
            data = load_dataset(name, options.data)
        except DataError as error:
            console.print(f"[yellow]{name} left out:[/] {error}")
            continue
        found[name] = measure(data, options.device, not options.quick)
    table = Table(title=machine(options.device))
    table.add_column("")
    for name in found:
        table.add_column(name, justify="right")
    rows = [row for row in next(iter(found.values())) if row != "each_s"]
    for row in rows:
        table.add_row(row, *(f"{figures[row]:g}" for figures in found.values()))
    console.print(table)
    if not options.quick:
        content = json.loads(FILE.read_text()) if FILE.exists() else {}
        content[options.device] = {"machine": machine(options.device), **found}
        put(FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
