"""Exports of Gradescope as they really arrive. Every mark has its owner, and nobody is guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from grader.classes.ingest import read_class

from .handed_in import MODULES, mapped, work, written
from .twelve import FORMS, expected, gradescope_files


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("top", ["", "assignment_4711_export/"])
def test_gradescopes_twelve(tmp_path: Path, form: str, top: str) -> None:
    reading = read_class([FORMS[form](tmp_path, gradescope_files(top))], MODULES)
    assert mapped(reading) == expected()
    jane = reading.submissions[0]
    assert jane.owner is not None
    assert jane.owner.also["email"] == "s1234567@x.ca"
    assert jane.owner.also["submission"] == "submission_7000"
    assert jane.arrival.at == datetime(2026, 11, 10, 17, 57, 36, 123456, UTC)
    assert set(reading.consulted) == {"submission_metadata.yml"}
    assert reading.passed_over == ()


def test_gradescopes_groups_and_people_without_numbers(tmp_path: Path) -> None:
    table = """---
submission_1:
  :submitters:
  - :name: Ann Lee
    :sid: '0012'
    :email: ann@x.ca
  - :name: Bo Li
    :sid: ''
    :email: BO@x.ca
  :created_at: !ruby/object:ActiveSupport::TimeWithZone
    utc: 2026-11-10 17:57:36.5 Z
    zone: &1 !ruby/object:ActiveSupport::TimeZone
      name: America/Edmonton
    time: 2026-11-10 10:57:36.5
submission_2:
  :submitters:
  - :name: Cy Ray
    :sid:
    :email: ~
  :created_at: 2026-11-10 10:57:36 -07:00
submission_3:
  :submitters:
  - :name: Cy Ray
    :email: cy2@x.ca
  :created_at: 2026-11-10 10:57:36
submission_4:
  :submitters: []
submission_5:
  :submitters:
  - :name: Gone Girl
    :sid: 5
submission_7:
  :submitters:
  - :name: Ann Lee
    :sid: '0012'
  :created_at: 2026-11-11 10:57:36 Z
submission_8:
  :submitters:
  - :name: Di Fu
    :sid: 8
  :created_at: 2026-11-11 10:57:36 Z
submission_9:
  :submitters:
  - :name: Di Fu
    :sid: 8
  :created_at: 2026-11-11 10:57:35 Z
"""
    files: dict[str, str | bytes] = {"submission_metadata.yml": table}
    for number in (1, 2, 3, 4, 6, 7, 8, 9):
        files |= work(str(number), f"submission_{number}/")
    reading = read_class([written(tmp_path / "assignment_1_export", files)], MODULES)
    assert mapped(reading) == {
        ("Ann Lee, Bo Li", "0012+bo@x.ca"): "1", ("Cy Ray", "submission_2"): "2", ("Cy Ray", "cy2@x.ca"): "3",
        ("submission_4", ""): "4", ("Gone Girl", "5"): "", ("submission_6", ""): "6", ("Ann Lee", "0012"): "7", ("Di Fu", "8"): "8",
    }  # fmt: skip
    rows = {s.owner.name + s.owner.id: s for s in reading.submissions if s.owner}
    group = rows["Ann Lee, Bo Li0012+bo@x.ca"]
    assert group.owner is not None
    assert group.owner.kind == "group"
    assert [(one.name, one.id) for one in group.owner.members] == [("Ann Lee", "0012"), ("Bo Li", "bo@x.ca")]
    assert group.arrival.at == datetime(2026, 11, 10, 17, 57, 36, 500000, UTC)
    assert rows["Cy Raysubmission_2"].arrival.at == datetime(2026, 11, 10, 17, 57, 36, 0, UTC)
    assert rows["Cy Raycy2@x.ca"].arrival.at is None
    assert rows["Gone Girl5"].fault.endswith("no such folder is there: download the submissions again")
    assert "nothing says whose submission_6 is" in rows["submission_6"].problems[-1]
    assert any(
        "Ann Lee is in several submissions of different groups (submission_1, submission_7)" in n for n in reading.notes
    )
    assert [(one.by, one.origin.rpartition("/")[2]) for one in reading.superseded] == [("Di Fu_8", "submission_9")]


@pytest.mark.parametrize("table", ["", "just text", "- 1\n- 2\n", "a: [", "\x00", "x: " + "[" * 20000, "x: !!python/object/apply:os.system [touch pwned]\n",
                                   "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "b\xff"])  # fmt: skip
def test_a_table_of_gradescope_that_cannot_be_read_names_nobody(tmp_path: Path, table: str) -> None:
    root = written(tmp_path, {**work("1", "submission_1/"), **work("2", "submission_2/")})
    (root / "submission_metadata.yml").write_bytes(table.encode("latin-1"))
    reading = read_class([root], MODULES)
    assert mapped(reading) == {("submission_1", ""): "1", ("submission_2", ""): "2"}
    assert all("nothing says whose" in s.problems[-1] for s in reading.submissions)
    assert not Path("pwned").exists()
