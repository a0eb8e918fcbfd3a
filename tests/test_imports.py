"""Imports go one way: worker <- boundary <- context <- rubric <- judge <- report <- command line; nobody imports solution."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .conftest import ROOT

GRADER = ROOT / "grader"
# every module may import only from layers above its own line
LAYERS = (
    ("worker.wire", "worker.values", "worker.importer", "worker.loop", "worker.probes", "__init__", "worker"),
    ("worker.session",),
    ("worker.__main__",),
    ("launch", "lanes", "datasets", "thresholds", "ingest", "statistics", "cases", "patterns"),
    ("boundary",),
    ("checks", "shown"),
    ("context",),
    ("trained", "judge_network"),
    ("rubric",),
    ("judge",),
    ("report",),
    ("run",),
    ("terminal",),
    ("cli",),
    ("__main__", "author"),
)


def layer(module: str) -> int:
    for depth, names in enumerate(LAYERS):
        if any(module == name or module.startswith(name + ".") for name in names):
            found = depth
            break
    else:
        raise AssertionError(f"grader.{module} has no layer: add it to LAYERS")
    # worker.session is deeper than the worker's own package name says
    exact = [depth for depth, names in enumerate(LAYERS) if module in names]
    return exact[0] if exact else found


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(GRADER).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    """Modules of the grader that a file imports, `if TYPE_CHECKING` aside."""
    package = ["grader", *path.relative_to(GRADER).parts[:-1]]
    tree = ast.parse(path.read_text())
    typing_only = {child for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
                   for child in ast.walk(node)}  # fmt: skip
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in typing_only:
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


FILES = sorted(GRADER.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows_point_one_way(path: Path) -> None:
    own = name_of(path)
    for imported in imports_of(path):
        assert imported.split(".")[0] not in ("solution", "starter", "tests"), f"{own} imports {imported}"
        if imported.startswith("grader.") and imported.split(".")[1] != own.split(".")[0]:
            assert layer(imported.removeprefix("grader.")) <= layer(own), (
                f"{own} imports {imported}, which builds on it"
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
