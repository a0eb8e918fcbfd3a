"""The starter is importable, with the solution's names, and has nothing of the answers; that it is the solution's, and stubs,
the author's contract asks (test_contract)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from grader.author.starter import MarkerError, cut, starter_files

from .conftest import ROOT

FILES = starter_files(ROOT / "solution")
GIVEN = ("train.py", "data.py", "recipes.py", "checkpoints.py", "visualize.py", "__init__.py")


def signatures(text: str) -> dict[str, tuple[str, str | None]]:
    """Public functions and methods: signature and docstring."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                owner = node.name + "." if isinstance(node, ast.ClassDef) else ""
                shape = ast.unparse(child.args) if isinstance(child, ast.FunctionDef) else ""
                found[owner + child.name] = (shape, ast.get_docstring(child))
    return found


@pytest.mark.parametrize("name", sorted(FILES))
def test_names_signatures_and_docstrings_are_the_solutions(name: str) -> None:
    solution, starter = signatures((ROOT / "solution" / name).read_text()), signatures(FILES[name])
    for key, value in starter.items():
        assert solution[key] == value
    # what only the solution has sits in private regions, which are not documented in the handout
    handout = (ROOT / "docs" / "handout.md").read_text()
    for key in solution.keys() - starter.keys():
        if any(kept.endswith(f".{key}") for kept in starter):
            continue  # a helper that shares its name with a documented method
        assert f"`{key}(" not in handout, f"{key} is the student's to write but was cut"


@pytest.mark.parametrize("name", sorted(set(FILES) - set(GIVEN)))
def test_every_region_leaves_a_stub(name: str) -> None:
    solution = (ROOT / "solution" / name).read_text()
    assert solution.count("# begin solution") == FILES[name].count("raise NotImplementedError(")


def test_the_starter_imports_cleanly() -> None:
    modules = ", ".join(f"starter.{name.removesuffix('.py')}" for name in FILES if name != "__init__.py")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {modules}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f():\n    # begin solution Q1\n    return 1", "never closed"),
        ("def f():\n    # begin solution Q1\n    # begin private\n    # end private", "opens inside"),
        ("def f():\n    # end solution", "closes nothing"),
        ("def f():\n    # begin solution Q1\n    # end private", "closes nothing"),
        ("# begin solution Q1\nx = 1\n# end solution", "inside a function"),
        ("def f():\n    # begin solution 4\n    # end solution", "is no marker"),
    ],
)
def test_markers_that_make_no_sense_are_refused_with_their_place(text: str, words: str) -> None:
    with pytest.raises(MarkerError, match=words) as caught:
        cut(text.splitlines(), "file.py")
    assert "file.py:" in str(caught.value)


def test_cutting() -> None:
    text = (
        "X = 1\n\n# begin private\nY = 2\n# end private\n\nclass A:\n    def f(self):\n        'doc'\n"
        "        # begin solution Q3\n        return 1\n        # end solution\n\n    def g(self):\n        # begin solution bonus\n"
        "        pass\n        # end solution"
    )
    assert (
        cut(text.splitlines())
        == (
            "X = 1\n\nclass A:\n    def f(self):\n        'doc'\n        raise NotImplementedError(\"Question 3: A.f\")\n\n"
            '    def g(self):\n        raise NotImplementedError("Bonus: A.g")'
        ).splitlines()
    )


def test_main_says_what_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from grader.author import starter

    (tmp_path / "solution").mkdir()
    (tmp_path / "solution" / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(starter, "ROOT", tmp_path)
    assert starter.main(["--check"]) == 1
    assert "starter/a.py" in capsys.readouterr().err
    assert starter.main([]) == 0
    assert starter.main(["--check"]) == 0


def test_signatures_name_what_a_student_types() -> None:
    from grader.author.starter import signatures

    found = signatures(ROOT / "solution")
    assert found["gaussians.kl_divergence"] == ["mu", "logvar"]
    assert found["vae.VAE"][:3] == ["input_dim", "hidden_dim", "latent_dim"]
    assert "self" not in {name for names in found.values() for name in names}
