"""docs/reference is what the command line and the schema of report.json say today."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from grader.author import reference
from grader.cli.afterwards import COMMANDS

README = reference.README.read_text()


def test_the_pages_are_made_from_today_and_the_readme_as_well() -> None:
    for name, text in reference.pages().items():
        assert (reference.FOLDER / name).read_text() == text, f"{name} is out of date: run make reference"
    assert reference.with_exits(README) == README, "the exit codes are out of date: run make reference"


def test_every_command_has_its_exit_codes() -> None:
    assert reference.EXITS.keys() == reference.commands().keys(), "say in grader/author/reference.py what 0 and 1 mean"
    assert {"grade", "check", "similar", "export", *COMMANDS} <= reference.EXITS.keys()
    assert all(0 in codes for codes in reference.EXITS.values())


def test_every_option_is_on_the_page_with_what_it_means() -> None:
    page = reference.commands_page()
    for name, (said, parser) in reference.commands().items():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert said, f"{name} does not say what it is for"
        for action in reference.shown(parser):
            assert action.help, f"{name}: {action.dest} does not say what it means"
            assert any(f"`{word}`" in section for word in (action.option_strings or [reference.value_of(action)]))


def named(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All properties anywhere in a schema."""
    if isinstance(schema, dict):
        for name, part in schema.get("properties", {}).items():
            yield name, part
        for part in schema.values():
            yield from named(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from named(part)


def test_every_field_says_what_it_means_and_is_on_the_page() -> None:
    page = reference.report_page()
    fields = list(named(json.loads(reference.SCHEMA.read_text())))
    assert len(fields) > 40
    assert [name for name, part in fields if not part.get("description")] == []
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(fields)
    assert "| `checks[].override.points` | number | that count |" in rows
