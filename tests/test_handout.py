"""The handout teaches what is graded: its formulas can be rendered, its pictures exist and say what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from latex2mathml.converter import convert
from PIL import Image

from grader.rubric import QUESTIONS

from .conftest import ROOT
from .gallery import FOLDER, PAIRS, STORIES

HANDOUT = (ROOT / "docs" / "handout.md").read_text()
SECTIONS = dict(re.findall(r"(?ms)^## (Question \d+|Bonus) .*?$(.*?)(?=^## |\Z)", HANDOUT))
FORMULAS = re.findall(r"\$\$(.+?)\$\$|(?<!\$)\$([^$]+?)\$(?!\$)", HANDOUT, re.DOTALL)
PICTURES = re.findall(r"!\[([^\]]*)\]\((images/handout/[^)]*)\)", HANDOUT)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: str(question.number or "bonus"))
def test_every_question_has_its_idea_its_mathematics_and_how_it_is_graded(question: object) -> None:
    number = getattr(question, "number", 0)
    section = SECTIONS[f"Question {number}" if number else "Bonus"]
    heads = ["**The idea.**", "**The mathematics.**", "**What you write.**", "**How it is graded.**"]
    places = [section.find(head) for head in heads]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("formula", [shown or inline for shown, inline in FORMULAS])
def test_every_formula_can_be_rendered(formula: str) -> None:
    """By a converter that knows TeX, with no command left over and every bracket closed."""
    made = convert(formula.replace("\n", " "))
    assert "\\" not in made
    assert formula.count("{") == formula.count("}")
    assert not re.search(r"\\[^a-zA-Z]", formula), "Markdown takes a backslash before a sign for its own"
    assert formula.count(r"\left") == formula.count(r"\right")


def test_no_dollar_is_left_alone() -> None:
    plain = re.sub(r"\$\$(.+?)\$\$|(?<!\$)\$([^$]+?)\$(?!\$)|```.*?```|`[^`\n]*`", "", HANDOUT, flags=re.DOTALL)
    assert "$" not in plain


def test_every_picture_is_there_and_says_what_it_shows() -> None:
    assert sorted(path for _, path in PICTURES) == sorted(
        f"images/handout/{pair.name}-{kind}.png" for pair in PAIRS for kind in ("good", "bad")
    )
    assert all(len(alt) > 15 for alt, _ in PICTURES)
    assert {pair.mistake for pair in PAIRS} <= STORIES.keys()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.png")), ids=lambda path: path.stem)
def test_pictures_are_small_and_not_blank(path: Path) -> None:
    assert path.stat().st_size < 80_000
    with Image.open(path) as picture:
        grey = picture.convert("L")
        assert len(set(grey.tobytes())) > 10
