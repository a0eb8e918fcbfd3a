"""The grader on a system like Windows, as far as Linux can play one: ``python tests/without_fork.py check solution``.

Takes away what is not there, and runs the command; the processes of checks start here as well, without arguments. What
PyTorch, psutil and Python's own modules need is imported before.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.process
import multiprocessing.connection
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import torch
import torch.utils.checkpoint

ROOT = Path(__file__).resolve().parent.parent
IMPORTED = (asyncio, concurrent.futures.process, multiprocessing.connection, subprocess, tempfile, psutil, torch)
MISSING_MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty", "pyseccomp", "sandlock")
MISSING: dict[object, tuple[str, ...]] = {
    os: (
        "fork",
        "forkpty",
        "getuid",
        "geteuid",
        "getpgid",
        "killpg",
        "setsid",
        "pidfd_open",
        "mkfifo",
        "sched_getaffinity",
    ),
    select: ("poll", "epoll"),
    selectors: ("PollSelector", "EpollSelector", "DefaultSelector"),
    signal: ("SIGXCPU", "SIGALRM", "SIGHUP", "SIGUSR1", "SIGPROF", "setitimer", "alarm"),
    socket: ("send_fds", "recv_fds", "AF_UNIX", "MSG_WAITALL"),
}


def take_away() -> None:
    """From now on this Python has none of it."""
    for name in MISSING_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for holder, names in MISSING.items():
        for name in names:
            delattr(holder, name)


def grader_without() -> None:
    """Where the grader runs: in the first process, and in those that work on its parts."""
    import hypothesis  # noqa: F401

    take_away()
    os.environ["A7_SPAWN"] = "1"
    sys.path.insert(0, str(ROOT))
    from grader.boundary import spawning

    spawning.PROGRAM = Path(__file__)


if __name__ == "__mp_main__":
    grader_without()
elif __name__ == "__main__" and sys.argv[1:]:
    grader_without()
    from grader.cli.main import main

    sys.exit(main(sys.argv[1:]))
elif __name__ == "__main__":
    take_away()
    runpy.run_path(str(ROOT / "grader" / "worker" / "spawned.py"), run_name="__main__")
