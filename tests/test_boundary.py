"""The process boundary: whatever the submission does, the grader gets data, or a named end of the session."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from grader.boundary.ends import Crashed, OutOfMemory, SessionEnded, StudentRaised, TimedOut, Violation
from grader.boundary.launch import GraderFault, Worker, WorkerDied
from grader.boundary.session import Session
from grader.boundary.values import Foreign, Gen, Handle, Image8, Probe, Ref, Slot, TorchRef

from .conftest import SHORT, Opener

MODEL = """
import torch
from torch import nn
class Model(nn.Module):
    def __init__(self, size=3):
        super().__init__()
        self.layer = nn.Linear(size, 2)
    def forward(self, x):
        return self.layer(x), x
    def twice(self, x):
        return 2 * x
def double(x):
    return 2 * x
"""


def test_calls_constructs_reads_and_loads(session_with: Opener) -> None:
    session = session_with(vae=MODEL)
    x = torch.randn(4, 3)
    assert torch.equal(session.call("vae.double", x), 2 * x)
    model = session.new("vae.Model", size=3)
    assert model.type == "Model"
    assert torch.equal(model.call("twice", x), 2 * x)
    state = {name: torch.ones_like(value) for name, value in model.state().items()}
    model.load(state)
    output, _ = model(x)
    torch.testing.assert_close(output, x.sum(1, keepdim=True).expand(4, 2) + 1)
    assert model.eval().get("training") is False


def test_gradients_of_arguments_and_parameters(session_with: Opener) -> None:
    session = session_with(vae=MODEL)
    model = session.new("vae.Model")
    x, weights = torch.randn(4, 3), torch.randn(4, 2)
    found = session.vjp(model, x, wrt=[0], params=[model], cotangents=[((0,), weights)])
    torch.testing.assert_close(found.args[0], weights @ model.state()["layer.weight"])
    torch.testing.assert_close(found.params[0]["layer.weight"], weights.t() @ x)


def test_no_path_gives_no_gradient(session_with: Opener) -> None:
    session = session_with(vae="def f(x):\n    return x.detach() * 2")
    assert session.vjp("vae.f", torch.ones(2), wrt=[0]).args[0] is None


@pytest.mark.parametrize("statement", ["from .gaussians import f", "from gaussians import f", "from starter.gaussians import f",
                                       "from solution.gaussians import f", "import gaussians; f = gaussians.f"])  # fmt: skip
def test_one_module_under_all_its_names(session_with: Opener, statement: str) -> None:
    code = f"{statement}\nimport gaussians as again\ndef same():\n    return f is again.f and f() == 7"
    session = session_with(vae=code, gaussians="def f():\n    return 7")
    assert session.call("vae.same") is True


def test_an_exception_is_data_with_the_students_own_lines(session_with: Opener) -> None:
    session = session_with(vae="def f(x):\n    y = x + 1\n    raise ValueError('beta is -1')")
    with pytest.raises(StudentRaised) as caught:
        session.call("vae.f", 1)
    assert caught.value.kinds[0] == "ValueError"
    assert caught.value.message == "beta is -1"
    frame = caught.value.frames[-1]
    assert (frame.file, frame.line, frame.function) == ("vae.py", 3, "f")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("import nothing_like_this", "ModuleNotFoundError"), ("def f(:", "SyntaxError"), ("raise RuntimeError('no')", "RuntimeError"),
        ("import sys; sys.exit(3)", "SystemExit"), ("f = 1\nraise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def g():\n    return g()\ng()", "RecursionError"), ("x = 1", "MissingName"), ("import helpers", "ModuleNotFoundError"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_used_is_an_answer(session_with: Opener, code: str, kind: str) -> None:
    session = session_with(vae=code)
    for _ in range(2):  # and the session goes on
        with pytest.raises(StudentRaised) as caught:
            session.call("vae.f")
        assert caught.value.kinds[0] == kind


def test_a_missing_file_is_named(session_with: Opener) -> None:
    with pytest.raises(StudentRaised, match=r"vae\.py is not in the submission"):
        session_with(gaussians="").call("vae.f")


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("import os\ndef f():\n    os._exit(0)", Crashed),
        ("import os, signal\ndef f():\n    os.kill(os.getpid(), signal.SIGKILL)", Crashed),
        ("import os\nos._exit(0)", Crashed),
        ("def f():\n    while True: pass", TimedOut),
        ("while True: pass", TimedOut),
        ("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ndef f():\n    time.sleep(1000)", TimedOut),
        ("import torch\ndef f():\n    return [torch.ones(50_000_000) for _ in range(100)]", OutOfMemory),
        ("def f():\n    return bytearray(10**10)", OutOfMemory),
        ("import mmap\ndef f():\n    m = mmap.mmap(-1, 3 << 30)\n    while True:\n        for i in range(0, 3 << 30, 4096): m[i] = 1",
         OutOfMemory),
    ],
)  # fmt: skip
def test_the_session_ends_by_name(session_with: Opener, code: str, end: type[SessionEnded]) -> None:
    session = session_with(vae=code)
    with pytest.raises(end):
        session.call("vae.f")
    with pytest.raises(Crashed):
        session.call("vae.f")


SEND = (
    "import os, socket\ndef fds():\n    return [fd for fd in range(3, 40) if os.path.exists(f'/proc/self/fd/{fd}')]\n"
)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="finds the socket through /proc")
@pytest.mark.parametrize(
    "message",
    ["b'x' * 50", "wire.pack({'nonce': 1, 'value': True}, {})", "wire.pack({'nonce': 999, 'value': True}, {})",
     "b'A7W1' + b'\\xff' * 12"],
)  # fmt: skip
def test_forged_frames_are_violations(session_with: Opener, message: str) -> None:
    code = SEND + (
        f"import sys\nwire = sys.modules['worker.wire']\ndef f():\n    for fd in fds():\n        try:\n"
        f"            socket.socket(fileno=os.dup(fd)).send({message})\n        except OSError: pass\n    return False"
    )
    session = session_with(vae=code)
    try:
        value = session.call("vae.f")
    except Violation:
        return
    # a forged answer that names the right request may be read, but the true one behind it is then one too many
    with pytest.raises(SessionEnded):
        session.call("vae.f")
    assert value is True


def test_megabytes_of_output_do_not_block_and_are_not_kept(session_with: Opener) -> None:
    session = session_with(vae="def f():\n    for _ in range(200_000): print('x' * 50)\n    return 1")
    assert session.call("vae.f") == 1
    session.drain()
    assert len(session.printed) <= 4000


@pytest.mark.parametrize(
    ("expression", "description"),
    [
        ("np.zeros(3)", "NumPy"),
        ("object()", "type object"),
        ("torch.empty(3, device='meta')", "meta"),
        ("{1, 2}", "type set"),
    ],
)
def test_what_is_no_tensor_is_described(session_with: Opener, expression: str, description: str) -> None:
    value = session_with(vae=f"import torch, numpy as np\ndef f():\n    return {expression}").call("vae.f")
    assert isinstance(value, Foreign)
    assert description in value.description


def test_nothing_reaches_the_next_check(session_with: Opener, worker: Worker) -> None:
    code = (
        "import os, random, torch, torch.nn.functional as F\ndef spoil():\n    torch.allclose = F.mse_loss = lambda *a, **k: 1\n"
        "    torch.manual_seed(5)\n    torch.set_default_dtype(torch.float64)\n    torch.set_grad_enabled(False)\n"
        "    os.environ['SPOILT'] = '1'\n    globals()['left'] = 1\n    open('file', 'w').write('x')\n"
        "def state():\n    return [torch.allclose.__name__, F.mse_loss.__name__, str(torch.get_default_dtype()),\n"
        "            torch.is_grad_enabled(), 'SPOILT' in os.environ, 'left' in globals(), os.listdir('.'),\n"
        "            torch.initial_seed()]"
    )
    before = session_with(vae=code).call("vae.state")
    session_with(vae=code).call("vae.spoil")
    assert session_with(vae=code).call("vae.state") == before


def test_processes_that_a_check_leaves_behind_are_killed(session_with: Opener) -> None:
    code = (
        "import os, time\ndef f():\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
        "            time.sleep(1000)\n        time.sleep(1000)\n    return os.getpid()"
    )
    session = session_with(vae=code)
    pid = session.call("vae.f")
    family = [p.pid for p in psutil.Process(pid).children(recursive=True)]
    session.close()
    deadline = time.monotonic() + 5
    while any(psutil.pid_exists(p) for p in [pid, *family]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [p for p in [pid, *family] if psutil.pid_exists(p)]


def test_the_worker_holds_nothing_of_the_grader(session_with: Opener) -> None:
    code = (
        "import os, sys\ndef f():\n    try:\n        import grader.rubric\n        return 'imported'\n    except ImportError:\n"
        "        return [sorted(m for m in sys.modules if m.startswith('grader') and sys.modules[m]), sys.path, sorted(os.environ)]"
    )
    modules, path, environment = session_with(vae=code).call("vae.f")
    assert modules == []
    assert not [entry for entry in path if "grader" in entry]
    assert not [name for name in environment if name.startswith(("A7", "PYTEST", "CI"))]


def test_requests_outside_the_list_are_faults_of_the_grader(session_with: Opener) -> None:
    session = session_with(vae=MODEL)
    model = session.new("vae.Model")
    attempts: list[Callable[[], object]] = [
        lambda: session.request("eval", code="1"),
        lambda: model.call("__init__"),
        lambda: model.get("_modules"),
        lambda: session.call("vae.double", object()),
    ]
    for broken in attempts:
        with pytest.raises(GraderFault):
            broken()


def test_training_uses_the_students_model_and_loss(session_with: Opener) -> None:
    code = MODEL + "def loss(out, x):\n    return (out[0] - x[:, :2]).square().sum(1).mean()\n"
    session = session_with(vae=code)
    model = session.new("vae.Model")
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(4))
    objective = [{"fn": Ref("vae.loss"), "args": [Slot("out"), Slot("x")]}]
    losses = session.train(model, {"x": x}, objective, epochs=100, batch_size=16, lr=1e-2, seed=0)
    assert losses[-1] < 0.05 * losses[0]
    output, _ = model(x)
    assert float((output - x[:, :2]).square().mean()) < 0.05


@pytest.mark.parametrize(
    ("loss", "words"), [("lambda out, x: out[0]", "without dimensions"), ("lambda out, x: 3.0", "without dimensions")]
)
def test_a_loss_that_is_no_scalar_is_the_students_error(session_with: Opener, loss: str, words: str) -> None:
    session = session_with(vae=MODEL + f"loss = {loss}\n")
    objective = [{"fn": Ref("vae.loss"), "args": [Slot("out"), Slot("x")]}]
    with pytest.raises(StudentRaised, match=words):
        session.train(
            session.new("vae.Model"), {"x": torch.ones(4, 3)}, objective, epochs=1, batch_size=2, lr=0.1, seed=0
        )


def test_values_that_only_go_in(session_with: Opener) -> None:
    session = session_with(
        vae="def f(x):\n    return x\ndef draw(generator):\n    import torch\n    return torch.rand(3, generator=generator)"
    )
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    torch.testing.assert_close(session.call("vae.f", Image8(pixels)), torch.tensor([0.0, 0.2, 1.0]))
    assert torch.equal(session.call("vae.draw", Gen(3)), session.call("vae.draw", Gen(3)))
    layer = session.new(TorchRef("nn.Linear"), 2, 2)
    recorder = session.new(Probe("Recorder"), layer)
    recorder(torch.ones(5, 2))
    assert recorder.get("calls")[0]["rows"] == 5
    assert isinstance(session.call("vae.f", recorder), Handle)


def test_arguments_come_back_as_the_call_left_them(session_with: Opener) -> None:
    session = session_with(vae="def f(x, y):\n    x.add_(1)\n    return y")
    _, (x, y), _ = session.effects("vae.f", torch.zeros(2), torch.zeros(2))
    assert x.sum() == 2
    assert y.sum() == 0


KILLS_ITS_PARENT = "import os, signal\ndef f():\n    os.kill(os.getppid(), signal.SIGKILL)\ndef g():\n    return 1"


def test_a_process_that_kills_the_one_it_was_forked_from_costs_no_other(worker: Worker) -> None:
    worker.submit({"vae": KILLS_ITS_PARENT}, [])
    with Session(worker, 1, SHORT) as session, contextlib.suppress(Crashed):
        session.call("vae.f")
    assert worker.alive
    with Session(worker, 1, SHORT) as session:
        assert session.call("vae.g") == 1


def test_a_worker_that_was_killed_is_seen() -> None:
    own = Worker()
    try:
        own.submit({"vae": KILLS_ITS_PARENT}, [])
        session = Session(own, 1, SHORT, fresh=True)
        with contextlib.suppress(Crashed):
            session.call("vae.f")
        own.process.wait(5)
        session.close()
        assert not own.alive
        with pytest.raises(WorkerDied):
            Session(own, 1, SHORT)
    finally:
        own.close()
