"""All that the rules look at, read once. A test breaks a copy with `dataclasses.replace`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader import assignment
from grader.author.starter import ROOT, signatures
from grader.check.declaration import BONUS, Check, Question
from grader.rubric import QUESTIONS

from ..bank import Alternative, Mistake
from ..bank.whole import ALTERNATIVES, BANKED, HINTS, MISTAKES
from ..cheats import CHEATS
from ..stays import ALONE
from ..unlearned import UNLEARNED

PAGES = ("README.md", "docs/handout.md", "docs/results.md")


@dataclass(frozen=True)
class Finding:
    """What is missing: where, what is the matter, and what mends it."""

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}"


@dataclass(frozen=True)
class Kit:
    """The assignment as its author wrote it: declarations, banks, and files as text."""

    questions: tuple[Question, ...]
    folders: tuple[str, ...]  # of grader/assignment.py: a package of the rubric and of the bank each
    modules: tuple[str, ...]  # of the same: what students write
    banked: tuple[str, ...]  # folders that the bank has
    mistakes: tuple[Mistake, ...]
    alternatives: tuple[Alternative, ...]
    hints: Mapping[str, str]  # what must be asked of a student, by mistake
    cheats: Mapping[str, frozenset[str]]  # trained checks that must earn nothing, by cheat
    alone: Mapping[str, str]  # a mistake that a check sees when nothing else is asked
    solution: Mapping[str, str]  # by file name
    starter: Mapping[str, str]
    signatures: tuple[str, str]  # of the solution, and as they are committed
    grader: Mapping[str, str]  # rubric/ and check/, by path below grader/
    cuts: Mapping[str, Any]  # by trained check, then by dataset
    pages: Mapping[str, str]

    @property
    def checks(self) -> tuple[Check, ...]:
        """Of all questions, in order."""
        return tuple(check for question in self.questions for check in question.checks)

    @property
    def sources(self) -> dict[str, str]:
        """The reference as a submission: the modules that a student writes."""
        return {name: self.solution[f"{name}.py"] for name in self.modules if f"{name}.py" in self.solution}

    @property
    def rubric(self) -> dict[str, str]:
        """The rubric's files."""
        return {path: text for path, text in self.grader.items() if path.startswith("rubric/")}


def label(question: int) -> str:
    """How ids of a question's checks begin, and what is typed for it."""
    return "bonus" if question == BONUS else f"q{question}"


def folder_of(question: int) -> str:
    """The package of a question, in the rubric and in the bank."""
    return "bonus" if question == BONUS else f"q{question:02}"


def texts(folder: Path) -> dict[str, str]:
    """Python files by name."""
    return {path.name: path.read_text() for path in sorted(folder.glob("*.py"))}


def read_kit() -> Kit:
    """This repository."""
    grader = ROOT / "grader"
    names = [*sorted(grader.glob("rubric/**/*.py")), *sorted(grader.glob("check/*.py"))]
    committed = grader / "check" / "signatures.json"
    return Kit(
        questions=QUESTIONS,
        folders=assignment.FOLDERS,
        modules=assignment.MODULES,
        banked=BANKED,
        mistakes=MISTAKES,
        alternatives=ALTERNATIVES,
        hints=HINTS,
        cheats={cheat.id: frozenset(cheat.checks) for cheat in (*CHEATS, *UNLEARNED)},
        alone=ALONE,
        solution=texts(ROOT / "solution"),
        starter=texts(ROOT / "starter"),
        signatures=(json.dumps(signatures(ROOT / "solution"), indent=1) + "\n", committed.read_text()),
        grader={path.relative_to(grader).as_posix(): path.read_text() for path in names},
        cuts=json.loads((grader / "check" / "thresholds.json").read_text())["checks"],
        pages={name: (ROOT / name).read_text() for name in PAGES},
    )
