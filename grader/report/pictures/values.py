"""What a page needs to know of a picture."""

from __future__ import annotations

from typing import NamedTuple


class Picture(NamedTuple):
    """What a trained model does, drawn. `png` is empty where that could not be done, for the reason in `missing`."""

    question: int
    check: str
    title: str
    alt: str
    png: bytes
    missing: str
