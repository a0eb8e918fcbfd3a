"""How alternatives of the bonus are written."""

from __future__ import annotations

from .. import Alternative

BONUS = 0


def alternative(
    module: str, id: str, story: str, edits: tuple[tuple[str, str], ...] = (), append: str = ""
) -> Alternative:
    """A correct prior.py or evaluation.py."""
    return Alternative(f"bonus.{id}", BONUS, module, story, edits, append)
