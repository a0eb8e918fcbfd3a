"""What students get: the starter made from the solution, stubs in it, and nothing that is never asked for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from grader.author.starter import MarkerError, starter_text

from .kit import Finding, Kit, folder_of, label

REMAKE = "run make starter"


def public(kit: Kit, module: str) -> list[str]:
    """Functions and classes of a module that a student writes."""
    tree = ast.parse(kit.starter.get(f"{module}.py", ""))
    return [node.name for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")]  # fmt: skip


def starter(kit: Kit) -> list[Finding]:
    """The starter and the names of parameters are what the solution gives."""
    found = []
    for name in sorted(kit.solution.keys() | kit.starter.keys()):
        try:
            wanted = starter_text(name, kit.solution[name]) if name in kit.solution else None
        except MarkerError as error:
            found.append(Finding(f"solution/{name}", str(error), "mend the marker"))
            continue
        if kit.starter.get(name) != wanted:
            found.append(Finding(f"starter/{name}", "is not what solution/ gives", REMAKE))
    if kit.signatures[0] != kit.signatures[1]:
        found.append(Finding("grader/check/signatures.json", "does not have today's parameters of solution/", REMAKE))
    return found


def functions(module: str, text: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods by the name that a report calls them."""
    for node in ast.walk(ast.parse(text)):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                yield f"{module}.{owner}{child.name}", child


def stubs(kit: Kit) -> list[Finding]:
    """Every function that a student writes says what it is to do, and raises with the name of a question that asks it."""
    found = []
    for module in kit.modules:
        names = {
            "Bonus" if not question.number else f"Question {question.number}"
            for question in kit.questions if module in question.modules
        }  # fmt: skip
        for name, node in functions(module, kit.starter.get(f"{module}.py", "")):
            last, said = node.body[-1], ast.unparse(node.body[-1])
            if not isinstance(last, ast.Raise) or "NotImplementedError" not in said:
                found.append(
                    Finding(
                        name,
                        "the starter gives it away: it is no stub",
                        "put its body between '# begin solution QN' and '# end solution'",
                    )
                )
            elif not any(re.search(rf"\b{re.escape(wanted)}\b", said) for wanted in names):
                found.append(
                    Finding(
                        name,
                        f"its stub names no question that lists {module}.py",
                        f"its marker is one of {', '.join(sorted(names)) or 'none yet'}",
                    )
                )
            if not ast.get_docstring(node) and node.name != "__init__":
                found.append(
                    Finding(name, "says nothing", "write a docstring: what it returns, with shapes, units and errors")
                )
    return found


def asked(kit: Kit) -> list[Finding]:
    """Whatever a student writes is asked about by a check of a question that lists its file."""
    found = []
    for module in kit.modules:
        packages = [f"rubric/{folder_of(question.number)}/" for question in kit.questions if module in question.modules]
        looked_at = (*packages, "rubric/shared/")
        text = "\n".join(text for path, text in kit.rubric.items() if path.startswith(looked_at))
        for name in public(kit, module):
            if not re.search(rf"\b{name}\b", text):
                found.append(
                    Finding(
                        f"{module}.{name}",
                        "no check asks about it",
                        f"ask in a check of {' or '.join(label(q.number) for q in kit.questions if module in q.modules)}, "
                        "or put it between '# begin private' and '# end private'",
                    )
                )
    return found
