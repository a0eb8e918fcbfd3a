"""Which part of a text a check can see, found without running it: where that is the same, so is the verdict.

A check enters a submission by names ("module.name"). What runs then is what these names stand for, everything that is
called so in code that runs, and whatever is executed when the modules are imported. All functions and classes with a
name that occurs there count, in any module: more than can run, and never less. A class counts with all of its methods,
and not before its name occurs: nobody has an object of it without. What a decorator of the submission's own gets hold
of counts always. A text that looks names up in other ways (``getattr``, ``globals``, …) is taken as a whole.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Mapping, Set
from typing import Any, NamedTuple

from .store import Kept, dumped

# what finds or changes a name by a text, or reads the program itself: then any line may matter to any other
UNCLEAR = frozenset({
    "globals", "locals", "vars", "dir", "exec", "__import__", "importlib", "import_module", "builtins",
    "inspect",
    "methodcaller", "attrgetter", "gc", "ctypes", "pickle", "linecache", "traceback", "tokenize", "ast", "symtable",
    "runpy", "pkgutil", "breakpoint", "mock", "subprocess", "get_type_hints", "currentframe", "settrace", "setprofile",
    "_getframe", "metaclass",
    "__dict__", "__builtins__", "__getattr__", "__getattribute__", "__setattr__", "__delattr__",
    "__init_subclass__", "__subclasses__", "__set_name__", "__mro__", "__bases__", "__code__", "__globals__",
    "__closure__", "__defaults__", "__kwdefaults__", "__file__", "__path__", "__loader__", "__spec__", "__traceback__",
    "__annotations__", "__class_getitem__", "__prepare__",
})  # fmt: skip
BY_TEXT = frozenset({"getattr", "setattr", "delattr", "hasattr"})  # clear where the text stands there
ONLY_BARE = frozenset({"compile", "eval"})  # `re.compile` and `model.eval` are others
# decorators that give what they are put on to nobody else
KEEPING = frozenset({"dataclass", "no_grad", "inference_mode", "enable_grad", "contextmanager", "cache", "lru_cache",
                     "cached_property", "wraps", "overload", "final", "override", "property", "setter", "staticmethod",
                     "classmethod", "abstractmethod", "total_ordering"})  # fmt: skip
OF_SYS = frozenset({"modules", "path", "meta_path"})
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Piece(NamedTuple):
    """A function or class of a text: what it says with and without its lines' numbers, and the names in it."""

    place: str  # "module:name"
    name: str
    said: str
    lines: str
    names: frozenset[str]


class Text(NamedTuple):
    """A submission taken apart. `always` is what is executed by imports; `whole` says that it cannot be taken apart."""

    pieces: tuple[Piece, ...]
    always: Piece
    whole: bool


def sees_the_same(before: Mapping[str, Any], after: Mapping[str, Any], kept: Kept) -> bool:
    """Whether a check that has judged `before` would see the same of `after`: texts of `submissions.text_of`.

    The report of what failed names lines: then these must be where they were.
    """
    if before == after:
        return True
    if before["aliases"] != after["aliases"] or before["sources"].keys() != after["sources"].keys():
        return False
    lines = kept.status not in ("passed", "skipped")
    seen = [seen_of(dumped(text["sources"]), kept.seen, lines) for text in (before, after)]
    return seen[0] == seen[1] and "" not in seen


@functools.lru_cache(maxsize=4096)
def seen_of(sources: str, entered: frozenset[str], lines: bool) -> str:
    """Digest of all that can run once these names are looked up; empty where only the whole text would do."""
    text = taken_apart(sources)
    if text.whole:
        return ""
    names = {part for name in entered for part in name.split(".")[1:]} | text.always.names
    modules = {name for name in entered if "." not in name}  # imported as such: everything public in them may be meant
    found = set[int]()
    while True:
        new = [number for number, piece in enumerate(text.pieces) if number not in found
               and (piece.name in names or piece.place.partition(":")[0] in modules)]  # fmt: skip
        if not new:
            break
        found.update(new)
        names |= {name for number in new for name in text.pieces[number].names}
    pieces = [text.always, *(piece for number, piece in enumerate(text.pieces) if number in found)]
    return digest([[piece.place, piece.lines if lines else piece.said] for piece in pieces])


@functools.lru_cache(maxsize=64)
def taken_apart(sources: str) -> Text:
    """All pieces of a text, given as JSON of its modules' sources."""
    pieces: list[Piece] = []
    loose: list[ast.AST] = []
    order: list[tuple[str, ast.AST]] = []  # what imports execute; of a function, only that there is one of this name
    imported: set[str] = set()
    nothing = Text((), Piece("", "", "", "", frozenset()), whole=True)
    try:
        trees = {module: ast.parse(source) for module, source in sorted(json.loads(sources).items())}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return nothing
    if any(map(unclear, trees.values())):
        return nothing
    keeping = KEEPING.difference(*map(bound_in, trees.values()))
    for module, tree in trees.items():
        order.append(("", ast.Constant(module)))
        unread = any(isinstance(node, ast.ImportFrom) and node.module == "__future__"
                     and any(alias.name == "annotations" for alias in node.names) for node in tree.body)  # fmt: skip
        for node in tree.body:
            if isinstance(node, Definition):
                pieces.append(Piece(f"{module}:{node.name}", node.name, *said_by([node]), frozenset(names_of(node))))
                loose += [part for one in executed(node) for part in (evaluated(one) if unread else [one])]
                loose += [ast.Name(node.name, ast.Load())] if handed_on(node, keeping) else []
                order += [*(("", part) for part in executed(node)),
                          ("" if isinstance(node, ast.ClassDef) else node.name, bare(node))]  # fmt: skip
            elif isinstance(node, ast.Import | ast.ImportFrom):
                order.append(("", node))  # it calls nothing of what it names
                imported |= {alias.name for alias in node.names}
                pieces += [Piece(f"{module}:{alias.asname}", alias.asname, "", "", frozenset(alias.name.split(".")))
                           for alias in node.names if alias.asname]  # fmt: skip
            else:
                loose += evaluated(node) if unread else [node]
                order.append(("", node))
    names = frozenset().union(*map(names_of, loose))
    # a function that no import and nothing at the top names is there or not: only who calls it sees that
    told = [node for name, node in order if not name or name in names | imported or "*" in imported]
    return Text(tuple(pieces), Piece("", "", *said_by(told), names), whole=False)


def executed(node: Definition) -> list[ast.AST]:
    """What of a definition is executed when its module is imported."""
    found: list[ast.AST] = list(node.decorator_list)
    if isinstance(node, ast.ClassDef):
        for item in node.body:
            found += executed(item) if isinstance(item, Definition) else [item]
        found += [keyword.value for keyword in node.keywords]
    else:
        found += [*node.args.defaults, *(default for default in node.args.kw_defaults if default is not None)]
    return found


def evaluated(node: ast.AST) -> list[ast.AST]:
    """What of a statement is evaluated where annotations are not (``from __future__ import annotations``)."""
    if isinstance(node, ast.AnnAssign):
        return [node.target, *([node.value] if node.value is not None else [])]
    return [node]


def handed_on(node: Definition, keeping: Set[str]) -> bool:
    """Whether a decorator other than these may keep this function or class, or one of its methods, for others."""
    inside = [item for item in node.body if isinstance(item, Definition)] if isinstance(node, ast.ClassDef) else []
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        if name not in keeping:
            return True
    return any(handed_on(item, keeping) for item in inside)


def bound_in(tree: ast.AST) -> set[str]:
    """Names that a module gives a meaning of its own."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.alias(asname=str(name)):
                found.add(name)
    return found


def bare(node: Definition) -> ast.AST:
    """That there is a definition of this name, and of a class what it inherits from: its bases are not called yet."""
    bases = node.bases if isinstance(node, ast.ClassDef) else []
    return ast.Tuple([ast.Constant(node.name), *bases], ast.Load())


def unclear(tree: ast.AST) -> bool:
    """Whether a module looks names up, or reads itself, in a way that is not seen from outside."""
    literal = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) > 1
               and isinstance(node.args[1], ast.Constant)}  # fmt: skip
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) if name in BY_TEXT:
                if id(node) not in literal:
                    return True
            case ast.Name(id=name) if name in UNCLEAR | ONLY_BARE:
                return True
            case ast.Attribute(value=ast.Name(id="sys"), attr=name) if name in OF_SYS:
                return True
            case ast.ImportFrom(module="sys"):
                return True
            case ast.Attribute(attr=name) | ast.keyword(arg=str(name)) if name in UNCLEAR:
                return True
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name in UNCLEAR:
                return True
            case ast.alias(name=name, asname=other):
                if UNCLEAR & {*name.split("."), other} or (name == "sys" and other):
                    return True
    return False


def names_of(tree: ast.AST) -> set[str]:
    """Every name and attribute in a piece of code, what it imports, and by which keyword arguments are given."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                found.add(name)
            case ast.alias(name=name, asname=other):
                found |= {*name.split("."), *([other] if other else [])}
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Call(func=ast.Name(id=called), args=[_, ast.Constant(value=str(name)), *_]) if called in BY_TEXT:
                found.add(name)
    return found


def said_by(nodes: list[ast.AST]) -> tuple[str, str]:
    """Code as text that does not depend on layout, without and with the numbers of its lines."""
    bare_text = [ast.dump(node) for node in nodes]
    lines = [[getattr(part, "lineno", 0) for part in ast.walk(node)] for node in nodes]
    return digest(bare_text), digest([bare_text, lines])


def digest(value: object) -> str:
    """Of what JSON can say."""
    return hashlib.sha256(dumped(value).encode()).hexdigest()
