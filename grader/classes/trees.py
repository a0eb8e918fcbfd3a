"""What was handed in, as a tree of folders and files that are read on demand; and the listing of real folders.

Paths are made safe by dropping what leads out of the tree: nothing is unpacked, so that it cannot lead anywhere. Links
are noted and never followed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Literal

from .names import printable

MAX_FILE = 400_000
MAX_ENTRIES = 100_000
MAX_DEPTH = 24
MAX_DECOMPRESSED = 256 << 20  # all that is read of one submission or archive
LITTER_NAMES = (
    "__MACOSX .git .svn .hg __pycache__ .venv venv env .env .ipynb_checkpoints .idea .vscode .vs .mypy_cache "
    ".ruff_cache .pytest_cache .tox .nox .Trashes .Spotlight-V100 .fseventsd .TemporaryItems .DS_Store "
    "Thumbs.db desktop.ini Desktop.ini site-packages node_modules lost+found"
)
LITTER = frozenset(LITTER_NAMES.split())


class IngestError(Exception):
    """Something handed in that cannot be read: says why and what to do. `about` holds the archives it names."""

    def __init__(self, message: str, about: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.about = about


class Damaged(IngestError):
    """Content that is not what its checksums, headers or lengths say."""


class TooLarge(IngestError):
    """More than is ever read."""


class DiskError(IngestError):
    """The machine that grades could not read it, whatever was handed in."""


@contextlib.contextmanager
def naming(archive: str) -> Iterator[None]:
    """Says of every error which archive it is about, and what to do."""
    name = printable(archive)
    try:
        yield
    except Damaged as error:
        if archive not in error.about:
            raise Damaged(f"{name} is damaged or no archive ({error}): pack the folder again and resubmit",
                          error.about | {archive}) from error  # fmt: skip
        raise
    except (DiskError, IngestError) as error:
        if archive not in error.about:
            raise type(error)(f"{name} was not read: {error}", error.about | {archive}) from error
        raise
    except OSError as error:
        raise DiskError(f"{name} cannot be read here ({error.strerror})", frozenset({archive})) from error


class Budget:
    """Bytes that may still be read or decompressed."""

    def __init__(self, left: int = MAX_DECOMPRESSED) -> None:
        self.left = left
        self.archives = 0  # so many have been opened

    def spend(self, count: int) -> None:
        """Raises TooLarge when there is no more."""
        self.left -= count
        if self.left < 0:
            raise TooLarge(f"it holds more than {MAX_DECOMPRESSED >> 20} MB: hand in the .py files alone")


@dataclass(frozen=True)
class Clock:
    """A time of a file, the later the greater, and whose clock that is: times of two kinds cannot be compared."""

    # a zip has the wall clock of wherever it was packed; "order" are a system's own numbers of what came in
    kind: Literal["disk", "zip", "tar", "order"]
    at: float


@dataclass(frozen=True)
class Entry:
    """A regular file. ``read(limit, budget)`` gives its content, or the first `limit` + 1 bytes of more."""

    read: Callable[[int, Budget], bytes]
    path: Path | None = None  # of a file on disk
    clock: Clock | None = None  # when it was changed last, as far as that is known
    moved: bool = False  # its path led out of the tree
    copies: int = 1  # so many files had this path


@dataclass
class Tree:
    """A folder. `odd` says of links and the like what they are; `trouble` says why nothing is known of the content."""

    folders: dict[str, Tree] = field(default_factory=dict)
    files: dict[str, Entry] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)
    trouble: IngestError | None = None

    def walk(self, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Tree]]:
        """This folder and those below it with their paths, the ones nearest to the top first."""
        level: list[tuple[tuple[str, ...], Tree]] = [(above, self)]
        while level:
            yield from level
            level = [((*path, name), sub) for path, tree in level for name, sub in sorted(tree.folders.items())]

    def add(self, path: str, entry: Entry | str | None, counter: Counter) -> None:
        """Puts a file (or, as text, what else it is; or None: a folder) where `path` says, made safe. The last one of
        a name counts, unless its path had to be changed. Raises TooLarge."""
        parts, moved = safe_parts(path)
        if not parts or is_litter(parts) or len(parts) > MAX_DEPTH:
            return
        tree = self
        for part in parts[:-1] if entry is not None else parts:
            if part not in tree.folders:
                counter.one_more()
                tree.folders[part] = Tree()
            tree = tree.folders[part]
        counter.one_more()
        name = parts[-1]
        if isinstance(entry, str):
            tree.odd[name] = entry
        elif entry is not None:
            before = tree.files.get(name)
            if before is None or before.moved >= moved:
                tree.files[name] = replace(entry, moved=moved, copies=before.copies + 1 if before is not None else 1)


def safe_parts(path: str) -> tuple[list[str], bool]:
    """The parts of a member's path that lead downwards, and whether some did not: separators of Windows are ones."""
    parts = path.replace("\\", "/").split("/")
    kept = [part for part in parts if part not in ("", ".", "..")]
    drive = bool(kept) and len(kept[0]) == 2 and kept[0][1] == ":" and kept[0][0].isalpha()
    return kept[drive:], drive or ".." in parts or parts[0] == ""


def is_litter(parts: list[str]) -> bool:
    """Whether systems, editors and tools have left this, not a person."""
    return any(part in LITTER for part in parts) or parts[-1].startswith("._")


def folder_tree(root: Path, skip: Path | None = None) -> Tree:
    """A real folder. What cannot be listed below its first level is that part's trouble, not the whole folder's."""
    tree = Tree()
    for item in listed(root):
        if is_litter([item.name]) or is_it(item, skip):
            continue
        try:
            list_item(tree, item, 1, Counter(), skip)
        except IngestError as error:
            tree.folders[item.name] = Tree(trouble=error)
    return tree


def is_it(item: os.DirEntry[str], skip: Path | None) -> bool:
    """Whether a real item is the one to skip."""
    return skip is not None and item.name == skip.name and Path(item.path).resolve() == skip


class Counter:
    """Counts the files of one submission."""

    def __init__(self) -> None:
        self.count = 0

    def one_more(self) -> None:
        """Raises TooLarge after the last that is allowed."""
        self.count += 1
        if self.count > MAX_ENTRIES:
            raise TooLarge(f"it holds more than {MAX_ENTRIES} files: hand in the .py files alone")


def listed(folder: Path | str) -> list[os.DirEntry[str]]:
    """The items of a real folder, sorted. Raises DiskError."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda item: item.name)
    except OSError as error:
        raise DiskError(f"the folder cannot be listed here ({error.strerror})") from error


def list_item(tree: Tree, item: os.DirEntry[str], depth: int, counter: Counter, skip: Path | None) -> None:
    """Puts a real file or folder into the tree."""
    name = item.name
    if item.is_symlink():
        tree.odd[name] = "a link"
    elif item.is_dir(follow_symlinks=False):
        counter.one_more()
        below = tree.folders.setdefault(name, Tree())
        for sub in listed(item.path) if depth < MAX_DEPTH else []:
            if not is_litter([sub.name]) and not is_it(sub, skip):
                list_item(below, sub, depth + 1, counter, skip)
    elif not item.is_file(follow_symlinks=False):
        tree.odd[name] = "no regular file"
    elif is_shared(item):
        counter.one_more()
        tree.odd[name] = "a hard link"
    else:
        # unpacked on a system that has no such separator, a7\vae.py is one name
        tree.add(name, file_entry(Path(item.path)), counter)


def is_shared(item: os.DirEntry[str]) -> bool:
    """Whether a real file has another name, which may be that of anybody's file. Raises DiskError."""
    try:
        return item.stat(follow_symlinks=False).st_nlink > 1
    except OSError as error:
        raise DiskError(f"{printable(item.name)} cannot be read here ({error.strerror})") from error


def newest(tree: Tree) -> Clock | None:
    """The newest time of any file in a tree; None if there is none, or if there are times of several clocks."""
    clocks = [entry.clock for _, sub in tree.walk() for entry in sub.files.values() if entry.clock is not None]
    if len({clock.kind for clock in clocks}) != 1:
        return None
    return max(clocks, key=lambda clock: clock.at)


def changed_at(path: Path) -> Clock | None:
    """When a real file was changed."""
    try:
        return Clock("disk", path.stat(follow_symlinks=False).st_mtime)
    except OSError:
        return None


def file_entry(path: Path) -> Entry:
    """A real file."""

    def read(limit: int, budget: Budget) -> bytes:
        with open_file(path) as file:
            data = file.read(limit + 1)
        budget.spend(len(data))
        return data

    return Entry(read, path, changed_at(path))


def open_file(path: Path) -> BinaryIO:
    """A real file, which is not followed if it has become a link. Raises DiskError."""
    try:
        return open(path, "rb", opener=open_plain)
    except OSError as error:
        raise DiskError(f"{printable(path.name)} cannot be read here ({error.strerror})") from error


def open_plain(path: str, flags: int) -> int:
    """Opens a regular file only; without waiting, if it is a pipe by now."""
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(None, "no regular file")
    return handle
