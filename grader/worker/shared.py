"""Shared memory that processes of a submission leave behind, where /dev/shm or our user is the box's own."""

from __future__ import annotations

import contextlib
import os

from . import processes

FOLDER = "/dev/shm"


def sweep() -> None:
    """Removes all that is our user's there."""
    with contextlib.suppress(OSError):
        for entry in [*os.scandir(FOLDER)]:
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid != os.getuid():
                    continue
                if entry.is_dir(follow_symlinks=False):
                    processes.sweep(entry.path)
                else:
                    os.unlink(entry.path)
