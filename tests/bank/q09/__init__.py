"""Question 9: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from . import mistakes_forward, mistakes_generate, mistakes_model
from .alternatives import ALTERNATIVES

__all__ = ["ALTERNATIVES", "MISTAKES"]

MISTAKES = (*mistakes_model.MISTAKES, *mistakes_forward.MISTAKES, *mistakes_generate.MISTAKES)
