"""The rubric: one module per question, each a plain list of checks. `QUESTIONS` is the whole assignment in order."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..checks import Check, Question
from . import bonus, q01, q02, q03, q04, q05, q06, q07, q08, q09, q10

QUESTIONS: tuple[Question, ...] = (
    q01.QUESTION, q02.QUESTION, q03.QUESTION, q04.QUESTION, q05.QUESTION, q06.QUESTION, q07.QUESTION, q08.QUESTION,
    q09.QUESTION, q10.QUESTION, bonus.QUESTION,
)  # fmt: skip

MODULES: tuple[str, ...] = tuple(dict.fromkeys(module for question in QUESTIONS for module in question.modules))

CHECKS: tuple[Check, ...] = tuple(check for question in QUESTIONS for check in question.checks)


def rubric_hash() -> str:
    """Digest of everything that decides a mark: the rubric's modules and the thresholds."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in [*sorted(folder.glob("*.py")), folder.parent / "thresholds.json"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
