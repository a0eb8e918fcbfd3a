"""The words that every renderer uses for one outcome or one sum of points, in the order a reader needs them."""

from __future__ import annotations

from itertools import groupby

from ..boundary.box import Sandbox
from ..check.outcome import Outcome, Override
from .model import Report, Sum
from .printable import name_of, one_line, printable, problems_of

STATUS_WORDS = {
    "passed": "passed",
    "partial": "passed in part",
    "failed": "failed",
    "timeout": "timed out",
    "memory": "out of memory",
    "crashed": "crashed",
    "limit": "beyond a limit",
    "violation": "broke the protocol",
    "unimplemented": "not implemented",
    "skipped": "skipped",
    "not_run": "not run",
    "error": "GRADER ERROR",
}
PRINTED = 600  # characters of what a submission printed, the last ones
PRINTED_LINES = 8
PRINTED_KEPT = 20_000


def points(value: float) -> str:
    """Points without trailing zeros."""
    return f"{round(value, 4):g}"


def worth(value: float) -> str:
    """ "1 point", "1.5 points"."""
    return f"{points(value)} point{'s'[: points(value) != '1']}"


def marks(total: Sum) -> str:
    """Points of what was judged, and what was not: "5 / 8", or "5 of 6 judged; 2 not run"."""
    if total.judged == total.most:
        return f"{points(total.earned)} / {points(total.most)}"
    words = [f"{points(total.earned)} of {points(total.judged)} judged"] if total.judged else []
    if total.not_run:
        words.append(f"{points(total.not_run)} not run")
    if total.unjudged:
        words.append(f"{points(total.unjudged)} not judged (grader error)")
    return "; ".join(words)


def summary(report: Report) -> str:
    """The marks of a whole report."""
    return f"{marks(report.regular)} · bonus {marks(report.extra)}"


def boxed(sandbox: Sandbox) -> str:
    """In what a submission's code ran, and how far that was tried: "box bubblewrap (25 attacks tried, all held)"."""
    if sandbox.backend == "none" and sandbox.self_test is None:
        return "no box"
    name = "no box" if sandbox.backend == "none" else f"box {sandbox.backend}"
    if sandbox.self_test is None:
        return name
    through = sum(not one.held for one in sandbox.self_test)
    return f"{name} ({len(sandbox.self_test)} attacks tried, {f'{through} got through' if through else 'all held'})"


def by_hand(override: Override) -> str:
    """Points that were given by hand in place of which, by whom, when and why."""
    instead = f"{points(override.points)} instead of {points(override.instead_of)} points"
    when = f"{override.at:%Y-%m-%d %H:%M %Z}{', for what was handed in before' if override.of_earlier else ''}"
    return f"{instead}, {name_of(override.author)}, {when}: {printable(override.comment)}"


def overrides(report: Report) -> list[str]:
    """Points that were given by hand, a line for each check."""
    given = [(outcome.check.id, outcome.override) for outcome in report.outcomes]
    return [f"{name}: {one_line(by_hand(override))}" for name, override in given if override is not None]


def hands(report: Report) -> str:
    """How many points were given by hand: "2 checks were given 3.5 points by hand"; empty if none."""
    given = report.overridden
    if not given:
        return ""
    checks = "1 check was" if len(given) == 1 else f"{len(given)} checks were"
    return f"{checks} given {worth(sum(o.earned for o in given))} by hand"


def explanation(outcome: Outcome, *, for_student: bool) -> list[tuple[str, str]]:
    """(label, text) lines that explain an outcome, safe to show. A hidden check shows a student its title and status
    only. Points that were given by hand come first."""
    given = [("by hand", by_hand(outcome.override))] if outcome.override is not None else []
    return given + verdict(outcome, for_student=for_student)


def verdict(outcome: Outcome, *, for_student: bool) -> list[tuple[str, str]]:
    """The lines without what was done by hand."""
    if outcome.status == "passed":
        label = "measured" if outcome.measured else "note"
        return [(label, printable(outcome.message))] if outcome.message and not hidden(outcome, for_student) else []
    if outcome.status == "not_run":
        return []
    if hidden(outcome, for_student):
        return [("asked", "this check is hidden")]
    lines = [("asked", outcome.check.asks), ("found", outcome.message), ("call", outcome.call)]
    lines += [(f"input {one_line(name, 40)}", value) for name, value in outcome.counterexample.items()]
    lines += [("expected", outcome.expected), ("actual", outcome.actual), ("looks like", outcome.looks)]
    if outcome.status not in ("skipped", "error"):
        lines += [("think", outcome.hint)]
        if outcome.status != "unimplemented":
            lines += [("your code printed", last_of(outcome.printed))]
    return [(label, printable(text)) for label, text in lines if text]


def why_unread(report: Report) -> str:
    """Why nothing of a submission could be read."""
    return problems_of(report.problems)[0] if report.problems else "the submission is empty"


def last_of(text: str) -> str:
    """The end of what was printed; lines that repeat, in a check of many cases, once with their number."""
    lines = []
    for line, same in groupby(text[-PRINTED_KEPT:].strip().splitlines()):
        count = len(list(same))
        lines.append(line if count == 1 else f"{line}  (printed {count} times)")
    return "\n".join(lines[-PRINTED_LINES:])[-PRINTED:]


def hidden(outcome: Outcome, for_student: bool) -> bool:
    """Whether details are kept from the reader."""
    return for_student and outcome.check.visibility == "hidden"
