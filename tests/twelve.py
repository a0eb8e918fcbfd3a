"""Downloads of a class of twelve as Moodle, Canvas and Gradescope make them, every one handing in another way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from .handed_in import Files, packed, work, written

SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"
# name, number and how it was handed in
TWELVE = (
    ("Jane Doe", "1234567", "zip"), ("Bob O'Neil", "1234568", "files"), ("Zoë Ng-Müller", "1234569", "nested zip"),
    ("Олена Шевченко", "1234570", "ZIP"), ("李明", "1234571", "files"), ("Jane Doe", "1234572", "files"),
    ("Anna-Maria de la Cruz", "1234573", "7z"), ("R2 D2 3", "1234574", "zip in zip"), ("Jose", "1234575", "tar"),
    ("José", "1234576", "litter"), ("X", "1234577", "empty zip"), ("Ivan Petrov Jr.", "1234578", "subfolder"),
)  # fmt: skip
NOTHING = ("7z", "empty zip")


def handed_in(number: str, how: str) -> dict[str, str | bytes]:
    """The files that a student attaches."""
    litter = {"__MACOSX/a7/._vae.py": "\0", "a7/.DS_Store": "x", "a7/._vae.py": "\0"}
    forms: dict[str, dict[str, str | bytes]] = {
        "zip": {"a7.zip": packed(work(number, "a7/"))},
        "nested zip": {"my work (final)_v2.zip": packed(work(number, "CMPUT 328/a7/src/"))},
        "ZIP": {"A7.ZIP": packed(work(number))},
        "files": work(number),
        "7z": {"a7.7z": SEVEN_ZIP},
        "zip in zip": {"a7.zip": packed({"inner/a7.zip": packed(work(number))})},
        "tar": {"a7.tar.gz": packed(work(number, "a7/"), "tar")},
        "litter": {"a7.zip": packed({**work(number, "a7/"), **litter})},
        "empty zip": {"a7.zip": packed({})},
        "subfolder": work(number, "src/"),
    }
    return forms[how]


def expected(students: tuple[tuple[str, str, str], ...] = TWELVE) -> dict[tuple[str, str], str]:
    return {(name, number): "" if how in NOTHING else number for name, number, how in students}


def moodle_folders(tail: str = "", students: tuple[tuple[str, str, str], ...] = TWELVE) -> dict[str, str | bytes]:
    return {
        f"{name}_{number}_assignsubmission_file{tail}/{file}": content
        for name, number, how in students
        for file, content in handed_in(number, how).items()
    }


def moodle_flat(students: tuple[tuple[str, str, str], ...] = TWELVE) -> dict[str, str | bytes]:
    return {
        f"{name}_{number}_assignsubmission_file_{file.rpartition('/')[2]}": content
        for name, number, how in students
        for file, content in handed_in(number, how).items()
    }


def plain_class() -> dict[str, str | bytes]:
    return {
        f"{name} {number}/{file}": content
        for name, number, how in TWELVE
        for file, content in handed_in(number, how).items()
    }


FORMS: Mapping[str, Callable[[Path, Files], Path]] = {
    "folder": lambda root, files: written(root / "CMPUT328-A7-98765", files),
    "zip": lambda root, files: written(root, {"CMPUT328-A7-98765.zip": packed(files)}) / "CMPUT328-A7-98765.zip",
    "zip in a folder": lambda root, files: written(root / "evening", {"CMPUT328-A7-98765.zip": packed(files)}),
    "zip in a zip": lambda root, files: written(
        root, {"all.zip": packed({"downloads/CMPUT328-A7-98765.zip": packed(files)})}) / "all.zip",
    "folder of its own name": lambda root, files: written(
        root / "CMPUT328-A7-98765", {f"CMPUT328-A7-98765/{name}": content for name, content in files.items()}),
    "packed again on Windows": lambda root, files: written(
        root, {"again.zip": packed({"CMPUT328-A7-98765\\" + name.replace("/", "\\"): content for name, content in files.items()})}
    ) / "again.zip",
    "packed again on a Mac": lambda root, files: written(
        root, {"mac.zip": packed({**{f"class/{name}": content for name, content in files.items()},
                                  **{f"__MACOSX/class/._{name}": "\0" for name in files}, "class/.DS_Store": ""})}) / "mac.zip",
    "tar": lambda root, files: written(root, {"class.tar.gz": packed(files, "tar")}) / "class.tar.gz",
    "beside its zip": lambda root, files: written(
        root / "x", {"CMPUT328-A7-98765.zip": packed(files),
                     **{f"CMPUT328-A7-98765/{name}": content for name, content in files.items()}}),
}  # fmt: skip


def canvas_name(name: str) -> str:
    words = name.split(" ")
    return "".join(c for c in (words[-1] + "".join(words[:-1])).lower() if c.isalnum())


def canvas_files(students: tuple[tuple[str, str, str], ...] = TWELVE) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {}
    for index, (name, number, how) in enumerate(students):
        late = "_LATE" if index % 3 == 0 else ""
        for place, (file, content) in enumerate(handed_in(number, how).items()):
            files[f"{canvas_name(name)}{late}_{number}_{60000 + 10 * index + place}_{file.rpartition('/')[2]}"] = (
                content
            )
    return files


def expected_of_canvas() -> dict[tuple[str, str], str]:
    return {(canvas_name(name), number): text for (name, number), text in expected().items()}


HEAD = "---\n"


def gradescope_files(top: str = "", students: tuple[tuple[str, str, str], ...] = TWELVE) -> dict[str, str | bytes]:
    table = HEAD
    files: dict[str, str | bytes] = {}
    for index, (name, number, how) in enumerate(students):
        folder = f"submission_{7000 + index}"
        table += (f"{folder}:\n  :submitters:\n  - :name: {name!r}\n    :sid: '{number}'\n    :email: s{number}@x.ca\n"
                  f"  :created_at: 2026-11-{10 + index} 17:57:36.123456789 Z\n  :score: 0.0\n  :status: processed\n"
                  "  :results:\n    tests:\n    - score: 1\n")  # fmt: skip
        files |= {f"{top}{folder}/{file}": content for file, content in handed_in(number, how).items()}
    table = table.replace('"Bob O\'Neil"', "Bob O'Neil")
    return {**files, f"{top}submission_metadata.yml": table}
