"""The author's contract: what a question must bring, one rule a function. ``make contract`` names what is missing.

A rule takes the `Kit` and returns `Finding`s, none where all is well; `RULES` lists them. The kit's own tests call the
same rules, so that nothing is asked for twice. What must be run to be seen stands in `running`.
"""

from __future__ import annotations

from collections.abc import Callable

from . import banks, declared, handed_out, pages, words
from .kit import Finding, Kit

Rule = Callable[[Kit], list[Finding]]
RULES: tuple[Rule, ...] = (
    declared.listed, declared.ids, declared.complete, declared.points, declared.needs, declared.modules,
    words.hints, words.conditions, words.tolerances,
    banks.packages, banks.mistakes, banks.alternatives, banks.orphans, banks.questions_of_mistakes,
    handed_out.starter, handed_out.stubs, handed_out.asked,
    pages.handout, pages.readme, pages.cuts, pages.results,
)  # fmt: skip


def findings(kit: Kit) -> list[Finding]:
    """What all rules find."""
    return [found for rule in RULES for found in rule(kit)]
