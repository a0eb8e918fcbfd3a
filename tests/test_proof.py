"""The page of the proof speaks of the banks as they are, and a sample of it comes out again."""

from __future__ import annotations

import os
import random
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grader.rubric import CHECKS, QUESTIONS

from .bank import Mistake
from .bank.whole import MISTAKES
from .conftest import ROOT
from .proof import PAGE, caught, quick_fails
from .prove import GRADER, Task, modules_of, perform, state, tasks, variant
from .stays import STAYS
from .test_imports import path_of
from .touched import changed, changes, instrumented

ROW = re.compile(r"^\| (?P<name>[^|]+?) \| [^|]* \| (?P<ids>[^|]*) \|$", re.MULTILINE)
ROWS = {match["name"]: set(re.findall(r"`([^`]+)`", match["ids"])) for match in ROW.finditer(PAGE.read_text())}
SAMPLE = random.Random(11).sample([m for m in MISTAKES if m.id in ROWS and quick_fails(m)], 12)


def test_the_page_has_a_row_for_every_mistake_of_the_bank_and_no_other() -> None:
    """A new mistake needs `make prove`, which runs what is new and keeps the rest."""
    assert set(ROWS) - {"mistake", "---"} == {mistake.id for mistake in MISTAKES}


def test_tasks_have_names_of_their_own() -> None:
    made = tasks()
    assert len(set(made)) == len(made)
    kinds = "touched mistake alternative reference combination again whole strange tightened loosened trained"
    assert {t.kind for t in made} == set(kinds.split())


def test_a_result_depends_on_the_modules_of_its_questions_and_on_what_they_import() -> None:
    for question in QUESTIONS:
        own = {path_of(check.run.__module__) for check in question.checks if check.kind != "trained"}
        assert own <= modules_of(question.number)
    assert GRADER / "rubric" / "q04" / "models.py" in modules_of(5)
    assert GRADER / "rubric" / "q05" / "noise.py" not in modules_of(4)
    task = {"kind": "reference", "names": (), "question": None}
    assert len({state(task, {2}), state(task, {5}), state(task, {2, 5})}) == 3


def test_checks_that_stay_exist() -> None:
    assert set(STAYS) <= {check.id for check in CHECKS}
    assert all(len(reason) > 20 for reason in STAYS.values())


@pytest.mark.slow
@pytest.mark.parametrize("mistake", SAMPLE, ids=lambda m: m.id)
def test_a_row_of_the_matrix_comes_out_again(mistake: Mistake) -> None:
    changed = sorted(changes(variant(()), variant((mistake.id,))))
    touched = {check.id: changed for check in CHECKS if check.question == mistake.question}
    found = caught(perform(Task("mistake", (mistake.id,), seed=1), touched))
    assert {name.partition(".")[2] for name in found} == ROWS[mistake.id]


BEFORE = """
import torch
LIMIT = 3
def used(x): return x + LIMIT
class A:
    def one(self): return 1
    def two(self): return self.one()
"""


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (BEFORE, set()),
        (BEFORE.replace("x + LIMIT", "x"), {"m.used"}),
        (BEFORE.replace("LIMIT = 3", "LIMIT = 4"), {"m"}),
        (BEFORE.replace("return 1", "return 2"), {"m.A.one"}),
        (BEFORE.replace("class A:", "class A(dict):"), {"m.A.one", "m.A.two"}),
        (BEFORE.replace("def two", "def three"), {"m.A.one", "m.A.two"}),
        (BEFORE.replace("import torch", "import numpy as torch"), {"m"}),
        (BEFORE + "def used(x): return 0\n", {"m.used"}),
        (BEFORE + "import math\ndef helper(): return math.pi\n", set()),
        (BEFORE + "class A(A):\n    def one(self): return 2\n", {"m.A.one"}),
        (BEFORE + "class A(A):\n    def __call__(self): return 2\n", {"m.A.one", "m.A.two"}),
        (BEFORE + "A.one = A.two\n", {"m"}),
        (BEFORE + "def used(x: int) -> int: return x + LIMIT\n", {"m.used"}),
        ("LIMIT = 3\n", {"m", "m.used", "m.A.one", "m.A.two"}),
    ],
)
def test_what_a_variant_changes(after: str, found: set[str]) -> None:
    assert changed("m", BEFORE, after) == found


def test_an_instrumented_module_names_what_is_run(tmp_path: Path) -> None:
    path = tmp_path / "names"
    content: dict[str, Any] = {}
    exec(instrumented("m", "from __future__ import annotations\n" + BEFORE, path), content)
    assert content["used"](2) == 5
    assert content["A"]().two() == 1
    assert path.read_text().split() == ["m", "m.used", "m.A.two", "m.A.one"]


STRANGE = random.Random(12).sample([t for t in tasks() if t.kind == "strange"], 16)


@pytest.mark.slow
@pytest.mark.parametrize("task", STRANGE, ids=lambda t: "-".join(t.names))
def test_whatever_a_function_returns_the_grader_judges(task: Task) -> None:
    module = task.names[0].partition(".")[0]
    touched = {c.id: [task.names[0]] for q in QUESTIONS if module in q.modules for c in q.checks}
    lost = perform(task, touched)["lost"]
    assert [name for name, found in lost.items() if found["status"] == "error"] == []


POOL = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from tests.prove import start

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), start, (os.getpid(),))
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_a_prover_that_is_killed_takes_those_that_judge_with_it(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    prover = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    with prover:
        assert prover.stdout is not None
        judging = os.pidfd_open(int(prover.stdout.readline()))
        prover.kill()
    try:
        assert select.select([judging], [], [], 60)[0]  # readable once the process has ended
    finally:
        os.close(judging)
