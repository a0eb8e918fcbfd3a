"""Makes ``starter/`` from ``solution/`` by cutting marked regions; reads text, imports nothing of it.

::

    # begin solution Q4      becomes  raise NotImplementedError("Question 4: mse_loss")
    # end solution

    # begin private          vanishes, with the blank lines before it
    # end private

With it goes ``grader/check/signatures.json``, the names of parameters, so that failures can show calls as they are
typed.

Usage: ``python -m grader.author.starter [--check]``.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEGIN_SOLUTION = re.compile(r"^(\s*)# begin solution (Q(\d+)|bonus)$")
DEFINITION = re.compile(r"^(\s*)(?:def|class) (\w+)")


class MarkerError(Exception):
    """A region is nested, unclosed, unopened or in no function; says where."""


def cut(lines: Sequence[str], name: str = "") -> list[str]:
    """The starter's lines for a solution's lines. Raises MarkerError."""
    kept: list[str] = []
    open_since = 0
    closing = ""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        where = f"{name}:{number}"
        if text.startswith("# begin "):
            if closing:
                raise MarkerError(f"{where}: a region opens inside the one opened at line {open_since}")
            open_since = number
            if match := BEGIN_SOLUTION.match(line):
                question = f"Question {match[3]}" if match[3] else "Bonus"
                kept.append(f'{match[1]}raise NotImplementedError("{question}: {enclosing(kept, match[1], where)}")')
                closing = "# end solution"
            elif text == "# begin private":
                while kept and not kept[-1].strip():
                    kept.pop()
                closing = "# end private"
            else:
                raise MarkerError(
                    f"{where}: {text!r} is no marker: begin solution QN, begin solution bonus or begin private"
                )
        elif text.startswith("# end "):
            if text != closing:
                raise MarkerError(f"{where}: {text!r} closes nothing")
            closing = ""
        elif not closing:
            kept.append(line)
    if closing:
        raise MarkerError(f"{name}:{open_since}: this region is never closed")
    return kept


def enclosing(before: Sequence[str], indent: str, where: str) -> str:
    """Dotted name of the function whose body is indented by `indent`."""
    names: list[str] = []
    depth = len(indent)
    for line in reversed(before):
        match = DEFINITION.match(line)
        if match and len(match[1]) < depth:
            names.append(match[2])
            depth = len(match[1])
    if not names:
        raise MarkerError(f"{where}: a solution region must be inside a function")
    return ".".join(reversed(names))


def starter_files(solution: Path) -> dict[str, str]:
    """Text of every starter file by name."""
    return {path.name: starter_text(path.name, path.read_text()) for path in sorted(solution.glob("*.py"))}


def starter_text(name: str, text: str) -> str:
    """What students get of one file of the solution. Raises MarkerError."""
    kept = "\n".join(cut(text.splitlines(), name)).rstrip("\n")
    return kept.replace("python -m solution.", "python -m starter.") + "\n"


def signatures(solution: Path) -> dict[str, list[str]]:
    """Names of parameters by "module.function", "module.Class" and "module.Class.method", of everything public."""
    found: dict[str, list[str]] = {}

    def enter(name: str, function: ast.FunctionDef, *, method: bool) -> None:
        given = function.args
        names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        found[name] = names[1:] if method else names

    for path in sorted(solution.glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                enter(f"{path.stem}.{node.name}", node, method=False)
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                for part in node.body:
                    if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                        enter(f"{path.stem}.{node.name}", part, method=True)
                    elif isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
                        static = any(ast.unparse(mark) == "staticmethod" for mark in part.decorator_list)
                        enter(f"{path.stem}.{node.name}.{part.name}", part, method=not static)
    return dict(sorted(found.items()))


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the starter, or with --check says what differs."""
    parser = argparse.ArgumentParser(
        prog="python -m grader.author.starter", description="Makes starter/ from solution/."
    )
    parser.add_argument("--check", action="store_true", help="compare only; exit code 1 if starter/ is out of date")
    options = parser.parse_args(argv)
    starter = ROOT / "starter"
    names = ROOT / "grader" / "check" / "signatures.json"
    signed = json.dumps(signatures(ROOT / "solution"), indent=1) + "\n"
    wanted = starter_files(ROOT / "solution")
    present = {path.name: path.read_text() for path in starter.glob("*.py")}
    stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    if options.check:
        for name in stale:
            print(f"starter/{name} is not what solution/{name} gives: run make starter", file=sys.stderr)
        if outdated := not names.exists() or names.read_text() != signed:
            print(
                f"grader/check/{names.name} misses parameters of solution/: run make starter",
                file=sys.stderr,
            )
        return 1 if stale or outdated else 0
    names.parent.mkdir(parents=True, exist_ok=True)
    names.write_text(signed)
    starter.mkdir(exist_ok=True)
    for name in stale:
        if name in wanted:
            (starter / name).write_text(wanted[name])
        else:
            (starter / name).unlink()
    print(f"starter/: {len(wanted)} files, {len(stale)} rewritten")
    return 0


if __name__ == "__main__":
    sys.exit(main())
