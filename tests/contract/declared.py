"""What a declaration must say: ids, words, points, what comes before."""

from __future__ import annotations

import math
import re
from collections import Counter

from grader.check.declaration import BONUS

from .kit import Finding, Kit, folder_of, label

REGULAR_POINTS, BONUS_POINTS = 100, 10
PARTS = r"[a-z0-9-]+(\.[a-z0-9-]+)*"
SHORTEST_SENTENCE = 20  # characters of what a check asks


def ids(kit: Kit) -> list[Finding]:
    """A check is called qN.part.what, after its own question, and no two are called the same."""
    found = []
    for check in kit.checks:
        prefix = label(check.question)
        if not re.fullmatch(rf"{prefix}\.{PARTS}", check.id):
            found.append(
                Finding(
                    check.id,
                    f"is no id of a check of {prefix}",
                    f"call it {prefix}.part.what, of small letters, digits and hyphens",
                )
            )
    for question in kit.questions:
        strangers = [check.id for check in question.checks if check.question != question.number]
        found += [Finding(name, f"is listed under {label(question.number)}, and declares another question",
                          f"declare question={question.number}, or list it where it belongs")
                  for name in strangers]  # fmt: skip
    found += [Finding(name, f"is the id of {times} checks", "give each one of its own")
              for name, times in Counter(check.id for check in kit.checks).items() if times > 1]  # fmt: skip
    return found


def complete(kit: Kit) -> list[Finding]:
    """A check has points, a title, a sentence that says what it asks, and a hint that asks a question."""
    found = []
    for check in kit.checks:
        if not check.points > 0:
            found.append(Finding(check.id, "gives no points", "give it some, or take it out of its question"))
        if not check.title:
            found.append(Finding(check.id, "has no title", "say in a few words what it is about"))
        if len(check.asks) <= SHORTEST_SENTENCE:
            found.append(
                Finding(check.id, "does not say what it asks", "write it into asks, in a sentence that a student reads")
            )
        if "?" not in check.hint:
            found.append(
                Finding(check.id, "has no hint that asks", "write a question into hint that leads on, and no answer")
            )
    return found


def points(kit: Kit) -> list[Finding]:
    """Points of the checks add up to those of the question, and those of the questions to 100, the bonus to 10."""
    found = []
    for question in kit.questions:
        given = math.fsum(check.points for check in question.checks)
        if not math.isclose(given, question.points):
            found.append(
                Finding(
                    label(question.number),
                    f"its checks give {given:g} points, its QUESTION says {question.points:g}",
                    "move points between its checks, or change QUESTION in its __init__",
                )
            )
    for what, total, wanted in (
        ("the questions", math.fsum(q.points for q in kit.questions if q.number != BONUS), REGULAR_POINTS),
        ("the bonus", math.fsum(q.points for q in kit.questions if q.number == BONUS), BONUS_POINTS),
    ):
        if not math.isclose(total, wanted):
            found.append(
                Finding(
                    "grader/rubric",
                    f"{what}: {total:g} points, and not {wanted}",
                    "take them from another question, or give them to one",
                )
            )
    return found


def needs(kit: Kit) -> list[Finding]:
    """What a check needs comes before it, in the same question."""
    found, seen = [], dict[str, int]()
    for check in kit.checks:
        for need in check.needs:
            if need not in seen:
                found.append(
                    Finding(
                        check.id,
                        f"needs {need}, which does not come before it",
                        "list that one first in CHECKS, or mend the name",
                    )
                )
            elif seen[need] != check.question:
                found.append(
                    Finding(
                        check.id,
                        f"needs {need} of another question",
                        "leave it out: the grader's own part stands in for those (parts)",
                    )
                )
        seen[check.id] = check.question
    return found


def listed(kit: Kit) -> list[Finding]:
    """The rubric imports the packages of grader/assignment.py, in its order, and each is called after its number."""
    named = tuple(folder_of(question.number) for question in kit.questions)
    if named == kit.folders:
        return []
    odd = ", ".join(sorted(set(named) ^ set(kit.folders))) or "their order"
    return [Finding("grader/assignment.py", f"FOLDERS and QUESTIONS of grader/rubric/__init__.py differ in {odd}",
                    "list the question in both, and call its package after its number")]  # fmt: skip


def modules(kit: Kit) -> list[Finding]:
    """The files that questions name are those of grader/assignment.py, and the solution has them."""
    named = tuple(dict.fromkeys(module for question in kit.questions for module in question.modules))
    found = [Finding(f"{module}.py", "is named by a question and not in solution/", "write it, then make starter")
             for module in named if f"{module}.py" not in kit.solution]  # fmt: skip
    if named != kit.modules:
        found.append(
            Finding(
                "grader/assignment.py",
                f"MODULES is {', '.join(kit.modules)}, while questions name {', '.join(named)}",
                "list there what questions name, in their order",
            )
        )
    return found
