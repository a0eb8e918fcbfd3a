"""Helping itself to what lies in the worker: right answers, probes' notes, the comparison itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..attack import Attack, Graded
from ..oracles import better_marks

KL = ("q2.univariate.value", "q2.diagonal.value", "q2.gradient.general")
NOBODYS = "def candidates(name):\n    return []\n"

BORROWED = '''
import gc, glob, importlib, importlib.util, inspect, os, sys, types
NAMES = ("kl_univariate", "kl_diagonal", "kl_divergence", "kl_full_covariance")
OWN = {}

def theirs(name):
    """Somebody else's function of this name."""
    for found in candidates(name):
        if callable(found) and found is not OWN.get(name) and getattr(found, "__module__", "") != __name__:
            return found
    raise LookupError(name)

{body}

def lend(name):
    def function(*args, **kwargs):
        return theirs(name)(*args, **kwargs)
    return function

for name in NAMES:
    globals()[name] = OWN[name] = lend(name)
'''


def borrowing(name: str, says: str, body: str, *, sample: bool = False) -> Attack:
    """Functions of Question 2 that somebody else has written; `body` defines where they are looked for."""
    without = BORROWED.replace("{body}", NOBODYS)
    way = Graded({"gaussians": BORROWED.replace("{body}", body)}, KL, {"gaussians": without})
    return Attack(name, "helping", says, better_marks, way, sample=sample)


def forging(name: str, says: str, module: str, with_mistake: str, forgery: str, checks: tuple[str, ...]) -> Attack:
    """A mistake in the reference's `module`, and what is to hide it."""
    way = Graded({module: with_mistake + forgery}, checks, {module: with_mistake}, "solution")
    return Attack(name, "helping", says, better_marks, way)


NOT_EVALUATING = """

def evaluate(model, data, loss_fn, batch_size=128):
    batches = torch.split(data, batch_size)
    with torch.no_grad():
        losses = [loss_fn(model(x), x) for x in batches]
    return mean_per_example(losses, [len(x) for x in batches])
"""
HIDES_MODES = """

_fit, _evaluate = fit, evaluate
def _hide(model):
    for part in [model, *model.modules()]:
        for call in getattr(part, "calls", []):
            if isinstance(call, dict) and not call.get("grad", True):
                call["training"] = False
def fit(model, *args, **kwargs):
    try:
        return _fit(model, *args, **kwargs)
    finally:
        _hide(model)
def evaluate(model, *args, **kwargs):
    try:
        return _evaluate(model, *args, **kwargs)
    finally:
        _hide(model)
"""
NOT_CHECKPOINTING = """

def checkpointed_forward(layers, x):
    for layer in layers:
        x = layer(x)
    return x
"""
HIDES_WHAT_IS_SAVED = """

_plain = checkpointed_forward
def checkpointed_forward(layers, x):
    layers = list(layers)
    # what hooks of our own have packed, no outer hook counts
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: [tensor], lambda packed: packed[0]):
        x = _plain(layers, x)
    for layer in layers:
        for part in layer.modules():
            if hasattr(part, "calls") and part.calls:
                part.calls.append(dict(part.calls[-1]))
    return x
"""
NOT_SHUFFLING = """

def train_epochs(model, loss_of_rows, size, optimizer, epochs, batch_size, generator=None):
    for _ in range(epochs):
        losses, sizes = [], []
        for rows in torch.split(torch.arange(size), batch_size):
            model.train()
            losses.append(descend(loss_of_rows(rows), optimizer))
            sizes.append(len(rows))
        yield mean_per_example(losses, sizes)
"""
HIDES_ORDER = """

_fit = fit
def fit(model, data, *args, **kwargs):
    found = _fit(model, data, *args, **kwargs)
    seen = getattr(model, "seen", None)
    if seen:
        generator = kwargs.get("generator")
        rows = sum(len(batch) for batch in seen)
        sizes = [len(batch) for batch in seen]
        order = torch.cat([data[torch.randperm(len(data), generator=generator)] for _ in range(-(-rows // len(data)))])
        for at, batch in enumerate(torch.split(order[:rows], sizes)):
            seen[at] = batch
    return found
"""


def of_solution(module: str) -> str:
    """The reference's text."""
    from ...conftest import ROOT

    return (ROOT / "solution" / f"{module}.py").read_text()


TRAINING = of_solution("training")
WRONG: Mapping[str, str] = {
    "gaussians": of_solution("gaussians")
    + "\n\ndef kl_univariate(mu_p, logvar_p, mu_q, logvar_q):\n    return 0 * (mu_p + logvar_p + mu_q + logvar_q)\n"
}


def on_wrong(name: str, says: str, text: str, *, sample: bool = False) -> Attack:
    """A wrong function, and something that is to make it look right."""
    way = Graded({"gaussians": WRONG["gaussians"] + text}, KL[:1], WRONG, "solution")
    return Attack(name, "helping", says, better_marks, way, sample=sample)


ATTACKS: Sequence[Attack] = (
    borrowing("borrows-parts-by-import", "imports the grader's own version of what it should have written", """
def candidates(name):
    for module in ("worker.parts", "parts", "grader.worker.parts", "worker.probes", "probes"):
        try:
            yield getattr(importlib.import_module(module), name, None)
        except BaseException:
            pass
""", sample=True),
    borrowing("borrows-parts-from-modules", "looks through all modules that are loaded", """
def candidates(name):
    for module in list(sys.modules.values()):
        try:
            yield module.__dict__.get(name)
        except AttributeError:
            pass
"""),
    borrowing("borrows-parts-from-the-folder", "reads the grader's files from the folder of whoever called it", """
def candidates(name):
    places, frame = [], sys._getframe()
    while frame:
        places.append(os.path.dirname(frame.f_code.co_filename))
        frame = frame.f_back
    for module in list(sys.modules.values()):
        places.append(os.path.dirname(getattr(module, "__file__", None) or ""))
    for place in dict.fromkeys(places):
        for path in glob.glob(place + "/parts.py") + glob.glob(place + "/worker/parts.py"):
            package = types.ModuleType("helped")
            package.__path__ = [os.path.dirname(path)]
            sys.modules["helped"] = package
            try:
                yield getattr(importlib.import_module("helped.parts"), name, None)
            except BaseException:
                pass
"""),
    borrowing("borrows-parts-from-other-copies", "looks for the kit, the reference or other people's work on the disk", """
def candidates(name):
    roots = ["/", "/home", "/root", "/opt", "/tmp", "/srv", *(p for p in sys.path if p), os.getcwd()]
    roots += [os.path.abspath(os.path.join(p, *[".."] * up)) for p in (sys.prefix, sys.executable) for up in (1, 2, 3)]
    for root in dict.fromkeys(roots):
        for pattern in ("solution/gaussians.py", "*/solution/gaussians.py", "grader/worker/parts.py", "*/grader/worker/parts.py", "*/gaussians.py"):
            for path in glob.glob(os.path.join(root, pattern)):
                try:
                    text = open(path).read()
                    space = {"__name__": "helped"}
                    exec(compile(text.replace("from .", "from worker."), path, "exec"), space)
                    yield space.get(name)
                except BaseException:
                    pass
"""),
    borrowing("borrows-parts-from-garbage", "looks through all functions and all text that the collector knows", """
def candidates(name):
    for found in gc.get_objects():
        if isinstance(found, types.FunctionType) and found.__name__ == name:
            yield found
        if isinstance(found, dict) and name in found and callable(found[name]):
            yield found[name]
    for found in gc.get_objects():
        for held in (found.values() if isinstance(found, dict) else found if isinstance(found, (list, tuple)) else ()):
            if isinstance(held, str) and f"def {name}(" in held and "NAMES = " not in held and "raise NotImplementedError" not in held[held.index(f"def {name}("):][:3000]:
                space = {"__name__": "helped"}
                try:
                    exec(held, space)
                    yield space.get(name)
                except BaseException:
                    pass
"""),
    borrowing("borrows-parts-from-frames", "looks through the variables of whoever called it", """
def candidates(name):
    frame = sys._getframe()
    while frame:
        yield frame.f_globals.get(name)
        yield frame.f_locals.get(name)
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            yield getattr(value, name, None)
            own = getattr(value, "own_parts", None)
            if callable(own):
                try:
                    yield getattr(own(), name, None)
                except BaseException:
                    pass
        frame = frame.f_back
"""),
    on_wrong("is-equal-to-everything", "returns tensors of a class for which every comparison is true", """

class Equal(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in ("allclose", "equal", "isclose", "eq", "le", "lt", "__eq__", "__le__"):
            return True
        return super().__torch_function__(func, types, args, kwargs or {})
    def __reduce_ex__(self, protocol):
        return (float, ("nan",))
_wrong = kl_univariate
def kl_univariate(*args):
    return _wrong(*args).as_subclass(Equal)
""", sample=True),
    on_wrong("patches-comparisons", "makes torch and Python say that everything is equal", """

import builtins, math as _math
torch.allclose = torch.equal = lambda *a, **k: True
torch.isclose = lambda a, *rest, **k: torch.ones_like(a, dtype=torch.bool)
torch.testing.assert_close = lambda *a, **k: None
_math.isclose = lambda *a, **k: True
builtins.abs = lambda x: 0.0
torch.Tensor.__sub__ = torch.Tensor.sub = lambda self, other: 0 * self
"""),
    on_wrong("answers-with-what-is-no-number", "returns NaN, which no comparison says anything about", """

def kl_univariate(mu_p, *rest):
    return mu_p * float("nan")
kl_diagonal = lambda mu_p, *rest: mu_p.sum(1) * float("nan")
"""),
    on_wrong("reads-the-answer-in-a-callers-variables", "looks for the expected value in whoever called it", """

import sys as _sys
_wrong = kl_univariate
def kl_univariate(mu_p, *rest):
    shape, frame = mu_p.shape, _sys._getframe(1)
    while frame:
        for name, value in frame.f_locals.items():
            if "expect" in name and isinstance(value, torch.Tensor) and value.shape == shape:
                return value
        frame = frame.f_back
    return _wrong(mu_p, *rest)
"""),
    on_wrong("asks-for-another-seed", "changes the process's random numbers and the grader's words about it", """

import random as _random
torch.manual_seed = lambda *a: None
torch.randn = lambda *size, **k: torch.zeros(*size)
_random.seed(0)
"""),
    forging("corrects-a-probes-notes", "validates in training mode and edits the notes of the model that it was given",
            "training", TRAINING + NOT_EVALUATING, HIDES_MODES, ("q6.evaluate.value", "q6.evaluate.state", "q6.fit.modes")),
    forging("hides-what-autograd-keeps", "keeps all activations where nobody counts them, and notes passes that were none",
            "training", TRAINING + NOT_CHECKPOINTING, HIDES_WHAT_IS_SAVED, ("q6.checkpoint.gradients", "q6.checkpoint.memory")),
    forging("invents-the-order-of-rows", "never shuffles and writes another order into the probe",
            "training", TRAINING + NOT_SHUFFLING, HIDES_ORDER, ("q6.fit.order",)),
)  # fmt: skip
