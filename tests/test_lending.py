"""What is lent to the submission's process: whole, under names of its own in every session, and no more than is used."""

from __future__ import annotations

import ast
import builtins
import symtable

import pytest
import torch

from grader.boundary import lending
from grader.boundary.ends import Violation
from grader.boundary.lending import DISGUISES, Lends, definitions, disguise, globals_of, needed, pieces
from grader.boundary.values import Probe, TorchRef
from grader.check.typed import typed
from grader.rubric import CHECKS
from grader.rubric.shared.borrowed import BORROWED

from .conftest import Opener

PARTS = {part.probe: part.name for check in CHECKS for part in check.parts}
PARTS |= {part.probe: part.name for owners in BORROWED.values() for lent in owners.values() for part in lent}
PROBES = sorted(name for name, one in definitions().items() if one.probe and not isinstance(one.statement, ast.Assign))


@pytest.mark.parametrize("variant", range(0, DISGUISES, 5))
def test_what_is_lent_needs_nothing_that_is_not(variant: int) -> None:
    takes: dict[str, set[str]] = {}
    for name in definitions():
        sent = pieces(name, variant)
        names = {piece.name for piece in sent}
        assert len(names) == len(sent)
        own = sent[-1]
        takes[own.name] = set(globals_of(symtable.symtable(own.text, name, "exec")))
        assert not [one for one in takes[own.name] - names if not hasattr(builtins, one)], name


@pytest.mark.parametrize("name", sorted(definitions()))
def test_what_is_lent_is_what_it_was(name: str) -> None:
    """Executed piece by piece, as the worker does."""
    names: dict[str, object] = {"__name__": "here"}
    lends = Lends(7)
    called, texts = lends.due(name)
    for text in texts:
        code = compile(text, "<lent>", "exec", dont_inherit=True)
        exec_in(code, names)
    assert called in names
    assert not lends.due(name)[1], "sent once"


def exec_in(code: object, names: dict[str, object]) -> None:
    exec(code, names)  # type: ignore[arg-type]


def test_no_piece_says_more_than_what_to_do() -> None:
    for name in definitions():
        for piece in pieces(name, 3):
            assert "#" not in piece.text.replace("'#'", "")
            for node in ast.walk(ast.parse(piece.text)):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    assert ast.get_docstring(node) is None


def test_probes_and_their_attributes_have_other_names_in_other_sessions() -> None:
    assert PROBES
    drawn = [disguise(seed) for seed in range(DISGUISES)]
    for name in PROBES:
        if name not in lending.OWN_NAME:
            assert len({one.names[name] for one in drawn}) > 10, name
            assert name not in {one.names[name] for one in drawn}, name
    for name, others in lending.ATTRIBUTES.items():
        assert {one.attributes[name] for one in drawn} == set(others)
    assert disguise(5).names == disguise(5 + DISGUISES).names  # the seed decides


def test_a_stand_in_brings_nothing_that_has_a_name_of_its_own_in_another_question() -> None:
    for probe, name in PARTS.items():
        module = name.partition(".")[0]
        for other in needed(probe)[:-1]:
            owner = PARTS.get(other, "").partition(".")[0]
            assert not owner or owner == module or (module, owner) in BRINGS, f"{name} brings {PARTS[other]}"


# what a stand-in is made of: losses and bounds of one question are sums of another's
BRINGS = {("vae", "autoencoders"), ("vae", "gaussians"), ("evaluation", "gaussians"), ("semi_supervised", "training")}

WATCHES = """
def seen(model):
    return type(model).__name__, sorted(vars(model)), sorted(name for name, _ in model.named_parameters())
def wrap(model):
    import torch
    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.autoencoder = model
    return Wrapped()
"""


def test_a_probe_is_known_by_its_names_here_only(session_with: Opener) -> None:
    session = session_with(vae=WATCHES)
    probe = session.new(Probe("Watched"), 9, 2)
    name, attributes, parameters = session.call("vae.seen", probe)
    assert name != "Watched"
    assert not {"calls", "seen", "narrow"} & {*attributes, *(one.partition(".")[0] for one in parameters)}
    state = probe.state()
    assert {"narrow.weight", "widen.bias"} <= state.keys() == probe.parameters().keys()
    probe.load({key: torch.ones_like(value) for key, value in state.items()})
    assert bool((probe.state()["narrow.weight"] == 1).all())
    probe(torch.zeros(3, 1, 3, 3))
    assert probe.get("calls")[0]["rows"] == 3
    wrapped = session.call("vae.wrap", probe)
    assert "autoencoder.narrow.weight" in wrapped.state()
    found = session.vjp(probe, torch.zeros(3, 1, 3, 3), params=[probe], cotangents=[((0,), None)])
    assert found.params[0].keys() == state.keys()


def test_a_call_is_shown_with_the_plain_name_of_a_probe(session_with: Opener) -> None:
    session = session_with(vae=WATCHES)
    session.call("vae.seen", session.new(Probe("Recorder"), session.new(TorchRef("nn.Linear"), 2, 2)))
    assert "Recorder(" in typed(session.log)


@pytest.mark.parametrize(
    "change", ["None", "[None]", "[{}]", "[{'training': 'no', 'grad': True, 'rows': 1}]", "['x'] * 5"]
)
def test_notes_of_another_form_are_a_violation(session_with: Opener, change: str) -> None:
    code = f"def f(model):\n    for name in list(vars(model)):\n        if isinstance(vars(model)[name], list):\n            setattr(model, name, {change})\n"
    session = session_with(vae=code)
    probe = session.new(Probe("Watched"), 9, 2)
    session.call("vae.f", probe)
    with pytest.raises(Violation):
        probe.get("calls")
