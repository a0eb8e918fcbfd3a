"""Other processes: ending, stopping and changing them, and outliving the check."""

from __future__ import annotations

from collections.abc import Sequence

from ..attack import Attack, Inside
from ..oracles import Oracle, any_of, hung, hurt, left_behind
from .tools import TOOLS


def processes(
    name: str, says: str, body: str, *, oracle: Oracle = hurt, sample: bool = False, dangerous: bool = False,
    seconds: float = 5.0,
) -> Attack:  # fmt: skip
    """An attack of this kind: other processes stay as they are, and nothing of it runs on."""
    judged = any_of(oracle, hung)
    return Attack(
        name, "processes", says, judged, Inside(TOOLS + body, seconds=seconds), sample=sample, dangerous=dangerous
    )


STAYS = """
def stay(bait, seconds=600):
    # every descriptor goes, so that nobody waits for an end of file
    os.closerange(0, 256)
    named(bait["left"])
    for number in range(1, 32):
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            pass
    time.sleep(seconds)
    os._exit(0)
"""


def outliving(name: str, says: str, body: str, *, sample: bool = False) -> Attack:
    """One that tries to run on."""
    return processes(name, says, STAYS + body, oracle=left_behind, sample=sample)


ATTACKS: Sequence[Attack] = (
    processes("kills-another-process", "kills a process of the TA's", """
def attack(bait):
    return each([bait["victim"]], lambda pid: os.kill(pid, signal.SIGKILL))
""", sample=True, dangerous=True),
    processes("kills-everything", "kills all that it may kill, once as a user and once as a group", """
def attack(bait):
    for number in (signal.SIGCONT, signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(-1, number)
        except OSError as error:
            print(error)
    return "done"
""", dangerous=True),
    processes("kills-by-descriptor", "kills through a pidfd", """
def attack(bait):
    return each([bait["victim"]], lambda pid: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL))
""", dangerous=True),
    processes("stops-another-process", "stops a process of the TA's", """
def attack(bait):
    return each([bait["victim"]], lambda pid: os.kill(pid, signal.SIGSTOP))
""", dangerous=True),
    processes("stops-its-parents", "stops whatever has started it, and the grader", """
def attack(bait):
    return each([os.getppid(), bait["pid"]], lambda pid: os.kill(pid, signal.SIGSTOP))
""", dangerous=True),
    processes("kills-its-parents", "kills whatever has started it, and the grader", """
def attack(bait):
    return each([os.getppid(), bait["pid"]], lambda pid: os.kill(pid, signal.SIGKILL))
""", oracle=hurt, dangerous=True),
    processes("kills-in-the-parents-name", "a descriptor of the grader is told to signal it", """
def attack(bait):
    # an asynchronous descriptor sends its signal to whomever it was told to
    def send(pid):
        near, far = socket.socketpair()
        fcntl.fcntl(near, 8, pid)
        fcntl.fcntl(near, 10, signal.SIGKILL)
        fcntl.fcntl(near, fcntl.F_SETFL, fcntl.fcntl(near, fcntl.F_GETFL) | 0o20000)
        far.send(b"x")
        time.sleep(0.1)
    return each([bait["victim"]], send)
""", dangerous=True),
    processes("writes-anothers-memory", "writes into another process through /proc/PID/mem and process_vm_writev", """
def attack(bait):
    def by_file(pid):
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as file:
            file.seek(bait["address"])
            file.write(b"changed\\0")
    def by_call(pid):
        held = ctypes.create_string_buffer(b"changed\\0")
        here = (ctypes.c_size_t * 2)(ctypes.addressof(held), 8)
        there = (ctypes.c_size_t * 2)(bait["address"], 8)
        syscall("process_vm_writev", pid, here, 1, there, 1, 0)
    return each([by_file, by_call], lambda way: way(bait["victim"]))
""", dangerous=True),
    processes("holds-another-process", "attaches to another process and does not let go", """
def attack(bait):
    syscall("ptrace", 16, bait["victim"], 0, 0)
    os.waitpid(bait["victim"], 0x40000000)
    time.sleep(30)
""", dangerous=True),
    processes("starves-another-process", "takes another process's cores, niceness and limits", """
def attack(bait):
    import resource
    pid = bait["victim"]
    steps = [lambda: os.sched_setaffinity(pid, {0}), lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
             lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (5, 5)),
             lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (100000, 100000))]
    return each(steps, lambda step: step())
""", dangerous=True),
    processes("offers-another-process-to-the-kernel", "has the kernel kill another process when memory is short", """
def attack(bait):
    return each([bait["victim"]], lambda pid: open(f"/proc/{pid}/oom_score_adj", "w").write("1000"))
""", dangerous=True),
    outliving("leaves-a-daemon", "forks twice, in a session of its own, and stays", """
def attack(bait):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            stay(bait)
        os._exit(0)
    time.sleep(0.3)
    return "left"
""", sample=True),
    outliving("leaves-a-child-at-once", "forks once, ignores all signals and stays", """
def attack(bait):
    if os.fork() == 0:
        stay(bait)
    time.sleep(0.3)
    return "left"
"""),
    outliving("leaves-a-brother", "clones a process whose parent is its own parent", """
def attack(bait):
    if syscall("clone", 0x8000 | 17, 0, 0, 0, 0) == 0:
        stay(bait)
    time.sleep(0.3)
    return "left"
"""),
    outliving("leaves-another-program", "starts another program that stays", """
def attack(bait):
    text = f"exec -a {bait['left']} sleep 600"
    link = "./" + bait["left"]
    import shutil
    shutil.copy(shutil.which("sleep"), link)
    subprocess.Popen([link, "600"], start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    return "left"
"""),
    outliving("adopts-its-own-orphans", "keeps its orphans to itself, so that nobody else hears of them", """
def attack(bait):
    libc.prctl(36, 1, 0, 0, 0)
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            libc.prctl(36, 1, 0, 0, 0)
            if os.fork() == 0:
                stay(bait)
            stay(bait)
    time.sleep(0.3)
    return "left"
"""),
    outliving("breeds-faster-than-it-is-killed", "a chain of processes, each of which starts the next one and ends", """
def attack(bait):
    if os.fork() == 0:
        os.closerange(0, 256)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            named(bait["left"])
            if os.fork():
                os._exit(0)
            os.setsid()
    time.sleep(0.3)
    return "left"
"""),
    outliving("hides-in-a-namespace", "stays in a pid namespace of its own", """
def attack(bait):
    if os.fork() == 0:
        try:
            syscall("unshare", 0x10000000 | 0x20000000)
        except OSError:
            try:
                syscall("unshare", 0x20000000)
            except OSError as error:
                print(error)
        if os.fork() == 0:
            stay(bait)
        stay(bait)
    time.sleep(0.3)
    return "left"
"""),
    outliving("is-traced-by-its-own-child", "its child traces it, and neither can be waited for", """
def attack(bait):
    parent = os.getpid()
    libc.prctl(0x59616D61, -1, 0, 0, 0)
    if os.fork() == 0:
        try:
            syscall("ptrace", 0x4206, parent, 0, 0)
        except OSError as error:
            print(error)
        stay(bait)
    time.sleep(0.3)
    return "left"
"""),
    outliving("stops-itself", "stops itself and its children", """
def attack(bait):
    if os.fork() == 0:
        named(bait["left"])
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(600)
    os.kill(os.getpid(), signal.SIGSTOP)
    return "left"
"""),
    outliving("lives-in-a-vfork", "a parent that waits for its vforked child, which does not end", """
def attack(bait):
    class Args(ctypes.Structure):
        _fields_ = [("flags", ctypes.c_uint64)] + [(n, ctypes.c_uint64) for n in "abcdefghij"]
    def start():
        subprocess.run([sys.executable, "-S", "-c", f"import ctypes,time,signal; ctypes.CDLL(None).prctl(15, b'{bait['left']}', 0, 0, 0); signal.signal(15, 1); time.sleep(600)"])
    threading.Thread(target=start, daemon=True).start()
    time.sleep(1)
    return "left"
"""),
)  # fmt: skip
