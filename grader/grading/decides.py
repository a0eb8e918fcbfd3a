"""What decides a verdict besides the submission's text, as one digest: where it is another, no verdict is reused."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..boundary.box import Sandbox
from ..check.declaration import BONUS, Check
from ..check.threads import THREADS
from ..report.model import versions
from .store import dumped

GRADER = Path(__file__).resolve().parents[1]
JUDGING = ("boundary", "check", "worker")  # rooms that every verdict goes through
# of these only trained checks know
TRAINED_ONLY = frozenset({"trained.py", "thresholds.py", "thresholds.json", "judge_network.py", "learning.py",
                          "datasets.py"})  # fmt: skip
OUTSIDE = frozenset({"grader", "rubric_hash"})  # versions that say less than the code itself


def decided(check: Check, seed: int, sandbox: Sandbox, device: str, dataset: str, *, control: bool) -> str:
    """The digest for a check. `device` and `dataset` count for trained ones, which are the only ones to use them;
    `control` says whether there is work that is known to be right beside the grader."""
    trained = check.kind == "trained"
    parts = [check.id, code_of(check.question, trained), seed, sandbox.backend, THREADS, control, libraries(),
             [device, dataset] if trained else None]  # fmt: skip
    return hashlib.sha256(dumped(parts).encode()).hexdigest()


@functools.cache
def libraries() -> dict[str, str]:
    """Versions of what judges, without our own, whose code is looked at itself."""
    return {name: version for name, version in versions().items() if name not in OUTSIDE}


@functools.cache
def code_of(question: int, trained: bool) -> str:
    """Digest of the code that judges a question: the rooms that all verdicts go through, and the question's modules
    with all that they import from the rubric."""
    paths = [path for room in JUDGING for path in (GRADER / room).rglob("*")
             if path.suffix in (".py", ".json") and (trained or path.name not in TRAINED_ONLY)]  # fmt: skip
    judge = [GRADER / "grading" / "judge.py", GRADER / "rubric" / "shared" / "borrowed.py"]
    digest = hashlib.sha256()
    for path in sorted({*paths, *judge, *modules_of(question, trained)}):
        digest.update(path.relative_to(GRADER).as_posix().encode() + b"\0" + content(path) + b"\0")
    return digest.hexdigest()


@functools.cache
def content(path: Path) -> bytes:
    """A file of ours: each is a part of many digests."""
    return path.read_bytes()


def modules_of(question: int, trained: bool) -> frozenset[Path]:
    """Files of the rubric that a question's checks are written in, and those of it that they import."""
    name = "bonus" if question == BONUS else f"q{question:02}"
    own = sorted((GRADER / "rubric" / name).glob("*.py"))
    # the package lists all of its modules, so that what it imports says nothing
    found, todo = set[Path](), [path for path in own if trained or path.stem != "trained"]
    while todo:
        found.add(path := todo.pop())
        if path.stem != "__init__":
            todo += [other for other in imported(path) if other not in found]
    return frozenset(found)


@functools.cache
def imported(path: Path) -> tuple[Path, ...]:
    """Modules of the rubric that a module imports."""
    found: list[Path] = []
    for node in ast.walk(ast.parse(content(path))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            found += files_of(base, [alias.name for alias in node.names])
    return tuple(found)


def files_of(base: Path, names: Sequence[str]) -> Iterator[Path]:
    """The files of the rubric behind ``from base import names``."""
    for candidate in (base, *(base / name for name in names)):
        for file in (candidate.with_suffix(".py"), candidate / "__init__.py"):
            if file.is_file() and file.is_relative_to(GRADER / "rubric") and file.parent != GRADER / "rubric":
                yield file
