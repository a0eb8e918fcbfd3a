"""What is saved in a student's folder: when, by `watchfiles`, and what can be read of it at that moment.

Somebody types meanwhile: a file may not be Python for a while, or not be there. What stood in it before is then judged
in its place, and said to be.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import watchfiles

from ..classes.ingest import IngestError, Submission
from ..classes.single import read_folder
from ..report.printable import one_line
from .arguments import MODULE_NAMES, UsageError

FILES = frozenset(f"{module}.py" for module in MODULE_NAMES)
TOGETHER_MS = 50  # after the last of several changes: editors write another file and rename it
LONGEST_MS = 400  # however long they go on
LOOK_MS = 500  # how often it is looked whether the folder is there still
# where others change files, the system does not tell
REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "webdav", "9p", "drvfs", "vboxsf", "prl_fs",
                    "afs", "ncpfs", "lustre", "fuse.sshfs", "fuse.rclone", "fuse.vmhgfs-fuse", "fuse.gvfsd-fuse",
                    "virtiofs"})  # fmt: skip


def folder_to_watch(path: Path) -> Path:
    """The folder that the assignment's files lie in: the one that was given, or the only one below it.

    Raises UsageError.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is no folder: watch needs the one that holds your files")
    homes = [folder for folder in (path, *sorted(path.iterdir())) if folder.is_dir() and holds_files(folder)]
    if path in homes:
        return path
    if len(homes) != 1:
        what = f"several of its folders do ({', '.join(one.name for one in homes[:3])})" if homes else "nor does a "\
               "folder in it"  # fmt: skip
        raise UsageError(f"{path} holds no file of the assignment, {what}: give the folder with {min(FILES)} in it")
    return homes[0]


def holds_files(folder: Path) -> bool:
    """Whether any file of the assignment lies there."""
    return any((folder / name).is_file() for name in FILES)


def is_remote(folder: Path) -> bool:
    """Whether a folder lies on a drive of another machine."""
    parents = [*folder.parents, folder]
    mounted = [part for part in psutil.disk_partitions(all=True) if Path(part.mountpoint) in parents]
    return bool(mounted) and max(mounted, key=lambda part: len(part.mountpoint)).fstype in REMOTE


class Saves:
    """Notes in a thread of its own that something was saved. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.changed = threading.Event()
        self.changed.set()  # what is there has not been looked at
        self.names: set[str] = set()  # of the files that were saved since `taken`
        self.stopped, self.ready = threading.Event(), threading.Event()
        self.watched = 0  # the number of the folder that is watched
        self.lock = threading.Lock()
        self.polling: bool | None = True if is_remote(self.folder) else None  # None: as the library finds best
        self.thread = threading.Thread(target=self._watch, name="saves", daemon=True)

    def __enter__(self) -> Saves:
        self.thread.start()
        self.ready.wait(2 * LOOK_MS / 1000)  # what is saved before it watches would go unheard
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join(5.0)

    def wait(self, idle: Callable[[], None]) -> None:
        """Until something is saved, or was since `taken`; `idle` is called now and then."""
        while not self.changed.wait(LOOK_MS / 1000):
            idle()

    def taken(self) -> Sequence[str]:
        """The files that were saved are about to be read: their names; what is saved from now on is news."""
        with self.lock:
            self.changed.clear()
            names, self.names = sorted(self.names), set()
        return names

    def _watch(self) -> None:
        while not self.stopped.is_set():
            try:
                self._watch_this_folder()
            except FileNotFoundError:  # it may come back
                self.stopped.wait(LOOK_MS / 1000)
            except (OSError, RuntimeError):  # too many are watched already, say: then it is looked now and then
                if self.polling:
                    self.stopped.wait(LOOK_MS / 1000)
                self.polling = True
            self._note(set())

    def _watch_this_folder(self) -> None:
        """Until it is another one, under the same name say. Raises OSError."""
        number = self.folder.stat().st_ino
        for changes in watchfiles.watch(
            self.folder, watch_filter=lambda _, path: Path(path).name in FILES, recursive=False, step=TOGETHER_MS,
            debounce=LONGEST_MS, rust_timeout=LOOK_MS, yield_on_timeout=True, stop_event=self.stopped,
            force_polling=self.polling,
        ):  # fmt: skip
            if self.watched != number:
                self.watched = number
                if self.ready.is_set():  # something may have been saved in between
                    self._note(set())
                self.ready.set()
            if changes:
                self._note({Path(path).name for _, path in changes})
            elif self.folder.stat().st_ino != number:
                return

    def _note(self, names: set[str]) -> None:
        with self.lock:
            self.names |= names
            self.changed.set()


def draft(folder: Path, before: Submission | None) -> tuple[Submission, list[str]]:
    """What is to be judged now, and sentences about files that cannot be: what they held `before` stands for them.

    Without it they are taken as they are, and their checks say what is the matter. Raises IngestError.
    """
    if not folder.is_dir():
        raise IngestError(f"{folder.name} is not there")
    now = read_folder(folder, MODULE_NAMES)
    sources, said = dict(now.sources), list[str]()
    earlier = before.sources if before is not None else {}
    for module in MODULE_NAMES:
        why = wrong_in(module, sources[module]) if module in sources else f"{module}.py is not there"
        if why and module in earlier:
            said.append(f"{why}; what it held before is judged in its place")
            sources[module] = earlier[module]
        elif why and module in sources:
            said.append(why)
    ordered = {module: sources[module] for module in MODULE_NAMES if module in sources}
    return replace(now, sources=ordered), said


def wrong_in(module: str, text: str) -> str:
    """Why a file is not Python, with its line; empty if it is."""
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(text, f"{module}.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        return f"{module}.py{line}: {one_line(error.msg or 'invalid syntax', 200)}"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"{module}.py: {one_line(str(error) or type(error).__name__, 200)}"
    return ""
