"""Takes hidden checks out of the rubric's text, and with them all that only they use.

What is left is the text as it was written, comments and all: definitions and imports that nothing reaches any more go
as whole statements, and lists of checks or ids lose their entries. Reads text, imports nothing of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

Node = tuple[str, str]  # a module's path, and a name at its top
Sequence_ = ast.Tuple | ast.List | ast.Set
WIDTH = 110


class StripError(Exception):
    """Something hidden stands where it cannot be taken out of: says where."""


@dataclass
class Module:
    """A module's text and what stands at its top."""

    path: str
    text: str
    tree: ast.Module = field(init=False)
    defined: dict[str, ast.stmt] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)  # here -> where it is from, and its name there

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.text)
        for statement in self.tree.body:
            for name in names_of(statement):
                self.defined[name] = statement
            if isinstance(statement, ast.ImportFrom) and statement.level:
                base = PurePosixPath(self.path).parents[statement.level - 1]
                base = base.joinpath(*(statement.module.split(".") if statement.module else ()))
                for alias in statement.names:
                    self.imported[alias.asname or alias.name] = (base.as_posix(), alias.name)
            elif isinstance(statement, ast.Import | ast.ImportFrom):
                for alias in statement.names:
                    self.imported[alias.asname or alias.name.partition(".")[0]] = ("", alias.name)


def names_of(statement: ast.stmt) -> list[str]:
    """Names that a statement at the top of a module binds, but for those it imports."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def hidden_of(statement: ast.stmt) -> str | None:
    """The id of the hidden check that a statement declares; None for any other."""
    for mark in statement.decorator_list if isinstance(statement, ast.FunctionDef) else ():
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "declare":
            said = {word.arg: word.value.value for word in mark.keywords if isinstance(word.value, ast.Constant)}
            if said.get("visibility") == "hidden":
                return str(said["id"])
    return None


def without_hidden(texts: Mapping[str, str], roots: Collection[Node]) -> dict[str, str]:
    """The text of modules by path, without hidden checks. `roots` are names that others import from them; everything
    at the top of the outermost `__init__` counts as well. A module of which nothing is left goes. Raises StripError."""
    modules = {path: Module(path, text) for path, text in texts.items()}
    ids, gone = set[str](), set[Node]()
    for path, module in modules.items():
        for name, statement in module.defined.items():
            if (found := hidden_of(statement)) is not None:
                ids.add(found)
                gone.add((path, name))
    for path, module in modules.items():  # another name for a hidden check
        gone |= {(path, name) for name, statement in module.defined.items() if isinstance(statement, ast.Assign)
                 and isinstance(statement.value, ast.Name) and (path, statement.value.id) in gone}  # fmt: skip
    return strip(modules, roots, gone, ids)


def strip(
    modules: Mapping[str, Module], roots: Collection[Node], gone: Collection[Node] = (), ids: Collection[str] = ()
) -> dict[str, str]:
    """What is left of modules once `gone` and all that only these use have gone, and lists have lost `ids`."""
    kept = Reach(modules, gone).of(roots)
    left = {path: cut(module, kept, {name for where, name in gone if where == path}, ids)
            for path, module in modules.items()}  # fmt: skip
    for path, text in left.items():
        for number, line in enumerate(text.splitlines(), 1):
            if named := [one for one in ids if re.search(rf"{re.escape(one)}(?![\w-])", line)]:
                raise StripError(f"{path}, line {number} of what is left: names the hidden check {named[0]}: {line}")
    there = {path for path, text in left.items() if path.endswith("__init__.py") or says_something(text)}
    return {path: text for path, text in left.items() if path in there}


def says_something(text: str) -> bool:
    """Whether a module binds or does anything besides importing."""
    return any(not isinstance(one, ast.Expr | ast.Import | ast.ImportFrom) for one in ast.parse(text).body)


class Reach:
    """Which names are used, from some on."""

    def __init__(self, modules: Mapping[str, Module], gone: Collection[Node]) -> None:
        self.modules, self.gone = modules, set(gone)

    def of(self, roots: Collection[Node]) -> set[Node]:
        """All names that roots rest on, themselves among them, where they are defined and where they are imported."""
        found, todo = set[Node](), list(roots)
        for path, module in self.modules.items():  # what is done at the top is done whatever is used
            for statement in module.tree.body:
                if not names_of(statement) and not isinstance(statement, ast.Import | ast.ImportFrom):
                    todo += self.used(module, statement, path)
        while todo:
            node = todo.pop()
            path, name = node
            if node in found or node in self.gone or path not in self.modules:
                continue
            module = self.modules[path]
            if name in module.imported and (sources := [*self.sources(*module.imported[name])]):
                if not self.gone.issuperset(sources):
                    found.add(node)
                    todo += sources
                continue
            found.add(node)
            if name in module.defined:
                todo += self.used(module, module.defined[name], path)
        return found

    def used(self, module: Module, statement: ast.stmt, path: str) -> Iterator[Node]:
        """Names that a statement uses: at the top of its module, and of modules that it names."""
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and (node.id in module.defined or node.id in module.imported):
                yield path, node.id
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                base, name = module.imported.get(node.value.id, ("", ""))
                for place in (f"{base}/{name}.py", f"{base}/{name}/__init__.py") if base else ():
                    if place in self.modules:
                        yield place, node.attr

    def sources(self, base: str, name: str) -> Iterator[Node]:
        """Where an imported name is defined."""
        for place in (f"{base}.py", f"{base}/__init__.py"):
            if place in self.modules:
                yield place, name


def cut(module: Module, kept: Collection[Node], gone: Collection[str], ids: Collection[str]) -> str:
    """A module's text with what is kept of it."""
    lines = module.text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    edits: list[tuple[int, int, str]] = []

    def whole(statement: ast.stmt) -> None:
        marks = getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(mark.lineno for mark in marks)]) - 1
        while first and lines[first - 1].startswith("# ") and not lines[first - 1].startswith("# --"):
            first -= 1  # a comment that stands right above is about it
        edits.append((starts[first], starts[statement.end_lineno or first], ""))

    def rewritten(node: Sequence_ | ast.ImportFrom | ast.Import, text: str) -> None:
        begin = starts[node.lineno - 1] + node.col_offset
        edits.append((begin, starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0), text))

    for statement in module.tree.body:
        names = names_of(statement)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            left = [alias for alias in statement.names if getattr(statement, "module", "") == "__future__"
                    or (module.path, alias.asname or alias.name.partition(".")[0]) in kept]  # fmt: skip
            if not left:
                whole(statement)
            elif len(left) < len(statement.names):
                rewritten(statement, import_text(statement, left))
        elif names and not any((module.path, name) in kept for name in names):
            whole(statement)
        else:
            # in a function a name may be another one, of its own
            lost = gone_here(module, gone, kept) if isinstance(statement, ast.Assign | ast.AnnAssign) else frozenset()
            for node in shortened(statement, lost, ids):
                rewritten(node, sequence_text(node, lost, ids, module.text))
    raw = module.text.encode()
    for begin, end, text in sorted(edits, reverse=True):
        raw = raw[:begin] + text.encode() + raw[end:]
    return tidied(raw.decode())


def gone_here(module: Module, gone: Collection[str], kept: Collection[Node]) -> frozenset[str]:
    """Names that a list of this module must lose: its own hidden checks, and imported ones that nobody has any more."""
    dead = {name for name, (base, _) in module.imported.items() if base and (module.path, name) not in kept}
    return frozenset(gone) | dead


def shortened(statement: ast.stmt, gone: Collection[str], ids: Collection[str]) -> Iterator[Sequence_]:
    """Lists in a statement that lose entries, but for those inside of such lists."""
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        if isinstance(node, Sequence_) and any(goes(one, gone, ids) for one in node.elts):
            yield node
        else:
            todo += ast.iter_child_nodes(node)


def goes(entry: ast.expr, gone: Collection[str], ids: Collection[str]) -> bool:
    """Whether an entry of a list is a hidden check or the id of one."""
    named = isinstance(entry, ast.Name) and entry.id in gone
    return named or (isinstance(entry, ast.Constant) and entry.value in ids)


def sequence_text(node: Sequence_, gone: Collection[str], ids: Collection[str], text: str) -> str:
    """A list without what goes."""
    left = [ast.get_source_segment(text, one) or "" for one in node.elts if not goes(one, gone, ids)]
    opening, closing = {ast.Tuple: ("(", ")"), ast.List: ("[", "]"), ast.Set: ("{", "}")}[type(node)]
    if isinstance(node, ast.Set) and not left:
        raise StripError(f"line {node.lineno}: a set would be empty")
    alone = "," if isinstance(node, ast.Tuple) and len(left) == 1 else ""
    line = f"{opening}{', '.join(left)}{alone}{closing}"
    if len(line) <= WIDTH:
        return line
    return f"{opening}\n" + "".join(f"    {one},\n" for one in left) + closing


def import_text(statement: ast.Import | ast.ImportFrom, left: list[ast.alias]) -> str:
    """An import of what is left."""
    line = ast.unparse(ast.Import(left) if isinstance(statement, ast.Import)
                       else ast.ImportFrom(statement.module, left, statement.level))  # fmt: skip
    if len(line) <= WIDTH:
        return line
    head, _, names = line.partition(" import ")
    return f"{head} import (\n" + "".join(f"    {name},\n" for name in names.split(", ")) + ")"


def tidied(text: str) -> str:
    """No more than two empty lines behind each other, and one line's end at the end."""
    while "\n\n\n\n" in text:
        text = text.replace("\n\n\n\n", "\n\n\n")
    return text.rstrip("\n") + "\n"
