"""``python -m grader show OUT [STUDENT [CHECK]]``: what a run folder holds, for people."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.text import Text

from ..check.outcome import Outcome
from ..classes.ingest import Submission
from ..grading.graded import Graded, graded_in
from ..grading.store import ByHand, Kept, Store
from ..grading.verdicts import circumstances_of
from ..report.model import Circumstances, question_label
from ..report.printable import LONGEST_TEXT, name_of, one_line, printable
from ..report.words import STATUS_WORDS, boxed, hands, points, summary, verdict, worth
from ..rubric import CHECKS, QUESTIONS
from . import terminal
from .finding import find_check
from .layout import details, next_steps, question_block
from .options import UsageError
from .stored import find, say_older

Lines = list[tuple[str, str]]
PRINTED_KEPT = 20_000  # characters of what a submission printed


def run_show(options: argparse.Namespace, out: Console, err: Console) -> int:
    """0. Raises UsageError and StoreError."""
    with Store(options.out) as store:
        if options.student is None:
            everybody = graded_in(store)
            if not everybody:
                raise UsageError(f"{options.out} holds no report yet: type the command of the run again")
            terminal.print_class(out, [one.report for one in everybody])
            return 0
        one = find(store, options.student)
        say_older(one, err)
        if options.check is None:
            print_report(out, one, verbose=options.verbose)
        else:
            print_one(out, store, one, find_check(options.check, CHECKS))
    return 0


def print_report(console: Console, one: Graded, *, verbose: bool) -> None:
    """A student's report as `check` prints it, hidden checks in full, under a head that says whose it is."""
    report = one.report
    console.print(Text(f"{name_of(report.submission)}: {summary(report)}", "bold"))
    console.print(details([*about_submission(one.key, one.submission), *about_run(report.circumstances)], "dim"))
    terminal.print_problems(console, report)
    ran = [o for o in report.outcomes if not o.left_out]
    for question in QUESTIONS:
        own = [o for o in ran if o.check.question == question.number]
        if own:
            console.print(question_block(question, own, for_student=False, verbose=verbose))
    console.print(next_steps(ran, for_student=False))
    console.print(Text(f"{name_of(report.submission)}: {summary(report)}", "bold"))
    if given := hands(report):
        console.print(Text(given))


def print_one(console: Console, store: Store, one: Graded, name: str) -> None:
    """One check with everything that is known of it."""
    outcome = next(o for o in one.report.outcomes if o.check.id == name)
    check = outcome.check
    kept = store.marks(one.key).get(name)
    console.print(Text(f"{name} of {name_of(one.report.submission)}: {standing(outcome)}", "bold"))
    lines: Lines = [
        ("check", f"{check.title} ({kind(outcome)})"),
        ("asks", check.asks),
        *given_by_hand(store.all_overrides(one.key), name),
        *found(outcome),
        *about_submission(one.key, one.submission),
        *about_verdict(kept, outcome),
        *about_run(circumstances_of(store.circumstances(kept.circumstances)) if kept else one.report.circumstances),
    ]
    console.print(details(lines, "dim"))


def standing(outcome: Outcome) -> str:
    """Status and points that count: "failed, 1.5 of 1.5 points by hand"."""
    word = STATUS_WORDS[outcome.status]
    if outcome.left_out or outcome.fault:
        return f"{word}, {points(outcome.check.points)} points not judged"
    by_hand = " by hand" if outcome.override is not None else ""
    return f"{word}, {points(outcome.earned)} of {points(outcome.check.points)} points{by_hand}"


def kind(outcome: Outcome) -> str:
    """What sort of check it is."""
    check = outcome.check
    of = "bonus" if check.bonus else f"question {question_label(check.question)}"
    return f"{of}, {check.visibility} {check.kind} check of {points(check.points)} points"


def given_by_hand(history: Sequence[ByHand], name: str) -> Lines:
    """Points that were given by hand, the last first, also those that were taken back."""
    lines: Lines = []
    for one in reversed([one for one in history if one.check == name]):
        text = f"{worth(one.points)}, {name_of(one.author)}, {moment(one.at)}: {printable(one.comment)}"
        if one.removed is None:
            lines.append(("by hand", text))
        else:
            lines.append(("taken back", f"{text} (until {moment(one.removed)})"))
    return lines


def found(outcome: Outcome) -> Lines:
    """What it found, with all that was printed."""
    skip = {"asked", "your code printed"}
    lines = [(label, text) for label, text in verdict(outcome, for_student=False) if label not in skip]
    measured = ", ".join(f"{name} {m.value:g}" for name, m in outcome.measured.items())
    printed = printable(outcome.printed[-PRINTED_KEPT:].strip("\n"), PRINTED_KEPT)
    more = [("measured", measured), ("excused by", outcome.excused), ("printed", printed)]
    return [*lines, *((label, text) for label, text in more if text and (label, text) not in lines)]


def about_submission(key: str, submission: Submission) -> Lines:
    """Whose it is, when it came and from where."""
    owner, arrival = submission.owner, submission.arrival
    lines: Lines = []
    if owner is not None and (owner.id or owner.members):
        known = [f"{owner.system or 'id'} {owner.id}" if owner.id else "", owner.also.get("email", "")]
        members = ", ".join(member.name for member in owner.members)
        lines.append(("who", one_line("; ".join(text for text in (*known, members) if text))))
    lines.append(("key", one_line(key)))
    if arrival.at is not None or arrival.late is not None:
        when = moment(arrival.at) if arrival.at is not None else ""
        late = {True: "late", False: "in time", None: ""}[arrival.late]
        lines.append(("handed in", ", ".join(text for text in (when, late) if text)))
    if submission.origin:
        lines.append(("from", one_line(submission.origin)))
    files = ", ".join(f"{name}.py ({len(text.splitlines())} lines)" for name, text in submission.sources.items())
    lines.append(("files", one_line(files) or "none could be read"))
    return lines


def about_verdict(kept: Kept | None, outcome: Outcome) -> Lines:
    """When and how it was judged."""
    lines: Lines = []
    if kept is not None:
        lines.append(("judged", f"{moment(datetime.fromisoformat(kept.at))}, in {outcome.duration_s:.2f} s"))
        lines.append(("looked up", ", ".join(sorted(kept.seen))))
        lines.append(("depends on", ", ".join(f"{name} ({word(status)})" for name, status in kept.under.items())))
    if not kept and outcome.check.needs:
        lines.append(("needs", ", ".join(outcome.check.needs)))
    return [(label, one_line(text, LONGEST_TEXT)) for label, text in lines if text]


def word(status: str) -> str:
    """A status as it is read."""
    return STATUS_WORDS.get(status, status)


def about_run(circumstances: Circumstances) -> Lines:
    """Under what it was judged."""
    data = f"dataset {circumstances.dataset} ({one_line(circumstances.dataset_reason)})"
    setting = f"seed {circumstances.seed}, {data}, device {circumstances.device}, {boxed(circumstances.sandbox)}"
    versions = ", ".join(f"{name} {value}" for name, value in circumstances.versions.items())
    return [("under", setting), ("versions", one_line(versions))]


def moment(at: datetime) -> str:
    """A time with its zone."""
    return f"{at:%Y-%m-%d %H:%M %Z}".strip()
