"""A student's check as it looks: in a terminal of 80 columns, without colours, and in a log file."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest
from rich.console import Console

from grader.check.outcome import Outcome
from grader.cli.layout import label_width, outcome_block
from grader.rubric import CHECKS

from .conftest import ROOT
from .screens import Terminal

COLOUR = re.compile(rb"\x1b\[[0-9;]*\b(3[0-8]|4[0-8]|9[0-7]|10[0-7])\b[0-9;]*m")
QUESTIONS = ("-q", "2", "-q", "3", "--seed", "3")
pytestmark = pytest.mark.timeout(300)


class Seen(NamedTuple):
    """What a command has left on the screen, and the bytes that it wrote."""

    lines: list[str]
    written: bytes
    code: int


def seen(*arguments: str, environment: Mapping[str, str] = MappingProxyType({})) -> Seen:
    terminal = Terminal("check", *arguments, rows=250, environment=environment)
    try:
        code = terminal.ended()
        return Seen(terminal.lines, terminal.written, code)
    finally:
        terminal.close()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The starter, in which Question 2 is written, with one mistake."""
    folder = tmp_path_factory.mktemp("student") / "work"
    shutil.copytree(ROOT / "starter", folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "solution" / "gaussians.py").read_text()
    right = "return 0.5 * (torch.expm1(log_ratio)"
    assert right in text
    (folder / "gaussians.py").write_text(text.replace(right, right.replace("0.5 * ", "")))
    return str(folder)


@pytest.fixture(scope="module")
def coloured(work: str) -> Seen:
    """A terminal as it is."""
    return seen(work, *QUESTIONS)


@pytest.fixture(scope="module")
def plain(work: str) -> Seen:
    """With NO_COLOR, and everything listed."""
    return seen(work, *QUESTIONS, "--verbose", environment={"NO_COLOR": "1"})


def test_what_passed_is_one_line_and_what_failed_hangs_beside_its_labels(coloured: Seen) -> None:
    text = "\n".join(coloured.lines)
    assert coloured.code == 1
    assert re.search(r"^Question 2 · KL divergence  5.75 / 7\n  passed          8 checks, 5.75 points\n  failed  ", text,
                     re.MULTILINE)  # fmt: skip
    [start] = [at for at, line in enumerate(coloured.lines) if line.startswith("    asked:")]
    [end] = [at for at, line in enumerate(coloured.lines) if line.startswith("    think:")]
    labelled = re.compile(r"    (asked|found|call|expected|actual|looks like|think): *")
    columns = {match.end() for line in coloured.lines[start : end + 1] if (match := labelled.match(line))}
    assert len(columns) == 1
    hanging = [line for line in coloured.lines[start : end + 1] if not labelled.match(line)]
    assert hanging
    assert {len(line) - len(line.lstrip()) for line in hanging} == columns


def test_arguments_go_by_name_and_what_to_do_next_closes_the_report(coloured: Seen) -> None:
    text = " ".join(" ".join(coloured.lines).split())
    assert "call: kl_univariate(mu_p=tensor(" in text
    assert "logvar_q=tensor(" in text
    steps = coloured.lines[coloured.lines.index("What to do next") :]
    assert steps[1].startswith("  Question 2:  KL between univariate Gaussians: value")
    assert any(line.startswith("  Question 3:  PCA is not written yet") for line in steps)
    assert coloured.lines[-1].startswith("public 5.75/12 · not run here: ")


def test_no_word_is_broken_in_two(coloured: Seen, plain: Seen) -> None:
    for shown in (coloured, plain):
        words = set(re.split(r"[\s:·,]+", "\n".join(shown.lines)))
        joined = "".join("".join(shown.lines).split())
        named = {check.id for check in CHECKS if check.id in joined}
        assert named <= words
        assert {"q2.univariate.value", "q3.pca.components"} <= named


def test_all_cases_are_listed_where_that_is_asked_for(coloured: Seen, plain: Seen) -> None:
    shown = [check.id for check in CHECKS if check.question == 2 and check.visibility == "public"]
    for name in shown:
        assert ((name in "\n".join(plain.lines)), (name in "\n".join(coloured.lines))) == (
            True, name == "q2.univariate.value",
        )  # fmt: skip


def test_no_colour_is_used_where_none_is_wanted_and_nothing_is_said_by_colour_alone(
    coloured: Seen, plain: Seen
) -> None:
    assert COLOUR.search(coloured.written)
    assert not COLOUR.search(plain.written)
    for word in ("passed", "failed", "not implemented", "skipped"):
        assert any(line.startswith(f"  {word} ") for line in plain.lines)


def test_a_log_file_has_the_same_lines_and_no_control_characters(work: str, coloured: Seen, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    with (tmp_path / "log").open("wb") as log:
        done = subprocess.run([sys.executable, "-m", "grader", "check", work, *QUESTIONS], cwd=ROOT, stdout=log,
                              stderr=subprocess.PIPE, env=environment, check=False)  # fmt: skip
    text = (tmp_path / "log").read_bytes().decode()
    assert done.returncode == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    shown = "\n".join(coloured.lines)
    assert "\n".join(line.rstrip() for line in text.splitlines()).strip() == shown[shown.index("Question 2") :]
    assert b"\x1b" not in done.stderr
    assert b"question 2 done" in done.stderr


def test_a_long_name_of_an_argument_is_not_broken() -> None:
    name = "explained_variance_ratio"
    lines = [("found", "x"), (f"input {name}", "1")]
    assert label_width(lines, 14) == len(name) + 1
    assert label_width([("found", "x"), ("your code printed", "1")], 14) == 14
    assert label_width([("x" * 90, "")], 14) <= 31
    outcome = Outcome(CHECKS[0], "failed", 0.0, "wrong", counterexample={name: "1", "x": "2"})
    file = io.StringIO()
    Console(file=file, width=80).print(outcome_block(outcome, for_student=True))
    assert f" {name}:" in file.getvalue()
