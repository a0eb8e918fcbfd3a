"""How a mistake of Question 7 is written."""

from __future__ import annotations

from .. import Mistake


def mistake(
    id: str, story: str, fails: tuple[str, ...], *edits: tuple[str, str], append: str = "",
    may_fail: tuple[str, ...] = (),
) -> Mistake:  # fmt: skip
    """One bug in semi_supervised.py; ids of checks without the question's prefix."""
    return Mistake(
        f"q7-{id}", 7, "semi_supervised", story, tuple(f"q7.{name}" for name in fails), edits, append,
        tuple(f"q7.{name}" for name in may_fail),
    )  # fmt: skip
