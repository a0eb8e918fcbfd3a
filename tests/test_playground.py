"""The notebook: it runs from the top on a finished folder, and is committed without what it has printed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from .conftest import ROOT

NOTEBOOK = ROOT / "docs" / "playground.ipynb"


def test_the_notebook_is_valid_and_stripped() -> None:
    found = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(found)
    code = [cell for cell in found.cells if cell.cell_type == "code"]
    assert len(code) >= 7
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert len({cell.id for cell in found.cells}) == len(found.cells)


@pytest.mark.parametrize("place", ["beside it", "alone"])
@pytest.mark.slow
def test_the_notebook_runs_on_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """With the folder above it, and with nothing but the kit's zip, as on a hosted service."""
    for name, value in (("A7_DATASET", "digits"), ("A7_EPOCHS", "2"), ("MPLBACKEND", "Agg"), ("A7_FOLDER", "solution")):
        monkeypatch.setenv(name, value)
    where = NOTEBOOK.parent
    if place == "alone":
        where = tmp_path
        packed_to(tmp_path / "a7-student.zip")
    found = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(found, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(where)}}).execute()
    printed = "".join(output.get("text", "") for cell in found.cells for output in cell.get("outputs", ()))
    assert "digits: 1437 images to train on" in printed
    assert "held out, in nats per image: reconstruction" in printed


def packed_to(path: Path) -> None:
    """The reference as a kit has the starter: in a folder of the kit's."""
    with zipfile.ZipFile(path, "w") as kit:
        for file in (ROOT / "solution").glob("*.py"):
            kit.write(file, f"a7-student/solution/{file.name}")
