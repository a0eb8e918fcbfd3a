"""What the self-test sends into a box in the place of a submission: it tries to get out, and says what it was told.

The grader never imports this file, it sends its text. Nothing here may harm a machine that has no box at all: what is
aimed at are baits of the self-test, and every flood ends at a number that it was given.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import platform
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

MARKER = "a7-marker-0000000000000000"
BAIT = re.compile(rb"a7-(?:canary|victim)-[0-9a-f]{16}")
ADD_KEY, KEYCTL = {"aarch64": (217, 219)}.get(platform.machine(), (248, 250))
SEARCH_KEY, USER_KEYRING = 10, -4
PTRACE_SEIZE = 0x4206
CREATE_SHARED, QUEUE_FLAGS = 0o1000 | 0o666, os.O_CREAT | os.O_RDWR
STEP = 8 << 20
LOOKED_AT, FILES_LOOKED_AT = 0.3, 0.8  # seconds after which whoever looks now and then has looked
MOST_SCANNED = 64 << 20
KEPT: list[object] = []  # what has been taken stays taken
C = ctypes.CDLL(None, use_errno=True)


def marker() -> str:
    """What stands in the text as it was imported."""
    return MARKER


def failure() -> OSError:
    """What the last call of libc has ended with."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


# ---- out by a socket --------------------------------------------------------------------------------------------


def connect(family: str, address: object) -> str:
    """Connects to a listener of the grader."""
    kind = {"inet": socket.AF_INET, "unix": socket.AF_UNIX}[family]
    with socket.socket(kind, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        client.connect(tuple(address) if isinstance(address, list | tuple) else str(address).replace("@", "\0", 1))
        client.sendall(b"!")
    return "connected"


def send(host: str, port: int) -> str:
    """Sends a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"!", (host, port))
    return "sent"


# ---- files ------------------------------------------------------------------------------------------------------


def read(path: str) -> str:
    """Reads a file that is none of ours."""
    with open(path, "rb") as file:
        return file.read(1000).decode(errors="replace")


def write(path: str, text: str) -> str:
    """Writes over a file, or makes one."""
    with open(path, "wb") as file:
        file.write(text.encode())
    return "written"


def change(path: str) -> str:
    """Changes who may read a file, and how old it is, without opening it."""
    done, last = [], "nothing tried"
    attempts: dict[str, Callable[[], object]] = {
        "mode": lambda: os.chmod(path, 0o666), "times": lambda: os.utime(path, (1, 1)),
        "owner": lambda: os.chown(path, os.getuid(), -1),
        "attribute": lambda: os.setxattr(path, "user.a7", b"1") if sys.platform == "linux" else None,
    }  # fmt: skip
    for what, attempt in attempts.items():
        try:
            attempt()
            done.append(what)
        except OSError as error:
            last = f"{type(error).__name__}: {error}"
    return f"changed: {', '.join(done)}" if done else last


def leave(name: str) -> str:
    """Leaves a file wherever the next check could find it."""
    left = []
    for folder in places():
        with contextlib.suppress(OSError):
            write(os.path.join(folder, name), name)
            left.append(folder)
    return ", ".join(left) or "nothing could be written"


def find(name: str) -> str:
    """Folders in which another check has left it."""
    return ", ".join(folder for folder in places() if os.path.exists(os.path.join(folder, name)))


def places() -> list[str]:
    """Where a process likes to put things."""
    return sorted({tempfile.gettempdir(), os.path.dirname(os.getcwd()), "/tmp", "/var/tmp", "/dev/shm"})


# ---- other processes --------------------------------------------------------------------------------------------


def processes() -> Iterator[int]:
    """Numbers of what can be seen."""
    with contextlib.suppress(OSError):
        yield from (int(name) for name in os.listdir("/proc") if name.isdigit())


def baits(text: bytes) -> list[str]:
    """The secrets of the grader in a text."""
    return sorted({found.decode() for found in BAIT.findall(text)})


def see(pid: int, name: str) -> str:
    """What stands in a file of another process, or of any that can be seen."""
    found: list[str] = []
    for number in {pid, os.getppid(), *processes()} - {os.getpid()}:
        with contextlib.suppress(OSError), open(f"/proc/{number}/{name}", "rb") as file:
            found += baits(file.read(1 << 16))
    return " ".join(found) or failed_to_open(f"/proc/{pid}/{name}")


def failed_to_open(path: str) -> str:
    """Why a file cannot be read."""
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def see_memory(pid: int) -> str:
    """Secrets in the memory of another process."""
    found: list[str] = []
    with open(f"/proc/{pid}/maps") as listing:
        regions = [line.split() for line in listing]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for region in regions:
            first, last = (int(word, 16) for word in region[0].split("-"))
            if "rw" in region[1] and last - first < MOST_SCANNED:
                with contextlib.suppress(OSError):
                    memory.seek(first)
                    found += baits(memory.read(last - first))
    return " ".join(sorted(set(found))) or "nothing"


def seize(pid: int) -> str:
    """Traces a process, which the grader then sees."""
    if sys.platform != "linux":
        return "not tried"
    if C.ptrace(PTRACE_SEIZE, pid, None, None):
        raise failure()
    return "traced"


def seize_parent() -> str:
    """Traces the process that started this one."""
    return seize(os.getppid())


def end(pid: int) -> str:
    """Ends a process."""
    os.kill(pid, signal.SIGTERM)
    return "signalled"


def end_parent() -> str:
    """Ends the process that started this one."""
    os.kill(os.getppid(), signal.SIGKILL)
    return "signalled"


def rewrite_parent(marker_now: str, marker_then: str) -> str:
    """Changes our own text where the process that started this one holds it, for all that it starts from now on."""
    texts = [text for finder in sys.meta_path for text in getattr(finder, "sources", {}).values() if marker_now in text]
    for text in texts:
        address = id(text) + ctypes.string_at(id(text), sys.getsizeof(text)).find(marker_now.encode())
        with open(f"/proc/{os.getppid()}/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(marker_then.encode())
    return f"{len(texts)} copies written"


# ---- what the kernel keeps --------------------------------------------------------------------------------------


def add_key(name: str) -> str:
    """Puts a key where all processes of this user find it."""
    if sys.platform != "linux":
        return "there is none"
    if C.syscall(ADD_KEY, b"user", name.encode(), b"1", 1, USER_KEYRING) < 0:
        raise failure()
    return "added"


def find_key(name: str) -> str:
    """Whether it is there."""
    return (
        "found"
        if sys.platform == "linux" and C.syscall(KEYCTL, SEARCH_KEY, USER_KEYRING, b"user", name.encode(), 0) >= 0
        else ""
    )


def make_shared(key: int, queue: str) -> str:
    """A System V segment and a POSIX queue."""
    made = []
    if C.shmget(key, 4096, CREATE_SHARED) >= 0:
        made.append("a segment")
    with contextlib.suppress(AttributeError):
        if C.mq_open(queue.encode(), QUEUE_FLAGS, 0o666, None) >= 0:
            made.append("a queue")
    if not made:
        raise failure()
    return " and ".join(made)


def find_shared(key: int, queue: str) -> str:
    """Those that are there."""
    found = ["a segment"] if C.shmget(key, 0, 0) >= 0 else []
    with contextlib.suppress(AttributeError):
        if C.mq_open(queue.encode(), os.O_RDWR) >= 0:
            found.append("a queue")
    return " and ".join(found)


# ---- floods, each to a given end --------------------------------------------------------------------------------


def fork(processes: int, threads: int) -> str:
    """Starts processes and then threads, which only wait. A thread costs little, and the kernel counts both alike."""
    started = 0
    with contextlib.suppress(OSError):
        while started < processes:
            if not os.fork():
                while True:
                    signal.pause()
            started += 1
    threading.stack_size(64 << 10)
    waiting = threading.Event()
    with contextlib.suppress(RuntimeError):
        while len(KEPT) < threads:
            thread = threading.Thread(target=waiting.wait, daemon=True)
            thread.start()
            KEPT.append(thread)
        time.sleep(LOOKED_AT)
    return f"{started} processes and {len(KEPT)} threads started"


def escape() -> str:
    """A daemon: a grandchild in a session of its own, which outlives its parent."""
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        while True:
            signal.pause()
    os.wait()
    return "started"


def take(most: int, shared: bool) -> str:
    """Takes memory that is the process's own, or shared, and writes to all of it."""
    taken = 0
    while taken < most:
        block = mmap.mmap(-1, STEP, mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE)
        KEPT.append(block)
        for at in range(0, STEP, mmap.PAGESIZE):
            block[at] = 1
        taken += STEP
    time.sleep(LOOKED_AT)
    return f"{taken >> 20} MB taken"


def take_memory_file(most: int) -> str:
    """Takes memory that belongs to no process: a file in memory."""
    number = os.memfd_create("a7")
    taken, block = 0, bytes(STEP)
    while taken < most:
        taken += os.write(number, block)
    time.sleep(LOOKED_AT)
    return f"{taken >> 20} MB taken"


def grow(size: int) -> str:
    """A file of a size in the temporary folder, with a hole in it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(os.path.join(tempfile.gettempdir(), "large"), "wb") as file:
        file.seek(size - 1)
        file.write(b"!")
    return f"{size >> 20} MB"


def fill(most: int, each: int) -> int:
    """Bytes written to files in all places together, as far as that goes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    total, block = 0, bytes(1 << 20)
    for folder in places():
        number = 0
        with contextlib.suppress(OSError):
            while total < most:
                number += 1
                path = os.path.join(folder, f"a7-full-{os.getpid()}-{number}")
                with open(path, "wb", buffering=0) as file:
                    for _ in range(each >> 20):
                        total += file.write(block)
    if total >= most:
        time.sleep(FILES_LOOKED_AT)
    return total


def empty() -> str:
    """Removes what `fill` has written."""
    for folder in places():
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if name.startswith(f"a7-full-{os.getpid()}-"):
                    os.unlink(os.path.join(folder, name))
    return "removed"


def become_root() -> str:
    """Takes more rights than it was given."""
    os.setuid(0)
    return f"uid {os.getuid()}"
