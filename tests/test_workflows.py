"""The workflows of this repository and of a student's: as GitHub's schema has them, and calling what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from grader.cli.arguments import parse

from .conftest import ROOT

OURS, STUDENTS = ROOT / ".github" / "workflows" / "ci.yml", ROOT / "grader" / "author" / "kit" / "check.yml"


def schema(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)],
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("path", [OURS, STUDENTS], ids=lambda path: path.name)
def test_a_workflow_is_one_by_githubs_schema(path: Path) -> None:
    done = schema(path)
    assert done.returncode == 0, done.stdout


def test_the_schema_refuses_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("on: push\njobs:\n  a:\n    steps: nothing\n")
    assert schema(tmp_path / "bad.yml").returncode == 1


def steps(path: Path) -> list[str]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return [step.get("run", "") for job in content["jobs"].values() for step in job["steps"]]


def test_what_the_workflows_call_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = {target for step in steps(OURS) for target in re.findall(r"make ([a-z-]+)", step)}
    assert made == {"lint", "test-fast"}
    assert made <= targets
    [line] = [step for step in steps(STUDENTS) if "a7 check" in step]
    words = line.split()
    assert parse(words[words.index("check") :]).annotate == "github"
    assert any(".ci/run" in step for step in steps(OURS))


def test_the_pythons_are_those_of_the_project() -> None:
    content = yaml.safe_load(OURS.read_text())
    assert content["jobs"]["fast"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text()
    assert content["jobs"]["kit"]["strategy"]["matrix"]["system"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
