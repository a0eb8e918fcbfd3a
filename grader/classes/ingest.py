"""Reads what was handed in: one submission, or whatever a class's paths stand for.

Nothing is ever unpacked to disk. Sizes are capped before anything is read, links are not followed, and a file that is
not on the list is named in the report but never opened.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from .archives import ARCHIVES
from .reader import ClassReader
from .records import Reading, Submission
from .roster import settled
from .single import read_submission
from .trees import MAX_FILE, IngestError

__all__ = ["ARCHIVES", "MAX_FILE", "IngestError", "Reading", "Submission", "read_class", "read_submission"]


def read_class(
    paths: Sequence[Path], modules: Sequence[str], starter: Collection[str] = (), skip: Path | None = None
) -> Reading:
    """What all the `paths` of a command stand for. Never raises for what was handed in: that is a submission with the
    reason. `skip` is the folder of the reports, which may lie among the submissions."""
    reader = ClassReader(modules, starter, skip.resolve() if skip is not None else None)
    reader.read_paths(paths)
    archived = any(budget.archives for budget in reader.budgets)
    return settled(reader.found, reader.about, starter, archived)
