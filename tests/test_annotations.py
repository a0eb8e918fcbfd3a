"""What GitHub shows of a check: marks at a student's own lines, a summary; no text of theirs becomes a command."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from grader.boundary.box import choose
from grader.check.outcome import Outcome
from grader.classes.ingest import Submission
from grader.cli import check as checking
from grader.report.annotations import (
    LARGEST_SUMMARY,
    command,
    commands,
    definitions,
    files_of,
    heard,
    job_summary,
    place_of,
    silenced,
)
from grader.report.model import Circumstances, Report, complete
from grader.rubric import CHECKS, QUESTIONS

BY_ID = {check.id: check for check in CHECKS}
SOURCE = '''"""Mine."""


def kl_univariate(mu_p, logvar_p):
    return mu_p


@staticmethod
def other():
    pass


class VAE:
    def __init__(self):
        pass

    def encode(self, x):
        return x
'''
SOURCES = {"gaussians": SOURCE, "vae": SOURCE, "pca": "def broken(:\n"}
UNDER = Circumstances(1, "none", "made up", "cpu", 1, choose("none").sandbox)


def outcome(name: str, status: str = "failed", **said: object) -> Outcome:
    return replace(Outcome(BY_ID[name], status, 0.0), **said)  # type: ignore[arg-type]


def report(*found: Outcome) -> Report:
    rest = {check.id: Outcome(check, "not_run", 0.0) for check in CHECKS}
    outcomes = complete({**rest, **{one.check.id: one for one in found}}, QUESTIONS)
    return Report("starter", (), outcomes, UNDER, 1.0)


def test_a_place_is_that_of_the_function_a_check_has_called() -> None:
    known = definitions(SOURCES)
    asked = frozenset({"gaussians.kl_univariate", "gaussians.other", "gaussians.not_there"})
    found = place_of(outcome("q2.univariate.value", asked=asked, call="kl_univariate(mu_p=1, logvar_p=2)"), known)
    assert found == ("gaussians", 4, "kl_univariate")
    assert SOURCE.splitlines()[3].startswith("def kl_univariate")
    method = place_of(outcome("q8.vae.shapes", asked=frozenset({"vae.VAE"}), call="VAE(3).eval().encode(x=…)"), known)
    assert method == ("vae", 17, "VAE.encode")
    missing = place_of(outcome("q8.vae.shapes", asked=frozenset({"vae.VAE"}), call="VAE(3).decode(z=…)"), known)
    assert missing == ("vae", 13, "VAE"), "a method that is not there belongs to its class"
    assert place_of(outcome("q3.pca.codes", asked=frozenset({"pca.PCA"})), known) is None


def test_a_failure_is_a_mark_and_one_place_has_one(tmp_path: Path) -> None:
    asked = frozenset({"gaussians.kl_univariate"})
    lines = commands(
        report(
            outcome("q2.univariate.value", asked=asked, call="kl_univariate(mu_p=1)", message="wrong, by 50%", expected="1", actual="2\n3"),
            outcome("q2.properties", asked=asked),
            outcome("q2.full.value", "unimplemented", message="not implemented yet (Question 2: kl_full_covariance)"),
            outcome("q2.diagonal.value", "passed"),
            outcome("q2.standard.value", "skipped"),
            outcome("q2.montecarlo", "error"),
        ),
        SOURCES, {"gaussians": "starter/gaussians.py"},
    )  # fmt: skip
    assert len(lines) == 2
    [error] = [line for line in lines if line.startswith("::error ")]
    assert error.startswith("::error file=starter/gaussians.py,line=4,title=kl_univariate%3A ")
    assert "and 1 more" in error
    assert "50%25" in error
    assert "%0A" in error
    assert "\n" not in error
    [warning] = [line for line in lines if line.startswith("::warning ")]
    assert "file=" not in warning, "what is not written yet has no line"
    assert "not implemented" in warning


def test_hidden_checks_say_no_more_than_their_title() -> None:
    hidden = next(check for check in CHECKS if check.visibility == "hidden")
    [line] = commands(report(outcome(hidden.id, expected="a secret", message="a secret")), {}, {})
    assert "secret" not in line


@pytest.mark.parametrize("text", [
    "100%\r\n::set-env name=PATH::x", "\n::error file=a.py,line=1::mine", "a\u2028::warning::b", "::add-mask::e", "\x1b[31m\r::stop-commands::x",
    "%0A::error::encoded already", "a" * 100_000,
])  # fmt: skip
def test_nothing_hostile_begins_a_command_of_its_own(text: str) -> None:
    line = command("error", f"title {text}", text, where={"file": f"a,line=9:{text[:20]}.py", "line": "1"})
    assert "\n" not in line
    assert "\r" not in line
    head, _, told = line.removeprefix("::error ").partition("::")
    assert not re.search(r"(?<!\d)::", head), "properties hold no separator"
    assert [part.partition("=")[0] for part in head.split(",")] == ["file", "line", "title"]
    assert "%0D" not in told.replace("%250D", "")
    assert told.replace("%25", "").replace("%0A", "").count("%") == 0
    assert len(line) < 10_000


def test_escapes_are_those_of_githubs_own_toolkit() -> None:
    line = command("error", "a: b, 5%", "50%\nnext", where={"file": "a,b:c.py", "line": "3"})
    assert line == "::error file=a%2Cb%3Ac.py,line=3,title=a%3A b%2C 5%25::50%25%0Anext"


def test_files_are_named_from_the_repositorys_root(tmp_path: Path) -> None:
    folder = tmp_path / "repository" / "my work" / "starter"
    folder.mkdir(parents=True)
    (folder / "gaussians.py").write_text(SOURCE)
    (folder / "vae.py").write_text("# another text\n")
    root = tmp_path / "repository"
    assert files_of(folder, SOURCES, root) == {"gaussians": "my work/starter/gaussians.py"}
    assert files_of(folder.parent, SOURCES, root) == {"gaussians": "my work/starter/gaussians.py"}
    assert files_of(folder / "gaussians.py", {"gaussians": SOURCE}, root) == {
        "gaussians": "my work/starter/gaussians.py"
    }
    assert files_of(folder, SOURCES, tmp_path / "elsewhere") == {}
    assert files_of(tmp_path / "absent.zip", SOURCES, root) == {}


def test_a_summary_is_no_larger_than_github_takes() -> None:
    asked = [
        outcome(check.id, message="ä" * 4000, expected="ß" * 4000, actual="ö" * 4000, looks="x" * 4000)
        for check in CHECKS
    ]
    text = job_summary(report(*asked))
    assert LARGEST_SUMMARY - 20_000 < len(text.encode()) <= LARGEST_SUMMARY
    assert text.endswith("the rest is in the log.\n")
    assert job_summary(report()).startswith("# ")


def test_check_prints_no_command_of_a_students_and_fills_the_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "starter"
    folder.mkdir()
    (folder / "gaussians.py").write_text(SOURCE)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    found = outcome(
        "q2.univariate.value", asked=frozenset({"gaussians.kl_univariate"}), printed="::error::mine", message="m"
    )
    out = io.StringIO()
    console = Console(file=out, width=80)
    checking.annotate(report(found), Submission("starter", {"gaussians": SOURCE}), folder, console, verbose=False)
    lines = out.getvalue().splitlines()
    [token] = [line.removeprefix(silenced("")) for line in lines if line.startswith(silenced(""))]
    assert len(token) == 32
    end = lines.index(heard(token))
    before, after = lines[1:end], lines[end + 1 :]
    assert any("KL" in line for line in before)
    assert [line.partition(",title")[0] for line in after] == ["::error file=starter/gaussians.py,line=4"]
    assert "# `starter`" in (tmp_path / "summary.md").read_text()
