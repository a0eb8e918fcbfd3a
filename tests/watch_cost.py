"""What a save costs in `watch`: seconds until the first verdict and until the end, over those of `check` from the shell.

Usage: ``python -m tests.watch_cost [--quick]``, which `make bench` runs; the figures go to ``docs/bench.json``. One function
of Question 8 is changed, and changed back, in the reference; each round asks `check` for the same question as well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from grader.author.bench import FILE
from grader.author.starter import ROOT
from grader.report.write import put

ROUNDS = 5
QUESTION = ("--question", "8", "--seed", "3")
RIGHT, WRONG = "torch.exp(0.5 * logvar) * eps", "torch.exp(logvar) * eps"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


class Watcher:
    """A running `watch` that writes lines."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "grader", "watch", str(folder), *QUESTION], cwd=ROOT, env=ENVIRONMENT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def until(self, words: str) -> float:
        """When a line with these words has come. Raises EOFError."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if words in line:
                return time.monotonic()
        raise EOFError(words)

    def close(self) -> None:
        """Ends it as a person does."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate()


def saved(file: Path, text: str) -> float:
    """Saves as editors do; when that was."""
    beside = file.with_suffix(".tmp")
    beside.write_text(text)
    os.replace(beside, file)
    return time.monotonic()


def checked(folder: Path) -> float:
    """Seconds of `check` from the shell."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "grader", "check", str(folder), *QUESTION, "--jobs", "1"], cwd=ROOT,
                   env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)  # fmt: skip
    return time.monotonic() - began


def measure(rounds: int) -> dict[str, float]:
    """Medians, and the ratio of the end to `check` within each round."""
    found: dict[str, list[float]] = {"first_verdict_s": [], "end_s": [], "check_s": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "work"
        shutil.copytree(ROOT / "solution", folder, ignore=shutil.ignore_patterns("__pycache__"))
        file = folder / "vae.py"
        right = file.read_text()
        assert RIGHT in right
        watcher = Watcher(folder)
        try:
            watcher.until("judged in")
            for number in range(rounds):
                # a text that was not judged before: what is undone is known, and takes no time
                began = saved(file, right.replace(RIGHT, f"{1 + number} * {WRONG}"))
                found["first_verdict_s"].append(watcher.until("first verdict: ") - began)
                found["end_s"].append(watcher.until("judged in") - began)
                found["check_s"].append(checked(folder))
        finally:
            watcher.close()
    ratios = [end / whole for end, whole in zip(found["end_s"], found["check_s"], strict=True)]
    medians = {name: statistics.median(values) for name, values in found.items()}
    return {name: float(f"{value:.3g}") for name, value in {**medians, "ratio": statistics.median(ratios)}.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints and writes the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.watch_cost")
    parser.add_argument("--quick", action="store_true", help="one round, and nothing is written")
    options = parser.parse_args(argv)
    figures = measure(1 if options.quick else ROUNDS)
    print("\n".join(f"{name:>22} {value:g}" for name, value in figures.items()))
    if not options.quick:
        content = json.loads(FILE.read_text())
        content["watch"] = figures
        put(FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
