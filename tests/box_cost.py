"""What a box costs: a submission handed over to a warm worker, in the strongest box of this machine and in none.

Usage: ``python -m tests.box_cost [--quick] [--box NAME]``, which `make bench` runs; the figures go to
``docs/bench.json``. Both ways take turns within one run, so that a busy machine slows both; CPU seconds are those of the
grader and of all processes in the box, wherever they are counted.

* ``first_verdict_ms``: from the moment a lane takes a submission until the outcome of its first check
* ``wait_ms``: of that, what it waits for a box from the pool
* ``quick_s``, ``quick_cpu_s``: all quick checks of the reference, one after the other
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Sequence

import psutil

from grader.author.bench import FILE
from grader.author.starter import ROOT
from grader.boundary.box import Box, choose
from grader.boundary.launch import Worker
from grader.check.declaration import OPTIMIZERS
from grader.classes.ingest import Submission, read_submission
from grader.cli.boxes import find_box
from grader.grading.judge import Bench, Setting, judge, judge_all
from grader.grading.pool import Pool
from grader.report.write import put
from grader.rubric import CHECKS, MODULES

from .forked import forked

ROUNDS, HANDED_OVER = 3, 4
QUICK = [check for check in CHECKS if check.kind != "trained"]
LIBRARIES = OPTIMIZERS
FIRST_MS, RATIO = 100.0, 1.1  # what it may cost


def cpu_of(worker: Worker) -> float:
    """CPU seconds of a worker's processes and of ours; those of ended ones are with whoever waited for them."""
    total = time.process_time()
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(worker.process.pid)
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += sum(process.cpu_times()[:4])
    return total


def ready(pool: Pool) -> None:
    """A warm spare, and none that gets ready while we measure."""
    pool.expect(LIBRARIES)
    assert pool.spare is not None
    pool.spare.finish_preload()
    pool.expect(None)


def hand_over(submission: Submission, pool: Pool) -> dict[str, float]:
    """A submission goes to the spare of a pool, and its first check is judged. Raises RuntimeError if it fails."""
    ready(pool)
    began = time.perf_counter()
    with Bench(submission, pool) as bench:
        assert bench.worker.alive
        waited = time.perf_counter()
        outcome = judge(QUICK[0], bench, Setting(1))
        ended = time.perf_counter()
    if outcome.status != "passed":
        raise RuntimeError(f"the reference loses {outcome.check.id}: {outcome.message}")
    return {"first_verdict_ms": 1e3 * (ended - began), "wait_ms": 1e3 * (waited - began)}


def judge_quick(submission: Submission, pool: Pool) -> dict[str, float]:
    """All quick checks on a warm worker. Raises RuntimeError if one fails."""
    ready(pool)
    with Bench(submission, pool) as bench:
        cpu, began = cpu_of(forked(bench.worker)), time.perf_counter()
        lost = [one.check.id for one in judge_all(QUICK, bench, Setting(1), lambda _: True) if one.status != "passed"]
        found = {"quick_s": time.perf_counter() - began, "quick_cpu_s": cpu_of(forked(bench.worker)) - cpu}
    if lost:
        raise RuntimeError(f"the reference loses {', '.join(lost)}")
    return found


def measure(box: Box, rounds: int, handed_over: int) -> dict[str, float | str]:
    """Medians in the box and without, and the median of the ratios within a round."""
    submission = read_submission(ROOT / "solution", MODULES)
    boxes = {"box": box, "none": choose("none")}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in boxes}
    with contextlib.ExitStack() as stack:
        pools = {name: stack.enter_context(Pool(one)) for name, one in boxes.items()}
        for pool in pools.values():
            pool.take([]).close()  # what works before the first spare
        for number in range(1 + rounds * handed_over):  # the first one warms the grader's own end up
            for name, pool in pools.items():
                taken = hand_over(submission, pool)
                if number:
                    found[name].append(taken)
        for _ in range(rounds):
            for name, pool in pools.items():
                found[name].append(judge_quick(submission, pool))
    figures: dict[str, float | str] = {"backend": box.sandbox.backend}
    for key in ("first_verdict_ms", "wait_ms", "quick_s", "quick_cpu_s"):
        values = {name: [one[key] for one in ones if key in one] for name, ones in found.items()}
        pairs = zip(values["box"], values["none"], strict=True)
        figures |= {key: statistics.median(values["box"]), f"{key}_without": statistics.median(values["none"])}
        if key != "wait_ms":
            name = key.removesuffix("_ms").removesuffix("_s")
            figures[f"{name}_ratio"] = statistics.median(ours / none for ours, none in pairs)
    return {key: float(f"{value:.3g}") if isinstance(value, float) else value for key, value in figures.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints and writes the figures; says which of them are too high."""
    parser = argparse.ArgumentParser(prog="python -m tests.box_cost")
    parser.add_argument("--quick", action="store_true", help="one round, and nothing is written")
    parser.add_argument("--box", default="auto", help="a backend by name")
    options = parser.parse_args(argv)
    figures = measure(find_box(options.box).box, *((1, 3) if options.quick else (ROUNDS, HANDED_OVER)))
    print("\n".join(f"{name:>24} {value}" for name, value in figures.items()))
    for name, most in (("first_verdict_ms", FIRST_MS), ("quick_cpu_ratio", RATIO), ("quick_ratio", RATIO)):
        if not float(figures[name]) <= most:
            print(f"{name} is {figures[name]}, more than {most:g}")
    if not options.quick:
        content = json.loads(FILE.read_text())
        content["box"] = figures
        put(FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
