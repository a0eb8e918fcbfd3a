"""Copies as those make them who do not want to be found: the same program in other clothes, drawn from a seed.

Each disguise is one thing that people do; `heavy` does all of them. What comes out is still Python, and mostly still the
same program: an instructor has to see through it, no test runs it.
"""

from __future__ import annotations

import ast
import builtins
import random
from collections.abc import Callable, Mapping, Sequence

WORDS = ("data", "val", "res", "tmp", "arr", "vec", "item", "acc", "buf", "part", "inp", "curr", "node", "state", "my")
Change = Callable[[ast.Module, random.Random], ast.Module]


def renamed(tree: ast.Module, draw: random.Random) -> ast.Module:
    """Every local name, parameter, helper and attribute of ``self`` is called something else."""
    own: set[str] = set()
    attributes: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif isinstance(node, ast.arg) and node.arg not in ("self", "cls"):
            own.add(node.arg)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            attributes.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.startswith("_") and "__" not in node.name:
            own.add(node.name)
            attributes.add(node.name)
    own -= set(dir(builtins))
    new = {name: f"{draw.choice(WORDS)}_{number}" for number, name in enumerate(sorted(own | attributes))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in own:
            node.id = new[node.id]
        elif isinstance(node, ast.arg) and node.arg in own:
            node.arg = new[node.arg]
        elif isinstance(node, ast.Attribute) and node.attr in attributes and node.attr not in TORCHS:
            node.attr = new[node.attr]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in own:
            node.name = new[node.name]
    return tree


TORCHS = frozenset({"weight", "bias", "data", "grad", "training", "requires_grad", "shape"})


def reordered(tree: ast.Module, draw: random.Random) -> ast.Module:
    """Functions, classes and methods stand in another order."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            movable = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.ClassDef)]
            fixed = [one for one in node.body if one not in movable]
            draw.shuffle(movable)
            node.body = [*fixed, *movable]
    return tree


def undocumented(tree: ast.Module, draw: random.Random) -> ast.Module:
    """No docstrings; comments go with the layout, which is Python's own then."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            kept = [one for one in node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
            node.body = kept or [ast.Pass()]
    return tree


def other_constants(tree: ast.Module, draw: random.Random) -> ast.Module:
    """Numbers and texts differ."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            node.values = [ast.Constant("went wrong ")]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value += " here"
        elif isinstance(node, ast.Constant) and isinstance(node.value, float):
            node.value = round(node.value * draw.choice((1.0, 10.0, 0.5)), 9)
        elif isinstance(node, ast.Constant) and type(node.value) is int and node.value > 2:
            node.value += draw.choice((0, 1, 5))
    return tree


def unannotated(tree: ast.Module, draw: random.Random) -> ast.Module:
    """No types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return tree


def swapped(tree: ast.Module, draw: random.Random) -> ast.Module:
    """Half of the sums and products are written the other way round."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult) and draw.random() < 0.5:
            node.left, node.right = node.right, node.left
    return tree


def padded(tree: ast.Module, draw: random.Random) -> ast.Module:
    """A statement that does nothing stands before every fifth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.For | ast.If | ast.With):
            body: list[ast.stmt] = []
            for one in node.body:
                if draw.random() < 0.2:
                    body += ast.parse(draw.choice(("unused = 0", "pass", "assert True", "print('ok')"))).body
                body.append(one)
            node.body = body
    return tree


LIGHT: Sequence[Change] = (undocumented, renamed)
MEDIUM: Sequence[Change] = (undocumented, unannotated, renamed, reordered, other_constants)
HEAVY: Sequence[Change] = (*MEDIUM, swapped, padded)


def disguised(sources: Mapping[str, str], changes: Sequence[Change] = MEDIUM, seed: int = 0) -> dict[str, str]:
    """The modules of a submission, each in its disguise."""
    draw = random.Random(seed)
    found = {}
    for module, text in sources.items():
        tree = ast.parse(text)
        for change in changes:
            tree = change(tree, draw)
        found[module] = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    return found
