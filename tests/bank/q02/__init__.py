"""Question 2: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from .. import Mistake
from .alternatives import ALTERNATIVES
from .mistakes_diagonal import MISTAKES as DIAGONAL
from .mistakes_full import MISTAKES as FULL

MISTAKES: tuple[Mistake, ...] = (*DIAGONAL, *FULL)

__all__ = ["ALTERNATIVES", "MISTAKES"]
