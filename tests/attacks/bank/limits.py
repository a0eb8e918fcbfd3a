"""Using more than is allowed: memory of every sort, processes, disk, files, output, and answers that cost the grader."""

from __future__ import annotations

from collections.abc import Sequence

from ..attack import Attack, Inside, Place
from ..oracles import any_of, exceeded, hung
from .tools import TOOLS

MB = 1 << 20
MEMORY = 1200 * MB  # what the sessions of the arena allow; see `arena`
SLACK = 500 * MB  # what may be taken between two looks at it
FIRST: tuple[Place, ...] = ("check",)

TAKE = """
TAKEN = []
def take(step, count, size):
    for number in range(1, count + 1):
        TAKEN.append(step(number))
        print("came to", number * size, flush=True)
    time.sleep(1.0)
    print("and kept it")
    return "kept"
"""


def limits(name: str, says: str, body: str, most: float, *, sample: bool = False, dangerous: bool = False,
           seconds: float = 10.0) -> Attack:  # fmt: skip
    """An attack of this kind: it may come to `most` at the most."""
    way = Inside(TOOLS + TAKE + body, places=FIRST, seconds=seconds, most=most)
    return Attack(name, "limits", says, any_of(exceeded, hung), way, sample=sample, dangerous=dangerous)


ATTACKS: Sequence[Attack] = (
    limits("takes-memory", "fills memory of its own", """
def attack(bait):
    return take(lambda number: b"x" * ((64 << 20) + number), 40, 64 << 20)
""", MEMORY + SLACK, sample=True),
    limits("takes-shared-memory", "fills memory that it shares with nobody, but could", """
def attack(bait):
    def step(number):
        page = mmap.mmap(-1, 64 << 20)
        page.write(b"x" * (64 << 20))
        return page
    return take(step, 40, 64 << 20)
""", MEMORY + SLACK),
    limits("takes-memory-files", "fills files that lie in memory", """
def attack(bait):
    def step(number):
        fd = syscall("memfd_create", b"more", 0)
        os.write(fd, b"x" * (64 << 20))
        return fd
    return take(step, 40, 64 << 20)
""", MEMORY + SLACK),
    limits("fills-dev-shm", "fills /dev/shm", """
def attack(bait):
    def step(number):
        path = f"/dev/shm/a7-note-{number}"
        with open(path, "wb") as file:
            file.write(b"x" * (64 << 20))
        return path
    return take(step, 40, 64 << 20)
""", MEMORY + SLACK),
    limits("takes-system-v-memory", "fills System V segments", """
def attack(bait):
    def step(number):
        segment = called("shmget", 0, 64 << 20, 0o1600)
        address = called("shmat", segment, None, 0)
        called("shmctl", segment, 0, None)
        ctypes.memset(address, 120, 64 << 20)
        return segment
    return take(step, 40, 64 << 20)
""", MEMORY + SLACK),
    limits("takes-memory-in-many-processes", "has children each of which takes what one may", """
def attack(bait):
    def step(number):
        ready, done = os.pipe()
        if os.fork() == 0:
            held = b"x" * (256 << 20)
            os.write(done, b"x")
            time.sleep(8)
            os._exit(0)
        os.close(done)
        if not os.read(ready, 1):
            raise MemoryError
        os.close(ready)
    return take(step, 12, 256 << 20)
""", MEMORY + SLACK),
    limits("fills-pipes", "fills memory of the kernel through pipes", """
def attack(bait):
    def step(number):
        out, into = os.pipe()
        size = fcntl.fcntl(into, 1031, 1 << 20)
        os.set_blocking(into, False)
        written = 0
        while written < size:
            written += os.write(into, b"x" * (size - written))
        if size < 1 << 20:
            raise OSError("no larger pipes")
        return out, into
    return take(step, 480, 1 << 20)
""", 256 * MB),
    limits("forks-without-end", "forks until it cannot", """
def attack(bait):
    def step(number):
        child = os.fork()
        if child == 0:
            time.sleep(20)
            os._exit(0)
        return child
    return take(step, 400, 1)
""", 300, sample=True, seconds=15.0),
    limits("starts-threads-without-end", "starts threads until it cannot", """
def attack(bait):
    def step(number):
        thread = threading.Thread(target=time.sleep, args=(20,), daemon=True)
        thread.start()
        return thread
    threading.stack_size(1 << 16)
    return take(step, 900, 1)
""", 600),
    limits("fills-the-disk", "writes to its temporary folder until it cannot", """
def attack(bait):
    import tempfile
    def step(number):
        handle, path = tempfile.mkstemp()
        os.write(handle, b"x" * (64 << 20))
        return path
    return take(step, 24, 64 << 20)
""", 800 * MB),
    limits("writes-a-huge-file", "makes one file of many gigabytes, with nothing in it", """
def attack(bait):
    with open("huge", "wb") as file:
        def step(number):
            file.truncate(number << 30)
        return take(step, 64, 1 << 30)
""", 1 << 30),
    limits("opens-files-without-end", "opens files until it cannot", """
def attack(bait):
    import resource
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 16, 1 << 16))
    except (ValueError, OSError):
        pass
    return take(lambda number: os.open("/dev/null", 0), 9000, 1)
""", 1024),
    limits("locks-memory", "keeps memory from being swapped out", """
def attack(bait):
    def step(number):
        page = mmap.mmap(-1, 64 << 20)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        called("mlock", ctypes.c_void_p(address), 64 << 20)
        return page
    return take(step, 30, 64 << 20)
""", MEMORY + SLACK),
    limits("prints-without-end", "prints as fast as it can, 300 MB of it", """
def attack(bait):
    for _ in range(300):
        os.write(1, b"x" * (1 << 20))
    return "printed"
""", 0),
    limits("answers-with-more-than-asked", "answers with half a gigabyte", """
import torch
def f():
    return torch.zeros(120_000_000)
""", 0),
    limits("answers-with-nested-lists", "answers with lists that hold one another over and over", """
def f():
    found = [0.0] * 5000
    for _ in range(4):
        found = [found] * 5000
    return found
""", 0),
    limits("raises-a-huge-error", "raises an error whose name and text have a hundred million letters", """
def f():
    raise type("E" * 100_000_000, (Exception,), {"__str__": lambda self: "x" * 100_000_000})()
""", 0),
    limits("raises-a-deep-error", "raises an error with a hundred thousand causes and notes", """
def f():
    error = None
    for number in range(100_000):
        one = ValueError(number)
        one.__cause__, one.__context__ = error, error
        error = one
    error.__notes__ = ["note"] * 100_000
    raise error
""", 0),
    limits("does-not-come-back", "ignores all signals and never returns", """
def attack(bait):
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while True:
        time.sleep(1)
""", 0, seconds=2.0, sample=True),
    limits("keeps-threads-in-the-kernel", "waits in system calls that no signal ends, with many threads", """
def attack(bait):
    near, far = os.pipe()
    for _ in range(20):
        threading.Thread(target=lambda: os.read(near, 1)).start()
    while True:
        try:
            called("flock", near, 2)
            time.sleep(0.1)
        except OSError:
            time.sleep(0.1)
""", 0, seconds=2.0),
)  # fmt: skip
