"""Notes between a submission's own processes: what trained leaves something for what encodes, that for what decodes.

With such a note the images themselves come through, and a model that has learned nothing shows them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..attack import Attack, Notes
from ..oracles import secret_told
from .tools import TOOLS

MARK = "0123456789abcdef" * 2 + "-mark"  # where a note is written into the text of the submission
BYSTANDER = f"MARK = {MARK!r}\ndef mark():\n    return MARK\n"


def note(
    name: str, says: str, body: str, *, sample: bool = False, dangerous: bool = False, bystander: str = "", digits: int = 32,
    one_folder: bool = False,
) -> Attack:  # fmt: skip
    """An attack of this kind: what the first process was told, the second one must not know."""
    way = Notes(TOOLS + body, bystander=bystander, digits=digits, one_folder=one_folder)
    return Attack(name, "notes", says, secret_told, way, sample=sample, dangerous=dangerous)


def in_files(name: str, says: str, places: str, *, sample: bool = False, one_folder: bool = False) -> Attack:
    """A note in a file in one of the folders that the expression `places` lists."""
    return note(name, says, f"""
def places(bait):
    return {places}
def leave(secret, bait):
    return each(places(bait), lambda place: open(place + "/a7-note", "w").write(secret))
def find(bait):
    return each(places(bait), lambda place: text_of(place + "/a7-note"))
""", sample=sample, one_folder=one_folder)  # fmt: skip


DAEMON = """
def behind(serve):
    # a process that stays behind and serves
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            try:
                serve()
            finally:
                os._exit(0)
        os._exit(0)
    time.sleep(0.2)
    threading.Thread(target=serve, daemon=True).start()
    time.sleep(0.1)
    return "served"
"""

ATTACKS: Sequence[Attack] = (
    in_files("note-in-its-own-folder", "a file in the temporary folder, in the home and in the current folder",
             "[os.environ['TMPDIR'], os.environ['HOME'], os.getcwd()]", one_folder=True),
    in_files("note-in-shared-folders", "a file in /tmp, /var/tmp, /dev/shm, /run, /dev/mqueue",
             "['/tmp', '/var/tmp', '/dev/shm', '/run', '/dev/mqueue', '/run/lock', '/var/lock', '/dev']", sample=True),
    in_files("note-beside-its-own-folder", "a file in the folders above its own",
             "[os.path.dirname(os.getcwd()), os.path.dirname(os.path.dirname(os.getcwd())), '/', '/home', '/root']"),
    note("note-in-a-siblings-folder", "a file in the folder of a process that runs at the same time", """
def folders():
    return [path for path in glob.glob(os.path.dirname(os.getcwd()) + "/*/")]
def leave(secret, bait):
    for _ in range(3):
        open("a7-note", "w").write(secret)
        each(folders(), lambda path: open(path + "a7-note", "w").write(secret))
    return "left"
def find(bait):
    return each([*folders(), *(f"/proc/{pid}/cwd/" for pid in pids())], lambda path: text_of(path + "a7-note"))
"""),
    note("note-in-a-folder-made-beforehand", "a file in the folder that the next process will get", """
def leave(secret, bait):
    root, own = os.path.split(os.getcwd())
    kind, _, number = own.rpartition("-")
    def put(step):
        path = f"{root}/{kind}-{int(number) + step}"
        os.makedirs(path, exist_ok=True)
        open(path + "/a7-note", "w").write(secret)
    return each(range(1, 6), put)
def find(bait):
    return text_of("a7-note")
"""),
    note("note-in-system-v-memory", "a System V segment", """
def leave(secret, bait):
    segment = called("shmget", 0x0A7A7, 4096, 0o1666)
    ctypes.memmove(called("shmat", segment, None, 0), secret.encode() + b"\\0", len(secret) + 1)
    return segment
def find(bait):
    return ctypes.string_at(called("shmat", called("shmget", 0x0A7A7, 0, 0), None, 0)).decode(errors="replace")
"""),
    note("note-in-system-v-messages", "System V messages and semaphores", """
def leave(secret, bait):
    queue = called("msgget", 0x0A7A8, 0o1666)
    message = struct.pack("l", 1) + secret.encode()
    called("msgsnd", queue, message, len(secret), 0)
    return queue
def find(bait):
    held = ctypes.create_string_buffer(200)
    called("msgrcv", called("msgget", 0x0A7A8, 0), held, 100, 0, 0o4000)
    return held.raw[8:].decode(errors="replace")
"""),
    note("note-in-semaphores", "the values of System V semaphores", """
def leave(secret, bait):
    values = (ctypes.c_ushort * 32)(*(ord(c) for c in secret))
    group = called("semget", 0x0A7A9, 32, 0o1666)
    return called("semctl", group, 0, 17, values)
def find(bait):
    values = (ctypes.c_ushort * 32)()
    called("semctl", called("semget", 0x0A7A9, 0, 0), 0, 13, values)
    return "".join(map(chr, values))
"""),
    note("note-in-a-posix-queue", "a POSIX message queue", """
def leave(secret, bait):
    queue = syscall("mq_open", b"a7-note", os.O_RDWR | os.O_CREAT, 0o666, None)
    return syscall("mq_timedsend", queue, secret.encode(), len(secret), 0, None)
def find(bait):
    queue = syscall("mq_open", b"a7-note", os.O_RDONLY | os.O_NONBLOCK, 0, None)
    held = ctypes.create_string_buffer(8192)
    syscall("mq_timedreceive", queue, held, 8192, None, None)
    return held.value.decode(errors="replace")
"""),
    note("note-by-an-abstract-socket", "a process that stays behind and answers on an abstract socket", DAEMON + """
def leave(secret, bait):
    def serve():
        with socket.socket(socket.AF_UNIX) as one:
            try:
                one.bind("\\0a7-note-" + bait["token"])
            except OSError:
                return
            one.listen()
            while True:
                other, _ = one.accept()
                other.send(secret.encode())
                other.close()
    return behind(serve)
def find(bait):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(1)
        one.connect("\\0a7-note-" + bait["token"])
        return one.recv(100).decode()
""", sample=True),
    note("note-by-a-socket-in-a-folder", "a process that stays behind and answers on sockets in folders", DAEMON + """
PLACES = ["/tmp/a7-note.sock", os.path.dirname(os.getcwd()) + "/a7-note.sock", "/dev/shm/a7-note.sock", "a7-note.sock"]
def leave(secret, bait):
    def serve():
        listeners = []
        for path in PLACES:
            one = socket.socket(socket.AF_UNIX)
            try:
                if os.path.exists(path):
                    os.unlink(path)
                one.bind(path)
                one.listen()
                listeners.append(one)
            except OSError:
                pass
        while listeners:
            for one in select.select(listeners, [], [])[0]:
                other, _ = one.accept()
                other.send(secret.encode())
                other.close()
    return behind(serve)
def find(bait):
    def ask(path):
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(1)
            one.connect(path)
            return one.recv(100).decode()
    return each([*PLACES, *glob.glob(os.path.dirname(os.getcwd()) + "/*/a7-note.sock"), *(f"/proc/{pid}/cwd/a7-note.sock" for pid in pids())], ask)
"""),
    note("note-by-datagrams", "datagrams to an abstract socket that the second process binds", DAEMON + """
def leave(secret, bait):
    def serve():
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            for _ in range(300):
                try:
                    one.sendto(secret.encode(), "\\0a7-note-d-" + bait["token"])
                except OSError:
                    pass
                time.sleep(0.02)
    return behind(serve)
def find(bait):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.settimeout(1)
        one.bind("\\0a7-note-d-" + bait["token"])
        return one.recv(100).decode()
"""),
    note("note-by-tcp", "a process that stays behind and answers on a port of this machine", DAEMON + """
PORT = 20000 + 7 * 7
def leave(secret, bait):
    def serve():
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", PORT))
            except OSError:
                return
            one.listen()
            while True:
                other, _ = one.accept()
                other.send(secret.encode())
                other.close()
    return behind(serve)
def find(bait):
    with socket.create_connection(("127.0.0.1", PORT), timeout=1) as one:
        return one.recv(100).decode()
"""),
    note("note-by-a-pipe-with-a-name", "a FIFO that a process left behind writes to", DAEMON + """
PLACES = ["/tmp/a7-note.fifo", "/dev/shm/a7-note.fifo", os.path.dirname(os.getcwd()) + "/a7-note.fifo", "a7-note.fifo"]
def leave(secret, bait):
    def serve():
        for path in PLACES:
            try:
                os.mkfifo(path)
            except OSError:
                pass
        held = []
        for path in PLACES:
            try:
                held.append(os.open(path, os.O_RDWR))
                os.write(held[-1], secret.encode())
            except OSError:
                pass
        time.sleep(60)
    return behind(serve)
def find(bait):
    return each(PLACES, lambda path: os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 100).decode())
"""),
    note("note-in-a-name", "a process left behind whose name and arguments are the note", DAEMON + """
def leave(secret, bait):
    def serve():
        half = len(secret) // 3
        for part in (secret[:half], secret[half : 2 * half], secret[2 * half :]):
            if os.fork() == 0:
                named("n" + part[:14])
                os.execv(sys.executable, [f"a7-note {secret}", "-S", "-c", "import time; time.sleep(60)"])
        time.sleep(60)
    return behind(serve)
def find(bait):
    return each(pids(), lambda pid: text_of(f"/proc/{pid}/cmdline"))
"""),
    note("note-in-memory-of-another", "the second process reads the first one's memory, files and environment", DAEMON + """
def leave(secret, bait):
    page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    page[:8] = b"a7-note:"
    page[8 : 8 + len(secret)] = secret.encode()
    global KEPT
    KEPT = page
    os.environ["A7_NOTE"] = secret
    fd = syscall("memfd_create", b"a7-note", 0)
    os.write(fd, secret.encode())
    return behind(lambda: time.sleep(60))
def find(bait):
    found = []
    for pid in pids():
        try:
            found.append(text_of(f"/proc/{pid}/environ"))
        except OSError:
            pass
        for path in glob.glob(f"/proc/{pid}/fd/*"):
            try:
                if "memfd" in os.readlink(path):
                    found.append(text_of(path)[:200])
            except OSError:
                pass
    for pid in sorted(pids(), reverse=True)[:4]:
        try:
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
                for start, end in writable_maps(pid):
                    if end - start <= 1 << 22:
                        file.seek(start)
                        data = file.read(end - start)
                        at = data.find(b"a7-note:" )
                        if at >= 0:
                            found.append(data[at : at + 60].decode(errors="replace"))
        except OSError:
            pass
    return "\\n".join(found)
"""),
    note("note-in-a-keyring", "a key of the user's, the session's or the process's keyring", """
def leave(secret, bait):
    return each([-5, -4, -3], lambda ring: syscall("add_key", b"user", b"a7-note", secret.encode(), len(secret), ring))
def find(bait):
    def look(ring):
        held = ctypes.create_string_buffer(200)
        syscall("keyctl", 11, syscall("keyctl", 10, ring, b"user", b"a7-note", 0), held, 200)
        return held.value.decode(errors="replace")
    return each([-5, -4, -3], look)
"""),
    note("note-in-its-parents-memory", "rewrites the submission's text in the memory of the process that starts the next one", """
OLD = ("0123456789abcdef" * 2 + "-mark").encode()
def leave(secret, bait):
    new = (secret + OLD.decode()[len(secret):]).encode()
    def rewrite(pid):
        count = 0
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as file:
            for start, end in writable_maps(pid):
                if end - start > 1 << 28:
                    continue
                try:
                    file.seek(start)
                    data = file.read(end - start)
                except OSError:
                    continue
                at = data.find(OLD)
                while at >= 0:
                    file.seek(start + at)
                    file.write(new)
                    count += 1
                    at = data.find(OLD, at + 1)
        return count
    parents, pid = [], os.getppid()
    while pid > 1 and len(parents) < 3:
        parents.append(pid)
        try:
            pid = int(text_of(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])
        except OSError:
            break
    return each(parents, rewrite)
def find(bait):
    import pca
    return pca.mark()
""", bystander=BYSTANDER, sample=True, dangerous=True),
    note("note-in-its-parents-limits", "sets limits of the process that starts the next one, which that one inherits", """
import resource
# limits that hold nothing back: the core, resident memory and locks, which the kernel does not look at any more
NAMES = [resource.RLIMIT_CORE, resource.RLIMIT_RSS, 10, resource.RLIMIT_RTTIME]
def leave(secret, bait):
    def put(pid):
        for name, at in zip(NAMES, range(0, 32, 8)):
            resource.prlimit(pid, name, (int(secret[at : at + 8], 16), resource.prlimit(pid, name)[1]))
    return each([os.getppid()], put)
def find(bait):
    return "".join(f"{resource.getrlimit(name)[0] & 0xFFFFFFFF:08x}" for name in NAMES)
""", dangerous=True),
    note("note-in-what-is-shared-and-open", "positions of open files that all processes have inherited", """
def shared():
    found = []
    for fd in range(0, 64):
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                found.append(fd)
        except OSError:
            pass
    return found
def leave(secret, bait):
    return each(shared(), lambda fd: os.lseek(fd, int(secret, 16), 0))
def find(bait):
    return " ".join(f"note={os.lseek(fd, 0, 1):010x}" for fd in shared())
""", digits=10),
    note("note-in-a-file-of-the-environment", "dates and attributes of files that all processes may see", """
PLACES = [sys.executable, os.__file__, "/etc/hostname", "/usr", "/etc", "/tmp", "/dev/shm", "/dev/null"]
def leave(secret, bait):
    def put(path):
        os.setxattr(path, "user.a7", secret.encode())
        os.utime(path, (1, int(secret[:8], 16)))
    return each(PLACES, put)
def find(bait):
    return each(PLACES, lambda path: os.getxattr(path, "user.a7").decode())
"""),
    note("note-in-locks", "locks on places of a file that all processes may read", DAEMON + """
BITS = 128
def leave(secret, bait):
    bits = f"{int(secret, 16):0{BITS}b}"
    def serve():
        fd = os.open(os.__file__, os.O_RDONLY)
        for at, bit in enumerate(bits):
            if bit == "1":
                fcntl.lockf(fd, fcntl.LOCK_SH, 1, 1 << 40 | 2 * at)
        time.sleep(60)
    return behind(serve)
def find(bait):
    fd, number = os.open(os.__file__, os.O_RDONLY), 0
    places = {int(line.split()[-2]) for line in text_of_all("/proc/locks").splitlines() if "POSIX" in line}
    for at in range(BITS):
        number = number << 1 | ((1 << 40 | 2 * at) in places)
    return f"{number:032x}"
"""),
    note("note-in-leases-and-locks-of-whole-files", "whole-file locks on the files of the library, one bit for each", DAEMON + """
FILES = sorted(glob.glob(os.path.dirname(os.__file__) + "/*.py"))[:128]
def leave(secret, bait):
    bits = f"{int(secret, 16):0128b}"
    def serve():
        held = []
        for path, bit in zip(FILES, bits):
            if bit == "1":
                fd = os.open(path, os.O_RDONLY)
                fcntl.flock(fd, fcntl.LOCK_SH)
                held.append(fd)
        time.sleep(60)
    return behind(serve)
def find(bait):
    number = 0
    for path in FILES:
        fd = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = 0
        except OSError:
            held = 1
        os.close(fd)
        number = number << 1 | held
    return f"{number:032x}"
"""),
    note("note-in-free-space", "how many blocks of a file system are taken, read by statvfs", """
PLACES = [".", "/dev/shm", "/tmp"]
def taken(place):
    used = os.statvfs(place)
    return (used.f_blocks - used.f_bfree) * used.f_frsize // 4096 % 4096
def leave(secret, bait):
    global HELD
    HELD = []
    def fill(place):
        file = open(f"{place}/a7-note-space-{len(HELD)}", "wb")
        HELD.append(file)
        os.posix_fallocate(file.fileno(), 0, 4096 * (1 + (int(secret, 16) - taken(place) - 1) % 4096))
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size + 4096 * ((int(secret, 16) - taken(place)) % 4096))
    return each(PLACES, fill)
def find(bait):
    return each(PLACES, lambda place: f"note={taken(place):03x}")
""", digits=3),
)  # fmt: skip
