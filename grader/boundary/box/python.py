"""The interpreter that runs in a box, the files it needs, and the variables it gets."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from pathlib import Path

WORKER = Path(__file__).parent.parent.parent / "worker"
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")  # what Python's own libraries are linked to
CORES = ("/sys/devices/system/cpu", "/sys/devices/system/node")  # torch counts them
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SETTINGS = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime")
# of our variables; without the last one Windows opens no socket
KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "SYSTEMROOT")


def interpreter(worker: str) -> list[str]:
    """The command that starts the worker lying at `worker`.

    Not isolated (-I): the hash seed of `environment` would be ignored, and names in sets would have another order in
    every process. What -I keeps out is not in that environment.
    """
    return [sys.executable, "-P", "-s", "-B", worker]


def environment(home: str) -> dict[str, str]:
    """The few variables a worker needs. One thread per library: forking after a threaded operation hangs the child.

    What the student's code may start for itself must sleep while it waits: threads that spin, which is the default,
    made the same training take ten times as long when other processes used the cores (186 s against 17 s).
    """
    kept = {k: v for k, v in os.environ.items() if k in KEPT}
    return kept | {"HOME": home, "TMPDIR": home, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                   "OMP_WAIT_POLICY": "PASSIVE", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "MPLBACKEND": "Agg",
                   "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
                   # the heap in huge pages from the start: torch's import takes a third fewer page faults
                   "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # fmt: skip


@functools.cache
def folders() -> tuple[str, ...]:
    """Folders besides the system's from which this Python, its packages and their libraries are loaded."""
    found = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    found |= {folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if os.path.isdir(folder)}
    found |= libraries()
    kept = sorted(os.path.abspath(folder) for folder in found)

    def shown_by(outer: str, folder: str) -> bool:
        return folder.startswith(f"{outer}/") or (
            folder != outer and os.path.realpath(folder).startswith(f"{os.path.realpath(outer)}/")
        )

    return tuple(folder for folder in kept if folder not in SYSTEM and not any(
        shown_by(outer, folder) for outer in (*SYSTEM, *kept)))  # fmt: skip


def libraries() -> set[str]:
    """Folders, called so, of the libraries that this process has loaded: a cluster has them anywhere."""
    found = set()
    with contextlib.suppress(OSError), open("/proc/self/maps") as listing:
        for line in listing:
            folder, _, name = line.rstrip("\n").partition("/")[2].rpartition("/")
            if ".so" in name and os.path.basename(folder) in ("lib", "lib64"):
                found.add(f"/{folder}")
    return found
