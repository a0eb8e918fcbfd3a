"""Puts reports on disk. Each file appears whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from . import gradebook, gradescope, junit, markdown
from .model import Report, as_dict


def folder_name(submission: str) -> str:
    """A submission's name as a folder name that is safe everywhere."""
    return re.sub(r"[^\w. -]", "_", submission).strip(" .")[:100] or "submission"


def unique_names(names: Sequence[str]) -> list[str]:
    """The names, later duplicates numbered."""
    seen: set[str] = set()
    unique = []
    for name in names:
        candidate, count = name, 1
        while folder_name(candidate).casefold() in seen:
            count += 1
            candidate = f"{name}-{count}"
        seen.add(folder_name(candidate).casefold())
        unique.append(candidate)
    return unique


def put(path: Path, text: str) -> None:
    """Writes through a temporary file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def to_json(value: object) -> str:
    """JSON text; NaN is an error, not an extension."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_report(report: Report, out: Path) -> Path:
    """Four files in the submission's own folder."""
    folder = out / folder_name(report.submission)
    put(folder / "report.json", to_json(as_dict(report)))
    put(folder / "report.md", markdown.render(report))
    put(folder / "junit.xml", junit.render(report))
    put(folder / "results.json", to_json(gradescope.render(report)))
    return folder


def write_gradebook(reports: Sequence[Report], out: Path) -> Path:
    """The table of all submissions."""
    path = out / "gradebook.csv"
    put(path, gradebook.render(reports))
    return path
