"""What the commands print, with rich. Text of a submission is made printable and is never taken for markup."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..boundary.box import Sandbox
from ..classes.ingest import Submission
from ..grading.course import Course
from ..grading.plan import Plan
from ..report.model import Report, question_label, withheld
from ..report.printable import name_of, one_line, problems_of
from ..report.words import STATUS_WORDS, boxed, hands, marks, points, summary, why_unread
from ..rubric import QUESTIONS
from .boxes import STRONG
from .layout import FOLDED, details, next_steps, question_block

# of the table of a class: the widths of names and numbers, and what it takes beside its text, in all and by column
LONGEST_SHOWN, LEAST_NAME, LONGEST_ID, LEAST_ROOM = 26, 12, 12, 8
EDGE, COLUMN = 1, 3
# what is said of a submission in which nothing was found
NOTHING_IN_IT = ("missing: ", "is empty", "none of the expected files was found")


def print_setting(console: Console, plan: Plan, submissions: Sequence[Submission]) -> None:
    """What is about to happen and in which box, and what that box does not hold."""
    console.print(Text(
        f"grading {counted(len(submissions), 'submission')} · dataset {plan.dataset} "
        f"({one_line(plan.dataset_reason)}) · device {plan.device} · seed {plan.seed} · "
        f"{counted(plan.jobs, 'process', 'processes')} · {boxed(plan.sandbox)}"
    ))  # fmt: skip
    if plan.sandbox.self_test is not None:
        print_open(console, plan.sandbox)


def print_open(console: Console, sandbox: Sandbox) -> None:
    """A banner with what does not stand between the code of others and this machine, if anything does not."""
    through = [one.what for one in sandbox.self_test or () if not one.held]
    if sandbox.backend == "none":
        text = (
            f"Submissions run as your own user without a box: not isolated are {', '.join(sandbox.missing)}. Grade "
            "code that you do not trust on a machine or account that holds nothing else; python -m grader box says "
            "what would give this machine a box."
        )
    elif through or sandbox.backend not in STRONG:
        text = f"The box {sandbox.backend} does not hold everything."
        text += f" Not there: {', '.join(sandbox.missing)}." if sandbox.missing else ""
        text += f" Got through in its test: {', '.join(through)}." if through else ""
    else:
        if sandbox.missing:
            console.print(Text(f"not there: {', '.join(sandbox.missing)}", "dim"))
        return
    console.print(Panel(Text(text), title="no box" if sandbox.backend == "none" else "box with gaps",
                        border_style="yellow"))  # fmt: skip


def counted(count: int, one: str, many: str = "") -> str:
    """ "1 process", "2 processes"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def print_problems(console: Console, report: Report) -> None:
    """What could not be read."""
    for problem in problems_of(report.problems):
        console.print(details([("note", problem)], "yellow"))


def print_check(console: Console, report: Report, *, verbose: bool = False) -> None:
    """A student's report: every question that ran, failures explained, what to do next, and how much was not run."""
    print_problems(console, report)
    ran = [o for o in report.outcomes if not o.left_out]
    for question in QUESTIONS if not report.unread else ():
        own = [o for o in ran if o.check.question == question.number]
        if own:
            console.print(question_block(question, own, for_student=True, verbose=verbose))
    console.print(next_steps(() if report.unread else ran, for_student=True))
    total = sum(o.check.points for o in ran)
    left = report.points("not_run")
    earned = points(report.score + report.bonus)
    console.print(Text(
        f"public {earned}/{points(total)} · not run here: {points(left)} points (seed {report.circumstances.seed})"
    ))  # fmt: skip
    if hidden := withheld(bonus=False) + withheld(bonus=True):
        console.print(Text(f"hidden checks of {points(hidden)} points are not in this copy: your TA runs them", "dim"))
    if given := hands(report):
        console.print(Text(given))
    if report.faults:
        failed = counted(len(report.faults), "check")
        console.print(Text(f"the grader itself failed on {failed}: tell your instructor", "magenta"))
    elif ran and all(o.status == "passed" for o in ran):
        console.print(Text("all checks passed" if not left else "everything that was run passed", "green"))


def print_grades(
    console: Console, reports: Sequence[Report], out: Path, book: Path | None, *, verbose: bool = False
) -> None:
    """One line per submission, the details of a single one, and where everything is."""
    if len(reports) == 1:
        print_single(console, reports[0], verbose)
    else:
        print_class(console, reports)
    for report in reports:
        if report.unread and report.faults:
            console.print(details([("GRADER ERROR", f"{name_of(report.submission)}: {why_unread(report)}")], "magenta"))
        for fault in () if report.unread else report.faults:
            console.print(details([("GRADER ERROR", f"{fault.check.id}: {one_line(fault.message)}")], "magenta"))
    table = f", table in {shlex.quote(str(book))}" if book is not None else ""
    console.print(Text(one_line(f"reports in {shlex.quote(str(out))}{table}")), soft_wrap=True)


def print_single(console: Console, report: Report, verbose: bool) -> None:
    """A table of questions, then what was lost and why, what was measured, and the marks."""
    print_problems(console, report)
    ran = [o for o in report.outcomes if not o.left_out]
    for question in QUESTIONS if not report.unread else ():
        own = [o for o in ran if o.check.question == question.number]
        quiet = all(o.status in FOLDED and o.override is None for o in own)
        if verbose or not quiet:
            console.print(question_block(question, own, for_student=False, verbose=verbose))
    console.print(next_steps(() if report.unread else ran, for_student=False))
    table = Table(title=Text(name_of(report.submission)), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("question")
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("not passed")
    for question in QUESTIONS:
        lost = [o for o in ran if o.check.question == question.number and not o.full]
        words = ", ".join(f"{o.check.id.partition('.')[2]} ({STATUS_WORDS[o.status]})" for o in lost[:1])
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        table.add_row(
            f"{question_label(question.number)} · {question.title}", marks(report.of(question)), Text(words + more)
        )
    console.print(table)
    measured = [(o.check.id, one_line(o.message)) for o in ran if o.measured and o.message and o.status == "passed"]
    if measured:
        console.print(details(measured, "dim"))
    console.print(Text(f"{name_of(report.submission)}: {summary(report)}", "bold"))
    if given := hands(report):
        console.print(Text(given))


def print_class(console: Console, reports: Sequence[Report]) -> None:
    """A line per submission; problems in full are in the reports."""
    heads = ("submission", "id", "score", "bonus")
    rows = [
        (name_of(report.submission), one_line(report.owner.id) if report.owner is not None else "",
         fraction(report.score, report.regular.judged) + "*" * bool(report.overridden),
         fraction(report.bonus, report.extra.judged), "; ".join(problems_of(report.problems)))
        for report in reports
    ]  # fmt: skip
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    shown = [k for k in range(len(heads)) if k != 1 or any(row[1] for row in rows)]
    widest = [max([len(head), *(cell_len(row[k]) for row in rows)]) for k, head in enumerate(heads)]
    widths = [min(wide, most) for wide, most in zip(widest, (LONGEST_SHOWN, LONGEST_ID, *widest[2:]), strict=True)]
    room = console.width - sum(widths[k] for k in shown) - EDGE - COLUMN * (len(shown) + 1)
    if room < LEAST_ROOM:  # a name gives way, but to its beginning
        widths[0] = max(LEAST_NAME, widths[0] + room - LEAST_ROOM)
    for k in shown:
        side: Literal["left", "right"] = "right" if heads[k] in ("score", "bonus") else "left"
        table.add_column(heads[k], width=widths[k], justify=side, no_wrap=True, overflow="ellipsis")
    table.add_column("problems", width=max(LEAST_ROOM, room), no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(row[k]) for k in shown), Text(row[-1]))
    console.print(table)
    left = {(report.regular.not_run, report.extra.not_run) for report in reports}
    for points_left, bonus_left in sorted(left):
        if points_left or bonus_left:
            console.print(Text(f"not run: {points(points_left)} points, bonus {points(bonus_left)}"))
    given = sum(len(report.overridden) for report in reports)
    if given:
        checks = counted(given, "check")
        console.print(
            Text(f"* with points given by hand, for {checks} in all: python -m grader override DIR lists them")
        )
    unjudged = sum(report.points("error") for report in reports)
    if unjudged:
        console.print(
            Text(f"not judged, because the grader itself failed: {points(unjudged)} points in all", "magenta")
        )


def print_counts(
    console: Console, submissions: Sequence[Submission], reports: Sequence[Report], course: Course
) -> None:
    """How many of each kind there were, and how much of the work was there already."""
    if len(submissions) > 1:
        readable = sum(bool(one.sources) for one in submissions)
        bare = [one for one in submissions if not one.sources and not one.fault]
        empty = sum(all(any(word in problem for word in NOTHING_IN_IT) for problem in one.problems) for one in bare)
        failed = sum(bool(report.faults) for report in reports)
        console.print(Text(
            f"{len(submissions)} in all: {readable} graded, {empty} empty, {len(bare) - empty} unreadable, "
            f"{counted(course.duplicates, 'duplicate')}, {counted(failed, 'grader error')}"
        ))  # fmt: skip
    found = course.counted
    console.print(Text(f"reused {found.reused} of {counted(found.verdicts, 'verdict')}"))
    if found.older:
        console.print(Text(
            f"{counted(found.older, 'verdict')} that this run is not about were made by other code, or in another box: "
            "grade without --question to renew them", "yellow",
        ))  # fmt: skip
    if found.dropped:
        console.print(Text(
            f"{counted(found.dropped, 'verdict')} on what was handed in before do not hold for what was handed in now, "
            "and are not in the reports: grade without --question to judge these as well", "yellow",
        ))  # fmt: skip


def fraction(earned: float, judged: float) -> str:
    """Points of those that were judged."""
    return f"{points(earned)} / {points(judged)}" if judged else "-"
