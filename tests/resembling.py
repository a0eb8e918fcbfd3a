"""How much of one text's functions another text has, whatever things are called there."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from grader.classes.similarity import Stream, tiles
from grader.classes.tokens import tokens_of


class Body(NamedTuple):
    """What a function does: where it stands, its statements without docstring, and how large they are."""

    place: str
    text: str
    shape: str
    nodes: int


class Anonymous(ast.NodeTransformer):
    """Calls every name by its place in the function, and forgets annotations."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def name(self, name: str) -> str:
        return self.names.setdefault(name, f"name{len(self.names)}")

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.name(node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self.name(node.arg))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value is not None else None


@functools.cache
def bodies(name: str, source: str) -> tuple[Body, ...]:
    """The functions and methods of a module."""

    def within(node: ast.AST, place: str) -> Iterator[Body]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                if isinstance(child, ast.FunctionDef):
                    yield body(child, f"{place}.{child.name}")
                yield from within(child, f"{place}.{child.name}")

    return tuple(within(ast.parse(source), name))


def body(function: ast.FunctionDef, place: str) -> Body:
    """One function's."""
    statements = function.body[1:] if ast.get_docstring(function) is not None else function.body
    text = "\n".join(ast.unparse(statement) for statement in statements)
    tree = Anonymous().visit(ast.parse(text))
    return Body(place, text, ast.dump(tree), sum(1 for _ in ast.walk(tree)))


def shared_runs(one: str, others: Stream, given: Stream) -> Sequence[tuple[int, tuple[str, int, int]]]:
    """Runs of tokens of a text that others have and that was not handed out: how many tokens, and where there."""
    stream = Stream({"": tokens_of(one)})
    stream.own(given.hashes)
    if not np.isin(stream.hashes, others.hashes).any():
        return []
    return [(length, others.place(there, length)) for _, there, length in tiles(stream, others)]


def stream_of(files: Mapping[str, str], given: Stream | None = None) -> Stream:
    """Texts, made ready to be looked up in; without what was handed out."""
    stream = Stream({name: tokens_of(text) for name, text in files.items()})
    if given is not None:
        stream.own(given.hashes)
    return stream
