"""Shows that the grader is right, with numbers: ``make prove``, or ``python -m tests.prove [--minutes M]``.

Every task judges one variant of the reference with one seed, on the quick checks of all questions that run what the variant
changes (see `touched`), in this process (see `inside`), a tenth of them again as in grading, each check in its own. Results are kept in ``runs/proof.jsonl`` under a key that changes with what they depend on, so that
an interrupted proof goes on. Tasks are in such an order that a proof that was stopped early holds some of everything.
``docs/proof.md`` says how much was run.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from rich.console import Console
from rich.progress import Progress

from grader import context
from grader.author.starter import ROOT
from grader.boundary import Session
from grader.checks import Tolerance
from grader.context import SHRINK_CALLS, Context
from grader.ingest import Submission, read_submission
from grader.judge import Bench, Outcome, Setting, judge, judge_all
from grader.launch import Worker
from grader.report.model import outcome_dict
from grader.rubric import CHECKS, MODULES, QUESTIONS
from grader.run import cores

from . import bank, inside
from .bank import Alternative, Mistake
from .inside import Here, Inside
from .strange import CHANGES, public, strange
from .test_bank import ALTERNATIVES, MISTAKES, with_needs
from .touched import changes, instrumented

KEPT = ROOT / "runs" / "proof.jsonl"
SEEDS, REFERENCE_RUNS, COMBINATIONS, WHOLE, STRANGE = 5, 300, 300, 20, 300
VARIANTS: dict[str, Mistake | Alternative] = {m.id: m for m in MISTAKES} | {a.id: a for a in ALTERNATIVES}
QUICK = [check for check in CHECKS if check.kind != "trained"]
RUBRIC = ROOT / "grader" / "rubric"
JUDGING = ("checks", "boundary", "cases", "context", "datasets", "ingest", "judge", "launch", "patterns", "statistics")
FREE = ("passed", "not_run")
AS_GRADED = ("again", "strange")  # kinds that are judged with a process for each check


@dataclass(frozen=True)
class Task:
    """One thing to judge.

    `names` are variants of the banks (none: the reference), or a function and what its values become; `question` limits the reference to one, `tolerance` scales all
    tolerances, and `again` tells a repetition from the first run.
    """

    kind: str
    names: tuple[str, ...]
    seed: int
    question: int | None = None
    tolerance: float = 1.0
    again: int = 0


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
    """All tasks, mixed, in the order in which they are of use."""
    made = [Task("mistake", (m.id,), seed) for m in MISTAKES for seed in range(1, SEEDS + 1)]
    made += [Task("alternative", (a.id,), seed) for a in ALTERNATIVES for seed in range(1, SEEDS + 1)]
    made += [Task("reference", (), seed, q.number) for seed in range(1000, 1000 + REFERENCE_RUNS) for q in QUESTIONS]
    made += combinations()
    functions = public(reference()[0].sources)
    mutants = [(function, change) for function in functions for change in CHANGES]
    made += [Task("strange", pair, 1) for pair in random.Random(6).sample(mutants, STRANGE)]
    made += [Task("again", (m.id,), 1, again=1) for m in MISTAKES[::5]]
    made += [Task("again", (), 1000 + k, q.number, again=1) for k in range(3) for q in QUESTIONS]
    made += [Task("whole", (m.id,), 1) for m in random.Random(5).sample(MISTAKES, WHOLE)]
    made += [Task("tightened", (), 1, q.number, factor) for q in QUESTIONS for factor in (0.5, 0.01)]
    made += [Task("loosened", (m.id,), 1, None, factor) for m in MISTAKES for factor in (2.0, 100.0)]
    random.Random(7).shuffle(made)
    first = {"mistake": 0, "alternative": 0}  # the matrix first: every mistake and alternative with one seed
    made.sort(key=lambda task: 2 if task.seed not in (1, 1000) else first.get(task.kind, 1))
    return [Task("touched", (), seed) for seed in range(1, SEEDS + 1)] + made


@functools.cache
def reference() -> tuple[Submission, Bench]:
    """The reference and its worker, once per process."""
    torch.set_num_threads(1)
    submission = read_submission(ROOT / "solution", MODULES)
    return submission, Bench(submission)


class Nearby(Bench):
    """A submission in this process."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        super().__init__(Submission("variant", dict(sources)))
        self.here = Here(sources)

    @property
    def worker(self) -> Worker:
        """What stands for one."""
        return self.here  # type: ignore[return-value]


def bench_of(sources: Mapping[str, str], kind: str = "") -> Bench:
    """Where these sources run: in this process, or in its worker."""
    if kind not in AS_GRADED:
        return Nearby(sources)
    bench = reference()[1]
    bench.submission = Submission("variant", dict(sources))
    bench.worker.ask("submission", sources=dict(sources), aliases=["starter", "solution"])
    return bench


def variant(names: Sequence[str]) -> dict[str, str]:
    """The reference's sources with these variants applied."""
    if len(names) == 2 and names[1] in CHANGES:
        return strange(reference()[0].sources, *names)
    return functools.reduce(lambda made, name: bank.apply(made, VARIANTS[name]), names, dict(reference()[0].sources))


@functools.cache
def digest_of(paths: tuple[Path, ...]) -> str:
    """Of the files' content."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


@functools.cache
def text_of(names: tuple[str, ...]) -> str:
    """Digest of the reference with these variants."""
    return hashlib.sha256(json.dumps(variant(names), sort_keys=True).encode()).hexdigest()[:16]


def state(task: Mapping[str, Any]) -> str:
    """Digest of what a task's result depends on: the judging code, the rubric (its questions share code), the sources."""
    judging = [ROOT / "grader" / f"{name}.py" for name in JUDGING] + sorted((ROOT / "grader" / "worker").glob("*.py"))
    judging.append(Path(inside.__file__))
    rubric = sorted(path for path in RUBRIC.glob("*.py") if "trained" not in path.stem)
    return digest_of((*judging, *rubric)) + text_of(tuple(task["names"]))


def perform(task: Task, touched: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Outcomes of a task: what each check that did not pass cost, and a digest of all of it.

    `touched` are the functions that each check runs on the reference with this seed.
    """
    if task.kind == "touched":
        return {"task": asdict(task), "lost": {}, **touch(task.seed)}
    sources = variant(task.names)
    found = {task.names[0]} if task.kind == "strange" else changes(reference()[0].sources, sources)
    affected = {check.id for check in QUICK if task.kind == "whole" or found & set(touched.get(check.id, ()))
                or (not task.names and check.question == task.question)}  # fmt: skip
    if task.kind == "loosened":
        affected &= with_needs(set(VARIANTS[task.names[0]].fails))  # type: ignore[union-attr]
    # the smallest case is looked for once: it has no influence on the marks
    context.SHRINK_CALLS = SHRINK_CALLS if task.kind in ("mistake", "again") and task.seed == 1 else 1
    statuses: dict[str, str] = {}
    outcomes = []
    with mock.patch.object(context, "Session", Session if task.kind in AS_GRADED else Inside):
        for outcome in judge_all(
            QUICK, bench_of(sources, task.kind), Setting(task.seed, tolerance=task.tolerance),
            lambda check: check.id in affected or any(statuses.get(need, "passed") not in FREE for need in check.needs),
        ):  # fmt: skip
            statuses[outcome.check.id] = outcome.status
            if outcome.status != "not_run":
                outcomes.append(outcome)
    return {"task": asdict(task), "ran": len(outcomes), "digest": digest(outcomes),
            "lost": {o.check.id: lost(o) for o in outcomes if o.status != "passed"}}  # fmt: skip


def touch(seed: int) -> dict[str, dict[str, list[str]]]:
    """Functions that each quick check runs on the reference, and the reasons of the tolerances with which it compares."""
    reasons: set[str] = set()

    def noting(method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(self: Context, first: object, second: object, tol: Tolerance, *args: Any, **kwargs: Any) -> Any:
            reasons.add(tol.reason)
            return method(self, first, second, tol, *args, **kwargs)

        return wrapped

    found: dict[str, dict[str, list[str]]] = {"touched": {}, "tolerances": {}}
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(Context, "matches", noting(Context.matches)),
        mock.patch.object(Context, "_compare", noting(Context._compare)),
        mock.patch.object(context, "Session", Inside),
    ):
        path = Path(folder) / "names"
        bench = bench_of({name: instrumented(name, text, path) for name, text in reference()[0].sources.items()})
        for check in QUICK:
            path.write_text("")
            reasons.clear()
            outcome = judge(check, bench, Setting(seed))
            assert outcome.status == "passed", outcome
            found["touched"][check.id] = sorted(set(path.read_text().split()))
            found["tolerances"][check.id] = sorted(reasons)
    return found


def lost(outcome: Outcome) -> dict[str, Any]:
    """What there is to know of a check that was not passed."""
    return {"status": outcome.status, "points": outcome.check.points - outcome.earned, "hint": outcome.hint,
            "looks": outcome.looks}  # fmt: skip


def digest(outcomes: Sequence[Outcome]) -> str:
    """Of everything in the report but durations."""
    content = [{**outcome_dict(outcome), "duration_s": 0} for outcome in outcomes]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def key(task: Mapping[str, Any]) -> str:
    """A task as text."""
    return json.dumps(task, sort_keys=True)


def kept() -> dict[str, dict[str, Any]]:
    """Results of earlier runs that still hold, of tasks that still are."""
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    wanted = {key(asdict(task)) for task in tasks()}
    found = {}
    for record in map(json.loads, lines):
        name = key(record["task"])
        if name in wanted and record["state"] == state(json.loads(name)):
            found[name] = record
    return found


def touched_by_seed(found: Mapping[str, Mapping[str, Any]]) -> dict[int, Mapping[str, Sequence[str]]]:
    """`touch` of the seeds for which it is known."""
    return {r["task"]["seed"]: r["touched"] for r in found.values() if r["task"]["kind"] == "touched"}


def main(argv: Sequence[str] | None = None) -> int:
    """Does what is left of the tasks, as far as the time goes, and writes the page."""
    from .proof import write

    parser = argparse.ArgumentParser(prog="python -m tests.prove")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--jobs", type=int, default=cores())
    options = parser.parse_args(argv)
    console, began = Console(stderr=True), time.monotonic()
    found = kept()
    left = [task for task in tasks() if key(asdict(task)) not in found]
    KEPT.parent.mkdir(exist_ok=True)
    with (
        KEPT.open("a") as file,
        ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=500) as pool,
        Progress(console=console) as progress,
    ):
        bar = progress.add_task("tasks", total=len(left))
        running: set[Future[dict[str, Any]]] = set()
        while (left or running) and (running or time.monotonic() - began < 60 * options.minutes):
            known = touched_by_seed(found)
            while left and len(running) < 2 * options.jobs and time.monotonic() - began < 60 * options.minutes:
                if left[0].names and left[0].seed not in known:
                    break  # until it is known what the checks run
                running.add(pool.submit(perform, task := left.pop(0), known.get(task.seed, {})))
            done, running = wait(running, return_when="FIRST_COMPLETED")
            for future in done:
                record = future.result()
                found[key(record["task"])] = record
                file.write(json.dumps({"state": state(record["task"]), **record}) + "\n")
                file.flush()
                progress.advance(bar)
    return write(list(found.values()), len(tasks()), console)


if __name__ == "__main__":
    sys.exit(main())
