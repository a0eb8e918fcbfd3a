"""Marks in the tables of Moodle, Canvas and Gradescope: what is there already, comments, and each system's own."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from dataclasses import replace

import pytest

from grader.classes.people import Owner
from grader.report.lms import canvas, moodle, tables
from grader.report.lms.filling import Choices
from grader.report.lms.marks import TemplateError, as_html, written

from .marked import BOB, CANVAS, JANE, mark, person, read, row_of, sheet_of, why

# --- what is there already, and what a grade may be


def test_what_is_there_already_stays_unless_it_is_to_be_replaced() -> None:
    rows = row_of(101, "Jane Doe", grade="12.00"), row_of(102, "Bob Roe", comment="see me")
    template = sheet_of(*rows)
    done = moodle.fill([mark(JANE), mark(BOB)], template)
    assert done.content == template
    assert done.filled == 0
    assert "line 2: the grade 12.00 is there already" in why(done)["Jane Doe (101)"]
    assert "line 3: there are feedback comments already" in why(done)["Bob Roe (102)"]
    done = moodle.fill([mark(JANE), mark(BOB)], template, Choices(replace=True))
    assert [(row[4], row[9]) for row in read(done.content)[1:]] == [("85.50", "<p>Well done</p>")] * 2
    again = moodle.fill([mark(JANE), mark(BOB)], done.content)
    assert again.left == ()
    assert again.content == done.content


def test_above_the_maximum_moodle_gets_the_maximum_and_it_is_said() -> None:
    done = moodle.fill([mark(JANE, 107.5)], sheet_of(row_of(101, "Jane Doe")))
    assert read(done.content)[1][4] == "100.00"
    assert "107.5 points are written as 100" in read(done.content)[1][9]
    assert done.notes == ("Jane Doe (101): 107.5 points are written as 100, the most that the table takes",)
    done = moodle.fill([mark(JANE, 107.5)], sheet_of(row_of(101, "Jane Doe", maximum="110.00")))
    assert read(done.content)[1][4] == "107.50"


def test_marks_are_scaled_where_that_is_wanted() -> None:
    done = moodle.fill([mark(JANE, 85.5)], sheet_of(row_of(101, "Jane Doe", maximum="20.00")), Choices(scale=True))
    assert read(done.content)[1][4] == "17.10"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.001, "0"),
        (0.125, "0.13"),
        (0.1 + 0.2, "0.3"),
        (99.995, "100"),
        (100, "100"),
        (85.0, "85"),
        (2.675, "2.68"),
    ],
)
def test_grades_are_rounded_as_people_do(value: float, text: str) -> None:
    assert written(value) == text


def test_comments_are_html_without_quotes_and_no_formula() -> None:
    text = "=HYPERLINK(\"http://x\")\n<script>alert('1')</script> & more\\"
    html = as_html(text)
    assert html.startswith("<p>=HYPERLINK(&quot;")
    assert '"' not in html
    assert "\n" not in html
    assert "<script>" not in html
    assert html.endswith("\\</p>")
    done = moodle.fill([mark(JANE, feedback=text)], sheet_of(row_of(101, "Jane Doe")))
    assert read(done.content)[1][9] == html


# --- the zip of feedback


def test_the_feedback_zip_has_the_folders_that_moodle_looks_for() -> None:
    odd = person("Ann_Marie O'Neil / x", "103")
    marks = [mark(JANE), mark(odd), mark(person("No Number")), mark(person("No Report", "9"))]
    files = {m.owner.key: {"report.md": b"# x"} for m in marks[:3]}
    done = moodle.feedback_zip(marks, files)
    with zipfile.ZipFile(io.BytesIO(done.content)) as archive:
        names = archive.namelist()
    assert names == [
        "Jane Doe_101_assignsubmission_file_/report.md",
        "Ann Marie O'Neil x_103_assignsubmission_file_/report.md",
    ]
    for name in names:  # as Moodle splits it
        assert name.split("_", 4)[1].isdigit()
        assert name.split("_", 4)[2:4] == ["assignsubmission", "file"]
    assert why(done).keys() == {"No Number", "No Report (9)"}
    assert moodle.feedback_zip(marks, files).content == done.content, "the same marks give the same bytes"


def test_canvas_gets_one_column_and_keeps_everything_else() -> None:
    owners = [person("doejane", "1001", "canvas"), person("roebob", "1002", "canvas")]
    done = canvas.fill([mark(owner, 107.5) for owner in owners], CANVAS.encode(), Choices(assignment="56"))
    assert done.content.decode() == CANVAS.replace("12.00,,60.0", "12.00,107.5,60.0")
    assert why(done) == {"roebob (1002)": "line 5: the student is excused (EX)"}
    assert done.idle == 2


@pytest.mark.parametrize("asked", ["56", "(56)", "A7", "a7 (56)"])
def test_the_assignment_is_chosen_by_number_or_title(asked: str) -> None:
    done = canvas.fill([mark(person("Jane Doe", sid="S1"))], CANVAS.encode(), Choices(assignment=asked))
    assert done.content.decode() == CANVAS.replace("12.00,,60.0", "12.00,85.5,60.0")


@pytest.mark.parametrize("asked", ["", "A8", "57", "Current Score"])
def test_no_assignment_is_ever_made_or_guessed(asked: str) -> None:
    with pytest.raises(TemplateError, match=r"'A6 \(55\)', 'A7 \(56\)'"):
        canvas.fill([], CANVAS.encode(), Choices(assignment=asked))


def test_the_only_column_that_can_be_filled_in_is_the_assignment() -> None:
    read_only = CANVAS.replace("20.00", "(läs endast)")
    assert canvas.fill([mark(person("x", "1001", "canvas"))], read_only.encode()).filled == 0, "the name is another"
    assert canvas.fill([mark(person("Jane Doe", email="jane@x.org"))], read_only.encode()).filled == 1


def test_canvas_with_semicolons_and_decimal_commas() -> None:
    template = ("\ufeff" + CANVAS.replace("Doe, Jane", "Doe~ Jane").replace("Roe, Bob", "Roe~ Bob").replace("Student, Test", "x")
                .replace(",", ";").replace("~", ",").replace(".00", ",00").replace("60.0", "60,0"))  # fmt: skip
    done = canvas.fill([mark(person("doejane", "1001", "canvas"))], template.encode(), Choices(assignment="56"))
    assert done.content.decode() == template.replace("12,00;;60,0", "12,00;85,5;60,0")


def test_anonymous_numbers_are_no_numbers_of_students() -> None:
    done = canvas.fill([mark(Owner("anon", "1001", "canvas", "anonymous"))], CANVAS.encode(), Choices(assignment="56"))
    assert done.content == CANVAS.encode()
    assert "anonymous" in done.left[0].why


def test_one_student_in_two_rows_is_one_student() -> None:
    row = '"Doe, Jane",1001,S1,jane@x.org,LAB 3,,,\r\n'
    done = canvas.fill([mark(person("doejane", "1001", "canvas"))], (CANVAS + row).encode(), Choices(assignment="56"))
    assert [r[6] for r in read(done.content)[3:]] == ["85.5", "EX", "", "85.5"]


def test_what_is_no_gradebook_is_refused() -> None:
    with pytest.raises(TemplateError, match="Student and ID"):
        canvas.fill([], b"Name,Points\nJane,3\n")
    with pytest.raises(TemplateError, match="up to 20 and marks"):
        canvas.fill([mark(person("doejane", "1001", "canvas"))], CANVAS.encode(), Choices(assignment="55"))


# --- Gradescope and the plain table

TEAM = Owner("Team", "S1", "gradescope", "group", {"submission": "submission_7"},
             (person("Jane", email="j@x.org", sid="S1"), person("=cmd()", email="+b@x.org"), person("Lost")))  # fmt: skip


def test_gradescopes_grades_have_a_row_for_every_member() -> None:
    done = tables.grades([mark(TEAM)])
    assert read(done.content)[1:] == [["Jane", "S1", "j@x.org", "7", "85.5", "100"],
                                      ["'=cmd()", "", "'+b@x.org", "7", "85.5", "100"]]  # fmt: skip
    assert why(done) == {"Lost of Team (S1)": "neither a student number nor an e-mail address is known"}


def test_the_autograder_shows_results_that_were_made_elsewhere() -> None:
    results = {TEAM.key: {"score": 1.0, "tests": []}}
    done = tables.autograder_zip([mark(TEAM), mark(JANE)], results)
    with zipfile.ZipFile(io.BytesIO(done.content)) as archive:
        assert archive.namelist() == ["setup.sh", "run_autograder", "results/7.json"]
        assert archive.read("run_autograder").startswith(b"#!")
        assert archive.getinfo("run_autograder").external_attr >> 16 & stat.S_IXUSR
        assert json.loads(archive.read("results/7.json")) == {"score": 85.5, "tests": []}
        compile(archive.read("run_autograder"), "run_autograder", "exec")
    assert why(done) == {"Jane Doe (101)": "Gradescope's number of the submission is not known"}
    document = json.loads(tables.results_json([mark(TEAM)], results).content)
    assert document == {"7": {"score": 85.5, "tests": []}}


def test_one_number_for_two_submissions_is_no_number() -> None:
    other = replace(TEAM, id="S2")
    results = {TEAM.key: {"score": 1.0}, other.key: {"score": 2.0}}
    done = tables.results_json([mark(TEAM), mark(other)], results)
    assert json.loads(done.content) == {}
    assert len(done.left) == 2


def test_the_plain_table_has_everybody_and_no_formula() -> None:
    marks = [mark(JANE, notes=("2 days late",), deducted=20.0), mark(person("=1+1"), unsettled="the grader failed")]
    done = tables.plain(marks)
    [head, jane, odd] = read(done.content)
    assert dict(zip(head, jane, strict=True))["late_deduction"] == "20"
    assert dict(zip(head, jane, strict=True))["notes"] == "2 days late"
    assert odd[0] == "'=1+1"
    assert dict(zip(head, odd, strict=True))["points"] == ""
    assert dict(zip(head, odd, strict=True))["notes"] == "the grader failed"
    assert done.filled == 1
