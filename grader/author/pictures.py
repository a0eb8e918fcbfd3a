"""Makes the README's two pictures from real runs: ``python -m grader.author.pictures``.

One shows a student's check in which one function is wrong (KL without its factor), one the grades of the reference.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from ..check.datasets import load_dataset
from ..classes.ingest import Submission, read_submission
from ..cli import terminal
from ..cli.plan import ALL_KINDS, QUICK_KINDS
from ..grading.run import Plan, cores, grade
from ..report.model import Report
from ..rubric import MODULES, QUESTIONS
from .starter import ROOT

IMAGES = ROOT / "docs" / "images"
WRONG = "\n\ndef kl_divergence(mu, logvar):\n    return (mu.square() + logvar.exp() - logvar - 1).sum(dim=1)\n"
# rich's own frame, less the web fonts that it would load
FRAME = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: Menlo, "DejaVu Sans Mono", Consolas, monospace; font-size: {char_height}px;
line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-family: arial, sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def report_on(
    submission: Submission, kinds: frozenset[str], questions: frozenset[int], visible: frozenset[str]
) -> Report:
    """One report, with a fixed seed."""
    data = load_dataset("auto")
    plan = Plan(328, "cpu", data.name, data.reason, None, questions, kinds, visible, cores())
    [(_, report)] = list(grade([submission], plan, lambda index, found: None))
    return report


def draw(path: Path, title: str, show: Callable[[Console], None]) -> None:
    """What `show` prints, as SVG."""
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
    show(console)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(console.export_svg(title=title, theme=MONOKAI, code_format=FRAME, unique_id=path.stem))


def main() -> int:
    """Writes docs/images/check.svg and docs/images/grade.svg."""
    reference = read_submission(ROOT / "solution", MODULES)
    wrong = Submission("mine", {**reference.sources, "gaussians": reference.sources["gaussians"] + WRONG})
    checked = report_on(wrong, QUICK_KINDS, frozenset({2}), frozenset({"public"}))
    draw(IMAGES / "check.svg", "make check SUBMISSION=mine Q=2", lambda console: terminal.print_check(console, checked))
    everything = frozenset(question.number for question in QUESTIONS)
    graded = report_on(reference, ALL_KINDS, everything, frozenset({"public", "hidden"}))
    out = Path("reports")
    draw(IMAGES / "grade.svg", "make grade",
         lambda console: terminal.print_grades(console, [graded], out, out / "gradebook.csv"))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
