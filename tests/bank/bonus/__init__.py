"""The bonus: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from . import mistakes_bounds, mistakes_features, mistakes_prior
from .alternatives import ALTERNATIVES

__all__ = ["ALTERNATIVES", "MISTAKES"]

MISTAKES = (*mistakes_prior.MISTAKES, *mistakes_bounds.MISTAKES, *mistakes_features.MISTAKES)
