"""What processes of the untrusted side give up, as the plain JSON that `grader.worker.confine` obeys."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .python import CORES, DEVICES, SETTINGS, SYSTEM, folders

PROCESSES, OPEN_FILES, FILE_BYTES = 128, 512, 256 << 20  # of one check; threads count as processes
TEMP_BYTES, SHM_BYTES = 512 << 20, 512 << 20  # of one box, beside what its processes have in memory
LIMITS = {"nofile": OPEN_FILES, "fsize": FILE_BYTES, "core": 0, "msgqueue": 0, "memlock": 8 << 20, "rtprio": 0}
HARMLESS = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/filesystems",
            "/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/osrelease")  # fmt: skip
NE, EQ, MASKED_EQ = 1, 4, 7  # comparisons of seccomp
CLONE_PARENT = 0x00008000  # a brother, which nobody knows whose it is
NEW_NAMESPACES = (0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
AF_UNIX, PRIO_PROCESS = 1, 0
F_SETOWN, F_SETSIG, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX = 8, 10, 15, 0x8901, 0x8902, 0x5412, 0x541C

Syscall = tuple[int, str, list[list[Any]]]  # an error, a system call, what of its arguments must hold

# by what a process could reach with them. Nothing that PyTorch, its compiler or its data loaders need is among them.
REFUSED: Mapping[str, Sequence[str]] = {
    "other processes": ("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise",
                        "process_mrelease", "move_pages", "migrate_pages", "perf_event_open"),
    "memory that is no file's": ("shmget", "shmat", "shmctl", "shmdt", "msgget", "msgsnd", "msgrcv", "msgctl", "semget",
                                 "semop", "semtimedop", "semctl", "mq_open", "mq_unlink", "mq_timedsend",
                                 "mq_timedreceive", "mq_notify", "mq_getsetattr", "memfd_create", "memfd_secret"),
    "somebody to talk to": ("socket", "connect", "bind", "listen", "accept", "accept4", "sendmsg", "sendmmsg"),
    "what others do with files": ("cachestat", "preadv2", "mincore", "inotify_init", "inotify_init1",
                                  "inotify_add_watch"),
    "keys": ("keyctl", "add_key", "request_key"),
    "namespaces and mounts": ("unshare", "setns", "mount", "umount2", "move_mount", "fsopen", "fsconfig", "fsmount",
                              "fspick", "open_tree", "open_tree_attr", "mount_setattr", "pivot_root", "chroot",
                              "statmount", "listmount"),
    "what goes around the rules": ("io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "userfaultfd",
                                   "open_by_handle_at", "name_to_handle_at", "fanotify_init", "fanotify_mark",
                                   "modify_ldt", "lookup_dcookie", "vmsplice"),
    "the machine": ("reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
                    "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "iopl", "ioperm", "settimeofday",
                    "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "vhangup"),
}  # fmt: skip


# what Landlock does not see to: of a file that is our own user's all this can be changed without opening it
METADATA = ("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
            "utimensat", "futimesat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr",
            "fremovexattr", "removexattrat", "file_setattr")  # fmt: skip


def filtered(*, lonely: bool = True) -> list[Syscall]:
    """System calls that are refused in a box; not `lonely`: its user has files besides those of the submission."""
    rules: list[Syscall] = [(errno.EPERM, name, []) for names in REFUSED.values() for name in names]
    rules += [] if lonely else [(errno.EPERM, name, []) for name in METADATA]
    rules += [(errno.EPERM, "clone", [[0, MASKED_EQ, flag, flag]]) for flag in (CLONE_PARENT, *NEW_NAMESPACES)]
    rules.append((errno.ENOSYS, "clone3", []))  # its flags cannot be seen; libraries then use clone
    rules.append((errno.EPERM, "prlimit64", [[0, NE, 0, 0]]))
    rules += [(errno.EPERM, "setpriority", [[at, NE, PRIO_PROCESS, 0]]) for at in (0, 1)]
    rules += [(errno.EPERM, "fcntl", [[1, EQ, command, 0]]) for command in (F_SETOWN, F_SETSIG, F_SETOWN_EX)]
    rules += [(errno.EPERM, "ioctl", [[1, MASKED_EQ, 0xFFFFFFFF, command]])
              for command in (FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX)]  # fmt: skip
    rules.append((errno.EAFNOSUPPORT, "socketpair", [[0, NE, AF_UNIX, 0]]))
    rules.append((errno.EPERM, "sendto", [[4, NE, 0, 0]]))  # to an address
    return [rule for rule in rules if known(rule[1])]


def own_signals() -> list[Syscall]:
    """Signals to oneself only: where Landlock does not see to it."""
    rules: list[Syscall] = [(errno.EPERM, name, []) for name in ("pidfd_send_signal", "rt_tgsigqueueinfo")]
    rules += [(errno.EPERM, name, [[0, NE, "self", 0]]) for name in ("kill", "tkill", "tgkill", "rt_sigqueueinfo")]
    return [rule for rule in rules if known(rule[1])]


def known(name: str) -> bool:
    """Whether the library knows this system call: not all that there are are old."""
    import pyseccomp

    try:
        return int(pyseccomp.resolve_syscall(pyseccomp.system_arch(), name)) >= 0
    except (OSError, ValueError):
        return False


def exported(rules: Sequence[Syscall]) -> int:
    """The filter as bytes behind a descriptor, as bubblewrap reads it."""
    import pyseccomp

    refusing = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for error, name, arguments in rules:
        refusing.add_rule(pyseccomp.ERRNO(error), name, *[pyseccomp.Arg(*argument) for argument in arguments])
    fd = os.memfd_create("filter")
    with open(fd, "wb", closefd=False) as file:
        refusing.export_bpf(file)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def has_seccomp() -> bool:
    """Whether system calls can be filtered."""
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError):  # it looks for the system's library when it is imported
        return False
    return bool(pyseccomp.get_api() > 0)


def has_landlock() -> bool:
    """Whether this kernel's Landlock confines files, signals and abstract sockets."""
    try:
        import sandlock
    except (ImportError, OSError):
        return False
    return bool(sandlock.landlock_abi_version() >= sandlock.min_landlock_abi())


@dataclass(frozen=True)
class Inside:
    """What is applied from the inside in a backend."""

    worker: str  # where its folder lies
    landlock: bool
    seccomp: bool
    outer: bool  # whether files and system calls of the whole worker are confined from the inside, too
    lonely: bool  # whether the worker's user, or its space, has nothing in it but a submission
    processes: int | None = PROCESSES
    device: str = "cpu"

    @property
    def extra(self) -> list[str]:
        """Files of devices that training uses."""
        return sorted(glob.glob("/dev/nvidia*")) if self.device.startswith("cuda") else []

    def rules(self) -> dict[str, Any]:
        """For the worker, and for a check's process."""
        check: dict[str, Any] = {"limits": LIMITS | ({"nproc": self.processes} if self.processes else {})}
        devices = [*DEVICES, *self.extra]
        if self.landlock:
            check["files"] = {"readable": [*self.python(), *HARMLESS, "/proc/self"], "writable": devices}
        elif self.seccomp:
            check["syscalls"] = own_signals()
        worker: dict[str, Any] = {"dumpable": False, "limits": {"core": 0}}
        if self.outer and self.landlock:
            worker["files"] = {"readable": [*self.python(), "/proc"], "writable": devices}
        if self.outer and self.seccomp:
            worker["syscalls"] = filtered(lonely=self.lonely)
        own_tmp = not self.outer  # file systems of its own, which know how full they are
        alone = self.lonely or (self.outer and self.landlock)  # all that it could reach is a submission's
        kinds = {"worker": worker, "check": check}
        return kinds | {"own_tmp": own_tmp, "own_shm": self.lonely, "alone": alone, "by_value": self.seccomp}

    def python(self) -> list[str]:
        """What everything that runs there may read."""
        paths = [*SYSTEM, *SETTINGS, *folders(), *CORES, self.worker]
        if self.extra:
            paths += ["/proc/driver/nvidia", "/sys/module"]
        return [path for path in paths if path == self.worker or os.path.exists(path)]

    def layers(self) -> tuple[str, ...]:
        """What of it is there."""
        return (*(("system calls",) if self.seccomp else ()), *(("files between checks",) if self.landlock else ()))


def without(inside: Inside) -> tuple[str, ...]:
    """What of it is not."""
    calls = () if inside.seccomp else ("system calls (libseccomp is missing)",)
    return (*calls, *(() if inside.landlock else ("files between checks (the kernel has no Landlock)",)))
