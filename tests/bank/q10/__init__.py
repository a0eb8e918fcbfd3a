"""Question 10: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from . import mistakes_averages, mistakes_model, mistakes_quantizer, mistakes_usage
from .alternatives import ALTERNATIVES

__all__ = ["ALTERNATIVES", "MISTAKES"]

MISTAKES = (
    *mistakes_quantizer.MISTAKES, *mistakes_averages.MISTAKES, *mistakes_usage.MISTAKES, *mistakes_model.MISTAKES,
)  # fmt: skip
