"""Question 7: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from . import mistakes_finetune, mistakes_losses, mistakes_models, mistakes_trainjoint, mistakes_twostage
from .alternatives import ALTERNATIVES

__all__ = ["ALTERNATIVES", "MISTAKES"]

MISTAKES = (
    *mistakes_models.MISTAKES,
    *mistakes_losses.MISTAKES,
    *mistakes_finetune.MISTAKES,
    *mistakes_twostage.MISTAKES,
    *mistakes_trainjoint.MISTAKES,
)
