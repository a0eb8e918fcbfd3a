"""What a submission does to its processes costs itself, and nobody waits for it twice."""

from __future__ import annotations

import json
import sys
import time
from os import environ
from pathlib import Path
from subprocess import PIPE, Popen, run

import psutil
import pytest
import torch

from grader.boundary import patience as patience_of
from grader.boundary.ends import Crashed, OutOfMemory, StudentRaised, TimedOut
from grader.boundary.launch import Worker
from grader.boundary.patience import FEWER_S, LAST_S, LEAST_S, SPENT, TRIES, USUAL_S, Patience
from grader.boundary.session import Limits, Session
from grader.boundary.values import Ref, TorchRef
from grader.classes.ingest import Submission
from grader.grading.judge import Bench, Setting, judge_all
from grader.rubric import CHECKS, MODULES

from .conftest import ROOT, SHORT, Opener

QUICK = Limits(request_s=0.5, check_s=20.0, memory=1200 << 20, threads=1)


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience_of, "IMPORT_S", 1.0)


@pytest.mark.parametrize(
    ("code", "end", "words"),
    [
        ("while True: pass", TimedOut, "did not finish importing"),
        ("import time\ntime.sleep(1000)", TimedOut, "did not finish importing"),
        ("import os\nos._exit(0)", Crashed, "ended the process when it was imported"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", Crashed, "ended the process"),
    ],
)
def test_a_file_whose_import_does_not_end_is_imported_once(
    worker: Worker, little_patience: None, code: str, end: type[Exception], words: str
) -> None:
    worker.submit({"pca": code, "gaussians": "def f(): return 1", "vae": "from .pca import x\ndef g(): return 2"}, [])
    for _ in range(3):
        with Session(worker, 1, SHORT) as session, pytest.raises(end, match=f"{words}[^()]*$"):
            session.call("pca.f")
        with Session(worker, 1, SHORT) as session, pytest.raises(end, match=words):
            session.call("vae.g")
        with Session(worker, 1, SHORT) as session:
            assert session.call("gaussians.f") == 1
    with Session(worker, 1, SHORT, fresh=True) as session, pytest.raises(end, match=words):
        session.call("pca.f")
    assert list(worker.blocked) == ["pca"]


def test_an_import_that_raises_is_told_in_every_check(worker: Worker) -> None:
    worker.submit({"pca": "1 / 0", "vae": "def g(): return 2"}, [])
    for _ in range(2):
        with Session(worker, 1, SHORT) as session:
            with pytest.raises(StudentRaised, match="ZeroDivisionError"):
                session.call("pca.f")
            assert session.call("vae.g") == 2


@pytest.mark.parametrize(
    "code",
    [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
        "import os, time\nif os.fork() == 0:\n    time.sleep(1000)",
        "import sys\nsys.stdout.flush = None",
        "import torch\ntorch.manual_seed(3)\ntorch.randn(3)",
    ],
)
def test_what_an_import_starts_or_changes_stops_nothing(worker: Worker, code: str) -> None:
    worker.submit({"vae": f"{code}\ndef g(): return 2"}, [])
    for _ in range(2):
        with Session(worker, 1, SHORT) as session:
            assert session.call("vae.g") == 2


def test_what_one_check_changes_in_a_module_is_not_there_in_the_next(worker: Worker) -> None:
    worker.submit({"vae": "STATE = []\ndef g():\n    STATE.append(1)\n    return len(STATE)"}, [])
    for _ in range(2):
        with Session(worker, 1, SHORT) as session:
            assert [session.call("vae.g") for _ in range(2)] == [1, 2]


def test_what_a_stand_in_replaces_is_replaced_where_it_was_imported_before(worker: Worker) -> None:
    sources = {"gaussians": "def f(): return 1", "vae": "from gaussians import f\ndef g(): return f()"}
    worker.submit(sources, ["starter"])
    with Session(worker, 1, SHORT) as session:
        assert session.call("vae.g") == 1
    with Session(worker, 1, SHORT) as session:
        session.request("stand_in", module="gaussians", name="f", value=TorchRef("is_grad_enabled"))
        assert session.call("vae.g") is True


def test_files_of_a_check_are_gone_with_it(session_with: Opener, worker: Worker) -> None:
    code = (
        "import os, tempfile\nfrom pathlib import Path\ndef f():\n"
        "    handle, name = tempfile.mkstemp()\n    Path('here').touch()\n    (Path.home() / 'there').touch()\n"
        "    return [name, os.path.abspath('here'), str(Path.home() / 'there')]"
    )
    session = session_with(vae=code)
    names = session.call("vae.f")
    assert all(Path(name).exists() and Path(name).is_relative_to(worker.home) for name in names)
    session.close()
    assert not any(Path(name).exists() for name in names)
    assert not [entry for entry in Path(worker.home).iterdir() if entry.name.startswith("check-")]


@pytest.mark.parametrize("value", ["None", "object()", "type('Log', (), {'write': lambda self, text: None})()"])
def test_output_may_be_replaced_by_anything(session_with: Opener, value: str) -> None:
    session = session_with(vae=f"import sys\ndef f():\n    sys.stdout = {value}\n    return 1")
    assert session.call("vae.f") == 1
    assert session.call("vae.f") == 1


def test_arguments_of_ours_are_not_a_submissions(session_with: Opener) -> None:
    code = (
        "import argparse, sys\nparser = argparse.ArgumentParser()\nparser.add_argument('--epochs', default=3)\n"
        "epochs = parser.parse_args().epochs\ndef f(): return [epochs, len(sys.argv)]"
    )
    assert session_with(vae=code).call("vae.f") == [3, 1]


def test_names_in_a_set_come_in_one_order(worker: Worker) -> None:
    worker.submit({"vae": "def f(): return list({'mu', 'logvar', 'z', 'x', 'eps', 'beta', 'y'})"}, [])
    orders = []
    for fresh in (False, True, False):
        with Session(worker, 1, SHORT, fresh=fresh) as session:
            orders.append(session.call("vae.f"))
    other = Worker()
    try:
        other.submit(worker.sources, [])
        with Session(other, 1, SHORT) as session:
            orders.append(session.call("vae.f"))
    finally:
        other.close()
    assert all(order == orders[0] for order in orders)


def test_a_spawned_loader_does_not_run_the_grader_again(session_with: Opener) -> None:
    code = (
        "import torch\nfrom torch.utils.data import DataLoader, TensorDataset\ndef f(x):\n"
        "    loader = DataLoader(TensorDataset(x), batch_size=2, num_workers=1, multiprocessing_context='spawn')\n"
        "    return torch.cat([batch for (batch,) in loader])"
    )
    session = session_with(Limits(request_s=60.0, check_s=60.0, memory=3 << 30, threads=1), vae=code)
    x = torch.arange(6.0)
    assert torch.equal(session.call("vae.f", x), x)


def test_a_wait_says_what_is_waited_for(session_with: Opener) -> None:
    code = (
        "import subprocess, sys\ndef f():\n    subprocess.run([sys.executable, '-c', 'import time; time.sleep(100)'])"
    )
    with pytest.raises(TimedOut, match="it has started 1 process of its own"):
        session_with(SHORT, vae=code).call("vae.f")


HANGS = """
class Model:
    def forward(self): return self.wait()
    def wait(self):
        while True: pass
def f():
    while True: pass
def g(): return 1
"""


def test_what_does_not_come_back_is_called_twice_in_a_question(worker: Worker) -> None:
    worker.submit({"vae": HANGS}, [])
    for _ in range(TRIES):
        with Session(worker, 1, QUICK) as session, pytest.raises(TimedOut, match="no answer within"):
            session.call("vae.f")
    with Session(worker, 1, QUICK) as session, pytest.raises(TimedOut, match=r"vae\.f did not come back"):
        session.call(Ref("vae.f"))
    with Session(worker, 1, QUICK) as session:
        assert session.call("vae.g") == 1
    worker.patience.renew()
    for _ in range(TRIES):
        with Session(worker, 1, QUICK) as session:
            model = session.new("vae.Model")
            with pytest.raises(TimedOut, match="no answer within"):
                model.call("wait")
    with Session(worker, 1, QUICK) as session, pytest.raises(TimedOut, match=r"vae\.Model did not come back"):
        session.new("vae.Model")


def test_others_wait_less_once_something_does_not_come_back() -> None:
    patience = Patience()
    assert patience.limit(USUAL_S) == USUAL_S
    for name, seconds in zip("abcde", (*FEWER_S, LEAST_S), strict=True):
        assert not patience.gone(name)
        patience.note(name)
        assert patience.limit(USUAL_S) == seconds
        assert patience.limit(0.1) == 0.1
    assert patience.weary
    assert patience.gone("a")  # once was enough
    patience.renew()
    assert patience.limit(USUAL_S) == LEAST_S
    assert patience.limit(600.0) == 600.0  # training
    for number in range(SPENT - patience.calls):
        patience.note(f"later {number}")
    assert patience.limit(USUAL_S) == LAST_S
    patience.forget()
    assert patience.limit(USUAL_S) == USUAL_S


def test_what_hangs_in_every_function_or_file_is_waited_for_a_minute_at_most() -> None:
    patience, waited, importing = Patience(), 0.0, 0.0
    for name in map(str, range(80)):  # so many do the quick checks call by name
        while not patience.gone(name):
            waited += patience.limit(USUAL_S)
            patience.note(name)
    assert waited < 40.0  # what the machine itself takes for all checks is up to 18 s more
    for _ in MODULES:
        importing += patience.import_limit()
        patience.note_import()
    assert importing < 40.0


def test_what_does_not_get_the_processor_is_not_late_before_the_check_is(
    session_with: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_with(Limits(0.2, 1.0, 1200 << 20, 1), vae="def f():\n    while True: pass")
    monkeypatch.setattr(session, "_processor_time", lambda: 0.0)  # others use the machine
    with pytest.raises(TimedOut, match=r"no answer within 0\.2 s"):
        session.call("vae.f")
    assert time.monotonic() >= session.started + session.limits.check_s
    assert not session.worker.patience.calls  # nobody knows what it would have done


def test_a_submission_that_hangs_at_import_costs_seconds(little_patience: None) -> None:
    sources = {"gaussians": "while True: pass", "pca": "x = 1"}
    checks = [check for check in CHECKS if check.question in (1, 2)]
    with Bench(Submission("hangs", sources)) as bench:
        bench.worker  # noqa: B018  started before the clock
        outcomes = list(judge_all(checks, bench, Setting(1), lambda check: check.kind != "trained"))
    assert {outcome.status for outcome in outcomes} <= {"timeout", "skipped"}
    told = [outcome.message for outcome in outcomes if outcome.status == "timeout"]
    assert told
    assert all("did not finish importing" in message for message in told)  # none has waited for itself


SCRIPT = """
import sys, time
from grader.boundary.launch import Worker
from grader.boundary.session import Limits, Session
from grader.grading.engines.local import Lanes

def hang(part, tell=None):
    worker = Worker()
    worker.submit({"vae": "def f():\\n    while True: pass"}, [])
    with Session(worker, 1, Limits(1000.0, 1000.0, 0, 1)) as session:
        print("started", flush=True)
        session.call("vae.f")

if __name__ == "__main__":
    if sys.argv[1] == "1":
        hang(0)
    lanes = Lanes(2, hang)
    lanes.submit(0)
    lanes.submit(1)
    list(lanes.results())
"""


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [1, 2])
def test_nothing_outlives_a_grader_that_is_killed(tmp_path: Path, lanes: int) -> None:
    (tmp_path / "hangs.py").write_text(SCRIPT)
    grader = Popen([sys.executable, str(tmp_path / "hangs.py"), str(lanes)], stdout=PIPE, env={"PYTHONPATH": str(ROOT)})
    assert grader.stdout is not None
    for _ in range(lanes):
        assert grader.stdout.readline() == b"started\n"
    family = psutil.Process(grader.pid).children(recursive=True)
    assert len(family) > 2 * lanes
    grader.kill()
    grader.wait()
    grader.stdout.close()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive


def test_memory_that_an_import_takes_is_the_submissions(worker: Worker) -> None:
    worker.submit({"vae": "import torch\nkept = torch.ones(1 << 33, dtype=torch.uint8)\ndef f(): return 1"}, [])
    with Session(worker, 1, SHORT) as session, pytest.raises(OutOfMemory):
        session.call("vae.f")


@pytest.mark.slow
def test_a_report_does_not_depend_on_the_hash_seed_of_the_grader(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    wrong = (ROOT / "solution" / "gaussians.py").read_text().replace("0.5", "0.25")
    (work / "gaussians.py").write_text(wrong)
    reports = []
    for seed in ("1", "2"):
        file = tmp_path / f"{seed}.json"
        command = [
            sys.executable,
            "-m",
            "grader",
            "check",
            str(work),
            "-q",
            "1",
            "-q",
            "2",
            "--seed",
            "5",
            "--jobs",
            "1",
        ]
        run([*command, "--json", str(file)], cwd=ROOT, env=environ | {"PYTHONHASHSEED": seed}, capture_output=True)
        report = json.loads(file.read_text())
        for entry in (report, *report["checks"]):
            entry["duration_s"] = 0
        reports.append(report)
    assert reports[0] == reports[1]
    assert any(check["status"] == "failed" for check in reports[0]["checks"])
