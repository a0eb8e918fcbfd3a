"""The whole bank: the packages of all questions, and what spans several."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from grader.assignment import FOLDERS

from . import Alternative, Mistake

SPANNING = ("blind", "rewritten", "architectures")  # beside the packages of the questions
# a question that is being written may have none yet, which the author's contract says
BANKED = tuple(folder for folder in FOLDERS if find_spec(f".{folder}", __package__) is not None)
_PACKAGES = [import_module(f".{name}", __package__) for name in (*BANKED, *SPANNING)]
MISTAKES: tuple[Mistake, ...] = tuple(mistake for package in _PACKAGES for mistake in package.MISTAKES)
ALTERNATIVES: tuple[Alternative, ...] = tuple(made for package in _PACKAGES for made in package.ALTERNATIVES)
# what must be asked of a student with a mistake: part of the question that is shown, by the mistake's id
HINTS: dict[str, str] = {
    name: hint
    for folder in BANKED
    if find_spec(f".{folder}.hints", __package__) is not None
    for name, hint in import_module(f".{folder}.hints", __package__).HINTS.items()
}
