"""Shows that the grader is right, with numbers: ``make prove``, or ``python -m tests.prove [--minutes M] [--training]``.

Every task judges one variant of the reference with one seed, on the quick checks of all questions that run what the variant
changes (see `touched`), in this process (see `inside`); a sample again as in grading, each check in its own. Mistakes that
nothing else sees are trained on digits, and with ``--training`` the alternatives as well. Results are kept in ``runs/proof.jsonl`` under a key that
changes with what they depend on, so that an interrupted proof goes on. Tasks are in such an order that a proof that was
stopped early holds some of everything. ``docs/proof.md`` says how much was run.
"""

from __future__ import annotations

import argparse
import functools
import gc
import hashlib
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from grader.author.starter import ROOT
from grader.boundary.session import Session
from grader.check import context
from grader.check import forall as properties
from grader.check.cases import drawn_cases
from grader.check.datasets import load_dataset
from grader.check.declaration import BONUS, Check
from grader.check.failure import Tolerance
from grader.check.outcome import Outcome
from grader.check.thresholds import load_thresholds
from grader.classes.ingest import Submission, read_submission
from grader.grading.judge import Bench, Setting, judge, judge_all
from grader.grading.run import cores
from grader.report.model import outcome_dict
from grader.rubric import CHECKS, MODULES, QUESTIONS
from grader.worker.processes import die_with_parent

from . import bank, drawn, inside
from .bank import Alternative, Mistake
from .bank.whole import ALTERNATIVES, MISTAKES
from .drawn import kept_cases
from .inside import Inside
from .nearby import Nearby
from .strange import CHANGES, public, strange
from .test_bank import QUICK_MISTAKES, with_needs
from .test_imports import imports_of, path_of
from .touched import changes, instrumented

KEPT = ROOT / "runs" / "proof.jsonl"
SEEDS, REFERENCE_RUNS, TRAINED_SEEDS, COMBINATIONS, WHOLE, STRANGE = 3, 100, 1, 300, 20, 300
THOROUGH = 5, 300, 3  # seeds, runs of the reference, seeds of what is trained, where that is asked for by name
VARIANTS: dict[str, Mistake | Alternative] = {m.id: m for m in MISTAKES} | {a.id: a for a in ALTERNATIVES}
QUICK = [check for check in CHECKS if check.kind != "trained"]
TRAINING = [check for check in CHECKS if check.kind == "trained"]
UNSEEN = [mistake for mistake in MISTAKES if mistake not in QUICK_MISTAKES]
TRAINED_ON = "digits"
GRADER = ROOT / "grader"
JUDGING_TRAINED = ("trained.py", "thresholds.py", "thresholds.json", "judge_network.py")
FREE = ("passed", "not_run")
Touched = Mapping[int, Mapping[str, Sequence[str]]]  # functions that each check runs, by seed


@dataclass(frozen=True)
class Task:
    """One thing to judge.

    `names` are variants of the banks (none: the reference), or a function and what its values become; `question` limits the
    reference to one, `tolerance` scales all tolerances, and `again` tells a repetition from the first run.
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


def tasks(seeds: int = SEEDS, runs: int = REFERENCE_RUNS, trained: int = TRAINED_SEEDS) -> list[Task]:
    """All tasks, mixed, in the order in which they are of use."""
    made = [Task("mistake", (m.id,), seed) for m in MISTAKES for seed in range(1, seeds + 1)]
    made += [Task("alternative", (a.id,), seed) for a in ALTERNATIVES for seed in range(1, seeds + 1)]
    made += [Task("reference", (), seed, q.number) for seed in range(1000, 1000 + runs) for q in QUESTIONS]
    made += combinations()
    functions = public(reference()[0].sources)
    mutants = [(function, change) for function in functions for change in CHANGES]
    made += [Task("strange", pair, 1) for pair in random.Random(6).sample(mutants, STRANGE)]
    made += [Task("again", (m.id,), 1, again=1) for m in MISTAKES[::5]]
    made += [Task("again", (), 1000 + k, q.number, again=1) for k in range(3) for q in QUESTIONS]
    made += [Task("whole", (m.id,), 1) for m in random.Random(5).sample(MISTAKES, WHOLE)]
    made += [Task("tightened", (), 1, q.number, factor) for q in QUESTIONS for factor in (0.5, 0.01)]
    made += [Task("loosened", (m.id,), 1, None, factor) for m in MISTAKES for factor in (2.0, 100.0)]
    made += [Task("trained", (a.id,), 1) for a in ALTERNATIVES]
    made += [Task("trained", (m.id,), seed) for m in UNSEEN for seed in range(1, trained + 1)]
    random.Random(7).shuffle(made)
    first = {"mistake": 0, "alternative": 0}  # the matrix first: every mistake and alternative with one seed
    made.sort(key=lambda task: 2 if task.seed not in (1, 1000) else first.get(task.kind, 1))
    touched = [Task("touched", (), seed) for seed in range(1, seeds + 1)]
    return touched + [Task("touched", (), 1, number) for number in sorted({c.question for c in TRAINING})] + made


@functools.cache
def reference() -> tuple[Submission, Bench]:
    """The reference and its worker, once per process."""
    torch.set_num_threads(1)
    submission = read_submission(ROOT / "solution", MODULES)
    return submission, Bench(submission)


def as_graded(task: Task) -> bool:
    """Whether each check gets a process of its own; without one, complex numbers would not meet what refuses them."""
    return task.kind == "again" or trains(asdict(task)) or "complex" in task.names


def bench_of(sources: Mapping[str, str], elsewhere: bool) -> Bench:
    """Where these sources run: in this process, or in its worker."""
    if not elsewhere:
        return Nearby(sources)
    bench = reference()[1]
    bench.submission = Submission("variant", dict(sources))
    bench.worker.submit(dict(sources), ["starter", "solution"])
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


@functools.cache
def modules_of(question: int, trained: bool = False) -> frozenset[Path]:
    """Modules of the rubric that the question's quick checks are written in, with all that these import from the rubric.

    With `trained`, those of its trained checks as well.
    """
    name = "bonus" if question == BONUS else f"q{question:02}"
    found, todo = set[Path](), sorted((GRADER / "rubric" / name).glob("*.py"))
    while todo:
        found.add(path := todo.pop())
        imported = [path_of(module) for module in imports_of(path) if module.startswith("grader.rubric.")]
        todo += [part for part in imported if part not in found]
    return frozenset(path for path in found if trained or "trained" not in path.stem)


def is_extra(task: Task) -> bool:
    """Whether the task is about training the alternatives, which takes a third of the time and is asked for by name."""
    alternative = task.kind == "trained" and isinstance(VARIANTS[task.names[0]], Alternative)
    return alternative or (task.kind == "touched" and task.question not in (None, *(m.question for m in UNSEEN)))


def trains(task: Mapping[str, Any]) -> bool:
    """Whether the task is about trained checks."""
    return task["kind"] == "trained" or (task["kind"] == "touched" and task["question"] is not None)


def state(task: Mapping[str, Any], questions: Collection[int]) -> str:
    """Digest of what a task's result depends on: the judging code, these questions' part of the rubric, the sources."""
    rooms = [path for room in ("check", "boundary", "classes", "worker") for path in sorted((GRADER / room).glob("*"))
             if path.is_file() and (trains(task) or path.name not in JUDGING_TRAINED)]  # fmt: skip
    judging = [*rooms, GRADER / "grading" / "judge.py", Path(inside.__file__), Path(drawn.__file__)]
    modules = (modules_of(question, trains(task)) for question in questions)
    rubric = sorted({path_of("grader.rubric.shared.borrowed")}.union(*modules))
    return digest_of((*judging, *rubric)) + text_of(tuple(task["names"]))


@functools.cache
def changed_by(names: tuple[str, ...]) -> frozenset[str]:
    """Functions that these variants change."""
    return frozenset(changes(reference()[0].sources, variant(names)))


def affected(task: Task, touched: Mapping[str, Sequence[str]]) -> set[str]:
    """Checks that a task runs, but for those that need one that fails: they are of the same questions.

    `touched` are the functions that each check runs on the reference with this seed.
    """
    if task.kind == "touched" and task.question is not None:
        return {check.id for check in TRAINING if check.question == task.question}
    if task.kind in ("touched", "whole"):
        return {check.id for check in QUICK}
    if not task.names:
        return {check.id for check in QUICK if check.question == task.question}
    found = {task.names[0]} if task.kind == "strange" else changed_by(task.names)
    among = trained_checks(VARIANTS[task.names[0]]) if task.kind == "trained" else QUICK
    named = {check.id for check in among if found & set(touched.get(check.id, ()))}
    return named & with_needs(set(VARIANTS[task.names[0]].fails)) if task.kind == "loosened" else named  # type: ignore[union-attr]


def trained_checks(varied: Mistake | Alternative) -> list[Check]:
    """Of its own question, or of all of them for a whole submission: training takes its time."""
    whole = isinstance(varied, Alternative) and varied.whole
    return [check for check in TRAINING if whole or check.question == varied.question]


def state_of(task: Task, known: Touched) -> str:
    """`state` of a task, once it is known what the checks run with its seed."""
    checks = affected(task, touched_by(task, known))
    return state(asdict(task), {check.question for check in CHECKS if check.id in checks})


def touched_by(task: Task, known: Touched) -> Mapping[str, Sequence[str]]:
    """Functions that each check runs with the task's seed; training runs the same with every seed."""
    return known.get(1 if task.kind == "trained" else task.seed, {})


def perform(task: Task, touched: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Outcomes of a task: what each check that did not pass cost, and a digest of all of it.

    `touched` are the functions that each check runs on the reference with this seed.
    """
    began = time.monotonic()
    if task.kind == "touched":
        return {"task": asdict(task), "lost": {}, **touch(task.seed, task.question)}
    sources, wanted = variant(task.names), affected(task, touched)
    statuses: dict[str, str] = {}
    outcomes = []
    checks, elsewhere = (TRAINING, QUICK) if task.kind == "trained" else (QUICK, [])
    with (
        mock.patch.object(context, "Session", Session if as_graded(task) else Inside),
        mock.patch.object(properties, "drawn_cases", drawn_cases if shows(task) or task.seed >= 1000 else kept_cases),
    ):
        for outcome in judge_all(
            checks, bench_of(sources, as_graded(task)), setting(task),
            lambda check: check.id in wanted or any(statuses.get(need, "passed") not in FREE for need in check.needs),
            {check.id: "not_run" for check in elsewhere},
        ):  # fmt: skip
            statuses[outcome.check.id] = outcome.status
            if outcome.status != "not_run":
                outcomes.append(outcome)
    return {"task": asdict(task), "ran": len(outcomes), "digest": digest(outcomes), "s": round(time.monotonic() - began, 2),
            "lost": {o.check.id: lost(o) for o in outcomes if o.status != "passed"}}  # fmt: skip


def shows(task: Task) -> bool:
    """Whether all that a student would see is wanted, and not the marks alone: once for each mistake."""
    return task.kind in ("mistake", "again") and task.seed == 1


def setting(task: Task) -> Setting:
    """What the task is judged with; one thread, as the other processes use the other cores."""
    plain = Setting(task.seed, together=as_graded(task), tolerance=task.tolerance)
    if not trains(asdict(task)):
        return plain
    return replace(plain, data=load_dataset(TRAINED_ON), thresholds=load_thresholds(TRAINED_ON))


def touch(seed: int, question: int | None) -> dict[str, dict[str, list[str]]]:
    """Functions that each quick check runs on the reference, and the reasons of the tolerances with which it compares.

    With a question, that of its trained checks.
    """
    reasons: set[str] = set()

    def noting(tol: Tolerance, expected: Tensor, factor: float = 1.0) -> Tensor:
        reasons.add(tol.reason)
        return allowed(tol, expected, factor)

    allowed = Tolerance.allowed
    found: dict[str, dict[str, list[str]]] = {"touched": {}, "tolerances": {}}
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(Tolerance, "allowed", noting),
        mock.patch.object(context, "Session", Inside if question is None else Session),
    ):
        path = Path(folder) / "names"
        sources = {name: instrumented(name, text, path) for name, text in reference()[0].sources.items()}
        bench = bench_of(sources, question is not None)
        for check in QUICK if question is None else [check for check in TRAINING if check.question == question]:
            path.write_text("")
            reasons.clear()
            outcome = judge(check, bench, setting(Task("touched", (), seed, question)))
            assert outcome.status == "passed", f"the reference fails {check.id}: {outcome.message}"
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


def earlier() -> dict[str, dict[str, Any]]:
    """What earlier runs found, by task; the newest result of each."""
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    return {key(record["task"]): record for record in map(json.loads, lines)}


def start(parent: int) -> None:
    """Of a process that judges: it ends with its parent, and what is loaded is not searched for garbage again and again."""
    die_with_parent(parent)
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def results(
    wanted: Sequence[Task], known: Touched, pool: ProcessPoolExecutor, jobs: int, deadline: float, console: Console
) -> list[dict[str, Any]]:
    """Results of these tasks: those of earlier runs that still hold, and the others as far as the time goes."""
    before, held, left = earlier(), [], []
    for task in wanted:
        record = before.get(key(asdict(task)))
        if record and record["state"] == state_of(task, known):
            held.append(record)
        else:
            left.append(task)
    running: dict[Future[dict[str, Any]], Task] = {}
    with KEPT.open("a") as file, Progress(console=console) as progress:
        bar = progress.add_task("tasks", total=len(left))
        while running or (left and time.monotonic() < deadline):
            while left and len(running) < 2 * jobs and time.monotonic() < deadline:
                task = left.pop(0)
                running[pool.submit(perform, task, touched_by(task, known))] = task
            for future in wait(running, return_when="FIRST_COMPLETED").done:
                held.append({"state": state_of(running.pop(future), known), **future.result()})
                file.write(json.dumps(held[-1]) + "\n")
                file.flush()
                progress.advance(bar)
    return held


def main(argv: Sequence[str] | None = None) -> int:
    """Does what is left of the tasks, as far as the time goes, and writes the page."""
    from .proof import write

    parser = argparse.ArgumentParser(prog="python -m tests.prove")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--jobs", type=int, default=cores())
    parser.add_argument("--training", action="store_true", help="train the alternatives as well: 15 minutes more")
    parser.add_argument("--thorough", action="store_true", help="more seeds, and more runs of the reference")
    options = parser.parse_args(argv)
    console, deadline = Console(stderr=True), time.monotonic() + 60 * options.minutes
    KEPT.parent.mkdir(exist_ok=True)
    asked, extra = list[Task](), list[Task]()  # the latter are counted where kept results of them hold, and not run
    for task in tasks(*THOROUGH) if options.thorough else tasks():
        (extra if is_extra(task) and not options.training else asked).append(task)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, spawn, start, (os.getpid(),), max_tasks_per_child=1500) as pool:

        def run(wanted: Sequence[Task], until: float) -> list[dict[str, Any]]:
            return results(wanted, known, pool, options.jobs, until, console)

        # what the checks run comes first: it decides what the other tasks are about
        known: dict[int, dict[str, list[str]]] = {}
        first = run([task for task in asked if task.kind == "touched"], deadline)
        kept = run([task for task in extra if task.kind == "touched"], 0.0)
        for record in (*first, *kept):
            known.setdefault(record["task"]["seed"], {}).update(record["touched"])
        found = first + run([t for t in asked if t.kind != "touched" and (not t.names or t.seed in known)], deadline)
        kept += run([task for task in extra if task.kind != "touched"], 0.0)
    return write(found + kept, len(asked) - len(found), console)


if __name__ == "__main__":
    sys.exit(main())
