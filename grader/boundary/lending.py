"""What is lent to the submission's process, cut out of the files in `lent`: a name with its own dependencies, as text.

The worker's folder holds nothing that a submission could help itself to. A probe, the loop or a correct version of a
function travels when a check uses it, in the session that uses it. Comments, docstrings and annotations stay here, and
classes, functions and attributes of probes are called otherwise in every session (`Disguise`): what behaves well only
for what looks like the grader's does not know it again.
"""

from __future__ import annotations

import ast
import functools
import itertools
import random
import symtable
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).with_name("lent")
PROBES, FUNCTIONS = ("probes", "watching", "telling", "elsewhere", "loop"), ("given", "parts")
HAS_PARTS = (FOLDER / "parts.py").exists()  # students' copies leave them out
# what students' copies leave out as well, for it could be handed in: there, a student's own is used in its place
OWN: Mapping[str, str] = {
    "image_mse": "autoencoders.mse_loss", "image_nelbo": "vae.vae_loss", "reparameterize": "vae.reparameterize",
    "train_step": "training.train_step", "fit": "training.fit",
}  # fmt: skip
DISGUISES = 32
# attributes by which a probe would be known, and what else they may be called
ATTRIBUTES: Mapping[str, Sequence[str]] = {
    "calls": ("history", "log_", "trace", "stats"), "seen": ("shown_", "inputs_", "recent", "fed"),
    "modes": ("flags", "modes_", "states_", "was"), "grads": ("tracked", "graph_", "needs", "ad"),
    "widths": ("dims_", "sizes_", "z_sizes", "latents_"), "given": ("outs", "outputs_", "returned", "recons"),
    "told": ("values_", "levels_", "losses_", "curve"), "batches": ("targets_", "goals_", "refs", "wanted_"),
    "asked": ("events", "acts_", "steps_", "ops"), "cleared": ("zeroed", "clean_", "fresh_", "marks"),
    "spoilt": ("off_", "bad_", "lost_", "tainted"), "arrivals": ("hits", "seen_", "came", "count_of"),
    "inner": ("core_", "body_", "net_", "wrapped_"), "narrow": ("to_z", "enc_lin", "squeeze_", "inward"),
    "widen": ("from_z", "dec_lin", "expand_", "outward"), "tally": ("ticks", "count_", "meter", "passes_"),
}  # fmt: skip
CLASS_WORDS = (("Small", "Tiny", "Plain", "Simple", "Base", "My", "Dense", "Toy", "Test", "Shallow", "Wide", "Mini"),
               ("Net", "Model", "Encoder", "AE", "MLP", "Module", "Network", "Block"))  # fmt: skip
FUNCTION_WORDS = (("loss", "criterion", "objective", "error", "cost", "recon", "distance", "score"),
                  ("", "_fn", "_of", "_mean", "_term", "_value"))  # fmt: skip
OWN_NAME = frozenset({"DeviceMismatch"})  # the grader knows an exception by its name


class NotLent(Exception):
    """A name that none of the files has: a fault of the grader."""


@dataclass(frozen=True)
class Definition:
    """A top-level statement of a file in `lent`, bare of words and types, and the names that it takes from there."""

    statement: ast.stmt
    needs: frozenset[str]
    attributes: frozenset[str]  # that it sets or reads
    probe: bool  # whether it may be called otherwise


class Piece(NamedTuple):
    """A definition as it is sent: under what name, and its text."""

    name: str
    text: str


class Bare(ast.NodeTransformer):
    """Takes away docstrings and annotations: what is left says what to do."""

    def visit_body(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.visit_body(node)
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.visit_body(node)
        if not any(isinstance(base, ast.Name) and base.id == "NamedTuple" for base in node.bases):
            self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return ast.copy_location(ast.Assign([node.target], node.value), node) if node.value is not None else None


def globals_of(table: symtable.SymbolTable) -> Iterator[str]:
    """Names that a piece of text takes from around it."""
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (not symbol.is_assigned() if top else symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from globals_of(child)


@functools.cache
def definitions() -> Mapping[str, Definition]:
    """Everything that can be lent, and the imports, by name."""
    found: dict[str, Definition] = {}
    none: frozenset[str] = frozenset()
    for module in (*PROBES, *FUNCTIONS):
        path = FOLDER / f"{module}.py"
        if not path.exists():
            continue
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            match statement:
                case ast.ImportFrom(level=1) | ast.ImportFrom(module="__future__") | ast.Expr():
                    continue
                case ast.Import(names=names) | ast.ImportFrom(names=names):
                    for alias in names:
                        one: ast.stmt = (
                            ast.Import([alias]) if isinstance(statement, ast.Import)
                            else ast.ImportFrom(statement.module, [alias], 0)
                        )  # fmt: skip
                        found[alias.asname or alias.name.partition(".")[0]] = Definition(one, none, none, False)
                    continue
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    pass
                case ast.Assign(targets=[ast.Name(id=name)]):
                    pass
                case _:
                    raise NotLent(f"{path.name}, line {statement.lineno}: neither a definition nor an import")
            if name in found:
                raise NotLent(f"{path.name}: there is another {name}")
            bare = ast.fix_missing_locations(Bare().visit(statement))
            needs = frozenset(globals_of(symtable.symtable(ast.unparse(bare), path.name, "exec")))
            attributes = frozenset(node.attr for node in ast.walk(bare) if isinstance(node, ast.Attribute))
            found[name] = Definition(bare, needs - {name}, attributes, module in PROBES)
    return found


@functools.cache
def identifiers() -> frozenset[str]:
    """All names in all definitions: no probe may be called what something else is called inside of one."""
    nodes = [node for one in definitions().values() for node in ast.walk(one.statement)]
    return frozenset(
        {node.id for node in nodes if isinstance(node, ast.Name)}
        | {node.arg for node in nodes if isinstance(node, ast.arg)}
        | definitions().keys()
    )


def own(name: str) -> str | None:
    """ "module.name" of the submission that is used where this copy of the grader has nothing of its own to lend."""
    return OWN.get(name) if name not in definitions() else None


def needed(name: str) -> list[str]:
    """Names of all that `name` rests on, in an order in which each comes after what it needs; itself last."""
    known, order = definitions(), dict[str, None]()
    if name not in known:
        raise NotLent(f"there is no {name} to lend")

    def add(one: str) -> None:
        for other in sorted(known[one].needs & known.keys()):
            if other not in order:
                add(other)
        order[one] = None

    add(name)
    return [*order]


class Renamed(ast.NodeTransformer):
    """Calls classes, functions and attributes of probes otherwise."""

    def __init__(self, names: Mapping[str, str], attributes: Mapping[str, str]) -> None:
        self.names, self.attributes = names, attributes

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return ast.Attribute(self.visit(node.value), self.attributes.get(node.attr, node.attr), node.ctx)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        return ast.FunctionDef(**{**dict(ast.iter_fields(node)), "name": self.names.get(node.name, node.name)})

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        return ast.ClassDef(**{**dict(ast.iter_fields(node)), "name": self.names.get(node.name, node.name)})


class Disguise:
    """What probes are called in one session."""

    def __init__(self, variant: int) -> None:
        draw = random.Random(variant)
        classes, functions = (
            [name for name in map("".join, itertools.product(*words)) if name not in identifiers()]
            for words in (CLASS_WORDS, FUNCTION_WORDS)
        )
        draw.shuffle(classes)
        draw.shuffle(functions)
        self.names: dict[str, str] = {}
        for name, one in definitions().items():
            if one.probe and name not in OWN_NAME and isinstance(one.statement, ast.FunctionDef | ast.ClassDef):
                pool = classes if isinstance(one.statement, ast.ClassDef) else functions
                self.names[name] = pool.pop()
        self.attributes = {name: draw.choice(others) for name, others in ATTRIBUTES.items()}

        self.made: dict[str, Piece] = {}

    def piece(self, name: str) -> Piece:
        """A definition under its name here, made once."""
        if name not in self.made:
            text = ast.unparse(definitions()[name].statement)
            if definitions()[name].probe:
                renamed = Renamed(self.names, self.attributes).visit(ast.parse(text))
                text = ast.unparse(ast.fix_missing_locations(renamed))
            self.made[name] = Piece(self.names.get(name, name), text)
        return self.made[name]


@functools.lru_cache(DISGUISES)
def disguise(seed: int) -> Disguise:
    """The disguise of a session with this seed."""
    return Disguise(seed % DISGUISES)


@functools.lru_cache(1024)
def pieces(name: str, variant: int) -> tuple[Piece, ...]:
    """`name` and all that it rests on, in the order in which they are to be executed."""
    return tuple(disguise(variant).piece(one) for one in needed(name))


class Lends:
    """What one session has been lent, and the names under which its probes go there."""

    def __init__(self, seed: int) -> None:
        self.variant = seed % DISGUISES
        self.sent: set[str] = set()
        self.there: dict[str, str] = {}  # attributes of what has been lent: here -> there, and there -> here

    def due(self, name: str) -> tuple[str, list[str]]:
        """What `name` is called there, and the texts that must be sent before it is used."""
        whole = pieces(name, self.variant)
        new = [piece for piece in whole if piece.name not in self.sent]
        self.sent |= {piece.name for piece in new}
        for here, there in disguise(self.variant).attributes.items():
            if any(here in definitions()[one].attributes for one in (needed(name) if new else ())):
                self.there |= {here: there, there: here}
        return whole[-1].name, [piece.text for piece in new]

    def key(self, name: str) -> str:
        """The name of a parameter or attribute here for there, and there for here."""
        return ".".join(self.there.get(part, part) for part in name.split("."))

    def outward(self, op: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A request as it is sent: with the names that attributes have there."""
        changed = dict(fields)
        if op == "get":
            changed["name"] = self.key(fields["name"])
        elif op == "load":
            changed["state"] = {self.key(name): value for name, value in fields["state"].items()}
        return changed

    def inward(self, op: str, value: Any) -> Any:
        """An answer as a check reads it: with the names that attributes have here."""
        if op in ("state", "parameters", "grads") and isinstance(value, dict):
            return {self.key(name): held for name, held in value.items()}
        if op == "vjp":
            grads = [{self.key(name): grad for name, grad in one.items()} for one in value.params]
            return value._replace(params=grads)
        return value
