"""``python -m grader grade``: a TA's run over any number of submissions."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from ..classes.records import Reading
from ..grading.course import Course
from ..grading.graded import graded_in
from ..grading.plan import Plan
from ..grading.run import MakeEngine, grade_course, local_engine
from ..grading.store import Store, StoreError, now
from ..report.folder import PAGE, REPORT_NAMES, TABLE, RunFolder, reason
from ..report.model import Report
from ..report.names import folder_name
from ..report.write import write_gradebook, write_page, write_report
from ..rubric import CHECKS
from . import terminal
from .arguments import UsageError
from .boxes import box_of_a_run, tested
from .consoles import say
from .plan import ALL_KINDS, QUICK_KINDS, make_plan
from .progress import watch
from .reading import is_own, read_all, say_unread
from .resume import Class, command, described, opened, since, whole_class

INTERRUPTED, FAILED = 130, 3
MOST_NAMED = 10


def run_grade(options: argparse.Namespace, folder: RunFolder, out: Console, err: Console) -> int:
    """A TA's run over any number of submissions."""
    reading = read_all(options.paths, folder.out) if options.paths else Reading(())
    say_unread(reading, err)
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(opened(folder.out, make=True)) if folder.goes_on else None
        everybody = whole_class(reading.submissions, before)
        options.seed = seed_of(options, before)
        plan = make_plan(options, QUICK_KINDS if options.no_trained else ALL_KINDS, frozenset({"public", "hidden"}))
        if before is not None:
            refuse_two_seeds(before, plan, options.out)
        own = is_own(reading) and len(everybody.submissions) == 1
        plan, engine = stack.enter_context(manned(options, plan, err, own=own))
        folder.begin()
        store = before or stack.enter_context(opened(folder.out, make=True))
        say_kept(options, everybody, err)
        return Grading(options, plan, engine, folder, store, everybody, out, err).run()


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


def seed_of(options: argparse.Namespace, before: Store | None) -> int | None:
    """The seed that was asked for, or that of the run that goes on; None if it is to be drawn."""
    if options.seed is not None or before is None:
        return options.seed  # type: ignore[no-any-return]
    return before.seed


def refuse_two_seeds(before: Store, plan: Plan, out: Path) -> None:
    """A report has one seed: a run about a part of the checks goes on with that of the others. Raises UsageError."""
    unwanted = {check.id for check in CHECKS if not plan.wants(check)}
    if before.seed not in (None, plan.seed) and unwanted & before.marked():
        raise UsageError(
            f"--seed {plan.seed}: {out} was graded with seed {before.seed}, and the checks that are not run now would "
            "keep it: leave --seed out, or grade everything, or --fresh to begin anew"
        )


def say_kept(options: argparse.Namespace, everybody: Class, err: Console) -> None:
    """Says whose work was not among what was given now."""
    for path in options.gone:
        say(err, "gone", f"{path} is not there any more: what was read of it before is graded", "yellow")
    if everybody.kept:
        names = ", ".join(everybody.kept[:MOST_NAMED])
        more = len(everybody.kept) - MOST_NAMED
        also = f" and {more} more" if more > 0 else ""
        say(err, "kept", f"not among what was given, and graded as handed in before: {names}{also}", "yellow")
    for sentence in everybody.moved:
        say(err, "note", sentence, "yellow")


class Grading:
    """A run, once everything is decided."""

    def __init__(
        self, options: argparse.Namespace, plan: Plan, engine: MakeEngine, folder: RunFolder, store: Store,
        everybody: Class, out: Console, err: Console,
    ) -> None:  # fmt: skip
        self.options, self.plan, self.engine, self.folder, self.store = options, plan, engine, folder, store
        self.everybody, self.out, self.err = everybody, out, err
        self.reports: dict[int, Report] = {}
        self.unsaved = 0

    def run(self) -> int:
        """Grades, and says what came of it: the exit code."""
        terminal.print_setting(self.err, self.plan, self.everybody.submissions)
        try:
            course = self.grade()
        except KeyboardInterrupt:
            return self.interrupted()
        except StoreError as error:
            say(self.err, "error", str(error), "red")
            self.say_how_to_go_on()
            return FAILED
        ordered = [self.reports[index] for index in sorted(self.reports)]
        book = save_table(ordered, self.folder, self.err) if ordered else None
        page = not ordered or save_page(ordered, self.folder, self.err)
        terminal.print_grades(self.out, ordered, self.folder.out, book, verbose=self.options.verbose)
        terminal.print_counts(self.out, self.everybody.submissions, ordered, course)
        return FAILED if self.unsaved or book is None or not page or any(report.faults for report in ordered) else 0

    def grade(self) -> Course:
        """Every report, written as soon as it is made. Raises StoreError and KeyboardInterrupt."""
        runs, began = self.store.runs(), now()
        content = described(self.options, self.plan.seed, began if self.options.all else "")
        content["again"] = since(runs, content, began) if self.options.all else ""
        run = self.store.begin(self.plan.seed, content)
        self.store.drop(self.everybody.mistyped)
        course = Course(self.everybody.submissions, self.plan, self.store, self.everybody.keys, content["again"])
        with watch(self.err, self.everybody.submissions, self.plan) as progress:
            for index, report in grade_course(course, progress.note, progress.known, self.engine):
                self.reports[index] = saved = save(report, self.folder)
                if saved is not report:
                    self.unsaved += 1
                    say(self.err, "error", f"{saved.submission}: {saved.problems[0]}", "red")
                progress.finished(index, saved)
        self.store.end(run)
        return course

    def interrupted(self) -> int:
        """Ctrl-C: the table of all that has a report, also from before; what is done, and how to go on."""
        done = len(self.reports)
        try:
            fresh = {self.everybody.keys[index]: report for index, report in self.reports.items()}
            rows = [fresh.get(one.key, one.report) for one in graded_in(self.store)]
        except StoreError:
            rows = [self.reports[index] for index in sorted(self.reports)]
        if rows:
            save_table(rows, self.folder, self.err)
            save_page(rows, self.folder, self.err)
        where = f", reports of those are in {self.folder.out}" if done else ""
        say(self.err, "interrupted", f"{done} of {len(self.everybody.submissions)} graded{where}", "yellow")
        self.say_how_to_go_on()
        return INTERRUPTED

    def say_how_to_go_on(self) -> None:
        """Every verdict so far is in the store."""
        say(self.err, "to go on from here", command(self.options), "yellow")


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


def save_page(reports: Sequence[Report], folder: RunFolder, err: Console) -> bool:
    """Writes the page about the class. False, and the reason said, if that failed: every mark is in the table."""
    try:
        folder.expect([PAGE])
        write_page(reports, folder.out)
    except OSError as error:
        say(err, "error", f"{PAGE} could not be written to {folder.out} ({reason(error)}); the marks stand", "red")
    except Exception as bug:  # noqa: BLE001 - a fault of ours, which must not take a class's marks with it
        say(err, "error", f"the grader failed to write {PAGE} ({type(bug).__name__}: {bug}); the marks stand", "red")
    else:
        return True
    return False
