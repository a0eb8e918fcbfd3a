"""Reads what was handed in: one submission, or whatever a class's paths stand for.

Nothing is ever unpacked to disk. Sizes are capped before anything is read, links are not followed, and a file that is
not on the list is named in the report but never opened.
"""

from __future__ import annotations

import functools
import importlib.machinery
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
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
from .downloads import Download, Item, Part, Piece, is_work, items_of
from .layout import (
    group,
    is_downloads_name,
    is_record,
    is_report_folder,
    is_section,
    lone_archive,
    modules_in,
    section,
    stem,
    whole_class,
)
from .names import LONGEST_NAME, display, ordinary, printable
from .paths import Given, distinct, existing
from .people import Owner, row_name
from .records import ALIASES, Reading, Submission
from .roster import About, Found, settled
from .sources import choose
from .systems import may_belong, recognised
from .tables import may_be_table
from .trees import MAX_FILE, Budget, Clock, DiskError, Entry, IngestError, Tree, file_entry, folder_tree, newest

__all__ = ["ARCHIVES", "MAX_FILE", "IngestError", "Reading", "Submission", "read_class", "read_submission"]

MAX_SAID = 20  # imports by a folder's name that are looked at
MAX_GROUPS = 3  # classes within classes
MAX_OTHERS = 10  # items beside downloads after which a folder is looked at no longer
MAX_MEMBERS = 100  # of a class within a class: nobody else has to scroll past more
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


def read_class(
    paths: Sequence[Path], modules: Sequence[str], starter: Collection[str] = (), skip: Path | None = None
) -> Reading:
    """What all the `paths` of a command stand for. Never raises for what was handed in: that is a submission with the
    reason. `skip` is the folder of the reports, which may lie among the submissions."""
    reader = ClassReader(modules, starter, skip.resolve() if skip is not None else None)
    reader.read_paths(paths)
    archived = any(budget.archives for budget in reader.budgets)
    return settled(reader.found, reader.about, starter, archived)


@dataclass(frozen=True)
class Where:
    """A place in a class: its path from what was given, the part of the class that it belongs to, what names of rows
    begin with there, and how many classes it lies in."""

    origin: str = ""
    section: str = ""
    above: str = ""
    depth: int = 0

    def inside(self, item: str, *, part: bool = False) -> Where:
        """An item of this place, which may be a part of the class."""
        section = joined(self.section, display(item)) if part else self.section
        return Where(joined(self.origin, printable(item, LONGEST_NAME)), section, self.above, self.depth)

    def blank(self, name: str, owner: Owner | None = None) -> Submission:
        """A row of this place of which nothing is known but its name and whose it is."""
        if owner is None:
            bare = name.removeprefix(self.above)
            owner = Owner(bare, also={"section": self.section} if self.section else {})
        return Submission(name, {}, owner=owner, origin=self.origin)


def joined(above: str, name: str) -> str:
    """A path of two parts."""
    return f"{above}/{name}" if above else name


class ClassReader:
    """Collects the submissions of a class."""

    def __init__(self, modules: Sequence[str], starter: Collection[str], skip: Path | None) -> None:
        self.modules, self.starter, self.skip = modules, starter, skip
        self.found: list[Found] = []
        self.about = About()
        self.budgets: list[Budget] = []

    def budget(self) -> Budget:
        """Of one item."""
        self.budgets.append(Budget())
        return self.budgets[-1]

    def guarded(self, blank: Submission, read: Callable[[], None]) -> None:
        """The net around everything that is read: whatever happens becomes a submission with its reason."""
        try:
            read()
        except DiskError as error:
            self.add(replace(blank, problems=(str(error), *blank.problems), fault=str(error)))
        except IngestError as error:
            self.add(replace(blank, problems=(str(error), *blank.problems)))
        # a bug of ours must not end a class, and must cost nobody points: it says so, and the run's exit code does
        except Exception as bug:  # noqa: BLE001
            place = traceback.extract_tb(bug.__traceback__)[-1]
            what = f"{type(bug).__name__} in {Path(place.filename).name}:{place.lineno}: {printable(str(bug), 200)}"
            told = f"the grader failed to read it: {what}"
            self.add(replace(blank, problems=(told,), fault=told))

    def add(self, submission: Submission, order: int = 0, clock: Clock | None = None) -> None:
        """One more row."""
        self.found.append(Found(submission, order, clock))

    def take(self, tree: Tree, blank: Submission, budget: Budget, piece: Piece | None = None) -> None:
        """A row with what its tree holds; of a `piece` the owner is known. Raises IngestError."""
        read = submission_of(tree, blank.name, self.modules, self.starter, budget, owned=piece is not None)
        problems = (*read.problems, *blank.problems)
        whole = replace(blank, sources=read.sources, problems=problems, aliases=read.aliases)
        self.add(whole, piece.order if piece is not None else 0, newest(tree))

    def read_paths(self, paths: Sequence[Path]) -> None:
        """The paths of the command line, each of them once, however it is spelled."""
        kept, again = distinct(paths)
        if again:
            self.about.notes.append(f"given more than once and read once: {', '.join(again)}")
        trusted = self.trusted(kept)
        for one in self.without_downloads(kept):
            part = without_ending(one.label) if len(paths) > 1 else ""
            blank = Where(one.label).blank(submission_name(one.path))
            sure = trusted or is_downloads_name(one.path.name)
            self.guarded(blank, functools.partial(self.read_path, one, part, sure))

    def without_downloads(self, given: Sequence[Given]) -> list[Given]:
        """The paths without those that are items of a download, which are read: a shell makes that of class/*."""
        left = list(given)
        lying = {one: os.path.dirname(os.path.realpath(one.path)) for one in given}
        parents = dict.fromkeys(parent for one, parent in lying.items() if may_belong(one.path.name))
        for parent in parents:
            own = {one.path.name: one for one, where in lying.items() if where == parent}
            tree = Tree()
            for name, one in own.items():
                if one.path.is_dir():
                    tree.folders[name] = folder_tree(one.path, self.skip)
                elif one.path.is_file():
                    tree.files[name] = file_entry(one.path)
            download = recognised(tree)
            if download is None:
                continue
            origin = next(iter(own.values())).label.rpartition("/")[0]
            rest = {item for item, content in items_of(download.rest)}
            download.rest = Tree()
            self.read_download(download, Where(origin, origin))
            left = [one for one in left if one not in own.values() or one.path.name in rest]
        return left

    def trusted(self, given: Sequence[Given]) -> bool:
        """Whether what looks like a download among the paths is one: a single path, or most of them."""
        downloads = others = 0
        for one in given if len(given) > 1 else ():
            try:
                found = self.is_download(existing(one.path))
            except IngestError:
                continue
            downloads += found
            others += not found and not is_record(one.path.name)
            if others > downloads + MAX_OTHERS:
                return False
        return len(given) == 1 or downloads > others

    def is_download(self, real: Path) -> bool:
        """Whether a path holds a download. Raises IngestError."""
        if real.is_dir():
            tree = folder_tree(real, self.skip)
        elif is_archive(real.name) and real.is_file():
            tree = archive_tree(file_source(real), self.modules, Budget())
        else:
            return False
        return bool(recognised(tree) or self.parts(tree))

    def read_path(self, given: Given, part: str, trusted: bool) -> None:
        """A path of the command line: a submission or a class. Raises IngestError if there is nothing."""
        real = existing(given.path)
        name = submission_name(real)
        where = Where(given.label, part)
        alone = Where(given.label, part.rpartition("/")[0])
        if real.is_file() and is_record(real.name):
            self.pass_over(real.name, file_entry(real))
        elif real.is_dir():
            self.read_whole(folder_tree(real, self.skip), name, where, alone, self.budget(), trusted)
        elif ending_of(real.name) and real.is_file():
            budget = self.budget()
            self.read_whole(archive_tree(file_source(real), self.modules, budget), name, where, alone, budget, trusted)
        else:
            read = read_submission(real, self.modules, self.starter)
            blank = alone.blank(read.name)
            self.add(replace(blank, sources=read.sources, problems=read.problems, aliases=read.aliases))

    def read_whole(
        self, tree: Tree, name: str, where: Where, alone: Where, budget: Budget, trusted: bool = True
    ) -> None:
        """A folder or archive that may be anything: a system's download if one would be `trusted`, a class, or (at
        `alone`) one submission."""
        if tree.trouble is not None:
            raise tree.trouble
        if is_report_folder(tree, self.modules):
            self.about.passed_over.append(f"{name}/ (reports of an earlier run)")
        elif trusted and (download := recognised(tree)) is not None:
            self.read_download(download, where)
        elif trusted and (parts := self.parts(tree)):
            several = sum(part.tree is not None for part in parts) > 1
            for part in parts:
                self.read_part(part, where, several)
        elif (home := whole_class(tree, self.modules, name)) is not None:
            looks = not trusted and bool(recognised(tree) or self.parts(tree))
            self.read_items(home, replace(where, above=f"{name}/") if looks else where, 1)
        else:
            self.read_row(tree, alone.blank(name), where, budget)

    def read_part(self, part: Part, where: Where, several: bool) -> None:
        """An item beside or around a download."""
        below = where.inside(part.item, part=several)
        self.budgets.append(part.budget)
        name = display(stem(part.item) if isinstance(part.content, Entry) else part.item)
        if part.tree is not None:
            whole = functools.partial(self.read_whole, part.tree, name, below, below, part.budget)
            self.guarded(below.blank(name), whole)
        else:
            self.guarded(below.blank(name), functools.partial(self.read_item, part.item, part.content, name, where))

    def parts(self, tree: Tree, depth: int = 1) -> list[Part]:
        """The items of a folder in which downloads lie (one, or one for every section); none for any other folder.

        Somebody's own folder may hold whatever looks like a download: it counts only where it is called like one, or
        most of the items that could be a person's are downloads.
        """
        if depth > MAX_GROUPS or modules_in(tree, self.modules):
            return []
        parts: list[Part] = []
        others = 0
        for item, content in items_of(tree):
            budget = Budget()
            inside = self.opened(item, content, budget)
            ours = inside is not None and is_report_folder(inside, self.modules)
            if inside is not None and not ours and (recognised(inside) or self.parts(inside, depth + 1)):
                parts.append(Part(item, content, inside, budget))
                continue
            parts.append(Part(item, content, None, budget))
            others += not ours and is_work(item, content) and not ordinary(stem(item)) and not is_section(item)
            if others > MAX_OTHERS and not any(part.tree for part in parts):
                return []
        trusted = sum(part.tree is not None for part in parts) > others
        for part in parts:
            if not trusted and not is_downloads_name(part.item):
                part.tree = None
        return parts if any(part.tree is not None for part in parts) else []

    def opened(self, item: str, content: Item, budget: Budget) -> Tree | None:
        """What a folder or archive holds; None for other files, and for what cannot be opened."""
        if isinstance(content, Tree):
            return content if content.trouble is None else None
        if not isinstance(content, Entry) or not is_archive(item):
            return None
        try:
            return archive_tree(nested_source(item, content, budget), self.modules, budget)
        except IngestError:
            return None  # said when it is read

    def read_download(self, download: Download, where: Where) -> None:
        """Every piece is its owner's; what lies beside them is read as in any class, or passed over."""
        self.about.notes += download.notes
        self.about.consulted += download.consulted
        self.about.passed_over += download.passed_over
        for piece in download.pieces:
            also = {**piece.owner.also, **({"section": where.section} if where.section else {})}
            owner = replace(piece.owner, also=also)
            name = display(row_name(owner))
            place = where.inside(piece.origin)
            blank = replace(place.blank(name, owner), problems=tuple(piece.problems), arrival=piece.arrival)
            self.guarded(blank, functools.partial(self.read_piece, piece, blank))
        for item, content in items_of(download.rest):
            if is_work(item, content):
                budget = Budget()
                inside = self.opened(item, content, budget)
                again = inside is not None and bool(recognised(inside) or self.parts(inside))
                self.read_part(Part(item, content, inside if again else None, budget), where, False)
            elif isinstance(content, Entry):
                self.pass_over(item, content)

    def read_piece(self, piece: Piece, blank: Submission) -> None:
        """What one owner handed in. Raises IngestError."""
        if piece.fault:
            raise DiskError(piece.fault)
        self.take(piece.tree, blank, self.budget(), piece)

    def pass_over(self, item: str, entry: Entry) -> None:
        """A table or the like; it may say something about the class."""
        self.about.passed_over.append(printable(item))
        if may_be_table(item):
            self.about.tables.append((printable(item), entry))

    def read_items(self, tree: Tree, where: Where, depth: int) -> None:
        """Every item of a class is somebody's, or said to be something else."""
        place = replace(where, depth=depth)
        for item, content in items_of(tree):
            bare = display(item if isinstance(content, Tree) or item != item.strip() else stem(item).strip())
            name = where.above + bare
            blank = place.inside(item).blank(name)
            self.guarded(blank, functools.partial(self.read_item, item, content, name, place))

    def read_item(self, item: str, content: Item, name: str, where: Where) -> None:
        """One item of a class. Raises IngestError for what cannot be read."""
        shown = printable(item)
        blank = where.inside(item).blank(name)
        below = replace(where.inside(item, part=True), above=f"{name}/")
        if isinstance(content, str):
            raise IngestError(f"{shown} is {content}, which is not followed: put the folder or archive itself here")
        if isinstance(content, Tree):
            if is_report_folder(content, self.modules):
                self.about.passed_over.append(f"{shown}/ (reports of an earlier run)")
            else:
                self.read_row(content, blank, below, self.budget())
            return
        budget = self.budget()
        if is_archive(item) or ("." not in item and not is_record(item)):
            source = nested_source(item, content, budget)
            self.read_row(archive_tree(source, self.modules, budget), blank, below, budget)
        elif item.casefold().endswith((".py", ".ipynb")):
            self.take(Tree(files={item: content}), blank, budget)
        elif is_record(item):
            self.pass_over(item, content)
        else:
            what = OTHER_ENDINGS.get(ending_of(item))
            raise IngestError(f"{shown} is {what}, which is not read: pack the folder as .zip and resubmit" if what else
                              f"{shown} is neither a folder nor an archive ({', '.join(ARCHIVES)})")  # fmt: skip

    def read_row(self, tree: Tree, blank: Submission, below: Where, budget: Budget) -> None:
        """What one item of a class holds: a submission, or a group of several, which then lie `below`."""
        if tree.trouble is not None:
            raise tree.trouble
        several = self.group(tree, blank.name, budget) if below.depth < MAX_GROUPS else None
        if several is not None:
            count = len(several.folders) + len(several.files)
            if below.depth and count > MAX_MEMBERS:
                raise IngestError(
                    f"{printable(blank.name)} holds {count} items of its own: put the folders of a class side by side"
                )
            self.read_items(several, below, below.depth + 1)
        else:
            self.take(tree, blank, budget)

    def group(self, tree: Tree, name: str, budget: Budget) -> Tree | None:
        """The folder of several submissions, in a tree or in the only archive in it; None for one submission."""
        found = section(tree, self.modules, name.rpartition("/")[2]) or group(tree, self.modules, name)
        lone = lone_archive(tree, self.modules)
        if found is not None or lone is None:
            return found
        try:
            content = archive_tree(nested_source(*lone, budget), self.modules, budget)
        except IngestError:
            return None  # said when the submission is read
        return group(content, self.modules, f"{name} {stem(lone[0])}")
