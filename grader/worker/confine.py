"""What a process of the untrusted side gives up, in place and for good, before it runs a line of a submission.

The rules come as plain JSON from the trusted end, which knows the machine (see `grader.boundary.box.rules`)::

    {"limits": {"nofile": 512, ...}, "dumpable": false,
     "syscalls": [[errno, name, [[argument, comparison, value, value], ...]], ...],
     "files": {"readable": [path, ...], "writable": [path, ...]}}

The box shows a worker its Python and one folder. Every check's process gives up more after its fork: of the files all
but Python and a folder of its own, of the processes all but those that it starts.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import processes

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
GRACE = 2  # seconds between the signal that says which limit it was and the one that cannot be caught
SAME = "self"  # in a rule: the number of the process that gives something up
Rules = Mapping[str, Any]


def get_ready(rules: Rules) -> None:
    """Imports what `enter` needs once, for all processes that are forked from this one: 12 ms of each."""
    if rules.get("files"):
        import sandlock  # noqa: F401
    if rules.get("syscalls"):
        import pyseccomp  # noqa: F401


def enter(rules: Rules, *, folder: str = "", **limits: int) -> None:
    """Gives up what the rules say. `folder` stays writable, `limits` come on top of those in the rules."""
    confine = landlock(rules["files"], folder) if rules.get("files") else None
    for name, most in {**rules.get("limits", {}), **limits}.items():
        lower(name, most)
    if "dumpable" in rules:
        processes.prctl(PR_SET_DUMPABLE, int(rules["dumpable"]))
    if confine is not None:
        confine()
    if rules.get("syscalls"):
        processes.prctl(PR_SET_NO_NEW_PRIVS, 1)
        seccomp(rules["syscalls"])


def lower(name: str, most: int) -> None:
    """A limit of the kernel's, as low as that; one that is lower already stays."""
    kind = getattr(resource, f"RLIMIT_{name.upper()}", None)
    if kind is None:
        return
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    last = most + GRACE if name == "cpu" and (hard == resource.RLIM_INFINITY or most + GRACE <= hard) else most
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (most, last))


def landlock(files: Mapping[str, Sequence[str]], folder: str) -> Callable[[], None]:
    """What confines us to these files, and to signals and abstract sockets of what is confined with us."""
    import sandlock

    own = f"/proc/{os.getpid()}"
    readable = [own if path == "/proc/self" else path for path in files["readable"]]
    policy = sandlock.Sandbox(fs_readable=readable, fs_writable=[*files["writable"], *filter(None, [folder])])
    return lambda: sandlock.confine(policy)


def seccomp(rules: Sequence[Sequence[Any]]) -> None:
    """System calls that are refused from now on."""
    import pyseccomp

    refusing = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for errno, name, arguments in rules:
        refusing.add_rule(
            pyseccomp.ERRNO(errno), name,
            *[pyseccomp.Arg(at, how, os.getpid() if one == SAME else one, two) for at, how, one, two in arguments],
        )  # fmt: skip
    refusing.load()
