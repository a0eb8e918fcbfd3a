"""Question 4: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from . import mistakes_losses, mistakes_models, mistakes_sizes, mistakes_sparsity, mistakes_unet
from .alternatives import ALTERNATIVES

__all__ = ["ALTERNATIVES", "MISTAKES"]

MISTAKES = (
    *mistakes_models.MISTAKES, *mistakes_unet.MISTAKES, *mistakes_sizes.MISTAKES, *mistakes_losses.MISTAKES,
    *mistakes_sparsity.MISTAKES,
)  # fmt: skip
