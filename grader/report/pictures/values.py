"""A picture as a page shows it."""

from __future__ import annotations

from typing import NamedTuple


class Picture(NamedTuple):
    """An exhibit of a check, drawn or not."""

    question: int
    check: str
    title: str
    alt: str  # in words, with the numbers
    png: bytes  # empty where it could not be drawn
    missing: str  # why; empty where it was drawn
