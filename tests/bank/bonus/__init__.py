"""The bonus: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from . import alternatives_evaluation, alternatives_prior, mistakes_bounds, mistakes_features, mistakes_prior

__all__ = ["ALTERNATIVES", "MISTAKES"]

MISTAKES = (*mistakes_prior.MISTAKES, *mistakes_bounds.MISTAKES, *mistakes_features.MISTAKES)
ALTERNATIVES = (*alternatives_prior.ALTERNATIVES, *alternatives_evaluation.ALTERNATIVES)
