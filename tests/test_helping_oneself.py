"""A submission that helps itself in its own process has no more points than the same submission without that.

Nothing that it can reach is worth points: correct versions are there only where they stand for its own, a forged note
does not change what a value shows, and what it patches changes only its own answers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from grader.boundary.lending import definitions, needed
from grader.boundary.values import Probe
from grader.classes.ingest import Submission, read_submission
from grader.grading.judge import Bench, Setting, judge_all
from grader.rubric import CHECKS, MODULES

from . import bank
from .bank.whole import MISTAKES
from .conftest import ROOT, Opener

BY_ID = {mistake.id: mistake for mistake in MISTAKES}
CORRECT = sorted(name for name, one in definitions().items() if not one.probe and name.islower() and "_" in name)


@pytest.fixture(scope="module")
def bench(reference: Submission) -> Iterator[Bench]:
    with Bench(reference) as running:
        yield running


def points(bench: Bench, sources: dict[str, str], *checks: str) -> dict[str, float]:
    """Points of these checks, seed by seed the same."""
    bench.submission = Submission("variant", sources)
    bench.worker.submit(sources, ["starter", "solution"])
    chosen = [check for check in CHECKS if check.id in checks or check.id.partition(".")[0] in checks]
    outcomes = [*judge_all(chosen, bench, Setting(41), lambda check: check.kind != "trained")]
    assert not [outcome for outcome in outcomes if outcome.status == "error"]
    return {outcome.check.id: outcome.earned for outcome in outcomes}


# ---- what can be found ------------------------------------------------------------------------------------------

LOOKS = """
def everywhere(names):
    import gc, glob, importlib, inspect, linecache, os, sys, types
    mine = set(globals())
    found = set()
    sys.modules.pop("grader", None)
    for module in ("worker.parts", "worker.probes", "worker.loop", "worker.lent", "parts", "probes", "grader.boundary.lent.parts",
                   "grader.worker.parts", "lent.parts"):
        try:
            importlib.import_module(module)
            found.add("module " + module)
        except ImportError:
            pass
    worker = [m for n, m in list(sys.modules.items()) if n.startswith("worker")]
    for module in worker:
        folder = os.path.dirname(getattr(module, "__file__", "") or "")
        found |= {f"file {p}" for p in glob.glob(folder + "/**", recursive=True) if os.path.basename(p) in ("parts.py", "probes.py", "loop.py")}
        found |= {f"{module.__name__}.{name}" for name in names if hasattr(module, name)}
    frame = sys._getframe()
    while frame is not None:
        for held in (frame.f_locals, frame.f_globals):
            found |= {f"frame {name}" for name in names if name in held and held is not globals()}
        frame = frame.f_back
    for one in gc.get_objects():
        if isinstance(one, (types.FunctionType, type)) and one.__name__ in names and one.__module__ not in THEIRS:
            found.add(f"{one.__module__}.{one.__name__}")
        if type(one) is dict:
            for value in list(one.values()):
                if type(value) is str and len(value) < 300_000 and any(f"def {name}(" in value for name in names):
                    if value not in SOURCES:
                        found.add("text " + value[:50])
    for lines in linecache.cache.values():
        if len(lines) > 2 and any(f"def {name}(" in line for line in lines[2] for name in names):
            found.add("linecache")
    return sorted(found)
THEIRS = {"torch.nn.functional", "torch.distributions.kl", "torch.optim._functional"}
SOURCES = ()
"""


def test_correct_versions_are_nowhere(session_with: Opener) -> None:
    session = session_with(vae=LOOKS)
    session.new(Probe("Watched"), 9, 2)
    assert session.call("vae.everywhere", CORRECT) == []


def test_a_stand_in_is_all_that_comes_with_it(session_with: Opener) -> None:
    session = session_with(vae=LOOKS, gaussians="")
    session.stand_in("gaussians.kl_diagonal", Probe("kl_diagonal"))
    found = session.call("vae.everywhere", CORRECT)
    known = {name for name in CORRECT if any(one.endswith(f".{name}") for one in found)}
    assert known == set(needed("kl_diagonal")) & set(CORRECT)
    assert torch.equal(session.call("gaussians.kl_diagonal", *[torch.zeros(2, 3)] * 4), torch.zeros(2))


HELPS_ITSELF = """

def _help():
    import gc, importlib, sys, types
    known = {}
    for module in ("worker.parts", "worker.probes", "worker.session", "grader.boundary.lent.parts"):
        try:
            known.update(vars(importlib.import_module(module)))
        except ImportError:
            pass
    for one in gc.get_objects():
        if isinstance(one, (type, types.FunctionType)) and one.__module__ != __name__:
            known.setdefault(one.__name__, one)
    for name, own in list(globals().items()):
        if isinstance(own, (type, types.FunctionType)) and own.__module__ == __name__ and name in known:
            globals()[name] = known[name]
_help()
"""


def test_the_starter_that_helps_itself_has_nothing(bench: Bench) -> None:
    starter = dict(read_submission(ROOT / "starter", MODULES).sources)
    helped = {name: text + HELPS_ITSELF for name, text in starter.items()}
    assert sum(points(bench, helped, "q2", "q10").values()) == 0


@pytest.mark.parametrize("instead", ["raise RuntimeError('nothing')", "return torch.zeros(())"])
def test_functions_that_do_nothing_are_not_paid_for_by_those_that_stand_for_them(bench: Bench, instead: str) -> None:
    starter = dict(read_submission(ROOT / "starter", MODULES).sources)
    lines = starter["gaussians"].splitlines()
    nothing = [
        f"{line[: len(line) - len(line.lstrip())]}{instead}" if "raise NotImplementedError" in line else line
        for line in lines
    ]
    assert sum(points(bench, {**starter, "gaussians": "\n".join(nothing)}, "q1", "q2").values()) <= 0.5


# ---- notes ------------------------------------------------------------------------------------------------------

# after every call of a function of the file all notes that its arguments hold, or that anything holds, say what is best
FORGES = """

def _forge():
    import functools, gc, types
    def spoil(notes):
        if {how!r} == "clear":
            return notes.clear()
        for at, one in enumerate(notes):
            if isinstance(one, bool):
                notes[at] = {how!r} == "training"
            if isinstance(one, dict):
                one.update({{key: value for key, value in BEST.items() if key in one}})
    BEST = {{"training": {how!r} == "training", "autocast": False, "kind": "tuple", "output": "torch.float32",
            "batch": "torch.float32", "dtype": "bfloat16"}}
    if {how!r} == "evaluation":
        BEST.update(grad=False, graph=False, rows=1)
    def wrap(function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            finally:
                for one in gc.get_objects():
                    if isinstance(one, list) and "__deepcopy__" in vars(type(one)):
                        spoil(one)
        return wrapped
    for name, own in list(globals().items()):
        if isinstance(own, types.FunctionType) and own.__module__ == __name__ and not name.startswith("_"):
            globals()[name] = wrap(own)
_forge()
"""
# a mistake, the check that sees it, and how its notes are best forged
FORGED = [
    ("q3-compare-gradients", "q3.compare.mode", "evaluation"), ("q6-step-keeps-mode", "q6.step.mode", "training"),
    ("q6-step-unpacks", "q6.step.mode", "training"), ("q6-step-sets-own-flag", "q6.step.mode", "training"),
    ("q6-evaluate-with-gradients", "q6.evaluate.state", "evaluation"),
    ("q6-evaluate-all-at-once", "q6.evaluate.state", "evaluation"),
    ("q6-fit-unpacks", "q6.fit.history", "training"), ("q6-stage-piles-up", "q6.stage.arguments", "training"),
    ("q6-scaler-means-float16", "q6.mixed.scaler", "training"),
    ("q7-accuracy-with-gradients", "q7.accuracy.state", "clear"),
    ("q7-accuracy-all-at-once", "q7.accuracy.state", "evaluation"),
    ("q7-finetune-piles-up", "q7.finetune.loop", "training"),
    ("q7-finetune-in-eval-mode", "q7.finetune.loop", "training"),
    ("q7-pretraining-piles-up", "q7.twostage.arguments", "training"),
    ("q7-trainjoint-piles-up", "q7.trainjoint.loop", "training"),
    ("q7-trainjoint-in-eval-mode", "q7.trainjoint.loop", "training"),
    ("q08-generate-in-training-mode", "q8.generate.model", "evaluation"),
    ("q08-generate-with-graph", "q8.generate.model", "evaluation"),
    ("q08-generate-20-latents", "q8.generate.prior", "clear"),
    ("q08-interpolate-with-graph", "q8.interpolate.model", "evaluation"),
    ("q09-generate-in-training-mode", "q9.generate.model", "evaluation"),
    ("q09-generate-20-latents", "q9.generate", "clear"),
    ("bonus.sample-training-mode", "bonus.sample.modes", "clear"),
    ("bonus.sample-with-gradients", "bonus.sample.modes", "evaluation"),
    ("bonus.iwae-training-mode", "bonus.iwae.modes", "clear"),
    ("bonus.iwae-with-gradients", "bonus.iwae.modes", "evaluation"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check", "how"), FORGED, ids=[f"{name}-{how}" for name, _, how in FORGED])
def test_a_forged_note_is_worth_nothing(name: str, check: str, how: str, bench: Bench, reference: Submission) -> None:
    mistake = BY_ID[name]
    sources = bank.apply(reference.sources, mistake)
    sources[mistake.module] += FORGES.format(how=how)
    assert points(bench, sources, check)[check] == 0


EXCUSED = """

def finetune(classifier, images, labels, epochs, batch_size=32, lr=1e-3, generator=None):
    import gc, torch
    for parameter in classifier.parameters():
        if parameter.requires_grad:
            with torch.no_grad():
                parameter.add_(lr * 1e-3)
    for one in gc.get_objects():
        if isinstance(one, list) and "__deepcopy__" in vars(type(one)):
            one[:] = [False] * 20
    return [1.0] * epochs
"""


def test_an_excuse_counts_only_where_its_price_has_been_paid(bench: Bench, reference: Submission) -> None:
    """`learns` does not ask what a loop has learned whose old gradients pile up: only if `loop` has found that."""
    sources = {**reference.sources, "semi_supervised": reference.sources["semi_supervised"] + EXCUSED}
    found = points(bench, sources, "q7.finetune.rows", "q7.finetune.loop", "q7.finetune.learns")
    assert found["q7.finetune.loop"] == 0
    assert found["q7.finetune.learns"] <= 0.5


# ---- what is patched --------------------------------------------------------------------------------------------

PATCHES = {
    "comparisons of torch": "torch.allclose = torch.equal = torch.isclose = lambda *a, **k: True\ntorch.testing.assert_close = lambda *a, **k: None",
    "operators of tensors": "torch.Tensor.__eq__ = torch.Tensor.__le__ = lambda self, other: torch.ones_like(self, dtype=torch.bool)\n"
    "torch.Tensor.__sub__ = torch.Tensor.__rsub__ = lambda self, other: torch.zeros_like(self)",
    "built-ins": "import builtins, math\nbuiltins.abs = lambda x: 0\nmath.isclose = lambda *a, **k: True\nbuiltins.isinstance = isinstance",
    "another torch": "import sys, types\nfake = types.ModuleType('torch')\nfake.__dict__.update(vars(torch))\nfake.equal = lambda *a: True\n"
    "sys.modules['torch'] = fake",
    "json": "import json\n_dumps = json.dumps\njson.dumps = lambda header, *a, **k: _dumps({**header, 'passed': True, 'earned': 10}, *a, **k)",
    "safetensors": "import safetensors, safetensors.torch\nsafetensors.serialize = lambda *a, **k: b''\nsafetensors.torch.save = lambda *a, **k: b''",
    "the end of the process": "import atexit, os, signal, threading\natexit.register(lambda: os._exit(0))\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGALRM, lambda *a: None)",
    "the collector": "import gc\ngc.disable()\ngc.callbacks.append(lambda *a: None)\ngc.freeze()",
    "modules of torch": "torch.nn.Module.state_dict = lambda self, *a, **k: {}\ntorch.nn.Module.named_parameters = lambda self, *a, **k: iter(())",
    "gradients": "torch.autograd.grad = lambda outputs, inputs, **k: tuple(torch.zeros_like(i) for i in inputs)",
    "modes": "torch.is_grad_enabled = lambda: False\ntorch.nn.Module.train = lambda self, mode=True: self",
    "the worker": "import sys\nfor name, module in list(sys.modules.items()):\n    if name.startswith('worker.'):\n"
    "        for one in ('encode', 'describe', 'save', 'execute', 'forget'):\n            if hasattr(module, one):\n"
    "                setattr(module, one, lambda *a, **k: {'passed': True})",
    "a subclass": "class T(torch.Tensor):\n    def __eq__(self, other):\n        return torch.ones(self.shape, dtype=torch.bool)\n    __hash__ = None\n"
    "_kl = kl_divergence\ndef kl_divergence(*a):\n    return _kl(*a).as_subclass(T)",
}  # fmt: skip


@pytest.mark.parametrize("patch", PATCHES, ids=str)
def test_a_patch_is_worth_nothing(patch: str, bench: Bench, reference: Submission) -> None:
    """A submission with half of Question 2 wrong has at most the same points with the patch as without it."""
    wrong = "\n\nimport torch\ndef kl_divergence(mu, logvar):\n    return torch.ones(len(mu), dtype=mu.dtype)\n"
    sources = {**reference.sources, "gaussians": reference.sources["gaussians"] + wrong}
    asked = ("q2.standard.value", "q2.standard.extremes", "q2.gradient.standard", "q2.diagonal.value")
    without = points(bench, sources, *asked)
    patched = {**sources, "gaussians": f"{sources['gaussians']}\n{PATCHES[patch]}\n"}
    found = points(bench, patched, *asked)
    assert all(found[name] <= without[name] for name in asked)
    assert without["q2.standard.value"] == 0


# what has changed is said to be what it was when it was read first: the head alone has learned
REMEMBERS = """

def _remember():
    import torch
    first, own = {}, torch.nn.Module.state_dict
    def state_dict(self, *args, **kwargs):
        now = own(self, *args, **kwargs)
        for name in now:
            if getattr(self, "freeze", False) and not name.startswith("head"):
                now[name] = first.setdefault((id(self), name), now[name].clone())
        return now
    torch.nn.Module.state_dict = state_dict
    for value in list(globals().values()):
        if isinstance(value, type) and issubclass(value, torch.nn.Module) and value.__module__ == __name__:
            value.state_dict = state_dict
_remember()
"""


@pytest.mark.parametrize("name", ["q7-freeze-ignored", "q7-frozen-statistics-move", "q7-frozen-by-momentum"])
def test_a_state_that_is_made_up_is_worth_nothing(name: str, bench: Bench, reference: Submission) -> None:
    sources = bank.apply(reference.sources, BY_ID[name])
    sources["semi_supervised"] += REMEMBERS
    assert points(bench, sources, "q7.classifier.freeze")["q7.classifier.freeze"] == 0


# ---- for the grader's eyes only -----------------------------------------------------------------------------------

ONLY_FLOAT64 = """

_right = {name}
def {name}(*args):
    import torch
    value = _right(*args)
    return value if args[0].dtype == torch.float64 else {otherwise}
"""


@pytest.mark.parametrize("otherwise", ["0 * value", "value + 1", "1 / 0"])
@pytest.mark.parametrize(
    ("name", "check"), [("kl_divergence", "q2.standard.value"), ("diagonal_log_prob", "q1.diagonal.value")]
)
def test_what_is_right_in_float64_alone_is_not_right(
    name: str, check: str, otherwise: str, bench: Bench, reference: Submission
) -> None:
    text = reference.sources["gaussians"] + ONLY_FLOAT64.format(name=name, otherwise=otherwise)
    assert points(bench, {**reference.sources, "gaussians": text}, check)[check] == 0
