"""What the tests share: the reference's sources, and workers that are started once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch

from grader.boundary.box import Observation
from grader.boundary.launch import Worker
from grader.boundary.session import Limits, Session
from grader.check.datasets import Dataset, load_dataset
from grader.check.declaration import OPTIMIZERS
from grader.classes.ingest import Submission, read_submission
from grader.cli import boxes
from grader.rubric import MODULES

from .inside import Finder

ROOT = Path(__file__).resolve().parents[1]
SHORT = Limits(request_s=3.0, check_s=20.0, memory=1200 << 20, threads=1)

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def reference() -> Submission:
    """The reference solution as a submission."""
    return read_submission(ROOT / "solution", MODULES)


@pytest.fixture(autouse=True)
def only_our_own_modules() -> Iterator[None]:
    """What a test has judged in this process is not importable in the next, under our own names for one."""
    yield
    for finder in [found for found in sys.meta_path if isinstance(found, Finder)]:
        finder.forget()


@pytest.fixture(autouse=True)
def no_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands do not try their box first, which takes seconds: tests/test_box_cli.py and test_self_test.py do."""
    untried = Observation("a test of the kit", True, "the self-test is left out")
    monkeypatch.setattr(boxes, "observe", lambda box: iter([untried]))


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """A worker parent, shared by the tests of one process."""
    running = Worker()
    running.preload(OPTIMIZERS)  # or it would count as a test's own time
    yield running
    running.close()


Opener = Callable[..., Session]


@pytest.fixture
def session_with(worker: Worker) -> Iterator[Opener]:
    """Opens sessions on given sources: ``session_with(vae="...")``."""
    opened: list[Session] = []

    def open_session(limits: Limits = SHORT, **sources: str) -> Session:
        worker.submit(sources, ["starter", "solution"])
        session = Session(worker, seed=1, limits=limits)
        opened.append(session)
        return session

    yield open_session
    for session in opened:
        session.close()


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The embedded dataset."""
    return load_dataset("digits")


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    """MNIST, where A7_DATA names it; then it must be there."""
    if "A7_DATA" not in os.environ:
        pytest.skip("A7_DATA is not set")
    return load_dataset("mnist")


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Writes files into a fresh folder."""

    def write(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / "submitted" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "submitted"

    return write
