"""Which functions of the reference a check runs, and which of them a variant changes.

A check that runs none of the changed functions goes the same way on the variant as on the reference with the same seed,
draw for draw: its outcome is known without running it. The proof therefore runs only the other checks, as tools for
mutation testing do, and runs some variants on all checks to see that nothing is missed.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

Functions = dict[str, ast.FunctionDef]

NOTE = """
_a7_noted = set()
def _a7_note(name):
    if name not in _a7_noted:
        _a7_noted.add(name)
        import os
        to = os.open({path!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(to, (name + "\\n").encode())
        os.close(to)
_a7_note({module!r})
"""


def extends_itself(node: ast.ClassDef) -> bool:
    """Whether it is ``class A(A)``, which changes some methods of what was A before."""
    return any(isinstance(base, ast.Name) and base.id == node.name for base in node.bases)


def functions(tree: ast.Module) -> Functions:
    """Functions and methods by name; of two definitions of a name, the last, which is the one that holds."""
    found: Functions = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            if not extends_itself(node):
                found = {name: part for name, part in found.items() if not name.startswith(f"{node.name}.")}
            found |= {f"{node.name}.{item.name}": item for item in node.body if isinstance(item, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            found[node.name] = node
    return found


def instrumented(module: str, text: str, path: Path) -> str:
    """The module, writing the name of each function to `path` when it is first run, and its own when it is imported."""
    tree = ast.parse(text)
    for name, node in functions(tree).items():
        start = 1 if ast.get_docstring(node) is not None else 0
        node.body.insert(start, ast.parse(f"_a7_note({module + '.' + name!r})").body[0])
    future = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    last = max((tree.body.index(n) for n in future), default=-1)
    tree.body[last + 1 : last + 1] = ast.parse(NOTE.format(path=str(path), module=module)).body
    return ast.unparse(ast.fix_missing_locations(tree))


def remaining(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What is not a function: (the one name that the statement makes, or "", its text)."""
    known: dict[str, set[str]] = {}
    for node in tree.body:
        match node:
            case ast.FunctionDef():
                for decorator in node.decorator_list:
                    yield node.name, ast.dump(decorator)
            case ast.ClassDef() if extends_itself(node):
                added = [item for item in node.body if not isinstance(item, ast.FunctionDef)]
                names = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
                if (
                    added
                    or node.keywords
                    or node.decorator_list
                    or len(node.bases) > 1
                    or not names <= known[node.name]
                ):
                    yield node.name, ast.dump(node)
            case ast.ClassDef():
                kept = [item for item in node.body if not isinstance(item, ast.FunctionDef)]
                head = [*node.bases, *node.keywords, *node.decorator_list, *kept]
                known[node.name] = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
                yield node.name, " ".join([*map(ast.dump, head), *sorted(known[node.name])])
            case ast.Import(names=[ast.alias(name=name, asname=other)]):
                yield other or name, ast.dump(node)
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield name, ast.dump(node)
            case _:
                yield "", ast.dump(node)


@functools.lru_cache(maxsize=64)
def parts(text: str) -> tuple[Mapping[str, str], Sequence[tuple[str, str]]]:
    """The module's functions, and what `remaining` finds, as text that does not depend on layout."""
    tree = ast.parse(text)
    return {name: ast.dump(node) for name, node in functions(tree).items()}, list(remaining(tree))


def changed(module: str, before: str, after: str) -> set[str]:
    """Functions of the module that differ, or the module itself where something else does.

    A name that only `after` has changes nothing: what is the same in both does not know it. A class of which more than
    known methods differ is changed in all of them: whoever uses an object of it has run one of these.
    """
    (was, old), (now, new) = parts(before), parts(after)
    found = {f"{module}.{name}" for name, text in was.items() if now.get(name) != text}
    rest, names = dict(old), set(was) | {name for name, _ in old}
    loose = [text for name, text in old if not name]
    for name, text in new:
        if text not in loose if not name else name in names and rest.get(name) != text:
            found |= {f"{module}.{method}" for method in was if method.startswith(f"{name}.")} or {module}
    if set(rest) - {name for name, _ in new} or len(loose) > sum(not name for name, _ in new):
        found.add(module)
    return found


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """`changed` of all modules."""
    differing = [name for name in before if before[name] != after[name]]
    return set().union(*(changed(name, before[name], after[name]) for name in differing))
