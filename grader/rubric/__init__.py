"""The rubric: one module per question, each a plain list of checks. `QUESTIONS` is the whole assignment in order."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..check.declaration import Check, Question
from ..check.thresholds import FILE as THRESHOLDS
from .bonus import prior as bonus
from .q01 import samples as q01
from .q02 import divergences as q02
from .q03 import comparison as q03
from .q04 import unet as q04
from .q05 import model as q05
from .q06 import steps as q06
from .q07 import losses as q07
from .q08 import model as q08
from .q09 import model as q09
from .q10 import quantizer as q10

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
