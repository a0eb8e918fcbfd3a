"""A process that has imported the submission once, and forks the processes of checks from there.

An import costs as much as a check; here it is paid once. It first imports the files one by one and says which one it
is at, so that the grader knows what a hang or a crash belongs to::

    {"importing": "vae"}   ...   {"ready": true, "threads": 1, "children": 0}

Then it answers ``{"op": "fork", ...}`` as the worker's parent does, with folders below its own, and
``{"op": "wait", "pid"}`` once that one has killed a child. It runs the submission's code: the grader believes nothing
of what it says. Where the import has started threads or processes, which a fork would not take along, the grader does
without it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from . import confine, processes, session, wire
from .importer import SubmissionFinder


def announce(
    control: socket.socket, request: Mapping[str, Any], sources: Mapping[str, str], aliases: Sequence[str],
    blocked: Mapping[str, str],
) -> None:  # fmt: skip
    """Imports the files one by one, and says which one it is at."""
    session.limit_memory(int(request["memory"]), hard=False)
    # everything of ours that the submission could replace on its way in
    pack, sendall = wire.pack, control.sendall
    SubmissionFinder(sources, aliases, blocked).install()
    for name in sources:
        sendall(pack({"importing": name}, {}))
        # a file that fails is imported again, and fails again, in every check that needs it
        with contextlib.suppress(BaseException):
            session.load(name, sources)
    session.flush()
    sendall(pack({"ready": True, "threads": processes.threads(), "children": len(processes.children(os.getpid()))}, {}))


def run(
    control: socket.socket, request: Mapping[str, Any], sources: Mapping[str, str], aliases: Sequence[str],
    blocked: Mapping[str, str], rules: Mapping[str, Any],
) -> None:  # fmt: skip
    """Imports, then serves."""
    fork, waited, freeze = processes.fork, processes.ended, gc.freeze  # which the submission could replace, as above
    root, enter = os.getcwd(), confine.enter
    announce(control, request, sources, aliases, blocked)

    def answer(asked: dict[str, Any], fds: list[int]) -> Mapping[str, Any]:
        if asked["op"] == "wait":
            return waited(int(asked["pid"]))
        data, output = fds
        freeze()

        folder = os.path.join(root, os.path.basename(str(asked["folder"])))

        def serve() -> None:
            session.run(socket.socket(fileno=data), asked, sources, aliases, blocked, installed=True)

        def give_up() -> None:
            control.close()
            enter(rules.get("check", {}), folder=folder, cpu=int(asked["cpu"]))

        return {"pid": fork(serve, output, folder, give_up)}

    with contextlib.suppress(EOFError, ConnectionError):
        processes.serve(control, wire.reader(control.recv, most=1), answer)
