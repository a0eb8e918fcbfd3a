"""The checks in an editor: what pytest finds in a student's folder, how it ends, and that it is found nowhere else."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grader.check.outcome import Outcome, Status
from grader.cli import editor, items
from grader.cli.plan import QUICK_KINDS
from grader.rubric import CHECKS

from .conftest import ROOT

pytest_plugins = ["pytester"]
PLUGIN = ("-p", "grader.cli.editor")
PUBLIC = {check.id: check for check in CHECKS if check.visibility == "public" and check.kind in QUICK_KINDS}
WRONG, HARD = "q2.univariate.value", "q2.full.value"


@pytest.fixture
def work(pytester: pytest.Pytester) -> Path:
    """The starter, as a student copies it, with one function written wrong."""
    folder = pytester.path / "work"
    shutil.copytree(ROOT / "starter", folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "solution" / "gaussians.py").read_text()
    right = "return 0.5 * (torch.expm1(log_ratio)"
    assert right in text
    (folder / "gaussians.py").write_text(text.replace(right, right.replace("0.5 * ", "")))
    (folder / "__init__.py").write_text("raise RuntimeError('nothing of this folder is imported here')\n")
    return folder


def identities(result: pytest.RunResult) -> list[str]:
    """Node ids of a quiet collection."""
    return [line for line in result.outlines if re.match(r"[\w/]+\.py::", line)]


def test_the_public_quick_checks_are_found_under_the_file_and_line_of_their_function(
    pytester: pytest.Pytester, work: Path
) -> None:
    found = identities(pytester.runpytest_inprocess(*PLUGIN, "--collect-only", "-q", "--strict-markers", work))
    assert sorted(found) == sorted(dict.fromkeys(found))
    places = [re.fullmatch(r"work/(\w+)\.py::(q\d+|bonus)::([\w.-]+)", line) for line in found]
    assert all(places)
    assert {match[3] for match in places if match} == PUBLIC.keys()
    for match in places:
        assert match is not None
        assert match[3].partition(".")[0] == match[2]
        about = items.asked_about(PUBLIC[match[3]])
        module, _, name = about.partition(".")
        assert module == match[1]
        defined = [node.lineno for node in ast.parse((work / f"{module}.py").read_text()).body
                   if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name]  # fmt: skip
        assert len(defined) == 1, f"{match[3]} is about {about}"


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [(("-m", "gradient"), lambda check: check.kind == "gradient"),
     (("-m", "q1"), lambda check: check.question == 1),
     (("-m", "bonus and not property"), lambda check: check.bonus and check.kind != "property"),
     (("-k", "elbo"), lambda check: "elbo" in check.id)],
)  # fmt: skip
def test_checks_are_chosen_by_kind_question_and_name(
    pytester: pytest.Pytester, work: Path, chosen: tuple[str, str], wanted: Any
) -> None:
    result = pytester.runpytest_inprocess(*PLUGIN, "--collect-only", "-q", "--strict-markers", *chosen, work)
    names = {line.rpartition("::")[2] for line in identities(result)}
    assert names == {name for name, check in PUBLIC.items() if wanted(check)} != set()


def test_one_file_and_one_check_can_be_named(pytester: pytest.Pytester, work: Path) -> None:
    of_file = identities(pytester.runpytest_inprocess(*PLUGIN, "--collect-only", "-q", work / "pca.py"))
    assert {line.split("::")[0] for line in of_file} == {"work/pca.py"}
    assert {line.split("::")[1] for line in of_file} == {"q3"}
    one = identities(pytester.runpytest_inprocess(*PLUGIN, "--collect-only", "-q", f"{work}/pca.py::q3::q3.pca.codes"))
    assert one == ["work/pca.py::q3::q3.pca.codes"]


def test_a_students_own_tests_are_found_beside_them(pytester: pytest.Pytester, work: Path) -> None:
    (work / "__init__.py").unlink()
    (work / "test_mine.py").write_text("def test_mine():\n    pass\n")
    found = identities(pytester.runpytest_inprocess(*PLUGIN, "--collect-only", "-q", work, "-o", "python_files=*.py",
                                                    "--doctest-modules", "--ignore-glob=**/train.py",
                                                    "--ignore-glob=**/recipes.py", "--ignore-glob=**/data.py",
                                                    "--ignore-glob=**/visualize.py",
                                                    "--ignore-glob=**/checkpoints.py"))  # fmt: skip
    assert "work/test_mine.py::test_mine" in found
    assert len(found) == len(PUBLIC) + 1


@pytest.mark.timeout(300)
def test_a_failure_is_our_explanation_and_nothing_of_ours_is_seen(pytester: pytest.Pytester, work: Path) -> None:
    """The one run that really judges: in a fresh process, as an editor starts it, with warnings as errors."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", *PLUGIN, "-W", "error", "--strict-markers", "-p", "no:xdist", ".",
               "-m", "q2 or q3", "--a7-seed", "3", "--junitxml", "junit.xml", "-rA"]  # fmt: skip
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 1, done.stdout + done.stderr
    text = done.stdout
    assert re.search(r"^_+ q2\.univariate\.value · .* _+$", text, re.MULTILINE)
    assert re.search(r"^looks like: exactly twice", text, re.MULTILINE)
    assert re.search(r"^FAILED gaussians\.py::q2::q2\.univariate\.value - failed: ", text, re.MULTILINE)
    assert re.search(r"^FAILED pca\.py::q3::q3\.pca\.components - PCA is not written yet", text, re.MULTILINE)
    assert re.search(r"^SKIPPED \[\d+\] .*needs q3\.", text, re.MULTILINE)
    assert re.search(r"^PASSED gaussians\.py::q2::q2\.full\.value", text, re.MULTILINE)
    assert "--a7-seed 3" in text
    assert "Traceback" not in text + done.stderr
    assert not re.search(r"(items|resident|judge)\.py", text)
    cases = {case.attrib["name"]: case for case in ET.parse(work / "junit.xml").iter("testcase")}
    failure = cases[WRONG].find("failure")
    assert failure is not None
    assert failure.text is not None
    assert "think:" in failure.text
    assert cases[WRONG].attrib["classname"] == "gaussians.q2"


class Said:
    """In the place of the engine: outcomes that are known."""

    asked: list[str]

    def __init__(self, statuses: Mapping[str, Status]) -> None:
        self.statuses, self.asked = statuses, []
        self.resident = SimpleNamespace(close=lambda: None)

    def outcome(self, item: items.CheckItem) -> Outcome:
        self.asked.append(item.check.id)
        status = self.statuses.get(item.check.id, "passed")
        return Outcome(item.check, status, 0.0, "what was found", "what to think of")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    engine = Said({WRONG: "failed", HARD: "timeout"})
    monkeypatch.setattr(items, "Panel", lambda folder, seed: engine)
    return engine


def test_the_last_failures_run_alone_and_the_first_one_can_end_it(
    pytester: pytest.Pytester, work: Path, said: Said
) -> None:
    pytester.runpytest_inprocess(*PLUGIN, work, "-m", "q2").assert_outcomes(
        failed=2, passed=7, deselected=len(PUBLIC) - 9
    )
    said.asked.clear()
    pytester.runpytest_inprocess(*PLUGIN, work, "--lf").assert_outcomes(failed=2)
    assert said.asked == [WRONG, HARD]
    said.asked.clear()
    pytester.runpytest_inprocess(*PLUGIN, work, "-x", "--lf").assert_outcomes(failed=1)
    assert said.asked == [WRONG]


def test_what_the_grader_failed_on_is_an_error_and_what_was_not_asked_is_skipped(
    pytester: pytest.Pytester, work: Path, said: Said
) -> None:
    said.statuses = {WRONG: "error", HARD: "skipped"}
    result = pytester.runpytest_inprocess(*PLUGIN, work, "-m", "q2", "--junitxml", "j.xml")
    result.assert_outcomes(errors=1, skipped=1, passed=7, deselected=len(PUBLIC) - 9)
    result.stdout.fnmatch_lines(["*ERROR at setup of q2.univariate.value*", "*GRADER ERROR: what was found"])
    assert "Traceback" not in result.stdout.str()
    cases = {case.attrib["name"]: case for case in ET.parse(pytester.path / "j.xml").iter("testcase")}
    assert [child.tag for child in cases[WRONG]] == ["error"]


def config(root: Path, *arguments: str) -> pytest.Config:
    """As far as it decides which folders this is about."""
    found: Any = SimpleNamespace(args=list(arguments) or [str(root)], rootpath=root,
                                 invocation_params=SimpleNamespace(dir=root))  # fmt: skip
    return found  # type: ignore[no-any-return]


def test_a_folder_is_a_students_if_it_was_named_or_lies_in_a_students_kit(tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(ROOT / "starter", work)

    def found(*arguments: str) -> set[Path]:
        return set(editor.students_folders(config(tmp_path, *arguments)))

    assert found("work") == found("work/vae.py::q8") == {work}
    assert found() == set(), "a class, say: nobody said that this is one's own"
    (tmp_path / "grader" / "rubric").mkdir(parents=True)
    assert found() == {work}
    assert found("grader") == set()
    (tmp_path / "solution").mkdir()
    assert found() == set(), "the checkout of those who teach"
    assert set(editor.students_folders(config(ROOT, "tests"))) == set()
    for name in ("vae.py", "vqvae.py"):
        (work / name).unlink()
    assert found("work") == {work}, "one may have moved"
    (work / "prior.py").unlink()
    assert found("work") == set()


@pytest.mark.timeout(120)
def test_elsewhere_it_does_nothing_and_costs_no_import(pytester: pytest.Pytester, work: Path) -> None:
    """Submissions in folders of a class are not run by who runs a test beside them."""
    pytester.makepyfile(
        test_here="""
        import sys

        def test_here(pytestconfig):
            assert "grader.cli.editor" in sys.modules
            assert not {"torch", "grader.rubric", "grader.cli.items", "rich"} & sys.modules.keys()
            assert not any(line.startswith("gradient") for line in pytestconfig.getini("markers"))
        """
    )
    (work / "__init__.py").unlink()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", *PLUGIN, "-W", "error", "--strict-markers", "-p", "no:hypothesispytest"]
    done = subprocess.run(command, cwd=pytester.path, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "a7" not in done.stdout


def test_the_installed_plugin_and_the_named_one_are_one() -> None:
    for order in ((editor.ENTRY, editor), (editor, editor.ENTRY)):
        manager = pytest.PytestPluginManager()
        names = {id(editor.ENTRY): "a7", id(editor): editor.NAME}
        for plugin in order:
            if not manager.is_registered(plugin):
                manager.register(plugin, names[id(plugin)])
            if plugin is editor.ENTRY:
                editor.ENTRY.pytest_addoption(manager)
        assert manager.get_plugin(editor.NAME) is editor


@pytest.mark.slow
def test_several_processes_draw_the_same_and_find_the_same(pytester: pytest.Pytester, work: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", *PLUGIN, "-n", "2", "--dist", "loadfile", ".", "-m", "q2 or q9"]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "looks like: exactly twice" in done.stdout
    assert re.search(r"^FAILED gaussians\.py::q2::q2\.univariate\.value", done.stdout, re.MULTILINE)
    assert "Traceback" not in done.stdout
