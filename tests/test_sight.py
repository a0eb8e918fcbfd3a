"""Which checks can see a change of a text: never fewer than those whose code it touches."""

from __future__ import annotations

from typing import Any

import pytest

from grader.grading.sight import sees_the_same
from grader.grading.store import Kept

TEXT = '''import torch
from helpers import base


SCALE = 2


def log_det(x):
    return x.log().sum()


def entropy(x):
    return log_det(x) * SCALE


def divergence(x):
    """Unlike entropy."""
    return base(x)


class Model:
    def __init__(self):
        self.size = 3

    def forward(self, x):
        return divergence(x)
'''
HELPERS = "def base(x):\n    return x\n\n\ndef other(x):\n    return x\n"


def judged(entered: str, status: str = "passed") -> Kept:
    """The verdict of a check that has entered the submission by this name."""
    return Kept("q2.x", "", status, {}, frozenset({entered}))


def texts(*versions: dict[str, str]) -> list[dict[str, Any]]:
    """Each version's modules as the store keeps them."""
    return [{"sources": version, "aliases": []} for version in versions]


def same(entered: str, text: str = TEXT, helpers: str = HELPERS, status: str = "passed") -> bool:
    """Whether a check that entered by this name sees the same of a changed text."""
    before, after = texts({"gaussians": TEXT, "helpers": HELPERS}, {"gaussians": text, "helpers": helpers})
    return sees_the_same(before, after, judged(f"gaussians.{entered}", status))


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("text", "unseen"),
    [
        (changed("x.log().sum()", "x.log().mean()"), {"divergence", "Model"}),
        (changed("return base(x)", "return -base(x)"), {"entropy"}),
        (changed("self.size = 3", "self.size = 4"), {"entropy", "divergence"}),
        (changed("SCALE = 2", "SCALE = 3"), set()),
        (TEXT + "\n\ndef unused(x):\n    return entropy(x)\n", {"entropy", "divergence", "Model"}),
        (TEXT + "\n\ndef log_det(x):\n    return x\n", {"divergence", "Model"}),
        (TEXT + "\n\nprint(divergence)\n", set()),
        ("# a comment\n\n" + TEXT, {"entropy", "divergence", "Model"}),
        (changed("SCALE = 2", "SCALE = 2\ngetattr(torch, 'a' + 'b', None)"), set()),
        (TEXT + "\n\ndef sneaky(x):\n    globals()['entropy'] = None\n", set()),
        (TEXT + "\n\ndef (x)", set()),
    ],
)
def test_who_sees_a_change(text: str, unseen: set[str]) -> None:
    assert {name for name in ("entropy", "divergence", "Model") if same(name, text)} == unseen


def test_a_change_is_followed_into_other_modules() -> None:
    assert not same("divergence", helpers=HELPERS.replace("return x\n\n", "return -x\n\n"))
    assert same("entropy", helpers=HELPERS.replace("return x\n\n", "return -x\n\n"))
    assert same("divergence", helpers=HELPERS.replace("def other(x):\n    return x", "def other(x):\n    return -x"))
    assert not same("entropy", helpers=HELPERS.replace("def base", "def basis")), "the import fails now"


def test_what_is_executed_in_another_order_is_another_text() -> None:
    """A name is bound twice, and it matters which of them another one is made of."""
    again, old = "\n\ndef entropy(x):\n    return 0\n", "\n\nold = entropy\n"
    before, after = texts({"gaussians": TEXT + old + again}, {"gaussians": TEXT + again + old})
    assert not sees_the_same(before, after, judged("gaussians.old"))


def test_what_moves_from_one_module_to_the_next_is_another_text() -> None:
    before, after = texts({"a": "x = 1\ny = 2\n", "b": "z = 3\n"}, {"a": "x = 1\n", "b": "y = 2\nz = 3\n"})
    assert not sees_the_same(before, after, judged("a.f"))


def test_a_report_of_what_failed_names_lines() -> None:
    assert same("entropy", "\n" + TEXT)
    assert not same("entropy", "\n" + TEXT, status="failed")
    assert same("entropy", TEXT + "\n\ndef unused(x):\n    return x\n", status="failed")


MODELS = """from __future__ import annotations
from torch import nn


def draw(mu):
    return mu


class One(nn.Module):
    def forward(self, x):
        return x


class Two(nn.Module):
    one: One | None

    def forward(self, x):
        self.eval()
        return draw(x)
"""


def test_a_class_is_seen_by_who_names_it_and_not_by_who_calls_a_method_of_that_name() -> None:
    """Every model has a `forward`; an annotation is not evaluated, and `model.eval` is not Python's eval."""
    before, after = texts({"vae": MODELS}, {"vae": MODELS.replace("return mu", "return -mu")})
    assert sees_the_same(before, after, judged("vae.One"))
    assert not sees_the_same(before, after, judged("vae.Two"))
    assert not sees_the_same(before, after, judged("vae.draw"))
    evaluated = MODELS.replace("from __future__ import annotations\n", "")
    before, after = texts({"vae": evaluated}, {"vae": evaluated.replace("return x\n", "return -x\n")})
    assert not sees_the_same(before, after, judged("vae.draw")), "an annotation may run anything here"


@pytest.mark.parametrize(("decorator", "same"), [("register", False), ("dataclass", True), ("cache", False)])
def test_what_a_decorator_of_ones_own_gets_hold_of_counts_always(decorator: str, same: bool) -> None:
    text = f"def cache(thing):\n    KEPT.append(thing)\n    return thing\n\n\n@{decorator}\nclass One:\n"
    text += "    def forward(self, x):\n        return x\n\n\ndef build():\n    return KEPT[0]()\n"
    before, after = texts({"vae": text}, {"vae": text.replace("return x", "return -x")})
    assert sees_the_same(before, after, judged("vae.build")) == same
