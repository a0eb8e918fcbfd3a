"""How mistakes and alternatives of Question 10 are written."""

from __future__ import annotations

from .. import Alternative, Mistake

MODULE = "vqvae"
NEAREST = "return (codes.square().sum(dim=1) - 2 * (vectors - centre) @ codes.T).argmin(dim=1)"


def mistake(
    id: str,
    story: str,
    *fails: str,
    edits: tuple[tuple[str, str], ...] = (),
    append: str = "",
    may_fail: tuple[str, ...] = (),
) -> Mistake:
    """A bug in vqvae.py."""
    names = tuple(f"q10.{name}" for name in fails)
    also = tuple(f"q10.{name}" for name in may_fail)
    return Mistake(f"q10.{id}", 10, MODULE, story, names, edits, append, also)


def alternative(id: str, story: str, edits: tuple[tuple[str, str], ...] = (), append: str = "") -> Alternative:
    """A correct vqvae.py."""
    return Alternative(f"q10.{id}", 10, MODULE, story, edits, append)
