"""Reads what was handed in: one submission, or whatever a class's paths stand for.

Nothing is ever unpacked to disk. Sizes are capped before anything is read, links are not followed, and a file that is
not on the list is named in the report but never opened.
"""

from __future__ import annotations

import functools
import importlib.machinery
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .archives import (
    ARCHIVES,
    OTHER_ENDINGS,
    archive_tree,
    ending_of,
    file_source,
    is_archive,
    nested_source,
    without_ending,
)
from .layout import group, is_record, is_report_folder, lone_archive, stem, whole_class
from .names import escaped, printable
from .people import Arrival, Owner
from .sources import choose
from .trees import MAX_FILE, Budget, DiskError, Entry, IngestError, Tree, file_entry, folder_tree

__all__ = ["ARCHIVES", "MAX_FILE", "IngestError", "Reading", "Submission", "read_class", "read_submission"]

LONGEST_NAME = 120
MAX_SAID = 20  # imports by a folder's name that are looked at
MAX_GROUPS = 3  # classes within classes
MAX_MEMBERS = 100  # of a class within a class: nobody else has to scroll past more
ALIASES = ("starter", "solution")
IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+(\w+)\.(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Submission:
    """Source text by module name; `problems` are sentences for the student about what was not read.

    `fault` says why nothing could be read if that is not the student's doing: then nothing is judged, and nothing lost.
    """

    name: str
    sources: Mapping[str, str]
    problems: Sequence[str] = ()
    aliases: Sequence[str] = field(default=ALIASES)
    fault: str = ""
    owner: Owner | None = None  # None: the name is all that is known
    arrival: Arrival = field(default_factory=Arrival)
    origin: str = ""  # where it lay, from the path that was given


@dataclass(frozen=True)
class Reading:
    """What the paths of a class stand for: a submission for everything handed in, and what was taken for something
    else (tables, reports of an earlier run). `archived` says that an archive was opened for any of it."""

    submissions: Sequence[Submission]
    passed_over: Sequence[str] = ()
    archived: bool = False


def submission_name(path: Path) -> str:
    """Folder or file name without an archive's ending."""
    return display(without_ending(path.name))


def display(name: str) -> str:
    """A submission's name as it is shown everywhere. Blanks at its ends are shown: without them it may be another's."""
    shown = printable(name, LONGEST_NAME)
    bare = shown.strip()
    ahead, _, behind = shown.partition(bare)
    return "".join((*map(escaped, ahead), bare, *map(escaped, behind))) if bare else "submission"


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


def existing(path: Path) -> Path:
    """The path with links and dots resolved. Raises IngestError if there is nothing."""
    try:
        real = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IngestError(f"{printable(str(path))} does not exist: give a folder, a .zip or a .tar file") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise DiskError(f"{printable(str(path))} cannot be read here ({error})") from error
    return real


def submission_of(
    tree: Tree, name: str, modules: Sequence[str], starter: Collection[str], budget: Budget
) -> Submission:
    """One submission out of its tree. Raises IngestError."""
    if tree.trouble is not None:
        raise tree.trouble
    chosen = choose(tree, name, modules, starter, budget)
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


def read_class(
    paths: Sequence[Path], modules: Sequence[str], starter: Collection[str] = (), skip: Path | None = None
) -> Reading:
    """What all the `paths` of a command stand for. Never raises for what was handed in: that is a submission with the
    reason. `skip` is the folder of the reports, which may lie among the submissions."""
    reader = ClassReader(modules, starter, skip.resolve() if skip is not None else None)
    for path in paths:
        reader.guarded(submission_name(path), functools.partial(reader.read_path, path))
    archived = any(budget.archives for budget in reader.budgets)
    return Reading(tuple(reader.submissions), tuple(reader.passed_over), archived)


class ClassReader:
    """Collects the submissions of a class."""

    def __init__(self, modules: Sequence[str], starter: Collection[str], skip: Path | None) -> None:
        self.modules, self.starter, self.skip = modules, starter, skip
        self.submissions: list[Submission] = []
        self.passed_over: list[str] = []
        self.budgets: list[Budget] = []

    def budget(self) -> Budget:
        """Of one item."""
        self.budgets.append(Budget())
        return self.budgets[-1]

    def guarded(self, name: str, read: Callable[[], None]) -> None:
        """The net around everything that is read: whatever happens becomes a submission with its reason."""
        try:
            read()
        except DiskError as error:
            self.submissions.append(Submission(name, {}, (str(error),), fault=str(error)))
        except IngestError as error:
            self.submissions.append(Submission(name, {}, (str(error),)))
        # a bug of ours must not end a class, and must cost nobody points: it says so, and the run's exit code does
        except Exception as bug:  # noqa: BLE001
            place = traceback.extract_tb(bug.__traceback__)[-1]
            what = f"{type(bug).__name__} in {Path(place.filename).name}:{place.lineno}: {printable(str(bug), 200)}"
            told = f"the grader failed to read it: {what}"
            self.submissions.append(Submission(name, {}, (told,), fault=told))

    def read_path(self, path: Path) -> None:
        """A path of the command line: a submission or a class."""
        real = existing(path)
        name = submission_name(real)
        if real.is_file() and is_record(real.name):
            self.passed_over.append(printable(real.name))
            return
        if real.is_dir():
            tree = folder_tree(real, self.skip)
            if is_report_folder(tree, self.modules):
                self.passed_over.append(f"{name}/ (reports of an earlier run)")
                return
        elif ending_of(real.name) and real.is_file():
            tree = archive_tree(file_source(real), self.modules, self.budget())
        else:
            self.submissions.append(read_submission(real, self.modules, self.starter))
            return
        home = whole_class(tree, self.modules, name)
        if home is None:
            self.read_row(tree, name, "", 0, self.budget())
        else:
            self.read_items(home, "", 1)

    def read_items(self, tree: Tree, above: str, depth: int) -> None:
        """Every item of a class is somebody's, or said to be something else."""
        items: dict[str, Tree | Entry | str] = {**tree.odd, **tree.files, **tree.folders}
        for item, content in sorted(items.items()):
            name = above + display(item if isinstance(content, Tree) or item != item.strip() else stem(item).strip())
            self.guarded(name, functools.partial(self.read_item, item, content, name, depth))

    def read_item(self, item: str, content: Tree | Entry | str, name: str, depth: int) -> None:
        """One item of a class. Raises IngestError for what cannot be read."""
        shown = printable(item)
        if isinstance(content, str):
            raise IngestError(f"{shown} is {content}, which is not followed: put the folder or archive itself here")
        if isinstance(content, Tree):
            if is_report_folder(content, self.modules):
                self.passed_over.append(f"{shown}/ (reports of an earlier run)")
            else:
                self.read_row(content, name, f"{name}/", depth, self.budget())
            return
        budget = self.budget()
        if is_archive(item) or ("." not in item and not is_record(item)):
            source = nested_source(item, content, budget)
            self.read_row(archive_tree(source, self.modules, budget), name, f"{name}/", depth, budget)
        elif item.casefold().endswith((".py", ".ipynb")):
            tree = Tree(files={item: content})
            self.submissions.append(submission_of(tree, name, self.modules, self.starter, budget))
        elif is_record(item):
            self.passed_over.append(shown)
        else:
            what = OTHER_ENDINGS.get(ending_of(item))
            raise IngestError(f"{shown} is {what}, which is not read: pack the folder as .zip and resubmit" if what else
                              f"{shown} is neither a folder nor an archive ({', '.join(ARCHIVES)})")  # fmt: skip

    def read_row(self, tree: Tree, name: str, above: str, depth: int, budget: Budget) -> None:
        """What one item of a class holds: a submission, or a group of several, whose names then begin with `above`."""
        if tree.trouble is not None:
            raise tree.trouble
        several = self.group(tree, name, budget) if depth < MAX_GROUPS else None
        if several is not None:
            count = len(several.folders) + len(several.files)
            if depth and count > MAX_MEMBERS:
                raise IngestError(
                    f"{printable(name)} holds {count} items of its own: put the folders of a class side by side"
                )
            self.read_items(several, above, depth + 1)
        else:
            self.submissions.append(submission_of(tree, name, self.modules, self.starter, budget))

    def group(self, tree: Tree, name: str, budget: Budget) -> Tree | None:
        """The folder of several submissions, in a tree or in the only archive in it; None for one submission."""
        found = group(tree, self.modules, name)
        lone = lone_archive(tree, self.modules)
        if found is not None or lone is None:
            return found
        try:
            content = archive_tree(nested_source(*lone, budget), self.modules, budget)
        except IngestError:
            return None  # said when the submission is read
        return group(content, self.modules, f"{name} {stem(lone[0])}")
