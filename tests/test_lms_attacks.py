"""Tables of marks in the hands of whoever likes spreadsheets: no text of a student is a formula in them, whichever way
they are divided, and every reader of CSV finds the cells that were written."""

from __future__ import annotations

import csv
import html
import io
import itertools
import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grader.classes.people import Owner
from grader.report.cells import FORMULA, html_cell, starts_formula
from grader.report.lms import canvas, moodle, tables
from grader.report.lms.filling import Choices
from grader.report.lms.marks import Mark, TemplateError, as_html

DIVIDED = [
    {"delimiter": delimiter, "quoting": quoting, "doublequote": doubled}
    for delimiter, quoting, doubled in itertools.product(",;\t|", (csv.QUOTE_MINIMAL, csv.QUOTE_NONE), (True, False))
]
PAYLOADS = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\ufeff=1", "\u200b=1", "＝1", "＋1", "﹣1", "＠x",
    "a,=1", "a;=1", "a\t=1", "a|=1", 'a";=1', "a\n=1", "a\r\n=1", 'a",\n"=1', "a; =1", 'a;"=1', "a;'=1", "a;;=1", "a;=;=1", "\x00=1",
    "a;\x00=1", '"=1', "'=1", "<=1", "<br>=1", "&=1", "x'=1", "==1", "=+-@1", ";==1", "\u2028=1", "\v=1", "\x85=1", "sep=;\n=1",
)  # fmt: skip
TEXTS = st.text(st.sampled_from("a1é漢=+-@＝,;|\t \"'\n\r\x00<>&\\\u00a0\ufeff\u200b"), max_size=12)


def mark(name: str, number: str = "101", **also: str) -> Mark:
    return Mark(Owner(name, number, "moodle", also=also), 85.5, 100.0, 10.0, feedback=name, notes=(name,))


def cells_in(text: str) -> Iterator[str]:
    """What any reader could take for a cell of a table."""
    for how in DIVIDED:
        try:
            for row in csv.reader(io.StringIO(text, newline=""), **how):  # type: ignore[arg-type]
                yield from row
        except csv.Error:
            continue
    yield from re.split(r"[,;|\t\r\n]", text)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_no_text_is_a_formula_in_a_table_of_ours_whichever_way_it_is_divided(text: str) -> None:
    of_group = Owner(
        "T", "9", "gradescope", "group", {"submission": "7"}, (Owner(text, text, also={"sid": text, "email": text}),)
    )
    marks = [
        mark(text, email=text, sid=text, group=text),
        Mark(of_group, 1.0, 100.0),
        Mark(Owner(text), 1.0, 100.0, unsettled=text),
    ]
    for done in (tables.plain(marks), tables.grades(marks)):
        assert [cell for cell in cells_in(done.content.decode("utf-8-sig")) if starts_formula(cell)] == []


for payload in PAYLOADS:
    example(payload)(test_no_text_is_a_formula_in_a_table_of_ours_whichever_way_it_is_divided)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_no_comment_is_a_formula_in_moodles_sheet_and_students_read_it_unchanged(text: str) -> None:
    comment = html_cell(as_html(text))
    assert [part for part in re.split(r"[,;|\t\r\n]", comment) if starts_formula(part)] == []
    assert html.unescape(comment) == html.unescape(as_html(text))
    assert '"' not in comment
    assert not comment.startswith(tuple(FORMULA))


for payload in PAYLOADS:
    example(payload)(test_no_comment_is_a_formula_in_moodles_sheet_and_students_read_it_unchanged)


HEAD = ("Identifier", "Full name", "Grade", "Maximum Grade", "Feedback comments", "Online text")


def table(rows: Sequence[Sequence[str]], delimiter: str, quoting: int, end: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()


def read(text: str, delimiter: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


DIALECTS = list(itertools.product(",;\t", (csv.QUOTE_MINIMAL, csv.QUOTE_ALL), ("\n", "\r\n")))
OTHERS = st.text(st.sampled_from("ab=é,;\t \"'\n<"), max_size=8)


@pytest.mark.parametrize(("delimiter", "quoting", "end"), DIALECTS)
@settings(max_examples=15, deadline=None)
@given(names=st.lists(OTHERS, min_size=1, max_size=4), feedback=TEXTS, texts=st.lists(OTHERS, min_size=4, max_size=4))
def test_a_reader_of_csv_finds_what_was_written_and_everything_else_as_it_was(
    delimiter: str, quoting: int, end: str, names: list[str], feedback: str, texts: list[str]
) -> None:
    rows = [[f"Participant {n}", name, "", "100.00", "", texts[n]] for n, name in enumerate(names)]
    template = table([HEAD, *rows], delimiter, quoting, end)
    marks = [Mark(Owner("", str(n), "moodle"), 12.5 + n, 100.0, feedback=feedback) for n in range(0, len(rows), 2)]
    done = moodle.fill(marks, template.encode())
    assert (done.left, done.filled) == ((), len(marks))
    found = read(done.content.decode(), delimiter)
    expected = read(template, delimiter)
    for n in range(0, len(rows), 2):
        expected[n + 1][2] = f"{12.5 + n:.2f}"
        expected[n + 1][4] = html_cell(as_html(feedback))
    assert found == expected


@pytest.mark.parametrize(("delimiter", "quoting", "end"), DIALECTS)
@settings(max_examples=15, deadline=None)
@given(
    names=st.lists(OTHERS, min_size=1, max_size=4), texts=st.lists(OTHERS, min_size=4, max_size=4), bom=st.booleans()
)
def test_canvas_gets_its_own_bytes_back_but_for_one_column(
    delimiter: str, quoting: int, end: str, names: list[str], texts: list[str], bom: bool
) -> None:
    head = ("Student", "ID", "Section", "Essay (55)", "A7 (56)", "Final (read only)")
    marked = {str(1000 + n) for n in range(0, len(names), 2)}

    def content(grades: bool) -> bytes:
        rows = [[name, str(1000 + n), texts[n], "7.5", "91.5" if grades and str(1000 + n) in marked else "", texts[-n]]
                for n, name in enumerate(names)]  # fmt: skip
        if quoting == csv.QUOTE_ALL:
            text = table([head, *rows], delimiter, quoting, end)
        else:
            text = table([head, *rows], delimiter, csv.QUOTE_MINIMAL, end)
        return ("\ufeff" if bom else "").encode() + text.encode()

    marks = [Mark(Owner("", number, "canvas"), 91.5, 100.0) for number in sorted(marked)]
    done = canvas.fill(marks, content(False), Choices(assignment="56"))
    assert (done.left, done.filled) == ((), len(marked))
    assert done.content == content(True)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 400), st.integers(0, 12), TEXTS)
@example(230, 8, "")
def test_a_damaged_sheet_is_refused_or_changes_nowhere_else(place: int, length: int, damage: str) -> None:
    """Whatever happens to a sheet: what is written differs from it in cells of the two columns only."""
    rows = [[f"Participant {n}", f"Name {n}", "", "100.00", "", "x, y"] for n in range(101, 105)]
    whole = table([HEAD, *rows], ",", csv.QUOTE_MINIMAL, "\r\n")
    text = whole[:place] + damage + whole[place + length :]
    marks = [Mark(Owner(f"Name {n}", str(n), "moodle"), 50.25, 100.0, feedback="good") for n in range(101, 105)]
    try:
        done = moodle.fill(marks, text.encode("utf-8", "surrogatepass"))
    except TemplateError:
        return
    written, added = re.subn(r"50[.,]25|<p>good</p>", "", done.content.decode("utf-8", "surrogatepass"))
    assert added <= 2 * done.filled
    # cells of blanks have been filled, and a row that ended too early has got the separators that it lacked
    assert re.sub(r"[,\s]", "", written) == re.sub(r"[,\s]", "", text)
