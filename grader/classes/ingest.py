"""Reads a submission: a folder, a zip or a tar, of which only the expected files are looked at.

Nothing is ever unpacked to disk. Sizes are capped before anything is read, links are not followed, and a file that is
not on the list is named in the report but never opened.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

MAX_FILE = 400_000
MAX_ENTRIES = 20_000
MAX_DEPTH = 6
# handed out complete; not read, and nothing to mention
GIVEN = ("__init__.py", "checkpoints.py", "data.py", "recipes.py", "train.py", "visualize.py")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
IGNORED = ("__MACOSX", ".git", "__pycache__", ".venv", ".ipynb_checkpoints")


class IngestError(Exception):
    """A submission that cannot be read at all: names it, says why and what to do."""


@dataclass(frozen=True)
class Submission:
    """Source text by module name; `problems` are sentences for the student about what was not read."""

    name: str
    sources: Mapping[str, str]
    problems: Sequence[str] = ()
    aliases: Sequence[str] = field(default=("starter", "solution"))


@dataclass(frozen=True)
class Entry:
    """A regular file of a submission, not yet read."""

    path: PurePosixPath
    size: int
    place: object  # how the container finds it again


def submission_name(path: Path) -> str:
    """Folder or file name without an archive's extension."""
    for ending in sorted(ARCHIVES, key=len, reverse=True):
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return path.name


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive we read."""
    return path.name.endswith(ARCHIVES)


def read_submission(path: Path, modules: Sequence[str]) -> Submission:
    """The expected `modules` of a submission. Raises IngestError if it cannot be opened."""
    if not path.exists():
        raise IngestError(f"{path} does not exist: give a folder, a .zip or a .tar file")
    if path.is_dir():
        return collect(path.resolve().name, folder_entries(path), lambda e: (path / e.path).read_bytes(), modules)
    if not is_archive(path):
        raise IngestError(f"{path.name} is neither a folder nor an archive ({', '.join(ARCHIVES)})")
    try:
        if path.name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                infos = {i.filename: i for i in archive.infolist()[: MAX_ENTRIES + 1]}
                entries = [Entry(PurePosixPath(n), i.file_size, n) for n, i in infos.items()
                           if not i.is_dir() and (i.external_attr >> 28) in (0, 8)]  # fmt: skip
                return collect(submission_name(path), entries, lambda e: unzip(archive, e), modules)
        with tarfile.open(path) as archive_tar:
            members = {m.name: m for m in limited(archive_tar)}
            entries = [Entry(PurePosixPath(n), m.size, n) for n, m in members.items() if m.isreg()]
            return collect(submission_name(path), entries, lambda e: untar(archive_tar, members[str(e.place)]), modules)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise IngestError(
            f"{path.name} is damaged or no archive ({error}): pack the folder again and resubmit"
        ) from error


def limited(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Members up to the cap: a tar must be read to be listed."""
    for count, member in enumerate(archive):
        if count > MAX_ENTRIES:
            return
        yield member


def unzip(archive: zipfile.ZipFile, entry: Entry) -> bytes:
    """At most one byte more than allowed, whatever size the archive claims."""
    with archive.open(str(entry.place)) as file:
        return file.read(MAX_FILE + 1)


def untar(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """At most one byte more than allowed."""
    file = archive.extractfile(member)
    return file.read(MAX_FILE + 1) if file else b""


def folder_entries(root: Path) -> list[Entry]:
    """Regular files below a folder; links are skipped at every level."""
    entries: list[Entry] = []
    todo = [root]
    while todo and len(entries) <= MAX_ENTRIES:
        for item in sorted(todo.pop().iterdir()):
            if item.is_symlink() or item.name in IGNORED:
                continue
            relative = item.relative_to(root)
            if item.is_dir() and len(relative.parts) < MAX_DEPTH:
                todo.append(item)
            elif item.is_file():
                entries.append(Entry(PurePosixPath(relative.as_posix()), item.stat().st_size, relative))
    return entries


def collect(name: str, entries: Sequence[Entry], read: object, modules: Sequence[str]) -> Submission:
    """Picks the expected files. Where a name occurs more than once, the one nearest to the top counts."""
    problems: list[str] = []
    if len(entries) > MAX_ENTRIES:
        problems.append(f"more than {MAX_ENTRIES} files: only the first {MAX_ENTRIES} were looked at")
    safe = [e for e in entries[:MAX_ENTRIES] if ".." not in e.path.parts and not e.path.is_absolute()
            and not set(e.path.parts) & set(IGNORED) and not e.path.name.startswith("._")]  # fmt: skip
    home = submission_root(safe, modules)
    sources: dict[str, str] = {}
    extra: list[str] = []
    for entry in sorted(safe, key=lambda e: (len(e.path.parts), str(e.path))):
        module = entry.path.stem
        if entry.path.parent != home:
            continue
        if entry.path.suffix != ".py" or module not in modules:
            if entry.path.suffix == ".py" and entry.path.name not in GIVEN:
                extra.append(entry.path.name)
            continue
        content = read(entry) if callable(read) and entry.size <= MAX_FILE else None
        if content is None or len(content) > MAX_FILE:
            problems.append(f"{entry.path.name} is larger than {MAX_FILE} bytes and was not read")
            continue
        try:
            sources[module] = content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            problems.append(f"{entry.path.name} is not UTF-8 text and was not read: save it as UTF-8")
    if not sources:
        problems.append("none of the expected files was found: submit the folder that holds "
                        + ", ".join(f"{m}.py" for m in modules))  # fmt: skip
    else:
        missing = [f"{m}.py" for m in modules if m not in sources]
        if missing:
            problems.append("missing: " + ", ".join(missing))
    if extra:
        problems.append("not read, because only the files of the assignment are: " + ", ".join(extra[:20])
                        + " (move what you need into the file that uses it)")  # fmt: skip
    return Submission(name, sources, tuple(problems))


def submission_root(entries: Sequence[Entry], modules: Sequence[str]) -> PurePosixPath:
    """The folder with the most expected files; the one nearest to the top among equals."""
    count: dict[PurePosixPath, int] = {}
    for entry in entries:
        if entry.path.suffix == ".py" and entry.path.stem in modules:
            count[entry.path.parent] = count.get(entry.path.parent, 0) + 1
    return min(count, key=lambda folder: (-count[folder], len(folder.parts), str(folder)), default=PurePosixPath("."))
