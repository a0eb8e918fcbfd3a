"""Trains the reference for every trained check over many seeds and writes the cuts to ``grader/check/thresholds.json``.

Usage: ``python -m grader.author.calibrate [--dataset digits|mnist|auto] [--seeds N] [--only CHECK] [--fresh]``.

Results are positive numbers, taken as log-normal. Full credit ends where another run of the reference comes with
probability LOSE_ONE, by Student's t for the seeds at hand, or beyond the worst seed by the metric's slack, whichever
leaves more room. The slack stands in the check, beside the metric: it is for correct models of another architecture. No
credit is given from where a model stands that has learned nothing: the best of what was measured as trivial in the same
runs. Results already in the file are kept unless --fresh is given, so an interrupted calibration goes on.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from scipy import stats

from ..check.credit import Measurement
from ..check.datasets import Dataset, load_dataset
from ..check.declaration import Check
from ..check.threads import THREADS
from ..check.thresholds import FILE, UNCALIBRATED
from ..classes.ingest import read_submission
from ..cli.plan import pick_device
from ..grading.judge import Bench, Setting, judge
from ..grading.run import cores
from ..report.model import versions
from ..report.write import put
from ..rubric import CHECKS, MODULES
from .starter import ROOT

LOSE_ANY = 1e-3  # probability that the reference loses any trained point in one run
METRICS = 50  # more than there are on one dataset
LOSE_ONE = LOSE_ANY / METRICS
SEEDS = {"digits": 20, "mnist": 10}
FEWEST = 5  # results below which their spread says nothing, and only the slack counts


def fitted(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of the logarithms."""
    logs = [math.log(value) for value in values]
    return statistics.fmean(logs), statistics.stdev(logs) if len(logs) > 1 else 0.0


def full_credit(values: Sequence[float], below: bool, slack: float) -> float:
    """Where full credit ends, for positive results of which smaller (`below`) or larger is better."""
    (mean, spread), count = fitted(values), len(values)
    reach = float(stats.t.isf(LOSE_ONE, count - 1)) * spread * math.sqrt(1 + 1 / count) if count >= FEWEST else 0.0
    if below:
        return rounded_up(math.exp(max(mean + reach, math.log(max(values)) + math.log1p(slack))))
    return -rounded_up(-math.exp(min(mean - reach, math.log(min(values)) + math.log1p(-slack))))


def rounded_up(value: float) -> float:
    """The next number with four digits, so that rounding never takes room away."""
    factor = 10.0 ** (3 - math.floor(math.log10(abs(value))))
    return math.ceil(value * factor) / factor


def chance_to_lose(values: Sequence[float], below: bool, full: float) -> float:
    """Probability that one more run of the reference misses full credit, under the fitted distribution."""
    mean, spread = fitted(values)
    if not spread:
        return 0.0
    off = abs(math.log(full) - mean) / (spread * math.sqrt(1 + 1 / len(values)))
    return float(stats.t.sf(off, len(values) - 1))


def derived(metric: Mapping[str, Any]) -> dict[str, float]:
    """The cuts of a metric, and what they are derived from besides the results."""
    values, below = list(metric["seeds"].values()), metric["good"] == "below"
    full, trivial = full_credit(values, below, metric["slack"]), list(metric["trivial"].values())
    mean, spread = fitted(values)
    return {
        "full": full,
        "zero": min(trivial) if below else max(trivial),
        "log_mean": float(f"{mean:.6g}"),
        "noise": float(f"{spread:.4g}"),
        "lose": float(f"{chance_to_lose(values, below, full):.2g}"),
    }


@dataclass(frozen=True)
class Task:
    """One training of the reference."""

    check: str
    dataset: str
    root: Path | None
    seed: int
    device: str = "cpu"


@functools.cache
def tools(dataset: str, root: Path | None) -> tuple[Bench, Dataset]:
    """A warm worker with the reference, and the data, once per process."""
    return Bench(read_submission(ROOT / "solution", MODULES)), load_dataset(dataset, root)


def measure(task: Task) -> dict[str, Measurement]:
    """Metrics of the reference with one seed. Raises RuntimeError if it does not pass even without cuts."""
    torch.set_num_threads(THREADS)
    bench, data = tools(task.dataset, task.root)
    check = next(check for check in CHECKS if check.id == task.check)
    outcome = judge(check, bench, Setting(task.seed, task.device, data, UNCALIBRATED))
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
                tasks.append(Task(check.id, data.name, options.data, seed, pick_device(options.device)))
    return tasks


def enter(table: dict[str, Any], task: Task, found: Mapping[str, Measurement]) -> None:
    """Adds one task's results to the table, and derives the cuts anew."""
    entry = table.setdefault(task.check, {}).setdefault(task.dataset, {})
    for name, measured in found.items():
        metric = entry.setdefault(name, {"seeds": {}, "trivial": {}})
        metric |= {"good": "below" if measured.below else "above", "slack": measured.slack}
        metric["seeds"][str(task.seed)] = float(f"{measured.value:.6g}")
        metric["trivial"][str(task.seed)] = float(f"{measured.trivial:.6g}")
        metric |= derived(metric)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what is missing and writes the file after every result."""
    parser = argparse.ArgumentParser(prog="python -m grader.author.calibrate")
    parser.add_argument("--dataset", choices=("auto", "digits", "mnist"), default="auto")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, help=f"default: {SEEDS}")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--jobs", type=int, default=cores())
    parser.add_argument("--only", default="", help="part of a check's id")
    parser.add_argument("--fresh", action="store_true", help="measure again what the file already holds")
    options = parser.parse_args(argv)
    console = Console(stderr=True)
    data = load_dataset(options.dataset, options.data)
    options.seeds = options.seeds or SEEDS[data.name]
    content: dict[str, Any] = json.loads(FILE.read_text())
    table = content["checks"]
    trained = [check for check in CHECKS if check.kind == "trained" and options.only in check.id]
    for check in trained if options.fresh else ():
        table.get(check.id, {}).pop(data.name, None)
    tasks = missing_tasks(table, trained, data, options)
    lost: list[str] = []
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(measure, task): task for task in tasks}
        for future in track(as_completed(futures), f"trained checks on {data.name}", len(tasks), console=console):
            try:
                enter(table, futures[future], future.result())
            # one failure must not throw the other results away
            except (RuntimeError, ArithmeticError, ValueError) as error:
                lost.append(f"{futures[future].check}, seed {futures[future].seed}: {error}")
                console.print(f"[red]{lost[-1]}[/]", highlight=False)
                continue
            content["made_by"] = "make calibrate DATASET=" + data.name
            content["versions"] = {k: v for k, v in versions().items() if k != "rubric_hash"}
            put(FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")
    for check in trained:
        for name, metric in table[check.id][data.name].items():
            metric |= derived(metric)
            values = ", ".join(f"{v:.4g}" for v in metric["seeds"].values())
            said = f"{metric['good']} {metric['full']:g}, nothing from {metric['zero']:g} on"
            console.print(f"{check.id} {name}: {said} ({values})", highlight=False)
            if not (metric["full"] < metric["zero"] if metric["good"] == "below" else metric["full"] > metric["zero"]):
                console.print(f"[red]{check.id} {name}: the reference cannot be told from a trivial model[/]")
    put(FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
