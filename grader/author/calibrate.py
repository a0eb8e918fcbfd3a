"""Trains the reference for every trained check over several seeds and writes the cuts to ``grader/thresholds.json``.

Usage: ``python -m grader.author.calibrate [--dataset digits|mnist|auto] [--seeds 5] [--only CHECK] [--fresh]``.

A cut lies beyond the worst of the seeds by a margin: MARGIN_SPREADS times their spread (sample standard deviation), or
the metric's slack times the mean, whichever is more. The slack stands in the check, beside the metric: it leaves room
for correct models of another architecture. Results already in the file are kept unless --fresh is given, so
an interrupted calibration goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from ..checks import Check
from ..context import Measurement
from ..datasets import Dataset, load_dataset
from ..ingest import read_submission
from ..judge import Bench, Setting, judge
from ..report.model import versions
from ..report.write import put
from ..rubric import CHECKS, MODULES
from ..thresholds import FILE, UNCALIBRATED
from .starter import ROOT

MARGIN_SPREADS = 4.0


def cut_of(values: Sequence[float], below: bool, slack: float) -> float:
    """The cut for results `values` of which smaller (`below`) or larger is better."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    margin = max(MARGIN_SPREADS * spread, slack * abs(statistics.fmean(values)))
    raw = max(values) + margin if below else min(values) - margin
    digits = 3 - math.floor(math.log10(abs(raw))) if raw else 3
    factor = 10.0**digits
    return (math.ceil if below else math.floor)(raw * factor) / factor


def measure(check: Check, bench: Bench, data: Dataset, seed: int) -> Mapping[str, Measurement]:
    """Metrics of the reference with one seed. Raises RuntimeError if it does not pass even without cuts."""
    outcome = judge(check, bench, Setting(seed, "cpu", data, UNCALIBRATED))
    if outcome.status != "passed":
        raise RuntimeError(
            f"{check.id}, seed {seed}: {outcome.status}: {outcome.message} {outcome.expected} {outcome.actual}"
        )
    return outcome.measured


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what is missing and writes the file after every check."""
    parser = argparse.ArgumentParser(prog="python -m grader.author.calibrate")
    parser.add_argument("--dataset", choices=("auto", "digits", "mnist"), default="auto")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="part of a check's id")
    parser.add_argument("--fresh", action="store_true", help="measure again what the file already holds")
    options = parser.parse_args(argv)
    console = Console(stderr=True)
    data = load_dataset(options.dataset, options.data)
    torch.set_num_threads(2)
    content: dict[str, Any] = json.loads(FILE.read_text())
    table = content["checks"]
    trained = [check for check in CHECKS if check.kind == "trained" and options.only in check.id]
    with Bench(read_submission(ROOT / "solution", MODULES)) as bench:
        for check in trained:
            entry = table.setdefault(check.id, {}).setdefault(data.name, {})
            if options.fresh:
                entry.clear()
            done = {int(s) for metric in entry.values() for s in metric["seeds"]}
            missing = [seed for seed in range(options.seeds) if seed not in done]
            for seed in track(missing, f"{check.id} on {data.name}", console=console):
                for name, found in measure(check, bench, data, seed).items():
                    metric = entry.setdefault(name, {"cut": 0.0, "seeds": {}})
                    metric |= {"good": "below" if found.below else "above", "slack": found.slack}
                    metric["seeds"][str(seed)] = float(f"{found.value:.6g}")
            for metric in entry.values():
                metric["cut"] = cut_of(list(metric["seeds"].values()), metric["good"] == "below", metric["slack"])
            content["made_by"] = "python -m grader.author.calibrate"
            content["versions"] = {k: v for k, v in versions().items() if k != "rubric_hash"}
            put(FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")
    for check in trained:
        for name, metric in table[check.id][data.name].items():
            values = ", ".join(f"{v:.4g}" for v in metric["seeds"].values())
            console.print(f"{check.id} {name}: {metric['good']} {metric['cut']:g} ({values})", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
