"""Question 10: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from . import (
    alternatives_averages,
    alternatives_quantizer,
    alternatives_usage,
    mistakes_averages,
    mistakes_codebook,
    mistakes_model,
    mistakes_quantizer,
    mistakes_usage,
)

__all__ = ["ALTERNATIVES", "MISTAKES"]

MISTAKES = (
    *mistakes_quantizer.MISTAKES, *mistakes_codebook.MISTAKES, *mistakes_averages.MISTAKES, *mistakes_usage.MISTAKES,
    *mistakes_model.MISTAKES,
)  # fmt: skip
ALTERNATIVES = (
    *alternatives_quantizer.ALTERNATIVES, *alternatives_averages.ALTERNATIVES, *alternatives_usage.ALTERNATIVES,
)  # fmt: skip
