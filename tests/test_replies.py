"""What comes back is of the form that was asked for, or it is the submission's violation: never a fault of the grader."""

from __future__ import annotations

import json
import os
import random
import socket
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from grader.boundary import forms, nursery, replies
from grader.boundary.ends import SessionEnded, StudentRaised, Violation
from grader.boundary.launch import GraderFault, Worker, WorkerDied
from grader.boundary.line import Line, Pipe
from grader.boundary.replies import Malformed
from grader.boundary.session import Session
from grader.boundary.values import Foreign, Handle
from grader.check.context import Context
from grader.check.declaration import Question
from grader.classes.ingest import Submission
from grader.grading.judge import Bench, Setting, judge
from grader.rubric import CHECKS, QUESTIONS
from grader.worker import values, wire

from .conftest import SHORT, Opener
from .nearby import Nearby
from .twisted import Plan, Twist, twisted

FUZZ = settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
WORD_TOO_LONG = "x" * (values.MAX_WORD + 1)
DEEP = '{"is":"list","items":['

# ---- the JSON of a reply -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b"null", b"\xff", b'{"nonce":1}', b'{"nonce":2,"value":1}', b'{"nonce":true,"value":1}',
        b'{"nonce":"1","value":1}', b'{"value":1}', b'{"nonce":1,"value":1,"more":2}', b'{"nonce":1,"refused":"no"}',
        b'{"nonce":1,"value":1,"error":{"kinds":["E"],"message":"","frames":[]}}',
        b'{"nonce":1,"value":%d}' % 10**400, b'{"nonce":1,"value":%d}' % 2**63, b'{"nonce":1,"value":1e999}',
        b'{"nonce":1,"value":NaN}', b'{"nonce":1,"value":[1]}', b'{"nonce":1,"value":{}}', b'{"nonce":1,"value":{"is":"set"}}',
        b'{"nonce":1,"value":"\\ud800"}',
        f'{{"nonce":1,"value":{DEEP * 100_000}'.encode(), f'{{"nonce":1,"value":{DEEP * 100}{"]}" * 100}}}'.encode(),
        *(json.dumps({"nonce": 1, "value": value}).encode() for value in (
            {"is": "tensor", "key": "t0"}, {"is": "tensor", "key": "t0", "device": "cpu", "grad": False},
            {"is": "tensor", "key": 0, "device": "cpu", "grad": False}, {"is": "tensor", "key": "t0", "device": "", "grad": False},
            {"is": "tensor", "key": "t0", "device": "cpu:\x1b", "grad": False}, {"is": "numpy", "key": "x"},
            {"is": "handle", "number": -1, "type": "M"}, {"is": "handle", "number": 2**40, "type": "M"},
            {"is": "handle", "number": 1, "type": WORD_TOO_LONG}, {"is": "handle", "number": "1", "type": "M"},
            {"is": "opaque", "what": WORD_TOO_LONG}, {"is": "float", "value": "1.0"}, {"is": "float", "value": 1.0},
            {"is": "dict", "pairs": [[1]]}, {"is": "dict", "pairs": [[{"is": "list", "items": []}, 1]]},
            {"is": "dict", "pairs": [[{"is": "handle", "number": 1, "type": "M"}, 1]]}, {"is": "list", "items": None},
            {"is": "list", "items": [0] * (2 * values.MAX_ITEMS + 1)}, "x" * (values.MAX_TEXT + 1),
        )),
        *(json.dumps({"nonce": 1, "error": error}).encode() for error in (
            None, {}, {"kinds": [], "message": "", "frames": []}, {"kinds": ["E"], "message": None, "frames": []},
            {"kinds": ["E"] * 21, "message": "", "frames": []}, {"kinds": [WORD_TOO_LONG], "message": "", "frames": []},
            {"kinds": ["E"], "message": "x" * 2001, "frames": []}, {"kinds": ["E"], "message": "", "frames": [None]},
            {"kinds": ["E"], "message": "", "frames": [{"file": "f", "line": "1", "function": "", "code": ""}]},
            {"kinds": ["E"], "message": "", "frames": [{"file": "f", "line": 10**8, "function": "", "code": ""}]},
        )),
    ],
)  # fmt: skip
def test_what_is_no_reply_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        forms.result("call", (replies.one(text, 1), {}), {}, session=None, device="cpu")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(3, dtype=torch.float8_e4m3fn), torch.zeros(3, dtype=torch.complex64), torch.zeros(3, dtype=torch.uint32),
        torch.zeros([1] * 20), torch.zeros(0, 2**40),
    ],
)  # fmt: skip
def test_a_tensor_that_nobody_can_compute_with_is_refused(tensor: torch.Tensor) -> None:
    with pytest.raises((Malformed, wire.ProtocolError)):
        replies.block(wire.save({"t0": tensor}))


def test_a_block_of_names_without_end_is_refused() -> None:
    with pytest.raises(Malformed):
        replies.block((replies.MAX_REPLY + 1).to_bytes(8, "little") + b"{" * 100)


@pytest.mark.parametrize("extra", [{"t0": torch.zeros(1), "t1": torch.zeros(1)}, {"t1": torch.zeros(1)}, {}])
def test_tensors_and_names_must_be_the_same(extra: dict[str, torch.Tensor]) -> None:
    text = json.dumps({"nonce": 1, "value": {"is": "tensor", "key": "t0", "device": "cpu", "grad": False}}).encode()
    with pytest.raises(Malformed):
        forms.result("call", (replies.one(text, 1), extra), {}, session=None, device="cpu")  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [["0.t0", "x.t0"], ["2.t0"], ["t0"], ["-1.t0"], ["²" + ".t0"], ["9" * 400 + ".t0"]])
def test_tensors_of_answers_together_belong_to_one_of_them(names: list[str]) -> None:
    text = b'{"nonce":1,"answers":[{"value":1},{"value":2}]}'
    with pytest.raises(Malformed):
        replies.several(text, 1, {name: torch.zeros(1) for name in names}, 2)
    with pytest.raises(Malformed):
        replies.several(text, 1, {}, 3)


LEAF = torch.zeros(2, 3)
ASKED: dict[str, Any] = {"args": [LEAF, 1], "kwargs": {"beta": 2.0}, "wrt": [0], "params": [5]}
GRAD = torch.ones(2, 3)
GOOD: dict[str, Any] = {
    "import": None, "lend": None, "stand_in": None, "load": None, "device": None, "new": Handle(None, 3, "M"),  # type: ignore[arg-type]
    "call": object(), "get": object(), "effects": {"value": 1, "args": [LEAF, 1], "kwargs": {"beta": 2.0}},
    "vjp": {"value": 1, "grads": [GRAD], "params": [{"w": None}]}, "saved": 10, "state": {"w": LEAF},
    "parameters": {"w": True}, "grads": {"w": None}, "train": [1.0, 2],
}  # fmt: skip
BAD: dict[str, list[Any]] = {
    "new": [3, None], "saved": [-1, 1.5, True, None], "train": [None, 1.0, [None], ["x"], [True]],
    "effects": [None, {}, {"value": 1, "args": [1], "kwargs": {"beta": 1}}, {"value": 1, "args": (1, 2), "kwargs": {"beta": 1}},
                {"value": 1, "args": [1, 2], "kwargs": {}}, {"value": 1, "args": [1, 2], "kwargs": {"beta": 1}, "more": 1}],
    "vjp": [None, {"value": 1, "grads": [GRAD]}, {"value": 1, "grads": [], "params": [{}]},
            {"value": 1, "grads": [torch.ones(3, 2)], "params": [{}]}, {"value": 1, "grads": [GRAD.double()], "params": [{}]},
            {"value": 1, "grads": [3.0], "params": [{}]}, {"value": 1, "grads": [None], "params": []},
            {"value": 1, "grads": [None], "params": [{"w": torch.arange(3)}]}, {"value": 1, "grads": [None], "params": [None]}],
    "state": [None, [], {"w": 1}, {1: LEAF}, {"w": Foreign("x", LEAF)}, {"w": None}], "parameters": [None, {"w": 1}, {2: True}],
    "grads": [None, {"w": 1.0}, {"w": torch.arange(3)}], "import": [1], "lend": [False], "stand_in": [""], "load": [{}], "device": [0],
}  # fmt: skip


def test_every_operation_has_a_form() -> None:
    assert GOOD.keys() == forms.FORMS.keys()
    for op, value in GOOD.items():
        forms.FORMS[op](value, ASKED)
        for wrong in BAD.get(op, ()):
            with pytest.raises(Malformed):
                forms.FORMS[op](wrong, ASKED)
    assert BAD.keys() == forms.FORMS.keys() - {"call", "get"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KINDS = ("float", "list", "tuple", "dict", "tensor", "numpy", "handle", "opaque", "x")
FIELDS = ("value", "items", "pairs", "key", "device", "grad", "number", "type", "what")
JSON = st.recursive(
    SCALARS | st.sampled_from(("t0", "t1", "cpu", "cuda:0", "nan")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3)
    | st.builds(lambda kind, rest: {"is": kind, **rest}, st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3)),
    max_leaves=12,
)  # fmt: skip


@FUZZ
@given(st.sampled_from(sorted(forms.FORMS)), JSON, st.booleans())
@example("state", {"is": "dict", "pairs": [["w", {"is": "tensor", "key": "t0", "device": "mps", "grad": True}]]}, True)
@example("vjp", {"is": "dict", "pairs": [["grads", 1], ["value", 1], ["params", 1]]}, False)
def test_any_json_is_a_value_of_its_operation_or_refused(op: str, tree: Any, together: bool) -> None:
    """Whatever it is: a value, or Malformed; no other exception."""
    answer = {"value": tree}
    text = json.dumps({"nonce": 1, "answers": [answer]} if together else {"nonce": 1, **answer}).encode()
    tensors = {("0." if together else "") + "t0": torch.zeros(2, 3)}
    try:
        answered = replies.several(text, 1, tensors, 1)[0] if together else (replies.one(text, 1), tensors)
        found = forms.result(op, answered, ASKED, session=None, device="cpu")  # type: ignore[arg-type]
    except Malformed as malformed:
        assert len(str(malformed)) < 1000
        return
    if op in ("state", "grads"):
        assert isinstance(found, dict)
    if op == "new":
        assert isinstance(found, Handle)


@FUZZ
@given(st.binary(max_size=60), st.integers(0, 3), st.data())
def test_any_bytes_are_a_block_or_refused(noise: bytes, changes: int, data: st.DataObject) -> None:
    good = bytearray(wire.save({"t0": torch.arange(3.0), "t1": torch.zeros(2, dtype=torch.int64)}))
    for _ in range(changes):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    for block in (noise, bytes(good), bytes(good) + noise):
        try:
            tensors = replies.block(block)
        except (Malformed, wire.ProtocolError):
            continue
        assert all(tensor.dtype in values.REAL for tensor in tensors.values())


VALUES = st.recursive(
    SCALARS | st.sampled_from((2**63, 10**400, float("nan"), "\ud800", object(), torch.zeros(2), torch.zeros(2, dtype=torch.complex64),
                               torch.zeros(1, dtype=torch.float8_e5m2), torch.zeros(0, 3), torch.zeros([1] * 20), {1}, "x" * 30_000)),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.integers() | st.text(max_size=3), inner, max_size=3),
    max_leaves=15,
)  # fmt: skip


@FUZZ
@given(VALUES)
@example([[0] * 5000] * 3)
@example([None] * 20_000)
@example({torch.zeros(2): 1, (torch.zeros(3), 1): torch.zeros(4)})
@example({2**70: torch.zeros(4), "x": float("nan"), float("inf"): None})
@example(dict.fromkeys(range(3000), "x" * 100))
def test_whatever_code_returns_travels_in_a_form_that_is_taken(value: Any) -> None:
    """What the worker makes of a value is never a violation: an honest oddity costs its check alone, with its own words."""
    out = values.Outgoing()
    tree = values.encode(value, out, lambda other: values.opaque(f"an object of type {type(other).__name__}"))
    text, body = json.dumps({"nonce": 1, "value": tree}).encode(), wire.save(out.tensors) if out.tensors else b""
    assert len(text) < replies.MAX_REPLY
    forms.result("call", (replies.one(text, 1), replies.block(body)), {}, session=None, device="cpu")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("10**400", "more than 64 bits"), ("torch.zeros(2, dtype=torch.float8_e4m3fn)", "float8_e4m3fn"),
        ("torch.zeros(2, dtype=torch.complex64)", "complex64"), ("[0.0] * 20_000", "a list of 20000 values"),
        ("torch.zeros([1] * 20)", "shape (1, 1"), ("{1}", "type set"),
    ],
)  # fmt: skip
def test_what_does_not_travel_is_described(session_with: Opener, expression: str, words: str) -> None:
    session = session_with(vae=f"import torch\ndef f():\n    return {expression}")
    found = session.call("vae.f")
    assert isinstance(found, Foreign)
    assert words in found.description
    assert session.call("vae.f") is not None, "and the session goes on"


def test_more_numbers_than_were_asked_for_are_the_codes_fault_and_are_not_sent(session_with: Opener) -> None:
    code = "import torch\ndef f(x):\n    side = 1600 if len(x) > 3 else 3000\n    return torch.zeros(side, side)\n"
    session = session_with(vae=code)
    with pytest.raises(StudentRaised) as caught:
        session.call("vae.f", torch.zeros(3))
    assert caught.value.kinds[0] == "TooMuch"
    assert "(3000, 3000)" in caught.value.message
    assert session.call("vae.f", torch.zeros(1000, 1000)).shape == (1600, 1600), (
        "more may come back where more was sent"
    )


# ---- forged from inside ------------------------------------------------------------------------------------------

FORGES = """
import sys
worker = sys.modules["worker.session"]
def raises():
    raise worker.Refused("no")
def forge(**answer):
    worker.Session.reply = lambda self, request, tensors, most: (answer, {})
"""


def test_the_workers_own_refusal_is_the_submissions_violation(session_with: Opener) -> None:
    with pytest.raises(Violation):
        session_with(vae=FORGES).call("vae.raises")


ANSWERS: tuple[dict[str, Any], ...] = (
    {"refused": "x"}, {"error": None}, {"error": {"kinds": [1]}}, {"value": {"is": "handle", "number": "x", "type": 3}},
    {"value": {"is": "tensor", "key": "t0", "device": "nowhere", "grad": 1}}, {"value": 2**70}, {}, {"value": [1]},
    {"value": {"is": "dict", "pairs": []}},
)  # fmt: skip


def ask(session: Session, op: str, model: Handle, x: torch.Tensor) -> object:
    """A request of each kind."""
    match op:
        case "call":
            return session.call("vae.f", x)
        case "effects":
            return session.effects("vae.f", x)
        case "vjp":
            return session.vjp("vae.f", x, wrt=[0])
        case "new":
            return session.new("vae.M")
        case "get":
            return model.get("bias")
        case "saved":
            return session.saved_bytes("vae.f", x)
        case "load":
            return session.request("load", on=model, state={})
        case "state":
            return model.state()
        case "parameters":
            return model.parameters()
        case "grads":
            return model.grads()
    return session.request("train", model=model)


@pytest.mark.parametrize(
    "op", ["call", "effects", "vjp", "new", "state", "parameters", "grads", "get", "saved", "train", "load"]
)
def test_forged_answers_to_every_operation_end_the_session_and_nothing_else(session_with: Opener, op: str) -> None:
    code = (
        FORGES
        + "from torch import nn\nclass M(nn.Linear):\n    def __init__(self): super().__init__(2, 2)\ndef f(x): return x\n"
    )
    for answer in ANSWERS:
        if op in ("call", "get", "state", "parameters", "grads") and answer == ANSWERS[-1]:
            continue  # a value of theirs
        session = session_with(vae=code)
        model, x = session.new("vae.M"), torch.zeros(2)
        session.call("vae.forge", **answer)
        with pytest.raises(SessionEnded):
            ask(session, op, model, x)
        session.close()


CHECK = next(check for check in CHECKS if check.id == "q8.reparam.value")
GOOD_CODE = "def reparameterize(mu, logvar, eps=None, generator=None):\n    return mu + (0.5 * logvar).exp() * eps\n"


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nworker = sys.modules['worker.session']\ndef reparameterize(*args, **kwargs):\n    raise worker.Refused('no')\n",
        "import sys\nsys.modules['worker.session'].Session.reply = lambda *a: ({'refused': 'x'}, {})\n" + GOOD_CODE,
        "import sys\nsys.modules['worker.session'].Session.reply = lambda *a: ({'value': 10**400}, {})\n" + GOOD_CODE,
        "import sys\nsys.modules['worker.wire'].pack = lambda *a: b'x' * 100\n" + GOOD_CODE,
        "import sys\nsys.modules['worker.nursery'].processes.fork = lambda *a: 2**40\n" + GOOD_CODE,
        "import sys\nsys.modules['worker.nursery'].processes.fork = lambda *a: [1]\n" + GOOD_CODE,
    ],
)
def test_a_submission_that_forges_costs_itself_and_the_next_check_is_judged(code: str) -> None:
    with Bench(Submission("s", {"vae": code})) as bench:
        first = judge(CHECK, bench, Setting(1))
        assert first.status in ("violation", "failed", "crashed", "passed"), first.message
        bench.worker.submit({"vae": "def f():\n    return 1"}, [])
        with Session(bench.worker, 1, SHORT) as session:
            assert session.call("vae.f") == 1


@pytest.mark.parametrize(
    ("expression", "words"),
    [("torch.zeros(2000, 2000)", "far larger than what was asked for"), ("10**400", "more than 64 bits"),
     ("torch.zeros(mu.shape).to(torch.float8_e5m2)", "float8_e5m2")],
)  # fmt: skip
def test_an_odd_value_is_a_failure_in_words(expression: str, words: str) -> None:
    code = f"import torch\ndef reparameterize(mu, logvar, eps=None, generator=None):\n    return {expression}\n"
    with Bench(Submission("s", {"vae": code})) as bench:
        outcome = judge(CHECK, bench, Setting(1))
    assert outcome.status == "failed"
    assert words in outcome.message + outcome.actual


def test_a_fault_of_ours_in_a_check_leaves_the_bench_usable() -> None:
    """The check's processes are ended before their parent: the other way round the clean-up itself failed."""

    def broken(context: Context) -> None:
        context.session.call("vae.f")
        raise GraderFault("ours")

    with Bench(Submission("s", {"vae": "def f():\n    return 1"})) as bench:
        for _ in range(2):
            outcome = judge(replace(CHECK, run=broken), bench, Setting(1))
            assert (outcome.status, outcome.earned) == ("error", 0.0)
            assert "ours" in outcome.message


@pytest.mark.parametrize(
    "said",
    [{"pid": 0}, {"pid": 2**40}, {"pid": "5"}, {"pid": True}, {}, {"nonce": 999}, {"importing": ["x"]}, {"more": 1}],
)
def test_a_nursery_is_not_believed(said: dict[str, Any]) -> None:
    """Numbers of processes that cannot be, and sentences that are none."""
    ours, theirs = socket.socketpair()
    made = nursery.Nursery("x", 2, Line(ours, Pipe(os.pipe()[0])), frozenset({"vae"}))
    text = json.dumps({"nonce": 1, **said}).encode()
    with theirs:
        theirs.sendall(wire.PREFIX.pack(wire.MAGIC, len(text), 0) + text)
        with pytest.raises(nursery.Unusable):
            made.fork([])
    made.close()


def test_a_parent_that_talks_nonsense_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Worker()
    try:
        own.submit({"vae": "def f():\n    return 1"}, [])
        monkeypatch.setattr(own, "read", lambda size: b"x" * size)
        with pytest.raises(WorkerDied):
            own.ask("fork")
        assert not own.alive
    finally:
        own.close()
    with pytest.raises(WorkerDied):
        own.ask("fork")


def test_four_files_whose_text_grows_on_its_way_are_handed_over(session_with: Opener) -> None:
    """Each control character takes six bytes of JSON."""
    text = "x = '" + "\x01" * 399_000 + "'\ndef f(): return len(x)\n"
    session = session_with(vae=text, pca=text, gaussians=text, training=text)
    assert session.call("vae.f") == 399_000


# ---- what checks do with what comes back -------------------------------------------------------------------------

PER_CHECK, CHECKS_EACH = 2, 5
# answers over which the code of a check has tripped: check, which answer, whether all later ones too, the change
TRIPPED = (
    ("bonus.weights", 32, False, 507221), ("q3.linear.affine", 74, False, 295608), ("q5.loss.value", 5, False, 116465),
    ("q5.dae.fresh", 63, True, 854255), ("q6.evaluate.state", 13, False, 636543), ("q6.stack", 20, True, 871028),
    ("q7.accuracy.value", 43, False, 404972), ("q8.reparam.gradient", 13, True, 164639), ("q8.vae.fresh", 4, True, 517984),
    ("q6.fit.history", 17, True, 394582), ("q8.conv.shapes", 2, True, 80039), ("q9.generate", 4, False, 780393),
)  # fmt: skip
BY_ID = {check.id: check for check in CHECKS}


@pytest.fixture(scope="module")
def known_right(reference: Submission) -> Nearby:
    return Nearby(reference.sources)


def verdict(name: str, plan: Plan, control: Nearby) -> str:
    """The status of a check whose answers are twisted."""
    bench = Nearby(control.submission.sources)
    return twisted(BY_ID[name], bench, Setting(1, together=False, control=control), plan, lambda said: None).status


@pytest.mark.parametrize(("name", "first", "on", "seed"), TRIPPED, ids=str)
def test_values_over_which_a_check_has_tripped_are_the_submissions(
    known_right: Nearby, name: str, first: int, on: bool, seed: int
) -> None:
    assert verdict(name, Plan(first, on, Twist(seed)), known_right) != "error"


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"q{q.number}")
def test_whatever_comes_back_the_grader_does_not_fail(known_right: Nearby, question: Question) -> None:
    draw = random.Random(question.number)
    quick = [check for check in question.checks if check.kind != "trained"]
    for check in draw.sample(quick, min(CHECKS_EACH, len(quick))):
        base = Plan()
        assert verdict(check.id, base, known_right) == "passed"
        alike = defaultdict(list)
        for number, name in enumerate(base.asked):
            alike[name].append(number)
        for _ in range(PER_CHECK):
            numbers = draw.choice(list(alike.values()))
            plan = Plan(draw.choice((numbers[0], numbers[-1])), draw.random() < 0.5, Twist(draw.randrange(10**6)))
            assert verdict(check.id, plan, known_right) != "error", (check.id, plan.first, plan.on, plan.twist.seed)


def trips(context: Context) -> None:
    """A check that cannot go on, whoever returns what."""
    context.call("vae.reparameterize", *[torch.zeros(2)] * 3)
    raise KeyError("ours")


def test_a_bug_of_ours_is_not_blamed_on_the_submission(known_right: Nearby) -> None:
    for control in (known_right, None):
        setting = Setting(1, together=False, control=control)
        bench = Nearby(known_right.submission.sources)
        outcome = twisted(replace(CHECK, run=trips), bench, setting, Plan(), lambda said: None)
        assert outcome.status == "error"
        assert "ours" in outcome.message
