"""The whole bank: the packages of all questions, and what spans several."""

from __future__ import annotations

from importlib import import_module

from grader.assignment import FOLDERS

from . import Alternative, Mistake

SPANNING = ("blind", "rewritten", "architectures")  # beside the packages of the questions
_PACKAGES = [import_module(f".{name}", __package__) for name in (*FOLDERS, *SPANNING)]
MISTAKES: tuple[Mistake, ...] = tuple(mistake for package in _PACKAGES for mistake in package.MISTAKES)
ALTERNATIVES: tuple[Alternative, ...] = tuple(made for package in _PACKAGES for made in package.ALTERNATIVES)
