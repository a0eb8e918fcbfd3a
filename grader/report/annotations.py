"""GitHub's workflow commands: what did not pass, at the student's own lines, and the report as the summary of a run.

What a line of a log may do there is told by ``::name property=value::text``. Text of a submission is escaped, and what
else is printed meanwhile stands between `silenced` and `heard`, where no line is a command.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..check.outcome import Outcome
from . import markdown
from .model import Report
from .printable import one_line, printable
from .words import STATUS_WORDS, explanation

SAID = ("found", "call", "expected", "actual", "looks like", "think")  # of an explanation
QUIET = frozenset({"passed", "not_run", "error", "skipped"})  # say nothing of a line of the student's
MILD = frozenset({"unimplemented", "partial"})
MOST_TEXT, MOST_TITLE = 1500, 120
LARGEST_SUMMARY = 1000 << 10  # bytes; GitHub takes 1 MiB
CUT = "\n\n… the rest is in the log.\n"


class Place(NamedTuple):
    """Where in a submission: its module, the line of a definition, and what is defined there."""

    module: str
    line: int
    name: str


def definitions(sources: Mapping[str, str]) -> dict[str, Place]:
    """Places of functions, classes and methods by "module.name" and "module.Class.method"; the last of a name counts,
    as in Python."""
    found: dict[str, Place] = {}
    for module, source in sources.items():
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # that it cannot be parsed is what the checks say
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found[f"{module}.{node.name}"] = Place(module, node.lineno, node.name)
                for item in node.body if isinstance(node, ast.ClassDef) else ():
                    if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                        name = f"{node.name}.{item.name}"
                        found[f"{module}.{name}"] = Place(module, item.lineno, name)
    return found


def place_of(outcome: Outcome, found: Mapping[str, Place]) -> Place | None:
    """Where the function stands that a check has found wrong: of those it has called, the one in the call that is
    shown, a method if that is what was called there."""
    asked = [name for name in sorted(outcome.asked) if name in found]
    called = re.findall(r"\.?\b[A-Za-z_]\w*(?=\()", outcome.call)
    shown = [name for name in asked if found[name].name in called]
    for name in shown or asked:
        methods = [found[f"{name}{word}"] for word in called if word.startswith(".") and f"{name}{word}" in found]
        return methods[-1] if methods else found[name]
    return None


def commands(report: Report, sources: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """A command for each place where something did not pass. `files` are paths by module, as GitHub knows them."""
    known = definitions(sources)
    at: dict[tuple[Place | None, bool], list[Outcome]] = {}
    for outcome in report.outcomes:
        if outcome.status not in QUIET and not outcome.full:
            at.setdefault((place_of(outcome, known), outcome.status in MILD), []).append(outcome)
    return [command("warning" if mild else "error", *said(place, outcomes), where=where_of(place, files))
            for (place, mild), outcomes in at.items()]  # fmt: skip


def said(place: Place | None, outcomes: list[Outcome]) -> tuple[str, str]:
    """Title and text of what was found at one place."""
    first, *others = outcomes
    more = f" and {len(others)} more" if others else ""
    name = f"{place.name}: " if place is not None else ""
    title = f"{name}{first.check.title} ({STATUS_WORDS[first.status]}){more}"
    lines = [f"{label}: {text}" for label, text in explanation(first, for_student=True) if label in SAID]
    lines += [f"also {STATUS_WORDS[one.status]}: {one.check.title}" for one in others]
    return title, "\n".join(lines) or STATUS_WORDS[first.status]


def where_of(place: Place | None, files: Mapping[str, str]) -> dict[str, str]:
    """File and line, where there is such a file."""
    return {"file": files[place.module], "line": str(place.line)} if place is not None and place.module in files else {}


def command(name: str, title: str, text: str, *, where: Mapping[str, str]) -> str:
    """One line that GitHub takes for a command; nothing in it can begin another one."""
    properties = {**where, "title": one_line(title, MOST_TITLE)}
    given = ",".join(f"{key}={escaped_property(value)}" for key, value in properties.items())
    return f"::{name} {given}::{escaped(printable(text, MOST_TEXT))}"


def escaped(text: str) -> str:
    """Text behind the second ``::``."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(text: str) -> str:
    """The value of a property."""
    return escaped(text).replace(":", "%3A").replace(",", "%2C")


def silenced(token: str) -> str:
    """From here on no line is a command, until `heard` with this token, which nobody can know before."""
    return f"::stop-commands::{token}"


def heard(token: str) -> str:
    """Lines may be commands again."""
    return f"::{token}::"


def job_summary(report: Report) -> str:
    """The report as a page, as much of it as GitHub shows."""
    text = markdown.render(report)
    if len(text.encode()) <= LARGEST_SUMMARY:
        return text
    head = text.encode()[: LARGEST_SUMMARY - len(CUT.encode())].decode(errors="ignore")
    return head.rpartition("\n")[0] + CUT


def files_of(path: Path, sources: Mapping[str, str], root: Path) -> dict[str, str]:
    """Paths of modules, from `root` with slashes, of a submission that is a folder or a file there: the files that hold
    these very texts. Of what lies elsewhere or in an archive none."""
    found: dict[str, str] = {}
    home = path.resolve()
    for module, text in sources.items():
        own = [home] if home.is_file() else [home / f"{module}.py", *sorted(home.glob(f"*/{module}.py"))]
        for file in own:
            try:
                if file.read_bytes().decode(errors="replace").replace("\r\n", "\n") == text.replace("\r\n", "\n"):
                    found[module] = file.relative_to(root.resolve()).as_posix()
                    break
            except (OSError, ValueError):
                continue
    return found
