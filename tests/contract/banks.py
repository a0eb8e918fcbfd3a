"""The bank against the rubric: every check has a mistake that it sees, every function an alternative, none is orphaned."""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from ..bank import Alternative, Mistake, apply
from .handed_out import public
from .kit import Finding, Kit, folder_of, label

Variant = Mistake | Alternative
TOP_LEVEL = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)


def packages(kit: Kit) -> list[Finding]:
    """Each question has its package in the bank."""
    return [Finding(f"tests/bank/{folder}", "is not there",
                    "write its __init__ with MISTAKES and ALTERNATIVES, and hints.py with HINTS")
            for folder in kit.folders if folder not in kit.banked]  # fmt: skip


def mistakes(kit: Kit) -> list[Finding]:
    """A check that no mistake makes fail may not be able to fail.

    A trained check may be failed by a cheat instead (tests/cheats.py), which learns nothing; and one that comes after what
    would fail it, by a mistake that it sees when it is asked alone (tests/stays.py).
    """
    caught = {name for mistake in kit.mistakes for name in mistake.fails}.union(*kit.cheats.values(), kit.alone)
    return [Finding(check.id, "no mistake of the bank makes it fail",
                    f"add one to tests/bank/{folder_of(check.question)} whose fails names it")
            for check in kit.checks if check.id not in caught]  # fmt: skip


def alternatives(kit: Kit) -> list[Finding]:
    """A function that nobody has written in another way may be judged by how ours is written."""
    written = set[str]().union(*(changed(kit.sources, made) for made in kit.alternatives if not unfit(kit, made)))
    return [Finding(f"{module}.{name}", "no alternative of the bank writes it in another way",
                    "add a correct one in another style to alternatives of its question")
            for module in kit.modules for name in public(kit, module) if f"{module}.{name}" not in written]  # fmt: skip


def orphans(kit: Kit) -> list[Finding]:
    """What the bank names is there, each edit fits, and what is added takes the place of something."""
    known = {check.id: check.question for check in kit.checks}
    numbers, seen = {question.number for question in kit.questions}, Counter[str]()
    found = []
    bank: tuple[Variant, ...] = (*kit.mistakes, *kit.alternatives)
    for variant in bank:
        seen[variant.id] += 1
        if variant.question not in numbers:
            found.append(Finding(variant.id, f"is of {label(variant.question)}, which there is not",
                                 "move it to the question that it is about, or remove it"))  # fmt: skip
        if why := unfit(kit, variant):
            found.append(Finding(variant.id, why, "write it anew for today's solution, or remove it"))
        if isinstance(variant, Mistake):
            found += named(variant, known)
    for cheat, checks in kit.cheats.items():
        found += [Finding(cheat, f"names the check {name}, which there is not", "name today's check in tests/cheats.py")
                  for name in sorted(checks - known.keys())]  # fmt: skip
    for name, mistake in kit.alone.items():
        if name not in known or mistake not in seen:
            found.append(Finding("tests/stays.py", f"names {name} and {mistake}, of which one is gone", "mend ALONE"))
    found += [Finding(name, f"is the id of {times} entries of the bank", "give each one of its own")
              for name, times in seen.items() if times > 1]  # fmt: skip
    return found


def named(mistake: Mistake, known: Mapping[str, int]) -> Iterator[Finding]:
    """Checks that a mistake names wrongly."""
    if not mistake.fails:
        yield Finding(mistake.id, "names no check that must fail", "list it in fails")
    for name in (*mistake.fails, *mistake.may_fail):
        if name not in known:
            yield Finding(mistake.id, f"names the check {name}, which there is not", "name today's check")
    for name in mistake.fails:
        if known.get(name, mistake.question) != mistake.question:
            yield Finding(mistake.id, f"must fail {name}, which is of another question", "list it in may_fail")


def questions_of_mistakes(kit: Kit) -> list[Finding]:
    """For each mistake that shows without training, the bank says what a student must be asked."""
    trained = {check.id for check in kit.checks if check.kind == "trained"}
    quick = {mistake.id: mistake.question for mistake in kit.mistakes if set(mistake.fails) - trained}
    unknown = sorted(kit.hints.keys() - {mistake.id for mistake in kit.mistakes})
    return [
        *(Finding(name, "nothing says what its student must be asked",
                  f"add part of the question to HINTS in tests/bank/{folder_of(question)}/hints.py")
          for name, question in quick.items() if not kit.hints.get(name)),
        *(Finding(name, "HINTS has a question for it, and the bank no such mistake", "remove it, or mend the id")
          for name in unknown),
    ]  # fmt: skip


def unfit(kit: Kit, variant: Variant) -> str:
    """Why it cannot be put into the solution, or nothing."""
    if isinstance(variant, Alternative) and variant.whole:
        strange = sorted(variant.whole.keys() - set(kit.modules))
        return f"replaces {strange[0]}.py, which no student writes" if strange else ""
    if variant.module not in kit.sources:
        return f"changes {variant.module}.py, which no student writes"
    try:
        apply(kit.sources, variant)
    except ValueError as error:
        return f"does not fit the solution any more ({error})"
    if not changed(kit.sources, variant):
        return f"adds what nothing in {variant.module}.py calls"
    return ""


def changed(sources: Mapping[str, str], variant: Variant) -> set[str]:
    """ "module.name" of the functions and classes that a variant writes in another way; "module." for the rest."""
    if isinstance(variant, Alternative) and variant.whole:
        return {f"{module}.{name}" for module, text in variant.whole.items() for name in bound(text)}
    module = variant.module
    text, found = sources[module], set[str]()
    for old, new in variant.edits:
        before = TOP_LEVEL.findall(text[: text.index(old) + len(old)])
        found |= {f"{module}.{before[-1] if before else ''}"} | {f"{module}.{n}" for n in TOP_LEVEL.findall(old)}
        text = text.replace(old, new)
    return found | {f"{module}.{name}" for name in bound(variant.append) & bound(sources[module])}


@functools.cache
def bound(text: str) -> frozenset[str]:
    """Names that a module's text gives a value, also by writing to an attribute of theirs."""
    found = set[str]()
    for node in ast.parse(text).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {(alias.asname or alias.name).partition(".")[0] for alias in names}
            case _:
                found |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)
                          and (isinstance(part.ctx, ast.Store) or not isinstance(node, ast.Assign))}  # fmt: skip
                found |= {root(part) for part in ast.walk(node)
                          if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)}  # fmt: skip
    return frozenset(found)


def root(node: ast.expr) -> str:
    """The name at the beginning of a.b.c."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
