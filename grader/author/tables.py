"""Writes what is generated in README.md and the handout, between markers: the rubric, the budgets of training.

Usage: ``python -m grader.author.tables``; a test compares.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping

from ..check.declaration import Check, Kind, Question
from ..check.thresholds import Cut, load_thresholds
from ..check.trained import Budget
from ..report.words import worth
from ..rubric import CHECKS, QUESTIONS
from ..rubric.bonus import trained as bonus
from ..rubric.q03 import trained as q03
from ..rubric.q04 import trained as q04
from ..rubric.q05 import trained as q05
from ..rubric.q06 import layers as q06
from ..rubric.q08 import trained as q08
from ..rubric.q09 import model as q09
from ..rubric.q10 import trained as q10
from .bench import FILE as BENCH
from .marked import between
from .starter import ROOT

KINDS: tuple[Kind, ...] = ("property", "gradient", "statistical", "trained")

# by trained check; none for PCA, which is not trained, and for Question 7, where the network is the grader's
BUDGETS: Mapping[str, Mapping[str, Budget]] = {
    "q3.trained.linear": q03.BUDGETS,
    "q4.trained.vanilla": q04.VANILLA_BUDGET,
    "q4.trained.conv": q04.CONV_BUDGET,
    "q4.trained.unet": q04.UNET_BUDGET,
    "q5.trained.gaussian": q05.BUDGET,
    "q5.trained.masking": q05.BUDGET,
    "q6.layerwise.trained": q06.BUDGETS,
    "q8.trained.elbo": q08.ELBO_BUDGET,
    "q8.trained.beta": q08.BETA_BUDGET,
    "q8.trained.conv": q08.CONV_BUDGET,
    "q9.trained": q09.BUDGET,
    "q10.trained.vq": q10.BUDGETS,
    "q10.trained.ema": q10.AVERAGED,
    "bonus.trained.source": {"digits": bonus.SOURCE, "mnist": bonus.SOURCE},
    "bonus.trained.images": bonus.BUDGETS,
}
IMAGES = {"digits": 1437, "mnist": 60_000}


def rubric_table() -> str:
    """Markdown: a row per question, points, and the number of checks of each kind."""
    lines = ["| question | modules | points | P | G | S | T |", "|---|---|---|---|---|---|---|"]
    for question in QUESTIONS:
        label = f"{question.number} · {question.title}" if question.number else f"bonus · {question.title}"
        counts = " | ".join(str(sum(c.kind == kind for c in question.checks) or "") for kind in KINDS)
        modules = ", ".join(f"`{module}`" for module in question.modules)
        lines.append(f"| {label} | {modules} | {question.points:g} | {counts} |")
    return "\n".join(lines) + "\n"


def budget_table() -> str:
    """Markdown: a row per check that trains a model of the submission; epochs, examples, batch and largest step."""
    lines = ["| check | on digits | on MNIST |", "|---|---|---|"]
    titles = {check.id: check.title for check in CHECKS}
    for name, budgets in BUDGETS.items():
        said = [
            f"{budget.epochs} × {examples(name, dataset, budget)} in {budget.batch_size}s, {budget.lr:g}"
            for dataset, budget in sorted(budgets.items())
        ]
        lines.append(f"| `{name}` · {titles[name]} | {' | '.join(said)} |")
    return "\n".join(lines) + "\n"


def examples(check: str, dataset: str, budget: Budget) -> int:
    """How many there are to train on: those of the source are drawn, whatever the dataset."""
    return budget.train_size if check == "bonus.trained.source" else min(budget.train_size, IMAGES[dataset])


def graded(question: Question) -> str:
    """How a question is graded: points and checks by visibility and kind, and where trained ones give full credit."""
    lines = []
    for visibility, who in (("public", "public, yours to run"), ("hidden", "hidden, run by your TA")):
        checks = [check for check in question.checks if check.visibility == visibility]
        counts = Counter(check.kind for check in checks)
        kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind])
        if checks:
            points = worth(sum(check.points for check in checks))
            lines.append(f"{points} in {counted(len(checks), 'check')} ({kinds}) {who}")
    text = f"**How it is graded.** {'; '.join(lines)}.\n"
    rows = [row for check in question.checks if check.kind == "trained" for row in asked_of(check)]
    if rows:
        head = "| full credit of the trained checks | on digits | on MNIST |\n|---|---|---|"
        text += f"\n{head}\n" + "\n".join(rows) + "\n" + taken(question)
    return text


def taken(question: Question) -> str:
    """How long the reference's trained checks of the question take, where the bench has measured that."""
    measured = json.loads(BENCH.read_text())["cpu"]
    checks = [check.id for check in question.checks if check.kind == "trained"]
    seconds = {name: [measured[name].get("each_s", {}).get(check) for check in checks] for name in IMAGES}
    if any(None in found for found in seconds.values()):
        return ""
    digits, mnist = (f"{max(1, round(sum(found))):g} s" for found in seconds.values())
    take = "this takes" if len(checks) == 1 else "these take"
    return f"\nWith the reference {take} {digits} on digits and {mnist} on MNIST, on one core.\n"


def asked_of(check: Check) -> list[str]:
    """A row for each number that a trained check compares with a cut, on both datasets."""
    cuts = {dataset: load_thresholds(dataset).cuts(check.id) for dataset in IMAGES}
    return [
        f"| `{check.id}` ({check.points:g}), {metric} | "
        + " | ".join(cut_of(cuts[dataset].get(metric)) for dataset in IMAGES) + " |"
        for metric in dict.fromkeys(name for found in cuts.values() for name in found)
    ]  # fmt: skip


def cut_of(cut: Cut | None) -> str:
    """Where full credit begins; no cut where the check is not made on a dataset."""
    return "–" if cut is None else f"{'≤' if cut.full < cut.zero else '≥'} {cut.full:.4g}"


def counted(number: int, what: str) -> str:
    """ "1 check", "2 checks"."""
    return f"{number} {what}{'s'[: number != 1]}"


def with_grading(handout: str) -> str:
    """The handout with how each question is graded today."""
    for question in QUESTIONS:
        handout = between(handout, f"graded-{question.number or 'bonus'}", graded(question))
    return handout


def with_table(readme: str) -> str:
    """The README with the table of today's rubric."""
    return between(readme, "rubric", rubric_table())


def with_budgets(handout: str) -> str:
    """The handout with today's budgets, and how each question is graded."""
    return with_grading(between(handout, "budgets", budget_table()))


def main() -> int:
    """Rewrites README.md and the handout."""
    for path, renewed in ((ROOT / "README.md", with_table), (ROOT / "docs" / "handout.md", with_budgets)):
        path.write_text(renewed(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
