"""The checks as pytest's items: file, question, check. `editor` has decided that there are any."""

from __future__ import annotations

import ast
import re
import types
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from _pytest._code.code import ReprFileLocation, TerminalRepr
from _pytest._io import TerminalWriter
from rich.console import Console

from ..boundary.launch import GraderFault, WorkerDied
from ..check.declaration import Check
from ..check.outcome import Outcome
from ..classes.ingest import IngestError
from ..grading.resident import Resident
from ..report.model import question_label
from ..report.printable import printable
from ..report.steps import missing_part
from ..report.words import STATUS_WORDS, explanation
from ..rubric import CHECKS, QUESTIONS
from .arguments import parse
from .boxes import find_box
from .layout import LABEL_WIDTH, details
from .marks import SEED, marker_of
from .plan import QUICK_KINDS, make_plan
from .saves import draft

MODULES_OF = {question.number: question.modules for question in QUESTIONS}
SHOWN = [check for check in CHECKS if check.visibility == "public" and check.kind in QUICK_KINDS]
NAME = re.compile(r"(\w+)\.(\w+)(\.\w+)?")
DEEP = 2  # how far helpers of a check are followed


# ---- one engine for a folder --------------------------------------------------------------------------------------


class Panel:
    """A student's folder, judged as `check` judges it, a question at a time."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Raises IngestError, GraderFault and WorkerDied."""
        plan = make_plan(parse(["check", str(folder), "--seed", str(seed)]), QUICK_KINDS, frozenset({"public"}))
        self.resident = Resident(replace(plan, box=find_box("none").box))
        self.version = self.resident.take(draft(folder, None)[0])

    def outcome(self, item: CheckItem) -> Outcome:
        """Of a check; the others of its question that were selected are judged with it."""
        name = item.check.id
        if name not in self.version.outcomes:
            selected = [other for other in item.session.items if isinstance(other, CheckItem)]
            self.version.judge(names=[
                other.check.id for other in selected
                if other.check.question == item.check.question and other.path.parent == item.path.parent
            ])  # fmt: skip
        return self.version.outcomes[name]


PANELS = pytest.StashKey[dict[Path, Panel]]()


def panel_of(config: pytest.Config, folder: Path) -> Panel:
    """Started on first use."""
    panels = config.stash.setdefault(PANELS, {})
    if folder not in panels:
        panels[folder] = Panel(folder, config.stash[SEED])
    return panels[folder]


def close_panels(config: pytest.Config) -> None:
    """Ends their workers."""
    for panel in config.stash.setdefault(PANELS, {}).values():
        panel.resident.close()


# ---- which file, which line ---------------------------------------------------------------------------------------


@cache
def asked_about(check: Check) -> str:
    """The function or class that a check names first, "module.name"; else its question's first module."""
    modules = MODULES_OF[check.question]
    return next(named_in(check.run, modules, DEEP), modules[0])


def named_in(run: types.FunctionType | Any, modules: tuple[str, ...], deep: int) -> Iterator[str]:
    """Names of these modules in a function of the rubric, and where it has none, in the functions that it uses."""
    helpers: list[types.FunctionType] = []
    own, package = False, run.__module__.rpartition(".")[0]
    for value in values_of(run.__code__, run.__globals__):
        text = getattr(value, "name", value)
        if isinstance(text, str) and (match := NAME.fullmatch(text)) and match[1] in modules:
            own = True
            yield text
        elif isinstance(value, types.FunctionType | type) and value.__module__.startswith(package):
            inside = vars(value).values() if isinstance(value, type) else [value]
            helpers += [helper for helper in inside if isinstance(helper, types.FunctionType)]
    for helper in helpers if deep and not own else ():
        yield from named_in(helper, modules, deep - 1)


def values_of(code: types.CodeType, names: dict[str, Any]) -> Iterator[Any]:
    """The constants of a function's code and the globals that it reads; what a table holds counts, too."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from values_of(constant, names)
        else:
            yield constant
    for name in code.co_names:
        value = names.get(name)
        yield from value if isinstance(value, tuple | list) else value.values() if isinstance(value, dict) else [value]


@cache
def lines_of(path: Path, changed: float) -> dict[str, int]:
    """The line of each function and class of a file, from 0; `changed` is when it was."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return {node.name: node.lineno - 1 for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}  # fmt: skip


# ---- the tree -----------------------------------------------------------------------------------------------------


class StudentFile(pytest.File):
    """A file of the assignment. It is not imported."""

    def collect(self) -> Iterator[pytest.Collector]:
        """Its questions."""
        here = [check for check in SHOWN if asked_about(check).partition(".")[0] == self.path.stem]
        for question in QUESTIONS:
            own = [check for check in here if check.question == question.number]
            if own:
                asked = AskedQuestion.from_parent(self, name=marker_of(str(question_label(question.number))))
                asked.checks = own
                yield asked


class AskedQuestion(pytest.Class):
    """A question, as far as it is about one file. A class to pytest, since editors show those between file and test."""

    checks: list[Check]

    def _getobj(self) -> type:
        return type(self.name, (), {})

    def collect(self) -> Iterator[pytest.Item]:
        """Its checks, in the rubric's order."""
        for check in self.checks:
            yield CheckItem.from_parent(self, name=check.id, check=check)


class CheckItem(pytest.Item):
    """A check. It is judged when it is set up, so that a fault of the grader's is an error and no failure."""

    def __init__(self, *, check: Check, **others: Any) -> None:
        super().__init__(**others)
        self.check = check
        self.outcome: Outcome | None = None
        self.add_marker(check.kind)
        self.add_marker(marker_of(str(question_label(check.question))))

    def setup(self) -> None:
        """Judges it. Raises pytest's own exceptions for what is skipped, and for what the grader failed on."""
        try:
            self.outcome = panel_of(self.config, self.path.parent).outcome(self)
        except (GraderFault, WorkerDied, IngestError) as fault:
            raise failed_here(str(fault)) from None
        if self.outcome.status == "error":
            raise failed_here(self.outcome.message)
        if self.outcome.status in ("skipped", "not_run"):
            raise pytest.skip.Exception(self.outcome.message or "not run", _use_item_location=True)

    def runtest(self) -> None:
        """Says whether it passed."""
        if self.outcome is not None and self.outcome.status != "passed":
            raise AssertionError(self.outcome.message)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the function stands that it asks about, and its title."""
        name = asked_about(self.check).split(".")[1:2]
        try:
            lines = lines_of(self.path, self.path.stat().st_mtime)
        except OSError:
            lines = {}
        return self.path, lines.get(name[0], 0) if name else 0, f"{self.check.id} · {self.check.title}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Our explanation in place of a traceback, which would be ours."""
        if self.outcome is None or not isinstance(excinfo.value, AssertionError):
            return super().repr_failure(excinfo, style)
        said = explanation(self.outcome, for_student=True)
        short = STATUS_WORDS[self.outcome.status]
        if self.outcome.status == "unimplemented":
            short = f"{missing_part(self.outcome)} is not written yet"
        elif self.outcome.message:
            short = f"{short}: {self.outcome.message}"
        return self.explained(said, short)

    def explained(self, said: list[tuple[str, str]], short: str) -> Explained:
        """For the terminal, `short` for the summary."""
        path, line, _ = self.reportinfo()
        return Explained(said, ReprFileLocation(str(path), line + 1, short.partition("\n")[0]))


def failed_here(why: str) -> BaseException:
    """The grader itself failed, which is an error in pytest's words, and no failure."""
    return pytest.fail.Exception(f"GRADER ERROR: {printable(why)}\ntell your instructor: it costs no points", False)


class Explained(TerminalRepr):
    """Labels and what belongs beside them, as wide as the terminal."""

    def __init__(self, said: list[tuple[str, str]], place: ReprFileLocation) -> None:
        self.said, self.reprcrash = said, place

    def toterminal(self, tw: TerminalWriter) -> None:
        """Writes it."""
        console = Console(file=StringIO(), width=max(tw.fullwidth, 40), color_system=None, highlight=False)
        console.print(details(self.said, "", LABEL_WIDTH))
        for line in console.file.getvalue().splitlines() if isinstance(console.file, StringIO) else ():
            tw.line(line.rstrip())
