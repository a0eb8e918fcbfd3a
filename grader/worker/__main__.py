"""The worker's parent: imports torch once, then forks a process for every check.

Started as ``python grader/worker CONTROL_FD``. It never imports a line of the submission itself; it holds the
submission's text and hands it to its children. Requests arrive on the control socket as frames (see `wire`), and a
request to fork brings two file descriptors along, the child's data socket and its output pipe:

* ``{"op": "preload", "modules": [...]}`` imports libraries that the submission uses, so that no check pays for them
* ``{"op": "submission", "sources": {name: text}, "aliases": [...], "blocked": {name: why}}`` replaces the submission
* ``{"op": "fork", "seed", "threads", "memory", "folder"}`` starts a child and answers ``{"pid": ...}``
* ``{"op": "nursery", "memory", "folder"}`` starts a child that imports the submission and forks in our place
  (`nursery`)
* ``{"op": "reap", "pid": ..., "folder": ...}`` kills a child, or a child of the nursery, and everything that it
  started, removes its folder, and answers ``{"signal", "exit"}``

Every answer repeats the request's nonce. End of file on the control socket ends the worker and all its children.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import socket
import sys
from typing import Any

# this folder is on sys.path because python was started with it: take it away again once its modules are loaded, so
# that a submission finds nothing of ours by name
_HERE = sys.path.pop(0) if sys.path and os.path.basename(sys.path[0]) == "worker" else os.path.dirname(__file__)
sys.path.insert(0, os.path.dirname(_HERE))
# what imports make is to stay: looking for what is not takes a tenth of torch's import, a third of dynamo's
gc.disable()
from worker import nursery, processes, session, wire  # type: ignore[import-not-found]  # noqa: E402

sys.path.pop(0)

import torch  # noqa: E402
import torch.utils.checkpoint  # noqa: E402

gc.enable()


class Zygote:
    """Holds the submission's text and forks children."""

    def __init__(self, control: socket.socket, root: str) -> None:
        self.control = control
        self.root = root
        self.sources: dict[str, str] = {}
        self.aliases: list[str] = []
        self.blocked: dict[str, str] = {}
        self.forked: set[int] = set()  # our own children that run: a check may have several at a time

    def serve(self) -> None:
        read = wire.reader(self.control.recv, most=1)
        processes.serve(self.control, read, self.answer)

    def answer(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        match request["op"]:
            case "preload":
                gc.disable()
                for name in request["modules"]:
                    with contextlib.suppress(ImportError):
                        importlib.import_module(name)
                gc.enable()
                processes.gather_memory()
                return {}
            case "submission":
                self.sources, self.aliases = request["sources"], request["aliases"]
                self.blocked = request["blocked"]
                return {}
            case "fork" | "nursery":
                gc.freeze()  # a collection in the child would copy every page that we share: 0.2 s
                return {"pid": self.fork(request, *fds)}
            case "reap":
                return self.reap(int(request["pid"]), str(request["folder"]))
            case other:
                raise wire.ProtocolError(f"unknown request {other!r}")

    def fork(self, request: dict[str, Any], data: int, output: int) -> int:
        def run() -> None:
            self.control.close()
            serve = session.run if request["op"] == "fork" else nursery.run
            serve(socket.socket(fileno=data), request, self.sources, self.aliases, self.blocked)

        pid: int = processes.fork(run, output, self.folder(request["folder"]))
        self.forked.add(pid)
        return pid

    def folder(self, name: str) -> str:
        return os.path.join(self.root, os.path.basename(name))

    def reap(self, pid: int, folder: str) -> dict[str, Any]:
        found: dict[str, Any] = {"signal": None, "exit": None}
        if pid in self.forked:
            processes.kill(pid)
            found = dict(processes.ended(pid))
            self.forked.discard(pid)
        elif any(pid in processes.children(child) for child in self.forked):
            processes.kill_another(pid)  # no other: a number that the nursery says is not believed
        self.kill_orphans()
        processes.sweep(self.folder(folder))
        return found

    def kill_orphans(self) -> None:
        """Whatever was adopted from a child: until nothing is left."""
        for _ in range(1000):
            orphans = [child for child in processes.children(os.getpid()) if child not in self.forked]
            if not orphans:
                return
            for orphan in orphans:
                processes.kill(orphan)
                processes.ended(orphan)

    def close(self) -> None:
        for pid in self.forked:
            processes.kill(pid)
        self.forked.clear()
        self.kill_orphans()


def serve() -> None:
    processes.become_subreaper()
    torch.set_num_threads(1)
    sys.modules["grader"] = None  # type: ignore[assignment]  # the trusted side is not importable in here
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.argv[:] = ["submission"]  # arguments of ours are none of the submission's
    main = sys.modules["__main__"]  # what a submission spawns must not run us again
    main.__spec__ = None
    del main.__file__
    processes.gather_memory()
    zygote = Zygote(control, os.getcwd())
    with contextlib.suppress(EOFError, ConnectionError):
        zygote.serve()
    zygote.close()


if __name__ == "__main__":
    serve()
