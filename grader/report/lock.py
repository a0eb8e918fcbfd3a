"""One grader at a time writes to a folder.

The lock is the kernel's (`flock`) on a file in the folder: it ends with the process, however that ends, and what a
killed one has left locks nobody out. On NFS, Linux turns it into a lock of the server's, which holds between machines
as long as the server is reached and the folder was not mounted with ``nolock``; where a file system knows no locks, the
folder is refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows locks in other ways, and grades nobody's work: boxes are Linux's
    fcntl = None  # type: ignore[assignment]

NAME = ".a7-lock"
MOST_READ = 200
HOLDER = "process {} on {}"
DYING_SECONDS = 10.0


class Locked(Exception):
    """Another grader holds the folder: who that is, as far as it has said so."""


class NoLocks(Exception):
    """The file system does not lock files."""


def is_dead(holder: str) -> bool:
    """Whether who has written this into the lock was a process of this machine, and is none any more."""
    found = re.fullmatch(HOLDER.format(r"(\d{1,9})", re.escape(socket.gethostname())), holder)
    try:
        os.kill(int(found[1]) if found else os.getpid(), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


class FolderLock:
    """Held from the moment that it is made until `release`, or the end of the process."""

    def __init__(self, folder: Path) -> None:
        """Raises Locked, NoLocks and OSError."""
        self.path = folder / NAME
        while True:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                self._take_from_the_living()
                if self._is_there():
                    break
            except BaseException:
                os.close(self.descriptor)
                raise
            os.close(self.descriptor)  # another one was just done, and has removed it
        with contextlib.suppress(OSError):  # on a full disk nobody knows who it is
            os.ftruncate(self.descriptor, 0)
            os.write(self.descriptor, HOLDER.format(os.getpid(), socket.gethostname()).encode())

    def _take_from_the_living(self) -> None:
        """What a killed grader was just starting shares its lock until it has become another program: a moment."""
        until = time.monotonic() + DYING_SECONDS
        while True:
            try:
                self._take()
                return
            except Locked as other:
                if not is_dead(str(other)) or time.monotonic() > until:
                    raise
            time.sleep(0.02)

    def _take(self) -> None:
        if fcntl is None:
            raise NoLocks("this system has no locks of that kind: runs are Linux's")
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise Locked(os.pread(self.descriptor, MOST_READ, 0).decode(errors="replace")) from error
            if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                raise NoLocks(error.strerror) from error
            raise

    def _is_there(self) -> bool:
        """Whether what is locked is still the file of that name."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """The file goes first: who opens it now and gets the lock sees that it is not there, and makes another."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self.descriptor)
