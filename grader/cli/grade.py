"""``python -m grader grade``: a TA's run over any number of submissions."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from ..classes.ingest import Submission
from ..grading.course import Counted
from ..grading.run import MakeEngine, Plan, grade, local_engine
from ..grading.store import Store, StoreError
from ..report.folder import REPORT_NAMES, TABLE, RunFolder, reason
from ..report.model import Report
from ..report.names import folder_name
from ..report.write import write_gradebook, write_report
from . import terminal
from .arguments import UsageError
from .boxes import box_of_a_run, tested
from .consoles import say
from .plan import ALL_KINDS, QUICK_KINDS, make_plan
from .progress import watch
from .reading import is_own, read_all, say_unread

INTERRUPTED = 130


def run_grade(options: argparse.Namespace, folder: RunFolder, out: Console, err: Console) -> int:
    """A TA's run over any number of submissions."""
    reading = read_all(options.paths, folder.out)
    submissions, own = reading.submissions, is_own(reading)
    say_unread(reading, err)
    options.seed = seed_of(options, folder)
    plan = make_plan(options, QUICK_KINDS if options.no_trained else ALL_KINDS, frozenset({"public", "hidden"}))
    with manned(options, plan, err, own=own) as (plan, engine):
        return graded(options, plan, engine, submissions, folder, out, err)


@contextlib.contextmanager
def manned(options: argparse.Namespace, plan: Plan, err: Console, *, own: bool) -> Iterator[tuple[Plan, MakeEngine]]:
    """The plan with its box, which has been tried, and what works on it. Raises UsageError and BoxRefused."""
    if options.engine != "local":
        from .crews import crewed  # Dask is an optional dependency

        with crewed(options, plan, err, own=own) as found:
            yield found
        return
    box = box_of_a_run(options.box, plan.device, own=own, unsafe=options.unsafe_no_box)
    if not own:
        with err.status("trying the box"):  # in a terminal: it takes as long as importing torch
            plan = replace(plan, self_test=tested(box, unsafe=options.unsafe_no_box))
    yield replace(plan, box=box), local_engine


def graded(
    options: argparse.Namespace, plan: Plan, engine: MakeEngine, submissions: Sequence[Submission], folder: RunFolder,
    out: Console, err: Console,
) -> int:  # fmt: skip
    """The exit code of a run whose plan is made."""
    folder.begin()
    terminal.print_setting(err, plan, submissions)
    reports: dict[int, Report] = {}
    counted = Counted()
    unsaved = 0
    interrupted = False
    try:
        with opened(folder, make=True) as store, watch(err, submissions, plan) as progress:
            run = store.begin(plan.seed, {"all": options.all})
            for index, report in grade(submissions, plan, progress.note, store, counted, engine=engine):
                reports[index] = saved = save(report, folder)
                if saved is not report:
                    unsaved += 1
                    say(err, "error", f"{saved.submission}: {saved.problems[0]}", "red")
                progress.finished(saved)
            store.end(run)
    except KeyboardInterrupt:
        interrupted = True
    ordered = [reports[index] for index in sorted(reports)]
    book = save_table(ordered, folder, err) if ordered else None
    if interrupted:
        where = f", reports of those are in {folder.out}" if ordered else ""
        say(err, "interrupted", f"{len(ordered)} of {len(submissions)} graded{where}", "yellow")
        return INTERRUPTED
    terminal.print_grades(out, ordered, folder.out, book, verbose=options.verbose)
    out.print(f"reused {counted.reused} of {counted.verdicts} verdicts")
    return 3 if unsaved or book is None or any(report.faults for report in ordered) else 0


def opened(folder: RunFolder, *, make: bool = False) -> Store:
    """The folder's store. Raises UsageError where it cannot be used."""
    try:
        return Store(folder.out, make=make)
    except StoreError as error:
        raise UsageError(str(error)) from error


def seed_of(options: argparse.Namespace, folder: RunFolder) -> int | None:
    """The seed that was asked for, or that of the run that goes on; None if it is to be drawn."""
    if options.seed is not None or not folder.goes_on:
        return options.seed  # type: ignore[no-any-return]
    with opened(folder) as store:
        return store.seed


def save(report: Report, folder: RunFolder) -> Report:
    """The report, written; if that fails, the report with the reason, which the table then shows."""
    place = folder_name(report.submission)
    try:
        folder.expect(f"{place}/{name}" for name in REPORT_NAMES)
        write_report(report, folder.out)
    except OSError as error:
        why = f"the report could not be written ({reason(error)}): make room in {folder.out}, then grade it again"
    # a renderer that fails on one submission is a fault of ours, which must not end a class
    except Exception as bug:  # noqa: BLE001
        why = f"the grader failed to write the report ({type(bug).__name__}: {bug}); the marks in this row stand"
    else:
        return report
    return replace(report, problems=(why, *report.problems))


def save_table(reports: Sequence[Report], folder: RunFolder, err: Console) -> Path | None:
    """Where the table is; None, and the reason said, if it could not be written."""
    try:
        folder.expect([TABLE])
        return write_gradebook(reports, folder.out)
    except OSError as error:
        say(err, "error", f"{TABLE} could not be written to {folder.out} ({reason(error)}): the table follows", "red")
        return None
