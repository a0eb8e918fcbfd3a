"""What has changed between two runs of one class: whose marks, by how much and through which check, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..check.declaration import Check
from ..check.outcome import Outcome
from .model import Report

Direction = Literal["down", "up", "aside", "same"]
ORDER: tuple[Direction, ...] = ("down", "up", "aside", "same")


class Entry(NamedTuple):
    """One submission of a run: its report, and its text, None where that is not known.

    A report may hold checks that today's rubric does not: those count in its sums, and are not run in other reports.
    """

    report: Report
    text: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Move:
    """One check of one submission, before and now."""

    old: Outcome
    new: Outcome

    @property
    def check(self) -> Check:
        """Which one."""
        return self.new.check

    @property
    def by(self) -> float:
        """Points that it moves."""
        return round(self.new.earned - self.old.earned, 6)

    @property
    def counts(self) -> bool:
        """Whether marks move: other points, or a mark where there was none, or none where there was one."""
        return self.by != 0 or marked(self.old) != marked(self.new)

    @property
    def differs(self) -> bool:
        """Whether there is anything to tell: a status, or points that were given by hand."""
        return self.counts or self.old.status != self.new.status or self.old.override != self.new.override


@dataclass(frozen=True)
class Person:
    """A submission that is in both runs. `moves` are the checks that move its marks, `quiet` others that changed."""

    key: str
    old: Report
    new: Report
    moves: tuple[Move, ...]
    quiet: tuple[Move, ...]
    same_text: bool | None  # whether what was handed in is the same; None if that is not known

    @property
    def by(self) -> float:
        """Points that all of it moves, bonus included."""
        return round(self.new.score + self.new.bonus - self.old.score - self.old.bonus, 6)

    @property
    def direction(self) -> Direction:
        """Where the marks go; `aside` if they move and their sum stays."""
        if self.by:
            return "up" if self.by > 0 else "down"
        return "aside" if self.moves else "same"


class Alone(NamedTuple):
    """A submission that is in one of the runs only."""

    key: str
    report: Report


class Changed(NamedTuple):
    """One of the circumstances, with all values that it had in each run."""

    what: str
    old: tuple[str, ...]
    new: tuple[str, ...]


class Through(NamedTuple):
    """What one check does to the class: how many lose and gain by it, how many points in all."""

    check: Check
    down: int
    up: int
    lost: float
    gained: float
    other: int  # for whom it has a mark now and had none, or the other way round, at the same points


@dataclass(frozen=True)
class Changes:
    """Everything that has changed. `people` are all who are in both runs: those who lose most come first."""

    circumstances: tuple[Changed, ...]
    people: tuple[Person, ...]
    new: tuple[Alone, ...]
    gone: tuple[Alone, ...]

    @property
    def moved(self) -> tuple[Person, ...]:
        """Whose marks move."""
        return tuple(person for person in self.people if person.moves)

    @property
    def any(self) -> bool:
        """Whether other marks would be published: somebody's move, or somebody is new or gone."""
        return bool(self.moved or self.new or self.gone)

    def count(self, direction: Direction) -> int:
        """How many go there."""
        return sum(person.direction == direction for person in self.people)

    @property
    def hands_lost(self) -> int:
        """For how many checks points were given by hand in the old run and are not in the new one."""
        return sum(move.old.override is not None and move.new.override is None
                   for person in self.people for move in (*person.moves, *person.quiet))  # fmt: skip

    @property
    def through(self) -> tuple[Through, ...]:
        """The checks through which marks move, those that move most first."""
        found: dict[str, list[Move]] = {}
        for person in self.people:
            for move in person.moves:
                found.setdefault(move.check.id, []).append(move)
        summed = [through(moves) for moves in found.values()]
        return tuple(sorted(summed, key=lambda one: (-(one.lost + one.gained), one.check.id)))


def through(moves: Sequence[Move]) -> Through:
    """Moves of one check, added up."""
    down, up = ([m.by for m in moves if m.by < 0], [m.by for m in moves if m.by > 0])
    return Through(moves[0].check, len(down), len(up), round(-sum(down), 6), round(sum(up), 6),
                   len(moves) - len(down) - len(up))  # fmt: skip


def marked(outcome: Outcome) -> bool:
    """Whether a check has a mark, be it zero."""
    return not (outcome.left_out or outcome.fault)


def compare(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> Changes:
    """Two runs, submissions by what tells their owners apart in both."""
    people = [person(key, entry, new[key]) for key, entry in old.items() if key in new]
    people.sort(key=lambda one: (ORDER.index(one.direction), -abs(one.by), one.new.submission.casefold(), one.key))
    return Changes(
        changed([entry.report for entry in old.values()], [entry.report for entry in new.values()]),
        tuple(people),
        tuple(Alone(key, entry.report) for key, entry in new.items() if key not in old),
        tuple(Alone(key, entry.report) for key, entry in old.items() if key not in new),
    )  # fmt: skip


def person(key: str, old: Entry, new: Entry) -> Person:
    """One submission in both runs."""
    sides = [{outcome.check.id: outcome for outcome in entry.report.outcomes} for entry in (old, new)]
    checks = {outcome.check.id: outcome.check for entry in (new, old) for outcome in entry.report.outcomes}
    moves = [
        Move(*(side.get(name) or Outcome(check, "not_run", 0.0) for side in sides)) for name, check in checks.items()
    ]
    same = None if old.text is None or new.text is None else dict(old.text) == dict(new.text)
    return Person(key, old.report, new.report, tuple(move for move in moves if move.counts),
                  tuple(move for move in moves if move.differs and not move.counts), same)  # fmt: skip


def changed(old: Iterable[Report], new: Iterable[Report]) -> tuple[Changed, ...]:
    """The circumstances that are not the same."""
    before, now = seen(old), seen(new)
    names = dict.fromkeys([*before, *now])
    both = (Changed(name, before.get(name, ()), now.get(name, ())) for name in names)
    return tuple(one for one in both if one.old != one.new and before and now)


def seen(reports: Iterable[Report]) -> dict[str, tuple[str, ...]]:
    """The values of every circumstance in a run, in the order in which they come up."""
    found: dict[str, dict[str, None]] = {}
    for report in reports:
        for name, value in values(report).items():
            found.setdefault(name, {})[str(value)] = None
    return {name: tuple(shown) for name, shown in found.items()}


def values(report: Report) -> dict[str, object]:
    """What can move marks, each by itself."""
    one = report.circumstances
    return {"checks asked for": sum(outcome.status != "not_run" for outcome in report.outcomes), "seed": one.seed,
            "dataset": one.dataset, "device": one.device, "threads": one.threads, "box": one.sandbox.backend,
            **one.versions}  # fmt: skip
