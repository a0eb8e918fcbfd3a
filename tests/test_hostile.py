"""Whatever a submission is called, prints, raises or returns: every renderer stays whole, and no terminal obeys it."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console

from grader.check.credit import Measurement
from grader.check.outcome import Outcome, Status
from grader.cli import terminal
from grader.cli.consoles import make_encodable
from grader.report import gradebook, gradescope, junit, markdown
from grader.report.model import Report, as_dict
from grader.report.printable import LONGEST_NAME, UNSEEN, name_of, one_line, printable, problems_of
from grader.report.write import to_json, write_gradebook, write_report
from grader.rubric import CHECKS, QUESTIONS

from .test_report import SCHEMA, report_of

STATUSES: tuple[Status, ...] = ("passed", "partial", "failed", "timeout", "memory", "crashed", "violation", "unimplemented",
                                "skipped", "not_run", "error")  # fmt: skip
NASTY = (
    "\x1b[2J\x1b]0;title\x07", "\x9b31m", "\x00", "\r\n# a heading\n", "\n\n---\n", "<img src=x onerror=alert(1)>",
    "[link](https://x.example)", "![i](x)", "https://x.example www.x.example a@x.example", "`", "``` \n", "`` ` ``", "~~~",
    "|", "\\", "\\`", "&lt;&#60;", "]]>", "<![CDATA[", "\ud800", "\udcff", "\ufeff", "\u202egnp.exe", "\u2066", "\u200b",
    "\u2028", "\x85", "=1+1", "\n=1+1", " =1+1", "\t@SUM(A1)", "＝1+1", "\u3000-1", "\xa0+1", "\ufeff=1", "[bold]x[/]",
    "[/]", "[link=file:///]", ":smile:", "é" * 30, "e" + "\u0301" * 50, "日本語" * 20, "x" * 3000, "\U0001f469\u200d\U0001f4bb",
    "* a\n* b", "1. a", "> quote", "$x$", "@everyone #1", '","', "'", "\t", "", " ",
)  # fmt: skip
TEXT = st.lists(st.sampled_from(NASTY) | st.text(max_size=8), max_size=4).map("".join)
FUZZ = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """Outcomes of all kinds, with texts that nobody has looked at."""
    texts = draw(st.lists(TEXT, min_size=7, max_size=12))
    outcomes: list[Outcome] = []
    for index, check in enumerate(CHECKS):
        status = STATUSES[(index + len(texts)) % len(STATUSES)]
        one = [texts[(index + k) % len(texts)] for k in range(7)]
        outcomes.append(Outcome(check, status, check.points if status == "passed" else 0.0, one[0], one[1], one[2], one[3],
                                {one[4]: one[5]}, one[6], {"m": Measurement(0.5, True, 0.1, 1.0)}, 0.25, one[0], one[1]))  # fmt: skip
    report = report_of(*outcomes, name=draw(TEXT))
    return Report(
        report.submission, tuple(draw(st.lists(TEXT, max_size=4))), report.outcomes, report.circumstances, 1.0
    )


def unseen(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in UNSEEN} - {"\n"}


@FUZZ
@given(reports())
def test_a_page_has_the_structure_that_we_gave_it(report: Report) -> None:
    text = markdown.render(report)
    assert not unseen(text)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    kinds = [token.type for token in tokens]
    assert kinds.count("heading_open") == 1 + len(QUESTIONS)
    assert kinds.count("table_open") == 1
    assert kinds.count("tr_open") == 1 + len(QUESTIONS)
    assert not {"html_block", "fence", "code_block", "hr", "blockquote_open", "ordered_list_open"} & set(kinds)
    inline = {child.type for token in tokens for child in token.children or ()}
    assert inline <= {"text", "code_inline", "strong_open", "strong_close", "softbreak", "text_special"}


@FUZZ
@given(reports())
def test_junit_and_json_are_well_formed(report: Report) -> None:
    root = ET.fromstring(junit.render(report).encode())
    assert len(root.findall(".//testcase")) == len(CHECKS)
    for value in [root.attrib["name"], *(e.attrib.get("message", "") + (e.text or "") for e in root.iter())]:
        assert not unseen(value)
    content: dict[str, Any] = json.loads(to_json(as_dict(report)).encode())
    jsonschema.validate(content, SCHEMA)
    sheet = json.loads(to_json(gradescope.render(report)).encode())
    assert len(sheet["tests"]) == sum(o.status != "not_run" for o in report.outcomes)
    for document in (content, sheet):
        for value in strings(document):
            assert not unseen(value)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@FUZZ
@given(reports())
def test_a_table_row_is_one_row_without_formulas(report: Report) -> None:
    rows = list(csv.reader(io.StringIO(gradebook.render([report, report]))))
    assert [len(row) for row in rows] == [len(gradebook.columns())] * 3
    for value in rows[1]:
        for part in value.split("; "):
            bare = unicodedata.normalize("NFKC", part).strip()
            assert not bare.startswith(("=", "+", "-", "@"))
        assert not unseen(value)


@FUZZ
@given(reports(), st.booleans(), st.sampled_from((80, 60)))
def test_a_terminal_shows_text_and_nothing_else(report: Report, verbose: bool, width: int) -> None:
    shows: list[Callable[[Console], None]] = [
        lambda console: terminal.print_check(console, report, verbose=verbose),
        lambda console: terminal.print_grades(console, [report], Path("out"), Path("out/g.csv"), verbose=verbose),
        lambda console: terminal.print_grades(console, [report, report], Path("out"), None, verbose=verbose),
    ]
    for show in shows:
        file = io.StringIO()
        show(Console(file=file, width=width, highlight=False))
        shown = file.getvalue()
        assert not unseen(shown)
        assert max(map(cell_len, shown.splitlines())) <= width
        shown.encode()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_no_encoding_of_a_terminal_ends_a_run(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    make_encodable(stream)
    hostile = "".join(NASTY)
    console = Console(file=stream, width=80, highlight=False)
    outcomes = [Outcome(check, "failed", 0.0, hostile, "warum · μ σ → ?", hostile) for check in CHECKS]
    terminal.print_check(console, report_of(*outcomes, name=hostile))
    terminal.print_grades(console, [report_of(*outcomes, name=hostile)] * 2, Path("aus·gabe"), Path("b"))
    stream.flush()
    assert b"public 0/110" in raw.getvalue()
    assert (b"\xc2\xb7" in raw.getvalue()) == (encoding == "utf-8")


@pytest.mark.parametrize("name", [*NASTY, "x" * 2_000_000, "\x1b" * 2_000_000, "a/../../b"])
def test_files_of_any_name(name: str, tmp_path: Path) -> None:
    folder = write_report(report_of(name=name), tmp_path)
    assert folder.parent == tmp_path
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000
    raw = write_gradebook([report_of(name=name)], tmp_path).read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfsubmission,"), "Excel needs the mark"
    assert len(raw) < 20_000


@given(st.text(max_size=300) | TEXT, st.integers(20, 200))
@example("x" * 10, 20)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_printable(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert not unseen(shown)
    assert "\n" not in one_line(text, limit)
    assert printable(shown, limit) == shown, "what is printable stays as it is"
    assert 0 < len(name_of(text)) <= LONGEST_NAME
    if text.isprintable() and len(text) <= limit and not any(unicodedata.combining(c) for c in text):
        assert shown == text


def test_problems_are_bounded_in_number_and_length() -> None:
    shown = problems_of(("x" * 100_000,) * 10_000)
    assert len(shown) < 50
    assert sum(map(len, shown)) < 30_000
    assert shown[-1] == f"and {10_000 - len(shown) + 1} more"
