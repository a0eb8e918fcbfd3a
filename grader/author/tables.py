"""Writes the generated parts of README.md: the rubric table, between its two marker comments.

Usage: ``python -m grader.author.tables``; a test compares.
"""

from __future__ import annotations

import re
import sys

from ..check.declaration import Kind
from ..rubric import QUESTIONS
from .starter import ROOT

KINDS: tuple[Kind, ...] = ("property", "gradient", "statistical", "trained")
PLACE = re.compile(r"(<!-- rubric: .* -->\n).*(<!-- end rubric -->)", re.DOTALL)


def rubric_table() -> str:
    """Markdown: a row per question, points, and the number of checks of each kind."""
    lines = ["| question | modules | points | P | G | S | T |", "|---|---|---|---|---|---|---|"]
    for question in QUESTIONS:
        label = f"{question.number} · {question.title}" if question.number else f"bonus · {question.title}"
        counts = " | ".join(str(sum(c.kind == kind for c in question.checks) or "") for kind in KINDS)
        modules = ", ".join(f"`{module}`" for module in question.modules)
        lines.append(f"| {label} | {modules} | {question.points:g} | {counts} |")
    return "\n".join(lines) + "\n"


def with_table(readme: str) -> str:
    """The README with the table of today's rubric. Raises ValueError if its markers are gone."""
    if not PLACE.search(readme):
        raise ValueError("README.md has no '<!-- rubric: … -->' and '<!-- end rubric -->' markers")
    return PLACE.sub(lambda match: match[1] + rubric_table() + match[2], readme)


def main() -> int:
    """Rewrites README.md."""
    path = ROOT / "README.md"
    path.write_text(with_table(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
