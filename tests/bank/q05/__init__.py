"""Question 5: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from . import mistakes_gaussian, mistakes_loss, mistakes_model, mistakes_pixels
from .alternatives import ALTERNATIVES

__all__ = ["ALTERNATIVES", "MISTAKES"]

MISTAKES = (
    *mistakes_gaussian.MISTAKES, *mistakes_pixels.MISTAKES, *mistakes_model.MISTAKES, *mistakes_loss.MISTAKES,
)  # fmt: skip
