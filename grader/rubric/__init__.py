"""The rubric: a package per question, whose `__init__` lists its checks in order. `QUESTIONS` is the whole assignment.

A check, its points, its words and its questions to the student live in one declaration here and nowhere else. What
several questions use lives in `shared`, what every check works with in `check`.
"""

from __future__ import annotations

import hashlib
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


def rubric_hash() -> str:
    """Digest of everything that decides a mark: the rubric's modules, what they work with, and the thresholds."""
    digest = hashlib.sha256()
    grader = Path(__file__).resolve().parents[1]
    for path in [*sorted(grader.glob("rubric/**/*.py")), *sorted(grader.glob("check/*.py")), THRESHOLDS]:
        digest.update(path.relative_to(grader).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
