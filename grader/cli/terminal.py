"""What the commands print, with rich. Text of a submission is never taken for markup."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from ..boundary.launch import SANDBOX
from ..check.outcome import Outcome
from ..classes.ingest import Submission
from ..grading.run import Plan
from ..report.model import Report, question_label
from ..report.words import STATUS_WORDS, explanation, points
from ..rubric import CHECKS, QUESTIONS

COLOURS = {
    "passed": "green",
    "partial": "yellow",
    "skipped": "yellow",
    "not_run": "dim",
    "unimplemented": "yellow",
    "error": "magenta",
}
MAX_BARS = 4


class Progress:
    """A bar per submission, or one for all of a class."""

    def __init__(self, console: Console, submissions: Sequence[Submission], plan: Plan) -> None:
        self.bars = Bars(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                         TextColumn("checks"), TimeElapsedColumn(), console=console, transient=True)  # fmt: skip
        wanted = sum(plan.wants(check) for check in CHECKS)
        self.plan = plan
        self.tasks: list[TaskID]
        if len(submissions) <= MAX_BARS:
            self.tasks = [self.bars.add_task(escape(s.name), total=wanted) for s in submissions]
        else:
            shared = self.bars.add_task(f"{len(submissions)} submissions", total=wanted * len(submissions))
            self.tasks = [shared] * len(submissions)

    def __enter__(self) -> Progress:
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.bars.stop()

    def note(self, index: int, found: Sequence[Outcome]) -> None:
        """A part has finished."""
        self.bars.advance(self.tasks[index], sum(self.plan.wants(outcome.check) for outcome in found))


def print_setting(console: Console, plan: Plan, submissions: Sequence[Submission]) -> None:
    """What is about to happen, and the warning that untrusted code is not boxed in."""
    console.print(f"grading {len(submissions)} submission{'s'[: len(submissions) != 1]} · dataset {plan.dataset} "
                  f"({escape(plan.dataset_reason)}) · device {plan.device} · seed {plan.seed} · {plan.jobs} processes",
                  highlight=False)  # fmt: skip
    if len(submissions) > 1 and SANDBOX.backend == "none":
        console.print(Panel(
            "Submissions run as your own user without a sandbox: their code could reach "
            f"{', '.join(SANDBOX.missing)}. Grade code that you do not trust on a machine or account that holds "
            "nothing else.", title="no sandbox", border_style="yellow"))  # fmt: skip


def print_outcome(console: Console, outcome: Outcome, *, for_student: bool) -> None:
    """One check and, unless it passed, what there is to know."""
    colour = COLOURS.get(outcome.status, "red")
    console.print(
        f"  [{colour}]{STATUS_WORDS[outcome.status]:>15}[/] {escape(outcome.check.title)} "
        f"[dim]{points(outcome.earned)}/{points(outcome.check.points)} · {outcome.check.id}[/]",
        highlight=False,
        soft_wrap=True,
    )
    if outcome.status == "passed":
        return
    for label, text in explanation(outcome, for_student=for_student):
        if outcome.status in ("unimplemented", "skipped") and label != "found":
            continue
        style = "bold" if label == "think" else ""
        console.print(f"{'':>17} [dim]{label}:[/] [{style or 'default'}]{escape(text)}[/]", highlight=False)


def print_check(console: Console, report: Report) -> None:
    """A student's report: every public check, failures explained, and how much was not run."""
    for problem in report.problems:
        console.print(f"[yellow]note:[/] {escape(problem)}", highlight=False)
    ran = [o for o in report.outcomes if o.status != "not_run"]
    for question in QUESTIONS:
        outcomes = [o for o in ran if o.check.question == question.number]
        if outcomes:
            label = "Bonus" if not question.number else f"Question {question.number}"
            console.print(f"\n[bold]{label}: {escape(question.title)}[/]", highlight=False)
            for outcome in outcomes:
                print_outcome(console, outcome, for_student=True)
    total = sum(o.check.points for o in ran)
    left = report.points("not_run")
    earned = points(report.score + report.bonus)
    console.print(
        f"\npublic {earned}/{points(total)} · not run here: {points(left)} points (seed {report.circumstances.seed})",
        highlight=False,
    )
    if report.faults:
        console.print(f"[magenta]the grader itself failed on {len(report.faults)} checks: tell your instructor[/]")
    elif not left and all(o.status == "passed" for o in ran):
        console.print("[green]all checks passed[/]")


def print_grades(console: Console, reports: Sequence[Report], out: Path, book: Path) -> None:
    """One line per submission, the details of a single one, and where everything is."""
    if len(reports) == 1:
        table = Table(title=escape(reports[0].submission), title_justify="left")
        for column in ("question", "points", "not passed"):
            table.add_column(column)
        for question in QUESTIONS:
            lost = [o for o in reports[0].outcomes
                    if o.check.question == question.number and o.status not in ("passed", "not_run")]  # fmt: skip
            words = ", ".join(f"{o.check.id} ({STATUS_WORDS[o.status]})" for o in lost[:4])
            more = f" and {len(lost) - 4} more" if len(lost) > 4 else ""
            marks = f"{points(reports[0].earned(question))} / {points(question.points)}"
            table.add_row(f"{question_label(question.number)} · {question.title}", marks, escape(words + more))
        console.print(table)
        for outcome in reports[0].outcomes:
            if outcome.message and outcome.status == "passed":
                console.print(f"  [dim]{outcome.check.id}[/] {escape(outcome.message)}", highlight=False)
    else:
        table = Table()
        for column in ("submission", "score", "bonus", "not run", "unjudged", "problems"):
            table.add_column(column)
        for report in reports:
            table.add_row(escape(report.submission), f"{points(report.score)} / {points(report.max_score)}",
                          points(report.bonus), points(report.points("not_run")), points(report.points("error")),
                          escape("; ".join(report.problems))[:80])  # fmt: skip
        console.print(table)
    for report in reports:
        line = f"{escape(report.submission)}: {points(report.score)} / {points(report.max_score)}"
        if len(reports) == 1:
            console.print(
                f"[bold]{line} · bonus {points(report.bonus)} / {points(report.max_bonus)}[/]", highlight=False
            )
        for fault in report.faults:
            console.print(f"[magenta]grader error[/] {fault.check.id}: {escape(fault.message)}", highlight=False)
    console.print(f"reports in {shlex.quote(str(out))}, table in {shlex.quote(str(book))}", highlight=False)
