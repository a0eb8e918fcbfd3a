"""`diff`, `show`, `override` on run folders that are made up: nothing is run here."""

from __future__ import annotations

import csv
import getpass
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from grader.check.outcome import Outcome
from grader.classes.ingest import Submission
from grader.classes.people import Owner
from grader.cli import main as cli
from grader.grading.graded import graded
from grader.grading.store import NAME, Kept, NoRoom, Store
from grader.report import write
from grader.report.lock import FolderLock
from grader.rubric import CHECKS

from .conftest import ROOT
from .made_run import UNDER, Made, contents, made, made_run, written
from .test_report import HOSTILE, SCHEMA

CHECK = next(c for c in CHECKS if c.id == "q2.standard.value")
SAYS = ["--comment", "seen in office hours", "--author", "tina"]
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Types a command: its exit code, what it prints and what it says on the way."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> tuple[int, str, str]:
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def failed(message: str = "it is wrong") -> Outcome:
    return Outcome(CHECK, "failed", 0.0, message, "why?", "1", "2", {"mu": "[0]"}, "line 1\nline 2\n",
                   call="kl_divergence(mu=[0.])", duration_s=0.25, asked=frozenset({"gaussians.kl_divergence"}))  # fmt: skip


def everybody() -> list[Made]:
    owner = Owner("José Núñez", "4711", "moodle", also={"email": "jose@example.org"})
    return [made("ann", {CHECK.id: failed()}), made("bob"),
            Made(Submission("José Núñez", {"gaussians": "# j\n"}, owner=owner), {CHECK.id: failed()})]  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return made_run(tmp_path / "run", everybody())


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "gradebook.csv").open(newline="", encoding="utf-8-sig") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


def entry(out: Path, name: str) -> dict[str, Any]:
    content = json.loads((out / name / "report.json").read_text())
    jsonschema.validate(content, SCHEMA)
    return next(c for c in content["checks"] if c["id"] == CHECK.id)


# ---- override -------------------------------------------------------------------------------------------------------


def test_points_given_by_hand_are_in_all_files_at_once_and_touch_nobody_else(typed: Typed, out: Path) -> None:
    before = contents(out)
    code, said, _ = typed("override", out, "ann", CHECK.id, "--points", "1", *SAYS)
    assert code == 0
    assert f"ann, {CHECK.id} (failed): 1 instead of 0 points, tina, " in " ".join(said.split())
    after = contents(out)
    assert after.keys() == before.keys()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {
        "gradebook.csv",
        "class.html",
        *(f"ann/{name}" for name in ("report.json", "report.md", "report.html", "junit.xml", "results.json")),
    }
    for name in changed:
        assert b"seen in office hours" in after[name], name
        assert b"tina" in after[name], name
    assert table(out)["ann"]["score"] == f"{100 - CHECK.points + 1}"
    assert entry(out, "ann")["override"]["instead_of"] == 0
    assert [one.report.score for one in graded(out)] == [100 - CHECK.points + 1, 100, 100 - CHECK.points]


def test_taking_points_back_leaves_everything_as_it_was(typed: Typed, out: Path) -> None:
    before = contents(out)
    assert typed("override", out, "ann", CHECK.id, "--points", "1", *SAYS)[0] == 0
    assert typed("override", out, "ann", CHECK.id, "--points", "0.5", *SAYS)[0] == 0
    code, said, _ = typed("override", out, "ann", CHECK.id, "--remove")
    assert code == 0
    assert "0.5 points by hand taken back; failed, 0 of" in " ".join(said.split())
    assert contents(out) == before
    _, listed, _ = typed("override", out, "--verbose")
    assert listed.count("taken back") == 2, "the history stays"
    assert "seen in office hours" in listed
    assert "no points were given by hand" in typed("override", out)[1]
    code, _, said = typed("override", out, "ann", CHECK.id, "--remove")
    assert (code, "nothing to take back" in " ".join(said.split())) == (2, True)


def test_whoever_was_given_points_is_listed(typed: Typed, out: Path) -> None:
    typed("override", out, "jose@example.org", "q2.standard.val", "--points", "1.25", *SAYS)
    code, said, _ = typed("override", out)
    assert code == 0
    assert f"José Núñez, {CHECK.id}: 1.25 points" in said
    assert "tina" in said
    assert "failed, 0 points" in said
    assert "1 given by hand" in said
    assert "José" not in typed("override", out, "ann")[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ann", CHECK.id, "--points", "1"], "--comment"),
        (["ann", CHECK.id, "--points", "99", *SAYS], f"from 0 to {CHECK.points:g}"),
        (["ann", CHECK.id, "--points=-1", *SAYS], "a number from 0 on"),
        (["ann", CHECK.id, "--points", "nan", *SAYS], "are no points"),
        (["ann", CHECK.id, "--points", "1,5", *SAYS], "decimal point"),
        (["ann", CHECK.id, "--points", "1_0", *SAYS], "are no points"),
        (["ann", CHECK.id, "--points", "0.12345", *SAYS], "digits after the point"),
        (["ann", CHECK.id, "--points", "1", "--comment", "  "], "say why"),
        (["ann", CHECK.id, "--points", "1", "--comment", "x" * 3000], "2000 at most"),
        (["ann", CHECK.id, "--points", "1", "--remove", "--comment", "x"], "choose one"),
        (["ann", CHECK.id, "--remove", "--comment", "x"], "go with --points"),
        (["ann", "--points", "1", *SAYS], "need a student and a check"),
        (["--remove"], "need a student and a check"),
        (["ann", "q2", "--points", "1", *SAYS], "name one of them"),
        (["ann", "q2.standard.valeu", "--points", "1", *SAYS], CHECK.id),
        (["nobody-at-all", CHECK.id, "--points", "1", *SAYS], "nobody here is called"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    typed: Typed, out: Path, words: Sequence[str], says: str
) -> None:
    before = contents(out)
    code, _, said = typed("override", out, *words)
    assert code == 2
    assert says in " ".join(said.split())
    assert contents(out) == before
    with Store(out) as store:
        assert store.all_overrides() == []


def test_nobody_who_has_no_name_gives_points(typed: Typed, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise OSError("no such user")

    monkeypatch.setattr(getpass, "getuser", nobody)
    code, _, said = typed("override", out, "ann", CHECK.id, "--points", "1", "--comment", "x")
    assert (code, "--author" in said) == (2, True)


def test_the_author_is_the_systems_user_if_nobody_else_is_named(
    typed: Typed, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "uma")
    typed("override", out, "ann", CHECK.id, "--points", "1", "--comment", "x")
    assert entry(out, "ann")["override"]["author"] == "uma"


def test_hostile_comments_and_authors_are_text_everywhere(typed: Typed, out: Path) -> None:
    comment = HOSTILE.replace("\x00", "") + "\n=1+1"
    assert typed("override", out, "ann", CHECK.id, "--points", "1", "--comment", comment, "--author", comment)[0] == 0
    for name, content in contents(out).items():
        assert b"\x1b" not in content, name
    for words in (["override", out], ["show", out, "ann", CHECK.id], ["show", out, "ann"]):
        code, said, _ = typed(*words)
        assert (code, "\x1b" in said, "[bold]x[/]" in " ".join(said.split())) == (0, False, True), words


def test_reports_that_cannot_be_written_leave_everything_as_it_was(
    typed: Typed, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(out)
    real = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith(".results.json"):
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    code, _, said = typed("override", out, "ann", CHECK.id, "--points", "1", *SAYS)
    monkeypatch.undo()
    assert code == 3
    assert "nothing was changed" in " ".join(said.split())
    assert contents(out) == before
    with Store(out) as store:
        assert store.all_overrides() == []


def test_a_store_that_cannot_be_written_leaves_everything_as_it_was(
    typed: Typed, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise NoRoom("run.sqlite could not be written (disk full)")

    before = contents(out)
    monkeypatch.setattr(Store, "put_override", full)
    code, _, said = typed("override", out, "ann", CHECK.id, "--points", "1", *SAYS)
    assert (code, "disk full" in said, "nothing was changed" in " ".join(said.split())) == (3, True, True)
    assert contents(out) == before


def test_a_check_that_the_rubric_no_longer_holds_can_be_taken_back_only(typed: Typed, out: Path) -> None:
    with Store(out, writing=True) as store:
        store.put_override("name:ann", "q2.gone", 1.0, "x", "tina")
    assert "these points count nowhere" in " ".join(typed("override", out)[1].split())
    code, _, said = typed("override", out, "ann", "q2.gone", "--points", "1", *SAYS)
    assert (code, "no check of the rubric any more" in " ".join(said.split())) == (2, True)
    assert typed("override", out, "ann", "q2.gone", "--remove")[0] == 0
    assert "no points were given" in typed("override", out)[1]


def test_points_stay_when_another_text_is_handed_in_and_are_said_to_be_older(typed: Typed, out: Path) -> None:
    typed("override", out, "ann", CHECK.id, "--points", "1", *SAYS)
    assert "before" not in typed("override", out)[1]
    made_run(out, [made("ann", {CHECK.id: failed()}, "# another text\n"), *everybody()[1:]])
    assert "given for what was handed in before" in " ".join(typed("override", out)[1].split())
    assert "tina" in table(out)["ann"]["overrides"]
    assert "for what was handed in before" in table(out)["ann"]["overrides"]
    assert (entry(out, "ann")["points"], entry(out, "ann")["override"]["of_earlier"]) == (1, True)


def test_who_writes_waits_for_another_grader_and_who_reads_does_not(typed: Typed, out: Path) -> None:
    before = contents(out)
    other = FolderLock(out)
    try:
        code, _, told = typed("override", out, "ann", CHECK.id, "--points", "1", *SAYS)
        assert (code, "another grader is at work" in " ".join(told.split())) == (2, True)
        assert typed("show", out, "ann")[0] == 0
    finally:
        other.release()
    assert contents(out) == before
    assert typed("override", out, "ann", CHECK.id, "--points", "1", *SAYS)[0] == 0


def test_beginning_anew_loses_no_points_that_were_given_by_hand(typed: Typed, out: Path, tmp_path: Path) -> None:
    typed("override", out, "ann", CHECK.id, "--points", "1", *SAYS)
    before = contents(out)
    (tmp_path / "class").mkdir()
    code, _, told = typed("grade", tmp_path / "class", "--out", out, "--fresh")
    assert (code, "holds points given by hand (1 in all" in " ".join(told.split())) == (2, True)
    assert contents(out) == before


def test_a_report_by_another_rubric_is_said_to_be_one(typed: Typed, tmp_path: Path) -> None:
    under = replace(UNDER, versions={**UNDER.versions, "rubric_hash": "another"})
    out = made_run(tmp_path / "run", everybody(), under)
    for words in (["show", out, "ann"], ["override", out, "ann", CHECK.id, "--points", "1", *SAYS]):
        code, _, told = typed(*words)
        assert (code, "another version of the rubric" in " ".join(told.split())) == (0, True)


# ---- who and what is meant ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["José Núñez", "jose  nunez", "JOSÉ NUÑEZ", "4711", "Jose@Example.org",
                                  "moodle:person:4711", "run/José Núñez/"])  # fmt: skip
def test_a_student_is_found_by_whatever_they_go_by(typed: Typed, out: Path, name: str) -> None:
    code, said, _ = typed("show", out, name)
    assert code == 0
    assert said.startswith("José Núñez: ")


def test_an_unknown_name_is_answered_with_the_nearest(typed: Typed, out: Path) -> None:
    code, said, told = typed("show", out, "Nunez")
    assert (code, said) == (2, "")
    assert "José Núñez (id 4711; jose@example.org; key moodle:person:4711)" in told
    assert "bob" not in told
    code, _, told = typed("show", out, "bbo")
    assert (code, "bob" in told) == (2, True)


def test_a_name_of_two_is_answered_with_both_and_never_guessed(typed: Typed, tmp_path: Path) -> None:
    twins = [Made(Submission(name, {"gaussians": f"# {id}"}, owner=Owner("Jane Doe", id, "moodle")))
             for name, id in (("Jane Doe", "1"), ("Jane Doe-2", "2"))]  # fmt: skip
    out = made_run(tmp_path / "run", twins)
    for name in ("Jane Doe", "jane doe"):
        code, _, told = typed("override", out, name, CHECK.id, "--points", "0", *SAYS)
        assert code == 2
        assert "may be any of 2" in told
        assert "id 1" in told
        assert "id 2" in told
    assert typed("show", out, "2")[1].startswith("Jane Doe-2: ")
    assert typed("show", out, "Jane Doe-2")[1].startswith("Jane Doe-2: ")
    assert typed("show", out, f"{out}/Jane Doe")[1].startswith("Jane Doe: ")


def test_an_accent_tells_two_apart_who_differ_in_nothing_else(typed: Typed, tmp_path: Path) -> None:
    out = made_run(tmp_path / "run", [made("Jose"), made("José"), made("A/B")])
    for name in ("Jose", "José", "A/B", f"{out}/José/"):
        assert typed("show", out, name)[1].startswith(f"{name.strip('/').rpartition('run/')[2]}: "), name
    assert typed("show", out, "JOSE")[0] == 2


def test_a_name_is_understood_as_it_is_shown(typed: Typed, tmp_path: Path) -> None:
    out = made_run(tmp_path / "run", [made("=a\u202e\x1b[31m"), made("bob")])
    for name in (r"=a\u202e\x1b[31m", r"name:=a\u202e\x1b[31m"):
        assert typed("show", out, name)[0] == 0


def test_who_is_meant_may_stand_behind_the_options(typed: Typed, out: Path) -> None:
    assert typed("override", out, "--points", "1", *SAYS, "ann", CHECK.id)[0] == 0
    assert typed("override", out, "ann", "--remove", CHECK.id)[0] == 0
    code, _, told = typed("override", out, "--remove", "ann", CHECK.id, "more")
    assert (code, "unrecognized arguments: more" in told) == (2, True)


def test_a_member_finds_the_report_of_the_group(typed: Typed, tmp_path: Path) -> None:
    group = Owner(
        "Team 7", "77", "moodle", "group", members=(Owner("Ann Lee", "1", "moodle"), Owner("Bo", "2", "moodle"))
    )
    out = made_run(tmp_path / "run", [Made(Submission("Team 7", {"pca": ""}, owner=group)), made("carl")])
    assert typed("show", out, "ann lee")[1].startswith("Team 7: ")


def test_who_has_no_report_yet_is_told_so(typed: Typed, tmp_path: Path) -> None:
    out = made_run(tmp_path / "run", [made("ann"), Made(Submission("bob", {"pca": ""}), unfinished=True)])
    code, _, told = typed("show", out, "bob")
    assert (code, "has no report yet" in " ".join(told.split())) == (2, True)
    assert typed("override", out, "bob", CHECK.id, "--points", "1", *SAYS)[0] == 2


# ---- show -----------------------------------------------------------------------------------------------------------


def test_a_stored_report_is_shown_as_check_prints_it(typed: Typed, out: Path) -> None:
    code, said, _ = typed("show", out, "ann")
    assert code == 0
    lines = said.splitlines()
    assert lines[0] == f"ann: {100 - CHECK.points:g} / 100 · bonus 10 / 10"
    assert max(map(len, lines)) <= 80
    for words in ("kl_divergence(mu=[0.])", "First in each question", "seed 7", "gaussians.py (1 lines)", "name:ann"):
        assert words in said, words
    assert said.count(CHECK.id) >= 2
    assert len(typed("show", out, "ann", "--verbose")[1]) > 2 * len(said)


def test_everything_that_is_known_of_one_check_is_shown(typed: Typed, out: Path) -> None:
    typed("override", out, "ann", CHECK.id, "--points", "1", *SAYS)
    typed("override", out, "ann", CHECK.id, "--points", "0.5", "--comment", "on second thought", "--author", "tina")
    code, said, _ = typed("show", out, "ann", "q2.standard.val")
    assert code == 0
    plain = " ".join(said.split())
    for words in (
        f"{CHECK.id} of ann: failed, 0.5 of {CHECK.points:g} points by hand", CHECK.title, "on second thought",
        "seen in office hours", "taken back", "kl_divergence(mu=[0.])", "input mu", "expected: 1", "actual: 2",
        "line 1 line 2", "2026-11-30 21:00 UTC, in 0.25 s", "looked up: gaussians.kl_divergence", "seed 7",
        "dataset digits", "device cpu", "no box", "torch",
    ):  # fmt: skip
        assert words in plain, words


def test_without_a_name_everybody_is_shown(typed: Typed, out: Path) -> None:
    code, said, _ = typed("show", out)
    assert code == 0
    for name in ("ann", "bob", "José Núñez"):
        assert name in said


def test_an_unreadable_submission_is_shown_with_its_reason(typed: Typed, tmp_path: Path) -> None:
    unread = {check.id: ("failed", 0.0) for check in CHECKS}
    lost = Made(Submission("ann", {}, ("ann.zip is damaged",)), unread)  # type: ignore[arg-type]
    out = made_run(tmp_path / "run", [lost, made("bob")])
    code, said, _ = typed("show", out, "ann")
    assert (code, "ann.zip is damaged" in said) == (0, True)
    assert "none could be read" in said
    assert typed("show", out, "ann", CHECK.id)[0] == 0


# ---- diff -----------------------------------------------------------------------------------------------------------


def test_marks_that_move_between_two_folders(typed: Typed, out: Path, tmp_path: Path) -> None:
    new = made_run(tmp_path / "new", [made("ann"), made("bob", {CHECK.id: failed()}), everybody()[2]])
    code, said, _ = typed("diff", out, new, "--json", tmp_path / "d" / "diff.json", "--csv", tmp_path / "diff.csv")
    assert code == 1
    assert said.splitlines()[-1] == "1 down, 1 up, 1 same"
    assert f"bob: 100 → {100 - CHECK.points:g}" in said
    content = json.loads((tmp_path / "d" / "diff.json").read_text())
    assert content["counts"]["same"] == 1
    with (tmp_path / "diff.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["submission"] for row in csv.DictReader(file)] == ["bob", "ann"]


def test_nothing_moves_and_then_points_are_given_by_hand(typed: Typed, out: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(out, tmp_path / "copy"))
    assert typed("diff", copy, out)[0] == 0
    typed("override", out, "ann", CHECK.id, "--points", "1", *SAYS)
    code, said, _ = typed("diff", copy, out)
    assert code == 1
    assert "by hand" in said
    assert said.splitlines()[-1] == "0 down, 1 up, 2 same"


def test_one_folder_is_not_compared_with_itself(typed: Typed, out: Path) -> None:
    code, said, told = typed("diff", out, f"{out}/../run")
    assert (code, said, "are one folder" in " ".join(told.split())) == (2, "", True)


def test_a_run_that_is_not_finished_is_named(typed: Typed, out: Path, tmp_path: Path) -> None:
    new = made_run(tmp_path / "new", [*everybody()[:2], replace(everybody()[2], unfinished=True)])
    code, said, told = typed("diff", out, new)
    assert (code, said.splitlines()[-1]) == (1, "0 down, 0 up, 2 same, 1 gone")
    assert f"the run in {new} is not finished: 1 has no report yet" in told


def test_verdicts_of_checks_that_are_gone_are_compared(typed: Typed, out: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(out, tmp_path / "copy"))
    with Store(out, writing=True) as store:
        row = next(row for row in store.submissions() if row.key == "name:bob")
        marks = store.marks(row.key)
        [new] = store.put_verdicts(str(row.text), [Kept("q2.gone", "x", "passed", {"status": "passed", "earned": 1.5})])
        store.put_marks(row.key, {name: kept.id for name, kept in marks.items()} | {"q2.gone": new}, row.asked,
                        row.circumstances)  # fmt: skip
    code, said, _ = typed("diff", out, copy)
    assert (code, said.splitlines()[-1]) == (1, "1 down, 0 up, 2 same")
    assert "bob: 101.5 → 100  -1.5" in said


@pytest.mark.parametrize("command", ["diff", "show", "override", "rerun"])
def test_a_folder_without_a_run_is_refused(typed: Typed, tmp_path: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    for folder, says in (("nowhere", "does not exist"), ("empty", "holds no run"), ("x" * 300, "too long")):
        more: dict[str, list[object]] = {"diff": [tmp_path / folder], "rerun": ["a", "b"]}
        code, _, told = typed(command, tmp_path / folder, *more.get(command, []))
        assert (code, says in " ".join(told.split())) == (2, True)


@pytest.mark.parametrize("command", ["show", "override"])
def test_a_damaged_store_is_refused_with_a_remedy(typed: Typed, out: Path, command: str) -> None:
    (out / NAME).write_bytes(b"no database at all" * 500)
    code, _, told = typed(command, out)
    assert code == 2
    assert "damaged" in told


def test_a_store_of_another_program_is_refused(typed: Typed, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / NAME) as base:
        base.execute("CREATE TABLE other (x)")
    base.close()
    assert typed("show", tmp_path)[0] == 2


def test_help_and_wrong_arguments_need_no_torch(tmp_path: Path) -> None:
    """And so does a folder that holds no run."""
    program = (
        "import sys\nfrom grader.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules)"
    )
    for words in (["override", "--help"], ["rerun", "x"], ["diff", str(tmp_path), str(tmp_path)],
                  ["override", str(tmp_path), "--remove"]):  # fmt: skip
        done = subprocess.run([sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True,
                              env={**os.environ, "COLUMNS": "80"})  # fmt: skip
        assert done.stdout.splitlines()[-1] == "False", words


def test_reports_written_again_are_those_that_an_override_has_left(typed: Typed, out: Path) -> None:
    """What `grade` would write from the store is what `override` has written."""
    typed("override", out, "ann", CHECK.id, "--points", "1", *SAYS)
    before = contents(out)
    written(out)
    assert contents(out) == before


def test_files_are_put_in_place_together_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), write.staged({tmp_path / "a": b"new", tmp_path / "b" / "c": b"new"}):
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a"]
