"""The page of the proof speaks of the banks as they are, and a sample of it comes out again."""

from __future__ import annotations

import random
import re

import pytest

from .proof import PAGE, caught, quick_fails
from .prove import Task, perform, tasks
from .test_bank import MISTAKES

ROW = re.compile(r"^\| (?P<name>[^|]+?) \| [^|]* \| (?P<ids>[^|]*) \|$", re.MULTILINE)
ROWS = {match["name"]: set(re.findall(r"`([^`]+)`", match["ids"])) for match in ROW.finditer(PAGE.read_text())}
SAMPLE = random.Random(11).sample([m for m in MISTAKES if m.id in ROWS and quick_fails(m)], 12)


def test_the_page_knows_no_mistake_that_is_not_in_the_bank() -> None:
    assert set(ROWS) - {"mistake", "---"} <= {mistake.id for mistake in MISTAKES}


def test_tasks_have_names_of_their_own() -> None:
    made = tasks()
    assert len({(t.kind, t.names, t.seed, t.again) for t in made}) == len(made)
    assert {t.kind for t in made} == {
        "mistake",
        "alternative",
        "reference",
        "combination",
        "again",
        "halved",
        "doubled",
    }


@pytest.mark.slow
@pytest.mark.parametrize("mistake", SAMPLE, ids=lambda m: m.id)
def test_a_row_of_the_matrix_comes_out_again(mistake: object) -> None:
    found = caught(perform(Task("mistake", (mistake.id,), seed=1)))  # type: ignore[attr-defined]
    assert {name.partition(".")[2] for name in found} == ROWS[mistake.id]  # type: ignore[attr-defined]
