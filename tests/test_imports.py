"""The house: which room may import which (docs/architecture.md); imports go down only, and nobody imports solution."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from .conftest import ROOT

GRADER = ROOT / "grader"
# what each room may import of the others; a file beside the rooms may import what stands at its own name
ROOMS: dict[str, frozenset[str]] = {
    "__init__": frozenset(),
    "assignment": frozenset(),
    "worker": frozenset(),
    "classes": frozenset(),
    "boundary": frozenset({"worker"}),
    "check": frozenset({"boundary"}),
    "rubric": frozenset({"check", "boundary"}),
    "report": frozenset({"__init__", "rubric", "check", "boundary", "classes"}),
    "grading": frozenset({"report", "rubric", "check", "boundary", "classes"}),
    "cli": frozenset({"assignment", "grading", "report", "rubric", "check", "boundary", "classes"}),
    "author": frozenset({"assignment", "cli", "grading", "report", "rubric", "check", "boundary", "worker", "classes"}),
    "__main__": frozenset({"cli"}),
}
# of the untrusted side the trusted one shares the wire format only
WIRE = frozenset({"grader.worker.wire", "grader.worker.values"})


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(GRADER).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path, *, typing: bool = False) -> set[str]:
    """Modules that a file imports; those under `if TYPE_CHECKING` only with `typing`."""
    package = ["grader", *path.relative_to(GRADER).parts[:-1]]
    tree = ast.parse(path.read_text())
    typing_only = {child for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
                   for child in ast.walk(node)}  # fmt: skip
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in typing_only and not typing:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            known = [f"{module}.{alias.name}" for alias in node.names]
            found |= {k if is_module(k) else module for k in known}
    return found


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return dotted.startswith("grader") and (path.with_suffix(".py").exists() or (path / "__init__.py").exists())


def path_of(dotted: str) -> Path:
    """The file of a module."""
    path = ROOT.joinpath(*dotted.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def room_of(dotted: str) -> str:
    """The room of a module, `grader.check.cases` say: its folder, or its own name if it stands beside the rooms."""
    return [*dotted.split("."), "__init__"][1]


FILES = sorted(GRADER.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_down_only(path: Path) -> None:
    own = "grader." + name_of(path)
    for imported in imports_of(path):
        assert imported.split(".")[0] not in ("solution", "starter", "tests"), f"{own} imports {imported}"
        if not imported.startswith("grader") or room_of(imported) == room_of(own):
            continue
        assert room_of(imported) in ROOMS[room_of(own)], f"{own} imports {imported}, which is not below it"
        if room_of(own) != "author" and room_of(imported) == "worker":
            assert imported in WIRE, f"{own} imports {imported}: only the wire format is shared"


def test_the_rooms_are_those_of_the_table_and_no_circle_joins_them() -> None:
    assert {room_of("grader." + name_of(path)) for path in FILES} == ROOMS.keys()
    assert list(TopologicalSorter(ROOMS).static_order())


def test_no_module_imports_another_that_imports_it() -> None:
    """Not even for types: two modules that need each other are one, or miss a third."""
    graph = {"grader." + name_of(path): imports_of(path, typing=True) for path in FILES}
    assert list(
        TopologicalSorter({own: {i for i in found if i in graph} for own, found in graph.items()}).static_order()
    )


@pytest.mark.parametrize("path", sorted((GRADER / "worker").glob("*.py")), ids=name_of)
def test_the_worker_stands_alone(path: Path) -> None:
    for imported in imports_of(path):
        assert not imported.startswith("grader.") or imported.startswith("grader.worker")


def test_nothing_unpickles_or_evaluates() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "pickle.load", "pickle.loads", "torch.load"), f"{path.name}: {called}"
                assert called != "exec" or path.name == "importer.py"
