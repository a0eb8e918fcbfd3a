"""The part of `export` that needs the reports: from the run's store to marks, and to the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from ..classes.ingest import Submission
from ..classes.late import localised, matched
from ..classes.people import Arrival, Owner
from ..grading.graded import graded_in
from ..grading.store import Store, StoreError
from ..grading.submissions import submission_of
from ..report.folder import reason
from ..report.lms.marks import Export, Mark, written
from ..report.lms.publishing import Rules, complete, mark_of, report_file, results_of, unfinished
from ..report.model import Report
from ..report.write import staged
from .arguments import UsageError
from .consoles import say
from .export import Request, exports, shown
from .settings import Settings

UNWRITTEN = 3


def run_export(request: Request, out: Console, err: Console) -> int:
    """Writes the files: 0 if every mark is in them, 1 if some are not. Raises UsageError."""
    marks, reports, rules, notes = marks_in(request)
    for note in notes:
        say(err, "note", note, "yellow")

    def files_of(mark: Mark) -> Mapping[str, bytes]:
        if mark.owner.key not in reports:
            return {}
        return {"report.md": report_file(reports[mark.owner.key], mark, rules)}

    def results() -> Mapping[str, Mapping[str, Any]]:
        return {
            mark.owner.key: results_of(reports[mark.owner.key], mark, rules)
            for mark in marks
            if mark.owner.key in reports
        }

    done = exports(request, marks, files_of, results)
    try:
        with staged({path: export.content for path, export in done.items()}) as put_in_place:
            put_in_place()
    except OSError as error:
        files = " and ".join(map(shown, done))
        say(err, "error", f"{files} could not be written ({reason(error)}): give another name, or make room", "red")
        return UNWRITTEN
    said: set[str] = set()
    for path, export in done.items():
        told(export, err, said)
        idle = f"; rows without a mark: {export.idle}" if export.idle else ""
        say(out, shown(path), f"marks filled in: {export.filled}; left out: {len(export.left)}{idle}", "bold")
    return 1 if any(export.left for export in done.values()) else 0


def told(export: Export, err: Console, said: set[str]) -> None:
    """What should be known, once."""
    lines = [("note", text, "yellow") for text in export.notes]
    lines += [("left out", f"{left.who}: {left.why}", "red") for left in export.left]
    for label, text, style in lines:
        if text not in said:
            said.add(text)
            say(err, label, text, style)


def marks_in(request: Request) -> tuple[list[Mark], dict[str, Report], Rules, list[str]]:
    """The marks of a run, reports by the owner's key, the rules, and what should be known of all. Raises UsageError."""
    try:
        with Store(request.out) as store:
            found = graded_in(store)
            ready = {one.key for one in found}
            waiting = [submission_of(row.content, None) for row in store.submissions() if row.key not in ready]
    except StoreError as error:
        raise UsageError(str(error)) from error
    if not found and not waiting:
        raise UsageError(f"{shown(request.out)} holds no submissions: grade the class first")
    settings = request.settings
    extensions = matched(settings.extensions, [owner_in(one.submission) for one in found])
    rules = Rules(settings.weights, settings.visibility, settings.policy, extensions.by_owner,
                  settings.export.bonus == "add", settings.export.feedback)  # fmt: skip
    marks = [
        mark_of(
            one.report,
            owner_in(one.submission),
            arrival_in(one.submission, settings),
            rules,
            bool(one.submission.sources),
        )
        for one in found
    ]
    notes = [*extensions.unused, *partly(marks)]
    marks = complete(marks) + [unfinished(owner_in(one), one.arrival) for one in waiting]
    reports = {owner_in(one.submission).key: one.report for one in found}
    return marks, reports, rules, notes


def partly(marks: list[Mark]) -> list[str]:
    """That nobody's marks are of everything, where that is so."""
    if not marks or any(mark.judged is None for mark in marks):
        return []
    most = max(mark.judged or 0.0 for mark in marks)
    whole = marks[0].most + marks[0].bonus
    return [f"the run was about {written(most)} of {written(whole)} points: the rest counts as nothing in these marks"]


def owner_in(submission: Submission) -> Owner:
    """Whose a submission is; where nothing else is known, of whoever has its name."""
    return submission.owner if submission.owner is not None else Owner(submission.name)


def arrival_in(submission: Submission, settings: Settings) -> Arrival:
    """When it came, also where only the configuration knows the time zone."""
    return localised(owner_in(submission), submission.arrival, settings.zone)
