"""``python -m grader diff OLD NEW``: whose marks move between two runs, by how much and through which check."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..check.declaration import BONUS
from ..grading.graded import Graded, graded_in
from ..grading.store import Store
from ..grading.verdicts import outcome_of, override_of
from ..report import gradebook, moves
from ..report.changes import Changes, Entry, Move, Person, Through, compare
from ..report.model import Report
from ..report.moves import alone, circumstance, counts, signed, state
from ..report.printable import name_of, one_line
from ..report.words import STATUS_WORDS, points
from ..report.write import put, to_json
from ..rubric import CHECKS
from .consoles import say
from .options import UsageError
from .terminal import counted

SAME, MOVED = 0, 1
ALIKE = 4  # so many checks of a question that all go the same way are one line
MOST_CHECKS = 15  # in the table of checks
COLOURS = {"down": "red", "up": "green", "aside": "yellow", "same": "dim"}


def run_diff(options: argparse.Namespace, out: Console, err: Console) -> int:
    """0 if no marks move, 1 if some do. Raises UsageError and StoreError."""
    if options.old.resolve() == options.new.resolve():
        raise UsageError("OLD and NEW are one folder: grade into another --out, or compare with a copy made before")
    changes = compare(*(entries(folder, err) for folder in (options.old, options.new)))
    print_changes(out, changes, verbose=options.verbose)
    for option, path, text, encoding in (
        ("--json", options.json, to_json(moves.as_dict(changes)), "utf-8"),
        ("--csv", options.csv, moves.as_csv(changes), gradebook.ENCODING),
    ):
        if path is not None:
            try:
                put(path, text, encoding)
            except OSError as error:
                raise UsageError(f"{option} {path}: {error.strerror or error}; give another file") from error
    return MOVED if changes.any else SAME


def entries(out: Path, err: Console) -> dict[str, Entry]:
    """The submissions of a run folder; says so where some have no report yet."""
    with Store(out) as store:
        waiting = sum(not row.circumstances for row in store.submissions())
        found = {one.key: Entry(with_forgotten(store, one), one.submission.sources) for one in graded_in(store)}
    if waiting:
        many = f"{counted(waiting, 'submission')} of it have no report yet" if waiting > 1 else "1 has no report yet"
        say(
            err,
            "note",
            f"the run in {out} is not finished: {many}; the same command of grade goes on with it",
            "yellow",
        )
    return found


def with_forgotten(store: Store, one: Graded) -> Report:
    """Its report, with what it had earned in checks that the rubric no longer holds: they are out of nothing now."""
    by_hand = store.overrides(one.key)
    known = {outcome.check.id for outcome in one.report.outcomes}
    found = []
    for name, kept in store.marks(one.key).items():
        if name not in known:
            outcome = outcome_of(
                replace(CHECKS[0], id=name, question=question_of(name), points=0.0, needs=()), kept.outcome
            )
            found.append(outcome.overridden(override_of(by_hand[name])) if name in by_hand else outcome)
    return replace(one.report, outcomes=(*one.report.outcomes, *found))


def question_of(name: str) -> int:
    """The question of a check that is known by its id alone."""
    digits = name.partition(".")[0].removeprefix("q")
    return int(digits) if digits.isdecimal() else BONUS


def print_changes(console: Console, changes: Changes, *, verbose: bool) -> None:
    """What else is not the same, then everybody whose marks move, what each check does to the class, and the counts."""
    for changed in changes.circumstances:
        console.print(Text(f"not the same in both: {circumstance(changed)}", "yellow"))
    for person in changes.people:
        if person.moves or (verbose and person.quiet):
            console.print(person_block(person, verbose=verbose))
    for what, found in (("new", changes.new), ("gone", changes.gone)):
        for one in found:
            console.print(Text.assemble((f"{what}: ", "yellow"), alone(one)))
    if changes.through:
        console.print(through_table(changes.through if verbose else changes.through[:MOST_CHECKS]))
        if len(changes.through) > MOST_CHECKS and not verbose:
            more = len(changes.through) - MOST_CHECKS
            console.print(Text(f"and {more} more that move less: --verbose lists them", "dim"))
    if changes.hands_lost:
        console.print(Text(f"points given by hand in OLD that NEW lacks: {counted(changes.hands_lost, 'check')}; "
                           "override gives them there", "yellow"))  # fmt: skip
    if not changes.people and changes.new and changes.gone:
        console.print(Text("nobody is in both runs: are these of one class, downloaded in the same way?", "yellow"))
    quiet = sum(bool(person.quiet) for person in changes.people)
    if quiet and not verbose:
        console.print(Text(f"{counted(quiet, 'submission')} with other statuses that move no marks: --verbose lists "
                           "them", "dim"))  # fmt: skip
    console.print(Text(counts(changes), "bold"))


def person_block(person: Person, *, verbose: bool) -> RenderableType:
    """Somebody's marks before and now, and the checks through which they move."""
    old, new = person.old, person.new
    marks = [span(old.score, new.score) or points(new.score)]
    for what, change in (
        ("bonus", span(old.bonus, new.bonus)),
        ("judged", span(old.regular.judged, new.regular.judged)),
        ("judged bonus", span(old.extra.judged, new.extra.judged)),
    ):
        marks += [f"{what} {change}"] if change else []
    name = name_of(new.submission)
    if old.submission != new.submission:
        name = f"{name} (was {name_of(old.submission)})"
    head = Text.assemble((name, "bold"), f": {', '.join(marks)}  ", (signed(person.by), COLOURS[person.direction]))
    if person.same_text is False:
        head.append("  another text was handed in", "dim")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", width=8)
    grid.add_column(overflow="fold")
    shown = [*person.moves, *(person.quiet if verbose else ())]
    for moves_alike in alike(shown) if not verbose else [[move] for move in shown]:
        by = round(sum(move.by for move in moves_alike), 6)
        line = move_line(moves_alike[0], verbose=verbose) if len(moves_alike) < ALIKE else question_line(moves_alike)
        grid.add_row(Text(signed(by) if moves_alike[0].counts else "="), line)
    body = Padding(grid, (0, 0, 0, 2))
    table = Table.grid()
    table.add_row(head)
    table.add_row(body)
    return table


def span(old: float, new: float) -> str:
    """Points before and now; empty if they read the same."""
    return f"{points(old)} → {points(new)}" if points(old) != points(new) else ""


def alike(shown: Sequence[Move]) -> list[list[Move]]:
    """Checks of one question that all go the same way, together where they are many; else each alone."""
    found: dict[tuple[object, ...], list[Move]] = {}
    for place, move in enumerate(shown):
        both = (move.old, move.new)
        by_hand = any(outcome.override is not None for outcome in both)
        way = (move.check.question, *(outcome.status for outcome in both), move.by > 0, place if by_hand else -1)
        found.setdefault(way, []).append(move)
    together = {id(moves[0]): moves for moves in found.values() if len(moves) >= ALIKE}
    inside = {id(move) for moves in together.values() for move in moves}
    return [together.get(id(move), [move]) for move in shown if id(move) in together or id(move) not in inside]


def question_line(moves_alike: Sequence[Move]) -> Text:
    """Many checks of one question."""
    first = moves_alike[0]
    sums = [points(sum(outcome.earned for outcome in side)) for side in
            ([move.old for move in moves_alike], [move.new for move in moves_alike])]  # fmt: skip
    states = [STATUS_WORDS[one.status] + ("" if one.left_out or one.fault else f" {total}")
              for one, total in zip((first.old, first.new), sums, strict=True)]  # fmt: skip
    question = f"question {first.check.question}" if first.check.question else "bonus"
    return Text.assemble(f"{question}, {len(moves_alike)} checks", (f"  {' → '.join(states)}", "dim"))


def move_line(move: Move, *, verbose: bool) -> Text:
    """A check, what it was and what it is."""
    line = Text.assemble(move.check.id, (f"  {state(move.old)} → {state(move.new)}", "dim"))
    override = move.new.override
    if override is not None and override != move.old.override:
        line.append(f"  {name_of(override.author)}: {one_line(override.comment, 200)}", "dim")
    elif verbose and move.new.message and move.old.status != move.new.status:
        line.append(f"  {one_line(move.new.message, 200)}", "dim")
    return line


def through_table(found: Sequence[Through]) -> RenderableType:
    """Which check moves the marks of how many."""
    table = Table(box=None, padding=(0, 2, 0, 0), title="through which check", title_justify="left")
    table.add_column("check", overflow="fold")
    for name in ("down", "points", "up", "points"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        lost, gained = (signed(value) if value else "" for value in (-one.lost, one.gained))
        other = f" ({one.other} without a mark in one of the runs)" if one.other else ""
        table.add_row(Text(one.check.id + other), str(one.down or ""), lost, str(one.up or ""), gained)
    return Padding(table, (1, 0))
