"""The worker's parent: imports torch once, then forks a process for every check.

Started as ``python grader/worker CONTROL_FD RULES``. It never imports a line of the submission itself; it holds the
submission's text and hands it to its children. RULES is JSON, what itself and its children give up (see `confine`) and
how traces are removed. Requests arrive on the control socket as frames (see `wire`), and a request to fork brings two
file descriptors along, the child's data socket and its output pipe:

* ``{"op": "preload", "modules": [...]}`` imports libraries that the submission uses, so that no check pays for them
* ``{"op": "submission", "sources": {name: text}, "aliases": [...], "blocked": {name: why}}`` replaces the submission
* ``{"op": "fork", "seed", "threads", "memory", "cpu", "folder", "sealed"}`` starts a child and answers
  ``{"pid": ...}``; before a sealed one starts, all others are ended and their files removed
* ``{"op": "nursery", "memory", "cpu", "folder"}`` starts a child that imports the submission and forks in our place
  (`nursery`)
* ``{"op": "reap", "pid": ..., "folder": ...}`` kills a child, or a child of the nursery, and everything that it
  started, removes its folder, and answers ``{"signal", "exit"}``
* ``{"op": "usage"}`` answers our ``pid``, and ``temp``, the bytes that lie in our folder and in shared memory

Every answer repeats the request's nonce. End of file on the control socket ends the worker and all its children.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

# this folder is on sys.path because python was started with it: take it away again once its modules are loaded, so
# that a submission finds nothing of ours by name
_HERE = sys.path.pop(0) if sys.path and os.path.basename(sys.path[0]) == "worker" else os.path.dirname(__file__)
sys.path.insert(0, os.path.dirname(_HERE))
# what imports make is to stay: looking for what is not takes a tenth of torch's import, a third of dynamo's
gc.disable()
from worker import confine, processes  # type: ignore[import-not-found]  # noqa: E402

RULES = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
confine.enter(RULES.get("worker", {}))  # before anything else is imported

from worker import by_value, nursery, session, shared, wire  # noqa: E402

sys.path.pop(0)

import torch  # noqa: E402
import torch.utils.checkpoint  # noqa: E402

gc.enable()
REAP_SECONDS, MANY = 20.0, 100  # on a machine that has no time for us, too


class Zygote:
    """Holds the submission's text and forks children."""

    def __init__(self, control: socket.socket, root: str, rules: Mapping[str, Any]) -> None:
        self.control = control
        self.root, self.rules = root, rules
        self.sources: dict[str, str] = {}
        self.aliases: list[str] = []
        self.blocked: dict[str, str] = {}
        self.forked: set[int] = set()  # our own children that run: a check may have several at a time
        self.nurseries: set[int] = set()  # those of them that fork in our place

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
            case "usage":
                return {"pid": os.getpid(), "temp": self.temporary()}
            case other:
                raise wire.ProtocolError(f"unknown request {other!r}")

    def fork(self, request: dict[str, Any], data: int, output: int) -> int:
        if request.get("sealed"):
            self.close()
            for name in os.listdir(self.root):
                processes.sweep(os.path.join(self.root, name))
        folder = self.folder(request["folder"])

        def run() -> None:
            if request["op"] == "fork":
                session.run(socket.socket(fileno=data), request, self.sources, self.aliases, self.blocked)
            else:
                nursery.run(socket.socket(fileno=data), request, self.sources, self.aliases, self.blocked, self.rules)

        def give_up() -> None:
            self.control.close()
            confine.enter(self.rules.get("check", {}), folder=folder, cpu=int(request["cpu"]))

        pid = int(processes.fork(run, output, folder, give_up))
        self.forked.add(pid)
        if request["op"] == "nursery":
            self.nurseries.add(pid)
        return pid

    def folder(self, name: str) -> str:
        """Of a check, or of a check that a nursery has forked: below the nursery's."""
        return os.path.join(self.root, *[part for part in name.split("/") if part not in ("", ".", "..")])

    def temporary(self) -> int:
        """Bytes in files; where the box has file systems of its own these know it at once."""
        if self.rules.get("own_tmp"):
            usages = [shutil.disk_usage(folder) for folder in (self.root, shared.FOLDER)]
            return sum(usage.used for usage in usages)
        return int(processes.used(self.root))

    def reap(self, pid: int, folder: str) -> dict[str, Any]:
        found: dict[str, Any] = {"signal": None, "exit": None}
        if pid in self.forked:
            self.forked.discard(pid)
            self.nurseries.discard(pid)
            for process in (pid, *processes.descendants(pid)):  # one of these may keep another from ending
                processes.kill(process)
            found = dict(processes.ended(pid))
        elif any(pid in processes.children(child) for child in self.nurseries):
            processes.kill_another(pid)  # no other: a number that the nursery says is not believed
        if not self.kill_orphans():
            found["stuck"] = 1
        processes.sweep(self.folder(folder))
        if self.rules.get("own_shm") and not self.forked - self.nurseries:
            shared.sweep()
        return found

    def kill_orphans(self) -> bool:
        """Whatever was adopted from a child; whether nothing is left of it."""
        until, passes = time.monotonic() + REAP_SECONDS, 0
        while orphans := [child for child in processes.children(os.getpid()) if child not in self.forked]:
            if time.monotonic() > until:
                return False
            passes += 1
            if passes > MANY and self.rules.get("alone"):  # what forks faster than it is found
                processes.kill_all()
            for orphan in orphans:
                for process in (orphan, *processes.descendants(orphan)):
                    processes.kill(process)
                processes.ended(orphan, 0.05)
        return True

    def close(self) -> None:
        for pid in self.forked:
            for process in (pid, *processes.descendants(pid)):
                processes.kill(process)
        self.forked.clear()
        self.nurseries.clear()
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
    if RULES.get("by_value"):
        with open(by_value.__file__, encoding="utf-8") as file:
            by_value.install(file.read())
    confine.get_ready(RULES.get("check", {}))
    processes.gather_memory()
    zygote = Zygote(control, os.getcwd(), RULES)
    with contextlib.suppress(EOFError, ConnectionError):
        zygote.serve()
    zygote.close()
    os._exit(0)  # nothing is left to be tidied up, and what waits for us waits no longer than it must


if __name__ == "__main__":
    serve()
