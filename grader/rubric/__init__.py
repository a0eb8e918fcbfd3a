"""The rubric: a package per question, whose `__init__` lists its checks in order. `QUESTIONS` is the whole assignment.

A check, its points, its words and its questions to the student live in one declaration here and nowhere else. What
several questions use lives in `shared`, what every check works with in `check`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from ..check.declaration import Check, Question
from ..check.thresholds import FILE as THRESHOLDS
from . import bonus, q01, q02, q03, q04, q05, q06, q07, q08, q09, q10

QUESTIONS: tuple[Question, ...] = (
    q01.QUESTION, q02.QUESTION, q03.QUESTION, q04.QUESTION, q05.QUESTION, q06.QUESTION, q07.QUESTION, q08.QUESTION,
    q09.QUESTION, q10.QUESTION, bonus.QUESTION,
)  # fmt: skip

MODULES: tuple[str, ...] = tuple(dict.fromkeys(module for question in QUESTIONS for module in question.modules))

CHECKS: tuple[Check, ...] = tuple(check for question in QUESTIONS for check in question.checks)


# in students' copies: the digest of what they have of the rubric, and that of the rubric it was taken from
RELEASED = Path(__file__).with_name("released.json")


def rubric_hash() -> str:
    """Digest of everything that decides a mark: the rubric's modules, what they work with, and the thresholds.

    A student's copy, which has the public checks only, says the digest of the rubric that these are from, as long as
    nobody has changed them.
    """
    grader = Path(__file__).resolve().parents[1]
    paths = [*sorted(grader.glob("rubric/**/*.py")), *sorted(grader.glob("check/*.py")), THRESHOLDS]
    found = digest_of((path.relative_to(grader).as_posix(), path.read_bytes()) for path in paths)
    released = json.loads(RELEASED.read_text(encoding="utf-8")) if RELEASED.is_file() else {}
    return str(released.get(found, found))


def digest_of(files: Iterable[tuple[str, bytes]]) -> str:
    """Sixteen digits that stand for these files, by name and content, in this order."""
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()[:16]
