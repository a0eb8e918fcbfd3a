"""What must be asked of a student with a mistake: part of the question that is shown, by the mistake's id."""

from __future__ import annotations

from importlib import import_module

from grader.assignment import FOLDERS

HINTS: dict[str, str] = {
    name: hint for folder in FOLDERS for name, hint in import_module(f".{folder}.hints", __package__).HINTS.items()
}
