"""What is said to students, and why a comparison is as strict as it is."""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator, Mapping

from .kit import Finding, Kit

# What would give an answer away. A hint may name things, bare or in backticks, say "at beta = 0", write a distribution
# as N(0, I), and mention a call of a bare name as it is typed, encode(x).
CODE = re.compile(
    r"torch\.|F\.|\.detach|\.sum\(|\.mean\(|\.view\(|\.permute|\bexp\(|\blog\(|\*\*|==|->|use_reentrant|lambda \w*:"
    r"|output_padding=\d"
    r"|\w\(\w*\)\s*[-+*/]"  # arithmetic on what a call returns
    r"|\b[a-z_]\w*\([^()]*[-+*/=\[,.\d][^()]*\)"  # a call with more than a name in it
    r"|\b[a-z_]\w*\s*=\s*[-+]?[\w.]+\s*[-+*/@(\[]"  # an assignment of more than a name or a number
    r"|\w\[\s*[^\]\s][^\]]*\]"  # a part of a tensor
    r"|`(?![A-Za-z_][\w.]*`)[^`]+`"  # in backticks anything but a name
)
LARGEST_LITERAL = 0.1  # fractions below it are tolerances; larger ones are choices, like a share of pixels
WORDS_OF_A_REASON = 3
COMPARING = ("alike", "isclose", "allclose")
NO_REASON = ("fmt:", "type:", "noqa")  # comments to tools


parsed = functools.cache(ast.parse)  # by text: most rules walk through the same files


def code_in(text: str) -> str:
    """The first piece of code in what is said to a student, or nothing."""
    match = CODE.search(text)
    return match[0] if match else ""


def questions_asked(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(place, text) of everything that asks a question: hints of checks, of misconceptions and of patterns."""
    for path, text in files.items():
        body = parsed(text).body
        documented = bool(body) and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        for node in ast.walk(ast.Module(body[documented:], [])):  # a module's docstring may show how a check is written
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            said = "".join(str(p.value) for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str))
            if "?" in said:
                yield f"grader/{path}:{getattr(node, 'lineno', 0)}", said


def hints(kit: Kit) -> list[Finding]:
    """No hint of a check, a condition or a misconception holds code."""
    said = [*((check.id, check.hint) for check in kit.checks), *questions_asked(kit.grader)]
    return [Finding(where, f"the hint holds code, {code!r}", "ask what the student should notice: a hint is no answer")
            for where, text in said if (code := code_in(text))]  # fmt: skip


def conditions(kit: Kit) -> list[Finding]:
    """Each condition asks a question of its own, or inherits the check's on purpose."""
    found = []
    for path, text in kit.rubric.items():
        tree = parsed(text)
        blocks = [
            node for node in ast.walk(tree) if isinstance(node, ast.With) and "asking(" in ast.unparse(node.items[0])
        ]
        asked = {call for block in blocks for call in ast.walk(block)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("expect", "matches", "Failure"):
                continue
            fifth = ast.unparse(node.func) == "Failure" and len(node.args) >= 5
            if not fifth and not any(keyword.arg == "hint" for keyword in node.keywords) and node not in asked:
                found.append(
                    Finding(
                        f"grader/{path}:{node.lineno}",
                        "this condition has no question",
                        "give it hint=, its own, or INHERIT where the check's fits",
                    )
                )
    return found


def tolerances(kit: Kit) -> list[Finding]:
    """A tolerance has its reason.

    A `Tolerance` says it in words. A literal below a tenth in what `expect` decides by (or in a comparison that it is
    given by name) has a comment, in the lines of its statement or in the one above; so has one in a module's constant.
    """
    found = []
    for path, text in kit.grader.items():
        found += [Finding(f"grader/{path}:{line}", "this Tolerance has no reason",
                          f"say as its third argument what error it allows, in {WORDS_OF_A_REASON} words or more")
                  for line in unreasoned(text)]  # fmt: skip
    for path, text in kit.rubric.items():
        found += [Finding(f"grader/{path}:{line}", f"the literal {literal} decides a check, and nothing says why",
                          "use a Tolerance with its reason, or write the reason into a comment above")
                  for line, literal in unexplained(text)]  # fmt: skip
    return found


def unreasoned(text: str) -> Iterator[int]:
    """Lines of `Tolerance(…)` without a literal reason of some words."""
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Tolerance":
            given = [*node.args[2:3], *(keyword.value for keyword in node.keywords if keyword.arg == "reason")]
            said = given[0].value if given and isinstance(given[0], ast.Constant) else ""
            if len(str(said).split()) < WORDS_OF_A_REASON:
                yield node.lineno


def unexplained(text: str) -> Iterator[tuple[int, str]]:
    """(line, literal) of the tolerances that decide in `expect`, where no comment stands."""
    tree, commented = parsed(text), comments(text)
    constants = {node.targets[0].id: node for node in tree.body
                 if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)}  # fmt: skip
    reported = set[int]()
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        for statement, condition in decisions(function):
            used = [constants[node.id] for node in ast.walk(condition)
                    if isinstance(node, ast.Name) and node.id in constants]  # fmt: skip
            for place, expression in ((statement, condition), *((constant, constant.value) for constant in used)):
                literal = next(small(expression), "")
                lines = range(place.lineno - 1, (place.end_lineno or place.lineno) + 1)
                if literal and place.lineno not in reported and not commented.intersection(lines):
                    reported.add(place.lineno)
                    yield place.lineno, literal


def decisions(function: ast.FunctionDef) -> Iterator[tuple[ast.stmt, ast.expr]]:
    """What `expect` is given as its condition, and comparisons that reach it under a name, with their statements."""
    statements = [node for node in ast.walk(function) if isinstance(node, ast.Expr | ast.Assign)]
    for statement in statements:
        call = statement.value
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != "expect" or not call.args:
            continue
        yield statement, call.args[0]
        names = {node.id for node in ast.walk(call.args[0]) if isinstance(node, ast.Name)}
        for other in statements:
            if (
                isinstance(other, ast.Assign)
                and isinstance(other.targets[0], ast.Name)
                and other.targets[0].id in names
                and other.lineno < statement.lineno
                and any(map(compares, ast.walk(other.value)))
            ):
                yield other, other.value


def compares(node: ast.AST) -> bool:
    """Whether it is a comparison, or a call that makes one."""
    called = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
    return isinstance(node, ast.Compare) or called in COMPARING


def small(expression: ast.expr) -> Iterator[str]:
    """Literals that can only be tolerances."""
    for node in ast.walk(expression):
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < node.value < LARGEST_LITERAL:
            yield f"{node.value:g}"


def comments(text: str) -> set[int]:
    """Lines with a comment for people."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0] for token in tokens if token.type == tokenize.COMMENT
            and not token.string.lstrip("# ").startswith(NO_REASON)}  # fmt: skip
