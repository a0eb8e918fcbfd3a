"""Makes the kit for students: ``dist/a7-student.zip``, which holds nothing that gives an answer away.

In it are the starter, what of the grader the public checks need, the handout and the notes on data. Not in it: the
solution, the bank of mistakes, the grader's correct versions of functions (`boundary.lent.parts` and `given`), and
hidden checks with all that only they use (`stripping`). Why what is left is no answer: docs/decisions/0029-kit.md.

Usage: ``python -m grader.author.release [--out FILE]``.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import jinja2
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..check.declaration import Question
from ..check.failure import LIBRARIES
from ..report.packing import packed
from ..rubric import QUESTIONS, RELEASED, digest_of, rubric_hash
from .reaching import reached
from .starter import ROOT
from .stripping import Module, strip, without_hidden
from .tables import KINDS

GRADER = ROOT / "grader"
TOP = "a7"  # the folder that the zip holds
KIT = Path(__file__).with_name("kit")
COMMANDS = ("check", "watch")  # of the grader, as far as they are there
EDITOR = GRADER / "cli" / "editor.py"
# what `cli.main` imports for commands that are not in the kit, and correct versions of students' functions
STAFF = frozenset(GRADER / "cli" / f"{name}.py" for name in ("grade", "similar", "export", "exporting"))
STAND_INS = frozenset(GRADER / "boundary" / "lent" / f"{name}.py" for name in ("parts", "given"))
LENT = "boundary/lent/"
RUBRIC = "rubric/"
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def kit() -> dict[str, bytes]:
    """Every file of the kit by its path in the zip, without the outermost folder, in the order of the paths."""
    code = grader_files()
    starter = {f"starter/{path.name}": path.read_bytes() for path in (ROOT / "starter").glob("*.py")}
    about = {"watch": has("watch"), "editor": EDITOR.is_file(), "table": points_table(),
             **project(code, starter)}  # fmt: skip
    made = {name: rendered(f"{name}.j2", about) for name in ("README.md", "Makefile", "pyproject.toml")}
    made[".github/workflows/check.yml"] = (KIT / "check.yml").read_bytes()
    made[".gitignore"] = b".venv/\n__pycache__/\n/runs/\n/data/MNIST/\n*.egg-info/\n"
    data = {f"data/{name}": (ROOT / "data" / name).read_bytes()
            for name in ("README.md", "checksums.json", "label_subsets.json")}  # fmt: skip
    files = {**code, **starter, **made, **data, **documents(), "LICENSE": (ROOT / "LICENSE").read_bytes()}
    return dict(sorted(files.items()))


def has(command: str) -> bool:
    """Whether the grader has a command."""
    return (GRADER / "cli" / f"{command}.py").is_file()


# ---- the grader ---------------------------------------------------------------------------------------------------


def grader_files() -> dict[str, bytes]:
    """What of the grader the public checks need, by path."""
    roots = [GRADER / "__init__.py", GRADER / "__main__.py", GRADER / "cli" / "main.py",
             *(GRADER / "cli" / f"{command}.py" for command in COMMANDS if has(command)),
             *([EDITOR] if EDITOR.is_file() else []),
             *(GRADER / "worker").glob("*.py"), *(GRADER / "boundary" / "lent").glob("*.py")]  # fmt: skip
    modules = reached(GRADER, [path for path in roots if path not in STAND_INS], STAFF | STAND_INS)
    texts = {path.relative_to(GRADER).as_posix(): path.read_text(encoding="utf-8") for path in sorted(modules)}
    public = without_hidden(part(texts, RUBRIC), [*all_of("rubric/__init__.py", texts), *imports_of_rubric(texts)])
    texts = {path: text for path, text in texts.items() if not path.startswith(RUBRIC)} | public
    lent = strip({path: Module(path, text) for path, text in part(texts, LENT).items()}, [*lent_names(texts)])
    content = {path: text.encode() for path, text in (texts | lent).items()}
    said = "\n".join((texts | lent).values())
    packages = {path.parent for path in modules}
    content |= {path.relative_to(GRADER).as_posix(): path.read_bytes() for path in data_of(packages)
                if path.name in said or (path.parent not in packages and path.parent.name in said)}  # fmt: skip
    content[RELEASED.relative_to(GRADER).as_posix()] = released(content)
    return {f"grader/{path}": held for path, held in content.items()}


def part(texts: Mapping[str, str], folder: str) -> dict[str, str]:
    """The texts below a folder."""
    return {path: text for path, text in texts.items() if path.startswith(folder)}


def all_of(path: str, texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Every name at the top of a module."""
    return [(path, name) for name in Module(path, texts[path]).defined]


def imports_of_rubric(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What other rooms import from the rubric, wherever in a module."""
    for path, text in texts.items():
        if not path.startswith(RUBRIC):
            for base, name in Module(path, text).imported.values():
                yield from ((place, name) for place in (f"{base}.py", f"{base}/__init__.py") if place in texts)


def lent_names(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What may be lent to a session: checks and the boundary name it by a text."""
    named = {node.value for path, text in texts.items() if not path.startswith(LENT)
             for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}  # fmt: skip
    for path, text in part(texts, LENT).items():
        yield from ((path, name) for name in Module(path, text).defined if name in named)


def data_of(packages: Collection[Path]) -> Iterator[Path]:
    """Files beside modules that are no modules, and those in folders of such files; which of them are needed, the
    modules say."""
    for folder in sorted(packages):
        for path in sorted(folder.rglob("*")):
            holder = next(around for around in path.parents if (around / "__init__.py").is_file())
            if holder == folder and path.is_file() and path.suffix not in (".py", ".pyc"):
                yield path


def released(content: Mapping[str, bytes]) -> bytes:
    """That the rubric's public part is of the rubric that lies here: `rubric.rubric_hash` reads it."""
    paths = [*sorted(path for path in content if path.startswith(RUBRIC) and path.endswith(".py")),
             *sorted(path for path in content if re.fullmatch(r"check/[^/]*\.py", path)),
             "check/thresholds.json"]  # fmt: skip
    return (json.dumps({digest_of((path, content[path]) for path in paths): rubric_hash()}) + "\n").encode()


# ---- what stands around it ----------------------------------------------------------------------------------------


def project(*groups: Mapping[str, bytes]) -> dict[str, object]:
    """Of our own pyproject.toml, the version, the Python and the requirements that the files need."""
    own = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    every = [*own["dependencies"], *(line for extra in own["optional-dependencies"].values() for line in extra)]
    wanted = set(LIBRARIES) | {name for group in groups for path, text in group.items() if path.endswith(".py")
                               for name in imported_names(text)}  # fmt: skip
    modules: dict[str, set[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for distribution in distributions:
            modules.setdefault(canonicalize_name(distribution), set()).add(module)
    kept = [line.replace('"', "'") for line in every
            if modules.get(canonicalize_name(Requirement(line).name), set()) & wanted]  # fmt: skip
    return {"version": own["version"], "python": own["requires-python"], "dependencies": list(dict.fromkeys(kept))}


def imported_names(text: bytes) -> Iterator[str]:
    """Packages that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def documents() -> dict[str, bytes]:
    """The handout, and what of docs/ it leads to: pages, and pictures."""
    found: dict[str, bytes] = {}
    todo = [ROOT / "docs" / "handout.md"]
    while todo:
        page = todo.pop()
        name = page.relative_to(ROOT).as_posix()
        if name in found:
            continue
        found[name] = page.read_bytes()
        if page.suffix == ".md":
            prose = re.sub(r"`[^`]*`", "", page.read_text(encoding="utf-8"))  # code may look like a link
            places = [(page.parent / target).resolve() for target in LINK.findall(prose)]
            todo += [place for place in places if place.is_file() and place.is_relative_to(ROOT / "docs")]
    return found


def points_table() -> str:
    """Markdown: a row per question, its points and how many of them hidden checks have, and what the others are."""
    lines = ["| question | points | hidden | P | G | S | T |", "|---|---|---|---|---|---|---|"]
    for question in QUESTIONS:
        label = f"{question.number} · {question.title}" if question.number else f"bonus · {question.title}"
        public = [check for check in question.checks if check.visibility == "public"]
        counts = " | ".join(str(sum(check.kind == kind for check in public) or "") for kind in KINDS)
        hidden = hidden_points(question)
        lines.append(f"| {label} | {question.points:g} | {f'{hidden:g}' if hidden else ''} | {counts} |")
    return "\n".join(lines)


def hidden_points(question: Question) -> float:
    """Points of a question's hidden checks."""
    return round(sum(check.points for check in question.checks if check.visibility == "hidden"), 6)


def rendered(template: str, about: Mapping[str, object]) -> bytes:
    """A file of the kit that says what is true of it."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(KIT), trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False,
        keep_trailing_newline=True,
    )  # fmt: skip
    return made.get_template(template).render(about).encode()


def zipped(files: Mapping[str, bytes], top: str = TOP, executable: Iterable[str] = ()) -> bytes:
    """A zip of these files in one folder."""
    return packed({f"{top}/{path}": content for path, content in files.items()},
                  {f"{top}/{path}" for path in executable})  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the zip."""
    parser = argparse.ArgumentParser(prog="python -m grader.author.release", description="Makes the kit for students.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "a7-student.zip", metavar="FILE")
    out: Path = parser.parse_args(argv).out
    files = kit()
    content = zipped(files)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content)
    hidden = sum(map(hidden_points, QUESTIONS))
    print(f"{out}: {len(files)} files, {len(content) >> 10} kB; left out: hidden checks of {hidden:g} points")
    return 0


if __name__ == "__main__":
    sys.exit(main())
