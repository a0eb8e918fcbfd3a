"""Trains the reference for every trained check over several seeds and writes the cuts to ``grader/thresholds.json``.

Usage: ``python -m grader.author.calibrate [--dataset digits|mnist|auto] [--seeds 5] [--only CHECK] [--fresh]``.

A cut lies beyond the worst of the seeds by a factor: MARGIN_SPREADS standard deviations of their logarithms, or the
metric's slack, whichever is more. In logarithms, because the metrics are positive and a cut below zero could not fail.
The slack stands in the check, beside the metric: it leaves room for correct models of another architecture. Results
already in the file are kept unless --fresh is given, so an interrupted calibration goes on where it was.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import multiprocessing
import statistics
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from ..checks import Check
from ..context import Measurement
from ..datasets import Dataset, load_dataset
from ..ingest import read_submission
from ..judge import TRAINED, Bench, Setting, judge
from ..report.model import versions
from ..report.write import put
from ..rubric import CHECKS, MODULES
from ..run import cores
from ..thresholds import FILE, UNCALIBRATED
from .starter import ROOT

MARGIN_SPREADS = 3.0


def cut_of(values: Sequence[float], below: bool, slack: float) -> float:
    """The cut for positive results `values` of which smaller (`below`) or larger is better, rounded away from them."""
    logs = [math.log(value) for value in values]
    spread = statistics.stdev(logs) if len(logs) > 1 else 0.0
    margin = max(MARGIN_SPREADS * spread, math.log1p(slack) if below else -math.log1p(-slack))
    raw = math.exp(max(logs) + margin if below else min(logs) - margin)
    factor = 10.0 ** (3 - math.floor(math.log10(raw)))
    return (math.ceil if below else math.floor)(raw * factor) / factor


@dataclass(frozen=True)
class Task:
    """One training of the reference."""

    check: str
    dataset: str
    root: Path | None
    seed: int
    threads: int


@functools.cache
def tools(dataset: str, root: Path | None) -> tuple[Bench, Dataset]:
    """A warm worker with the reference, and the data, once per process."""
    return Bench(read_submission(ROOT / "solution", MODULES)), load_dataset(dataset, root)


def measure(task: Task) -> dict[str, Measurement]:
    """Metrics of the reference with one seed. Raises RuntimeError if it does not pass even without cuts."""
    torch.set_num_threads(task.threads)
    bench, data = tools(task.dataset, task.root)
    check = next(check for check in CHECKS if check.id == task.check)
    limits = replace(TRAINED, threads=task.threads)
    outcome = judge(check, bench, Setting(task.seed, "cpu", data, UNCALIBRATED, trained=limits))
    if outcome.status != "passed":
        raise RuntimeError(f"{task}: {outcome.status}: {outcome.message} {outcome.expected} {outcome.actual}")
    return dict(outcome.measured)


def missing_tasks(table: Mapping[str, Any], checks: Sequence[Check], data: Dataset, options: Any) -> list[Task]:
    """What the file does not hold yet, seed after seed."""
    tasks = []
    for seed in range(options.seeds):
        for check in checks:
            entry = table.get(check.id, {}).get(data.name)
            if entry is None or any(str(seed) not in metric["seeds"] for metric in entry.values()):
                tasks.append(Task(check.id, data.name, options.data, seed, max(1, cores() // options.jobs)))
    return tasks


def enter(table: dict[str, Any], task: Task, found: Mapping[str, Measurement]) -> None:
    """Adds one task's results to the table, and derives the cuts anew."""
    entry = table.setdefault(task.check, {}).setdefault(task.dataset, {})
    for name, measured in found.items():
        metric = entry.setdefault(name, {"cut": 0.0, "seeds": {}})
        metric |= {"good": "below" if measured.below else "above", "slack": measured.slack}
        metric["seeds"][str(task.seed)] = float(f"{measured.value:.6g}")
        metric["cut"] = cut_of(list(metric["seeds"].values()), measured.below, measured.slack)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what is missing and writes the file after every result."""
    parser = argparse.ArgumentParser(prog="python -m grader.author.calibrate")
    parser.add_argument("--dataset", choices=("auto", "digits", "mnist"), default="auto")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=cores())
    parser.add_argument("--only", default="", help="part of a check's id")
    parser.add_argument("--fresh", action="store_true", help="measure again what the file already holds")
    options = parser.parse_args(argv)
    console = Console(stderr=True)
    data = load_dataset(options.dataset, options.data)
    content: dict[str, Any] = json.loads(FILE.read_text())
    table = content["checks"]
    trained = [check for check in CHECKS if check.kind == "trained" and options.only in check.id]
    for check in trained if options.fresh else ():
        table.get(check.id, {}).pop(data.name, None)
    tasks = missing_tasks(table, trained, data, options)
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(measure, task): task for task in tasks}
        for future in track(as_completed(futures), f"trained checks on {data.name}", len(tasks), console=console):
            enter(table, futures[future], future.result())
            content["made_by"] = "python -m grader.author.calibrate"
            content["versions"] = {k: v for k, v in versions().items() if k != "rubric_hash"}
            put(FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")
    for check in trained:
        for name, metric in table[check.id][data.name].items():
            metric["cut"] = cut_of(list(metric["seeds"].values()), metric["good"] == "below", metric["slack"])
            values = ", ".join(f"{v:.4g}" for v in metric["seeds"].values())
            console.print(f"{check.id} {name}: {metric['good']} {metric['cut']:g} ({values})", highlight=False)
    put(FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
