"""``python -m grader export``: from a run's store to the file that a system takes back, or a reason why not."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grader.check.declaration import Visibility
from grader.check.outcome import Outcome
from grader.classes.ingest import Submission
from grader.classes.late import Policy
from grader.classes.people import Arrival, Owner
from grader.cli.main import main
from grader.grading.store import Given, Kept, Store
from grader.grading.submissions import content_of, digest_of, text_of
from grader.grading.verdicts import circumstances_content
from grader.grading.verdicts import content_of as outcome_content
from grader.report.lms.marks import rounded
from grader.report.lms.publishing import Rules, complete, mark_of, report_file, results_of, seen_by_students
from grader.report.model import Circumstances, question_label
from grader.rubric import CHECKS, QUESTIONS

from .conftest import ROOT
from .marked import CANVAS, HEAD, row_of
from .test_report import SANDBOX, report_of

CIRCUMSTANCES = Circumstances(7, "digits", "asked for", "cpu", 1, SANDBOX)
FIRST = QUESTIONS[0]
WHEN = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


def handed_in(owner: Owner, text: str = "x = 1", at: datetime | None = WHEN, **more: object) -> Submission:
    sources = {"gaussians": text} if text else {}
    return dataclasses.replace(
        Submission(owner.name, sources, owner=owner, arrival=Arrival(at)),
        **more,  # type: ignore[arg-type]
    )


def outcomes_of(share: float = 1.0, status: str = "passed") -> dict[str, Outcome]:
    """Every check with this share of its points."""
    return {c.id: Outcome(c, status if share == 1.0 else "partial", c.points * share, hint="why?") for c in CHECKS}  # type: ignore[arg-type]


def put(store: Store, place: int, submission: Submission, outcomes: Mapping[str, Outcome] | None) -> str:
    """One submission with its verdicts, or without a report if there are none."""
    text = text_of(submission) if submission.sources else None
    digest = digest_of(text) if text is not None else None
    assert submission.owner is not None
    key = submission.owner.key
    store.put_submissions([Given(key, place, content_of(submission), digest, text)])
    if outcomes is None:
        return key
    number = store.put_circumstances(circumstances_content(CIRCUMSTANCES))
    marks: dict[str, int] = {}
    if digest is not None:
        kept = [
            Kept(name, f"d{place}", o.status, outcome_content(o), circumstances=number) for name, o in outcomes.items()
        ]
        marks = dict(zip(outcomes, store.put_verdicts(digest, kept), strict=True))
    store.put_marks(key, marks, list(outcomes), number)
    return key


def made_run(folder: Path, *found: tuple[Submission, Mapping[str, Outcome] | None]) -> Path:
    out = folder / "reports"
    out.mkdir(exist_ok=True)
    with Store(out, make=True) as store:
        for place, (submission, outcomes) in enumerate(found):
            put(store, place, submission, outcomes)
    return out


JANE, BOB = Owner("Jane Doe", "101", "moodle"), Owner("Bob Roe", "102", "moodle")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Jane has everything, Bob half of it."""
    return made_run(tmp_path, (handed_in(JANE), outcomes_of()), (handed_in(BOB, "x = 2"), outcomes_of(0.5)))


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "sheet.csv"
    path.write_bytes(
        "\r\n".join([HEAD, row_of(101, "Jane Doe"), row_of(102, "Bob Roe"), row_of(103, "Al Poe"), ""]).encode()
    )
    return path


def export(*words: object) -> int:
    return main(["export", *map(str, words)])


def rows(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def test_moodles_sheet(run: Path, template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = template.read_bytes()
    assert export(run, "--to", "moodle", "--template", template, "--file", tmp_path / "up.csv") == 0
    [_, jane, bob, other] = rows(tmp_path / "up.csv")
    assert (jane[4], bob[4], other[4]) == ("100.00", "55.00", "")
    assert jane[9].startswith("<p>Mark: 110 points (100 of 100, bonus 10 of 10)")
    assert "110 points are written as 100, the most that the table takes" in jane[9]
    assert "passed in part)<br>&nbsp; think: why?" in bob[9]
    assert other == rows(template)[3]
    assert template.read_bytes() == before
    shown = capsys.readouterr()
    assert "marks filled in: 2; left out: 0; rows without a mark: 1" in " ".join(shown.out.split())


def test_what_is_left_out_is_listed_and_says_so_in_the_exit_code(
    tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = outcomes_of() | {CHECKS[0].id: Outcome(CHECKS[0], "error", 0.0)}
    most = {name: outcome for name, outcome in outcomes_of().items() if not name.startswith("q1.")}
    people = [Owner(name, str(number), "moodle") for number, name in enumerate(
        ("Jane Doe", "Grader Fault", "Broken Off", "No Report", "Unread", "Stranger"), 101)]  # fmt: skip
    run = made_run(
        tmp_path, (handed_in(people[0]), outcomes_of()), (handed_in(people[1], "x = 2"), error),
        (handed_in(people[2], "x = 3"), most), (handed_in(people[3], "x = 4"), None),
        (handed_in(people[4], "", problems=("a7.rar cannot be read",)), outcomes_of()),
        (handed_in(people[5], "x = 5"), outcomes_of()),
    )  # fmt: skip
    sheet = "\n".join([HEAD, *(row_of(int(p.id), p.name) for p in people[:5]), row_of(900, "Stranger")])
    template.write_text(sheet)
    assert export(run, "--to", "moodle", "--template", template, "--file", tmp_path / "up.csv") == 1
    assert [row[4] for row in rows(tmp_path / "up.csv")[1:]] == ["100.00", "", "", "", "", ""]
    told = " ".join(capsys.readouterr().err.split())
    for words in ("Grader Fault (102): the grader failed on 1 check", "Broken Off (103): only 104 points of it are judged",
                  "No Report (104): it is not graded yet", "Unread (105): nothing of it could be read (a7.rar cannot be read)",
                  "Stranger (106): line 7 has this name, but another id"):  # fmt: skip
        assert f"left out: {words}" in told


def test_points_given_by_hand_count_and_are_seen(run: Path, template: Path, tmp_path: Path) -> None:
    with Store(run, writing=True) as store:
        store.put_override(BOB.key, CHECKS[0].id, CHECKS[0].points, "the text <allows> it", "A. Teacher", WHEN)
    assert export(run, "--to", "moodle", "--template", template, "--file", tmp_path / "up.csv",
                  "--feedback", tmp_path / "feedback.zip") == 0  # fmt: skip
    bob = rows(tmp_path / "up.csv")[2]
    assert bob[4] == f"{rounded(55 + CHECKS[0].points / 2)}"
    assert "A. Teacher, 2026-12-01 12:00 UTC: the text &lt;allows&gt; it" in bob[9]
    with zipfile.ZipFile(tmp_path / "feedback.zip") as archive:
        assert archive.namelist() == [
            f"{name}_assignsubmission_file_/report.md" for name in ("Jane Doe_101", "Bob Roe_102")
        ]
        text = archive.read("Bob Roe_102_assignsubmission_file_/report.md").decode()
    assert text.startswith("**Mark: 55")
    assert "A. Teacher" in text
    assert export(run, "--to", "csv", "--file", tmp_path / "plain.csv") == 0
    assert f"{CHECKS[0].id}: " in (plain := (tmp_path / "plain.csv").read_text("utf-8-sig"))
    assert "A. Teacher, 2026-12-01 12:00 UTC: the text <allows> it" in plain


CONFIG = """\
[deadline]
due = 2026-12-01T00:00:00Z
[late]
per_day = 10
extensions = "more.csv"
[export]
feedback = "full"
"""


def test_lateness_comes_off_at_export_and_not_in_the_store(
    run: Path, template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "more.csv").write_text("student,days\n101,3\n999,1\n")
    words = run, "--to", "moodle", "--template", template, "--file", tmp_path / "up.csv"
    assert export(*words, "--config", tmp_path / "config.toml") == 0
    [_, jane, bob, _] = rows(tmp_path / "up.csv")
    assert (jane[4], bob[4]) == ("100.00", "45.00")
    assert "Late: 12 h late (due 2026-12-01 00:00+00:00): 10 points off." in bob[9]
    told = " ".join(capsys.readouterr().err.split())
    assert "Bob Roe (102): 12 h late" in told
    assert "extensions, line 3: 999 is nobody who handed in" in told
    assert export(*words) == 0
    assert rows(tmp_path / "up.csv")[2][4] == "55.00"


def test_a_time_that_is_not_known_is_listed_and_costs_nothing(
    tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = dataclasses.replace(handed_in(JANE), arrival=Arrival(None, True))
    run = made_run(tmp_path, (late, outcomes_of(0.5)))
    (tmp_path / "config.toml").write_text(CONFIG.replace('extensions = "more.csv"\n', ""))
    assert export(run, "--to", "moodle", "--template", template, "--file", tmp_path / "up.csv",
                  "--config", tmp_path / "config.toml") == 0  # fmt: skip
    assert rows(tmp_path / "up.csv")[1][4] == "55.00"
    assert "the system calls it late, but when it came is not known" in " ".join(capsys.readouterr().err.split())


def test_weights_and_visibility(run: Path, template: Path, tmp_path: Path) -> None:
    weights = "".join(f"{n} = {91 if n == 1 else 1}\n" for n in range(1, 11))
    (tmp_path / "config.toml").write_text(
        f'[weights]\n{weights}[visibility]\nq1 = "hidden"\n[export]\nbonus = "none"\n'
    )
    report = report_of(*(o for o in outcomes_of(0.5).values()))
    questions = [Outcome(c, "failed", 0.0, "what", "why?") for c in FIRST.checks]
    first_lost = dataclasses.replace(
        report, outcomes=(*questions, *(o for o in outcomes_of().values() if o.check.question != 1))
    )
    rules = Rules({str(n): 91.0 if n == 1 else 1.0 for n in range(1, 11)}, {"1": "hidden"}, bonus=False)
    mark = mark_of(first_lost, JANE, Arrival(), rules)
    assert (mark.points, mark.most, mark.bonus, mark.judged) == (9, 100, 0, None)
    assert "why?" not in mark.feedback
    assert all(
        o.check.visibility == "hidden"
        for o in seen_by_students(report, {"1": "hidden"}).outcomes
        if o.check.question == 1
    )
    assert export(run, "--to", "moodle", "--template", template, "--file", tmp_path / "up.csv",
                  "--config", tmp_path / "config.toml") == 0  # fmt: skip
    assert [row[4] for row in rows(tmp_path / "up.csv")[1:]] == ["100.00", "50.00", ""]


def test_weights_are_said_where_marks_are_read(run: Path) -> None:
    weights = {str(n): 91.0 if n == 1 else 1.0 for n in range(1, 11)}
    report = report_of(*outcomes_of(0.5).values())
    rules = Rules(weights, bonus=False)
    mark = mark_of(report, JANE, Arrival(), rules)
    said = "Questions count for other points than they show (1: 91, 2: 1, 3: 1,"
    assert mark.head[0] == "Mark: 50 points (50 of 100)"
    assert mark.head[1].startswith(said)
    assert "bonus" not in mark.head[1]
    assert mark.feedback.splitlines()[:2] == [*mark.head]
    assert (
        report_file(report, mark, rules).decode().startswith("**Mark: 50 points (50 of 100)**\n\nQuestions count for")
    )
    document = results_of(report, mark, rules)
    assert document["score"] == 50
    assert document["output"].splitlines()[:2] == [*mark.head]
    same = Rules({str(question_label(q.number)): q.points for q in QUESTIONS})
    assert len(mark_of(report, JANE, Arrival(), same).head) == 1


def test_what_is_hidden_at_export_is_hidden_in_everything_that_goes_out() -> None:
    lost = [Outcome(c, "failed", 0.0, "what was found", "why?", expected="42", actual="43") for c in CHECKS]
    report = report_of(*lost)
    hidden: dict[str, Visibility] = {str(question_label(question.number)): "hidden" for question in QUESTIONS}
    but_one: dict[str, Visibility] = {**hidden, FIRST.checks[0].id: "public"}
    for visibility, wanted in ((hidden, False), (but_one, True)):
        rules = Rules(visibility=visibility, detail="full")
        mark = mark_of(report, JANE, Arrival(), rules)
        texts = mark.feedback, report_file(report, mark, rules).decode(), json.dumps(results_of(report, mark, rules))
        assert [("what was found" in text and "42" in text) for text in texts] == [wanted] * 3
    seen = {
        test["visibility"]
        for test in results_of(report, mark, Rules(visibility={"1": "public"}))["tests"][: len(FIRST.checks)]
    }
    assert seen == {"visible"}


def test_what_is_for_the_publisher_is_not_told_to_the_student() -> None:
    due = datetime(2026, 12, 2, tzinfo=UTC)
    mark = mark_of(report_of(*outcomes_of().values()), JANE, Arrival(WHEN, True), Rules(policy=Policy(due, 10.0)))
    assert mark.notes == ("the system calls it late, but it came before the deadline that is configured",)
    assert "calls it late" not in "".join(mark.head) + mark.feedback


def test_a_group_has_one_mark_and_the_longest_extension_of_its_members(
    tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    team = Owner("Team 4", "9", "moodle", "group", members=(JANE, BOB))
    run = made_run(tmp_path, (handed_in(team), outcomes_of(0.5)))
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "more.csv").write_text("student,days,deadline\n101,3,\n102,,2026-12-01T06:00Z\n103,1,\n")
    assert export(run, "--to", "moodle", "--template", template, "--file", tmp_path / "up.csv",
                  "--config", tmp_path / "config.toml") == 0  # fmt: skip
    assert [row[4] for row in rows(tmp_path / "up.csv")[1:]] == ["55.00", "55.00", ""]
    assert "extensions, line 4: 103 is nobody who handed in" in " ".join(capsys.readouterr().err.split())


def test_marks_of_a_part_of_the_rubric_say_so(
    tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = {name: outcome for name, outcome in outcomes_of().items() if outcome.check.question == 1}
    run = made_run(tmp_path, (handed_in(JANE), part), (handed_in(BOB, "x = 2"), part))
    assert export(run, "--to", "moodle", "--template", template, "--file", tmp_path / "up.csv") == 0
    assert rows(tmp_path / "up.csv")[1][4] == f"{FIRST.points:.2f}"
    told = " ".join(capsys.readouterr().err.split())
    assert f"the run was about {FIRST.points:g} of 110 points" in told


def test_marks_with_fewer_points_judged_than_others_are_no_marks_yet() -> None:
    whole = report_of(*outcomes_of().values())
    part = dataclasses.replace(whole, outcomes=tuple(
        Outcome(o.check, "not_run", 0.0) if o.check.question == 2 else o for o in whole.outcomes))  # fmt: skip
    [one, other] = complete([mark_of(report, JANE, Arrival(), Rules()) for report in (whole, part)])
    assert one.unsettled == ""
    assert other.unsettled.startswith("only 102 points of it are judged, and 110 of others")


def test_canvas(tmp_path: Path) -> None:
    run = made_run(tmp_path, (handed_in(Owner("doejane", "1001", "canvas")), outcomes_of()))
    template = tmp_path / "gradebook.csv"
    template.write_bytes(CANVAS.encode())
    words = run, "--to", "canvas", "--template", template, "--file", tmp_path / "up.csv"
    assert export(*words, "--assignment", "56") == 0
    assert (tmp_path / "up.csv").read_bytes().decode() == CANVAS.replace("12.00,,60.0", "12.00,110,60.0")
    (tmp_path / "up.csv").unlink()
    assert export(*words) == 2
    assert not (tmp_path / "up.csv").exists()


def test_gradescope_and_the_plain_table(tmp_path: Path) -> None:
    owner = Owner("Jane Doe", "S1", "gradescope", also={"sid": "S1", "email": "j@x.org", "submission": "submission_7"})
    run = made_run(tmp_path, (handed_in(owner), outcomes_of()))
    for name in ("up.csv", "up.json", "up.zip"):
        assert export(run, "--to", "gradescope", "--file", tmp_path / name) == 0
    assert rows(tmp_path / "up.csv")[1] == ["Jane Doe", "S1", "j@x.org", "7", "110", "100"]
    document = json.loads((tmp_path / "up.json").read_text())["7"]
    assert (document["score"], len(document["tests"])) == (110, len(CHECKS))
    with zipfile.ZipFile(tmp_path / "up.zip") as archive:
        assert json.loads(archive.read("results/7.json")) == document
    assert export(run, "--to", "csv", "--file", tmp_path / "plain.csv") == 0
    assert rows(tmp_path / "plain.csv")[1][:4] == ["Jane Doe", "S1", "gradescope", "person"]
    assert export(run, "--to", "moodle", "--file", tmp_path / "moodle.zip") == 1, "Moodle knows nobody of Gradescope"


SHOWN = re.findall(r"^\$ python -m grader (export reports .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)


def test_the_commands_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    also = {"sid": "101", "email": "j@x.org", "submission": "submission_7"}
    people = [JANE, Owner("doejane", "1001", "canvas"), Owner("Jane Doe", "101", "gradescope", also=also)]
    [example] = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for command, owner in zip(SHOWN, [*people, JANE], strict=True):
        folder = tmp_path / command.split()[3]
        folder.mkdir()
        monkeypatch.chdir(folder)
        made_run(folder, (handed_in(owner), outcomes_of()))
        Path("worksheet.csv").write_text("\n".join([HEAD, row_of(101, "Jane Doe")]))
        Path("gradebook.csv").write_text(CANVAS)
        Path("course.toml").write_text(example)
        Path("extensions.csv").write_text("student,days\n101,2\n")
        assert main(command.split()) == 0, command
        for written in re.findall(r"--(?:file|feedback) (\S+)", command):
            assert Path(written).stat().st_size > 0
    assert "Jane Doe,101" in Path("marks.csv").read_text()


MISUSES: Sequence[tuple[tuple[str, ...], str]] = (
    (("nowhere", "--to", "csv", "--file", "up.csv"), "nowhere does not exist"),
    ((".", "--to", "csv", "--file", "up.csv"), "holds no run"),
    (("reports", "--to", "csv", "--file", "up.xlsx"), "its name has to end in .csv"),
    (("reports", "--to", "moodle", "--file", "up.csv"), "needs --template"),
    (("reports", "--to", "csv", "--file", "up.csv", "--template", "sheet.csv"), "--template is of no use"),
    (("reports", "--to", "moodle", "--file", "up.csv", "--template", "none.csv"), "none.csv: no such file"),
    (("reports", "--to", "moodle", "--file", "up.csv", "--template", "reports"), "is a directory"),
    (
        ("reports", "--to", "moodle", "--file", "sheet.csv", "--template", "sheet.csv"),
        "--in-place to have it written over",
    ),
    (("reports", "--to", "moodle", "--file", "link.csv", "--template", "sheet.csv"), "is the template itself"),
    (("reports", "--to", "moodle", "--file", "up.zip", "--feedback", "f.zip"), "--feedback goes with"),
    (("reports", "--to", "csv", "--file", "folder.csv"), "is a folder: give the name of a file"),
    (("reports", "--to", "csv", "--file", "reports/gradebook.csv"), "one of the run's own files"),
    (("reports", "--to", "csv", "--file", "up.csv", "--config", "bad.toml"), "bad.toml:2: there is no late.per_dya"),
    (("reports", "--to", "moodle", "--file", "up.csv", "--template", "bad.toml"), "no column is the identifier"),
)


OF_A_GRADE = (
    *((words[1:], told) for words, told in MISUSES[2:]),
    (("--file", "up.csv"), "--file is for the upload: say with --to which system"),
    (("--in-place",), "--in-place is for the upload"),
    (("--to", "csv"), "--to csv needs --file FILE"),
)
REFUSED = [(("export", *words), told) for words, told in MISUSES]
REFUSED += [(("grade", "sheet.csv", "--out", "reports", *words), told) for words, told in OF_A_GRADE]


@pytest.mark.parametrize(("words", "told"), REFUSED, ids=[f"{words[0]}: {told}" for words, told in REFUSED])
def test_misuse_is_refused_before_anything_is_graded_or_written(
    run: Path, template: Path, words: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(template.parent)
    Path("link.csv").symlink_to("sheet.csv")
    Path("folder.csv").mkdir()
    Path("bad.toml").write_text("[late]\nper_dya = 1\n")
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    assert main(words) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


def test_the_template_is_written_over_where_that_is_asked_for(run: Path, template: Path) -> None:
    assert export(run, "--to", "moodle", "--template", template, "--file", template, "--in-place") == 0
    assert rows(template)[1][4] == "100.00"


def test_a_file_that_cannot_be_written_leaves_nothing(
    run: Path, template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: Path, target: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    before = template.read_bytes()
    assert export(run, "--to", "moodle", "--template", template, "--file", template, "--in-place") == 3
    assert template.read_bytes() == before
    assert sorted(os.listdir(template.parent)) == ["reports", "sheet.csv"]
    assert "no space left on device" in " ".join(capsys.readouterr().err.split())
