"""One check's process where nothing is forked: it imports PyTorch, and then waits to be told what it is for.

Started as ``python grader/worker/spawned.py``, with one line of JSON on its standard input::

    {"port": 40123, "token": "8f0c...", "modules": ["scipy.linalg", ...]}

It imports the libraries, connects to that port of this machine, shows the token, and gets one frame: ``{"op", "seed",
"threads", "memory", "cpu", "folder", "sources", "aliases", "blocked"}``. With the op ``check`` it serves a check, as
what is forked does (`session`); with ``import`` it tries the files and says which one it is at, as a nursery does.
The line of its standard input stays open for as long as somebody wants it: where that ends, it ends.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import socket
import sys
import tempfile
import threading

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _HERE]
sys.path.insert(0, os.path.dirname(_HERE))
from worker import confine, nursery, session, wire  # type: ignore[import-not-found]  # noqa: E402

sys.path.pop(0)  # a submission finds nothing of ours by name

import torch  # noqa: E402
import torch.utils.checkpoint  # noqa: E402

LOOPBACK = "127.0.0.1"


def end_with(descriptor: int) -> None:
    """Waits for the end of what is open there, and ends this process."""
    with contextlib.suppress(OSError):
        while os.read(descriptor, 1):
            pass
    os._exit(1)


def settle(folder: str, cpu: int) -> None:
    """The folder becomes home, temporary files included; processor time has an end where the system knows one."""
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    for name in ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"):
        os.environ[name] = folder
    tempfile.tempdir = None
    confine.enter({}, cpu=cpu)


def serve() -> None:
    told = json.loads(sys.stdin.buffer.readline())
    standing = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)  # nobody types anything to a submission
    os.close(null)
    threading.Thread(target=end_with, args=(standing,), daemon=True).start()
    torch.set_num_threads(1)
    sys.modules["grader"] = None  # type: ignore[assignment]  # the trusted side is not importable in here
    sys.argv[:] = ["submission"]
    main = sys.modules["__main__"]  # what a submission spawns must not run us again
    main.__spec__ = None
    del main.__file__
    for name in told["modules"]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    own = socket.create_connection((LOOPBACK, told["port"]))
    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    own.sendall(told["token"].encode())
    request, _ = wire.read_frame(wire.reader(own.recv, most=1))  # what follows is another's to read
    settle(request["folder"], int(request["cpu"]))
    submission = request["sources"], request["aliases"], request["blocked"]
    if request["op"] == "import":
        nursery.announce(own, request, *submission)
    else:
        session.run(own, request, *submission)
    session.flush()
    os._exit(0)  # nothing is left to be tidied up


if __name__ == "__main__":
    serve()
