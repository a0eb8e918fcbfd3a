"""What the texts of attacks begin with: system calls that Python does not offer."""

from __future__ import annotations

TOOLS = '''
import ctypes, errno, fcntl, glob, json, mmap, os, select, signal, socket, stat, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.mmap.restype = ctypes.c_void_p
MACHINE = os.uname().machine
ARM = MACHINE == "aarch64"
SYS = dict(ptrace=117, process_vm_readv=270, process_vm_writev=271, keyctl=219, add_key=217, request_key=218,
           memfd_create=279, name_to_handle_at=264, open_by_handle_at=265, mount=40, unshare=97, pidfd_open=434,
           pidfd_getfd=438, clone=220, prlimit64=261, mq_open=180, mq_timedsend=182, mq_timedreceive=183,
           io_uring_setup=425, setns=268, bpf=280, perf_event_open=241) if ARM else dict(
           ptrace=101, process_vm_readv=310, process_vm_writev=311, keyctl=250, add_key=248, request_key=249,
           memfd_create=319, name_to_handle_at=303, open_by_handle_at=304, mount=165, unshare=272, pidfd_open=434,
           pidfd_getfd=438, clone=56, prlimit64=302, mq_open=240, mq_timedsend=242, mq_timedreceive=243,
           io_uring_setup=425, setns=308, bpf=321, perf_event_open=298)

def syscall(name, *args):
    """The system call's answer; raises OSError."""
    libc.syscall.restype = ctypes.c_long
    found = libc.syscall(ctypes.c_long(SYS[name]), *(ctypes.c_long(a) if isinstance(a, int) else a for a in args))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)
    return found

def called(name, *args):
    """The same for a function of the C library."""
    found = getattr(libc, name)(*(ctypes.c_long(a) if isinstance(a, int) else a for a in args))
    if found is not None and found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)
    return found

def each(items, look):
    """What `look` says of each item, whatever goes wrong with some."""
    found = []
    for item in items:
        try:
            found.append(look(item))
        except BaseException as error:
            found.append(f"{type(error).__name__}: {error}")
    return "\\n".join(map(str, found))[:18000]

def text_of(path):
    with open(path, "rb") as file:
        return file.read(100_000).decode(errors="replace")

def named(name):
    """This process, from now on, as others see it."""
    libc.prctl(15, name.encode()[:15], 0, 0, 0)

def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]

def memory_at(pid, address, size=64):
    """Another process's memory, one way or another."""
    tries = []
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
            file.seek(address)
            return file.read(size).decode(errors="replace")
    except BaseException as error:
        tries.append(str(error))
    try:
        held = ctypes.create_string_buffer(size)
        here = (ctypes.c_size_t * 2)(ctypes.addressof(held), size)
        there = (ctypes.c_size_t * 2)(address, size)
        syscall("process_vm_readv", pid, here, 1, there, 1, 0)
        return held.raw.decode(errors="replace")
    except BaseException as error:
        tries.append(str(error))
    return "; ".join(tries)

def writable_maps(pid):
    """Where another process keeps its data."""
    for line in text_of_all(f"/proc/{pid}/maps").splitlines():
        addresses, permissions, _, _, _, *name = line.split(maxsplit=5)
        if permissions.startswith("rw") and (not name or name[0].startswith("[heap]") or name[0].startswith("[anon")):
            start, end = (int(word, 16) for word in addresses.split("-"))
            yield start, end

def text_of_all(path):
    with open(path) as file:
        return file.read()
'''
