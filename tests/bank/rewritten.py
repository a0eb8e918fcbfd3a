"""Modules written anew, from the handout and the starter alone, by somebody who had not seen the reference."""

from __future__ import annotations

from pathlib import Path

from . import Alternative, Mistake

MISTAKES: tuple[Mistake, ...] = ()
ALTERNATIVES: tuple[Alternative, ...] = (
    Alternative("all-written-anew", 8, "vae", "all ten modules, written from the handout and the starter alone",
                whole={path.stem: path.read_text() for path in sorted(Path(__file__).parent.glob("rewrites/*.py"))}),
)  # fmt: skip
