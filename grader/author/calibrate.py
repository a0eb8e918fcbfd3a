"""Trains the reference for every trained check over many seeds and writes the cuts to ``grader/check/thresholds.json``.

Usage: ``python -m grader.author.calibrate [--dataset digits|mnist|auto] [--seeds N] [--only CHECK] [--fresh]``.

Full credit ends beyond the worst result by the metric's slack, which stands in the check, beside the metric: it is for
correct models of another architecture. No credit is given from where a model stands that has learned nothing: the best
of what was measured as trivial in the same runs. Results already in the file are kept unless --fresh is given, so an
interrupted calibration goes on; --derive trains nothing and finds the cuts anew, after a change of the rule.
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

# Where Student's t for the logarithms puts one run in so many: from few seeds, a cut lies at least there. This is a
# margin and no probability; nobody knows the tail from twenty results.
FAR_OUT = 2e-5
SEEDS = {"digits": 20, "mnist": 10}
MANY = 200  # on digits, where a training takes a second: what happens in one run of fifty is then seen, not assumed
CHEAP = frozenset({"q3.trained.linear"})
FEWEST = 5  # results below which their spread says nothing


def seeds_of(check: str, dataset: str) -> int:
    """With how many seeds the reference is trained."""
    return MANY if dataset == "digits" and check in CHEAP else SEEDS[dataset]


def fitted(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of the logarithms."""
    logs = [math.log(value) for value in values]
    return statistics.fmean(logs), statistics.stdev(logs) if len(logs) > 1 else 0.0


def full_credit(values: Sequence[float], below: bool, slack: float, way: float = 0.0, zero: float = 0.0) -> float:
    """Where full credit ends, for positive results of which smaller (`below`) or larger is better.

    Beyond the worst of them by `slack` of it, or by `way` of the way from it to `zero`; and, as long as there are few,
    not before FAR_OUT, because the worst of few says little about what a training may end in.
    """
    (mean, spread), count = fitted(values), len(values)
    few = FEWEST <= count < MANY
    margin = float(stats.t.isf(FAR_OUT, count - 1)) * spread * math.sqrt(1 + 1 / count) if few else 0.0
    worst = max(values) if below else min(values)
    if below:
        return rounded_up(max(math.exp(mean + margin), worst * (1 + slack), worst + way * (zero - worst)))
    return -rounded_up(-min(math.exp(mean - margin), worst * (1 - slack), worst + way * (zero - worst)))


def rounded_up(value: float) -> float:
    """The next number with four digits, so that rounding never takes room away."""
    factor = 10.0 ** (3 - math.floor(math.log10(abs(value))))
    return math.ceil(value * factor) / factor


def chance_to_lose(count: int) -> float:
    """Probability that the reference loses points by a metric whose cut lies beyond the worst of `count` trainings.

    Points are lost if of three more trainings two miss it. By ranks alone, whatever the distribution: two of them are
    the worst two of count + 2, given that the third may be either. The cut lies beyond the worst, and the two trainings
    that follow the first take longer, so that this is a bound, and for few seeds a weak one. No tail is assumed: a
    normal one fitted to twenty results has promised 2e-17 where one run in a thousand ended elsewhere.
    """
    both = 2 / ((count + 1) * (count + 2))  # two given ones of count + 2 are the worst two
    all_three = 6 / ((count + 1) * (count + 2) * (count + 3))
    return 3 * both - 2 * all_three


def derived(metric: Mapping[str, Any]) -> dict[str, float]:
    """The cuts of a metric, and what they are derived from besides the results."""
    values, below = list(metric["seeds"].values()), metric["good"] == "below"
    trivial = list(metric["trivial"].values())
    zero = min(trivial) if below else max(trivial)
    full = full_credit(values, below, metric["slack"], metric["way"], zero)
    return {"full": full, "zero": zero, "lose": float(f"{chance_to_lose(len(values)):.2g}")}


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
    for seed in range(options.seeds or max(seeds_of(check.id, data.name) for check in checks)):
        for check in checks:
            if seed >= (options.seeds or seeds_of(check.id, data.name)):
                continue
            entry = table.get(check.id, {}).get(data.name)
            if entry is None or any(str(seed) not in metric["seeds"] for metric in entry.values()):
                tasks.append(Task(check.id, data.name, options.data, seed, pick_device(options.device)))
    return tasks


def enter(table: dict[str, Any], task: Task, found: Mapping[str, Measurement]) -> None:
    """Adds one task's results to the table, and derives the cuts anew."""
    entry = table.setdefault(task.check, {}).setdefault(task.dataset, {})
    for name, measured in found.items():
        metric = entry.setdefault(name, {"seeds": {}, "trivial": {}})
        metric |= {"good": "below" if measured.below else "above", "slack": measured.slack, "way": measured.way}
        metric["seeds"][str(task.seed)] = float(f"{measured.value:.6g}")
        metric["trivial"][str(task.seed)] = float(f"{measured.trivial:.6g}")
        metric |= derived(metric)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what is missing and writes the file after every result."""
    parser = argparse.ArgumentParser(prog="python -m grader.author.calibrate")
    parser.add_argument("--dataset", choices=("auto", "digits", "mnist"), default="auto")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, help=f"default: {SEEDS}, for cheap checks on digits {MANY}")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--jobs", type=int, default=cores())
    parser.add_argument("--only", default="", help="part of a check's id")
    parser.add_argument("--fresh", action="store_true", help="measure again what the file already holds")
    parser.add_argument("--derive", action="store_true", help="train nothing: the cuts that follow from the file")
    options = parser.parse_args(argv)
    console = Console(stderr=True)
    data = load_dataset(options.dataset, options.data)
    content: dict[str, Any] = json.loads(FILE.read_text())
    table = content["checks"]
    trained = [check for check in CHECKS if check.kind == "trained" and options.only in check.id]
    for check in trained if options.fresh and not options.derive else ():
        table.get(check.id, {}).pop(data.name, None)
    tasks = [] if options.derive else missing_tasks(table, trained, data, options)
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
