"""`rerun` and points given by hand, on a class that is really graded: one question, two students."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from grader.cli import main as cli
from grader.grading.graded import Graded, graded
from grader.grading.store import NAME, Store
from grader.report.folder import PAGE, REPORT_NAMES, TABLE

from .conftest import ROOT
from .made_run import contents
from .test_afterwards import SAYS, Typed
from .test_afterwards import typed as typed

WRONG = "\n\ndef univariate_log_prob(x, mean, std):\n    print('asked')\n    return x * 0 + 1\n"
pytestmark = pytest.mark.slow
FIRST = ["--question", "1", "--no-trained", "--jobs", "1", "--unsafe-no-box"]


@pytest.fixture(scope="module")
def graded_class(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Ann is right, Bob wrong in one function, Cy has copied from Bob: the class and its run folder."""
    folder = tmp_path_factory.mktemp("rerun")
    text = (ROOT / "solution" / "gaussians.py").read_text()
    for name, more in (("ann", ""), ("bob", WRONG), ("cy", WRONG)):
        (folder / "class" / name).mkdir(parents=True)
        (folder / "class" / name / "gaussians.py").write_text(text + more)
    assert cli.main(["grade", str(folder / "class"), "--out", str(folder / "run"), "--seed", "3", *FIRST]) == 0
    return folder / "class", folder / "run"


def of(out: Path, name: str) -> Graded:
    return next(one for one in graded(out) if one.report.submission == name)


def lost(out: Path) -> list[str]:
    """Bob's checks that lost points."""
    return [o.check.id for o in of(out, "bob").report.outcomes if o.status == "failed"]


def test_a_check_judged_again_with_what_is_stored_comes_out_the_same(
    typed: Typed, graded_class: tuple[Path, Path]
) -> None:
    _, out = graded_class
    before = contents(out)
    wrong = lost(out)[0]
    code, said, told = typed("rerun", out, "bob", wrong)
    assert (code, "the same status and points" in said) == (0, True), told
    assert f"judging {wrong} of bob again · seed 3" in " ".join(told.split())
    assert "code, versions and box are those of then" in " ".join(told.split())
    assert said.count("failed") == 2
    code, said, _ = typed("rerun", out, "ann", wrong)
    assert (code, said.count("passed")) == (0, 2)
    assert contents(out) == before


def test_another_outcome_is_shown_and_nothing_is_stored(
    typed: Typed, graded_class: tuple[Path, Path], tmp_path: Path
) -> None:
    """A verdict that was wrong is made up: the store says that Bob has passed."""
    out = Path(shutil.copytree(graded_class[1], tmp_path / "run"))
    before = contents(out)
    wrong = lost(out)[0]
    with sqlite3.connect(out / NAME) as base:
        [(number, text)] = base.execute(
            "SELECT v.id, outcome FROM verdict v JOIN mark m ON m.verdict = v.id WHERE key = 'name:bob' AND v.check_id = ?",
            (wrong,),
        ).fetchall()
        content = json.loads(text)
        base.execute("UPDATE verdict SET status = 'passed', outcome = ? WHERE id = ?",
                     (json.dumps({**content, "status": "passed", "earned": 1.0}), number))  # fmt: skip
    base.close()
    code, said, _ = typed("rerun", out, "bob", wrong)
    assert (code, "another outcome" in said, "nothing is stored" in said) == (1, True, True)
    assert "printed: asked" in " ".join(said.split()), "all that the code printed"
    assert next(o.status for o in of(out, "bob").report.outcomes if o.check.id == wrong) == "passed"
    assert contents(out) == before


WRITTEN = (*(f"bob/{name}" for name in REPORT_NAMES), TABLE, PAGE)


def test_points_given_by_hand_survive_grading_again_in_every_export(
    typed: Typed, graded_class: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = graded_class
    wrong = lost(out)[0]
    assert typed("override", out, "bob", wrong, "--points", "0.25", *SAYS)[0] == 0
    for more in ([], ["--all"]):
        code = cli.main(["grade", str(folder), "--out", str(out), *FIRST, *more])
        shown = " ".join(capsys.readouterr().out.split())
        assert (code, "* with points given by hand, for 1 check in all" in shown) == (0, True)
        for name in WRITTEN:
            assert b"seen in office hours" in (out / name).read_bytes(), (name, more)
    with (out / "gradebook.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    assert rows["bob"]["overrides"].startswith(f"{wrong}: 0.25 instead of 0 points, tina")
    assert rows["cy"]["overrides"] == "", "nobody else gets them, whoever handed in the same text"
    assert float(rows["bob"]["q1"]) == float(rows["cy"]["q1"]) + 0.25
    with (folder / "bob" / "gaussians.py").open("a") as file:
        file.write("# another text\n")
    assert cli.main(["grade", str(folder), "--out", str(out), *FIRST]) == 0
    for name in WRITTEN:
        assert b"seen in office hours" in (out / name).read_bytes(), name
    assert b"for what was handed in before: seen" in (out / "bob" / "report.md").read_bytes()
    capsys.readouterr()
    code, said, _ = typed("rerun", out, "bob", wrong)
    assert code == 0
    assert "0.25 points given by hand, which count whatever a verdict says" in " ".join(said.split())
    assert typed("override", out, "bob", wrong, "--remove")[0] == 0


def test_what_was_not_run_can_be_judged(typed: Typed, graded_class: tuple[Path, Path]) -> None:
    _, out = graded_class
    code, said, told = typed("rerun", out, "ann", "q3.angles.value")
    assert (code, "nothing to compare with" in " ".join(told.split())) == (1, True)
    assert "not run" in said
    code, _, told = typed("rerun", out, "ann", "q3.trained.pca")
    assert (code, "no dataset is stored" in " ".join(told.split())) == (2, True)


def test_nothing_is_judged_of_what_could_not_be_read(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "class" / "ann").mkdir(parents=True)
    (tmp_path / "class" / "ann" / "notes.txt").write_text("nothing")
    (tmp_path / "class" / "bob.zip").write_bytes(b"PK no zip at all")
    assert cli.main(["grade", str(tmp_path / "class"), "--out", str(tmp_path / "run"), *FIRST]) == 0
    code, _, told = typed("rerun", tmp_path / "run", "bob", "q1.univariate.value")
    assert (code, "nothing of bob is stored that could be judged" in " ".join(told.split())) == (2, True)
    with Store(tmp_path / "run") as store:
        assert [row.key for row in store.submissions()] == ["name:ann", "name:bob"]
