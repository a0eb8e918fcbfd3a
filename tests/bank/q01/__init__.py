"""Question 1: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from .. import Mistake
from .alternatives import ALTERNATIVES
from .mistakes_densities import MISTAKES as DENSITIES
from .mistakes_discrete import MISTAKES as DISCRETE
from .mistakes_samples import MISTAKES as SAMPLES

MISTAKES: tuple[Mistake, ...] = (*DISCRETE, *DENSITIES, *SAMPLES)

__all__ = ["ALTERNATIVES", "MISTAKES"]
