"""The hostile self-test: what of a list of attacks gets out of a box, as seen from outside of it.

`observe` starts a worker in the box, sends `hostile.py` into it as a submission and asks for one attack after the
other. What counts is what the grader sees with its own eyes wherever it can: a connection accepted, a canary that came
back or changed, a process that is gone or traced, a file that lies where the box does not reach. What a process may
use (memory, processes, room) is what it had when it was stopped.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from ..ends import SessionEnded, StudentRaised
from ..launch import GraderFault, Worker, WorkerDied
from ..session import Limits, Session
from . import Box, Observation
from .rules import FILE_BYTES, PROCESSES, TEMP_BYTES
from .ward import Ward, find_shared

HOSTILE = Path(__file__).with_name("hostile.py")
MARKER = "a7-marker-0000000000000000"  # as hostile.py has it
LIMITS = Limits(request_s=60.0, check_s=120.0, memory=800 << 20, threads=1)
BEYOND = 128 << 20  # so much more memory than may be used is asked for
END_SECONDS = 0.1  # in which a process that was signalled is gone
FORKED = 12  # processes that are started where nothing forbids it; threads count as much and cost less
EACH = 64 << 20
LARGE, FULL = 2 * FILE_BYTES, 2 * TEMP_BYTES + EACH
LONGEST = 160
DRAWN = re.compile(r"(/a7-worker-)[^/,\s]+")  # a folder whose name is drawn
# where Python lies in root's own home, a lent user keeps the right to read; what it can read was tried above
READING = 1 << 2


class Seen(NamedTuple):
    """What one attack has come to: whether it was held, and what was seen."""

    held: bool
    words: str


class Trial:
    """A worker in the box with the hostile text, and a session in it that is renewed when an attack has ended it."""

    def __init__(self, box: Box, ward: Ward) -> None:
        self.box, self.ward = box, ward
        self.worker = self._started()
        self.session: Session | None = None

    def _started(self) -> Worker:
        worker = Worker(self.box)
        try:
            worker.submit({"hostile": HOSTILE.read_text(encoding="utf-8")}, [])
        except WorkerDied:
            worker.close()
            raise
        return worker

    def ask(self, name: str, *args: object) -> str:
        """What an attack says; how it ended if it has not come to say anything."""
        try:
            if self.session is None:
                self.session = Session(self.worker, 0, LIMITS, fresh=True)
            return str(self.session.call(f"hostile.{name}", *args))
        except StudentRaised as raised:
            return f"{raised.kinds[0]}: {raised.message}"
        except (SessionEnded, WorkerDied) as ended:
            self.renew()
            return str(ended) or type(ended).__name__

    def look(self, name: str, *args: object) -> str:
        """What another process of the same submission finds afterwards."""
        self.renew()
        self.session = Session(self.worker, 0, LIMITS, fresh=True)
        return str(self.session.call(f"hostile.{name}", *args))

    def renew(self) -> None:
        """The next attack has a process of its own, and a new worker where this one has been ended."""
        if self.session is not None:
            self.session.close()
            self.session = None
        try:
            self.worker.preload([])  # whether it answers
        except WorkerDied:
            self.worker.close()
            self.worker = self._started()

    def processes(self) -> list[psutil.Process]:
        """All that has been started in the box, as the machine sees it."""
        with contextlib.suppress(psutil.Error):
            return [*psutil.Process(self.worker.process.pid).children(recursive=True)]
        return []

    def close(self) -> None:
        """Ends the worker."""
        if self.session is not None:
            self.session.close()
        self.worker.close()


# ---- the attacks ------------------------------------------------------------------------------------------------


def accepted(listener: socket.socket) -> bool:
    """Whether anything has arrived at a listener of ours."""
    try:
        if listener.type == socket.SOCK_DGRAM:
            return bool(listener.recv(1))
        listener.accept()[0].close()
    except OSError:
        return False
    return True


def tcp(trial: Trial) -> Seen:
    """A connection to the grader's machine."""
    said = trial.ask("connect", "inet", list(trial.ward.tcp.getsockname()))
    return Seen(not accepted(trial.ward.tcp), said)


def udp(trial: Trial) -> Seen:
    """A datagram to the grader's machine."""
    said = trial.ask("send", *trial.ward.udp.getsockname())
    return Seen(not accepted(trial.ward.udp), said)


def abstract_socket(trial: Trial) -> Seen:
    """A socket that has a name and no file."""
    said = trial.ask("connect", "unix", f"@{trial.ward.name}")
    return Seen(not accepted(trial.ward.abstract), said)


def path_socket(trial: Trial) -> Seen:
    """A socket that lies in a folder."""
    said = trial.ask("connect", "unix", str(trial.ward.folder / "socket"))
    return Seen(not accepted(trial.ward.path), said)


def read_outside(trial: Trial) -> Seen:
    """A file that any user of the machine may read, and one that the grader's user alone may."""
    said = [trial.ask("read", str(path)) for path in (trial.ward.canary, trial.ward.private)]
    out = any(trial.ward.secret in words for words in said)
    return Seen(not out, "the canary came back" if out else said[0])


def write_outside(trial: Trial) -> Seen:
    """Over a file, and beside it."""
    beside = trial.ward.folder / "beside"
    said = [trial.ask("write", str(path), "changed") for path in (trial.ward.canary, beside)]
    held = trial.ward.canary.read_text() == trial.ward.secret and not beside.exists()
    trial.ward.canary.write_text(trial.ward.secret)
    return Seen(held, said[0])


def change_outside(trial: Trial) -> Seen:
    """Who may read a file, and how old it is: for that nothing has to be opened."""
    paths = (trial.ward.canary, trial.ward.private)
    before = [about(path) for path in paths]
    said = [trial.ask("change", str(path)) for path in paths]
    held = [about(path) for path in paths] == before
    return Seen(held, said[0])


def about(path: Path) -> tuple[object, ...]:
    """What a system says of a file besides its content."""
    found = path.stat()
    names = os.listxattr(path) if sys.platform == "linux" else []
    return found.st_mode, found.st_uid, found.st_mtime_ns, tuple(names)


def write_shared_folders(trial: Trial) -> Seen:
    """Into folders that every user of the machine may write to: what lies there when the check has ended."""
    said = trial.ask("leave", trial.ward.name)
    trial.renew()
    outside = [folder for folder in ("/tmp", "/var/tmp", "/dev/shm") if Path(folder, trial.ward.name).exists()]
    return Seen(not outside, f"found in {', '.join(outside)}" if outside else f"nothing outside (inside: {said})")


def notes(trial: Trial) -> Seen:
    """What one check has left, looked for by the next one."""
    left = trial.ask("leave", trial.ward.name)
    found = DRAWN.sub(r"\1…", trial.look("find", trial.ward.name))  # reports of two workers are alike
    return Seen(not found, f"found in {found}" if found else f"gone (left in {left})")


def visible(trial: Trial) -> Seen:
    """The command line of another process."""
    said = trial.ask("see", trial.ward.victim.pid, "cmdline")
    out = trial.ward.victim_secret in said
    return Seen(not out, "its command line came back" if out else said)


def environment(trial: Trial) -> Seen:
    """The environment of another process."""
    said = trial.ask("see", trial.ward.victim.pid, "environ")
    out = trial.ward.victim_secret in said
    return Seen(not out, "its environment came back" if out else said)


def memory_of_another(trial: Trial) -> Seen:
    """The memory of another process."""
    said = trial.ask("see_memory", trial.ward.victim.pid)
    out = trial.ward.victim_secret in said
    return Seen(not out, "a secret came back" if out else said)


def rewrite_parent(trial: Trial) -> Seen:
    """The memory of the process that all checks come from."""
    changed = "a7-marker-1111111111111111"
    said = trial.ask("rewrite_parent", MARKER, changed)
    now = trial.look("marker")
    return Seen(now == MARKER, said if now == MARKER else "the next check ran a changed text")


def trace(trial: Trial) -> Seen:
    """Another process, and the one that all checks come from."""
    said = [trial.ask("seize", trial.ward.victim.pid), trial.ask("seize_parent")]
    watched = [psutil.Process(trial.ward.victim.pid), *trial.processes()]
    traced = [process.pid for process in watched if tracer(process.pid)]
    trial.renew()
    return Seen(not traced, "a process was traced" if traced else said[0])


def tracer(pid: int) -> int:
    """Who traces a process; 0 where nobody does or nobody can say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/status").read_text().partition("TracerPid:")[2].split()[0])
    return 0


def end_another(trial: Trial) -> Seen:
    """Another process of the grader's user."""
    said = trial.ask("end", trial.ward.victim.pid)
    with contextlib.suppress(subprocess.TimeoutExpired):
        trial.ward.victim.wait(END_SECONDS)
    held = trial.ward.victim.poll() is None
    return Seen(held, said if held else "it was ended")


def end_parent(trial: Trial) -> Seen:
    """The process that all checks come from."""
    worker = trial.worker
    said = trial.ask("end_parent")
    trial.look("marker")
    held = trial.worker is worker
    return Seen(held, said if held else "it was ended")


def keyring(trial: Trial) -> Seen:
    """A key in the kernel's keeping."""
    said = trial.ask("add_key", trial.ward.name)
    found = trial.look("find_key", trial.ward.name) == "found"
    return Seen(not found, "the next check found it" if found else said)


def shared_objects(trial: Trial) -> Seen:
    """System V memory and a POSIX queue, which outlive who made them."""
    ward = trial.ward
    said = trial.ask("make_shared", ward.key, f"/{ward.name}")
    outside = find_shared(ward.key, ward.name)
    inside = trial.look("find_shared", ward.key, f"/{ward.name}")
    found = outside or inside
    return Seen(not found, f"{found} found by {'the grader' if outside else 'the next check'}" if found else said)


def privileges(trial: Trial) -> Seen:
    """Capabilities, setuid programs, root."""
    trial.look("marker")
    said = trial.ask("become_root")
    running = trial.session.process if trial.session is not None else None
    if running is None:
        return Seen(False, "its process could not be looked at")
    status = {
        name: value.strip() for name, _, value in
        (line.partition(":") for line in Path(f"/proc/{running.pid}/status").read_text().splitlines())
    }  # fmt: skip
    bad = []
    if int(status["CapEff"], 16) & ~READING:
        bad.append("it has capabilities")
    if status["NoNewPrivs"] != "1":
        bad.append("setuid programs work")
    if "0" in status["Uid"].split()[:3]:
        bad.append("it is root")
    return Seen(not bad, ", ".join(bad) or said)


def fork_flood(trial: Trial) -> Seen:
    """More processes than one check may have; and whether any of them is left after it."""
    before = {process.pid for process in trial.processes()}
    said = trial.ask("fork", FORKED, PROCESSES + FORKED)
    running = [process for process in trial.processes() if process.pid not in before]
    count = sum(threads_of(process) for process in running)
    trial.renew()
    left = {process.pid for process in running} & {process.pid for process in trial.processes()}
    words = f"{len(left)} are left" if left else f"{count} ran at the most ({said})"
    return Seen(count <= PROCESSES and not left, words)


def threads_of(process: psutil.Process) -> int:
    """What the kernel counts; 0 for one that has ended."""
    with contextlib.suppress(psutil.Error):
        return int(process.num_threads())
    return 0


def daemon(trial: Trial) -> Seen:
    """A process that would outlive its check."""
    before = {process.pid for process in trial.processes()}
    said = trial.ask("escape")
    started = {process.pid for process in trial.processes()} - before
    trial.renew()
    left = started & {process.pid for process in trial.processes()}
    return Seen(not left, "it is left" if left else f"gone ({said})")


def private_memory(trial: Trial) -> Seen:
    """More memory of its own than a check may have."""
    return flood(trial, "take", LIMITS.memory + BEYOND, False)


def shared_memory(trial: Trial) -> Seen:
    """More memory that is shared than a check may have."""
    return flood(trial, "take", LIMITS.memory + BEYOND, True)


def memory_file(trial: Trial) -> Seen:
    """More memory than a check may have, in a file that belongs to no folder."""
    return flood(trial, "take_memory_file", LIMITS.memory + BEYOND)


def flood(trial: Trial, name: str, *args: object) -> Seen:
    """Something that must be stopped on its way."""
    said = trial.ask(name, *args)
    trial.renew()
    return Seen("taken" not in said, said)


def large_file(trial: Trial) -> Seen:
    """A file larger than any that a check needs."""
    said = trial.ask("grow", LARGE)
    trial.renew()
    return Seen(not said.endswith("MB"), said)


def temp_space(trial: Trial) -> Seen:
    """More files than there is room for."""
    said = trial.ask("fill", FULL, EACH)
    if trial.session is not None:
        trial.ask("empty")
    trial.renew()
    written = int(said) if said.isdigit() else 0
    return Seen(written < FULL, f"stopped after {written >> 20} MB" if said.isdigit() else said)


ATTACKS: Sequence[tuple[str, Callable[[Trial], Seen]]] = (
    ("a TCP connection", tcp),
    ("a UDP datagram", udp),
    ("an abstract socket of the grader", abstract_socket),
    ("a socket in a folder of the grader", path_socket),
    ("reading a file outside", read_outside),
    ("writing a file outside", write_outside),
    ("mode, owner and times of a file outside", change_outside),
    ("leaving files in the shared temporary folders", write_shared_folders),
    ("seeing another process", visible),
    ("the environment of another process", environment),
    ("the memory of another process", memory_of_another),
    ("tracing a process (ptrace)", trace),
    ("ending another process", end_another),
    ("rewriting the memory of its parent", rewrite_parent),
    ("ending its parent", end_parent),
    ("root, capabilities, setuid programs", privileges),
    ("a note for the next check, in files", notes),
    ("a note for the next check, in the kernel's keyring", keyring),
    ("System V memory and a POSIX queue", shared_objects),
    ("a process that outlives its check", daemon),
    ("more processes than it may have", fork_flood),
    ("more private memory than it may have", private_memory),
    ("more shared memory than it may have", shared_memory),
    ("a memory file (memfd)", memory_file),
    ("a file larger than it may be", large_file),
    ("more temporary space than there is", temp_space),
)


def observe(box: Box) -> Iterator[Observation]:
    """Tries everything, one after the other. Raises WorkerDied or GraderFault where no worker runs in the box."""
    with Ward() as ward, contextlib.closing(Trial(box, ward)) as trial:
        if (said := trial.ask("marker")) != MARKER:
            raise GraderFault(f"the self-test did not start in the box: {said}")
        for what, attack in ATTACKS:
            try:
                held, seen = attack(trial)
            except (
                SessionEnded,
                StudentRaised,
                WorkerDied,
            ) as ended:  # an oracle in the box that did not come to speak
                held, seen = False, f"what came of it could not be seen: {ended}"
                trial.renew()
            yield Observation(what, held, one_line(seen))


def one_line(text: str) -> str:
    """What was seen, short and without anything that moves a cursor."""
    return "".join(c if c.isprintable() else " " for c in text)[:LONGEST]
