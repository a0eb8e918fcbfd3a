"""Opens what was handed in as a file, by what it is rather than by what it is called."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .names import printable
from .tars import tar_tree
from .trees import MAX_FILE, Budget, Damaged, Entry, IngestError, Tree, naming, open_file
from .zips import zip_tree

ENDINGS = {
    ".zip": "zip", ".tar": "tar", ".tar.gz": "gzip", ".tgz": "gzip", ".tar.bz2": "bzip2", ".tbz2": "bzip2",
    ".tbz": "bzip2", ".tar.xz": "xz", ".txz": "xz",
}  # fmt: skip
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")  # the ones to name in a sentence
# archives that are not read: safely in memory, that would take libraries of which nobody here knows the faults
OTHER_ENDINGS = {
    ".7z": "a 7z archive", ".rar": "a rar archive", ".tar.zst": "a Zstandard archive", ".tzst": "a Zstandard archive",
    ".zst": "a Zstandard archive", ".tar.lz": "an lzip archive", ".tar.lz4": "an LZ4 archive",
    ".tar.lzma": "an LZMA archive", ".tar.z": "a compress archive", ".zipx": "a zipx archive", ".gz": "a gzip file",
    ".bz2": "a bzip2 file", ".xz": "an xz file", ".lzma": "an LZMA file", ".cab": "a cab archive",
    ".iso": "a disk image", ".dmg": "a disk image",
}  # fmt: skip
MAGIC = (
    (0, b"PK\3\4", "zip"), (0, b"PK\5\6", "zip"), (0, b"\x1f\x8b", "gzip"), (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\0", "xz"), (257, b"ustar", "tar"), (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a rar archive"), (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
)  # fmt: skip
HEAD = 512
MAX_NESTED = 64 << 20
MAX_CLASS = 224 << 20  # of one that is looked into for a download, and lies in another one
MAX_TABLE = 32 << 20
# of tables that tell whose a download's items are
TABLES = (".csv", ".tsv", "submission_metadata.yml", "submission_metadata.yaml")


def ending_of(name: str) -> str:
    """An archive's ending, read here or not, in small letters; empty for other names."""
    folded = name.casefold()
    known = [ending for ending in (*ENDINGS, *OTHER_ENDINGS) if folded.endswith(ending) and folded != ending]
    return max(known, key=len, default="")


def is_archive(name: str) -> bool:
    """Whether a file of this name is opened."""
    return ending_of(name) in ENDINGS


def without_ending(name: str) -> str:
    """The name without an archive's ending."""
    return name[: len(name) - len(ending_of(name))]


@dataclass(frozen=True)
class Source:
    """An archive's bytes, on disk or in memory, and what to call it."""

    name: str
    length: int
    open: Callable[[], BinaryIO]


def file_source(path: Path, name: str = "") -> Source:
    """An archive on disk. Raises DiskError."""

    with open_file(path) as file:
        length = file.seek(0, io.SEEK_END)
    return Source(name or path.name, length, lambda: open_file(path))


def nested_source(name: str, entry: Entry, budget: Budget, limit: int = MAX_NESTED) -> Source:
    """An archive in a folder, or inside another one and then as a whole in memory. Raises IngestError."""
    if entry.path is not None:
        return file_source(entry.path, name)
    content = entry.read(limit, budget)
    if len(content) > limit:
        raise IngestError(f"{printable(name)} is larger than {limit >> 20} MB and was not opened: "
                          "hand in the .py files alone")  # fmt: skip
    return Source(name, len(content), lambda: io.BytesIO(content))


def archive_tree(source: Source, modules: Collection[str], budget: Budget) -> Tree:
    """What an archive holds; `modules` are the ones that may be asked for. Raises IngestError."""
    budget.archives += 1
    with naming(source.name), source.open() as file:
        head = file.read(HEAD)
        kind = next((kind for at, magic, kind in MAGIC if head.startswith(magic, at)), "")
        kind = kind or ENDINGS.get(ending_of(source.name)) or OTHER_ENDINGS.get(ending_of(source.name), "")
        if not head:
            raise Damaged("it is empty")
        if kind == "zip":
            return zip_tree(source.open, source.length, source.name)
        if kind not in ENDINGS.values():
            what = f"it is {kind}, which is not read" if kind else "it is neither a folder nor an archive"
            raise IngestError(f"{what}: pack the folder as .zip and resubmit")
        file.seek(0)
        wanted = wanted_names(modules)
        return tar_tree(file.read, source.length, kind, lambda name: to_keep(name, wanted), budget)


def wanted_names(modules: Collection[str]) -> re.Pattern[str]:
    """What files with a module may be called; in a download a name and numbers stand before it."""
    return re.compile(rf"(?:.*_)?(?:{'|'.join(map(re.escape, modules))})(?:-\d{{1,3}})?\.py", re.DOTALL)


def to_keep(name: str, wanted: re.Pattern[str]) -> int:
    """How many bytes of a file in a tar may be asked for later."""
    if wanted.fullmatch(name):
        return MAX_FILE + 1
    if is_archive(name):
        return MAX_NESTED + 1
    return MAX_TABLE + 1 if name.casefold().endswith(TABLES) else 0
