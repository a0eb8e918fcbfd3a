"""Puts reports on disk. A submission's files appear whole and together, or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from . import gradebook, gradescope, junit, markdown
from .folder import PAGE, TABLE
from .model import Report, as_dict
from .names import folder_name
from .pages import classroom, student
from .pictures.draw import pictures_of


def put(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Writes one file through a temporary one beside it."""
    put_all({path: text}, encoding)


def put_all(texts: Mapping[Path, str], encoding: str = "utf-8") -> None:
    """Writes files through temporary ones beside them: none takes its place before all of them are written."""
    with staged({path: text.encode(encoding) for path, text in texts.items()}) as put_in_place:
        put_in_place()


@contextlib.contextmanager
def staged(contents: Mapping[Path, bytes]) -> Iterator[Callable[[], None]]:
    """Files written beside their places, and the function that puts all of them there; what it has not put there when
    the block ends is removed. Raises OSError."""
    temporaries = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in contents}

    def put_in_place() -> None:
        for path, temporary in temporaries.items():
            temporary.replace(path)

    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporaries[path].write_bytes(content)
            to_disk(temporaries[path])
        yield put_in_place
    finally:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):
                temporary.unlink()


def to_disk(path: Path) -> None:
    """Waits until a file is on the disk: renamed before, it would be empty after a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(value: object) -> str:
    """JSON text; NaN is an error, not an extension."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_short_json(content: Mapping[str, object]) -> str:
    """The same in few lines, one for each entry of a list."""
    lines = []
    for name, value in content.items():
        items = [f"  {plain_json(item)}" for item in value] if isinstance(value, list) else []
        whole = ",\n".join(items).join(("[\n", "\n ]")) if items else plain_json(value)
        lines.append(f" {plain_json(name)}: {whole}")
    return ",\n".join(lines).join(("{\n", "\n}\n"))


def plain_json(value: object) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def report_files(report: Report) -> dict[str, str]:
    """The text of each file of one submission. That of one of which nothing could be read is short: a class may have
    many."""
    as_json = to_short_json if report.unread else to_json
    return {
        "report.json": as_json(as_dict(report)),
        "report.md": markdown.render(report),
        "report.html": student.render(report, pictures_of(report)),
        "junit.xml": junit.render(report),
        "results.json": as_json(gradescope.render(report)),
    }


def write_report(report: Report, out: Path) -> Path:
    """Five files in the submission's own folder."""
    folder = out / folder_name(report.submission)
    put_all({folder / name: text for name, text in report_files(report).items()})
    return folder


def write_gradebook(reports: Sequence[Report], out: Path) -> Path:
    """The table of all submissions."""
    path = out / TABLE
    put(path, gradebook.render(reports), gradebook.ENCODING)
    return path


def write_page(reports: Sequence[Report], out: Path) -> Path:
    """The page about all submissions."""
    path = out / PAGE
    put(path, classroom.render(reports))
    return path
