"""Where nothing is forked: the same verdicts from processes that are started anew (grader/boundary/spawning.py)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from grader.boundary import hosts, patience, spawning
from grader.boundary.ends import Crashed, OutOfMemory, StudentRaised, TimedOut, TooManyProcesses
from grader.boundary.launch import Worker, WorkerDied
from grader.boundary.session import Limits, Session
from grader.boundary.spawning import Spawner

from .conftest import ROOT

SHORT = Limits(request_s=5.0, check_s=30.0, memory=3 << 30, threads=1)
PROGRAM = ROOT / "tests" / "without_fork.py"
# right, wrong, raising, hanging, ending and missing: what there is to tell of each is to be the same
MIXED = """
import os, time
def pmf_variance(values, probs):
    print("so far")
    raise ValueError("not yet")
def univariate_log_prob(x, mu, logvar):
    time.sleep(100)
def kl_univariate(mu_p, logvar_p, mu_q, logvar_q):
    return 0.5 * (logvar_q - logvar_p + (logvar_p.exp() + (mu_p - mu_q) ** 2) / logvar_q.exp())
def kl_diagonal(mu_p, logvar_p, mu_q, logvar_q):
    os._exit(3)
"""


@pytest.fixture(scope="module")
def spawner() -> Iterator[Spawner]:
    running = Spawner()
    yield running
    running.close()


def works(worker: Spawner) -> None:
    """The next check is judged whatever the last one did."""
    worker.submit({"vae": "def f():\n    return 1"}, [])
    with Session(worker, 1, SHORT) as session:
        assert session.call("vae.f") == 1


def test_each_check_has_a_process_of_its_own(spawner: Spawner) -> None:
    spawner.submit(
        {
            "vae": "import os\ncalls = []\ndef f():\n    print('called')\n    calls.append(1)\n    return [len(calls), os.getpid()]"
        },
        [],
    )
    pids = set()
    for _ in range(2):
        with Session(spawner, 1, SHORT) as session:
            assert session.call("vae.f")[0] == 1
            second, pid = session.call("vae.f")
            assert second == 2
            session.drain()
            assert session.printed == b"called\ncalled\n"
            assert psutil.Process(pid).is_running()
        assert not psutil.pid_exists(pid)
        pids.add(pid)
    assert len(pids) == 2


@pytest.mark.parametrize(
    ("code", "end", "words"),
    [
        ("import os\ndef f():\n    os._exit(3)", Crashed, "exit code 3"),
        ("import os\ndef f():\n    os.kill(os.getpid(), 11)", Crashed, "signal 11"),
        ("import time\ndef f():\n    time.sleep(100)", TimedOut, "no answer within"),
        ("def f():\n    raise ValueError('mine')", StudentRaised, "ValueError: mine"),
        ("def f():\n    return input()", StudentRaised, "EOFError"),
        ("import sys\ndef f():\n    sys.exit(5)", StudentRaised, "SystemExit: 5"),
        ("import sys\ndef f():\n    import grader", StudentRaised, "grader"),
        ("def f():\n    return bytearray(4 << 30)", (OutOfMemory, StudentRaised), "memory|MemoryError|refused"),
        ("import subprocess, sys, time\ndef f():\n    kept = [subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])"
         " for _ in range(300)]\n    time.sleep(20)", (TooManyProcesses, StudentRaised), "processes"),
    ],
    ids=["exits", "is killed", "hangs", "raises", "asks", "leaves", "looks for us", "memory", "processes"],
)  # fmt: skip
def test_whatever_happens_in_it_is_told_as_elsewhere(spawner: Spawner, code: str, end: Any, words: str) -> None:
    spawner.submit({"vae": code}, [])
    before = set(psutil.pids())
    with Session(spawner, 1, SHORT) as session, pytest.raises(end, match=words):
        session.call("vae.f")
    left = [process for process in psutil.process_iter() if process.pid not in before]
    assert not [process for process in left if "time.sleep(60)" in " ".join(words_of(process))]
    works(spawner)


def words_of(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return list(process.cmdline())
    return []


@pytest.mark.parametrize(
    ("code", "end", "words"),
    [
        ("while True:\n    pass", TimedOut, "did not finish importing"),
        ("import os\nos._exit(1)", Crashed, "ended the process when it was imported"),
    ],
)
def test_an_import_that_does_not_end_is_tried_once(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch, code: str, end: type[Exception], words: str
) -> None:
    monkeypatch.setattr(patience, "IMPORT_S", 1.0)
    spawner.submit({"vae": code, "pca": "def g():\n    return 2"}, [])
    for _ in range(2):
        with Session(spawner, 1, SHORT) as session, pytest.raises(end, match=f"{words}[^()]*$"):
            session.call("vae.f")
        with Session(spawner, 1, SHORT) as session:
            assert session.call("pca.g") == 2
    assert list(spawner.blocked) == ["vae"]


def test_its_files_are_gone_with_it(spawner: Spawner) -> None:
    spawner.submit({"vae": "import os\ndef f():\n    open('left', 'w').write('x' * 1000)\n    return os.getcwd()"}, [])
    with Session(spawner, 1, SHORT) as session:
        folder = Path(session.call("vae.f"))
        assert (folder / "left").exists()
        spawner.looked = 0.0
        spawner.usage()
        assert spawner.temporary() >= 1000
    assert not folder.exists()


def test_a_sealed_one_is_alone(spawner: Spawner) -> None:
    spawner.submit({"vae": "import os\ndef f():\n    return os.getpid()"}, [])
    with Session(spawner, 1, SHORT) as first:
        pid = first.call("vae.f")
        with Session(spawner, 1, SHORT, sealed=True) as second:
            assert not psutil.pid_exists(pid)
            assert second.call("vae.f") != pid
        with pytest.raises(Crashed):
            first.call("vae.f")


def test_who_does_not_know_the_secret_is_not_talked_to(spawner: Spawner) -> None:
    works(spawner)
    started = spawner._start()
    port = started.door.getsockname()[1]
    spawner.ahead.appendleft(started)
    with socket.create_connection((spawning.LOOPBACK, port)) as stranger:
        stranger.sendall(b"x" * 32)
        works(spawner)
        assert stranger.recv(1) == b""


def test_one_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "broken.py"
    program.write_text("raise SystemExit('no library of that name')")
    monkeypatch.setattr(spawning, "PROGRAM", program)
    own = Spawner()
    try:
        own.submit({"vae": ""}, [])
        with pytest.raises(WorkerDied, match="no library of that name"):
            Session(own, 1, SHORT)
    finally:
        own.close()
    assert not Path(own.home).exists()
    with pytest.raises(WorkerDied, match="closed"):
        Session(own, 1, SHORT)


def test_nothing_outlives_a_grader_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import time\nfrom grader.boundary.spawning import Spawner\nfrom grader.boundary.session import Limits, Session\n"
        "own = Spawner()\nown.submit({'vae': 'import os\\ndef f():\\n    return os.getpid()'}, [])\n"
        "session = Session(own, 1, Limits(60.0, 60.0, 0, 1))\n"
        "print(session.call('vae.f'), *(one.process.pid for one in own.ahead), flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        pids = [int(word) for word in running.stdout.readline().split()]
        assert len(pids) == 1 + spawning.AHEAD
        os.kill(running.pid, signal.SIGKILL)
    until = time.monotonic() + 60
    while time.monotonic() < until and any(map(psutil.pid_exists, pids)):
        time.sleep(0.05)
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_linux_forks_unless_it_is_asked_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(spawning.SWITCH, raising=False)
    worker = hosts.start()
    worker.close()
    assert isinstance(worker, Worker)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert spawning.is_needed()
    monkeypatch.undo()
    monkeypatch.setenv(spawning.SWITCH, "1")
    spawned = hosts.start()
    spawned.close()
    assert isinstance(spawned, Spawner)


def plain(found: Any) -> Any:
    """A report without times."""
    if isinstance(found, dict):
        return {key: plain(value) for key, value in found.items() if not key.endswith("_s")}
    return [plain(value) for value in found] if isinstance(found, list) else found


@pytest.mark.slow
def test_verdicts_and_reports_are_those_of_forked_processes(tmp_path: Path) -> None:
    """On a Linux without all that Windows does not have, a system of Python that is without it from the start."""
    folder = tmp_path / "work"
    folder.mkdir()
    for path in (ROOT / "solution").glob("*.py"):
        (folder / path.name).write_text(path.read_text())
    with (folder / "gaussians.py").open("a") as file:
        file.write(MIXED)
    found: list[tuple[Any, str]] = []
    for command in ([sys.executable, "-m", "grader"], [sys.executable, str(PROGRAM)]):
        report = tmp_path / f"{len(found)}.json"
        done = subprocess.run(
            [*command, "check", str(folder), "-q", "1", "-q", "2", "--seed", "5", "--jobs", "2", "--json", str(report)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done.stdout + done.stderr
        found.append((plain(json.loads(report.read_text())), done.stdout))
    assert found[0][0] == found[1][0]
    assert found[0][1] == found[1][1]
    assert {"passed", "failed", "crashed", "timeout"} <= {check["status"] for check in found[0][0]["checks"]}
