"""What the attacks of the self-test aim at: made for it, and removed after it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from ..launch import GraderFault

LOOPBACK = "127.0.0.1"
VICTIM = "import sys; sys.stdout.write('!'); sys.stdout.flush(); sys.stdin.read()"


class Ward:
    """What the attacks aim at: a folder, listeners and a process of the grader's user, all made for this."""

    def __init__(self) -> None:
        self.secret = f"a7-canary-{secrets.token_hex(8)}"
        self.victim_secret = f"a7-victim-{secrets.token_hex(8)}"
        self.name = f"a7-note-{secrets.token_hex(8)}"
        self.folder = Path(tempfile.mkdtemp(prefix="a7-ward-"))
        self.folder.chmod(0o755)  # as other people's work usually lies there: anybody may read it
        self.canary = self.folder / "canary"
        self.canary.write_text(self.secret)
        self.private = self.folder / "private"
        self.private.write_text(self.secret)
        self.private.chmod(0o600)
        self.key = secrets.randbelow(2**30) + 1
        self.tcp, self.udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        self.abstract, self.path = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.listeners = (self.tcp, self.udp, self.abstract, self.path)
        self.tcp.bind((LOOPBACK, 0))
        self.udp.bind((LOOPBACK, 0))
        if sys.platform == "linux":  # others have no such names
            self.abstract.bind(f"\0{self.name}")
            self.abstract.listen()
        self.path.bind(str(self.folder / "socket"))
        (self.folder / "socket").chmod(0o777)
        for listener in self.listeners:
            listener.setblocking(False)  # whatever came has come when the attack has ended
        for stream in (self.tcp, self.path):
            stream.listen()
        try:
            self.victim = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", VICTIM, self.victim_secret], env={"A7_SECRET": self.victim_secret},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self.clear()
            raise GraderFault(f"the self-test cannot start this Python a second time: {error}") from error
        assert self.victim.stdout is not None
        self.victim.stdout.read(1)

    def __enter__(self) -> Ward:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.victim.kill()
        self.victim.communicate()
        self.clear()

    def clear(self) -> None:
        """Removes all that was made, and what attacks have left where no box held them."""
        for listener in self.listeners:
            listener.close()
        forget_shared(self.key, self.name)
        for folder in {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"}:
            with contextlib.suppress(OSError):
                Path(folder, self.name).unlink()
        shutil.rmtree(self.folder, ignore_errors=True)


def find_shared(key: int, name: str) -> str:
    """What of them the grader finds."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = ["a segment"] if libc.shmget(key, 0, 0) >= 0 else []
    with contextlib.suppress(AttributeError):
        number = libc.mq_open(f"/{name}".encode(), os.O_RDONLY)
        if number >= 0:
            os.close(number)
            found.append("a queue")
    return " and ".join(found)


def forget_shared(key: int, name: str) -> None:
    """Removes them where a box has let them out."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.shmget(key, 0, 0)
    if number >= 0:
        libc.shmctl(number, 0, None)
    with contextlib.suppress(AttributeError):
        libc.mq_unlink(f"/{name}".encode())
