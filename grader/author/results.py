"""Writes ``docs/results.md`` and its picture from the committed figures: ``python -m grader.author.results``.

Cuts and the results behind them come from ``grader/check/thresholds.json`` (`calibrate`), speed from
``docs/bench.json`` (`bench`). With ``--curves`` it also trains the reference for the learning curves. A test
compares the page.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..boundary.session import Session
from ..boundary.values import Image8, Slot, TorchRef
from ..check.datasets import Dataset, load_dataset
from ..check.parts import FOLLOW_THROUGH
from ..check.thresholds import FILE as THRESHOLDS
from ..check.trained import X, out
from ..classes.ingest import read_submission
from ..grading.judge import PATIENCE, TRAINED, Bench
from ..report.pages.environment import MOST_BYTES
from ..report.write import put
from ..rubric import CHECKS, MODULES
from ..rubric.q04 import trained as q04_trained
from ..rubric.q08 import trained as q08_trained
from ..rubric.q10 import trained as q10_trained
from .bench import FILE as BENCH
from .calibrate import MANY
from .starter import ROOT

PAGE = ROOT / "docs" / "results.md"
NOTES = (ROOT / "docs" / "graded-seeds.md", ROOT / "docs" / "semi-supervised.md")  # what no command measures
CURVES = ROOT / "docs" / "images" / "curves-{}.svg"
TITLES = {check.id: check.title for check in CHECKS}

INTRODUCTION = f"""# What the reference reaches, and what the cuts are

Made by `python -m grader.author.results` from `grader/check/thresholds.json` (`make calibrate`) and `docs/bench.json`
(`make bench`). All errors are per pixel on held-out images, all nats per image.

## How a cut is found

The reference is trained with many seeds on each dataset. **Full credit** ends beyond the worst of its results: by the
metric's slack, or as far as Student's *t* for the logarithms of few results would put one run in 50 000, whichever
leaves more room; the slack is for correct models of other architectures. **No credit** is given from where a model
stands that has learned nothing, measured in the same runs (the mean image, PCA, noise left in, an untrained stack, the
commonest label, a single code). Between the two credit is linear, and a check's credit is that of its worst metric.

How often right work fails is not read off a fitted tail: one that was, from twenty seeds, promised 2e-17 where one
training in some thousand ended elsewhere. What holds for any distribution: one more training is worse than the worst of
*n* with probability 1/(*n* + 1). The cut lies further out, and points are lost only if the median of that training and
two more misses it; P(lose) is the bound that follows from ranks alone, about 6/*n*². It is weak where trainings are
dear and seeds few; where they take a second, there are {MANY}.

A model that misses full credit is trained once or twice more, with other seeds and {PATIENCE} times as long, and the
median of the three counts. A correct model with a part that failed its own checks may earn {FOLLOW_THROUGH:.0%} of a
trained check with the grader's part in its place.
"""


def metric_table(checks: Mapping[str, Any], dataset: str) -> list[str]:
    """A row per metric."""
    lines = [
        "| check | metric | seeds | reference: median (worst … best) | full credit | none | P(lose) |",
        "|---|---|---|---|---|---|---|",
    ]
    for check in (c for c in CHECKS if c.kind == "trained"):
        for name, metric in sorted(checks[check.id][dataset].items()):
            values, below = list(metric["seeds"].values()), metric["good"] == "below"
            worst, best = (max(values), min(values)) if below else (min(values), max(values))
            sign = "≤" if below else "≥"
            lines.append(
                f"| `{check.id}` | {name} | {len(values)} | {statistics.median(values):.4g} ({worst:.4g} … {best:.4g}) "
                f"| {sign} {metric['full']:.4g} | {metric['zero']:.4g} | ≤ {metric['lose']:.1g} |"
            )
    return lines


def calibration(content: Mapping[str, Any]) -> list[str]:
    """The section of cuts."""
    checks, lines = content["checks"], ["## Cuts", ""]
    said = ", ".join(f"{name} {version}" for name, version in sorted(content["versions"].items()))
    lines += [f"Calibrated with {said}.", ""]
    for dataset in ("digits", "mnist"):
        lines += [f"### {dataset}", "", *metric_table(checks, dataset), ""]
    return lines


ROWS = {
    "usual_epoch_s": "an epoch of the VAE, `DataLoader` + `ToTensor` (s)",
    "our_epoch_s": "the same in the grader's loop (s)",
    "usual_over_ours": "**usual / ours**",
    "products_s": "the same operations as matrix products (s)",
    "ours_over_products": "**ours / products**",
    "trained_s": "all trained checks of the reference (s)",
    "peak_memory_mib": "peak memory of a worker (MiB)",
}


def speed(bench: Mapping[str, Any]) -> list[str]:
    """The section of speed."""
    lines = ["## Speed", ""]
    for device, found in sorted((name, part) for name, part in bench.items() if name in ("cpu", "cuda")):
        names = [name for name in ("digits", "mnist") if name in found]
        lines += [f"{device}: {found['machine']}; {found[names[0]]['images']} and {found[names[-1]]['images']} images, "
                  "batches of 128, one thread; the trained checks with a process per core.", ""]  # fmt: skip
        lines += ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
        lines += [f"| {said} | " + " | ".join(f"{found[name][row]:.3g}" for name in names) + " |"
                  for row, said in ROWS.items()]  # fmt: skip
        lines.append("")
    if boundary := bench.get("boundary"):
        lines += [
            f"Quick checks of the reference, whole processes with their start-up, in CPU seconds: graded "
            f"{boundary['check_cpu_s']:g} (one question {boundary['one_question_cpu_s']:g}), judged in one process "
            f"{boundary['in_one_process_cpu_s']:g}; grading costs {boundary['ratio']:g} times as much as judging "
            "(`make bench`, medians of rounds in turn).", "",
        ]  # fmt: skip
    if box := bench.get("box"):
        lines += [
            f"In a box ({box['backend']}) against none, in turn: the first verdict of a submission on a warm "
            f"worker {box['first_verdict_ms']:.3g} ms after it was handed over ({box['first_verdict_ratio']:.3g} "
            f"times; {box['wait_ms']:.2g} ms of it for the box, {box['first_verdict_ms_without']:.3g} without any: two "
            "fifths of that is importing the submission's files; the goal was 100), all quick checks "
            f"{box['quick_s']:.3g} s "
            f"({box['quick_ratio']:.3g} times; in CPU seconds {box['quick_cpu_ratio']:.3g} times).", "",
        ]  # fmt: skip
    if watch := bench.get("watch"):
        lines += [
            f"`watch`, one function of Question 8 changed and saved: the first verdict {watch['first_verdict_s']:.2g} "
            f"s after the save, all that can see the change judged {watch['end_s']:.2g} s after it, where `check` of "
            f"the question takes {watch['check_s']:.3g} s ({watch['ratio']:.2g} times).", "",
        ]  # fmt: skip
    if pages := bench.get("pages"):
        lines += [
            f"The pages, in kB: `report.html` of the reference with its pictures {pages['report_with_pictures_kb']:g}, "
            f"of work in which nothing is right {pages['report_all_wrong_kb']:g}; `class.html` of 30 students "
            f"{pages['class_of_30_kb']:g}, of 300 {pages['class_of_300_kb']:g}. No page may have more than "
            f"{MOST_BYTES / 1000:g}.", "",
        ]  # fmt: skip
    if "cuda" not in bench:
        lines += ["**The GPU columns were not measured**: no machine with a GPU was at hand when this page was made. "
                  "The code path for CUDA has not been run.", ""]  # fmt: skip
    return lines


def page() -> str:
    """The whole page."""
    content = json.loads(THRESHOLDS.read_text())
    bench = json.loads(BENCH.read_text())
    lines = [INTRODUCTION, *calibration(content), *speed(bench), "## Learning curves", ""]
    lines += [f"![loss per epoch on {name}](images/{CURVES.name.format(name)})" for name in ("digits", "mnist")]
    return "\n".join([*lines, "", *(path.read_text() for path in NOTES)])


# ---- learning curves ----------------------------------------------------------------------------------------------


def curves(data: Dataset) -> dict[str, list[float]]:
    """Loss per epoch of the reference's models, at the budgets of the trained checks."""
    own, image_mse = q08_trained.OWN_LOSS, q04_trained.OBJECTIVE
    reconstruction = [{"fn": TorchRef("nn.functional.mse_loss"), "args": [out(0), X]}, {"use": Slot("out", 1)}]
    runs: dict[str, tuple[str, dict[str, Any], Any, Any]] = {
        "autoencoder": ("autoencoders.VanillaAutoencoder", {}, image_mse, q04_trained.VANILLA_BUDGET),
        "conv autoencoder": ("autoencoders.ConvAutoencoder", {"latent_dim": 32}, image_mse, q04_trained.CONV_BUDGET),
        "U-Net": ("autoencoders.UNetAutoencoder", {"latent_dim": 32}, image_mse, q04_trained.UNET_BUDGET),
        "VAE": ("vae.VAE", {}, own, q08_trained.ELBO_BUDGET),
        "conv VAE": ("vae.ConvVAE", {}, own, q08_trained.CONV_BUDGET),
        "VQ-VAE": ("vqvae.VQVAE", {}, reconstruction, q10_trained.BUDGETS),
    }
    found = {}
    with Bench(read_submission(ROOT / "solution", MODULES)) as bench:
        for name, (target, kwargs, objective, budgets) in runs.items():
            budget = budgets[data.name]
            with Session(bench.worker, 0, TRAINED) as session:
                found[name] = session.train(
                    session.new(target, **kwargs), {"x": Image8(data.train_x[: budget.train_size])}, objective,
                    epochs=budget.epochs, batch_size=budget.batch_size, lr=budget.lr, seed=0,
                )  # fmt: skip
    return found


def draw(found: Mapping[str, Sequence[float]], path: Path) -> None:
    """One panel per model."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    for axes, (name, losses) in zip(figure.subplots(2, 3).flat, found.items(), strict=True):
        axes.plot(range(1, len(losses) + 1), losses, marker="o", markersize=3)
        axes.set(title=name, yscale="log", xlabel="epoch", ylabel="training loss")
    figure.savefig(path, metadata={"Date": None})


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the page."""
    parser = argparse.ArgumentParser(prog="python -m grader.author.results")
    parser.add_argument("--curves", action="store_true")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args(argv)
    for name in ("digits", "mnist") if options.curves else ():
        draw(curves(load_dataset(name, options.data)), Path(str(CURVES).format(name)))
    put(PAGE, page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
