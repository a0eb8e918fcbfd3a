"""The worker's parent: imports torch once, then forks a clean child for every check.

Started as ``python -I grader/worker CONTROL_FD``. It never imports a line of the submission itself; it holds the
submission's text and hands it to each child. Requests arrive on the control socket as frames (see `wire`), and a
request to fork brings two file descriptors along, the child's data socket and its output pipe:

* ``{"op": "preload", "modules": [...]}`` imports libraries that the submission uses, so that no check pays for them
* ``{"op": "submission", "sources": {name: text}, "aliases": [...]}`` replaces the submission
* ``{"op": "fork", "seed", "threads", "memory"}`` starts a child and answers ``{"pid": ...}``
* ``{"op": "reap", "pid": ...}`` kills that child and everything it started, answers ``{"signal", "exit"}``

Every answer repeats the request's nonce. End of file on the control socket ends the worker.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import signal
import socket
import sys
import tempfile

# this folder is on sys.path because python was started with it: take it away again once its modules are loaded, so
# that a submission finds nothing of ours by name
_HERE = sys.path.pop(0) if sys.path and os.path.basename(sys.path[0]) == "worker" else os.path.dirname(__file__)
sys.path.insert(0, os.path.dirname(_HERE))
from worker import session, wire  # type: ignore[import-not-found]  # noqa: E402

sys.path.pop(0)

import torch  # noqa: E402
import torch._dynamo  # noqa: E402  creating an optimizer imports it: 2 s that every training check would pay
import torch.utils.checkpoint  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25
HUGE_PAGE = 1 << 21


def read_exactly(sock: socket.socket, size: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < size:
        chunk = sock.recv(min(size - len(chunks), 1 << 20))
        if not chunk:
            raise EOFError
        chunks += chunk
    return bytes(chunks)


def become_subreaper() -> None:
    """Grandchildren that a check leaves behind come to us, so that they can be killed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def gather_memory() -> None:
    """Puts our memory into huge pages, where Linux can (6.1 and later): a fork then copies one entry in place of 512.

    Most of a fork is the copying of page tables. This halves what the kernel does for a check, 40 ms of 90.
    """
    with contextlib.suppress(OSError, AttributeError), open("/proc/self/maps") as listing:
        madvise = ctypes.CDLL(None).madvise
        for line in listing.read().splitlines():
            addresses, permissions, *_, name = [*line.split(maxsplit=5), ""][:6]
            if "w" not in permissions or name not in ("", "[heap]"):
                continue
            start, end = (int(word, 16) for word in addresses.split("-"))
            start, end = -(-start // HUGE_PAGE) * HUGE_PAGE, end // HUGE_PAGE * HUGE_PAGE
            for advice in (MADV_HUGEPAGE, MADV_COLLAPSE):
                if start < end:
                    madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice)


def children() -> list[int]:
    """Our own children, adopted ones included (Linux; elsewhere only the process group is killed)."""
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as listing:
        return [int(word) for word in listing.read().split()]
    return []


class Zygote:
    """Holds the submission's text and forks children."""

    def __init__(self, control: socket.socket, root: str) -> None:
        self.control = control
        self.root = root
        self.sources: dict[str, str] = {}
        self.aliases: list[str] = []
        self.forked: set[int] = set()  # checks' processes not reaped yet: a check may have several at a time

    def serve(self) -> None:
        while True:
            # the descriptors ride on the one byte that opens every request
            opening, fds, _, _ = socket.recv_fds(self.control, 1, 2)
            if not opening:
                return
            request, _ = wire.read_frame(lambda n: read_exactly(self.control, n))
            answer = self.answer(request, list(fds))
            for fd in fds:
                os.close(fd)
            self.control.sendall(wire.pack({"nonce": request["nonce"], **answer}, {}))

    def answer(self, request: dict[str, object], fds: list[int]) -> dict[str, object]:
        match request["op"]:
            case "preload":
                for name in request["modules"]:  # type: ignore[attr-defined]
                    with contextlib.suppress(ImportError):
                        importlib.import_module(name)
                if request["modules"]:
                    gather_memory()
                return {}
            case "submission":
                self.sources = request["sources"]  # type: ignore[assignment]
                self.aliases = request["aliases"]  # type: ignore[assignment]
                return {}
            case "fork":
                gc.freeze()  # a collection in the child would copy every page that we share: 0.2 s
                return {"pid": self.fork(request, fds)}
            case "reap":
                return self.reap(int(request["pid"]))  # type: ignore[call-overload]
            case other:
                raise wire.ProtocolError(f"unknown request {other!r}")

    def fork(self, request: dict[str, object], fds: list[int]) -> int:
        data, output = fds
        pid = os.fork()
        if pid:
            self.forked.add(pid)
            return pid
        code = 70
        try:
            os.setsid()
            self.control.close()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            os.chdir(tempfile.mkdtemp(dir=self.root, prefix=f"{os.getpid()}-"))
            session.run(socket.socket(fileno=data), request, self.sources, self.aliases)
            code = 0
        finally:
            os._exit(code)  # not sys.exit: the child must never run the parent's code

    def reap(self, pid: int) -> dict[str, object]:
        self.forked.discard(pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        try:
            _, status = os.waitpid(pid, 0)
        except ChildProcessError:
            return {"signal": None, "exit": None}
        for _ in range(1000):  # whatever is left was adopted from the child: kill until nothing is
            orphans = [child for child in children() if child not in self.forked]
            if not orphans:
                break
            for orphan in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(orphan, 0)
        if os.WIFSIGNALED(status):
            return {"signal": os.WTERMSIG(status), "exit": None}
        return {"signal": None, "exit": os.WEXITSTATUS(status)}


def main() -> None:
    become_subreaper()
    torch.set_num_threads(1)
    sys.modules["grader"] = None  # type: ignore[assignment]  # the trusted side is not importable in here
    gather_memory()
    control = socket.socket(fileno=int(sys.argv[1]))
    with contextlib.suppress(EOFError, ConnectionError):
        Zygote(control, os.getcwd()).serve()


if __name__ == "__main__":
    main()
