"""Changes between two runs as words, as JSON and as a table."""

from __future__ import annotations

import csv
import io
from typing import Any

from ..check.outcome import Outcome
from .cells import cell
from .changes import ORDER, Alone, Changed, Changes, Move, Person
from .model import Report, number, override_dict
from .printable import name_of, one_line
from .words import STATUS_WORDS, points, summary

WORDS = {"down": "down", "up": "up", "aside": "moved at the same sum", "same": "same"}
COLUMNS = ("change", "submission", "key", "check", "old_status", "new_status", "old_points", "new_points", "by",
           "old_total", "new_total", "total_by", "by_hand")  # fmt: skip


def signed(value: float) -> str:
    """Points with their sign, "+1.5"; 0 without one."""
    return f"{'+' if value > 0 else ''}{points(value)}"


def state(outcome: Outcome) -> str:
    """A check's status and points in few words: "failed 0", "not run", "failed 1.5 by hand"."""
    if outcome.left_out or outcome.fault:
        return STATUS_WORDS[outcome.status]
    by_hand = " by hand" if outcome.override is not None else ""
    return f"{STATUS_WORDS[outcome.status]} {points(outcome.earned)}{by_hand}"


def counts(changes: Changes) -> str:
    """One line: how many go where."""
    words = [f"{changes.count(direction)} {WORDS[direction]}" for direction in ORDER
             if direction != "aside" or changes.count(direction)]  # fmt: skip
    words += [f"{len(found)} {what}" for what, found in (("new", changes.new), ("gone", changes.gone)) if found]
    return ", ".join(words)


def circumstance(one: Changed) -> str:
    """ "seed 3 → 4"."""
    old, new = (one_line(", ".join(values)) or "none" for values in (one.old, one.new))
    return f"{one.what} {old} → {new}"


def as_dict(changes: Changes) -> dict[str, Any]:
    """All of it as JSON, also those whose marks stay."""
    return {
        "moved": changes.any,
        "counts": {**{direction: changes.count(direction) for direction in ORDER}, "new": len(changes.new),
                   "gone": len(changes.gone)},
        "circumstances": [{"what": one.what, "old": [*one.old], "new": [*one.new]} for one in changes.circumstances],
        "checks": [
            {"id": one.check.id, "down": one.down, "up": one.up, "lost": number(one.lost),
             "gained": number(one.gained), "other": one.other}
            for one in changes.through
        ],
        "submissions": [person_dict(person) for person in changes.people],
        "new": [alone_dict(one) for one in changes.new],
        "gone": [alone_dict(one) for one in changes.gone],
    }  # fmt: skip


def person_dict(person: Person) -> dict[str, Any]:
    """One submission of both runs."""
    return {
        "key": one_line(person.key), "submission": name_of(person.new.submission), "direction": person.direction,
        "by": number(person.by), "same_text": person.same_text,
        "old": totals(person.old), "new": totals(person.new),
        "checks": [move_dict(move) for move in (*person.moves, *person.quiet)],
    }  # fmt: skip


def totals(report: Report) -> dict[str, Any]:
    """The marks of a report."""
    return {"score": number(report.score), "judged_points": number(report.regular.judged),
            "bonus": number(report.bonus), "judged_bonus_points": number(report.extra.judged)}  # fmt: skip


def move_dict(move: Move) -> dict[str, Any]:
    """One check of it."""
    sides = {
        name: {"status": outcome.status, "points": number(outcome.earned), "override": override_dict(outcome.override)}
        for name, outcome in (("old", move.old), ("new", move.new))
    }
    return {"id": move.check.id, "by": number(move.by), **sides}


def alone_dict(one: Alone) -> dict[str, Any]:
    """A submission of one run."""
    return {"key": one_line(one.key), "submission": name_of(one.report.submission), **totals(one.report)}


def as_csv(changes: Changes) -> str:
    """A row for each check that moves marks or has another status, and one for everybody who is new or gone."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for person in changes.people:
        old, new = (report.score + report.bonus for report in (person.old, person.new))
        for move in (*person.moves, *person.quiet):
            writer.writerow([
                person.direction, cell(name_of(person.new.submission)), cell(person.key), move.check.id,
                move.old.status, move.new.status, number(move.old.earned), number(move.new.earned), number(move.by),
                number(old), number(new), number(person.by), "yes" if move.new.override is not None else "",
            ])  # fmt: skip
    for what, found in (("new", changes.new), ("gone", changes.gone)):
        for one in found:
            total = number(one.report.score + one.report.bonus)
            sums = ("", total) if what == "new" else (total, "")
            name = cell(name_of(one.report.submission))
            writer.writerow([what, name, cell(one.key), "", "", "", "", "", "", *sums, "", ""])
    return out.getvalue()


def alone(one: Alone) -> str:
    """Who, and with which marks."""
    return f"{name_of(one.report.submission)}: {summary(one.report)}"
