"""Processes of the untrusted side: forked clean, ended whole, and gone when whoever started them is gone."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import select
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25
HUGE_PAGE = 1 << 21
FAILED = 70
LEAVING_SECONDS = 20.0


LIBC = ctypes.CDLL(None) if os.name == "posix" else None
PRCTL = getattr(LIBC, "prctl", None)  # found before any fork: a child should touch little


def prctl(option: int, value: int) -> None:
    """Linux's; elsewhere nothing happens."""
    if PRCTL is not None:
        PRCTL(option, value, 0, 0, 0)


def become_subreaper() -> None:
    """Grandchildren that a check leaves behind come to us, so that they can be killed."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """A parent that is killed takes this process with it: nothing of a submission outlives the grader."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was faster than we
        os._exit(FAILED)


def gather_memory() -> None:
    """Puts our memory into huge pages, where Linux can (6.1 and later): a fork then copies one entry in place of 512.

    Most of a fork is the copying of page tables. This halves what the kernel does for a check, 40 ms of 90.
    """
    with contextlib.suppress(OSError, AttributeError), open("/proc/self/maps") as listing:
        madvise = getattr(LIBC, "madvise")  # noqa: B009  Linux's
        for line in listing.read().splitlines():
            addresses, permissions, *_, name = [*line.split(maxsplit=5), ""][:6]
            if "w" not in permissions or name not in ("", "[heap]"):
                continue
            start, end = (int(word, 16) for word in addresses.split("-"))
            start, end = -(-start // HUGE_PAGE) * HUGE_PAGE, end // HUGE_PAGE * HUGE_PAGE
            for advice in (MADV_HUGEPAGE, MADV_COLLAPSE):
                if start < end:
                    madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice)


def children(pid: int) -> list[int]:
    """A process's own children, adopted ones included (Linux; elsewhere none are seen)."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as listing:
                found += [int(word) for word in listing.read().split()]
    return found


def threads() -> int:
    """How many threads this process has; 1 where that cannot be seen."""
    with contextlib.suppress(OSError):
        return len(os.listdir("/proc/self/task"))
    return 1


def kill(pid: int) -> None:
    """A process with its group."""
    for end in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def kill_all() -> None:
    """Everything that we may reach, at one moment: for a user, or a domain, that has nothing but a submission in it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(-1, signal.SIGKILL)


def kill_another(pid: int) -> None:
    """A process that is no child of ours; returns when it has left, and what it started has come to us."""
    try:
        watch = os.pidfd_open(pid)
    except (OSError, AttributeError):
        kill(pid)
        return
    kill(pid)
    select.select([watch], [], [], LEAVING_SECONDS)
    os.close(watch)


def descendants(pid: int) -> list[int]:
    """All that a process has started, as far as it has not left its parents."""
    found = children(pid)
    for child in found:  # grows meanwhile
        found += children(child)
    return found


def ended(pid: int, seconds: float = LEAVING_SECONDS) -> Mapping[str, int | None]:
    """How a child of ours ended. One that was killed may be kept by a process that traces it: `stuck` says so."""
    until, pause = time.monotonic() + seconds, 0.0002
    while True:
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return {"signal": None, "exit": None}
        if found and os.WIFSIGNALED(status):
            return {"signal": os.WTERMSIG(status), "exit": None}
        if found:
            return {"signal": None, "exit": os.WEXITSTATUS(status)}
        if time.monotonic() > until:
            return {"signal": None, "exit": None, "stuck": 1}
        time.sleep(pause)
        pause = min(2 * pause, 0.01)


def fork(run: Callable[[], None], output: int, folder: str, confine: Callable[[], None] = lambda: None) -> int:
    """A child in a session of its own that runs `run` and never anything of the parent's afterwards. Returns its pid.

    Standard output and error go to `output`, standard input is empty, `folder` is its home, temporary files included.
    `confine` is what it gives up before.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = FAILED
    try:
        os.setsid()
        die_with_parent(parent)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.close(null)
        os.close(output)
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
        os.environ["HOME"] = os.environ["TMPDIR"] = folder
        tempfile.tempdir = None
        confine()
        run()
        code = 0
    finally:
        os._exit(code)  # not sys.exit: the child must never run the parent's code


def open_up(folder: str) -> None:
    """Lets us in, where we may change that; one that was made closed is empty then."""
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o700)


def sweep(folder: str) -> None:
    """Removes what a process has left in its home: however deep it is nested, and whatever may not be entered."""
    if os.path.islink(folder):
        os.unlink(folder)
    if not os.path.lexists(folder):
        return
    heap, waiting = tempfile.mkdtemp(prefix="left-", dir=os.path.dirname(folder)), [folder]
    names = (os.path.join(heap, str(number)) for number in itertools.count())
    while waiting:
        path = waiting.pop()
        open_up(path)
        entries: list[os.DirEntry[str]] = []
        with contextlib.suppress(OSError):
            entries = [*os.scandir(path)]
        for entry in entries:
            with contextlib.suppress(OSError):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                    continue
                open_up(entry.path)  # a folder that may not be written cannot be moved either
                above = next(names)
                os.rename(entry.path, above)  # up here: no path becomes longer than the system takes
                waiting.append(above)
        for closed in (*(entry.path for entry in entries), path):
            with contextlib.suppress(OSError):
                os.rmdir(closed)
    shutil.rmtree(heap, ignore_errors=True)


def used(folder: str, most: int = 1 << 16) -> int:
    """Bytes on disk below a folder, as far as its first entries go."""
    total, waiting = 0, [folder]
    while waiting and most > 0:
        with contextlib.suppress(OSError):
            for entry in os.scandir(waiting.pop()):
                most -= 1
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                with contextlib.suppress(OSError):
                    total += 512 * entry.stat(follow_symlinks=False).st_blocks
    return total


def serve(
    control: socket.socket, read: Callable[[int], bytes], answer: Callable[[dict[str, Any], list[int]], Any]
) -> None:
    """Answers requests until the other side closes. A request's descriptors ride on the byte that opens it."""
    from . import wire  # here: what only ends processes needs no torch

    while True:
        opening, fds, _, _ = socket.recv_fds(control, 1, 2)
        if not opening:
            return
        request, _ = wire.read_frame(read)
        found = answer(request, list(fds))
        for fd in fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        control.sendall(wire.pack({"nonce": request["nonce"], **found}, {}))
