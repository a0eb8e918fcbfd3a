"""The author's contract: every check says all it must, points add up, hints ask and never tell."""

from __future__ import annotations

import ast
import re
from dataclasses import MISSING, fields

import pytest

from grader.check.declaration import Check, Question
from grader.check.gradients import NOTHING_BACK
from grader.check.patterns import CURVES, FACTORS
from grader.rubric import CHECKS, MODULES, QUESTIONS

from .conftest import ROOT

POINTS = {1: 6, 2: 8, 3: 8, 4: 12, 5: 8, 6: 10, 7: 14, 8: 16, 9: 5, 10: 13, 0: 10}
IDS = [check.id for check in CHECKS]
# what would give an answer away: calls, assignments and operators of code, and the formulas of the handout
CODE = re.compile(
    r"torch\.|F\.|\.detach|\.sum\(|\.mean\(|\.view\(|\.permute|\bexp\(|\blog\(|\*\*|==|->|\w\(\w*\)\s*[-+*/]|use_reentrant|output_padding=\d"
)


def test_the_questions_and_their_points() -> None:
    assert {question.number: question.points for question in QUESTIONS} == POINTS
    assert sum(points for number, points in POINTS.items() if number) == 100


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"q{q.number}")
def test_the_points_of_a_question_are_those_of_its_checks(question: Question) -> None:
    assert sum(check.points for check in question.checks) == pytest.approx(question.points)
    assert all(check.question == question.number for check in question.checks)
    assert all((ROOT / "solution" / f"{module}.py").exists() for module in question.modules)


def test_ids_are_unique() -> None:
    assert len(set(IDS)) == len(IDS)


def test_a_check_has_no_defaults() -> None:
    assert all(field.default is MISSING and field.default_factory is MISSING for field in fields(Check))


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_a_check_says_all_it_must(check: Check) -> None:
    prefix = f"q{check.question}." if check.question else "bonus."
    assert re.fullmatch(re.escape(prefix) + r"[a-z0-9.-]+", check.id)
    assert check.points > 0
    assert check.title
    assert len(check.asks) > 20
    assert "?" in check.hint, "a hint is a question"
    assert not CODE.search(check.hint), f"the hint of {check.id} holds code: {CODE.search(check.hint)}"


def questions_asked() -> list[tuple[str, str]]:
    """(module, text) of everything that asks a question: hints of checks, of misconceptions and of patterns."""
    found = []
    for path in (
        *sorted((ROOT / "grader" / "rubric").rglob("*.py")),
        *sorted((ROOT / "grader" / "check").glob("*.py")),
    ):
        tree = ast.parse(path.read_text())
        for node in ast.walk(ast.Module(tree.body[1:], [])):  # its docstring shows how a check is written
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(p.value) for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str))
            if "?" in text:
                found.append((path.name, text))
    return found


def test_no_hint_of_a_misconception_holds_code_either() -> None:
    asked = questions_asked()
    assert len(asked) > 250
    assert [(module, text) for module, text in asked if CODE.search(text)] == []


def test_what_wrong_values_look_like_is_told_without_code() -> None:
    words = [*FACTORS.values(), *CURVES, NOTHING_BACK]
    assert [text for text in words if CODE.search(text)] == []


def test_needs_come_before_and_stay_within_the_question() -> None:
    seen: dict[str, int] = {}
    for check in CHECKS:
        for need in check.needs:
            assert need in seen, f"{check.id} needs {need}, which does not come before it"
            assert seen[need] == check.question, f"{check.id} needs {need} of another question"
        seen[check.id] = check.question


def test_every_kind_of_row_is_there() -> None:
    kinds = {question.number: {check.kind for check in question.checks} for question in QUESTIONS}
    assert all("property" in found for found in kinds.values())
    for number in (3, 4, 5, 6, 7, 8, 9, 10, 0):
        assert "trained" in kinds[number], f"question {number} has no trained check"
    for number in (1, 2, 4, 7, 8, 10):
        assert "gradient" in kinds[number], f"question {number} has no gradient check"
    for number in (1, 2, 5, 8, 10, 0):
        assert "statistical" in kinds[number], f"question {number} has no statistical check"
    public = sum(check.points for check in CHECKS if check.visibility == "public")
    assert 0.6 < public / sum(check.points for check in CHECKS) < 0.95


def test_every_name_of_the_handout_is_asked_for_somewhere() -> None:
    handout = (ROOT / "docs" / "handout.md").read_text()
    names = set(re.findall(r"^\| `(?:\w+\.)?(\w+)\(", handout, re.MULTILINE))
    text = "\n".join(path.read_text() for path in (ROOT / "grader" / "rubric").rglob("*.py"))
    assert len(names) > 60
    missing = sorted(name for name in names if not re.search(rf"\b{name}\b", text))
    assert not missing


def test_every_module_is_in_the_starter() -> None:
    assert all((ROOT / "starter" / f"{module}.py").exists() for module in MODULES)


def conditions_without_a_question() -> list[str]:
    """Places of the rubric where something is expected, and neither a question of its own nor INHERIT is named."""
    found = []
    for path in sorted((ROOT / "grader" / "rubric").rglob("*.py")):
        tree = ast.parse(path.read_text())
        asked = {call for block in ast.walk(tree) if isinstance(block, ast.With) and "asking(" in ast.unparse(block.items[0])
                 for call in ast.walk(block)}  # fmt: skip
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("expect", "matches", "Failure"):
                continue
            fifth = ast.unparse(node.func) == "Failure" and len(node.args) >= 5
            named = fifth or any(keyword.arg == "hint" for keyword in node.keywords)
            if not named and node not in asked:
                found.append(f"{path.parent.name}/{path.name}:{node.lineno}")
    return found


def test_every_condition_asks_its_own_question_or_inherits_the_checks_on_purpose() -> None:
    assert conditions_without_a_question() == []
