"""The banks: submissions that are the reference with one bug, and correct submissions that look different.

A variant is written as edits of the reference's text (each `old` occurs exactly once) and text appended to the module,
where a second definition of a name replaces the first. ``rewrites/`` holds whole modules by somebody who had the handout
and the starter only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mistake:
    """One plausible bug: which checks must fail because of it, and which may because they build on those."""

    id: str
    question: int
    module: str
    story: str
    fails: tuple[str, ...]
    edits: tuple[tuple[str, str], ...] = ()
    append: str = ""
    may_fail: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alternative:
    """A correct answer in another style: full marks. `whole` replaces modules by others."""

    id: str
    question: int
    module: str
    story: str
    edits: tuple[tuple[str, str], ...] = ()
    append: str = ""
    whole: Mapping[str, str] = field(default_factory=dict)


def apply(sources: Mapping[str, str], variant: Mistake | Alternative) -> dict[str, str]:
    """The reference's sources with one variant applied. Raises ValueError if an edit does not fit exactly once."""
    text = sources[variant.module]
    for old, new in variant.edits:
        if text.count(old) != 1:
            raise ValueError(f"{variant.id}: {old!r} occurs {text.count(old)} times in {variant.module}.py")
        text = text.replace(old, new)
    if isinstance(variant, Alternative) and variant.whole:
        return {**sources, **variant.whole}
    if not variant.edits and not variant.append:
        raise ValueError(f"{variant.id} changes nothing")
    return {**sources, variant.module: text + ("\n\n" + variant.append if variant.append else "")}
