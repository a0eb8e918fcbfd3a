"""From everything that was found to a row for every owner: what counts, what does not, and who is who.

Only what the system itself says makes two things one person's: its number, or for Gradescope the student's. Two people
with one name stay two.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from .names import display, folded, printable
from .people import Owner, row_name
from .records import Reading, Submission, Superseded
from .sources import digest
from .tables import Known, completed, table_of
from .trees import Clock, Entry

MOST_NAMED = 20
SAME = "the same text"


@dataclass(frozen=True)
class Found:
    """A submission, and what tells whether it is newer than another of the same owner: the system's numbers of what
    came in, and the newest time of its files."""

    submission: Submission
    order: int = 0
    clock: Clock | None = None


@dataclass
class About:
    """What was found out about a class beside its submissions."""

    passed_over: list[str] = field(default_factory=list)
    consulted: list[str] = field(default_factory=list)
    tables: list[tuple[str, Entry]] = field(default_factory=list)  # of those that were passed over
    notes: list[str] = field(default_factory=list)


def settled(found: Sequence[Found], about: About, starter: Collection[str], archived: bool) -> Reading:
    """One row for every owner, in the order in which they were found."""
    kept: list[Submission] = []
    superseded: list[Superseded] = []
    for several in by_owner(apart(with_tables(found, about))):
        submission, others = newest_of(several)
        kept.append(submission)
        superseded += others
    kept = told_apart(kept)
    return Reading(tuple(kept), tuple(about.passed_over), archived, tuple(superseded), tuple(duplicates(kept, starter)),
                   tuple(dict.fromkeys(about.consulted)), tuple(dict.fromkeys(about.notes)))  # fmt: skip


def owner_of(submission: Submission) -> Owner:
    """Whose it is."""
    return submission.owner or Owner(submission.name)


def with_tables(found: Sequence[Found], about: About) -> list[Found]:
    """The same with what tables that lie beside say of the owners; a table of none of them stays passed over."""
    result = list(found)
    for file, entry in about.tables:
        table = table_of(file, entry)
        numbers = {owner.id for one in found if (owner := owner_of(one.submission)).system == (table and table.system)}
        if table is None or numbers.isdisjoint(table.lines):
            continue
        about.passed_over.remove(file)
        about.consulted.append(file)
        result = [with_table(one, table) for one in result]
        absent = [line.name or number for number, line in table.lines.items() if number not in numbers]
        if absent:
            more = f" and {len(absent) - MOST_NAMED} more" if len(absent) > MOST_NAMED else ""
            about.notes.append(f"{file} also has {len(absent)} who handed in nothing: "
                               f"{', '.join(printable(name) for name in absent[:MOST_NAMED])}{more}")  # fmt: skip
    return result


def with_table(found: Found, table: Known) -> Found:
    """One of them with what a table says of its owner."""
    submission = found.submission
    before = owner_of(submission)
    owner, told = completed(before, table)
    name = display(row_name(owner)) if owner.name != before.name else submission.name
    line = table.lines.get(owner.id)
    late = submission.arrival.late
    if not told and late is None and line is not None and owner.system == table.system:
        late = line.late
    problems = (*submission.problems, *([told] if told else []))
    arrival = replace(submission.arrival, late=late)
    return replace(found, submission=replace(submission, name=name, owner=owner, problems=problems, arrival=arrival))


def apart(found: Sequence[Found]) -> list[Found]:
    """The same, with owners told apart that have one number but different names: a number is one person's."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for one in found:
        owner = owner_of(one.submission)
        if owner.id:
            names[owner.key].add(folded(owner.name))
    result = []
    for one in found:
        owner = owner_of(one.submission)
        if owner.id and len(names[owner.key]) > 1:
            told = f"the number {owner.id} has {len(names[owner.key])} names: they are taken for different people"
            other = replace(owner, also={**owner.also, "apart": owner.name})
            one = replace(one, submission=replace(
                one.submission, owner=other, problems=(*one.submission.problems, told)))  # fmt: skip
        result.append(one)
    return result


def by_owner(found: Sequence[Found]) -> list[list[Found]]:
    """Everything of one owner together. A name alone makes nobody the same."""
    groups: dict[str, list[Found]] = {}
    for place, one in enumerate(found):
        owner = owner_of(one.submission)
        groups.setdefault(owner.key if owner.id else f"row {place}", []).append(one)
    return list(groups.values())


def newest_of(several: Sequence[Found]) -> tuple[Submission, list[Superseded]]:
    """What counts of what one owner handed in, and what does not. Where nothing says which came last, nothing counts,
    and nothing is lost."""
    if len(several) == 1:
        return several[0].submission, []
    texts: dict[str, Found] = {}
    same: list[tuple[Found, str]] = []
    for one in several:
        text = text_of(one.submission) or f"nothing: {one.submission.fault}"
        if text in texts:
            same.append((one, SAME if one.submission.sources else "nothing in it, either"))
        else:
            texts[text] = one
    different = list(texts.values())
    ranks, how = ranking(different)
    if len(different) > 1 and ranks is None:
        places = ", ".join(one.submission.origin for one in different)
        why = f"handed in {len(different)} times, and nothing says which came last: give one of them ({places})"
        blank = replace(different[0].submission, sources={}, problems=(why,), fault=why)
        return blank, []
    ordered = sorted(zip(ranks or [0], different, strict=True), key=lambda pair: pair[0], reverse=True)
    counted = ordered[0][1].submission
    others = [*((one, f"older {how}") for _, one in ordered[1:]), *same]
    told = tuple(
        f"this is the newest of several: {one.submission.origin} does not count ({why})"
        for one, why in others[: len(ordered) - 1]
    )
    kept = replace(counted, problems=(*counted.problems, *told))
    return kept, [Superseded(counted.name, one.submission.origin, why) for one, why in others]


def ranking(several: Sequence[Found]) -> tuple[list[float] | None, str]:
    """What the newest has most of, and what that is; None where nothing tells them apart."""
    times = [one.submission.arrival.at for one in several]
    by_time = [at.timestamp() for at in times if at is not None]
    clocks = [one.clock for one in several if one.clock is not None]
    kinds = {clock.kind for clock in clocks}
    ways: list[tuple[list[float], str]] = [
        (by_time, "by its time"),
        ([float(one.order) for one in several if one.order], "by the system's number"),
        ([clock.at for clock in clocks] if len(kinds) == 1 else [], "by the times of its files"),
    ]
    for values, how in ways:
        if len(values) == len(several) and values.count(max(values)) == 1:
            return values, how
    return None, ""


def text_of(submission: Submission) -> str:
    """The same for two submissions with the same text; empty where there is none."""
    if not submission.sources:
        return ""
    parts = sorted((module, digest(text)) for module, text in submission.sources.items())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def told_apart(submissions: Sequence[Submission]) -> list[Submission]:
    """Rows of one name in different parts of a class are called after those, too."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for one in submissions:
        names[folded(one.name)].add(owner_of(one).also.get("section", ""))
    result = []
    for one in submissions:
        section = owner_of(one).also.get("section", "")
        clash = len(names[folded(one.name)]) > 1 and section and not one.name.startswith(f"{section}/")
        result.append(replace(one, name=f"{section}/{one.name}") if clash else one)
    return result


def duplicates(submissions: Sequence[Submission], starter: Collection[str]) -> list[tuple[str, ...]]:
    """Rows of different owners with the same text; the starter as it was handed out is nobody's text."""
    same: defaultdict[str, list[str]] = defaultdict(list)
    for one in submissions:
        if any(digest(text) not in starter for text in one.sources.values()):
            same[text_of(one)].append(one.name)
    return [tuple(names) for names in same.values() if len(names) > 1]
