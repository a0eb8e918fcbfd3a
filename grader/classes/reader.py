"""Collects the submissions of a class: every item of a download or a folder becomes somebody's, or is said to be
something else."""

from __future__ import annotations

import functools
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
from .downloads import Download, Item, Piece, is_work, items_of
from .layout import group, is_downloads_name, is_record, is_report_folder, lone_archive, section, stem, whole_class
from .names import LONGEST_NAME, display, printable
from .paths import Given, distinct, existing
from .people import Owner, row_name
from .records import Submission
from .roster import About, Found
from .search import MAX_GROUPS, Part, are_downloads, holds_downloads, part_beside, parts_of, spread_out
from .single import read_submission, submission_name, submission_of
from .systems import recognised
from .tables import may_be_table
from .trees import Budget, Clock, DiskError, Entry, IngestError, Tree, file_entry, folder_tree, newest

MAX_MEMBERS = 100  # of a class within a class: nobody else has to scroll past more


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
        section = joined(self.section, display(without_ending(item))) if part else self.section
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
        sure = are_downloads(kept, self.modules, self.skip)
        left = list(kept)
        for items, download in spread_out(kept, self.skip):
            origin = items[0].label.rpartition("/")[0]
            self.read_download(download, Where(origin, origin))
            left = [one for one in left if one not in items]
        for one in left:
            part = without_ending(one.label) if len(paths) > 1 else ""
            blank = Where(one.label).blank(submission_name(one.path))
            known = sure or is_downloads_name(one.path.name)
            self.guarded(blank, functools.partial(self.read_path, one, part, known))

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
        elif trusted and (parts := parts_of(tree, self.modules)):
            several = sum(part.tree is not None for part in parts) > 1
            for part in parts:
                self.read_part(part, where, several=several)
        elif (home := whole_class(tree, self.modules, name)) is not None:
            looks = not trusted and holds_downloads(tree, self.modules)
            self.read_items(home, replace(where, above=f"{name}/") if looks else where, 1)
        else:
            self.read_row(tree, alone.blank(name), where, budget)

    def read_part(self, part: Part, where: Where, *, several: bool) -> None:
        """An item beside or around a download."""
        below = where.inside(part.item, part=several)
        self.budgets.append(part.budget)
        name = display(stem(part.item) if isinstance(part.content, Entry) else part.item)
        if part.tree is not None:
            whole = functools.partial(self.read_whole, part.tree, name, below, below, part.budget)
            self.guarded(below.blank(name), whole)
        else:
            self.guarded(below.blank(name), functools.partial(self.read_item, part.item, part.content, name, where))

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
                self.read_part(part_beside(item, content, self.modules), where, several=False)
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
