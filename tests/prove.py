"""Shows that the grader is right, with numbers: ``make prove``, or ``python -m tests.prove [--minutes M]``.

Every task judges one variant of the reference with one seed: a mistake or an alternative on its own question, a
combination of mistakes on all of theirs, the reference on everything. Results are kept in ``runs/proof.jsonl`` under a key
that changes with the rubric, the solution and the banks, so that an interrupted proof goes on; tasks are in such an order
that a proof that was stopped early holds some of everything. ``docs/proof.md`` says how much was run.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from grader.author.starter import ROOT
from grader.checks import Check
from grader.ingest import Submission, read_submission
from grader.judge import Bench, Outcome, Setting, judge_all
from grader.report.model import outcome_dict
from grader.rubric import CHECKS, MODULES, rubric_hash
from grader.run import cores

from . import bank
from .bank import Alternative, Mistake
from .test_bank import ALTERNATIVES, MISTAKES

KEPT = ROOT / "runs" / "proof.jsonl"
SEEDS, REFERENCE_RUNS, COMBINATIONS = 5, 300, 300
VARIANTS: dict[str, Mistake | Alternative] = {m.id: m for m in MISTAKES} | {a.id: a for a in ALTERNATIVES}


@dataclass(frozen=True)
class Task:
    """One thing to judge. `names` are variants of the banks (none: the reference), `tolerance` scales tolerances."""

    kind: str
    names: tuple[str, ...]
    seed: int
    tolerance: float = 1.0
    again: int = 0

    @property
    def questions(self) -> set[int]:
        """Questions whose quick checks are run."""
        return {VARIANTS[name].question for name in self.names} or {check.question for check in CHECKS}


def combinations() -> Iterator[Task]:
    """Pairs and triples of mistakes from different questions and different modules."""
    draw = random.Random(4)
    made = 0
    while made < COMBINATIONS:
        names = draw.sample(MISTAKES, draw.choice((2, 3)))
        if len({m.question for m in names}) == len({m.module for m in names}) == len(names):
            made += 1
            yield Task("combination", tuple(sorted(m.id for m in names)), seed=1)


def tasks() -> list[Task]:
    """All tasks, mixed."""
    made = [Task("mistake", (m.id,), seed) for m in MISTAKES for seed in range(1, SEEDS + 1)]
    made += [Task("alternative", (a.id,), seed) for a in ALTERNATIVES for seed in range(1, SEEDS + 1)]
    made += [Task("reference", (), seed) for seed in range(1000, 1000 + REFERENCE_RUNS)]
    made += combinations()
    made += [Task("again", (m.id,), 1, again=1) for m in MISTAKES[::10]]
    made += [Task("halved", (), seed, 0.5) for seed in range(1, SEEDS + 1)]
    made += [Task("doubled", (m.id,), 1, 2.0) for m in MISTAKES]
    random.Random(7).shuffle(made)
    first = {"mistake": 0, "alternative": 0}
    # the matrix first: every mistake and alternative with one seed
    return sorted(made, key=lambda task: first.get(task.kind, 1) if task.seed == 1 else 2)


@functools.cache
def reference() -> tuple[Submission, Bench]:
    """The reference and a warm worker, once per process."""
    torch.set_num_threads(1)
    submission = read_submission(ROOT / "solution", MODULES)
    return submission, Bench(submission)


def state() -> str:
    """Digest of what every result depends on."""
    digest = hashlib.sha256(rubric_hash().encode())
    for path in sorted([*(ROOT / "solution").glob("*.py"), *(ROOT / "tests" / "bank").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def needed(questions: set[int]) -> list[Check]:
    """Quick checks of these questions."""
    return [check for check in CHECKS if check.question in questions and check.kind != "trained"]


def perform(task: Task) -> dict[str, Any]:
    """Outcomes of a task: what each check that did not pass cost, and a digest of all of it."""
    submission, bench = reference()
    sources = dict(submission.sources)
    for name in task.names:
        sources = bank.apply(sources, VARIANTS[name])
    bench.submission = Submission("variant", sources)
    bench.worker.ask("submission", sources=sources, aliases=["starter", "solution"])
    setting = Setting(task.seed, tolerance=task.tolerance)
    outcomes = list(judge_all(needed(task.questions), bench, setting, lambda check: check.kind != "trained"))
    return {"task": asdict(task), "lost": {o.check.id: lost(o) for o in outcomes if o.status != "passed"},
            "digest": digest(outcomes)}  # fmt: skip


def lost(outcome: Outcome) -> dict[str, Any]:
    """What there is to know of a check that was not passed."""
    return {"status": outcome.status, "points": outcome.check.points - outcome.earned, "hint": outcome.hint}


def digest(outcomes: Sequence[Outcome]) -> str:
    """Of everything in the report but durations."""
    content = [{**outcome_dict(outcome), "duration_s": 0} for outcome in outcomes]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def key(task: Mapping[str, Any]) -> str:
    """A task as text."""
    return json.dumps(task, sort_keys=True, default=list)


def kept() -> dict[str, dict[str, Any]]:
    """Results of earlier runs that still hold."""
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    records = [json.loads(line) for line in lines]
    return {key(record["task"]): record for record in records if record["state"] == state()}


def main(argv: Sequence[str] | None = None) -> int:
    """Does what is left of the tasks, as far as the time goes, and writes the page."""
    from .proof import write

    parser = argparse.ArgumentParser(prog="python -m tests.prove")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--jobs", type=int, default=cores())
    options = parser.parse_args(argv)
    console, now, began = Console(stderr=True), state(), time.monotonic()
    found = kept()
    left = [task for task in tasks() if key(asdict(task)) not in found]
    KEPT.parent.mkdir(exist_ok=True)
    with (
        KEPT.open("a") as file,
        ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool,
        Progress(console=console) as progress,
    ):
        bar = progress.add_task("tasks", total=len(left))
        running: set[Future[dict[str, Any]]] = set()
        while (left or running) and (running or time.monotonic() - began < 60 * options.minutes):
            while left and len(running) < 2 * options.jobs and time.monotonic() - began < 60 * options.minutes:
                running.add(pool.submit(perform, left.pop(0)))
            done, running = wait(running, return_when="FIRST_COMPLETED")
            for future in done:
                record = future.result()
                found[key(record["task"])] = record
                file.write(json.dumps({"state": now, **record}) + "\n")
                file.flush()
                progress.advance(bar)
    return write(list(found.values()), console)


if __name__ == "__main__":
    sys.exit(main())
