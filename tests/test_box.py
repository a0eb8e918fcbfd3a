"""Each layer of each box that this machine has, observed from inside by a submission, and what limits end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import psutil
import pytest
import torch

from grader.boundary import ends, watching
from grader.boundary.box import BACKENDS, Box, NoBox, bubblewrap, choose, python
from grader.boundary.box import rules as box_rules
from grader.boundary.box.bubblewrap import Bubblewrap
from grader.boundary.box.users import NUMBERS, User, lend, owners
from grader.boundary.ends import Crashed, OutOfMemory, SessionEnded, StudentRaised, TimedOut
from grader.boundary.launch import Worker, WorkerDied
from grader.boundary.session import Limits, Session

from .conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="boxes are Linux's")
BOXES = [name for name in BACKENDS if name != "none"]
PATIENT = Limits(request_s=60.0, check_s=120.0, memory=1200 << 20, threads=1)
TRY = """
import contextlib, ctypes, errno, mmap, os, resource, signal, socket, subprocess, sys, tempfile, time
libc = ctypes.CDLL(None, use_errno=True)
def said(function, *args):
    try:
        return function(*args)
    except OSError as error:
        return f"no: {errno.errorcode[error.errno]}"
def called(name, *args):
    found = getattr(libc, name)(*args)
    return found if found >= 0 else f"no: {errno.errorcode[ctypes.get_errno()]}"
"""


def available(name: str) -> Box:
    """A box, or a skipped test where this machine has none of that kind."""
    try:
        return choose(name)
    except NoBox as none:
        pytest.skip(str(none))


@pytest.fixture(scope="module", params=BOXES)
def boxed(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """A worker in each of the boxes, shared by all tests."""
    worker = Worker(available(request.param))
    yield worker
    worker.close()


Asker = Callable[..., object]


@pytest.fixture
def ask(boxed: Worker) -> Iterator[Asker]:
    """Runs the body of a function in a fresh process in the box: ``ask("return os.getpid()")``."""
    opened: list[Session] = []

    def run(body: str, *args: object, limits: Limits = PATIENT, names: str = "*args") -> object:
        text = TRY + f"def f({names}):\n" + "".join(f"    {line}\n" for line in body.splitlines())
        boxed.submit({"vae": text}, [])
        opened.append(Session(boxed, 1, limits))
        return opened[-1].call("vae.f", *args)

    yield run
    for session in opened:
        session.close()


# ---- what is there ----------------------------------------------------------------------------------------------


def test_the_strongest_box_is_chosen_by_trying() -> None:
    tried = []
    for name in BACKENDS:
        try:
            tried.append(choose(name).sandbox.backend)
        except NoBox as none:
            assert none.reasons[name].remedy
    assert choose().sandbox.backend == tried[0]
    assert tried[-1] == "none"


def test_no_box_says_why_and_what_would_help() -> None:
    with pytest.raises(NoBox) as none:
        choose("of cardboard")
    assert none.value.reasons == {}


def test_a_box_says_what_it_consists_of(boxed: Worker) -> None:
    assert boxed.box.sandbox.layers
    assert {"network", "file system", "limits", "system calls"} <= set(boxed.box.sandbox.layers)


# ---- files ------------------------------------------------------------------------------------------------------


def test_nothing_outside_can_be_read(ask: Asker, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("a canary")
    canary.chmod(0o644)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055) if folder.stat().st_uid == os.getuid() else None
    paths = [str(canary), str(ROOT / "README.md"), "/etc/passwd", "/etc/shadow", f"/proc/{os.getpid()}/cmdline",
             f"/proc/{os.getpid()}/root{canary}", str(ROOT / "grader" / "rubric" / "__init__.py")]  # fmt: skip
    found = ask("return [said(lambda: open(path).read(20)) for path in args[0]]", paths)
    assert isinstance(found, list)
    assert all(item in ("no: EACCES", "no: ENOENT", "no: EPERM") for item in found), found


@pytest.fixture
def libraries() -> Iterator[Path]:
    """A folder of libraries that everybody may read, with the grader among them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    shutil.copytree(ROOT / "grader", folder / "grader", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "other.py").write_text("")
    yield folder
    shutil.rmtree(folder)


def test_the_graders_own_files_are_hidden_where_they_lie_among_the_libraries(
    libraries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = available("bubblewrap")
    monkeypatch.setattr(bubblewrap, "folders", lambda: (*python.folders(), str(libraries)))
    monkeypatch.setattr(bubblewrap, "WORKER", libraries / "grader" / "worker")
    parts, other = libraries / "grader" / "boundary" / "lent" / "parts.py", libraries / "other.py"
    assert parts.exists()
    code = "import os\ndef f(paths):\n    return [os.path.exists(path) for path in paths]"
    worker = Worker(box)
    try:
        worker.submit({"vae": code}, [])
        with Session(worker, 1, PATIENT) as session:
            assert session.call("vae.f", [str(parts), str(other)]) == [False, True]
    finally:
        worker.close()


def test_only_its_own_folder_can_be_written(ask: Asker, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    body = """
here = os.getcwd()
found = {}
for folder in (here, os.path.dirname(here), os.path.dirname(os.path.dirname(here)), *args[0]):
    found[folder] = said(lambda: open(os.path.join(folder, 'note'), 'w').close())
return found[here], [what for folder, what in found.items() if folder != here]
"""
    folders = [
        "/",
        "/tmp",
        "/var/tmp",
        "/dev/shm",
        "/dev",
        "/run/lock",
        "/opt/grader/worker",
        str(tmp_path),
        sys.prefix,
    ]
    own, others = cast(tuple[object, list[object]], ask(body, folders))
    assert own is None
    assert all(str(item).startswith("no: ") for item in others), others
    assert not list(tmp_path.iterdir())


def test_what_a_check_leaves_is_gone_before_the_next_starts(boxed: Worker) -> None:
    text = (
        TRY
        + """
def leave():
    os.makedirs('deep/er')
    said(os.chmod, 'deep', 0)
    os.mkdir('closed', 0)
    os.mkdir('blind', 0o300)
    open('blind/note', 'w').write('x')
    for name in ('note', 'pipe'):
        said(lambda: os.mkfifo(name) if name == 'pipe' else open(name, 'w').write('x'))
    path = 'd'
    os.mkdir(path)
    os.chdir(path)
    for _ in range(1500):
        os.mkdir('d')
        os.chdir('d')
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    return os.environ['HOME']
def look(home): return [said(os.listdir, path) for path in (home, os.path.dirname(home), '/dev/shm', '/tmp')]
"""
    )
    boxed.submit({"vae": text}, [])
    with Session(boxed, 1, PATIENT, fresh=True) as session:
        home = session.call("vae.leave")
    with Session(boxed, 1, PATIENT, fresh=True) as session:
        assert all(str(found).startswith("no: ") for found in session.call("vae.look", home))
    assert boxed.temporary() < 1 << 20
    assert left_behind(boxed) == []
    usage = boxed.usage()
    assert usage is not None
    assert usage.tasks == 0


def left_behind(worker: Worker) -> list[str]:
    """Folders of checks that have not gone, where the box's folder can be seen from here; what nobody may list stays."""
    folder = Path(worker.home)
    return (
        [] if not folder.is_dir() else [entry.name for entry in folder.iterdir() if not entry.name.startswith("left-")]
    )


# ---- other processes, and ways to talk --------------------------------------------------------------------------


def test_no_other_process_can_be_seen_traced_or_signalled(ask: Asker) -> None:
    victim = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(1000)"])
    try:
        body = """
parent = os.getppid()
found = [said(os.kill, pid, number) for pid in (parent, args[0], 1) for number in (0, signal.SIGSTOP, signal.SIGKILL)]
found += [said(lambda: open(f'/proc/{pid}/{name}').read(1)) for pid in (parent, args[0])
          for name in ('mem', 'maps', 'environ', 'cmdline', 'status')]
found += [called('ptrace', 16, pid, 0, 0) for pid in (parent, args[0])]
found += [called('syscall', number, parent, 0, 0, 0, 0, 0) for number in (310, 311, 312)]
found += [called('syscall', 56, 0x8000 | 17, 0, 0, 0, 0)]  # a brother
found += [said(resource.prlimit, parent, resource.RLIMIT_CPU, (1, 1))]
return found
"""
        found = ask(body, victim.pid)
        assert isinstance(found, list)
        assert all(str(item).startswith("no: ") for item in found if item != 0), found
        assert victim.poll() is None
        assert psutil.Process(victim.pid).status() != psutil.STATUS_STOPPED
    finally:
        victim.kill()
        victim.wait()


def test_there_is_nobody_to_talk_to(ask: Asker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        body = """
kinds = [(socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_DGRAM), (socket.AF_NETLINK, socket.SOCK_RAW),
         (socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_VSOCK, socket.SOCK_STREAM)]
found = [said(lambda: socket.socket(*kind).close()) for kind in kinds]
found += [called('shmget', 7, 4096, 0o1666), called('msgget', 7, 0o1666), called('semget', 7, 1, 0o1666)]
found += [called('mq_open', b'/a7-note', 0o102, 0o666, 0), called('shm_open', b'/a7-note', 0o102, 0o666)]
found += [called('memfd_create', b'note', 0), called('syscall', 248, b'user', b'note', b'x', 1, -3)]
found += [called('unshare', 0x10000000), called('mount', b'a', b'/tmp', b'tmpfs', 0, 0), called('syscall', 425, 8, 0)]
return found
"""
        found = ask(body)
        assert isinstance(found, list)
        assert all(str(item).startswith("no: ") for item in found), found
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_it_has_no_privileges(boxed: Worker) -> None:
    assert boxed.usage() is not None
    status = watching.status(boxed.parent)
    assert "0" not in status["Uid"].split()
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) in (0, 1 << 2)  # to read root's own Python where it lies in root's folder


# ---- what must go on working ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_loaders_with_workers_work(ask: Asker, how: str) -> None:
    body = """
import torch
from torch.utils.data import DataLoader, TensorDataset
loader = DataLoader(TensorDataset(args[0]), batch_size=2, num_workers=2, multiprocessing_context=args[1])
return torch.cat([batch for (batch,) in loader])
"""
    x = torch.arange(6.0)
    found = ask(body, x, how)
    assert torch.equal(found, x)  # type: ignore[arg-type]


def test_locks_queues_and_pools_work(ask: Asker) -> None:
    body = """
import multiprocessing as mp
context = mp.get_context('fork')
lock, event, queue, value = context.RLock(), context.Event(), context.Queue(), context.Value('i', 0)
def work():
    event.wait()
    for _ in range(100):
        with lock, lock, value.get_lock():
            value.value += 1
    queue.put(os.getpid())
workers = [context.Process(target=work) for _ in range(3)]
[worker.start() for worker in workers]
event.set()
pids = {queue.get() for _ in workers}
[worker.join() for worker in workers]
with context.Pool(2) as pool:
    squares = pool.map(abs, [-1, 2, -3])
once = context.Lock()
try:
    once.release()
except ValueError:
    squares.append('released once too often')
return [value.value, len(pids), squares, context.Semaphore(2).acquire(timeout=1), lock.acquire(False)]
"""
    assert ask(body) == [300, 3, [1, 2, 3, "released once too often"], True, True]


def test_temporary_files_and_training_work(ask: Asker) -> None:
    body = """
import torch
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'state.pt')
    model = torch.nn.Linear(4, 1)
    torch.save(model.state_dict(), path)
    model.load_state_dict(torch.load(path))
optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
first = last = None
for _ in range(50):
    loss = (model(args[0]) - 1).square().mean()
    optimiser.zero_grad(); loss.backward(); optimiser.step()
    first, last = first or loss.item(), loss.item()
return [last < first, subprocess.run(['true']).returncode, os.path.expanduser('~') == os.getcwd(), os.cpu_count() > 0]
"""
    assert ask(body, torch.eye(4)) == [True, 0, True, True]


# ---- limits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ("for n in range(100):\n    with open(str(n), 'wb') as file: file.write(bytes(64 << 20))", ends.DiskFull),
        ("with open('large', 'wb') as file:\n    for _ in range(10): file.write(bytes(64 << 20))", ends.FileTooLarge),
        ("kept = [open(__file__ if False else os.devnull) for _ in range(5000)]", ends.TooManyFiles),
        ("for _ in range(1000):\n    if os.fork() == 0: time.sleep(1000)\ntime.sleep(1000)", ends.TooManyProcesses),
        ("import threading\nfor _ in range(1000): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()"
         "\ntime.sleep(1000)", ends.TooManyProcesses),
        ("kept = bytearray(3 << 30)", OutOfMemory),
        ("m = mmap.mmap(-1, 3 << 30)\nfor i in range(0, 3 << 30, 4096): m[i] = 1", OutOfMemory),
        ("if os.fork() == 0:\n    os.setsid()\n    m = mmap.mmap(-1, 3 << 30)\n    for i in range(0, 3 << 30, 4096): m[i] = 1"
         "\n    time.sleep(1000)\ntime.sleep(1000)", OutOfMemory),
    ],
    ids=["room", "file size", "open files", "processes", "threads", "memory", "shared memory", "a child's memory"],
)  # fmt: skip
def test_a_limit_ends_its_check_by_name_and_costs_no_other(ask: Asker, body: str, end: type[SessionEnded]) -> None:
    with pytest.raises(end):
        ask(body)
    assert ask("return os.listdir('.')") == []


def test_processor_time_has_a_limit_of_its_own(ask: Asker) -> None:
    short = Limits(request_s=60.0, check_s=0.5, memory=0, threads=1)
    assert short.cpu == 2
    with pytest.raises((ends.CpuTimeUsedUp, TimedOut)):
        ask("resource.setrlimit(resource.RLIMIT_CPU, (1, resource.getrlimit(resource.RLIMIT_CPU)[1]))\n"
            "while True: pass", limits=Limits(request_s=60.0, check_s=60.0, memory=0, threads=1))  # fmt: skip
    with pytest.raises(StudentRaised, match="ValueError"):
        ask("resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))")


def test_a_process_that_will_not_end_is_not_waited_for(ask: Asker, boxed: Worker) -> None:
    """It stops what it was forked from, is traced by a child of its own, and forks faster than anybody looks."""
    began = time.monotonic()
    with pytest.raises((TimedOut, Crashed)):
        ask("""
said(os.kill, os.getppid(), signal.SIGSTOP)
if os.fork() == 0:
    called('ptrace', 16, os.getppid(), 0, 0)
    while True:
        child = said(os.fork)  # refused while nobody has buried those before it: it goes on trying
        if type(child) is int and child:
            os._exit(0)
time.sleep(1000)
""", limits=Limits(request_s=1.0, check_s=5.0, memory=0, threads=1))  # fmt: skip
    assert time.monotonic() - began < 60  # not two minutes for each
    assert ask("return 1") == 1
    usage = boxed.usage()
    assert usage is not None
    assert usage.tasks <= 2


# ---- the nursery, and processes of one check --------------------------------------------------------------------


def test_an_import_cannot_write_to_those_who_import_for_themselves(boxed: Worker) -> None:
    text = (
        TRY
        + """
NOTES = [said(lambda: open(os.path.join(folder, 'a7-note'), 'w').close()) for folder in (os.getcwd(), '/dev/shm', '/tmp')]
def look(): return [[said(os.listdir, folder) for folder in (os.path.dirname(os.getcwd()), '/dev/shm', '/tmp')], os.listdir('.')]
"""
    )
    boxed.submit({"vae": text}, [])
    with Session(boxed, 1, PATIENT) as session:
        session.call("vae.look")
    with Session(boxed, 1, PATIENT, fresh=True) as session:
        others, own = session.call("vae.look")
    assert all(str(found).startswith("no: ") for found in others)
    assert own == ["a7-note"]  # its own import's


def test_a_sealed_process_is_alone(boxed: Worker) -> None:
    boxed.submit({"vae": TRY + "def f(): return os.getpid()"}, [])
    with Session(boxed, 1, PATIENT) as first, Session(boxed, 1, PATIENT) as second:
        assert first.call("vae.f") != second.call("vae.f")
        with Session(boxed, 1, PATIENT, sealed=True) as alone:
            alone.call("vae.f")
            usage = boxed.usage()
            assert usage is not None
            assert usage.tasks == 1
        with pytest.raises(Crashed):
            first.call("vae.f")


# ---- users that are lent ----------------------------------------------------------------------------------------


@pytest.fixture
def user() -> Iterator[User]:
    if os.geteuid() != 0:
        pytest.skip("only root can lend users")
    lent = lend()
    yield lent
    lent.end()
    lent.sweep()
    lent.release()


def test_a_lent_user_is_nobody_else_and_leaves_nothing(user: User) -> None:
    other = lend()
    try:
        assert {user.number, other.number} <= set(NUMBERS)
        assert user.number != other.number
    finally:
        other.release()
    with tempfile.TemporaryDirectory() as folder:
        note = Path("/tmp", f"a7-left-{user.number}")
        command = f"touch {note} /dev/shm/a7-left-{user.number}; ipcmk -M 100 >/dev/null; setsid sleep 1000 >/dev/null 2>&1 & id -u"
        done = subprocess.run([*user.become(), "/bin/sh", "-c", command], cwd=folder, capture_output=True, check=True)
    assert int(done.stdout) == user.number
    assert user.number in owners()
    user.end()
    user.sweep()
    assert user.number not in owners()
    assert not note.exists()
    assert str(user.number) not in Path("/proc/sysvipc/shm").read_text()


# ---- system calls -----------------------------------------------------------------------------------------------


def test_the_filter_refuses_only_what_the_library_knows() -> None:
    if not box_rules.has_seccomp():
        pytest.skip("libseccomp is missing")
    rules = box_rules.filtered()
    assert {"ptrace", "socket", "connect", "unshare", "mount", "shmget", "keyctl"} <= {name for _, name, _ in rules}
    fd = box_rules.exported(rules)
    assert os.fstat(fd).st_size % 8 == 0
    os.close(fd)


def test_a_worker_that_stops_answering_is_replaced(boxed: Worker) -> None:
    own = Worker(boxed.box)
    try:
        own.submit({"vae": "def f(): return 1"}, [])
        session = Session(own, 1, PATIENT)
        assert own.usage() is not None
        psutil.Process(own.parent).suspend()
        own.control.settimeout(0.2)
        with pytest.raises(WorkerDied):
            own.ask("usage")
        assert not own.alive
        session.close()
    finally:
        own.close()


# ---- kernels that have less -------------------------------------------------------------------------------------


def test_without_landlock_signals_reach_nobody_and_folders_are_emptied() -> None:
    box = available("bubblewrap")
    assert isinstance(box, Bubblewrap)
    inside = replace(box.inside, landlock=False)
    assert not any("Landlock" in missing for missing in box_rules.without(box.inside)) or not box.inside.landlock
    assert any("Landlock" in missing for missing in box_rules.without(inside))
    worker = Worker(replace(box, inside=inside))
    try:
        text = (
            TRY
            + """
def f():
    with open('/dev/shm/note', 'w') as note: note.write('x')
    pids = [int(name) for name in os.listdir('/proc') if name.isdigit() and int(name) != os.getpid()]
    found = [said(os.kill, pid, signal.SIGSTOP) for pid in (*pids, -1, 0)]
    found += [said(lambda: open(f'/proc/{pid}/mem').read(1)) for pid in pids]
    return found, said(os.kill, os.getpid(), 0), os.path.dirname(os.getcwd())
def g(root): return [os.listdir('/dev/shm'), [name for name in os.listdir(root) if name != os.path.basename(os.getcwd())]]
"""
        )
        worker.submit({"vae": text}, [])
        with Session(worker, 1, PATIENT, fresh=True) as session:
            others, itself, root = session.call("vae.f")
        assert others
        assert all(str(item).startswith("no: ") for item in others), others
        assert itself is None
        with Session(worker, 1, PATIENT, fresh=True) as session:
            assert session.call("vae.g", root) == [[], []]
    finally:
        worker.close()
