"""Ending the class: whatever one submission does, the others are graded as if it were not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..attack import Attack, Member
from ..oracles import any_of, changed, class_ended, hurt
from .helping import of_solution
from .tools import TOOLS

GAUSSIANS = of_solution("gaussians")


def handed_in(name: str, text: str, says: str, *, sample: bool = False, dangerous: bool = False) -> Attack:
    """A submission whose gaussians.py is the reference's with this text at its end; {bait} is what it knows."""

    def put(folder: Path, bait: Mapping[str, Any]) -> None:
        place = folder / name
        place.mkdir()
        (place / "gaussians.py").write_text(f"{GAUSSIANS}\n{TOOLS}\nBAIT = {dict(bait)!r}\n{text}")

    return Attack(
        name, "ending", says, any_of(class_ended, changed, hurt), Member(put), sample=sample, dangerous=dangerous
    )


def folder_named(name: str, called: str, says: str) -> Attack:
    """The reference in a folder that is called like something else."""

    def put(folder: Path, bait: Mapping[str, Any]) -> None:
        place = folder / called
        place.mkdir()
        (place / "gaussians.py").write_text(GAUSSIANS)

    return Attack(name, "ending", says, class_ended, Member(put))


IN_EACH = """
def everywhere(act):
    for name, value in list(globals().items()):
        if callable(value) and getattr(value, "__module__", None) == __name__ and name.startswith(("kl_", "_kl")):
            globals()[name] = act
"""

ATTACKS: Sequence[Attack] = (
    handed_in("raises-the-workers-own-exceptions", IN_EACH + """
def act(*args, **kwargs):
    frame = sys._getframe()
    names = ("Refused", "MissingName", "ProtocolError", "WorkerDied", "GraderFault")
    found = [value for f in iter_frames(frame) for name, value in f.f_globals.items() if name in names]
    raise (found[0] if found else EOFError)("mine")
def iter_frames(frame):
    while frame:
        yield frame
        frame = frame.f_back
everywhere(act)
""", "raises the exceptions by which the worker tells the grader that something is the grader's fault", sample=True),
    handed_in("raises-what-ends-programs", IN_EACH + """
import itertools
kinds = itertools.cycle([SystemExit, KeyboardInterrupt, GeneratorExit, EOFError, ConnectionResetError, StopIteration, BaseException])
def act(*args, **kwargs):
    raise next(kinds)()
everywhere(act)
""", "raises SystemExit, KeyboardInterrupt, EOFError and their like"),
    handed_in("ends-its-process", IN_EACH + """
def act(*args, **kwargs):
    os._exit(0)
everywhere(act)
""", "ends its process in each call"),
    handed_in("ends-its-process-at-import", "os._exit(0)", "ends its process when it is imported"),
    handed_in("crashes-its-process", IN_EACH + """
def act(*args, **kwargs):
    ctypes.string_at(1)
everywhere(act)
""", "reads memory that is not there"),
    handed_in("kills-its-workers-parent", IN_EACH + """
def act(*args, **kwargs):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(5)
everywhere(act)
""", "kills the process that has started it, in each call", dangerous=True),
    handed_in("stops-its-workers-parent", IN_EACH + """
def act(*args, **kwargs):
    os.kill(os.getppid(), signal.SIGSTOP)
    return args[0]
everywhere(act)
""", "stops the process that has started it and would end it", dangerous=True),
    handed_in("stops-all-above-it", IN_EACH + """
def act(*args, **kwargs):
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids():
            if pid > 1:
                try:
                    os.kill(pid, number)
                except OSError:
                    pass
    return args[0]
everywhere(act)
""", "stops, then kills every process that it sees", dangerous=True),
    handed_in("answers-twice", """
if os.fork():
    os.fork()
""", "forks while it is imported, so that several processes answer"),
    handed_in("closes-everything", """
os.closerange(0, 4096)
""", "closes all descriptors while it is imported"),
    handed_in("hangs-at-import", """
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
while True:
    pass
""", "does not come back from its import, and blocks all signals"),
    handed_in("prints-at-import-without-end", """
while True:
    os.write(1, b"x" * (1 << 16))
""", "prints at its import, without end"),
    handed_in("eats-memory-at-import", """
HELD = []
while True:
    HELD.append(b"x" * ((64 << 20) + len(HELD)))
""", "takes memory at its import until there is none"),
    handed_in("replaces-the-workers-functions", IN_EACH + """
def act(*args, **kwargs):
    for name, module in list(sys.modules.items()):
        if name.startswith(("worker", "json")):
            for key, value in list(vars(module).items()):
                if callable(value):
                    setattr(module, key, lambda *a, **k: b"nonsense")
    return args[0]
everywhere(act)
""", "puts nonsense in the place of all functions of the worker"),
    handed_in("speaks-in-its-parents-name", """
try:
    for pid in (os.getppid(),):
        for fd in glob.glob(f"/proc/{pid}/fd/*"):
            if "socket" in os.readlink(fd):
                copy = syscall("pidfd_getfd", syscall("pidfd_open", pid, 0), int(os.path.basename(fd)), 0)
                socket.socket(fileno=copy).send(b"nonsense" * 100)
except OSError as error:
    print(error)
""", "takes the socket of the process that has started it and writes nonsense to the grader", dangerous=True),
    handed_in("is-recursive-without-end", IN_EACH + """
sys.setrecursionlimit(1 << 30)
def act(*args, **kwargs):
    return act(*args, **kwargs)
everywhere(act)
""", "calls itself without end, with no limit of recursion"),
    folder_named("is-called-gradebook", "gradebook.csv", "a submission that is called like the class's table"),
    folder_named("is-called-like-our-marker", ".a7-reports", "a submission that is called like the marker of a reports folder"),
    folder_named("is-called-like-another", "MMM-middle", "a submission whose name differs from another's in capitals only"),
    folder_named("takes-anothers-name", " mmm-middle", "a submission that is shown by another's name, and comes before it"),
    folder_named("is-called-like-another-with-a-blank", "mmm-middle ", "a submission whose name differs from another's in a blank only"),
    folder_named("is-called-like-another-in-other-letters", "mmm\u00ad-middle", "a submission whose name looks like another's"),
    folder_named("is-called-like-a-path", "..%2f..%2fmmm-middle", "a submission whose name is a path, to whoever decodes it"),
    folder_named("is-called-like-a-device", "CON.", "a submission whose name is a device on some systems"),
    folder_named("has-a-long-name", "n" * 255, "a submission whose name is as long as a file system allows"),
    folder_named("has-a-name-that-is-no-text", "caf\udce9\udcff", "a submission whose name is in no encoding"),
)  # fmt: skip
