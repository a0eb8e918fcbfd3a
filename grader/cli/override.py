"""``python -m grader override OUT STUDENT CHECK --points P --comment TEXT``: points given by hand, and who has any."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from ..check.declaration import Check
from ..check.outcome import Override
from ..grading.graded import Graded, graded_in
from ..grading.store import ByHand, Store
from ..report.printable import name_of, printable
from ..report.words import STATUS_WORDS, by_hand, points, summary, worth
from ..rubric import CHECKS
from .finding import find_check
from .layout import details
from .options import UsageError
from .show import moment
from .stored import find, rewritten, say_older, writing

FAILED = 3
BY_ID: Mapping[str, Check] = {check.id: check for check in CHECKS}


def run_override(options: argparse.Namespace, out: Console, err: Console) -> int:
    """0; 3 if reports could not be written. Raises UsageError and StoreError."""
    if options.points is None and not options.remove:
        with Store(options.out) as store:
            list_all(options, store, out)
        return 0
    author = None if options.remove else options.author or user()
    with writing(options.out) as store:
        one = find(store, options.student)
        say_older(one, err)
        before = store.overrides(one.key)
        name = find_check(options.check, CHECKS, [old for old in before if old not in BY_ID])
        if options.remove:
            if name not in before:
                who = name_of(one.report.submission)
                raise UsageError(f"nobody has given {who} points for {name}: there is nothing to take back")
            override = None
        else:
            override = given(options, name, str(author))

        def commit() -> None:
            if override is None:
                store.remove_override(one.key, name)
            else:
                store.put_override(one.key, name, override.points, override.comment, override.author, override.at)

        after = overridden(one, name, override)
        everybody = [after if other.key == one.key else other for other in graded_in(store)]
        if not rewritten(options.out, everybody, {one.key}, commit, err):
            return FAILED
    print_done(out, one, after, name, before.get(name))
    return 0


def user() -> str:
    """The system's name for whoever types this. Raises UsageError if it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:
        raise UsageError("this system does not say who you are: give your name with --author") from error


def given(options: argparse.Namespace, name: str, author: str) -> Override:
    """What was typed, for a check of the rubric. Raises UsageError."""
    most = BY_ID[name].points if name in BY_ID else 0.0
    if options.points > most:
        raise UsageError(
            f"{points(options.points)} is more than {name} can give: give points from 0 to {points(most)}"
            if most
            else f"{name} is no check of the rubric any more: its points can be taken back, not given"
        )
    return Override(options.points, options.comment, author, datetime.now(UTC))


def overridden(one: Graded, name: str, override: Override | None) -> Graded:
    """The same submission with these points for a check, or with its verdict."""
    outcomes = tuple(o.overridden(override) if o.check.id == name else o for o in one.report.outcomes)
    return one._replace(report=replace(one.report, outcomes=outcomes))


def print_done(out: Console, one: Graded, after: Graded, name: str, before: ByHand | None) -> None:
    """What counts now, of the check and in all."""
    who = name_of(after.report.submission)
    outcome = next((o for o in after.report.outcomes if o.check.id == name), None)
    if outcome is None:
        out.print(Text(f"{who}, {name}: taken back; it is no check of the rubric any more"))
    elif outcome.override is not None:
        out.print(Text(f"{who}, {name} ({STATUS_WORDS[outcome.status]}): {by_hand(outcome.override)}"))
    else:
        back = f"{worth(before.points)} by hand taken back" if before is not None else "taken back"
        out.print(Text(f"{who}, {name}: {back}; {STATUS_WORDS[outcome.status]}, {points(outcome.earned)} of "
                       f"{points(outcome.check.points)} points"))  # fmt: skip
    out.print(Text(f"{who}: {summary(after.report)} (before: {summary(one.report)}); reports and table are rewritten"))


def list_all(options: argparse.Namespace, store: Store, out: Console) -> None:
    """Who was given points by hand, also what was taken back if that is asked for or one student is meant."""
    everybody = {one.key: one for one in graded_in(store)}
    history: Sequence[ByHand] = store.all_overrides()
    if options.student is not None:
        key = find(store, options.student).key
        history = [one for one in history if one.key == key]
    if options.check is not None:
        name = find_check(options.check, CHECKS, {one.check for one in history} - BY_ID.keys())
        history = [one for one in history if one.check == name]
    if not (options.verbose or options.student is not None):
        history = [one for one in history if one.removed is None]
    for one in history:
        out.print(Text.assemble((shown(one, everybody), "" if one.removed is None else "dim")), soft_wrap=False)
        out.print(details(lines(one, everybody), "dim"))
    counting = sum(one.removed is None for one in history)
    out.print(Text(f"{counting} given by hand" if history else "no points were given by hand", "bold"))


def shown(one: ByHand, everybody: Mapping[str, Graded]) -> str:
    """Whose check got how many points."""
    who = name_of(everybody[one.key].report.submission) if one.key in everybody else f"{name_of(one.key)} (no report)"
    back = "" if one.removed is None else f", taken back {moment(one.removed)}"
    return f"{who}, {one.check}: {worth(one.points)}{back}"


def lines(one: ByHand, everybody: Mapping[str, Graded]) -> list[tuple[str, str]]:
    """By whom and why, in place of what, and what is odd about it."""
    found = [("by", f"{name_of(one.author)}, {moment(one.at)}"), ("why", printable(one.comment))]
    outcomes = everybody[one.key].report.outcomes if one.key in everybody else ()
    outcome = next((o for o in outcomes if o.check.id == one.check), None)
    if one.removed is not None:
        return found
    if one.check not in BY_ID:
        found.append(("note", "the rubric holds no such check any more: these points count nowhere"))
    elif outcome is not None and outcome.override is not None:
        verdict = f"{STATUS_WORDS[outcome.status]}, {worth(outcome.override.instead_of)}"
        found.append(("instead of", verdict))
        if one.of_earlier:
            found.append(("note", "they were given for what was handed in before; another text came since"))
        if one.points > outcome.check.points:
            found.append(("note", f"the check gives {points(outcome.check.points)} points now, which is less"))
        elif outcome.override.instead_of > one.points:
            found.append(("note", "the verdict gives more"))
    return found
