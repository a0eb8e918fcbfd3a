"""One submission: the assignment's modules out of a folder, an archive or a file."""

from __future__ import annotations

import importlib.machinery
import re
import sys
import sysconfig
from collections.abc import Collection, Sequence
from pathlib import Path

from .archives import ARCHIVES, archive_tree, ending_of, file_source, without_ending
from .names import display, printable
from .paths import existing
from .records import ALIASES, Submission
from .sources import choose
from .trees import Budget, IngestError, Tree, file_entry, folder_tree

MAX_SAID = 20  # imports by a folder's name that are looked at
IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+(\w+)\.(\w+)", re.MULTILINE)


def submission_name(path: Path) -> str:
    """Folder or file name without an archive's ending."""
    return display(without_ending(path.name))


def read_submission(path: Path, modules: Sequence[str], starter: Collection[str] = ()) -> Submission:
    """The expected `modules` of one submission. Raises IngestError if it cannot be read.

    `starter` holds the digests of the modules as handed out (`sources.starter_digests`): a folder of those is not taken
    where there is another.
    """
    real = existing(path)
    name = submission_name(real)
    budget = Budget()
    if real.is_dir():
        return submission_of(folder_tree(real), name, modules, starter, budget)
    if real.suffix.casefold() in (".py", ".ipynb") and real.is_file():
        return submission_of(Tree(files={real.name: file_entry(real)}), display(real.stem), modules, starter, budget)
    if not ending_of(real.name) or not real.is_file():
        raise IngestError(f"{printable(real.name)} is neither a folder nor an archive ({', '.join(ARCHIVES)})")
    tree = archive_tree(file_source(real), modules, budget)
    return submission_of(tree, name, modules, starter, budget)


def read_folder(folder: Path, modules: Sequence[str]) -> Submission:
    """The `modules` that lie in a folder itself, and nothing below it. Raises IngestError if they cannot be read."""
    files = {path.name: file_entry(path) for path in (folder / f"{module}.py" for module in modules)
             if path.is_file() and not path.is_symlink()}  # fmt: skip
    return submission_of(Tree(files=files), submission_name(folder), modules, (), Budget())


def submission_of(
    tree: Tree, name: str, modules: Sequence[str], starter: Collection[str], budget: Budget, *, owned: bool = False
) -> Submission:
    """One submission out of its tree; `owned` says that all of it is known to be one owner's. Raises IngestError."""
    if tree.trouble is not None:
        raise tree.trouble
    chosen = choose(tree, name, modules, starter, budget, owned)
    # a folder's name on the student's machine, which whoever collects the work may have changed
    said = [match[1] for text in chosen.sources.values() for match in IMPORT.finditer(text) if match[2] in modules]
    names = dict.fromkeys((without_ending(chosen.folder), name, *said[:MAX_SAID]))
    aliases = tuple(dict.fromkeys((*ALIASES, *(alias for alias in names if importable(alias, modules)))))
    return Submission(name, chosen.sources, tuple(chosen.problems), aliases)


def importable(name: str, modules: Sequence[str]) -> bool:
    """Whether a student's folder of this name may be imported from: a name that no module or library has."""
    taken = name in modules or name in ("submission", "grader") or name in sys.stdlib_module_names
    if taken or not name.isidentifier():
        return False
    installed = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return importlib.machinery.PathFinder.find_spec(name, installed) is None
