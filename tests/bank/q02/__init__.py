"""Question 2: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from .alternatives import ALTERNATIVES
from .mistakes import MISTAKES

__all__ = ["ALTERNATIVES", "MISTAKES"]
