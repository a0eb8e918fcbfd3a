"""Texts that reports, browsers, spreadsheets and terminals would obey, in all places from which text gets there."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..attack import Attack, Member
from ..oracles import any_of, class_ended, unescaped
from .ending import GAUSSIANS, IN_EACH

NASTY = "\x1b[2J\x1b]0;mine\x07<script>alert(1)</script>\n=1+1\n\u202egnp.exe\x9b31m|`[x](javascript:alert(1))"


def said(name: str, text: str, says: str, *, sample: bool = False) -> Attack:
    """A submission whose code brings NASTY into a report."""

    def put(folder: Path, bait: Mapping[str, Any]) -> None:
        place = folder / name
        place.mkdir()
        (place / "gaussians.py").write_text(f"{GAUSSIANS}\nimport os, sys\nNASTY = {NASTY!r}\n{IN_EACH}\n{text}")

    return Attack(name, "reports", says, any_of(unescaped, class_ended), Member(put, "render"), sample=sample)


def called(name: str, path: str, says: str) -> Attack:
    """A submission whose folder has this name."""

    def put(folder: Path, bait: Mapping[str, Any]) -> None:
        place = folder / path
        place.mkdir()
        (place / "gaussians.py").write_text("def kl_diagonal(:\n")

    return Attack(name, "reports", says, any_of(unescaped, class_ended), Member(put, "render"))


def zip_of_nasty_names(folder: Path, bait: Mapping[str, Any]) -> None:
    with zipfile.ZipFile(folder / "nasty-members.zip", "w") as made:
        for name in (
            NASTY,
            "=1+1.py",
            "\n=1+1.ipynb",
            "<img src=x onerror=alert(1)>.py",
            "x" * 60_000,
            "gaussians.py\x00.txt",
        ):
            made.writestr(name, "x")
        made.writestr("gaussians.py", GAUSSIANS)


def tar_of_a_long_name(folder: Path, bait: Mapping[str, Any]) -> None:
    with tarfile.open(folder / "long-member.tar", "w", format=tarfile.PAX_FORMAT) as made:
        for name in ("n" * (1 << 20), "gaussians.py/" * 50_000 + "x.py", NASTY):
            made.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
        info = tarfile.TarInfo("gaussians.py")
        info.size = len(GAUSSIANS.encode())
        made.addfile(info, io.BytesIO(GAUSSIANS.encode()))


ATTACKS: Sequence[Attack] = (
    said("prints-orders-to-the-terminal", "def act(*a, **k):\n    os.write(1, NASTY.encode())\n    print(NASTY * 100)\n    return a[0]\neverywhere(act)",
         "prints escape sequences, tags and formulas", sample=True),
    said("raises-orders", "def act(*a, **k):\n    raise ValueError(NASTY)\neverywhere(act)", "raises an error whose text is such"),
    said("raises-an-order-by-name", "def act(*a, **k):\n    raise type(NASTY, (Exception,), {})('x')\neverywhere(act)", "raises an error whose class is called so"),
    said("returns-orders", "def act(*a, **k):\n    return {NASTY: [NASTY, type(NASTY, (), {})()]}\neverywhere(act)", "returns such texts"),
    said("returns-an-object-called-so", "def act(*a, **k):\n    return type(NASTY, (), {})()\neverywhere(act)", "returns an object whose class is called so"),
    said("is-written-so", f"def act(*a, **k):\n    x = {NASTY!r}; raise ValueError  # <script>alert(1)</script> \x0c =1+1 \u202e\neverywhere(act)",
         "has such texts in the line that fails, which a report quotes"),
    said("is-no-python", "def act(:  # <script>alert(1)</script> \u202e\x0c`|", "has such texts in a line that is no Python"),
    called("is-called-like-a-formula", "=1+1", "a folder's name that is a formula"),
    called("is-called-like-a-later-formula", "\n=1+1", "a folder's name that is a formula on its second line"),
    called("is-called-like-an-order", "\x1b[2J\x9b31m\u202e", "a folder's name that clears the screen"),
    called("is-called-like-a-page", "<img src=x onerror=alert(1)>", "a folder's name that is a tag"),
    Attack("has-members-called-so", "reports", "members of a zip with such names", any_of(unescaped, class_ended),
           Member(zip_of_nasty_names, "render")),
    Attack("has-a-member-with-a-long-name", "reports", "members of a tar whose names have a million letters",
           any_of(unescaped, class_ended), Member(tar_of_a_long_name, "render")),
)  # fmt: skip
