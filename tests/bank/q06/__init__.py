"""Question 6: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from . import mistakes_fit, mistakes_memory, mistakes_stages, mistakes_step
from .alternatives import ALTERNATIVES

__all__ = ["ALTERNATIVES", "MISTAKES"]

MISTAKES = (
    *mistakes_step.MISTAKES,
    *mistakes_fit.MISTAKES,
    *mistakes_stages.MISTAKES,
    *mistakes_memory.MISTAKES,
)
