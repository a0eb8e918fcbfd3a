"""What is written about a question outside its declaration: handout, README, cuts and results."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from grader.author.tables import with_budgets, with_table

from .handed_out import public
from .kit import Finding, Kit

HEADING = re.compile(r"^## (?:Question (\d+)|Bonus) \(([\d.]+) points?\)(.*)$", re.MULTILINE)
DATASETS = ("digits", "mnist")
REFERENCE = ("full", "zero", "lose", "seeds")  # what calibration leaves of a metric
TABLES = "run python -m grader.author.tables"


def handout(kit: Kit) -> list[Finding]:
    """Each question has its section with its points and files, each function its row, and the budgets are today's."""
    page = kit.pages["docs/handout.md"]
    sections = {int(number or 0): (float(points), rest) for number, points, rest in HEADING.findall(page)}
    found = []
    for question in kit.questions:
        name = f"Question {question.number}" if question.number else "Bonus"
        files = ", ".join(f"`{module}.py`" for module in question.modules)
        wanted = f"## {name} ({question.points:g} points) · {files}"
        if question.number not in sections:
            found.append(Finding("docs/handout.md", f"has no section on {name}", f"write one: {wanted}"))
            continue
        points, rest = sections[question.number]
        named = re.findall(r"`(\w+)\.py`", rest)  # files that others are written in may be left out
        if (
            not math.isclose(points, question.points)
            or named[:1] != [question.modules[0]]
            or not set(named) <= set(question.modules)
        ):
            found.append(
                Finding(
                    "docs/handout.md", f"its section on {name} has other points or files", f"its heading is {wanted}"
                )
            )
    found += [Finding("docs/handout.md", f"has a section on question {number}, which there is not", "remove it")
              for number in sections.keys() - {question.number for question in kit.questions}]  # fmt: skip
    for module in kit.modules:
        found += [Finding("docs/handout.md", f"does not say what {module}.{name} is", f"add a row | `{name}(…)` | … |")
                  for name in public(kit, module) if not re.search(rf"`(?:{module}\.)?{name}\(", page)]  # fmt: skip
    written = {name for module in kit.modules for name in public(kit, module)}
    found += [Finding("docs/handout.md", f"has a row on {name}, which the starter has not", "remove it, or write the function")
              for name in re.findall(r"^\| `(?:\w+\.)?(\w+)\(", page, re.MULTILINE) if name not in written]  # fmt: skip
    if not current(with_budgets, page):
        found.append(Finding("docs/handout.md", "has not today's budgets of training", TABLES))
    return found


def readme(kit: Kit) -> list[Finding]:
    """The table is today's, and the example of weights has every question and adds up."""
    page, found = kit.pages["README.md"], []
    if not current(with_table, page):
        found.append(Finding("README.md", "its table of the rubric is not today's", TABLES))
    names = {"bonus" if not question.number else str(question.number) for question in kit.questions}
    weights = weights_shown(page)
    if weights.keys() != names:
        odd = sorted(weights.keys() ^ names)
        found.append(
            Finding(
                "README.md",
                f"its example of [weights] and the rubric differ in {', '.join(odd)}",
                "list every question there",
            )
        )
    regular = math.fsum(weight for name, weight in weights.items() if name != "bonus")
    if not math.isclose(regular, 100):
        found.append(
            Finding(
                "README.md", f"the weights of its example add up to {regular:g}", "make them 100: export refuses others"
            )
        )
    return found


def weights_shown(page: str) -> dict[str, float]:
    """The table [weights] of the settings that the README shows."""
    for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL):
        table: Mapping[str, Any] = tomllib.loads(block)
        if "weights" in table:
            return {name: float(weight) for name, weight in table["weights"].items()}
    return {}


def current(renewed: Any, page: str) -> bool:
    """Whether what is made between markers is there, and as it is made today."""
    try:
        return bool(renewed(page) == page)
    except ValueError:  # the markers are gone
        return False


def cuts(kit: Kit) -> list[Finding]:
    """Each trained check has measured cuts, with the results that they come from, for both datasets; no other has."""
    trained = {check.id for check in kit.checks if check.kind == "trained"}
    found = []
    for name in sorted(trained):
        for dataset in DATASETS:
            metrics = kit.cuts.get(name, {}).get(dataset)  # empty where a check measures nothing, as that of PCA
            if metrics is None:
                found.append(Finding(name, f"has no cuts for {dataset}", f"run make calibrate DATASET={dataset}"))
            for metric, value in (metrics or {}).items():
                missing = [key for key in REFERENCE if key not in value or value[key] == {}]
                if missing:
                    found.append(
                        Finding(f"{name}, {metric}", f"thresholds.json has no {', '.join(missing)} for {dataset}",
                                f"run make calibrate DATASET={dataset}")
                    )  # fmt: skip
    found += [Finding("grader/check/thresholds.json", f"has cuts for {name}, which no trained check is called", "remove them")
              for name in sorted(kit.cuts.keys() - trained)]  # fmt: skip
    return found


def results(kit: Kit) -> list[Finding]:
    """What the reference reaches in a trained check stands on the page of results."""
    page = kit.pages["docs/results.md"]
    return [Finding(check.id, "is not in docs/results.md", "run make results, after make calibrate")
            for check in kit.checks if check.kind == "trained" and any(kit.cuts.get(check.id, {"": "none"}).values())
            and f"`{check.id}`" not in page]  # fmt: skip
