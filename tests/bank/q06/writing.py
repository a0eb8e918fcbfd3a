"""How a mistake of Question 6 is written."""

from __future__ import annotations

from .. import Mistake


def mistake(
    id: str, story: str, fails: tuple[str, ...], *edits: tuple[str, str], append: str = "",
    may_fail: tuple[str, ...] = (),
) -> Mistake:  # fmt: skip
    """One bug in training.py; ids of checks without the question's prefix, but those of Question 7."""
    return Mistake(
        f"q6-{id}", 6, "training", story, tuple(f"q6.{name}" for name in fails), edits, append,
        tuple(name if name.startswith("q7.") else f"q6.{name}" for name in may_fail),
    )  # fmt: skip
