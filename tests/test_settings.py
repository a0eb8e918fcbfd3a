"""The configuration: whatever is wrong in it is said at once, with its line and what to do."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.cli.settings import SettingsError, read_settings
from grader.cli.settings_sense import TOTAL, check_ids
from grader.cli.toml_lines import lines_of, paths
from grader.rubric import CHECKS, QUESTIONS

from .conftest import ROOT

GOOD = """\
[deadline]
due = 2026-11-30T23:59:00
timezone = "America/Edmonton"

[late]
per_day = 10        # percent of the maximum
cap = 50
grace_minutes = 15
extensions = "extensions.csv"

[weights]
1 = 5
q2 = 9
3 = 8
4 = 12
5 = 8
6 = 10
7 = 14
8 = 16
9 = 5
10 = 13
bonus = 10

[visibility]
q1.any = "hidden"
"q2" = "public"

[export]
feedback = "short"
assignment = 56

[export.columns]
grade = "Punkte"
"""


def written(folder: Path, text: str, extensions: str | None = "student,days\n101,2\n") -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    if extensions is not None:
        (folder / "extensions.csv").write_text(extensions, encoding="utf-8")
    return path


def mistakes(folder: Path, text: str, **more: Any) -> list[tuple[int, str]]:
    with pytest.raises(SettingsError) as caught:
        read_settings(written(folder, text, **more))
    return [(mistake.line, mistake.what) for mistake in caught.value.mistakes]


def test_a_good_configuration(tmp_path: Path) -> None:
    name = check_ids()[0]
    text = GOOD.replace("q1.any", name)
    found = read_settings(written(tmp_path, text))
    assert found.policy is not None
    assert found.policy.due == datetime(2026, 11, 30, 23, 59, tzinfo=timezone(timedelta(hours=-7)))
    assert (found.policy.per_day, found.policy.cap, found.policy.grace) == (10, 50, timedelta(minutes=15))
    assert [(one.student, one.until - found.policy.due) for one in found.extensions] == [("101", timedelta(days=2))]
    assert sum(value for key, value in found.weights.items() if key != "bonus") == 100
    assert found.weights["2"] == 9
    assert found.visibility == {name: "hidden", "2": "public"}
    assert found.export.assignment == 56
    assert found.export.columns.grade == "Punkte"
    assert read_settings(written(tmp_path, text.replace("\n", "\r\n"))) == found
    assert read_settings(written(tmp_path, "\ufeff" + text)) == found


def test_nothing_is_late_and_nothing_weighed_unless_it_is_configured(tmp_path: Path) -> None:
    found = read_settings(written(tmp_path, ""))
    assert found.policy is None
    assert (found.weights, found.visibility) == ({}, {})
    only = read_settings(written(tmp_path, "[deadline]\ndue = 2026-11-30T23:59:00Z\n"))
    assert only.policy is None
    assert only.zone == UTC


def test_a_deadline_in_utc_is_in_the_zone_that_is_named(tmp_path: Path) -> None:
    text = '[deadline]\ndue = 2026-11-01T05:59:00Z\ntimezone = "America/Edmonton"\n[late]\nper_day = 10\n'
    found = read_settings(written(tmp_path, text + 'extensions = "extensions.csv"\n', "student,days\n101,1\n"))
    assert found.policy is not None
    assert found.policy.due.isoformat() == "2026-10-31T23:59:00-06:00"
    assert [one.until.isoformat() for one in found.extensions] == ["2026-11-01T23:59:00-07:00"]


def test_what_is_repeated_here_is_the_rubrics() -> None:
    assert sorted(check_ids()) == sorted(check.id for check in CHECKS)
    assert sum(question.points for question in QUESTIONS if question.number) == TOTAL


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("[late\n", 1, "this is no TOML"),
        ("a = 1\na = 2\n", 2, "this is no TOML"),
        ('[late]\nper_day = "x\n', 2, "this is no TOML"),
        ("[lates]\nper_day = 1\n", 1, "there is no lates; did you mean late?"),
        ("\n[late]\nper_dya = 1\nper_day = 2\n", 3, "there is no late.per_dya; did you mean per_day?"),
        ("[export]\n\nxyz = 1\n", 3, "there is no export.xyz; use feedback, bonus"),
        ('[export.columns]\ngrades = "x"\n', 2, "there is no export.columns.grades; did you mean grade?"),
        ('[late]\nper_day = "10%"\n', 2, "late.per_day is '10%': give a number, without quotes and percent signs"),
        ("[late]\nper_day = true\n", 2, "late.per_day is True: give a number"),
        ("[late]\nper_day = -1\n", 2, "late.per_day is -1: give a number from 0"),
        ("[late]\nper_day = nan\n", 2, "late.per_day is nan: give a number"),
        ("[late]\nper_day = 101\n", 2, "late.per_day is 101 percent: give at most 100"),
        ("[late]\nper_day = 10\ncap = 5\n", 3, "less than one day's 10"),
        ("[late]\ncap = 5\n", 1, "late.per_day is missing: add it"),
        ("[late]\nper_day = 10\n", 1, "[late] needs a deadline: add [deadline]"),
        ('[late]\nper_day = 1\nunit = "percents"\n', 3, 'late.unit is \'percents\': use "percent" or "points"'),
        ("late = 3\n", 1, "late is 3: give a table"),
        ("[deadline]\n", 1, "deadline.due is missing"),
        ("[deadline]\ndue = 2026-11-30T23:59:00\n", 2, "does not say its time zone"),
        ("[deadline]\ndue = 2026-11-30\n", 2, "without a time of the day: write 2026-11-30T23:59:00"),
        ('[deadline]\ndue = "2026-11-30 23:59"\n', 2, "give a time without quotes"),
        ("[deadline]\ndue = 0026-11-30T23:59:00Z\n", 2, "in the year 26"),
        ("[deadline]\ndue = 2026-11-31T23:59:00Z\n", 2, "this is no TOML"),
        ('[deadline]\ndue = 2026-11-30T23:59:00\ntimezone = "America/Edmontn"\n', 3, "did you mean America/Edmonton?"),
        ('[deadline]\ndue = 2026-11-30T23:59:00\ntimezone = "../etc"\n', 3, "there is no time zone"),
        ('[deadline]\ndue = 2026-03-08T02:30:00\ntimezone = "America/Edmonton"\n', 2, "does not exist, as the clocks go forward then: write another time, 2026-03-08 03:30-06:00"),
        ('[deadline]\ndue = 2026-11-01T01:30:00\ntimezone = "America/Edmonton"\n', 2, "comes twice, as the clocks go back then: say which is meant"),
        ('[deadline]\ndue = 2026-07-01T23:59:00-07:00\ntimezone = "America/Edmonton"\n', 2, "2026-07-01 23:59-07:00 is 2026-07-02 00:59-06:00 in America/Edmonton"),
        ('[visibility]\nq1 = "hiden"\n', 2, 'visibility.q1 is \'hiden\': use "public" or "hidden"'),
        ('[visibility]\n"q2.standard.valu" = "hidden"\n', 2, "there is no check or question 'q2.standard.valu'; did you mean q2.standard.value?"),
        ('[visibility]\n\nq2.standard.valu = "hidden"\n', 3, "there is no check or question 'q2.standard.valu'; did you mean q2.standard.value?"),
        ('[visibility]\nq11 = "hidden"\n', 2, "there is no check or question 'q11'"),
        ("[weights]\n1 = 100\n", 1, "weights has none for 2, 3, 4"),
        ("[weights]\n11 = 100\n", 2, "there is no question '11'; did you mean"),
        ("[weights]\n1 = 100\nq1 = 2\n", 3, "weights has question 1 twice"),
        ("[weights]\n" + "".join(f"{n} = 9\n" for n in range(1, 11)), 1, "add up to 90: they have to add up to 100"),
        ("[export]\nassignment = true\n", 2, "export.assignment"),
        ("[export]\nscale = 1\n", 2, "export.scale is 1: give true or false"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_line_and_a_remedy(tmp_path: Path, text: str, line: int, told: str) -> None:
    found = mistakes(tmp_path, text)
    assert [at for at, what in found if told in what] == [line], found


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("per_day = 10 ", "per_dya = 10").replace("cap = 50", 'cap = "half"').replace("1 = 5", "1 = 6")
    text = text.replace("Edmonton", "Edmont").replace('"short"', '"brief"')
    found = mistakes(tmp_path, text)
    assert {line for line, _ in found} >= {3, 5, 6, 7, 11, 25, 29}


def test_mistakes_in_the_table_of_extensions_have_its_name(tmp_path: Path) -> None:
    text = GOOD.replace("q1.any", check_ids()[0])
    bad = "student,days\n101,two\n102,1\n102,2\n"
    with pytest.raises(SettingsError) as caught:
        read_settings(written(tmp_path, text, bad))
    assert [(Path(m.file).name, m.line) for m in caught.value.mistakes] == [
        ("extensions.csv", 2),
        ("extensions.csv", 4),
    ]
    (tmp_path / "extensions.csv").unlink()
    [(line, told)] = mistakes(tmp_path, text, extensions=None)
    assert line == 9
    assert "no such file" in told


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 300_000])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(SettingsError):
        read_settings(tmp_path / "config.toml")
    with pytest.raises(SettingsError, match="no such file"):
        read_settings(tmp_path / "other.toml")


def test_the_configuration_is_read_without_torch() -> None:
    code = "import sys, grader.cli.settings, grader.report.lms.moodle; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


LINES = """\
title = 'a'

[a.b]   # opens both
c.d = 1
list = [
  1,
  { e = 2 },
]
text = '''
[not.a.table]
x = 1
'''
"quoted.key" = { in = { line = 1 } }
[[many]]
k = 1
[[many]]
k = 2
[many.deep]
z = 1
"""


def test_lines_of_keys() -> None:
    lines = lines_of(LINES)
    assert lines[("title",)] == 1
    assert lines[("a",)] == lines[("a", "b")] == 3
    assert lines[("a", "b", "c", "d")] == 4
    assert lines[("a", "b", "list", 1, "e")] == 5
    assert lines[("a", "b", "text")] == 9
    assert lines[("a", "b", "quoted.key", "in", "line")] == 13
    assert (lines[("many", 0, "k")], lines[("many", 1, "k")]) == (15, 17)
    assert lines[("many", 1, "deep", "z")] == 19
    assert lines.keys() == set(paths(tomllib.loads(LINES))) | {("many", 0), ("many", 1)}


KEYS = st.sampled_from(["a", "b", '"x.y"', "a.b", "'#'"])
VALUES = st.sampled_from(["1", '"[a]"', "[\n1,\n2 # ]\n]", "'''\n[x]\ny = 1\n'''", "{ a = 1 }", "2026-01-01T00:00:00Z"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(KEYS, VALUES) | st.sampled_from(["[t]", "[t.u]", "[[l]]", "", "# c"]), max_size=8))
def test_every_key_of_whatever_is_valid_has_a_line(parts: list[tuple[str, str] | str]) -> None:
    text = "\n".join(part if isinstance(part, str) else f"{part[0]} = {part[1]}" for part in parts)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = lines_of(text)
    assert set(paths(content)) <= lines.keys()
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
