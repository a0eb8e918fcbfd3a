"""The words that every renderer uses for one outcome, in the order a reader needs them."""

from __future__ import annotations

from ..check.outcome import Outcome

STATUS_WORDS = {
    "passed": "passed",
    "partial": "passed in part",
    "failed": "failed",
    "timeout": "timed out",
    "memory": "out of memory",
    "crashed": "crashed",
    "violation": "broke the protocol",
    "unimplemented": "not implemented",
    "skipped": "skipped",
    "not_run": "not run",
    "error": "GRADER ERROR",
}


def points(value: float) -> str:
    """Points without trailing zeros."""
    return f"{value:g}"


def explanation(outcome: Outcome, *, for_student: bool) -> list[tuple[str, str]]:
    """(label, text) lines that explain an outcome. A hidden check shows a student its title and status only."""
    if outcome.status == "passed":
        label = "measured" if outcome.measured else "note"
        return [(label, outcome.message)] if outcome.message and not hidden(outcome, for_student) else []
    if outcome.status == "not_run":
        return []
    if hidden(outcome, for_student):
        return [("asked", "this check is hidden")]
    lines = [("asked", outcome.check.asks), ("found", outcome.message), ("call", outcome.call)]
    lines += [(f"input {name}", value) for name, value in outcome.counterexample.items()]
    lines += [("expected", outcome.expected), ("actual", outcome.actual), ("looks like", outcome.looks)]
    if outcome.status not in ("skipped", "error"):
        lines += [("think", outcome.hint)]
        if outcome.status != "unimplemented":
            lines += [("your code printed", outcome.printed.strip()[-600:])]
    return [(label, text) for label, text in lines if text]


def hidden(outcome: Outcome, for_student: bool) -> bool:
    """Whether details are kept from the reader."""
    return for_student and outcome.check.visibility == "hidden"
