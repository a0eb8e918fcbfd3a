"""The hostile self-test in every box that this machine can give: nothing gets out. Without a box it does, and is seen.

With CI=true a backend that the machine supports, by a test that owes nothing to the grader's own, must have been tried.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from grader.boundary.box import BACKENDS, Box, NoBox, choose
from grader.boundary.box.selftest import ATTACKS, LIMITS, MARKER, Seen, Trial, observe
from grader.boundary.box.ward import Ward, find_shared
from grader.boundary.launch import Worker
from grader.boundary.session import Session

from .conftest import ROOT

IN_CI = os.environ.get("CI", "").casefold() in ("1", "true", "yes")
CREATE_RULESET, VERSION = 444, 1
HARMED = frozenset({  # without a box these must get through, or the self-test sees nothing
    "a TCP connection", "a UDP datagram", "an abstract socket of the grader", "a socket in a folder of the grader",
    "reading a file outside", "writing a file outside", "mode, owner and times of a file outside", "leaving files in the shared temporary folders",
    "seeing another process", "the environment of another process", "ending another process",
})  # fmt: skip


def landlock_version() -> int:
    """What the kernel says, by its own call."""
    if sys.platform != "linux":
        return 0
    return int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, VERSION))


def namespaces_work() -> bool:
    """Whether somebody without privileges can have a user namespace here, by the tool of util-linux."""
    tool = shutil.which("unshare")
    if tool is None:
        return False
    before = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
    words = [*before, tool, "--user", "--map-current-user", "--mount", "--pid", "--fork", "true"]
    with contextlib.suppress(OSError):
        return subprocess.run(words, capture_output=True, check=False, cwd="/").returncode == 0
    return False


def supported(name: str) -> bool:
    """Whether this machine could give a box of this kind."""
    if name == "bubblewrap":
        return namespaces_work()
    if name == "uid":
        return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("setpriv") is not None
    return landlock_version() >= 6


def box_of(name: str) -> Box:
    """The box; a backend that the machine does not support is passed over, one that it does is not."""
    try:
        return choose(name)
    except NoBox as none:
        if IN_CI and supported(name):
            raise
        pytest.skip(str(none))


@pytest.mark.parametrize("name", [name for name in BACKENDS if name != "none"])
def test_nothing_gets_out_of_a_box(name: str) -> None:
    seen = list(observe(box_of(name)))
    assert [one.what for one in seen] == [what for what, _ in ATTACKS]
    assert not [f"{one.what}: {one.seen}" for one in seen if not one.held]
    assert all(one.seen for one in seen)


def as_nobody(*kept: str) -> list[str]:
    """What makes a command nobody's; where Python lies in root's own home, with the right to read it and no other."""
    kinds = ("--inh-caps", "--bounding-set", *(["--ambient-caps"] if kept else []))
    caps = [word for kind in kinds for word in (kind, ",".join(["-all", *kept]))]
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", *caps]


def same_python(before: list[str]) -> bool:
    """Whether this Python starts, and no other that lies on the way to it."""
    done = subprocess.run([*before, sys.executable, "-c", "import os; print(os.__file__)"], capture_output=True, text=True,
                          check=False, cwd="/")  # fmt: skip
    return done.stdout.strip() == os.__file__


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_without_privileges_gets_a_box_of_landlock() -> None:
    """The whole grader as another user, as on a locked-down cluster."""
    box_of("landlock")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o777)
        environment = {**os.environ, "HOME": folder, "TMPDIR": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        somebody = next((words for words in (as_nobody(), as_nobody("+dac_read_search")) if same_python(words)), None)
        assert somebody is not None, "nobody can start this Python"
        done = subprocess.run([*somebody, sys.executable, "-m", "grader", "box", "--box", "landlock", "--json"], cwd=ROOT,
                              env=environment, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.stdout, done.stderr
    content = json.loads(done.stdout)
    assert content["backend"] == "landlock"
    assert not [one for one in content["self_test"] if not one["held"]]
    assert done.returncode == 0


@pytest.fixture
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test has started or written on this machine is gone after it."""
    wards: list[Ward] = []

    class Noted(Ward):
        def __init__(self) -> None:
            super().__init__()
            wards.append(self)

    monkeypatch.setattr("grader.boundary.box.selftest.Ward", Noted)
    monkeypatch.setitem(globals(), "Ward", Noted)
    started = {process.pid for process in psutil.Process().children(recursive=True)}
    yield
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= started
    [ward] = wards
    assert not ward.folder.exists()
    assert ward.victim.poll() is not None
    for folder in {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"}:
        assert not Path(folder, ward.name).exists()
        assert not [*Path(folder).glob("a7-full-*")] or not Path(folder).is_dir()


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_left")
def test_without_a_box_it_gets_out_and_harms_nothing() -> None:
    seen = {one.what: one for one in observe(choose("none"))}
    assert not {what: seen[what].seen for what in HARMED if seen[what].held}


@pytest.mark.usefixtures("nothing_left")
def test_the_ward_can_be_harmed() -> None:
    """The oracles themselves: a canary that never changes would find every box tight."""
    with Ward() as ward:
        libc = ctypes.CDLL(None)
        assert libc.shmget(ward.key, 4096, 0o1000 | 0o600) >= 0
        assert find_shared(ward.key, ward.name) == "a segment"
        assert ward.canary.read_text() == ward.secret
        assert ward.victim.poll() is None
        assert ward.victim_secret in Path(f"/proc/{ward.victim.pid}/cmdline").read_text()
    assert libc.shmget(ward.key, 0, 0) < 0
    assert ward.victim.poll() is not None


def test_the_text_that_is_sent_has_the_marker_that_is_looked_for() -> None:
    from grader.boundary.box import hostile

    assert hostile.MARKER == MARKER
    assert {name for name in vars(hostile) if not name.startswith("_")} >= {"marker", "connect", "take"}


def test_a_worker_that_dies_in_the_middle_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an attack does to its worker, those after it are tried all the same."""
    started = []
    begin = Worker.__init__

    def counted(self: Worker, *arguments: object) -> None:
        begin(self, *arguments)  # type: ignore[arg-type]
        started.append(self)

    monkeypatch.setattr(Worker, "__init__", counted)
    chosen = [attack for attack in ATTACKS if attack[0] in ("ending its parent", "reading a file outside")]
    monkeypatch.setattr("grader.boundary.box.selftest.ATTACKS", [chosen[1], chosen[0]])
    first, second = observe(choose("none"))
    assert (first.what, first.held, second.held) == ("ending its parent", False, False)
    assert second.seen == "the canary came back"
    assert len(started) == 2
    assert not [worker for worker in started if worker.alive]


def test_an_oracle_that_cannot_speak_finds_no_box_tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process that should look is ended, nothing is known, and that is not taken for a box that holds."""

    def blind(trial: Trial) -> Seen:
        trial.look("marker")
        trial.worker.process.kill()
        trial.worker.process.wait()
        return Seen(trial.session is not None and bool(Session(trial.worker, 0, LIMITS)), "it was seen")

    def silent(trial: Trial) -> Seen:
        return Seen(bool(trial.look("no_such_attack")), "it was seen")

    monkeypatch.setattr("grader.boundary.box.selftest.ATTACKS", [("blind", blind), ("silent", silent)])
    found = list(observe(choose("none")))
    assert [one.held for one in found] == [False, False]
    assert all("could not be seen" in one.seen for one in found)
