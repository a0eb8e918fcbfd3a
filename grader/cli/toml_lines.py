"""In which line of a TOML file a key stands.

No parser for Python tells. Python's own says where statements end, though: a piece of a valid file that begins where
the last statement ended, and that can be read alone, is the next one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]


def lines_of(text: str) -> dict[Path, int]:
    """The line of every key, table and entry of a valid TOML text, by its path; each with those above it."""
    found: dict[Path, int] = {}
    home: Path = ()
    entries: dict[Path, int] = {}
    for line, statement in statements(text):
        content = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            home = opened(content, entries)
            for size in range(1, len(home) + 1):
                found.setdefault(home[:size], line)
        else:
            for path in paths(content):
                found.setdefault(home + path, line)
    return found


def statements(text: str) -> Iterator[tuple[int, str]]:
    """Every statement with its first line."""
    lines = text.split("\n")
    start = 0
    for number in range(len(lines)):
        piece = "\n".join(lines[start : number + 1])
        try:
            holds = bool(tomllib.loads(piece))
        except tomllib.TOMLDecodeError:
            continue
        if holds:
            yield start + 1, piece
        start = number + 1


def opened(content: Mapping[str, Any], entries: dict[Path, int]) -> Path:
    """The path that a head like ``[a.b]`` or ``[[a.b]]`` opens, with the numbers of entries in lists of tables."""
    path: Path = ()
    here: Any = content
    while here:
        [(key, here)] = here.items() if isinstance(here, dict) else [(0, here[0])]
        path += (key,) if isinstance(key, str) else ()
        if isinstance(here, list):
            entries[path] = entries.get(path, -1) + 1
            path += (entries[path],)
            here = here[0]
        elif path in entries:
            path += (entries[path],)
    return path


def paths(content: Any, above: Path = ()) -> Iterator[Path]:
    """All paths within a value, outer ones first."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in pairs:
        yield (*above, key)
        yield from paths(value, (*above, key))
