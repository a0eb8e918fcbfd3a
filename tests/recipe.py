"""The files and commands of a how-to page, as a reader would take them from it.

A block that comes after a line with nothing but a path is that file, or, marked ``diff``, a change of it: the lines without
a plus stand there exactly once, and those without a minus take their place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

BLOCK = re.compile(r"^`([\w./-]+)`:\n\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """What is typed, in order, without comments."""
    lines = [line for block in CONSOLE.findall(page) for line in block.splitlines()]
    return [line[2:].split(" #")[0].strip() for line in lines if line.startswith("$ ")]


def blocks(page: str, language: str) -> list[str]:
    """Blocks of a language that belong to no file."""
    whole = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return whole.findall(BLOCK.sub("", page))


def followed(page: str, root: Path) -> Iterator[str]:
    """Writes and changes the files of the page below `root`; gives their paths. Raises ValueError if a change does not fit."""
    for path, language, text in BLOCK.findall(page):
        place = root / path
        if language == "diff":
            now, (old, new) = place.read_text(), changed(text)
            if now.count(old) != 1:
                raise ValueError(f"{path}: {old!r} occurs {now.count(old)} times")
            place.write_text(now.replace(old, new))
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        yield path


def changed(diff: str) -> tuple[str, str]:
    """What is there, and what takes its place."""
    lines = diff.splitlines()
    return ("\n".join(line[1:] for line in lines if not line.startswith("+")),
            "\n".join(line[1:] for line in lines if not line.startswith("-")))  # fmt: skip
