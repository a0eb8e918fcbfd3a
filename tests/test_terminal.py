"""What a person sees at 80 columns, and what a log hears where there is no terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from grader.check.credit import Measurement
from grader.check.outcome import Outcome, Status
from grader.classes.ingest import Submission
from grader.classes.people import Owner
from grader.cli import terminal
from grader.cli.progress import QUIET_SECONDS, Drawn, Told, duration, watch
from grader.grading.course import Course
from grader.grading.run import Plan
from grader.grading.store import Store
from grader.report.model import Report
from grader.rubric import CHECKS, QUESTIONS

from .test_report import full, report_of

LONG = "one two three four five six seven eight nine ten " * 6


def shown(show: Callable[[Console], None]) -> str:
    file = io.StringIO()
    show(Console(file=file, width=80, highlight=False))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def checked(report: Report, *, verbose: bool = False) -> str:
    return shown(lambda console: terminal.print_check(console, report, verbose=verbose))


def half_done() -> Report:
    """Question 1 right, 2 wrong in one check, 3 not written, the rest not run."""
    outcomes = []
    for check in CHECKS:
        if check.question == 1:
            outcomes.append(Outcome(check, "passed", check.points))
        elif check.id == "q2.standard.value":
            outcomes.append(
                Outcome(check, "failed", 0.0, LONG, LONG, "1", "2", {}, looks="twice", call="kl_divergence(mu=[0.])")
            )
        elif check.question == 2:
            outcomes.append(Outcome(check, "passed", check.points))
        elif check.question == 3 and check.needs:
            outcomes.append(Outcome(check, "skipped", 0.0, f"needs {check.needs[0]}, which did not pass"))
        elif check.question == 3:
            outcomes.append(
                Outcome(check, "unimplemented", 0.0, f"not implemented yet (Question 3: Part{len(outcomes)}.__init__)")
            )
        else:
            outcomes.append(Outcome(check, "not_run", 0.0))
    return report_of(*outcomes)


def test_a_question_that_passed_is_one_line_with_its_points() -> None:
    lines = checked(half_done()).splitlines()
    [title] = [index for index, line in enumerate(lines) if line.startswith("Question 1 · Densities")]
    count = len(QUESTIONS[0].checks)
    assert lines[title] == "Question 1 · Densities  6 / 6"
    assert lines[title + 1] == f"  passed          {count} checks, 6 points"
    assert lines[title + 2] == ""


def test_verbose_lists_every_check() -> None:
    text = " ".join(checked(half_done(), verbose=True).split())
    for check in CHECKS:
        assert (check.id in text) == (check.question in (1, 2, 3))


def test_an_explanation_hangs_beside_its_label() -> None:
    lines = checked(half_done()).splitlines()
    [first] = [index for index, line in enumerate(lines) if line.startswith("    found:")]
    column = lines[first].index("one two")
    following = [line for line in lines[first + 1 : first + 5] if "five" in line or "three" in line]
    assert following
    assert all(line[:column].strip() == "" for line in following)
    labels = [line.split(":")[0].strip() for line in lines[first - 2 :] if re.match(r"    \w+( like)?:", line)]
    assert labels == ["asked", "found", "call", "expected", "actual", "looks like", "think"]


def test_statuses_stand_in_one_column() -> None:
    for word in ("passed", "failed", "not implemented", "skipped"):
        assert re.search(rf"^  {word}", checked(half_done()), re.MULTILINE), word


def test_what_is_missing_is_named_once() -> None:
    text = checked(half_done())
    parts = [check for check in CHECKS if check.question == 3 and not check.needs]
    assert len(re.findall(r"Part\d+", text)) == len(parts) + 1, "in the question, and the first of them in the list"
    assert ".__init__" not in text
    assert len(re.findall("^  not implemented", text, re.MULTILINE)) == 1
    assert len(re.findall("^  skipped", text, re.MULTILINE)) == 1


def test_the_list_of_what_to_do_has_the_first_of_each_question_in_order() -> None:
    text = checked(half_done())
    steps = text[text.index("What to do next") :]
    assert re.findall(r"^  (Question \d+):", steps, re.MULTILINE) == ["Question 2", "Question 3"]
    assert "q2.standard.value" in steps
    assert next(c.id for c in CHECKS if c.question == 3 and not c.needs) in steps
    assert "What to do next" not in checked(report_of(*(Outcome(c, "passed", c.points) for c in CHECKS)))


def test_grading_one_submission_explains_it_as_well() -> None:
    text = shown(lambda console: terminal.print_grades(console, [half_done()], Path("o"), Path("o/gradebook.csv")))
    assert "kl_divergence(mu=[0.])" in text
    assert "First in each question" in text
    assert "12.5 of 22 judged; 78 not run · bonus 10 not run" in text
    assert "6 / 6" in text


def test_a_class_at_80_columns() -> None:
    perfect = report_of(
        *(Outcome(c, "not_run", 0.0) if c.kind == "trained" else Outcome(c, "passed", c.points) for c in CHECKS)
    )
    reports = [
        Report(f"student-{k}-{'x' * 40}", (LONG,), perfect.outcomes, perfect.circumstances, 1.0) for k in range(40)
    ]
    text = shown(lambda console: terminal.print_grades(console, reports, Path("o"), Path("o/gradebook.csv")))
    rows = [line for line in text.splitlines() if "student-" in line]
    assert len(rows) == 40, "a row each"
    assert max(map(len, rows)) <= 80
    assert all("83.25 / 83.25" in row and "one two" in row for row in rows)
    assert "not run: 16.75 points" in text


def test_a_class_with_the_names_of_a_system_fits_80_columns_and_nobody_is_mixed_up() -> None:
    names = [
        "Maximiliane Theodora von Hohenstein-Schmidtbauer",
        "Maximiliane Theodora von Hohenstein-Schmidtbauer",
        "李小龙" * 9,
        "Ng",
    ]
    perfect = report_of(*full())
    reports = [
        Report(f"{name}_{k}234567", (), perfect.outcomes, perfect.circumstances, 1.0, Owner(name, f"{k}234567", "moodle"))
        for k, name in enumerate(names)
    ]  # fmt: skip
    text = shown(lambda console: terminal.print_grades(console, reports, Path("o"), Path("o/gradebook.csv")))
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= 80
    for k in range(len(names)):
        [row] = [line for line in lines if f" {k}234567 " in line]
        assert "100 / 100" in row
        assert "10 / 10" in row


def test_the_last_lines_of_a_class_count_every_kind() -> None:
    everybody = [
        Submission("ann", {"gaussians": "x = 1"}), Submission("bob", {"gaussians": "x = 1"}), Submission("cy", {}, ("missing: vae.py",)),
        Submission("dan", {}, ("a7.zip is damaged",)), Submission("eve", {}, ("no disk",), fault="no disk"),
    ]  # fmt: skip
    with Store(None) as store:
        course = Course(everybody, plan_of(2), store)
        reports = [course.report(index) for index in course.unread]
    text = shown(lambda console: terminal.print_counts(console, everybody, reports, course))
    assert " ".join(text.split()) == (
        "5 in all: 2 graded, 1 empty, 1 unreadable, 2 duplicates, 1 grader error reused 0 of 0 verdicts"
    )


def plan_of(*questions: int) -> Plan:
    return Plan(
        1, "cpu", "none", "", None, frozenset(questions), frozenset({"property"}), frozenset({"public", "hidden"}), 1
    )


def outcomes_of(plan: Plan) -> Iterator[Outcome]:
    return (Outcome(c, "passed" if plan.wants(c) else "not_run", c.points if plan.wants(c) else 0.0) for c in CHECKS)


def test_a_log_hears_of_every_finished_question_of_one_submission() -> None:
    file, plan = io.StringIO(), plan_of(1, 2)
    with Told(Console(file=file), [Submission("ann", {})], plan, lambda: 0.0) as told:
        for outcome in outcomes_of(plan):
            told.note(0, [outcome])
        told.finished(0, report_of(*outcomes_of(plan)))
    first, second = (sum(plan.wants(c) for c in CHECKS if c.question == n) for n in (1, 2))
    assert file.getvalue().splitlines() == [
        f"ann: question 1 done, {first} of {first + second} checks",
        f"ann: question 2 done, {first + second} of {first + second} checks",
    ]


def test_a_log_hears_of_every_finished_submission_and_something_after_a_long_silence() -> None:
    file, plan, clock = io.StringIO(), plan_of(2), [0.0]
    with Told(
        Console(file=file), [Submission("ann\x1b[2J", {}), Submission("bob", {})], plan, lambda: clock[0]
    ) as told:
        for outcome in outcomes_of(plan):
            told.note(0, [outcome])
        assert file.getvalue() == ""
        told.finished(0, report_of(*outcomes_of(plan), name="ann\x1b[2J"))
        clock[0] = QUIET_SECONDS
        wanted = [outcome for outcome in outcomes_of(plan) if plan.wants(outcome.check)]
        told.note(1, wanted[:1])
        told.note(1, wanted[1:2])
    lines = file.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("[1/2] ann\\x1b[2J: ")
    assert lines[1:] == [f"bob: 1 of {len(wanted)} checks", "1 of 2 done, 1 running, 0 waiting"]


def class_of_300(told: Told | Drawn, plan: Plan, clock: list[float]) -> None:
    """The first hundred were there, five are judged in fifty seconds, and another one has begun."""
    wanted = [outcome for outcome in outcomes_of(plan) if plan.wants(outcome.check)]
    report = report_of(*outcomes_of(plan))
    for k in range(105):
        if k < 100:
            told.known(k, wanted)
        else:
            clock[0] += 10
            told.note(k, wanted)
        told.finished(k, report)
    told.note(105, wanted[:1])


def test_a_log_of_300_says_what_was_reused_at_once_and_now_and_then_how_far_it_is() -> None:
    file, plan, clock = io.StringIO(), plan_of(2), [0.0]
    everybody = [Submission(f"student {k}", {}) for k in range(300)]
    with Told(Console(file=file, width=80), everybody, plan, lambda: clock[0]) as told:
        class_of_300(told, plan, clock)
    lines = file.getvalue().splitlines()
    assert lines[0] == "[100/300] reused: nothing of 100 had to be judged again"
    assert [line.partition(":")[0] for line in lines if line.startswith("[")][1:] == [
        f"[{k}/300] ann" for k in range(101, 106)
    ]
    [place] = [line for line in lines if "waiting" in line]
    assert re.fullmatch(r"103 of 300 done, 0 running, 197 waiting; about 33 min left, until \d\d:\d\d", place)
    assert len(lines) == 7


def test_the_bar_of_300_is_one_line_with_what_is_done_running_and_waiting() -> None:
    file, plan, clock = io.StringIO(), plan_of(2), [0.0]
    everybody = [Submission(f"student {k}", {}) for k in range(300)]
    drawn = Drawn(Console(file=file, force_terminal=True, width=80), everybody, plan, lambda: clock[0])
    class_of_300(drawn, plan, clock)
    text = shown(lambda console: console.print(drawn.bars.get_renderable()))
    [line] = text.splitlines()
    assert "105 of 300 done, 1 running, 194 waiting" in line
    assert line.endswith("32 min left")
    assert cell_len(line) <= 80


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89, "89 s"), (91, "2 min"), (7140, "119 min"), (7260, "2 h 1 min")]
)
def test_times_are_rough(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_bars_are_drawn_in_a_terminal_only() -> None:
    plan = plan_of(2)
    assert isinstance(watch(Console(file=io.StringIO()), [Submission("ann", {})], plan), Told)
    drawn = watch(Console(file=io.StringIO(), force_terminal=True, width=80), [Submission("[red]", {})], plan)
    assert isinstance(drawn, Drawn)
    with drawn:
        drawn.note(0, list(outcomes_of(plan)))
    assert drawn.bars.tasks[0].finished


@pytest.mark.parametrize(("jobs", "words"), [(1, "1 process"), (2, "2 processes")])
def test_numbers_agree_with_their_nouns(jobs: int, words: str) -> None:
    plan = Plan(1, "cpu", "none", "x", None, frozenset({1}), frozenset(), frozenset(), jobs)
    text = shown(lambda console: terminal.print_setting(console, plan, [Submission("ann", {})]))
    assert re.search(rf"{words} ·", " ".join(text.split()))
    assert "1 submission " in text


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("status", ["passed", "failed"])
def test_no_line_breaks_the_name_of_a_check(status: Status, verbose: bool) -> None:
    """Neither beside what training has measured, nor behind the title of what has failed."""
    told = {"loss": Measurement(0.9, below=True, slack=0.1, trivial=2.0)} if status == "passed" else {}
    report = report_of(*(Outcome(check, status, 0.0, LONG, LONG, measured=told) for check in CHECKS))
    words = set(re.split(r"[\s:·]+", shown(lambda console: terminal.print_single(console, report, verbose))))
    assert {check.id for check in CHECKS} <= words
