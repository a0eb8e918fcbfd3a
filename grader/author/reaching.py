"""Which modules of the grader a module needs, by the imports that stand in it: what a copy of a part must hold."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path


def reached(package: Path, roots: Iterable[Path], cut: Collection[Path] = ()) -> frozenset[Path]:
    """Files of a package that the roots import, wherever in them, and what these import; `cut` ones are not entered.

    Imports for types alone do not count.
    """
    found, todo = set[Path](), list(roots)
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += [other for other in imported(package, path) if other not in cut]
    return frozenset(found)


def imported(package: Path, path: Path) -> Iterator[Path]:
    """Files of the package that a module of it imports, with the packages around them."""
    for node in imports_of(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module.split(".") if node.module else ()))
            for place in (base, *(base / alias.name for alias in node.names)):
                yield from files_of(package, place)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package.name:
            yield from files_of(package, package.parent.joinpath(*str(node.module).split(".")))


def imports_of(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports in a piece of text that are executed when it is run."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from imports_of(other)
        else:
            yield from imports_of(child)


def files_of(package: Path, place: Path) -> Iterator[Path]:
    """The file of a module, and the `__init__` of every package that it lies in."""
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file() and file.is_relative_to(package):
            yield file
            for folder in file.parents:
                if (around := folder / "__init__.py") != file and folder.is_relative_to(package):
                    yield around
