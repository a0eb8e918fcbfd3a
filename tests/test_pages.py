"""Pages: what they say is in plain records, what a submission wrote never becomes markup, and they stay small."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from grader.check.outcome import Outcome
from grader.check.shown import show, show_both
from grader.classes.people import Owner
from grader.cli import main as cli
from grader.report.model import Report
from grader.report.names import folder_name
from grader.report.pages import analysis, classroom, environment, student
from grader.report.pages.aliases import aliases
from grader.report.pages.heat import Heat, heat, numbers, scale_of
from grader.report.pictures.values import Picture
from grader.report.write import report_files
from grader.rubric import CHECKS, QUESTIONS

from .made_reports import EVIL, a_class, all_wrong, report_of, strange, wrong
from .made_run import BY_ID, made, made_run

VOID = {"meta", "br", "img", "input", "rect", "line", "hr"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
FIRST = "q1.pmf.expectation"
HIDDEN = next(check for check in CHECKS if check.visibility == "hidden")
PUBLIC = next(check for check in CHECKS if check.question == 4 and check.visibility == "public")


class Reader(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.sources: dict[str, str] = {}
        self.feed(page)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] in (["style"], ["script"]):
            self.sources[self.open[-1]] = self.sources.get(self.open[-1], "") + data
        else:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


# ---- small tensors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [
    torch.tensor([1.5, -2.0]), torch.tensor([[1.0, 2.0], [3.0, math.nan]], dtype=torch.float64), torch.arange(24).reshape(2, 3, 4),
    torch.tensor([True, False]), torch.tensor([[[[math.inf, -math.inf]]]]), torch.tensor([1e-30, 2e22, 0.0]),
], ids=str)  # fmt: skip
def test_a_small_tensor_is_read_back_from_its_text(value: torch.Tensor) -> None:
    found = numbers(show(value))
    assert found is not None
    assert found.shape == tuple(value.shape)
    assert found.values == pytest.approx(value.double().flatten().tolist(), rel=1e-5, nan_ok=True)
    assert found.kind == str(value.dtype).removeprefix("torch.")
    assert numbers(show(value) + " (off by up to 3)") == found._replace(remark="off by up to 3")


@pytest.mark.parametrize("text", [
    "3.5", "[1.0, 2.0]", "[1.0, 2.0] float64(3,)", "[[1.0, 2.0] float64(1, 2)", "[[1.0], [2.0]] float64(1, 2)",
    "returned [1.0, 2.0] float64(2,)", "[1.0, 2.0, ] float64(2,)", "[(1+2j), (1+0j)] complex64(2,)", "[1.0, x] float64(2,)",
    show(torch.arange(25.0).view(5, 5)), "[1.0, 2.0] float64(2,); and more", "[" * 5000 + "] float64(2,)", "[１.0, 2.0] float64(2,)",
    f"[{', '.join(['1.0'] * 999)}] float64(999,)", "",
])  # fmt: skip
def test_anything_else_stays_text(text: str) -> None:
    assert numbers(text) is None


def drawn(value: torch.Tensor) -> Heat:
    found = numbers(show(value))
    assert found is not None
    return heat(found, scale_of(found))


def test_colours_follow_the_sign_and_the_size() -> None:
    [plane] = drawn(torch.tensor([[4.0, 2.0, 0.0], [-0.1, -4.0, math.nan]])).planes
    assert [[cell.shade for cell in row.cells] for row in plane.rows] == [["p4", "p2", "z"], ["n1", "n4", "x"]]
    assert [row.place for row in plane.rows] == ["0", "1"]
    assert {cell.shade for row in drawn(torch.zeros(2, 2)).planes[0].rows for cell in row.cells} == {"z"}


def test_a_vector_is_broken_into_lines_and_more_axes_into_tables() -> None:
    [plane] = drawn(torch.arange(8)).planes
    assert [(row.place, len(row.cells)) for row in plane.rows] == [("0", 6), ("6", 2)]
    assert [plane.at for plane in drawn(torch.arange(8).reshape(2, 1, 2, 2)).planes] == ["[0, 0]", "[1, 0]"]
    assert not drawn(torch.tensor([1.0, 2.0])).wide
    assert drawn(torch.arange(12.0).reshape(1, 12)).wide


def test_two_sides_share_their_colours_and_show_which_numbers_differ() -> None:
    expected, actual = show_both(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 2.0], [3.0, 8.0]]))
    left, right = student.sides({"expected": expected, "actual": actual}, 1000)
    assert left.heat is not None
    assert right.heat is not None
    assert [cell.off for row in right.heat.planes[0].rows for cell in row.cells] == [False, False, False, True]
    assert not any(cell.off for row in left.heat.planes[0].rows for cell in row.cells)
    assert [cell.shade for cell in left.heat.planes[0].rows[1].cells] == ["p2", "p2"]
    [only] = student.sides({"actual": "missing"}, 1000)
    assert (only.label, only.text, only.heat) == ("actual", "missing", None)


def page_of(report: Report) -> student.Page:
    return student.page_of(report, student.told_of(report))


# ---- the report of one submission -----------------------------------------------------------------------------------


def test_the_next_step_is_the_first_failure_worth_reading_and_stands_on_top() -> None:
    found = {
        "q1.pmf.errors": Outcome(BY_ID["q1.pmf.errors"], "error", 0.0, "ours"),
        "q2.standard.value": wrong(BY_ID["q2.standard.value"]),
        PUBLIC.id: Outcome(PUBLIC, "unimplemented", 0.0, "not implemented (Question 4: autoencoders.Autoencoder)"),
    }  # fmt: skip
    report = report_of(found)
    page = page_of(report)
    first = page.steps[0]
    assert (first.anchor, first.question, first.think) == (
        "q2.standard.value",
        "Question 2",
        "Which axis did you sum over?",
    )
    assert [step.what for step in page.steps][-1] == "autoencoders.Autoencoder is not written yet"
    html = student.render(report)
    assert html.index("What to do next") < html.index("Points by question") < html.index('id="question-1"')
    assert page_of(report_of({})).done == "All checks passed."


def test_a_failed_check_is_told_with_its_call_inputs_and_both_sides() -> None:
    page = Reader(student.render(report_of({FIRST: wrong(BY_ID[FIRST])})))
    [card] = [card for part in page_of(report_of({FIRST: wrong(BY_ID[FIRST])})).parts for card in part.cards]
    assert [one.label for one in card.inputs] == ["x", "weights", "k"]
    assert [one.heat is not None for one in card.inputs] == [True, True, False]
    assert [one.label for one in card.sides] == ["expected", "actual"]
    for words in (BY_ID[FIRST].asks, "what came back is wrong", card.call, "exactly twice the expected", "step 1 step 2",
                  "Which axis did you sum over?", "0 / 0.25"):  # fmt: skip
        assert words in page.words, words
    assert page.words.count("differs") == 1
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(headings, headings[1:], strict=False))


def test_what_passed_is_a_line_of_each_question_and_what_was_not_judged_is_no_zero() -> None:
    found = {c.id: Outcome(c, "not_run", 0.0) for c in CHECKS if c.kind == "trained"}
    page = page_of(report_of(found))
    question = QUESTIONS[2]
    [part] = [part for part in page.parts if part.anchor == "question-3"]
    passed = [c for c in question.checks if c.kind != "trained"]
    assert [fold.label.split(" (")[0] for fold in part.folds] == ["Passed", "Not run"]
    assert [line.title for line in part.folds[0].lines] == [c.title for c in passed]
    assert part.bar.open == pytest.approx(
        100 * sum(c.points for c in question.checks if c.kind == "trained") / question.points
    )
    assert part.bar.earned + part.bar.open == pytest.approx(100, abs=0.02)
    trained = sum(c.points for c in CHECKS if c.kind == "trained" and not c.bonus)
    assert (page.score, page.of) == (f"{100 - trained:g}", f"of {100 - trained:g} points judged")


def test_hidden_checks_show_their_title_and_status_only() -> None:
    secret = Outcome(HIDDEN, "failed", 0.0, "SECRET", "SECRET?", "SECRET", "SECRET", {"SECRET": "SECRET"}, "SECRET",
                     looks="SECRET", call="SECRET")  # fmt: skip
    missing = {
        c.id: Outcome(c, "unimplemented", 0.0, "no (Question 3: pca.SECRET)")
        for c in CHECKS
        if c.visibility == "hidden"
    }
    pictures = [Picture(HIDDEN.question, HIDDEN.id, "SECRET", "SECRET", PNG, "")]
    for found in ({HIDDEN.id: secret}, missing):
        page = Reader(student.render(report_of(found), pictures)).words
        assert "SECRET" not in page
        assert HIDDEN.title in page


def test_pictures_stand_under_their_question_or_say_why_not() -> None:
    large = b"x" * student.PICTURE_BYTES
    pictures = [
        Picture(8, "q8.trained.vae", "Samples <b>", "ten digits \"drawn\"", PNG, ""),
        Picture(8, "q8.trained.vae", "Latents", "", b"", "the model gave NaN <i>"),
        Picture(4, "q4.trained.ae", "Too large", "", large, ""),
    ]  # fmt: skip
    html = student.render(report_of({}), pictures)
    page = Reader(html)
    [(_, image)] = [one for one in page.elements if one[0] == "img"]
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == PNG
    assert image["alt"] == 'ten digits "drawn"'
    assert "Not drawn: the model gave NaN <i>" in page.words
    assert "Not drawn: there is no room for it in this page" in page.words
    part = html[html.index('id="question-8"') : html.index('id="question-9"')]
    assert "Samples &lt;b&gt;" in part


def test_a_report_says_how_it_was_graded_and_what_was_given_by_hand() -> None:
    words = Reader(student.render(strange("plain", "ann"))).words
    for said in ("digits (asked for)", "Seed 7", "no box", "torch", "0.25 instead of 0 points", "rubric hash"):
        assert said in words, said
    assert "The grader failed on" in words


# ---- whatever a submission says -------------------------------------------------------------------------------------


def pages_of_the_strange() -> dict[str, str]:
    return {"report": student.render(strange(), [Picture(1, FIRST, EVIL, EVIL, PNG, ""), Picture(1, FIRST, EVIL, EVIL, b"", EVIL)]),
            "class": classroom.render([strange(), strange(), report_of({})]),
            "anonymous": classroom.render([strange(), strange()], aliases=["Student a", "Student b"])}  # fmt: skip


@pytest.mark.parametrize("kind", ["report", "class", "anonymous"])
def test_nothing_that_was_handed_in_becomes_markup_script_or_reference(kind: str) -> None:
    html = pages_of_the_strange()[kind]
    plain = {"report": student.render(strange("plain", "ann"), [Picture(1, FIRST, "t", "a", PNG, ""), Picture(1, FIRST, "t", "a", b"", "m")]),
             "class": classroom.render([strange("plain", "ann"), strange("plain", "ann"), report_of({})]),
             "anonymous": classroom.render([strange("plain", "ann")] * 2, aliases=["Student a", "Student b"])}[kind]  # fmt: skip
    page, usual = Reader(html), Reader(plain)
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in usual.elements}
    assert {name for _, given in page.elements for name in given} <= {
        name for _, given in usual.elements for name in given
    }
    assert not [name for _, given in page.elements for name in given if name.startswith("on") or name == "style"]
    for tag, given in page.elements:
        target = given.get("href", given.get("src", "#"))
        own = target.startswith(("#", "data:image/png;base64,")) or re.fullmatch(r"[\w%.~-]+/report\.html", target)
        assert own, (tag, target)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e]", html)
    assert "49" not in re.findall(r"[{]*7[*]7[}]*|49(?=&#60;)", html)
    if kind == "report":
        assert "{{7*7}}" in page.words


@pytest.mark.parametrize("kind", ["report", "class", "anonymous"])
def test_a_browser_may_obey_our_own_style_and_script_and_nothing_else(kind: str) -> None:
    page = Reader(pages_of_the_strange()[kind])
    [policy] = [
        given["content"] for tag, given in page.elements if given.get("http-equiv") == "Content-Security-Policy"
    ]
    allowed = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    for name, tag in (("style-src", "style"), ("script-src", "script")):
        text = page.sources.get(tag)
        wanted = "'none'"
        if text is not None:
            wanted = f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        assert allowed[name] == wanted, name
    assert ("script" in page.sources) == (kind != "report")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "text",
    ["x" * 10**6, "<&\"'>" * 2000, "\U0001f600" * 5000, "\u202e" * 5000],
    ids=["long", "escaped", "wide", "unseen"],
)
def test_the_largest_report_stays_below_two_megabytes(text: str) -> None:
    outcomes = {
        check.id: replace(wrong(check), message=text, hint=text, looks=text, call=text, printed=text,
                          counterexample={f"{k}": text[:300] for k in range(50)}, expected=text, actual=text)
        for check in CHECKS
    }  # fmt: skip
    pictures = [Picture(8, "q8.trained.vae", text, text, b"x" * 300_000, "")] * 20
    html = student.render(report_of(outcomes, text), pictures)
    assert len(html.encode()) <= environment.MOST_BYTES
    Reader(html)


def test_sizes() -> None:
    assert len(student.render(all_wrong()).encode()) < 1_000_000
    whole = report_of({})
    assert len(student.render(whole).encode()) < 60_000
    unread = a_class(2)[-1]
    assert len(report_files(unread)["report.html"].encode()) < 8_000
    assert "a7.zip is damaged" in report_files(unread)["report.html"]
    large = classroom.render(a_class(300))
    assert len(large.encode()) <= environment.MOST_BYTES
    Reader(large)


# ---- figures of a class ---------------------------------------------------------------------------------------------


def test_discrimination_is_the_point_biserial_correlation() -> None:
    rest = np.arange(1.0, 11.0)
    upper = rest > 5
    # by hand: means 8 and 3, deviation sqrt(8.25), half of them pass: (8 - 3) / sqrt(8.25) * sqrt(0.5 * 0.5)
    assert analysis.discrimination(upper, rest) == pytest.approx(5 / math.sqrt(8.25) * 0.5)
    assert analysis.discrimination(~upper, rest) == pytest.approx(-5 / math.sqrt(8.25) * 0.5)
    assert analysis.discrimination(upper[1:], rest[1:]) is None, "nine are too few"
    assert analysis.discrimination(np.ones(10, bool), rest) is None
    assert analysis.discrimination(upper, np.full(10, 0.7)) is None


def test_figures_of_a_check_are_those_of_the_class_without_it() -> None:
    """Ten students; who passes the check has lost in another one what the check is worth: its own points do not count."""
    check, other = BY_ID["q1.pmf.variance"], BY_ID["q2.standard.value"]
    reports = []
    for number in range(10):
        found = {}
        if number >= 4:
            found[check.id] = Outcome(
                check, "partial" if number == 9 else "failed", 0.25 * (number == 9), "m", "h", duration_s=number
            )
        if number in (0, 1, 2, 9):
            found[other.id] = Outcome(other, "failed", 0.0, "m", "h")
        reports.append(report_of(found, f"s{number}"))
    figures = analysis.analysed(reports).checks[check.id]
    assert (figures.judged, figures.passed, figures.pass_rate) == (10, 4, 0.4)
    assert figures.mean_share == pytest.approx((4 + 0.5) / 10)
    # rest lost by 3 of 4 who pass and 1 of 6 who do not: phi = (0.25 - 0.8333) * sqrt(.4 * .6) / sqrt(.6 * .4)
    assert figures.discrimination == pytest.approx(0.25 - 5 / 6)
    assert figures.median_s == 4.5
    assert figures.longest_s == 9
    assert figures.flag == analysis.GOOD_FAIL
    question = analysis.analysed(reports).questions[1]
    assert (question.judged, question.passed) == (10, 4)
    assert question.mean_share == pytest.approx(1 - (5 * 0.5 + 0.25) / 10 / 6)


@pytest.mark.parametrize(("count", "passed", "told", "flag"), [
    (10, 10, None, analysis.EVERYBODY), (10, 0, None, analysis.NOBODY), (2, 2, None, ""), (0, 0, None, ""),
    (10, 5, -0.2, analysis.GOOD_FAIL), (10, 5, 0.05, analysis.TELLS_LITTLE), (10, 5, 0.4, ""), (10, 9, -0.9, ""), (9, 5, None, ""),
])  # fmt: skip
def test_which_checks_somebody_should_look_at(count: int, passed: int, told: float | None, flag: str) -> None:
    assert analysis.flag(count, passed, told) == flag


def test_what_was_not_judged_or_read_is_not_counted() -> None:
    check = BY_ID[FIRST]
    reports = [report_of({FIRST: Outcome(check, "not_run", 0.0)}), report_of({FIRST: Outcome(check, "error", 0.0, "ours")}), report_of({}),
               a_class(2)[-1]]  # fmt: skip
    found = analysis.analysed(reports)
    assert found.checks[FIRST].judged == 1
    assert found.checks[CHECKS[1].id].judged == 3
    assert found.marks is not None
    assert (found.marks.size, list(found.marks.bins)) == (3, [0] * 9 + [3])
    assert analysis.analysed([]).marks is None


def test_marks_are_spread_over_tenths() -> None:
    found = analysis.spread([0, 9.99, 10, 55, 100])
    assert found is not None
    assert list(found.bins) == [2, 1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert found.mean == pytest.approx(34.998)
    assert (found.median, found.least, found.most) == (10, 0, 100)


def test_misconceptions_and_equal_failures_name_who_has_them() -> None:
    one, two = BY_ID[FIRST], BY_ID["q2.standard.value"]
    said = "raised at vae.py, line 3: x = 3"
    reports = [
        report_of({one.id: Outcome(one, "failed", 0.0, "off by 0.25", "Which axis?"), two.id: Outcome(two, "failed", 0.0, said, "Why?")}),
        report_of({one.id: Outcome(one, "failed", 0.0, "off by 3e-05", "Which axis?")}),
        report_of({one.id: Outcome(one, "failed", 0.0, "another", "Which axis?"), two.id: Outcome(two, "skipped", 0.0, said, "Why?")}),
        report_of({two.id: Outcome(two, "failed", 0.0, "raised at vae.py, line 99: y()", "Why?")}),
    ]  # fmt: skip
    found = analysis.analysed(reports)
    assert [(m.hint, list(m.who)) for m in found.misconceptions] == [("Which axis?", [0, 1, 2]), ("Why?", [0, 3])]
    assert [(c.example.check.id, list(c.who)) for c in found.clusters] == [(one.id, [0, 1]), (two.id, [0, 3])]


# ---- the page of a class --------------------------------------------------------------------------------------------


def course(reports: list[object]) -> classroom.Page:
    return classroom.Course(reports, analysis.analysed(reports)).page()  # type: ignore[arg-type]


def test_the_table_of_students_links_to_their_reports() -> None:
    reports = [report_of({}, "Jane Doe_12", Owner("Jane Doe", "12", "moodle", also={"section": "B2"})), report_of({FIRST: wrong(BY_ID[FIRST])}, "ann"),
               a_class(2)[-1]]  # fmt: skip
    page = course([*reports])
    assert [(row.who.name, row.id, row.section, row.score) for row in page.rows] == [
        ("ann", "", "", "99.75"), ("Jane Doe", "12", "B2", "100"), ("Zoe Broken", "", "", "0"),
    ]  # fmt: skip
    assert page.rows[1].who.link == "Jane%20Doe_12/report.html"
    assert page.rows[2].tags == ["not read"]
    assert [group.text for group in page.asked] == ["Which axis did you sum over?"]
    assert [one.who.name for one in page.unread] == ["Zoe Broken"]


def test_accidents_and_points_by_hand_are_listed() -> None:
    page = course([strange("plain", "ann"), report_of({})])
    assert [one.status for one in page.accidents] == [
        "timed out",
        "out of memory",
        "crashed",
        "beyond a limit",
        "broke the protocol",
        "GRADER ERROR",
    ]
    assert [(one.who.name, one.text.split(":")[0]) for one in page.by_hand] == [
        ("ann", "0.25 instead of 0 points, plain, 2026-11-30 00")
    ]


def test_pseudonyms_hide_names_and_order_and_stay() -> None:
    keys = [f"name:{number}" for number in range(500)]
    names = aliases(keys, b"s" * 32)
    assert len(set(names)) == 500
    assert names == aliases(keys, b"s" * 32)
    assert set(names).isdisjoint(aliases(keys, b"t" * 32))
    ranks = np.argsort(np.argsort(names))
    assert abs(np.corrcoef(ranks, np.arange(500))[0, 1]) < 0.2
    few = aliases(keys[:50], b"s" * 32)
    assert few == names[:50], "who comes later changes nobody's"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    people = ("Jane Doe", "Bob Roe", "Ann Lee")
    return made_run(tmp_path / "reports", [made(name, {"q2.standard.value": Outcome(
        BY_ID["q2.standard.value"], "failed", 0.0, f"raised by {name}", "Why?", f"{name} was here", name)}) for name in people])  # fmt: skip


Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    def command(*words: object) -> tuple[int, str, str]:
        code = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        return code, " ".join(said.out.split()), " ".join(said.err.split())

    return command


def test_the_page_can_be_written_elsewhere_with_links_that_lead_to_the_reports(
    run: Path, tmp_path: Path, typed: Typed
) -> None:
    file = tmp_path / "for me" / "course.html"
    code, said, _ = typed("page", run, "--file", file)
    assert (code, "3 submissions" in said) == (0, True)
    targets = [
        given["href"]
        for tag, given in Reader(file.read_text()).elements
        if tag == "a" and "report.html" in given["href"]
    ]
    assert len(targets) >= 3
    for target in targets:
        assert (file.parent / target.replace("%20", " ")).is_file()
    assert file.stat().st_mode & 0o077 == 0
    inside = run / "other.html"
    assert typed("page", run, "--file", inside)[0] == 0
    assert inside.read_text() == (run / "class.html").read_text()


def test_an_anonymous_page_names_nobody_and_is_the_same_each_time(run: Path, tmp_path: Path, typed: Typed) -> None:
    file = tmp_path / "anonymous.html"
    assert typed("page", run, "--file", file, "--anonymous")[0] == 0
    first = file.read_text()
    for name in ("Jane", "Doe", "Bob", "Ann Lee", "report.html", folder_name("Jane Doe")):
        assert name not in first, name
    assert len(set(re.findall(r"Student [0-9a-f]{6}", first))) == 3
    rows = re.findall(r'<th scope="row">(Student [0-9a-f]+)</th>', first)
    assert rows == sorted(rows)
    assert typed("page", run, "--file", file, "--anonymous")[0] == 0
    assert file.read_text() == first
    (run / ".a7-pseudonyms").write_bytes(b"short")
    code, _, said = typed("page", run, "--file", file, "--anonymous")
    assert (code, "the next page will have other names" in said) == (0, True)


@pytest.mark.parametrize(("file", "why"), [
    ("reports/class.html", "one of the run's own files"), ("reports/gradebook.csv", "name of a page"), ("reports/Jane Doe/mine.html", "which a student gets"),
    ("page.txt", "name of a page"), ("reports", "name of a page"), ("reports/Jane Doe/report.html", "which a student gets"),
])  # fmt: skip
def test_where_the_page_may_not_lie(run: Path, tmp_path: Path, typed: Typed, file: str, why: str) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*.*")}
    code, _, said = typed("page", run, "--file", tmp_path / file)
    assert code == 2
    assert why in said
    assert {path: path.read_bytes() for path in run.rglob("*.*")} == before


def test_a_run_without_reports_or_a_place_that_cannot_be_written(tmp_path: Path, run: Path, typed: Typed) -> None:
    assert typed("page", tmp_path, "--file", tmp_path / "a.html")[0] == 2
    (tmp_path / "file").write_text("")
    code, _, said = typed("page", run, "--file", tmp_path / "file" / "a.html")
    assert (code, "give another place" in said) == (3, True)
    empty = made_run(tmp_path / "empty", [replace(made("ann"), unfinished=True)])
    code, _, said = typed("page", empty, "--file", tmp_path / "a.html")
    assert (code, "holds no report yet" in said) == (2, True)


def test_report_json_says_what_it_said_before() -> None:
    """The page is one more file: what machines read is as it was."""
    files = report_files(all_wrong())
    assert list(files) == ["report.json", "report.md", "report.html", "junit.xml", "results.json"]
    assert "html" not in json.loads(files["report.json"])
