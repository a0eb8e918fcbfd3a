"""What lies outside the box for an attack to find: files, listeners, a process, memory, keys. And what becomes of it."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import mmap
import os
import resource
import secrets
import selectors
import shutil
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

LEFT = "a7-left"  # the name that an attack gives to a process which is to outlive its check
KEPT_BYTES = b"untouched"
# of a run, so that it can clear away what an attack has left lying by ending whoever would have cleared it away
PREFIX = f"a7-bait-{os.environ.get('A7_RUN', 'alone')}-"
SHARED = ("/dev/shm", "/var/tmp", str(Path.home()))
VICTIM = """
import ctypes, sys
kept = ctypes.create_string_buffer(sys.argv[1].encode(), 64)
secret = ctypes.create_string_buffer(sys.argv[2].encode() + b"-in-memory", 64)
print(ctypes.addressof(kept), ctypes.addressof(secret), flush=True)
for line in sys.stdin:
    print(kept.value.decode(errors="replace"), flush=True)
"""
LIBC = ctypes.CDLL(None, use_errno=True)
SYS_ADD_KEY, SYS_KEYCTL = {"x86_64": (248, 250), "aarch64": (217, 219)}.get(os.uname().machine, (0, 0))
KEYCTL_INVALIDATE, USER_KEYRING = 21, -4
IPC_CREAT, IPC_RMID = 0o1000, 0


class Listeners:
    """Sockets of ours that nobody should reach. Whoever does gets the secret."""

    def __init__(self, folder: Path, secret: str) -> None:
        self.secret = secret
        self.reached: list[str] = []
        self.selector = selectors.DefaultSelector()
        self.abstract = f"a7-bait-{secrets.token_hex(6)}"
        self.path = folder / "listens.sock"
        self.ports: dict[str, int] = {}
        for name, family, address in (
            ("TCP", socket.AF_INET, ("127.0.0.1", 0)),
            ("TCP over IPv6", socket.AF_INET6, ("::1", 0)),
            ("abstract socket", socket.AF_UNIX, "\0" + self.abstract),
            ("socket with a path", socket.AF_UNIX, str(self.path)),
        ):
            self._listen(name, family, socket.SOCK_STREAM, address)
        self._listen("UDP", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self._listen("abstract datagram", socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self.abstract}-datagram")
        self.path.chmod(0o777)
        self.wake, woken = socket.socketpair()
        self.selector.register(woken, selectors.EVENT_READ, "")
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _listen(self, name: str, family: int, kind: int, address: Any) -> None:
        try:
            listener = socket.socket(family, kind)
            listener.bind(address)
        except OSError:
            return  # no IPv6 here
        if kind == socket.SOCK_STREAM:
            listener.listen(16)
        if family != socket.AF_UNIX:
            self.ports[name] = listener.getsockname()[1]
        self.selector.register(listener, selectors.EVENT_READ, name)

    def _serve(self) -> None:
        while True:
            for key, _ in self.selector.select():
                if not key.data:
                    return
                listener = key.fileobj
                assert isinstance(listener, socket.socket)
                with contextlib.suppress(OSError):
                    if listener.type == socket.SOCK_DGRAM:
                        listener.recv(1 << 16)
                    else:
                        connection, _ = listener.accept()
                        connection.settimeout(0.5)
                        with connection, contextlib.suppress(OSError):
                            connection.sendall(self.secret.encode())
                    self.reached.append(key.data)

    def close(self) -> None:
        """Ends the thread and the sockets."""
        self.wake.send(b"!")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self.wake.close()
        self.selector.close()


class Victim:
    """Another process of the same user, which has done nothing."""

    def __init__(self, secret: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", VICTIM, KEPT_BYTES.decode(), secret[::-1]], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={"PATH": os.environ.get("PATH", ""), "A7_VICTIM": f"{secret}-in-environment"},
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.address, self.secret_address = map(int, self.process.stdout.readline().split())
        self.settings = self._settings()

    def _settings(self) -> dict[str, Any]:
        watched = psutil.Process(self.process.pid)
        return {
            "niceness": watched.nice(),
            "cores": watched.cpu_affinity(),
            "open files": watched.rlimit(psutil.RLIMIT_NOFILE),
            "processor time": watched.rlimit(psutil.RLIMIT_CPU),
            "score": Path(f"/proc/{self.process.pid}/oom_score_adj").read_text().strip(),
        }

    def hurt(self) -> list[str]:
        """What has been done to it."""
        if self.process.poll() is not None:
            return [f"the process ended with {self.process.returncode}"]
        watched = psutil.Process(self.process.pid)
        with contextlib.suppress(OSError, psutil.Error):
            if watched.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
                return [f"the process is in state {watched.status()}"]
        found = [f"its {name}" for name, value in self._settings().items() if value != self.settings[name]]
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write("?\n")
            self.process.stdin.flush()
            if self.process.stdout.readline().strip() != KEPT_BYTES.decode():
                found.append("its memory")
        except OSError:
            found.append("it does not answer")
        return found

    def close(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.communicate()


class Baits:
    """Everything of one run. `bait` is what every attack is told: it knows where to look."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = secrets.token_hex(16)
        folder.chmod(0o755)
        self.bait: dict[str, Any] = {"folder": str(folder), "left": LEFT}
        for name, place in {"canary": "canary.txt", "other": "class/somebody/gaussians.py",
                            "report": "reports/somebody/report.json", "link": "to-canary"}.items():  # fmt: skip
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            if name == "link":
                path.symlink_to(folder / "canary.txt")
            else:
                path.write_text(f"# {self.secret}\n")
            self.bait[name] = str(path)
        self.shared = [self._elsewhere(place) for place in SHARED]
        self.bait["shared"] = [str(path) for path in self.shared]
        self._setuid()
        self.listeners = Listeners(folder, self.secret)
        self.bait |= {"ports": self.listeners.ports, "abstract": self.listeners.abstract,
                      "socket": str(self.listeners.path)}  # fmt: skip
        self.victim = Victim(self.secret)
        self._describe_victim()
        self.held = tempfile.TemporaryFile()  # noqa: SIM115  open as long as we are, without a name
        self.held.write(f"# {self.secret} without a name\n".encode())
        self.held.flush()
        self.page = mmap.mmap(-1, 4096)  # in our own memory, where an attack may look for it
        self.page[: len(self.secret)] = self.secret.encode()
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        self.bait |= {"held": self.held.fileno(), "pid": os.getpid(), "page": address,
                      "python": sysconfig.get_path("purelib")}  # fmt: skip
        self.segment = self._segment()
        self.key = self._key()
        self.bait |= {"segment": self.segment, "token": secrets.token_hex(8)}
        self.limits = {name: resource.getrlimit(name) for name in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)}
        self.cgroups = self._cgroups()
        self.names = os.uname()
        self.before = self.files()

    def _elsewhere(self, place: str) -> Path:
        handle, name = tempfile.mkstemp(prefix=PREFIX, dir=place)
        os.write(handle, f"# {self.secret}\n".encode())
        os.close(handle)
        return Path(name)

    def _setuid(self) -> None:
        """A file for root alone, and a program that would show it to anybody."""
        path, program = self.folder / "for-root.txt", self.folder / "cat"
        path.write_text(self.secret)
        path.chmod(0o600)
        shutil.copy(shutil.which("cat") or "/bin/cat", program)
        program.chmod(0o4755)
        self.bait |= {"for_root": str(path), "setuid": str(program)}

    def _describe_victim(self) -> None:
        self.bait |= {"victim": self.victim.process.pid, "address": self.victim.address,
                      "secret_address": self.victim.secret_address}  # fmt: skip

    def _segment(self) -> int:
        """The key of a System V segment that holds the secret."""
        key = secrets.randbelow(1 << 30) + 1
        LIBC.shmat.restype = ctypes.c_void_p
        self.shm = LIBC.shmget(key, 4096, IPC_CREAT | 0o666)
        if self.shm >= 0:
            address = LIBC.shmat(self.shm, None, 0)
            ctypes.memmove(address, self.secret.encode(), len(self.secret))
            LIBC.shmdt(ctypes.c_void_p(address))
        return key

    def _key(self) -> int:
        """A key of the user's keyring."""
        name = f"a7-bait-{secrets.token_hex(6)}"
        self.bait["key"] = name
        payload = self.secret.encode()
        return int(LIBC.syscall(SYS_ADD_KEY, b"user", name.encode(), payload, len(payload), USER_KEYRING))

    @staticmethod
    def _cgroups() -> set[str]:
        return {str(path) for path in Path("/sys/fs/cgroup").glob("**/a7-mine")}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not turn up."""
        return (self.secret, self.secret[::-1])

    def files(self) -> dict[str, str]:
        """A line for each file that an attack could change."""
        found = {}
        library = list(Path(self.bait["python"]).glob("*.pth"))
        for path in (*sorted(self.folder.rglob("*")), *self.shared, *library):
            with contextlib.suppress(FileNotFoundError):
                found[str(path)] = self._line(path)
        return found

    @staticmethod
    def _line(path: Path) -> str:
        how = path.lstat()
        words: list[Any] = [oct(how.st_mode), how.st_size, how.st_mtime_ns, how.st_uid, how.st_nlink, how.st_dev]
        if stat.S_ISREG(how.st_mode):
            words.append(hashlib.sha256(path.read_bytes()).hexdigest())
            words.append([(name, os.getxattr(path, name)) for name in sorted(os.listxattr(path))])
        return str(words)

    def changed(self) -> list[str]:
        """Files that are not as they were, settings of this machine that are not, our own limits."""
        now = self.files()
        found = [name for name in sorted({*now, *self.before}) if now.get(name) != self.before.get(name)]
        if (os.uname().nodename, os.uname().machine) != (self.names.nodename, self.names.machine):
            found.append("the name of this machine")
        found += sorted(self._cgroups() - self.cgroups)
        found += ["our own limits" for name, value in self.limits.items() if resource.getrlimit(name) != value]
        return found

    def left(self) -> list[str]:
        """Processes of an attack that run on."""
        found = []
        for process in psutil.process_iter(["name", "status", "pid"]):
            if process.info["name"].startswith(LEFT) and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(f"{process.info['name']} ({process.info['pid']})")
        return found

    def renew(self) -> None:
        """Everything as it was: for the next attack."""
        self.listeners.reached.clear()
        for process in psutil.process_iter(["name"]):
            if process.info["name"].startswith(LEFT):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        if self.victim.hurt():
            self.victim.close()
            self.victim = Victim(self.secret)
            self._describe_victim()
        if os.uname().nodename != self.names.nodename:
            name = self.names.nodename.encode()
            LIBC.sethostname(name, len(name))
        for kind, limit in self.limits.items():
            if resource.getrlimit(kind) != limit:
                resource.setrlimit(kind, limit)
        for group in self._cgroups() - self.cgroups:
            with contextlib.suppress(OSError):  # files of a control group cannot be removed, and go with it
                shutil.rmtree(group, ignore_errors=True)
                Path(group).rmdir()
        for path in (*Path(self.bait["python"]).glob("a7-*.pth"), *Path("/dev/shm").glob("a7-note*"),
                     *Path("/tmp").glob("a7-note*"), *Path("/var/tmp").glob("a7-note*")):  # fmt: skip
            with contextlib.suppress(OSError):
                path.unlink()

    def close(self) -> None:
        """Takes all of it away."""
        self.listeners.close()
        self.victim.close()
        self.held.close()
        for path in self.shared:
            path.unlink(missing_ok=True)
        if self.shm >= 0:
            LIBC.shmctl(self.shm, IPC_RMID, None)
        if self.key > 0:
            LIBC.syscall(SYS_KEYCTL, KEYCTL_INVALIDATE, self.key)


@contextlib.contextmanager
def laid_out() -> Iterator[Baits]:
    """Baits, and a folder for them."""
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder:
        baits = Baits(Path(folder))
        try:
            yield baits
        finally:
            baits.close()


def memory_of(processes: Mapping[int, psutil.Process]) -> int:
    """Bytes that these processes have for themselves or share with each other: what they weigh, together."""
    total = 0
    for process in processes.values():
        with contextlib.suppress(psutil.Error):
            total += int(process.memory_full_info().pss)
    return total


def clear_away(run: str) -> None:
    """What is left of a run's baits."""
    for place in (tempfile.gettempdir(), *SHARED):
        for path in Path(place).glob(f"a7-bait-{run}-*"):
            with contextlib.suppress(OSError):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
