"""Question 8: mistakes, each the reference with one bug, and alternatives, which are correct."""

from __future__ import annotations

from . import (
    mistakes_annealing,
    mistakes_conv,
    mistakes_forward,
    mistakes_free_bits,
    mistakes_generate,
    mistakes_interpolate,
    mistakes_losses,
    mistakes_reparameterization,
    mistakes_vae,
)
from .alternatives import ALTERNATIVES

__all__ = ["ALTERNATIVES", "MISTAKES"]

PARTS = (
    mistakes_reparameterization,
    mistakes_vae,
    mistakes_forward,
    mistakes_conv,
    mistakes_losses,
    mistakes_annealing,
    mistakes_free_bits,
    mistakes_generate,
    mistakes_interpolate,
)
MISTAKES = tuple(mistake for part in PARTS for mistake in part.MISTAKES)
