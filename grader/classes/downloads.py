"""What a learning management system's download is taken apart into: a piece for everything that one owner handed in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .archives import ending_of
from .layout import HANDED_IN, is_record
from .people import Arrival, Owner, System
from .trees import Entry, IngestError, Tree

Item = Tree | Entry | str  # a folder, a file, or in words what else it is


@dataclass
class Piece:
    """What one owner handed in at one time: the files under the names that the student gave them.

    `order` tells the newer from the older of two pieces of one owner, where the system numbers what comes in; 0 where
    it does not. `fault` is why it cannot be read, if that is not the student's doing.
    """

    owner: Owner
    origin: str  # the items of the download that it lay in
    tree: Tree = field(default_factory=Tree)
    arrival: Arrival = field(default_factory=Arrival)
    order: int = 0
    problems: list[str] = field(default_factory=list)
    fault: str = ""


@dataclass
class Download:
    """A download taken apart: pieces with their owners, and the items that are not the system's (`rest`)."""

    system: System
    pieces: list[Piece] = field(default_factory=list)
    rest: Tree = field(default_factory=Tree)
    passed_over: list[str] = field(default_factory=list)
    consulted: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def items_of(tree: Tree) -> Iterator[tuple[str, Item]]:
    """The items of a folder, sorted by name."""
    items: dict[str, Item] = {**tree.odd, **tree.files, **tree.folders}
    yield from sorted(items.items())


def put(tree: Tree, name: str, item: Item) -> None:
    """Puts an item into a folder, under another name if need be."""
    if isinstance(item, Tree):
        tree.folders[name] = item
    elif isinstance(item, Entry):
        tree.files[name] = item
    else:
        tree.odd[name] = item


def linked(name: str, what: str) -> Tree:
    """A folder that is a link or the like: nothing of it is read."""
    return Tree(trouble=IngestError(f"{name} is {what}, which is not followed: put the folder or archive itself here"))


def others_in(tree: Tree) -> int:
    """How many items of a folder may be somebody's work: everything but tables and the like."""
    return sum(isinstance(item, Tree) or not is_record(name) for name, item in items_of(tree))


def is_work(name: str, item: Item) -> bool:
    """Whether an item beside a download's may be somebody's: a folder, an archive, a link or a .py file."""
    return not isinstance(item, Entry) or bool(ending_of(name)) or name.casefold().endswith(HANDED_IN)
