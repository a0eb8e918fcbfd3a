"""Modules written anew, from the handout and the starter alone, by somebody who had not seen the reference."""

from __future__ import annotations

from pathlib import Path

from grader.rubric import QUESTIONS

from . import Alternative, Mistake

FOLDER = Path(__file__).parent / "rewrites"

MISTAKES: tuple[Mistake, ...] = ()
ALTERNATIVES: tuple[Alternative, ...] = tuple(
    Alternative(f"{'q' * bool(q.number)}{q.number or 'bonus'}-{module}-written-anew", q.number, module,
                f"{module}.py written from the handout alone", whole=(FOLDER / f"{module}.py").read_text())
    for q in QUESTIONS for module in q.modules
)  # fmt: skip
