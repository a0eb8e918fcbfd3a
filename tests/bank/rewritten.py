"""Submissions written from the handout and the starter alone, by people who had not seen reference, grader or tests."""

from __future__ import annotations

from pathlib import Path

from . import Alternative, Mistake

STYLES = {
    "plain": "all ten modules",
    "idiomatic": "all ten modules, with torch.distributions, einsum and whatever else PyTorch has",
    "statistician": "all ten modules, with closed forms from libraries, copies of models, and heads that start at zero",
    "engineer": "all ten modules, with loaders, context managers and residual blocks with BatchNorm and dropout",
    "by_hand": "all ten modules, in explicit arithmetic with layers made by hand",
}
MISTAKES: tuple[Mistake, ...] = ()
ALTERNATIVES: tuple[Alternative, ...] = tuple(
    Alternative(f"all-written-{style}", 8, "vae", f"{story}, written from the handout and the starter alone",
                whole={path.stem: path.read_text() for path in sorted((Path(__file__).parent / "rewrites" / style).glob("*.py"))})
    for style, story in STYLES.items()
)  # fmt: skip
