"""The how-to pages are true: what stands on them is put on a copy of the repository, and what they type is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT
from .recipe import blocks, changed, commands, followed

PAGE = (ROOT / "docs" / "how-to" / "add-a-question.md").read_text()
COPIED = ("grader", "solution", "starter", "docs", "data")
# what the commands of the page do, in one process; then what would be said without step 5, and to a student
DRIVER = """
import sys
from dataclasses import replace
from grader.author import starter
assert starter.main([]) == 0
from grader.author import tables
assert tables.main() == 0
from tests.contract import __main__ as contract, findings, running
from tests.contract.kit import read_kit
from tests.bank import apply
from tests.nearby import judged
code = contract.main(["--run", "-q", "11"])
kit = read_kit()
def others(entries):
    return tuple(entry for entry in entries if entry.question != 11)
without = replace(kit, mistakes=others(kit.mistakes), alternatives=others(kit.alternatives),
                  hints={name: hint for name, hint in kit.hints.items() if not name.startswith("q11-")})
print("== without", *findings(without), sep="\\n")
forgetful = next(mistake for mistake in kit.mistakes if mistake.id == "q11-no-noise")
outcomes = judged(apply(kit.sources, forgetful), running.quick(kit, [11]), running.SEED)
read = outcomes["q11.soft.value"]
print("== student", read.message, read.looks, read.hint, sep="\\n")
print("== marks", sum(check.points for check in kit.checks if check.question == 11))
sys.exit(code)
"""


def copy_of_the_repository(to: Path) -> Path:
    """What a question is made of: without the history, the environment and the tests of the kit."""
    hidden = shutil.ignore_patterns("__pycache__")
    for folder in COPIED:
        shutil.copytree(ROOT / folder, to / folder, ignore=hidden)
    for folder in ("bank", "contract"):
        shutil.copytree(ROOT / "tests" / folder, to / "tests" / folder, ignore=hidden)
    for path in (ROOT / "tests").glob("*.py"):
        if not path.name.startswith("test_"):
            shutil.copy(path, to / "tests" / path.name)
    shutil.copy(ROOT / "README.md", to / "README.md")
    return to


def test_a_question_is_added_from_the_page_alone(tmp_path: Path) -> None:
    """The contract finds nothing missing, the reference and the alternative lose nothing, each mistake is seen and asked
    about as the page says, and the starter earns nothing."""
    root = copy_of_the_repository(tmp_path)
    written = list(followed(PAGE, root))
    assert {"grader/assignment.py", "solution/relaxation.py", "grader/rubric/q11/gumbel.py"} <= set(written)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], cwd=root, env=environment, capture_output=True, text=True, timeout=500
    )
    said = done.stdout.split("== ")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing is missing: 12 questions, " in said[0]
    assert said[3].split() == ["marks", "2.0"]
    left_out, to_a_student = blocks(PAGE, "text")
    assert set(left_out.splitlines()) <= set(said[1].splitlines())
    assert set(to_a_student.splitlines()) <= set(said[2].splitlines())
    assert (
        'raise NotImplementedError("Question 11: gumbel_softmax")' in (root / "starter" / "relaxation.py").read_text()
    )


def test_the_commands_of_the_page_are_what_is_run() -> None:
    assert commands(PAGE) == [
        "make contract", "make starter", "python -m grader.author.tables", "make contract Q=11", "make prove"
    ]  # fmt: skip
    typed = subprocess.run(["make", "-n", "contract", "Q=11"], cwd=ROOT, capture_output=True, text=True).stdout
    assert "python -m tests.contract --run -q 11" in typed


def test_a_change_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    with pytest.raises(ValueError, match=r"a.py: 'x = 1' occurs 2 times"):
        list(followed("`a.py`:\n\n```diff\n-x = 1\n+x = 2\n```\n", tmp_path))
    assert changed(" a\n-b\n+c\n") == ("a\nb", "a\nc")
