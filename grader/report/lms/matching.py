"""Which row of a table belongs to which mark. What is not certain is said, and stays empty.

A number decides first: the system's own, then a student number, then an e-mail address. A name alone decides only where
one row and one person have it and nothing else that is known of them differs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...classes.people import Owner
from ..printable import one_line
from .marks import Left, Mark, people, settled, who

APOSTROPHES = re.compile(r"['’ʼ`´]")


@dataclass(frozen=True)
class Seat:
    """What a row says of its person. `ids` are numbers by kind: ``system``, ``sid``, ``email``, ``login``."""

    row: int
    line: int
    name: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


@dataclass
class Found:
    """Marks by row, and the marks that have none."""

    marks: dict[int, Mark] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)


def words(text: str) -> tuple[str, ...]:
    """The words of a name in their order: letters with their marks, and digits, without case and apostrophes."""
    flat = unicodedata.normalize("NFC", APOSTROPHES.sub("", text)).casefold()
    return tuple("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in flat).split())


def plain(text: str) -> str:
    """A text without accents."""
    flat = unicodedata.normalize("NFKD", text)
    return "".join(character for character in flat if not unicodedata.combining(character))


def forms(name: str) -> set[tuple[str, ...]]:
    """A name as it is written, and the first name first where a comma says which that is."""
    last, comma, first = name.partition(",")
    return {words(name), words(f"{first} {last}")} if comma else {words(name)}


def same_name(one: str, other: str) -> bool:
    """Whether two texts are one name: "Doe, Jane" is "Jane Doe", and "doejane" as Canvas names files; "Doe Jane" may
    be somebody else."""
    here, there = forms(one), forms(other)
    if not words(one) or not words(other):
        return False
    if here & there:
        return True
    run_together = len(words(one)) == 1 or len(words(other)) == 1
    return run_together and bool({"".join(form) for form in here} & {"".join(form) for form in there})


def unlike(one: str, other: str) -> bool:
    """Whether two names have nothing in common: then a number that joins them is of another table."""
    here, there = words(plain(one)), words(plain(other))
    if not here or not there or set(here) & set(there):
        return False
    if sorted("".join(here)) == sorted("".join(there)):
        return False
    return not any(len(word) > 2 and word in "".join(there) for word in here) and not any(
        len(word) > 2 and word in "".join(here) for word in there
    )


def ids_of(owner: Owner, system: str, kinds: Sequence[str]) -> dict[str, str]:
    """The numbers of an owner that a table of `system` may hold, folded."""
    found = {
        kind: folded_id(text) for kind, text in owner.also.items() if text.strip() and kind in ("sid", "email", "login")
    }
    if owner.system == system and owner.kind in kinds and owner.id.strip():
        found["system"] = folded_id(owner.id)
    return found


def folded_id(text: str) -> str:
    """A number or an address without case and without zeros in front."""
    plain_text = unicodedata.normalize("NFKC", text).strip().casefold()
    return (plain_text.lstrip("0") or "0") if plain_text.isascii() and plain_text.isdigit() else plain_text


class Table:
    """Rows by what finds them."""

    def __init__(self, seats: Sequence[Seat], owners: Iterable[Owner]) -> None:
        """`owners` are all who have handed in: a name that two of them have finds nothing."""
        self.seats = seats
        self.by_id: dict[tuple[str, str], list[Seat]] = {}
        self.by_name: dict[str, list[Seat]] = {}
        self.names: dict[str, list[str]] = {}
        for seat in seats:
            for pair in seat.ids.items():
                self.by_id.setdefault(pair, []).append(seat)
            for key in joined(seat.name):
                self.by_name.setdefault(key, []).append(seat)
        for owner in owners:
            for key in joined(owner.name):
                self.names.setdefault(key, []).append(owner.name)

    def called(self, name: str) -> list[Seat]:
        """Rows of a name."""
        near = {seat.row: seat for key in joined(name) for seat in self.by_name.get(key, ())}
        return [seat for seat in near.values() if same_name(name, seat.name)]

    def namesakes(self, name: str) -> int:
        """How many owners have this name, the one who is asked for among them."""
        return max(sum(same_name(name, other) for other in self.names.get(key, ())) for key in [*joined(name), ""])


def joined(name: str) -> set[str]:
    """A name's forms with the blanks left out: what equal names share, however they are written."""
    return {"".join(form) for form in forms(name) if form}


def place(marks: Sequence[Mark], seats: Sequence[Seat], system: str, kinds: Sequence[str] = ("person",)) -> Found:
    """The rows of every mark. Two marks that want one row leave it empty; so do two rows that one mark could mean.

    Marks that must not be published are looked for, too: what would be theirs is nobody else's.
    """
    good, left = settled(marks)
    publishable = {id(mark) for mark in good}
    found = Found(left=left)
    wishes: dict[int, list[tuple[Mark, Owner]]] = {}
    table = Table(seats, (owner for mark in marks for owner in people(mark.owner)))
    for mark in marks:
        for owner in people(mark.owner):
            rows, why = rows_of(owner, table, system, kinds)
            if why and id(mark) in publishable:
                found.left.append(Left(label(mark, owner), why))
            for row in rows:
                wishes.setdefault(row, []).append((mark, owner))
    lines = {seat.row: seat.line for seat in seats}
    for row, wanting in sorted(wishes.items()):
        others = ", ".join(label(mark, owner) for mark, owner in wanting)
        for mark, owner in wanting:
            if id(mark) not in publishable:
                continue
            if len(wanting) == 1:
                found.marks[row] = mark
            else:
                why = f"line {lines[row]} is that of several submissions: {others}"
                found.left.append(Left(label(mark, owner), why))
    return found


def label(mark: Mark, owner: Owner) -> str:
    """Who a mark is for: of a group, the member and the group."""
    return mark.name if owner is mark.owner else f"{who(owner)} of {mark.name}"


def rows_of(owner: Owner, table: Table, system: str, kinds: Sequence[str]) -> tuple[list[int], str]:
    """The rows of one owner: more than one only of one person or one group; or none, and why."""
    own = ids_of(owner, system, kinds)
    for kind in ("system", "sid", "email", "login"):
        seated = table.by_id.get((kind, own[kind]), []) if kind in own else []
        if seated:
            return checked(owner, own, seated)
    if owner.kind == "group":
        return group_rows(owner, table.seats)
    if owner.kind == "anonymous" and not own:
        return (
            [],
            "the submission is anonymous and the table has no such number: switch the anonymous marking off first",
        )
    return name_rows(owner, own, table)


def checked(owner: Owner, own: Mapping[str, str], seated: Sequence[Seat]) -> tuple[list[int], str]:
    """Rows that a number has found, unless something else that is known of the person contradicts it."""
    for seat in seated:
        differing = [kind for kind in own if kind in seat.ids and seat.ids[kind] != own[kind]]
        if differing:
            return [], f"line {seat.line} has one of its numbers, but another {said(differing)}: look who that is"
        if owner.kind == "person" and unlike(owner.name, seat.name):
            return [], (
                f"line {seat.line} has its number and the name {one_line(seat.name, 80)!r}: is it the table of this "
                "assignment?"
            )
    if len({words(seat.name) for seat in seated}) > 1:
        return [], f"lines {lines_of(seated)} have its number under different names"
    return [seat.row for seat in seated], ""


def group_rows(owner: Owner, seats: Sequence[Seat]) -> tuple[list[int], str]:
    """The rows of a group whose members are not known, by the group's name in the table."""
    wanted = {words(text) for text in (owner.name, owner.also.get("group", "")) if words(text)}
    seated = [seat for seat in seats if any(words(group) in wanted for group in seat.groups)]
    if not seated:
        return [], "it is a group, and no row of the table names it: add a roster with its members, or enter it by hand"
    several = [seat for seat in seated if len(seat.groups) > 1]
    if several:
        return [], f"line {several[0].line} is in several groups: enter this group by hand"
    return [seat.row for seat in seated], ""


def name_rows(owner: Owner, own: Mapping[str, str], table: Table) -> tuple[list[int], str]:
    """The row of a name that one person and one row have."""
    seated = table.called(owner.name)
    if not seated:
        numbers = f" and no number {said([*own])}" if own else ""
        return [], f"no row has this name{numbers}"
    if len(seated) > 1:
        return [], f"lines {lines_of(seated)} have this name, and no number says which is meant"
    if table.namesakes(owner.name) > 1:
        return [], "several submissions have this name, and no number says which is meant"
    [seat] = seated
    differing = [kind for kind in own if kind in seat.ids]  # equal ones would have been found
    if differing:
        return [], f"line {seat.line} has this name, but another {said(differing)}: look who that is"
    return [seat.row], ""


WORDS_OF_KINDS = {"system": "id", "sid": "student number", "email": "e-mail address", "login": "login"}


def said(kinds: Sequence[str]) -> str:
    """Kinds of numbers in words."""
    return " or ".join(WORDS_OF_KINDS[kind] for kind in kinds)


def lines_of(seats: Sequence[Seat]) -> str:
    """Numbers of lines."""
    return ", ".join(str(seat.line) for seat in seats)
