"""Question 3: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from .. import Mistake
from .alternatives import ALTERNATIVES
from .mistakes_linear import MISTAKES as LINEAR
from .mistakes_pca import MISTAKES as PCA
from .mistakes_subspaces import MISTAKES as SUBSPACES

MISTAKES: tuple[Mistake, ...] = (*PCA, *SUBSPACES, *LINEAR)

__all__ = ["ALTERNATIVES", "MISTAKES"]
