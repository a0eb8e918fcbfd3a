"""Question 4: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from . import mistakes_1, mistakes_2
from .alternatives import ALTERNATIVES

__all__ = ["ALTERNATIVES", "MISTAKES"]

MISTAKES = (*mistakes_1.MISTAKES, *mistakes_2.MISTAKES)
