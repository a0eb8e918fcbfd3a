"""What the process boundary costs: CPU seconds of grading the quick checks, over those of judging them in one process.

Usage: ``python -m tests.boundary_cost [--quick]``, which `make bench` runs; the figures go to ``docs/bench.json``. Both
ways are whole processes with their start-up, in turn, so that a busy machine slows both; CPU time of all children counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

from grader.author.bench import FILE
from grader.author.starter import ROOT
from grader.report.write import put

ROUNDS = 5
CHECK = ("-m", "grader", "check", "solution", "--jobs", "1", "--seed", "3")
WAYS = {
    "check_cpu_s": CHECK,
    "one_question_cpu_s": (*CHECK, "--question", "8"),
    "in_one_process_cpu_s": ("-m", "tests.boundary_cost", "--inside"),
    "help_cpu_s": ("-m", "grader", "--help"),
}


def judge_here() -> None:
    """The public quick checks of the reference, in this process."""
    from grader.classes.ingest import read_submission
    from grader.rubric import CHECKS, MODULES

    from .nearby import judged

    sources = read_submission(ROOT / "solution", MODULES).sources
    outcomes = judged(sources, [check for check in CHECKS if check.visibility == "public"], seed=3)
    lost = [name for name, outcome in outcomes.items() if outcome.status not in ("passed", "not_run")]
    assert not lost, lost


def cpu_seconds(arguments: Sequence[str]) -> float:
    """User and system time of a Python process and all its children. Raises CalledProcessError."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return used.ru_utime + used.ru_stime


def measure(rounds: int) -> dict[str, float]:
    """Medians of each way, the ways in turn, and the ratio within each round."""
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, arguments in WAYS.items():
            found[name].append(cpu_seconds(arguments))
    ratios = [ours / alone for ours, alone in zip(found["check_cpu_s"], found["in_one_process_cpu_s"], strict=True)]
    medians = {name: statistics.median(values) for name, values in found.items()}
    return {name: float(f"{value:.3g}") for name, value in {**medians, "ratio": statistics.median(ratios)}.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints and writes the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.boundary_cost")
    parser.add_argument("--quick", action="store_true", help="one round, and nothing is written")
    parser.add_argument("--inside", action="store_true", help="only judge in this process: one of the ways")
    options = parser.parse_args(argv)
    if options.inside:
        judge_here()
        return 0
    figures = measure(1 if options.quick else ROUNDS)
    print("\n".join(f"{name:>22} {value:g}" for name, value in figures.items()))
    if not options.quick:
        content = json.loads(FILE.read_text())
        content["boundary"] = figures
        put(FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
