"""Cases that Hypothesis drew, kept: as long as a check passes, what it draws depends on the seed alone.

Drawing takes a third of the time of a check that passes. The proof judges a thousand variants with the same five seeds.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import Phase
from hypothesis import strategies as st

from grader.check.cases import drawn_cases

KEPT: dict[tuple[Any, ...], list[dict[str, Any]]] = {}


def kept_cases(
    body: Callable[..., None], seed: int, examples: int, strategies: Mapping[str, st.SearchStrategy[Any]],
    phases: Sequence[Phase],
) -> None:  # fmt: skip
    """Stands for `drawn_cases` where the first failure will do.

    No smallest case is looked for, and none of the further ones that tell causes apart: marks depend on neither.
    """
    if Phase.shrink not in phases:
        return
    key = (seed, examples, *((name, repr(strategy)) for name, strategy in strategies.items()))
    if key not in KEPT:
        cases: list[dict[str, Any]] = []
        drawn_cases(lambda **drawn: cases.append(drawn), seed, examples, strategies, (Phase.generate,))
        KEPT[key] = cases
    for drawn in KEPT[key]:
        body(**copy.deepcopy(drawn))
